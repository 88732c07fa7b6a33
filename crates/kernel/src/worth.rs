//! What an account is worth, and the breakers that stop it when it loses too much.
//! Never: values a currency without a price.

use crate::audit::{Alarm, Audit};
use crate::core::Core;
use crate::kernel::AccountSpec;
use crate::portfolio::Cash;
use ctos_types::{
    AccountId, Currency, Decimal, HaltScope, Instrument, InstrumentId, Instruments, KillState, Nanos, Rounding,
    UnixNanos,
};
use serde::{Deserialize, Serialize};

/// How often equity is sampled and the loss breakers look.
const MONITOR_EVERY: Nanos = Nanos::from_secs(1);
/// Highest and day-start equity of an account, for the breakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watermark {
    pub peak: Decimal,
    pub day: i64,
    pub day_start: Decimal,
    /// Equity at the last sample, and how many holdings had no price then.
    pub last: Decimal,
    pub unpriced: u32,
    pub set: bool,
    /// A peak, and what may be lost from it before the drawdown is looked at closely. Follows from the limit.
    #[serde(skip)]
    looked: Option<(Decimal, Decimal)>,
}

impl Watermark {
    fn shift(&mut self, by: Decimal) {
        let sums = (self.peak.checked_add(by), self.day_start.checked_add(by), self.last.checked_add(by));
        if let (Ok(peak), Ok(day_start), Ok(last)) = sums {
            (self.peak, self.day_start, self.last) = (peak, day_start, last);
        }
    }

    fn sample(&mut self, day: i64, equity: Decimal, unpriced: u32) {
        if !self.set {
            *self = Watermark { peak: equity, day, day_start: equity, last: equity, unpriced, set: true, looked: None };
        }
        if unpriced < self.unpriced
            && let Ok(by) = equity.checked_sub(self.last)
        {
            // Something that was there all along has its first price: it did not just earn that.
            self.shift(by);
        }
        if self.day != day {
            (self.day, self.day_start) = (day, equity);
        }
        (self.last, self.unpriced) = (equity, unpriced);
        self.peak = self.peak.max(equity);
    }
}

impl Core {
    /// Worth of the account in its reporting currency: cash at current prices plus unrealised profit of derivatives.
    /// Currencies without a price count as nothing.
    pub fn equity(&self, account: AccountId) -> Decimal {
        self.valuation(account).0
    }

    /// Equity, and the number of holdings that are not in it because they have no price.
    fn valuation(&self, account: AccountId) -> (Decimal, u32) {
        let (mut sum, mut unpriced) = (Decimal::ZERO, 0);
        let mut add = |currency, amount: Option<Decimal>| {
            let converted = amount.and_then(|a| self.convert(account, currency, a));
            match converted.and_then(|c| sum.checked_add(c).ok()) {
                Some(more) => sum = more,
                None => unpriced += 1,
            }
        };
        let held = |(a, _, cash): &(AccountId, Currency, &Cash)| *a == account && !cash.ours.is_zero();
        for (_, currency, cash) in self.s.portfolio.all_cash().filter(held) {
            add(currency, Some(cash.ours));
        }
        for ((a, id, _), position) in self.s.portfolio.positions() {
            let instrument = self.instruments.get(id);
            if a != account || instrument.is_spot() || position.is_flat() {
                continue;
            }
            let unrealized = match self.s.markets[id.index()].grid_reference() {
                // The same number without a division.
                Some(px) => instrument.value(px, position.qty).and_then(|v| v.checked_sub(position.cost)).ok(),
                None => self.reference(id).and_then(|r| position.unrealized(instrument, r).ok()),
            };
            add(instrument.settle(), unrealized);
        }
        (sum, unpriced)
    }

    fn convert(&self, account: AccountId, currency: Currency, amount: Decimal) -> Option<Decimal> {
        match self.rate(account, currency)? {
            rate if rate == Decimal::ONE => Some(amount),
            rate => amount.mul(rate, Rounding::Down).ok(),
        }
    }

    fn rate(&self, account: AccountId, currency: Currency) -> Option<Decimal> {
        if self.accounts[account.0 as usize].reporting == currency {
            return Some(Decimal::ONE);
        }
        let source = self.rate_sources.iter().find(|(a, c, _)| (*a, *c) == (account, currency))?;
        self.reference(source.2)
    }

    /// Lets `flow` change what the account owns, by something that is neither profit nor loss (a starting balance, a
    /// deposit, a withdrawal): the marks that the breakers measure from move with it.
    pub fn outside_flow<T>(&mut self, account: AccountId, flow: impl FnOnce(&mut Core) -> T) -> T {
        let before = self.valuation(account);
        let result = flow(self);
        let after = self.valuation(account);
        if let (Some(mark), Ok(by)) = (self.s.watermarks.get_mut(account.0 as usize), after.0.checked_sub(before.0)) {
            mark.shift(by);
            // What came without a price is accounted for when it gets one.
            mark.unpriced = (mark.unpriced + after.1).saturating_sub(before.1);
        }
        result
    }

    /// Samples equity and trips the loss breakers.
    pub fn monitor(&mut self) {
        self.s.monitor_next = self.s.now.after(MONITOR_EVERY);
        self.s.monitor_due = UnixNanos::MAX;
        for index in 0..self.accounts.len() {
            let account = AccountId(index as u16);
            let ((equity, unpriced), day) = (self.valuation(account), self.s.now.day());
            self.s.watermarks[index].sample(day, equity, unpriced);
            let mark = self.s.watermarks[index];
            self.audit(Audit::Equity { account, currency: self.accounts[index].reporting, equity });
            self.breakers(account, equity, mark);
        }
    }

    fn breakers(&mut self, account: AccountId, equity: Decimal, mark: Watermark) {
        let limits = &self.accounts[account.0 as usize].limits;
        let lost = mark.day_start - equity;
        let share = limits.daily_loss_pct.and_then(|pct| mark.day_start.mul(pct, Rounding::Up).ok());
        let share = share.and_then(|s| s.mul_ratio(1, 100, Rounding::Up).ok());
        let limit = [limits.daily_loss, share].into_iter().flatten().min().filter(|limit| limit.is_positive());
        if let Some(limit) = limit.filter(|limit| lost >= *limit) {
            if self.s.kill.state(HaltScope::Account(account)) != KillState::Halted {
                self.alarm(Alarm::DailyLoss { account, limit, lost });
            }
            self.halt(HaltScope::Account(account), KillState::Halted, "daily loss limit reached");
            return;
        }
        let Some(limit_pct) = limits.max_drawdown_pct.filter(|_| mark.peak.is_positive()) else { return };
        let allowed = match mark.looked.filter(|(peak, _)| *peak == mark.peak) {
            Some((_, allowed)) => allowed,
            None => {
                // What may be lost at least, rounded down so that no drawdown is overlooked.
                let share = mark.peak.mul(limit_pct, Rounding::Down).and_then(|s| s.mul_ratio(1, 100, Rounding::Down));
                let allowed = share.unwrap_or(Decimal::ZERO);
                self.s.watermarks[account.0 as usize].looked = Some((mark.peak, allowed));
                allowed
            }
        };
        if mark.peak - equity < allowed {
            return;
        }
        let fall = (mark.peak - equity).div(mark.peak, Rounding::Down);
        let Ok(drawdown_pct) = fall.and_then(|f| f.mul(Decimal::from_int(100), Rounding::Down)) else { return };
        if drawdown_pct >= limit_pct {
            if self.s.kill.state(HaltScope::Account(account)) != KillState::Halted {
                self.alarm(Alarm::Drawdown { account, limit_pct, drawdown_pct });
            }
            self.halt(HaltScope::Account(account), KillState::Halted, "drawdown limit reached");
        }
    }
}

/// What converts each currency to each account's reporting currency: a price of the one in the other.
pub(crate) fn rate_sources(
    instruments: &Instruments,
    accounts: &[AccountSpec],
) -> Vec<(AccountId, Currency, InstrumentId)> {
    let mut sources = Vec::new();
    for account in accounts {
        // Spot prices convert before derivatives of the same pair.
        let mut found: Vec<&Instrument> =
            instruments.iter().filter(|i| i.quote == account.reporting && !i.is_inverse()).collect();
        found.sort_by_key(|i| (!i.is_spot(), i.id));
        for i in found {
            if !sources.iter().any(|(a, c, _)| (*a, *c) == (account.id, i.base)) {
                sources.push((account.id, i.base, i.id));
            }
        }
    }
    sources
}
