//! From a frame of market data to the order that it causes: bytes in, signed bytes out, on one thread.
//!
//! Everything in between is what a live run has: the gateway with Binance's feed and desk, the shard with kernel, a
//! strategy and every gate, the journal of inputs and commands, the desk's order and the limiter's turn. A sample begins
//! with the text of a frame, as it comes out of its WebSocket message, and ends when the signed request is handed to the
//! connection. Not in it: sockets and TLS, the hand-over between the gateway's thread and the shard's, and the wait for
//! the disk (`input_to_durable` has that); the journal hands its records to the operating system.
//!
//! The other end is Binance's twin. It lives between the samples and answers each order, so that gates, desk and budgets
//! stay as they are in a long run, and the frames are the ones it sends.

mod stage;

use crate::durable::{journal_with, work_dir};
use crate::fixture::{self, ACCOUNT, TAG};
use crate::measure::{Measure, Samples};
use crate::{Lab, Run, internal};
use ctos_driver_binance::desk_words::{BinanceDesk, BinanceDeskConfig};
use ctos_driver_binance::feed_words::BinanceFeed;
use ctos_driver_binance::limits::BinanceWords;
use ctos_driver_binance::{Credentials, Hosts, Profile};
use ctos_kernel::{Ctx, Feeds, Order, OrderChange, OrderRequest, Strategy, Tick};
use ctos_link::clock::ClockConfig;
use ctos_link::desk::{Desk, DeskConfig, Holdings};
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::{Gateway, Part};
use ctos_link::tracker::TrackerConfig;
use ctos_runtime::RunError;
use ctos_runtime::shard::{Durable, Keep, LiveParts, LiveVenue, Shard};
use ctos_storage::fs::RealFs;
use ctos_storage::journal::Durability;
use ctos_storage::snapshot::{Retention, SnapshotStore};
use ctos_types::{Instrument, InstrumentId, Instruments, Price, Qty, Side, UnixNanos};
use stage::{Stage, Venue};
use std::path::Path;
use std::sync::Arc;

pub(crate) const ALL: [(&str, Run); 1] = [("tick_to_order_bytes", tick_to_order_bytes)];

const BTC: InstrumentId = InstrumentId(0);
/// Orders before the first sample.
const WARM_UP: usize = 300;

fn tick_to_order_bytes(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let orders = if lab.quick { 20 } else { 10_000 };
    let dir = work_dir(&lab.dir)?;
    let mut stage = stage(dir.path())?;
    stage.until(WARM_UP.min(orders))?;
    let samples = stage.until(orders)?;
    let stats = &stage.shard().stats().orders;
    if stats.denied + stats.rejected > 0 || stage.shard().degraded().is_some() {
        return Err(internal(format!("{name}: {stats:?}, denied by {:?}", stage.shard().stats().denied_by)));
    }
    let samples = Samples::new(samples);
    let note =
        "one order each: the frame's text, feed, shard with journal (not synced) and all gates, strategy, desk, \
                limiter, signed request (HMAC); USD-M, best bid and ask; the venue's answers between the samples"
            .into();
    Ok(samples.measure(name, "ns", &lab.machine, note).with_percentiles(samples.percentiles()))
}

fn stage(dir: &Path) -> Result<Stage, RunError> {
    let mut venue = Venue::open()?;
    let (now, instruments) = (venue.now(), venue.instruments()?);
    let one = instruments.get(BTC);
    let trader =
        Trader { size: one.qty_down("0.01".parse().map_err(internal)?).map_err(internal)?, ..Trader::default() };
    let kernel = fixture::kernel_of(instruments.clone(), vec![Box::new(trader)]);
    let journal_dir = dir.join("journal");
    let durable = Durable {
        journal: journal_with(&journal_dir, Durability::ProcessCrash)?,
        snapshots: Keep {
            store: SnapshotStore::open(Arc::new(RealFs), &dir.join("snapshots"))?,
            journal_dir,
            retention: Retention { snapshots: 2, max_bytes: None },
            every: u64::MAX / 2,
        },
        sync: true,
    };
    let shard = Shard::new(LiveParts { kernel, venue: LiveVenue::Real, durable }, Box::new(()));
    let gateway = gateway(&venue, &instruments, now)?;
    Stage::begin(venue, gateway, shard)
}

/// Put together as a run does it: a desk for the account, a feed of everything that a run takes, one budget.
fn gateway(venue: &Venue, instruments: &Instruments, now: UnixNanos) -> Result<Gateway, RunError> {
    let profile = Profile::UsdM;
    let hosts =
        Hosts { rest: "https://twin".into(), streams: "wss://twin".into(), ws_api: "wss://twin/ws-fapi/v1".into() };
    let (key, secret) = venue.keys();
    let keys = Arc::new(Credentials::new(key, secret).map_err(internal)?);
    let mut words = BinanceWords::new();
    let base = words.base(profile.product(), &hosts.rest);
    let route = words.account("bench", profile, base, keys, Some(5_000));
    let tracker = TrackerConfig { tags: vec![TAG], ..TrackerConfig::default() };
    let desk = BinanceDesk::new(BinanceDeskConfig {
        name: "bench".into(),
        account: ACCOUNT,
        profile,
        hedge: false,
        leverage: Some(5),
        hosts: hosts.clone(),
        route,
        key_route: None,
        instruments: instruments.clone(),
        borrows: false,
        dead_man: true,
        visibility: tracker.visibility,
    });
    let config = DeskConfig { tracker, seed: 1, ..DeskConfig::default() };
    let desk: Box<dyn Part> = Box::new(Desk::new(config, desk, &Holdings::default(), now));
    let list: Vec<Instrument> = instruments.iter().cloned().collect();
    let feed = BinanceFeed::new(profile, &hosts.streams, words.public(base), &list);
    let want = Want { book: true, quotes: true, trades: true, marks: true, ..Want::default() };
    let wants = list.into_iter().map(|i| (i, want.clone())).collect();
    let feed: Box<dyn Part> = Box::new(Feed::new(feed, wants, FeedConfig { seed: 1, ..FeedConfig::default() }));
    Ok(Gateway::new(Box::new(words), vec![desk, feed], ClockConfig::default()))
}

/// Keeps one bid below the market: a quote finds none and places it, the next one cancels it, and so on.
#[derive(Default)]
struct Trader {
    size: Qty,
    order: Option<ctos_types::ClientOrderId>,
    /// A cancel is under way, or the venue has not spoken yet.
    waiting: bool,
    placed: i64,
}

/// Of the best bid, in thousandths: far enough to be reached seldom, well within the price band.
const BELOW: i64 = 5;

impl Strategy for Trader {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(BTC, Feeds::QUOTES);
    }
    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, tick: &Tick) {
        let Tick::Quote(quote) = tick else { return };
        match self.order {
            _ if self.waiting => {}
            Some(order) => self.waiting = ctx.cancel(order),
            None => {
                let tick = ctx.instrument(id).tick.0;
                // No two alike within the window of gate DUPLICATE_INTENT.
                let px = quote.bid_px.0 - quote.bid_px.0 * BELOW / 1_000 - self.placed % 16 * tick;
                self.placed += 1;
                let bid = OrderRequest::limit(id, Side::Buy, Price(px - px % tick), self.size).post_only();
                self.order = Some(ctx.place(bid));
                self.waiting = true;
            }
        }
    }
    fn on_order(&mut self, _: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        if Some(order.id()) != self.order {
            return;
        }
        if !order.is_open() {
            self.order = None;
            self.waiting = false;
        } else if change == OrderChange::Accepted {
            self.waiting = false;
        }
    }
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}
