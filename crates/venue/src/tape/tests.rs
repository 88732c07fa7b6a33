use super::*;
use ctos_types::{
    Bar, Decimal, EventKind, FundingRate, InstrumentId, Level, MarkPrice, Price, Qty, Quote, Side, Trade,
};
use proptest::prelude::*;

fn trade(ts_event: i64, id: u64) -> Market<'static> {
    let trade = Trade { price: Price(1), qty: Qty(1), aggressor: Side::Buy, id };
    Market { instrument: InstrumentId(0), ts_event: UnixNanos(ts_event), data: MarketData::Trade(trade) }
}

fn drain(tape: &mut Tape) -> Vec<(u64, i64, i64)> {
    let mut out = EventBuf::default();
    let mut seen = Vec::new();
    while let Some(peeked) = tape.peek() {
        let times = tape.next(&mut out).unwrap();
        assert_eq!(times.venue, peeked);
        assert!(times.recv >= times.venue);
        let EventKind::Trade { trade, .. } = &out.kind else { panic!("{out:?}") };
        seen.push((trade.id, times.venue.0, times.recv.0));
    }
    seen
}

#[test]
fn the_venues_order_of_time_on_our_clock() {
    let mut b = TapeBuilder::new(Instruments::default());
    // The venue's clock runs 1000 ahead; the delays are 5, 50 and 7, so the second event happened first.
    b.push(UnixNanos(105), &trade(1100, 1));
    b.push(UnixNanos(120), &trade(1070, 2));
    b.push(UnixNanos(130), &trade(i64::MIN, 3));
    b.push(UnixNanos(140), &trade(1133, 4));
    let mut tape = b.finish([7; 32]);
    assert_eq!(tape.clock_offset(), -995);
    assert_eq!(drain(&mut tape), [(2, 75, 120), (3, 75, 130), (1, 105, 105), (4, 138, 140)]);
}

#[test]
fn restore_goes_on_with_the_next() {
    let build = |digest| {
        let mut b = TapeBuilder::new(Instruments::default());
        (0..5).for_each(|i| b.push(UnixNanos(i), &trade(i, i as u64)));
        b.finish(digest)
    };
    let mut tape = build([1; 32]);
    let mut out = EventBuf::default();
    tape.next(&mut out);
    tape.next(&mut out);
    let saved = tape.save();
    let mut other = build([1; 32]);
    other.restore(&saved).unwrap();
    assert_eq!(drain(&mut other), drain(&mut tape));
    assert!(build([2; 32]).restore(&saved).is_err());
}

#[test]
fn bars_keep_every_field() {
    let bar = Bar {
        interval: Interval::H1,
        open_time: UnixNanos::from_secs(3600),
        open: Price(2),
        high: Price(5),
        low: Price(1),
        close: Price(3),
        volume: Qty(9),
    };
    let mut b = TapeBuilder::new(Instruments::default());
    let data = MarketData::Bar(bar);
    b.push(bar.close_time(), &Market { instrument: InstrumentId(0), ts_event: bar.close_time(), data });
    let mut out = EventBuf::default();
    b.finish([0; 32]).next(&mut out);
    assert_eq!(out.kind, EventKind::Bar { instrument: InstrumentId(0), ts_event: bar.close_time(), bar });
}

fn numbers() -> impl Strategy<Value = i64> {
    let edges = [0, 1, -1, i64::from(u32::MAX), i64::from(u32::MAX) + 1, i64::MAX, i64::MIN];
    prop_oneof![4 => 0..5_000i64, 2 => 0..i64::from(u32::MAX), 1 => any::<i64>(), 2 => prop::sample::select(edges.to_vec())]
}

fn decimals() -> impl Strategy<Value = Decimal> {
    let atoms = any::<i128>().prop_map(Decimal::from_atoms);
    prop_oneof![3 => numbers().prop_map(|n| Decimal::new(n, 8)), 1 => numbers().prop_map(|n| Decimal::new(n, 9)), 1 => atoms]
}

fn levels() -> impl Strategy<Value = Vec<Level>> {
    let level = || (numbers(), numbers()).prop_map(|(price, qty)| Level { price: Price(price), qty: Qty(qty) });
    prop_oneof![8 => prop::collection::vec(level(), 0..4), 1 => prop::collection::vec(level(), 0..90)]
}

/// An event that owns its parts; the time is put in later.
fn kinds() -> impl Strategy<Value = EventBuf> {
    let plain = |kind| EventBuf { kind, levels: Vec::new() };
    let (at, ids) = (UnixNanos(0), || (0..3u32).prop_map(InstrumentId));
    let four = || (numbers(), numbers(), numbers(), numbers());
    let quote = (ids(), four(), any::<u64>()).prop_map(move |(instrument, (a, b, c, d), update_id)| {
        let quote = Quote { bid_px: Price(a), bid_qty: Qty(b), ask_px: Price(c), ask_qty: Qty(d) };
        plain(EventKind::Quote { instrument, ts_event: at, quote, update_id })
    });
    let trade =
        (ids(), numbers(), numbers(), any::<bool>(), any::<u64>()).prop_map(move |(instrument, px, qty, buy, id)| {
            let aggressor = if buy { Side::Buy } else { Side::Sell };
            let trade = Trade { price: Price(px), qty: Qty(qty), aggressor, id };
            plain(EventKind::Trade { instrument, ts_event: at, trade })
        });
    let depth = (ids(), levels(), levels(), any::<bool>(), any::<u64>()).prop_map(
        move |(instrument, bids, asks, snapshot, update_id)| EventBuf {
            kind: EventKind::Depth { instrument, ts_event: at, bids: bids.len(), snapshot, update_id },
            levels: [bids, asks].concat(),
        },
    );
    let bar = (ids(), four(), numbers(), 1..12u32, any::<bool>()).prop_map(
        move |(instrument, (o, a, b, c), v, secs, sane)| {
            // Most bars are what they should be; what a file makes of them otherwise must come back too.
            let wide = |n: i64| o.saturating_add(n.rem_euclid(1 << 20));
            let [open, high, low, close] = if sane {
                [o, wide(a), o.saturating_sub(b.rem_euclid(1 << 20)), wide(a).saturating_sub(1)]
            } else {
                [o, a, b, c]
            };
            let [open, high, low, close] = [open, high, low, close].map(Price);
            let interval = Interval::from_secs(secs).expect("not zero");
            let bar = Bar { interval, open_time: at, open, high, low, close, volume: Qty(v) };
            plain(EventKind::Bar { instrument, ts_event: at, bar })
        },
    );
    let mark = (ids(), decimals(), decimals(), decimals(), numbers()).prop_map(
        move |(instrument, mark, index, rate, next)| {
            let mark = MarkPrice { mark, index, funding_rate: rate, next_funding: UnixNanos(next) };
            plain(EventKind::Mark { instrument, ts_event: at, mark })
        },
    );
    let funding = (ids(), decimals(), decimals()).prop_map(move |(instrument, rate, mark)| {
        plain(EventKind::Funding { instrument, ts_event: at, funding: FundingRate { rate, mark } })
    });
    let gap = ids().prop_map(move |instrument| plain(EventKind::Gap { instrument, ts_event: at }));
    prop_oneof![quote, trade, depth, bar, mark, funding, gap]
}

/// Gives an event its venue time; a bar opens so that it closes then.
fn put_time(event: &mut EventBuf, time: UnixNanos) {
    match &mut event.kind {
        EventKind::Bar { bar, .. } if time == UnixNanos::MAX => bar.open_time = UnixNanos(time.0 - 1),
        EventKind::Bar { bar, .. } => bar.open_time = UnixNanos(time.0.saturating_sub(bar.interval.as_nanos().0)),
        EventKind::Quote { ts_event, .. }
        | EventKind::Trade { ts_event, .. }
        | EventKind::Depth { ts_event, .. }
        | EventKind::Mark { ts_event, .. }
        | EventKind::Funding { ts_event, .. }
        | EventKind::Gap { ts_event, .. } => *ts_event = time,
        _ => unreachable!("a market event"),
    }
    if let EventKind::Bar { ts_event, bar, .. } = &mut event.kind {
        *ts_event = bar.close_time();
    }
}

fn market(event: &EventBuf) -> Market<'_> {
    let ctos_types::Event::Market(market) = event.as_event() else { unreachable!("a market event") };
    market
}

/// A recording as anybody would write it down: whole events, one stable sort.
fn twin(events: &[(i64, EventBuf)]) -> Vec<(i64, i64, EventBuf)> {
    let (mut last, mut stated) = (UnixNanos::MIN, Vec::new());
    for (recv, event) in events {
        let mut event = event.clone();
        if market(&event).ts_event == UnixNanos::MIN {
            put_time(&mut event, last);
        }
        last = market(&event).ts_event;
        stated.push((*recv, last, event));
    }
    let known = || stated.iter().filter(|(_, at, _)| *at != UnixNanos::MIN);
    let offset = known().map(|(recv, at, _)| recv.saturating_sub(at.0)).min().unwrap_or(0);
    let venue = |recv: i64, at: UnixNanos| if at == UnixNanos::MIN { recv } else { at.0.saturating_add(offset) };
    let mut all: Vec<_> = stated.iter().map(|(recv, at, event)| (venue(*recv, *at), *recv, event.clone())).collect();
    all.sort_by_key(|(venue, ..)| *venue);
    all
}

fn recordings() -> impl Strategy<Value = Vec<(i64, EventBuf)>> {
    // Receive times grow; the venue's are near them, far from them, or missing.
    let delay = prop_oneof![6 => 0..20i64, 1 => 0..5_000i64, 1 => Just(i64::MAX)];
    prop::collection::vec((0..10i64, delay, kinds()), 0..120).prop_map(|rows| {
        let mut recv = 1_000_000;
        let row = |(step, delay, mut event): (i64, i64, EventBuf)| {
            recv += step;
            let bar = matches!(event.kind, EventKind::Bar { .. });
            let time = if delay == i64::MAX && !bar { UnixNanos::MIN } else { UnixNanos(recv - delay.min(6_000)) };
            put_time(&mut event, time);
            (recv, event)
        };
        rows.into_iter().map(row).collect()
    })
}

proptest! {
    #[test]
    fn a_tape_is_its_events_sorted(events in recordings(), stop in 0..200usize) {
        let mut builder = TapeBuilder::new(Instruments::default());
        events.iter().for_each(|(recv, event)| builder.push(UnixNanos(*recv), &market(event)));
        let mut tape = builder.finish([3; 32]);
        let want = twin(&events);
        prop_assert_eq!(tape.len(), want.len());
        let mut from = None;
        let mut out = EventBuf::default();
        for (n, (venue, recv, event)) in want.iter().enumerate() {
            if n == stop {
                from = Some(tape.save());
            }
            prop_assert_eq!(tape.peek(), Some(UnixNanos(*venue)));
            let times = tape.next(&mut out);
            prop_assert_eq!(times, Some(SourceTimes { venue: UnixNanos(*venue), recv: UnixNanos(*recv) }));
            prop_assert_eq!(&out, event);
        }
        prop_assert_eq!((tape.peek(), tape.next(&mut out)), (None, None));
        // From wherever it was saved it goes on with the very next event.
        if let Some(state) = from {
            let mut again = tape.clone();
            again.restore(&state).unwrap();
            for (venue, _, event) in &want[stop..] {
                prop_assert_eq!(again.next(&mut out).map(|t| t.venue.0), Some(*venue));
                prop_assert_eq!(&out, event);
            }
            prop_assert_eq!(again.next(&mut out), None);
        }
    }

    /// Numbers at the ends of their ranges, and a bar whose close is held at the end of time.
    #[test]
    fn every_event_comes_back_as_it_was(mut event in kinds(), time in prop_oneof![any::<i64>(), Just(i64::MAX)]) {
        prop_assume!(time > i64::MIN / 2);
        put_time(&mut event, UnixNanos(time));
        let mut builder = TapeBuilder::new(Instruments::default());
        builder.push(UnixNanos(time), &market(&event));
        let mut out = EventBuf::default();
        let mut tape = builder.finish([0; 32]);
        prop_assert_eq!(tape.next(&mut out), Some(SourceTimes { venue: UnixNanos(time), recv: UnixNanos(time) }));
        prop_assert_eq!(&out, &event);
    }
}

/// One event of a market is at most 64 bytes, whatever its numbers; those of real markets are less.
#[test]
fn what_an_event_takes() {
    let bytes = |data: MarketData<'_>| {
        let mut builder = TapeBuilder::new(Instruments::default());
        builder.push(UnixNanos(7), &Market { instrument: InstrumentId(0), ts_event: UnixNanos(7), data });
        builder.finish([0; 32]).bytes()
    };
    let far = 1 << 40;
    let trade = |qty| MarketData::Trade(Trade { price: Price(far), qty: Qty(qty), aggressor: Side::Buy, id: 1 });
    assert_eq!((bytes(trade(5)), bytes(trade(far))), (40, 48));
    let quote = |qty| MarketData::Quote {
        quote: Quote { bid_px: Price(far), bid_qty: Qty(qty), ask_px: Price(far + 1), ask_qty: Qty(1) },
        update_id: 1,
    };
    assert_eq!((bytes(quote(5)), bytes(quote(far))), (48, 64));
    let bar = |high| Bar {
        interval: Interval::M1,
        open_time: UnixNanos(0),
        open: Price(far),
        high: Price(high),
        low: Price(far),
        close: Price(far),
        volume: Qty(far),
    };
    assert_eq!((bytes(MarketData::Bar(bar(far))), bytes(MarketData::Bar(bar(far * 2)))), (48, 64));
    let level = |price| [Level { price: Price(price), qty: Qty(9) }];
    let depth = |bids: &[Level]| bytes(MarketData::Depth { bids, asks: &[], snapshot: false, update_id: 1 });
    assert_eq!((depth(&level(600_000)), depth(&level(far))), (40, 56));
    let mark = MarkPrice {
        mark: Decimal::new(6_000_012_345_678, 8),
        index: Decimal::new(6_000_112_345_678, 8),
        funding_rate: Decimal::new(1, 4),
        next_funding: UnixNanos(far),
    };
    assert_eq!(bytes(MarketData::Mark(&mark)), 48);
    let funding = FundingRate { rate: Decimal::new(1, 4), mark: Decimal::ONE };
    assert_eq!((bytes(MarketData::Funding(&funding)), bytes(MarketData::Gap)), (56, 24));
}
