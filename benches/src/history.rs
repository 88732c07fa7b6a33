//! Seeded history for the backtest measurements: bars, trades and depth updates of one perpetual.
//!
//! `ctos bench --write-history DIR` writes the same events as CSV, so that another engine can run on the same data.
//! Times are nanoseconds since 1970, prices and sizes decimals in the units of [`crate::fixture::instruments`]:
//! `bars.csv` (open_time,open,high,low,close,volume; one minute each), `trades.csv` (event_time,receive_time,price,size,
//! aggressor), `depth.csv` (event_time,receive_time,side,price,size; size 0 removes the level; the first 400 lines, of
//! one time, are the opening snapshot).

use crate::fixture::{self, BTC};
use ctos_types::{Bar, Interval, Level, Market, MarketData, Nanos, Price, Qty, Side, Trade, UnixNanos};
use ctos_venue::{Tape, TapeBuilder};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// 2024-01-01.
const START: UnixNanos = UnixNanos(1_704_067_200_000_000_000);
const CENTRE: i64 = 600_000;
/// Levels on each side of the opening snapshot.
const LEVELS: i64 = 200;
/// The middle stays this many ticks around where it began, so that every level it can meet is in the snapshot.
const REACH: i64 = 100;

/// SplitMix64: short, seeded, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `n` - 1.
    fn below(&mut self, n: u64) -> i64 {
        (self.next() % n) as i64
    }
}

/// One-minute bars of a random walk of 20 steps a minute, each up to 50 ticks.
pub fn bars(n: usize) -> impl Iterator<Item = Bar> {
    let mut random = Random(1);
    let mut price = CENTRE;
    let bar = move |i: usize| {
        let open = price;
        let (mut high, mut low) = (open, open);
        for _ in 0..20 {
            price = (price + random.below(101) - 50).clamp(CENTRE / 4, CENTRE * 4);
            (high, low) = (high.max(price), low.min(price));
        }
        Bar {
            interval: Interval::M1,
            open_time: START.after(Nanos(Interval::M1.as_nanos().0 * i as i64)),
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(price),
            volume: Qty(1_000 + random.below(100_000)),
        }
    };
    (0..n).map(bar)
}

/// Trades 1 to 20 ms apart, each at the last price or a tick beside it, received 1 to 3 ms later.
pub fn trades(n: usize) -> impl Iterator<Item = (UnixNanos, UnixNanos, Trade)> {
    let mut random = Random(2);
    let (mut price, mut at) = (CENTRE, START);
    let mut clock = Clock::default();
    let trade = move |i: usize| {
        at = at.after(Nanos(1_000_000 + random.below(19_000_000)));
        price = (price + random.below(3) - 1).clamp(CENTRE / 4, CENTRE * 4);
        let aggressor = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
        let trade = Trade { price: Price(price), qty: Qty(1 + random.below(500)), aggressor, id: i as u64 + 1 };
        (at, clock.received(at, &mut random), trade)
    };
    (0..n).map(trade)
}

/// Receive times: a delay that varies, and never backwards.
#[derive(Default)]
struct Clock(i64);

impl Clock {
    fn received(&mut self, at: UnixNanos, random: &mut Random) -> UnixNanos {
        self.0 = self.0.max(at.0 + 1_000_000 + random.below(2_000_000));
        UnixNanos(self.0)
    }
}

/// One change of one level.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub at: UnixNanos,
    pub recv: UnixNanos,
    pub side: Side,
    pub level: Level,
}

/// Book updates 0.1 to 2 ms apart: nine in ten set the size of one of the best ten levels of a side, the others move
/// the touch by a tick, in two updates. The first 400 are the opening snapshot.
pub fn depth(n: usize) -> impl Iterator<Item = Change> {
    let mut market =
        Depth { random: Random(3), bid: CENTRE, at: START, clock: Clock::default(), ready: VecDeque::new() };
    market.open();
    std::iter::from_fn(move || {
        if market.ready.is_empty() {
            market.go_on();
        }
        market.ready.pop_front()
    })
    .take(n)
}

/// A book that moves.
struct Depth {
    random: Random,
    bid: i64,
    at: UnixNanos,
    clock: Clock,
    /// Made and not yet taken.
    ready: VecDeque<Change>,
}

impl Depth {
    fn open(&mut self) {
        for d in 0..LEVELS {
            for (side, price) in [(Side::Buy, self.bid - d), (Side::Sell, self.bid + 1 + d)] {
                let level = Level { price: Price(price), qty: Qty(1 + self.random.below(5_000)) };
                let recv = self.at.after(Nanos(1_000_000));
                self.ready.push_back(Change { at: self.at, recv, side, level });
            }
        }
    }

    fn set(&mut self, side: Side, price: i64, qty: i64) {
        self.at = self.at.after(Nanos(100_000 + self.random.below(1_900_000)));
        let recv = self.clock.received(self.at, &mut self.random);
        self.ready.push_back(Change { at: self.at, recv, side, level: Level { price: Price(price), qty: Qty(qty) } });
    }

    fn go_on(&mut self) {
        let size = 1 + self.random.below(5_000);
        if self.random.below(10) > 0 {
            let d = self.random.below(10);
            let side = if self.random.below(2) == 0 { Side::Buy } else { Side::Sell };
            let price = if side == Side::Buy { self.bid - d } else { self.bid + 1 + d };
            self.set(side, price, size);
        } else if (self.random.below(2) == 0 && self.bid < CENTRE + REACH) || self.bid <= CENTRE - REACH {
            self.set(Side::Sell, self.bid + 1, 0);
            self.bid += 1;
            self.set(Side::Buy, self.bid, size);
        } else {
            self.set(Side::Buy, self.bid, 0);
            self.set(Side::Sell, self.bid, size);
            self.bid -= 1;
        }
    }
}

pub fn bar_tape(n: usize) -> Tape {
    let mut tape = TapeBuilder::new(fixture::instruments());
    for bar in bars(n) {
        tape.push(bar.close_time(), &market(bar.close_time(), MarketData::Bar(bar)));
    }
    tape.finish([1; 32])
}

pub fn trade_tape(n: usize) -> Tape {
    let mut tape = TapeBuilder::new(fixture::instruments());
    for (at, recv, trade) in trades(n) {
        tape.push(recv, &market(at, MarketData::Trade(trade)));
    }
    tape.finish([2; 32])
}

pub fn depth_tape(n: usize) -> Tape {
    let mut tape = TapeBuilder::new(fixture::instruments());
    let mut changes = depth(n);
    let opening: Vec<Change> = changes.by_ref().take(2 * LEVELS as usize).collect();
    let side = |side: Side| opening.iter().filter(move |c| c.side == side).map(|c| c.level).collect::<Vec<_>>();
    let (bids, asks) = (side(Side::Buy), side(Side::Sell));
    let first = MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: 1 };
    tape.push(opening[0].recv, &market(opening[0].at, first));
    for (i, change) in changes.enumerate() {
        let one = [change.level];
        let (bids, asks): (&[Level], &[Level]) = if change.side == Side::Buy { (&one, &[]) } else { (&[], &one) };
        let update = MarketData::Depth { bids, asks, snapshot: false, update_id: i as u64 + 2 };
        tape.push(change.recv, &market(change.at, update));
    }
    tape.finish([3; 32])
}

fn market(ts_event: UnixNanos, data: MarketData<'_>) -> Market<'_> {
    Market { instrument: BTC, ts_event, data }
}

/// Writes all three as CSV, in the sizes that are measured.
pub fn write(dir: &Path, sizes: [usize; 3]) -> io::Result<()> {
    let instruments = fixture::instruments();
    let i = instruments.get(BTC);
    let (px, qty) = (|p: Price| i.price_decimal(p), |q: Qty| i.qty_decimal(q));
    let create = |name: &str| File::create(dir.join(name)).map(|f| BufWriter::with_capacity(1 << 20, f));
    let mut out = create("bars.csv")?;
    writeln!(out, "open_time,open,high,low,close,volume")?;
    for b in bars(sizes[0]) {
        let (o, h, l, c) = (px(b.open), px(b.high), px(b.low), px(b.close));
        writeln!(out, "{},{o},{h},{l},{c},{}", b.open_time.0, qty(b.volume))?;
    }
    out.flush()?;
    let mut out = create("trades.csv")?;
    writeln!(out, "event_time,receive_time,price,size,aggressor")?;
    for (at, recv, t) in trades(sizes[1]) {
        let side = if t.aggressor == Side::Buy { "buy" } else { "sell" };
        writeln!(out, "{},{},{},{},{side}", at.0, recv.0, px(t.price), qty(t.qty))?;
    }
    out.flush()?;
    let mut out = create("depth.csv")?;
    writeln!(out, "event_time,receive_time,side,price,size")?;
    for c in depth(sizes[2]) {
        let side = if c.side == Side::Buy { "bid" } else { "ask" };
        writeln!(out, "{},{},{side},{},{}", c.at.0, c.recv.0, px(c.level.price), qty(c.level.qty))?;
    }
    out.flush()
}
