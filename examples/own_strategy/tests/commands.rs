//! The own strategies through the commands of the real program, next to the built-in ones.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn own(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-strategy"));
    command.args(args).args(["--json", "-q"]).env("CTOS__HOME", home).current_dir(home.parent().unwrap());
    command.output().unwrap()
}

#[track_caller]
fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

const DONCHIAN: &[&str] = &["--strategy", "donchian", "--set", "bars=5", "--set", "interval=10s"];
const REBALANCE: &[&str] = &["--strategy", "rebalance", "--set", "symbol=sim:ETH-USDT", "--set", "band=0.05"];

#[test]
fn they_are_listed_with_their_parameters_after_the_built_in_ones() {
    let place = tempfile::tempdir().unwrap();
    let list = json(&own(&place.path().join("home"), &["strategies"]));
    let names: Vec<&str> = list["strategies"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["grid", "grid_all", "ma_cross", "mean_reversion", "donchian", "rebalance"]);
    let one = json(&own(&place.path().join("home"), &["strategies", "donchian"]));
    assert_eq!(one["strategies"][0]["params"][2]["name"], "bars");
}

#[test]
fn they_run_and_every_command_that_steps_a_run_again_knows_them() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let usual = [
        "run",
        "--symbols",
        "sim:BTC-USDT-PERP,sim:ETH-USDT",
        "--duration",
        "2h",
        "--speed",
        "max",
        "--seed",
        "1",
        "--conf",
        "api.enabled=false",
    ];
    let run = json(&own(&home, &[&usual[..], DONCHIAN, REBALANCE].concat()));
    let fills: Vec<u64> = run["strategies"].as_array().unwrap().iter().map(|s| s["fills"].as_u64().unwrap()).collect();
    assert!(fills.len() == 2 && fills.iter().all(|n| *n > 2), "{run}");
    let replay = json(&own(&home, &["replay", "latest"]));
    assert_eq!((&replay["identical"], &replay["command_hash"]), (&Value::Bool(true), &run["command_hash"]));
    assert_eq!(json(&own(&home, &["doctor", "--rebuild-store"]))["ok"], true);
    let rebuilt = json(&own(&home, &["fills", "--limit", "10000"]));
    assert_eq!(rebuilt["fills"].as_array().unwrap().len() as u64, fills.iter().sum::<u64>());
}

#[test]
fn a_run_that_was_cut_off_can_be_halted_and_goes_on_under_the_halt() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let args = [&["run", "--speed", "60x", "--seed", "1", "--conf", "api.enabled=false", "--plain"], DONCHIAN].concat();
    let mut running = Command::new(env!("CARGO_BIN_EXE_own-strategy"));
    let mut running = running.args(&args).args(["--json", "-q"]).env("CTOS__HOME", &home).spawn().unwrap();
    // Until something is in its journal.
    let journaled = || {
        let runs = std::fs::read_dir(home.join("runs")).ok()?;
        let journal = runs.flatten().find_map(|run| std::fs::read_dir(run.path().join("journal")).ok())?;
        journal.flatten().map(|f| f.metadata().map_or(0, |m| m.len())).max()
    };
    while journaled().unwrap_or(0) < 20_000 {
        assert!(running.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let halted = own(&home, &["halt", "--reason", "test"]);
    assert_eq!(json(&halted)["state"], "HALTED", "{}", String::from_utf8_lossy(&halted.stderr));
    let more =
        [&["run", "--speed", "max", "--duration", "20m", "--seed", "1", "--conf", "api.enabled=false"], DONCHIAN];
    let run = json(&own(&home, &more.concat()));
    assert!(run["orders"]["denied"].as_u64().unwrap() > 0, "{run}");
    assert_eq!(json(&own(&home, &["replay", "latest"]))["identical"], true);
}

#[test]
fn their_mistakes_are_explained_like_those_of_the_built_in_ones() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    for (args, error, hint) in [
        (&["--strategy", "donchain"][..], "there is no strategy donchain", "did you mean donchian?"),
        (&["--strategy", "donchian", "--set", "bar=3"], "has no parameter bar", "did you mean bars?"),
        (&["--strategy", "donchian", "--set", "bars=1"], "parameter bars of strategy donchian", "2 to 10000"),
        (&["--strategy", "rebalance"], "sim:BTC-USDT-PERP is not spot", "symbol takes symbol"),
    ] {
        let said = own(&home, &[&["run"], args].concat());
        let text = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 2 && lines[0].contains(error) && lines[1].contains(hint), "{text}");
        assert_eq!(lines[0].matches("strategy ").count(), 1, "what it is about is said once: {text}");
        assert!(!home.exists(), "{args:?} left a home behind");
    }
}
