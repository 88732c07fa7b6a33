//! One synthetic order book: twenty levels a side around an efficient price, and the trades that eat into it.
//! Never: the price process (see `path`), times, grid mantissas.

use super::random::{Stream, Tables, bits};
use ctos_types::Side;
use serde::{Deserialize, Serialize};

/// Levels per side, always.
pub(super) const LEVELS: usize = 20;

/// Trades in one step at most, and how deep into the book they may go.
pub(super) const MAX_TRADES: usize = 8;
const MAX_DEPTH: usize = 10;

/// Trades excite more trades: each adds to the next steps' rate, fading by this factor per step. `BRANCHING` is the
/// mean number of trades one trade sets off.
const EXCITE_KEEP: f64 = 0.8;
const BRANCHING: f64 = 0.6;

/// How much of the typical level a small trade takes.
const TRADE_SHARE: f64 = 0.06;
/// How often a trade repeats the side of the one before.
const SIDE_REPEATS: f64 = 0.3;

/// One price level: ticks and lots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub px: i64,
    pub qty: i64,
}

/// What does not change about a book.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub spread_ticks: f64,
    pub spacing_ticks: i64,
    /// Lots of a typical level times the price in ticks.
    pub level_lots: f64,
    /// Lots of the smallest order times the price in ticks.
    pub min_lots: f64,
    /// Trades per step that are not answers to other trades, at mean volatility.
    pub trade_rate: f64,
}

impl Shape {
    /// Trades per step to the rate of those that start a cluster.
    pub fn base_rate(trades_per_step: f64) -> f64 {
        trades_per_step * (1.0 - BRANCHING)
    }
}

/// What the price process says of this step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pull {
    /// Efficient price in ticks, at the end of the step.
    pub price: f64,
    /// Volatility over its long-run mean.
    pub vol: f64,
    /// Standard deviation of a step's move, in ticks.
    pub step_sd: f64,
}

/// A trade in ticks and lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub aggressor: Side,
    pub row: Row,
}

/// Twenty rows, best first. `dir` is the way prices go when leaving the touch: -1 for bids, 1 for asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ladder(pub [Row; LEVELS]);

/// The changing part of a book.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Book {
    pub stream: Stream,
    pub bids: Ladder,
    pub asks: Ladder,
    #[serde(with = "bits")]
    excite: f64,
    last_side: Side,
}

impl Book {
    /// A fresh book around a price.
    pub fn new(stream: Stream, shape: &Shape, tables: &Tables, pull: Pull) -> Book {
        let empty = Ladder::default();
        let mut book = Book { stream, bids: empty, asks: empty, excite: 0.0, last_side: Side::Buy };
        let (bid, ask) = target(pull.price, book.spread(shape, pull.vol));
        let mut sizes = Sizes::new(shape, tables, pull.price);
        book.bids = empty.moved(-1, bid, shape.spacing_ticks, &mut sizes, &mut book.stream);
        book.asks = empty.moved(1, ask, shape.spacing_ticks, &mut sizes, &mut book.stream);
        book
    }

    /// Trades of this step, then the book they and the new price leave behind. Writes the trades to `hits` and returns
    /// how many there are. Each takes what is displayed and not yet taken, best level first. A level that was traded
    /// at is afterwards either as large as the trades left it, or gone.
    pub fn step(&mut self, shape: &Shape, tables: &Tables, pull: Pull, hits: &mut [Hit; MAX_TRADES]) -> usize {
        let mut sizes = Sizes::new(shape, tables, pull.price);
        let count = self.trade(shape, pull, &sizes, hits);
        let (bid, ask) = self.touch(shape, pull);
        for (dir, touch) in [(-1, bid), (1, ask)] {
            let side = if dir < 0 { &mut self.bids } else { &mut self.asks };
            if side.0[0].px != touch || side.0[0].qty == 0 {
                *side = side.moved(dir, touch, shape.spacing_ticks, &mut sizes, &mut self.stream);
            }
            let taker = if dir < 0 { Side::Sell } else { Side::Buy };
            let traded = hits[..count].iter().rev().find(|h| h.aggressor == taker).map(|h| h.row.px);
            side.refresh(dir, traded, &mut sizes, &mut self.stream);
        }
        count
    }

    fn spread(&mut self, shape: &Shape, vol: f64) -> i64 {
        let wish = shape.spread_ticks * (0.5 + 0.5 * vol.min(8.0));
        // Rounded up or down at random, so that the mean is the wish.
        ((wish + self.stream.uniform()) as i64).max(1)
    }

    fn trade(&mut self, shape: &Shape, pull: Pull, sizes: &Sizes<'_>, hits: &mut [Hit; MAX_TRADES]) -> usize {
        let rate = shape.trade_rate * (0.4 + 0.6 * pull.vol.min(4.0)) + self.excite;
        let again = rate / (1.0 + rate);
        let mut wanted = 0;
        while wanted < MAX_TRADES && self.stream.uniform() < again {
            wanted += 1;
        }
        self.excite = self.excite * EXCITE_KEEP + BRANCHING * (1.0 - EXCITE_KEEP) * wanted as f64;
        let mid = 0.5 * (self.bids.0[0].px + self.asks.0[0].px) as f64;
        let lean = (pull.price - mid) / (pull.step_sd + shape.spread_ticks);
        let buys = 0.5 + 0.45 * lean / (1.0 + lean.abs());
        let mut count = 0;
        for _ in 0..wanted {
            if let Some(hit) = self.hit(buys, sizes) {
                hits[count] = hit;
                count += 1;
            }
        }
        count
    }

    fn hit(&mut self, buys: f64, sizes: &Sizes<'_>) -> Option<Hit> {
        if self.stream.uniform() >= SIDE_REPEATS {
            self.last_side = if self.stream.uniform() < buys { Side::Buy } else { Side::Sell };
        }
        let aggressor = self.last_side;
        let asked = sizes.trade(&mut self.stream);
        let side = if aggressor == Side::Buy { &mut self.asks } else { &mut self.bids };
        let row = side.0[..MAX_DEPTH].iter_mut().find(|r| r.qty > 0)?;
        let qty = asked.min(row.qty);
        row.qty -= qty;
        Some(Hit { aggressor, row: Row { px: row.px, qty } })
    }

    /// Best bid and ask of the next book. Quotes stay while the price stays near them; a level that was eaten up is not
    /// quoted again in the same step.
    fn touch(&mut self, shape: &Shape, pull: Pull) -> (i64, i64) {
        let (bid, ask) = (self.bids.0[0], self.asks.0[0]);
        let (width, wish) = (ask.px - bid.px, self.spread(shape, pull.vol));
        let off = (pull.price - 0.5 * (bid.px + ask.px) as f64).abs();
        let fits = width <= 2 * wish && wish <= 2 * width;
        if bid.qty > 0 && ask.qty > 0 && fits && off <= width as f64 {
            return (bid.px, ask.px);
        }
        let (mut new_bid, mut new_ask) = target(pull.price, wish);
        if let Some(eaten) = self.bids.eaten() {
            new_bid = new_bid.min(eaten - 1);
        }
        if let Some(eaten) = self.asks.eaten() {
            new_ask = new_ask.max(eaten + 1);
        }
        (new_bid, new_ask)
    }

    /// Whether a restored book holds what the step relies on.
    pub fn is_sane(&self) -> bool {
        let side = |ladder: &Ladder, dir: i64| {
            let ordered = ladder.0.windows(2).all(|w| (w[1].px - w[0].px) * dir > 0);
            ordered && ladder.0.iter().all(|r| (1..1 << 53).contains(&r.px) && (1..1 << 60).contains(&r.qty))
        };
        let rows = side(&self.bids, -1) && side(&self.asks, 1) && self.bids.0[0].px < self.asks.0[0].px;
        rows && self.stream.is_alive() && (0.0..=MAX_TRADES as f64).contains(&self.excite)
    }
}

/// Bid and ask `spread` ticks apart around a price in ticks, positive.
fn target(price: f64, spread: i64) -> (i64, i64) {
    // Truncation is the floor here: the price is far above zero.
    let bid = (price - 0.5 * spread as f64 + 0.5) as i64;
    (bid, bid + spread)
}

impl Ladder {
    /// The price furthest from the touch among levels without size.
    fn eaten(&self) -> Option<i64> {
        self.0.iter().take_while(|r| r.qty == 0).last().map(|r| r.px)
    }

    /// This side with another touch. Behind the touch, levels lie on multiples of `spacing`, so most of them stay where
    /// they are when the price moves; those that stay keep their size, new ones draw one.
    fn moved(&self, dir: i64, touch: i64, spacing: i64, sizes: &mut Sizes<'_>, stream: &mut Stream) -> Ladder {
        let mut px = touch;
        let mut grid = if dir > 0 { (touch / spacing + 1) * spacing } else { (touch - 1) / spacing * spacing };
        let mut old = 0;
        let mut out = Ladder::default();
        for (k, row) in out.0.iter_mut().enumerate() {
            while old < LEVELS && (self.0[old].px - px) * dir < 0 {
                old += 1;
            }
            let kept = self.0.get(old).filter(|r| r.px == px && r.qty > 0).map(|r| r.qty);
            *row = Row { px, qty: kept.unwrap_or_else(|| sizes.level(k, stream.bits())) };
            px = grid;
            grid += dir * spacing;
        }
        out
    }

    /// Up to three levels, mostly near the touch, change their size; none that was traded at in this step.
    fn refresh(&mut self, dir: i64, traded: Option<i64>, sizes: &mut Sizes<'_>, stream: &mut Stream) {
        let mut draw = stream.bits();
        let changes = draw & 3;
        draw >>= 2;
        for _ in 0..changes {
            let pick = |bits: u64| ((bits & 0x3f) as usize * LEVELS) >> 6;
            let k = pick(draw).min(pick(draw >> 6));
            let row = &mut self.0[k];
            if traded.is_none_or(|px| (row.px - px) * dir > 0) {
                row.qty = sizes.level(k, draw >> 12);
            }
            draw >>= 20;
        }
    }
}

/// Draws sizes in lots at one price.
struct Sizes<'a> {
    tables: &'a Tables,
    level: f64,
    min: i64,
}

impl Sizes<'_> {
    fn new<'a>(shape: &Shape, tables: &'a Tables, price: f64) -> Sizes<'a> {
        let min = (shape.min_lots / price) as i64 + 1;
        Sizes { tables, level: shape.level_lots / price, min }
    }

    /// Size of level `k`: deeper levels are larger.
    fn level(&mut self, k: usize, bits: u64) -> i64 {
        let profile = 0.35 + 0.1 * k as f64;
        ((self.level * profile * self.tables.level(bits)) as i64).max(self.min)
    }

    fn trade(&self, stream: &mut Stream) -> i64 {
        ((self.level * TRADE_SHARE * self.tables.trade(stream.bits())) as i64).max(self.min)
    }
}
