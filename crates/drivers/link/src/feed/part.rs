//! A feed as a part of a gateway: one input, its deeds, then the next thing that is due.
//! Never: an allocation for data while nothing is wrong.

use super::words::FeedWords;
use super::{Asked, Feed, Socket};
use crate::gateway::{Answer, Outbox, Part, PartStatus, SocketNews, SocketNo};
use crate::session::{Action, Forward, LinkId};
use ctos_types::{AccountId, Command, InstrumentId, Nanos, UnixNanos};

impl<W: FeedWords> Part for Feed<W> {
    fn start(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.running = true;
        self.listing_due = self.config.listing_every.map_or(UnixNanos::MAX, |every| now.after(every));
        for at in 0..self.sockets.len() {
            let Socket { session, roles, .. } = &mut self.sockets[at];
            let names: Vec<&String> = roles.keys().collect();
            session.subscribe(now, &names, &mut self.actions);
            let trades = |market: Option<usize>| market.is_none_or(|place| self.markets[place].rules.trading);
            roles.iter().filter(|(_, role)| !trades(role.market)).for_each(|(name, _)| session.excuse(name, true));
            session.start(now, &mut self.actions);
            self.settle(now, at, out);
        }
    }

    fn on_command(&mut self, _now: UnixNanos, command: &Command, _out: &mut Outbox) {
        debug_assert!(false, "a feed has no account that could be meant by {command:?}");
    }

    fn on_answer(&mut self, now: UnixNanos, tag: u64, answer: &Answer<'_>, out: &mut Outbox) {
        let Some(asked) = self.asked.remove(&tag) else { return };
        match asked {
            Asked::Snapshot(place, epoch) => self.snapshot_answered(now, place, epoch, answer, out),
            Asked::Funding(place) => self.funding_answered(now, place, answer, out),
            Asked::Listing => self.listing_answered(now, answer, out),
        }
        self.look(now, out);
    }

    #[inline]
    fn on_socket(&mut self, now: UnixNanos, socket: SocketNo, link: LinkId, news: &SocketNews<'_>, out: &mut Outbox) {
        let at = usize::from(socket.0);
        let Some(Socket { session, .. }) = self.sockets.get_mut(at) else { return };
        match news {
            SocketNews::Text(text) => {
                let forward = session.on_text(now, link, text, &mut self.actions);
                if forward == Forward::Yes {
                    self.record(now, text, out);
                    self.said(now, at, out);
                    if self.actions.is_empty() && !self.hurry {
                        // Data only moves deadlines later: the one that is known is early enough.
                        return;
                    }
                }
            }
            SocketNews::Opened => session.on_connected(now, link, &mut self.actions),
            SocketNews::Closed { why } => session.on_closed(now, link, why, &mut self.actions),
            SocketNews::Ping => session.on_ping(now, link),
            SocketNews::Pong => session.on_pong(now, link),
        }
        self.settle(now, at, out);
    }

    fn deadline(&self) -> (UnixNanos, &'static str) {
        self.due
    }

    fn on_deadline(&mut self, now: UnixNanos, out: &mut Outbox) {
        for at in 0..self.sockets.len() {
            let session = &mut self.sockets[at].session;
            if session.deadline().0 <= now {
                session.on_deadline(now, &mut self.actions);
                self.settle(now, at, out);
            }
        }
        self.look(now, out);
    }

    fn set_clock(&mut self, _now: UnixNanos, offset: Nanos) {
        self.offset = offset;
        self.sockets.iter_mut().for_each(|s| s.session.set_clock(offset));
    }

    fn accounts(&self) -> &[AccountId] {
        &[]
    }

    fn resend(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        let Some(place) = self.places.get(instrument.index()).copied().flatten() else { return };
        // No book is kept here: the venue is asked for it, and the chain goes on behind that.
        let ts_event = now.after(self.offset);
        let m = &mut self.markets[place];
        m.broken(now, ts_event, out);
        if m.sync.is_some() {
            self.want_snapshot(now, place, false);
        }
        self.look(now, out);
    }

    fn status(&self, _now: UnixNanos) -> PartStatus {
        let down = self.sockets.iter().enumerate().filter(|(_, s)| !s.session.is_live());
        let links = down.map(|(at, s)| format!("link {} to {} is not up", at + 1, s.address));
        let out_of_step = self.markets.iter().filter(|m| m.sync.as_ref().is_some_and(|s| !s.is_valid()));
        let books = out_of_step.map(|m| format!("the book of {} is not in step", m.symbol));
        let halted = self.markets.iter().filter(|m| !m.rules.trading);
        let halted = halted.map(|m| format!("{} takes no orders", m.symbol));
        let doubts = links.chain(books).chain(halted).collect();
        PartStatus { name: self.words.name().into(), live: self.is_whole(), doubts }
    }

    fn stop(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.running = false;
        for at in 0..self.sockets.len() {
            self.sockets[at].session.stop(now, &mut self.actions);
            // That data ends is what was asked for: no gap is told of it.
            self.actions.retain(|a| !matches!(a, Action::Emit(_)));
            self.settle(now, at, out);
        }
    }
}
