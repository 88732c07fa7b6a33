//! The life of a WebSocket link as a state machine: text in, actions out, time as an argument. Calling contract: one
//! input, pass the frame on where it says [`Forward::Yes`], carry out all actions, sleep until [`Session::deadline`].
//! Never: a socket, a task, a clock, or a venue's word: those a driver gives through [`Words`].

mod core;
mod handover;
mod link;

pub use self::core::Session;

use crate::backoff::BackoffConfig;
use crate::staleness::Expect;
use ctos_types::{Nanos, UnixNanos};

/// One connection of a session. A session has more than one only while it changes over. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A message to the venue and what it answers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub text: String,
    /// Comes back in [`Class::Reply`]. Must differ from every other of this link.
    pub id: u64,
    /// How many replies the venue sends: one for all streams, or one for each. 0: it never answers.
    pub acks: u32,
}

/// What the venue says no with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The venue's own code, as text.
    pub code: String,
    pub text: String,
    /// Trying again cannot help (key, permission): the session stops and says so.
    pub fatal: bool,
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class<'a> {
    /// Life on a stream. `seq` grows from frame to frame where the stream has such a number: it tells which of two
    /// frames is the repetition while links change over.
    Data { stream: &'a str, seq: Option<u64> },
    /// The answer to a [`Message`], about one stream of it where the venue answers one by one.
    Reply { id: u64, stream: Option<&'a str>, result: Result<(), Refusal> },
    /// The answer to a ping that is a text on this venue.
    Pong,
    /// A ping that is a text and wants this answer.
    Ping { answer: String },
    /// The venue is about to close this link: a replacement is opened at once.
    Closing,
    /// What the link was opened with has run out (a listen key): nothing more will come.
    Expired,
    /// Anything else that the owner may want: answers to its own requests.
    Other,
}

/// A venue's part in a session: what to say and how to read. Pure; time is the venue's, as far as it is known.
pub trait Words {
    /// What logs in after the link is open. `None`: nothing is needed.
    fn login(&mut self, at: UnixNanos) -> Option<Message>;
    /// At most `max_batch` streams in one message.
    fn subscribe(&mut self, streams: &[&str], at: UnixNanos) -> Message;
    fn unsubscribe(&mut self, streams: &[&str], at: UnixNanos) -> Message;
    /// The venue's text ping. `None`: a WebSocket control ping is sent.
    fn ping(&mut self, at: UnixNanos) -> Option<String>;
    fn classify<'a>(&mut self, text: &'a str) -> Class<'a>;
    /// How long `stream` may be silent. `None`: silence says nothing (private streams).
    fn expect(&self, stream: &str) -> Option<Expect>;
}

/// Credentials that a link was opened with and that must be renewed while it lives (a listen key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renew {
    pub every: Nanos,
    /// Without a renewal for this long they count as expired.
    pub within: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// From the decision to connect to an open link, whatever has to be fetched before included.
    pub connect_within: Nanos,
    pub login_within: Nanos,
    /// For each reply to a subscription.
    pub ack_within: Nanos,
    /// Subscriptions without a reply that are repeated before the link is given up.
    pub ack_misses: u32,
    /// Streams in one message.
    pub max_batch: usize,
    /// Messages in `per`, pings and pongs counted. The last one is kept for pongs.
    pub max_messages: u32,
    pub per: Nanos,
    /// Without a frame for this long, ping. `None`: the venue pings.
    pub ping_after: Option<Nanos>,
    pub pong_within: Nanos,
    /// Without any frame at all, pings included, for this long, the link is dead.
    pub dead_after: Nanos,
    /// Age at which a link is replaced before the venue closes it.
    pub rotate_after: Option<Nanos>,
    /// How long the replaced link stays open after the new one is ready.
    pub overlap: Nanos,
    pub renew: Option<Renew>,
    /// The owner must confirm with [`Session::on_resynced`] that it has caught up before the session is live.
    pub resync_within: Option<Nanos>,
    pub backoff: BackoffConfig,
    /// Requests of the owner that may wait for room.
    pub max_requests: usize,
}

impl Default for SessionConfig {
    fn default() -> SessionConfig {
        SessionConfig {
            connect_within: Nanos::from_secs(15),
            login_within: Nanos::from_secs(10),
            ack_within: Nanos::from_secs(10),
            ack_misses: 2,
            max_batch: 100,
            max_messages: 5,
            per: Nanos::from_secs(1),
            ping_after: None,
            pong_within: Nanos::from_secs(10),
            dead_after: Nanos::from_secs(60),
            rotate_after: Some(Nanos::from_secs(23 * 3600)),
            overlap: Nanos::from_secs(5),
            renew: None,
            resync_within: None,
            backoff: BackoffConfig::default(),
            max_requests: 256,
        }
    }
}

/// What the shell does next, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a link; then [`Session::on_connected`] or [`Session::on_closed`].
    Connect(LinkId),
    Send(LinkId, String),
    /// A WebSocket control ping.
    Ping(LinkId),
    /// Close and forget: nothing more of this link is listened to.
    Close(LinkId, &'static str),
    /// Renew what the link was opened with; then [`Session::on_renewed`].
    Renew(LinkId),
    /// A frame that was held back while links changed over: the owner wants it.
    Frame(String),
    Emit(SessionEvent),
}

/// What the session tells its owner. Facts, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// From `since` on frames may be missing: of one stream, or of all. Told at once, not when it is over.
    Gap { stream: Option<String>, since: UnixNanos, why: String },
    /// Data flows again on this stream: a book needs a snapshot.
    Restored { stream: String },
    /// All subscriptions stand; catch up (orders, fills, positions) with what happened since `since`, then call
    /// [`Session::on_resynced`]. `None`: the first time.
    Resync { since: Option<UnixNanos> },
    /// Everything is as it should be.
    Live,
    /// A replacement took over without a gap.
    Rotated { why: &'static str },
    /// The venue does not offer this stream. It is not asked for again until it is subscribed again.
    StreamRefused { stream: String, code: String, text: String },
    /// The next try to connect, and why the last link ended.
    Retrying { at: UnixNanos, failures: u32, why: String },
    /// The venue refused the login for good: a person must act. The session does nothing more until it is started.
    LoginRefused { code: String, text: String },
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The owner wants it.
    Yes,
    /// It was the session's own business, or a repetition.
    No,
}

/// How a renewal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    Done,
    /// No answer, or one that decides nothing: tried again soon.
    Failed,
    /// The venue no longer knows what was to be renewed.
    Gone,
}

/// A request of the owner that was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    #[error("the link is down")]
    Down,
    #[error("too many messages wait for the link")]
    Crowded,
}

#[cfg(test)]
mod sim;
#[cfg(test)]
pub(crate) mod tests;
