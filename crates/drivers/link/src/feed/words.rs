//! What a venue must say for a feed: streams and where they live, what a frame means, what to ask for snapshots,
//! funding and the list of instruments.
//! Never: state of a market; time; a socket.

use super::book::{Chain, Levels};
use crate::gateway::{BaseNo, Draft};
use crate::rate::Cost;
use crate::session::{SessionConfig, Words};
use ctos_types::{
    Bar, Decimal, FundingRate, InstrumentId, Interval, MarkPrice, Price, Qty, Quote, Rules, Side, Trade, UnixNanos,
};
use std::fmt::Debug;

/// What of an instrument's market is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The whole book, kept in step.
    pub book: bool,
    /// Best bid and ask, at once.
    pub quotes: bool,
    pub trades: bool,
    /// Bars of the venue's own. Lengths that it does not have are built from trades by the kernel.
    pub bars: Vec<Interval>,
    /// Mark, index and funding; of no meaning on spot.
    pub marks: bool,
    /// Liquidations of others.
    pub liquidations: bool,
}

/// A group of streams that share an address: where it stands among the venue's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteNo(pub u16);

/// What a stream brings: decides what a hole in it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    Book,
    Quotes,
    Trades,
    Bars,
    Marks,
    Liquidations,
    /// What happens to the list of instruments.
    News,
}

/// A stream that serves a want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlan {
    /// As the venue writes it; unique.
    pub name: String,
    pub route: RouteNo,
    pub flow: Flow,
    /// `None`: of all instruments.
    pub instrument: Option<InstrumentId>,
}

/// What one frame said.
#[derive(Clone, Debug)]
pub enum Item<C: Chain> {
    /// Changed levels, in [`Talk::levels`].
    Diff {
        instrument: InstrumentId,
        diff: C::Diff,
    },
    /// A whole book, where the venue sends it over the stream; in [`Talk::levels`].
    Snapshot {
        instrument: InstrumentId,
        snapshot: C::Snapshot,
    },
    /// `update_id` orders it against the book's; 0: unordered.
    Quote {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        quote: Quote,
        update_id: u64,
    },
    /// `number` counts the trades of the stream without holes, where it has such a number. A trade that did not touch
    /// the book (`on_book`) is only counted.
    Trade {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        trade: Trade,
        number: Option<u64>,
        on_book: bool,
    },
    /// A bar that is closed.
    Bar {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        bar: Bar,
    },
    /// `ts_event` is the venue's time of sending.
    Mark {
        instrument: InstrumentId,
        ts_event: UnixNanos,
        mark: MarkPrice,
    },
    /// Marks of several, in [`Talk::marks`].
    Marks,
    Liquidation(Liquidation),
    /// The list of instruments changed: it is read again. `about`: for people.
    News {
        about: String,
    },
    /// Understood, and nothing to tell: an open bar, an answer.
    Quiet,
    /// Of an instrument that was not asked for.
    Foreign,
    /// Not understood. `instrument`: whose data it was, where that can be told.
    Bad {
        instrument: Option<InstrumentId>,
        why: String,
    },
}

/// A mark among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkNews {
    pub instrument: InstrumentId,
    pub ts_event: UnixNanos,
    pub mark: MarkPrice,
}

/// Somebody's position is closed by the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liquidation {
    pub instrument: InstrumentId,
    pub ts_event: UnixNanos,
    /// A sell closes a long.
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
}

/// The words of one socket, and what they understood last. One decoding serves the session and the feed.
pub trait Talk: Words + Debug + Send {
    type Chain: Chain;
    /// What the text that was classified last says. Taken once: the next call says [`Item::Quiet`].
    fn take(&mut self) -> Item<Self::Chain>;
    /// Levels of the diff or snapshot that was taken last.
    fn levels(&self) -> &Levels;
    fn marks(&self) -> &[MarkNews];
}

/// A REST question of the feed.
#[derive(Debug)]
pub struct Question {
    pub base: BaseNo,
    pub cost: Cost,
    pub draft: Box<dyn Draft>,
}

/// One of our instruments as the venue lists it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub instrument: InstrumentId,
    pub rules: Rules,
    /// In the venue's words, for people: `TRADING`, `SETTLING`, `not listed any more`.
    pub status: String,
}

/// What a venue must say. Answers are the bodies of replies with status 200; an error says why one is none.
pub trait FeedWords: Debug + Send {
    type Chain: Chain;
    type Talk: Talk<Chain = Self::Chain>;

    /// For notices: `binance usdm market data`.
    fn name(&self) -> &str;
    fn chain(&self) -> Self::Chain;
    /// The streams that serve these wants, each once.
    fn streams(&self, wants: &[(InstrumentId, Want)]) -> Vec<StreamPlan>;
    /// A fresh speaker for one socket.
    fn talk(&self, route: RouteNo) -> Self::Talk;
    /// `wss://host/path`.
    fn address(&self, route: RouteNo) -> String;
    fn session(&self, route: RouteNo) -> SessionConfig;
    /// Streams that one socket may have.
    fn max_streams(&self, route: RouteNo) -> usize;

    /// `None`: snapshots come over the stream.
    fn ask_snapshot(&self, instrument: InstrumentId) -> Option<Question>;
    /// Levels replace what is in `levels`.
    fn read_snapshot(
        &self,
        instrument: InstrumentId,
        body: &[u8],
        levels: &mut Levels,
    ) -> Result<<Self::Chain as Chain>::Snapshot, String>;

    /// The snapshot as a recording wants it: with whose it is.
    fn record_snapshot(&self, instrument: InstrumentId, body: &str) -> String {
        let _ = instrument;
        body.into()
    }

    /// A settlement as a recording wants it: a line that the venue's reader of recordings knows. `None`: it has none.
    fn record_funding(&self, instrument: InstrumentId, at: UnixNanos, funding: &FundingRate) -> Option<String> {
        let _ = (instrument, at, funding);
        None
    }

    /// An instrument as a recording wants it, with what the venue takes for it now: a line that the venue's reader of
    /// recordings knows. `None`: it has none.
    fn record_instrument(&self, instrument: InstrumentId, rules: &Rules) -> Option<String> {
        let _ = (instrument, rules);
        None
    }

    /// Settlements from `since` on. `None`: the venue has no funding, or tells it on the stream.
    fn ask_funding(&self, instrument: InstrumentId, since: UnixNanos) -> Option<Question>;
    /// `mark` stands in where the venue leaves the mark out.
    fn read_funding(&self, body: &[u8], mark: Decimal) -> Result<Vec<(UnixNanos, FundingRate)>, String>;

    /// The list of instruments. `None`: it never changes.
    fn ask_listing(&mut self) -> Option<Question>;
    /// One row for each of our instruments, listed or not. Of any status, since a refusal may tell something too.
    fn read_listing(&mut self, status: u16, body: &[u8]) -> Result<Vec<Listed>, String>;
}
