//! What the account holds: positions and balances of both sides, compared by the union.
//! Never: treats a difference at first sight, or in silence.

use super::core::{Desk, alarm, warning};
use super::suspect::{DUST, Judged, is_near};
use super::{BalanceRow, DeskWords, PositionRow};
use crate::gateway::{Notice, Outbox};
use crate::reconcile::Subject;
use ctos_types::{
    AccountEvent, Balance, Currency, Decimal, Instrument, InstrumentId, Leg, Position, Qty, Rounding, UnixNanos,
};
use std::collections::{BTreeMap, BTreeSet};

/// Share of a debt that is taken for its interest where the venue does not state that: more than any coin costs a day.
const INTEREST_MOST: (i64, i64) = (1, 200);

impl<W: DeskWords> Desk<W> {
    pub(super) fn compare_positions(
        &mut self,
        now: UnixNanos,
        asked: UnixNanos,
        list: &[PositionRow],
        out: &mut Outbox,
    ) {
        let account = self.id();
        if std::mem::take(&mut self.opening_positions) {
            for row in list.iter().filter(|row| row.qty.0 != 0) {
                self.adopt_position(now, row, out);
            }
        }
        let theirs: BTreeMap<_, _> = list.iter().map(|row| ((row.instrument, row.leg), row.qty)).collect();
        for row in list {
            let PositionRow { instrument, leg, qty, entry_unit, .. } = *row;
            self.entry_units.insert((instrument, leg), entry_unit);
            self.account_event(now, &AccountEvent::Position { account, instrument, leg, qty }, out);
        }
        let ours = self.ledger.quantities();
        // By the union of both sides: venues leave out what is flat.
        let odd = self.odd_positions.keys().into_iter().chain(self.miscosted.iter().copied());
        let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().chain(odd).collect();
        let since = asked - self.config.quiet;
        let mut all_agree = true;
        for key in keys {
            let have = ours.get(&key).copied().unwrap_or_default();
            let want = theirs.get(&key).copied().unwrap_or_default();
            let quiet = self.ledger.is_quiet(key, since) && self.is_settled(key.0);
            if have == want {
                self.odd_positions.clear(key);
                // A market that never rests would hide a wrong cost for ever: then it is enough that nothing moved meanwhile.
                let still = self.miscosted.contains(&key) && self.ledger.is_quiet(key, asked) && self.is_settled(key.0);
                if (quiet || still)
                    && let Some(row) = list.iter().find(|r| (r.instrument, r.leg) == key)
                {
                    self.rebase(now, row, out);
                }
                self.costed(now, key, quiet);
                continue;
            }
            all_agree = false;
            let by = Qty(want.0 - have.0);
            match self.odd_positions.judge(key, by, |a, b| a == b, quiet, asked, self.config.second_look) {
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
        let PositionRow { instrument, leg, qty, entry_px, .. } = *row;
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
        if off <= unsure(i, &held, row.entry_unit) {
            return;
        }
        let away = PositionRow { qty: Qty(-held.qty.0), entry_px: Some(ours), ..*row };
        self.adopt_position(now, &away, out);
        self.adopt_position(now, &PositionRow { qty: held.qty, ..*row }, out);
        self.again_at(Subject::Balances, now.after(self.config.second_look));
    }

    /// The cost of a position was compared, while nothing happened to it or else in vain.
    fn costed(&mut self, now: UnixNanos, key: (InstrumentId, Leg), quiet: bool) {
        if !self.miscosted.contains(&key) {
            return;
        }
        let due = now.after(self.config.second_look);
        if quiet {
            // What was earned until then was counted from the wrong cost.
            self.miscosted.remove(&key);
            self.again_at(Subject::Balances, due);
        } else {
            self.again_at(Subject::Positions, due);
        }
    }

    /// Whether no order of the instrument is in doubt and no history of it is under way. A doubt that was not asked
    /// about yet is one too: a fill that the venue has not told of may hide there.
    fn is_settled(&self, instrument: InstrumentId) -> bool {
        !self.histories.contains_key(&instrument) && !self.tracker.is_doubtful(instrument)
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
        let entry_unit = self.entry_units.get(&(instrument, leg)).copied().unwrap_or_default();
        self.adopt_position(now, &PositionRow { instrument, leg, qty: by, entry_px, entry_unit }, out);
        let what = format!("the position in {symbol} differs from ours by {size}: taken over from the venue");
        out.notices.push(alarm(what, "look whether somebody else trades on this account"));
        self.again_at(Subject::Positions, now.after(self.config.second_look));
        self.again_at(Subject::Balances, now.after(self.config.second_look));
    }

    // ---- balances

    pub(super) fn compare_balances(&mut self, now: UnixNanos, asked: UnixNanos, list: &[BalanceRow], out: &mut Outbox) {
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
            if by.is_zero()
                || self.take_dust(now, currency, by, out)
                || self.take_interest(now, currency, &balance, by, out)
            {
                self.odd_cash.clear(currency);
                self.tell_balance(now, currency, balance, out);
                continue;
            }
            let settled = self.concerned(currency).into_iter().all(|id| self.is_settled(id));
            let quiet = self.ledger.is_cash_quiet(currency, since) && settled && !self.odd_positions.any();
            let dust = self.dust(currency);
            let same = |a, b| is_near(a, b, dust);
            match self.odd_cash.judge(currency, by, same, quiet, asked, self.config.second_look) {
                Judged::New => {
                    for id in self.concerned(currency) {
                        if self.words.instruments().get(id).is_spot() {
                            self.ask_history(now, id, out);
                        }
                    }
                    self.doubt_costs(now, currency);
                    self.again_at(Subject::Balances, now.after(self.config.second_look));
                }
                Judged::Wait => self.again_at(Subject::Balances, now.after(self.config.second_look)),
                Judged::Stands => {
                    if self.may_be_interest(currency, &balance, by) {
                        self.pay_interest(now, currency, -by, out);
                    } else {
                        let what = format!("the balance of {currency} differs from ours by {by}: adjusted");
                        out.notices.push(warning(what));
                        self.adjust_cash(now, currency, by, out);
                    }
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

    /// A wrong cost, as of fills that an earlier life booked in another order, makes each profit counted from it a
    /// little wrong, and the difference in cash another one in each look: the cost comes first.
    fn doubt_costs(&mut self, now: UnixNanos, currency: Currency) {
        let held = self.held_in(currency);
        if !held.is_empty() {
            self.miscosted.extend(held);
            self.again_at(Subject::Positions, now.after(self.config.second_look));
        }
    }

    /// Positions that are settled in the currency.
    fn held_in(&self, currency: Currency) -> Vec<(InstrumentId, Leg)> {
        if !self.words.offers().positions {
            return Vec::new();
        }
        let instruments = self.words.instruments();
        let of = |id: InstrumentId| !instruments.get(id).is_spot() && instruments.get(id).settle() == currency;
        self.ledger.quantities().into_keys().filter(|(id, _)| of(*id)).collect()
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

    /// A balance that agrees with ours, where it is news to the kernel.
    fn tell_balance(&mut self, now: UnixNanos, currency: Currency, balance: Balance, out: &mut Outbox) {
        if self.told_balances.insert(currency, balance) != Some(balance) {
            let account = self.id();
            self.account_event(now, &AccountEvent::Balance { account, currency, balance }, out);
        }
    }

    // ---- interest

    /// Interest that the venue states: what is owed has grown by just what is missing.
    fn take_interest(
        &mut self,
        now: UnixNanos,
        currency: Currency,
        balance: &Balance,
        by: Decimal,
        out: &mut Outbox,
    ) -> bool {
        let Some(told) = self.told_balances.get(&currency) else { return false };
        let Ok(grown) = balance.interest.checked_sub(told.interest) else { return false };
        let rest = by.checked_add(grown).map_or(Decimal::MAX, Decimal::abs);
        let stated = grown.is_positive() && by.is_negative() && rest <= DUST;
        if stated {
            self.pay_interest(now, currency, -by, out);
        }
        stated
    }

    /// Whether a lack that nothing explains is interest: it was charged and repaid between two looks, or while nobody
    /// looked. Only where there is a debt, and only so little.
    fn may_be_interest(&self, currency: Currency, balance: &Balance, by: Decimal) -> bool {
        let before = self.told_balances.get(&currency).map_or(Decimal::ZERO, |told| told.borrowed);
        let most = before.max(balance.borrowed).mul_ratio(INTEREST_MOST.0, INTEREST_MOST.1, Rounding::Down);
        by.is_negative() && most.is_ok_and(|most| by.abs() <= most)
    }

    fn pay_interest(&mut self, now: UnixNanos, currency: Currency, amount: Decimal, out: &mut Outbox) {
        self.ledger.flow(now, currency, -amount);
        let account = self.id();
        self.account_event(now, &AccountEvent::Interest { account, currency, amount }, out);
    }

    /// So much of a currency may be rounding: of what is summed up, and of what positions cost.
    fn dust(&self, currency: Currency) -> Decimal {
        let instruments = self.words.instruments();
        let of = |key: (InstrumentId, Leg)| {
            let (unit, held) = (self.entry_units.get(&key)?, self.ledger.position(key));
            Some(unsure(instruments.get(key.0), &held, *unit))
        };
        let costs = self.held_in(currency).into_iter().filter_map(of);
        costs.fold(DUST, |sum, cost| sum.checked_add(cost).unwrap_or(sum))
    }

    /// What the venue shows is rounded, and so are our sums: so little is taken over, the least of it without a word.
    fn take_dust(&mut self, now: UnixNanos, currency: Currency, by: Decimal, out: &mut Outbox) -> bool {
        let dust = !by.is_zero() && by.abs() <= self.dust(currency);
        if dust {
            if by.abs() > DUST {
                let what =
                    format!("the balance of {currency} differs from ours by {by}, as positions are told: adjusted");
                out.notices.push(Notice::Info(what));
            }
            self.adjust_cash(now, currency, by, out);
        }
        dust
    }
}

/// How much of what a position cost is not known, from a price whose last digit counts `unit`; never more than a
/// millionth.
fn unsure(i: &Instrument, held: &Position, unit: Decimal) -> Decimal {
    let shown = i.value_at(unit, held.qty).map_or(Decimal::MAX, Decimal::abs);
    shown.min(held.cost.abs().mul_ratio(1, 1_000_000, Rounding::Up).unwrap_or_default())
}

fn net(balance: &Balance) -> Decimal {
    let net = balance.total.checked_sub(balance.borrowed).and_then(|n| n.checked_sub(balance.interest));
    net.unwrap_or(balance.total)
}
