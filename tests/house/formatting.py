"""clang-format has nothing to say."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from source_tree import CODE_ROOTS

_WARNING = re.compile(r"^(.*?):(\d+):\d+: (?:error|warning): code should be clang-formatted")


def check_files(root, names):
    """Violations of `names`; the style is the .clang-format above each file."""
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", "--style=file"] + names, cwd=str(root),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False)
    first = {}
    for line in done.stderr.splitlines():
        match = _WARNING.match(line)
        if match:
            first.setdefault(match.group(1), match.group(2))
    found = ["{}:{}: run clang-format -i".format(name, line) for name, line in first.items()]
    if done.returncode != 0 and not found:
        found = ["clang-format failed: " + done.stderr.strip()[:500]]
    return found


def check(tree):
    names = [name for name in tree.cpp() if name.split("/")[0] in CODE_ROOTS]
    groups = [group for group in (names[i::4 * (os.cpu_count() or 1)] for i in range(4 * (os.cpu_count() or 1))) if group]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return sorted(line for part in pool.map(lambda group: check_files(tree.root, group), groups) for line in part)
