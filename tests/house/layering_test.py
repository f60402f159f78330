"""tests/house/layering.py holds for the tree, and finds what is planted."""

import layering
from source_tree import Tree, assert_clean, plant, real_root

ROOMS = """
0 proto/status:
1 worker/model: proto/status
1 collector/store: proto/status
2 worker/engine: worker/model
2 worker/llama: =worker/engine
6 tests/*: *
"""
CLEAN = {
    "tests/house/rooms.txt": ROOMS,
    "proto/status/a.h": "",
    "worker/model/b.h": '#include "proto/status/a.h"\n#include "absl/status/status.h"\n',
    "worker/engine/c.cc": '#include "worker/model/b.h"\n',
    "worker/llama/d.cc": '#include "worker/engine/c.h"\n',
    "collector/store/e.cc": '#include "proto/status/a.h"\n',
    "tests/e2e/f.cc": '#include "worker/engine/c.h"\n#include "collector/store/e.h"\n',
}


def one(found, *parts):
    assert len(found) == 1, found
    assert all(part in found[0] for part in parts), found[0]


def test_tree():
    assert_clean(layering.check(Tree(real_root())))


def test_clean_fixture(tmp_path):
    assert_clean(layering.check(plant(tmp_path, CLEAN)))


def test_upward_include(tmp_path):
    found = layering.check(plant(tmp_path, {**CLEAN, "worker/model/b.cc": '#include "worker/engine/c.h"\n'}))
    one(found, "worker/model may not see worker/engine")


def test_unlisted_sideways_include(tmp_path):
    found = layering.check(plant(tmp_path, {**CLEAN, "worker/engine/c.h": '#include "worker/llama/d.h"\n'}))
    one(found, "worker/engine may not see worker/llama")


def test_worker_and_collector_never_meet(tmp_path):
    found = layering.check(plant(tmp_path, {**CLEAN, "worker/model/b_test.cc": '#include "collector/store/e.h"\n'}))
    one(found, "never see each other")


def test_missing_room(tmp_path):
    found = layering.check(plant(tmp_path, {**CLEAN, "worker/attic/x.cc": ""}))
    one(found, "worker/attic is missing")


def test_upward_dependency(tmp_path):
    build = 'cc_library(name = "b", srcs = ["b.cc"], deps = ["//worker/engine:c", "//proto/status:a"])\n'
    found = layering.check(plant(tmp_path, {**CLEAN, "worker/model/BUILD.bazel": build}))
    one(found, ":b needs //worker/engine:c")


def test_rooms_file_cannot_allow_it(tmp_path):
    bad = ROOMS + "1 worker/attic: worker/engine worker/model collector/store gone\n"
    found = layering.check(plant(tmp_path, {**CLEAN, "tests/house/rooms.txt": bad, "worker/attic/x.cc": ""}))
    assert any("may not look up to worker/engine" in line for line in found)
    assert any("mark it =" in line for line in found)
    assert any("gone, which is no room" in line for line in found)
    bad = ROOMS.replace("2 worker/engine:", "2 worker/engine: collector/store")
    found = layering.check(plant(tmp_path, {**CLEAN, "tests/house/rooms.txt": bad}))
    assert any("may never see collector/store" in line for line in found)
