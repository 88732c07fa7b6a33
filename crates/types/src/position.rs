//! Position accounting shared by the simulated exchange and the portfolio, so that both round alike.

use crate::decimal::{Decimal, NumberError, Rounding};
use crate::instrument::{Instrument, Price, Qty};
use crate::order::Side;
use serde::{Deserialize, Serialize};

/// A signed position with its exact cost.
///
/// `cost` is the sum of [`Instrument::value`] of what is open. Closing a part takes its share of the cost, rounded
/// half-even to 18 places; the remainder stays, so realised plus unrealised never loses an atom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Signed: positive long, negative short.
    pub qty: Qty,
    pub cost: Decimal,
}

impl Position {
    pub fn is_flat(&self) -> bool {
        self.qty.0 == 0
    }

    /// Applies a fill and returns the profit it realised, in settlement currency, before fees.
    pub fn apply(&mut self, instrument: &Instrument, side: Side, px: Price, qty: Qty) -> Result<Decimal, NumberError> {
        let signed = qty.0 * side.sign();
        let overflow = || NumberError::Overflow(format!("position {} + {signed}", self.qty.0));
        let after = self.qty.0.checked_add(signed).ok_or_else(overflow)?;
        if self.qty.0 == 0 || (self.qty.0 > 0) == (signed > 0) {
            self.cost = self.cost.checked_add(instrument.value(px, Qty(signed))?)?;
            self.qty = Qty(after);
            return Ok(Decimal::ZERO);
        }
        let closed = qty.0.min(self.qty.0.abs());
        let closing = Qty(closed * side.sign());
        let share = if closed == self.qty.0.abs() {
            self.cost
        } else {
            self.cost.mul_ratio(closed, self.qty.0.abs(), Rounding::HalfEven)?
        };
        let realized = (-instrument.value(px, closing)?).checked_sub(share)?;
        let opened = Qty(signed - closing.0);
        let left = self.cost.checked_sub(share)?;
        self.cost = if opened.0 == 0 { left } else { left.checked_add(instrument.value(px, opened)?)? };
        self.qty = Qty(after);
        Ok(realized)
    }

    /// Applies a signed size at a price that need not be one of the grid, as [`Position::apply`] does a fill.
    pub fn adopt(&mut self, instrument: &Instrument, px: Decimal, qty: Qty) -> Result<Decimal, NumberError> {
        let overflow = || NumberError::Overflow(format!("position {} + {}", self.qty.0, qty.0));
        let after = self.qty.0.checked_add(qty.0).ok_or_else(overflow)?;
        let opposed = self.qty.0 != 0 && qty.0 != 0 && (self.qty.0 > 0) != (qty.0 > 0);
        let closed = if opposed { qty.0.unsigned_abs().min(self.qty.0.unsigned_abs()) as i64 } else { 0 };
        let closing = Qty(closed * qty.0.signum());
        let share = match closed {
            0 => Decimal::ZERO,
            all if all == self.qty.0.abs() => self.cost,
            part => self.cost.mul_ratio(part, self.qty.0.abs(), Rounding::HalfEven)?,
        };
        let realized = (-instrument.value_at(px, closing)?).checked_sub(share)?;
        let opened = instrument.value_at(px, Qty(qty.0 - closing.0))?;
        self.cost = self.cost.checked_sub(share)?.checked_add(opened)?;
        self.qty = Qty(after);
        Ok(if closed == 0 { Decimal::ZERO } else { realized })
    }

    /// Profit if closed at `mark`, in settlement currency.
    pub fn unrealized(&self, instrument: &Instrument, mark: Decimal) -> Result<Decimal, NumberError> {
        if self.is_flat() {
            return Ok(Decimal::ZERO);
        }
        instrument.value_at(mark, self.qty)?.checked_sub(self.cost)
    }

    /// Average entry price, rounded half-even to 18 places; `None` when flat.
    pub fn avg_px(&self, instrument: &Instrument) -> Option<Decimal> {
        instrument.avg_px(self.cost, self.qty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::tests::{inverse_perp, linear_perp};
    use proptest::prelude::*;

    #[test]
    fn long_then_flip() {
        let i = linear_perp();
        let mut p = Position::default();
        assert_eq!(p.apply(&i, Side::Buy, Price(10_000), Qty(3)).unwrap(), Decimal::ZERO);
        // 3 @ 100.00 -> sell 5 @ 110.00 realises 3 * 10 * 0.001 and leaves 2 short at 110.
        assert_eq!(p.apply(&i, Side::Sell, Price(11_000), Qty(5)).unwrap(), "0.03".parse().unwrap());
        assert_eq!(p.qty, Qty(-2));
        assert_eq!(p.avg_px(&i), Some("110".parse().unwrap()));
        assert_eq!(p.unrealized(&i, "105".parse().unwrap()).unwrap(), "0.01".parse().unwrap());
    }

    proptest! {
        // Realised profit plus cost is the negated cash of all fills, to the last atom, whatever the order of fills.
        #[test]
        fn nothing_is_lost(fills in prop::collection::vec((any::<bool>(), 1i64..2_000_000, 1i64..5000), 1..60), inverse in any::<bool>()) {
            let i = if inverse { inverse_perp() } else { linear_perp() };
            let (mut p, mut realized, mut cash) = (Position::default(), Decimal::ZERO, Decimal::ZERO);
            for (buy, px, qty) in fills {
                let side = if buy { Side::Buy } else { Side::Sell };
                // A flip is two cash flows, each rounded once; count it as the two it is.
                let closing = if p.qty.0 != 0 && (p.qty.0 > 0) != buy { qty.min(p.qty.0.abs()) } else { 0 };
                for part in [closing, qty - closing].into_iter().filter(|q| *q > 0) {
                    cash += i.value(Price(px), Qty(part * side.sign())).unwrap();
                }
                realized += p.apply(&i, side, Price(px), Qty(qty)).unwrap();
                prop_assert_eq!(realized - p.cost, -cash);
                prop_assert!(!p.is_flat() || p.cost.is_zero());
            }
        }

        // At a price of the grid there is no difference to a fill.
        #[test]
        fn adopting_is_trading(fills in prop::collection::vec((any::<bool>(), 1i64..2_000_000, 1i64..5000), 1..30), inverse in any::<bool>()) {
            let i = if inverse { inverse_perp() } else { linear_perp() };
            let (mut traded, mut adopted) = (Position::default(), Position::default());
            for (buy, px, qty) in fills {
                let side = if buy { Side::Buy } else { Side::Sell };
                let realized = traded.apply(&i, side, Price(px), Qty(qty)).unwrap();
                let taken = adopted.adopt(&i, i.price_decimal(Price(px)), Qty(qty * side.sign())).unwrap();
                prop_assert_eq!((realized, traded), (taken, adopted));
            }
        }
    }
}
