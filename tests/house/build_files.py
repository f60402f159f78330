"""BUILD hygiene: private by default, one target a file pair, nothing globbed, nothing left out."""

import build_rules
from source_tree import CODE_ROOTS, folder

EVERYONE = "//visibility:public"
# The wire, the status translator and what both services decode tensors with are open to all rooms.
OPEN_PACKAGES = ("proto/",)


def stem(path):
    return path.rsplit(".", 1)[0].lstrip(":")


def check_package(name, rules, other_branch, files):
    package = folder(name)
    violations = []
    add = lambda text: violations.append("{}: {}".format(name, text))
    header = [rule for rule in rules if rule.kind == "package"]
    if not header or header[0].attributes.get("default_visibility") != ["//visibility:private"]:
        add('needs package(default_visibility = ["//visibility:private"])')
    owner = {}
    for rule in rules:
        if rule.kind == "glob":
            add("glob: name the files")
        if EVERYONE in rule.list("visibility") and not package.startswith(OPEN_PACKAGES):
            add(":{} is open to everyone; name the packages".format(rule.name))
        for attribute in ("deps", "srcs", "hdrs"):
            if len(rule.list(attribute)) != len(set(rule.list(attribute))):
                add(":{}: {} names something twice".format(rule.name, attribute))
        if rule.kind in ("cc_library", "cc_test", "cc_binary"):
            check_pair(rule, files, owner, add)
    for rule in other_branch:
        owner.update((source, rule.name) for source in rule.list("srcs") + rule.list("hdrs") if source not in owner)
    for rule in rules:
        for source in rule.list("textual_hdrs"):
            owner.setdefault(source, rule.name)
    for source in sorted(files):
        if source not in owner:
            add("{} belongs to no target".format(source))
    return violations


def check_pair(rule, files, owner, add):
    """A header among srcs is private to a target and may be in several; so may a source whose options differ.

    textual_hdrs, which are compiled once for each of a target's users, are no file pairs.

    x_header holds x.h alone where x.cc would close a circle.
    """
    variant = any(rule.attributes.get(option) for option in ("copts", "defines", "local_defines"))
    hdrs = [name.lstrip(":") for name in rule.list("hdrs") if name.lstrip(":") in files]
    srcs = [name.lstrip(":") for name in rule.list("srcs") if name.lstrip(":") in files]
    for source in hdrs + srcs:
        if source in srcs and source.endswith((".h", ".cuh")):
            owner.setdefault(source, "")
            continue
        first = owner.get(source) or rule.name
        owner[source] = first
        split = {first, rule.name} == {stem(source), stem(source) + "_header"}
        if first != rule.name and not split and not variant:
            add("{} is in :{} and in :{}".format(source, first, rule.name))
    if rule.kind == "cc_library" and len(hdrs) > 1:
        add(":{} holds {}: one target a file pair".format(rule.name, ", ".join(sorted(hdrs))))
    if rule.kind == "cc_library" and hdrs and rule.name not in (stem(hdrs[0]), stem(hdrs[0]) + "_header"):
        add(":{} holds {}: give it its file's name".format(rule.name, hdrs[0]))
    # Several test files may share one binary (and one loaded model) under a name of its own.
    tests = [stem(source) for source in srcs if stem(source).endswith("_test")]
    if rule.kind == "cc_test" and len(tests) == 1 and rule.name != tests[0]:
        add(":{} does not hold {}.cc".format(rule.name, rule.name))


def check(tree):
    violations = []
    by_folder = {}
    for name in tree.cpp():
        if name.split("/")[0] in CODE_ROOTS:
            by_folder.setdefault(folder(name), set()).add(name.rpartition("/")[2])
    for place in sorted(by_folder):
        build = place + "/BUILD.bazel"
        if build not in tree.files:
            violations.append("{} is missing".format(build))
    for name in tree.files:
        if name.rpartition("/")[2] == "BUILD.bazel" and name.split("/")[0] in CODE_ROOTS:
            text = tree.text(name)
            violations += check_package(name, build_rules.read_rules(text, name),
                                        build_rules.read_rules(text, name, loaded=False),
                                        by_folder.get(folder(name), set()))
            violations += ["{}:{}: deps are not sorted".format(name, line)
                           for line in build_rules.unsorted_deps(text, name)]
    return violations
