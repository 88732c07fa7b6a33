#!/usr/bin/env python3
"""Compares the output of `ctos bench --json` with the floors the project promises on one core of a 2.6 GHz server.

Usage: floors.py FILE          check a benchmark result
       floors.py --self-test   show that a slow result is caught
"""

import json
import sys

# Benchmark -> (unit, "under" or "over", limit). Latencies are compared by their p50 where they give one.
FLOORS = {
    "step_top_of_book_1": ("ns", "under", 150),
    "step_top_of_book_10": ("ns", "under", 400),
    "frames_decoded": ("frames/s", "over", 1_000_000),
    "frames_from_file": ("frames/s", "over", 300_000),
    "order_round_trips": ("orders/s", "over", 100_000),
    # Two trials at a time against one.
    "sweep_speedup": ("x", "over", 1.8),
    # What TA-Lib takes there.
    "indicator_ema": ("ns", "under", 2.7),
    "indicator_rsi": ("ns", "under", 3.5),
    "indicator_bollinger": ("ns", "under", 6.8),
    "indicator_atr": ("ns", "under", 2.1),
}


def unchecked(results):
    """Frame floors are promised for the recorded capture: a generated one has another mix of frames. One core cannot
    run two trials at a time."""
    other = ("generated", "one core")
    return [r["name"] for r in results if r["name"] in FLOORS and r.get("source", "").startswith(other)]


def wrong(results):
    by_name = {r["name"]: r for r in results}
    problems = []
    for name, (unit, side, limit) in FLOORS.items():
        result = by_name.get(name)
        if result is None:
            problems.append(f"{name} was not measured")
            continue
        if name in unchecked([result]):
            continue
        if result["unit"] != unit:
            problems.append(f"{name} is measured in {result['unit']}, its floor in {unit}")
            continue
        value = result.get("p50", result["median"])
        if not (value < limit if side == "under" else value >= limit):
            digits = 0 if limit > 100 else 1
            problems.append(f"{name}: {value:,.{digits}f} {unit}, must be {side} {limit:,}")
    return problems


def self_test():
    def result(side_by, name, unit, limit):
        return {"name": name, "unit": unit, "median": limit * side_by}

    good = [result(0.5 if s == "under" else 2, n, u, limit) for n, (u, s, limit) in FLOORS.items()]
    slow = [result(2 if s == "under" else 0.5, n, u, limit) for n, (u, s, limit) in FLOORS.items()]
    assert wrong(good) == [] and len(wrong(slow)) == len(FLOORS) and len(wrong([])) == len(FLOORS)
    assert "measured in" in wrong([{**good[0], "unit": "us"}, *good[1:]])[0]
    assert wrong([{**good[0], "p50": 1e9}, *good[1:]]) != []
    made = [{**r, "source": "generated from the synthetic market"} if "frames" in r["name"] else r for r in slow]
    assert unchecked(made) == ["frames_decoded", "frames_from_file"] and len(wrong(made)) == len(FLOORS) - 2
    assert unchecked(slow) == [] and wrong([{**r, "source": "capture.jsonl.gz"} for r in slow]) == wrong(slow)


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        self_test()
        print("floors: a slow result is caught")
    elif len(sys.argv) != 2:
        sys.exit("usage: floors.py FILE | --self-test")
    else:
        with open(sys.argv[1], encoding="utf-8") as f:
            results = json.load(f)
        problems = wrong(results)
        for name in unchecked(results):
            print(f"floors: {name} not checked: it was not measured on the recorded capture, or on one core", file=sys.stderr)
        for problem in problems:
            print(f"floors: {problem}", file=sys.stderr)
        print("floors: all met" if not problems else f"floors: {len(problems)} missed")
        sys.exit(1 if problems else 0)
