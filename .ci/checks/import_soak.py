#!/usr/bin/env python3
"""Imports a large generated archive into a data catalog and watches memory: it must not grow with the file.

Usage: import_soak.py BINARY    run it (Linux: memory is read from /proc)
       import_soak.py --self-test

The archive has IMPORT_SOAK_GB gigabytes (10 by default) of trades over 30 days of one symbol, in Binance's format, with a
share of rows out of order. Resident memory stays below 1 GB, every row comes in, and the same import again adds nothing.
"""

import json
import os
import tempfile
import time

from watched import main, most, watched

GIGABYTES = float(os.environ.get("IMPORT_SOAK_GB", "10"))
LIMIT = 1_000_000_000
DAYS = 30
START_MS = 1_704_067_200_000
NAME = "BTCUSDT-trades-2024-01.csv"
HEADER = "id,price,qty,quote_qty,time,is_buyer_maker\n"
BLOCK = 20_000
# Seconds between two looks at memory.
EVERY = 0.02


def block(first, rows):
    """Rows `first` and on, out of `rows` in all. One in 1,000 changes places with the one before it."""
    lines = []
    span = DAYS * 86_400_000
    for row in range(first, min(first + BLOCK, rows)):
        tenths = 423_000 + row % 997 - row // 7 % 1009
        lots = row * 7919 % 2048 + 1
        worth = tenths * lots
        side = "true" if row % 3 else "false"
        lines.append(
            f"{4_400_000_000 + row},{tenths // 10}.{tenths % 10},{lots // 1000}.{lots % 1000:03},"
            f"{worth // 10_000}.{worth % 10_000:04},{START_MS + row * span // rows},{side}\n"
        )
    for at in range(999, len(lines), 1000):
        lines[at - 1], lines[at] = lines[at], lines[at - 1]
    return lines


def generate(path, size):
    """Writes about `size` bytes. Returns the number of rows."""
    sample = block(0, BLOCK)
    rows = max(BLOCK, int(size / (sum(map(len, sample)) / len(sample))))
    with open(path, "w", encoding="ascii", buffering=1 << 20) as f:
        f.write(HEADER)
        for first in range(0, rows, BLOCK):
            f.writelines(block(first, rows))
    return rows


def wrong_with(rows, report, again, memory):
    wrong = []
    if memory >= LIMIT:
        wrong.append(f"the import took {memory:,} bytes of memory, the limit is {LIMIT:,}")
    if (report["rows_read"], report["rows_added"]) != (rows, rows):
        wrong.append(f"{report['rows_read']:,} rows read and {report['rows_added']:,} added, of {rows:,}")
    if again["new"]:
        wrong.append("the same file was imported a second time")
    return wrong


def soak(binary):
    with tempfile.TemporaryDirectory(prefix="ctos-import-", dir=os.environ.get("IMPORT_SOAK_DIR")) as folder:
        path, catalog = os.path.join(folder, NAME), os.path.join(folder, "catalog")
        rows = generate(path, GIGABYTES * 1e9)
        size = os.path.getsize(path)
        command = [binary, "data", "import", path, "--market", "um", "--catalog", catalog, "--json"]
        start = time.monotonic()
        code, out, samples = watched(command, EVERY)
        seconds, memory = time.monotonic() - start, most(samples)
        if code != 0:
            return [f"the import ended with {code}"]
        report = json.loads(out)["imports"][0]
        code, out, _ = watched(command, EVERY)
        if code != 0:
            return [f"the second import ended with {code}"]
        again = json.loads(out)["imports"][0]
        code, out, _ = watched([binary, "data", "verify", "--catalog", catalog, "--json"], EVERY)
        if code != 0:
            return [f"the catalog is not whole: {out.decode(errors='replace')[:500]}"]
    print(
        f"import_soak: {size / 1e9:.1f} GB, {rows:,} rows in {seconds:.0f} s ({size / 1e6 / seconds:.0f} MB/s, "
        f"{rows / seconds:,.0f} rows/s), memory at most {memory / 1e6:.0f} MB"
    )
    return wrong_with(rows, report, again, memory)


def self_test():
    good = {"rows_read": 5, "rows_added": 5}
    assert wrong_with(5, good, {"new": False}, LIMIT - 1) == []
    assert "memory" in wrong_with(5, good, {"new": False}, LIMIT)[0]
    assert "added" in wrong_with(5, {"rows_read": 5, "rows_added": 4}, {"new": False}, 1)[0]
    assert "second time" in wrong_with(5, good, {"new": True}, 1)[0]
    lines = block(0, BLOCK)
    ids = [int(line.split(",")[0]) for line in lines]
    assert len(lines) == BLOCK and sorted(ids) != ids and len(set(ids)) == BLOCK


if __name__ == "__main__":
    main("import_soak", soak, self_test, "too much memory, lost rows and a second import are caught")
