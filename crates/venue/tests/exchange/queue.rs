//! Queue position, ambient quotes against depth, gaps: worked by hand.

use crate::kit::*;
use Side::{Buy, Sell};
use ctos_types::*;
use ctos_venue::{ExchangeConfig, QueueModel};

fn proportional() -> Sim {
    Sim::new(ExchangeConfig { queue: QueueModel::Proportional, ..config(vec![rich(0)]) })
}

#[test]
fn a_trade_eats_what_is_ahead_then_us() {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 10)], &[]);
    sim.place(limit(1, Buy, 9_990, 4));
    sim.place(limit(2, Buy, 9_990, 4));
    assert_eq!(sim.trade(Sell, 9_990, 7), "");
    assert_eq!(sim.ahead(1), Some(3));
    assert_eq!(sim.trade(Buy, 9_990, 50), "", "an aggressive buy does not hit bids");
    assert_eq!(sim.trade(Sell, 9_990, 8), "#1 Buy 4@9990 maker; #2 Buy 1@9990 maker");
    assert_eq!(sim.trade(Sell, 9_980, 2), "#2 Buy 2@9990 maker", "a trade through fills at our price");
}

#[test]
fn one_traded_quantity_fills_once() {
    let mut sim = Sim::rich();
    sim.place(limit(1, Buy, 10_000, 3));
    sim.place(limit(2, Buy, 9_995, 3));
    sim.place(limit(3, Buy, 9_990, 3));
    assert_eq!(sim.trade(Sell, 9_990, 7), "#1 Buy 3@10000 maker; #2 Buy 3@9995 maker; #3 Buy 1@9990 maker");
}

#[test]
fn conservative_ignores_cancels_until_the_level_is_smaller() {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 100)], &[]);
    sim.place(limit(1, Buy, 9_990, 4));
    sim.depth(&[(9_990, 150)], &[]);
    sim.depth(&[(9_990, 120)], &[]);
    assert_eq!(sim.ahead(1), Some(100));
    sim.depth(&[(9_990, 60)], &[]);
    assert_eq!(sim.ahead(1), Some(60));
}

#[test]
fn proportional_counts_cancels_in_part() {
    let mut sim = proportional();
    sim.snapshot(&[(9_990, 100)], &[]);
    sim.place(limit(1, Buy, 9_990, 4));
    sim.depth(&[(9_990, 150)], &[]);
    // 30 of 150 leave: floor(100 * 30 / 150) = 20 of them from ahead.
    sim.depth(&[(9_990, 120)], &[]);
    assert_eq!(sim.ahead(1), Some(80));
    // 20 trade, and the level then shows just that: nothing was cancelled.
    sim.trade(Sell, 9_990, 20);
    sim.depth(&[(9_990, 100)], &[]);
    assert_eq!(sim.ahead(1), Some(60));
    // 10 trade and 27 more leave the 90: 50 - floor(50 * 27 / 90) = 35.
    sim.trade(Sell, 9_990, 10);
    sim.depth(&[(9_990, 63)], &[]);
    assert_eq!(sim.ahead(1), Some(35));
}

#[test]
fn a_crossing_book_fills_up_to_its_quantity_once() {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 10)], &[(10_000, 5)]);
    sim.place(limit(1, Buy, 9_990, 8));
    assert_eq!(sim.depth(&[(9_990, 0)], &[(9_985, 3)]), "#1 Buy 3@9990 maker");
    assert_eq!(sim.depth(&[(9_000, 1)], &[]), "", "the same quantity does not fill again");
    assert_eq!(sim.depth(&[], &[(9_985, 2)]), "#1 Buy 2@9990 maker", "a refreshed level does");
    assert_eq!(sim.quote((9_980, 1), (9_990, 9)), "#1 Buy 3@9990 maker");
    assert_eq!(sim.ex.book(SPOT).best(Sell).unwrap().qty, Qty(6));
}

#[test]
fn quotes_move_the_top_and_vanished_levels_leave_us_first() {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 10), (9_980, 10)], &[(10_000, 5)]);
    sim.place(limit(1, Buy, 9_990, 1));
    sim.quote((9_980, 7), (10_000, 5));
    assert_eq!(
        (sim.ahead(1), sim.ex.book(SPOT).best(Buy)),
        (Some(0), Some(Level { price: Price(9_980), qty: Qty(7) }))
    );
}

#[test]
fn a_repeated_quote_refreshes_nothing() {
    let mut sim = Sim::rich();
    sim.quote((9_990, 10), (10_000, 5));
    sim.place(market(1, Buy, 5));
    sim.quote((9_991, 3), (10_000, 5));
    assert_eq!(sim.place(market(2, Buy, 1)), "#2 accepted; #2 canceled NoLiquidity");
    sim.quote((9_991, 3), (10_000, 6));
    assert_eq!(sim.place(market(3, Buy, 1)), "#3 accepted; #3 Buy 1@10000 taker");
}

#[test]
fn depth_older_than_the_quote_does_not_take_the_top_back() {
    let mut sim = Sim::rich();
    let depth = |sim: &mut Sim, bids: &[(i64, i64)], asks: &[(i64, i64)], snapshot, update_id| {
        let (bids, asks) = (levels(bids), levels(asks));
        sim.event(MarketData::Depth { bids: &bids, asks: &asks, snapshot, update_id })
    };
    let quote = |sim: &mut Sim, bid: (i64, i64), ask: (i64, i64), update_id| {
        let quote = Quote { bid_px: Price(bid.0), bid_qty: Qty(bid.1), ask_px: Price(ask.0), ask_qty: Qty(ask.1) };
        sim.event(MarketData::Quote { quote, update_id })
    };
    let top = |sim: &Sim| sim.ex.book(SPOT).quote();
    depth(&mut sim, &[(9_990, 10)], &[(10_000, 5)], true, 100);
    quote(&mut sim, (9_980, 4), (9_985, 2), 110);
    depth(&mut sim, &[(9_990, 11), (9_970, 3)], &[(9_985, 9), (9_999, 1)], false, 105);
    assert_eq!(
        (top(&sim).bid_px, top(&sim).bid_qty.0, top(&sim).ask_px, top(&sim).ask_qty.0),
        (Price(9_980), 4, Price(9_985), 2)
    );
    assert_eq!((sim.ex.book(SPOT).qty_at(Buy, Price(9_970)).0, sim.ex.book(SPOT).qty_at(Sell, Price(9_999)).0), (3, 1));
    depth(&mut sim, &[(9_990, 7), (9_960, 1)], &[(10_000, 1)], true, 108);
    assert_eq!((top(&sim).bid_px, top(&sim).ask_px), (Price(9_980), Price(9_985)));
    depth(&mut sim, &[(9_984, 7)], &[], false, 110);
    assert_eq!(top(&sim).bid_px, Price(9_984));
    quote(&mut sim, (1, 1), (2, 2), 109);
    assert_eq!(top(&sim).bid_px, Price(9_984), "a quote older than the depth says nothing");
}

#[test]
fn after_a_gap_nothing_trades_with_the_book_until_a_snapshot() {
    let mut sim = Sim::rich();
    sim.snapshot(&[(9_990, 10)], &[(10_000, 5)]);
    sim.place(limit(1, Buy, 9_990, 4));
    sim.event(MarketData::Gap);
    assert_eq!(sim.place(market(2, Buy, 1)), "#2 accepted; #2 canceled NoLiquidity");
    sim.depth(&[], &[(9_000, 5)]);
    sim.quote((8_990, 1), (9_000, 1));
    assert!(sim.ex.book(SPOT).is_empty());
    assert_eq!(sim.ahead(1), Some(10), "an unknown book does not move us up");
    assert_eq!(sim.trade(Sell, 9_980, 1), "#1 Buy 1@9990 maker", "trades still fill");
    assert_eq!(sim.snapshot(&[(9_990, 6)], &[(10_000, 5)]), "");
    assert_eq!(sim.ahead(1), Some(6));
    assert_eq!(sim.place(market(3, Buy, 1)), "#3 accepted; #3 Buy 1@10000 taker");
}
