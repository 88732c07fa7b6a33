#!/usr/bin/env python3
"""Makes vectors.json: returns of seeded equity lines and what numpy, scipy and pandas compute from them.

Shares no code with ctos. Run by hand when a formula changes: python3 make.py > vectors.json
(needs numpy, scipy, pandas; their versions are written into the file). Equity is given in cents, sampled at odd moments
inside each period; `None` stands for "not defined".
"""

import json
import math

import numpy
import pandas
import scipy.stats
from scipy.stats import norm

START = pandas.Timestamp("2022-01-01T00:00:00Z")


def walk(seed, count, drift, spread, fat):
    rng = numpy.random.default_rng(seed)
    step = rng.standard_t(3, count) if fat else rng.standard_normal(count)
    return 10_000 * numpy.exp(numpy.cumsum(drift + spread * step))


def series(name):
    """Sample times and equity in cents."""
    if name == "daily":
        equity, gap = walk(1, 24 * 400, 0.00005, 0.004, True), "1h"
    elif name == "daily_loss":
        equity, gap = walk(2, 24 * 90, -0.0004, 0.003, False), "1h"
    elif name == "hourly":
        equity, gap = walk(3, 12 * 24 * 5, 0.00002, 0.0015, True), "5min"
    elif name == "minutely":
        equity, gap = walk(4, 6 * 300, 0.00001, 0.0004, False), "10s"
    elif name == "flat":
        equity, gap = numpy.full(24 * 30, 10_000.0), "1h"
    elif name == "sparse":
        equity, gap = walk(5, 40, 0.002, 0.03, False), "53h"
    times = pandas.date_range(START, periods=len(equity), freq=gap) + pandas.Timedelta("7s")
    return pandas.Series(numpy.round(equity, 2), index=times)


def drawdown(equity):
    peak = equity.cummax()
    ratio = 1 - equity / peak
    worst = ratio.idxmax()
    if ratio.max() == 0:
        return {"amount": 0.0, "ratio": 0.0, "length_s": 0, "longest_s": 0}
    top = equity[:worst].idxmax()
    level = equity[top]
    after = equity[worst:]
    back = after[after >= level]
    end = back.index[0] if len(back) else equity.index[-1]
    # From the last moment at each high to the next moment at or above it, where there was anything below between.
    longest, since, fell = 0.0, equity.index[0], False
    high = equity.iloc[0]
    for at, value in equity.items():
        if value >= high:
            longest = max(longest, (at - since).total_seconds()) if fell else longest
            high, since, fell = value, at, False
        else:
            fell = True
    if fell:
        longest = max(longest, (equity.index[-1] - since).total_seconds())
    return {
        "amount": float((peak - equity).max()),
        "ratio": float(ratio.max()),
        "length_s": int((end - top).total_seconds()),
        "longest_s": int(longest),
    }


def number(x):
    return float(x) if x is not None and math.isfinite(x) else None


def case(name):
    equity = series(name)
    span = (equity.index[-1] - equity.index[0]).total_seconds()
    rule, per_year, window = ("1D", 365, 30) if span >= 864_000 else ("1h", 8760, 24) if span >= 36_000 else ("1min", 525_600, 60)
    closes = equity.resample(rule, label="right", closed="left").last().ffill()
    returns = pandas.concat([pandas.Series([equity.iloc[0]]), closes]).pct_change().dropna().to_numpy()
    n, flat = len(returns), returns.std() == 0
    total = equity.iloc[-1] / equity.iloc[0] - 1
    annual = (1 + total) ** (365 * 86_400 / span) - 1 if span >= 86_400 else None
    sr = returns.mean() / returns.std(ddof=1) if not flat else None
    skew = scipy.stats.skew(returns) if not flat else None
    kurt = scipy.stats.kurtosis(returns, fisher=False) if not flat else None
    downside = math.sqrt(numpy.mean(numpy.minimum(returns, 0) ** 2))
    dd = drawdown(equity)
    cut = numpy.percentile(returns, 5) if n >= 20 else None

    def psr(benchmark):
        if sr is None:
            return None
        return norm.cdf((sr - benchmark) * math.sqrt(n - 1) / math.sqrt(1 - skew * sr + (kurt - 1) / 4 * sr**2))

    def best(trials, variance):
        e = 0.5772156649015329
        return math.sqrt(variance) * ((1 - e) * norm.ppf(1 - 1 / trials) + e * norm.ppf(1 - 1 / (trials * math.e)))

    rolling = pandas.Series(returns).rolling(window)
    rolled = (rolling.mean() / rolling.std() * math.sqrt(per_year)).dropna().to_numpy() if not flat else []
    months = equity.resample("MS").last().ffill()
    months = pandas.concat([pandas.Series([equity.iloc[0]]), months]).pct_change().dropna()
    return {
        "name": name,
        "end_s": int(equity.index[-1].timestamp()),
        "start_s": int(equity.index[0].timestamp()),
        "gap_s": int((equity.index[1] - equity.index[0]).total_seconds()),
        "cents": [int(round(v * 100)) for v in equity],
        "periods": n,
        "per_year": per_year,
        "total_return": float(total),
        "annual_return": number(annual),
        "volatility": float(returns.std(ddof=1) * math.sqrt(per_year)),
        "sharpe": number(sr * math.sqrt(per_year)) if sr is not None else None,
        "sortino": number(returns.mean() / downside * math.sqrt(per_year)) if downside else None,
        "calmar": number(annual / dd["ratio"]) if annual is not None and dd["ratio"] else None,
        "drawdown": dd,
        "skew": number(skew),
        "kurtosis": number(kurt),
        "var_95": number(-cut) if cut is not None else None,
        "cvar_95": number(-returns[returns <= cut].mean()) if cut is not None else None,
        "probabilistic_sharpe": number(psr(0)),
        "deflated_sharpe_50_0.01": number(psr(best(50, 0.01))),
        "rolling_last": number(rolled[-1]) if len(rolled) else None,
        "rolling_count": int(n - window + 1) if n >= window else 0,
        "months": [float(m) for m in months],
    }


def main():
    probabilities = [1e-300, 1e-20, 1e-9, 0.001, 0.02425, 0.05, 0.3, 0.5, 0.7, 0.975, 0.999, 1 - 1e-9]
    out = {
        "made_with": {m.__name__: m.__version__ for m in (numpy, scipy, pandas)},
        "quantiles": [[p, float(norm.ppf(p))] for p in probabilities],
        "cdf": [[x, float(norm.cdf(x))] for x in (-30.0, -8.0, -2.5, -1.0, -0.1, 0.0, 0.3, 1.96, 5.0)],
        "cases": [case(n) for n in ("daily", "daily_loss", "hourly", "minutely", "flat", "sparse")],
    }
    text = json.dumps(out, separators=(",", ":"))
    print(text.replace('{"name"', '\n{"name"').replace(',"quantiles"', ',\n"quantiles"').replace(',"cdf"', ',\n"cdf"'))


main()
