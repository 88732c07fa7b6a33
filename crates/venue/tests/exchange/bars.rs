//! Trading on bars: the path by hand, and never better than a bar allows.

use crate::kit::*;
use Side::{Buy, Sell};
use ctos_types::*;
use ctos_venue::*;
use proptest::prelude::*;

const MINUTE: i64 = 60;

impl Sim {
    /// The bar that opens at minute `n`, delivered at its close.
    fn bar(&mut self, n: i64, ohlc: [i64; 4], volume: i64) -> String {
        self.now = UnixNanos::from_secs((n + 1) * MINUTE);
        let [open, high, low, close] = ohlc.map(Price);
        let open_time = UnixNanos::from_secs(n * MINUTE);
        self.event(MarketData::Bar(Bar {
            interval: Interval::M1,
            open_time,
            open,
            high,
            low,
            close,
            volume: Qty(volume),
        }))
    }
}

/// A bar at 100.00 has been seen; orders now arrive at the open of bar 1.
fn on_bars() -> Sim {
    let mut sim = Sim::rich();
    sim.bar(0, [10_000, 10_000, 10_000, 10_000], 0);
    sim
}

#[test]
fn market_orders_trade_at_the_next_open_with_slippage() {
    let mut sim = on_bars();
    assert_eq!(sim.place(market(1, Buy, 5)), "#1 accepted");
    assert_eq!(sim.place(market(2, Sell, 5)), "#2 accepted");
    assert_eq!(sim.bar(1, [10_010, 10_050, 9_990, 10_020], 0), "#1 Buy 5@10011 taker; #2 Sell 5@10009 taker");
    sim.place(market(3, Buy, 5));
    assert_eq!(sim.bar(2, [10_020, 10_020, 9_990, 9_990], 0), "#3 Buy 5@10020 taker", "never above the high");
}

#[test]
fn an_order_that_arrives_during_a_bar_sees_only_its_close() {
    let mut sim = on_bars();
    sim.now = UnixNanos::from_secs(61);
    sim.place(market(1, Buy, 5));
    sim.place(limit(2, Buy, 9_995, 5));
    assert_eq!(sim.bar(1, [10_000, 10_050, 9_000, 10_020], 0), "#1 Buy 5@10021 taker");
    assert_eq!(sim.bar(2, [10_020, 10_020, 9_994, 10_000], 0), "#2 Buy 5@9995 maker");
}

#[test]
fn resting_orders_need_a_trade_through() {
    let mut sim = on_bars();
    sim.place(limit(1, Buy, 9_990, 5));
    assert_eq!(sim.bar(1, [10_000, 10_000, 9_990, 10_000], 0), "");
    assert_eq!(sim.bar(2, [10_000, 10_000, 9_989, 10_000], 0), "#1 Buy 5@9990 maker");
    let mut sim = Sim::new(ExchangeConfig { bar_touch_fills: true, ..config(vec![rich(0)]) });
    sim.bar(0, [10_000, 10_000, 10_000, 10_000], 0);
    sim.place(limit(1, Buy, 9_990, 5));
    assert_eq!(sim.bar(1, [10_000, 10_000, 9_990, 10_000], 0), "#1 Buy 5@9990 maker");
}

#[test]
fn an_order_the_open_jumps_over_fills_inside_the_bar() {
    let mut sim = on_bars();
    sim.place(limit(1, Buy, 9_990, 5));
    assert_eq!(sim.bar(1, [9_500, 9_510, 9_400, 9_450], 0), "#1 Buy 5@9501 taker");
}

#[test]
fn the_path_decides_what_comes_first() {
    let place = |sim: &mut Sim| {
        sim.place(market(1, Buy, 10));
        sim.bar(1, [10_000, 10_000, 10_000, 10_000], 0);
        sim.place(order(2, Sell, OrderKind::StopMarket { trigger: Price(9_900) }, 10));
        sim.place(limit(3, Sell, 10_100, 10));
    };
    // Closed higher: the low came first, so the stop fires before the target fills.
    let mut sim = on_bars();
    place(&mut sim);
    assert_eq!(
        sim.bar(2, [10_000, 10_200, 9_800, 10_050], 0),
        "#2 triggered; #2 Sell 10@9899 taker; #3 Sell 10@10100 maker"
    );
    let mut sim = on_bars();
    place(&mut sim);
    assert_eq!(
        sim.bar(2, [10_000, 10_200, 9_800, 9_950], 0),
        "#3 Sell 10@10100 maker; #2 triggered; #2 Sell 10@9899 taker"
    );
}

#[test]
fn trailing_stop_on_the_path() {
    let mut sim = on_bars();
    sim.place(order(1, Sell, OrderKind::TrailingStop { callback_bps: 100, activation: None }, 5));
    // The low comes before the high, and the close stays above 1 % below it.
    assert_eq!(sim.bar(1, [10_000, 10_400, 9_990, 10_350], 0), "");
    // Up to 104.00 again, then down through 102.96.
    assert_eq!(sim.bar(2, [10_350, 10_400, 10_200, 10_300], 0), "#1 triggered; #1 Sell 5@10295 taker");
}

#[test]
fn stop_limit_rests_on_the_rest_of_the_path() {
    let mut sim = on_bars();
    sim.place(order(1, Sell, OrderKind::StopLimit { trigger: Price(9_900), price: Price(9_950) }, 5));
    assert_eq!(sim.bar(1, [10_000, 10_010, 9_800, 10_005], 0), "#1 triggered; #1 Sell 5@9950 maker");
}

#[test]
fn volume_bounds_what_fills() {
    let mut sim = on_bars();
    sim.place(market(1, Buy, 10));
    assert_eq!(sim.bar(1, [10_000, 10_000, 10_000, 10_000], 4), "#1 Buy 4@10000 taker");
    assert_eq!(sim.bar(2, [10_000, 10_000, 10_000, 10_000], 0), "#1 Buy 6@10000 taker");
}

#[test]
fn ioc_and_fok_wait_for_one_point_only() {
    let mut sim = on_bars();
    let tif = |tif, o| NewOrder { tif, ..o };
    sim.place(tif(TimeInForce::Ioc, limit(1, Buy, 9_990, 5)));
    sim.place(tif(TimeInForce::Ioc, limit(2, Buy, 10_010, 5)));
    sim.place(tif(TimeInForce::Fok, market(3, Buy, 9)));
    assert_eq!(
        sim.bar(1, [10_000, 10_010, 9_900, 10_000], 8),
        "#1 canceled NoLiquidity; #2 Buy 5@10001 taker; #3 canceled NoLiquidity"
    );
}

#[test]
fn post_only_looks_at_the_last_price() {
    let mut sim = on_bars();
    let post = |o| NewOrder { post_only: true, ..o };
    assert_eq!(sim.place(post(limit(1, Buy, 10_000, 5))), "#1 rejected Place PostOnlyWouldTake");
    assert_eq!(sim.place(post(limit(2, Buy, 9_999, 5))), "#2 accepted");
}

#[test]
fn longer_bars_and_bars_beside_a_book_do_not_fill() {
    let mut sim = on_bars();
    sim.place(limit(1, Buy, 9_990, 5));
    let hour = |open_time| Bar {
        interval: Interval::H1,
        open_time,
        open: Price(10_000),
        high: Price(10_000),
        low: Price(9_000),
        close: Price(10_000),
        volume: Qty(0),
    };
    assert_eq!(sim.event(MarketData::Bar(hour(sim.now))), "");
    sim.quote((9_995, 1), (10_000, 1));
    assert_eq!(sim.bar(2, [10_000, 10_000, 9_000, 10_000], 0), "");
}

#[test]
fn a_leveraged_account_is_liquidated_inside_the_bar() {
    let mut a = account(0, &[("USDT", "10")]);
    a.leverage = d("50");
    a.fees.fixed = Some(FeeRates::default());
    let mut sim = Sim::new(ExchangeConfig { bar_slippage_ticks: 0, ..config(vec![a]) }).on(PERP);
    sim.bar(0, [10_000, 10_000, 10_000, 10_000], 0);
    sim.place(market(1, Buy, 1_000));
    sim.bar(1, [10_000, 10_000, 10_000, 10_000], 0);
    assert_eq!(sim.bar(2, [10_000, 10_100, 9_000, 10_100], 0), "#venue Sell 1000@9000 taker");
    assert_eq!(sim.total("USDT"), Decimal::ZERO);
}

/// Bars of a range of 4.00, of which a tenth is 0.40; one tick of slippage besides.
#[test]
fn slippage_can_be_a_share_of_the_range() {
    let rules = || ExchangeConfig { bar_slippage_range_pct: 10, ..config(vec![rich(0)]) };
    let started = |rules| {
        let mut sim = Sim::new(rules);
        sim.bar(0, [10_000, 10_000, 10_000, 10_000], 0);
        sim
    };
    let bar = [10_000, 10_200, 9_800, 10_100];
    let mut sim = started(rules());
    sim.place(market(1, Buy, 5));
    sim.place(market(2, Sell, 5));
    assert_eq!(sim.bar(1, bar, 0), "#1 Buy 5@10041 taker; #2 Sell 5@9959 taker");
    // Never outside of the bar.
    let mut sim = started(ExchangeConfig { bar_slippage_range_pct: 100, ..rules() });
    sim.place(market(1, Buy, 5));
    assert_eq!(sim.bar(1, bar, 0), "#1 Buy 5@10200 taker");
    // A limit order needs the path to go beyond it by as much: 98.40 does, 98.39 does not.
    let mut sim = started(rules());
    sim.place(limit(1, Buy, 9_840, 5));
    sim.place(limit(2, Buy, 9_839, 5));
    assert_eq!(sim.bar(1, bar, 0), "#1 Buy 5@9840 maker");
    // A part of a tick counts as one.
    let mut sim = started(rules());
    sim.place(market(1, Buy, 5));
    assert_eq!(sim.bar(1, [10_000, 10_005, 10_000, 10_005], 0), "#1 Buy 5@10002 taker");
}

#[test]
fn on_request_everybody_is_a_taker_on_bars() {
    let mut sim = Sim::new(ExchangeConfig { bar_taker_fees: true, ..config(vec![rich(0)]) });
    sim.bar(0, [10_000, 10_000, 10_000, 10_000], 0);
    sim.place(limit(1, Buy, 9_900, 5));
    assert_eq!(sim.bar(1, [10_000, 10_000, 9_800, 10_000], 0), "#1 Buy 5@9900 taker");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    // Every fill lies within its bar, respects its limit, and no bar fills more than it traded.
    #[test]
    fn never_better_than_the_bar(
        orders in prop::collection::vec((any::<bool>(), 0usize..6, 9_900i64..10_100, 9_900i64..10_100, 1i64..50, 0i64..50), 1..12),
        bars in prop::collection::vec((9_900i64..10_100, 9_900i64..10_100, 0i64..60, 0i64..60, 0i64..200), 1..8),
        touch in any::<bool>(), slippage in 0u32..4, pct in prop::sample::select(vec![0u32, 1, 10, 50, 100]), taker in any::<bool>(),
    ) {
        let rules = ExchangeConfig {
            bar_touch_fills: touch,
            bar_slippage_ticks: slippage,
            bar_slippage_range_pct: pct,
            bar_taker_fees: taker,
            ..config(vec![rich(0)])
        };
        let mut sim = Sim::new(rules);
        sim.bar(0, [10_000, 10_000, 10_000, 10_000], 0);
        let mut left = orders.iter().enumerate();
        for (n, (open, close, up, down, volume)) in bars.iter().enumerate() {
            for (id, (buy, kind, price, trigger, qty, late)) in left.by_ref().take(2) {
                let (price, trigger) = (Price(*price), Price(*trigger));
                let kind = [
                    OrderKind::Limit { price }, OrderKind::Market, OrderKind::StopMarket { trigger },
                    OrderKind::StopLimit { trigger, price }, OrderKind::TakeProfitLimit { trigger, price },
                    OrderKind::TrailingStop { callback_bps: 20, activation: None },
                ][*kind];
                sim.now = UnixNanos::from_secs((n as i64 + 1) * MINUTE + late);
                sim.place(order(id as u64 + 1, if *buy { Buy } else { Sell }, kind, *qty));
            }
            let (high, low) = (open.max(close) + up, open.min(close) - down);
            let limits: Vec<_> = sim.ex.open_orders(AccountId(0)).map(|o| (o.request.cl_ord_id, o.price)).collect();
            sim.bar(n as i64 + 1, [*open, high, low, *close], *volume);
            let mut filled = 0;
            for p in &sim.out {
                let Private::Report(OrderReport { cl_ord_id, body: ReportBody::Fill(f), .. }) = p else { continue };
                prop_assert!((low..=high).contains(&f.last_px.0), "{f:?} outside {low}..{high}");
                let limit = limits.iter().find(|(id, _)| Some(*id) == *cl_ord_id).unwrap().1;
                let kept = limit.is_none_or(|l| if f.side == Buy { f.last_px <= l } else { f.last_px >= l });
                prop_assert!(kept, "{f:?} beyond {limit:?}");
                prop_assert!(!taker || f.liquidity == Liquidity::Taker, "{f:?}");
                filled += f.last_qty.0;
            }
            prop_assert!(*volume == 0 || filled <= *volume);
        }
    }
}
