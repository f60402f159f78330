"""What must not be in any file: machine paths, package indexes, leftovers, binaries, names that do not build everywhere."""

import re

NAME = re.compile(r"^[A-Za-z0-9_.-]+$")
# Paths of one machine. System folders (/usr, /etc, /tmp, /proc, /sys, /dev, /var) are the same on every Debian 12.
MACHINE_PATH = re.compile(r"(?<![\w$}~.:/])/(?:home|root|Users|mnt|media|work|workspace|srv)/[\w.-]+")
INDEX = re.compile(r"https?://[^\s\"'/]*(?:pypi|pythonhosted|index)[^\s\"']*|--(?:extra-)?index-url|/simple/?[\"'\s]")
MARKER = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")  # brackets: this line is no leftover
CONFLICT = re.compile(r"^(?:<{7}|>{7}|={7})(?:\s|$)", re.M)
MOST_BYTES = 1 << 20  # a source file never comes near; a model or a database does


def check_file(name, data):
    violations = []
    for part in name.split("/"):
        if not NAME.match(part):
            violations.append("{}: names are [A-Za-z0-9_.-] only".format(name))
    if len(data) > MOST_BYTES:
        violations.append("{}: {} bytes, at most {}".format(name, len(data), MOST_BYTES))
    if b"\0" in data[:65536]:
        return violations + ["{}: is binary; generate it in a test".format(name)]
    text = data.decode("utf-8", "replace")
    for pattern, what in [(MACHINE_PATH, "a path of one machine"), (INDEX, "a package index address"),
                          (MARKER, "a leftover marker"), (CONFLICT, "a merge conflict")]:
        match = pattern.search(text)
        if match:
            line = text.count("\n", 0, match.start()) + 1
            violations.append("{}:{}: {}: {}".format(name, line, what, match.group().strip()))
    return violations


def check(tree):
    violations = []
    lower = {}
    for name in tree.files:
        if lower.setdefault(name.lower(), name) != name:
            violations.append("{} and {} differ only in case".format(lower[name.lower()], name))
        violations += check_file(name, (tree.root / name).read_bytes())
    return violations
