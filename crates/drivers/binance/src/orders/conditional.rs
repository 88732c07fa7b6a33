//! USD-M's conditional orders: their own endpoint, ids and states.

use super::Desk;
use super::read::{Owner, VenueOrder, status};
use super::states::{self, Prices, State};
use crate::decode::DecodeError;
use crate::fields::Row;
use crate::symbols::Grid;
use ctos_types::{Decimal, OrderStatus, Qty, Text, VenueOrderId};

impl Desk {
    pub(super) fn conditional_of(&self, row: &Row<'_>, grid: &Grid) -> Result<VenueOrder, DecodeError> {
        let prices = Prices {
            price: row.opt_price("price", grid)?,
            stop: row.opt_price("triggerPrice", grid)?,
            trailing_bps: bps(row.opt_decimal("callbackRate")?),
            activation: row.opt_price("activatePrice", grid)?,
        };
        let (kind, _) = states::kind(row, "orderType", prices)?;
        let (tif, post_only) = states::tif(row, "timeInForce", row.opt_time("goodTillDate")?)?;
        let qty = row.opt_qty("quantity", grid)?.unwrap_or(Qty::ZERO);
        let cum_qty = row.opt_qty("actualQty", grid)?.unwrap_or(Qty::ZERO);
        let state = algo_state(row, "algoStatus", qty, cum_qty)?;
        let outcome = states::ended(state, None, kind, tif, post_only);
        let child = row.opt_text("actualOrderId")?.filter(|id| !id.is_empty());
        let child = child.map(|id| Text::new(id).map_err(|_| row.missing("actualOrderId"))).transpose()?;
        Ok(VenueOrder {
            instrument: grid.id,
            owner: Owner::of(row.text("clientAlgoId")?),
            venue_order_id: VenueOrderId::from_u64(row.id("algoId")?),
            side: row.side("side")?,
            kind,
            tif,
            post_only,
            reduce_only: row.bool("reduceOnly")? || row.opt_bool("closePosition")? == Some(true),
            leg: states::leg(row, "positionSide")?,
            qty,
            cum_qty,
            cum_quote: None,
            outcome,
            status: status(state, outcome),
            conditional: true,
            child,
            ts_event: row.time("updateTime")?,
            fills: Vec::new(),
        })
    }
}

/// A conditional order's state. A finished one whose child was not filled was cancelled with it.
pub(crate) fn algo_state(row: &Row<'_>, field: &'static str, qty: Qty, cum: Qty) -> Result<State, DecodeError> {
    Ok(match row.text(field)? {
        "NEW" | "TRIGGERING" | "TRIGGERED" => State::Open(OrderStatus::New),
        "FINISHED" if cum.0 > 0 && (cum >= qty || qty == Qty::ZERO) => State::Filled,
        "FINISHED" | "CANCELED" => State::Canceled,
        "REJECTED" => State::Rejected,
        "EXPIRED" => State::Expired,
        other => return Err(row.unknown(field, other)),
    })
}

/// A rate in percent as hundredths of a percent.
pub(crate) fn bps(percent: Option<Decimal>) -> Option<u32> {
    percent.filter(|p| p.is_positive()).and_then(|p| p.to_mantissa(2).ok()).and_then(|n| u32::try_from(n).ok())
}
