//! What the sessions of a feed want done and tell: sockets to open and write to, holes in streams.
//! Never: data, which [`Feed::said`] takes.

use super::words::{FeedWords, Flow};
use super::{Feed, Role};
use crate::gateway::{Notice, Outbox, SocketDeed, SocketNo};
use crate::session::{Action, LinkId, SessionEvent, Words as _};
use ctos_types::UnixNanos;

impl<W: FeedWords> Feed<W> {
    /// Carries out what the sessions asked for, then what is due, then looks when something is due next.
    pub(super) fn settle(&mut self, now: UnixNanos, at: usize, out: &mut Outbox) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                self.act(now, at, action, out);
            }
        }
        self.look(now, out);
    }

    fn act(&mut self, now: UnixNanos, at: usize, action: Action, out: &mut Outbox) {
        let socket = SocketNo(at as u16);
        let mut deed = |link: LinkId, deed| out.sockets.push((socket, link, deed));
        match action {
            Action::Connect(link) => deed(link, SocketDeed::Connect { address: self.sockets[at].address.clone() }),
            Action::Send(link, text) => deed(link, SocketDeed::Send(text)),
            Action::Ping(link) => deed(link, SocketDeed::Ping),
            Action::Close(link, why) => deed(link, SocketDeed::Close { why }),
            // Market data needs no credentials, so there is nothing to renew.
            Action::Renew(_) => {}
            Action::Frame(text) => {
                self.record(now, &text, out);
                self.sockets[at].session.words().classify(&text);
                self.said(now, at, out);
            }
            Action::Emit(event) => self.told(now, at, event, out),
        }
    }

    fn told(&mut self, now: UnixNanos, at: usize, event: SessionEvent, out: &mut Outbox) {
        let name = self.words.name().to_string();
        let venue_time = now.after(self.offset);
        if let SessionEvent::Gap { stream, since, why } = &event {
            self.record_gap(now, *since, (at, stream.as_deref()), why);
        }
        match event {
            SessionEvent::Gap { stream: Some(stream), why, .. } => {
                let role = self.sockets[at].roles.get(&stream).copied();
                if let Some(role) = role {
                    self.broken(now, venue_time, role, out);
                    self.doubt_listing(now);
                }
                out.notices.push(Notice::Warning(format!("{name}: {stream}: {why}")));
            }
            SessionEvent::Gap { stream: None, why, .. } => {
                let roles: Vec<Role> = self.sockets[at].roles.values().copied().collect();
                for role in roles {
                    self.broken(now, venue_time, role, out);
                }
                out.notices.push(Notice::Warning(format!("{name}: link lost: {why}")));
            }
            SessionEvent::Restored { stream } => {
                out.notices.push(Notice::Info(format!("{name}: {stream} is back")));
            }
            // Data speaks for itself: there is nothing to catch up with but books, which have their own snapshots.
            SessionEvent::Resync { .. } => self.sockets[at].session.on_resynced(now, true, &mut self.actions),
            SessionEvent::Live => out.notices.push(Notice::Info(format!("{name}: link {} is up", at + 1))),
            SessionEvent::Rotated { why } => {
                out.notices.push(Notice::Info(format!("{name}: link {} replaced ({why})", at + 1)));
            }
            SessionEvent::StreamRefused { stream, code, text } => out.notices.push(Notice::Alarm {
                what: format!("{name}: the venue refuses the stream {stream}: {text} ({code})"),
                hint: "check that the symbol is still listed; strategies on it get no data".into(),
            }),
            SessionEvent::Retrying { at: when, why, .. } => {
                let wait = (when - now).as_secs_f64();
                out.notices.push(Notice::Warning(format!("{name}: {why}; next try in {wait:.1} s")));
            }
            SessionEvent::LoginRefused { code, text } => out.notices.push(Notice::Alarm {
                what: format!("{name}: the venue refuses the connection: {text} ({code})"),
                hint: "check the venue's address in the settings".into(),
            }),
        }
    }

    /// A hole in a stream: see the module's text.
    fn broken(&mut self, now: UnixNanos, ts_event: UnixNanos, role: Role, out: &mut Outbox) {
        let Some(m) = role.market.map(|place| &mut self.markets[place]) else { return };
        match role.flow {
            Flow::Book => m.broken(now, ts_event, out),
            Flow::Quotes | Flow::Trades | Flow::Bars if m.sync.is_none() => m.broken(now, ts_event, out),
            // Numbers go on where they go on: what is missing shows with the next one and is told then.
            Flow::Quotes | Flow::Trades | Flow::Bars | Flow::Marks | Flow::Liquidations | Flow::News => {}
        }
    }
}
