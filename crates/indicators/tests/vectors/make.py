#!/usr/bin/env python3
"""Writes talib.txt beside this file: series and what TA-Lib answers to them. Run only to change the cases.

Usage: pip install TA-Lib numpy && python make.py

Each case begins with `case NAME ROWS`, followed by one line `high low close volume` for each bar. Each `out KEY` line
holds one column of one indicator: the row of its first value, then its values at the rows that `sampled` names. TA-Lib
knows no gaps: of a series with NaN it is given the usable rows alone, and the rows between repeat the value before.
"""

import pathlib

import numpy as np
import talib

HLC, HL, C, CV = ("high", "low", "close"), ("high", "low"), ("close",), ("close", "volume")
HLCV = (*HLC, "volume")

# Key -> (input columns, function of them, names of its outputs).
INDICATORS = {
    "sma_20": (C, lambda c: talib.SMA(c, 20), ["value"]),
    "sma_3": (C, lambda c: talib.SMA(c, 3), ["value"]),
    "ema_12": (C, lambda c: talib.EMA(c, 12), ["value"]),
    "ema_3": (C, lambda c: talib.EMA(c, 3), ["value"]),
    "wma_10": (C, lambda c: talib.WMA(c, 10), ["value"]),
    "wma_30": (C, lambda c: talib.WMA(c, 30), ["value"]),
    "rsi_14": (C, lambda c: talib.RSI(c, 14), ["value"]),
    "rsi_5": (C, lambda c: talib.RSI(c, 5), ["value"]),
    "macd_12_26_9": (C, lambda c: talib.MACD(c, 12, 26, 9), ["macd", "signal", "histogram"]),
    "macd_5_8_3": (C, lambda c: talib.MACD(c, 5, 8, 3), ["macd", "signal", "histogram"]),
    "bollinger_20_2": (C, lambda c: talib.BBANDS(c, 20, 2.0, 2.0)[::-1], ["lower", "middle", "upper"]),
    "stddev_10": (C, lambda c: talib.STDDEV(c, 10), ["std"]),
    "min_10": (C, lambda c: talib.MIN(c, 10), ["value"]),
    "max_10": (C, lambda c: talib.MAX(c, 10), ["value"]),
    "roc_10": (C, lambda c: talib.ROC(c, 10), ["value"]),
    "linear_14": (
        C,
        lambda c: (talib.LINEARREG(c, 14), talib.LINEARREG_SLOPE(c, 14), talib.LINEARREG_INTERCEPT(c, 14)),
        ["value", "slope", "intercept"],
    ),
    "forecast_14": (C, lambda c: talib.TSF(c, 14), ["value"]),
    "correlation_20": (CV, lambda c, v: talib.CORREL(c, v, 20), ["value"]),
    "obv": (CV, talib.OBV, ["value"]),
    "aroon_25": (
        HL,
        lambda h, l: (*talib.AROON(h, l, 25), talib.AROONOSC(h, l, 25)),
        ["down", "up", "oscillator"],
    ),
    "atr_14": (HLC, lambda *b: talib.ATR(*b, 14), ["value"]),
    "atr_5": (HLC, lambda *b: talib.ATR(*b, 5), ["value"]),
    "di_14": (HLC, lambda *b: (talib.PLUS_DI(*b, 14), talib.MINUS_DI(*b, 14)), ["plus_di", "minus_di"]),
    "adx_14": (HLC, lambda *b: talib.ADX(*b, 14), ["adx"]),
    "adx_5": (HLC, lambda *b: talib.ADX(*b, 5), ["adx"]),
    "stochastic_14_3_3": (HLC, lambda *b: talib.STOCH(*b, 14, 3, 0, 3, 0), ["k", "d"]),
    "stochastic_14_3": (HLC, lambda *b: talib.STOCHF(*b, 14, 3, 0), ["k", "d"]),
    "cci_20": (HLC, lambda *b: talib.CCI(*b, 20), ["value"]),
    "mfi_14": (HLCV, lambda *b: talib.MFI(*b, 14), ["value"]),
}


def market(rows, seed):
    """A random walk around 100 with bars, on a grid of 0.01 and 0.001."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.standard_t(4, rows) * 0.004)), 2)
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(opened, close) + rng.exponential(0.2, rows), 2)
    low = np.round(np.minimum(opened, close) - rng.exponential(0.2, rows), 2)
    return {"high": high, "low": low, "close": close, "volume": np.round(1 + rng.exponential(50, rows), 3)}


def cases():
    yield "market", market(2000, 7)
    yield "flat", {name: np.full(120, 100.0) for name in HLCV}
    # Few different values: ties, empty ranges, runs without a change.
    rng = np.random.default_rng(11)
    close = rng.integers(3, 6, 400).astype(float)
    wide = rng.integers(0, 2, 400)
    yield "ties", {"high": close + wide, "low": close - wide, "close": close, "volume": rng.integers(1, 4, 400) * 1.0}
    still = market(300, 13)
    for begin, end in ((0, 40), (100, 130), (200, 201)):
        still["volume"][begin:end] = 0.0
    yield "no_volume", still
    gaps = market(500, 17)
    for n, name in enumerate(HLCV):
        gaps[name][rng.random(500) < 0.02] = np.nan
        gaps[name][200 + 10 * n : 230] = np.nan
    gaps["close"][:3] = np.nan
    yield "gaps", gaps


def answers(inputs, function):
    usable = ~np.isnan(np.vstack(inputs)).any(axis=0)
    got = function(*(np.ascontiguousarray(column[usable]) for column in inputs))
    last = np.cumsum(usable) - 1
    for column in got if isinstance(got, tuple | list) else (got,):
        yield np.where(last < 0, np.nan, column[np.maximum(last, 0)])


def sampled(first, rows):
    """Each of the first 60 rows with a value, then every 17th, and the last."""
    return [i for i in range(first, rows) if i < first + 60 or i % 17 == 0 or i == rows - 1]


def number(x):
    return f"{x:.13g}"


def main():
    path = pathlib.Path(__file__).with_name("talib.txt")
    with path.open("w", encoding="utf-8") as out:
        out.write(f"# TA-Lib {talib.__ta_version__.decode().split()[0]}, made by make.py\n")
        for name, series in cases():
            rows = len(series["close"])
            out.write(f"case {name} {rows}\n")
            for bar in zip(*(series[column] for column in HLCV)):
                out.write(" ".join(number(x) for x in bar) + "\n")
            for key, (columns, function, names) in INDICATORS.items():
                inputs = [series[column] for column in columns]
                for output, values in zip(names, answers(inputs, function), strict=True):
                    first = int(np.flatnonzero(~np.isnan(values))[0])
                    text = " ".join(number(values[i]) for i in sampled(first, rows))
                    out.write(f"out {key}.{output} {first} {text}\n")


if __name__ == "__main__":
    main()
