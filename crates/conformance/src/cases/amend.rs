//! Orders that trade while they are changed.
//! Never: two live orders where one was asked for, or more bought than was asked for.

use super::Capability::Amend;
use super::Case;
use super::words::{amend, buy, case, ensure, request_rule};
use crate::plan::{Kind, Plan, Step};
use crate::rows::stage::Stage;
use crate::world::World;
use ctos_driver_binance::Profile;
use ctos_types::OrderStatus;
use serde_json::json;

/// Three lots, and a price further away after four seconds.
fn three() -> Plan {
    vec![buy(500, Kind::Limit(30), 3), amend(4_000, Some(50), None)]
}

/// One lot trades before the amend.
fn begun(w: &mut World) -> Result<(), String> {
    w.pass(2_500);
    let one = w.quantity(w.means_size());
    w.fill_at_venue(Some(&one))?;
    w.pass(500);
    w.is(1, OrderStatus::PartiallyFilled)
}

/// The request that takes an order away to change it, when nothing of it has traded.
fn first_request(w: &World) -> &'static str {
    match w.profile() {
        Profile::Spot => "POST",
        Profile::Margin => "DELETE",
        Profile::UsdM => "PUT",
    }
}

/// Filled so many lots of three, at the new price, alone at the venue.
fn changed(w: &mut World, lots: i64, before: Option<ctos_types::Price>) -> Result<(), String> {
    w.is(1, OrderStatus::PartiallyFilled)?;
    let size = w.means_size();
    let order = w.order(1).ok_or("no order")?;
    let (price, cum, total, pending) = (order.limit_price(), order.cum_qty.0, order.size.0, order.pending_amend);
    ensure(!pending, "the amend has no outcome")?;
    ensure(before.is_some() && price < before, format!("from {before:?} to {price:?}"))?;
    ensure((cum, total) == (lots * size, 3 * size), format!("{cum} of {total} filled"))?;
    let open = w.true_account()["openOrders"].as_array().map_or(0, Vec::len);
    ensure(open == 1, format!("{open} orders at the venue"))?;
    w.agrees_within(5)
}

pub const AMEND: &[Case] = &[
    case("an order that has begun to trade is amended", Amend, three, |w| {
        begun(w)?;
        let before = w.order(1).and_then(|o| o.limit_price());
        w.pass(6_000);
        changed(w, 1, before)
    }),
    case("an order that begins to trade while it is replaced keeps what it bought", Amend, three, |w| {
        w.pass(3_000);
        let before = w.order(1).and_then(|o| o.limit_price());
        let one = w.quantity(w.means_size());
        request_rule(w, first_request(w), 1, json!({"kind": "fill_first", "quantity": one}));
        w.pass(8_000);
        changed(w, 1, before)
    }),
    case("an order that fills while it is replaced is not bought twice", Amend, three, |w| {
        begun(w)?;
        let method = if w.is_usdm() { "PUT" } else { "DELETE" };
        request_rule(w, method, 1, json!({"kind": "fill_first", "quantity": null}));
        w.pass(6_000);
        w.agrees_within(30)?;
        w.is(1, OrderStatus::Filled)?;
        let (cum, size) = (w.order(1).map_or(0, |o| o.cum_qty.0), w.means_size());
        ensure(cum == 3 * size, format!("{cum} filled"))
    }),
    case("half an amend is told as what it is", Amend, three, |w| {
        begun(w)?;
        let method = if w.is_usdm() { "PUT" } else { "POST" };
        request_rule(w, method, 1, json!({"kind": "lost"}));
        w.pass(6_000);
        w.agrees_within(60)?;
        ensure(w.order(1).is_some_and(|o| !o.pending_amend), "the amend has no outcome")?;
        // Changed in place, nothing has happened. Else the old order is gone and the new one never came.
        w.is(1, if w.is_usdm() { OrderStatus::PartiallyFilled } else { OrderStatus::Canceled })
    }),
    case(
        "an answer to an amend that comes during the next one is not the next one's",
        Amend,
        || [three(), vec![amend(5_000, Some(70), None)]].concat(),
        |w| {
            let method = if w.is_usdm() { "PUT" } else { "POST" };
            let price = |w: &World| w.order(1).and_then(|o| o.limit_price());
            w.pass(3_500);
            let before = price(w);
            request_rule(w, method, 1, json!({"kind": "delay", "before_ms": 0, "after_ms": 1_800}));
            w.pass(1_000);
            let first = price(w);
            ensure(first < before, format!("the stream did not tell: {first:?}"))?;
            // The next one takes longer than that answer: on margin its first half, else all of it.
            let (method, before_ms, after_ms) =
                if w.profile() == Profile::Margin { ("DELETE", 0, 1_400) } else { (method, 3_500, 0) };
            request_rule(w, method, 1, json!({"kind": "delay", "before_ms": before_ms, "after_ms": after_ms}));
            w.pass(1_750);
            let pending = w.order(1).is_some_and(|o| o.pending_amend);
            ensure(pending && price(w) == first, format!("{first:?} became {:?}, waiting: {pending}", price(w)))?;
            w.pass(5_000);
            let last = price(w);
            ensure(last < first, format!("from {first:?} to {last:?}"))?;
            w.agrees_within(5)
        },
    ),
    case("an answer that is lost half way through an amend leaves one order", Amend, three, |w| {
        begun(w)?;
        let method = if w.is_usdm() { "PUT" } else { "POST" };
        request_rule(w, method, 1, json!({"kind": "reply_lost"}));
        let before = w.order(1).and_then(|o| o.limit_price());
        w.pass(6_000);
        w.agrees_within(60)?;
        changed(w, 1, before)
    }),
    case(
        "what is cancelled while it is changed stays cancelled",
        Amend,
        || [three(), vec![(4_100, Step::Cancel(1))]].concat(),
        |w| {
            begun(w)?;
            request_rule(w, "DELETE", 1, json!({"kind": "delay", "before_ms": 0, "after_ms": 600}));
            w.pass(8_000);
            w.agrees_within(60)?;
            w.is(1, OrderStatus::Canceled)?;
            let open = w.true_account()["openOrders"].as_array().map_or(0, Vec::len);
            ensure(open == 0, format!("{open} orders at the venue"))
        },
    ),
];
