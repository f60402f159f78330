"""Whole journeys: worker, collector and command as separate processes."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
from harness import PARITY, WORKER, place, run, rows, show, stop, wait_until

TOKENS = "5,9,33,71,120,200,8,64"
FORCED = "12,45,99,3"
# A model that takes seconds for thousands of tokens, for what has to happen meanwhile.
LONG = ("--type", "F32", "--layers", "12", "--context", "4200")


def capture(model, address, team, *options, level="full", run_name="r", **kwargs):
    return run(WORKER, "run", "--model", model, "--engine", "cpu", "--tokens", TOKENS, "--force", FORCED,
               "--capture", level, "--run", run_name, "--team", team, "--collector", address, *options, **kwargs)


def test_two_numerics_are_captured_compared_and_exported():
    with place() as here:
        model = here.tiny_model("--type", "F32")
        collector, address = here.collector()
        capture(model, address, "a", "--numerics", "f32", "--kv", "f32")
        capture(model, address, "b", "--numerics", "native", "--kv", "f32")
        captures = {c["team"]: c for c in show("--collector", address, "r")["run"]["captures"]}
        assert captures["a"]["status"] == captures["b"]["status"] == "COMPLETE"
        assert captures["a"]["tensors"] == captures["b"]["tensors"] > 12 * 20

        done = run(PARITY, "diff", "r", "--reference", "a", "--candidate", "b", "--collector", address)
        assert "PARITY" in done.stdout
        table = rows("--collector", address, "r", "--reference", "a", "--candidate", "b", expect=0)
        assert len(table) == int(captures["a"]["tensors"])
        assert [row["token_idx"] for row in table] == sorted(row["token_idx"] for row in table)

        exported = run(PARITY, "diff", "r", "--reference", "a", "--candidate", "b", "--collector", address,
                       "--format", "parity-csv").stdout.splitlines()
        assert [line for line in exported if not line.startswith("#")][0] == (
            "token_idx,max_abs_diff,mean_abs_diff,reference_team,candidate_team")
        assert stop(collector) == 0


def test_the_same_run_twice_is_equal_to_the_bit():
    with place() as here:
        model = here.tiny_model("--type", "Q4_1")
        _, address = here.collector()
        capture(model, address, "one", "--threads", "1")
        capture(model, address, "two", "--threads", "2")
        table = rows("--collector", address, "r", "--reference", "one", "--candidate", "two", expect=0)
        assert table and all(row["bit_identical"] for row in table)


def test_a_served_worker_streams_text_and_captures():
    with place() as here:
        model = here.tiny_model("--type", "Q8_0")
        _, collector = here.collector()
        worker, address = here.worker(model, "--engine", "cpu", "--collector", collector)
        done = run(PARITY, "generate", "--worker", address, "--tokens", TOKENS, "--max-tokens", "6",
                   "--capture", "layers", "--run", "served", "--team", "w", "--ignore-eos")
        assert done.returncode == 0
        description = show("--collector", collector, "served")["run"]["captures"][0]
        assert description["team"] == "w" and description["status"] == "COMPLETE"
        # embed, 2 layer outputs, final.norm and logits of 8 prompt tokens and of every generated token that was fed.
        assert int(description["tensors"]) == 5 * int(description["positions"])
        assert stop(worker) == 0


def test_calls_served_together_have_the_bits_they_have_alone():
    prompts = ["1,2,3,4,5,6,7,8", "9", "40,41,42", ",".join(str(3 * i) for i in range(60))]

    def arguments(worker, number, team):
        return [PARITY, "generate", "--worker", worker, "--tokens", prompts[number], "--max-tokens", "24",
                "--ignore-eos", "--capture", "full", "--run", "r{}".format(number), "--team", team]

    with place() as here:
        model = here.tiny_model("--type", "Q8_0")
        _, collector = here.collector()
        _, worker = here.worker(model, "--engine", "cpu", "--collector", collector)
        alone = [run(*arguments(worker, number, "alone")).stdout for number in range(4)]
        together = [subprocess.Popen(arguments(worker, number, "together"), stdout=subprocess.PIPE, text=True)
                    for number in range(4)]
        here.processes.extend(together)
        assert [process.communicate(timeout=120)[0] for process in together] == alone
        for number in range(4):
            table = rows("--collector", collector, "r{}".format(number), "--reference", "alone",
                         "--candidate", "together", expect=0)
            assert table and all(row["bit_identical"] for row in table)


def test_generation_outlives_a_collector_that_is_killed():
    with place() as here:
        model = here.tiny_model(*LONG)
        collector, address = here.collector()
        worker = subprocess.Popen(
            [WORKER, "run", "--model", str(model), "--engine", "cpu", "--tokens", TOKENS, "--max-tokens", "3500",
             "--ignore-eos", "--capture", "full", "--run", "r", "--team", "w", "--collector", address,
             "--give-up", "2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        here.processes.append(worker)

        def something_stored():
            done = run(PARITY, "show", "r", "--collector", address, "--format", "json", expect=None)
            return done.returncode == 0 and int(json.loads(done.stdout)["run"]["captures"][0].get("tensors", 0)) > 0
        wait_until(something_stored, 20, "a first commit")
        collector.kill()
        collector.wait()
        out, messages = worker.communicate(timeout=120)
        # 3 = lossy: the tokens were generated, and the summary says how many tensors did not arrive.
        assert worker.returncode == 3, messages
        assert out
        assert "dropped" in messages
        # The file opens by itself, and what was acknowledged is there.
        again, address = here.collector()
        captures = show("--collector", address, "r")["run"]["captures"]
        assert captures[0]["status"] == "INCOMPLETE"
        assert int(captures[0]["tensors"]) > 0
        assert stop(again) == 0


def test_a_worker_without_its_collector_still_generates():
    with place() as here:
        model = here.tiny_model("--type", "F32")
        done = run(WORKER, "run", "--model", model, "--engine", "cpu", "--tokens", TOKENS, "--max-tokens", "3",
                   "--ignore-eos", "--capture", "logits", "--run", "r", "--team", "w",
                   "--collector", "unix:{}/nobody.sock".format(here.path), expect=3)
        assert "dropped" in done.stderr


def test_a_log_file_is_imported_and_equals_the_capture():
    with place() as here:
        model = here.tiny_model("--type", "F32")
        log = here.path / "log.jsonl"
        _, address = here.collector()
        capture(model, address, "live", env={"ORCH_LOG_FILE": str(log), "ORCH_LOG_TEAM": "logged"})
        first = json.loads(log.read_text().splitlines()[0])
        assert set(first) == {"ts", "team", "checkpoint", "token_idx", "dtype", "shape", "values", "source"}
        assert first["team"] == "logged" and first["shape"].startswith("[")
        run(PARITY, "import", "--run", "r", "--collector", address, log)
        done = run(PARITY, "diff", "r", "--reference", "live", "--candidate", "logged", "--collector", address,
                   "--format", "json", expect=None)
        summary = json.loads(done.stdout)
        assert summary["summary"]["bit_identical"] and int(summary["summary"]["unmeasured"]) == 0, summary["summary"]


def test_a_shadow_run_judges_an_imported_log_with_few_checkpoints():
    with place() as here:
        model = here.tiny_model("--type", "Q4_1")
        log = here.path / "log.jsonl"
        _, address = here.collector()
        globs = "embed,layer.*.attn.context,layer.*.mlp.act,layer.?.out,logits"  # "*" crosses dots
        capture(model, address, "engine", level=globs)
        run(PARITY, "export", "r", "--team", "engine", "--format", "jsonl", "--collector", address,
            "--output", log)
        run(PARITY, "import", "--run", "judged", "--team", "theirs", "--collector", address, log)
        run(WORKER, "run", "--model", model, "--engine", "cpu", "--shadow", "judged/theirs", "--run", "judged",
            "--team", "ours.shadow", "--collector", address, "--tokens", TOKENS, "--force", FORCED)
        table = rows("--collector", address, "judged", "--reference", "theirs", "--candidate", "ours.shadow",
                     expect=None)
        by_name = {row["checkpoint"]: row for row in table if row["token_idx"] == 3}
        assert by_name["layer.1.mlp.act"]["verdict"] == "MATCH"
        assert not by_name["layer.1.mlp.act"]["single_op"]
        assert "layer.1.attn.context" in by_name["layer.1.mlp.act"]["measured_from"]


def test_sigterm_marks_what_is_unfinished_and_closes_the_database():
    with place() as here:
        model = here.tiny_model(*LONG)
        collector, collector_address = here.collector()
        worker, address = here.worker(model, "--engine", "cpu", "--collector", collector_address)
        client = subprocess.Popen(
            [PARITY, "generate", "--worker", address, "--tokens", TOKENS, "--max-tokens", "4000", "--ignore-eos",
             "--capture", "full", "--run", "r", "--team", "w"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        here.processes.append(client)
        assert client.stdout.read(1)
        assert stop(worker) == 0
        client.communicate(timeout=20)
        assert client.returncode != 0
        assert stop(collector) == 0
        with sqlite3.connect(here.path / "parity.db") as db:
            status, = db.execute("SELECT status FROM captures").fetchone()
        assert status.upper() == "INCOMPLETE"
        assert not (here.path / "parity.db-wal").exists() or (here.path / "parity.db-wal").stat().st_size == 0


def test_sessions_over_the_limit_are_refused_with_a_hint():
    with place() as here:
        model = here.tiny_model(*LONG)
        _, address = here.worker(model, "--engine", "cpu", "--max-sessions", "1")
        first = subprocess.Popen(
            [PARITY, "generate", "--worker", address, "--tokens", TOKENS, "--max-tokens", "4000", "--ignore-eos"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        here.processes.append(first)
        assert first.stdout.read(1)
        first.send_signal(signal.SIGSTOP)  # its stream stays open
        second = run(PARITY, "generate", "--worker", address, "--tokens", "1", "--max-tokens", "1", expect=None)
        first.send_signal(signal.SIGCONT)
        if second.returncode != 0:  # unless the first had already been served whole
            assert second.returncode == 4
            assert "session" in second.stderr
        first.communicate(timeout=60)


def test_a_cancelled_call_frees_its_session():
    with place() as here:
        model = here.tiny_model(*LONG)
        _, address = here.worker(model, "--engine", "cpu", "--max-sessions", "1")
        for _ in range(3):
            client = subprocess.Popen(
                [PARITY, "generate", "--worker", address, "--tokens", TOKENS, "--max-tokens", "4000", "--ignore-eos"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            here.processes.append(client)
            assert client.stdout.read(1)
            client.kill()
            client.wait()
            wait_until(lambda: run(PARITY, "generate", "--worker", address, "--tokens", "1", "--max-tokens", "1",
                                   expect=None).returncode == 0, 10, "a free session")


@pytest.mark.parametrize("arguments, code, words", [
    (["--tokens", "1,99999"], 2, ["99999", "0 to 383"]),
    (["--tokens", "1", "--capture", "layer.*.nothing"], 2, ["layer.*.nothing"]),
    (["--tokens", ",".join(["1"] * 600)], 2, ["600", "512"]),
])
def test_bad_requests_are_one_clear_line(arguments, code, words):
    with place() as here:
        model = here.tiny_model("--type", "F32")
        done = run(WORKER, "run", "--model", model, *arguments, expect=code)
        for word in words:
            assert word in done.stderr, done.stderr
        assert done.stdout == ""


def test_a_damaged_model_is_refused_by_name():
    with place() as here:
        model = here.tiny_model("--type", "F32")
        whole = model.read_bytes()
        model.write_bytes(whole[:len(whole) // 2])
        done = run(WORKER, "run", "--model", model, "--tokens", "1", expect=2)
        assert "tiny.gguf" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_shadow_of_a_missing_capture_names_it():
    with place() as here:
        model = here.tiny_model("--type", "F32")
        _, address = here.collector()
        done = run(WORKER, "run", "--model", model, "--shadow", "nowhere/nobody", "--collector", address, expect=2)
        assert "nowhere" in done.stderr


@pytest.mark.skipif(not harness.LIBLLAMA.exists(), reason="no libllama: deploy/fetch llama")
def test_llama_and_the_cpu_engine_agree_op_by_op_on_a_small_model():
    with place() as here:
        model = here.tiny_model("--type", "Q4_1", "--layers", "3")
        _, address = here.collector()
        run(WORKER, "run", "--model", model, "--engine", "llama", "--tokens", TOKENS, "--force", FORCED,
            "--capture", "full", "--run", "r", "--team", "llama.cpp", "--collector", address)
        run(WORKER, "run", "--model", model, "--engine", "cpu", "--shadow", "r/llama.cpp", "--run", "r",
            "--team", "cpu.shadow", "--collector", address)
        done = run(PARITY, "diff", "r", "--reference", "llama.cpp", "--candidate", "cpu.shadow", "--collector", address,
                   "--format", "json", expect=0)
        summary = json.loads(done.stdout)["summary"]
        assert summary["verdict"] == "PARITY" and summary["coverage"] == 1, summary
        assert max(stage["worst_nmse"] for stage in summary["stages"]) <= 1e-8
