//! Placing orders: what rests, trades, is refused, or never leaves.
//! Never: a duration that is not the venue's or the driver's own.

use super::Capability::{Core, QuoteAmount};
use super::Case;
use super::words::{buy, case, commands, ensure, refused};
use crate::plan::{Kind, Step};
use crate::rows::stage::Stage;
use ctos_types::{OrderStatus, RejectReason, Side};
use serde_json::json;

pub const PLACE: &[Case] = &[
    case(
        "a limit order rests",
        Core,
        || vec![buy(500, Kind::Limit(30), 1)],
        |w| {
            w.agrees_within(10)?;
            w.pass(3_000);
            w.is(1, OrderStatus::New)?;
            w.agrees_within(5)
        },
    ),
    case(
        "a market order fills",
        Core,
        || vec![buy(500, Kind::Market, 2)],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::Filled)?;
            w.agrees_within(5)
        },
    ),
    case(
        "a limit order into the book takes",
        Core,
        || vec![buy(500, Kind::Limit(-30), 1)],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::Filled)?;
            w.agrees_within(5)
        },
    ),
    case(
        "a resting order trades in parts",
        Core,
        || vec![buy(500, Kind::Limit(30), 2)],
        |w| {
            w.agrees_within(10)?;
            w.pass(3_000);
            let half = w.quantity(w.means_size());
            w.fill_at_venue(Some(&half))?;
            w.agrees_within(5)?;
            w.is(1, OrderStatus::PartiallyFilled)?;
            ensure(w.order(1).is_some_and(|o| o.cum_qty.0 == w.means_size()), "another part than the venue's")?;
            w.fill_at_venue(None)?;
            w.agrees_within(5)?;
            w.is(1, OrderStatus::Filled)
        },
    ),
    case(
        "price and size arrive to the last digit",
        Core,
        || vec![(500, Step::Fine { side: Side::Buy })],
        |w| {
            w.agrees_within(10)?;
            w.pass(3_000);
            w.is(1, OrderStatus::New)?;
            let ours = w.order(1).map(|o| (o.size.0, o.limit_price())).ok_or("no order")?;
            let i = w.instrument();
            let shown = w.true_account()["openOrders"][0].clone();
            let text = |key: &str| shown[key].as_str().unwrap_or_default().to_string();
            let theirs = (i.parse_qty(&text("quantity")).map(|q| q.0).ok(), i.parse_price(&text("price")).ok());
            ensure(theirs == (Some(ours.0), ours.1), format!("ours {ours:?}, the venue's {shown}"))?;
            let fine = ours.0 % w.means_size() != 0 && ours.1.is_some_and(|px| px.0 % (10 * i.tick.0) != 0);
            ensure(fine, "the numbers are round: this proves nothing")
        },
    ),
    case(
        "what an immediate order leaves is cancelled",
        Core,
        || vec![buy(500, Kind::Ioc(-1), 250), buy(2_500, Kind::Ioc(-2), 250)],
        |w| {
            w.pass(6_000);
            // How deep the first level is, and how far away, is the market's.
            let part = |n| w.order(n).is_some_and(|o| o.status == OrderStatus::Canceled && o.cum_qty.0 > 0);
            ensure(part(1) || part(2), "neither of them traded in part")?;
            w.agrees_within(5)
        },
    ),
    case(
        "all or nothing that cannot trade is no order",
        Core,
        || vec![buy(500, Kind::Fok(20), 1)],
        |w| {
            w.pass(4_000);
            let status = w.order(1).map(|o| o.status);
            let gone = [OrderStatus::Canceled, OrderStatus::Rejected, OrderStatus::Expired];
            ensure(status.is_some_and(|s| gone.contains(&s)), format!("it is {status:?}"))?;
            w.agrees_within(5)
        },
    ),
    case(
        "post-only that would take does not trade",
        Core,
        || vec![buy(500, Kind::PostOnly(-30), 1)],
        |w| {
            w.pass(4_000);
            let order = w.order(1).ok_or("no order")?;
            ensure(order.status.is_closed() && order.cum_qty.0 == 0, format!("it is {:?}", order.status))?;
            w.agrees_within(5)
        },
    ),
    case(
        "a market order by amount fills",
        QuoteAmount,
        || vec![buy(500, Kind::MarketQuote(500), 1)],
        |w| {
            w.pass(5_000);
            w.is(1, OrderStatus::Filled)?;
            w.agrees_within(5)
        },
    ),
    case(
        "what the venue refuses is refused, with its reason",
        Core,
        || vec![buy(5_000, Kind::Limit(30), 20)],
        |w| {
            w.pass(3_000);
            let account = w.account();
            w.admin(
                &json!({"do": "rule", "rule": {"on": "user", "named": "*", "times": 0, "fault": {"kind": "drop"}}}),
            );
            w.admin(&json!({"do": "transfer", "account": account, "asset": "USDT", "amount": "-99990"}));
            w.pass(6_000);
            w.is(1, OrderStatus::Rejected)?;
            refused(w, 1, RejectReason::InsufficientBalance)?;
            w.admin(&json!({"do": "behave"}));
            w.agrees_within(60)
        },
    ),
    case(
        "what is off the grid never leaves",
        Core,
        || vec![buy(500, Kind::OffGrid, 1)],
        |w| {
            w.pass(3_000);
            ensure(w.engine().kernel.denied() == 1 && commands(w) == 0, "it left")
        },
    ),
    case(
        "what is too small never leaves",
        Core,
        || vec![(500, Step::Crumb { side: Side::Buy })],
        |w| {
            w.pass(3_000);
            ensure(w.engine().kernel.denied() == 1 && commands(w) == 0, "it left")
        },
    ),
];
