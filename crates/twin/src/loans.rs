//! Loans of cross margin accounts: those taken by a call of their own, their interest, and what may still be borrowed or
//! taken out.
//! Never: what orders do to loans (`effects`), or a currency twice: what is owed of it is one loan, whoever took it.

use crate::error::ApiError;
use crate::json::Obj;
use crate::number::eight;
use crate::rest::Call;
use crate::spot_trade::number;
use crate::twin::Twin;
use ctos_types::{Currency, Decimal, Rounding};
use serde::{Deserialize, Serialize};

/// Interest an hour, charged on the full hour, as the exchange charges its own.
const HOURLY: (i64, u8) = (1, 6);
/// Debts may be so many times what the account is worth.
const ROOM: i64 = 2;
const HOUR_MS: i64 = 3_600_000;
/// Currencies that are lent.
pub(crate) const LENT: [&str; 10] = ["USDT", "BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "ADA", "LTC", "LINK"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Loan {
    pub principal: Decimal,
    pub interest: Decimal,
    /// Interest is charged up to here.
    charged_ms: i64,
}

impl Loan {
    pub fn owed(&self) -> Decimal {
        self.principal + self.interest
    }
}

fn e(code: i32, msg: &str) -> ApiError {
    ApiError::new(code, msg)
}

impl Twin {
    pub(crate) fn loan(&self, user: usize, asset: Currency) -> Loan {
        self.users.list[user].loans.get(&asset).copied().unwrap_or_default()
    }

    /// What a margin account owns and owes, in USDT.
    pub(crate) fn worth_and_debt(&self, user: usize) -> (Decimal, Decimal) {
        let usdt = Currency::cut("USDT");
        let (mut owned, mut owed) = (Decimal::ZERO, Decimal::ZERO);
        let engine = self.users.engine(user);
        let mut assets: Vec<Currency> = self.venue.balances(engine).map(|(a, _)| a).collect();
        assets.extend(self.users.list[user].loans.keys());
        assets.sort_unstable();
        assets.dedup();
        for asset in assets {
            let b = self.venue.balance(engine, asset);
            let price = self.price_in(asset, usdt).unwrap_or_default();
            let debt = self.loan(user, asset).owed();
            owned += b.total.mul(price, Rounding::Down).unwrap_or_default();
            owed += debt.mul(price, Rounding::Up).unwrap_or_default();
        }
        (owned, owed)
    }

    pub(crate) fn borrowable(&self, user: usize, asset: Currency) -> Result<Decimal, ApiError> {
        let price = self.margin_price(asset)?;
        let (owned, owed) = self.worth_and_debt(user);
        let room = (owned - owed).mul_ratio(ROOM, 1, Rounding::Down).unwrap_or_default() - owed;
        Ok(room.max(Decimal::ZERO).div(price, Rounding::Down).unwrap_or_default().round(8, Rounding::Down))
    }

    /// Errors: nothing that margin accounts know.
    fn margin_price(&self, asset: Currency) -> Result<Decimal, ApiError> {
        let price = self.price_in(asset, Currency::cut("USDT")).filter(|p| p.is_positive());
        price.ok_or_else(|| e(-3027, "Not a valid margin asset."))
    }

    /// Charges the hours that are over.
    pub(crate) fn charge_loans(&mut self, now: i64) {
        let rate = Decimal::new(HOURLY.0, HOURLY.1);
        for user in &mut self.users.list {
            for loan in user.loans.values_mut().filter(|l| l.principal.is_positive()) {
                let hours = now.div_euclid(HOUR_MS) - loan.charged_ms.div_euclid(HOUR_MS);
                if hours > 0 {
                    let once = loan.principal.mul(rate, Rounding::Up).unwrap_or_default();
                    loan.interest += once.mul_ratio(hours, 1, Rounding::Up).unwrap_or_default().round(8, Rounding::Up);
                    loan.charged_ms = now;
                }
            }
        }
    }

    /// Adds to what is owed.
    pub(crate) fn owe(&mut self, user: usize, asset: Currency, amount: Decimal) {
        let now = self.now_ms();
        let loan = self.users.list[user].loans.entry(asset).or_default();
        if !loan.principal.is_positive() {
            loan.charged_ms = now;
        }
        loan.principal += amount;
    }

    /// Takes off what was repaid.
    pub(crate) fn repaid(&mut self, user: usize, asset: Currency, interest: Decimal, principal: Decimal) {
        let loan = self.users.list[user].loans.entry(asset).or_default();
        loan.interest -= interest;
        loan.principal -= principal;
    }

    fn book_loan(&mut self, user: usize, asset: Currency, amount: Decimal) -> Result<(), ApiError> {
        let engine = self.users.engine(user);
        let mut batch = Vec::new();
        let moved = self.venue.transfer(self.now, engine, asset, amount, &mut batch);
        moved.map_err(|_| e(-3041, "Balance is not enough"))?;
        self.absorb(batch, None);
        Ok(())
    }
}

/// The caller's margin account and the asset that was named.
fn named(t: &Twin, c: &Call) -> Result<(usize, Currency), ApiError> {
    if c.params.text("isIsolated")?.is_some_and(|i| i.eq_ignore_ascii_case("true")) {
        return Err(e(-11001, "Isolated margin account does not exist."));
    }
    let asset = Currency::new(c.params.need("asset")?).map_err(|_| e(-3027, "Not a valid margin asset."))?;
    t.margin_price(asset)?;
    Ok((t.users.margin_of(c.user), asset))
}

pub(crate) fn borrow_repay(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let (user, asset) = named(t, c)?;
    let amount = number(&c.params, "amount")?.unwrap_or_default();
    if !amount.is_positive() {
        return Err(ApiError::invalid("amount"));
    }
    match c.params.need("type")? {
        "BORROW" => {
            if !LENT.contains(&asset.as_str()) {
                return Err(e(-3012, "Borrow is banned for this asset."));
            }
            if amount > t.borrowable(user, asset)? {
                return Err(e(-3006, "Your borrow amount has exceed maximum borrow amount."));
            }
            t.book_loan(user, asset, amount)?;
            t.owe(user, asset, amount);
        }
        "REPAY" => {
            let loan = t.loan(user, asset);
            if amount > loan.owed() {
                return Err(e(-3015, "Repay amount exceeds borrow amount."));
            }
            t.book_loan(user, asset, -amount)?;
            // Interest first.
            let interest = amount.min(loan.interest);
            t.repaid(user, asset, interest, amount - interest);
        }
        _ => return Err(ApiError::invalid("type")),
    }
    Ok(Obj::new().int("tranId", t.next_execution()).done())
}

pub(crate) fn max_borrowable(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    isolated(c)?;
    let (user, asset) = named(t, c)?;
    let lent = LENT.contains(&asset.as_str());
    let most = eight(if lent { t.borrowable(user, asset)? } else { Decimal::ZERO });
    Ok(Obj::new().str("amount", &most).str("borrowLimit", &most).done())
}

/// Isolated margin accounts do not exist here.
fn isolated(c: &Call) -> Result<(), ApiError> {
    match c.params.text("isolatedSymbol")? {
        Some(_) => Err(ApiError::new(-11001, "Isolated margin account does not exist.")),
        None => Ok(()),
    }
}

/// What leaves twice the debts behind.
pub(crate) fn max_transferable(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    isolated(c)?;
    let (user, asset) = named(t, c)?;
    let free = t.venue.balance(t.users.engine(user), asset).available().max(Decimal::ZERO);
    let (owned, owed) = t.worth_and_debt(user);
    if owed.is_zero() {
        return Ok(Obj::new().str("amount", &eight(free)).done());
    }
    let spare = (owned - owed.mul_ratio(2, 1, Rounding::Up).unwrap_or(Decimal::MAX)).max(Decimal::ZERO);
    let spare = spare.div(t.margin_price(asset)?, Rounding::Down).unwrap_or_default().round(8, Rounding::Down);
    Ok(Obj::new().str("amount", &eight(free.min(spare))).done())
}
