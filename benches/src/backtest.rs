//! Backtests from loaded data to the summary in memory: bars, trades, depth updates. Gates, portfolio, fees, the queue
//! model and latencies are on, as in any run.

use crate::fixture::{self, ACCOUNT, BTC};
use crate::history;
use crate::measure::{Measure, Samples};
use crate::{Lab, internal};
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

pub fn bars(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, SIZES[0], "ma_cross, EMA 10 and 20", history::bar_tape, ema_cross)
}

pub fn trades(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(
        lab,
        name,
        SIZES[1],
        "a pair of quotes, amended when the price is 10 ticks away",
        history::trade_tape,
        || Ok(Box::new(Pair { by: Look::Trades, distance: 10, ..Pair::default() })),
    )
}

pub fn depth(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    measure(lab, name, SIZES[2], "a two-sided maker called on every update", history::depth_tape, || {
        Ok(Box::new(Pair { by: Look::Book, distance: 3, ..Pair::default() }))
    })
}

fn measure(
    lab: &Lab,
    name: &'static str,
    full: usize,
    what: &str,
    tape: fn(usize) -> Tape,
    strategy: fn() -> Result<Box<dyn Strategy>, RunError>,
) -> Result<Measure, RunError> {
    let (events, rounds) = if lab.quick { (full / 20, 1) } else { (full, ROUNDS) };
    let tape = tape(events);
    let run = |tape: &Tape| -> Result<(f64, Summary), RunError> {
        let mut shard = shard(tape.clone(), strategy()?)?;
        let begun = Instant::now();
        let summary = to_the_end(&mut shard)?;
        Ok((begun.elapsed().as_secs_f64(), summary))
    };
    let (_, first) = run(&tape)?;
    if first.market_events != tape.len() as u64 || first.fills == 0 {
        return Err(internal(format!("{name}: {} events, {} fills", first.market_events, first.fills)));
    }
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let (seconds, summary) = run(&tape)?;
        if summary.command_hash != first.command_hash {
            return Err(internal(format!("{name}: two runs differ")));
        }
        samples.push(tape.len() as f64 / seconds);
    }
    let note = format!("{events} events, {what}; {} orders, {} fills", first.orders.sent, first.fills);
    Ok(Samples::new(samples).measure(name, "events/s", &lab.machine, note))
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
