//! Each order type, time in force and option: how it is accepted, trades, rests and ends.

use crate::kit::*;
use Side::{Buy, Sell};
use ctos_types::*;
use ctos_venue::SelfTradePrevention;

fn with_book() -> Sim {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 10), (9_980, 10)], &[(10_000, 5), (10_010, 5), (10_020, 5)]);
    sim
}

#[test]
fn market_order_walks_the_book_and_the_rest_is_cancelled() {
    let mut sim = with_book();
    assert_eq!(sim.place(market(1, Buy, 7)), "#1 accepted; #1 Buy 5@10000 taker; #1 Buy 2@10010 taker");
    // What was taken is gone until the tape refreshes the level.
    assert_eq!(
        sim.place(market(2, Buy, 100)),
        "#2 accepted; #2 Buy 3@10010 taker; #2 Buy 5@10020 taker; #2 canceled NoLiquidity"
    );
    assert_eq!(sim.place(market(3, Buy, 1)), "#3 accepted; #3 canceled NoLiquidity");
    sim.depth(&[], &[(10_010, 2)]);
    assert_eq!(sim.place(market(4, Buy, 3)), "#4 accepted; #4 Buy 2@10010 taker; #4 canceled NoLiquidity");
}

#[test]
fn limit_order_takes_to_its_price_and_rests() {
    let mut sim = with_book();
    assert_eq!(sim.place(limit(1, Buy, 10_005, 8)), "#1 accepted; #1 Buy 5@10000 taker");
    let open: Vec<_> = sim.ex.open_orders(AccountId(0)).collect();
    assert_eq!((open.len(), open[0].qty, open[0].cum_qty, open[0].ahead), (1, Qty(8), Qty(5), Some(Qty(0))));
    assert_eq!(sim.trade(Sell, 10_005, 2), "#1 Buy 2@10005 maker");
    assert_eq!(sim.trade(Sell, 9_000, 50), "#1 Buy 1@10005 maker");
    assert_eq!(sim.ex.open_orders(AccountId(0)).count(), 0);
}

#[test]
fn market_by_amount_never_spends_more() {
    let mut sim = with_book();
    let by_amount = |id, side, amount| NewOrder { qty: OrderQty::Quote(d(amount)), ..market(id, side, 0) };
    // 0.005 at 100.00 is 0.5; what is left of 0.8 buys 0.002 at 100.10 and leaves less than a lot.
    assert_eq!(
        sim.place(by_amount(1, Buy, "0.8")),
        "#1 accepted; #1 Buy 5@10000 taker; #1 Buy 2@10010 taker; #1 canceled NoLiquidity"
    );
    assert_eq!(sim.total("USDT"), d("1000000") - d("0.7002"));
    assert_eq!(sim.place(by_amount(2, Sell, "0.5")), "#2 accepted; #2 Sell 5@9990 taker; #2 canceled NoLiquidity");
    assert_eq!(sim.place(by_amount(3, Buy, "0.05")), "#3 rejected Place BadQty");
    assert_eq!(sim.place(by_amount(4, Buy, "-1")), "#4 rejected Place BadQty");
    let on_limit = NewOrder { qty: OrderQty::Quote(d("1")), ..limit(5, Buy, 10_000, 0) };
    assert_eq!(sim.place(on_limit), "#5 rejected Place Unsupported");
}

#[test]
fn ioc_fok_post_only() {
    let mut sim = with_book();
    let tif = |tif, o| NewOrder { tif, ..o };
    assert_eq!(
        sim.place(tif(TimeInForce::Ioc, limit(1, Buy, 10_000, 8))),
        "#1 accepted; #1 Buy 5@10000 taker; #1 canceled NoLiquidity"
    );
    assert_eq!(sim.place(tif(TimeInForce::Fok, limit(2, Buy, 10_010, 6))), "#2 rejected Place FokNotFilled");
    assert_eq!(sim.place(tif(TimeInForce::Fok, limit(3, Buy, 10_010, 5))), "#3 accepted; #3 Buy 5@10010 taker");
    assert_eq!(sim.place(tif(TimeInForce::Fok, market(4, Buy, 6))), "#4 rejected Place FokNotFilled");
    let post = |o| NewOrder { post_only: true, ..o };
    assert_eq!(sim.place(post(limit(5, Buy, 10_020, 1))), "#5 rejected Place PostOnlyWouldTake");
    assert_eq!(sim.place(post(limit(6, Buy, 10_019, 1))), "#6 accepted");
    assert_eq!(sim.place(post(market(7, Buy, 1))), "#7 rejected Place Unsupported");
}

#[test]
fn good_till_date_expires_at_its_time() {
    let mut sim = with_book();
    let until = UnixNanos::from_secs(5);
    sim.place(NewOrder { tif: TimeInForce::Gtd(until), ..limit(1, Buy, 9_990, 1) });
    assert_eq!(sim.ex.next_deadline(), Some(until));
    assert_eq!(sim.time(UnixNanos(until.0 - 1)), "");
    assert_eq!(sim.time(UnixNanos::from_secs(9)), "#1 expired");
    assert!(sim.out.iter().any(|p| matches!(p, ctos_venue::Private::Report(r) if r.ts_event == until)));
    assert_eq!((sim.ex.next_deadline(), sim.hold("USDT")), (Some(EXPIRY), Decimal::ZERO));
}

#[test]
fn stop_and_take_profit_fire_by_the_last_price() {
    let mut sim = with_book();
    sim.trade(Buy, 10_000, 1);
    let (stop, take) =
        (OrderKind::StopMarket { trigger: Price(10_050) }, OrderKind::TakeProfitMarket { trigger: Price(10_050) });
    assert_eq!(sim.place(order(1, Buy, stop, 2)), "#1 accepted");
    assert_eq!(sim.place(order(2, Sell, take, 3)), "#2 accepted");
    assert_eq!(sim.place(order(3, Sell, stop, 1)), "#3 rejected Place WouldTriggerImmediately");
    let low = OrderKind::StopLimit { trigger: Price(9_900), price: Price(9_985) };
    assert_eq!(sim.place(order(4, Sell, low, 4)), "#4 accepted");
    assert_eq!(sim.trade(Buy, 10_049, 1), "");
    assert_eq!(sim.trade(Buy, 10_050, 1), "#1 triggered; #1 Buy 2@10000 taker; #2 triggered; #2 Sell 3@9990 taker");
    assert_eq!(sim.trade(Sell, 9_900, 1), "#4 triggered; #4 Sell 4@9990 taker");
}

#[test]
fn triggers_by_mark_ignore_the_last_price() {
    let mut sim = with_book();
    sim.mark("100");
    let stop = OrderKind::StopMarket { trigger: Price(10_050) };
    sim.place(NewOrder { trigger_by: TriggerBy::Mark, ..order(1, Buy, stop, 1) });
    assert_eq!(sim.trade(Buy, 10_060, 1), "");
    assert_eq!(sim.mark("100.499999"), "");
    assert_eq!(sim.mark("100.5"), "#1 triggered; #1 Buy 1@10000 taker");
}

#[test]
fn trailing_stop_follows_from_its_activation() {
    let mut sim = with_book();
    sim.trade(Buy, 10_000, 1);
    let trailing = OrderKind::TrailingStop { callback_bps: 100, activation: Some(Price(10_200)) };
    assert_eq!(sim.place(order(1, Sell, trailing, 1)), "#1 accepted");
    for px in [10_100, 9_900, 10_200, 10_400, 10_297] {
        assert_eq!(sim.trade(Buy, px, 1), "", "at {px}");
    }
    // 1 % below the best since activation, 104.00.
    assert_eq!(sim.trade(Sell, 10_296, 1), "#1 triggered; #1 Sell 1@9990 taker");
    let at_once = OrderKind::TrailingStop { callback_bps: 100, activation: None };
    sim.place(order(2, Buy, at_once, 1));
    assert_eq!(sim.trade(Buy, 10_398, 1), "");
    assert_eq!(sim.trade(Buy, 10_399, 1), "#2 triggered; #2 Buy 1@10000 taker");
    let silly = OrderKind::TrailingStop { callback_bps: 10_000, activation: None };
    assert_eq!(sim.place(order(3, Buy, silly, 1)), "#3 rejected Place BadPrice");
}

#[test]
fn amend_keeps_or_loses_its_place() {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 10)], &[(10_000, 5)]);
    sim.place(limit(1, Buy, 9_990, 4));
    sim.depth(&[(9_990, 30)], &[]);
    assert_eq!(sim.amend(1, None, Some(3)), "#1 amended 3@Some(9990)");
    assert_eq!(sim.ahead(1), Some(10));
    assert_eq!(sim.amend(1, None, Some(5)), "#1 amended 5@Some(9990)");
    assert_eq!(sim.ahead(1), Some(30));
    assert_eq!(sim.hold("USDT"), d("0.4995"));
    assert_eq!(sim.amend(1, Some(10_000), None), "#1 amended 5@Some(10000); #1 Buy 5@10000 taker");
    assert_eq!(sim.hold("USDT"), Decimal::ZERO);
}

#[test]
fn amend_refusals_leave_the_order_as_it_was() {
    let mut sim = with_book();
    sim.place(NewOrder { post_only: true, ..limit(1, Buy, 9_990, 4) });
    assert_eq!(sim.amend(1, Some(10_000), None), "#1 rejected Amend PostOnlyWouldTake");
    assert_eq!(sim.amend(1, Some(9_000), Some(999_999_999)), "#1 rejected Amend InsufficientBalance");
    assert_eq!(sim.amend(1, Some(-5), None), "#1 rejected Amend BadPrice");
    assert_eq!(sim.amend(9, Some(9_990), None), "#9 rejected Amend UnknownOrder");
    assert_eq!((sim.ahead(1), sim.hold("USDT")), (Some(10), d("0.3996")));
    sim.trade(Sell, 9_990, 12);
    assert_eq!(sim.amend(1, None, Some(2)), "#1 canceled Requested");
    assert_eq!(sim.cancel(1), "#1 rejected Cancel UnknownOrder");
}

#[test]
fn amending_a_waiting_stop_limit() {
    let mut sim = with_book();
    sim.trade(Buy, 10_000, 1);
    sim.place(order(1, Buy, OrderKind::StopLimit { trigger: Price(10_050), price: Price(10_060) }, 2));
    assert_eq!(sim.amend(1, Some(10_000), Some(3)), "#1 amended 3@Some(10000)");
    assert_eq!(sim.trade(Buy, 10_050, 1), "#1 triggered; #1 Buy 3@10000 taker");
}

#[test]
fn ids_filters_and_unknowns() {
    let mut sim = with_book();
    sim.place(limit(1, Buy, 9_000, 1));
    assert_eq!(sim.place(limit(1, Buy, 9_000, 1)), "#1 rejected Place DuplicateClientOrderId");
    assert_eq!(sim.cancel(1), "#1 canceled Requested");
    assert_eq!(sim.place(limit(1, Buy, 9_000, 1)), "#1 rejected Place DuplicateClientOrderId");
    assert_eq!(sim.place(limit(2, Buy, 9_000, 0)), "#2 rejected Place BadQty");
    assert_eq!(sim.place(limit(2, Buy, 0, 1)), "#2 rejected Place BadPrice");
    assert_eq!(sim.place(NewOrder { account: AccountId(7), ..limit(2, Buy, 1, 1) }), "#2 rejected Place Other");
    let elsewhere = Command::Place(NewOrder { instrument: InstrumentId(99), ..limit(2, Buy, 1, 1) });
    assert_eq!(sim.command(elsewhere), "#2 rejected Place InstrumentNotTrading");
    assert_eq!(
        sim.place(limit(2, Buy, i64::MAX, 1_000_000_000)),
        "#2 rejected Place BadQty",
        "beyond what money can say"
    );
    assert_eq!(sim.place(limit(2, Buy, 1 << 40, 1_000_000_000)), "#2 rejected Place InsufficientBalance");
}

#[test]
fn cancel_all_is_by_account_and_instrument() {
    let mut sim = Sim::new(config(vec![rich(0), rich(1)]));
    for (id, on) in [(1, SPOT), (2, PERP), (3, SPOT)] {
        sim.on = on;
        sim.place(limit(id, Buy, 9_000, 1));
    }
    sim.place(NewOrder { account: AccountId(1), ..limit(4, Buy, 9_000, 1) });
    let all = |instrument| Command::CancelAll { account: AccountId(0), instrument };
    assert_eq!(sim.command(all(Some(SPOT))), "#1 canceled Requested; #3 canceled Requested");
    assert_eq!(sim.command(all(None)), "#2 canceled Requested");
    assert_eq!(sim.command(all(None)), "");
    assert_eq!(sim.ex.open_orders(AccountId(1)).count(), 1);
}

#[test]
fn self_trades_are_prevented_each_way() {
    let run = |stp| {
        let mut sim = Sim::new(ctos_venue::ExchangeConfig { stp, ..config(vec![rich(0), rich(1)]) });
        sim.place(limit(1, Sell, 10_000, 2));
        sim.place(NewOrder { account: AccountId(1), ..limit(2, Sell, 10_001, 2) });
        sim.place(limit(3, Buy, 10_001, 3))
    };
    assert_eq!(run(SelfTradePrevention::CancelNewest), "#3 accepted; #3 canceled SelfTrade");
    assert_eq!(
        run(SelfTradePrevention::CancelOldest),
        "#3 accepted; #1 canceled SelfTrade; #2 Sell 2@10001 maker; #3 Buy 2@10001 taker"
    );
    assert_eq!(run(SelfTradePrevention::CancelBoth), "#3 accepted; #1 canceled SelfTrade; #3 canceled SelfTrade");
}

#[test]
fn accounts_trade_with_each_other_around_ambient_quantity() {
    let mut sim = Sim::new(config(vec![rich(0), rich(1)]));
    sim.snapshot(&[], &[(10_000, 5)]);
    sim.place(NewOrder { account: AccountId(1), ..limit(1, Sell, 10_000, 3) });
    sim.depth(&[], &[(10_000, 9)]);
    // 5 ambient were there before account 1, 4 came after it.
    assert_eq!(
        sim.place(market(2, Buy, 10)),
        "#2 accepted; #2 Buy 5@10000 taker; #1 Sell 3@10000 maker; #2 Buy 3@10000 taker; #2 Buy 2@10000 taker"
    );
    assert_eq!(sim.ex.book(SPOT).best(Sell).unwrap().qty, Qty(2));
}

#[test]
fn a_fill_of_ours_can_fire_triggers() {
    let mut sim = Sim::new(config(vec![rich(0), rich(1)]));
    sim.trade(Buy, 10_000, 1);
    sim.place(NewOrder { account: AccountId(1), ..order(1, Buy, OrderKind::StopMarket { trigger: Price(10_010) }, 1) });
    sim.place(NewOrder { account: AccountId(1), ..limit(2, Sell, 10_010, 1) });
    sim.place(limit(3, Sell, 10_020, 1));
    assert_eq!(
        sim.place(limit(4, Buy, 10_010, 1)),
        "#4 accepted; #2 Sell 1@10010 maker; #4 Buy 1@10010 taker; #1 triggered; #3 Sell 1@10020 maker; #1 Buy 1@10020 taker"
    );
}

#[test]
fn the_number_of_open_orders_is_limited() {
    let mut sim = Sim::new(ctos_venue::ExchangeConfig { max_open_orders: 2, ..config(vec![rich(0)]) });
    for id in 1..=2 {
        assert_eq!(sim.place(limit(id, Buy, 9_000, 1)), format!("#{id} accepted"));
    }
    assert_eq!(sim.place(limit(3, Buy, 9_000, 1)), "#3 rejected Place TooManyOrders");
}
