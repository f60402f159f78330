"""Reads a BUILD.bazel file: Starlark is close enough to Python to run it."""

import ast
import types


class Rule:
    """One call in a BUILD file."""

    def __init__(self, kind, attributes):
        self.kind = kind
        self.attributes = attributes
        self.name = attributes.get("name", "")

    def list(self, attribute):
        value = self.attributes.get(attribute) or []
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    @property
    def test_only(self):
        return bool(self.attributes.get("testonly")) or self.kind.endswith("_test")


class _Imported:
    """A symbol from load(): a macro to call, or a constant that counts as `truth`."""

    def __init__(self, kind, rules, truth=True):
        self.kind = kind
        self.rules = rules
        self.truth = truth

    def __bool__(self):
        return self.truth

    def __call__(self, *args, **attributes):
        self.rules.append(Rule(self.kind, attributes))


def _select(branches):
    return [item for branch in branches.values() for item in (branch if isinstance(branch, list) else [branch])]


KNOWN = ("package", "exports_files", "filegroup", "genrule", "cc_library", "cc_binary", "cc_test", "cc_import",
         "sh_test", "sh_binary", "sh_library", "test_suite", "config_setting", "alias", "toolchain_type",
         "proto_library", "package_group", "licenses", "local_repository", "workspace")


def unsorted_deps(text, name):
    """Lines of the lists under deps that are not sorted as buildifier sorts them."""
    def key(label):
        return (0 if label.startswith(":") else 1 if label.startswith("//") else 2, label.replace(":", "!"))

    lines = []
    for call in ast.walk(ast.parse(text, name)):
        for keyword in getattr(call, "keywords", []):
            for part in ast.walk(keyword.value) if keyword.arg == "deps" else []:
                if isinstance(part, ast.List):
                    labels = [item.value for item in part.elts if isinstance(item, ast.Constant)]
                    if labels != sorted(labels, key=key):
                        lines.append(part.lineno)
    return lines


def read_rules(text, name, loaded=True):
    """The calls in the order they stand. glob() gives nothing, and is a rule itself. Loaded constants are `loaded`."""
    rules = []
    names = {kind: _Imported(kind, rules) for kind in KNOWN}

    def load(_label, *symbols, **renamed):
        for symbol in list(symbols) + list(renamed):
            names[symbol] = _Imported(symbol, rules, loaded)

    def glob(*args, **attributes):
        rules.append(Rule("glob", attributes))
        return []

    names.update(load=load, glob=glob, select=_select, native=types.SimpleNamespace(**names))
    exec(compile(text, name, "exec"), names)  # our own files, read from our own tree
    return rules
