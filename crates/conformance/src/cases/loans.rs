//! Cross margin that borrows: what is lent, when it is given back, and what becomes of it where answers are lost.
//! Never: an amount that only the driver says; debts are the venue's own.

use super::Capability::Loans;
use super::Case;
use super::words::{amend, buy, commands, ensure, refused, request_rule, sell};
use crate::plan::{Kind, Plan, Step};
use crate::rows::stage::Stage;
use crate::world::{Setup, World};
use ctos_types::{Decimal, OrderStatus, RejectReason, Rounding};
use serde_json::json;

const fn loan(name: &'static str, plan: fn() -> Plan, play: fn(&mut World) -> Result<(), String>) -> Case {
    Case { name, needs: Loans, setup: |setup: &mut Setup| setup.borrows = true, plan, play }
}

/// What the account owes of an asset, interest apart.
fn debt(w: &mut World, asset: &str) -> Decimal {
    let account = w.true_account();
    let rows = account["balances"].as_array().cloned().unwrap_or_default();
    let row = rows.into_iter().find(|row| row["asset"] == asset).unwrap_or_default();
    row["borrowed"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn owes(w: &mut World, lots: i64) -> Result<(), String> {
    let (have, size) = (debt(w, "BTC"), w.quantity(w.means_size() * lots));
    ensure(have == size.parse().unwrap_or_default(), format!("{have} BTC are owed, not {size}"))
}

pub const LOANS: &[Case] = &[
    loan(
        "what is there is not borrowed",
        || vec![buy(500, Kind::Market, 2), sell(3_000, Kind::Market, 1)],
        |w| {
            w.pass(6_000);
            w.is(1, OrderStatus::Filled)?;
            w.is(2, OrderStatus::Filled)?;
            let word = w.order(2).and_then(|o| o.request.auto_borrow);
            ensure(word.is_none(), format!("the sale of what was bought says {word:?} of loans"))?;
            owes(w, 0)?;
            w.agrees_within(10)
        },
    ),
    loan(
        "a sale of what is not there borrows it, and buying it back repays",
        || vec![sell(500, Kind::Market, 2), (6_000, Step::CloseAll)],
        |w| {
            w.pass(4_500);
            w.is(1, OrderStatus::Filled)?;
            owes(w, 2)?;
            w.agrees_within(1)?;
            w.pass(6_000);
            w.flat()?;
            // The fee was taken from the coins.
            let (left, fee) = (debt(w, "BTC"), Decimal::new(1, 5));
            ensure(left == fee, format!("{left} BTC are owed after the purchase, not {fee}"))?;
            w.agrees_within(50)
        },
    ),
    loan(
        "a resting order borrows, and its cancel gives it back",
        || vec![sell(500, Kind::Limit(30), 1), (5_000, Step::Cancel(1))],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::New)?;
            owes(w, 1)?;
            w.agrees_within(2)?;
            w.pass(4_000);
            w.is(1, OrderStatus::Canceled)?;
            owes(w, 0)?;
            w.agrees_within(10)
        },
    ),
    loan(
        "a larger order in its place borrows more",
        || vec![sell(500, Kind::Limit(30), 1), amend(4_000, None, Some(3))],
        |w| {
            w.pass(8_000);
            w.is(1, OrderStatus::New)?;
            owes(w, 3)?;
            w.agrees_within(10)
        },
    ),
    loan(
        "what the venue does not lend is refused, with its reason",
        || vec![sell(500, Kind::Limit(30), 150)],
        |w| {
            w.pass(5_000);
            w.is(1, OrderStatus::Rejected)?;
            refused(w, 1, RejectReason::InsufficientBalance)?;
            owes(w, 0)?;
            w.agrees_within(10)
        },
    ),
    loan(
        "an order with a loan whose answer is lost is adopted",
        || vec![sell(3_000, Kind::Limit(30), 1)],
        |w| {
            w.pass(2_000);
            request_rule(w, "POST", 1, json!({"kind": "reply_lost"}));
            w.agrees_within(30)?;
            w.pass(3_000);
            w.is(1, OrderStatus::New)?;
            ensure(commands(w) == 1, "it was sent again")?;
            owes(w, 1)
        },
    ),
    loan(
        "an order with a loan in flight at a kill is found, and repaid by the next life",
        || vec![sell(1_000, Kind::Market, 2), (60_000, Step::CloseAll)],
        |w| {
            for _ in 0..2_000 {
                w.pass(5);
                if commands(w) == 1 {
                    break;
                }
            }
            w.restart();
            w.agrees_within(55)?;
            w.is(1, OrderStatus::Filled)?;
            owes(w, 2)?;
            w.pass(60_000);
            w.flat()?;
            let left = debt(w, "BTC");
            ensure(left == Decimal::new(1, 5), format!("{left} BTC are owed after the purchase"))?;
            w.agrees_within(50)
        },
    ),
    loan(
        "interest is booked as it is charged",
        || vec![sell(500, Kind::Market, 50)],
        |w| {
            w.agrees_within(10)?;
            w.pass(3_000);
            let (before, owed) = (w.cash("BTC"), debt(w, "BTC"));
            ensure(owed >= Decimal::new(2, 1), format!("only {owed} BTC are owed"))?;
            // Over the full hour, and until the balances were read again.
            w.pass(3_660_000);
            let (paid, due) = (before - w.cash("BTC"), owed.mul_ratio(1, 1_000_000, Rounding::Up).unwrap_or_default());
            ensure(paid == due.round(8, Rounding::Up), format!("{paid} BTC of interest are booked, not {due}"))?;
            w.agrees_within(50)
        },
    ),
];
