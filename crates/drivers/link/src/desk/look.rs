//! Looks: open orders, positions and balances as the venue lists them, compared with what is held here.
//! Never: treats a difference at first sight, a failed question as an empty account, or a difference in silence.

use super::core::{Desk, Job, alarm, sent_at, warning};
use super::suspect::Judged;
use super::{BalanceRow, DeskWords, Found, OpenOrder, PositionRow};
use crate::gateway::{Answer, Notice, Outbox};
use crate::reconcile::Subject;
use crate::tracker::{self, OrderView, Query};
use ctos_types::{
    AccountEvent, Balance, CancelReason, ClientOrderId, Currency, Decimal, InstanceTag, InstrumentId, Leg, Nanos,
    OrderReport, Qty, ReportBody, Rounding, UnixNanos, VenueOrderId,
};
use std::collections::{BTreeMap, BTreeSet};

/// A look under way: its parts that are out, and what came of the others.
#[derive(Debug)]
pub(super) struct Look {
    round: u64,
    open: usize,
    /// When the first of its questions left.
    asked: UnixNanos,
    failed: Option<Nanos>,
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
        for subject in wished {
            self.again.remove(&subject);
            if let Some(look) = self.looks.get_mut(&subject) {
                // Asked again the moment it ends.
                look.round |= AGAIN;
            } else {
                self.schedule.sooner(subject, now);
            }
        }
        for subject in self.schedule.due(now) {
            self.begin_look(now, subject, out);
        }
    }

    fn begin_look(&mut self, now: UnixNanos, subject: Subject, out: &mut Outbox) {
        self.rounds += 2;
        let round = self.rounds;
        let wires = self.words.look(subject);
        let look = Look {
            round,
            open: wires.len(),
            asked: UnixNanos::MAX,
            failed: None,
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
        look.asked = look.asked.min(sent_at(answer, now));
        let read = match subject {
            Subject::OpenOrders => self.words.read_open_orders(now, answer, &mut look.orders),
            Subject::Positions => self.words.read_positions(answer, &mut look.positions),
            Subject::Balances => self.words.read_balances(answer, &mut look.balances),
        };
        if let Err(trouble) = read {
            look.failed = Some(look.failed.unwrap_or_default().max(trouble.pause));
            if let Some(hint) = trouble.hint {
                out.notices.push(alarm(trouble.why, hint));
            } else {
                out.notices.push(Notice::Info(format!("{subject:?} could not be read: {}", trouble.why)));
            }
        }
        if look.open == 0 {
            self.end_look(now, subject, out);
        }
    }

    fn end_look(&mut self, now: UnixNanos, subject: Subject, out: &mut Outbox) {
        let Some(look) = self.looks.remove(&subject) else { return };
        let again = look.round & AGAIN != 0;
        let result = look.failed.map_or(Ok(()), Err);
        self.schedule.done(now, subject, result);
        if result.is_err() {
            // The session, or a second look, waits for it.
            if again || self.resync.is_some() || self.standing != Some(true) {
                let pause = result.err().unwrap_or_default().max(Nanos::from_secs(1));
                self.again_at(subject, now.after(pause));
            }
            return;
        }
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

    // ---- positions

    fn compare_positions(&mut self, now: UnixNanos, asked: UnixNanos, list: &[PositionRow], out: &mut Outbox) {
        let account = self.id();
        if std::mem::take(&mut self.opening_positions) {
            for row in list.iter().filter(|row| row.qty.0 != 0) {
                self.adopt_position(now, row, out);
            }
        }
        let theirs: BTreeMap<_, _> = list.iter().map(|row| ((row.instrument, row.leg), row.qty)).collect();
        for row in list {
            let PositionRow { instrument, leg, qty, .. } = *row;
            self.account_event(now, &AccountEvent::Position { account, instrument, leg, qty }, out);
        }
        let ours = self.ledger.quantities();
        // By the union of both sides: venues leave out what is flat.
        let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().chain(self.odd_positions.keys()).collect();
        let since = asked - self.config.quiet;
        let mut all_agree = true;
        for key in keys {
            let have = ours.get(&key).copied().unwrap_or_default();
            let want = theirs.get(&key).copied().unwrap_or_default();
            let quiet = self.ledger.is_quiet(key, since) && self.is_settled(key.0);
            if have == want {
                self.odd_positions.clear(key);
                if quiet && let Some(row) = list.iter().find(|r| (r.instrument, r.leg) == key) {
                    self.rebase(now, row, out);
                }
                continue;
            }
            all_agree = false;
            let by = Qty(want.0 - have.0);
            match self.odd_positions.judge(key, by, quiet) {
                Judged::New => {
                    self.ask_history(now, key.0, out);
                    self.again_at(Subject::Positions, now.after(self.config.second_look));
                }
                Judged::Wait => self.again_at(Subject::Positions, now.after(self.config.second_look)),
                Judged::Stands => {
                    let entry = list.iter().find(|r| (r.instrument, r.leg) == key).and_then(|r| r.entry_px);
                    self.adjust_position(now, key, by, entry, out);
                }
            }
        }
        if all_agree {
            self.agreed_at(asked);
        }
    }

    /// A part of a position comes from outside: on both sides by the same arithmetic.
    fn adopt_position(&mut self, now: UnixNanos, row: &PositionRow, out: &mut Outbox) {
        let PositionRow { instrument, leg, qty, entry_px } = *row;
        let i = self.words.instruments().get(instrument).clone();
        self.ledger.adopt(now, &i, leg, qty, entry_px);
        self.tracker.set_position(instrument, leg, self.ledger.position((instrument, leg)).qty);
        let account = self.id();
        self.account_event(now, &AccountEvent::Opening { account, instrument, leg, qty, entry_px }, out);
    }

    /// Fills that were found late were booked in another order than the venue's, and so the cost of what is left
    /// differs: the venue's is taken over, since every later profit is counted from it.
    fn rebase(&mut self, now: UnixNanos, row: &PositionRow, out: &mut Outbox) {
        let held = self.ledger.position((row.instrument, row.leg));
        let i = self.words.instruments().get(row.instrument);
        let (Some(theirs), Some(ours)) = (row.entry_px, held.avg_px(i)) else { return };
        let (Ok(cost), false) = (i.value_at(theirs, held.qty), held.is_flat()) else { return };
        let off = cost.checked_sub(held.cost).map_or(Decimal::MAX, Decimal::abs);
        let least = cost.abs().mul_ratio(1, 1_000_000, Rounding::Up).unwrap_or_default();
        if off <= least {
            return;
        }
        let PositionRow { instrument, leg, .. } = *row;
        let away = PositionRow { instrument, leg, qty: Qty(-held.qty.0), entry_px: Some(ours) };
        self.adopt_position(now, &away, out);
        self.adopt_position(now, &PositionRow { qty: held.qty, ..*row }, out);
        self.again_at(Subject::Balances, now.after(self.config.second_look));
    }

    /// Whether no order of the instrument is in doubt and no history of it is under way.
    fn is_settled(&self, instrument: InstrumentId) -> bool {
        !self.histories.contains_key(&instrument) && self.tracker.unresolved().all(|(_, of)| of != instrument)
    }

    /// No fill, no transfer and no order explains it: somebody else's doing. It is taken over, and said.
    fn adjust_position(
        &mut self,
        now: UnixNanos,
        (instrument, leg): (InstrumentId, Leg),
        by: Qty,
        entry: Option<Decimal>,
        out: &mut Outbox,
    ) {
        let held = self.ledger.position((instrument, leg));
        let i = self.words.instruments().get(instrument);
        // What shrinks leaves at its own price: without a profit that nobody can vouch for.
        let shrinks = held.qty.0.signum() == -by.0.signum();
        let entry_px = if shrinks { held.avg_px(i).or(entry) } else { entry.or(held.avg_px(i)) };
        let (symbol, size) = (i.symbol.clone(), i.qty_text(by));
        self.adopt_position(now, &PositionRow { instrument, leg, qty: by, entry_px }, out);
        let what = format!("the position in {symbol} differs from ours by {size}: taken over from the venue");
        out.notices.push(alarm(what, "look whether somebody else trades on this account"));
        self.again_at(Subject::Positions, now.after(self.config.second_look));
        self.again_at(Subject::Balances, now.after(self.config.second_look));
    }

    // ---- balances

    fn compare_balances(&mut self, now: UnixNanos, asked: UnixNanos, list: &[BalanceRow], out: &mut Outbox) {
        if std::mem::take(&mut self.opening_cash) {
            for BalanceRow { currency, balance } in list {
                self.ledger.set_cash(*currency, net(balance));
                self.tell_balance(now, *currency, *balance, out);
            }
            return;
        }
        let theirs: BTreeMap<_, _> = list.iter().map(|row| (row.currency, row.balance)).collect();
        let ours = self.ledger.all_cash().keys().copied();
        let keys: BTreeSet<Currency> = ours.chain(theirs.keys().copied()).chain(self.odd_cash.keys()).collect();
        let since = asked - self.config.quiet;
        for currency in keys {
            let balance = theirs.get(&currency).copied().unwrap_or_default();
            let by = net(&balance).checked_sub(self.ledger.cash(currency)).unwrap_or_default();
            if by.is_zero() || self.take_dust(now, currency, by, out) {
                self.odd_cash.clear(currency);
                self.tell_balance(now, currency, balance, out);
                continue;
            }
            let settled = self.concerned(currency).into_iter().all(|id| self.is_settled(id));
            let quiet = self.ledger.is_cash_quiet(currency, since) && settled && !self.odd_positions.any();
            match self.odd_cash.judge(currency, by, quiet) {
                Judged::New => {
                    for id in self.concerned(currency) {
                        if self.words.instruments().get(id).is_spot() {
                            self.ask_history(now, id, out);
                        }
                    }
                    self.again_at(Subject::Balances, now.after(self.config.second_look));
                }
                Judged::Wait => self.again_at(Subject::Balances, now.after(self.config.second_look)),
                Judged::Stands => {
                    out.notices.push(warning(format!("the balance of {currency} differs from ours by {by}: adjusted")));
                    self.adjust_cash(now, currency, by, out);
                    self.tell_balance(now, currency, balance, out);
                }
            }
        }
        if !self.odd_cash.any() && self.odd_cash.keys().is_empty() && !self.words.offers().positions {
            self.agreed_at(asked);
        }
    }

    /// Instruments that move a currency.
    fn concerned(&self, currency: Currency) -> Vec<InstrumentId> {
        let instruments = self.words.instruments();
        let of = |id: &InstrumentId| {
            let i = instruments.get(*id);
            if i.is_spot() { i.base == currency || i.quote == currency } else { i.settle() == currency }
        };
        self.words.traded().into_iter().filter(of).collect()
    }

    /// A cash flow that trading does not explain.
    pub(super) fn adjust_cash(&mut self, now: UnixNanos, currency: Currency, amount: Decimal, out: &mut Outbox) {
        self.ledger.flow(now, currency, amount);
        let account = self.id();
        self.account_event(now, &AccountEvent::Adjustment { account, currency, amount }, out);
    }

    /// The stream tells a balance. It is passed on where it agrees; a difference is a fill on its way, or is found out.
    pub(super) fn balance_told(&mut self, now: UnixNanos, currency: Currency, balance: Balance, out: &mut Outbox) {
        if self.opening_cash {
            return;
        }
        let by = net(&balance).checked_sub(self.ledger.cash(currency)).unwrap_or(Decimal::MAX);
        if by.is_zero() || self.take_dust(now, currency, by, out) {
            self.tell_balance(now, currency, balance, out);
        }
    }

    // ---- executions that may have been missed

    fn agreed_at(&mut self, asked: UnixNanos) {
        self.agreed = self.agreed.max(asked - self.config.tracker.slack);
    }

    fn ask_history(&mut self, now: UnixNanos, instrument: InstrumentId, out: &mut Outbox) {
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

    /// A balance that agrees with ours, where it is news to the kernel.
    fn tell_balance(&mut self, now: UnixNanos, currency: Currency, balance: Balance, out: &mut Outbox) {
        if self.told_balances.insert(currency, balance) != Some(balance) {
            let account = self.id();
            self.account_event(now, &AccountEvent::Balance { account, currency, balance }, out);
        }
    }

    /// What the venue shows is rounded, and so are our sums: so little is taken over without a word.
    fn take_dust(&mut self, now: UnixNanos, currency: Currency, by: Decimal, out: &mut Outbox) -> bool {
        let dust = !by.is_zero() && by.abs() <= DUST;
        if dust {
            self.adjust_cash(now, currency, by, out);
        }
        dust
    }
}

/// Looks in a row that show an order open which is closed with us, before it is cancelled.
const UNDEAD: u32 = 2;
/// Questions that no order of ours is the subject of.
const NOBODY: ClientOrderId = ClientOrderId { tag: InstanceTag(0), seq: 0 };
/// A ten-millionth of a coin.
const DUST: Decimal = Decimal::from_atoms(100_000_000_000);

/// Marks a look that is wanted once more when it ends. Rounds are even.
const AGAIN: u64 = 1;

fn net(balance: &Balance) -> Decimal {
    let net = balance.total.checked_sub(balance.borrowed).and_then(|n| n.checked_sub(balance.interest));
    net.unwrap_or(balance.total)
}
