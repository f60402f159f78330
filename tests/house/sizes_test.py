"""tests/house/sizes.py holds for the tree, and finds what is planted."""

import sizes
from source_tree import Tree, assert_clean, plant, real_root


def body(lines):
    return "".join("  Do({});\n".format(i) for i in range(lines))


def test_tree():
    assert_clean(sizes.check(Tree(real_root())))


def test_files_at_their_limits_pass_and_one_more_line_does_not(tmp_path):
    for name, limit in [("worker/a.h", 300), ("worker/a-inl.h", 600), ("worker/a.cc", 600), ("worker/a_test.cc", 800), ("tests/e2e/x.py", 800)]:
        place = name.replace("/", "_")
        assert_clean(sizes.check(plant(tmp_path / "good" / place, {name: "\n" * limit})))
        found = sizes.check(plant(tmp_path / "bad" / place, {name: "\n" * (limit + 1)}))
        assert len(found) == 1 and "{} lines, at most {}".format(limit + 1, limit) in found[0]


def test_long_function_is_found_wherever_it_hides(tmp_path):
    long = "{\n" + body(60) + "}\n"
    heads = [
        "int Free(int a) ",
        "namespace a::b {\nabsl::StatusOr<int> C::Member(std::vector<int> v) const ",
        "struct S {\n  S() : a_(1), b_{2} ",
        "TEST(SuiteTest, Case) ",
        "template <typename T>\nauto F(const T& t) noexcept -> decltype(t) ",
        "const int kTable[] = {1, 2};\nvoid After() ",
        "class K {\n public:\n  bool operator()(int a) const override ",
    ]
    for head in heads:
        found = sizes.check_file("worker/a.cc", head + long)
        assert len(found) == 1 and "62 lines, at most 60" in found[0], (head, found)
        assert_clean(sizes.check_file("worker/a.cc", head + "{\n" + body(58) + "}\n"))
        assert_clean(sizes.check_file("kernels/cpu/a.cc", head + long))
    assert sizes.check_file("kernels/cpu/a.cc", "void K() {\n" + body(120) + "}\n")


def test_what_is_no_function_is_not_counted():
    table = "const char* const kRows[] = {\n" + '    "x {",\n' * 100 + "};\n"
    assert_clean(sizes.check_file("worker/a.cc", table))
    assert_clean(sizes.check_file("worker/a.cc", 'const char kSql[] = R"sql(' + "f() {\n" * 100 + ')sql";\n'))
    assert_clean(sizes.check_file("worker/a.cc", "// f() {\n" * 100))
    assert_clean(sizes.check_file("worker/a.cc", "enum E {\n" + "  kA,\n" * 100 + "};\n"))
    assert_clean(sizes.check_file("worker/a.cc", "constexpr int kN = 1'000'000;\nvoid F() {\n" + body(40) + "}\n"))
