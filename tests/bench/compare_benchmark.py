"""Comparing two full captures, against a plain Python script that reads their two JSONL logs (compare_logs.py).

    tests/bench/compare_benchmark.py --parity P --alone bazel-bin/tests/bench/capture_pair_benchmark \\
        --db DB --run RUN --reference TEAM --candidate TEAM

Prints two Markdown table rows: the comparison alone, as a running collector does it, and a whole `parity diff` process;
medians of 15. DB holds two full captures of 64 tokens, as made by `parity-worker run --capture full` with --tokens and
--force. What is compared was written just before on both sides, as it is when one compares what one captured: the logs are
exported, DB is copied (its pages are then in large pieces of the page cache, which are read twice as fast as what the kernel
has read ahead, thrown out and read again). The Python script takes half a minute and runs twice, before and after.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15


def run(command):
    before, start = os.times(), time.perf_counter()
    result = subprocess.run(command, stdout=subprocess.DEVNULL)
    if result.returncode not in (0, 1):  # 1: they diverge
        sys.exit("{} failed with {}".format(command[0], result.returncode))
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("parity", "alone", "db", "run", "reference", "candidate"):
        parser.add_argument("--" + option, required=True)
    args = parser.parse_args()
    parity, alone, db = args.parity, args.alone, args.db
    name, reference, candidate = args.run, args.reference, args.candidate
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare_logs.py")
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(db))) as folder:
        copy = os.path.join(folder, "copy.db")
        shutil.copy(db, copy)
        diff = [parity, "diff", name, "--reference", reference, "--candidate", candidate, "--db", copy, "--no-save",
                "--format", "json"]
        logs = [os.path.join(folder, team + ".jsonl") for team in (reference, candidate)]
        for team, log in zip((reference, candidate), logs):
            run([parity, "export", name, "--team", team, "--db", db, "-o", log])
        size = sum(os.path.getsize(log) for log in logs) / 1e6
        plain = [sys.executable, script] + logs
        theirs = [run(plain)]
        ours = [run(diff) for _ in range(ROUNDS)]
        inside = float(subprocess.check_output([alone, copy, name, reference, candidate, "--rounds", str(ROUNDS)]))
        theirs.append(run(plain))
    (wall, cpu), (peer_wall, peer_cpu) = ([statistics.median(c) for c in zip(*times)] for times in (ours, theirs))
    print("| compare two full captures (logs of {:.0f} MB) | {:.3f} s | plain Python {:.1f} s | {:.0f}x |".format(
        size, inside, peer_wall, peer_wall / inside))
    print("| the same as a whole `parity diff` process (logs of {:.0f} MB) | {:.3f} s ({:.3f} s CPU) | plain Python {:.1f} s ({:.1f} s CPU) "
          "| {:.0f}x ({:.0f}x CPU); best: {:.0f}x |".format(
              size, wall, cpu, peer_wall, peer_cpu, peer_wall / wall, peer_cpu / cpu,
              min(t[0] for t in theirs) / min(t[0] for t in ours)))


if __name__ == "__main__":
    main()
