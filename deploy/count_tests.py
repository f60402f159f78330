"""Counts the test cases of the last `bazel test` from its XML reports and prints the closing line.

usage: count_tests.py [BAZEL FLAG...] -- TARGET... [++ [BAZEL FLAG...] -- TARGET...]...

Each group of flags and targets is one `bazel test`. Cases are gtest's and pytest's own; another test counts as one. What a
passed case recorded about itself (a fuzzer's executions) is printed. Exits 1 when a case failed, a target left no report,
or no case passed.
"""

import collections
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree


def bazel(*arguments):
    return subprocess.run(["bazel", *arguments], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def test_targets(patterns):
    """Labels of the tests that `bazel test` runs: none that is slow, and a manual one only under its own name."""
    labels = []
    for pattern in patterns:
        tests = "tests({})".format(pattern)
        left_out = "slow|manual" if re.search(r"(\.\.\.|:all|\*)$", pattern) else "slow"
        query = "{0} except attr(tags, '\\b({1})\\b', {0})".format(tests, left_out)
        labels += bazel("query", "--noshow_progress", query).split()
    return sorted(set(labels))


def count(report):
    """Returns (passed, failed, skipped, [text of each failure and of each reason to skip])."""
    passed = failed = skipped = 0
    notes = []
    skips = collections.Counter()
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        name = "{}.{}".format(case.get("classname", ""), case.get("name", ""))
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            notes.append("FAILED  " + name)
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
            message = case.find("skipped")
            reason = "" if message is None else (message.get("message") or message.text or "")
            skips[" ".join(reason.split())] += 1
        else:
            passed += 1
            figures = ["{} {}".format(item.get("value"), item.get("name")) for item in case.iter("property")]
            if figures:
                notes.append("{}: {}".format(name, ", ".join(figures)))
    notes += ["skipped {}: {}".format(cases, reason) for reason, cases in sorted(skips.items())]
    return passed, failed, skipped, notes


def count_group(arguments, totals):
    """Adds the cases of one `bazel test` to [passed, failed, skipped] and prints what is to be said of them."""
    split = arguments.index("--")
    flags, patterns = arguments[:split], arguments[split + 1:]
    logs = pathlib.Path(bazel("info", *flags, "bazel-testlogs").strip())
    for label in test_targets(patterns):
        report = logs / label.lstrip("/").replace(":", "/") / "test.xml"
        shards = sorted(report.parent.glob("shard_*/test.xml")) or [report]
        for shard in shards:
            if not shard.exists():
                print("FAILED  {} left no report".format(label))
                totals[1] += 1
                continue
            passed, failed, skipped, notes = count(shard)
            for number, value in enumerate((passed, failed, skipped)):
                totals[number] += value
            for note in notes:
                print("{}  ({})".format(note, label))


def main():
    groups = [[]]
    for argument in sys.argv[1:]:
        if argument == "++":
            groups.append([])
        else:
            groups[-1].append(argument)
    totals = [0, 0, 0]
    for group in groups:
        count_group(group, totals)
    print("{} passed, {} failed, {} skipped".format(*totals), flush=True)
    return 0 if totals[1] == 0 and totals[0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
