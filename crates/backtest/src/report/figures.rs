//! The figures of a run as a page shows them: with names, units and formulas.
//! Never: computes a figure; `crate::metrics` does, and `summary.json` holds the same ones.

use super::spread::name;
use crate::metrics::{Metrics, Performance};
use ctos_types::{Currency, Decimal};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Money,
    /// A fraction of one.
    Percent,
    Ratio,
    Count,
    /// Seconds.
    Duration,
    Probability,
}

#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub key: &'static str,
    pub group: &'static str,
    pub label: &'static str,
    /// `None`: not defined for this run.
    pub value: Option<f64>,
    pub unit: Unit,
    /// 1: more is better, -1: less is better, 0: neither.
    pub good: i8,
    /// Whether its sign is a gain or a loss.
    pub signed: bool,
    pub formula: &'static str,
}

/// How returns were sampled and annualised, in words.
pub fn period(m: &Metrics) -> String {
    let p = &m.performance;
    format!("{} returns of one {}, {} of which make a year", p.periods, name(p.period), p.periods_per_year)
}

/// All figures in the order in which they are shown.
pub fn figures(m: &Metrics) -> Vec<Figure> {
    let mut list = Vec::with_capacity(48);
    earned(&mut list, &m.performance);
    risked(&mut list, &m.performance);
    traded(&mut list, m);
    spent(&mut list, m);
    list
}

struct Group<'a> {
    list: &'a mut Vec<Figure>,
    name: &'static str,
}

impl Group<'_> {
    fn add(
        &mut self,
        key: &'static str,
        label: &'static str,
        value: Option<f64>,
        unit: Unit,
        good: i8,
        formula: &'static str,
    ) -> &mut Self {
        let value = value.filter(|v| v.is_finite());
        self.list.push(Figure { key, group: self.name, label, value, unit, good, signed: false, formula });
        self
    }

    /// The last figure's sign is a gain or a loss.
    fn signed(&mut self) -> &mut Self {
        if let Some(last) = self.list.last_mut() {
            last.signed = true;
        }
        self
    }
}

fn money(v: Option<Decimal>) -> Option<f64> {
    v.map(Decimal::to_f64)
}

fn earned(list: &mut Vec<Figure>, p: &Performance) {
    use Unit::{Money, Percent};
    Group { list, name: "Return" }
        .add("net_profit", "Net profit", Some(p.net_profit.to_f64()), Money, 1, "last worth less first worth")
        .signed()
        .add("total_return", "Total return", p.total_return, Percent, 1, "last worth / first worth - 1")
        .signed()
        .add(
            "annual_return",
            "Annual return",
            p.annual_return,
            Percent,
            1,
            "(1 + total return) ^ (365 days / length) - 1",
        )
        .signed()
        .add("mean_return", "Mean return a period", p.mean_return, Percent, 1, "mean of the returns")
        .signed()
        .add("best_return", "Best period", p.best_return, Percent, 1, "largest return of one period")
        .signed()
        .add("worst_return", "Worst period", p.worst_return, Percent, 1, "smallest return of one period")
        .signed()
        .add("positive_periods", "Positive periods", p.positive_periods, Percent, 1, "share of returns above zero");
}

fn risked(list: &mut Vec<Figure>, p: &Performance) {
    use Unit::{Duration, Money, Percent, Probability, Ratio};
    let d = &p.max_drawdown;
    Group { list, name: "Risk" }
        .add("volatility", "Volatility", p.volatility, Percent, -1, "deviation of returns x root of periods a year")
        .add(
            "max_drawdown",
            "Max drawdown",
            Some(-d.ratio),
            Percent,
            1,
            "largest fall from the highest worth so far, as a share of it",
        )
        .signed()
        .add(
            "max_drawdown_amount",
            "Max drawdown, amount",
            Some(-d.amount.to_f64()),
            Money,
            1,
            "largest fall from the highest worth so far",
        )
        .signed()
        .add(
            "max_drawdown_s",
            "Its length",
            Some(d.length_s as f64),
            Duration,
            -1,
            "from the high before it until that was reached again, or the end",
        )
        .add(
            "longest_drawdown_s",
            "Longest drawdown",
            Some(d.longest_s as f64),
            Duration,
            -1,
            "longest time from a high until it was reached again, or the end",
        )
        .add("var_95", "VaR 95 %", p.var_95, Percent, -1, "loss that 5 % of the periods reach")
        .add("cvar_95", "CVaR 95 %", p.cvar_95, Percent, -1, "mean loss of those 5 % of the periods");
    Group { list, name: "Return for risk" }
        .add(
            "sharpe",
            "Sharpe",
            p.sharpe,
            Ratio,
            1,
            "mean / deviation of returns x root of periods a year; riskless rate zero",
        )
        .add("sortino", "Sortino", p.sortino, Ratio, 1, "mean / downside deviation of returns x root of periods a year")
        .add("calmar", "Calmar", p.calmar, Ratio, 1, "annual return / max drawdown")
        .add("skew", "Skew", p.skew, Ratio, 1, "third standardised moment of returns")
        .add("kurtosis", "Kurtosis", p.kurtosis, Ratio, -1, "fourth standardised moment of returns; 3 is normal")
        .add(
            "probabilistic_sharpe",
            "Probabilistic Sharpe",
            p.probabilistic_sharpe,
            Probability,
            1,
            "probability that the true Sharpe is above zero",
        )
        .add(
            "deflated_sharpe",
            "Deflated Sharpe",
            p.deflated_sharpe,
            Probability,
            1,
            "probability that the true Sharpe is above what the best of as many worthless trials would show",
        )
        .add(
            "trials",
            "Trials",
            Some(p.trials as f64),
            Unit::Count,
            0,
            "variants that were tried before this one was chosen",
        );
}

fn traded(list: &mut Vec<Figure>, m: &Metrics) {
    use Unit::{Count, Duration, Money, Percent, Ratio};
    let t = &m.trades;
    Group { list, name: "Trades" }
        .add("trades", "Closed trades", Some(t.count as f64), Count, 0, "round trips, or closed parts of them")
        .add("win_rate", "Win rate", t.win_rate, Percent, 1, "share of trades with a positive net profit")
        .add("profit_factor", "Profit factor", t.profit_factor, Ratio, 1, "sum of wins / sum of losses")
        .add("expectancy", "Expectancy", money(t.expectancy), Money, 1, "mean net profit of a trade")
        .signed()
        .add("avg_win", "Average win", money(t.avg_win), Money, 1, "mean of winning trades")
        .add("avg_loss", "Average loss", money(t.avg_loss), Money, -1, "mean of losing trades")
        .add("payoff", "Payoff", t.payoff, Ratio, 1, "average win / average loss")
        .add("best", "Best trade", money(t.best), Money, 1, "largest net profit of a trade")
        .add("worst", "Worst trade", money(t.worst).map(|v| -v), Money, 1, "largest net loss of a trade")
        .signed()
        .add("avg_held_s", "Average time held", t.avg_held_s, Duration, 0, "mean time from entry to exit");
    Group { list, name: "Activity" }
        .add("fills", "Fills", Some(m.fills as f64), Count, 0, "executions")
        .add("maker_share", "Maker fills", m.maker_share, Percent, 0, "share of the fills that added liquidity")
        .add("turnover", "Turnover", m.turnover, Ratio, 0, "traded value / mean worth")
        .add("annual_turnover", "Turnover a year", m.annual_turnover, Ratio, 0, "the same for 365 days")
        .add(
            "exposure",
            "Mean exposure",
            m.exposure,
            Percent,
            0,
            "value of all positions, unsigned, / worth, over time",
        )
        .add("max_exposure", "Largest exposure", m.max_exposure, Percent, -1, "largest such share")
        .add(
            "time_in_market",
            "Time in market",
            m.time_in_market,
            Percent,
            0,
            "share of the time with any position open",
        );
}

fn spent(list: &mut Vec<Figure>, m: &Metrics) {
    use Unit::Money;
    let of = |sums: &BTreeMap<Currency, Decimal>| Some(sums.get(&m.currency).map_or(0.0, |v| v.to_f64()));
    let c = &m.costs;
    Group { list, name: "Costs" }
        .add("fees", "Fees", of(&c.fees_settled), Money, -1, "commissions less rebates")
        .add(
            "slippage",
            "Slippage",
            of(&c.slippage),
            Money,
            -1,
            "what fills were worse than the mid price when their order was sent",
        )
        .add("funding", "Funding received", of(&c.funding), Money, 1, "received less paid")
        .signed();
}
