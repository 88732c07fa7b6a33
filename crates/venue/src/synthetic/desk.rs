//! One instrument's stream: its book published as a snapshot and differences, its trades, and for perpetuals the
//! basis, marks and funding. Never: the shared price process, the order between instruments.

use super::book::{Book, Hit, LEVELS, Ladder, MAX_TRADES, Pull, Row, Shape};
use super::config::CoinConfig;
use super::path::STEPS_PER_SEC;
use super::queue::{Queue, What};
use super::random::{Stream, Tables, bits};
use ctos_types::time::NANOS_PER_SEC;
use ctos_types::{
    Decimal, FundingRate, Instrument, InstrumentId, Level, MarkPrice, Nanos, Price, Qty, Side, Trade, UnixNanos,
};
use serde::{Deserialize, Serialize};

/// Length of one step.
pub(super) const STEP: Nanos = Nanos(NANOS_PER_SEC / STEPS_PER_SEC as i64);
/// Funding is settled at 00:00, 08:00 and 16:00 UTC.
const FUNDING_PERIOD: Nanos = Nanos::from_secs(8 * 3_600);

/// The perpetual's premium over the index: standard deviation and time constant of a mean-reverting process.
const BASIS_SD: f64 = 0.000_3;
const BASIS_SECS: f64 = 1_800.0;
/// The long-run premium: perpetuals trade a little above the index.
const BASIS_MEAN: f64 = 0.000_1;
const BASIS_MAX: f64 = 0.01;

/// Funding per period: the mean premium, pulled towards the interest rate by at most the damper.
const INTEREST: f64 = 0.000_1;
const DAMPER: f64 = 0.000_5;
const FUNDING_MAX: f64 = 0.007_5;
const RATE_PLACES: u8 = 8;

/// Where a step lies in time and what the coin's price does in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Counts the steps from 1.
    pub n: u64,
    /// Start of the step, in `[t, t + STEP)` of which everything happens.
    pub t: UnixNanos,
    /// Efficient (spot) price in quote currency.
    pub price: f64,
    pub vol: f64,
    /// Relative.
    pub step_sd: f64,
}

/// What does not change about an instrument's stream.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    id: InstrumentId,
    /// Mantissas of one tick and one lot.
    tick: i64,
    lot: i64,
    /// One tick in quote currency.
    tick_size: f64,
    price_decimals: u8,
    shape: Shape,
    /// When within a step the book is published. Differs between instruments, as it does at real venues.
    phase: Nanos,
    /// Per second: what is kept of the basis, and the weight of the new draw.
    basis_keep: f64,
    basis_new: f64,
}

/// What changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeskState {
    book: Book,
    trades: u64,
    updates: u64,
    /// `None` for spot.
    pub basis: Option<Basis>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Basis {
    stream: Stream,
    #[serde(with = "bits")]
    now: f64,
    /// Sum and count of the seconds' premiums since the last funding.
    #[serde(with = "bits")]
    sum: f64,
    count: u64,
}

impl Desk {
    pub fn new(seed: u64, coin: &CoinConfig, i: &Instrument) -> Desk {
        let tick_size = coin.tick.to_f64();
        let per_lot = 1.0 / (coin.lot.to_f64() * tick_size);
        let slots = (STEP.0 / 2 / PHASE_GRID) as u64;
        let slot = Stream::new(seed, &format!("phase {}", i.symbol)).bits() % slots;
        let keep = libm::exp(-1.0 / BASIS_SECS);
        Desk {
            id: i.id,
            tick: i.tick.0,
            lot: i.lot.0,
            tick_size,
            price_decimals: i.price_decimals,
            shape: Shape {
                spread_ticks: f64::from(coin.spread_ticks),
                spacing_ticks: i64::from(coin.spacing_ticks),
                level_lots: coin.level_notional.to_f64() * per_lot,
                min_lots: coin.min_notional.to_f64() * per_lot,
                trade_rate: Shape::base_rate(coin.trades_per_sec / STEPS_PER_SEC as f64),
            },
            phase: Nanos(STEP.0 / 2 + slot as i64 * PHASE_GRID),
            basis_keep: keep,
            basis_new: BASIS_SD * (1.0 - keep * keep).sqrt(),
        }
    }

    fn pull(&self, m: &Moment, state_basis: f64) -> Pull {
        let price = m.price * (1.0 + state_basis) / self.tick_size;
        Pull { price, vol: m.vol, step_sd: m.step_sd * price }
    }

    /// The first book, and for a perpetual the first mark, at the moment's start.
    pub fn open(&self, seed: u64, i: &Instrument, tables: &Tables, m: &Moment, queue: &mut Queue) -> DeskState {
        let stream = |what: &str| Stream::new(seed, &format!("{what} {}", i.symbol));
        let basis =
            (!i.is_spot()).then(|| Basis { stream: stream("basis"), now: BASIS_MEAN, sum: BASIS_MEAN, count: 1 });
        let pull = self.pull(m, basis.as_ref().map_or(0.0, |b| b.now));
        let book = Book::new(stream("book"), &self.shape, tables, pull);
        let state = DeskState { book, trades: 0, updates: 1, basis };
        let from = queue.levels.len();
        queue.levels.extend(state.book.bids.0.map(|r| self.level(r)));
        queue.levels.extend(state.book.asks.0.map(|r| self.level(r)));
        let what = What::Depth { from, bids: LEVELS, to: queue.levels.len(), snapshot: true, update_id: 1 };
        queue.push(m.t, self.id, what);
        if let Some(basis) = &state.basis {
            queue.push(m.t, self.id, What::Mark(self.mark(basis, m, m.t)));
        }
        state
    }

    /// All events of one step.
    pub fn step(&self, s: &mut DeskState, tables: &Tables, m: &Moment, queue: &mut Queue) {
        if let Some(basis) = &mut s.basis {
            if m.n.is_multiple_of(STEPS_PER_SEC) {
                basis.second(self);
            }
            self.fund(basis, m, queue);
        }
        let pull = self.pull(m, s.basis.as_ref().map_or(0.0, |b| b.now));
        let (bids, asks) = (s.book.bids, s.book.asks);
        let mut hits = [Hit { aggressor: Side::Buy, row: Row::default() }; MAX_TRADES];
        let count = s.book.step(&self.shape, tables, pull, &mut hits);
        for (k, hit) in hits[..count].iter().enumerate() {
            s.trades += 1;
            let trade = Trade {
                price: Price(hit.row.px * self.tick),
                qty: Qty(hit.row.qty * self.lot),
                aggressor: hit.aggressor,
                id: s.trades,
            };
            queue.push(m.t + self.trade_time(&mut s.book.stream, k, count), self.id, What::Trade(trade));
        }
        let at = m.t + self.phase;
        self.publish(s, (&bids, &asks), at, queue);
        if let Some(basis) = s.basis.as_ref().filter(|_| m.n.is_multiple_of(STEPS_PER_SEC)) {
            queue.push(at, self.id, What::Mark(self.mark(basis, m, at)));
        }
    }

    /// In order, each in its own share of the time before the book is published, in whole microseconds.
    fn trade_time(&self, stream: &mut Stream, k: usize, count: usize) -> Nanos {
        let share = self.phase.0 / 1_000 / count as i64;
        Nanos::from_micros(share * k as i64 + (stream.bits() % share as u64) as i64)
    }

    fn publish(&self, s: &mut DeskState, old: (&Ladder, &Ladder), at: UnixNanos, queue: &mut Queue) {
        let from = queue.levels.len();
        self.changes(-1, old.0, &s.book.bids, &mut queue.levels);
        let bids = queue.levels.len() - from;
        self.changes(1, old.1, &s.book.asks, &mut queue.levels);
        let to = queue.levels.len();
        if to > from {
            s.updates += 1;
            queue.push(at, self.id, What::Depth { from, bids, to, snapshot: false, update_id: s.updates });
        }
    }

    /// Levels of one side that differ, best first; those that are gone with size zero.
    fn changes(&self, dir: i64, old: &Ladder, new: &Ladder, out: &mut Vec<Level>) {
        let (mut i, mut j) = (0, 0);
        while i < LEVELS || j < LEVELS {
            let further = |r: Option<&Row>| r.map_or(i64::MAX, |r| r.px * dir);
            let (was, is) = (further(old.0.get(i)), further(new.0.get(j)));
            if was < is {
                out.push(self.level(Row { px: old.0[i].px, qty: 0 }));
            } else if is < was || old.0[i].qty != new.0[j].qty {
                out.push(self.level(new.0[j]));
            }
            i += usize::from(was <= is);
            j += usize::from(is <= was);
        }
    }

    fn level(&self, row: Row) -> Level {
        Level { price: Price(row.px * self.tick), qty: Qty(row.qty * self.lot) }
    }

    fn mark(&self, basis: &Basis, m: &Moment, at: UnixNanos) -> MarkPrice {
        MarkPrice {
            mark: self.off_grid(m.price * (1.0 + basis.now)),
            index: self.off_grid(m.price),
            funding_rate: basis.rate(),
            next_funding: at.floor(FUNDING_PERIOD).after(FUNDING_PERIOD),
        }
    }

    fn fund(&self, basis: &mut Basis, m: &Moment, queue: &mut Queue) {
        // The first period boundary at or after the step's start.
        let due = (m.t - Nanos(1)).floor(FUNDING_PERIOD).after(FUNDING_PERIOD);
        // A market that opens on a boundary has no period behind it.
        if due >= m.t + STEP || (m.n == 1 && due == m.t) {
            return;
        }
        let mark = self.off_grid(m.price * (1.0 + basis.now));
        queue.push(due, self.id, What::Funding(FundingRate { rate: basis.rate(), mark }));
        (basis.sum, basis.count) = (basis.now, 1);
    }

    /// A price with two places more than the grid.
    fn off_grid(&self, price: f64) -> Decimal {
        let places = self.price_decimals + 2;
        let scale = ctos_types::decimal::pow10(places) as f64;
        Decimal::new((price * scale + 0.5) as i64, places)
    }
}

/// Books are published on whole multiples of this within a step.
const PHASE_GRID: i64 = 5_000_000;

impl Basis {
    fn second(&mut self, desk: &Desk) {
        let off = (self.now - BASIS_MEAN) * desk.basis_keep + self.stream.normal() * desk.basis_new;
        self.now = (BASIS_MEAN + off).clamp(-BASIS_MAX, BASIS_MAX);
        self.sum += self.now;
        self.count += 1;
    }

    /// The rate of the running funding period as it stands.
    fn rate(&self) -> Decimal {
        let premium = self.sum / self.count as f64;
        let rate = (premium + (INTEREST - premium).clamp(-DAMPER, DAMPER)).clamp(-FUNDING_MAX, FUNDING_MAX);
        let scale = ctos_types::decimal::pow10(RATE_PLACES) as f64;
        // Half away from zero, by truncation: the same on every machine.
        Decimal::new((rate * scale + if rate < 0.0 { -0.5 } else { 0.5 }) as i64, RATE_PLACES)
    }
}

impl DeskState {
    /// Whether a restored state fits an instrument of this kind.
    pub fn is_sane(&self, spot: bool) -> bool {
        let basis = |b: &Basis| {
            b.stream.is_alive() && b.now.abs() <= BASIS_MAX && (1..1 << 40).contains(&b.count) && b.sum.abs() < 1e12
        };
        let counts = self.trades < 1 << 62 && self.updates < 1 << 62;
        counts && self.book.is_sane() && self.basis.is_none() == spot && self.basis.as_ref().is_none_or(basis)
    }
}
