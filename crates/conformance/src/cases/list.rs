//! The cases.
//! Never: a duration that is not the venue's or the driver's own.

use super::Capability::{self, *};
use super::Case;
use crate::engine::ACCOUNT;
use crate::plan::{Kind, Plan, Step};
use crate::rows::stage::Stage;
use crate::world::{Setup, World};
use ctos_types::{Leg, OrderStatus, RejectReason, Side};
use serde_json::json;

const fn case(
    name: &'static str,
    needs: Capability,
    plan: fn() -> Plan,
    play: fn(&mut World) -> Result<(), String>,
) -> Case {
    Case { name, needs, setup: |_| {}, plan, play }
}

fn place(ms: i64, side: Side, kind: Kind, lots: i64) -> (i64, Step) {
    (ms, Step::Place { side, kind, lots })
}

fn buy(ms: i64, kind: Kind, lots: i64) -> (i64, Step) {
    place(ms, Side::Buy, kind, lots)
}

fn sell(ms: i64, kind: Kind, lots: i64) -> (i64, Step) {
    place(ms, Side::Sell, kind, lots)
}

fn ensure(holds: bool, why: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.into()) }
}

fn refused(w: &World, n: u64, wanted: RejectReason) -> Result<(), String> {
    let reason = w.order(n).and_then(|o| o.reject).map(|(reason, _)| reason);
    ensure(reason == Some(wanted), format!("order {n}: refused for {reason:?}, not {wanted:?}"))
}

fn request_rule(w: &mut World, method: &str, times: u32, fault: serde_json::Value) {
    let path = w.order_path();
    let named = format!("{method} {path}*");
    w.admin(&json!({"do": "rule", "rule": {"on": "request", "named": named, "times": times, "fault": fault}}));
}

fn commands(w: &World) -> u64 {
    w.engine().places
}

/// Every case, in the order of the table.
pub const CASES: &[Case] = &[
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
        || vec![buy(500, Kind::Limit(30), 1), amend(2_000, Some(50), None)],
        |w| {
            w.pass(1_900 + 1_500);
            let before = w.order(1).and_then(|o| o.limit_price());
            w.pass(3_000);
            w.is(1, OrderStatus::New)?;
            ensure(w.order(1).and_then(|o| o.limit_price()) != before || before.is_some(), "no price")?;
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
        "a position opens, turns and closes",
        Positions,
        || vec![buy(500, Kind::Market, 2), sell(2_500, Kind::Market, 3), (4_500, Step::CloseAll)],
        |w| {
            w.pass(9_000);
            let flat = w.engine().kernel.portfolio().position(ACCOUNT, ctos_types::InstrumentId(0), Leg::Net).is_flat();
            ensure(flat, "the position is not flat")?;
            w.agrees_within(50)
        },
    ),
    case(
        "reduce-only never opens",
        ReduceOnly,
        || {
            vec![
                buy(500, Kind::Market, 1),
                (2_500, Step::Reduce { side: Side::Sell, lots: 1 }),
                (4_500, Step::Reduce { side: Side::Sell, lots: 1 }),
            ]
        },
        |w| {
            w.pass(8_000);
            w.is(2, OrderStatus::Filled)?;
            ensure(w.order(3).is_some_and(|o| o.cum_qty.0 == 0), "it opened a position")?;
            w.agrees_within(5)
        },
    ),
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
    case("a stranger's order is shown and left alone", Core, Vec::new, |w| {
        w.agrees_within(10)?;
        let (account, symbol) = (w.account(), w.symbol());
        let deed = json!({"do": "foreign", "account": account, "symbol": symbol, "side": "BUY", "quantity": "0.01"});
        w.admin(&deed);
        w.notes.strangers += 1;
        w.agrees_within(20)
    }),
    Case {
        name: "what the account held before is taken over",
        needs: Core,
        setup: |setup: &mut Setup| setup.held_before = true,
        plan: || vec![sell(1_000, Kind::Market, 1)],
        play: |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::Filled)?;
            w.agrees_within(50)
        },
    },
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
    case(
        "a ban stops everything and is waited for",
        Core,
        || vec![buy(500, Kind::Limit(30), 1), (9_000, Step::Cancel(1))],
        |w| {
            w.pass(4_000);
            w.notes.bans_injected = true;
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
    case(
        "the venue cancels when ctos is gone",
        DeadMan,
        || vec![buy(500, Kind::Limit(60), 1)],
        |w| {
            w.pass(4_000);
            w.is(1, OrderStatus::New)?;
            w.vanish();
            w.pass(130_000);
            let open = w.true_account()["openOrders"].as_array().map_or(0, Vec::len);
            ensure(open == 0, format!("{open} orders are still open"))
        },
    ),
    case(
        "funding is booked",
        Funding,
        || vec![buy(500, Kind::Market, 2)],
        |w| {
            w.pass(4_000);
            let before = w.cash("USDT");
            let symbol = w.symbol();
            w.admin(&json!({"do": "funding", "symbol": symbol, "rate": "0.001"}));
            w.pass(2_000);
            ensure(w.cash("USDT") < before, "nothing was paid")?;
            w.agrees_within(5)
        },
    ),
    Case {
        name: "fees in a third asset tie out",
        needs: ThirdAssetFees,
        setup: |setup: &mut Setup| setup.fee_token = Some("BNB"),
        plan: || vec![buy(500, Kind::Market, 2), sell(2_000, Kind::Market, 1)],
        play: |w| {
            w.pass(6_000);
            let paid = w.cash("BNB") < ctos_types::Decimal::from_int(100);
            ensure(paid, "no fee was paid")?;
            w.agrees_within(5)
        },
    },
];

fn amend(ms: i64, away: Option<i64>, lots: Option<i64>) -> (i64, Step) {
    (ms, Step::Amend { order: 1, away, lots })
}
