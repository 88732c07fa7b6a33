//! Looks: what the venue lists, asked for at the schedule's pace, and its open orders compared with ours.
//! Never: takes a failed question for an empty account.

use super::core::{Desk, Job, alarm, sent_at, warning};
use super::{BalanceRow, DeskWords, OpenOrder, PositionRow};
use crate::gateway::{Answer, Notice, Outbox};
use crate::reconcile::Subject;
use crate::tracker::OrderView;
use ctos_types::{CancelReason, ClientOrderId, InstrumentId, Nanos, OrderReport, ReportBody, UnixNanos, VenueOrderId};
use std::collections::BTreeSet;

/// A look under way: its parts that are out, and what came of the others.
#[derive(Debug)]
pub(super) struct Look {
    round: u64,
    open: usize,
    /// When the first of its questions left.
    asked: UnixNanos,
    failed: Option<Nanos>,
    /// Something waits for it: it is not only the schedule's.
    wished: bool,
    /// The venue said why, and only a person can change that.
    refused: bool,
    orders: Vec<OpenOrder>,
    positions: Vec<PositionRow>,
    balances: Vec<BalanceRow>,
}

impl<W: DeskWords> Desk<W> {
    /// Everything is looked at, not later than `at`.
    pub(super) fn look_soon(&mut self, now: UnixNanos, at: UnixNanos) {
        let _ = now;
        for subject in [Subject::OpenOrders, Subject::Positions, Subject::Balances] {
            self.again_at(subject, at);
        }
    }

    pub(super) fn again_at(&mut self, subject: Subject, at: UnixNanos) {
        if self.schedule.subjects().any(|s| s == subject) {
            let due = self.again.entry(subject).or_insert(at);
            *due = (*due).min(at);
        }
    }

    pub(super) fn look_deadline(&mut self, now: UnixNanos, out: &mut Outbox) {
        // What is under way was asked before: the wish stays until it has ended.
        let wished: Vec<Subject> = self.again.iter().filter(|(_, at)| **at <= now).map(|(s, _)| *s).collect();
        for subject in &wished {
            self.again.remove(subject);
            if let Some(look) = self.looks.get_mut(subject) {
                // Asked again the moment it ends.
                look.round |= AGAIN;
            } else {
                self.schedule.sooner(*subject, now);
            }
        }
        for subject in self.schedule.due(now) {
            self.begin_look(now, subject, wished.contains(&subject), out);
        }
    }

    fn begin_look(&mut self, now: UnixNanos, subject: Subject, wished: bool, out: &mut Outbox) {
        self.rounds += 2;
        let round = self.rounds;
        let wires = self.words.look(subject);
        let look = Look {
            round,
            open: wires.len(),
            asked: UnixNanos::MAX,
            failed: None,
            wished,
            refused: false,
            orders: Vec::new(),
            positions: Vec::new(),
            balances: Vec::new(),
        };
        self.looks.insert(subject, look);
        let within = self.config.other_within;
        if wires.is_empty() {
            return self.end_look(now, subject, out);
        }
        for wire in wires {
            self.ask(wire, Job::Look { subject, round }, within, out);
        }
    }

    pub(super) fn on_look(
        &mut self,
        now: UnixNanos,
        subject: Subject,
        round: u64,
        answer: &Answer<'_>,
        out: &mut Outbox,
    ) {
        let Some(look) = self.looks.get_mut(&subject).filter(|l| l.round & !AGAIN == round) else { return };
        look.open -= 1;
        let last = look.open == 0;
        look.asked = look.asked.min(sent_at(answer, now));
        let read = match subject {
            Subject::OpenOrders => self.words.read_open_orders(now, answer, &mut look.orders),
            Subject::Positions => self.words.read_positions(answer, &mut look.positions),
            Subject::Balances => self.words.read_balances(answer, &mut look.balances),
        };
        if let Err(trouble) = read {
            look.failed = Some(look.failed.unwrap_or_default().max(trouble.pause));
            if let Some(hint) = trouble.hint {
                look.refused = true;
                self.tell_refused(now, trouble.why, hint, out);
            } else {
                out.notices.push(Notice::Info(format!("{subject:?} could not be read: {}", trouble.why)));
            }
        }
        if last {
            self.end_look(now, subject, out);
        }
    }

    /// A person is told once of what only a person can change, and reminded of it.
    fn tell_refused(&mut self, now: UnixNanos, why: String, hint: String, out: &mut Outbox) {
        let due = self.told_trouble.as_ref().is_none_or(|(told, at)| *told != why || at.after(REMIND) <= now);
        if due {
            self.told_trouble = Some((why.clone(), now));
            out.notices.push(alarm(why, hint));
        }
    }

    fn end_look(&mut self, now: UnixNanos, subject: Subject, out: &mut Outbox) {
        let Some(look) = self.looks.remove(&subject) else { return };
        let again = look.round & AGAIN != 0;
        let result = look.failed.map_or(Ok(()), Err);
        self.schedule.done(now, subject, result);
        if result.is_err() {
            // The session waits for it, or new risk.
            let urgent = again || self.resync.is_some() || self.standing != Some(true);
            // A difference that was seen once waits for it too: the schedule alone would take a minute.
            if urgent || look.wished {
                let soon = if urgent { FAILED_AGAIN } else { self.config.second_look };
                let least = if look.refused { REFUSED_AGAIN } else { soon };
                let pause = result.err().unwrap_or_default().max(least);
                self.again_at(subject, now.after(pause));
            }
            return;
        }
        self.told_trouble = None;
        if again {
            self.again_at(subject, now);
        }
        self.asked.insert(subject, look.asked);
        match subject {
            Subject::OpenOrders => self.compare_orders(now, look.asked, &look.orders, out),
            Subject::Positions => self.compare_positions(now, look.asked, &look.positions, out),
            Subject::Balances => self.compare_balances(now, look.asked, &look.balances, out),
        }
    }

    // ---- open orders

    fn compare_orders(&mut self, now: UnixNanos, asked: UnixNanos, list: &[OpenOrder], out: &mut Outbox) {
        let known = |id: &ClientOrderId, desk: &Self| desk.tracker.knows(*id);
        let before = std::mem::take(&mut self.undead);
        let mut mine: Vec<(ClientOrderId, OrderView)> = Vec::new();
        let mut foreign = BTreeSet::new();
        for order in list {
            let Some(id) = order.cl_ord_id else {
                foreign.insert((order.instrument, order.view.venue_order_id));
                continue;
            };
            self.context = (order.instrument, order.view.venue_order_id);
            if !known(&id, self) && self.config.tracker.tags.contains(&id.tag) {
                // Ours by its tag, and nobody here would ever cancel it.
                out.notices.push(warning(format!("order {id} is open at the venue and not ours any more: cancelled")));
                if let Some(wire) = self.words.cancel_stray(order) {
                    let within = self.config.other_within;
                    self.ask(wire, Job::Other, within, out);
                    self.again_at(Subject::OpenOrders, now.after(self.config.second_look));
                }
                continue;
            }
            if !known(&id, self) {
                foreign.insert((order.instrument, order.view.venue_order_id));
            } else if !self.tracker.is_open(id) {
                // Closed with us. Seen open again and again, it is not an old list: nobody here would ever cancel it.
                let seen = before.get(&id).copied().unwrap_or(0) + 1;
                self.undead.insert(id, seen);
                if seen >= UNDEAD {
                    out.notices.push(warning(format!("order {id} was taken for closed and is open: cancelled")));
                    if let Some(wire) = self.words.cancel_stray(order) {
                        let within = self.config.other_within;
                        self.ask(wire, Job::Other, within, out);
                    }
                }
            }
            mine.push((id, order.view));
        }
        let mut actions = std::mem::take(&mut self.actions);
        self.tracker.on_open_orders(now, asked, &mine, &mut actions);
        self.actions = actions;
        self.adopt(now, foreign, out);
        for instrument in self.purge.keys().copied().collect::<Vec<_>>() {
            let open = list.iter().any(|o| o.instrument == instrument);
            let told =
                self.jobs.values().any(|j| matches!(j, Job::CancelAll { instrument: i, .. } if *i == instrument));
            if !open && !told {
                self.purge.remove(&instrument);
            } else if open && !told {
                self.purge_now(now, instrument, out);
                self.again_at(Subject::OpenOrders, now.after(self.config.second_look));
            }
        }
    }

    /// Other people's orders come and go: told, and counted by their fills only.
    fn adopt(&mut self, now: UnixNanos, foreign: BTreeSet<(InstrumentId, VenueOrderId)>, out: &mut Outbox) {
        let before = std::mem::take(&mut self.foreign);
        for (new, list) in [(true, foreign.difference(&before)), (false, before.difference(&foreign))] {
            for (instrument, venue_order_id) in list {
                let symbol = &self.words.instruments().get(*instrument).symbol;
                let verb = if new { "is open" } else { "is gone" };
                let what = format!("order {venue_order_id} of {symbol}, which is not ours, {verb}");
                out.notices.push(Notice::Info(what));
                let body =
                    if new { ReportBody::Accepted } else { ReportBody::Canceled { reason: CancelReason::Venue } };
                let (account, instrument, venue_order_id) = (self.id(), *instrument, *venue_order_id);
                let report = OrderReport { account, instrument, cl_ord_id: None, venue_order_id, ts_event: now, body };
                self.report(now, report, out);
            }
        }
        self.foreign = foreign;
    }
}

/// A look that failed is taken again this soon while something waits for it; one that was refused later, since a venue
/// that goes on being asked with a bad key thinks of bans.
const FAILED_AGAIN: Nanos = Nanos::from_secs(1);
const REFUSED_AGAIN: Nanos = Nanos::from_secs(15);
/// A person is reminded of a refusal this often.
const REMIND: Nanos = Nanos::from_secs(600);
/// Marks a look that is wanted once more when it ends. Rounds are even.
const AGAIN: u64 = 1;
/// Looks in a row that show an order open which is closed with us, before it is cancelled.
const UNDEAD: u32 = 2;
