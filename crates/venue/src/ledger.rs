//! Books what trades, funding, interest and debt do to an account, and reports fills.
//! Never: decides whether a trade happens. Every change of a balance is a reported flow, so balances always tie out.

use crate::core::{Core, Cx};
use crate::fees::Charge;
use crate::orders::Order;
use ctos_types::{
    AccountEvent, Currency, Decimal, ExecId, Fill, InstrumentId, Interval, Liquidity, NumberError, Price, Qty,
    ReportBody, Rounding, Side, UnixNanos,
};

impl Core {
    /// Books one fill of `order` and reports it. Returns its notional. On overflow nothing has changed.
    pub fn book(
        &mut self,
        cx: &mut Cx<'_>,
        order: &Order,
        price: Price,
        qty: Qty,
        liquidity: Liquidity,
    ) -> Result<Decimal, NumberError> {
        let i = cx.all.get(order.instrument());
        let (account, side, leg) = (order.account, order.side(), order.leg());
        let value = i.value(price, qty)?.abs();
        let mut position = self.account(account).position(i.id, leg);
        let was_flat = position.is_flat();
        let mut flows: [(Currency, Decimal); 3] = [(i.settle(), Decimal::ZERO); 3];
        if i.is_spot() {
            let sign = Decimal::from_int(side.sign());
            flows[0] = (i.base, i.qty_decimal(qty).mul(sign, Rounding::Down)?);
            flows[1] = (i.quote, -value.mul(sign, Rounding::Down)?);
        } else {
            flows[0] = (i.settle(), position.apply(i, side, price, qty)?);
        }
        let rate = if liquidity == Liquidity::Maker { order.rates.maker } else { order.rates.taker };
        let charge = Charge { account, instrument: i, side, qty, value, rate };
        let (fee_currency, fee) = self.fee(cx, &charge, &flows[..2])?;
        flows[2] = (fee_currency, -fee);
        let notional = i.notional(price, qty)?;
        let now = cx.now;
        let a = self.account_mut(account);
        a.apply_flows(&flows)?;
        a.add_volume(now, notional);
        for (currency, amount) in flows {
            if !amount.is_zero() {
                self.touch_cash(account, currency);
            }
        }
        if !i.is_spot() {
            self.account_mut(account).set_position(i.id, leg, position);
            let market = self.market_mut(i.id);
            market.holders = market.holders + u32::from(was_flat) - u32::from(position.is_flat());
            market.margin_checked = None;
            market.stirred = true;
            self.touch_position(account, i.id, leg);
            self.touch_margin(account, i.id);
        }
        let exec_id = ExecId::from_u64(self.next_exec_id());
        let fill = Fill { exec_id, side, leg, last_px: price, last_qty: qty, liquidity, fee, fee_currency };
        self.report(cx, order, ReportBody::Fill(fill));
        Ok(notional)
    }

    /// Funding on every position of a contract: longs pay shorts a share `rate` of the value at `mark`, rounded half-even
    /// to 18 places, so that what one side pays the other receives to the atom.
    pub fn fund(&mut self, cx: &mut Cx<'_>, instrument: InstrumentId, rate: Decimal, mark: Decimal) {
        let i = cx.all.get(instrument);
        let market = self.market_mut(instrument);
        market.margin_checked = None;
        market.stirred = true;
        for account in 0..self.accounts.len() as u16 {
            for n in 0..self.account(account).held().len() {
                let held = self.account(account).held()[n];
                if held.instrument != instrument {
                    continue;
                }
                let value = i.value_at(mark, held.position.qty).and_then(|v| v.abs().mul(rate, Rounding::HalfEven));
                let Ok(share) = value else { continue };
                let amount = if held.position.qty.0 > 0 { -share } else { share };
                let currency = i.settle();
                if self.account_mut(account).apply_flows(&[(currency, amount)]).is_err() {
                    continue;
                }
                let id = self.account(account).config.id;
                self.tell(cx, AccountEvent::Funding { account: id, instrument, leg: held.leg, amount, currency });
                self.touch_cash(account, currency);
            }
        }
    }

    /// A declared flow outside trading. On overflow nothing has changed.
    pub fn adjust(
        &mut self,
        cx: &mut Cx<'_>,
        account: u16,
        currency: Currency,
        amount: Decimal,
    ) -> Result<(), NumberError> {
        self.account_mut(account).apply_flows(&[(currency, amount)])?;
        let id = self.account(account).config.id;
        self.tell(cx, AccountEvent::Adjustment { account: id, currency, amount });
        self.touch_cash(account, currency);
        Ok(())
    }

    // ---- debt

    /// Borrows what is short, or repays from what is free: interest first.
    pub fn rebalance(&mut self, cx: &Cx<'_>, account: u16, currency: Currency) {
        let a = self.account_mut(account);
        if a.config.borrow.is_none() {
            return;
        }
        let b = a.cash(currency);
        if b.total.is_negative() {
            b.borrowed -= b.total;
            b.total = Decimal::ZERO;
        } else {
            let free = b.available().max(Decimal::ZERO);
            let interest = free.min(b.interest);
            let principal = (free - interest).min(b.borrowed);
            b.total -= interest + principal;
            b.interest -= interest;
            b.borrowed -= principal;
        }
        if b.borrowed.is_positive() && self.interest_due.is_none() {
            self.interest_due = Some(next_hour(cx.now));
        }
    }

    /// Charges an hour's interest on everything borrowed, rounded up.
    pub fn charge_interest(&mut self, cx: &mut Cx<'_>) {
        let mut owing = false;
        for account in 0..self.accounts.len() as u16 {
            let Some(borrow) = self.account(account).config.borrow.clone() else { continue };
            for n in 0..self.account(account).balances().len() {
                let (currency, b) = self.account(account).balances()[n];
                if !b.borrowed.is_positive() {
                    continue;
                }
                owing = true;
                let rate = borrow.rate(currency).unwrap_or_default();
                let Ok(amount) = b.borrowed.mul(rate, Rounding::Up) else { continue };
                let Ok(interest) = b.interest.checked_add(amount) else { continue };
                self.account_mut(account).cash(currency).interest = interest;
                let id = self.account(account).config.id;
                self.tell(cx, AccountEvent::Interest { account: id, currency, amount });
                self.touch_cash(account, currency);
            }
        }
        self.interest_due = owing.then(|| next_hour(cx.now));
    }
}

/// The first full hour UTC after `now`.
fn next_hour(now: UnixNanos) -> UnixNanos {
    let hour = Interval::H1.as_nanos();
    now.floor(hour).after(hour)
}

/// The side that closes a position of this signed size.
pub(crate) fn closing_side(qty: Qty) -> Side {
    if qty.0 > 0 { Side::Sell } else { Side::Buy }
}
