//! Requests without a verdict, streams that break, restarts: what is found out, and how.
//! Never: an order that is sent again.

use super::Capability::Core;
use super::Case;
use super::words::{buy, case, commands, ensure, request_rule, sell};
use crate::engine::ACCOUNT;
use crate::plan::Kind;
use crate::rows::stage::Stage;
use ctos_types::OrderStatus;
use serde_json::json;

pub const DOUBT: &[Case] = &[
    case(
        "a request that never arrives is found out",
        Core,
        || vec![buy(3_000, Kind::Limit(30), 1)],
        |w| {
            w.pass(2_000);
            request_rule(w, "POST", 1, json!({"kind": "lost"}));
            let mut waited = false;
            for _ in 0..120 {
                w.pass(250);
                waited |= !w.engine().kernel.is_known(ACCOUNT);
            }
            ensure(waited, "new risk is allowed while an order is in doubt")?;
            w.agrees_within(40)?;
            w.is(1, OrderStatus::Rejected)
        },
    ),
    case(
        "an order whose answer is lost is adopted",
        Core,
        || vec![buy(3_000, Kind::Limit(30), 1)],
        |w| {
            w.pass(2_000);
            request_rule(w, "POST", 1, json!({"kind": "reply_lost"}));
            w.agrees_within(30)?;
            w.pass(3_000);
            w.is(1, OrderStatus::New)?;
            ensure(commands(w) == 1, "it was sent again")
        },
    ),
    case(
        "a fill that nobody told of is found",
        Core,
        || vec![buy(4_000, Kind::Limit(-30), 1)],
        |w| {
            w.pass(3_000);
            request_rule(w, "POST", 1, json!({"kind": "reply_lost"}));
            w.admin(
                &json!({"do": "rule", "rule": {"on": "user", "named": "*", "times": 0, "fault": {"kind": "drop"}}}),
            );
            w.pass(20_000);
            w.is(1, OrderStatus::Filled)?;
            w.admin(&json!({"do": "behave"}));
            w.agrees_within(60)
        },
    ),
    case(
        "a user stream that is up and does not tell of a fill is replaced",
        Core,
        || vec![buy(3_000, Kind::Limit(30), 1)],
        |w| {
            w.pass(40_000);
            ensure(w.links().iter().all(|link| link.0 == 1), "a link was replaced before")?;
            w.admin(
                &json!({"do": "rule", "rule": {"on": "user", "named": "*", "times": 0, "fault": {"kind": "drop"}}}),
            );
            w.fill_at_venue(None)?;
            w.pass(20_000);
            w.is(1, OrderStatus::Filled)?;
            w.admin(&json!({"do": "behave"}));
            ensure(w.links().iter().any(|link| link.0 == 2), "the stream was not replaced")?;
            w.agrees_within(60)
        },
    ),
    case(
        "a 5xx after the deed is no refusal",
        Core,
        || vec![buy(3_000, Kind::Limit(30), 1)],
        |w| {
            w.pass(2_000);
            request_rule(w, "POST", 1, json!({"kind": "error", "text": "timeout", "executed": true}));
            w.agrees_within(30)?;
            w.pass(3_000);
            w.is(1, OrderStatus::New)
        },
    ),
    case(
        "fills behind a cut stream are caught up with",
        Core,
        || vec![buy(1_000, Kind::Limit(1), 1)],
        |w| {
            w.pass(4_000);
            w.net.quality.no_connection = 1_000;
            w.admin(&json!({"do": "close", "code": null}));
            w.pass(500);
            ensure(!w.engine().kernel.is_known(ACCOUNT), "new risk is allowed without the stream")?;
            w.pass(30_000);
            w.net.quality.no_connection = 0;
            w.agrees_within(60)
        },
    ),
    case("market data with a hole is told and mended", Core, Vec::new, |w| {
        w.agrees_within(10)?;
        w.admin(&json!({"do": "rule", "rule": {"on": "market", "named": "*", "times": 20, "fault": {"kind": "drop"}}}));
        let mut told = false;
        for _ in 0..400 {
            w.pass(50);
            told |= w.engine().kernel.market(w.instrument().id).book().is_none();
        }
        ensure(told, "nobody was told of the hole")?;
        w.agrees_within(30)
    }),
    case(
        "a restart adopts what the venue has",
        Core,
        || vec![buy(500, Kind::Limit(30), 1), buy(500, Kind::Limit(1), 1), sell(600, Kind::Limit(40), 1)],
        |w| {
            w.pass(3_000);
            w.restart();
            w.agrees_within(30)?;
            w.is(1, OrderStatus::New)
        },
    ),
    case(
        "an order in flight at a kill is found",
        Core,
        || vec![buy(1_000, Kind::Limit(30), 1)],
        |w| {
            for _ in 0..2_000 {
                w.pass(5);
                if commands(w) == 1 {
                    break;
                }
            }
            w.restart();
            w.agrees_within(60)?;
            let status = w.order(1).map(|o| o.status);
            ensure(matches!(status, Some(OrderStatus::New | OrderStatus::Rejected)), format!("it is {status:?}"))
        },
    ),
];
