"""tests/house/readmes.py holds for the tree, and finds what is planted."""

import readmes
from source_tree import Tree, assert_clean, plant, real_root

README = "# a\n\n" + "".join("## {}\nText.\n\n".format(heading) for heading in readmes.HEADINGS)


def check(tmp_path, readme):
    files = {"tests/house/rooms.txt": "1 worker/a:\n", "worker/a/x.cc": ""}
    if readme is not None:
        files["worker/a/README.md"] = readme
    return readmes.check(plant(tmp_path, files))


def test_tree():
    assert_clean(readmes.check(Tree(real_root())))


def test_clean_fixture(tmp_path):
    assert_clean(check(tmp_path, README))


def test_planted(tmp_path):
    planted = [
        (None, "is missing"),
        (README.replace("## Never", "## Always"), "headings are"),
        (README.replace("## In\nText.\n\n## Out", "## Out\nText.\n\n## In"), "headings are"),
        (README.replace("## Out\nText.", "## Out\n"), "nothing stands under Out"),
        (README + "more\n" * 60, "longer than a page"),
    ]
    for index, (readme, expected) in enumerate(planted):
        found = check(tmp_path / str(index), readme)
        assert len(found) == 1 and expected in found[0], (expected, found)
