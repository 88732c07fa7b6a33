//! `ctos parity` on real runs: the same run again, each "what if" with its cause, and what it refuses.
//! Never: a network, a wall-clock assertion.

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn ctos(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    // Settings of whoever runs the tests must not reach in.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CTOS") {
            command.env_remove(name);
        }
    }
    command.args(args).current_dir(dir).output().expect("the binary starts")
}

/// A run at full speed in a home of its own.
fn run(more: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    again(dir.path(), more);
    dir
}

#[track_caller]
fn again(dir: &Path, more: &[&str]) {
    let args = ["run", "--json", "-qq", "--plain", "--fresh", "--speed", "max", "--strategy", "grid"];
    let out = ctos(dir, &[&args, more].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

const MINUTE: [&str; 4] = ["--set", "spacing=0.01", "--duration", "60s"];

#[track_caller]
fn parity(dir: &Path, more: &[&str]) -> Value {
    let out = ctos(dir, &[&["parity", "latest", "--json"], more].concat());
    let report: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    let code = if report["identical"] == true { 0 } else { 1 };
    assert_eq!(out.status.code(), Some(code), "{report}");
    report
}

#[track_caller]
fn refused(dir: &Path, more: &[&str], words: &str) {
    let out = ctos(dir, &[&["parity", "latest"], more].concat());
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{err}");
    assert!(err.contains(words) && err.contains("hint: ") && err.lines().count() == 2, "{err}");
    assert!(out.stdout.is_empty());
}

/// On the market opened again and on what the journal has of it.
#[test]
fn a_run_is_identical_on_both_markets() {
    let home = run(&MINUTE);
    for source in ["market", "journal", "auto"] {
        let report = parity(home.path(), &["--source", source]);
        assert_eq!(report["identical"], true, "{source}: {report}");
        assert!(report["divergence"].is_null(), "{report}");
        assert!(report["compared_orders"].as_u64() > Some(20) && report["compared_fills"].as_u64() > Some(5));
        assert_eq!(report["compared_fills"], report["simulated_fills"]);
        assert_eq!(report["source"], if source == "journal" { "journal" } else { "market" });
    }
    let random =
        ["--conf", "venue.latency.order=uniform:1ms..30ms", "--conf", "venue.latency.response=uniform:1ms..9ms"];
    again(home.path(), &[&MINUTE[..], &random].concat());
    assert_eq!(parity(home.path(), &[])["identical"], true);
    assert_eq!(parity(home.path(), &["--source", "journal"])["identical"], true);
}

#[test]
fn another_model_is_the_cause_of_the_first_difference() {
    let home = run(&MINUTE);
    let fees = ["--conf", "accounts.0.fees.maker=0", "--conf", "accounts.0.fees.taker=0"];
    for source in ["market", "journal"] {
        let cause = |conf: &[&str]| {
            let report = parity(home.path(), &[conf, &["--source", source]].concat());
            assert!(report["different_orders"].as_u64() > Some(0), "{report}");
            assert!(report["divergence"]["recorded"].is_string() && report["divergence"]["simulated"].is_string());
            assert!(!report["changed"].as_array().expect("a list").is_empty());
            assert_eq!(report["orders"][0]["same"], false, "{report}");
            report["divergence"]["cause"].as_str().expect("a cause").to_owned()
        };
        assert_eq!(cause(&["--conf", "venue.latency.order=20ms"]), "latency");
        assert_eq!(cause(&["--conf", "venue.latency.feed=10ms"]), "latency");
        assert_eq!(cause(&fees), "fee");
    }
}

/// A market of bars that swings between round prices.
fn bars(dir: &Path, minutes: i64, step: i64) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let mut last = 40_000;
    for i in 0..minutes {
        let close = 40_000 + ((i * step) % 7 - 3) * 20;
        let (high, low) = (last.max(close), last.min(close));
        writeln!(text, "{},{last},{high},{low},{close},12.5", (1_640_995_200 + i * 60) * 1_000).expect("written");
        last = close;
    }
    std::fs::write(dir.join("btc_perp.csv"), text).expect("written");
}

/// A limit order that a touch fills has its turn earlier; other data is told from the recorded.
#[test]
fn bars_with_touch_fills_and_other_data() {
    let dir = tempfile::tempdir().expect("a directory");
    bars(dir.path(), 600, 3);
    again(dir.path(), &["--market", "replay:btc_perp.csv", "--set", "spacing=0.05"]);
    let report = parity(dir.path(), &[]);
    assert_eq!((&report["identical"], &report["source"]), (&true.into(), &"market".into()), "{report}");
    assert!(report["compared_fills"].as_u64() > Some(0), "{report}");
    assert_eq!(parity(dir.path(), &["--source", "journal"])["identical"], true);
    let report = parity(dir.path(), &["--conf", "venue.bar_touch_fills=true"]);
    assert_eq!(report["divergence"]["cause"], "queue", "{report}");

    bars(dir.path(), 600, 2);
    refused(dir.path(), &["--source", "market"], "digest differs");
    let report = parity(dir.path(), &[]);
    assert_eq!((&report["identical"], &report["source"]), (&true.into(), &"journal".into()), "{report}");
    assert!(report["notes"][0].as_str().is_some_and(|n| n.contains("digest differs")), "{report}");
}

/// Where retention has taken the beginning, the comparison begins at the oldest snapshot.
#[test]
fn a_trimmed_journal_is_compared_from_its_beginning_on() {
    let small = ["--conf", "journal.snapshot_every=100", "--conf", "journal.keep_snapshots=2"];
    let home = run(&[&MINUTE[..], &small].concat());
    let report = parity(home.path(), &[]);
    assert_eq!(report["identical"], true, "{report}");
    if report["notes"].as_array().is_some_and(Vec::is_empty) {
        panic!("the journal was to be trimmed: {report}");
    }
    refused(home.path(), &["--source", "journal"], "no longer in its journal");
    refused(home.path(), &["--conf", "venue.queue=proportional"], "no longer in its journal");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let home = run(&MINUTE);
    refused(home.path(), &["--conf", "risk.max_leverage=3"], "cannot be changed");
    refused(home.path(), &["--conf", "accounts.7.fees.maker=0"], "1 accounts");
    refused(home.path(), &["--conf", "venue.queue"], "is not KEY=VALUE");
    refused(home.path(), &["--conf", "venue.queue=fair"], "venue.queue");
    let out = ctos(home.path(), &["parity", "nothing"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("there is no run"));
}

/// Books as a venue sent them: times of their own on both clocks, and cancels that the queue models read differently.
#[test]
fn recorded_books_on_both_markets_and_another_queue() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/raw/binance_usdm_btcusdt_20240808.jsonl.gz");
    if !path.is_file() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
        eprintln!("skipped: {} is absent", path.display());
        return;
    }
    let market = format!("replay:{}", path.display());
    let home = run(&["--market", &market, "--set", "spacing=0.005", "--set", "levels=12"]);
    for source in ["market", "journal"] {
        let report = parity(home.path(), &["--source", source]);
        assert_eq!(report["identical"], true, "{source}: {report}");
        assert!(report["compared_fills"].as_u64() > Some(100), "{report}");
        let report = parity(home.path(), &["--source", source, "--conf", "venue.queue=proportional"]);
        assert_eq!(report["divergence"]["cause"], "queue", "{source}: {report}");
    }
}
