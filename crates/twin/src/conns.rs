//! WebSocket connections: who listens to what, pings and lives, and what waits to be sent.
//! Never: a socket, or what a payload says.

use crate::faults::Fault;
use crate::rest::to_micros;
use crate::streams::{Route, Stream};
use crate::wire::{ConnId, Frame};
use ctos_types::{Nanos, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A session of the WebSocket API.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiSession {
    /// API key and time of the logon.
    pub logon: Option<(String, i64)>,
    /// User data: subscription id, account, and whether it came with the logon.
    pub subscriptions: Vec<(u32, usize, bool)>,
    pub next_subscription: u32,
    pub hide_limits: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Streams; on USD-M also user data: accounts with the event names wanted (empty: all) and the listen key.
    Streams(Vec<(usize, Vec<String>, String)>),
    /// Boxed: few connections are one.
    Api(Box<ApiSession>),
}

#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub kind: Kind,
    pub ip: IpAddr,
    pub route: Route,
    /// Payloads come in an envelope with the stream's name.
    pub combined: bool,
    pub streams: BTreeSet<String>,
    pub micros: bool,
    pub opened_ms: i64,
    pub next_ping_ms: i64,
    /// When the oldest ping without an answer was sent.
    pub unanswered_ms: Option<i64>,
    /// Second and messages of the client in it.
    pub messages: (i64, u32),
}

/// Something on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub conn: ConnId,
    pub frame: Frame,
}

/// All connections, and the frames that wait for their time.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    pub map: BTreeMap<ConnId, Conn>,
    /// Connections by stream name, with what the name means.
    subs: BTreeMap<String, (Stream, BTreeSet<ConnId>)>,
    waiting: BTreeMap<(UnixNanos, u64), Outgoing>,
    /// Messages of clients that are executed later, and how.
    held: BTreeMap<(UnixNanos, u64), (ConnId, String, Fault)>,
    sent: u64,
    /// Frames of a connection never overtake each other: when its last one leaves.
    last_due: BTreeMap<ConnId, UnixNanos>,
}

impl Conns {
    pub fn open(&mut self, id: ConnId, conn: Conn) {
        self.map.insert(id, conn);
    }

    pub fn close(&mut self, id: ConnId) {
        self.map.remove(&id);
        self.last_due.remove(&id);
        self.subs.retain(|_, (_, conns)| {
            conns.remove(&id);
            !conns.is_empty()
        });
        self.waiting.retain(|_, o| o.conn != id);
        self.held.retain(|_, (conn, ..)| *conn != id);
    }

    pub fn subscribe(&mut self, id: ConnId, name: &str, stream: Option<Stream>) {
        let Some(conn) = self.map.get_mut(&id) else { return };
        conn.streams.insert(name.into());
        // A stream of another route is accepted and stays silent.
        let heard = stream.filter(|s| conn.route == Route::Any || s.route() == conn.route);
        if let Some(stream) = heard {
            self.subs.entry(name.into()).or_insert((stream, BTreeSet::new())).1.insert(id);
        }
    }

    pub fn unsubscribe(&mut self, id: ConnId, name: &str) {
        if let Some(conn) = self.map.get_mut(&id) {
            conn.streams.remove(name);
        }
        if let Some((_, conns)) = self.subs.get_mut(name) {
            conns.remove(&id);
            if conns.is_empty() {
                self.subs.remove(name);
            }
        }
    }

    pub fn has_subscribers(&self) -> bool {
        !self.subs.is_empty()
    }

    /// Names and meanings of everything somebody listens to.
    pub fn topics(&self) -> Vec<(String, Stream)> {
        self.subs.iter().map(|(name, (stream, _))| (name.clone(), *stream)).collect()
    }

    pub fn hears(&self, name: &str) -> bool {
        self.subs.contains_key(name)
    }

    /// Who gets a payload of a stream, and how it looks for each.
    pub fn addressed(&self, name: &str, payload: &str) -> Vec<(ConnId, String)> {
        let Some((_, conns)) = self.subs.get(name) else { return Vec::new() };
        let frame = |id: &ConnId| {
            let combined = self.map.get(id).is_some_and(|c| c.combined);
            let text = if combined { envelope(name, payload) } else { payload.to_string() };
            (*id, text)
        };
        conns.iter().map(frame).collect()
    }

    // ---- what leaves

    /// Queues a frame; `later` may let others pass it.
    pub fn send(&mut self, now: UnixNanos, id: ConnId, frame: Frame, later: Nanos) {
        let Some(conn) = self.map.get(&id) else { return };
        let frame = match frame {
            Frame::Text(text) if conn.micros => Frame::Text(to_micros(&text)),
            other => other,
        };
        let mut due = now + later;
        if later == Nanos::ZERO {
            let last = self.last_due.entry(id).or_insert(due);
            *last = (*last).max(due);
            due = *last;
        }
        self.sent += 1;
        self.waiting.insert((due, self.sent), Outgoing { conn: id, frame });
    }

    /// What leaves by now, in order.
    pub fn due(&mut self, now: UnixNanos, out: &mut Vec<Outgoing>) {
        while let Some(first) = self.waiting.first_entry().filter(|e| e.key().0 <= now) {
            out.push(first.remove());
        }
    }

    pub fn next_due(&self) -> Option<UnixNanos> {
        let waiting = self.waiting.first_key_value().map(|((at, _), _)| *at);
        waiting.into_iter().chain(self.held.first_key_value().map(|((at, _), _)| *at)).min()
    }

    /// Keeps a client's message for later.
    pub fn hold(&mut self, until: UnixNanos, id: ConnId, text: &str, fault: Fault) {
        self.sent += 1;
        self.held.insert((until, self.sent), (id, text.into(), fault));
    }

    /// The next message whose time has come.
    pub fn take_held(&mut self, now: UnixNanos) -> Option<(ConnId, String, Fault)> {
        Some(self.held.first_entry().filter(|e| e.key().0 <= now)?.remove())
    }
}

pub(crate) fn envelope(name: &str, payload: &str) -> String {
    format!("{{\"stream\":{},\"data\":{payload}}}", crate::json::text(name))
}
