#!/usr/bin/env python3
"""Compares the output of `ctos bench --json` with the floors the project promises on one core of a 2.6 GHz server.

Usage: floors.py FILE          check a benchmark result
       floors.py --self-test   show that a slow result is caught
"""

import json
import sys

# Benchmark -> (unit, "under" or "over", limit). Latencies are compared by their p50 where they give one, or as BY says.
FLOORS = {
    "step_top_of_book_1": ("ns", "under", 150),
    "step_top_of_book_10": ("ns", "under", 400),
    "frames_decoded": ("frames/s", "over", 1_000_000),
    "frames_from_file": ("frames/s", "over", 300_000),
    "order_round_trips": ("orders/s", "over", 100_000),
    # Raw bytes to event; parameters to signed bytes.
    "decode_depth_20": ("ns", "under", 1_200),
    "decode_book_ticker": ("ns", "under", 200),
    "request_signed": ("ns", "under", 3_000),
    # Raw bytes to an order's signed bytes, through everything in between.
    "tick_to_order_bytes": ("ns", "under", 20_000),
    "backtest_bars": ("events/s", "over", 6_000_000),
    "backtest_trades": ("events/s", "over", 10_000_000),
    "backtest_depth": ("events/s", "over", 6_000_000),
    # Ten times the data, orders included.
    "growth_bars": ("x", "under", 11),
    "growth_trades": ("x", "under", 11),
    "growth_depth": ("x", "under", 11),
    # Two trials at a time against one.
    "sweep_speedup": ("x", "over", 1.8),
    # What TA-Lib takes there.
    "indicator_ema": ("ns", "under", 2.7),
    "indicator_rsi": ("ns", "under", 3.5),
    "indicator_bollinger": ("ns", "under", 6.8),
    "indicator_atr": ("ns", "under", 2.1),
}

# Measured otherwise than by their p50.
BY = {"tick_to_order_bytes": "p99"}

# Bytes that a process may hold at most: so many for each event it loaded, and so many in any case.
MEMORY_PER_EVENT, MEMORY_BASE = 64, 100_000_000
UNTOLD = "not told by this system"
MEMORY = [
    "backtest_bars",
    "backtest_trades",
    "backtest_depth",
    "growth_bars",
    "growth_trades",
    "growth_depth",
    "memory_bars_csv",
    "memory_bars_parquet",
    "memory_capture",
    "memory_catalog_bars",
    "memory_catalog_trades",
    "memory_catalog_book",
]


def unchecked(results):
    """Frame floors are promised for the recorded capture: a generated one has another mix of frames. One core cannot
    run two trials at a time. Not every system tells how much memory a process held."""
    other = ("generated", "one core", UNTOLD)
    known = FLOORS.keys() | set(MEMORY)
    return [r["name"] for r in results if r["name"] in known and r.get("source", "").startswith(other)]


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
        by = BY.get(name, "p50")
        value = result.get(by, result["median"])
        if not (value < limit if side == "under" else value >= limit):
            digits = 0 if limit > 100 else 1
            machine = result.get("machine_speedup")
            beside = f" (the machine gave two independent processes {machine})" if machine else ""
            what = f"{name} ({by})" if name in BY else name
            problems.append(f"{what}: {value:,.{digits}f} {unit}, must be {side} {limit:,}{beside}")
    return problems + too_much_memory(by_name)


def too_much_memory(by_name):
    problems = []
    if any(r.get("source") == UNTOLD for r in by_name.values()):
        return []
    for name in MEMORY:
        memory = by_name.get(name, {}).get("peak_memory")
        if memory is None:
            problems.append(f"{name}: its memory was not measured")
            continue
        limit = MEMORY_PER_EVENT * memory["events"] + MEMORY_BASE
        if memory["bytes"] > limit:
            problems.append(
                f"{name}: {memory['bytes']:,} bytes for {memory['events']:,} events, must be at most {limit:,} "
                f"({MEMORY_PER_EVENT} an event and {MEMORY_BASE:,})"
            )
    return problems


def self_test():
    def result(side_by, name, unit, limit):
        return {"name": name, "unit": unit, "median": limit * side_by}

    def with_memory(results, by):
        bytes_held = int((1_000_000 * MEMORY_PER_EVENT + MEMORY_BASE) * by)
        held = {"peak_memory": {"bytes": bytes_held, "events": 1_000_000}}
        named = {r["name"]: r for r in results}
        return [{"name": n, "unit": "MB", "median": 1, **named.pop(n, {}), **held} for n in MEMORY] + list(named.values())

    good = [result(0.5 if s == "under" else 2, n, u, limit) for n, (u, s, limit) in FLOORS.items()]
    slow = [result(2 if s == "under" else 0.5, n, u, limit) for n, (u, s, limit) in FLOORS.items()]
    good, slow = with_memory(good, 1), with_memory(slow, 1)
    assert wrong(good) == [] and len(wrong(slow)) == len(FLOORS) and len(wrong([])) == len(FLOORS) + len(MEMORY)
    assert len(wrong(with_memory(good, 1.01))) == len(MEMORY)
    floored = next(i for i, r in enumerate(good) if r["name"] in FLOORS)
    rest = good[:floored] + good[floored + 1 :]
    assert "measured in" in wrong([{**good[floored], "unit": "us"}, *rest])[0]
    assert wrong([{**good[floored], "p50": 1e9 if FLOORS[good[floored]["name"]][1] == "under" else 1}, *rest]) != []
    tail = [{**r, "p50": 1, "p99": 1e9} if r["name"] in BY else r for r in good]
    assert [p.split()[0] for p in wrong(tail)] == sorted(BY)
    made = [{**r, "source": "generated from the synthetic market"} if "frames" in r["name"] else r for r in slow]
    assert sorted(unchecked(made)) == ["frames_decoded", "frames_from_file"] and len(wrong(made)) == len(FLOORS) - 2
    assert unchecked(slow) == [] and wrong([{**r, "source": "capture.jsonl.gz"} for r in slow]) == wrong(slow)
    untold = [{k: v for k, v in r.items() if k != "peak_memory"} for r in good]
    assert len(wrong(untold)) == len(MEMORY)
    untold = [{**r, "source": UNTOLD} if r["name"].startswith("memory_") else r for r in untold]
    assert wrong(untold) == [] and len(unchecked(untold)) == 6
    sweep = [{**r, "machine_speedup": 1.7} if r["name"] == "sweep_speedup" else r for r in slow]
    assert any("two independent processes 1.7" in p for p in wrong(sweep))


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
        source = {r["name"]: r.get("source") for r in results}
        for name in unchecked(results):
            print(f"floors: {name} not checked: {source.get(name)}", file=sys.stderr)
        for problem in problems:
            print(f"floors: {problem}", file=sys.stderr)
        print("floors: all met" if not problems else f"floors: {len(problems)} missed")
        sys.exit(1 if problems else 0)
