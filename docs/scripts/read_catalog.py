#!/usr/bin/env python3
"""Reads one series of a ctos data catalog with every library that is installed: pyarrow, pandas, Polars, DuckDB.

Usage: read_catalog.py CATALOG VENUE KIND SYMBOL [--check FILE.csv]

Prices and sizes come as exact decimals, times as nanoseconds (UTC). With --check, the rows must equal those of the file,
which `ctos data export` wrote: to the last digit.
"""

import argparse
import csv
import decimal
import glob
import importlib
import os
import sys
from decimal import Decimal


def files(catalog, venue, kind, symbol):
    """The series' files in order of date. Symbols in paths are percent-encoded, as hive does."""
    found = sorted(glob.glob(os.path.join(catalog, f"venue={venue}", f"kind={kind}", f"symbol={symbol}", "date=*", "*.parquet")))
    if not found:
        sys.exit(f"read_catalog: no {kind} of {symbol} at {venue} in {catalog}")
    return found


def with_pyarrow(paths):
    import pyarrow.parquet as pq
    import pyarrow as pa

    table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in paths])
    for field in table.schema:
        if pa.types.is_timestamp(field.type):
            table = table.set_column(table.schema.get_field_index(field.name), field.name, table[field.name].cast(pa.int64()))
    return table.to_pylist()


def with_pandas(paths):
    import pandas as pd

    frame = pd.concat([pd.read_parquet(path, partitioning=None) for path in paths], ignore_index=True)
    rows = []
    for row in frame.to_dict("records"):
        stamp = lambda v: v.value if isinstance(v, pd.Timestamp) else v
        # A column of decimals is a column of decimal.Decimal; missing ones are None, missing times NaT.
        rows.append({k: None if not isinstance(v, (str, Decimal)) and pd.isna(v) else stamp(v) for k, v in row.items()})
    return rows


def with_polars(paths):
    import polars as pl

    frame = pl.read_parquet(paths, hive_partitioning=False)
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns([pl.col(name).cast(pl.Int64) for name in times]).to_dicts()


def with_duckdb(paths):
    import duckdb

    names = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    found = duckdb.sql(f"SELECT * FROM read_parquet([{names}], hive_partitioning = false)")
    columns = [
        f'epoch_ns("{name}") AS "{name}"' if "TIMESTAMP" in str(kind) else f'"{name}"'
        for name, kind in zip(found.columns, found.types)
    ]
    found = duckdb.sql(f"SELECT {', '.join(columns)} FROM read_parquet([{names}], hive_partitioning = false)")
    return [dict(zip(found.columns, row)) for row in found.fetchall()]


def compare(library, rows, path):
    """Each value as `ctos` wrote it: text, integer, or decimal of the same value."""
    with open(path, encoding="utf-8", newline="") as f:
        want = list(csv.DictReader(f))
    if len(rows) != len(want):
        sys.exit(f"read_catalog: {library} has {len(rows)} rows, the file {len(want)}")
    for number, (row, exported) in enumerate(zip(rows, want), 1):
        for name, text in exported.items():
            value = row[name]
            if isinstance(value, float) and value == int(value):
                value = int(value)  # pandas turns integers beside missing values into floats
            same = text == "" if value is None else (
                Decimal(text) == value if isinstance(value, (Decimal, int)) and not isinstance(value, bool) else text == str(value).lower() if isinstance(value, bool) else text == value
            )
            if not same:
                sys.exit(f"read_catalog: {library}, row {number}, {name}: {value!r} where the file has {text!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("catalog", "venue", "kind", "symbol"):
        parser.add_argument(name)
    parser.add_argument("--check", metavar="FILE.csv")
    args = parser.parse_args()
    decimal.getcontext().prec = 40
    paths = files(args.catalog, args.venue, args.kind, args.symbol)
    for library, read in [("pyarrow", with_pyarrow), ("pandas", with_pandas), ("polars", with_polars), ("duckdb", with_duckdb)]:
        try:
            importlib.import_module(library)
        except ImportError:
            print(f"{library}: not installed")
            continue
        rows = read(paths)
        if args.check:
            compare(library, rows, args.check)
        print(f"{library}: {len(rows)} rows{', exact' if args.check else ''}; the first: {rows[0]}")


if __name__ == "__main__":
    main()
