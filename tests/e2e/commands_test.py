"""What a person gets from the commands who types the wrong thing, or whose disk is full."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import COLLECTOR, PARITY, WORKER, place, run


@pytest.fixture
def here():
    with place() as folder:
        folder.model = folder.tiny_model("--type", "F32")
        yield folder


def refusal(*arguments, code=2):
    """The one line that a refused command says."""
    done = run(*arguments, expect=code)
    assert done.stdout == "" and done.stderr.count("\n") == 1, done.stdout + done.stderr
    return done.stderr.rstrip("\n")


@pytest.mark.parametrize("program, command, needs", [(WORKER, "run", "--model"), (COLLECTOR, "serve", "--db"),
                                                     (PARITY, "import", "FILE")])
def test_a_wrong_command_line_is_one_line(program, command, needs):
    name = os.path.basename(program)
    assert refusal(program, "frobnicate") == "{}: there is no command 'frobnicate' (see {} --help)".format(name, name)
    assert refusal(program) == "{}: A subcommand is required (see {} --help)".format(name, name)
    assert refusal(program, command) == "{}: {} is required (see {} {} --help)".format(name, needs, name, command)


def test_token_ids_are_ids_and_commas(here):
    base = [WORKER, "run", "--model", here.model, "--max-tokens", "1", "--tokens"]
    for bad in ("1,,2", "1,x", "1,99999999999", "-1"):
        assert "no token id; expected ids from 0 up, separated by commas" in refusal(*base, bad)
    assert "prompt, token_ids: expected exactly one of them" in refusal(*base, "")


def test_numbers_below_zero_are_refused(here):
    for flag in ("--seed", "--log-values"):
        said = refusal(WORKER, "run", "--model", here.model, "--tokens", "1", flag, "-1")
        assert said == "parity-worker: {}: found -1, expected 0 or more (see parity-worker run --help)".format(flag)


def test_a_text_that_cannot_be_read_is_named(here):
    base = [WORKER, "tokenize", "--model", here.model, "--file"]
    assert refusal(*base, here.path).endswith("cannot read {}: Is a directory".format(here.path))
    assert refusal(*base, "no-such").endswith("cannot read no-such: No such file or directory")


def test_names_that_are_not_utf8_do_not_lose_a_capture(here):
    model = os.fsencode(here.path) + b"/m\xff.gguf"
    os.symlink(here.model, model)
    _, address = here.collector()
    run(WORKER, "run", "--model", os.fsdecode(model), "--tokens", "1,2", "--max-tokens", "1", "--run", "r", "--collector",
        address, "--capture", "logits")
    assert r"m\xff.gguf" in run(PARITY, "show", "r", "--collector", address).stdout
    note = ["--run", "s", "--collector", address, "--note", "\udcff"]
    refused = refusal(WORKER, "run", "--model", here.model, "--tokens", "1,2", *note)
    assert refused.endswith("1 invalid field: note: found 1 bytes, expected at most 65536 of UTF-8")


@pytest.mark.parametrize("arguments", [["run", "--tokens", "1", "--max-tokens", "4", "--ignore-eos"], ["inspect"]])
def test_standard_output_on_a_full_disk_is_a_storage_error(here, arguments):
    command = [WORKER, *arguments, *(["--model"] if arguments[0] == "run" else []), str(here.model)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 5
    assert done.stderr.endswith("parity-worker: standard output cannot be written\n")


def test_a_log_on_a_full_disk_is_a_storage_error(here):
    done = run(WORKER, "run", "--model", here.model, "--tokens", "1,2", "--max-tokens", "1", "--log-file", "/dev/full", expect=5)
    assert "cannot write the log file /dev/full: No space left on device" in done.stderr


def test_an_address_that_is_taken_is_one_line(here):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:{}".format(taken.getsockname()[1])
        said = refusal(COLLECTOR, "serve", "--db", here.path / "c.db", "--listen", address, code=4)
    assert said == "parity-collector: cannot listen on {}: the address is taken or not this machine's".format(address)


def test_a_damaged_database_is_one_line(here):
    log, database = here.path / "a.jsonl", here.path / "a.db"
    log.write_text('{"team":"t","checkpoint":"embed","token_idx":0,"values":[1,2]}\n')
    run(PARITY, "import", "--run", "r", log, "--db", database)
    with sqlite3.connect(str(database)) as damaged:
        damaged.execute("UPDATE blobs SET data = zeroblob(3)")
    damaged.close()
    for command in (["export", "r", "--team", "t"], ["show", "r", "--team", "t", "--position", "0", "--checkpoint", "embed"]):
        assert refusal(PARITY, *command, "--db", database, code=5).endswith("has 3 bytes, a tensor row expects 8 at 0")


@pytest.mark.parametrize("was_there", [False, True])
def test_an_import_that_is_stopped_leaves_no_new_file(here, was_there):
    log, database = here.path / "a.jsonl", here.path / "a.db"
    line = '{"team":"t","checkpoint":"embed","token_idx":0,"values":[1,2]}\n'
    log.write_text(line)
    if was_there:
        run(PARITY, "import", "--run", "r", log, "--db", database)
    before = sorted(os.listdir(here.path))
    stopped = subprocess.Popen([PARITY, "import", "--run", "s", "-", "--db", str(database)], stdin=subprocess.PIPE)
    here.processes.append(stopped)
    stopped.stdin.write((line * 20000).encode())  # 1.3 MB, more than a pipe holds: most of it has been read
    stopped.stdin.flush()
    assert database.exists()
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(timeout=20) == -signal.SIGTERM
    stopped.stdin.close()
    if not was_there:
        assert sorted(os.listdir(here.path)) == before
    run(PARITY, "import", "--run", "s", log, "--db", database)
    assert len(run(PARITY, "runs", "--format", "csv", "--db", database).stdout.splitlines()) == 2 + was_there


def test_one_service_is_not_taken_for_the_other(here):
    _, address = here.collector()
    said = refusal(PARITY, "generate", "--worker", address, "--prompt", "x")
    assert said == "parity: worker at {}: serves no such call (UNIMPLEMENTED)".format(address)
