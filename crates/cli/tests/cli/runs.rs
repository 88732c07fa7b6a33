//! Whole runs at full speed: what the summary holds, that runs repeat, and that the store tells of them afterwards.

use crate::support::Place;
use serde_json::Value;

/// A grid narrow enough to trade a lot within a minute.
const NARROW: [&str; 4] = ["--strategy", "grid", "--set", "spacing=0.01"];

fn run(place: &Place, more: &[&str]) -> Value {
    let args = [&["run", "--json", "-q", "--fresh"], &NARROW[..], more].concat();
    place.ctos(&args).json()
}

#[test]
fn a_minute_of_trading_sums_up_repeats_and_replays() {
    let place = Place::new();
    let first = run(&place, &["--duration", "60s", "--speed", "max"]);
    for key in [
        "run_id",
        "mode",
        "events_in",
        "orders",
        "fills",
        "volume",
        "fees",
        "realized_pnl",
        "unrealized_pnl",
        "equity",
        "positions",
        "input_hash",
        "command_hash",
        "step_latency_ns",
    ] {
        assert!(!first[key].is_null(), "{key} is missing in {first}");
    }
    for key in ["p50", "p99", "p999", "max"] {
        assert!(first["step_latency_ns"][key].is_u64(), "{key}");
    }
    assert!(first["fills"].as_u64() > Some(0), "{first}");
    assert_eq!((first["mode"].as_str(), first["open_orders"].as_u64()), (Some("paper"), Some(0)));
    let worth = &first["equity"]["main"]["USDT"];
    assert!(worth["start"] == "10000" && worth["end"].is_string(), "{worth}");

    let second = run(&place, &["--duration", "60s", "--speed", "max"]);
    for key in ["command_hash", "input_hash", "fills", "equity", "events_in"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    let other = run(&place, &["--duration", "60s", "--speed", "max", "--seed", "2"]);
    assert_ne!(first["command_hash"], other["command_hash"], "another seed is another market");

    let replay = place.ctos(&["replay", first["run_id"].as_str().expect("an id"), "--json"]).json();
    assert_eq!((replay["identical"].as_bool(), &replay["command_hash"]), (Some(true), &first["command_hash"]));
    assert!(replay["divergence"].is_null(), "{replay}");

    // The store has what the run did.
    let fills = place.ctos(&["fills", "--json", "--limit", "10000"]).json();
    assert_eq!(fills["fills"].as_array().map(Vec::len), other["fills"].as_u64().map(|n| n as usize));
    let orders = place.ctos(&["orders", "--all", "--json", "--limit", "10000"]).json();
    assert_eq!(orders["orders"].as_array().map(Vec::len), other["orders"]["sent"].as_u64().map(|n| n as usize));
    let status = place.ctos(&["status", "--json"]).json();
    assert_eq!((status["running"].as_bool(), status["state"].as_str()), (Some(false), Some("finished")));
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(3));
    assert_eq!(status["summary"]["command_hash"], other["command_hash"]);

    // And can be built again from the journals.
    std::fs::remove_file(place.home().join("projection.sqlite")).expect("removed");
    assert_eq!(place.ctos(&["doctor", "--rebuild-store", "--json"]).json()["ok"], true);
    assert_eq!(place.ctos(&["fills", "--json", "--limit", "10000"]).json(), fills);
}

#[test]
fn every_speed_decides_the_same() {
    let hashes: Vec<Value> = ["60x", "20x", "max"]
        .iter()
        .map(|speed| run(&Place::new(), &["--duration", "30s", "--speed", speed])["command_hash"].clone())
        .collect();
    assert!(hashes.iter().all(|h| h == &hashes[0] && h.is_string()), "{hashes:?}");
}

#[test]
fn each_set_belongs_to_the_strategy_before_it() {
    let place = Place::new();
    let args = [
        "run",
        "--json",
        "-q",
        "--duration",
        "5s",
        "--speed",
        "max",
        "--strategy",
        "grid",
        "--set",
        "levels=3",
        "--strategy",
        "ma_cross",
        "--set",
        "fast=4",
        "--set",
        "slow=9",
    ];
    let run = place.ctos(&args).json();
    let ids: Vec<&str> =
        run["strategies"].as_array().expect("a list").iter().filter_map(|s| s["id"].as_str()).collect();
    assert_eq!(ids, ["grid", "ma_cross"]);
    let lines = place.ctos(&["status", "--json"]).json()["strategies"].clone();
    assert_eq!(lines[0]["params"], serde_json::json!({ "levels": "3" }));
    assert_eq!(lines[1]["params"], serde_json::json!({ "fast": "4", "slow": "9" }));
    // A mistake in one is told of that one.
    let said = place.ctos(&["run", "--fresh", "--strategy", "grid", "--strategy", "ma_cross", "--set", "levels=3"]);
    assert!(said.err.contains("ma_cross has no parameter levels"), "{said:?}");
}

#[test]
fn a_tampered_journal_does_not_replay() {
    let place = Place::new();
    let one = run(&place, &["--duration", "10s", "--speed", "max"]);
    let id = one["run_id"].as_str().expect("an id");
    let path = place.home().join("runs").join(id).join("summary.json");
    let summary = std::fs::read_to_string(&path).expect("a summary");
    let hash = one["command_hash"].as_str().expect("a hash");
    std::fs::write(&path, summary.replace(hash, &"0".repeat(hash.len()))).expect("written");
    let said = place.ctos(&["replay", id, "--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(report["identical"], false);
}

#[test]
fn looking_around_works_before_the_first_run() {
    let place = Place::new();
    let list = place.ctos(&["strategies", "--json"]).json();
    assert!(list["strategies"].as_array().is_some_and(|l| l.len() >= 4), "{list}");
    let grid = place.ctos(&["strategies", "grid"]);
    assert!(grid.code == Some(0) && grid.out.contains("spacing") && grid.out.contains("example: ctos run"), "{grid:?}");
    let settings = place.ctos(&["config", "show", "--resolved", "--json"]).json();
    assert!(settings["settings"].as_array().is_some_and(|l| l.len() > 40), "{settings}");
    let doctor = place.ctos(&["doctor"]);
    assert!(doctor.code == Some(0) && doctor.out.contains("does not exist yet"), "{doctor:?}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.ctos(&["completions", shell]).out.contains("ctos"));
    }
    assert!(place.ctos(&["--version"]).out.starts_with("ctos "));
    let help = place.ctos(&["run", "--help"]);
    assert!(help.code == Some(0) && help.out.contains("--strategy") && help.out.contains("Examples:"), "{help:?}");
    let none = place.ctos(&[]);
    assert!(none.code == Some(1) && none.err.contains("Usage:") && none.err.contains("hint:"), "{none:?}");
    assert!(!place.home().exists(), "looking makes nothing");
}

#[test]
fn logs_on_stderr_are_json_lines_when_it_is_no_terminal() {
    let said = Place::new().ctos(&[
        "run",
        "--duration",
        "30s",
        "--speed",
        "max",
        "--strategy",
        "grid",
        "--set",
        "spacing=0.005",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<Value> =
        said.err.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    assert!(lines.iter().any(|l| l["message"] == "fill" && l["px"].is_string()), "each fill is told");
    assert!(said.out.contains("command hash") && said.out.contains("equity"), "the summary is readable: {said:?}");
}
