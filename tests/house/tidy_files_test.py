"""tests/house/tidy_files.py holds for the tree, and finds what is planted."""

import tidy_files
from source_tree import Tree, assert_clean, plant, real_root

HOME = "/" + "home/somebody/models"


def test_tree():
    assert_clean(tidy_files.check(Tree(real_root())))


def test_planted(tmp_path):
    planted = [
        ("a.cc", "open(\"" + HOME + "\");\n", "a path of one machine"),
        ("a.sh", "pip install --index" + "-url x y\n", "a package index address"),
        ("a.md", "https://" + "pypi.org/x\n", "a package index address"),
        ("a.h", "// TO" + "DO: later\n", "a leftover marker"),
        ("a.txt", "<<<<<<< HEAD\n", "a merge conflict"),
        ("a.bin", b"\x00\x01", "is binary"),
        ("a b.txt", "", "names are"),
        ("big.txt", "x" * (tidy_files.MOST_BYTES + 1), "bytes, at most"),
    ]
    for index, (name, content, expected) in enumerate(planted):
        found = tidy_files.check(plant(tmp_path / str(index), {name: content}))
        assert len(found) == 1 and expected in found[0], (expected, found)
    found = tidy_files.check(plant(tmp_path / "case", {"Ab.txt": "", "ab.txt": ""}))
    assert len(found) == 1 and "only in case" in found[0]


def test_what_is_the_same_everywhere_passes(tmp_path):
    assert_clean(tidy_files.check(plant(tmp_path, {
        "a.sh": "#!/usr/bin/env bash\ncd \"$HOME/work/x\" && ls https://example.org/home/page ../home/x /tmp/y\n",
        "b.cc": "#include \"worker/home/x.h\"\n"})))
