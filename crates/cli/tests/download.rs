//! `ctos data download` as a user has it: the real binary against a real twin, killed in the middle.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

struct Twin {
    child: Child,
    json: Value,
}

impl Twin {
    fn start(history: &str) -> Twin {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ctos"))
            .args(["twin", "binance", "--json", "--seed", "3", "--history", history])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Twin { child, json }
    }

    fn rest(&self, market: &str) -> String {
        self.json[market]["rest"].as_str().unwrap().into()
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// RFC 3339, so many minutes ago.
fn ago(minutes: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Whole minutes, so that two calls in a row mean the same.
    (now / 60 * 60 - minutes * 60).to_string()
}

fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    command.arg("--home").arg(home).args(["data"]).args(args);
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    command(home, args).output().unwrap()
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// Of whole pieces: one that is being written has another ending.
fn manifests(home: &Path) -> Vec<PathBuf> {
    let dir = home.join("catalog/_imports");
    let all = std::fs::read_dir(dir).map(|d| d.map(|e| e.unwrap().path()).collect()).unwrap_or_default();
    let whole = |all: Vec<PathBuf>| all.into_iter().filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    whole(all)
}

#[test]
fn klines_trades_and_funding_and_nothing_twice() {
    let twin = Twin::start("2h");
    let home = tempfile::tempdir().unwrap();
    let (spot, usdm) = (twin.rest("spot"), twin.rest("usdm"));
    let (from, to) = (ago(90), ago(30));
    let range = ["--from", &from, "--to", &to, "--json"];
    let bars = |base: &str, symbol: &str, interval: &str| {
        let mut args = vec!["download", "binance", symbol, "--base-url", base, "--interval", interval];
        args.extend(range);
        json(&run(home.path(), &args))["downloads"][0].clone()
    };
    let first = bars(&spot, "BTC-USDT", "1m");
    assert_eq!((first["kind"].as_str(), first["missing"].as_u64()), (Some("bars_1m"), Some(0)), "{first}");
    // Sixty bars, and the definition of the instrument where nobody knew it.
    assert!((60..=61).contains(&first["rows_added"].as_u64().unwrap()), "{first}");
    let again = bars(&spot, "binance:BTC-USDT", "1m");
    assert_eq!((again["rows_added"].as_u64(), again["had_secs"].as_i64()), (Some(0), Some(3_600)), "{again}");
    assert_eq!(bars(&usdm, "BTC-USDT-PERP", "5m")["rows_added"].as_u64().map(|n| n / 12), Some(1));
    let trades = |base: &str, symbol: &str| {
        let mut args = vec!["download", "binance", symbol, "--base-url", base, "--data", "trades"];
        args.extend(range);
        json(&run(home.path(), &args))["downloads"][0].clone()
    };
    let some = trades(&usdm, "ETH-USDT-PERP");
    assert!(some["rows_added"].as_u64().unwrap() > 10 && some["missing"] == 0, "{some}");
    assert_eq!(trades(&usdm, "ETH-USDT-PERP")["rows_added"], 0);
    // Ids count without holes over pages.
    let export = home.path().join("t.csv");
    let file = export.to_str().unwrap();
    assert!(run(home.path(), &["export", "ETH-USDT-PERP", "--kind", "trades", "--to-file", file]).status.success());
    let text = std::fs::read_to_string(&export).unwrap();
    let mut lines = text.lines();
    let id_at = lines.next().unwrap().split(',').position(|c| c == "id").unwrap();
    let ids: Vec<u64> = lines.map(|l| l.split(',').nth(id_at).unwrap().parse().unwrap()).collect();
    assert!(ids.len() > 10 && ids.windows(2).all(|w| w[1] == w[0] + 1), "{} trades", ids.len());
    let whole = run(home.path(), &["verify"]);
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stdout));
    let funding = ["download", "binance", "BTC-USDT-PERP", "--base-url", &usdm, "--data", "funding", "--from", &from];
    assert!(run(home.path(), &funding).status.success());
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let twin = Twin::start("6h");
    let home = tempfile::tempdir().unwrap();
    let (spot, from, to) = (twin.rest("spot"), ago(5 * 60), ago(5));
    let symbols = ["BTC-USDT", "ETH-USDT", "SOL-USDT"];
    let flags = ["--base-url", &spot, "--from", &from, "--to", &to, "--json"];
    let args = [&["download", "binance"][..], &symbols, &flags].concat();
    let mut child = command(home.path(), &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    while manifests(home.path()).is_empty() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < limit, "nothing within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let whole = manifests(home.path()).len();
    assert!((1..3).contains(&whole), "killed in the middle, with {whole} of 3 series");
    let rest = json(&run(home.path(), &args));
    let of = |n: usize, what: &str| rest["downloads"][n][what].as_i64().unwrap();
    let seconds = 295 * 60;
    assert_eq!((of(0, "had_secs"), of(0, "rows_added")), (seconds, 0), "{rest}");
    assert_eq!((of(2, "had_secs"), of(2, "missing")), (0, 0), "{rest}");
    assert!(of(2, "rows_added") >= 295, "{rest}");
    let verified = run(home.path(), &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let again = json(&run(home.path(), &args));
    assert!((0..3).all(|n| again["downloads"][n]["had_secs"] == seconds), "{again}");
}

#[test]
fn mistakes_are_told() {
    let twin = Twin::start("1m");
    let home = tempfile::tempdir().unwrap();
    let (spot, usdm) = (twin.rest("spot"), twin.rest("usdm"));
    for (args, what) in [
        (vec!["NOPE-USDT", "--base-url", &spot, "--from", "2024-01-01"], "hint:"),
        (vec!["BTC-USDT", "--base-url", &spot, "--from", "2024-01-01", "--interval", "7m"], "7m"),
        (vec!["BTC-USDT", "--base-url", &spot, "--from", "2024-01-01", "--interval", "1mo"], "1M"),
        (vec!["BTC-USDT", "--base-url", &spot, "--from", "2099-01-01"], "future"),
        (vec!["BTC-USDT", "--base-url", &spot, "--from", "2024-01-02", "--to", "2024-01-01"], "empty"),
        (vec!["BTC-USDT", "--base-url", &spot, "--from", "2024-01-01", "--data", "funding"], "spot"),
        (vec!["BTC-USDT-PERP", "--base-url", &usdm, "--from", "2024-01-01", "--data", "trades"], "48 hours"),
        (vec!["BTC-USDT-PERP", "--base-url", &usdm, "--from", "2024-01-01", "--interval", "1s"], "no klines of 1s"),
        (vec!["BTC-USDT", "--base-url", "http://127.0.0.1:1", "--from", "2024-01-01"], "hint:"),
        (vec!["BTC-USDT", "--base-url", "ftp://x", "--from", "2024-01-01"], "hint:"),
    ] {
        let output = run(home.path(), &[&["download", "binance"], &args[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(what), "{args:?}: {said}");
        assert_ne!(output.status.code(), Some(101), "{said}");
    }
    assert!(!home.path().join("catalog").exists(), "nothing half-made is left");
}
