//! Pages against their logs: nothing lost in merging, drawdowns that are the figures' own, sentences that are true.

use super::*;
use crate::collect::equity::fall_ratio;
use crate::log::{EquityLine, EquityPoint, Facts, FillRow, LeftOut};
use crate::metrics::{self, Trials};
use ctos_types::*;
use proptest::prelude::*;

const HOUR: u32 = 3_600;

fn at(secs: i64) -> UnixNanos {
    UnixNanos::from_secs(1_640_995_200 + secs)
}

fn usdt() -> Currency {
    Currency::new("USDT").unwrap()
}

fn perp(symbol: &str) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::new("BTC").unwrap(),
        quote: usdt(),
        price_decimals: 2,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::new(5, 2),
        maintenance_margin: Decimal::new(2, 2),
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}

fn fill(secs: i64, side: Side, qty: i64, price: i64) -> FillRow {
    FillRow {
        seq: 0,
        at: at(secs),
        account: AccountId(0),
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        order: None,
        side,
        leg: Leg::Net,
        price: Price(price),
        qty: Qty(qty),
        liquidity: Liquidity::Taker,
        fee: Decimal::new(1, 2),
        fee_currency: usdt(),
        fee_value: Some(Decimal::new(1, 2)),
        realized: Decimal::ZERO,
        mid_at_send: None,
    }
}

fn line(worth: &[(i64, i64, i64)]) -> EquityLine {
    let mut open = Decimal::from_int(worth.first().map_or(0, |w| w.0));
    let point = |(i, (close, over, under)): (usize, &(i64, i64, i64))| {
        let close = Decimal::from_int(*close);
        let (high, low) = (open.max(close) + Decimal::from_int(*over), open.min(close) - Decimal::from_int(*under));
        let point = EquityPoint {
            at: at(i as i64 * i64::from(HOUR)),
            open,
            high,
            low,
            close,
            // A bucket begins with its open: down to its low it has fallen at least.
            fall: open - low,
            fall_ratio: fall_ratio(open, low),
            exposure: None,
        };
        open = close;
        point
    };
    let points = worth.iter().enumerate().map(point).collect();
    EquityLine { account: None, currency: usdt(), bucket: Interval::from_secs(HOUR).unwrap(), points }
}

fn log(worth: &[(i64, i64, i64)]) -> RunLog {
    let to = at(worth.len() as i64 * i64::from(HOUR));
    let instruments = Instruments::new(vec![perp("x:BTC-USDT-PERP")]).unwrap();
    RunLog {
        facts: Facts { run_id: "r".into(), from: at(0), to, instruments, ..Facts::default() },
        equity: vec![line(worth)],
        ..RunLog::default()
    }
}

fn bar(i: i64, [open, high, low, close]: [i64; 4]) -> Bar {
    Bar {
        interval: Interval::from_secs(60).unwrap(),
        open_time: at(i * 60),
        open: Price(open),
        high: Price(high),
        low: Price(low),
        close: Price(close),
        volume: Qty(1),
    }
}

proptest! {
    #[test]
    fn the_drawdown_drawn_is_the_drawdown_told(worth in prop::collection::vec((500..2_000i64, 0..50i64, 0..50i64), 2..200), limit in 8usize..300) {
        let log = log(&worth);
        let curve = curves::equity(&log, limit).remove(0);
        let drawn = curve.drawdown.unpack().into_iter().fold(0.0, f64::min);
        let told = metrics::of(&log, Trials::default()).unwrap().performance.max_drawdown.ratio;
        prop_assert!((drawn + told).abs() < 1e-6, "{drawn} drawn, {told} told");
        let falls = falls::deepest(&log.equity[0], 5);
        prop_assert!((falls.first().map_or(0.0, |f| f.depth) - told).abs() < 1e-12, "{falls:?}, {told} told");
        prop_assert!(falls.iter().all(|f| f.peak <= f.trough && f.recovered.is_none_or(|r| f.trough <= r)));
        let shown = curve.t.unpack().len();
        prop_assert!(shown == worth.len() || shown <= limit.max(16), "{shown} points for {limit}");
    }

    #[test]
    fn merged_bars_lose_no_high_low_or_volume(
        steps in prop::collection::vec((-50..50i64, 0..20i64, 0..20i64, 1..4i64), 1..600), limit in 1usize..100,
    ) {
        let (mut price, mut minute) = (100_000, 7);
        let bars: Vec<Bar> = steps.iter().map(|(step, over, under, gap)| {
            let open = price;
            price += step;
            minute += gap;
            bar(minute, [open, open.max(price) + over, open.min(price) - under, price])
        }).collect();
        let merged = prices::merge(&bars, limit);
        let high = |list: &[Bar]| list.iter().map(|b| b.high).max();
        let low = |list: &[Bar]| list.iter().map(|b| b.low).min();
        let volume = |list: &[Bar]| list.iter().map(|b| b.volume.0).sum::<i64>();
        prop_assert_eq!((high(&merged), low(&merged), volume(&merged)), (high(&bars), low(&bars), volume(&bars)));
        prop_assert_eq!((merged[0].open, merged[merged.len() - 1].close), (bars[0].open, bars[bars.len() - 1].close));
        prop_assert!(merged.windows(2).all(|w| w[0].close_time() <= w[1].open_time));
        // Gaps spread bars over up to three times their number of minutes, and the first may stand off the grid.
        prop_assert!(merged.len() <= 3 * limit + 2, "{} bars for {limit}", merged.len());
    }

    #[test]
    fn fills_that_are_added_up_are_all_there(list in prop::collection::vec((0..90_000i64, any::<bool>(), 1..500i64), 1..900), limit in 8usize..60) {
        let mut moments: Vec<i64> = list.iter().map(|f| f.0).collect();
        moments.sort_unstable();
        let side = |buy| if buy { Side::Buy } else { Side::Sell };
        let fills: Vec<FillRow> =
            list.iter().zip(moments).map(|((_, buy, qty), at)| fill(at, side(*buy), *qty, 10_000)).collect();
        let marks = prices::marks(&prices::with_exits(&fills), &perp("x:B"), Interval::from_secs(60).unwrap(), limit);
        prop_assert_eq!(marks.n.iter().map(|n| *n as usize).sum::<usize>(), fills.len());
        let qty: f64 = marks.qty.unpack().iter().sum();
        prop_assert!((qty * 1e3 - fills.iter().map(|f| f.qty.0).sum::<i64>() as f64).abs() < 1e-3);
        let times = marks.t.unpack();
        prop_assert!(times.windows(2).all(|w| w[0] <= w[1]), "in order of time");
        prop_assert!(fills.len() <= limit || times.len() <= limit + 8, "{} marks for {limit}", times.len());
        prop_assert!(marks.px.unpack().iter().all(|p| (p - 100.0).abs() < 1e-4));
    }
}

/// A bucket begins where the last one ended, so the last moment at a high is the start of the next bucket.
#[test]
fn falls_begin_at_their_high_and_end_where_it_is_reached_again() {
    let log = log(&[(1_000, 0, 0), (900, 0, 0), (950, 0, 0), (1_010, 0, 0), (990, 0, 0)]);
    let hours: Vec<_> = falls::deepest(&log.equity[0], 5)
        .into_iter()
        .map(|f| {
            let hour = |ms: i64| (ms - pack::millis(at(0))) / 3_600_000;
            ((f.depth * 1e4).round() as i64, hour(f.peak), hour(f.trough), f.recovered.map(hour))
        })
        .collect();
    assert_eq!(hours, [(1_000, 1, 1, Some(3)), (198, 4, 4, None)]);
}

#[test]
fn an_exit_makes_a_position_smaller() {
    use Side::{Buy, Sell};
    let fills: Vec<FillRow> = [(Buy, 5), (Buy, 1), (Sell, 2), (Sell, 4), (Sell, 3), (Buy, 1), (Buy, 9), (Sell, 7)]
        .into_iter()
        .enumerate()
        .map(|(i, (side, qty))| fill(i as i64, side, qty, 100))
        .collect();
    let exits: Vec<bool> = prices::with_exits(&fills).into_iter().map(|(_, exit)| exit).collect();
    // The last buy but one turns a short position round: it counts as an entry.
    assert_eq!(exits, [false, false, true, true, false, true, false, true]);
}

#[test]
fn how_much_depends_on_assumptions() {
    let say = |is: &[(i64, i64, i64)], worse: &[(i64, i64, i64)]| {
        let (is, worse) = (log(is), log(worse));
        let page = run_page(
            &ReportInput {
                run: Run { log: &is, metrics: None },
                pessimistic: Some(Run { log: &worse, metrics: None }),
                label: None,
            },
            POINTS,
        );
        page.pessimistic.map(|w| (w.verdict, w.bad)).unwrap()
    };
    let (up, half, down) =
        ([(1_000, 0, 0), (1_100, 0, 0)], [(1_000, 0, 0), (1_040, 0, 0)], [(1_000, 0, 0), (950, 0, 0)]);
    let cases = [
        (say(&up, &half), "60 % of the profit depends on the assumptions: 100.00 USDT as run, 40.00 USDT under", true),
        (say(&up, &up), "No part of the profit depends on the assumptions", false),
        (say(&up, &down), "All of the profit depends on the assumptions", true),
        (say(&down, &down), "The run made no profit", true),
        (say(&up, &[]), "One of the two runs was never valued", true),
    ];
    for ((sentence, bad), start, warns) in cases {
        assert!(sentence.starts_with(start) && bad == warns, "{sentence}");
    }
}

#[test]
fn runs_on_the_same_market_are_named_by_what_differs() {
    let (mut a, mut b) = (log(&[(1_000, 0, 0)]), log(&[(1_000, 0, 0)]));
    let strategy = |id: &str| crate::log::StrategyFacts {
        id: id.into(),
        name: "grid".into(),
        params: vec![],
        account: AccountId(0),
    };
    a.facts.strategies = vec![strategy("one")];
    b.facts.strategies = vec![strategy("one")];
    b.facts.run_id = "r2".into();
    let input = |log| ReportInput { run: Run { log, metrics: None }, pessimistic: None, label: None };
    let html = compare(&[input(&a), input(&b)]);
    assert!(html.contains("<h1>2 runs compared on BTC-USDT-PERP</h1>"));
    assert!(html.contains("<span>one (r)</span><span>one (r2)</span>"));
    assert!(super::html(&input(&a)).contains("<h1>one on BTC-USDT-PERP</h1>"));
}

#[test]
fn what_the_log_left_out_is_said() {
    let mut log = log(&[(1_000, 0, 0)]);
    log.left_out = LeftOut { fills: 12_345, trades: 6_000, ..LeftOut::default() };
    let page = run_page(&ReportInput { run: Run { log: &log, metrics: None }, pessimistic: None, label: None }, POINTS);
    assert_eq!(page.notes.len(), 1);
    assert!(page.notes[0].contains("12,345 fills and 6,000 trades"), "{}", page.notes[0]);
    assert_eq!(page.trades.note, "the first 0 of 6,000; the result files hold 0");
}

#[test]
fn costs_lead_from_the_mid_price_to_the_change_of_equity() {
    let mut log = log(&[(1_000, 0, 0), (1_000, 0, 0), (1_009, 0, 0)]);
    let mut fills = [fill(10, Side::Buy, 1_000, 10_010), fill(20, Side::Sell, 1_000, 10_990)];
    for (fill, mid) in fills.iter_mut().zip([10_000, 11_000]) {
        fill.mid_at_send = Some(Decimal::new(mid, 2));
    }
    log.fills = fills.to_vec();
    log.count();
    let metrics = metrics::of(&log, Trials::default()).unwrap();
    let rows: Vec<(&str, f64)> =
        shares::costs(&metrics).rows.iter().map(|r| (r.label, (r.amount * 1e6).round() / 1e6)).collect();
    // Bought at 100.10 with a mid of 100, sold at 109.90 with a mid of 110, one cent a fill; the rest is unexplained.
    let want = [
        ("At the mid price", 10.0),
        ("Slippage", -0.2),
        ("Fees", -0.02),
        ("Profit", 9.78),
        ("Other", -0.78),
        ("Change of equity", 9.0),
    ];
    assert_eq!(rows, want);
}
