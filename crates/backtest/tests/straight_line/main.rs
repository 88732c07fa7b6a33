//! A backtest equals, trade for trade and to the last digit, what a straight line of arithmetic computes.
//! Never: a tolerance.

mod own;

use ctos_backtest::whole::{Request, backtest};
use ctos_runtime::config::{Layers, Settings};
use ctos_strategies::Catalog;
use ctos_types::Nanos;
use own::{Fill, Outcome, PLACES, PX_PLACES, QTY_PLACES, Rules, Trade, number, time};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const START: i128 = 100_000;

fn file() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bars/btc_perp_1m_2022-01.csv");
    if path.is_file() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
    eprintln!("skipped: {} is absent", path.display());
    None
}

fn settings(file: &Path, home: &Path, rules: &Rules) -> Settings {
    let mut layers = Layers::new();
    let span = |ms: i64| format!("constant:{ms}ms");
    for (path, text) in [
        ("home", home.display().to_string()),
        ("market", format!("replay:{}", file.display())),
        ("api.enabled", "false".into()),
        ("venue.bar_slippage_ticks", rules.slippage.to_string()),
        ("venue.latency.feed", span(rules.feed)),
        ("venue.latency.order", span(rules.order)),
        ("venue.latency.response", span(rules.response)),
        ("risk.daily_loss", "off".into()),
        ("risk.max_drawdown_pct", "off".into()),
    ] {
        layers.flag("--conf", path, &text);
    }
    layers.flag_balance("USDT", &START.to_string());
    layers.flag_strategy("ma_cross");
    let (fast, slow) = (rules.fast.to_string(), rules.slow.to_string());
    let direction = if rules.shorts { "both" } else { "long" };
    for (key, text) in
        [("kind", "ema"), ("fast", &fast), ("slow", &slow), ("direction", direction), ("order_amount", "1000")]
    {
        layers.flag_param(key, text);
    }
    Settings::resolve(&layers).unwrap()
}

/// The rows of a CSV table by column name.
fn table(folder: &Path, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| names.iter().map(|n| n.to_string()).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

fn fill(row: &BTreeMap<String, String>) -> Fill {
    assert_eq!(
        (row["liquidity"].as_str(), row["fee_currency"].as_str(), &row["fee"]),
        ("taker", "USDT", &row["fee_value"])
    );
    Fill {
        at: time(&row["at"]),
        buy: row["side"] == "buy",
        px: number(&row["price"], PX_PLACES),
        qty: number(&row["qty"], QTY_PLACES),
        fee: number(&row["fee"], PLACES),
        realized: number(&row["realized"], PLACES),
    }
}

#[track_caller]
fn same_trade(row: &BTreeMap<String, String>, want: &Trade) {
    assert_eq!(row["side"] == "buy", want.entry.buy, "{row:?}");
    assert_eq!((time(&row["entry_at"]), time(&row["exit_at"])), (want.entry.at, want.exit.at), "{row:?}");
    assert_eq!(number(&row["qty"], QTY_PLACES), want.entry.qty, "{row:?}");
    assert_eq!(number(&row["entry_px"], PX_PLACES), want.entry.px, "{row:?}");
    assert_eq!(number(&row["exit_px"], PX_PLACES), want.exit.px, "{row:?}");
    for (key, amount) in [("gross", want.exit.realized), ("fees", want.fees()), ("funding", 0), ("net", want.net())] {
        assert_eq!(number(&row[key], PLACES), amount, "{key} of {row:?}");
    }
}

#[track_caller]
fn same_sums(summary: &Value, want: &Outcome) {
    let amount = |v: &Value| number(v.as_str().unwrap_or_else(|| panic!("{v} in {summary}")), PLACES);
    assert_eq!(amount(&summary["fees"]["USDT"]), want.fees);
    assert_eq!(amount(&summary["realized_pnl"]["USDT"]), want.realized);
    assert_eq!(amount(&summary["unrealized_pnl"]["USDT"]), want.unrealized);
    assert_eq!(amount(&summary["volume"]["USDT"]), want.volume);
    let end = START * 10i128.pow(PLACES) + want.realized + want.unrealized - want.fees;
    assert_eq!(amount(&summary["equity"]["main"]["USDT"]["end"]), end);
    assert_eq!(amount(&summary["metrics"]["end_equity"]), end);
    assert_eq!(summary["fills"], want.fills.len());
    assert_eq!(summary["trades"], want.trades.len());
    assert_eq!(summary["denied_by"], serde_json::json!({}));
}

/// Runs both and compares everything, of at least so many trades; the backtest's fills.
fn compare(rules: &Rules, least: usize) -> Option<Vec<Fill>> {
    let file = file()?;
    let want = own::run(&own::bars(&file), rules);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    let request = Request {
        settings: settings(&file, &dir.path().join("home"), rules),
        from: None,
        to: None,
        warm_up: Nanos::ZERO,
        folder: Some(folder.clone()),
        pessimistic: false,
    };
    let done = backtest(&request, Catalog::default(), &mut |_| true).unwrap().unwrap();
    let fills: Vec<Fill> = table(&folder, "fills.csv").iter().map(fill).collect();
    for (n, (is, want)) in fills.iter().zip(&want.fills).enumerate() {
        assert_eq!(is, want, "fill {n} of {rules:?}");
    }
    assert_eq!(fills.len(), want.fills.len());
    let trades = table(&folder, "trades.csv");
    assert_eq!(trades.len(), want.trades.len());
    assert!(trades.len() >= least, "{} trades", trades.len());
    trades.iter().zip(&want.trades).for_each(|(row, want)| same_trade(row, want));
    same_sums(&done.summary, &want);
    Some(fills)
}

/// Nothing takes time: what a closed bar decides trades at the next bar's open.
const AT_ONCE: Rules = Rules { fast: 10, slow: 20, shorts: true, slippage: 1, feed: 0, order: 0, response: 0 };

#[test]
fn orders_that_need_no_time_trade_at_the_next_open() {
    compare(&AT_ONCE, 1_500);
}

#[test]
fn the_usual_latencies_miss_the_open_and_trade_at_the_close() {
    compare(&Rules { feed: 2, order: 5, response: 5, ..AT_ONCE }, 1_500);
}

#[test]
fn longs_alone_with_more_slippage() {
    compare(&Rules { shorts: false, slippage: 250, ..AT_ONCE }, 750);
}

#[test]
fn orders_slower_than_a_bar() {
    compare(&Rules { feed: 100, order: 60_000, response: 9_000, ..AT_ONCE }, 500);
}

/// A closed bar's signal never trades inside the bar that made it, nor at a moment before the strategy knew of it.
#[test]
fn no_fill_comes_from_the_bar_that_decided_it() {
    let Some(file) = file() else { return };
    let bars = own::bars(&file);
    for rules in [AT_ONCE, Rules { feed: 2, order: 5, response: 5, ..AT_ONCE }] {
        let Some(fills) = compare(&rules, 1_500) else { return };
        let minute = 60_000_000_000;
        for fill in &fills {
            // The bar whose path it traded on, and the first average that could have asked for it.
            let closed = fill.at - rules.response * 1_000_000;
            let n = bars.binary_search_by_key(&(closed - minute), |b| b.open_time).expect("it trades when a bar ends");
            let slip = |px: i128| (px + if fill.buy { 1 } else { -1 }).clamp(bars[n].low, bars[n].high);
            let point = if rules.order == 0 { bars[n].open } else { bars[n].close };
            assert_eq!(fill.px, slip(point), "{fill:?}");
            assert!(n >= rules.slow, "{fill:?} is older than the averages");
        }
    }
}

/// The comparison would see a wrong digit: one tick of slippage more is another result.
#[test]
fn another_rule_is_another_result() {
    let Some(file) = file() else { return };
    let bars = own::bars(&file);
    let (one, two) = (own::run(&bars, &AT_ONCE), own::run(&bars, &Rules { slippage: 2, ..AT_ONCE }));
    assert_eq!(one.fills.len(), two.fills.len());
    assert!(one.fills.iter().zip(&two.fills).any(|(a, b)| a.px != b.px) && one.realized != two.realized);
}
