//! Executions that may have been missed: the venue's history of an instrument, and whose its orders are.
//! Never: takes an execution for somebody else's before the venue has said so.

use super::core::{Desk, Job};
use super::{DeskWords, Found};
use crate::gateway::{Answer, Outbox};
use crate::tracker::{self, Query};
use ctos_types::{ClientOrderId, InstanceTag, InstrumentId, UnixNanos};

/// Questions that no order of ours is the subject of.
const NOBODY: ClientOrderId = ClientOrderId { tag: InstanceTag(0), seq: 0 };

impl<W: DeskWords> Desk<W> {
    pub(super) fn agreed_at(&mut self, asked: UnixNanos) {
        self.agreed = self.agreed.max(asked - self.config.tracker.slack);
    }

    pub(super) fn ask_history(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        if self.histories.contains_key(&instrument) {
            return;
        }
        let query = Query {
            about: NOBODY,
            account: self.id(),
            instrument,
            number: 0,
            ask: tracker::Ask::Fills { since: self.agreed },
        };
        let Ok(wire) = self.words.query(now, &query) else { return };
        self.histories.insert(instrument, now);
        let within = self.config.other_within;
        self.ask(wire, Job::History { query, part: 0 }, within, out);
    }

    pub(super) fn on_history(
        &mut self,
        now: UnixNanos,
        query: Query,
        part: u32,
        answer: &Answer<'_>,
        out: &mut Outbox,
    ) {
        match self.words.read_query(now, &query, part, answer) {
            Found::More(wire) => {
                let within = self.config.other_within;
                self.ask(wire, Job::History { query, part: part + 1 }, within, out);
            }
            Found::Done(tracker::Answer::Fills(fills)) => {
                let strangers = self.tracker.on_history(now, &fills);
                self.strangers.insert(query.instrument, strangers);
                self.next_stranger(now, query.instrument, out);
            }
            Found::Done(_) => drop(self.histories.remove(&query.instrument)),
        }
    }

    /// Asks whose the next unknown order is. Its executions are somebody else's only if the venue says so.
    fn next_stranger(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
        let first = self.strangers.get(&instrument).and_then(|list| list.first()).copied();
        let Some(past) = first else {
            self.strangers.remove(&instrument);
            self.histories.remove(&instrument);
            return;
        };
        let query = Query {
            about: NOBODY,
            account: self.id(),
            instrument,
            number: 0,
            ask: tracker::Ask::Owner(past.venue_order_id),
        };
        match self.words.query(now, &query) {
            Ok(wire) => {
                let within = self.config.other_within;
                self.ask(wire, Job::Owner { query, part: 0 }, within, out);
            }
            Err(_) => drop((self.strangers.remove(&instrument), self.histories.remove(&instrument))),
        }
    }

    pub(super) fn on_owner(&mut self, now: UnixNanos, query: Query, part: u32, answer: &Answer<'_>, out: &mut Outbox) {
        let Query { instrument, .. } = query;
        match self.words.read_query(now, &query, part, answer) {
            Found::More(wire) => {
                let within = self.config.other_within;
                self.ask(wire, Job::Owner { query, part: part + 1 }, within, out);
            }
            Found::Done(tracker::Answer::Owner(owner)) => {
                let tracker::Ask::Owner(asked) = query.ask else { return };
                let list = self.strangers.remove(&instrument).unwrap_or_default();
                let (theirs, rest): (Vec<_>, Vec<_>) = list.into_iter().partition(|p| p.venue_order_id == asked);
                self.strangers.insert(instrument, rest);
                let mut actions = std::mem::take(&mut self.actions);
                self.tracker.on_strangers(now, self.account[0], owner, &theirs, &mut actions);
                self.actions = actions;
                self.carry_out(now, out);
                self.next_stranger(now, instrument, out);
            }
            // Asked again with the next difference.
            Found::Done(_) => drop((self.strangers.remove(&instrument), self.histories.remove(&instrument))),
        }
    }
}
