//! Cross margin: spot's markets with borrowed money, and a user stream that needs a token.
//! Never: isolated margin.

use crate::trader::{COIN, Desk, Trader, refusal};
use crate::twin::{SPEED, Twin, funded, wait_until, with};
use serde_json::{Value, json};

#[test]
fn a_killed_run_goes_on_through_lost_answers_and_tokens_that_end() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    twin.rule("spot", "POST /sapi/v1/margin/order", 2, json!({"kind": "reply_lost"}));
    let mut trader = Trader::new(&twin, &[Desk::new("main", "margin", "test")]);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 3);
    assert_eq!(twin.rules("spot"), 0, "every fault has acted");
    // The listen token is over: what trades before the next one is found by asking.
    twin.deed("spot", json!({"do": "expire_keys"}));
    twin.fill_one("spot", &desk.name());
    trader.trade(&twin, &desk, 2);
    run.kill();
    assert!(twin.fill_one("spot", &desk.name()), "an order is open");
    run = trader.start();
    trader.trade(&twin, &desk, 2);
    trader.ends_well(&twin, run);
}

/// The account's owner borrows and repays on the venue's page: that is no profit and no loss.
#[test]
fn what_is_borrowed_and_repaid_elsewhere_is_not_owned() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    let loan = |kind: &str, amount: &str| {
        let query = format!("asset=USDT&isIsolated=FALSE&symbol=BTCUSDT&amount={amount}&type={kind}");
        twin.signed("spot", "POST", "/sapi/v1/margin/borrow-repay", &query, "test");
    };
    loan("BORROW", "5000");
    let mut trader = Trader::new(&twin, &[Desk::new("main", "margin", "test")]);
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 2);
    trader.agree_soon(&twin);
    loan("BORROW", "2500");
    trader.trade(&twin, &desk, 1);
    trader.agree_soon(&twin);
    run.kill();
    loan("REPAY", "6000");
    run = trader.start();
    trader.trade(&twin, &desk, 1);
    trader.ends_well(&twin, run);
}

/// Dollars only, on an account that borrows what its orders lack.
fn borrower(strategies: bool) -> (Twin, Trader) {
    // A grid buys for twice as much as this.
    let dollars = if strategies { "300" } else { "50000" };
    let twin = Twin::with(SPEED, &[with(funded("test"), json!({"margin": [["USDT", dollars]]}))]);
    let desk = Desk { more: "margin_borrow: auto", ..Desk::new("main", "margin", "test") };
    let trader = if strategies { Trader::new(&twin, &[desk]) } else { Trader::with(&twin, &[desk], "", "") };
    (twin, trader)
}

/// What is owed of an asset, interest apart.
fn owed(twin: &Twin, asset: &str) -> f64 {
    let account = twin.signed("spot", "GET", "/sapi/v1/margin/account", "", "test");
    let row = account["userAssets"].as_array().unwrap().iter().find(|a| a["asset"] == asset).unwrap().clone();
    row["borrowed"].as_str().unwrap().parse().unwrap()
}

fn market(trader: &Trader, side: &str, more: &[&str]) -> Vec<String> {
    let seen = || trader.call(&["call", "get_price_now", COIN, "--json"]).status.success();
    wait_until("a market", seen, || trader.logs());
    let order = ["call", "place_order", COIN, side, "market", "0.02", "--yes", "--json"];
    [&order[..], more].concat().into_iter().map(String::from).collect()
}

fn order(trader: &Trader, side: &str, more: &[&str]) -> Value {
    let args = market(trader, side, more);
    trader.json(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_short_sale_is_borrowed_and_repaid_over_a_kill() {
    let (twin, mut trader) = borrower(false);
    let mut run = trader.start();
    trader.wait_ready();
    // An order that is to do without a loan is kept to what is there.
    let args = market(&trader, "sell", &["auto_borrow=false"]);
    let out = trader.call(&args.iter().map(String::as_str).collect::<Vec<_>>());
    refusal(&out, "denied by BALANCE: asked 0.02, limit 0", "auto_borrow=true");
    assert_eq!(order(&trader, "sell", &[])["status"], "filled");
    assert_eq!(owed(&twin, "BTC"), 0.02, "{}", trader.logs());
    run.kill();
    // The next life knows what is owed, and repays it by buying the coins back; their fee is taken from them.
    run = trader.start();
    trader.wait_ready();
    trader.agree_soon(&twin);
    assert_eq!(order(&trader, "buy", &[])["status"], "filled");
    let left = owed(&twin, "BTC");
    assert!(left < 0.000_03, "{left} BTC are owed\n{}", trader.logs());
    trader.ends_well(&twin, run);
}

#[test]
fn a_grid_on_borrowed_dollars_goes_on_through_lost_answers_and_a_kill() {
    let (twin, mut trader) = borrower(true);
    twin.rule("spot", "POST /sapi/v1/margin/order", 2, json!({"kind": "reply_lost"}));
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.trade(&twin, &desk, 4);
    assert_eq!(twin.rules("spot"), 0, "every fault has acted");
    wait_until("a loan", || owed(&twin, "USDT") > 0.0, || trader.logs());
    run.kill();
    assert!(twin.fill_one("spot", &desk.name()), "an order is open");
    run = trader.start();
    trader.trade(&twin, &desk, 2);
    trader.ends_well(&twin, run);
}

#[test]
fn loans_where_there_are_none_are_refused() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    let desk = Desk { more: "margin_borrow: auto", ..Desk::new("main", "spot", "test") };
    let trader = Trader::with(&twin, &[desk], "", "");
    trader.refused(&twin, "only cross margin borrows", "profile: margin");
    let trader = Trader::with(&twin, &[Desk::new("main", "spot", "test")], "", "");
    let args =
        ["call", "place_order", COIN, "sell", "market", "0.02", "--account", "main", "--yes", "auto_borrow=true"];
    let out = trader.call(&args);
    refusal(&out, "auto_borrow: only cross margin borrows", "profile: margin");
    assert_eq!(trader.desks[0].truth(&twin).orders, 0);
}
