//! Positions of a running instance, and the orders that close them.
//! Never: an order that could open something.

use super::shapes;
use crate::UserError;
use ctos_types::{
    AccountId, ClientOrderId, Decimal, Instrument, Leg, NewOrder, OrderKind, OrderQty, PositionEffect, Rounding, Side,
};
use serde_json::{Value, json};

/// A position that is not flat.
pub(super) struct Held<'a> {
    pub instrument: &'a Instrument,
    pub leg: Leg,
    /// Signed.
    pub qty: Decimal,
    pub avg_px: Option<Decimal>,
    pub mark: Option<Decimal>,
    pub unrealized: Decimal,
}

impl Held<'_> {
    pub fn shape(&self) -> Value {
        let notional = self.mark.and_then(|mark| mark.mul(self.qty.abs(), Rounding::HalfEven).ok());
        json!({
            "symbol": self.instrument.symbol.to_string(),
            "side": if self.qty.is_positive() { "long" } else { "short" },
            "leg": self.leg,
            "quantity": shapes::number(self.qty.abs()),
            "quantityUSD": shapes::opt(notional),
            "entryPrice": shapes::opt(self.avg_px),
            "markPrice": shapes::opt(self.mark),
            "pnlUnrealized": shapes::number(self.unrealized),
        })
    }

    /// The order that closes it: at market, or a limit order this far from the mark price.
    pub fn closing(&self, offset: Option<Decimal>) -> Result<NewOrder, UserError> {
        let i = self.instrument;
        let number = |e: ctos_types::NumberError| UserError::new(e.to_string(), "close it by hand");
        let side = if self.qty.is_positive() { Side::Sell } else { Side::Buy };
        let kind = match offset {
            None => OrderKind::Market,
            Some(offset) => {
                let mark = self.mark.ok_or_else(|| UserError::new("there is no mark price", "use mode=market"))?;
                let signed = if side == Side::Sell { offset } else { -offset };
                let px = mark.mul(Decimal::ONE + signed, Rounding::HalfEven).map_err(number)?;
                OrderKind::Limit { price: i.price_passive(side, px).map_err(number)? }
            }
        };
        Ok(NewOrder {
            reduce_only: !i.is_spot(),
            position_effect: if self.leg == Leg::Net { PositionEffect::Auto } else { PositionEffect::Close },
            leg: self.leg,
            ..NewOrder::new(
                AccountId(0),
                ClientOrderId { tag: ctos_types::InstanceTag(0), seq: 0 },
                i.id,
                side,
                kind,
                OrderQty::Size(i.qty_down(self.qty.abs()).map_err(number)?),
            )
        })
    }
}
