"""Arrows point down: which room may see which (rooms.txt)."""

import re

import build_rules
from source_tree import CODE_ROOTS, folder

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
LINE = re.compile(r"^(\d+)\s+(\S+):\s*([^|]*)(?:\|(.*))?$")


class Room:
    def __init__(self, floor, name, sees, tests_see):
        self.floor = floor
        self.name = name
        self.sees = sees
        self.tests_see = tests_see


def parse_rooms(text):
    """({name: Room}, violations of the file's own rules)."""
    rooms, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        match = LINE.match(line)
        if not match:
            problems.append("rooms.txt:{}: expected 'FLOOR FOLDER: ...'".format(number))
            continue
        floor, name, sees, tests_see = match.groups()
        rooms[name] = Room(int(floor), name, sees.split(), (tests_see or "").split())
    for room in rooms.values():
        for seen in room.sees + room.tests_see:
            plain = seen.lstrip("=")
            if plain == "*":
                continue
            if plain not in rooms:
                problems.append("rooms.txt: {} sees {}, which is no room".format(room.name, plain))
            elif rooms[plain].floor > room.floor:
                problems.append("rooms.txt: {} may not look up to {}".format(room.name, plain))
            elif rooms[plain].floor == room.floor and not seen.startswith("="):
                problems.append("rooms.txt: {} sees {} on its own floor: mark it =".format(room.name, plain))
            elif {plain.split("/")[0], room.name.split("/")[0]} == {"worker", "collector"}:
                problems.append("rooms.txt: {} may never see {}".format(room.name, plain))
    return rooms, problems


def room_of(rooms, place):
    if place in rooms:
        return rooms[place]
    if place.startswith("tests/"):
        return rooms.get("tests/*")
    return None


def included_folder(include):
    """The folder an include points at, or None for a library's header."""
    if include.startswith("parity/v1/"):
        return "proto/parity/v1"
    return folder(include) if include.split("/")[0] in CODE_ROOTS else None


def allowed(room, seen, in_test):
    if seen == room.name or "*" in room.sees:
        return True
    if in_test and (seen == "tests/testing" or seen in [name.lstrip("=") for name in room.tests_see]):
        return True
    return seen in [name.lstrip("=") for name in room.sees]


def check_arrow(rooms, room, seen, in_test, where, violations):
    if {seen.split("/")[0], room.name.split("/")[0]} == {"worker", "collector"}:
        violations.append("{}: {} and {} never see each other; share proto/".format(where, room.name, seen))
    elif room_of(rooms, seen) is None:
        violations.append("{}: {} is no room of rooms.txt".format(where, seen))
    elif not allowed(room, seen, in_test):
        violations.append("{}: {} may not see {} (rooms.txt)".format(where, room.name, seen))


def is_test_file(name):
    return name.rsplit(".", 1)[0].endswith("_test") or "/fake_" in name or "/testing" in name


def test_only_files(tree):
    """Sources of testonly targets, and the rules of each package."""
    sources, packages = set(), {}
    for name in tree.files:
        if name.rpartition("/")[2] != "BUILD.bazel" or name.split("/")[0] not in CODE_ROOTS:
            continue
        rules = build_rules.read_rules(tree.text(name), name)
        packages[name] = rules
        default = any(rule.kind == "package" and rule.attributes.get("default_testonly") for rule in rules)
        for rule in rules:
            if rule.test_only or default:
                sources.update(folder(name) + "/" + source for source in rule.list("srcs") + rule.list("hdrs"))
    return sources, packages


def check_includes(tree, rooms, test_sources, violations):
    for name in tree.cpp():
        if name.split("/")[0] not in CODE_ROOTS:
            continue
        room = room_of(rooms, folder(name))
        if room is None:
            violations.append("{}: {} is missing from tests/house/rooms.txt".format(name, folder(name)))
            continue
        for include in INCLUDE.findall(tree.text(name)):
            seen = included_folder(include)
            if seen is not None:
                in_test = is_test_file(name) or name in test_sources
                check_arrow(rooms, room, seen, in_test, '{}: #include "{}"'.format(name, include), violations)


def check_deps(rooms, packages, violations):
    for name, rules in packages.items():
        room = room_of(rooms, folder(name))
        if room is None:
            if folder(name) != "proto":
                violations.append("{}: {} is missing from tests/house/rooms.txt".format(name, folder(name)))
            continue
        for rule in rules:
            for dep in rule.list("deps"):
                match = re.match(r"//([^:]*)", dep)
                if not match or match.group(1).split("/")[0] not in CODE_ROOTS:
                    continue
                check_arrow(rooms, room, match.group(1), rule.test_only, "{}: :{} needs {}".format(name, rule.name, dep),
                            violations)


def check(tree):
    rooms, violations = parse_rooms(tree.text("tests/house/rooms.txt"))
    for room in rooms.values():
        if "*" not in room.name and not any(name.startswith(room.name + "/") for name in tree.files):
            violations.append("rooms.txt: {} is no folder of the tree".format(room.name))
    test_sources, packages = test_only_files(tree)
    check_includes(tree, rooms, test_sources, violations)
    check_deps(rooms, packages, violations)
    return violations
