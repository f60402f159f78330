"""Ingest over a socket, until all is committed and sealed, beside writing the same bytes to a file
of the same disk with fdatasync after every 16 MiB, which is the collector's group commit.

    tests/bench/ingest_benchmark.py --sender bazel-bin/tests/bench/ingest_sender --collector C

The sender makes its messages before the clock starts. Rounds take turns; the ratio is that of the
medians, raw seconds to ingest seconds.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time

from capture_benchmark import Collector, process_cpu

COMMIT_BYTES = 16 << 20


def raw_seconds(path, count):
    chunk = b"x" * COMMIT_BYTES
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        while count > 0:
            file.write(chunk[:min(count, COMMIT_BYTES)])
            os.fdatasync(file.fileno())
            count -= COMMIT_BYTES
    seconds = time.monotonic() - start
    os.unlink(path)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sender", required=True)
    parser.add_argument("--collector", required=True)
    parser.add_argument("--folder", help="where the database is made; default: a temporary folder")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of 1.45 MB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds after a capture")
    args = parser.parse_args()
    raw, ingest, cpu, count = [], [], [], 0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        collector = Collector(args.collector, folder)
        try:
            for index in range(args.rounds):
                before = sum(process_cpu(collector.process.pid))
                sent = subprocess.run(
                    [args.sender, "--collector", collector.address, "--run", f"ingest-{index}",
                     "--tokens", str(args.tokens)], capture_output=True, text=True, check=True)
                time.sleep(args.pause)  # the idle checkpoint belongs to the capture
                cpu.append(sum(process_cpu(collector.process.pid)) - before)
                count, seconds = int(sent.stdout.split()[0]), float(sent.stdout.split()[1])
                ingest.append(seconds)
                raw.append(raw_seconds(os.path.join(folder, "raw"), count))
        finally:
            collector.stop()
    taken, written = statistics.median(ingest), statistics.median(raw)
    print("| bytes | ingest, MB/s | raw write + fdatasync, MB/s | ratio | collector CPU, ms/MB |")
    print("|---|---|---|---|---|")
    print(f"| {count} | {count / taken / 1e6:.0f} | {count / written / 1e6:.0f} "
          f"| {written / taken:.3f} | {statistics.median(cpu) / count * 1e9:.2f} |")


if __name__ == "__main__":
    main()
