//! How much to order and where the market stands: small questions every strategy asks the same way.
//! Never: a size above what was asked, unless the user left the size to us and the venue demands more.

use crate::params::{Args, ParamError};
use ctos_kernel::Ctx;
use ctos_types::{Decimal, Fill, Instrument, InstrumentId, Nanos, Price, Qty, Quote, Rounding, Side};
use serde::{Deserialize, Serialize};

/// Quote amount per order. When the user left it to us, it rises to the venue's minimum where that is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderAmount {
    pub quote: Decimal,
    pub or_minimum: bool,
}

impl OrderAmount {
    /// The size for one order at `px`; `None` where the amount is below what the venue takes.
    pub fn size(&self, instrument: &Instrument, px: Price) -> Option<Qty> {
        if px.0 <= 0 {
            return None;
        }
        let asked = instrument.qty_for_quote(self.quote, px).ok()?;
        let size = Qty(asked.0.min(instrument.max_qty.0 - instrument.max_qty.0 % instrument.lot.0));
        if instrument.check(Some(px), size).is_ok() {
            return Some(size);
        }
        if self.or_minimum { smallest(instrument, px).filter(|least| *least > size) } else { None }
    }
}

/// The smallest size the venue takes at `px`.
fn smallest(instrument: &Instrument, px: Price) -> Option<Qty> {
    let lot = instrument.lot.0;
    let by_notional = instrument.qty_for_quote(instrument.min_notional, px).ok()?.0;
    let start = by_notional.max(instrument.min_qty.0).max(1);
    let start = start.checked_add(lot - 1)? / lot * lot;
    // Rounding down may leave the notional one lot short.
    [Some(start), start.checked_add(lot)]
        .into_iter()
        .flatten()
        .map(Qty)
        .find(|q| instrument.check(Some(px), *q).is_ok())
}

/// `order_amount` with its default, which rises to the venue's minimum.
pub(crate) fn order_amount(args: &Args<'_>, default: Decimal) -> Result<OrderAmount, ParamError> {
    let given = args.decimal("order_amount")?;
    Ok(OrderAmount { quote: given.unwrap_or(default), or_minimum: given.is_none() })
}

/// Refuses an amount below an instrument's minimum, which would never trade.
pub(crate) fn check_minimum(args: &Args<'_>, amount: OrderAmount, id: InstrumentId) -> Result<(), ParamError> {
    let instrument = args.instruments.get(id);
    if amount.or_minimum || amount.quote >= instrument.min_notional {
        return Ok(());
    }
    let (asked, least) = (amount.quote, instrument.min_notional);
    Err(args
        .error("order_amount", format_args!("{asked} is below the {least} that {} takes at least", instrument.symbol)))
}

/// How often a market without quotes is looked at: a tape of bars calls no one.
pub(crate) const POLL: Nanos = Nanos::from_secs(20);

/// Best bid and ask as far as they are known; the last price stands for both where there are no quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    pub bid: Price,
    pub ask: Price,
}

impl View {
    pub fn of(ctx: &Ctx<'_>, id: InstrumentId) -> Option<View> {
        if let Some(q) = ctx.quote(id) {
            return q.is_two_sided().then_some(View { bid: q.bid_px, ask: q.ask_px });
        }
        ctx.last_price(id).map(|last| View { bid: last, ask: last })
    }

    pub fn from_quote(q: &Quote) -> Option<View> {
        q.is_two_sided().then_some(View { bid: q.bid_px, ask: q.ask_px })
    }

    /// What a fill of an own resting order adds: a sell that was taken was the best ask, so the ask is not below it now.
    /// Reports may overtake the quotes that belong to them.
    pub fn after_own(self, fill: &Fill) -> View {
        match fill.side {
            Side::Sell => View { ask: self.ask.max(fill.last_px), ..self },
            Side::Buy => View { bid: self.bid.min(fill.last_px), ..self },
        }
    }

    /// The middle, exact.
    pub fn mid(&self, instrument: &Instrument) -> Decimal {
        let sum = instrument.price_decimal(self.bid) + instrument.price_decimal(self.ask);
        sum.mul_ratio(1, 2, Rounding::HalfEven).unwrap_or(sum)
    }

    /// Twice the middle on the price grid, for comparing without rounding.
    pub fn twice_mid(&self) -> i128 {
        i128::from(self.bid.0) + i128::from(self.ask.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::harness::{d, perp, spot};

    #[test]
    fn a_size_left_to_us_rises_to_the_venues_minimum() {
        let i = Instrument { min_notional: d("100"), ..perp() };
        let px = Price(618_000);
        let ours = OrderAmount { quote: d("100"), or_minimum: true };
        // 0.001 BTC at 61,800 is worth 61.8, 0.002 is the first size above 100.
        assert_eq!(ours.size(&i, px), Some(Qty(2)));
        assert_eq!(OrderAmount { or_minimum: false, ..ours }.size(&i, px), None, "a given amount is never enlarged");
        assert_eq!(OrderAmount { quote: d("250"), or_minimum: true }.size(&i, px), Some(Qty(4)));
        assert_eq!(ours.size(&i, Price(0)), None);
        assert_eq!(ours.size(&spot(), Price(1_000_000)), Some(Qty(10_000)));
    }
}
