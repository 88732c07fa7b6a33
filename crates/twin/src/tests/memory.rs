//! What a venue forgets, and what a symbol does that does not trade.

use super::*;
use crate::absorb::blank_order;
use crate::orders::{Memory, Orders, Status};
use ctos_types::{InstrumentId, Qty, Side};

const DAY_MS: i64 = 86_400_000;

fn closed(orders: &mut Orders, name: &str, at_ms: i64, filled: bool) -> usize {
    let mut order = blank_order(0, InstrumentId(0), Side::Buy, at_ms);
    order.client_id = name.into();
    (order.qty, order.cum) = (Qty(5), Qty(if filled { 5 } else { 0 }));
    let n = orders.enter(order);
    orders.set_status(n, if filled { Status::Filled } else { Status::Canceled }, at_ms);
    n
}

#[test]
fn closed_orders_are_forgotten_as_the_venue_does() {
    let id = InstrumentId(0);
    for (product, idle, traded) in [(Product::UsdM, 3, 90), (Product::Spot, 90, 3_650)] {
        let mut orders = Orders::new(1_000, Memory::of(product));
        let open = orders.enter(blank_order(0, id, Side::Buy, 0));
        let (a, b) = (closed(&mut orders, "idle", 0, false), closed(&mut orders, "traded", 0, true));
        orders.forget(idle * DAY_MS - 1);
        assert_eq!((orders.by_id(0, id, 1_001), orders.by_client(0, id, "idle")), (Some(a), Some(a)));
        orders.forget(idle * DAY_MS);
        assert_eq!((orders.by_id(0, id, 1_001), orders.by_client(0, id, "idle")), (None, None));
        assert!(orders.is_archived(1_001) && !orders.is_archived(1_002) && !orders.is_archived(1_003));
        assert_eq!(orders.by_client(0, id, "traded"), Some(b));
        orders.forget(traded * DAY_MS);
        // What is open stays, and numbers go on.
        assert_eq!((orders.by_id(0, id, 1_002), orders.by_id(0, id, 1_000)), (None, Some(open)));
        let next = closed(&mut orders, "next", 0, false);
        assert_eq!(orders.id_of(next), 1_003);
    }
}

#[test]
fn a_renamed_order_is_forgotten_by_all_its_names() {
    let id = InstrumentId(0);
    let mut orders = Orders::new(1, Memory::of(Product::Spot));
    let n = closed(&mut orders, "a", 0, false);
    orders.rename(n, "b");
    orders.rename(n, "c");
    // The cancel's own name.
    orders.list[n].other_id = Some("bye".into());
    for name in ["a", "b", "c"] {
        assert_eq!(orders.by_client(0, id, name), Some(n), "{name}");
    }
    assert_eq!((orders.placed_as(n), orders.list[n].client_id.as_str()), ("a", "c"));
    orders.forget(90 * DAY_MS);
    for name in ["a", "b", "c"] {
        assert_eq!(orders.by_client(0, id, name), None, "{name}");
    }
}

#[test]
fn a_busy_account_stays_within_bounds() {
    let mut orders = Orders::new(1, Memory::of(Product::Spot));
    let kept = closed(&mut orders, "filled", 0, true);
    for n in 0..100_500 {
        closed(&mut orders, &format!("o{n}"), n, false);
    }
    assert_eq!(orders.list.len(), 100_000);
    assert!(orders.list.get(kept).is_some(), "those without a fill go first");
    assert!(orders.by_client(0, InstrumentId(0), "o0").is_none());
    // The newest is there, even when all others are worth more.
    let mut orders = Orders::new(1, Memory::of(Product::Spot));
    for n in 0..100_000 {
        closed(&mut orders, &format!("o{n}"), n, true);
    }
    let last = closed(&mut orders, "last", 100_000, false);
    assert_eq!((orders.list.len(), orders.by_client(0, InstrumentId(0), "last")), (100_000, Some(last)));
}

#[test]
fn a_halted_symbol_fills_nothing_until_it_trades_again() {
    for product in [Product::Spot, Product::UsdM] {
        let (path, status) = match product {
            Product::Spot => ("/api/v3/order", "HALT"),
            Product::UsdM => ("/fapi/v1/order", "TRADING_HALT"),
        };
        let mut c = client(product, 9);
        let market = if product == Product::Spot { "/ws/btcusdt@trade" } else { "/market/ws/btcusdt@aggTrade" };
        let price = c.price("BTCUSDT");
        // Both sides as near as an order can rest: one of them would fill soon.
        let mut ids = Vec::new();
        for (side, off) in [("BUY", 0.9999), ("SELL", 1.0001)] {
            let px = (price * off * 10.0).round() / 10.0;
            let query = format!("symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity=0.01&price={px}");
            let order = c.ok("POST", path, &query);
            ids.push((order["orderId"].as_i64().unwrap(), order["executedQty"].clone()));
        }
        let filled = |c: &mut Client| -> f64 {
            ids.iter()
                .map(|(id, _)| num(&c.ok("GET", path, &format!("symbol=BTCUSDT&orderId={id}"))["executedQty"]))
                .sum()
        };
        let before = filled(&mut c);
        c.admin(&format!(r#"{{"do":"symbol","symbol":"BTCUSDT","change":{{"status":"{status}"}}}}"#));
        let conn = c.open(market);
        // What traded just before is told yet.
        c.pass(1_000);
        c.heard(conn);
        c.pass(120_000);
        assert_eq!(filled(&mut c), before, "{product:?}");
        assert!(c.heard(conn).is_empty(), "nothing trades");
        let refused = c.code("POST", path, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01");
        assert!([-2010, -4141, -4140].contains(&refused), "{refused}");
        // Kept over a restart, too.
        let state = serde_json::to_string(&c.twin.state()).unwrap();
        assert!(state.contains("\"hidden\":[["), "{}", &state[state.len() - 300..]);
        c.admin(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"status":"TRADING"}}"#);
        c.pass(60_000);
        assert!(filled(&mut c) > before && !c.heard(conn).is_empty(), "{product:?}: it goes on");
    }
}
