"""Runs every libFuzzer target for a while: no crash, no sanitizer report, no input over its memory or time.

PARITY_FUZZ_SECONDS: seconds for each target (default 60). PARITY_FUZZ_CORPUS: a folder that keeps what was found from
run to run (default: none; each run begins with the seeds). As many run at once as there are cores.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

HERE = pathlib.Path(__file__).parent
TARGETS = ("gguf_fuzzer", "ingest_fuzzer", "log_importer_fuzzer", "log_line_fuzzer", "tokenizer_fuzzer",
           "vocabulary_fuzzer")
SECONDS = int(os.environ.get("PARITY_FUZZ_SECONDS") or 60)
# A store on a disk would be fsynced to death.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# libFuzzer's own: the process with AddressSanitizer's shadow and quarantine. MemoryBound holds each input to less.
LIMITS = ["-rss_limit_mb=2048", "-malloc_limit_mb=512", "-timeout=20"]


class Run:
    def __init__(self, status, log):
        self.status = status
        self.log = log

    def figure(self, pattern):
        found = re.findall(pattern, self.log)
        return int(found[-1]) if found else 0


def corpus_folder(target, scratch):
    kept = os.environ.get("PARITY_FUZZ_CORPUS")
    folder = pathlib.Path(kept or scratch) / target
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fuzz(target):
    binary = HERE / target
    with tempfile.TemporaryDirectory(prefix="parity_fuzz_", dir=SCRATCH) as scratch:
        environment = {**os.environ, "TMPDIR": scratch}
        seeds = pathlib.Path(scratch) / "seeds"
        seeds.mkdir()
        subprocess.run([binary, "--write_seeds={}".format(seeds)], check=True, env=environment)
        artifacts = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR") or scratch
        done = subprocess.run(
            [binary, "-max_total_time={}".format(SECONDS), "-print_final_stats=1", "-max_len=65536",
             "-artifact_prefix={}/{}-".format(artifacts, target), *LIMITS, corpus_folder(target, scratch), seeds],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=False)
        return Run(done.returncode, done.stdout.decode("utf-8", "replace"))


@pytest.fixture(scope="module")
def runs():
    """All targets' runs; each waits for a free core, and the tests wait for them in turn."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {target: pool.submit(fuzz, target) for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_finds_nothing(runs, target, record_property):
    run = runs[target].result()
    assert run.status == 0, run.log[-8000:]
    executions = run.figure(r"stat::number_of_executed_units:\s*(\d+)")
    record_property("seconds", SECONDS)
    record_property("executions", executions)
    record_property("edges", run.figure(r" cov: (\d+)"))
    record_property("features", run.figure(r" ft: (\d+)"))
    record_property("corpus", run.figure(r" corp: (\d+)"))
    assert executions > 10, "more than the seeds"
