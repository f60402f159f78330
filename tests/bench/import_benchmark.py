"""`parity import` of a JSONL log against Python's json reading the same log and keeping the values.

    tests/bench/import_benchmark.py --parity P --log LOG.jsonl

Prints a Markdown table row; wall and processor time, medians of 5. Parity's time is that of the whole process: parsing,
statistics, checksums and a durable database. The peer is the Python that runs this script: take the distribution's, since one
built without optimisations is nearly half as fast.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
READER = """
import json, sys
kept = []
with open(sys.argv[1]) as log:
    for line in log:
        kept.append(json.loads(line)["values"])
"""


def run(command):
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parity", required=True, help="the parity command")
    parser.add_argument("--log", required=True, help="JSONL log to import")
    args = parser.parse_args()
    parity, log = args.parity, args.log
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(log))) as folder:
        for i in range(ROUNDS):
            theirs.append(run([sys.executable, "-c", READER, log]))
            ours.append(run([parity, "import", "--run", "r", log, "--db", "{}/{}.db".format(folder, i)]))
    (wall, cpu), (peer_wall, peer_cpu) = ([statistics.median(c) for c in zip(*times)] for times in (ours, theirs))
    print("| import of {:.0f} MB of JSONL | {:.2f} s ({:.2f} s CPU) | Python {} json {:.2f} s ({:.2f} s CPU) "
          "| {:.1f}x ({:.1f}x CPU); best of {}: {:.1f}x |".format(
              os.path.getsize(log) / 1e6, wall, cpu, platform.python_version(), peer_wall, peer_cpu, peer_wall / wall, peer_cpu / cpu, ROUNDS,
              min(t[0] for t in theirs) / min(t[0] for t in ours)))


if __name__ == "__main__":
    main()
