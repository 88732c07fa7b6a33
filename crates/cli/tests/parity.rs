//! `ctos parity` on real runs: the same run again, each "what if" with its cause, and what it refuses.
//! Never: a network, a wall-clock assertion.

use ctos_storage::capture::{CaptureItem, CaptureReader};
use serde_json::Value;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
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
    record(dir, &[&["--strategy", "grid"], more].concat());
}

#[track_caller]
fn record(dir: &Path, more: &[&str]) {
    let args = ["run", "--json", "-qq", "--plain", "--fresh", "--speed", "max"];
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

/// A market of bars that swings between round prices, with the bars of `hole` missing, and `more` added to some closes.
fn bars_with(dir: &Path, minutes: i64, step: i64, hole: Range<i64>, more: impl Fn(i64) -> i64) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let mut last = 40_000;
    for i in 0..minutes {
        let close = 40_000 + ((i * step) % 7 - 3) * 20 + more(i);
        let (high, low) = (last.max(close), last.min(close));
        if !hole.contains(&i) {
            writeln!(text, "{},{last},{high},{low},{close},12.5", (1_640_995_200 + i * 60) * 1_000).expect("written");
        }
        last = close;
    }
    std::fs::create_dir_all(dir).expect("made");
    std::fs::write(dir.join("btc_perp.csv"), text).expect("written");
}

fn bars(dir: &Path, minutes: i64, step: i64) {
    bars_with(dir, minutes, step, 0..0, |_| 0);
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

/// The number that stands behind a word of a row in words.
#[track_caller]
fn number(text: &Value, word: &str) -> f64 {
    let text = text.as_str().unwrap_or_else(|| panic!("no row: {text}"));
    let mut words = text.split(' ').skip_while(|w| *w != word);
    words.nth(1).and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("{word} in {text}"))
}

/// Half an hour that only one of two sources has: what was filled in it is on one side only, and the hole is why. Where
/// both have the same hole, it is not.
#[test]
fn a_hole_in_one_of_two_markets_is_a_gap() {
    let dir = tempfile::tempdir().expect("a directory");
    let (whole, holed) = ("replay:btc_perp.csv", "replay:holed/btc_perp.csv");
    bars(dir.path(), 600, 3);
    bars_with(&dir.path().join("holed"), 600, 3, 200..230, |_| 0);
    for (ours, other, filled) in [(whole, holed, "recorded"), (holed, whole, "simulated")] {
        again(dir.path(), &["--market", ours, "--set", "spacing=0.05"]);
        assert_eq!(parity(dir.path(), &["--market", ours])["identical"], true);
        let report = parity(dir.path(), &["--market", other]);
        let parting = &report["divergence"];
        assert_eq!(parting["cause"], "gap", "{report}");
        let why = parting["why"].as_str().expect("a sentence");
        assert!(why.contains("interrupted at 2022-01-01T03:20:00Z, while the order was open"), "{why}");
        // The fill lies in the hole, on the side that has the data.
        let fill = parting[filled].as_str().expect("a fill");
        assert!(
            fill.contains(" filled ") && ("2022-01-01T03:20"..="2022-01-01T03:51").contains(&&fill[..16]),
            "{fill}"
        );
        assert!(report["changed"][0].as_str().is_some_and(|c| c.contains(other)), "{report}");
    }
    // The last run has the hole, and so has its simulation: another model is what makes the difference there.
    let report = parity(dir.path(), &["--conf", "venue.bar_touch_fills=true"]);
    assert_eq!(report["divergence"]["cause"], "queue", "{report}");
}

#[test]
fn more_slippage_is_a_price_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    bars(dir.path(), 600, 3);
    let cross = ["--strategy", "ma_cross", "--set", "fast=2", "--set", "slow=5"];
    record(dir.path(), &[&["--market", "replay:btc_perp.csv"], &cross[..]].concat());
    let report = parity(dir.path(), &["--conf", "venue.bar_slippage_ticks=9"]);
    let parting = &report["divergence"];
    assert_eq!(parting["cause"], "price", "{report}");
    // The same order at the same moment, worse by the eight ticks that were added.
    let (is, was) = (number(&parting["simulated"], "at"), number(&parting["recorded"], "at"));
    let side = if parting["recorded"].as_str().is_some_and(|r| r.contains(" buy ")) { 1.0 } else { -1.0 };
    assert_eq!((is - was) * side, 8.0, "{report}");
    let moment = |row: &Value| row.as_str().expect("a row").split(' ').next().expect("a time").to_owned();
    assert_eq!(moment(&parting["simulated"]), moment(&parting["recorded"]));
}

/// Prices that rise for a while in one of two sources: the averages cross at other bars.
#[test]
fn other_data_is_another_decision() {
    let dir = tempfile::tempdir().expect("a directory");
    bars(dir.path(), 600, 1);
    bars_with(&dir.path().join("other"), 600, 1, 0..0, |i| if (300..320).contains(&i) { 60 } else { 0 });
    let cross = ["--strategy", "ma_cross", "--set", "fast=2", "--set", "slow=5"];
    record(dir.path(), &[&["--market", "replay:btc_perp.csv"], &cross[..]].concat());
    let report = parity(dir.path(), &["--market", "replay:other/btc_perp.csv"]);
    let parting = &report["divergence"];
    assert_eq!(parting["cause"], "decision", "{report}");
    // Nothing is different before the data is.
    assert!(parting["at"].as_str().is_some_and(|at| at > "2022-01-01T05:00:00Z"), "{report}");
    assert!(report["notes"].as_array().is_some_and(Vec::is_empty), "{report}");
}

/// A market order that meets an order of the same account: which of the two the venue cancels is its own rule.
#[test]
fn another_rule_of_the_venue_is_its_answer() {
    let free = ["max_order_notional", "max_position_notional", "max_total_notional", "max_leverage"];
    let mut args: Vec<String> =
        ["--strategy", "grid", "--set", "spacing=0.003", "--set", "levels=30"].map(Into::into).into();
    args.extend(["--strategy", "ma_cross", "--set", "fast=2", "--set", "slow=3"].map(Into::into));
    args.extend(["--set", "order_amount=600000", "--balance", "USDT=10000000", "--duration", "10m"].map(Into::into));
    args.extend(["--risk", "self_cross=false"].map(Into::into));
    args.extend(free.iter().flat_map(|gate| ["--risk".into(), format!("{gate}=off")]));
    let dir = tempfile::tempdir().expect("a directory");
    record(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(parity(dir.path(), &[])["identical"], true);
    for rule in ["cancel_oldest", "cancel_both"] {
        let report = parity(dir.path(), &["--conf", &format!("venue.stp={rule}")]);
        let parting = &report["divergence"];
        assert_eq!(parting["cause"], "venue", "{rule}: {report}");
        // Cancelled is what the rule says, on the side where it says so.
        let told = [&parting["recorded"], &parting["simulated"]];
        assert!(told.iter().any(|row| row.as_str().is_some_and(|r| r.contains(" canceled "))), "{rule}: {report}");
    }
}

#[test]
fn another_market_must_be_of_the_same_instruments() {
    let dir = tempfile::tempdir().expect("a directory");
    bars(dir.path(), 100, 3);
    again(dir.path(), &["--market", "replay:btc_perp.csv", "--set", "spacing=0.05"]);
    std::fs::copy(dir.path().join("btc_perp.csv"), dir.path().join("eth_perp.csv")).expect("copied");
    let text = std::fs::read_to_string(dir.path().join("btc_perp.csv")).expect("read");
    std::fs::create_dir(dir.path().join("finer")).expect("made");
    let finer = text.lines().map(|line| match line.split(',').collect::<Vec<_>>()[..] {
        [time, open, high, low, close, volume] if time != "timestamp" => {
            format!("{time},{open}.25,{high}.25,{low}.25,{close}.25,{volume}\n")
        }
        _ => format!("{line}\n"),
    });
    std::fs::write(dir.path().join("finer/btc_perp.csv"), finer.collect::<String>()).expect("written");
    refused(
        dir.path(),
        &["--market", "replay:eth_perp.csv"],
        "is of file:ETH-USDT-PERP, the run is of file:BTC-USDT-PERP",
    );
    refused(
        dir.path(),
        &["--market", "replay:finer/btc_perp.csv"],
        "defines file:BTC-USDT-PERP otherwise than the run",
    );
    refused(dir.path(), &["--market", "replay:nowhere.csv"], "nowhere.csv");
    refused(dir.path(), &["--market", "elsewhere"], "expected synthetic, replay:PATH, catalog:DIR, binance");
    refused(dir.path(), &["--market", "synthetic", "--source", "journal"], "--source");
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

fn recording() -> Option<PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/raw/binance_usdm_btcusdt_20240808.jsonl.gz");
    if path.is_file() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// Seconds of the recording that are cut out.
const HOLE: Range<i64> = 60..64;

/// A recording and the same one with some seconds cut out: the book is unknown there, and what happened to orders that
/// were open then is told as a gap.
#[test]
fn lines_that_one_of_two_recordings_lacks_are_a_gap() {
    let Some(path) = recording() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    let mut reader = CaptureReader::open(&path).expect("opened");
    let (mut lines, mut first) = (0u64, None);
    while let Some(item) = reader.next_item().expect("read") {
        let CaptureItem::Line(line) = item else { continue };
        let since = line.ts_recv - *first.get_or_insert(line.ts_recv);
        let text = [format!("{} ", line.ts_recv.0).as_bytes(), line.frame, b"\n"].concat();
        lines += 1;
        whole.extend_from_slice(&text);
        if !(HOLE.contains(&(since.0 / 1_000_000_000))) {
            cut.extend_from_slice(&text);
        }
    }
    assert!(lines > 1_000 && cut.len() < whole.len(), "{lines} lines");
    std::fs::write(dir.path().join("whole.jsonl"), whole).expect("written");
    std::fs::write(dir.path().join("cut.jsonl"), cut).expect("written");
    for (ours, other) in [("replay:whole.jsonl", "replay:cut.jsonl"), ("replay:cut.jsonl", "replay:whole.jsonl")] {
        again(dir.path(), &["--market", ours, "--set", "spacing=0.005", "--set", "levels=12"]);
        let report = parity(dir.path(), &["--market", other]);
        assert_eq!(report["divergence"]["cause"], "gap", "{ours}: {report}");
        assert!(report["compared_fills"].as_u64() > Some(0), "{report}");
    }
}

/// Books as a venue sent them: times of their own on both clocks, and cancels that the queue models read differently.
#[test]
fn recorded_books_on_both_markets_and_another_queue() {
    let Some(path) = recording() else { return };
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
