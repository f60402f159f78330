"""One pair of 151,936 logits: Parity's kernel against NumPy in float64, the same metrics, checked against each other.

usage: pair_benchmark.py bazel-bin/tests/bench/pair_benchmark       prints a Markdown table row
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

SIZE = 151936
ROUNDS = 5


def metrics(reference, candidate):
    a, b = reference.astype(numpy.float64), candidate.astype(numpy.float64)
    counts = [numpy.isnan(a).sum(), numpy.isinf(a).sum(), numpy.isnan(b).sum(), numpy.isinf(b).sum()]
    assert not any(counts)
    d = numpy.abs(a - b)
    square, power = (d * d).sum(), (a * a).sum()
    log_p = a - a.max()
    log_p -= numpy.log(numpy.exp(log_p).sum())
    log_q = b - b.max()
    log_q -= numpy.log(numpy.exp(log_q).sum())
    top = int(a.argmax())
    a_top, b_top = numpy.argpartition(a, -5)[-5:], numpy.argpartition(b, -5)[-5:]
    return {
        "max_abs": d.max(), "max_abs_index": int(d.argmax()), "mean_abs": d.mean(), "rmse": numpy.sqrt(square / a.size),
        "nmse": square / power, "cosine": (a * b).sum() / numpy.sqrt(power * (b * b).sum()),
        "kl": (numpy.exp(log_p) * (log_p - log_q)).sum(), "top1": top, "rank": int((b > b[top]).sum()),
        "top5": len(set(a_top) & set(b_top)),
    }


def main():
    random = numpy.random.default_rng(1)
    reference = random.normal(0, 3, SIZE).astype(numpy.float32)
    candidate = (reference + random.normal(0, 0.1, SIZE)).astype(numpy.float32)
    ours, theirs = [], []
    with tempfile.NamedTemporaryFile() as a, tempfile.NamedTemporaryFile() as b:
        a.write(reference.tobytes()), b.write(candidate.tobytes())
        a.flush(), b.flush()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            expected = metrics(reference, candidate)
            theirs.append(time.perf_counter() - start)
            found = json.loads(subprocess.run([sys.argv[1], a.name, b.name], check=True, capture_output=True).stdout)
            ours.append(found.pop("micros") * 1e-6)
    for name, value in expected.items():
        assert abs(found[name] - value) <= 1e-6 * abs(value), (name, found[name], value)
    mine, peer = statistics.median(ours), statistics.median(theirs)
    print("| one pair of {:,} logits, all metrics | {:.0f} us | NumPy float64 {:.1f} ms | {:.0f}x |".format(
        SIZE, mine * 1e6, peer * 1e3, peer / mine))


if __name__ == "__main__":
    main()
