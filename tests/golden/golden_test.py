"""The text of the `parity` command on small logs, byte for byte."""

import os
import pathlib

import pytest

import golden

BINARY = pathlib.Path(os.getcwd()) / "collector/cli/parity"


@pytest.mark.parametrize("case", sorted(path.stem for path in golden.CASES.glob("*.golden")))
def test_transcript(case):
    path = golden.CASES / (case + ".golden")
    assert golden.transcript_of(path, BINARY).splitlines() == path.read_text().splitlines()


def test_a_difference_is_seen(tmp_path):
    wrong = tmp_path / "wrong.golden"
    wrong.write_text("$ parity frobnicate\nfine\n")
    found = golden.transcript_of(wrong, BINARY)
    assert "[2]" in found and found != wrong.read_text()
