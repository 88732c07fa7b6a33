//! What a fill costs and in which currency.
//! Rounding: where a fee is not exact in 18 places it is rounded once, towards plus infinity: against the payer.

use crate::config::FeeCurrency;
use crate::core::{Core, Cx};
use ctos_types::{Currency, Decimal, Instrument, NumberError, Qty, Rounding, Side};

/// A trade as fees see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge<'a> {
    pub account: u16,
    pub instrument: &'a Instrument,
    pub side: Side,
    pub qty: Qty,
    /// Unsigned value in settlement currency (spot: quote).
    pub value: Decimal,
    pub rate: Decimal,
}

impl Core {
    /// The fee of a trade: positive when paid. `flows` is what the trade itself moves.
    pub fn fee(
        &self,
        cx: &Cx<'_>,
        charge: &Charge<'_>,
        flows: &[(Currency, Decimal)],
    ) -> Result<(Currency, Decimal), NumberError> {
        let i = charge.instrument;
        let wanted = &self.account(charge.account).config.fees.currency;
        if let FeeCurrency::Token { currency, discount, prices } = wanted
            && charge.rate.is_positive()
        {
            let px = prices.iter().find(|(c, _)| *c == i.settle()).map(|(_, px)| *px);
            if let Some(px) = px.or_else(|| self.price_in(cx, *currency, i.settle())) {
                let full = charge.value.mul(charge.rate, Rounding::Ceil)?;
                let fee = full.mul(Decimal::ONE.checked_sub(*discount)?, Rounding::Ceil)?.div(px, Rounding::Ceil)?;
                let moved = flows.iter().filter(|(c, _)| c == currency).map(|(_, a)| *a).sum();
                let free = self.account(charge.account).balance(*currency).available().checked_add(moved)?;
                if fee <= free {
                    return Ok((*currency, fee));
                }
            }
        }
        if i.is_spot() && charge.side == Side::Buy && *wanted != FeeCurrency::Quote {
            return Ok((i.base, i.qty_decimal(charge.qty).mul(charge.rate, Rounding::Ceil)?));
        }
        Ok((i.settle(), charge.value.mul(charge.rate, Rounding::Ceil)?))
    }

    /// What a spot buy of `qty` worth `value` may at most pay in quote currency on top, however it is filled.
    pub fn quote_fee_bound(
        &self,
        account: u16,
        i: &Instrument,
        qty: i64,
        value: Decimal,
        rate: Decimal,
    ) -> Result<Decimal, NumberError> {
        if self.account(account).config.fees.currency != FeeCurrency::Quote || !rate.is_positive() {
            return Ok(Decimal::ZERO);
        }
        let fee = value.mul(rate, Rounding::Ceil)?;
        // Where a rate times the smallest step is exact every fill's fee is; else each fill rounds up by an atom at most.
        let step = Decimal::new(1, i.price_decimals + i.qty_decimals).mul(i.contract_value, Rounding::Down)?;
        if step.mul(rate, Rounding::Floor)? == step.mul(rate, Rounding::Ceil)? && step.is_positive() {
            return Ok(fee);
        }
        fee.checked_add(Decimal::from_atoms(i128::from(qty.max(1))))
    }

    /// Price of one `currency` in `other`, from the marks of spot instruments; `None` where no pair has one.
    pub fn price_in(&self, cx: &Cx<'_>, currency: Currency, other: Currency) -> Option<Decimal> {
        if currency == other {
            return Some(Decimal::ONE);
        }
        let pair = |base, quote| {
            let pairs = cx.all.iter().filter(move |i| i.is_spot() && i.base == base && i.quote == quote);
            pairs.filter_map(|i| self.market(i.id).mark(i)).find(|px| px.is_positive())
        };
        pair(currency, other)
            .or_else(|| pair(other, currency).and_then(|px| Decimal::ONE.div(px, Rounding::Down).ok()))
            .filter(|px| px.is_positive())
    }
}
