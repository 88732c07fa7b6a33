//! The venue's limits and its clock.
//! Never: a request under a ban, or one that the venue refuses for want of room.

use super::Capability::Core;
use super::Case;
use super::words::{buy, case, ensure};
use crate::plan::{Kind, Step};
use crate::rows::stage::Stage;
use ctos_types::OrderStatus;
use serde_json::json;

pub const LIMITS: &[Case] = &[
    case(
        "a burst of orders keeps to the venue's limits",
        Core,
        || (0..130).map(|n| buy(500, Kind::Limit(20 + n), 1)).collect(),
        |w| {
            for _ in 0..60 {
                w.pass(1_000);
                w.always()?;
            }
            let open = (1..=130).filter(|n| w.is(*n, OrderStatus::New).is_ok()).count();
            // Those that would have waited too long for room came back.
            ensure(open >= 30, format!("only {open} of them rest"))?;
            let told = (1..=130).all(|n| w.order(n).is_some_and(|o| o.status != OrderStatus::Unknown));
            ensure(told, "some have no outcome")?;
            w.agrees_within(10)
        },
    ),
    case(
        "a refusal for want of room is waited for",
        Core,
        || vec![buy(500, Kind::Limit(30), 1), buy(9_000, Kind::Limit(40), 1), (9_000, Step::Cancel(1))],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::New)?;
            w.notes.limits_injected = true;
            w.admin(&json!({"do": "rule", "rule": {"on": "request", "times": 0,
                "fault": {"kind": "limit", "retry_after": 30}}}));
            w.pass(20_000);
            // Those that were under way when it came, and none after them.
            let met = w.limited_replies;
            ensure((1..=2).contains(&met), format!("{met} requests met the limit"))?;
            w.admin(&json!({"do": "behave"}));
            w.pass(60_000);
            w.is(1, OrderStatus::Canceled)?;
            w.agrees_within(30)
        },
    ),
    case(
        "a ban stops everything and is waited for",
        Core,
        || vec![buy(500, Kind::Limit(30), 1), (9_000, Step::Cancel(1))],
        |w| {
            w.pass(4_000);
            w.notes.bans = 1;
            w.admin(
                &json!({"do": "rule", "rule": {"on": "request", "times": 1, "fault": {"kind": "ban", "secs": 20}}}),
            );
            w.pass(12_000);
            let met = w.banned_replies;
            w.pass(6_000);
            ensure(met <= 2 && w.banned_replies == met, format!("{} requests met the ban", w.banned_replies))?;
            w.pass(30_000);
            w.is(1, OrderStatus::Canceled)?;
            w.agrees_within(60)
        },
    ),
    case(
        "a clock that jumps is followed",
        Core,
        || vec![buy(15_000, Kind::Limit(30), 1)],
        |w| {
            w.pass(5_000);
            w.admin(&json!({"do": "skew", "ms": 20_000}));
            w.pass(40_000);
            w.agrees_within(30)?;
            let status = w.order(1).map(|o| o.status);
            ensure(matches!(status, Some(OrderStatus::New | OrderStatus::Rejected)), format!("it is {status:?}"))
        },
    ),
];
