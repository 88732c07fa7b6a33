//! One venue for one instance: its parts (feeds of market data, desks of accounts) around one clock and one rate
//! budget, as a machine without sockets. A shell opens the sockets, sends the bytes and tells what came.
//!
//! ```text
//!  command ─► Desk ─┐                        ┌─► HTTP request ─► shell ─► venue
//!  socket  ─► Feed ─┼─► Outbox ─► limiter ───┤
//!  answer  ─► ...  ─┘      │                 └─► socket deed
//!                          └─► events for the kernel, notices for people
//! ```
//! Never: a socket, a clock, or a venue's word: time is an argument, words are the parts' and [`VenueWords`]'s.

mod deeds;
mod entry;
mod frame;
mod outbox;
mod requests;
pub mod shell;

pub use deeds::{Deeds, GuestNo, Outgoing, SocketKey};
pub use entry::{ENTRY, EntryFrame, EntryStatus};
pub use frame::{ClockState, Gateway, NO_ACCOUNT, refusal};
pub use outbox::{Outbox, SocketDeed};

use crate::http::HttpRequest;
use crate::rate::{Cost, GroupId, Lane, LimiterConfig, MeterId, MeterSpec};
use crate::session::LinkId;
use ctos_types::{AccountId, Command, InstrumentId, Nanos, UnixNanos};
use std::fmt::Debug;

/// A socket of one part: a part numbers its own from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketNo(pub u16);

/// A base address of REST requests: where it stands in [`VenueWords::bases`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseNo(pub u16);

/// A request before its moment: it is written, and signed, when the budget lets it go, because a time stamp ages.
pub trait Draft: Debug + Send {
    /// The bytes to send. `stamp`: the venue's time as well as it is known.
    ///
    /// # Errors
    /// Why it cannot be written (no key): nothing is sent.
    fn write(&self, stamp: UnixNanos) -> Result<HttpRequest, String>;
    /// Whether it holds the stamp: then it waits until the venue's clock is known.
    fn needs_clock(&self) -> bool {
        true
    }
    /// Whether [`Draft::write_message`] gives a message.
    fn has_message(&self) -> bool {
        false
    }
    /// The same request as a message for the order-entry socket of its base (see [`VenueWords::entries`]), where the
    /// venue takes it there. `id` comes back with the reply.
    ///
    /// # Errors
    /// As [`Draft::write`].
    fn write_message(&self, stamp: UnixNanos, id: u64) -> Option<Result<String, String>> {
        let _ = (stamp, id);
        None
    }
}

/// A request that a part wants sent once.
#[derive(Debug)]
pub struct Ask {
    /// Comes back with the answer. The part's own; it must not reuse one that is under way.
    pub tag: u64,
    pub lane: Lane,
    pub cost: Cost,
    /// How long it may wait for room; then it is [`Answer::NotSent`].
    pub within: Nanos,
    pub base: BaseNo,
    pub draft: Box<dyn Draft>,
}

/// A message that a part will send over a socket of its own, and that the venue counts like a request. It is told
/// [`Answer::Go`] and sends at once, or [`Answer::NotSent`]; after the reply it says [`Outbox::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// As in [`Ask`], and of the same numbers.
    pub tag: u64,
    pub lane: Lane,
    pub cost: Cost,
    pub within: Nanos,
}

/// How a request ended. Exactly one for each [`Ask`] and each [`Permit`].
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// The venue answered, with whatever status. `sent` and `received` are on our clock.
    Http { status: u16, headers: &'a [(String, String)], body: &'a [u8], sent: UnixNanos, received: UnixNanos },
    /// To a [`Permit`] only: send now. `stamp`: the venue's time as well as it is known.
    Go { stamp: UnixNanos },
    /// No byte left this process: no room in the budget (`retry_after`), closed by a ban, no connection.
    NotSent { why: String, retry_after: Option<Nanos> },
    /// Bytes left, no whole answer came.
    Unknown { why: String },
}

/// What happened on a socket.
#[derive(Clone, Debug)]
pub enum SocketNews<'a> {
    Opened,
    Closed {
        why: &'a str,
    },
    Text(&'a str),
    /// A control ping came; it was answered.
    Ping,
    Pong,
}

/// A feed or a desk. Sans-IO: every call may put deeds into the outbox; then [`Part::deadline`] is asked.
pub trait Part: Debug + Send {
    /// The first call: connect, ask for what is needed.
    fn start(&mut self, now: UnixNanos, out: &mut Outbox);
    /// A command of the kernel for one of [`Part::accounts`], whose intent is durable.
    fn on_command(&mut self, now: UnixNanos, command: &Command, out: &mut Outbox);
    fn on_answer(&mut self, now: UnixNanos, tag: u64, answer: &Answer<'_>, out: &mut Outbox);
    fn on_socket(&mut self, now: UnixNanos, socket: SocketNo, link: LinkId, news: &SocketNews<'_>, out: &mut Outbox);
    /// Nothing is due before; the end of time where nothing ever is.
    fn deadline(&self) -> (UnixNanos, &'static str);
    fn on_deadline(&mut self, now: UnixNanos, out: &mut Outbox);
    /// Venue time minus ours, whenever it is measured anew.
    fn set_clock(&mut self, now: UnixNanos, offset: Nanos);
    /// Accounts whose commands it takes. Empty: a feed.
    fn accounts(&self) -> &[AccountId];
    /// Market data of `instrument` was lost on the way to the kernel, which did not take it fast enough and was told of
    /// a gap: tell it anew what it needs, from what is known (a whole book).
    fn resend(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        let _ = (now, instrument, out);
    }
    /// For people: `ctos status`, logs.
    fn status(&self, now: UnixNanos) -> PartStatus {
        let _ = now;
        PartStatus::default()
    }
    /// The end: leave quietly. What must reach the venue goes out before the sockets close.
    fn stop(&mut self, now: UnixNanos, out: &mut Outbox);
}

/// How a part is, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartStatus {
    /// `market data`, or the account's name in settings.
    pub name: String,
    /// Everything is as it should be: books in step, account known.
    pub live: bool,
    /// What is not resolved, a line each: orders without a verdict, books out of step, differences.
    pub doubts: Vec<String>,
}

/// What an answer tells of the venue's budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// The venue's own count of a meter over its window. Of a meter that the request did not touch it is ignored.
    Used { meter: MeterId, period: Nanos, total: u64 },
    /// What the venue allows within a window of this period, from now on.
    Limit { meter: MeterId, period: Nanos, limit: u32 },
    /// Refused for want of room (429).
    Limited { meter: MeterId, retry_after: Option<Nanos> },
    /// Nothing of the group may leave (418). `until`: on the venue's clock, for where it names no span.
    Banned { group: GroupId, retry_after: Option<Nanos>, until: Option<UnixNanos> },
    /// A stamp was refused: the venue's clock is looked at again at once.
    Clock,
}

/// What the frame itself must be able to say and read in a venue's words.
pub trait VenueWords: Debug + Send {
    /// Groups and meters of the venue, in the order of their numbers. A group's name outlives the process: a ban is
    /// remembered by it.
    fn limiter(&self) -> (LimiterConfig, Vec<String>, Vec<MeterSpec>);
    /// Base addresses of REST requests.
    fn bases(&self) -> Vec<String>;
    /// What an answer says of the budgets, whatever was asked. `cost`: what the request was counted as.
    fn budgets(&self, base: BaseNo, cost: &Cost, answer: &Answer<'_>, out: &mut Vec<Budget>);
    /// The question for the venue's time, and what it costs. `turn` grows with each question: where there are several
    /// places to ask, they take turns.
    fn ask_time(&self, turn: u32) -> (BaseNo, Cost, Box<dyn Draft>);
    fn read_time(&self, body: &[u8]) -> Option<UnixNanos>;
    /// What opening a socket at this address counts as.
    fn connect_cost(&self, address: &str) -> Cost {
        let _ = address;
        Cost::none()
    }
    /// Order-entry sockets: bases of which requests may also go as messages, and where. At most one for each base.
    fn entries(&self) -> Vec<(BaseNo, String)> {
        Vec::new()
    }
    /// What a frame of the order-entry socket of `base` is.
    fn read_entry<'a>(&self, base: BaseNo, text: &'a str) -> EntryFrame<'a> {
        let _ = (base, text);
        EntryFrame::Other
    }
}

/// What a person, a log or an alert should hear of. What the kernel must know is an event, not a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Info(String),
    Warning(String),
    /// A person should act. `hint`: what to do.
    Alarm {
        what: String,
        hint: String,
    },
}
