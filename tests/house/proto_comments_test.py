"""tests/house/proto_comments.py holds for the tree, and finds what is planted."""

import proto_comments
from source_tree import Tree, assert_clean, plant, real_root

CLEAN = """syntax = "proto3";
package a.v1;
// Does.
service S {
  // Gets. Errors: none.
  rpc Get(Request) returns (Reply);
}
// What. Next id: 4.
message Request {
  // One.
  int32 one = 1;
  // Either.
  oneof kind {
    // Two.
    string two = 2;
    // Map.
    map<string, string> three = 3;
  }
  // Inner. Next id: 2.
  message Inner {
    // Many.
    repeated .a.v1.Reply many = 1;
  }
  // Kind.
  enum Kind {
    // None.
    KIND_UNSPECIFIED = 0;
    // Some.
    KIND_SOME = 1;
  }
}
// Nothing. Next id: 1.
message Reply {}
"""


def check(text):
    return proto_comments.check_file("a.proto", text)


def test_tree():
    tree = Tree(real_root())
    assert len(tree.matching(".proto")) >= 3
    assert_clean(proto_comments.check(tree))


def test_clean_fixture(tmp_path):
    assert_clean(proto_comments.check(plant(tmp_path, {"proto/a.proto": CLEAN})))


def test_every_missing_comment_is_found():
    comments = [line for line in CLEAN.splitlines() if line.strip().startswith("//")]
    for index in range(len(comments)):
        lines, seen = [], -1
        for line in CLEAN.splitlines():
            seen += line.strip().startswith("//")
            if not (line.strip().startswith("//") and seen == index):
                lines.append(line)
        assert any("has no comment" in line for line in check("\n".join(lines))), comments[index]


def test_next_id_and_the_zero_value():
    assert any("Next id: 4." in line for line in check(CLEAN.replace("Next id: 4", "Next id: 3")))
    assert any("X_UNSPECIFIED" in line for line in check(CLEAN.replace("KIND_UNSPECIFIED", "KIND_NONE")))
