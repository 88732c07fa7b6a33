//! Trades, costs and profits by strategy and by instrument.
//! Never: adds amounts of different currencies.

use super::stats::ratio;
use super::{Attribution, Costs, TradeFigures};
use crate::log::{OpenRow, Part, RunLog, Tally, TradeSums};
use ctos_types::{Currency, Decimal, Rounding, StrategyId};
use std::collections::BTreeMap;

/// Closed trades by settlement currency.
pub fn trade_sums(log: &RunLog, tally: &Tally) -> BTreeMap<Currency, TradeSums> {
    let mut sums: BTreeMap<Currency, TradeSums> = BTreeMap::new();
    for part in &tally.parts {
        if part.trades.count > 0 {
            sums.entry(log.facts.instruments.get(part.instrument).settle()).or_default().merge(&part.trades);
        }
    }
    sums
}

pub fn costs(log: &RunLog, tally: &Tally) -> Costs {
    let mut costs = Costs { fees: tally.fees.clone(), ..Costs::default() };
    for part in &tally.parts {
        let settle = log.facts.instruments.get(part.instrument).settle();
        *costs.fees_settled.entry(settle).or_default() += part.fees;
        costs.fees_unknown += part.fees_unknown;
        *costs.slippage.entry(settle).or_default() += part.slippage;
        costs.slippage_unknown += part.slippage_unknown;
        *costs.funding.entry(settle).or_default() += part.funding;
    }
    costs
}

pub fn strategy_name(log: &RunLog, id: StrategyId) -> String {
    log.facts.strategies.get(id.0 as usize).map_or("EXTERNAL".into(), |s| s.id.clone())
}

/// Parts and open positions of one name.
#[derive(Default)]
struct Group<'a> {
    parts: Vec<&'a Part>,
    open: Vec<&'a OpenRow>,
}

/// Sums the parts by a name and settlement currency.
pub fn attribution(log: &RunLog, tally: &Tally, name: impl Fn(StrategyId, &str) -> String) -> Vec<Attribution> {
    let mut groups: BTreeMap<(String, Currency), Group<'_>> = BTreeMap::new();
    let mut order = Vec::new();
    let instrument = |id| log.facts.instruments.get(id);
    for part in &tally.parts {
        let i = instrument(part.instrument);
        let key = (name(part.strategy, i.symbol.as_str()), i.settle());
        if !groups.contains_key(&key) {
            order.push(key.clone());
        }
        groups.entry(key).or_default().parts.push(part);
    }
    for open in &tally.open {
        let i = instrument(open.instrument);
        if let Some(group) = groups.get_mut(&(name(open.strategy, i.symbol.as_str()), i.settle())) {
            group.open.push(open);
        }
    }
    let one = |key: (String, Currency)| {
        let Group { parts, open } = &groups[&key];
        let sum = |of: fn(&Part) -> Decimal| parts.iter().map(|p| of(p)).sum::<Decimal>();
        let mut trades = TradeSums::default();
        parts.iter().for_each(|p| trades.merge(&p.trades));
        let (realized, fees, funding) = (sum(|p| p.realized), sum(|p| p.fees), sum(|p| p.funding));
        let unrealized = open.iter().map(|o| o.unrealized).sum::<Option<Decimal>>();
        Attribution {
            currency: key.1,
            fills: parts.iter().map(|p| p.fills).sum(),
            volume: sum(|p| p.volume),
            realized,
            unrealized,
            fees,
            funding,
            slippage: sum(|p| p.slippage),
            net: unrealized.map(|u| realized + u - fees + funding),
            trades: TradeFigures::of(key.1, &trades),
            name: key.0,
        }
    };
    order.into_iter().map(one).collect()
}

impl TradeFigures {
    pub fn of(currency: Currency, t: &TradeSums) -> TradeFigures {
        let mean = |sum: Decimal, n: u64| sum.mul_ratio(1, n as i64, Rounding::HalfEven).ok();
        let (avg_win, avg_loss) = (mean(t.won, t.wins), mean(t.lost, t.losses));
        TradeFigures {
            currency,
            count: t.count,
            wins: t.wins,
            losses: t.losses,
            win_rate: ratio(t.wins as f64, t.count as f64),
            profit_factor: ratio(t.won.to_f64(), t.lost.to_f64()),
            expectancy: mean(t.won - t.lost, t.count),
            avg_win,
            avg_loss,
            best: (t.wins > 0).then_some(t.best),
            worst: (t.losses > 0).then_some(t.worst),
            payoff: avg_win.zip(avg_loss).and_then(|(win, loss)| ratio(win.to_f64(), loss.to_f64())),
            avg_held_s: ratio(t.held_ns as f64 / 1e9, t.count as f64),
        }
    }
}
