//! Changing and ending orders, and orders that wait for a trigger.
//! Never: two live orders where one was asked for.

use super::Capability::{Amend, Conditional, Core, Trailing};
use super::Case;
use super::words::{amend, buy, case, ensure, request_rule, sell};
use crate::plan::{Kind, Step};
use ctos_types::OrderStatus;
use serde_json::json;

pub const CHANGE: &[Case] = &[
    case(
        "a cancel ends an order",
        Core,
        || vec![buy(500, Kind::Limit(30), 1), (1_500, Step::Cancel(1))],
        |w| {
            w.pass(5_000);
            w.is(1, OrderStatus::Canceled)?;
            w.agrees_within(5)
        },
    ),
    case(
        "a cancel that comes too late leaves a filled order",
        Core,
        || vec![buy(500, Kind::Limit(-30), 1), (501, Step::Cancel(1))],
        |w| {
            w.pass(15_000);
            w.is(1, OrderStatus::Filled)?;
            w.agrees_within(5)
        },
    ),
    case(
        "cancel-all ends every order",
        Core,
        || {
            let orders = (0..4).map(|n| buy(500, Kind::Limit(30 + 5 * n), 1));
            orders.chain([sell(500, Kind::Limit(40), 1), (2_500, Step::CancelAll)]).collect()
        },
        |w| {
            w.pass(8_000);
            (1..=5).try_for_each(|n| w.is(n, OrderStatus::Canceled))?;
            w.agrees_within(5)
        },
    ),
    case(
        "a price is amended",
        Amend,
        || vec![buy(500, Kind::Limit(30), 1), amend(4_500, Some(50), None)],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::New)?;
            let before = w.order(1).and_then(|o| o.limit_price());
            w.pass(6_000);
            w.is(1, OrderStatus::New)?;
            let after = w.order(1).and_then(|o| o.limit_price());
            ensure(before.is_some() && after < before, format!("from {before:?} to {after:?}"))?;
            ensure(w.order(1).is_some_and(|o| !o.pending_amend), "the amend has no outcome")?;
            w.agrees_within(5)
        },
    ),
    case(
        "a size is amended",
        Amend,
        || vec![buy(500, Kind::Limit(30), 3), amend(2_000, None, Some(2))],
        |w| {
            w.pass(6_000);
            w.is(1, OrderStatus::New)?;
            let size = w.means_size();
            ensure(w.order(1).is_some_and(|o| o.size.0 == 2 * size), "the size is not the one asked for")?;
            w.agrees_within(5)
        },
    ),
    case(
        "an amend without an answer is what the venue says it is",
        Amend,
        || vec![buy(500, Kind::Limit(30), 1), amend(4_000, Some(50), None)],
        |w| {
            w.pass(4_000);
            for method in ["PUT", "POST"] {
                request_rule(w, method, 1, json!({"kind": "reply_lost"}));
            }
            w.pass(4_000);
            w.agrees_within(40)?;
            ensure(w.order(1).is_some_and(|o| !o.pending_amend && o.is_open()), "no outcome")
        },
    ),
    case(
        "a stop waits for its trigger",
        Conditional,
        || vec![buy(500, Kind::StopLimit(60), 1)],
        |w| {
            w.pass(5_000);
            w.is(1, OrderStatus::New)?;
            w.agrees_within(5)
        },
    ),
    case(
        "a stop that waits is cancelled",
        Conditional,
        || vec![buy(500, Kind::StopLimit(60), 1), (2_500, Step::Cancel(1))],
        |w| {
            w.pass(6_000);
            w.is(1, OrderStatus::Canceled)?;
            w.agrees_within(5)
        },
    ),
    case(
        "a stop fires and trades",
        Conditional,
        || vec![buy(500, Kind::StopMarket(1), 1)],
        |w| {
            for _ in 0..120 {
                w.pass(1_000);
                if w.order(1).is_some_and(|o| o.status == OrderStatus::Filled) {
                    return w.agrees_within(5);
                }
            }
            w.is(1, OrderStatus::Filled)
        },
    ),
    case(
        "a trailing stop is taken",
        Trailing,
        || vec![sell(500, Kind::Trailing(200), 1)],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::New)?;
            w.agrees_within(5)
        },
    ),
];
