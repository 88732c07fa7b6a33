//! Instruments: what they are, and all conversion and rounding of their prices and sizes.
//! Never: rounds in a direction that the caller did not name.

mod grid;
mod list;
#[cfg(test)]
pub(crate) mod tests;

pub use grid::{Price, Qty, mantissa_text, parse_mantissa, rescale};
pub use list::Instruments;

use crate::decimal::{Decimal, NumberError, Rounding, div_rounded, mul_div, pow10};
use crate::error::RejectReason;
use crate::ids::InstrumentId;
use crate::order::Side;
use crate::text::Currency;
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Unified symbol: `venue:BASE-QUOTE`, `venue:BASE-QUOTE-PERP`, `venue:BASE-QUOTE-20261225`, `ctp:rb2510.SHFE`. Case kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(Arc<str>);

impl Symbol {
    pub fn new(text: &str) -> Symbol {
        Symbol(text.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// `("binance", "BTC-USDT")`; the venue part is empty where it was left out.
    pub fn split(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or(("", &self.0))
    }
    /// Whether `text` names this symbol, with or without its venue part.
    pub fn is_named(&self, text: &str) -> bool {
        text == &*self.0 || text == self.split().1
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// What profit is paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settlement {
    /// In quote currency; profit is linear in the price.
    Linear,
    /// In base currency; a contract is worth a fixed amount of quote currency.
    Inverse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentKind {
    Spot,
    Perpetual(Settlement),
    Future { settlement: Settlement, expiry: UnixNanos },
}

/// One tradable thing with its rules, as the venue states them. A change of decimals is a new `version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    pub id: InstrumentId,
    pub version: u32,
    pub symbol: Symbol,
    pub kind: InstrumentKind,
    pub base: Currency,
    pub quote: Currency,
    /// Places of a `Price`. With `qty_decimals` at most 18 together.
    pub price_decimals: u8,
    pub qty_decimals: u8,
    /// Prices are multiples of this.
    pub tick: Price,
    /// Sizes are multiples of this.
    pub lot: Qty,
    pub min_qty: Qty,
    pub max_qty: Qty,
    /// In quote currency; zero where there is none.
    pub min_notional: Decimal,
    /// What one unit of size stands for: base coin (linear), quote currency (inverse). 1 on most crypto venues.
    pub contract_value: Decimal,
    /// Futures multiplier on top of the contract value. 1 on crypto venues.
    pub multiplier: Decimal,
    /// Share of the notional that must be there to open, by the venue's base tier: 0.01 allows 100x. Zero for spot.
    pub initial_margin: Decimal,
    /// Share of the notional below which the account is liquidated.
    pub maintenance_margin: Decimal,
    /// Base-tier fee rates. Negative: rebate.
    pub maker_fee: Decimal,
    pub taker_fee: Decimal,
}

/// What a venue may change about an instrument while it is traded, on the instrument's own decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    pub tick: Price,
    pub lot: Qty,
    pub min_qty: Qty,
    pub max_qty: Qty,
    /// In quote currency; zero where there is none.
    pub min_notional: Decimal,
    /// False while the venue takes no orders: halted, or delisted. Also where the new rules need more decimals than the
    /// instrument has.
    pub trading: bool,
}

/// What is wrong with an instrument definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instrument {symbol}: {why}")]
pub struct BadInstrument {
    pub symbol: String,
    pub why: String,
}

impl Instrument {
    pub fn is_spot(&self) -> bool {
        self.kind == InstrumentKind::Spot
    }

    pub fn is_inverse(&self) -> bool {
        matches!(
            self.kind,
            InstrumentKind::Perpetual(Settlement::Inverse)
                | InstrumentKind::Future { settlement: Settlement::Inverse, .. }
        )
    }

    /// The currency in which profit is paid.
    pub fn settle(&self) -> Currency {
        if self.is_inverse() { self.base } else { self.quote }
    }

    /// The part of the definition that a venue may change. Trading.
    pub fn rules(&self) -> Rules {
        let Instrument { tick, lot, min_qty, max_qty, min_notional, .. } = *self;
        Rules { tick, lot, min_qty, max_qty, min_notional, trading: true }
    }

    /// The same definition on other decimal places, as a new version where they differ. `None` where its numbers do not
    /// fit there, but for a largest size beyond what can be held, which is then the largest that can.
    pub fn on_places(&self, price_decimals: u8, qty_decimals: u8) -> Option<Instrument> {
        if (price_decimals, qty_decimals) == (self.price_decimals, self.qty_decimals) {
            return Some(self.clone());
        }
        let qty = |q: Qty| rescale(q.0, self.qty_decimals, qty_decimals).map(Qty).ok();
        let moved = Instrument {
            version: self.version.saturating_add(1),
            price_decimals,
            qty_decimals,
            tick: Price(rescale(self.tick.0, self.price_decimals, price_decimals).ok()?),
            lot: qty(self.lot)?,
            min_qty: qty(self.min_qty)?,
            max_qty: qty(self.max_qty).unwrap_or(Qty(i64::MAX / 2)),
            ..self.clone()
        };
        moved.validate().ok().map(|()| moved)
    }

    /// Checks what the arithmetic below relies on.
    pub fn validate(&self) -> Result<(), BadInstrument> {
        let fail = |why: &str| Err(BadInstrument { symbol: self.symbol.to_string(), why: why.into() });
        if self.price_decimals.saturating_add(self.qty_decimals) > 18 {
            return fail("price and size decimals exceed 18 together");
        }
        if self.tick.0 <= 0 || self.lot.0 <= 0 {
            return fail("tick and lot must be positive");
        }
        if self.min_qty.0 < 0 || self.max_qty < self.min_qty || self.max_qty.0 <= 0 {
            return fail("size limits are not a range");
        }
        if !self.contract_value.is_positive() || !self.multiplier.is_positive() || self.min_notional.is_negative() {
            return fail("contract value and multiplier must be positive, the minimum notional not negative");
        }
        if self.unit().is_err() {
            return fail("contract value times multiplier is not exact in 18 places");
        }
        Ok(())
    }

    fn unit(&self) -> Result<Decimal, NumberError> {
        if self.multiplier == Decimal::ONE {
            return Ok(self.contract_value);
        }
        self.contract_value.mul(self.multiplier, Rounding::Down)
    }

    // ---- text and decimals <-> grid

    /// Exact; fails rather than rounds.
    pub fn price(&self, px: Decimal) -> Result<Price, NumberError> {
        let m = px.to_mantissa(self.price_decimals)?;
        if m % self.tick.0 != 0 {
            return Err(NumberError::OffGrid { value: px.to_string(), step: self.price_text(self.tick) });
        }
        Ok(Price(m))
    }

    /// To the tick grid, in the direction the caller names.
    pub fn price_rounded(&self, px: Decimal, rounding: Rounding) -> Result<Price, NumberError> {
        let tick = self.price_decimal(self.tick).atoms();
        let ticks = i64::try_from(div_rounded(px.atoms(), tick, rounding)).ok();
        ticks.and_then(|t| t.checked_mul(self.tick.0)).map(Price).ok_or_else(|| NumberError::Overflow(px.to_string()))
    }

    /// To the tick grid without becoming more aggressive: a buy rounds down, a sell up.
    pub fn price_passive(&self, side: Side, px: Decimal) -> Result<Price, NumberError> {
        self.price_rounded(px, if side == Side::Buy { Rounding::Floor } else { Rounding::Ceil })
    }

    /// Exact; fails rather than rounds.
    pub fn qty(&self, qty: Decimal) -> Result<Qty, NumberError> {
        let m = qty.to_mantissa(self.qty_decimals)?;
        if m % self.lot.0 != 0 {
            return Err(NumberError::OffGrid { value: qty.to_string(), step: self.qty_text(self.lot) });
        }
        Ok(Qty(m))
    }

    /// To the lot grid, towards zero: never larger than asked.
    pub fn qty_down(&self, qty: Decimal) -> Result<Qty, NumberError> {
        let m = qty.to_mantissa_rounded(self.qty_decimals, Rounding::Down)?;
        Ok(Qty(m - m % self.lot.0))
    }

    pub fn price_decimal(&self, px: Price) -> Decimal {
        Decimal::new(px.0, self.price_decimals)
    }

    pub fn qty_decimal(&self, qty: Qty) -> Decimal {
        Decimal::new(qty.0, self.qty_decimals)
    }

    /// Exact text with the instrument's own number of places.
    pub fn price_text(&self, px: Price) -> String {
        mantissa_text(px.0, self.price_decimals)
    }

    /// Exact text with the instrument's own number of places.
    pub fn qty_text(&self, qty: Qty) -> String {
        mantissa_text(qty.0, self.qty_decimals)
    }

    /// Price from venue text. The tick rule is not applied: history may lie on an older grid.
    pub fn parse_price(&self, text: &str) -> Result<Price, NumberError> {
        parse_mantissa(text, self.price_decimals).map(Price)
    }

    /// Size from venue text. The lot rule is not applied.
    pub fn parse_qty(&self, text: &str) -> Result<Qty, NumberError> {
        parse_mantissa(text, self.qty_decimals).map(Qty)
    }

    // ---- worth

    /// Signed worth in settlement currency of holding `qty` (signed) at `px`: what profit is the difference of.
    /// Linear and spot: exact. Inverse: `-qty * unit / px`, rounded half-even to 18 places.
    #[inline]
    pub fn value(&self, px: Price, qty: Qty) -> Result<Decimal, NumberError> {
        match self.plain_value(px, qty) {
            Some(value) => Ok(value),
            None => self.scaled_value(px, qty),
        }
    }

    fn scaled_value(&self, px: Price, qty: Qty) -> Result<Decimal, NumberError> {
        if self.is_inverse() {
            return self.value_at(self.price_decimal(px), qty);
        }
        // Exact in i128: both factors are i64, and `validate` bounds the places.
        let product = px.0 as i128 * qty.0 as i128;
        let scale = pow10(18 - self.price_decimals - self.qty_decimals);
        let overflow = || NumberError::Overflow(format!("{} * {}", self.price_text(px), self.qty_text(qty)));
        let atoms = product.checked_mul(scale).ok_or_else(overflow)?;
        let plain = Decimal::from_atoms(atoms);
        let unit = self.unit()?;
        if unit == Decimal::ONE { Ok(plain) } else { plain.mul(unit, Rounding::HalfEven) }
    }

    /// [`Instrument::value`] where one multiplication gives it: a linear contract or coin of unit one, nothing extreme.
    /// `None` says nothing but to ask there.
    #[inline]
    pub fn plain_value(&self, px: Price, qty: Qty) -> Option<Decimal> {
        let scale = self.plain_scale()?;
        Some(Decimal::from_atoms(i128::from(px.0.checked_mul(qty.0)?) * i128::from(scale)))
    }

    /// Atoms of a price and a size of one, for [`Instrument::plain_value`]; `None` where the value is more than a
    /// product.
    #[inline]
    pub fn plain_scale(&self) -> Option<i64> {
        let plain = !self.is_inverse() && self.contract_value == Decimal::ONE && self.multiplier == Decimal::ONE;
        plain.then(|| pow10(18 - self.price_decimals - self.qty_decimals) as i64)
    }

    /// What `qty` stands for: base coins (linear) or quote currency (inverse).
    fn amount(&self, qty: Qty, rounding: Rounding) -> Result<Decimal, NumberError> {
        match self.unit()? {
            Decimal::ONE => Ok(self.qty_decimal(qty)),
            unit => self.qty_decimal(qty).mul(unit, rounding),
        }
    }

    /// As [`Instrument::value`] at an off-grid price such as a mark; rounded half-even to 18 places.
    pub fn value_at(&self, px: Decimal, qty: Qty) -> Result<Decimal, NumberError> {
        let unit = self.unit()?;
        if unit == Decimal::ONE && !self.is_inverse() {
            // The same number without a product of more than 128 bits, in nearly every case.
            let overflow = || NumberError::Overflow(format!("{px} * {}", self.qty_text(qty)));
            let atoms = mul_div(px.atoms(), qty.0 as i128, pow10(self.qty_decimals), Rounding::HalfEven);
            return atoms.map(Decimal::from_atoms).ok_or_else(overflow);
        }
        let amount = self.amount(qty, Rounding::HalfEven)?;
        if self.is_inverse() { (-amount).div(px, Rounding::HalfEven) } else { amount.mul(px, Rounding::HalfEven) }
    }

    /// Unsigned size of an order or position in quote currency.
    pub fn notional(&self, px: Price, qty: Qty) -> Result<Decimal, NumberError> {
        if self.is_inverse() {
            return self.amount(qty.abs(), Rounding::Up);
        }
        self.value(px, qty.abs())
    }

    /// As [`Instrument::notional`] at an off-grid price.
    pub fn notional_at(&self, px: Decimal, qty: Qty) -> Result<Decimal, NumberError> {
        if self.is_inverse() {
            return self.amount(qty.abs(), Rounding::Up);
        }
        if self.unit()? == Decimal::ONE {
            let overflow = || NumberError::Overflow(format!("{px} * {}", self.qty_text(qty)));
            let atoms = mul_div(px.atoms(), i128::from(qty.0).abs(), pow10(self.qty_decimals), Rounding::Up);
            return atoms.map(Decimal::from_atoms).ok_or_else(overflow);
        }
        self.amount(qty.abs(), Rounding::Up)?.mul(px, Rounding::Up)
    }

    /// The average price a signed cost stands for; `None` when flat.
    pub fn avg_px(&self, cost: Decimal, qty: Qty) -> Option<Decimal> {
        if qty.0 == 0 || (self.is_inverse() && cost.is_zero()) {
            return None;
        }
        let amount = self.amount(qty, Rounding::HalfEven).ok()?;
        let px = if self.is_inverse() {
            (-amount).div(cost, Rounding::HalfEven)
        } else {
            cost.div(amount, Rounding::HalfEven)
        };
        px.ok()
    }

    // ---- amounts -> size. Never larger than asked; zero when the amount does not buy one lot.

    /// The size that `amount` of quote currency buys at `px`.
    pub fn qty_for_quote(&self, amount: Decimal, px: Price) -> Result<Qty, NumberError> {
        let unit = self.unit()?;
        let per_unit = if self.is_inverse() { unit } else { self.price_decimal(px).mul(unit, Rounding::Up)? };
        self.lots(amount, per_unit)
    }

    /// The contracts that stand for at most `coins` of base currency (at `px` where the contract is inverse).
    pub fn qty_for_base(&self, coins: Decimal, px: Price) -> Result<Qty, NumberError> {
        let unit = self.unit()?;
        if self.is_inverse() {
            return self.lots(coins.mul(self.price_decimal(px), Rounding::Down)?, unit);
        }
        self.lots(coins, unit)
    }

    fn lots(&self, amount: Decimal, per_unit: Decimal) -> Result<Qty, NumberError> {
        if !per_unit.is_positive() || amount.is_negative() {
            return Err(NumberError::Overflow(format!("{amount} / {per_unit}")));
        }
        let overflow = || NumberError::Overflow(format!("{amount} / {per_unit}"));
        // amount / per_unit in lots of 10^-qty_decimals, rounded down once.
        let lot_atoms = self.lot.0 as i128;
        let places = pow10(self.qty_decimals);
        let units = mul_div(amount.atoms(), places, per_unit.atoms(), Rounding::Down).ok_or_else(overflow)?;
        i64::try_from(units / lot_atoms * lot_atoms).map(Qty).map_err(|_| overflow())
    }

    /// The venue's own filters on an order's size and price.
    pub fn check(&self, px: Option<Price>, qty: Qty) -> Result<(), RejectReason> {
        if qty.0 < self.min_qty.0.max(1) || qty > self.max_qty || qty.0 % self.lot.0 != 0 {
            return Err(RejectReason::BadQty);
        }
        let Some(px) = px else { return Ok(()) };
        if px.0 <= 0 || px.0 % self.tick.0 != 0 {
            return Err(RejectReason::BadPrice);
        }
        let notional = self.notional(px, qty).map_err(|_| RejectReason::BadQty)?;
        if notional < self.min_notional { Err(RejectReason::MinNotional) } else { Ok(()) }
    }
}
