//! What an account may still use: holds of open orders, margin of contracts, borrowing power on spot.
//! Never: moves money; that is the ledger's.

use crate::account::{Account, max_leverage};
use crate::core::{Core, Cx};
use crate::exchange::{LeverageError, Margin};
use crate::orders::Order;
use ctos_types::{
    Balance, Currency, Decimal, Instrument, InstrumentId, Instruments, Leg, NumberError, Position, Price, Qty,
    Rounding, Side,
};

/// The margin part of a contract position or order, rounded up.
fn initial_margin(a: &Account, i: &Instrument, value: Decimal) -> Result<Decimal, NumberError> {
    let leverage = a.leverage(i);
    let (whole, rest) = leverage.parts();
    match i64::try_from(whole) {
        // Whole leverages are the rule, and dividing by one needs no 256 bits.
        Ok(whole) if rest == 0 => value.abs().mul_ratio(1, whole, Rounding::Up),
        _ => value.abs().div(leverage, Rounding::Up),
    }
}

impl Core {
    // ---- holds

    /// Changes what is held for an order.
    pub fn set_hold(&mut self, slot: u32, hold: Decimal) {
        let order = &mut self.orders[slot];
        let (account, currency, change) = (order.account, order.hold_currency, hold - order.hold);
        if change.is_zero() {
            return;
        }
        order.hold = hold;
        self.account_mut(account).add_hold(currency, change);
        self.touch_cash(account, currency);
    }

    /// What must be held for a spot order: everything it can spend.
    /// A buy: its value at the limit (or expected) price with the worst fee where fees are paid in quote. A sell: the base.
    pub fn spot_hold(&self, i: &Instrument, o: &Order) -> Result<Decimal, NumberError> {
        let Some(px) = o.hold_px else { return Ok(Decimal::ZERO) };
        let rate = o.rates.taker.max(o.rates.maker);
        match (o.amount_left, o.side()) {
            (None, Side::Buy) => {
                let value = i.value(px, Qty(o.leaves()))?;
                value.checked_add(self.quote_fee_bound(o.account, i, o.leaves(), value, rate)?)
            }
            (None, Side::Sell) => Ok(i.qty_decimal(Qty(o.leaves()))),
            (Some(amount), Side::Buy) => amount.checked_add(self.quote_fee_bound(o.account, i, 1, amount, rate)?),
            (Some(amount), Side::Sell) => Ok(i.qty_decimal(i.qty_for_quote(amount, px)?)),
        }
    }

    /// Brings the hold of a spot order up to date; contracts follow at the end of the call.
    pub fn refresh_hold(&mut self, i: &Instrument, slot: u32) {
        let order = self.orders[slot];
        if !i.is_spot() {
            return self.touch_margin(order.account, i.id);
        }
        // It fitted when it was accepted and only shrinks.
        if let Ok(hold) = self.spot_hold(i, &order) {
            self.set_hold(slot, hold);
        }
    }

    /// Margin and worst fee of a contract order of which `opening` adds to the position.
    pub fn margin_hold(&self, i: &Instrument, o: &Order, opening: i64) -> Result<Decimal, NumberError> {
        let Some(px) = o.hold_px.filter(|_| opening > 0) else { return Ok(Decimal::ZERO) };
        let value = i.value(px, Qty(opening))?.abs();
        let rate = o.rates.taker.max(o.rates.maker).max(Decimal::ZERO);
        initial_margin(self.account(o.account), i, value)?.checked_add(value.mul(rate, Rounding::Ceil)?)
    }

    /// Size of a contract order that would open, given what earlier orders of the account already close.
    /// Earlier orders come first: the oldest may close the position, the rest must have margin.
    pub fn opening_part(&self, account: u16, i: &Instrument, leg: Leg, side: Side, qty: i64, before: u64) -> i64 {
        let a = self.account(account);
        let closable = a.closable(i.id, leg, side);
        if closable == 0 {
            return qty;
        }
        let earlier = a.open.iter().filter(|o| o.instrument == i.id && o.seq < before).map(|o| &self.orders[o.slot]);
        let waiting: i64 = earlier
            .filter(|o| o.side() == side && o.leg() == leg && o.amount_left.is_none())
            .fold(0i64, |sum, o| sum.saturating_add(o.leaves()));
        (qty - (closable - waiting).max(0)).max(0)
    }

    /// Works out anew what is held for the account's orders on a contract.
    pub fn refresh_margin_holds(&mut self, account: u16, i: &Instrument) {
        if i.is_spot() || self.account(account).open.is_empty() {
            return;
        }
        // By leg and side, looked up when the first order of that kind is met.
        let mut left = [[None; 2]; 3];
        for n in 0..self.account(account).open.len() {
            let open = self.account(account).open[n];
            if open.instrument != i.id {
                continue;
            }
            let quoted = match self.orders[open.slot].quoted {
                Some(_) => self.orders[open.slot].quoted.take(),
                None => None,
            };
            // Looked at where it lies: most orders of a long list are as they were.
            let o = &self.orders[open.slot];
            let mut opening = match (o.amount_left, o.hold_px) {
                (Some(amount), Some(px)) => i.qty_for_quote(amount, px).map_or(0, |q| q.0),
                (Some(_), None) => 0,
                (None, _) => o.leaves(),
            };
            if o.amount_left.is_none() {
                let closable = &mut left[o.leg() as usize][o.side() as usize];
                let closable = closable.get_or_insert_with(|| self.account(account).closable(i.id, o.leg(), o.side()));
                let closing = opening.min(*closable);
                *closable -= closing;
                opening -= closing;
            }
            let opening = if o.reduce { 0 } else { opening };
            if opening == o.held_for {
                continue;
            }
            // It fitted when it was accepted; a smaller size cannot overflow later.
            let hold = match quoted {
                Some((size, hold)) if size == opening => Ok(hold),
                _ => self.margin_hold(i, o, opening),
            };
            if let Ok(hold) = hold {
                self.set_hold(open.slot, hold);
                self.orders[open.slot].held_for = opening;
            }
        }
    }

    // ---- margin of contracts

    /// Margin of the contracts that settle in `settle`. Positions without any price yet count at cost.
    pub fn margin(&self, all: &Instruments, account: u16, settle: Currency) -> Result<Margin, NumberError> {
        let a = self.account(account);
        let cash = a.balance(settle);
        let mut m = Margin::default();
        for held in a.held() {
            let i = all.get(held.instrument);
            if i.settle() != settle {
                continue;
            }
            let value = self.worth(i, &held.position)?;
            m.unrealized = m.unrealized.checked_add(value.checked_sub(held.position.cost)?)?;
            m.initial = m.initial.checked_add(initial_margin(a, i, value)?)?;
            m.maintenance = m.maintenance.checked_add(value.abs().mul(i.maintenance_margin, Rounding::Up)?)?;
        }
        m.orders = cash.hold;
        let net = cash.total.checked_sub(cash.borrowed)?.checked_sub(cash.interest)?;
        m.equity = net.checked_add(m.unrealized)?;
        m.free = m.equity.checked_sub(m.initial)?.checked_sub(m.orders)?;
        Ok(m)
    }

    /// [`Margin::free`] alone.
    pub fn free_margin(&self, all: &Instruments, account: u16, settle: Currency) -> Result<Decimal, NumberError> {
        let a = self.account(account);
        let cash = a.balance(settle);
        let mut free = cash.total.checked_sub(cash.borrowed)?.checked_sub(cash.interest)?.checked_sub(cash.hold)?;
        for held in a.held() {
            let i = all.get(held.instrument);
            if i.settle() != settle {
                continue;
            }
            let value = self.worth(i, &held.position)?;
            free =
                free.checked_add(value.checked_sub(held.position.cost)?)?.checked_sub(initial_margin(a, i, value)?)?;
        }
        Ok(free)
    }

    /// By how much the equity behind the contracts that settle in `settle` is above their maintenance margin.
    pub fn margin_slack(&self, all: &Instruments, account: u16, settle: Currency) -> Result<Decimal, NumberError> {
        let a = self.account(account);
        let cash = a.balance(settle);
        let mut equity = cash.total.checked_sub(cash.borrowed)?.checked_sub(cash.interest)?;
        let mut maintenance = Decimal::ZERO;
        for held in a.held() {
            let i = all.get(held.instrument);
            if i.settle() != settle {
                continue;
            }
            let value = self.worth(i, &held.position)?;
            equity = equity.checked_add(value.checked_sub(held.position.cost)?)?;
            maintenance = maintenance.checked_add(value.abs().mul(i.maintenance_margin, Rounding::Up)?)?;
        }
        equity.checked_sub(maintenance)
    }

    /// Signed worth of a position at the mark; without any price yet, its cost.
    fn worth(&self, i: &Instrument, position: &Position) -> Result<Decimal, NumberError> {
        let market = self.market(i.id);
        let grid = market.mark_price().filter(|px| px.0 > 0);
        if let Some(value) = grid.and_then(|px| i.plain_value(px, position.qty)) {
            return Ok(value);
        }
        match market.mark(i) {
            Some(mark) if mark.is_positive() => i.value_at(mark, position.qty),
            _ => Ok(position.cost),
        }
    }

    /// What can be spent of a currency without borrowing. Contract losses and margin in the same currency come first.
    pub fn spendable(&self, cx: &Cx<'_>, account: u16, currency: Currency) -> Result<Decimal, NumberError> {
        let a = self.account(account);
        let available = a.balance(currency).available();
        if a.held().is_empty() {
            return Ok(available);
        }
        let m = self.margin(cx.all, account, currency)?;
        available.checked_sub(m.initial.checked_sub(m.unrealized)?.max(Decimal::ZERO))
    }

    // ---- spot

    /// Whether `amount` more of `currency` can be held for spot orders.
    pub fn can_hold(
        &self,
        cx: &Cx<'_>,
        account: u16,
        currency: Currency,
        amount: Decimal,
    ) -> Result<bool, NumberError> {
        if amount <= self.spendable(cx, account, currency)? {
            return Ok(true);
        }
        let Some(borrow) = &self.account(account).config.borrow else { return Ok(false) };
        if borrow.rate(currency).is_none() {
            return Ok(false);
        }
        let (mut worth, mut debt) = (Decimal::ZERO, Decimal::ZERO);
        let cash = self.account(account).balances();
        let fresh = [(currency, Balance::default())];
        let missing = if cash.iter().any(|(c, _)| *c == currency) { &fresh[..0] } else { &fresh[..] };
        for (c, b) in cash.iter().chain(missing) {
            let held = if *c == currency { b.hold.checked_add(amount)? } else { b.hold };
            let owed = b.borrowed.checked_add(b.interest)?;
            let owes = owed.checked_add(held.checked_sub(b.total)?.max(Decimal::ZERO))?;
            let net = b.total.checked_sub(owed)?;
            match self.price_in(cx, *c, borrow.valuation) {
                Some(px) => {
                    worth = worth.checked_add(net.mul(px, Rounding::Floor)?)?;
                    debt = debt.checked_add(owes.mul(px, Rounding::Ceil)?)?;
                }
                // What has no price backs nothing and cannot be owed.
                None if owes.is_positive() => return Ok(false),
                None => {}
            }
        }
        let room = worth.mul(borrow.max_leverage.checked_sub(Decimal::ONE)?, Rounding::Floor)?;
        Ok(debt <= room)
    }

    /// How much of a market order the account can pay for at `px`. Only spot cash accounts are ever cut.
    pub fn affordable(&self, cx: &Cx<'_>, i: &Instrument, o: &Order, px: Price, qty: i64) -> Result<i64, NumberError> {
        if !i.is_spot() || o.limit().is_some() || self.account(o.account).config.borrow.is_some() {
            return Ok(qty);
        }
        let currency = if o.side() == Side::Buy { i.quote } else { i.base };
        let budget = self.spendable(cx, o.account, currency)?.checked_add(o.hold)?.max(Decimal::ZERO);
        if o.side() == Side::Sell {
            return Ok(qty.min(i.qty_down(budget)?.0));
        }
        let cost = |qty: i64| {
            let value = i.value(px, Qty(qty))?;
            value.checked_add(self.quote_fee_bound(o.account, i, 1, value, o.rates.taker)?)
        };
        if cost(qty)? <= budget {
            return Ok(qty);
        }
        let fee_free = self.quote_fee_bound(o.account, i, 1, Decimal::ONE, o.rates.taker)?;
        let net = budget.div(Decimal::ONE.checked_add(fee_free)?, Rounding::Down)?;
        let mut fits = i.qty_for_quote(net, px)?.0.min(qty);
        while fits > 0 && cost(fits)? > budget {
            fits -= i.lot.0;
        }
        Ok(fits.max(0))
    }

    // ---- leverage

    pub fn change_leverage(
        &mut self,
        all: &Instruments,
        account: u16,
        instrument: InstrumentId,
        leverage: Decimal,
    ) -> Result<(), LeverageError> {
        let i = all.get(instrument);
        if i.is_spot() {
            return Err(LeverageError::NotAContract(i.symbol.to_string()));
        }
        let max = max_leverage(i);
        if leverage < Decimal::ONE || leverage > max {
            return Err(LeverageError::Range { asked: leverage, max });
        }
        let before = self.account(account).leverage(i);
        self.apply_leverage(account, i, leverage);
        let fits = leverage >= before || !self.margin(all, account, i.settle())?.free.is_negative();
        if !fits {
            self.apply_leverage(account, i, before);
            return Err(LeverageError::InsufficientMargin);
        }
        Ok(())
    }

    fn apply_leverage(&mut self, account: u16, i: &Instrument, leverage: Decimal) {
        self.account_mut(account).set_leverage(i.id, leverage);
        for slot in self.open_slots(account, Some(i.id)) {
            self.orders[slot].held_for = -1;
        }
        self.refresh_margin_holds(account, i);
    }
}
