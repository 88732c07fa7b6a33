//! Commands past any instance, beside a twin that goes sixty times as fast as the world.
//! Never: a stamp of this machine's time, which such a venue finds old after a tenth of a second.

use crate::trader::{PERP, Trader, refusal};
use crate::twin::{Twin, funded};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn every_command_keeps_the_twins_time() {
    let twin = Twin::with(60, &[funded("test")]);
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    run.kill();
    let open = desk.truth(&twin).open.len();
    let begun = Instant::now();
    // It asks twice, a second of the venue apart at least, and errors make it ask again.
    twin.rule("usdm", "DELETE /fapi/v1/*", 4, json!({"kind": "error", "text": "unavailable", "executed": false}));
    let halted = trader.json(&["halt", "--reason", "gone", "--json"]);
    assert_eq!((&halted["verified"], &halted["venues"][0]["found"]), (&json!(true), &json!(open)), "{halted}");
    assert!(desk.truth(&twin).open.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(30), "it was done at the twin's pace");
    assert!(trader.call(&["resume", "--reason", "looked"]).status.success());

    let price = format!("{:.1}", (twin.price("usdm", "BTCUSDT").unwrap() * 0.98).floor());
    let placed = trader.json(&["call", "place_order", PERP, "buy", "post_only", "0.01", &price, "--yes", "--json"]);
    assert_eq!(placed["status"], "new", "{placed}");
    // A reply that was lost is looked for over many seconds of the venue.
    twin.rule("usdm", "POST /fapi/v1/order", 1, json!({"kind": "lost"}));
    let lost = trader.call(&["call", "place_order", PERP, "buy", "post_only", "0.011", &price, "--yes", "--json"]);
    refusal(&lost, "never arrived", "");
    let swept = trader.json(&["call", "cancel_all", "--json"]);
    assert_eq!((&swept["ok"], &swept["found"]), (&json!(true), &json!(1)), "{swept}");
    let checked = trader.json(&["account", "check", "--json"]);
    assert_eq!(checked[0]["ok"], true, "{checked}");
    let from = (twin.time() - 300_000).to_string();
    let url = twin.url("usdm", "rest").to_owned();
    let download = ["data", "download", "binance", PERP, "--from", &from, "--base-url", &url, "--json"];
    let report = trader.call(&download);
    assert!(report.status.success(), "{report:?}");
}

#[test]
fn a_run_at_another_pace_than_its_twin_is_refused() {
    let twin = Twin::with(60, &[funded("test")]);
    let trader = Trader::usdm(&twin);
    let yaml = std::fs::read_to_string(trader.dir.path().join("ctos.yaml")).unwrap();
    for (speed, said) in [("speed: 1x", "the settings say 1x"), ("speed: 30x", "the settings say 30x")] {
        let other = Trader::of(&yaml.replace("speed: 60x", speed), &trader.desks);
        let out = other.refused(&twin, "goes at 60x", "write speed: 60x");
        assert!(out.contains(said), "{out}");
    }
    trader.json(&["call", "balances", "--json"]);
}
