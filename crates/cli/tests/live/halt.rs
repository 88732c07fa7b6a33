//! The kill switch while the venue is in trouble: it keeps trying, looks until nothing is open, and outlives a restart.
//! Never: a halt that is only said.

use crate::trader::Trader;
use crate::twin::{Twin, wait_until};
use serde_json::{Value, json};
use std::process::Stdio;

/// Every way to cancel an order meets an error of the venue's front end.
fn cancels_fail(twin: &Twin) {
    twin.rule("usdm", "DELETE /fapi/v1/*", 0, json!({"kind": "error", "text": "unavailable", "executed": false}));
}

#[test]
fn a_halt_keeps_trying_while_the_venue_answers_errors_and_outlives_a_restart() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 1);
    trader.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    cancels_fail(&twin);
    let halting = trader
        .command(&["halt", "--reason", "news", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(!desk.truth(&twin).open.is_empty(), "no cancel can have worked");
    let placed = desk.truth(&twin).orders;
    twin.deed("usdm", json!({"do": "behave"}));
    let out = halting.wait_with_output().unwrap();
    assert!(out.status.success(), "{}\n{}", String::from_utf8_lossy(&out.stderr), trader.logs());
    let halted: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(halted["verified"], true, "{halted}");
    assert!(desk.truth(&twin).open.is_empty(), "verified means that the venue has none");
    run.kill();
    run = trader.start();
    trader.wait_ready();
    std::thread::sleep(std::time::Duration::from_millis(1_000));
    assert_eq!(desk.truth(&twin).orders, placed, "halted over the restart: nothing new");
    let status = trader.json(&["status", "--json"]);
    assert_eq!((&status["halts"][0]["scope"], &status["halts"][0]["reason"]), (&json!("system"), &json!("news")));
    assert!(trader.call(&["resume", "--reason", "looked"]).status.success());
    trader.wait_for(&twin, &desk, "orders after the halt", |t| !t.open.is_empty());
    trader.ends_well(&twin, run);
}

#[test]
fn a_halt_past_a_killed_instance_keeps_trying_too() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    run.kill();
    let open = desk.truth(&twin).open.len();
    twin.rule("usdm", "DELETE /fapi/v1/*", 4, json!({"kind": "error", "text": "unavailable", "executed": false}));
    let halted = trader.json(&["halt", "--reason", "gone", "--json"]);
    assert_eq!(halted["verified"], true, "{halted}");
    assert_eq!(halted["venues"][0]["found"], open, "{halted}");
    assert!(desk.truth(&twin).open.is_empty());
    assert_eq!(twin.rules("usdm"), 0, "every fault has acted");
    let placed = desk.truth(&twin).orders;
    run = trader.start();
    trader.wait_ready();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(desk.truth(&twin).orders, placed, "latched");
    assert!(trader.call(&["resume", "--reason", "looked"]).status.success());
    wait_until("orders", || !desk.truth(&twin).open.is_empty(), || trader.logs());
    trader.ends_well(&twin, run);
}
