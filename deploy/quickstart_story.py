"""Tells in plain words what the quickstart's two comparisons found.

usage: quickstart_story.py FREE.json SHADOW.json     (both from `parity diff --format json`)
"""

import json
import math
import sys

# What two builds of llama.cpp (AVX2 against AVX-512) showed between themselves on this model, 55 tokens of code.
BUILDS_LOGITS_NMSE_MEAN = 4.4e-3
BUILDS_LOGITS_NMSE_MAX = 4.6e-2


def summary(path):
    with open(path) as source:
        return json.load(source)["summary"]


def error(row, key):
    """A NaN is null in JSON: nothing finite was there to measure, which is worse than any number."""
    return math.inf if row[key] is None else row[key]


def by_error(stages):
    return sorted(stages, key=lambda stage: error(stage, "worst_nmse"), reverse=True)


def main():
    free, shadow = summary(sys.argv[1]), summary(sys.argv[2])
    positions = int(free["logit_positions"])
    print("End to end the two engines part: the logits differ by an NMSE of {:.1e} (worst token {:.1e}), and the"
          .format(free["mean_logits_nmse"], free["max_logits_nmse"]))
    print("likeliest token is the same at {} of {} positions ({} of the others are near-ties). From this alone nobody can say why:"
          .format(free["top1_matches"], positions, free["near_ties"]))
    print("two builds of llama.cpp itself (AVX2 and AVX-512) differ by {:.1e} (worst {:.1e}) on this very file."
          .format(BUILDS_LOGITS_NMSE_MEAN, BUILDS_LOGITS_NMSE_MAX))
    first = free.get("first_divergence")
    if first:
        print("The first row beyond its floor is {} at token {} (NMSE {:.1e}, floor {:.1e}).".format(
            first["checkpoint"], first["position"], error(first, "nmse"), first["floor_nmse"]))
    print()
    print("The shadow run settles it: fed llama.cpp's own inputs, every op of ours gives llama.cpp's own outputs. {} rows,"
          .format(int(shadow["match"]) + int(shadow["drift"]) + int(shadow["diverged"])))
    print("coverage {:.0%}, verdict {}; each op at its worst row, the five largest:".format(
        shadow["coverage"], shadow["verdict"]))
    for stage in by_error(shadow["stages"])[:5]:
        print("  {:<14} NMSE {:.1e}  (layer {}, token {})".format(
            stage["stage"], error(stage, "worst_nmse"), stage["worst_layer"], stage["worst_position"]))
    if shadow["verdict"] == "PARITY":
        print("So the difference is rounding, amplified layer by layer; no op of either engine is wrong.")
    else:
        print("So look there first: an op that is wrong on the right inputs is a bug, not rounding.")


if __name__ == "__main__":
    main()
