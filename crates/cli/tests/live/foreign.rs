//! Others on the account: orders and trades by hand, and a second instance of ctos.
//! Never: a stranger's order cancelled.

use crate::trader::{Trader, refusal};
use crate::twin::{Twin, wait_until};
use serde_json::json;

#[test]
fn what_a_person_trades_on_the_account_is_taken_in_and_the_run_goes_on() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 1);
    let by_hand = |side: &str, quantity: &str, price: serde_json::Value| {
        let deed = json!({"do": "foreign", "account": "test", "symbol": "BTCUSDT", "side": side, "quantity": quantity, "price": price});
        twin.deed("usdm", deed)["orderId"].as_i64().unwrap()
    };
    let low = format!("{:.1}", (twin.price("usdm", "BTCUSDT").unwrap() * 0.97).floor());
    let resting = by_hand("BUY", "0.01", json!(low));
    by_hand("BUY", "0.05", json!(null));
    trader.wait_log("which is not ours, is open");
    trader.trade(&twin, &desk, 2);
    trader.agree_soon(&twin);
    // Seen again after a restart, which meets another trade by hand.
    run.kill();
    by_hand("SELL", "0.02", json!(null));
    run = trader.start();
    trader.trade(&twin, &desk, 2);
    trader.agree_soon(&twin);
    let summary = trader.end(run);
    trader.agrees_but(&twin, &summary, &[resting]);
    trader.replays();
}

#[test]
fn a_second_instance_is_refused_by_the_lock_or_by_the_orders_of_the_first() {
    let twin = Twin::start();
    let mut trader = Trader::usdm(&twin);
    let desk = trader.desks[0].clone();
    let run = trader.start();
    trader.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    // From another home, so that it is the account's own lock that refuses.
    let out = trader.command_in("other", &["run", "--plain", "--yes"]).output().unwrap();
    refusal(&out, "is traded by", "stop the other one first");
    assert!(!trader.dir.path().join("other/runs").exists(), "nothing half-made is left");
    // A machine elsewhere has no such lock: the ids of the first one's orders show it.
    let second = Trader::usdm(&twin);
    let orders = desk.truth(&twin).orders;
    refusal(&second.call(&["run", "--plain", "--yes"]), "an instance of ctos that is not this home's", "stop it first");
    assert!(!second.has_runs(), "nothing half-made is left");
    assert_eq!(desk.truth(&twin).orders, orders, "the second one placed nothing");
    assert!(desk.truth(&twin).open.len() >= 10, "nor did it cancel");
    trader.trade(&twin, &desk, 2);
    trader.ends_well(&twin, run);
}

/// Both began while nothing was open, on machines that share no lock.
#[test]
fn an_instance_that_meets_another_ones_orders_halts_the_account_and_leaves_them_alone() {
    let twin = Twin::start();
    let mut first = Trader::usdm(&twin);
    let desk = first.desks[0].clone();
    let mut second = Trader::with(&twin, &first.desks, "", "");
    let other = second.start();
    second.wait_ready();
    let run = first.start();
    first.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    second.wait_log("another instance");
    let halted = || second.json(&["status", "--json"])["halts"][0]["scope"] == "account:main";
    wait_until("a halt of the account", halted, || second.logs());
    assert!(desk.truth(&twin).open.len() >= 10, "the first one's orders stay");
    second.end(other);
    assert!(desk.truth(&twin).open.len() >= 10, "at its end, too");
    first.trade(&twin, &desk, 2);
    first.ends_well(&twin, run);
}
