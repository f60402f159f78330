"""What a person writes without Parity: reads two JSONL logs and compares them line by line in plain Python.

usage: compare_logs.py REFERENCE.jsonl CANDIDATE.jsonl       prints the seconds it took and what it found
"""

import json
import math
import sys
import time


def read(path):
    tensors = {}
    with open(path) as log:
        for line in log:
            record = json.loads(line)
            tensors[record["token_idx"], record["checkpoint"]] = record["values"]
    return tensors


def compare(a, b):
    worst = total = square = power = dot = other = 0.0
    for x, y in zip(a, b):
        difference = abs(x - y)
        if difference > worst:
            worst = difference
        total += difference
        square += difference * difference
        power += x * x
        other += y * y
        dot += x * y
    cosine = dot / math.sqrt(power * other) if power and other else 0.0
    return worst, total / len(a), math.sqrt(square / len(a)), square / power if power else math.inf, cosine


def main():
    start = time.perf_counter()
    reference, candidate = read(sys.argv[1]), read(sys.argv[2])
    worst = max((compare(values, candidate[key])[3], key) for key, values in reference.items() if key in candidate)
    print("{:.3f} s; worst nmse {:.3e} at token {} {}".format(
        time.perf_counter() - start, worst[0], *worst[1]))


if __name__ == "__main__":
    main()
