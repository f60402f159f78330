"""What the programs need to start, and that the libraries linked into them work."""

import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import COLLECTOR, PARITY, WORKER, place, run, wait_until

# The C and C++ runtime, and what third_party/static.bzl says has no usable archive.
SHARED = {"libc", "libm", "libpthread", "libdl", "librt", "libstdc++", "libgcc_s", "ld-linux-x86-64", "libunwind", "libxxhash",
          "libasan", "libubsan"}
LLAMA = re.compile("libllama|libggml.*")


@pytest.mark.parametrize("program", [COLLECTOR, PARITY, WORKER])
def test_a_program_loads_few_libraries(program):
    table = subprocess.check_output(["readelf", "--dynamic", program], text=True)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\.so[.0-9]*\]", table)
    assert "libc" in needed
    others = [name for name in needed if name not in SHARED and not (program == WORKER and LLAMA.fullmatch(name))]
    assert others == []


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
