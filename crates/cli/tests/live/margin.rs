//! Cross margin: spot's markets with borrowed money, and a user stream that needs a token.
//! Never: isolated margin.

use crate::trader::{Desk, Trader};
use crate::twin::{SPEED, Twin, funded};
use serde_json::json;

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
