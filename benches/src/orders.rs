//! Orders a second all the way round: strategy, gates, journal with group commit, paper venue, and back until closed.
//!
//! A strategy answers each trade with a burst of orders: fifteen in sixteen trade at once, the rest waits
//! and is cancelled by the next burst; one burst buys, the next sells. The shard makes a whole burst durable with one sync before the
//! venue sees any of it; accepts, fills, cancels and balances come back as journaled inputs. Every gate is on.

use crate::durable::{journal, work_dir};
use crate::fixture::{self, ACCOUNT, BTC};
use crate::machine;
use crate::measure::{Measure, Samples};
use crate::{Lab, internal};
use ctos_driver_paper::{Latencies, PaperDriver};
use ctos_kernel::{Ctx, Feeds, OrderRequest, Strategy, Tick};
use ctos_runtime::RunError;
use ctos_runtime::shard::{Durable, Keep, Parts, Shard};
use ctos_storage::fs::RealFs;
use ctos_storage::snapshot::{Retention, SnapshotStore};
use ctos_types::event::EventKind;
use ctos_types::{
    ClientOrderId, EventBuf, InstrumentId, Instruments, Level, Nanos, Price, Qty, Side, Trade, UnixNanos,
};
use ctos_venue::{AccountConfig, Exchange, ExchangeConfig, Latency, LatencyModel, MarketSource, SourceTimes};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Orders to one sync.
const BURST: i64 = 4096;
/// One in so many orders rests: 256 at a time, about what a busy account has open.
const RESTING: i64 = 16;
const START: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const SECOND: Nanos = Nanos::from_secs(1);
const BID: i64 = 600_000;
const ASK: i64 = 600_001;

pub fn round_trips(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (warm_up, rounds) = if lab.quick { (1, 2) } else { (10, 100) };
    let dir = work_dir(&lab.dir)?;
    let mut shard = shard(dir.path())?;
    let mut rates = Vec::new();
    for n in 0..warm_up + rounds {
        let closed = closed(&shard);
        let begun = Instant::now();
        second(&mut shard, n)?;
        let took = begun.elapsed().as_secs_f64();
        if n >= warm_up {
            rates.push((self::closed(&shard) - closed) as f64 / took);
        }
    }
    verify(name, &shard, (warm_up + rounds) as u64)?;
    let samples = Samples::new(rates);
    let note = format!(
        "bursts of {BURST} orders to one fdatasync, all gates on, placed until filled or cancelled; on {}",
        machine::file_system(&lab.dir)
    );
    Ok(samples.measure(name, "orders/s", &lab.machine, note))
}

/// The n-th second of market time: a refreshed book, a trade, the burst, and all it causes.
fn second(shard: &mut Shard, n: i64) -> Result<(), RunError> {
    let until = START.after(Nanos(SECOND.0 * n + SECOND.0 / 2));
    while shard.advance(until).map_err(internal)? {}
    Ok(())
}

fn closed(shard: &Shard) -> u64 {
    let orders = &shard.stats().orders;
    orders.filled + orders.canceled
}

/// The rate means nothing unless every order went all the way.
fn verify(name: &str, shard: &Shard, bursts: u64) -> Result<(), RunError> {
    let orders = &shard.stats().orders;
    let sent = bursts * BURST as u64;
    let resting = (BURST / RESTING) as u64;
    let as_built = orders.sent == sent
        && orders.accepted == sent
        && orders.filled == sent - bursts * resting
        && orders.canceled == (bursts - 1) * resting;
    if as_built && shard.degraded().is_none() {
        return Ok(());
    }
    Err(internal(format!("{name}: of {sent} orders, {orders:?}; denied by {:?}", shard.stats().denied_by)))
}

fn shard(dir: &Path) -> Result<Shard, RunError> {
    let journal_dir = dir.join("journal");
    let exchange = ExchangeConfig {
        accounts: vec![AccountConfig {
            leverage: ctos_types::Decimal::from_int(5),
            ..AccountConfig::cash(ACCOUNT, vec![(fixture::usdt(), fixture::money())])
        }],
        ..ExchangeConfig::default()
    };
    let exchange = Exchange::new(fixture::instruments(), exchange).map_err(internal)?;
    let at_once = || Latency::new(LatencyModel::Constant(Nanos::ZERO), 1).map_err(internal);
    let latencies = Latencies { feed: at_once()?, entry: at_once()?, response: at_once()? };
    let source = Pulse { instruments: fixture::instruments(), next: 0 };
    let parts = Parts {
        kernel: fixture::kernel(vec![Box::new(Burst::default())]),
        driver: PaperDriver::new(Box::new(source), exchange, vec![ACCOUNT], latencies),
        durable: Some(Durable {
            journal: journal(&journal_dir)?,
            snapshots: Keep {
                store: SnapshotStore::open(Arc::new(RealFs), &dir.join("snapshots"))?,
                journal_dir,
                retention: Retention { snapshots: 2, max_bytes: None },
                every: u64::MAX / 2,
            },
            sync: true,
        }),
    };
    Shard::begin(parts, START, &[fixture::opening_balance()], Box::new(())).map_err(internal)
}

/// A market that refreshes its book and trades once, every second.
struct Pulse {
    instruments: Instruments,
    next: i64,
}

impl Pulse {
    fn time(&self) -> UnixNanos {
        START.after(Nanos(SECOND.0 * (self.next / 2)))
    }
}

impl MarketSource for Pulse {
    fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    fn peek(&mut self) -> Option<UnixNanos> {
        Some(self.time())
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        let ts_event = self.time();
        out.levels.clear();
        out.kind = if self.next % 2 == 0 {
            let side = |best: i64, sign: i64| {
                (0..20).map(move |k| Level { price: Price(best + sign * k), qty: Qty(100_000_000) })
            };
            out.levels.extend(side(BID, -1).chain(side(ASK, 1)));
            EventKind::Depth { instrument: BTC, ts_event, bids: 20, snapshot: true, update_id: 0 }
        } else {
            let trade = Trade { price: Price(ASK), qty: Qty(1), aggressor: Side::Buy, id: self.next as u64 };
            EventKind::Trade { instrument: BTC, ts_event, trade }
        };
        self.next += 1;
        Some(SourceTimes { venue: ts_event, recv: ts_event })
    }

    fn digest(&self) -> [u8; 32] {
        [0; 32]
    }

    fn save(&self) -> serde_json::Value {
        self.next.into()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        self.next = state.as_i64().ok_or("not a number")?;
        Ok(())
    }
}

/// Sends a burst at each trade.
#[derive(Default)]
struct Burst {
    resting: Vec<ClientOrderId>,
    /// Bursts take sides in turn: the gates refuse an order that could meet an open one of the same account.
    sells: bool,
}

impl Strategy for Burst {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(BTC, Feeds::TRADES);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, _: &Tick) {
        let old = std::mem::take(&mut self.resting);
        for order in old {
            ctx.cancel(order);
        }
        let side = if self.sells { Side::Sell } else { Side::Buy };
        self.sells = !self.sells;
        let away = |ticks: i64| if side == Side::Buy { Price(BID - ticks) } else { Price(ASK + ticks) };
        let across = |ticks: i64| if side == Side::Buy { Price(ASK + ticks) } else { Price(BID - ticks) };
        for k in 0..BURST {
            // No two are alike, or the gate against doubled intents would refuse the second.
            let (size, ticks) = (Qty(1 + k / 32), k % 32);
            if k % RESTING == 0 {
                self.resting.push(ctx.place(OrderRequest::limit(id, side, away(50 + ticks), size)));
            } else {
                ctx.place(OrderRequest::limit(id, side, across(ticks), size));
            }
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}
