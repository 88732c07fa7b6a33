//! `ctos backtest` and `ctos report` as processes: what they leave and say, and that a backtest is the run itself.

use crate::support::{Place, Said, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// So many minutes of a market that swings, with times in this unit of a second.
fn bars(minutes: i64, unit: i64) -> String {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let mut last = 40_000i64;
    for i in 0..minutes {
        let wave = |length: i64, high: i64| ((i % length) - length / 2).abs() * high / length;
        let close = 40_000 + wave(90, 900) + wave(37, 300) + (i * 7_919 % 101);
        let (high, low) = (last.max(close) + 15, last.min(close) - 15);
        writeln!(text, "{},{last},{high},{low},{close},12.5", (1_640_995_200 + i * 60) * unit).expect("written");
        last = close;
    }
    text
}

/// A place with a day and a half of bars.
fn place() -> Place {
    let place = Place::new();
    place.file("btc_perp.csv", bars(2_160, 1_000));
    place
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.is_file() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
    eprintln!("skipped: {} is absent", path.display());
    None
}

const CROSS: [&str; 4] = ["--data", "btc_perp.csv", "--strategy", "ma_cross"];

fn backtest(place: &Place, args: &[&str], more: &[&str]) -> Said {
    place.ctos(&[&["backtest", "-q"], args, more].concat())
}

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> = std::fs::read_dir(dir)
        .expect("listed")
        .map(|e| e.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    all.sort();
    all
}

#[test]
fn a_run_leaves_its_folder_and_says_what_it_found() {
    let place = place();
    let said = backtest(&place, &CROSS, &["--json"]).json();
    for key in [
        "run_id",
        "mode",
        "market",
        "from",
        "to",
        "ended",
        "market_events",
        "orders",
        "fills",
        "fees",
        "equity",
        "realized_pnl",
        "unrealized_pnl",
        "balances",
        "positions",
        "strategies",
        "denied_by",
        "metrics",
        "assumptions",
        "data_quality",
        "pessimistic",
        "trades",
        "input_hash",
        "command_hash",
        "folder",
    ] {
        assert!(said.get(key).is_some_and(|v| !v.is_null()), "{key} is missing in {said}");
    }
    assert!(said["fills"].as_u64() > Some(20) && said["market_events"] == 2_160, "{said}");
    let folder = place.dir.path().join(said["folder"].as_str().expect("a folder"));
    assert!(folder.ends_with("var/backtests/0001-ma_cross"), "{}", folder.display());
    let mut want: Vec<String> = ["equity", "fills", "funding", "orders", "plots", "positions", "prices", "trades"]
        .iter()
        .flat_map(|t| [format!("{t}.csv"), format!("{t}.parquet")])
        .chain(["facts.json", "pessimistic", "report.html", "summary.json"].map(str::to_owned))
        .collect();
    want.sort();
    assert_eq!(names(&folder), want);
    let text = std::fs::read(folder.join("summary.json")).expect("read");
    let written: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!((&written["command_hash"], &written["metrics"]), (&said["command_hash"], &said["metrics"]));

    // Worse assumptions cost, and change nothing in the run itself.
    let worth =
        |s: &Value| s["equity"]["main"]["USDT"]["end"].as_str().expect("text").parse::<f64>().expect("a number");
    assert!(worth(&said["pessimistic"]) < worth(&said), "{said}");
    let alone = backtest(&place, &CROSS, &["--json", "--no-pessimistic", "--out", "alone"]).json();
    assert!(alone["pessimistic"].is_null() && alone["command_hash"] == said["command_hash"], "{alone}");

    // The same again is the next folder, with the same bytes in it.
    let again = backtest(&place, &CROSS, &["--json"]).json();
    let second = place.dir.path().join(again["folder"].as_str().expect("a folder"));
    assert!(second.ends_with("0002-ma_cross"), "{}", second.display());
    for file in ["fills.csv", "fills.parquet", "trades.csv", "equity.parquet", "orders.csv"] {
        let [a, b] = [&folder, &second].map(|f| std::fs::read(f.join(file)).expect("read"));
        assert!(a == b, "{file} differs");
    }

    let text = backtest(&place, &CROSS, &["--no-pessimistic", "--out", "text"]);
    for word in ["backtest", "period", "events", "fills", "worth", "return", "drawdown", "hash", "report"] {
        assert!(text.out.contains(word), "{word} in {}", text.out);
    }
    assert!(!text.out.contains("drawdown  not defined"), "{}", text.out);
}

#[test]
fn without_files_nothing_is_written() {
    let place = place();
    let said = backtest(&place, &CROSS, &["--json", "--no-files"]).json();
    assert!(said["folder"].is_null() && said["fills"].as_u64() > Some(0) && said["metrics"].is_object(), "{said}");
    assert_eq!(names(place.dir.path()), ["btc_perp.csv"]);
}

#[test]
fn reports_are_made_again_and_compared() {
    let place = place();
    let first = backtest(&place, &CROSS, &["--json"]).json();
    backtest(&place, &CROSS, &["--no-pessimistic", "--set", "fast=3", "--json"]).json();
    let page = place.home().join("backtests/0001-ma_cross/report.html");
    let was = std::fs::read(&page).expect("a report");
    std::fs::remove_file(&page).expect("removed");
    let told = place.ctos(&["report", "0001-ma_cross", "--json"]).json();
    assert!(told["page"].as_str().is_some_and(|p| p.ends_with("0001-ma_cross/report.html")), "{told}");
    assert!(std::fs::read(&page).expect("a report") == was, "the same page, the worse run in it");

    let folder = first["folder"].as_str().expect("a folder");
    let told = place.ctos(&["report", folder, "0002-ma_cross", "--json"]).json();
    let both = place.dir.path().join(told["page"].as_str().expect("a page"));
    assert!(both.ends_with("compare.html") && told["runs"].as_array().map(Vec::len) == Some(2), "{told}");
    let html = std::fs::read_to_string(both).expect("a page");
    assert!(html.starts_with("<!doctype html>") || html.starts_with("<!DOCTYPE html>"), "{}", &html[..40]);
    // The first has a run under worse assumptions, the second was made without.
    let data = html.split("\"pessimistic\":").skip(1).map(|part| &part[..4.min(part.len())]).collect::<Vec<_>>();
    assert!(data.len() == 2 && data[0].starts_with('{') && data[1] == "null", "{data:?}");
    assert!(html.contains("the taker's") && html.contains("10 % of the bar's range"), "under which assumptions");

    let nobody = place.ctos(&["report", "0007-nobody"]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.err.contains("0007-nobody") && nobody.err.contains("hint: "), "{nobody:?}");
}

#[track_caller]
fn refused(place: &Place, args: &[&str], error: &str, hint: &str) {
    let before = names(place.dir.path());
    let said = place.ctos(&[&["backtest"], args].concat());
    assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
    assert!(said.out.is_empty(), "{args:?}: {said:?}");
    let lines: Vec<&str> = said.err.lines().collect();
    let [first, second] = lines[..] else { panic!("{args:?}: {said:?}") };
    assert!(first.starts_with("error: ") && first.contains(error), "{args:?}: {first}");
    assert!(second.starts_with("hint: ") && second.contains(hint), "{args:?}: {second}");
    assert_eq!(names(place.dir.path()), before, "{args:?} left something behind");
}

#[test]
fn mistakes_give_two_lines_and_leave_nothing() {
    let place = place();
    place.file("empty.csv", "");
    place.file("header.csv", "timestamp,open,high,low,close,volume\n");
    place.file("no_close.csv", "timestamp,open,high,low,volume\n1640995200000,1,2,1,5\n");
    let later = bars(9, 1).lines().skip(5).map(|l| format!("{l}\n")).collect::<String>();
    place.file("mixed.csv", format!("{}{later}", bars(4, 1_000)));
    std::fs::create_dir(place.dir.path().join("full")).expect("made");
    place.file("full/a.txt", "");
    let wrong = |args: &[&str], error: &str, hint: &str| refused(&place, &[&CROSS, args].concat(), error, hint);
    let data = |file: &str, error: &str, hint: &str| {
        refused(&place, &["--data", file, "--strategy", "ma_cross"], error, hint);
        refused(&place, &["--data", file, "--strategy", "ma_cross", "--no-files"], error, hint);
    };
    data("nowhere.csv", "nowhere.csv", "check the path");
    data("empty.csv", "no header and no bars", "docs/data.md");
    data("header.csv", "no bars after the header", "docs/data.md");
    data("no_close.csv", "no column for close", "docs/data.md");
    data("mixed.csv", "mixed time units: seconds here, milliseconds at line 2", "docs/data.md");
    data("full", "is no catalog", "ctos data import");
    wrong(&["--from", "2022-01-01T10:00:00Z", "--to", "2022-01-01T10:00:00Z"], "is empty", "the data goes from");
    wrong(&["--from", "2022-01-01T11:00:00Z", "--to", "2022-01-01T10:00:00Z"], "is empty", "the data goes from");
    wrong(&["--from", "2023-01-01"], "there is no data from", "the data goes from");
    wrong(&["--to", "2021-01-01"], "there is no data before", "the data goes from");
    wrong(&["--from", "soon"], "soon", "--help");
    wrong(&["--warm-up", "1h"], "a warm-up needs a time", "--from");
    wrong(&["--warm-up", "1", "--from", "2022-01-02"], "a time span with a unit", "");
    wrong(&["--warm-up", "3d", "--from", "2022-01-02"], "before the data", "shorter warm-up");
    wrong(
        &["--from", "2022-01-01T10:00:00Z", "--to", "2022-01-01T10:10:00Z"],
        "needs 21m of bars before its first signal, and sees 10m",
        "--warm-up",
    );
    wrong(&["--set", "slow=5000"], "before its first signal", "shorter averages");
    wrong(&["--set", "fats=3"], "no parameter fats", "did you mean fast?");
    wrong(&["--set", "fast=x"], "fast", "");
    wrong(&["--set", "fast=50"], "50 is not below slow", "");
    wrong(&["--symbols", "file:NOPE-USDT"], "file:NOPE-USDT", "file:BTC-USDT-PERP");
    wrong(&["--set", "symbol=file:NOPE-USDT"], "file:NOPE-USDT", "file:BTC-USDT-PERP");
    wrong(&["--conf", "venue.queue=lucky"], "venue.queue", "conservative");
    wrong(&["--balance", "USDT=-1"], "balances.USDT", "");
    wrong(&["--out", "full"], "has files in it already", "another folder");
    wrong(&["--out", "btc_perp.csv"], "btc_perp.csv", "another folder");
    wrong(&["--out", "run", "--no-files"], "--no-files", "");
    wrong(&["--market", "synthetic"], "--market", "");
    refused(&place, &["--data", "btc_perp.csv", "--strategy", "gird"], "no strategy gird", "did you mean grid?");
    refused(&place, &["--market", "synthetic"], "has no end", "--duration 2h");
}

#[test]
fn an_interrupt_leaves_nothing() {
    let place = Place::new();
    // Long enough that the signal always comes first.
    let args = ["backtest", "-q", "--market", "synthetic", "--duration", "365d", "--strategy", "grid", "--out", "run"];
    let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    until("it has begun", || place.dir.path().join("run.part").exists());
    kill_process(Pid::from_raw(child.id() as i32).expect("an id"), Signal::INT).expect("sent");
    let said: Said = child.wait_with_output().expect("ended").into();
    assert_eq!((said.code, said.out.as_str()), (Some(130), ""), "{said:?}");
    assert!(said.err.contains("interrupted: nothing was written"), "{said:?}");
    assert_eq!(names(place.dir.path()), [""; 0]);
}

/// Backtest, `run --speed max` and `replay` give the same commands.
#[track_caller]
fn one_engine(market: &[&str], least: u64) {
    let place = Place::new();
    let run = place.ctos(&[&["run", "--json", "-q", "--speed", "max"], market].concat()).json();
    let replay = place.ctos(&["replay", "latest", "--json"]).json();
    let back = place.ctos(&[&["backtest", "--json", "-q", "--no-files", "--no-pessimistic"], market].concat()).json();
    assert_eq!(replay["identical"], true, "{replay}");
    for (name, other) in [("replay", &replay), ("backtest", &back)] {
        assert_eq!(other["command_hash"], run["command_hash"], "{name} of {market:?}");
    }
    for key in ["input_hash", "fills", "fees", "orders", "equity", "positions", "realized_pnl"] {
        assert_eq!(back[key], run[key], "{key} of {market:?}");
    }
    assert!(run["orders"]["sent"].as_u64() >= Some(least), "{}", run["orders"]);
}

#[test]
fn backtest_run_and_replay_send_the_same_commands_on_bars() {
    let Some(file) = shared("bars/btc_perp_1m_2022-01.csv") else { return };
    let market = format!("replay:{}", file.display());
    let open = ["--risk", "daily_loss=off", "--risk", "max_drawdown_pct=off"];
    let cross = ["--market", &market, "--strategy", "ma_cross", "--set", "kind=ema", "--set", "fast=10"];
    one_engine(&[&cross[..], &["--set", "slow=20"], &open].concat(), 2_000);
    // Halted by its own limits it is still the same run.
    one_engine(&["--market", &market, "--strategy", "mean_reversion", "--risk", "daily_loss=5"], 10);
}

#[test]
fn backtest_run_and_replay_send_the_same_commands_on_a_capture() {
    let Some(file) = shared("raw/binance_usdm_btcusdt_20240808.jsonl.gz") else { return };
    let market = format!("replay:{}", file.display());
    one_engine(&["--market", &market, "--strategy", "grid", "--set", "spacing=0.02"], 20);
}

#[test]
fn backtest_run_and_replay_send_the_same_commands_on_the_synthetic_market() {
    let market = ["--market", "synthetic", "--duration", "20m", "--seed", "7"];
    let random =
        ["--conf", "venue.latency.order=lognormal:5ms,sigma=0.5,max=200ms", "--conf", "venue.queue=proportional"];
    let two =
        ["--strategy", "grid", "--set", "spacing=0.02", "--strategy", "ma_cross", "--set", "fast=2", "--set", "slow=4"];
    one_engine(&[&market[..], &random, &two].concat(), 20);
}
