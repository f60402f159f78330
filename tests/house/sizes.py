"""Small files, short functions."""

import re

from source_tree import CODE_ROOTS

HEADER, SOURCE, TEST, FUNCTION, KERNEL = 300, 600, 800, 60, 120

_BLANKED = re.compile(r'R"([^(\s]*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
                      re.S)
_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
# "S() : a_(1), b_" before a brace: a member's initialiser, not yet the body.
_INITIALISER = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:).*[\w>]\s*$", re.S)
_AFTER_SIGNATURE = re.compile(r"(?:const|noexcept|override|final|try)\s*$")
_KERNEL_FILE = re.compile(r"^kernels/(cpu|cuda)/")


def blank(text):
    """Comments and literals become spaces: every brace left is code, every line keeps its number."""
    return _BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def _blank_directives(text):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda match: re.sub(r"[^\n]", " ", match.group()), text, flags=re.M)


def functions(text):
    """(line, lines, name) of every function body outside other functions; lambdas belong to theirs."""
    code = _blank_directives(blank(text))
    found, stack, start = [], [], 0
    for match in re.finditer(r"[{};]", code):
        mark, at = match.group(), match.start()
        if mark == "{":
            head = code[start:at]
            inside = any(kind == "function" for kind, _, _ in stack)
            is_scope = _SCOPE.search(head) and not re.search(r"\)\s*(const|noexcept|override|final|->[^;{}]*|\s)*$", head)
            if inside or stack and stack[-1][0] == "value":
                kind = "block"
            elif is_scope:
                kind = "scope"
            elif _INITIALISER.search(head) and not _AFTER_SIGNATURE.search(head):
                kind = "initialiser"
            elif "(" in head and not re.search(r"=\s*$|\breturn\b", head):
                kind = "function"
            else:
                kind = "value"
            stack.append((kind, at, head))
        elif mark == "}" and stack:
            kind, opened, head = stack.pop()
            if kind == "function":
                first = code.count("\n", 0, opened) + 1
                name = re.findall(r"([\w:~]+)\s*\(", head)
                found.append((first, code.count("\n", opened, at) + 1, name[0] if name else "?"))
            if kind == "initialiser":
                continue
        if not any(kind in ("function", "initialiser") for kind, _, _ in stack):
            start = match.end()
    return found


def is_test(name):
    return name.startswith("tests/") or name.rsplit(".", 1)[0].endswith("_test") or name.startswith("kernels/conformance/")


def check_file(name, text):
    lines = text.count("\n")
    header = name.endswith((".h", ".cuh")) and not name.endswith("-inl.h")  # x-inl.h is source that is included
    limit = TEST if is_test(name) else HEADER if header else SOURCE
    violations = []
    if lines > limit:
        violations.append("{}: {} lines, at most {}".format(name, lines, limit))
    if name.endswith(".py"):
        return violations
    most = KERNEL if _KERNEL_FILE.match(name) else FUNCTION
    for line, length, function in functions(text):
        if length > most:
            violations.append("{}:{}: {}() has {} lines, at most {}".format(name, line, function, length, most))
    return violations


def check(tree):
    violations = []
    for name in tree.matching(".h", ".cc", ".cu", ".cuh", ".py"):
        if name.split("/")[0] in CODE_ROOTS:
            violations += check_file(name, tree.text(name))
    return violations
