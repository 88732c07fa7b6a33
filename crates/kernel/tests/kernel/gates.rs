//! Each gate: the refusal at the limit with gate, limit and asked value, and the pass just inside it.

use crate::support::{OTHER, PERP, Rig, SPOT, account, buy, config, d, sell};
use ctos_kernel::{AccountSpec, Borrow, Denied, Gate, Kernel, Limits, OrderRequest};
use ctos_types::{
    AccountId, Command, Control, Decimal, HaltScope, KillState, Leg, Nanos, OrderKind, OrderQty, PositionEffect, Price,
    Qty, RejectReason, ReportBody, Side,
};

fn off() -> Limits {
    Limits::unlimited()
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug, Denied>, gate: Gate, limit: &str, asked: &str) {
    let denied = result.expect_err("the gate let it pass");
    assert_eq!((denied.gate, denied.limit, denied.asked), (gate, d(limit), d(asked)), "{denied}");
}

#[test]
fn kill_switch() {
    let mut rig = Rig::new(off(), 1);
    rig.hold(0, PERP, 1000);
    rig.halt(HaltScope::System, KillState::Reducing);
    refused(rig.place(0, buy(1000, 1000)), Gate::KillSwitch, "1", "0");
    refused(rig.place(0, sell(1000, 1001)), Gate::KillSwitch, "1", "0");
    rig.place(0, sell(1000, 1000)).unwrap();
    // That one already closes all of it: nothing is left to reduce.
    refused(rig.place(0, sell(1001, 1000)), Gate::KillSwitch, "1", "0");
    rig.halt(HaltScope::System, KillState::Halted);
    refused(rig.place(0, sell(1000, 100)), Gate::KillSwitch, "2", "0");
}

#[test]
fn journal() {
    let mut rig = Rig::new(off(), 1);
    rig.place(0, buy(1000, 1000)).unwrap();
    rig.control(Control::JournalFailed { error: "disk full".into() });
    refused(rig.place(0, buy(1000, 1000)), Gate::Journal, "0", "1");
    rig.resume(HaltScope::System);
    rig.place(0, buy(1000, 1000)).unwrap();
}

#[test]
fn instrument_rules() {
    let mut rig = Rig::new(off(), 1);
    let rule = |r: Result<_, Denied>| {
        let denied: Denied = r.map(|_: ctos_types::ClientOrderId| ()).unwrap_err();
        assert_eq!(denied.gate, Gate::Instrument);
        denied.rule.unwrap()
    };
    assert_eq!(rule(rig.place(0, buy(1000, 0))), RejectReason::BadQty);
    assert_eq!(rule(rig.place(0, buy(1000, -1000))), RejectReason::BadQty);
    assert_eq!(rule(rig.place(0, buy(1000, 1_000_000_001))), RejectReason::BadQty);
    assert_eq!(rule(rig.place(0, buy(0, 1000))), RejectReason::BadPrice);
    assert_eq!(rule(rig.place(0, buy(1000, 49))), RejectReason::MinNotional);
    rig.place(0, buy(1000, 50)).unwrap();
    let kind = OrderKind::Limit { price: Price(1000) };
    let by_amount = OrderRequest::new(PERP, Side::Buy, kind, OrderQty::Quote(d("100")));
    assert_eq!(rule(rig.place(0, by_amount)), RejectReason::Unsupported);
    let trailing = |callback_bps| {
        let kind = OrderKind::TrailingStop { callback_bps, activation: None };
        OrderRequest::new(PERP, Side::Sell, kind, OrderQty::Size(Qty(1000)))
    };
    assert_eq!(rule(rig.place(0, trailing(0))), RejectReason::BadPrice);
    assert_eq!(rule(rig.place(0, trailing(10_001))), RejectReason::BadPrice);
    rig.place(0, trailing(10_000)).unwrap();
    // 99.9 reference buys 0.1 of a lot: nothing.
    assert_eq!(rule(rig.place(0, OrderRequest::market_quote(PERP, Side::Buy, d("0.01")))), RejectReason::BadQty);
}

#[test]
fn sizes_that_cannot_be_summed_are_refused() {
    let (mut config, puppets) = config(vec![crate::support::account(0, off())], off(), &[0]);
    let mut list: Vec<_> = config.instruments.iter().cloned().collect();
    list[0].max_qty = Qty(i64::MAX);
    config.instruments = ctos_types::Instruments::new(list).unwrap();
    let mut rig = Rig::new(off(), 1);
    (rig.kernel, rig.puppets) = (Kernel::new(config), puppets);
    rig.balance(AccountId(0), "USDT", "100000000000000000000");
    rig.control(Control::Start);
    rig.quote(PERP, 999, 1001);
    let half = i64::MAX / 2;
    rig.place(0, buy(1, half)).unwrap();
    rig.place(0, buy(1, half + 1)).unwrap();
    let denied = rig.place(0, buy(1, 1000)).unwrap_err();
    assert_eq!((denied.gate, denied.rule), (Gate::Instrument, Some(RejectReason::BadQty)));
}

#[test]
fn stale_market() {
    let mut rig = Rig::new(Limits { stale_after: Some(Nanos::from_secs(10)), ..off() }, 1);
    rig.pass(Nanos::from_secs(10));
    rig.place(0, buy(1000, 1000)).unwrap();
    rig.pass(Nanos(1));
    refused(rig.place(0, buy(1000, 1000)), Gate::StaleMarket, "10", "10.000000001");
    // A mark alone does not show that the market trades.
    rig.mark(PERP, "100");
    refused(rig.place(0, buy(1000, 1000)), Gate::StaleMarket, "10", "10.000000001");
    rig.quote(PERP, 999, 1001);
    rig.place(0, buy(1000, 1000)).unwrap();
}

#[test]
fn a_market_never_seen_is_stale_and_not_a_crash() {
    let (config, puppets) = config(vec![crate::support::account(0, off())], Limits::default(), &[0]);
    let mut rig = Rig::new(off(), 1);
    (rig.kernel, rig.puppets) = (Kernel::new(config), puppets);
    rig.balance(AccountId(0), "USDT", "10000");
    rig.control(Control::Start);
    assert_eq!(rig.place(0, buy(1000, 1000)).unwrap_err().gate, Gate::StaleMarket);
    assert_eq!(
        rig.place(0, OrderRequest::market_quote(PERP, Side::Buy, d("100"))).unwrap_err().gate,
        Gate::StaleMarket
    );
    rig.mark(PERP, "100");
    assert_eq!(rig.place(0, buy(1000, 1000)).unwrap_err().gate, Gate::StaleMarket);
    rig.quote(PERP, 999, 1001);
    rig.place(0, buy(1000, 1000)).unwrap();
}

#[test]
fn a_mark_that_stopped_coming_gives_way_to_the_market() {
    let mut rig = Rig::new(Limits { price_band_bps: Some(d("500")), ..off() }, 1);
    rig.mark(PERP, "200");
    assert_eq!(rig.place(0, buy(1000, 1000)).unwrap_err().gate, Gate::PriceBand);
    rig.pass(Nanos::from_secs(60));
    rig.quote(PERP, 999, 1001);
    assert_eq!(rig.kernel.reference(PERP), Some(d("200")));
    rig.pass(Nanos(1));
    rig.quote(PERP, 999, 1001);
    assert_eq!(rig.kernel.reference(PERP), Some(d("100")));
    rig.place(0, buy(1000, 1000)).unwrap();
}

#[test]
fn price_band() {
    let mut rig = Rig::new(Limits { price_band_bps: Some(d("500")), ..off() }, 1);
    rig.place(0, buy(1050, 1000)).unwrap();
    refused(rig.place(0, buy(1051, 1000)), Gate::PriceBand, "500", "510");
    rig.place(0, buy(950, 1000)).unwrap();
    refused(rig.place(0, buy(949, 1000)), Gate::PriceBand, "500", "510");
    // A protective stop is far from the market by intent: its limit is compared with its own trigger.
    let stop = |trigger, price| {
        let kind = OrderKind::StopLimit { trigger: Price(trigger), price: Price(price) };
        OrderRequest::new(PERP, Side::Sell, kind, OrderQty::Size(Qty(1000)))
    };
    rig.place(0, stop(800, 760)).unwrap();
    refused(rig.place(0, stop(800, 759)), Gate::PriceBand, "500", "512.5");
}

#[test]
fn sizes() {
    let limits = Limits { min_qty: Some(d("0.5")), max_qty: Some(d("2")), ..off() };
    let mut rig = Rig::new(limits, 1);
    rig.place(0, buy(1000, 500)).unwrap();
    refused(rig.place(0, buy(1000, 499)), Gate::MinQty, "0.5", "0.499");
    rig.place(0, buy(1000, 2000)).unwrap();
    refused(rig.place(0, buy(1000, 2001)), Gate::MaxQty, "2", "2.001");
}

#[test]
fn notionals() {
    let limits = Limits { min_notional: Some(d("50")), max_notional: Some(d("200")), ..off() };
    let mut rig = Rig::new(limits, 1);
    rig.place(0, buy(1000, 500)).unwrap();
    refused(rig.place(0, buy(1000, 499)), Gate::MinNotional, "50", "49.9");
    rig.place(0, buy(1000, 2000)).unwrap();
    refused(rig.place(0, buy(1000, 2001)), Gate::MaxNotional, "200", "200.1");
    // Orders at market are valued at the reference.
    rig.place(0, OrderRequest::market(PERP, Side::Buy, Qty(2000))).unwrap();
    refused(rig.place(0, OrderRequest::market(PERP, Side::Buy, Qty(2001))), Gate::MaxNotional, "200", "200.1");
}

#[test]
fn max_position_counts_what_is_held_and_what_waits() {
    let mut rig = Rig::new(Limits { max_position_notional: Some(d("500")), ..off() }, 1);
    rig.hold(0, PERP, 2000);
    rig.place(0, buy(990, 1000)).unwrap();
    refused(rig.place(0, buy(990, 2001)), Gate::MaxPosition, "500", "500.1");
    let last = rig.place(0, buy(990, 2000)).unwrap();
    refused(rig.place(0, buy(990, 51)), Gate::MaxPosition, "500", "505.1");
    // The other side has its own room: 2 held, 7 sold is 5 short.
    refused(rig.place(0, sell(1010, 7001)), Gate::MaxPosition, "500", "500.1");
    rig.place(0, sell(1010, 7000)).unwrap();
    // An order without a verdict keeps its room; a closed one gives it back.
    rig.report(last, ReportBody::Unknown { request: ctos_types::Request::Place });
    assert_eq!(rig.place(0, buy(990, 2000)).unwrap_err().gate, Gate::MaxPosition);
    rig.report(last, ReportBody::Expired);
    rig.place(0, buy(990, 2000)).unwrap();
}

#[test]
fn max_total_notional_spans_instruments() {
    let mut rig = Rig::new(Limits { max_total_notional: Some(d("500")), ..off() }, 1);
    rig.hold(0, OTHER, -2000);
    let other = OrderRequest::limit(OTHER, Side::Sell, Price(1000), Qty(1000));
    rig.place(0, other).unwrap();
    refused(rig.place(0, buy(1000, 2001)), Gate::MaxTotalNotional, "500", "500.1");
    rig.place(0, buy(1000, 2000)).unwrap();
}

#[test]
fn max_leverage() {
    let mut rig = Rig::new(Limits { max_leverage: Some(d("0.05")), ..off() }, 1);
    // Equity is 10,000 USDT and 10 BTC at 100.
    assert_eq!(rig.kernel.equity(AccountId(0)), d("11000"));
    rig.place(0, buy(1000, 5500)).unwrap();
    let denied = rig.place(0, buy(1000, 50)).unwrap_err();
    assert_eq!(
        (denied.gate, denied.limit, denied.asked.round(6, ctos_types::Rounding::Down)),
        (Gate::MaxLeverage, d("0.05"), d("0.050454"))
    );
}

#[test]
fn max_open_orders_counts_the_account() {
    let mut rig = Rig::new(Limits { max_open_orders: Some(2), ..off() }, 2);
    let first = rig.place(0, buy(990, 1000)).unwrap();
    rig.place(1, buy(980, 1000)).unwrap();
    refused(rig.place(0, buy(970, 1000)), Gate::MaxOpenOrders, "2", "3");
    rig.report(first, ReportBody::Expired);
    rig.place(0, buy(970, 1000)).unwrap();
}

#[test]
fn order_rates() {
    let limits = Limits { max_orders_per_sec: Some(2), max_orders_per_min: Some(4), ..off() };
    let mut rig = Rig::new(limits, 1);
    rig.place(0, buy(990, 1000)).unwrap();
    rig.pass(Nanos::from_millis(500));
    rig.place(0, buy(990, 1000)).unwrap();
    rig.pass(Nanos(499_999_999));
    refused(rig.place(0, buy(990, 1000)), Gate::OrderRateSec, "2", "3");
    rig.pass(Nanos(1));
    rig.place(0, buy(990, 1000)).unwrap();
    rig.pass(Nanos::from_secs(1));
    let id = rig.place(0, buy(990, 1000)).unwrap();
    rig.pass(Nanos::from_secs(1));
    refused(rig.place(0, buy(990, 1000)), Gate::OrderRateMin, "4", "5");
    // Amends are orders to the venue, and to the gate.
    rig.act(0, move |ctx| ctx.amend(id, Some(Price(980)), None));
    refused(Err::<(), _>(rig.denial().unwrap()), Gate::OrderRateMin, "4", "5");
    // The first is a minute old 60 s after it was sent.
    rig.pass(Nanos::from_secs(57));
    rig.place(0, buy(990, 1000)).unwrap();
    assert_eq!(rig.place(0, buy(990, 1000)).unwrap_err().gate, Gate::OrderRateMin);
}

#[test]
fn cancel_ratio() {
    let limits = Limits { max_cancel_ratio: Some(d("0.5")), cancel_ratio_min: 2, ..off() };
    let mut rig = Rig::new(limits, 1);
    let a = rig.place(0, buy(990, 1000)).unwrap();
    rig.act(0, move |ctx| ctx.cancel(a));
    // One of one, but below the count from which the ratio is asked.
    let b = rig.place(0, buy(990, 1000)).unwrap();
    rig.place(0, buy(990, 1000)).unwrap();
    rig.act(0, move |ctx| ctx.cancel(b));
    let denied = rig.place(0, buy(990, 1000)).unwrap_err();
    assert_eq!(
        (denied.gate, denied.limit, denied.asked.round(3, ctos_types::Rounding::Down)),
        (Gate::CancelRatio, d("0.5"), d("0.666"))
    );
}

#[test]
fn self_cross() {
    let mut rig = Rig::new(Limits { self_cross: true, ..off() }, 2);
    let resting = rig.rest(0, sell(1005, 1000));
    rig.place(1, buy(1004, 1000)).unwrap();
    refused(rig.place(1, buy(1005, 1000)), Gate::SelfCross, "100.5", "100.5");
    refused(rig.place(1, buy(1006, 1000)), Gate::SelfCross, "100.5", "100.6");
    // A market order reaches the touch: our own order there is in its way.
    rig.quote(PERP, 999, 1005);
    refused(rig.place(1, OrderRequest::market(PERP, Side::Buy, Qty(1000))), Gate::SelfCross, "100.5", "100.5");
    // An amend under way may have moved the order already.
    rig.act(0, move |ctx| ctx.amend(resting, Some(Price(1007)), None));
    refused(rig.place(1, buy(1005, 1000)), Gate::SelfCross, "100.5", "100.5");
    rig.report(resting, ReportBody::Amended { price: Some(Price(1007)), qty: Qty(1000) });
    rig.place(1, buy(1005, 1000)).unwrap();
    // A conditional order is not in the book until it is triggered.
    let kind = OrderKind::StopLimit { trigger: Price(1010), price: Price(1010) };
    let stop = rig.rest(1, OrderRequest::new(PERP, Side::Buy, kind, OrderQty::Size(Qty(1000))));
    rig.place(0, sell(1008, 1000)).unwrap();
    rig.report(stop, ReportBody::Triggered);
    refused(rig.place(0, sell(1009, 1000)), Gate::SelfCross, "101", "100.9");
    // What is being cancelled leaves ahead of what is being placed.
    rig.act(1, move |ctx| ctx.cancel(stop));
    rig.place(0, sell(1009, 1000)).unwrap();
}

#[test]
fn spot_balance() {
    let mut rig = Rig::new(off(), 1);
    let spot = |side, px, qty| OrderRequest::limit(SPOT, side, Price(px), Qty(qty));
    // 10,000 USDT buy 99.9 at 100 with 0.1 % fee.
    refused(rig.place(0, spot(Side::Buy, 1000, 99_901)), Gate::Balance, "10000", "10000.0901");
    let first = rig.place(0, spot(Side::Buy, 1000, 50_000)).unwrap();
    refused(rig.place(0, spot(Side::Buy, 1000, 50_000)), Gate::Balance, "4995", "5005");
    rig.report(first, ReportBody::Expired);
    rig.place(0, spot(Side::Buy, 1000, 99_900)).unwrap();
    refused(rig.place(0, spot(Side::Sell, 1000, 10_001)), Gate::Balance, "10", "10.001");
    rig.place(0, spot(Side::Sell, 1000, 10_000)).unwrap();
}

#[test]
fn spot_balance_by_amount() {
    let mut rig = Rig::new(off(), 1);
    let by_amount = |text| OrderRequest::market_quote(SPOT, Side::Buy, d(text));
    refused(rig.place(0, by_amount("10000.01")), Gate::Balance, "10000", "10000.01");
    let id = rig.place(0, by_amount("6000")).unwrap();
    refused(rig.place(0, by_amount("4000.01")), Gate::Balance, "4000", "4000.01");
    rig.fill(id, 1000, 20_000);
    // 2,000 of the 6,000 are spent, 4,000 are still claimed.
    refused(rig.place(0, by_amount("4000.01")), Gate::Balance, "4000", "4000.01");
    rig.place(0, by_amount("4000")).unwrap();
}

#[test]
fn spot_balance_with_loans() {
    let borrower = AccountSpec { borrow: Borrow::Auto, ..account(0, Limits::unlimited()) };
    let mut rig = Rig::with(vec![borrower], off(), &[0]);
    let sell = |qty| OrderRequest::limit(SPOT, Side::Sell, Price(1000), Qty(qty));
    let word = |rig: &Rig, id| {
        let [Command::Place(sent)] = rig.commands[..] else { panic!("no order left") };
        let kept = rig.kernel.orders().get(id).map(|o| o.request.auto_borrow);
        assert_eq!(kept, Some(sent.auto_borrow), "after a restart the driver is told the same");
        sent.auto_borrow
    };
    // What is there needs no loan, what is beyond it does.
    let id = rig.place(0, sell(10_000)).unwrap();
    assert_eq!(word(&rig, id), None);
    let id = rig.place(0, sell(1_000)).unwrap();
    assert_eq!(word(&rig, id), Some(true));
    refused(rig.place(0, sell(1_000).auto_borrow(false)), Gate::Balance, "-1", "1");
    // 11,000 of equity at 10x: 1,100 coins at 100, 11 of them in open orders.
    refused(rig.place(0, sell(1_089_001)), Gate::Balance, "11000", "11000.01");
    let id = rig.place(0, sell(1_089_000)).unwrap();
    assert_eq!(word(&rig, id), Some(true));
    // An account that does not borrow by itself does when the order says so.
    let lender = AccountSpec { borrow: Borrow::Asked, ..account(0, Limits::unlimited()) };
    let mut rig = Rig::with(vec![lender], off(), &[0]);
    refused(rig.place(0, sell(10_001)), Gate::Balance, "10", "10.001");
    let id = rig.place(0, sell(10_001).auto_borrow(true)).unwrap();
    assert_eq!(word(&rig, id), Some(true));
    // Where nothing is lent, asking is of no use.
    let mut rig = Rig::new(off(), 1);
    refused(rig.place(0, sell(10_001).auto_borrow(true)), Gate::Balance, "10", "10.001");
    let id = rig.place(0, sell(10_000).auto_borrow(true)).unwrap();
    assert_eq!(word(&rig, id), None);
    // Contracts have margin in place of loans.
    let id = rig.place(0, buy(1000, 1_000)).unwrap();
    assert_eq!(word(&rig, id), None);
}

#[test]
fn margin_balance() {
    let mut rig = Rig::new(off(), 1);
    // 11,000 of equity at 10x carry 110,000: 1,100 coins at 100.
    rig.place(0, buy(1000, 600_000)).unwrap();
    // The two sides cannot both be the worst: only the larger needs margin.
    rig.place(0, sell(1000, 1_100_000)).unwrap();
    refused(rig.place(0, buy(1000, 500_001)), Gate::Balance, "11000", "11000.01");
    rig.place(0, buy(1000, 500_000)).unwrap();
}

#[test]
fn duplicate_intent() {
    let mut rig = Rig::new(Limits { duplicate_window: Some(Nanos::from_millis(100)), ..off() }, 2);
    let first = rig.place(0, buy(990, 1000)).unwrap();
    rig.pass(Nanos(99_999_999));
    refused(rig.place(0, buy(990, 1000)), Gate::DuplicateIntent, "0.1", "0.099999999");
    // Another strategy, price or size is another intent.
    rig.place(1, buy(990, 1000)).unwrap();
    rig.place(0, buy(991, 1000)).unwrap();
    rig.place(0, buy(990, 1001)).unwrap();
    // Cancelled and wanted again is no repetition.
    rig.act(0, move |ctx| ctx.cancel(first));
    rig.place(0, buy(990, 1000)).unwrap();
    rig.pass(Nanos::from_millis(100));
    rig.place(0, buy(990, 1000)).unwrap();
}

/// Exposure limits so tight that nothing new passes.
fn shut() -> Limits {
    Limits {
        min_qty: Some(d("5")),
        max_qty: Some(d("0.1")),
        min_notional: Some(d("1000")),
        max_notional: Some(d("1")),
        max_position_notional: Some(d("1")),
        max_total_notional: Some(d("1")),
        max_leverage: Some(d("0.0001")),
        ..off()
    }
}

#[test]
fn reducing_orders_pass_the_exposure_gates() {
    let mut rig = Rig::new(shut(), 1);
    // The position came from outside: our own orders could never build it.
    let body = rig.fill_body(Side::Buy, 1000, 3000);
    rig.raw_report(AccountId(0), PERP, None, body);
    assert_eq!(rig.place(0, buy(1000, 1000)).unwrap_err().gate, Gate::MinQty);
    assert_eq!(rig.place(0, sell(1000, 3001)).unwrap_err().gate, Gate::MinQty);
    rig.place(0, sell(1000, 1000)).unwrap();
    assert_eq!(rig.place(0, sell(1000, 2001)).unwrap_err().gate, Gate::MinQty);
    rig.place(0, sell(1000, 2000)).unwrap();
    // The venue keeps a reduce-only order from doing more, whatever else fills.
    rig.place(0, sell(1000, 3000).reduce_only()).unwrap();
    assert_eq!(rig.place(0, buy(1000, 1000).reduce_only()).unwrap_err().gate, Gate::MinQty);
}

#[test]
fn hedge_legs_reduce_their_own_leg() {
    let mut rig = Rig::new(shut(), 1);
    for (leg, side) in [(Leg::Long, Side::Buy), (Leg::Short, Side::Sell)] {
        let ReportBody::Fill(fill) = rig.fill_body(side, 1000, 3000) else { unreachable!() };
        rig.raw_report(AccountId(0), PERP, None, ReportBody::Fill(ctos_types::Fill { leg, ..fill }));
    }
    rig.halt(HaltScope::System, KillState::Reducing);
    // The net position is flat, yet each leg can be closed, and only closed.
    let close = |leg, side, qty| OrderRequest::limit(PERP, side, Price(1000), Qty(qty)).leg(leg, PositionEffect::Close);
    rig.place(0, close(Leg::Long, Side::Sell, 2000)).unwrap();
    assert_eq!(rig.place(0, close(Leg::Long, Side::Sell, 2000)).unwrap_err().gate, Gate::KillSwitch);
    rig.place(0, close(Leg::Short, Side::Buy, 3000)).unwrap();
    assert_eq!(rig.place(0, close(Leg::Long, Side::Buy, 1000)).unwrap_err().gate, Gate::KillSwitch);
}

#[test]
fn cancels_always_pass() {
    let mut rig = Rig::new(Limits { max_cancel_ratio: Some(Decimal::ZERO), max_orders_per_sec: Some(2), ..off() }, 1);
    let a = rig.place(0, buy(990, 1000)).unwrap();
    let b = rig.place(0, buy(980, 1000)).unwrap();
    rig.control(Control::JournalFailed { error: "gone".into() });
    rig.report(a, ReportBody::Unknown { request: ctos_types::Request::Cancel });
    assert_eq!(rig.act(0, move |ctx| ctx.cancel(a)), Some(true));
    assert_eq!(rig.commands.len(), 1);
    // Asked for already by the halt.
    assert_eq!(rig.act(0, move |ctx| ctx.cancel(b)), Some(false));
}

#[test]
fn amends_are_gated_as_the_order_they_would_become() {
    let limits = Limits { max_notional: Some(d("500")), max_position_notional: Some(d("500")), ..off() };
    let mut rig = Rig::new(Limits { max_open_orders: Some(2), ..limits }, 1);
    let a = rig.rest(0, buy(1000, 2000));
    let b = rig.rest(0, buy(1000, 1000));
    // 1 here and 4 there are 5: full. The order that is replaced does not count twice, not even as an open order.
    rig.act(0, move |ctx| ctx.amend(a, None, Some(Qty(4001))));
    refused(Err::<(), _>(rig.denial().unwrap()), Gate::MaxPosition, "500", "500.1");
    assert!(!rig.order(a).pending_amend);
    rig.act(0, move |ctx| ctx.amend(a, None, Some(Qty(4000))));
    assert!(rig.denial().is_none() && rig.commands.len() == 1);
    // Under way it counts in full: the room is taken before the venue answers, and stays taken if it never does.
    rig.act(0, move |ctx| ctx.amend(b, None, Some(Qty(1001))));
    refused(Err::<(), _>(rig.denial().unwrap()), Gate::MaxPosition, "500", "500.1");
    rig.report(a, ReportBody::Unknown { request: ctos_types::Request::Amend });
    rig.act(0, move |ctx| ctx.amend(b, None, Some(Qty(1001))));
    assert_eq!(rig.denial().unwrap().gate, Gate::MaxPosition);
    // A refusal gives it back.
    let (reason, code) = (RejectReason::Other, ctos_types::Text::EMPTY);
    rig.report(a, ReportBody::Rejected { request: ctos_types::Request::Amend, reason, code });
    rig.act(0, move |ctx| ctx.amend(b, None, Some(Qty(3000))));
    assert!(rig.denial().is_none());
}

#[test]
fn shrinks_pass_and_leave_something() {
    let mut rig = Rig::new(off(), 1);
    let id = rig.rest(0, buy(1000, 2000));
    rig.fill(id, 1000, 500);
    rig.pass(Nanos::from_secs(3600));
    rig.halt(HaltScope::System, KillState::Reducing);
    rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(500))));
    assert!(rig.denial().is_some(), "a size that is filled already leaves nothing: that is a cancel");
    rig.act(0, move |ctx| ctx.amend(id, Some(Price(999)), Some(Qty(501))));
    assert_eq!(rig.denial().unwrap().gate, Gate::KillSwitch, "a new price is a new order");
    rig.act(0, move |ctx| ctx.amend(id, None, Some(Qty(501))));
    assert!(rig.denial().is_none() && rig.commands.len() == 1);
}

#[test]
fn a_market_of_bars_is_not_stale_between_two_bars() {
    use ctos_types::{Bar, Event, Interval, Market, MarketData};
    let mut rig = Rig::new(Limits { stale_after: Some(Nanos::from_secs(10)), ..off() }, 1);
    let (px, interval, ts_event) = (Price(1000), Interval::M1, rig.now);
    let open_time = rig.now - interval.as_nanos();
    let bar = Bar { interval, open_time, open: px, high: px, low: px, close: px, volume: Qty(1) };
    rig.step(Event::Market(Market { instrument: PERP, ts_event, data: MarketData::Bar(bar) }));
    // The next bar is due a minute later; it may be late by the limit, and not by more.
    rig.pass(Nanos::from_secs(70));
    rig.place(0, buy(1000, 1000)).unwrap();
    rig.pass(Nanos(1));
    refused(rig.place(0, buy(1000, 1000)), Gate::StaleMarket, "10", "10.000000001");
}
