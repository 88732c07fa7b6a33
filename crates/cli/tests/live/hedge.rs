//! USD-M in hedge mode: chosen or refused, and both legs traded at once.
//! Never: another profile.

use crate::trader::{Desk, PERP, Trader, grid};
use crate::twin::{SPEED, Twin, funded, wait_until};
use serde_json::Value;

fn hedged(twin: &Twin, strategies: &str) -> Trader {
    let desk = Desk { more: "hedge_mode: true", ..Desk::new("main", "usdm", "test") };
    Trader::with(twin, &[desk], strategies, "")
}

/// The account's owner switches on the venue's page: here through a signed call of its own.
fn switch_to_hedge(twin: &Twin) {
    twin.signed("usdm", "POST", "/fapi/v1/positionSide/dual", "dualSidePosition=true", "test");
}

#[test]
fn a_position_mode_that_the_settings_do_not_want_is_refused() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    let one_way = "the account is in one-way mode, and the settings say hedge mode";
    hedged(&twin, "").refused(&twin, one_way, "hedge_mode: false");
    switch_to_hedge(&twin);
    let hedge = "the account is in hedge mode, and the settings say one-way";
    Trader::usdm(&twin).refused(&twin, hedge, "hedge_mode: true");
}

#[test]
fn a_strategy_with_one_net_position_is_refused_at_the_start() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    switch_to_hedge(&twin);
    let what = "strategy grid-main (grid) trades binance:BTC-USDT-PERP in one net position";
    hedged(&twin, &grid("main", PERP)).refused(&twin, what, "set hedge_mode: false for account main");
}

#[test]
fn both_legs_are_traded_and_both_sides_agree() {
    let twin = Twin::with(SPEED, &[funded("test")]);
    switch_to_hedge(&twin);
    let mut trader = hedged(&twin, "");
    let desk = trader.desks[0].clone();
    let mut run = trader.start();
    trader.wait_ready();
    let order = |trader: &Trader, side: &str, leg: &str, more: &[&str]| -> Value {
        let args = ["call", "place_order", PERP, side, "market", "0.02", "--yes", "--json"];
        trader.json(&[&args[..], &[&format!("leg={leg}")], more].concat())
    };
    wait_until(
        "a market",
        || trader.call(&["call", "get_price_now", PERP, "--json"]).status.success(),
        || trader.logs(),
    );
    assert_eq!(order(&trader, "buy", "long", &[])["status"], "filled");
    assert_eq!(order(&trader, "sell", "short", &[])["status"], "filled");
    let truth = desk.truth(&twin);
    let legs: Vec<_> = truth.positions.iter().map(|((_, side), qty)| (side.as_str(), qty.as_str())).collect();
    assert_eq!(legs, [("LONG", "0.02"), ("SHORT", "-0.02")]);
    run.kill();
    // Both legs are known after a restart, and one of them is closed by half.
    run = trader.start();
    trader.wait_ready();
    wait_until(
        "a market",
        || trader.call(&["call", "get_price_now", PERP, "--json"]).status.success(),
        || trader.logs(),
    );
    let args =
        ["call", "place_order", PERP, "sell", "market", "0.01", "leg=long", "reduce_only=true", "--yes", "--json"];
    assert_eq!(trader.json(&args)["status"], "filled");
    trader.ends_well(&twin, run);
    assert_eq!(desk.truth(&twin).positions.values().collect::<Vec<_>>(), ["0.01", "-0.02"]);
}
