//! How long one `step` takes for a quote, a trade and a depth diff, with one and with ten strategies.
//!
//! Reading the clock costs as much as a good part of a step. The spread and p50 are therefore those of batches, each
//! the mean of [`BATCH`] steps between two readings. The tail would vanish in means, so p99 and p99.9 are those of
//! steps timed one by one, the clock's own cost included.

use crate::fixture::{self, BTC};
use crate::measure::{Measure, Percentiles, Samples};
use crate::{Lab, internal};
use ctos_kernel::{Ctx, Feeds, Kernel, Output, Strategy, Tick};
use ctos_runtime::RunError;
use ctos_types::{
    Control, Event, InstrumentId, Level, Market, MarketData, Nanos, Price, Qty, Quote, Side, Stamped, Trade, UnixNanos,
};
use std::hint::black_box;
use std::time::Instant;

/// Steps between two readings of the clock.
const BATCH: usize = 64;

pub fn top_of_book_1(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, 1, quote)
}
pub fn top_of_book_10(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, 10, quote)
}
pub fn trade_1(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, 1, trade)
}
pub fn trade_10(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, 10, trade)
}
pub fn depth_diff_1(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, 1, depth)
}
pub fn depth_diff_10(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, 10, depth)
}

/// Reads the quote at every tick, as a quoting strategy does before it decides to leave its orders where they are.
struct Looker {
    centre: i64,
    seen: u64,
}

impl Strategy for Looker {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(BTC, Feeds::QUOTES.and(Feeds::TRADES).and(Feeds::BOOK));
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, _: &Tick) {
        self.look(ctx, id);
    }
    fn on_book(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        self.look(ctx, id);
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::from(self.seen)
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

impl Looker {
    fn look(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        self.seen += 1;
        let Some(q) = ctx.quote(id) else { return };
        let mid = (q.bid_px.0 + q.ask_px.0) / 2;
        if (mid - self.centre).abs() > 1_000_000 {
            self.centre = mid;
            ctx.note("far away");
        }
    }
}

struct Bench {
    kernel: Kernel,
    out: Output,
    at: UnixNanos,
}

impl Bench {
    fn new(strategies: usize) -> Bench {
        let looker = |_| -> Box<dyn Strategy> { Box::new(Looker { centre: 600_000, seen: 0 }) };
        let kernel = fixture::kernel((0..strategies).map(looker).collect());
        let mut bench = Bench { kernel, out: Output::default(), at: UnixNanos::from_secs(1_700_000_000) };
        bench.step(Event::Account(&fixture::opening_balance()));
        bench.step(Event::Control(&Control::Start));
        let side = |sign: i64| -> Vec<Level> {
            (1..=500).map(|k| Level { price: Price(600_000 + sign * k), qty: Qty(1000) }).collect()
        };
        let (bids, asks) = (side(-1), side(1));
        bench.market(MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: 0 });
        bench
    }

    fn step(&mut self, event: Event<'_>) {
        let input = Stamped { seq: self.kernel.next_input(), at: self.at, event };
        self.kernel.step(black_box(&input), &mut self.out);
        black_box(&self.out);
    }

    /// A market event 100 µs after the one before: the kernel's once-a-second work comes round in its due share.
    fn market(&mut self, data: MarketData<'_>) {
        self.at = self.at.after(Nanos::from_micros(100));
        self.step(Event::Market(Market { instrument: BTC, ts_event: self.at, data }));
    }

    /// How often each strategy was called.
    fn calls(&self) -> Vec<u64> {
        let saved = serde_json::to_value(self.kernel.save()).unwrap_or_default();
        saved["processes"].as_array().into_iter().flatten().filter_map(|p| p["saved"].as_u64()).collect()
    }
}

/// What is measured: the n-th of its kind.
type One = fn(&mut Bench, usize);

/// A market that moves a little, without a random source.
fn quote(bench: &mut Bench, n: usize) {
    let bid = 600_000 + (n as i64 * 7) % 40;
    let quote = Quote { bid_px: Price(bid), bid_qty: Qty(100), ask_px: Price(bid + 1), ask_qty: Qty(90) };
    bench.market(MarketData::Quote { quote, update_id: 0 });
}

fn trade(bench: &mut Bench, n: usize) {
    let trade = Trade { price: Price(600_000 + (n as i64 * 7) % 40), qty: Qty(5), aggressor: Side::Buy, id: n as u64 };
    bench.market(MarketData::Trade(trade));
}

/// Ten changed levels a side within the best hundred of five hundred; every other diff deletes one a side, and a later
/// one puts it back.
fn depth(bench: &mut Bench, n: usize) {
    let qty = |k: usize| Qty(if k == 0 && n.is_multiple_of(2) { 0 } else { 100 + (n % 50) as i64 });
    let place = |k: usize| 1 + ((k * 11 + n / 2) % 100) as i64;
    let bids: [Level; 10] = std::array::from_fn(|k| Level { price: Price(600_000 - place(k)), qty: qty(k) });
    let asks: [Level; 10] = std::array::from_fn(|k| Level { price: Price(600_000 + place(k)), qty: qty(k) });
    bench.market(MarketData::Depth { bids: &bids, asks: &asks, snapshot: false, update_id: 0 });
}

fn measure(lab: &Lab, name: &'static str, strategies: usize, one: One) -> Result<Measure, RunError> {
    let rounds = if lab.quick { 50 } else { 20_000 };
    let batches = batches(Bench::new(strategies), rounds, one);
    let mut bench = Bench::new(strategies);
    let singles = singles(&mut bench, rounds * 10, one);
    let calls = bench.calls();
    if calls.len() != strategies || calls.iter().any(|n| *n < rounds as u64 * 10) {
        return Err(internal(format!("{name}: the strategies were called {calls:?} times")));
    }
    let note = format!(
        "p50 and spread: means of {BATCH} steps; p99, p999: {} single steps, each with {:.0} ns for the clock",
        singles.len(),
        clock_cost()
    );
    let percentiles = Percentiles { p50: batches.at(0.5), ..singles.percentiles() };
    Ok(batches.measure(name, "ns", &lab.machine, note).with_percentiles(percentiles))
}

/// Nanoseconds per step: the mean of each batch.
fn batches(mut bench: Bench, rounds: usize, one: One) -> Samples {
    (0..rounds).for_each(|n| one(&mut bench, n));
    let sample = |s: usize| {
        let begun = Instant::now();
        (0..BATCH).for_each(|n| one(&mut bench, s * BATCH + n));
        begun.elapsed().as_nanos() as f64 / BATCH as f64
    };
    Samples::new((0..rounds).map(sample).collect())
}

/// Nanoseconds of single steps.
fn singles(bench: &mut Bench, rounds: usize, one: One) -> Samples {
    (0..rounds / 10).for_each(|n| one(bench, n));
    let sample = |n: usize| {
        let begun = Instant::now();
        one(bench, n);
        begun.elapsed().as_nanos() as f64
    };
    Samples::new((0..rounds).map(sample).collect())
}

fn clock_cost() -> f64 {
    const READINGS: u32 = 100_000;
    let begun = Instant::now();
    for _ in 0..READINGS {
        black_box(Instant::now());
    }
    begun.elapsed().as_nanos() as f64 / f64::from(READINGS)
}
