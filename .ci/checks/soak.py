#!/usr/bin/env python3
"""Trades the synthetic market for 24 simulated hours and watches memory and disk.

Usage: soak.py BINARY          run it (Linux: memory is read from /proc)
       soak.py --self-test     show that growth is caught

Resident memory may grow by less than 5 % after the first simulated hour, the journal stays within its retention. At a
speed of `max` market time passes at an even pace, so the first hour is the first 24th of the run.
"""

import json
import os
import tempfile

from watched import main, watched

HOURS = int(os.environ.get("SOAK_HOURS", "24"))
JOURNAL_MB = 256
COINS = os.environ.get("SOAK_SYMBOLS", "").split(",") if os.environ.get("SOAK_SYMBOLS") else [
    f"sim:{coin}-USDT-PERP" for coin in ("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "ADA", "AVAX", "LINK", "LTC")
]


def growth(samples, hours):
    """Most resident bytes in the first hour, and after it. `samples`: (seconds since the start, bytes), in order."""
    end = samples[-1][0]
    first_hour = [size for at, size in samples if at <= end / hours]
    later = [size for at, size in samples if at > end / hours]
    return max(first_hour), max(later)


def growth_wrong(samples, hours):
    if hours < 2 or len(samples) < 2 * hours:
        return [f"only {len(samples)} memory samples over {hours} hours: too few to judge"]
    base, worst = growth(samples, hours)
    if worst >= base * 1.05:
        return [f"resident memory grew from {base:,} to {worst:,} bytes after the first hour (+{worst / base - 1:.1%})"]
    return []


def disk(folder):
    total = 0
    for at, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(at, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # retention was quicker
    return total


def journals(home):
    return [os.path.join(at, "journal") for at, folders, _ in os.walk(home) if "journal" in folders]


def soak(binary):
    taken = [0]
    with tempfile.TemporaryDirectory(prefix="ctos-soak-") as home:
        settings = {
            "CTOS__HOME": home,
            "CTOS__SYMBOLS": ",".join(COINS),
            "CTOS__SPEED": "max",
            "CTOS__DURATION": f"{HOURS}h",
            "CTOS__JOURNAL__MAX_MB": str(JOURNAL_MB),
            "CTOS__JOURNAL__SEGMENT_MB": "16",
        }
        command = [binary, "run", "--json"]
        for coin in COINS:
            command += ["--strategy", "grid", "--set", f"symbol={coin}"]

        def journal():
            taken.extend(map(disk, journals(home)))
            taken[:] = [max(taken)]

        path = os.path.join(home, "stderr")
        with open(path, "wb") as log:
            code, out, samples = watched(command, 0.05, journal, env={**os.environ, **settings}, stderr=log)
        if code != 0:
            with open(path, encoding="utf-8", errors="replace") as f:
                tail = "".join(f.readlines()[-20:])
            return [f"the run ended with {code}:\n{tail}"]
        summary = json.loads(out)
    wrong, most = [], taken[0]
    wrong += growth_wrong(samples, HOURS)
    if most > JOURNAL_MB << 20:
        wrong.append(f"the journal took {most >> 20} MiB, its limit is {JOURNAL_MB} MiB")
    idle = [s["id"] for s in summary["strategies"] if not s["fills"]]
    if idle:
        wrong.append(f"without a fill nothing was tested: {', '.join(idle)}")
    base, worst = growth(samples, HOURS)
    print(
        f"soak: {HOURS} h, {summary['events_in']:,} events, {summary['fills']} fills, journal {most >> 20} MiB, "
        f"memory {base / 2**20:.1f} MiB in the first hour, {worst / 2**20:.1f} MiB after ({worst / base - 1:+.1%})"
    )
    return wrong


def self_test():
    flat = [(i, 100_000 + (i % 3) * 1000) for i in range(240)]
    leak = [(i, 100_000 + i * 100) for i in range(240)]
    assert growth_wrong(flat, 24) == [] and "grew" in growth_wrong(leak, 24)[0]
    # Growth within the first hour is warm-up.
    assert growth_wrong([(i, min(i, 9) * 1000) for i in range(240)], 24) == []
    assert "too few" in growth_wrong(flat[:10], 24)[0]


if __name__ == "__main__":
    main("soak", soak, self_test, "growth is caught")
