//! The twin of one product: market, exchange, accounts and connections behind one clock that is an argument.
//! Never: a socket, a clock. The same inputs at the same times give the same replies and frames.
//!
//! Calling contract: one input at a time (`rest`, `ws_*`, `admin`), with a time that does not go back; then `drain` all
//! frames, and `advance` again at `deadline`.

use crate::acts::Ending;
use crate::algo::Algos;
use crate::config::{Product, TwinConfig, TwinError};
use crate::conns::{Conns, Outgoing};
use crate::faults::Faults;
use crate::feed::{Fed, Feed};
use crate::limits::Limits;
use crate::number::ms;
use crate::orders::{Memory, Orders};
use crate::public::Public;
use crate::saved::{Market, Record};
use crate::symbols::{Symbols, synthetic_config};
use crate::users::Users;
use ctos_types::event::EventKind;
use ctos_types::{
    Decimal, Event, EventBuf, Instrument, InstrumentId, Instruments, L2Book, MarketData, Nanos, Rounding, UnixNanos,
};
use ctos_venue::synthetic::SyntheticConfig;
use ctos_venue::{Exchange, ExchangeConfig, MarketSource, SelfTradePrevention, SyntheticMarket};
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Publishing looks at the clock so often.
pub(crate) const TICK: Nanos = Nanos::from_millis(50);

/// The same while nobody looks.
const QUIET_TICK: Nanos = Nanos::from_secs(1);

/// The venue's server for one product, without its sockets.
#[derive(Debug)]
pub struct Twin {
    pub(crate) product: Product,
    pub(crate) now: UnixNanos,
    pub(crate) symbols: Symbols,
    pub(crate) venue: Exchange,
    pub(crate) feed: Feed,
    /// Where the synthetic market began.
    pub(crate) born: UnixNanos,
    event: EventBuf,
    pub(crate) publics: Vec<Public>,
    pub(crate) users: Users,
    pub(crate) orders: Orders,
    pub(crate) algos: Algos,
    pub(crate) limits: Limits,
    pub(crate) conns: Conns,
    pub(crate) faults: Faults,
    /// Names and keys the venue makes.
    pub(crate) rng: Xoshiro256PlusPlus,
    /// Steps of the update id, which nothing else depends on.
    pub(crate) book_rng: Xoshiro256PlusPlus,
    pub(crate) strict_params: bool,
    pub(crate) next_tick: UnixNanos,
    /// USD-M: the update id all books share.
    pub(crate) shared_id: i64,
    pub(crate) executions: i64,
    /// What the amendment under way is called when its owner is told of it.
    pub(crate) announce: Option<&'static str>,
    /// Why orders are ended right now.
    pub(crate) ending: Ending,
    /// The replacement under way is to fail half way.
    pub(crate) half: bool,
    /// What the batch in hand made due of loans.
    pub(crate) due: Vec<crate::effects::Due>,
    /// Books of symbols that do not trade, as they have become meanwhile.
    pub(crate) hidden: std::collections::BTreeMap<InstrumentId, L2Book>,
    /// Books to be shown anew.
    pub(crate) dirty: BTreeSet<InstrumentId>,
    /// History is being made: nobody looks.
    pub(crate) warming: bool,
    /// Time is gone through again: nobody looks, and books are shown when something needs them.
    pub(crate) quiet: bool,
    pub(crate) record: Option<Record>,
    /// Listen tokens of margin accounts: account and end.
    pub(crate) tokens: std::collections::BTreeMap<String, (usize, i64)>,
    /// Frames kept back by a `swap` fault, by connection.
    pub(crate) swapped: std::collections::BTreeMap<u64, String>,
    /// Candles published as open: their start, by stream.
    pub(crate) candles: std::collections::BTreeMap<String, i64>,
    /// Older shown books, for snapshots that lag: time, instrument, id, bids, asks.
    pub(crate) old_books: std::collections::VecDeque<OldBook>,
}

/// A book as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OldBook {
    pub at_ms: i64,
    pub id: InstrumentId,
    pub update_id: i64,
    pub bids: Vec<crate::public::Row>,
    pub asks: Vec<crate::public::Row>,
}

impl Twin {
    /// A twin on the synthetic market, which has been running for `history` when the doors open.
    pub fn synthetic(config: TwinConfig, market_seed: u64, history: Nanos) -> Result<Twin, TwinError> {
        let (start, from) = (config.start, UnixNanos(config.start.0 - history.0.max(0)));
        Ok(Twin::fresh(config, Market::Synthetic(market_seed), from)?.opened(start))
    }

    /// A twin on a recording, whose first event happens at the start and which begins again after its end.
    pub fn recorded(config: TwinConfig, source: Box<dyn MarketSource>) -> Result<Twin, TwinError> {
        let start = config.start;
        Ok(Twin::fresh(config, Market::Recorded(source), start)?.opened(start))
    }

    /// A twin whose market begins at `from` and has not moved yet.
    pub(crate) fn fresh(config: TwinConfig, market: Market, from: UnixNanos) -> Result<Twin, TwinError> {
        let (feed, instruments) = match market {
            Market::Synthetic(seed) => {
                let settings = SyntheticConfig { start: from, ..synthetic_config(config.product, seed) };
                let market = SyntheticMarket::new(settings)
                    .map_err(|e| TwinError::new(e.to_string(), "use a start between 1970 and 2260"))?;
                let instruments = market.instruments().clone();
                (Feed::synthetic(market), instruments)
            }
            Market::Recorded(source) => {
                let instruments = margins(source.instruments())?;
                (Feed::recorded(source, from), instruments)
            }
        };
        let product = config.product;
        let symbols = Symbols::new(product, &instruments)?;
        let users = Users::new(product, &config.accounts)?;
        let engine = ExchangeConfig {
            stp: SelfTradePrevention::CancelOldest,
            accounts: Users::engine_accounts(product, &config.accounts),
            ..ExchangeConfig::default()
        };
        let venue = Exchange::new(instruments.clone(), engine)
            .map_err(|e| TwinError::new(e.to_string(), "correct the accounts' balances"))?;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(config.seed);
        let speeds: &[i64] = if product == Product::Spot { &[100, 1_000] } else { &[100, 250, 500] };
        let mut first = |from: i64| from + (rng.next_u64() % 1_000_000_000) as i64;
        let publics = instruments.iter().map(|i| Public::new(i.id, first(1_000_000_000), speeds)).collect();
        let (shared_id, orders) = (first(5_000_000_000_000), first(10_000_000_000));
        Ok(Twin {
            product,
            now: from,
            born: from,
            symbols,
            venue,
            feed,
            event: EventBuf::default(),
            publics,
            users,
            orders: Orders::new(orders, Memory::of(product)),
            algos: Algos::new(first(3_000_000_000)),
            limits: Limits::new(product, &config.limits),
            conns: Conns::default(),
            faults: Faults::new(config.seed),
            rng,
            book_rng: Xoshiro256PlusPlus::seed_from_u64(config.seed ^ 0x0062_6f6f_6b73),
            strict_params: config.strict_params,
            next_tick: from.floor(TICK).after(TICK),
            shared_id,
            executions: 1,
            announce: None,
            ending: None,
            half: false,
            due: Vec::new(),
            hidden: Default::default(),
            dirty: BTreeSet::new(),
            warming: true,
            quiet: false,
            record: None,
            tokens: Default::default(),
            swapped: Default::default(),
            candles: Default::default(),
            old_books: Default::default(),
        })
    }

    /// The same after its history, with the doors open.
    fn opened(mut self, start: UnixNanos) -> Twin {
        self.advance(start);
        self.warming = false;
        self.next_tick = start.floor(TICK).after(TICK);
        self.dirty.extend(self.publics.iter().map(|p| p.id));
        self.settle();
        self
    }

    pub fn product(&self) -> Product {
        self.product
    }

    /// Time reached.
    pub fn now(&self) -> UnixNanos {
        self.now
    }

    pub(crate) fn now_ms(&self) -> i64 {
        ms(self.now)
    }

    /// What the venue's clock says, which a fault may have put off.
    pub(crate) fn server_ms(&self) -> i64 {
        let (now, (ppm, since)) = (self.now_ms(), self.faults.drift);
        now + self.faults.skew_ms + (now - since).saturating_mul(ppm) / 1_000_000
    }

    pub(crate) fn instrument(&self, id: InstrumentId) -> &Instrument {
        self.venue.instruments().get(id)
    }

    pub(crate) fn public(&self, id: InstrumentId) -> &Public {
        &self.publics[id.index()]
    }

    /// The mark: the feed's, else the last price.
    pub(crate) fn mark(&self, id: InstrumentId) -> Option<Decimal> {
        self.venue.mark(id)
    }

    // ---- time

    /// When something happens next by itself.
    pub fn deadline(&mut self) -> UnixNanos {
        let mut at = self.next_tick;
        for other in [self.feed.peek(), self.venue.next_deadline(), self.conns.next_due()] {
            at = other.map_or(at, |o| o.min(at));
        }
        at
    }

    /// Everything up to `now` happens, each thing at its own time.
    pub fn advance(&mut self, now: UnixNanos) {
        loop {
            let market = self.feed.peek().unwrap_or(UnixNanos::MAX);
            let engine = self.venue.next_deadline().unwrap_or(UnixNanos::MAX);
            let tick = if self.warming { UnixNanos::MAX } else { self.next_tick };
            let first = market.min(engine).min(tick);
            if first > now {
                break;
            }
            self.now = self.now.max(first);
            if market == first {
                self.on_feed();
            } else if engine == first {
                let mut batch = Vec::new();
                self.venue.on_time(self.now, &mut batch);
                self.absorb(batch, None);
                self.settle();
            } else {
                self.next_tick = first.after(if self.quiet { QUIET_TICK } else { TICK });
                self.tick();
                self.hurry();
            }
        }
        self.now = self.now.max(now);
        self.run_held();
    }

    /// While nobody looks the beat is slow, but not for what has an hour of its own.
    pub(crate) fn hurry(&mut self) {
        if self.quiet {
            self.next_tick = self.next_tick.min(self.house_due().max(self.now.floor(TICK).after(TICK)));
        }
    }

    /// Frames whose time has come.
    pub fn drain(&mut self, out: &mut Vec<Outgoing>) {
        self.conns.due(self.now, out);
    }

    fn on_feed(&mut self) {
        let mut event = std::mem::take(&mut self.event);
        if let Some((_, fed)) = self.feed.next(&mut event) {
            match fed {
                Fed::Reset(id) => self.reset_book(id),
                Fed::Event => self.on_event(&event),
            }
        }
        self.event = event;
    }

    /// The recording begins again: the book is emptied, and ids of updates start over.
    fn reset_book(&mut self, id: InstrumentId) {
        let data = MarketData::Depth { bids: &[], asks: &[], snapshot: true, update_id: 0 };
        let mut batch = Vec::new();
        for data in [MarketData::Gap, data] {
            let event = ctos_types::Market { instrument: id, ts_event: self.now, data };
            self.venue.on_market(self.now, &event, &mut batch);
        }
        self.dirty.insert(id);
        self.absorb(batch, None);
        self.settle();
    }

    fn on_event(&mut self, event: &EventBuf) {
        let Event::Market(market) = event.as_event() else { return };
        if self.withheld(&market) {
            return;
        }
        let (id, now) = (market.instrument, self.now_ms());
        let mut batch = Vec::new();
        self.venue.on_market(self.now, &market, &mut batch);
        let mut tape = None;
        match &event.kind {
            EventKind::Trade { trade, .. } => tape = Some((id, *trade)),
            EventKind::Mark { mark, .. } => self.publics[id.index()].mark = Some(*mark),
            EventKind::Funding { funding, .. } => self.publics[id.index()].funded(now, funding.rate, funding.mark),
            _ => {}
        }
        self.dirty.insert(id);
        self.absorb(batch, tape);
        if self.symbols.of(id).may_trade() {
            self.watch_algos(id);
        }
        self.settle();
    }

    /// Shows the books that changed, publishes what is published at once.
    pub(crate) fn settle(&mut self) {
        if self.warming {
            self.dirty.clear();
            return;
        }
        if !self.quiet {
            self.show_dirty();
        }
    }

    pub(crate) fn show_dirty(&mut self) {
        while let Some(id) = self.dirty.pop_first() {
            self.show_book(id);
        }
    }

    fn show_book(&mut self, id: InstrumentId) {
        let own: Vec<_> = self
            .orders
            .open
            .iter()
            .map(|n| &self.orders.list[*n])
            .filter(|o| o.instrument == id && o.working_ms >= 0 && o.price.0 > 0)
            .map(|o| (o.side, o.price.0, o.qty.0 - o.cum.0))
            .collect();
        let (now, spot) = (self.now_ms(), self.product == Product::Spot);
        let (shared, rng) = (&mut self.shared_id, &mut self.book_rng);
        let next = |last: i64| {
            if spot {
                return last + 1;
            }
            // One counter for all books of USD-M, and others count too.
            *shared += 1 + (rng.next_u64() % 40) as i64;
            *shared
        };
        let before = self.publics[id.index()].update_id;
        let best = self.publics[id.index()].show(self.venue.book(id), &own, now, next);
        let public = &self.publics[id.index()];
        if self.faults.snapshot_age_ms > 0 && public.update_id != before {
            let (bids, asks, update_id) = (public.bids.clone(), public.asks.clone(), public.update_id);
            self.old_books.push_back(OldBook { at_ms: now, id, update_id, bids, asks });
            let horizon = now - 10 * self.faults.snapshot_age_ms.max(1_000);
            while self.old_books.front().is_some_and(|b| b.at_ms < horizon) {
                self.old_books.pop_front();
            }
        }
        if best {
            self.publish_best(id);
        }
    }

    /// Update ids go on so much later.
    pub(crate) fn skip_ids(&mut self, by: i64) {
        self.shared_id += by;
        if self.product == Product::Spot {
            self.publics.iter_mut().for_each(|p| p.update_id += by);
        }
    }

    pub(crate) fn is_warming(&self) -> bool {
        self.warming
    }

    pub(crate) fn next_execution(&mut self) -> i64 {
        self.executions += 1;
        self.executions
    }
}

/// A recording's contracts with the margins of the twin's own.
fn margins(list: &Instruments) -> Result<Instruments, TwinError> {
    let (m, p) = crate::symbols::MAINTENANCE;
    let initial = Decimal::ONE.mul_ratio(1, crate::symbols::MAX_LEVERAGE, Rounding::Up).unwrap_or(Decimal::ONE);
    let changed = list.iter().map(|i| {
        if i.is_spot() {
            return i.clone();
        }
        Instrument { initial_margin: initial, maintenance_margin: Decimal::new(m, p), ..i.clone() }
    });
    Instruments::new(changed.collect()).map_err(|e| TwinError::new(e.to_string(), "record it again"))
}
