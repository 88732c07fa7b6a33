//! Spot: killed, answers lost, fees in a third coin; coins and money end equal to the last digit.
//! Never: a market that moves by itself only: the stories bring the fills they need.

use crate::trader::{Desk, Trader};
use crate::twin::{SPEED, Twin, funded, plain, with};
use serde_json::json;

const ORDER: &str = "POST /api/v3/order";

#[test]
fn a_killed_run_goes_on_and_fees_in_a_third_coin_are_paid_once() {
    let twin = Twin::with(SPEED, &[with(funded("test"), json!({"fee_token": "BNB"}))]);
    let mut trader = Trader::new(&twin, &[Desk::new("main", "spot", "test")]);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 3);
    run.kill();
    assert!(!desk.truth(&twin).open.is_empty(), "the grid's orders outlive a kill");
    // Trades that happen while nobody is there.
    assert!(twin.fill_one("spot", "test"), "an order is open");
    run = trader.start();
    trader.trade(&twin, &desk, 3);
    let summary = trader.ends_well(&twin, run);
    let paid: f64 = summary["fees"]["BNB"].as_str().unwrap().parse().unwrap();
    let left: f64 = plain(&desk.truth(&twin).balances["BNB"]).parse().unwrap();
    assert!(paid > 0.0 && (100.0 - left - paid).abs() < 1e-9, "{paid} paid, {left} left");
    assert_eq!(summary["fees"].as_object().unwrap().len(), 1, "{summary}");
}

/// The first orders' answers are lost, one is answered by half; and then those of every order while ctos is killed.
#[test]
fn orders_whose_answers_are_lost_are_found_and_never_sent_again() {
    let twin = Twin::start();
    twin.rule("spot", ORDER, 2, json!({"kind": "reply_lost"}));
    twin.rule("spot", ORDER, 1, json!({"kind": "half_reply"}));
    let mut trader = Trader::new(&twin, &[Desk::new("main", "spot", "test")]);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 3);
    trader.wait_for(&twin, &desk, "a grid", |t| t.open.len() >= 10);
    assert_eq!(twin.rules("spot"), 0, "every fault has acted");
    twin.rule("spot", ORDER, 0, json!({"kind": "reply_lost"}));
    let before = desk.truth(&twin);
    twin.fill_one("spot", "test");
    // The grid's answer to the fill is at the venue, and ctos has not heard of it.
    trader.wait_for(&twin, &desk, "the next order", |t| t.orders > before.orders);
    run.kill();
    twin.deed("spot", json!({"do": "behave"}));
    run = trader.start();
    trader.trade(&twin, &desk, 2);
    trader.ends_well(&twin, run);
}
