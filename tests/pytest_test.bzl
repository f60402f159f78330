"""Tests written in Python: run by Debian's pytest, reported case by case."""

def pytest_test(name, srcs, data = [], **kwargs):
    """Runs `srcs` (the first is the test file, the rest its helpers) with pytest.

    Binaries named in `data` are found through the environment variable PARITY_BIN_<NAME>.
    """
    native.sh_test(
        name = name,
        srcs = ["//tests:run_pytest.sh"],
        args = ["$(location {})".format(srcs[0])],
        data = srcs + data,
        **kwargs
    )
