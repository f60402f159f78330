"""tests/house/formatting.py holds for the tree, and finds what is planted."""

import formatting
from source_tree import Tree, assert_clean, plant, real_root

STYLE = "BasedOnStyle: Google\nColumnLimit: 100\n"


def test_tree():
    assert_clean(formatting.check(Tree(real_root())))


def test_planted(tmp_path):
    tree = plant(tmp_path, {".clang-format": STYLE, "worker/good.cc": "int f() { return 1; }\n",
                            "worker/bad.cc": "int g();\nint f( ) {return 1;}\n"})
    assert formatting.check(tree) == ["worker/bad.cc:2: run clang-format -i"]
