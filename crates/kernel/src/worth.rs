//! What an account is worth, and the breakers that stop it when it loses too much.
//! Never: values a currency without a price.

use crate::audit::{Alarm, Audit};
use crate::core::Core;
use crate::kernel::AccountSpec;
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
    /// What the limits make of peak and day's start. Follows from them.
    #[serde(skip)]
    calm: Option<Calm>,
}

/// With this peak and this start of the day, no breaker can trip above this equity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Calm {
    peak: Decimal,
    day_start: Decimal,
    above: Decimal,
}

/// An account's worth as a sum that prices alone change, until cash or a position does. Holds where everything settles
/// in the reporting currency and each contract's value is a plain product.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worth {
    /// Of the portfolio when this was worked out, and whether it holds.
    changes: u64,
    plain: bool,
    /// Cash less what the positions cost, in units of 10^-18.
    fixed: i128,
    parts: Vec<Part>,
}

/// What a position is worth, as a product.
#[derive(Clone, Copy, Debug)]
struct Part {
    instrument: InstrumentId,
    qty: i64,
    /// Atoms of a price and a size of one.
    scale: i64,
}

impl Watermark {
    fn shift(&mut self, by: Decimal) {
        let sums = (self.peak.checked_add(by), self.day_start.checked_add(by), self.last.checked_add(by));
        if let (Ok(peak), Ok(day_start), Ok(last)) = sums {
            (self.peak, self.day_start, self.last) = (peak, day_start, last);
        }
    }

    #[inline]
    fn sample(&mut self, day: i64, equity: Decimal, unpriced: u32) {
        if !self.set {
            *self = Watermark { peak: equity, day, day_start: equity, last: equity, unpriced, set: true, calm: None };
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
        match self.plain_valuation(&self.worths[account.0 as usize]) {
            Some(equity) => (equity, 0),
            None => self.full_valuation(account),
        }
    }

    /// The same as the full one, where `worth` holds and every price is one of the grid.
    #[inline]
    fn plain_valuation(&self, worth: &Worth) -> Option<Decimal> {
        if !worth.plain || worth.changes != self.s.portfolio.changes() {
            return None;
        }
        let mut sum = worth.fixed;
        for part in &worth.parts {
            let px = self.s.markets[part.instrument.index()].grid_reference()?;
            let product = px.0.checked_mul(part.qty)?;
            // Two factors of 64 bits: this is one multiplication and cannot overflow.
            sum = sum.checked_add(i128::from(product) * i128::from(part.scale))?;
        }
        Some(Decimal::from_atoms(sum))
    }

    /// Works out anew what the samples of equity use, if anything has changed since.
    fn refresh_worth(&mut self, account: AccountId) {
        let index = account.0 as usize;
        let changes = self.s.portfolio.changes();
        if self.worths[index].changes == changes && self.worths[index].plain {
            return;
        }
        let mut worth = std::mem::take(&mut self.worths[index]);
        worth.parts.clear();
        let reporting = self.accounts[index].reporting;
        let fixed = self.fixed_worth(account, reporting, &mut worth.parts);
        (worth.changes, worth.plain, worth.fixed) = (changes, fixed.is_some(), fixed.unwrap_or(0));
        self.worths[index] = worth;
    }

    fn fixed_worth(&self, account: AccountId, reporting: Currency, parts: &mut Vec<Part>) -> Option<i128> {
        let mut fixed = 0i128;
        for (_, currency, cash) in
            self.s.portfolio.all_cash().filter(|(a, _, cash)| *a == account && !cash.ours.is_zero())
        {
            if currency != reporting {
                return None;
            }
            fixed = fixed.checked_add(cash.ours.atoms())?;
        }
        for ((a, id, _), position) in self.s.portfolio.positions() {
            let instrument = self.instruments.get(id);
            if a != account || position.is_flat() || instrument.is_spot() {
                continue;
            }
            if instrument.settle() != reporting {
                return None;
            }
            fixed = fixed.checked_sub(position.cost.atoms())?;
            parts.push(Part { instrument: id, qty: position.qty.0, scale: instrument.plain_scale()? });
        }
        Some(fixed)
    }

    fn full_valuation(&self, account: AccountId) -> (Decimal, u32) {
        let (mut sum, mut unpriced) = (Decimal::ZERO, 0);
        let reporting = self.accounts[account.0 as usize].reporting;
        let mut add = |currency: Currency, amount: Option<Decimal>| {
            let converted = match amount {
                Some(amount) if currency == reporting => Some(amount),
                amount => amount.and_then(|a| self.convert(account, currency, a)),
            };
            match converted.and_then(|c| sum.checked_add(c).ok()) {
                Some(more) => sum = more,
                None => unpriced += 1,
            }
        };
        for (a, currency, cash) in self.s.portfolio.all_cash() {
            if a == account && !cash.ours.is_zero() {
                add(currency, Some(cash.ours));
            }
        }
        for ((a, id, _), position) in self.s.portfolio.positions() {
            if a != account || position.is_flat() {
                continue;
            }
            let instrument = self.instruments.get(id);
            if instrument.is_spot() {
                continue;
            }
            // The same number without a division, in the usual case.
            let px = self.s.markets[id.index()].grid_reference();
            let unrealized = match px.and_then(|px| instrument.plain_value(px, position.qty)) {
                Some(value) => value.checked_sub(position.cost).ok(),
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
        if !self.s.unpriced.is_empty() {
            self.adopt_priced();
        }
        let day = self.s.now.day();
        for index in 0..self.accounts.len() {
            let account = AccountId(index as u16);
            // Its first sample is what everything is measured from: it waits until the account is told in whole.
            if !self.s.watermarks[index].set && !self.is_known(account) {
                continue;
            }
            let (equity, unpriced) = match self.plain_valuation(&self.worths[index]) {
                Some(equity) => (equity, 0),
                None => {
                    self.refresh_worth(account);
                    self.valuation(account)
                }
            };
            let mark = &mut self.s.watermarks[index];
            mark.sample(day, equity, unpriced);
            let calm =
                mark.calm.is_some_and(|c| equity > c.above && c.peak == mark.peak && c.day_start == mark.day_start);
            let currency = self.accounts[index].reporting;
            self.tell(|| Audit::Equity { account, currency, equity });
            if !calm {
                self.breakers(account, equity);
            }
        }
    }

    fn breakers(&mut self, account: AccountId, equity: Decimal) {
        let mark = self.s.watermarks[account.0 as usize];
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
        let limit_pct = limits.max_drawdown_pct.filter(|_| mark.peak.is_positive());
        // What may be lost of the peak at least, rounded down so that no drawdown is overlooked.
        let share =
            limit_pct.map(|pct| mark.peak.mul(pct, Rounding::Down).and_then(|s| s.mul_ratio(1, 100, Rounding::Down)));
        let allowed = share.map(|share| share.unwrap_or(Decimal::ZERO));
        let edges = [limit.map(|l| mark.day_start.checked_sub(l)), allowed.map(|a| mark.peak.checked_sub(a))];
        let above = edges.into_iter().flatten().map(|edge| edge.unwrap_or(Decimal::MAX)).max();
        let above = above.unwrap_or(Decimal::from_atoms(i128::MIN));
        self.s.watermarks[account.0 as usize].calm = Some(Calm { peak: mark.peak, day_start: mark.day_start, above });
        let (Some(limit_pct), Some(allowed)) = (limit_pct, allowed) else { return };
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
