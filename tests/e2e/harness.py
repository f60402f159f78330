"""Real processes on real sockets for the end-to-end stories."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

WORKER = "worker/parity-worker"
COLLECTOR = "collector/parity-collector"
PARITY = "collector/cli/parity"
TINY_MODEL = "tests/e2e/write_tiny_model"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "parity"
SMOLLM2 = CACHE / "SmolLM2-135M-Instruct.Q4_1.gguf"
LLAMA = pathlib.Path(os.environ.get("PARITY_LLAMA_DIR") or CACHE / "llama")  # as third_party/llama looks for it
LIBLLAMA = LLAMA / "lib" / "libllama.so"


def run(*arguments, expect=0, env=None, timeout=120, text_in=None):
    """Runs a program to its end; fails the test with its messages unless it exits with `expect` (None: any)."""
    done = subprocess.run([str(argument) for argument in arguments], input=text_in, text=True, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
    if expect is not None:
        assert done.returncode == expect, "{} exited with {}, expected {}\n{}\n{}".format(
            " ".join(map(str, arguments)), done.returncode, expect, done.stdout[-2000:], done.stderr[-4000:])
    return done


def wait_until(condition, seconds=20, what="the condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("{} did not come true within {} s".format(what, seconds))


class Place:
    """A folder for one story: sockets (short paths), databases, models, logs."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="parity-", dir="/tmp"))
        self.processes = []

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        shutil.rmtree(self.path, ignore_errors=True)

    def start(self, name, *arguments, env=None):
        """Starts a server; its messages go to NAME.log."""
        log = open(self.path / (name + ".log"), "ab")
        process = subprocess.Popen([str(argument) for argument in arguments], stdout=log, stderr=log,
                                   env={**os.environ, **(env or {})})
        log.close()
        self.processes.append(process)
        return process

    def log(self, name):
        return (self.path / (name + ".log")).read_text(errors="replace")

    def tiny_model(self, *options):
        model = self.path / "tiny.gguf"
        run(TINY_MODEL, *options, model)
        return model

    def collector(self, db="parity.db", *options):
        """Starts a collector and returns (process, address) once it answers."""
        address = "unix:{}/c.sock".format(self.path)
        process = self.start("collector", COLLECTOR, "serve", "--db", self.path / db, "--listen", address, *options)
        self._wait_answer(process, "collector", lambda: run(PARITY, "runs", "--collector", address, expect=None))
        return process, address

    def worker(self, model, *options, env=None):
        """Starts a worker and returns (process, address) once it answers."""
        address = "unix:{}/w.sock".format(self.path)
        process = self.start("worker", WORKER, "serve", "--model", model, "--listen", address, *options, env=env)
        self._wait_answer(process, "worker", lambda: run(
            PARITY, "generate", "--worker", address, "--tokens", "1", "--max-tokens", "1", expect=None))
        return process, address

    def _wait_answer(self, process, name, ask):
        def answered():
            assert process.poll() is None, name + " ended early:\n" + self.log(name)
            return ask().returncode == 0
        wait_until(answered, 30, name + " answering")


@contextlib.contextmanager
def place():
    here = Place()
    try:
        yield here
    finally:
        here.close()


def stop(process, seconds=20):
    """SIGTERM, then the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=seconds)


def show(address_flag, address, run_name):
    """`parity show` as parsed JSON."""
    return json.loads(run(PARITY, "show", run_name, address_flag, address, "--format", "json").stdout)


def rows(address_flag, address, *diff_arguments, expect=None):
    """`parity diff --format jsonl` as a list of rows."""
    done = run(PARITY, "diff", *diff_arguments, address_flag, address, "--format", "jsonl", expect=expect)
    return [json.loads(line) for line in done.stdout.splitlines()]
