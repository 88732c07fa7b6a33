#!/usr/bin/env python3
"""Trades the synthetic market for 24 simulated hours and watches memory and disk.

Usage: soak.py BINARY          run it (Linux: memory is read from /proc)
       soak.py --self-test     show that growth is caught

Resident memory may grow by less than 5 % after the first simulated hour, the journal stays within its retention. At a
speed of `max` market time passes at an even pace, so the first hour is the first 24th of the run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

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


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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
    wrong, samples, most = [], [], 0
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
        start = time.monotonic()
        with open(os.path.join(home, "stderr"), "wb") as log:
            child = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=log)
            while child.poll() is None:
                try:
                    samples.append((time.monotonic() - start, resident(child.pid)))
                except (FileNotFoundError, ProcessLookupError):
                    break
                most = max([most, *map(disk, journals(home))])
                time.sleep(0.05)
            out, _ = child.communicate()
        if child.returncode != 0:
            with open(os.path.join(home, "stderr"), encoding="utf-8", errors="replace") as f:
                tail = "".join(f.readlines()[-20:])
            return [f"the run ended with {child.returncode}:\n{tail}"]
        summary = json.loads(out)
    # A dying process reports no memory.
    samples = [(at, size) for at, size in samples if size > 0]
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
    if "--self-test" in sys.argv:
        self_test()
        print("soak: growth is caught")
    elif len(sys.argv) != 2:
        sys.exit("usage: soak.py BINARY | --self-test")
    else:
        problems = soak(sys.argv[1])
        for problem in problems:
            print(f"soak: {problem}", file=sys.stderr)
        sys.exit(1 if problems else 0)
