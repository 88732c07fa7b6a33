//! Measures how long one `step` takes for a quote, a trade and a depth diff, with one and with ten strategies,
//! and an order from decision to fill.
//! Never: a test; it reads the clock and prints what it saw.
//!
//! Every sample is the mean of a batch of steps, because reading the clock costs as much as half a step; the p99 is
//! therefore that of batches. A second pass times steps one by one for the tail, with the clock's own cost stated.
//!
//! `cargo run --release -p ctos-kernel --example step_latency`

use ctos_kernel::{
    AccountSpec, Ctx, Feeds, Kernel, KernelConfig, Limits, OrderRequest, Output, ProcessSpec, Strategy, Tick,
};
use ctos_types::{
    AccountEvent, AccountId, Balance, Command, Control, Currency, Decimal, Event, ExecId, Fill, InstanceTag,
    Instrument, InstrumentId, InstrumentKind, Instruments, Level, Liquidity, Market, MarketData, Nanos, OrderReport,
    Price, Qty, Quote, ReportBody, Settlement, Side, Stamped, Symbol, Trade, UnixNanos, VenueOrderId,
};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

const BTC: InstrumentId = InstrumentId(0);
const BATCH: usize = 64;
const SAMPLES: usize = 20_000;

/// Looks at every tick as a quoting strategy does before it decides to leave its orders where they are.
struct Looker {
    centre: i64,
    seen: u64,
}

impl Strategy for Looker {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(BTC, Feeds::QUOTES.and(Feeds::TRADES));
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, tick: &Tick) {
        let px = match tick {
            Tick::Quote(q) => (q.bid_px.0 + q.ask_px.0) / 2,
            Tick::Trade(t) => t.price.0,
        };
        if (px - self.centre).abs() > 1_000_000 {
            self.centre = px;
            ctx.note("far away");
        }
        self.seen += 1;
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

/// Places an order at each trade, buying and selling in turn.
struct Placer {
    buys: bool,
}

impl Strategy for Placer {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(BTC, Feeds::TRADES);
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, _: &Tick) {
        self.buys = !self.buys;
        let side = if self.buys { Side::Buy } else { Side::Sell };
        ctx.place(OrderRequest::limit(id, side, Price(600_000), Qty(1)));
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

fn instrument() -> Instrument {
    Instrument {
        id: BTC,
        version: 1,
        symbol: Symbol::new("sim:BTC-USDT-PERP"),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::cut("BTC"),
        quote: Currency::cut("USDT"),
        price_decimals: 1,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: Decimal::ZERO,
        maintenance_margin: Decimal::ZERO,
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
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
        Bench::with((0..strategies).map(looker).collect())
    }

    fn with(strategies: Vec<Box<dyn Strategy>>) -> Bench {
        let currency = Currency::cut("USDT");
        // A bench sends more in a second of its time than any sane limit allows.
        let limits = Limits { max_orders_per_sec: None, max_orders_per_min: None, ..Limits::default() };
        let account = AccountSpec {
            id: AccountId(0),
            name: "paper".into(),
            reporting: currency,
            leverage: Decimal::ONE,
            borrow: false,
            limits: limits.clone(),
        };
        let process = |(n, strategy): (usize, Box<dyn Strategy>)| ProcessSpec {
            label: format!("strategy{n}"),
            account: AccountId(0),
            limits: limits.clone(),
            strategy,
        };
        let kernel = Kernel::new(KernelConfig {
            instruments: Instruments::new(vec![instrument()]).expect("a valid definition"),
            accounts: vec![account],
            processes: strategies.into_iter().enumerate().map(process).collect(),
            tag: InstanceTag(1),
            latches: BTreeMap::new(),
        });
        let mut bench = Bench { kernel, out: Output::default(), at: UnixNanos::from_secs(1_700_000_000) };
        let balance = Balance { total: Decimal::from_int(10_000), ..Balance::default() };
        let event = AccountEvent::Balance { account: AccountId(0), currency, balance };
        bench.step(Event::Account(&event));
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

    /// A market event 100 µs after the one before: the monitor's second comes round once in ten thousand.
    fn market(&mut self, data: MarketData<'_>) {
        self.at = self.at.after(Nanos::from_micros(100));
        self.step(Event::Market(Market { instrument: BTC, ts_event: self.at, data }));
    }
}

/// What is measured: the n-th of its kind.
type One = fn(&mut Bench, usize);

/// A made-up market that moves a little, without a random source.
fn quote(bench: &mut Bench, n: usize) {
    let bid = 600_000 + (n as i64 * 7) % 40;
    let quote = Quote { bid_px: Price(bid), bid_qty: Qty(100), ask_px: Price(bid + 1), ask_qty: Qty(90) };
    bench.market(MarketData::Quote { quote, update_id: 0 });
}

fn trade(bench: &mut Bench, n: usize) {
    let trade = Trade { price: Price(600_000 + (n as i64 * 7) % 40), qty: Qty(5), aggressor: Side::Buy, id: n as u64 };
    bench.market(MarketData::Trade(trade));
}

/// Ten changed levels a side within the best hundred of five hundred: two of the twenty are deletions that the next diff
/// puts back.
fn depth(bench: &mut Bench, n: usize) {
    let qty = |k: usize| Qty(if k == 0 && n.is_multiple_of(2) { 0 } else { 100 + (n % 50) as i64 });
    let place = |k: usize| 1 + ((k * 11 + n / 2) % 100) as i64;
    let bids: [Level; 10] = std::array::from_fn(|k| Level { price: Price(600_000 - place(k)), qty: qty(k) });
    let asks: [Level; 10] = std::array::from_fn(|k| Level { price: Price(600_000 + place(k)), qty: qty(k) });
    bench.market(MarketData::Depth { bids: &bids, asks: &asks, snapshot: false, update_id: 0 });
}

/// A trade that makes the strategy place an order, its acceptance and its fill: three steps.
fn order(bench: &mut Bench, n: usize) {
    trade(bench, n);
    let Some(Command::Place(order)) = bench.out.commands.first().map(|c| *c.get()) else {
        panic!("the order was denied: {:?}", bench.out.audits);
    };
    let report = |body, at| OrderReport {
        account: order.account,
        instrument: order.instrument,
        cl_ord_id: Some(order.cl_ord_id),
        venue_order_id: VenueOrderId::from_u64(order.cl_ord_id.seq),
        ts_event: at,
        body,
    };
    bench.step(Event::Report(&report(ReportBody::Accepted, bench.at)));
    let fill = Fill {
        exec_id: ExecId::from_u64(order.cl_ord_id.seq),
        side: order.side,
        leg: order.leg,
        last_px: Price(600_000),
        last_qty: Qty(1),
        liquidity: Liquidity::Maker,
        fee: Decimal::ZERO,
        fee_currency: Currency::cut("USDT"),
    };
    bench.step(Event::Report(&report(ReportBody::Fill(fill), bench.at)));
}

fn percentile(sorted: &[f64], p: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * p) as usize]
}

/// Nanoseconds per step: mean of each batch, sorted.
fn batches(mut bench: Bench, one: One) -> Vec<f64> {
    (0..SAMPLES).for_each(|n| one(&mut bench, n));
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|s| {
            let begun = Instant::now();
            (0..BATCH).for_each(|n| one(&mut bench, s * BATCH + n));
            begun.elapsed().as_nanos() as f64 / BATCH as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples
}

/// Nanoseconds of single steps, sorted; the clock's own cost is in each.
fn singles(mut bench: Bench, one: One) -> Vec<f64> {
    (0..SAMPLES).for_each(|n| one(&mut bench, n));
    let mut samples: Vec<f64> = (0..SAMPLES * 10)
        .map(|n| {
            let begun = Instant::now();
            one(&mut bench, n);
            begun.elapsed().as_nanos() as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples
}

fn clock_cost() -> f64 {
    let begun = Instant::now();
    for _ in 0..100_000 {
        black_box(Instant::now());
    }
    begun.elapsed().as_nanos() as f64 / 100_000.0
}

fn main() {
    println!("one reading of the clock: {:.0} ns; a batch is {BATCH} steps", clock_cost());
    println!(
        "{:<8}{:>12}{:>14}{:>14}{:>14}{:>15}",
        "event", "strategies", "batch p50", "batch p99", "single p99", "single p99.9"
    );
    let events: [(&str, One); 3] = [("quote", quote), ("trade", trade), ("depth", depth)];
    for (name, one) in events {
        for strategies in [1, 10] {
            report(name, strategies, one, || Bench::new(strategies));
        }
    }
    report("order", 1, order, || Bench::with(vec![Box::new(Placer { buys: false })]));
}

fn report(name: &str, strategies: usize, one: One, bench: impl Fn() -> Bench) {
    let (batch, single) = (batches(bench(), one), singles(bench(), one));
    println!(
        "{name:<8}{strategies:>12}{:>11.1} ns{:>11.1} ns{:>11.0} ns{:>12.0} ns",
        percentile(&batch, 0.5),
        percentile(&batch, 0.99),
        percentile(&single, 0.99),
        percentile(&single, 0.999)
    );
}
