//! The two ways of an order: over the venue's socket for orders, and by REST where that is not well.
//! Never: an order that goes both ways.

use super::Capability::OrderEntry;
use super::Case;
use super::words::{amend, buy, case, commands, ensure, request_rule};
use crate::plan::{Kind, Step};
use crate::world::World;
use ctos_types::OrderStatus;
use serde_json::json;

/// Messages that went over the socket.
fn by_socket(w: &World) -> u64 {
    w.engine().gateway.entry_status(w.now).iter().map(|e| e.sent).sum()
}

fn went(w: &World, by_http: u64, socket: u64) -> Result<(), String> {
    let (http, sent) = (w.by_http, by_socket(w));
    ensure((http, sent) == (by_http, socket), format!("{http} by HTTP and {sent} over the socket"))
}

pub const ENTRY: &[Case] = &[
    Case {
        setup: |s| s.entry = true,
        ..case(
            "order entry over socket",
            OrderEntry,
            || vec![buy(3_000, Kind::Limit(30), 2), amend(5_000, Some(40), None), (7_000, Step::Cancel(1))],
            |w| {
                w.pass(4_500);
                w.is(1, OrderStatus::New)?;
                w.pass(5_000);
                w.is(1, OrderStatus::Canceled)?;
                went(w, 0, 3)?;
                w.agrees_within(5)
            },
        )
    },
    Case {
        setup: |s| s.entry = true,
        ..case(
            "fallback to REST when the socket is down",
            OrderEntry,
            || vec![buy(3_000, Kind::Limit(30), 1), buy(6_000, Kind::Limit(40), 1), buy(60_000, Kind::Limit(50), 1)],
            |w| {
                w.pass(4_500);
                went(w, 0, 1)?;
                w.net.quality.no_entry = true;
                w.cut_entries();
                w.pass(4_000);
                w.is(2, OrderStatus::New)?;
                went(w, 1, 1)?;
                // Where it is well again it is used again.
                w.net.quality.no_entry = false;
                w.pass(54_000);
                w.is(3, OrderStatus::New)?;
                went(w, 1, 2)?;
                w.agrees_within(5)
            },
        )
    },
    Case {
        setup: |s| s.entry = true,
        ..case(
            "a message that nobody replies to is found out",
            OrderEntry,
            || vec![buy(3_000, Kind::Limit(30), 1), buy(20_000, Kind::Limit(40), 1)],
            |w| {
                w.pass(2_000);
                request_rule(w, "POST", 1, json!({"kind": "unanswered"}));
                w.pass(16_000);
                w.is(1, OrderStatus::New)?;
                // The socket is mute: the next one goes by REST.
                w.pass(5_000);
                w.is(2, OrderStatus::New)?;
                went(w, 1, 1)?;
                ensure(commands(w) == 2, "it was sent again")?;
                w.agrees_within(10)
            },
        )
    },
    Case {
        setup: |s| s.entry = true,
        ..case(
            "a message that is lost without a word is given up",
            OrderEntry,
            || vec![buy(3_000, Kind::Limit(30), 1)],
            |w| {
                w.pass(2_000);
                request_rule(w, "POST", 1, json!({"kind": "unheard"}));
                w.pass(30_000);
                w.agrees_within(40)?;
                w.is(1, OrderStatus::Rejected)?;
                went(w, 0, 1)
            },
        )
    },
    Case {
        setup: |s| s.entry = false,
        ..case(
            "orders by REST alone, where that is wanted",
            OrderEntry,
            || vec![buy(3_000, Kind::Limit(30), 2), (5_000, Step::Cancel(1))],
            |w| {
                w.pass(8_000);
                w.is(1, OrderStatus::Canceled)?;
                went(w, 2, 0)
            },
        )
    },
];
