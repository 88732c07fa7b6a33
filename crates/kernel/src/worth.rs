//! What an account is worth, and the breakers that stop it when it loses too much.
//! Never: values a currency without a price.

use crate::audit::{Alarm, Audit};
use crate::core::Core;
use crate::kernel::AccountSpec;
use ctos_types::{
    AccountId, Currency, Decimal, HaltScope, Instrument, InstrumentId, Instruments, KillState, Nanos, Rounding,
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
    pub set: bool,
}

impl Core {
    /// Worth of the account in its reporting currency: cash at current prices plus unrealised profit of derivatives.
    /// Currencies without a price count as nothing.
    pub fn equity(&self, account: AccountId) -> Decimal {
        let mut sum = Decimal::ZERO;
        for (_, currency, cash) in self.s.portfolio.all_cash().filter(|(a, ..)| *a == account) {
            sum = self.add_converted(sum, account, currency, cash.ours);
        }
        for ((a, id, _), position) in self.s.portfolio.positions() {
            let instrument = self.instruments.get(id);
            if a != account || instrument.is_spot() || position.is_flat() {
                continue;
            }
            if let Some(unrealized) = self.reference(id).and_then(|r| position.unrealized(instrument, r).ok()) {
                sum = self.add_converted(sum, account, instrument.settle(), unrealized);
            }
        }
        sum
    }

    fn add_converted(&self, sum: Decimal, account: AccountId, currency: Currency, amount: Decimal) -> Decimal {
        let converted = match self.rate(account, currency) {
            Some(rate) if rate == Decimal::ONE => Some(amount),
            Some(rate) => amount.mul(rate, Rounding::Down).ok(),
            None => None,
        };
        converted.and_then(|c| sum.checked_add(c).ok()).unwrap_or(sum)
    }

    fn rate(&self, account: AccountId, currency: Currency) -> Option<Decimal> {
        if self.accounts[account.0 as usize].reporting == currency {
            return Some(Decimal::ONE);
        }
        let source = self.rate_sources.iter().find(|(a, c, _)| (*a, *c) == (account, currency))?;
        self.reference(source.2)
    }

    /// A deposit or withdrawal is neither profit nor loss: the marks the breakers measure from move with it.
    pub fn shift_watermark(&mut self, account: AccountId, by: Decimal) {
        let Some(mark) = self.s.watermarks.get_mut(account.0 as usize).filter(|m| m.set) else { return };
        if let (Ok(peak), Ok(day_start)) = (mark.peak.checked_add(by), mark.day_start.checked_add(by)) {
            (mark.peak, mark.day_start) = (peak, day_start);
        }
    }

    /// Samples equity and trips the loss breakers.
    pub fn monitor(&mut self) {
        self.s.monitor_due = self.s.now.after(MONITOR_EVERY);
        for index in 0..self.accounts.len() {
            let account = AccountId(index as u16);
            let (equity, day) = (self.equity(account), self.s.now.day());
            let mark = &mut self.s.watermarks[index];
            if !mark.set {
                *mark = Watermark { peak: equity, day, day_start: equity, set: true };
            }
            if mark.day != day {
                (mark.day, mark.day_start) = (day, equity);
            }
            mark.peak = mark.peak.max(equity);
            let mark = *mark;
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
