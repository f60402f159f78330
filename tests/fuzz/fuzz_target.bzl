"""Fuzz targets: one source, a test that replays its seeds, and a libFuzzer binary."""

def fuzz_target(name, srcs, deps):
    """Makes NAME_seeds_test for every build, and NAME, which links under --config=fuzz only."""
    native.cc_library(
        name = name + "_target",
        srcs = srcs,
        alwayslink = True,
        deps = deps + [
            ":fuzz_target",
            ":memory_bound",
            "//third_party:absl",
            "//third_party:glog",
        ],
    )
    native.cc_test(
        name = name + "_seeds_test",
        size = "small",
        deps = [
            ":" + name + "_target",
            ":seed_replay",
        ],
    )
    native.cc_binary(
        name = name,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [
            ":" + name + "_target",
            ":libfuzzer_entry",
        ],
    )
