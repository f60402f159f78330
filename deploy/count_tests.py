"""Counts the test cases of the last `bazel test` from its XML reports and prints the closing line.

usage: count_tests.py [BAZEL FLAG...] -- TARGET...

Cases are gtest's own; a test that is not gtest counts as one. Exits 1 when a case failed, a target left no report, or no
case passed.
"""

import collections
import pathlib
import subprocess
import sys
import xml.etree.ElementTree


def bazel(*arguments):
    return subprocess.run(["bazel", *arguments], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def test_targets(patterns):
    """Labels of the tests that `bazel test` runs by default: neither slow nor manual."""
    tests = "tests({})".format(" + ".join(patterns))
    query = "{0} except attr(tags, '\\b(slow|manual)\\b', {0})".format(tests)
    return bazel("query", "--noshow_progress", query).split()


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
    notes += ["skipped {}: {}".format(cases, reason) for reason, cases in sorted(skips.items())]
    return passed, failed, skipped, notes


def main():
    split = sys.argv.index("--")
    flags, patterns = sys.argv[1:split], sys.argv[split + 1:]
    logs = pathlib.Path(bazel("info", *flags, "bazel-testlogs").strip())
    totals = [0, 0, 0]
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
    print("{} passed, {} failed, {} skipped".format(*totals), flush=True)
    return 0 if totals[1] == 0 and totals[0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
