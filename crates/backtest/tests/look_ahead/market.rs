//! Markets to shuffle: random walks as bars, and as trades with quotes, on two instruments.
//! Never: an event whose moment depends on what is shuffled.

use ctos_types::{
    Bar, Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Instruments, Interval, Market, MarketData, Nanos,
    Price, Qty, Quote, Settlement, Side, Symbol, Trade, UnixNanos,
};
use ctos_venue::{Tape, TapeBuilder};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const START: UnixNanos = UnixNanos(1_700_000_040_000_000_000);
const MINUTE: Nanos = Nanos::from_secs(60);
const COINS: u32 = 2;
const MINUTES: i64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bars,
    TradesAndQuotes,
}

/// Something that happens at a moment that shuffling leaves alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub at: UnixNanos,
    pub instrument: InstrumentId,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// Open, high, low, close; volume.
    Bar([i64; 4], i64),
    Trade(i64, i64, Side),
    Quote(i64, i64),
}

impl What {
    /// Its last price, for a strategy that is told.
    pub fn price(&self) -> i64 {
        match self {
            What::Bar(ohlc, _) => ohlc[3],
            What::Trade(px, ..) => *px,
            What::Quote(bid, _) => *bid,
        }
    }

    fn is_like(&self, other: &What) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn instruments() -> Instruments {
    let one = |symbol: &str| Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::new(&symbol[4..7]).unwrap(),
        quote: Currency::new("USDT").unwrap(),
        price_decimals: 2,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: Decimal::from_int(5),
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: "0.05".parse().unwrap(),
        maintenance_margin: "0.025".parse().unwrap(),
        maker_fee: "0.0002".parse().unwrap(),
        taker_fee: "0.0005".parse().unwrap(),
    };
    Instruments::new(vec![one("sim:BTC-USDT-PERP"), one("sim:ETH-USDT-PERP")]).unwrap()
}

fn dice(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn below(dice: &mut Xoshiro256PlusPlus, n: u64) -> i64 {
    (dice.next_u64() % n) as i64
}

pub fn entries(kind: Kind, seed: u64) -> Vec<Entry> {
    let (mut dice, mut all) = (dice(seed), Vec::new());
    let mut px = [1_000_000, 500_000];
    for minute in 0..MINUTES {
        let open_time = START.after(Nanos(MINUTE.0 * minute));
        for id in 0..COINS {
            let instrument = InstrumentId(id);
            let px = &mut px[id as usize];
            if kind == Kind::Bars {
                let open = *px;
                let path: Vec<i64> = (0..8).map(|_| step(&mut dice, px)).collect();
                let high = path.iter().copied().max().unwrap().max(open);
                let low = path.iter().copied().min().unwrap().min(open);
                let volume = 1 + below(&mut dice, 100_000);
                let what = What::Bar([open, high, low, *px], volume);
                all.push(Entry { at: open_time.after(MINUTE), instrument, what });
                continue;
            }
            for n in 0..6 {
                let at = open_time.after(Nanos::from_millis(n * 10_000 + below(&mut dice, 9_000)));
                let spread = 1 + below(&mut dice, 5);
                let bid = step(&mut dice, px);
                all.push(Entry { at, instrument, what: What::Quote(bid, bid + spread) });
                let (side, px) = if below(&mut dice, 2) == 0 { (Side::Buy, bid + spread) } else { (Side::Sell, bid) };
                let what = What::Trade(px, 1 + below(&mut dice, 5_000), side);
                all.push(Entry { at: at.after(Nanos(500)), instrument, what });
            }
        }
    }
    all.sort_by_key(|e| e.at);
    all
}

/// Up to 0.1 % either way.
fn step(dice: &mut Xoshiro256PlusPlus, px: &mut i64) -> i64 {
    *px += below(dice, 2 * (*px as u64 / 1000) + 1) - *px / 1000;
    *px
}

/// The same moments; what happens at those after `t` is dealt out anew among them, kind by kind.
pub fn shuffled_after(entries: &[Entry], t: UnixNanos, seed: u64) -> Vec<Entry> {
    let (mut dice, mut all) = (dice(seed ^ 0xface), entries.to_vec());
    let first = all.partition_point(|e| e.at <= t);
    for at in (first + 1..all.len()).rev() {
        let with = first + below(&mut dice, (at - first + 1) as u64) as usize;
        if all[at].instrument == all[with].instrument && all[at].what.is_like(&all[with].what) {
            let what = all[at].what;
            all[at].what = std::mem::replace(&mut all[with].what, what);
        }
    }
    all
}

pub fn tape(entries: &[Entry]) -> Tape {
    let mut tape = TapeBuilder::new(instruments());
    for (n, e) in entries.iter().enumerate() {
        let id = n as u64 + 1;
        let data = match e.what {
            What::Bar([open, high, low, close], volume) => MarketData::Bar(Bar {
                interval: Interval::M1,
                open_time: UnixNanos(e.at.0 - MINUTE.0),
                open: Price(open),
                high: Price(high),
                low: Price(low),
                close: Price(close),
                volume: Qty(volume),
            }),
            What::Trade(px, qty, aggressor) => {
                MarketData::Trade(Trade { price: Price(px), qty: Qty(qty), aggressor, id })
            }
            What::Quote(bid, ask) => {
                let (bid_px, ask_px, bid_qty, ask_qty) = (Price(bid), Price(ask), Qty(5_000), Qty(5_000));
                MarketData::Quote { quote: Quote { bid_px, bid_qty, ask_px, ask_qty }, update_id: id }
            }
        };
        tape.push(e.at, &Market { instrument: e.instrument, ts_event: e.at, data });
    }
    tape.finish([0; 32])
}

// ---- bars that tell themselves by their prices

const STAIRS: i64 = 1_000_000;
const STAIR: i64 = 100;

/// Each bar trades within 10 ticks above a stair of its own. The stairs go up and down, so that averages cross.
pub fn staircase(bars: i64) -> Vec<Entry> {
    let bar = |n: i64| {
        let base = STAIRS + STAIR * stair(n, bars);
        let what = What::Bar([base + 2, base + 10, base, base + 5], 1_000_000);
        Entry { at: START.after(Nanos(MINUTE.0 * (n + 1))), instrument: InstrumentId(0), what }
    };
    (0..bars).map(bar).collect()
}

/// 37 has no divisor in common with the numbers of bars used here: no two bars share a stair.
fn stair(n: i64, bars: i64) -> i64 {
    n * 37 % bars
}

/// Which bar of a staircase a price is of, slippage included.
pub fn bar_of(price: Price, bars: i64) -> i64 {
    let on = (price.0 - STAIRS + STAIR / 2).div_euclid(STAIR);
    (0..bars).find(|n| stair(*n, bars) == on).expect("a price of the staircase")
}

/// Bars that have closed at `at`.
pub fn closed_bars(entries: &[Entry], at: UnixNanos) -> i64 {
    entries.iter().filter(|e| e.at <= at).count() as i64
}
