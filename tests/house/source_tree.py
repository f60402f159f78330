"""The source files that the house rules look at."""

import pathlib
import re
import subprocess

SKIPPED = re.compile(r"^(\.git|bazel-[^/]*|quickstart-out)(/|$)")
CODE_ROOTS = ("collector", "kernels", "proto", "tests", "worker")


def real_root():
    """The repository: the runfiles of a test are links into it."""
    return pathlib.Path(__file__).resolve().parents[2]


class Tree:
    """Files below `root`, as git sees them (tracked, or new and not ignored); all of them where there is no git."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        listed = None
        if (self.root / ".git").exists():
            done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(self.root), "ls-files", "-co",
                                   "--exclude-standard", "-z"], stdout=subprocess.PIPE, check=False)
            if done.returncode == 0:
                listed = [name for name in done.stdout.decode("utf-8", "replace").split("\0") if name]
        if listed is None:
            listed = [str(path.relative_to(self.root)) for path in self.root.rglob("*")]
        self.files = sorted(name for name in set(listed)
                            if not SKIPPED.match(name) and (self.root / name).is_file())

    def text(self, name):
        return (self.root / name).read_text(encoding="utf-8", errors="replace")

    def matching(self, *suffixes):
        return [name for name in self.files if name.endswith(suffixes)]

    def cpp(self):
        return self.matching(".h", ".cc", ".cu", ".cuh")


def folder(name):
    """"a/b" for "a/b/c.cc"; "" at the top."""
    return name.rpartition("/")[0]


def plant(root, files):
    """Writes a small tree to check: {path: text or bytes}."""
    for name, content in files.items():
        path = pathlib.Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Tree(root)


def assert_clean(violations):
    assert not violations, "\n" + "\n".join(violations)
