//! What every event and every book must hold.

use super::super::path::MAX_LOG_MOVE;
use super::super::{SyntheticConfig, SyntheticError, SyntheticMarket, default_coins};
use super::{hex, market, watch};
use crate::source::MarketSource;
use ctos_types::event::EventKind;
use ctos_types::{Decimal, EventBuf, Instrument, L2Book, Level, Nanos, Side, UnixNanos};
use std::collections::BTreeMap;

fn digest_after(seed: u64, events: usize) -> String {
    let mut m = market(seed, &[]);
    let mut event = EventBuf::default();
    (0..events).for_each(|_| assert!(m.next(&mut event).is_some()));
    hex(m.digest())
}

#[test]
fn same_seed_same_bytes_on_every_machine() {
    const GOLDEN: &str = "e0a28965eb87ffb79e4e77ac06473f9d37423a500ead82cfa74b0f03f07ab0ff";
    assert_eq!(digest_after(1, 50_000), GOLDEN);
    assert_eq!(digest_after(1, 50_000), GOLDEN);
    assert_ne!(digest_after(2, 50_000), GOLDEN);
    assert_ne!(digest_after(1, 50_001), GOLDEN);
}

/// Per instrument symbol, the events without their instrument id.
fn by_symbol(m: &mut SyntheticMarket, secs: i64) -> BTreeMap<String, Vec<String>> {
    let instruments = m.instruments().clone();
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    watch(m, secs, |event, at| {
        let (id, text) = match &event.kind {
            EventKind::Depth { instrument, bids, snapshot, update_id, .. } => {
                (*instrument, format!("{at} {bids} {snapshot} {update_id} {:?}", event.levels))
            }
            EventKind::Trade { instrument, trade, .. } => (*instrument, format!("{at} {trade:?}")),
            EventKind::Mark { instrument, mark, .. } => (*instrument, format!("{at} {mark:?}")),
            EventKind::Funding { instrument, funding, .. } => (*instrument, format!("{at} {funding:?}")),
            other => panic!("unexpected {other:?}"),
        };
        out.entry(instruments.get(id).symbol.to_string()).or_default().push(text);
    });
    out
}

#[test]
fn a_selection_changes_nothing_for_what_is_selected() {
    let all = by_symbol(&mut market(7, &[]), 120);
    assert_eq!(all.len(), 20);
    for select in [&["BTC-USDT"][..], &["sim:ETH-USDT-PERP"], &["LTC-USDT", "BTC-USDT-PERP", "DOGE-USDT"]] {
        let some = by_symbol(&mut market(7, select), 120);
        assert_eq!(some.len(), select.len());
        for (symbol, events) in some {
            assert_eq!(events, all[&symbol], "{symbol}");
        }
    }
}

/// Follows one instrument's stream and checks everything that must hold at each event.
struct Follower {
    instrument: Instrument,
    book: L2Book,
    update_id: u64,
    trade_id: u64,
    /// What trades since the last depth left of the levels they hit.
    left: BTreeMap<(bool, i64), i64>,
}

impl Follower {
    fn trade(&mut self, t: &ctos_types::Trade) {
        self.trade_id += 1;
        assert_eq!(t.id, self.trade_id);
        let side = t.aggressor.opposite();
        let left = &self.left;
        let best = self
            .book
            .levels(side)
            .map(|l| (l.price, *left.get(&(side == Side::Buy, l.price.0)).unwrap_or(&l.qty.0)))
            .find(|(_, qty)| *qty > 0)
            .expect("a side is never eaten up");
        assert_eq!(t.price, best.0, "a trade is at the best price that is left");
        assert!(0 < t.qty.0 && t.qty.0 <= best.1, "{} of {}", t.qty.0, best.1);
        self.left.insert((side == Side::Buy, t.price.0), best.1 - t.qty.0);
    }

    fn depth(&mut self, snapshot: bool, update_id: u64, bids: &[Level], asks: &[Level]) {
        self.update_id += 1;
        assert_eq!((update_id, snapshot), (self.update_id, update_id == 1));
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            for l in levels {
                let i = &self.instrument;
                assert!(l.price.0 > 0 && l.price.0 % i.tick.0 == 0 && l.qty.0 >= 0 && l.qty.0 % i.lot.0 == 0);
                assert_ne!(self.book.qty_at(side, l.price), l.qty, "only what changed is published");
                self.book.set(side, l.price, l.qty);
            }
            assert!(levels.windows(2).all(|w| (w[1].price.0 - w[0].price.0) * -side.sign() > 0), "best first");
            assert_eq!(self.book.depth(side), 20);
        }
        assert!(!self.book.is_crossed());
        for ((buy, px), left) in std::mem::take(&mut self.left) {
            let now = self.book.qty_at(if buy { Side::Buy } else { Side::Sell }, ctos_types::Price(px)).0;
            assert!(now == left || now == 0, "traded down to {left}, published {now}");
        }
    }
}

/// Follows every instrument of a market that has not begun.
fn follow(m: &mut SyntheticMarket, secs: i64) -> Vec<Follower> {
    let follower = |i: &Instrument| Follower {
        instrument: i.clone(),
        book: L2Book::default(),
        update_id: 0,
        trade_id: 0,
        left: BTreeMap::new(),
    };
    let mut followers: Vec<_> = m.instruments().iter().map(follower).collect();
    watch(m, secs, |event, _| match &event.kind {
        EventKind::Depth { instrument, bids, snapshot, update_id, .. } => {
            let (bids, asks) = event.levels.split_at(*bids);
            followers[instrument.index()].depth(*snapshot, *update_id, bids, asks);
        }
        EventKind::Trade { instrument, trade, .. } => followers[instrument.index()].trade(trade),
        _ => {}
    });
    followers
}

#[test]
fn books_and_trades_agree() {
    for f in follow(&mut market(3, &[]), 900) {
        assert!(f.trade_id > 200 && f.update_id > 3_000, "{}: {} trades", f.instrument.symbol, f.trade_id);
        let typical = f.book.best(Side::Buy).unwrap();
        assert_eq!(f.instrument.check(Some(typical.price), typical.qty), Ok(()), "{}", f.instrument.symbol);
    }
}

#[test]
fn books_are_whole_at_both_ends_of_the_price_range() {
    for (edge, times) in [(-MAX_LOG_MOVE, 0.105), (MAX_LOG_MOVE, 9.48)] {
        let mut m = market(3, &[]);
        let mut state = m.save();
        for coin in state.pointer_mut("/paths/coins").unwrap().as_array_mut().unwrap() {
            coin["log_move"] = edge.to_bits().into();
        }
        m.restore(&state).unwrap();
        for (f, coin) in follow(&mut m, 60).iter().zip(default_coins().iter().flat_map(|c| [c, c])) {
            let mid = f.instrument.price_decimal(f.book.best(Side::Buy).unwrap().price).to_f64();
            let moved = mid / coin.start_price.to_f64();
            assert!((moved / times - 1.0).abs() < 0.05, "{}: {moved}", f.instrument.symbol);
        }
    }
}

#[test]
fn time_never_goes_back_and_peek_tells_the_truth() {
    let mut m = market(4, &["BTC-USDT", "BTC-USDT-PERP", "XRP-USDT"]);
    let mut event = EventBuf::default();
    let mut last = SyntheticConfig::default().start;
    assert_eq!(m.peek(), Some(last));
    for _ in 0..20_000 {
        let peeked = m.peek();
        let times = m.next(&mut event).unwrap();
        assert_eq!((Some(times.venue), times.venue), (peeked, times.recv));
        let ctos_types::Event::Market(market) = event.as_event() else { panic!("{event:?}") };
        assert_eq!(market.ts_event, times.venue);
        assert!(times.venue >= last);
        last = times.venue;
    }
}

/// (time, rate) of fundings.
type Fundings = Vec<(UnixNanos, Decimal)>;
/// (time, next funding) of marks.
type Marks = Vec<(UnixNanos, UnixNanos)>;

fn funding(start: UnixNanos, secs: i64) -> (Fundings, Marks) {
    let config = SyntheticConfig { start, select: vec!["ETH-USDT-PERP".into()], ..SyntheticConfig::default() };
    let (mut fundings, mut marks) = (Vec::new(), Vec::new());
    watch(&mut SyntheticMarket::new(config).unwrap(), secs, |event, at| match &event.kind {
        EventKind::Funding { funding, .. } => fundings.push((at, funding.rate)),
        EventKind::Mark { mark, .. } => {
            let premium = (mark.mark - mark.index).to_f64() / mark.index.to_f64();
            assert!(premium.abs() < 0.003, "{premium}");
            marks.push((at, mark.next_funding));
        }
        _ => {}
    });
    (fundings, marks)
}

#[test]
fn funding_is_settled_on_the_hour() {
    let eight = UnixNanos::from_civil(2026, 1, 1, 8, 0, 0, 0).unwrap();
    let sixteen = eight + Nanos::from_secs(8 * 3_600);
    // Steps that hit the boundary, straddle it, and end just short of it.
    for start in [eight - Nanos::from_secs(10), eight - Nanos(10_123_456_789), eight - Nanos(250_000_001)] {
        let (fundings, marks) = funding(start, 30);
        assert_eq!(fundings.len(), 1, "{start}");
        assert_eq!(fundings[0].0, eight);
        assert!(fundings[0].1.abs() < Decimal::new(75, 4) && !fundings[0].1.is_zero());
        assert!(marks.len() >= 29 && marks.iter().all(|(at, next)| *next == if *at < eight { eight } else { sixteen }));
    }
    assert_eq!(funding(eight, 30).0, vec![], "a market that opens on the hour has no period behind it");
}

#[test]
fn a_steady_stream_reuses_its_storage() {
    let mut m = market(9, &[]);
    // The queue's storage grows to the busiest step so far: long runs settle, and no step grows without bound.
    watch(&mut m, 600, |_, _| {});
    let storage = m.changing.queue.levels.capacity();
    watch(&mut m, 600, |_, _| {});
    assert_eq!(m.changing.queue.levels.capacity(), storage);
}

#[test]
fn the_stream_ends_with_time_itself() {
    let start = UnixNanos(i64::MAX - 86_400 * 1_000_000_000 - 2_000_000_000);
    let late = SyntheticConfig { start, ..SyntheticConfig::default() };
    assert!(matches!(SyntheticMarket::new(late), Err(SyntheticError::BadSetting { field: "start", .. })));
    let mut m = market(1, &["BTC-USDT"]);
    m.start = start;
    let mut event = EventBuf::default();
    while m.next(&mut event).is_some() {}
    assert_eq!(m.peek(), None);
}

#[test]
fn errors_name_what_is_wrong() {
    let fails = |config: SyntheticConfig| SyntheticMarket::new(config).unwrap_err().to_string();
    let unknown = SyntheticConfig::for_symbols(1, &["BTC-USDT", "BTC-USD"]).unwrap_err().to_string();
    assert!(unknown.starts_with("the synthetic market has no BTC-USD; it has sim:BTC-USDT, sim:BTC-USDT-PERP, "));
    let with = |change: fn(&mut SyntheticConfig)| {
        let mut config = SyntheticConfig::default();
        change(&mut config);
        fails(config)
    };
    assert!(with(|c| c.coins.clear()).contains("no coins"));
    assert!(with(|c| c.coins[1].coin = c.coins[0].coin).contains("BTC: listed twice"));
    assert!(with(|c| c.coins[0].daily_vol = f64::NAN).contains("daily_vol"));
    assert!(with(|c| c.coins[0].tick = Decimal::ZERO).contains("positive"));
    assert!(with(|c| c.coins[0].tick = Decimal::new(15, 2)).contains("decimal places"));
    assert!(with(|c| c.coins[0].spacing_ticks = 9_000).contains("too few"));
    assert!(with(|c| c.coins[0].lot = Decimal::from_int(1_000)).contains("one lot"));
    assert!(with(|c| c.coins[0].max_qty = Decimal::ZERO).contains("size limits"));
    assert!(with(|c| (c.coins[0].spot, c.coins[0].perp) = (false, false)).contains("neither"));
    assert!(with(|c| c.maintenance_margin = Decimal::ONE).contains("initial_margin"));
    assert!(with(|c| c.spot_fees.taker = Decimal::ONE).contains("fee rates"));
    let json = r#"{"sed": 1}"#;
    assert!(serde_json::from_str::<SyntheticConfig>(json).unwrap_err().to_string().contains("unknown field `sed`"));
}

#[test]
fn the_default_market_is_ten_coins_twice() {
    let config = SyntheticConfig::default();
    assert_eq!((default_coins().len(), config.symbols().len()), (10, 20));
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<SyntheticConfig>(&text).unwrap(), config);
    let m = SyntheticMarket::new(config).unwrap();
    assert_eq!(m.instruments().find("BTC-USDT").unwrap().symbol.as_str(), "sim:BTC-USDT");
    assert!(m.instruments().find("BTC-USDT").unwrap().initial_margin.is_zero());
    assert_eq!(m.instruments().find("sim:LTC-USDT-PERP").unwrap().id.index(), 19);
}
