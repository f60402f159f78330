"""--engine cuda computes on a card, or says who refused; it never computes on anything else."""

import os
import subprocess

import pytest

WORKER = "worker/parity-worker"
TINY_MODEL = "tests/e2e/write_tiny_model"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    subprocess.run([TINY_MODEL, "--type", "Q8_0", str(path)], check=True)
    return path


def run(model, *flags):
    return subprocess.run([WORKER, "run", "--model", str(model), "--tokens", "5,6,7", "--max-tokens", "3", *flags],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, env=dict(os.environ))


def test_a_refusal_names_who_refused(model):
    done = run(model, "--engine", "cuda")
    if done.returncode == 0:
        assert "ended by LENGTH" in done.stderr
        return
    assert done.stdout == ""
    assert (done.returncode == 2 and "no CUDA toolkit" in done.stderr
            or done.returncode == 4 and ("the driver answers: " in done.stderr or "cuBLAS" in done.stderr)), done.stderr


def test_a_card_that_is_not_there_is_no_other_card(model):
    done = run(model, "--engine", "cuda", "--device", "1023")
    assert done.returncode in (2, 4) and done.stdout == "", done.stderr


def test_a_limit_below_the_weights_is_refused_before_anything_is_loaded(model):
    if run(model, "--engine", "cuda").returncode != 0:
        pytest.skip("no card here")
    done = run(model, "--engine", "cuda", "--gpu-memory-limit", "1KiB")
    assert done.returncode == 4 and "bytes of device memory" in done.stderr, done.stderr


def test_other_engines_need_no_card(model):
    assert run(model, "--engine", "cpu").returncode == 0
