"""What a capture costs the engine: tokens/s of `parity-worker run` with a capture into a durable
SQLite file of a parity-collector on the same machine, against the same run without one.

    tests/bench/capture_benchmark.py --worker W --collector C --model M.gguf [--tokens 64,256]

Every round runs each level once, so all see the same neighbours; medians over the rounds. Ratios
are taken within a round, and the median is theirs: a machine may be twice as fast a minute later.
Every other round goes backwards.

- decode: the worker's own decode rate while it captures. Waiting for room in the queue counts
  (that of the prompt too), work that is still queued when the last token is out does not. The goals
  (0.95 with one thread, 0.85 with two; logits 0.98) are about this column. A capture that is larger
  than the queue (SmolLM2 in full: 170 tokens) goes at the collector's pace in the end, hence the
  second length.
- until sealed: prefill, decode and the wait until the collector has committed and sealed all of
  it. The load of the model is taken out by the run without capture.
- CPU: user + system time a token, all tokens, prompt included; the worker's beyond that of the run
  without capture.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

WAITED = re.compile(r"dropped, waited ([\d.]+) s")
RATE = re.compile(r"prefill .*? in ([\d.]+) s .*?; decode (\d+) tokens in ([\d.]+) s")
TICK = os.sysconf("SC_CLK_TCK")


def process_cpu(pid):
    """User and system seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


class Collector:
    def __init__(self, binary, folder):
        self.address = f"unix:{folder}/collector.sock"
        self.db = f"{folder}/bench.db"
        self.process = subprocess.Popen(
            [binary, "serve", "--db", self.db, "--listen", self.address], stderr=subprocess.PIPE,
            text=True)
        line = self.process.stderr.readline()
        if "listening" not in line:
            sys.exit(f"the collector did not start: {line}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run_worker(args, threads, tokens, capture=()):
    """One generation. Returns seconds of prefill, decode and the process, rate and CPU seconds."""
    prompt = ",".join(str(100 + 37 * i) for i in range(args.prompt))
    command = [args.worker, "run", "--model", args.model, "--tokens", prompt, "--threads",
               str(threads), "--max-tokens", str(tokens), "--ignore-eos", "--quiet", *capture]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = RATE.search(done.stderr)
    if done.returncode != 0 or not found or (capture and "COMPLETE" not in done.stderr):
        sys.exit(f"the run failed: {done.stderr}")
    waited = WAITED.search(done.stderr)
    decode = float(found[3]) + (float(waited[1]) if waited else 0.0)
    return {
        "prefill": float(found[1]),
        "decode": decode,
        "rate": int(found[2]) / decode,
        "wall": wall,
        "cpu": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
    }


def measure(args, collector, threads, tokens, counter):
    """Results by level, a list of rounds each."""
    results = {}
    levels = ["none", *args.levels]
    for index in range(args.rounds):
        for level in levels if index % 2 == 0 else reversed(levels):
            capture = ()
            if level != "none":
                counter[0] += 1
                capture = ("--collector", collector.address, "--capture", level, "--run",
                           f"bench-{counter[0]}", "--team", level)
            user, system = process_cpu(collector.process.pid)
            result = run_worker(args, threads, tokens, capture)
            time.sleep(args.pause)  # idle checkpoints belong to the capture that they follow
            after = process_cpu(collector.process.pid)
            result["collector_user"] = after[0] - user
            result["collector_system"] = after[1] - system
            results.setdefault(level, []).append(result)
    return results


def median(rounds, key):
    return statistics.median(r[key] for r in rounds)


def sealed_ratio(plain, captured):
    """Work without a capture to work until the capture is sealed."""
    work = plain["prefill"] + plain["decode"]
    return work / (work + max(0.0, captured["wall"] - plain["wall"]))


def print_rows(args, threads, tokens, results):
    base = results["none"]
    count = args.prompt + tokens
    for level, rounds in results.items():
        pairs = list(zip(base, rounds))
        ratio = statistics.median(b["rate"] / a["rate"] for a, b in pairs)
        sealed = statistics.median(sealed_ratio(a, b) for a, b in pairs)
        worker = (median(rounds, "cpu") - median(base, "cpu")) / count * 1e3
        user = median(rounds, "collector_user") / count * 1e3
        system = median(rounds, "collector_system") / count * 1e3
        best = max(r["rate"] for r in rounds) / max(r["rate"] for r in base)
        print(f"| {threads} | {tokens} | {level} | {median(rounds, 'rate'):.1f} "
              f"| {ratio:.3f} | {best:.3f} | {sealed:.3f} | {worker:+.2f} | {user:.2f} + {system:.2f} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--collector", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", help="where the database is made; default: a temporary folder")
    parser.add_argument("--prompt", type=int, default=32, help="tokens of the prompt")
    parser.add_argument("--tokens", default="64,256", help="tokens to decode, several by comma")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--levels", default="full,layers,logits")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between runs")
    args = parser.parse_args()
    args.levels = args.levels.split(",")
    print("| threads | tokens | capture | decode, tok/s | ratio | best/best | until sealed, ratio "
          "| worker CPU, ms/token | collector CPU user + sys, ms/token |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        collector = Collector(args.collector, folder)
        try:
            counter = [0]
            for threads in args.threads.split(","):
                for tokens in args.tokens.split(","):
                    results = measure(args, collector, int(threads), int(tokens), counter)
                    print_rows(args, int(threads), int(tokens), results)
            size = os.path.getsize(collector.db) / 1e6
            print(f"\n{counter[0]} captures, database {size:.0f} MB, medians of {args.rounds}")
        finally:
            collector.stop()


if __name__ == "__main__":
    main()
