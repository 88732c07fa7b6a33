//! What a feed keeps of one instrument: its book's place in the chain, the last numbers of its streams, and what is to
//! be asked for.
//! Never: a copy of the book: that is the kernel's.

use super::book::{BookSync, Chain, SyncOut};
use super::words::Want;
use crate::backoff::{Backoff, BackoffConfig};
use crate::gateway::Outbox;
use ctos_types::{Event, Instrument, InstrumentId, Market, MarketData, Nanos, Quote, Rules, Symbol, Trade, UnixNanos};

/// Whether an instrument's data can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has come yet.
    New,
    /// The kernel has been told of everything so far.
    Whole,
    /// The kernel was told of a gap.
    Broken,
}

#[derive(Debug)]
pub(super) struct MarketState<C: Chain> {
    pub id: InstrumentId,
    /// For people.
    pub symbol: Symbol,
    pub want: Want,
    pub rules: Rules,
    /// Where a book is wanted.
    pub sync: Option<BookSync<C>>,
    /// While it is recorded: the book as a reader of the recording has it.
    pub shown: Option<BookSync<C>>,
    /// Of the data without a book.
    pub standing: Standing,
    /// Grows with each break: an answer to a question from before it is of no use.
    pub epoch: u32,
    /// When to ask for a snapshot; the end of time while none is needed.
    pub snapshot_at: UnixNanos,
    /// A snapshot question is under way.
    pub asking: bool,
    pub backoff: Backoff,
    /// Last number of the trades, and update id of the quotes.
    last_trade: Option<u64>,
    last_quote: u64,
    pub funding: Funding,
}

/// Where the next settlement stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Funding {
    /// The settlement that marks announce, and the last mark before it.
    pub next: Option<UnixNanos>,
    pub mark: ctos_types::Decimal,
    /// One that has happened and whose rate is to be asked for: its moment, when to ask, how often it was.
    pub due: Option<(UnixNanos, UnixNanos, u32)>,
    pub asking: bool,
}

/// What became of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeFit {
    Next,
    /// So many before it are missing.
    Hole(u64),
    Repeated,
}

/// A settlement is asked for so long after its moment: the venue needs a while to write it down.
pub(super) const FUNDING_DELAY: Nanos = Nanos::from_secs(5);

impl<C: Chain> MarketState<C> {
    pub fn new(i: &Instrument, want: Want, chain: C, backoff: BackoffConfig) -> MarketState<C> {
        let sync = want.book.then(|| BookSync::new(chain));
        MarketState {
            id: i.id,
            symbol: i.symbol.clone(),
            want,
            rules: i.rules(),
            sync,
            shown: None,
            standing: Standing::New,
            epoch: 0,
            snapshot_at: UnixNanos::MAX,
            asking: false,
            backoff: Backoff::new(backoff),
            last_trade: None,
            last_quote: 0,
            funding: Funding { next: None, mark: ctos_types::Decimal::ZERO, due: None, asking: false },
        }
    }

    /// Tells the kernel, once, that it has missed something. The book starts anew with the next diff.
    pub fn broken(&mut self, now: UnixNanos, ts_event: UnixNanos, out: &mut Outbox) {
        self.epoch += 1;
        self.snapshot_at = UnixNanos::MAX;
        (self.last_trade, self.last_quote) = (None, 0);
        let id = self.id;
        match &mut self.sync {
            Some(sync) => sync.reset(ts_event, &mut |o| emit(out, now, id, o)),
            None if self.standing == Standing::Whole => {
                self.standing = Standing::Broken;
                market(out, now, id, ts_event, MarketData::Gap);
            }
            None => {}
        }
    }

    /// What a trade's number says about those before it.
    #[inline]
    pub fn on_trade(&mut self, number: Option<u64>) -> TradeFit {
        let Some(number) = number else { return TradeFit::Next };
        let fit = match self.last_trade {
            Some(last) if number <= last => return TradeFit::Repeated,
            Some(last) if number - last > 1 => TradeFit::Hole(number - last - 1),
            _ => TradeFit::Next,
        };
        self.last_trade = Some(number);
        fit
    }

    /// Whether a quote is news: neither repeated nor overtaken.
    #[inline]
    pub fn on_quote(&mut self, update_id: u64) -> bool {
        let news = update_id == 0 || update_id > self.last_quote;
        if news {
            self.last_quote = update_id;
        }
        news
    }

    /// Something of it reached the kernel.
    #[inline]
    pub fn heard(&mut self) {
        self.standing = Standing::Whole;
    }

    /// A snapshot is needed, after `wait`. Nothing changes where one is on its way.
    pub fn need_snapshot(&mut self, now: UnixNanos, wait: Nanos) -> bool {
        if self.asking || self.snapshot_at != UnixNanos::MAX {
            return false;
        }
        self.snapshot_at = now.after(wait);
        true
    }

    /// Marks announce settlements: one that moved on has happened. True where a question is due.
    pub fn on_mark(&mut self, mark: &ctos_types::MarkPrice) -> bool {
        let f = &mut self.funding;
        let before = f.next.replace(mark.next_funding);
        let passed = before.filter(|at| *at < mark.next_funding && *at > UnixNanos(0));
        if let Some(at) = passed {
            f.due = Some((at, at.after(FUNDING_DELAY), 0));
        } else {
            // The settlement is done at the last mark before it.
            f.mark = mark.mark;
        }
        passed.is_some()
    }
}

pub(super) fn market(
    out: &mut Outbox,
    at: UnixNanos,
    instrument: InstrumentId,
    ts_event: UnixNanos,
    data: MarketData<'_>,
) {
    out.event(at, Event::Market(Market { instrument, ts_event, data }));
}

#[inline]
pub(super) fn quote(
    out: &mut Outbox,
    at: UnixNanos,
    instrument: InstrumentId,
    ts_event: UnixNanos,
    (quote, update_id): (Quote, u64),
) {
    market(out, at, instrument, ts_event, MarketData::Quote { quote, update_id });
}

#[inline]
pub(super) fn trade(out: &mut Outbox, at: UnixNanos, instrument: InstrumentId, ts_event: UnixNanos, trade: Trade) {
    market(out, at, instrument, ts_event, MarketData::Trade(trade));
}

#[inline]
pub(super) fn emit<C: Chain>(out: &mut Outbox, at: UnixNanos, instrument: InstrumentId, o: SyncOut<'_, C>) {
    let (ts_event, data) = match o {
        SyncOut::Snapshot { snapshot, levels } => (
            C::taken(&snapshot).unwrap_or(UnixNanos::MIN),
            MarketData::Depth { bids: &levels.bids, asks: &levels.asks, snapshot: true, update_id: C::id(&snapshot) },
        ),
        SyncOut::Diff { diff, levels } => (
            C::made(&diff),
            MarketData::Depth { bids: &levels.bids, asks: &levels.asks, snapshot: false, update_id: C::last(&diff) },
        ),
        SyncOut::Gap { ts_event } => (ts_event, MarketData::Gap),
    };
    market(out, at, instrument, ts_event, data);
}
