//! Whole sweeps on the real engine, over a small generated market.

use super::super::objective::Objective;
use super::super::output;
use super::super::schedule::{Outcome, run};
use super::super::split::{Part, Walk};
use super::super::store::Store;
use super::super::trial::Engine;
use super::*;
use ctos_runtime::config::Layers;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Minutes of a market that swings, with slow and fast waves.
fn bars(dir: &Path, minutes: i64) -> String {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let mut last = 40_000i64;
    for i in 0..minutes {
        let wave = |length: i64, high: i64| ((i % length) - length / 2).abs() * high / length;
        let close = 40_000 + wave(90, 900) + wave(37, 300) + (i * 7_919 % 101);
        let (high, low) = (last.max(close) + 15, last.min(close) - 15);
        writeln!(text, "{},{last},{high},{low},{close},12.5", 1_640_995_200_000 + i * 60_000).unwrap();
        last = close;
    }
    let path = dir.join("btc_perp_1m.csv");
    std::fs::write(&path, text).unwrap();
    format!("replay:{}", path.display())
}

fn request(market: &str, params: &[&str]) -> Request {
    let mut layers = Layers::new();
    layers.flag("--market", "market", market);
    layers.flag_strategy("ma_cross");
    Request {
        settings: Settings::resolve(&layers).unwrap(),
        params: params.iter().map(|p| p.to_string()).collect(),
        method: Method::Grid,
        trials: 12,
        batch: 4,
        scoring: Scoring { objective: Objective::Sharpe, min_trades: 0 },
        split: None,
        from: None,
        to: None,
        warm_up: None,
    }
}

fn go(request: &Request, dir: &Path, jobs: usize) -> (Sweep, Outcome) {
    let Prepared { sweep, engine } = prepare(request, Catalog::BUILT_IN).unwrap();
    let (mut store, finished) = Store::open(dir, &sweep, false).unwrap();
    let outcome = run(&sweep, &engine, &mut store, finished, jobs, &AtomicBool::new(false), &|_| ()).unwrap();
    output::write(dir, &sweep, &outcome, &[]).unwrap();
    (sweep, outcome)
}

#[track_caller]
fn refused(request: &Request, message: &str) {
    match prepare(request, Catalog::BUILT_IN) {
        Err(RunError::User(e)) => {
            assert!(e.message.contains(message), "{}", e.message);
            assert!(!e.hint.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

const FILES: [&str; 4] = ["trials.csv", "trials.parquet", "sweep.html", "summary.json"];

#[test]
fn one_job_and_two_write_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let market = bars(dir.path(), 1_200);
    let walk = Some(Split { folds: 2, walk: Walk::Rolling, train: 2 });
    for (method, split) in [(Method::Grid, None), (Method::Tpe, walk)] {
        let request = Request { method, split, ..request(&market, &["fast=2..8:2", "slow=6,12,20", "kind=sma,ema"]) };
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (sweep, outcome) = go(&request, one.path(), 1);
        go(&request, two.path(), 2);
        for file in FILES {
            let [a, b] = [&one, &two].map(|d| std::fs::read(d.path().join(file)).unwrap());
            assert!(a == b && !a.is_empty(), "{file}");
        }
        assert!(outcome.rows.iter().all(|r| r.result.failed.is_none() && r.result.events > 0));
        assert!(outcome.rows.iter().any(|r| r.result.figures.trades > 3), "somebody trades");
        assert!(method == Method::Tpe || outcome.refused == 4, "averages of 6 and 8 are not below one of 6");
        assert_eq!(sweep.base.data.warm_up, Nanos::from_secs(20 * 60), "the longest average");
    }
}

#[test]
fn a_trial_is_its_record_alone() {
    let dir = tempfile::tempdir().unwrap();
    let market = bars(dir.path(), 600);
    let request = request(&market, &["fast=3,5"]);
    let prepared = prepare(&request, Catalog::BUILT_IN).unwrap();
    let fold = prepared.sweep.folds[0];
    let trial = prepared.sweep.trial(&[1], &fold, Part::Train);
    let text = serde_json::to_string(&trial).unwrap();
    let sent: Trial = serde_json::from_str(&text).unwrap();
    assert_eq!((sent.id(), &sent), (trial.id(), &trial));
    // Another process, which was told of no window beforehand.
    let elsewhere = super::super::engine::settings(&sent).unwrap();
    let other = Backtests::new(Catalog::BUILT_IN, Shared::open(&elsewhere).unwrap(), &sent.data.symbols).unwrap();
    let stop = AtomicBool::new(false);
    let here = prepared.engine.run(&trial, &stop).unwrap().unwrap();
    let there = other.run(&sent, &stop).unwrap().unwrap();
    assert_eq!(here.hash(), there.hash());
    assert!(here.figures.trades > 0 && here.figures.sharpe.is_some());
    let foreign = Trial { data: DataRange { digest: "00".into(), ..trial.data.clone() }, ..trial };
    assert!(matches!(prepared.engine.run(&foreign, &stop), Err(RunError::User(e)) if e.message.contains("other data")));
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
}

#[test]
fn a_trial_over_all_data_is_the_plain_backtest() {
    let dir = tempfile::tempdir().unwrap();
    let market = bars(dir.path(), 600);
    let mut asked = request(&market, &["fast=3"]);
    asked.warm_up = Some(Nanos::ZERO);
    asked.settings.strategies[0].params.insert("slow".into(), "15".into());
    let prepared = prepare(&asked, Catalog::BUILT_IN).unwrap();
    let trial = prepared.sweep.trial(&[0], &prepared.sweep.folds[0], Part::Train);
    let result = prepared.engine.run(&trial, &AtomicBool::new(false)).unwrap().unwrap();
    let mut settings = asked.settings.clone();
    settings.strategies[0].params.insert("fast".into(), "3".into());
    let opened = ctos_runtime::market::open(&settings).unwrap();
    let span = crate::run::Span::default();
    let plain = crate::run::run(&settings, Catalog::BUILT_IN, opened, span, (), &mut |_| true).unwrap().summary;
    assert_eq!((result.events, &result.command_hash), (600, &plain.command_hash));
    assert_eq!((result.figures.fills, result.figures.fills > 0), (plain.fills, true));
    let worth: Vec<_> = plain.equity.values().flat_map(|a| a.values()).map(|w| (w.start, w.end)).collect();
    assert_eq!(result.equity.values().map(|w| (w.start, w.end)).collect::<Vec<_>>(), worth);
}

#[test]
fn nothing_is_traded_before_its_window() {
    let dir = tempfile::tempdir().unwrap();
    let market = bars(dir.path(), 800);
    let minute = |n: i64| UnixNanos(1_640_995_200_000_000_000 + n * 60_000_000_000);
    let mut asked = request(&market, &["fast=3"]);
    asked.settings.strategies[0].params.insert("slow".into(), "15".into());
    (asked.from, asked.to) = (Some(minute(300)), Some(minute(500)));
    let late = prepare(&asked, Catalog::BUILT_IN).unwrap();
    let trial = late.sweep.trial(&[0], &late.sweep.folds[0], Part::Train);
    assert_eq!((trial.data.from, trial.data.to), (minute(300), minute(500)));
    let stop = AtomicBool::new(false);
    let result = late.engine.run(&trial, &stop).unwrap().unwrap();
    assert_eq!(result.events, 15 + 200, "the warm-up and the window, whose end belongs to the next");
    let cold = Trial { data: DataRange { warm_up: Nanos::ZERO, ..trial.data.clone() }, ..trial.clone() };
    let cold = late.engine.run(&cold, &stop).unwrap().unwrap();
    assert_eq!(cold.events, 200);
    assert!(cold.figures.trades <= result.figures.trades, "a cold start misses signals");
    let periods = |r: &super::super::trial::TrialResult| r.figures.returns.count;
    assert!(
        periods(&result).abs_diff(periods(&cold)) <= 1,
        "time before the window does not count: {result:?} {cold:?}"
    );
}

#[test]
fn every_mistake_is_named_before_anything_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let market = bars(dir.path(), 300);
    let base = |params: &[&str]| request(&market, params);
    refused(&base(&[]), "no parameter is swept");
    refused(&base(&["fsat=1..3"]), "no parameter fsat");
    refused(&base(&["fast=1..3", "fast=5"]), "swept twice");
    refused(&base(&["order_amount=10..20"]), "a range without a step");
    refused(&base(&["fast=1..9999", "slow=2..10000"]), "more than 1000000 combinations");
    refused(&Request { method: Method::Tpe, trials: 0, ..base(&["fast=1..3"]) }, "no trials were asked for");
    refused(&base(&["slow=500"]), "the data of");
    refused(
        &Request { split: Some(Split { folds: 9, walk: Walk::Rolling, train: 3 }), ..base(&["slow=30"]) },
        "not longer than the warm-up of",
    );
    let mut both = base(&["fast=1..3"]);
    both.settings.strategies[0].params.insert("fast".into(), "2".into());
    refused(&both, "both set and swept");
    let mut unknown = base(&["fast=1..3"]);
    unknown.settings.strategies[0].params.insert("fsat".into(), "2".into());
    refused(&unknown, "no parameter fsat");
    let mut nobody = base(&["fast=1..3"]);
    nobody.settings.strategies[0].name = "ma_corss".into();
    refused(&nobody, "there is no strategy ma_corss");
    refused(&base(&["fast=30..35", "slow=20"]), "no combination is possible");
    let mut two = base(&["fast=1..3"]);
    two.settings.strategies.push(two.settings.strategies[0].clone());
    refused(&two, "a sweep is of one strategy");
    let mut symbols = base(&["fast=1..3"]);
    symbols.settings.symbols = vec!["file:ETH-USDT".into()];
    refused(&symbols, "unknown instrument");
    let late = UnixNanos::from_secs(1_700_000_000);
    refused(&Request { from: Some(late), ..base(&["fast=1..3"]) }, "has nothing in that range");
    refused(&Request { from: Some(late), to: Some(late), ..base(&["fast=1..3"]) }, "is empty");
}
