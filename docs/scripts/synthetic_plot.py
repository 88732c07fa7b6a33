"""Draws docs/img/synthetic-market.png and prints the table of docs/synthetic-market.md.

From the repository root, in a Python with matplotlib:

    cargo run --release -p ctos-venue --example synthetic_csv minutes 1 45031 BTC-USDT ETH-USDT DOGE-USDT > minutes.csv
    cargo run --release -p ctos-venue --example synthetic_csv book 1 1440 BTC-USDT-PERP > book.csv
    python docs/scripts/synthetic_plot.py minutes.csv book.csv ../shared/data/bars/btc_perp_1m_2022-01.csv \
        docs/img/synthetic-market.png
"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

REAL, SYNTHETIC, NEUTRAL = "#8a4b08", "#1f6f8b", "#888888"
MINUTES_PER_YEAR = 365 * 1440


def column(path, name):
    with open(path, newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


def returns(prices, step=1):
    return np.diff(np.log(prices[::step]))


def autocorrelation(x, lag):
    x = x - x.mean()
    return float((x[:-lag] * x[lag:]).sum() / (x * x).sum())


def excess_kurtosis(x):
    x = x - x.mean()
    return float((x**4).mean() / (x * x).mean() ** 2 - 3)


def facts(prices):
    r = returns(prices)
    size = np.abs(r)
    out = {"annualised volatility": f"{r.std() * MINUTES_PER_YEAR**0.5:.2f}"}
    for minutes in (1, 5, 15, 60):
        out[f"excess kurtosis, {minutes} min"] = f"{excess_kurtosis(returns(prices, minutes)):.1f}"
    out["largest 1 min return / standard deviation"] = f"{size.max() / r.std():.1f}"
    worst = max((autocorrelation(r, lag) for lag in range(1, 6)), key=abs)
    out["autocorrelation of returns, lags 1 to 5, largest"] = f"{worst:+.3f}"
    for lag in (1, 5, 20, 60, 240):
        out[f"autocorrelation of absolute returns, lag {lag}"] = f"{autocorrelation(size, lag):.2f}"
    return out


def print_table(columns):
    print("| | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    tables = [facts(prices) for prices in columns.values()]
    for name in tables[0]:
        print(f"| {name} | " + " | ".join(t[name] for t in tables) + " |")


def print_cross(coins):
    names = list(coins)
    matrix = np.corrcoef([returns(coins[n]) for n in names])
    for i, a in enumerate(names):
        for j in range(i):
            print(f"correlation of {names[j]} and {a}: {matrix[i, j]:.2f}")


def print_book(book):
    bid, ask, trades = (column(book, n) for n in ("bid", "ask", "trades"))
    mid = (bid + ask) / 2
    r = np.abs(returns(mid, 60))
    spread = ((ask - bid) / mid * 1e4)[: len(r) * 60].reshape(-1, 60).mean(axis=1)
    print(f"spread: mean {spread.mean():.2f} bp, correlation with the minute's absolute return "
          f"{np.corrcoef(spread, r)[0, 1]:.2f}")
    print(f"trades: {trades.mean():.2f} per second, variance/mean {trades.var() / trades.mean():.1f}")


def density(ax, prices, color):
    r = returns(prices)
    heights, edges = np.histogram(r / r.std(), bins=np.arange(-15.25, 15.5, 0.5), density=True)
    centres = (edges[1:] + edges[:-1]) / 2
    ax.plot(centres[heights > 0], heights[heights > 0], "o-", ms=3, lw=1, color=color)


def draw(real, synthetic, target):
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    fig, axes = plt.subplots(2, 2, figsize=(10, 6.6), constrained_layout=True)
    days = lambda p: np.arange(len(p)) / 1440
    both = ((real, REAL, "real: BTC perpetual, January 2022"), (synthetic, SYNTHETIC, "synthetic: BTC, seed 1"))

    ax = axes[0, 0]
    for prices, color, label in both:
        ax.plot(days(prices), prices / prices[0] * 100, lw=0.8, color=color, label=label)
    ax.set(title="Price, start = 100", xlabel="days")
    ax.legend(frameon=False, loc="lower left")

    ax = axes[0, 1]
    for k, (prices, color, _) in enumerate(both):
        ax.plot(days(prices)[1:], returns(prices) * 100 + 3.5 * (1 - k), lw=0.4, color=color)
    ax.set(title="One-minute returns, % (real above, synthetic below)", xlabel="days", yticks=[-1, 0, 1, 2.5, 3.5, 4.5])
    ax.set_yticklabels(["-1", "0", "1"] * 2)

    ax = axes[1, 0]
    for prices, color, _ in both:
        density(ax, prices, color)
    z = np.linspace(-6, 6, 200)
    ax.plot(z, np.exp(-z * z / 2) / np.sqrt(2 * np.pi), "--", lw=1, color=NEUTRAL, label="normal")
    ax.set(title="Density of one-minute returns", xlabel="standard deviations", yscale="log", ylim=(3e-5, 2))
    ax.legend(frameon=False, fontsize=8, loc="upper right")

    ax = axes[1, 1]
    lags = np.unique(np.geomspace(1, 480, 30).astype(int))
    for prices, color, _ in both:
        r = returns(prices)
        ax.plot(lags, [autocorrelation(np.abs(r), k) for k in lags], "o-", ms=3, lw=1, color=color)
        ax.plot(lags, [autocorrelation(r, k) for k in lags], ":", lw=1.2, color=color)
    ax.plot([], [], "o-", ms=3, lw=1, color=NEUTRAL, label="of absolute returns")
    ax.plot([], [], ":", lw=1.2, color=NEUTRAL, label="of returns")
    ax.axhline(0, lw=0.6, color=NEUTRAL)
    ax.set(title="Autocorrelation", xlabel="lag, minutes", xscale="log")
    ax.legend(frameon=False, fontsize=8)
    fig.savefig(target, dpi=110)


def main():
    minutes, book, real_csv, target = sys.argv[1:]
    real = column(real_csv, "close")
    coins = {name: column(minutes, f"coin{k}") for k, name in enumerate(("BTC", "ETH", "DOGE"))}
    print_table({"real BTC perpetual": real, **{f"synthetic {n}": p for n, p in coins.items()}})
    print_cross(coins)
    print_book(book)
    draw(real, coins["BTC"], target)


if __name__ == "__main__":
    main()
