"""The wire is a document: everything in a .proto has a comment above it."""

import re

_HEAD = re.compile(r"^(message|enum|service|rpc|oneof)\s+(\w+)")
_FIELD = re.compile(r"^(?:repeated\s+|optional\s+)?(?:map<[^>]+>|[\w.]+)\s+(\w+)\s*=\s*\d+")
_VALUE = re.compile(r"^([A-Z][A-Z0-9_]*)\s*=\s*-?\d+")
_NEXT_ID = re.compile(r"Next id: (\d+)\.")


class _Message:
    def __init__(self, name, line, next_id):
        self.name = name
        self.line = line
        self.next_id = next_id
        self.largest = 0


def check_file(name, text):
    violations, stack, comment = [], [], ""
    zero_expected = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        where = "{}:{}: ".format(name, number)
        if line.startswith("//"):
            comment += " " + line.lstrip("/ ")
            continue
        head = _HEAD.match(line)
        field = None if head else _VALUE.match(line) if stack and stack[-1] == "enum" else _FIELD.match(line)
        if line.startswith(("syntax", "package", "import", "option", "reserved", "return")):
            field = head = None
        found = head.group(2) if head else field.group(1) if field else None
        if found and not comment.strip():
            violations.append(where + found + " has no comment above it")
        if head and head.group(1) == "enum":
            zero_expected = True
        elif field and stack and stack[-1] == "enum" and zero_expected:
            zero_expected = False
            if not re.search(r"_UNSPECIFIED\s*=\s*0", line):
                violations.append(where + "an enum starts at X_UNSPECIFIED = 0")
        if field and stack and stack[-1] != "enum":
            owner = next((entry for entry in reversed(stack) if isinstance(entry, _Message)), None)
            if owner:
                owner.largest = max(owner.largest, int(re.search(r"=\s*(\d+)", line).group(1)))
        for mark in re.findall(r"[{}]", line.split("//")[0]):
            if mark == "{":
                kind = head.group(1) if head else "block"
                next_id = _NEXT_ID.search(comment)
                stack.append(_Message(found, number, int(next_id.group(1)) if next_id else None)
                             if kind == "message" else kind)
            elif stack:
                closed = stack.pop()
                if isinstance(closed, _Message) and closed.next_id != closed.largest + 1:
                    violations.append("{}:{}: {}: the comment ends with 'Next id: {}.'".format(
                        name, closed.line, closed.name, closed.largest + 1))
        if line:
            comment = ""
    return violations


def check(tree):
    violations = []
    for name in tree.matching(".proto"):
        violations += check_file(name, tree.text(name))
    return violations
