"""tests/house/build_files.py holds for the tree, and finds what is planted."""

import build_files
from source_tree import Tree, assert_clean, plant, real_root

PRIVATE = 'package(default_visibility = ["//visibility:private"])\n'
CLEAN = PRIVATE + """
cc_library(name = "a", srcs = ["a.cc"], hdrs = ["a.h"], deps = [":b", "//proto/status:macros", "@x//y"])
cc_library(name = "b", hdrs = ["b.h"], visibility = ["//worker:__pkg__"])
cc_test(name = "a_test", srcs = ["a_test.cc"], deps = [":a"])
"""
FILES = {"worker/r/a.cc": "", "worker/r/a.h": "", "worker/r/b.h": "", "worker/r/a_test.cc": ""}


def check(tmp_path, build, **more):
    return build_files.check(plant(tmp_path, {**FILES, "worker/r/BUILD.bazel": build, **more}))


def test_tree():
    assert_clean(build_files.check(Tree(real_root())))


def test_clean_fixture(tmp_path):
    assert_clean(check(tmp_path, CLEAN))


def test_planted(tmp_path):
    planted = [
        (CLEAN.replace(PRIVATE, ""), "default_visibility"),
        (CLEAN.replace("//visibility:private", "//visibility:public"), "default_visibility"),
        (CLEAN.replace('["//worker:__pkg__"]', '["//visibility:public"]'), "open to everyone"),
        (CLEAN + 'filegroup(name = "all", srcs = glob(["*.txt"]))\n', "glob"),
        (CLEAN.replace('":b", "//proto/status:macros"', '"//proto/status:macros", ":b"'), "not sorted"),
        (CLEAN.replace('deps = [":a"]', 'deps = [":a", ":a"]'), "twice"),
        (CLEAN.replace('hdrs = ["a.h"]', 'hdrs = ["a.h", "b.h"]').replace(', hdrs = ["b.h"]', ""), "one target a file pair"),
        (CLEAN.replace('name = "b"', 'name = "bee"'), "give it its file's name"),
        (CLEAN.replace('srcs = ["a.cc"], ', ""), "a.cc belongs to no target"),
        (CLEAN.replace('srcs = ["a_test.cc"]', 'srcs = ["a_test.cc", "a.cc"]'), "is in :a and in :a_test"),
        (CLEAN.replace('name = "a_test"', 'name = "other_test"'), "does not hold"),
    ]
    for index, (build, expected) in enumerate(planted):
        found = check(tmp_path / str(index), build)
        assert len(found) == 1 and expected in found[0], (expected, found)


def test_folder_without_a_build_file(tmp_path):
    found = build_files.check(plant(tmp_path, {"worker/r/a.cc": ""}))
    assert found == ["worker/r/BUILD.bazel is missing"]
