//! What a run reports at its end, and what `--json` prints.

use crate::shard::Shard;
use crate::stats::OrderCounts;
use ctos_types::{AccountId, Currency, Decimal, Leg};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Nanoseconds of one kernel step. Of this process only: a restart begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySummary {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl LatencySummary {
    /// Longest step that is told apart from longer ones, in nanoseconds: a minute.
    const LONGEST: u64 = 60_000_000_000;

    /// What steps are recorded in. It has its whole range from the start: a histogram that grows as it is needed takes
    /// what lies beyond its range for its upper end when it is told to clamp.
    pub fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, LatencySummary::LONGEST, 3).expect("a valid range and precision")
    }

    pub fn of(h: &Histogram<u64>) -> LatencySummary {
        let at = |q| h.value_at_quantile(q);
        LatencySummary { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: h.max() }
    }
}

/// Start and end worth in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EquitySummary {
    pub start: Decimal,
    pub end: Decimal,
}

/// A position that is not flat at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionSummary {
    pub account: String,
    pub symbol: String,
    pub leg: Leg,
    /// Signed, in the instrument's size unit.
    pub qty: Decimal,
    pub avg_px: Option<Decimal>,
    pub mark: Option<Decimal>,
    pub unrealized_pnl: Decimal,
}

/// One strategy's share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategySummary {
    pub id: String,
    pub state: String,
    pub fills: u64,
    pub volume: Decimal,
    pub realized_pnl: BTreeMap<Currency, Decimal>,
    pub unrealized_pnl: BTreeMap<Currency, Decimal>,
    pub fees: BTreeMap<Currency, Decimal>,
}

/// Figures of a run so far; at its end, of the whole run. Amounts are exact decimals as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub run_id: String,
    pub mode: String,
    pub market: String,
    /// Why the run ended; empty while it runs.
    pub ended: String,
    /// First and last market time, RFC 3339.
    pub from: String,
    pub to: String,
    /// Inputs the kernel took in, of every kind.
    pub events_in: u64,
    /// Market events among them.
    pub market_events: u64,
    /// Counts of the recording, when one was replayed.
    pub source: serde_json::Value,
    pub orders: OrderCounts,
    pub denied_by: BTreeMap<String, u64>,
    pub fills: u64,
    /// Traded value in quote currency.
    pub volume: BTreeMap<Currency, Decimal>,
    pub fees: BTreeMap<Currency, Decimal>,
    /// Before fees, funding included.
    pub realized_pnl: BTreeMap<Currency, Decimal>,
    pub unrealized_pnl: BTreeMap<Currency, Decimal>,
    pub equity: BTreeMap<String, BTreeMap<Currency, EquitySummary>>,
    pub balances: BTreeMap<String, BTreeMap<Currency, Decimal>>,
    pub positions: Vec<PositionSummary>,
    pub open_orders: u64,
    pub strategies: Vec<StrategySummary>,
    pub alarms: u64,
    pub input_hash: String,
    pub command_hash: String,
    pub step_latency_ns: LatencySummary,
}

/// What a summary cannot learn from the shard.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    pub run_id: String,
    pub mode: String,
    pub market: String,
    pub from: String,
    pub source: serde_json::Value,
}

impl Summary {
    pub fn of(shard: &Shard, facts: &RunFacts, ended: &str) -> Summary {
        let (kernel, stats) = (shard.kernel(), shard.stats());
        let mut sums = Sums::default();
        let strategies = strategies(shard, &mut sums);
        let account_name = |id: AccountId| kernel.accounts()[id.0 as usize].name.clone();
        let mut balances: BTreeMap<String, BTreeMap<Currency, Decimal>> = BTreeMap::new();
        for (account, currency, cash) in kernel.portfolio().all_cash() {
            balances.entry(account_name(account)).or_default().insert(currency, cash.ours);
        }
        let mut equity: BTreeMap<String, BTreeMap<Currency, EquitySummary>> = BTreeMap::new();
        for spec in kernel.accounts() {
            let end = kernel.equity(spec.id);
            let start = stats.equity_start.get(&spec.id.0).copied().unwrap_or(end);
            equity.entry(spec.name.clone()).or_default().insert(spec.reporting, EquitySummary { start, end });
        }
        let input_hash = shard.source_digest().iter().map(|b| format!("{b:02x}")).collect();
        Summary {
            run_id: facts.run_id.clone(),
            mode: facts.mode.clone(),
            market: facts.market.clone(),
            ended: ended.into(),
            from: facts.from.clone(),
            to: kernel.now().to_string(),
            events_in: stats.inputs.total(),
            market_events: stats.inputs.market(),
            source: facts.source.clone(),
            orders: stats.orders.clone(),
            denied_by: stats.denied_by.clone(),
            fills: stats.fills,
            volume: sums.volume,
            fees: sums.fees,
            realized_pnl: sums.realized,
            unrealized_pnl: sums.unrealized,
            equity,
            balances,
            positions: positions(shard),
            open_orders: kernel.orders().open_count() as u64,
            strategies,
            alarms: stats.alarms,
            input_hash,
            command_hash: kernel.command_hash(),
            step_latency_ns: LatencySummary::of(shard.latency()),
        }
    }
}

/// Sums over all strategies, by currency.
#[derive(Default)]
struct Sums {
    volume: BTreeMap<Currency, Decimal>,
    fees: BTreeMap<Currency, Decimal>,
    realized: BTreeMap<Currency, Decimal>,
    unrealized: BTreeMap<Currency, Decimal>,
}

fn add(map: &mut BTreeMap<Currency, Decimal>, currency: Currency, amount: Decimal) {
    *map.entry(currency).or_default() += amount;
}

fn strategies(shard: &Shard, sums: &mut Sums) -> Vec<StrategySummary> {
    let kernel = shard.kernel();
    let mut by_id: BTreeMap<u16, StrategySummary> = kernel
        .processes()
        .map(|p| (p.id.0, StrategySummary { id: p.label, state: state_text(&p.state), ..empty() }))
        .collect();
    for ((strategy, _, id, _), ledger) in kernel.portfolio().ledgers() {
        let instrument = kernel.instruments().get(id);
        let one = by_id.entry(strategy.0).or_insert_with(|| StrategySummary { id: "external".into(), ..empty() });
        let settle = instrument.settle();
        let mark = kernel.reference(id);
        let unrealized = mark.and_then(|m| ledger.position.unrealized(instrument, m).ok()).unwrap_or_default();
        one.fills += ledger.fills;
        one.volume += ledger.volume;
        for (currency, fee) in &ledger.fees {
            add(&mut one.fees, *currency, *fee);
            add(&mut sums.fees, *currency, *fee);
        }
        add(&mut one.realized_pnl, settle, ledger.realized + ledger.funding);
        add(&mut sums.realized, settle, ledger.realized + ledger.funding);
        add(&mut one.unrealized_pnl, settle, unrealized);
        add(&mut sums.unrealized, settle, unrealized);
        add(&mut sums.volume, instrument.quote, ledger.volume);
    }
    by_id.into_values().collect()
}

fn empty() -> StrategySummary {
    StrategySummary {
        id: String::new(),
        state: String::new(),
        fills: 0,
        volume: Decimal::ZERO,
        realized_pnl: BTreeMap::new(),
        unrealized_pnl: BTreeMap::new(),
        fees: BTreeMap::new(),
    }
}

/// One word for a strategy's state, with the reason of a failure.
pub fn state_text(state: &ctos_kernel::ProcessState) -> String {
    use ctos_kernel::ProcessState::{Created, Failed, Running, Stopped};
    match state {
        Created => "created".into(),
        Running => "running".into(),
        Stopped => "stopped".into(),
        Failed { reason } => format!("failed: {reason}"),
    }
}

/// Every position that is not flat.
pub fn positions(shard: &Shard) -> Vec<PositionSummary> {
    let kernel = shard.kernel();
    let open = kernel.portfolio().positions().filter(|(_, p)| !p.is_flat());
    open.map(|((account, id, leg), position)| {
        let (instrument, mark) = (kernel.instruments().get(id), kernel.reference(id));
        PositionSummary {
            account: kernel.accounts()[account.0 as usize].name.clone(),
            symbol: instrument.symbol.to_string(),
            leg,
            qty: instrument.qty_decimal(position.qty),
            avg_px: position.avg_px(instrument),
            mark,
            unrealized_pnl: mark.and_then(|m| position.unrealized(instrument, m).ok()).unwrap_or_default(),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_steps_are_told_as_long_as_they_were() {
        let mut h = LatencySummary::histogram();
        for nanos in [30, 900, 5_000, 7_000_000, 90_000_000_000] {
            h.saturating_record(nanos);
        }
        let told = LatencySummary::of(&h);
        let near = |a: u64, b: u64| a.abs_diff(b) * 1_000 <= b;
        assert!(near(told.p50, 5_000) && near(told.max, LatencySummary::LONGEST), "{told:?}");
        assert!(near(h.value_at_quantile(0.8), 7_000_000));
    }
}
