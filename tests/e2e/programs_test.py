"""What the programs need to start, and that the libraries linked into them work."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
from harness import COLLECTOR, PARITY, WORKER, place, run, wait_until

# The C and C++ runtime, and what third_party/static.bzl says has no usable archive.
SHARED = {"libc", "libm", "libpthread", "libdl", "librt", "libstdc++", "libgcc_s", "ld-linux-x86-64", "libunwind", "libxxhash",
          "libasan", "libubsan"}
NO_LIBLLAMA = "no libllama: looked for {}; run deploy/fetch llama, or name its folder with --llama-library"


@pytest.mark.parametrize("program", [COLLECTOR, PARITY, WORKER])
def test_a_program_loads_few_libraries(program):
    table = subprocess.check_output(["readelf", "--dynamic", program], text=True)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\.so[.0-9]*\]", table)
    assert "libc" in needed
    assert [name for name in needed if name not in SHARED] == []
    assert "RPATH" not in table and "RUNPATH" not in table, table  # a folder of the machine that built it


def one_step(here, engine, *flags, expect=0, env=None):
    return run(WORKER, "run", "--model", here.tiny_model("--type", "F32"), "--tokens", "5,6,7", "--max-tokens", "1",
               "--engine", engine, *flags, expect=expect, env=env)


def opened(done):
    """What of llama.cpp a process opened that was run with LD_DEBUG=files."""
    assert "libc.so" in done.stderr
    return set(re.findall(r"lib(?:llama|ggml)[^ /]*\.so", done.stderr))


def test_only_the_llama_engine_looks_for_libllama():
    with place() as here:
        env = {"LD_DEBUG": "files"}
        model = here.tiny_model("--type", "F32")
        assert opened(one_step(here, "cpu", env=env)) == set()
        assert opened(run(WORKER, "run", "--help", env=env)) == set()
        assert opened(run(WORKER, "inspect", model, env=env)) == set()
        assert opened(run(WORKER, "tokenize", "--model", model, "--text", "a", env=env)) == set()
        assert "libllama" not in one_step(here, "cpu", "--llama-library", "/nonexistent").stderr


@pytest.mark.skipif(not harness.LIBLLAMA.exists(), reason="no libllama: deploy/fetch llama")
def test_libllama_is_opened_where_the_flag_then_the_environment_say():
    with place() as here:
        missing = one_step(here, "llama", "--llama-library", "/nonexistent", expect=2)
        assert missing.stderr == "parity-worker run: " + NO_LIBLLAMA.format("/nonexistent") + "\n"
        env = {"PARITY_LLAMA_LIBRARY": "/not/there", "LD_DEBUG": ""}
        missing = one_step(here, "llama", expect=2, env=env)
        assert missing.stderr == "parity-worker run: " + NO_LIBLLAMA.format("/not/there") + "\n"
        env["LD_DEBUG"] = "files"
        done = one_step(here, "llama", "--llama-library", harness.LLAMA, env=env)
        assert {"libllama.so", "libggml.so", "libggml-base.so"} <= opened(done)


HOSTS = pathlib.Path("/etc/hosts")  # a bare chroot has none


@pytest.mark.skipif(not HOSTS.exists() or "localhost" not in HOSTS.read_text(), reason="/etc/hosts does not name localhost")
def test_a_collector_is_found_by_name_and_serves_tls():
    with place() as here:
        key, certificate = here.path / "key.pem", here.path / "certificate.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)
        here.start("collector", COLLECTOR, "serve", "--db", here.path / "c.db", "--listen", "127.0.0.1:0",
                   "--tls-cert", certificate, "--tls-key", key)
        port = wait_until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", here.log("collector")), 30, "listening")[1]
        runs = ["runs", "--collector", "localhost:" + port]
        run(PARITY, *runs, "--tls-ca", certificate)
        refused = run(PARITY, *runs, "--timeout", "5", expect=4)
        assert "localhost:" + port in refused.stderr
