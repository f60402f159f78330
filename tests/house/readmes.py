"""Each room has a README of at most a page: Job, In, Out, May depend on, Never."""

import re

import layering
from source_tree import folder

HEADINGS = ["Job", "In", "Out", "May depend on", "Never"]
PAGE_LINES = 60
PAGE_BYTES = 5000


def check_text(name, text):
    violations = []
    headings = re.findall(r"^##\s+(.+?)\s*$", text, re.M)
    if headings != HEADINGS:
        violations.append("{}: headings are {}, expected {}".format(name, headings, HEADINGS))
    for heading in HEADINGS:
        match = re.search(r"^##\s+" + heading + r"\s*$(.*?)(?=^##\s|\Z)", text, re.M | re.S)
        if match and not match.group(1).strip():
            violations.append("{}: nothing stands under {}".format(name, heading))
    if text.count("\n") > PAGE_LINES or len(text) > PAGE_BYTES:
        violations.append("{}: longer than a page ({} lines, {} bytes)".format(name, PAGE_LINES, PAGE_BYTES))
    return violations


def check(tree):
    rooms, violations = layering.parse_rooms(tree.text("tests/house/rooms.txt"))
    folders = {folder(name) for name in tree.files}
    for room in rooms.values():
        if room.name not in folders or room.name == "tests" or "*" in room.name:
            continue
        name = room.name + "/README.md"
        if name not in tree.files:
            violations.append("{} is missing".format(name))
        else:
            violations += check_text(name, tree.text(name))
    return violations
