//! The future cannot be seen: whatever comes after a moment is shuffled, and everything until then stays as it was.
//! Never: looks at results alone; the whole trace of a run is compared, input by input.

mod market;
mod peek;

use ctos_backtest::run::{self, Span};
use ctos_kernel::{Audit, Kernel, OrderChange};
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::market::Opened;
use ctos_runtime::shard::Observer;
use ctos_runtime::world::Catalog;
use ctos_types::{ClientOrderId, Price, UnixNanos};
use market::{Entry, Kind};
use std::collections::BTreeMap;

/// What happened in one step, and what had been sent by its end.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    seq: u64,
    at: UnixNanos,
    audits: Vec<String>,
    command_hash: String,
}

#[derive(Debug, Default)]
struct Trace(Vec<Step>);

impl Observer for Trace {
    fn on_step(&mut self, seq: u64, at: UnixNanos, audits: &mut Vec<Audit>, kernel: &Kernel) {
        let audits = audits.iter().map(|a| format!("{a:?}")).collect();
        self.0.push(Step { seq, at, audits, command_hash: kernel.command_hash() });
    }
}

/// A strategy as the command line would name it.
struct Case {
    name: &'static str,
    params: &'static [(&'static str, &'static str)],
}

fn settings(case: &Case) -> Settings {
    let mut layers = Layers::new();
    let home = std::env::temp_dir().join("ctos-look-ahead-is-never-made");
    for (path, text) in [
        ("home", home.to_str().unwrap()),
        ("market", "synthetic"),
        ("symbols", "sim:BTC-USDT-PERP,sim:ETH-USDT-PERP"),
        ("api.enabled", "false"),
        // Bars are a minute apart: nothing that is decided between them is to be refused for that.
        ("risk.stale_after", "off"),
    ] {
        layers.flag("--conf", path, text);
    }
    layers.flag_strategy(case.name);
    for (key, text) in case.params {
        layers.flag_param(key, text);
    }
    Settings::resolve(&layers).unwrap()
}

fn observe<O: Observer>(case: &Case, entries: &[Entry], observer: O) -> O {
    let source = Box::new(market::tape(entries));
    let opened = Opened { source, report: serde_json::Value::Null, notices: Vec::new() };
    peek::lay_open(entries);
    let catalog = Catalog::with(&peek::PROGRAMS);
    run::run(&settings(case), catalog, opened, Span::default(), observer, &mut |_| true).unwrap().observer
}

fn trace(case: &Case, entries: &[Entry]) -> Vec<Step> {
    observe(case, entries, Trace::default()).0
}

/// Everything up to and at `t`.
fn until(trace: &[Step], t: UnixNanos) -> &[Step] {
    &trace[..trace.partition_point(|s| s.at <= t)]
}

/// Moments all over the data at which the future is shuffled: on bars' closes, just before, and in between.
fn moments(entries: &[Entry]) -> Vec<UnixNanos> {
    let n = entries.len();
    let close = |share: usize| entries[n * share / 100].at;
    vec![close(20), UnixNanos(close(45).0 - 1), UnixNanos(close(60).0 + 30_000_000_000), close(90)]
}

/// How many orders left within a trace.
fn sent(trace: &[Step]) -> usize {
    trace.iter().flat_map(|s| &s.audits).filter(|a| a.contains("change: Sent")).count()
}

/// Shuffles the future at several moments. Says whether any part of a past changed.
fn sees_the_future(case: &Case, kind: Kind, seed: u64) -> bool {
    let entries = market::entries(kind, seed);
    let whole = trace(case, &entries);
    let mut seen = false;
    for t in moments(&entries) {
        let other = market::shuffled_after(&entries, t, seed);
        assert_ne!(entries, other, "nothing was shuffled");
        let changed = trace(case, &other);
        let (before, after) = (until(&whole, t), until(&changed, t));
        assert!(before.len() < whole.len() && sent(before) > 0, "{}: nothing was decided until {t}", case.name);
        assert_ne!(whole, changed, "{}: the future of {t} has no effect at all", case.name);
        seen |= before != after;
    }
    seen
}

const MA_CROSS: Case = Case { name: "ma_cross", params: &[("fast", "3"), ("slow", "8")] };
const MA_CROSS_5M: Case = Case { name: "ma_cross", params: &[("fast", "1"), ("slow", "3"), ("interval", "5m")] };
const MEAN_REVERSION: Case =
    Case { name: "mean_reversion", params: &[("lookback", "10"), ("entry_z", "1.2"), ("stop_z", "2.9")] };
const GRID_ALL: Case = Case {
    name: "grid_all",
    params: &[
        ("order_amount", "200"),
        ("buy_step", "0.997"),
        ("sell_step", "1.003"),
        ("buy_move", "0.998"),
        ("sell_move", "1.002"),
    ],
};
const GRID: Case = Case { name: "grid", params: &[("spacing", "0.2"), ("levels", "4")] };
const PEEKER: Case = Case { name: "peeker", params: &[] };
const ORACLE: Case = Case { name: "oracle", params: &[] };
const ON_EACH_BAR: Case = Case { name: "on_each_bar", params: &[] };

#[test]
fn built_in_strategies_on_bars_decide_by_the_past_alone() {
    for case in [MA_CROSS, MA_CROSS_5M, MEAN_REVERSION, GRID_ALL, GRID] {
        for seed in [1, 2, 3] {
            assert!(!sees_the_future(&case, Kind::Bars, seed), "{} on seed {seed}", case.name);
        }
    }
}

#[test]
fn built_in_strategies_on_trades_and_quotes_decide_by_the_past_alone() {
    for case in [MA_CROSS, MEAN_REVERSION, GRID_ALL, GRID] {
        assert!(!sees_the_future(&case, Kind::TradesAndQuotes, 4), "{}", case.name);
    }
}

#[test]
fn a_strategy_that_asks_everything_in_every_callback_finds_nothing_of_the_future() {
    for seed in [1, 2, 3] {
        assert!(!sees_the_future(&PEEKER, Kind::Bars, seed), "bars, seed {seed}");
        assert!(!sees_the_future(&PEEKER, Kind::TradesAndQuotes, seed), "trades and quotes, seed {seed}");
    }
}

#[test]
fn this_test_finds_a_strategy_that_does_know_the_future() {
    // It gets the data past the kernel, which no strategy can outside of this test.
    assert!(sees_the_future(&ORACLE, Kind::Bars, 1));
    assert!(sees_the_future(&ORACLE, Kind::TradesAndQuotes, 1));
}

/// When each order left, and what it traded at.
#[derive(Debug, Default)]
struct Orders {
    sent: BTreeMap<ClientOrderId, UnixNanos>,
    fills: Vec<(ClientOrderId, Price)>,
}

impl Observer for Orders {
    fn on_step(&mut self, _: u64, at: UnixNanos, audits: &mut Vec<Audit>, _: &Kernel) {
        for audit in audits.iter() {
            match audit {
                Audit::Order { order, change: OrderChange::Sent } => _ = self.sent.insert(order.id(), at),
                Audit::Fill { order: Some(id), fill, .. } => self.fills.push((*id, fill.last_px)),
                _ => {}
            }
        }
    }
}

#[test]
fn an_order_that_a_closed_bar_caused_trades_in_a_bar_that_had_not_closed_then() {
    const BARS: i64 = 200;
    let entries = market::staircase(BARS);
    for (case, least) in [(ON_EACH_BAR, 190), (MA_CROSS, 20)] {
        let orders = observe(&case, &entries, Orders::default());
        for (id, price) in &orders.fills {
            let closed = market::closed_bars(&entries, orders.sent[id]);
            let bar = market::bar_of(*price, BARS);
            assert_eq!(bar, closed, "{}: a fill of bar {bar} by an order sent when {closed} were closed", case.name);
        }
        assert!(orders.fills.len() >= least, "{}: {}", case.name, orders.fills.len());
    }
}
