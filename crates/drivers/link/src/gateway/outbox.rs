//! What a part wants done, in order.
//! Never: does any of it.

use super::{Ask, Budget, Notice, Permit, SocketNo};
use crate::session::LinkId;
use ctos_types::{Event, EventBuf, UnixNanos};

/// What the shell does to a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketDeed {
    /// Open it at this address (`wss://host/path`).
    Connect {
        address: String,
    },
    Send(String),
    /// A WebSocket control ping.
    Ping,
    /// Close and forget: nothing more of this link is told.
    Close {
        why: &'static str,
    },
}

/// Collects deeds of one call into a part. Emptied by the frame, which keeps the storage.
#[derive(Debug, Default)]
pub struct Outbox {
    pub asks: Vec<Ask>,
    pub permits: Vec<Permit>,
    pub sockets: Vec<(SocketNo, LinkId, SocketDeed)>,
    pub notices: Vec<Notice>,
    settled: Vec<(u64, Vec<Budget>)>,
    events: Vec<(UnixNanos, Box<EventBuf>)>,
    #[expect(clippy::vec_box, reason = "an event moves between queues by its pointer")]
    spare: Vec<Box<EventBuf>>,
}

impl Outbox {
    /// An event for the kernel that reached us at `at`.
    pub fn event(&mut self, at: UnixNanos, event: Event<'_>) {
        let mut buf = self.spare.pop().unwrap_or_default();
        buf.set(event);
        self.events.push((at, buf));
    }

    /// Events in their order; give emptied buffers back with [`Outbox::reuse`].
    pub fn take_events(&mut self) -> std::vec::Drain<'_, (UnixNanos, Box<EventBuf>)> {
        self.events.drain(..)
    }

    pub fn reuse(&mut self, buf: Box<EventBuf>) {
        self.spare.push(buf);
    }

    /// The reply to what [`super::Answer::Go`] let out has come, or never will. `told`: what it said of the budgets.
    /// Without this word the frame settles it after a while by itself.
    pub fn settle(&mut self, tag: u64, told: Vec<Budget>) {
        self.settled.push((tag, told));
    }

    /// Nothing but events is in it.
    pub(super) fn is_quiet(&self) -> bool {
        self.asks.is_empty()
            && self.permits.is_empty()
            && self.sockets.is_empty()
            && self.notices.is_empty()
            && self.settled.is_empty()
    }

    pub fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    pub fn take_settled(&mut self) -> std::vec::Drain<'_, (u64, Vec<Budget>)> {
        self.settled.drain(..)
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }
}
