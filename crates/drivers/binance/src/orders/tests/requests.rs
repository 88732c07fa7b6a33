//! What goes out for each kind of order.

use super::*;
use crate::request::{Call, Purpose, Stamp};
use ctos_types::{Decimal, UnixNanos};

/// Method, path and parameters on one line.
fn line(call: &Call) -> String {
    let keys = crate::Credentials::new("k", "s").unwrap();
    let sent = call.build(Some(&keys), Stamp { timestamp_ms: 7, recv_window_ms: None }).unwrap();
    let target = sent.target.split_once("&timestamp=7").unwrap().0.to_string();
    format!("{} {target}", sent.method.as_str())
}

#[track_caller]
fn places(desk: &Desk, order: NewOrder, want: &str) {
    assert_eq!(line(&desk.place(&order).unwrap()), want);
}

#[track_caller]
fn refuses(desk: &Desk, order: NewOrder, field: &str) {
    let e = desk.place(&order).unwrap_err();
    assert!(matches!(e, VenueError::Invalid { field: f, .. } if f == field), "{e}");
}

const ID: &str = "c00000a1";

#[test]
fn spot_orders_of_every_type() {
    let d = desk(Profile::Spot);
    let o = limit(&d);
    let (price, trigger) = (px(&d, "61800.2"), px(&d, "60000"));
    let head = "POST /api/v3/order?symbol=BTCUSDT&side=BUY&type=";
    let tail = format!("&newClientOrderId={ID}&newOrderRespType=FULL");
    let q = "&quantity=0.002";
    for (order, middle) in [
        (o, format!("LIMIT&timeInForce=GTC{q}&price=61800.2")),
        (NewOrder { tif: TimeInForce::Ioc, ..o }, format!("LIMIT&timeInForce=IOC{q}&price=61800.2")),
        (NewOrder { post_only: true, ..o }, format!("LIMIT_MAKER{q}&price=61800.2")),
        (NewOrder { kind: OrderKind::Market, ..o }, format!("MARKET{q}")),
        (
            NewOrder { kind: OrderKind::Market, qty: OrderQty::Quote("100.5".parse().unwrap()), ..o },
            "MARKET&quoteOrderQty=100.5".into(),
        ),
        (NewOrder { kind: OrderKind::StopMarket { trigger }, ..o }, format!("STOP_LOSS{q}&stopPrice=60000")),
        (
            NewOrder { kind: OrderKind::StopLimit { trigger, price }, ..o },
            format!("STOP_LOSS_LIMIT&timeInForce=GTC{q}&price=61800.2&stopPrice=60000"),
        ),
        (NewOrder { kind: OrderKind::TakeProfitMarket { trigger }, ..o }, format!("TAKE_PROFIT{q}&stopPrice=60000")),
        (
            NewOrder { kind: OrderKind::TakeProfitLimit { trigger, price }, tif: TimeInForce::Fok, ..o },
            format!("TAKE_PROFIT_LIMIT&timeInForce=FOK{q}&price=61800.2&stopPrice=60000"),
        ),
        (
            NewOrder { kind: OrderKind::TrailingStop { callback_bps: 150, activation: Some(trigger) }, ..o },
            format!("STOP_LOSS{q}&stopPrice=60000&trailingDelta=150"),
        ),
    ] {
        places(&d, order, &format!("{head}{middle}{tail}"));
    }
    let margin = desk(Profile::Margin);
    let call = margin.place(&limit(&margin)).unwrap();
    assert_eq!(
        (call.path, call.cost.uid_weight, call.query.get("isIsolated").unwrap().as_ref()),
        ("/sapi/v1/margin/order", 6, "FALSE")
    );
}

#[test]
fn margin_orders_and_loans() {
    let d = desk(Profile::Margin);
    let o = limit(&d);
    let head =
        "POST /sapi/v1/margin/order?symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.002&price=61800.2";
    let tail = format!("&newClientOrderId={ID}&newOrderRespType=FULL&isIsolated=FALSE");
    let of = |call: Call| (line(&call), call.cost.uid_weight, call.cost.weight);
    let want = |loan: &str, weight| (format!("{head}{tail}{loan}"), weight, 0);
    let borrows = "&sideEffectType=AUTO_BORROW_REPAY";
    for (loan, word, weight) in
        [(Loan::None, "", 6), (Loan::Repay, "&sideEffectType=AUTO_REPAY", 6), (Loan::BorrowRepay, borrows, 1_500)]
    {
        assert_eq!(of(d.place_on(&o, loan).unwrap()), want(word, weight));
    }
    // Where nobody looked whether it lacks something, the order's word counts, and then the account's.
    let lender = d.clone().with_loans(true);
    for (desk, word, loan, weight) in [
        (&d, None, "", 6),
        (&d, Some(true), borrows, 1_500),
        (&lender, None, borrows, 1_500),
        (&lender, Some(false), "", 6),
    ] {
        assert_eq!(of(desk.place(&NewOrder { auto_borrow: word, ..o }).unwrap()), want(loan, weight));
    }
    for profile in [Profile::Spot, Profile::UsdM] {
        let d = desk(profile).with_loans(true);
        assert!(!d.borrows());
        refuses(&d, NewOrder { auto_borrow: Some(true), ..limit(&d) }, "auto_borrow");
    }
}

#[test]
fn usdm_orders_of_every_type() {
    let d = desk(Profile::UsdM);
    let o = limit(&d);
    let (price, trigger) = (px(&d, "61800.2"), px(&d, "60000"));
    let end = UnixNanos::from_secs(1_800_000_000);
    let head = "POST /fapi/v1/order?symbol=BTCUSDT&side=BUY&positionSide=BOTH&type=";
    let tail = format!("&newClientOrderId={ID}&newOrderRespType=RESULT");
    let (q, stp) = ("&quantity=0.002", "&selfTradePreventionMode=EXPIRE_MAKER");
    for (order, middle, end) in [
        (o, format!("LIMIT&timeInForce=GTC{q}&price=61800.2"), stp.to_string()),
        (NewOrder { post_only: true, ..o }, format!("LIMIT&timeInForce=GTX{q}&price=61800.2"), String::new()),
        (NewOrder { tif: TimeInForce::Fok, ..o }, format!("LIMIT&timeInForce=FOK{q}&price=61800.2"), String::new()),
        (
            NewOrder { tif: TimeInForce::Gtd(end), ..o },
            format!("LIMIT&timeInForce=GTD{q}&price=61800.2"),
            format!("{stp}&goodTillDate=1800000000000"),
        ),
        (NewOrder { kind: OrderKind::Market, ..o }, format!("MARKET{q}"), stp.into()),
    ] {
        places(&d, order, &format!("{head}{middle}{tail}{end}"));
    }
    let reducing = NewOrder { reduce_only: true, kind: OrderKind::Market, ..o };
    let call = d.place(&reducing).unwrap();
    assert_eq!((call.purpose, call.query.get("reduceOnly").unwrap().as_ref()), (Purpose::Reduce, "true"));
    places(
        &d,
        NewOrder { position_effect: PositionEffect::Close, kind: OrderKind::Market, ..o },
        &format!("{head}MARKET{q}&reduceOnly=true{tail}{stp}"),
    );

    let head = "POST /fapi/v1/algoOrder?algoType=CONDITIONAL&symbol=BTCUSDT&side=BUY&positionSide=BOTH&type=";
    let tail = format!("&clientAlgoId={ID}{stp}");
    let last = "&workingType=CONTRACT_PRICE";
    for (kind, middle) in [
        (OrderKind::StopMarket { trigger }, format!("STOP_MARKET{q}&triggerPrice=60000{last}")),
        (
            OrderKind::StopLimit { trigger, price },
            format!("STOP&timeInForce=GTC{q}&price=61800.2&triggerPrice=60000{last}"),
        ),
        (OrderKind::TakeProfitMarket { trigger }, format!("TAKE_PROFIT_MARKET{q}&triggerPrice=60000{last}")),
        (
            OrderKind::TakeProfitLimit { trigger, price },
            format!("TAKE_PROFIT&timeInForce=GTC{q}&price=61800.2&triggerPrice=60000{last}"),
        ),
        (
            OrderKind::TrailingStop { callback_bps: 150, activation: Some(trigger) },
            format!("TRAILING_STOP_MARKET{q}{last}&activatePrice=60000&callbackRate=1.5"),
        ),
        (
            OrderKind::TrailingStop { callback_bps: 100, activation: None },
            format!("TRAILING_STOP_MARKET{q}{last}&callbackRate=1"),
        ),
    ] {
        places(&d, NewOrder { kind, ..o }, &format!("{head}{middle}{tail}"));
    }
    let mark = NewOrder { kind: OrderKind::StopMarket { trigger }, trigger_by: TriggerBy::Mark, ..o };
    assert_eq!(d.place(&mark).unwrap().query.get("workingType").unwrap(), "MARK_PRICE");
}

#[test]
fn hedge_mode_says_the_leg_and_never_reduce_only() {
    let d = Desk { hedge: true, ..desk(Profile::UsdM) };
    let o = NewOrder { kind: OrderKind::Market, ..limit(&d) };
    refuses(&d, o, "leg");
    let long = NewOrder { leg: Leg::Long, side: Side::Sell, reduce_only: true, ..o };
    let call = d.place(&long).unwrap();
    assert_eq!((call.query.get("positionSide").unwrap().as_ref(), call.query.get("reduceOnly")), ("LONG", None));
    refuses(&d, NewOrder { side: Side::Buy, ..long }, "reduce_only");
    let opens = NewOrder { reduce_only: false, position_effect: PositionEffect::Open, leg: Leg::Long, ..o };
    refuses(&d, NewOrder { side: Side::Sell, ..opens }, "position_effect");
    refuses(&desk(Profile::UsdM), NewOrder { leg: Leg::Long, ..o }, "leg");
}

#[test]
fn what_a_market_cannot_do_never_leaves() {
    let (spot, usdm) = (desk(Profile::Spot), desk(Profile::UsdM));
    for d in [&spot, &usdm] {
        let o = limit(d);
        let (_, i) = d.of(o.instrument).unwrap();
        refuses(
            d,
            NewOrder { kind: OrderKind::Limit { price: Price(i.tick.0 + 1) }, ..o },
            if i.tick.0 == 1 { "" } else { "price" },
        );
        refuses(d, NewOrder { kind: OrderKind::Limit { price: Price(0) }, ..o }, "price");
        refuses(d, NewOrder { kind: OrderKind::StopMarket { trigger: Price(-1) }, ..o }, "trigger");
        refuses(d, NewOrder { qty: OrderQty::Size(Qty(0)), ..o }, "qty");
        refuses(d, NewOrder { qty: OrderQty::Quote(Decimal::ONE), ..o }, "qty");
        refuses(d, NewOrder { kind: OrderKind::Market, qty: OrderQty::Quote(Decimal::ZERO), ..o }, "qty");
        refuses(d, NewOrder { kind: OrderKind::Market, post_only: true, ..o }, "post_only");
        refuses(d, NewOrder { post_only: true, tif: TimeInForce::Ioc, ..o }, "post_only");
        refuses(d, NewOrder { instrument: InstrumentId(9_999), ..o }, "instrument");
        // Without a limit price there is nothing that could wait for an end, or be taken back.
        let end = TimeInForce::Gtd(UnixNanos::from_secs(1_900_000_000));
        for kind in [OrderKind::Market, OrderKind::StopMarket { trigger: px(d, "60000") }] {
            refuses(d, NewOrder { kind, tif: TimeInForce::Fok, ..o }, "tif");
            refuses(d, NewOrder { kind, tif: end, ..o }, "tif");
        }
        refuses(d, NewOrder { position_effect: PositionEffect::CloseToday, ..o }, "position_effect");
    }
    let o = limit(&spot);
    refuses(&spot, NewOrder { reduce_only: true, ..o }, "reduce_only");
    refuses(&spot, NewOrder { leg: Leg::Short, ..o }, "leg");
    refuses(&spot, NewOrder { tif: TimeInForce::Gtd(UnixNanos::from_secs(9)), ..o }, "tif");
    let mark = NewOrder { kind: OrderKind::StopMarket { trigger: px(&spot, "6") }, trigger_by: TriggerBy::Mark, ..o };
    refuses(&spot, mark, "trigger_by");
    let o = limit(&usdm);
    refuses(&usdm, NewOrder { kind: OrderKind::Market, qty: OrderQty::Quote(Decimal::ONE), ..o }, "qty");
    refuses(&usdm, NewOrder { tif: TimeInForce::Gtd(UnixNanos(1)), ..o }, "tif");
    refuses(
        &usdm,
        NewOrder { kind: OrderKind::TrailingStop { callback_bps: 9, activation: None }, ..o },
        "callback_bps",
    );
    refuses(&usdm, NewOrder { reduce_only: true, position_effect: PositionEffect::Open, ..o }, "reduce_only");
}

#[test]
fn questions() {
    let (spot, usdm, margin) = (desk(Profile::Spot), desk(Profile::UsdM), desk(Profile::Margin));
    let by_client = OrderRef::of(client(1));
    let by_id = OrderRef { venue_order_id: Some(ctos_types::VenueOrderId::from_u64(28)), ..by_client };
    let (s, u) = (btc(&spot), btc(&usdm));
    for (call, want, weight) in [
        (spot.order(s, &by_client).unwrap(), "GET /api/v3/order?symbol=BTCUSDT&origClientOrderId=c00000a1", 4),
        (usdm.order(u, &by_id).unwrap(), "GET /fapi/v1/order?symbol=BTCUSDT&orderId=28", 1),
        (
            usdm.order(u, &OrderRef { conditional: true, ..by_client }).unwrap(),
            "GET /fapi/v1/algoOrder?clientAlgoId=c00000a1",
            1,
        ),
        (spot.open_orders(Some(s)).unwrap(), "GET /api/v3/openOrders?symbol=BTCUSDT", 6),
        (usdm.open_conditional_orders(Some(u)).unwrap().unwrap(), "GET /fapi/v1/openAlgoOrders?symbol=BTCUSDT", 1),
        (
            usdm.fills(u, FillsFrom::Time(UnixNanos::from_millis(1_700_000_000_000))).unwrap(),
            "GET /fapi/v1/userTrades?symbol=BTCUSDT&startTime=1700000000000&limit=1000",
            5,
        ),
        (spot.fills(s, FillsFrom::Id(7)).unwrap(), "GET /api/v3/myTrades?symbol=BTCUSDT&fromId=7&limit=1000", 20),
    ] {
        assert_eq!((line(&call).as_str(), call.cost.weight), (want, weight));
    }
    assert_eq!(spot.open_orders(None).unwrap().cost.weight, 80);
    assert_eq!(usdm.open_orders(None).unwrap().cost.weight, 40);
    assert_eq!(spot.open_conditional_orders(None).unwrap(), None);
    assert_eq!(margin.order(btc(&margin), &by_client).unwrap().path, "/sapi/v1/margin/order");
}
