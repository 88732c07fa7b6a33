#!/usr/bin/env python3
"""Measures each indicator in ctos and in TA-Lib, turn about, and fails where ctos is the slower one.

Usage: pip install TA-Lib numpy
       cargo build --release -p ctos-cli
       python benches/talib_side_by_side.py target/release/ctos [NAME...]

Both work through 10,000,000 rows of the same kind of market with the same parameters. A round takes seven samples of ctos
and then seven of TA-Lib, and each number is the least of all rounds: other programs only ever add time. There are three
rounds; where the two are still within a tenth of each other, or ctos is behind, up to six more, for both alike.

`TA-Lib` is the call from Python, with the arrays it makes, and `ratio` is ctos over that. `in C` is the library's function
alone, into arrays that are already there, as ctos measures its own. Where ctos writes more columns than TA-Lib's
function, ctos does the more work: `columns` tells. Exit code 1 when a ratio is above 1, or nothing could be measured.
"""

import ctypes
import json
import pathlib
import subprocess
import sys
import time

try:
    import numpy as np
    import talib
except ImportError as missing:
    sys.exit(f"error: {missing}\nhint: pip install TA-Lib numpy, into an environment of your own")

ROWS = 10_000_000
SAMPLES = 7
ROUNDS = 3
ROUNDS_IN_DOUBT = 9
IN_DOUBT = 0.9
SMA = 0

# Benchmark -> (TA-Lib function, inputs, options, its columns, those of ctos).
PAIRS = {
    "sma": ("SMA", "c", [20], 1, 1),
    "ema": ("EMA", "c", [20], 1, 1),
    "wma": ("WMA", "c", [20], 1, 1),
    "min": ("MIN", "c", [20], 1, 1),
    "max": ("MAX", "c", [20], 1, 1),
    "stats": ("STDDEV", "c", [20, 1.0], 1, 2),
    "bollinger": ("BBANDS", "c", [20, 2.0, 2.0, SMA], 3, 3),
    "rsi": ("RSI", "c", [14], 1, 1),
    "roc": ("ROC", "c", [10], 1, 1),
    "macd": ("MACD", "c", [12, 26, 9], 3, 3),
    "linear_regression": ("LINEARREG", "c", [20], 1, 3),
    "correlation": ("CORREL", "hl", [20], 1, 1),
    "aroon": ("AROON", "hl", [25], 2, 3),
    "atr": ("ATR", "hlc", [14], 1, 1),
    "di": ("PLUS_DI", "hlc", [14], 1, 2),
    "adx": ("ADX", "hlc", [14], 1, 3),
    "cci": ("CCI", "hlc", [20], 1, 1),
    "stochastic": ("STOCH", "hlc", [14, 3, SMA, 3, SMA], 2, 2),
    "stochastic_fast": ("STOCHF", "hlc", [14, 3, SMA], 2, 2),
    "mfi": ("MFI", "hlcv", [14], 1, 1),
    "obv": ("OBV", "cv", [], 1, 1),
}


def market():
    """As `benches/src/indicators.rs`: prices around 100 that move by up to 5 in 10,000 a bar."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum((rng.random(ROWS) - 0.5) * 1e-3))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1 + rng.random(ROWS) * 1e-4)
    low = np.minimum(opened, close) * (1 - rng.random(ROWS) * 1e-4)
    return {"h": high, "l": low, "c": close, "v": rng.random(ROWS) * 10}


def library():
    """The C library that the wheel brings along; `None` where it is not a file of its own."""
    folder = pathlib.Path(talib.__file__).parent.parent / "ta_lib.libs"
    found = sorted(folder.glob("libta*lib*"))
    return ctypes.CDLL(str(found[0])) if found else None


def least(run):
    def sample():
        begun = time.perf_counter()
        run()
        return (time.perf_counter() - begun) / ROWS * 1e9

    return min(sample() for _ in range(SAMPLES))


def in_c(lib, name, inputs, options, columns):
    """The function alone, as something that can be run."""
    pointer = ctypes.POINTER(ctypes.c_double)
    arrays = [np.zeros(ROWS) for _ in range(columns)]
    begin, count = ctypes.c_int(), ctypes.c_int()
    arguments = [
        *(ctypes.c_int(x) for x in (0, ROWS - 1)),
        *(a.ctypes.data_as(pointer) for a in inputs),
        *(ctypes.c_double(x) if isinstance(x, float) else ctypes.c_int(x) for x in options),
        ctypes.byref(begin),
        ctypes.byref(count),
        *(a.ctypes.data_as(pointer) for a in arrays),
    ]
    function = getattr(lib, f"TA_{name}")
    if function(*arguments) != 0:
        sys.exit(f"error: TA_{name} refused its arguments")
    return lambda: function(*arguments)


def ours(binary, name):
    command = [binary, "bench", "--json", "--filter", f"indicator_{name}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as problem:
        sys.exit(f"error: {binary}: {problem.strerror}\nhint: cargo build --release -p ctos-cli")
    if done.returncode != 0:
        sys.exit(f"{done.stderr}error: {' '.join(command)} failed\nhint: cargo build --release -p ctos-cli")
    return next(r["min"] for r in json.loads(done.stdout) if r["name"] == f"indicator_{name}")


def measure(binary, lib, data, name):
    """The least of ctos, of the call, and of the function alone (`None` without the library)."""
    function, letters, options, columns, _ = PAIRS[name]
    inputs = [data[letter] for letter in letters]
    alone = in_c(lib, function, inputs, options, columns) if lib else None
    mine, called, in_library = [], [], []
    for turn in range(ROUNDS_IN_DOUBT):
        if turn >= ROUNDS and min(mine) / min(called) <= IN_DOUBT:
            break
        mine.append(ours(binary, name))
        called.append(least(lambda: getattr(talib, function)(*inputs, *options)))
        in_library.extend([least(alone)] if alone else [])
    return min(mine), min(called), min(in_library, default=None)


def main():
    if len(sys.argv) < 2 or not all(name in PAIRS for name in sys.argv[2:]):
        sys.exit(f"usage: talib_side_by_side.py PATH_OF_CTOS [NAME...]\nhint: names are {', '.join(PAIRS)}")
    data, lib = market(), library()
    print(f"TA-Lib {talib.__ta_version__.decode().split()[0]}, {ROWS:,} rows, ns a row\n")
    print("| indicator | ctos | TA-Lib | ratio | in C | columns |\n|---|---:|---:|---:|---:|---|")
    slower = []
    for name in sys.argv[2:] or PAIRS:
        function, _, _, columns, own = PAIRS[name]
        mine, called, alone = measure(sys.argv[1], lib, data, name)
        if mine > called:
            slower.append(f"{name} ({mine / called:.2f} times {function})")
        note = f"{own} against {columns}" if own != columns else str(own)
        in_library = "" if alone is None else f"{alone:.1f}"
        print(f"| `{name}` | {mine:.1f} | {called:.1f} | {mine / called:.2f} | {in_library} | {note} |", flush=True)
    if slower:
        sys.exit(f"error: slower than TA-Lib: {', '.join(slower)}\nhint: on a busy machine, try again with these names")


if __name__ == "__main__":
    main()
