//! Figures of a run: what it earned, at what risk and cost, and who earned it. Formulas are in `docs/metrics.md`.
//! Never: rounds money through a float; ratios and statistics are floats, and `None` where they are not defined.

pub mod drawdown;
pub mod excursion;
pub mod normal;
mod parts;
pub mod returns;
pub mod stats;
#[cfg(test)]
mod tests;

use crate::log::{EquityLine, RunLog, Tally};
use ctos_types::{Currency, Decimal, Nanos, UnixNanos};
use drawdown::Drawdown;
use parts::{attribution, costs, strategy_name, trade_sums};
use returns::{Month, Period};
use serde::Serialize;
use stats::{Histogram, Moments, finite, ratio};
use std::collections::BTreeMap;

const YEAR_NS: f64 = 365.0 * 86_400.0 * 1e9;

/// How many variants were tried before this one was chosen. One: it was not chosen among others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trials {
    pub count: u64,
    /// Variance of the trials' Sharpe ratios per sampling period, not annualised. `None`: the variance that the
    /// estimate of this run's own ratio has.
    pub sharpe_variance: Option<f64>,
}

impl Default for Trials {
    fn default() -> Trials {
        Trials { count: 1, sharpe_variance: None }
    }
}

/// Everything computed from a [`RunLog`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    /// Of all amounts that name no other: the reporting currency of the first account.
    pub currency: Currency,
    /// Of all accounts that count in `currency`, together.
    #[serde(flatten)]
    pub performance: Performance,
    /// Each account alone, by name, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, Performance>,
    pub months: Vec<Month>,
    /// Closed trades in instruments that settle in `currency`.
    pub trades: TradeFigures,
    /// Closed trades that settle in others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_trades: Vec<TradeFigures>,
    pub fills: u64,
    /// Share of the fills that added liquidity.
    pub maker_share: Option<f64>,
    /// Traded value divided by mean worth, and the same a year. `None` also where something else than `currency` was
    /// paid in.
    pub turnover: Option<f64>,
    pub annual_turnover: Option<f64>,
    /// Unsigned position value as a share of worth: mean over time, and largest.
    pub exposure: Option<f64>,
    pub max_exposure: Option<f64>,
    /// Share of the time with any position open.
    pub time_in_market: Option<f64>,
    pub costs: Costs,
    pub by_strategy: Vec<Attribution>,
    pub by_instrument: Vec<Attribution>,
    /// What charts are drawn from.
    #[serde(skip)]
    pub series: Series,
}

/// What one line of worth tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Performance {
    pub start_equity: Decimal,
    pub end_equity: Decimal,
    pub net_profit: Decimal,
    /// Returns are sampled at the end of each of these.
    pub period: Period,
    /// Returns there are, and how many a year has.
    pub periods: usize,
    pub periods_per_year: u32,
    pub total_return: Option<f64>,
    /// Compound. `None` for runs shorter than a day.
    pub annual_return: Option<f64>,
    /// Annualised.
    pub volatility: Option<f64>,
    /// Annualised, over a riskless return of zero.
    pub sharpe: Option<f64>,
    pub sortino: Option<f64>,
    pub calmar: Option<f64>,
    pub max_drawdown: Drawdown,
    pub mean_return: Option<f64>,
    pub best_return: Option<f64>,
    pub worst_return: Option<f64>,
    pub positive_periods: Option<f64>,
    pub skew: Option<f64>,
    /// A normal distribution has 3.
    pub kurtosis: Option<f64>,
    /// Losses of one period that 5 % of the periods reach, and what those lose on average. Positive where it is a loss.
    pub var_95: Option<f64>,
    pub cvar_95: Option<f64>,
    /// Per period, not annualised: what the two probabilities below are about.
    pub sharpe_per_period: Option<f64>,
    /// Probability that the true Sharpe ratio is positive.
    pub probabilistic_sharpe: Option<f64>,
    /// Probability that it is above what the best of `trials` worthless variants would show.
    pub deflated_sharpe: Option<f64>,
    pub trials: u64,
}

/// Closed trades of one settlement currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TradeFigures {
    pub currency: Currency,
    pub count: u64,
    pub wins: u64,
    pub losses: u64,
    pub win_rate: Option<f64>,
    pub profit_factor: Option<f64>,
    /// Mean net profit of a trade.
    pub expectancy: Option<Decimal>,
    pub avg_win: Option<Decimal>,
    /// Not negative, as is `worst`.
    pub avg_loss: Option<Decimal>,
    pub best: Option<Decimal>,
    pub worst: Option<Decimal>,
    /// Average win by average loss.
    pub payoff: Option<f64>,
    /// Mean time from entry to exit, in seconds.
    pub avg_held_s: Option<f64>,
}

/// What trading cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Costs {
    /// As they were charged, by currency.
    pub fees: BTreeMap<Currency, Decimal>,
    /// Fees converted to settlement currencies, by these; and the fills whose fee could not be.
    pub fees_settled: BTreeMap<Currency, Decimal>,
    pub fees_unknown: u64,
    /// What fills were worse than the market when their order was sent, by settlement currency. Negative: better.
    pub slippage: BTreeMap<Currency, Decimal>,
    /// Fills of which that is not known.
    pub slippage_unknown: u64,
    /// Positive: received.
    pub funding: BTreeMap<Currency, Decimal>,
}

/// What one strategy or one instrument brought, in one settlement currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribution {
    pub name: String,
    pub currency: Currency,
    pub fills: u64,
    /// Unsigned traded value in quote currency.
    pub volume: Decimal,
    /// Of closed trades, before fees and funding.
    pub realized: Decimal,
    /// Of what is open at the end, before fees. `None`: there is no price for it.
    pub unrealized: Option<Decimal>,
    pub fees: Decimal,
    pub funding: Decimal,
    /// Part of realised and unrealised profit already.
    pub slippage: Decimal,
    /// `realized + unrealized - fees + funding`.
    pub net: Option<Decimal>,
    pub trades: TradeFigures,
}

/// Lists that charts are drawn from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// One a period, at its end.
    pub returns: Vec<(UnixNanos, f64)>,
    /// Annualised, over the last [`Period::window`] returns; empty before there are that many.
    pub rolling_sharpe: Vec<(UnixNanos, Option<f64>)>,
    pub histogram: Histogram,
}

/// Computes everything. `None` when the log has no sample of worth to start from.
pub fn of(log: &RunLog, trials: Trials) -> Option<Metrics> {
    let counted;
    let (log, tally) = match &log.tally {
        Some(tally) => (log, tally),
        None => {
            let mut copy = log.clone();
            copy.count();
            counted = copy;
            (&counted, counted.tally.as_ref()?)
        }
    };
    let currency = log.currency()?;
    let line = log.main_equity()?;
    let (performance, series) = performance(line, log.facts.to, trials)?;
    let span = span_of(line, log.facts.to);
    let months = returns::months(&line.points, end_of(line, log.facts.to));
    let mut by_currency = trade_sums(log, tally);
    let trades = by_currency.remove(&currency).unwrap_or_default();
    let turnover = turnover(log, tally, currency, line);
    Some(Metrics {
        currency,
        accounts: accounts(log, trials),
        months,
        trades: TradeFigures::of(currency, &trades),
        other_trades: by_currency.iter().map(|(c, sums)| TradeFigures::of(*c, sums)).collect(),
        fills: tally.fills,
        maker_share: ratio(tally.maker_fills as f64, tally.fills as f64),
        turnover,
        annual_turnover: turnover.and_then(|t| ratio(t * YEAR_NS, span.0 as f64)),
        exposure: tally.exposure.map(|e| e.mean),
        max_exposure: tally.exposure.map(|e| e.max),
        time_in_market: ratio(tally.in_market_ns as f64, span.0 as f64).map(|r| r.min(1.0)),
        costs: costs(log, tally),
        by_strategy: attribution(log, tally, |strategy, _| strategy_name(log, strategy)),
        by_instrument: attribution(log, tally, |_, symbol| symbol.to_owned()),
        performance,
        series,
    })
}

/// The end of the run, or of its samples where a log does not say.
fn end_of(line: &EquityLine, to: UnixNanos) -> UnixNanos {
    line.points.last().map_or(to, |p| to.max(p.at))
}

fn span_of(line: &EquityLine, to: UnixNanos) -> Nanos {
    line.points.first().map_or(Nanos::ZERO, |p| end_of(line, to) - p.at)
}

/// Figures of one line of worth in a run that ended at `to`, and the lists behind them. `None` without a sample.
pub fn performance(line: &EquityLine, to: UnixNanos, trials: Trials) -> Option<(Performance, Series)> {
    let (first, last) = (line.points.first()?, line.points.last()?);
    let (end, span) = (end_of(line, to), span_of(line, to));
    let period = Period::fitting(span, line.bucket);
    let returns = returns::changes(first.open.to_f64(), &returns::closes(&line.points, end, period));
    let values: Vec<f64> = returns.iter().map(|(_, r)| *r).collect();
    let moments = Moments::of(&values);
    let per_year = f64::from(period.per_year());
    let root = libm::sqrt(per_year);
    let total_return = first.open.is_positive().then(|| last.close.to_f64() / first.open.to_f64() - 1.0);
    let annual_return = total_return.filter(|_| span.0 >= Period::Day.nanos().0).and_then(|total| {
        let years = span.0 as f64 / YEAR_NS;
        finite(Some(if total <= -1.0 { -1.0 } else { libm::pow(1.0 + total, 1.0 / years) - 1.0 }))
    });
    let max_drawdown = Drawdown::of(&line.points, end, line.bucket);
    let sharpe = moments.and_then(|m| m.sharpe());
    let tail = stats::tail_risk(&values);
    let luck = |trials: Trials| {
        let (m, sharpe) = (moments?, sharpe?);
        let variance = trials.sharpe_variance.or_else(|| normal::sharpe_variance(sharpe, &m))?;
        normal::probabilistic_sharpe(sharpe, normal::expected_best_sharpe(trials.count, variance), &m)
    };
    let performance = Performance {
        start_equity: first.open,
        end_equity: last.close,
        net_profit: last.close - first.open,
        period,
        periods: values.len(),
        periods_per_year: period.per_year(),
        total_return: finite(total_return),
        annual_return,
        volatility: moments.and_then(|m| m.deviation).map(|d| d * root),
        sharpe: sharpe.map(|s| s * root),
        sortino: stats::sortino(&values).map(|s| s * root),
        calmar: annual_return.and_then(|r| ratio(r, max_drawdown.ratio)),
        max_drawdown,
        mean_return: moments.map(|m| m.mean),
        best_return: values.iter().copied().reduce(f64::max),
        worst_return: values.iter().copied().reduce(f64::min),
        positive_periods: ratio(values.iter().filter(|r| **r > 0.0).count() as f64, values.len() as f64),
        skew: moments.and_then(|m| m.skew),
        kurtosis: moments.and_then(|m| m.kurtosis),
        var_95: tail.map(|(var, _)| var),
        cvar_95: tail.map(|(_, cvar)| cvar),
        sharpe_per_period: sharpe,
        probabilistic_sharpe: luck(Trials::default()),
        deflated_sharpe: luck(trials),
        trials: trials.count.max(1),
    };
    let rolling_sharpe = rolling_sharpe(&returns, period);
    Some((performance, Series { histogram: Histogram::of(&values), rolling_sharpe, returns }))
}

fn rolling_sharpe(returns: &[(UnixNanos, f64)], period: Period) -> Vec<(UnixNanos, Option<f64>)> {
    let root = libm::sqrt(f64::from(period.per_year()));
    let windows = returns.windows(period.window());
    windows
        .map(|window| {
            let values: Vec<f64> = window.iter().map(|(_, r)| *r).collect();
            let sharpe = Moments::of(&values).and_then(|m| m.sharpe()).map(|s| s * root);
            (window[window.len() - 1].0, sharpe)
        })
        .collect()
}

fn accounts(log: &RunLog, trials: Trials) -> BTreeMap<String, Performance> {
    let lines = log.equity.iter().filter(|_| log.facts.accounts.len() > 1);
    let named = lines.filter_map(|line| Some((log.facts.accounts.get(line.account?.0 as usize)?.name.clone(), line)));
    named.filter_map(|(name, line)| Some((name, performance(line, log.facts.to, trials)?.0))).collect()
}

fn turnover(log: &RunLog, tally: &Tally, currency: Currency, line: &EquityLine) -> Option<f64> {
    let mut volume = Decimal::ZERO;
    for part in tally.parts.iter().filter(|p| !p.volume.is_zero()) {
        if log.facts.instruments.get(part.instrument).quote != currency {
            return None;
        }
        volume += part.volume;
    }
    let end = end_of(line, log.facts.to);
    let closes = returns::closes(&line.points, end, Period::fitting(span_of(line, end), line.bucket));
    let mean = closes.iter().map(|c| c.equity).sum::<f64>() / closes.len() as f64;
    if mean > 0.0 { ratio(volume.to_f64(), mean) } else { None }
}
