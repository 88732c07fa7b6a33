//! Backtests from loaded data to the summary in memory: bars, trades, depth updates; their speed, their memory, and how
//! both grow with the data. Gates, portfolio, fees, the queue model and latencies are on, as in any run.
//! Never: counts the making of the data.

use crate::alone;
use crate::fixture::{self, ACCOUNT, BTC};
use crate::history;
use crate::measure::{Measure, Samples};
use crate::{Lab, Run, internal};
use ctos_driver_paper::{Latencies, PaperDriver};
use ctos_kernel::{Ctx, Feeds, OrderRequest, Strategy, Tick};
use ctos_runtime::RunError;
use ctos_runtime::shard::{Parts, Shard};
use ctos_runtime::summary::{RunFacts, Summary};
use ctos_types::{ClientOrderId, Decimal, InstrumentId, Nanos, Price, Qty, Side, UnixNanos};
use ctos_venue::{AccountConfig, Exchange, ExchangeConfig, Latency, LatencyModel, MarketSource, Tape};
use std::collections::BTreeMap;
use std::time::Instant;

/// Events of bars, trades and depth that are measured.
pub const SIZES: [usize; 3] = [1_000_000, 2_000_000, 2_000_000];
const ROUNDS: usize = 5;

pub const ALL: [(&str, Run); 3] =
    [("backtest_bars", measure), ("backtest_trades", measure), ("backtest_depth", measure)];

/// How time grows with the data.
pub const GROWTH: [(&str, Run); 3] = [("growth_bars", growth), ("growth_trades", growth), ("growth_depth", growth)];

/// One kind of history and who trades on it.
struct Case {
    name: &'static str,
    events: usize,
    what: &'static str,
    tape: fn(usize) -> Tape,
    strategy: fn() -> Result<Box<dyn Strategy>, RunError>,
}

const CASES: [Case; 3] = [
    Case {
        name: "bars",
        events: SIZES[0],
        what: "ma_cross, EMA 10 and 20",
        tape: history::bar_tape,
        strategy: ema_cross,
    },
    Case {
        name: "trades",
        events: SIZES[1],
        what: "a pair of quotes, amended when the price is 10 ticks away",
        tape: history::trade_tape,
        strategy: || Ok(Box::new(Pair { by: Look::Trades, distance: 10, ..Pair::default() })),
    },
    Case {
        name: "depth",
        events: SIZES[2],
        what: "a two-sided maker called on every update",
        tape: history::depth_tape,
        strategy: || Ok(Box::new(Pair { by: Look::Book, distance: 3, ..Pair::default() })),
    },
];

/// The case that a measurement's name ends in.
fn case(name: &str) -> Result<&'static Case, RunError> {
    let found = CASES.iter().find(|c| name.rsplit('_').next() == Some(c.name));
    found.ok_or_else(|| internal(format!("no history is called {name}")))
}

impl Case {
    /// Seconds from loaded data to the summary, and the summary.
    fn run(&self, tape: &Tape) -> Result<(f64, Summary), RunError> {
        let mut shard = shard(tape.clone(), (self.strategy)()?)?;
        let begun = Instant::now();
        let summary = to_the_end(&mut shard)?;
        Ok((begun.elapsed().as_secs_f64(), summary))
    }

    /// A run that did what it was to do.
    fn checked(&self, tape: &Tape) -> Result<Summary, RunError> {
        let (_, summary) = self.run(tape)?;
        if summary.market_events != tape.len() as u64 || summary.fills == 0 {
            return Err(internal(format!("{}: {} events, {} fills", self.name, summary.market_events, summary.fills)));
        }
        Ok(summary)
    }
}

fn measure(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let case = case(name)?;
    let (events, rounds) = if lab.quick { (case.events / 20, 1) } else { (case.events, ROUNDS) };
    let tape = (case.tape)(events);
    let first = case.checked(&tape)?;
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let (seconds, summary) = case.run(&tape)?;
        if summary.command_hash != first.command_hash {
            return Err(internal(format!("{name}: two runs differ")));
        }
        samples.push(tape.len() as f64 / seconds);
    }
    let note = format!("{events} events, {}; {} orders, {} fills", case.what, first.orders.sent, first.fills);
    let measure = Samples::new(samples).measure(name, "events/s", &lab.machine, note);
    Ok(measure.with_peak(alone::ask(&[name, &events.to_string()])?))
}

/// How many times as long ten times the data takes; orders grow with it. Memory is that of the larger run.
fn growth(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let case = case(name)?;
    let (events, rounds) = if lab.quick { (case.events / 200, 1) } else { (case.events, 3) };
    let (small, large) = ((case.tape)(events), (case.tape)(10 * events));
    let orders = [case.checked(&small)?.orders.sent, case.checked(&large)?.orders.sent];
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        // Ten of the shorter runs around one of the longer: a busy machine slows both alike.
        let five = || (0..5).map(|_| Ok(case.run(&small)?.0)).sum::<Result<f64, RunError>>();
        let before = five()?;
        let long = case.run(&large)?.0;
        ratios.push(10.0 * long / (before + five()?));
    }
    let note = format!(
        "{}: the time of {} events over that of {events}; {} and {} orders",
        case.what,
        10 * events,
        orders[1],
        orders[0]
    );
    let measure = Samples::new(ratios).measure(name, "x", &lab.machine, note);
    Ok(measure.with_peak(alone::ask(&[name, &(10 * events).to_string()])?))
}

/// The whole of it once, in a process that does nothing else. Returns the events.
pub fn once(name: &str, events: usize) -> Result<u64, RunError> {
    let case = case(name)?;
    let tape = (case.tape)(events);
    case.checked(&tape).map(|s| s.market_events)
}

fn to_the_end(shard: &mut Shard) -> Result<Summary, RunError> {
    while shard.advance(UnixNanos::MAX).map_err(internal)? {}
    shard.stop(UnixNanos::MIN, "end of data").map_err(internal)?;
    Ok(Summary::of(shard, &RunFacts::default(), "end of data"))
}

fn shard(tape: Tape, strategy: Box<dyn Strategy>) -> Result<Shard, RunError> {
    let exchange = ExchangeConfig {
        accounts: vec![AccountConfig {
            leverage: Decimal::from_int(5),
            ..AccountConfig::cash(ACCOUNT, vec![(fixture::usdt(), fixture::money())])
        }],
        ..ExchangeConfig::default()
    };
    let exchange = Exchange::new(fixture::instruments(), exchange).map_err(internal)?;
    let way = |ms| Latency::new(LatencyModel::Constant(Nanos::from_millis(ms)), 1).map_err(internal);
    let latencies = Latencies { feed: way(1)?, entry: way(2)?, response: way(2)? };
    let source = tape.share().expect("a tape can be shared");
    let mut driver = PaperDriver::new(source, exchange, vec![ACCOUNT], latencies);
    let start = driver.first_event().ok_or_else(|| internal("no data"))?;
    let parts = Parts { kernel: fixture::kernel(vec![strategy]), driver, durable: None };
    Shard::begin(parts, start, &[fixture::opening_balance()], Box::new(())).map_err(internal)
}

fn ema_cross() -> Result<Box<dyn Strategy>, RunError> {
    let params = [("kind", "ema"), ("fast", "10"), ("slow", "20")];
    let params: BTreeMap<String, String> = params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    ctos_strategies::build("ma_cross", &params, &fixture::instruments(), &[BTC]).map_err(|e| internal(e.message))
}

#[derive(Default)]
enum Look {
    #[default]
    Trades,
    Book,
}

/// Keeps a bid and an ask at a distance from the middle and moves them when the middle has moved that far.
#[derive(Default)]
struct Pair {
    by: Look,
    distance: i64,
    middle: Option<i64>,
    orders: [Option<ClientOrderId>; 2],
}

const SIZE: Qty = Qty(10);

impl Pair {
    fn look(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, middle: i64) {
        let near = |m: i64| (middle - m).abs() < self.distance;
        if self.middle.is_some_and(near) {
            return;
        }
        self.middle = Some(middle);
        for (slot, side) in [(0, Side::Buy), (1, Side::Sell)] {
            let price = Price(middle - side.sign() * self.distance);
            let moved = self.orders[slot].is_some_and(|order| ctx.amend(order, Some(price), None));
            if !moved {
                self.orders[slot] = Some(ctx.place(OrderRequest::limit(id, side, price, SIZE).post_only()));
            }
        }
    }
}

impl Strategy for Pair {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(
            BTC,
            match self.by {
                Look::Trades => Feeds::TRADES,
                Look::Book => Feeds::BOOK,
            },
        );
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        if let Tick::Trade(trade) = tick {
            self.look(ctx, id, trade.price.0);
        }
    }
    fn on_book(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId) {
        if let Some(quote) = ctx.quote(id) {
            self.look(ctx, id, (quote.bid_px.0 + quote.ask_px.0) / 2);
        }
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}
