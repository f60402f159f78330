"""f32 numerics, every checkpoint of every family, against a float64 forward pass in NumPy."""

import json
import os
import pathlib
import subprocess

import pytest

WORKER = "worker/parity-worker"
WRITE_MODEL = "tests/parity/write_proof_model"
FORWARD = "tests/parity/float64_forward.py"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "parity"
ORACLE = CACHE / "oracle" / "bin" / "python3"
FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")
# f32 numerics round each op's result to float once (2^-24); through three layers of a dozen ops, and where sums cancel, that
# grows to some 1e-6 of a tensor's largest value.
MOST = 1e-5


def output_of(*command):
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def cases():
    """F32 in each family; every other type in one family, in turn."""
    types = output_of(WRITE_MODEL, "--list").split()
    others = [name for name in types if name != "F32"]
    return [(family, "F32") for family in FAMILIES] + [(FAMILIES[i % 4], name) for i, name in enumerate(others)]


@pytest.mark.skipif(not ORACLE.exists(), reason="no {}; run deploy/fetch oracle".format(ORACLE))
@pytest.mark.skipif(not (CACHE / "llama").exists(), reason="no libllama to quantise with; run deploy/fetch llama")
@pytest.mark.parametrize("family,weight_type", cases())
def test_every_checkpoint_agrees(tmp_path, family, weight_type):
    model, log = tmp_path / "model.gguf", tmp_path / "log.jsonl"
    output_of(WRITE_MODEL, "--family", family, "--type", weight_type, model)
    ids = ",".join(str((i * 37 + 11) % 320) for i in range(24))
    output_of(WORKER, "run", "--model", model, "--tokens", ids, "--max-tokens", 1, "--numerics", "f32", "--kv", "f32",
              "--capture", "full", "--log-file", log)
    found = json.loads(output_of(ORACLE, FORWARD, model, log, ids))
    print(family, weight_type, found)
    assert found["compared"] == found["expected"] > 0, found
    assert found["worst"] <= MOST, found
