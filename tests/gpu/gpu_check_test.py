"""deploy/gpu_check where there is no card, with the card emulated, and with programs that fail and crash."""

import os
import pathlib
import re
import subprocess
import tarfile

import pytest

GPU_CHECK = "deploy/gpu_check"
CARD = {"card_info": "tests/gpu/card_info", "card_conformance_test": "kernels/cuda/card_conformance_test",
        "card_forward_test": "tests/gpu/card_forward_test", "card_real_models_test": "tests/gpu/card_real_models_test",
        "card_benchmark": "tests/gpu/card_benchmark", "parity-worker": "worker/parity-worker",
        "write_shapes_model": "tests/bench/write_shapes_model", "parity-collector": "collector/parity-collector",
        "write_tiny_model": "tests/e2e/write_tiny_model"}
EMULATED = {"card_info": "tests/gpu/emulated_card_info", "card_forward_test": "tests/gpu/emulated_card_forward_test",
            "card_benchmark": "tests/gpu/emulated_card_benchmark", "parity-worker": "tests/gpu/emulated_worker",
            "write_shapes_model": CARD["write_shapes_model"], "parity-collector": CARD["parity-collector"]}
MOST_BYTES = 64 << 20  # what travels

# Lists five cases; then two pass, one fails, and the program dies in the fourth.
DYING = """#!/bin/sh
if [ "$2" = --gtest_list_tests ]; then printf 'Suite.\\n  a\\n  b\\n  c\\n  d\\n  e\\n'; exit 0; fi
echo '[       OK ] Suite.a (1 ms)'; echo '[       OK ] Suite.b (1 ms)'
echo 'the third has a |reason|'; echo '[  FAILED  ] Suite.c (1 ms)'
kill -SEGV $$
"""


def check(*arguments, script=GPU_CHECK, **environment):
    return subprocess.run([str(script), *map(str, arguments)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=600, env={**os.environ, **environment})


def programs(folder, chosen):
    folder.mkdir(parents=True)
    for name, path in chosen.items():
        if os.path.exists(path):
            (folder / name).symlink_to(pathlib.Path(path).resolve())
        else:
            (folder / name).write_text(path)
            (folder / name).chmod(0o755)
    return folder


def unpacked(tmp_path, chosen):
    """What a pack holds, with other programs."""
    programs(tmp_path / "unpacked" / "bin", chosen)
    models = tmp_path / "unpacked" / "models"
    models.mkdir()
    subprocess.run(["tests/e2e/write_tiny_model", "--type", "Q8_0", str(models / "tiny.gguf")], check=True)
    return tmp_path / "unpacked"


def read(report):
    """The report's verdict, its totals and its table, which must agree."""
    text = report.read_text()
    verdict = re.match(r"# gpu_check: (.*)\n", text).group(1)
    totals = [int(number) for number in re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", text, re.M).groups()]
    rows = {row[0]: [int(number) for number in row[1:4]] + [row[5].strip()]
            for row in re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|(.*)\|$", text, re.M)}
    assert totals == [sum(row[column] for row in rows.values()) for column in range(3)], text
    for word in ("date: ", "machine: ", "driver, clocks, temperature, power before: "):
        assert "\n" + word in text, text
    return verdict, totals, rows, text


def test_a_pack_travels_and_without_a_card_everything_is_skipped(tmp_path):
    if subprocess.run([CARD["card_info"]], stdout=subprocess.DEVNULL).returncode == 0:
        pytest.skip("there is a card here")
    done = check("--pack", tmp_path / "pack", "--from", programs(tmp_path / "built", CARD))
    assert done.returncode == 0, done.stderr
    files = sorted(path.name for path in (tmp_path / "pack").iterdir())
    assert files == ["card.tar.gz", "gpu_check"]
    assert sum(path.stat().st_size for path in (tmp_path / "pack").iterdir()) < MOST_BYTES
    names = tarfile.open(tmp_path / "pack" / "card.tar.gz").getnames()
    assert "./bin/card_benchmark" in names and "./models/tiny.gguf" in names
    assert any(name.startswith("./glibc/libc.so") for name in names)
    assert not any("write_tiny_model" in name for name in names)

    report = tmp_path / "report.md"
    done = check("--report", report, "--models", tmp_path, script=tmp_path / "pack" / "gpu_check")
    assert done.returncode == 7, done.stderr
    verdict, (passed, failed, skipped), rows, text = read(report)
    assert verdict == "no card" and passed == 0 and failed == 0 and skipped > 500
    assert re.search(r"^no card: .*(the driver answers|no CUDA toolkit|cuBLAS)", text, re.M), text
    assert "not measured: run deploy/gpu_check" in text
    assert set(rows) >= {"conformance", "forward", "determinism", "capture", "sessions", "memory", "worker", "memcheck",
                         "racecheck", "initcheck", "synccheck", "models", "benchmark"}
    assert all(row[2] > 0 for row in rows.values())


def test_an_emulated_card_runs_everything_but_speed(tmp_path):
    folder = unpacked(tmp_path, {**EMULATED, "card_conformance_test": DYING,
                                 "card_real_models_test": CARD["card_real_models_test"]})
    models = tmp_path / "models"
    models.mkdir()
    whole = (folder / "models" / "tiny.gguf").read_bytes()
    for part, begin in enumerate(range(0, len(whole), 30000)):  # as it travels in pieces
        (models / "carried.gguf.part{:02}".format(part)).write_bytes(whole[begin:begin + 30000])
    report = tmp_path / "report.md"
    done = check("--unpacked", folder, "--report", report, "--models", models, "--rounds", "1", "--tokens", "4", "--shapes",
                 "tiny", "--only", "determinism,capture,sessions,memory,worker,benchmark")
    verdict, (_, failed, _), rows, text = read(report)
    assert failed == 0 and verdict == "incomplete" and done.returncode == 3, text
    assert rows["worker"][:3] == [3, 0, 0]
    for name in ("determinism", "capture", "sessions", "memory"):
        assert rows[name][0] > 0 and rows[name][1:3] == [0, 0], text
    # No figure comes from the emulation.
    assert rows["benchmark"][0] == 0 and rows["benchmark"][2] >= 20, text
    for model in ("carried", "tiny"):
        assert f"| {model}.gguf | decode, tokens/s | not measured | not measured |  |" in text
        assert f"| {model}.gguf | the same captured in full to a collector / without | not measured |" in text
    assert "copy on the card: not measured" in text and "--llama-bench LLAMA_BENCH" in text
    # Captures went to a collector; one that is not complete fails the benchmark.
    assert "not measured: captures to a collector" not in text
    assert "card: emulation" in text


def test_what_fails_or_never_ran_is_a_failure(tmp_path):
    folder = unpacked(tmp_path, {**EMULATED, "card_conformance_test": DYING, "card_real_models_test": DYING})
    report = tmp_path / "report.md"
    done = check("--unpacked", folder, "--report", report, "--models", tmp_path, "--shapes", "none", "--only",
                 "conformance,benchmark")
    assert done.returncode == 1, done.stderr
    verdict, totals, rows, text = read(report)
    assert verdict == "FAILED" and totals == [2, 3, 1]
    assert rows["conformance"][:3] == [2, 3, 0] and "exit code 139" in rows["conformance"][3]
    assert rows["benchmark"][:3] == [0, 0, 1] and "no model in" in rows["benchmark"][3]
    assert "## What conformance printed last" in text and "the third has a |reason|" in text


def test_programs_that_do_not_start_are_told(tmp_path):
    folder = unpacked(tmp_path, {**EMULATED, "card_info": "#!/bin/sh\necho version GLIBC_9.99 not found\nexit 1\n"})
    done = check("--unpacked", folder, "--report", tmp_path / "report.md")
    assert done.returncode == 2 and "do not start on this machine" in done.stderr and "GLIBC_9.99" in done.stderr
    assert not (tmp_path / "report.md").exists()


def test_usage_is_refused(tmp_path):
    assert check("--seconds").returncode == 2
    assert check("--seconds", "soon").returncode == 2
    assert check("--what", "1").returncode == 2
    assert "no shapes 'qwen'" in check("--shapes", "tiny,qwen").stderr
    folder = unpacked(tmp_path, EMULATED)
    done = check("--unpacked", folder, "--report", tmp_path / "r", "--only", "forward,nothing")
    assert done.returncode == 2 and "there is no check 'nothing'; there are conformance " in done.stderr
    assert not (tmp_path / "r").exists()


def test_help_names_every_check_and_exit_code():
    done = check("--help")
    text = pathlib.Path(GPU_CHECK).read_text()
    assert done.returncode == 0 and "7 there is no card" in " ".join(done.stdout.split())
    for name in re.findall(r"wanted (\w+)|^  gtest_check (\w+)", text, re.M):
        word = name[0] or name[1]
        assert word in done.stdout, word
