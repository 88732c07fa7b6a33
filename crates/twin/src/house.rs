//! What time does to connections and accounts: pings, ends of lives, expired keys, dead-man switches.
//! Never: a clock; the beat calls with the time.

use crate::config::Product;
use crate::conns::Kind;
use crate::json::Obj;
use crate::publish::notice;
use crate::twin::Twin;
use crate::wire::{ConnId, Frame};
use ctos_types::{InstrumentId, Nanos};

impl Twin {
    /// Milliseconds between pings, and to the end of patience with a missing pong.
    pub(crate) fn ping_times(&self) -> (i64, i64) {
        match self.product {
            Product::Spot => (20_000, 60_000),
            Product::UsdM => (180_000, 600_000),
        }
    }

    pub(crate) fn keep_house(&mut self, now: i64) {
        self.do_later(now);
        self.charge_loans(now);
        self.keep_connections(now);
        self.end_tokens(now);
        for user in 0..self.users.list.len() {
            if let Some(key) = self.users.list[user].listen_key.take_if(|k| k.expires_ms <= now) {
                self.tell_expired(user, &key.text);
            }
            let due: Vec<InstrumentId> =
                self.users.list[user].countdown.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
            for id in due {
                self.users.list[user].countdown.remove(&id);
                self.cancel_everything(user, id);
            }
        }
        self.settle();
    }

    /// A listen token that ran out takes its subscriptions along.
    fn end_tokens(&mut self, now: i64) {
        let over: Vec<usize> = self.tokens.values().filter(|(_, at)| *at <= now).map(|(user, _)| *user).collect();
        if over.is_empty() {
            return;
        }
        self.tokens.retain(|_, (_, at)| *at > now);
        let event = Obj::new().str("e", "eventStreamTerminated").int("E", self.server_ms()).done();
        for user in over.into_iter().filter(|u| !self.tokens.values().any(|(v, _)| v == u)).collect::<Vec<_>>() {
            self.tell(user, "eventStreamTerminated", &event);
            for c in self.conns.map.values_mut() {
                if let Kind::Api(session) = &mut c.kind {
                    session.subscriptions.retain(|(_, u, _)| *u != user);
                }
            }
        }
    }

    fn keep_connections(&mut self, now: i64) {
        let (every, patience) = self.ping_times();
        let life = self.faults.life_ms;
        let mut pings = Vec::new();
        let mut ends = Vec::new();
        for (id, c) in &mut self.conns.map {
            if now - c.opened_ms >= life {
                ends.push((*id, Frame::Close(1008, "Connection lifetime of 24 hours reached".into())));
            } else if c.unanswered_ms.is_some_and(|at| now - at >= patience) {
                ends.push((*id, Frame::Close(1008, "Pong timeout".into())));
            } else if now >= c.next_ping_ms {
                c.next_ping_ms = now + every;
                c.unanswered_ms.get_or_insert(now);
                pings.push((*id, Frame::Ping(now.to_string())));
            }
        }
        for (id, frame) in pings.into_iter().chain(ends) {
            self.end_or_send(id, frame);
        }
    }

    /// Queues a frame; one that ends the connection is the last.
    pub(crate) fn end_or_send(&mut self, id: ConnId, frame: Frame) {
        let last = matches!(frame, Frame::Close(..) | Frame::Cut | Frame::Half(_));
        self.conns.send(self.now, id, frame, Nanos::ZERO);
        if last {
            // Frames that are queued still leave; nothing new is addressed to it.
            if let Some(c) = self.conns.map.get_mut(&id) {
                (c.opened_ms, c.next_ping_ms, c.unanswered_ms) = (i64::MAX / 2, i64::MAX, None);
            }
        }
    }

    /// A listen key ran out: its sockets stay open and hear nothing more.
    pub(crate) fn tell_expired(&mut self, user: usize, key: &str) {
        let e = Obj::new().str("e", "listenKeyExpired").str("E", &self.server_ms().to_string());
        let e = e.str("listenKey", key).done();
        self.tell(user, "listenKeyExpired", &e);
        for c in self.conns.map.values_mut() {
            if let Kind::Streams(listens) = &mut c.kind {
                listens.retain(|(.., k)| k != key);
            }
        }
    }

    /// Announces the end to spot connections.
    pub(crate) fn tell_shutdown(&mut self) {
        let e = Obj::new().str("e", "serverShutdown").int("E", self.server_ms()).done();
        let frames: Vec<(ConnId, String)> = self
            .conns
            .map
            .iter()
            .map(|(id, c)| match c.kind {
                Kind::Api(_) => (*id, Obj::new().raw("event", &e).done()),
                _ => (*id, notice(c.combined, "!serverShutdown", &e)),
            })
            .collect();
        for (id, text) in frames {
            self.conns.send(self.now, id, Frame::Text(text), Nanos::ZERO);
        }
    }
}
