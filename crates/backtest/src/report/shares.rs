//! Who earned and what it cost: profit by strategy and instrument, and the way from prices seen to money kept.
//! Never: adds amounts of different currencies; what counts in another one is named, not guessed.

use super::data::{CostRow, Costs, ShareRow, Shares};
use super::text;
use crate::log::RunLog;
use crate::metrics::{Attribution, Metrics};
use ctos_types::{Currency, Decimal, StrategyId};
use std::collections::BTreeMap;

pub fn strategy_name(log: &RunLog, id: StrategyId) -> String {
    log.facts.strategies.get(usize::from(id.0)).map_or_else(|| "EXTERNAL".to_owned(), |s| s.id.clone())
}

pub fn shares(m: &Metrics) -> Shares {
    let rows = |list: &[Attribution]| {
        let mut rows: Vec<ShareRow> = list.iter().map(row).collect();
        // The run's own currency first, the best of it on top.
        let main = m.currency.to_string();
        let net = |r: &ShareRow| r.net.unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|a, b| {
            (a.currency != main, &a.currency).cmp(&(b.currency != main, &b.currency)).then(net(b).total_cmp(&net(a)))
        });
        rows
    };
    Shares { strategies: rows(&m.by_strategy), instruments: rows(&m.by_instrument) }
}

fn row(a: &Attribution) -> ShareRow {
    ShareRow {
        name: a.name.clone(),
        currency: a.currency.to_string(),
        trades: a.trades.count,
        win_rate: a.trades.win_rate,
        volume: a.volume.to_f64(),
        gross: a.unrealized.map(|u| a.realized.to_f64() + u.to_f64()),
        fees: a.fees.to_f64(),
        slippage: a.slippage.to_f64(),
        funding: a.funding.to_f64(),
        net: a.net.map(Decimal::to_f64),
    }
}

/// From the profit at the prices seen when ordering, over slippage, fees and funding, to the change of worth.
pub fn costs(m: &Metrics) -> Costs {
    let mine: Vec<&Attribution> = m.by_instrument.iter().filter(|a| a.currency == m.currency).collect();
    let note = left_out(m);
    if m.fills == 0 || mine.is_empty() {
        return Costs { rows: Vec::new(), note };
    }
    let of = |sums: &BTreeMap<Currency, Decimal>| sums.get(&m.currency).map_or(0.0, |v| v.to_f64());
    let (slippage, fees, funding) = (of(&m.costs.slippage), of(&m.costs.fees_settled), of(&m.costs.funding));
    // A position without a price counts for nothing here; its change of worth shows up as `Other`.
    let gross: f64 = mine.iter().map(|a| a.realized.to_f64() + a.unrealized.map_or(0.0, Decimal::to_f64)).sum();
    let net = gross - fees + funding;
    let row = |label, amount, total, note| CostRow { label, amount, total, note };
    let mut rows = vec![
        row(
            "At the mid price",
            gross + slippage,
            true,
            "profit had every fill been at the mid price seen when its order was sent",
        ),
        row(
            "Slippage",
            -slippage,
            false,
            "what fills were worse than that mid price: half a spread for an order that takes",
        ),
        row("Fees", -fees, false, "commissions less rebates"),
    ];
    if funding != 0.0 {
        rows.push(row("Funding", funding, false, "received less paid"));
    }
    rows.push(row("Profit", net, true, "realised and open profit after all costs"));
    let p = &m.performance;
    let change = p.net_profit.to_f64();
    let scale = p.start_equity.to_f64().abs().max(net.abs());
    if (change - net).abs() > scale * 1e-6 {
        let why =
            "coins held from the start, interest, other currencies, and prices between the last sample and the end";
        rows.push(row("Other", change - net, false, why));
        rows.push(row("Change of equity", change, true, "last worth less first worth"));
    }
    Costs { rows, note }
}

/// What the sums do not hold, in words.
fn left_out(m: &Metrics) -> String {
    let mut notes = Vec::new();
    let mut others: Vec<String> =
        m.by_instrument.iter().filter(|a| a.currency != m.currency).map(|a| a.currency.to_string()).collect();
    if !others.is_empty() {
        others.sort();
        others.dedup();
        notes.push(format!("Not in these sums: what was earned in {}.", others.join(", ")));
    }
    if m.costs.slippage_unknown > 0 {
        let n = text::count(m.costs.slippage_unknown);
        notes.push(format!("Fills without a price to measure slippage against: {n}."));
    }
    if m.costs.fees_unknown > 0 {
        let n = text::count(m.costs.fees_unknown);
        notes.push(format!("Fills whose fee is missing because nothing priced its currency: {n}."));
    }
    if let Some(share) = m.maker_share {
        notes.push(format!("{:.0} % of {} fills were maker.", share * 100.0, text::count(m.fills)));
    }
    notes.join(" ")
}
