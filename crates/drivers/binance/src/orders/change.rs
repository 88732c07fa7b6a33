//! Changes of live orders: amend, cancel, cancel all, batches, the dead man's switch.

use super::place::{price_text, qty_text};
use super::{Desk, OrderRef, VenueClientId, invalid};
use crate::profile::Profile;
use crate::request::{Call, Cost, Method, Params, Purpose, json_text};
use ctos_types::{AmendOrder, InstrumentId, NewOrder, OrderKind, OrderQty, Qty, Side, VenueError};

/// Orders in one batch request, and cancels.
const BATCH_MAX: usize = 5;
const BATCH_CANCEL_MAX: usize = 10;
/// A generation after which no order is replaced any more stays within the venue's length of ids by far.
const ID_MAX: usize = 36;

/// An order as it stands, as far as changing it needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Amendment<'a> {
    /// As it was placed, with price and total size as they are now.
    pub order: &'a NewOrder,
    pub at_venue: OrderRef,
    /// What has traded of it, fills of earlier generations included.
    pub cum_qty: Qty,
    /// What had traded before the order of this generation was placed.
    pub carried: Qty,
}

/// How an amend is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The order itself changes: price and total size on USD-M (back of the queue), a smaller size on spot (the place
    /// is kept).
    InPlace(Call),
    /// The order is cancelled and another takes its place under the next generation of its id. Its reply can be half
    /// done, see [`crate::orders::Replaced`].
    CancelReplace {
        call: Call,
        client: VenueClientId,
        /// Fills of the old order at the moment of asking: the new one starts at zero on top of them. When the reply
        /// tells of more, the new order is too large by the difference and must be made smaller.
        carried: Qty,
        /// Total size of the new order at the venue.
        qty: Qty,
    },
}

impl Desk {
    /// The request for an amend.
    ///
    /// # Errors
    /// [`VenueError::Invalid`] for a conditional order, a market order, a size already traded, or an order with nothing
    /// to change; nothing was sent.
    pub fn amend(&self, change: &AmendOrder, as_is: &Amendment<'_>) -> Result<Replacement, VenueError> {
        let order = as_is.order;
        let (OrderKind::Limit { price: old_px }, OrderQty::Size(old_qty)) = (order.kind, order.qty) else {
            return Err(invalid("order", "only limit orders can be changed: cancel it and place another"));
        };
        let (px, qty) = (change.price.unwrap_or(old_px), change.qty.unwrap_or(old_qty));
        if px == old_px && qty == old_qty {
            return Err(invalid("amend", "nothing to change"));
        }
        if qty <= as_is.cum_qty {
            return Err(invalid("qty", "as much as that has traded already"));
        }
        let wanted = NewOrder { kind: OrderKind::Limit { price: px }, qty: OrderQty::Size(qty), ..*order };
        // Checks grid and options, whichever way it goes.
        self.order_params(&wanted, as_is.at_venue.client)?;
        match self.profile {
            Profile::UsdM => Ok(Replacement::InPlace(self.modify(&wanted, &as_is.at_venue)?)),
            Profile::Spot if px == old_px && qty < old_qty => {
                let at_venue = Qty(qty.0 - as_is.carried.0);
                Ok(Replacement::InPlace(self.keep_priority(order.instrument, &as_is.at_venue, at_venue)?))
            }
            Profile::Spot => self.cancel_replace(&wanted, as_is),
            Profile::Margin => {
                Err(invalid("amend", "cross margin has no way to change an order: cancel it and place another"))
            }
        }
    }

    fn modify(&self, wanted: &NewOrder, at: &OrderRef) -> Result<Call, VenueError> {
        let (symbol, i) = self.of(wanted.instrument)?;
        let (OrderKind::Limit { price }, OrderQty::Size(qty)) = (wanted.kind, wanted.qty) else {
            return Err(invalid("order", "only limit orders can be changed"));
        };
        let params = named(Params::new().text("symbol", symbol.to_string()), at, "orderId", "origClientOrderId")
            .text("side", if wanted.side == Side::Buy { "BUY" } else { "SELL" })
            .text("quantity", qty_text(i, qty))
            .text("price", price_text(i, price));
        let call = Call::signed(Method::Put, "/fapi/v1/order", 0, params).purpose(Purpose::Order);
        Ok(Call { cost: Cost { weight: 1, uid_weight: 0, orders: 1 }, ..call })
    }

    fn keep_priority(&self, instrument: InstrumentId, at: &OrderRef, qty: Qty) -> Result<Call, VenueError> {
        let (symbol, i) = self.of(instrument)?;
        // The same id again is allowed here: it is the same order.
        let params = named(Params::new().text("symbol", symbol.to_string()), at, "orderId", "origClientOrderId")
            .text("newClientOrderId", at.client.to_string())
            .text("newQty", qty_text(i, qty));
        Ok(Call::signed(Method::Put, "/api/v3/order/amend/keepPriority", 4, params).purpose(Purpose::Order))
    }

    fn cancel_replace(&self, wanted: &NewOrder, as_is: &Amendment<'_>) -> Result<Replacement, VenueError> {
        let (OrderQty::Size(total), at) = (wanted.qty, &as_is.at_venue) else {
            return Err(invalid("qty", "a replacement takes a size"));
        };
        let client = at.client.next().filter(|c| c.to_string().len() <= ID_MAX);
        let client = client.ok_or_else(|| invalid("amend", "the order was replaced too often: place another"))?;
        let carried = as_is.cum_qty;
        let qty = Qty(total.0 - carried.0);
        let order = NewOrder { qty: OrderQty::Size(qty), ..*wanted };
        let params = self
            .order_params(&order, client)?
            .text("cancelReplaceMode", "STOP_ON_FAILURE")
            // An order that has begun to trade since must not be replaced at its full size.
            .opt_text("cancelRestrictions", (carried == as_is.carried).then_some("ONLY_NEW"));
        let params = named(params, at, "cancelOrderId", "cancelOrigClientOrderId");
        let call = Call::signed(Method::Post, "/api/v3/order/cancelReplace", 1, params).purpose(Purpose::Order);
        let cost = Cost { weight: 1, uid_weight: 0, orders: 1 };
        Ok(Replacement::CancelReplace { call: Call { cost, ..call }, client, carried, qty })
    }

    /// The request that cancels one order.
    pub fn cancel(&self, instrument: InstrumentId, at: &OrderRef) -> Result<Call, VenueError> {
        let symbol = self.of(instrument)?.0.to_string();
        let by_symbol = || Params::new().text("symbol", symbol);
        let (path, params, cost) = match self.profile {
            // Conditional orders have ids of their own, and no symbol.
            Profile::UsdM if at.conditional => {
                ("/fapi/v1/algoOrder", named(Params::new(), at, "algoId", "clientAlgoId"), Cost::weight(1))
            }
            Profile::UsdM => {
                ("/fapi/v1/order", named(by_symbol(), at, "orderId", "origClientOrderId"), Cost::weight(1))
            }
            Profile::Spot => ("/api/v3/order", named(by_symbol(), at, "orderId", "origClientOrderId"), Cost::weight(1)),
            Profile::Margin => {
                let params = by_symbol().text("isIsolated", "FALSE");
                ("/sapi/v1/margin/order", named(params, at, "orderId", "origClientOrderId"), Cost::weight(10))
            }
        };
        Ok(Call { cost, ..Call::signed(Method::Delete, path, 0, params) }.purpose(Purpose::Reduce))
    }

    /// The requests that cancel every open order of a symbol, foreign ones included. USD-M needs two: conditional
    /// orders are not in the first. Answers on spot fail with −2011 where nothing was open.
    pub fn cancel_all(&self, instrument: InstrumentId) -> Result<Vec<Call>, VenueError> {
        Ok(self.cancel_all_of(self.of(instrument)?.0))
    }

    /// As [`Desk::cancel_all`] for a symbol of the venue, known or not.
    pub fn cancel_all_of(&self, symbol: &str) -> Vec<Call> {
        let params = || Params::new().text("symbol", symbol.to_string());
        let call = |path, params| Call::signed(Method::Delete, path, 1, params).purpose(Purpose::Reduce);
        match self.profile {
            Profile::Spot => vec![call("/api/v3/openOrders", params())],
            Profile::Margin => vec![call("/sapi/v1/margin/openOrders", params().text("isIsolated", "FALSE"))],
            Profile::UsdM => {
                vec![call("/fapi/v1/allOpenOrders", params()), call("/fapi/v1/algoOpenOrders", params())]
            }
        }
    }

    /// Up to five orders in one request (USD-M, none of them conditional). They are matched independently.
    pub fn place_batch(&self, orders: &[NewOrder]) -> Result<Call, VenueError> {
        if !self.is_usdm() || !(1..=BATCH_MAX).contains(&orders.len()) {
            return Err(invalid("batch", "one to five orders, and only on USD-M"));
        }
        let mut list = String::from("[");
        for (at, order) in orders.iter().enumerate() {
            if order.kind.is_conditional() {
                return Err(invalid("batch", "conditional orders are placed one by one"));
            }
            let params = self.order_params(order, order.cl_ord_id.into())?;
            list.push_str(if at == 0 { "{" } else { ",{" });
            for (n, (name, _)) in params.iter().enumerate() {
                if n > 0 {
                    list.push(',');
                }
                json_text(name, &mut list);
                list.push(':');
                // Every value is text in a batch, whole numbers too.
                json_text(&params.get(name).unwrap_or_default(), &mut list);
            }
            list.push('}');
        }
        list.push(']');
        let body = Params::new().text("batchOrders", list);
        let cost = Cost { weight: 5, uid_weight: 0, orders: 5 };
        let call = Call::signed(Method::Post, "/fapi/v1/batchOrders", 0, Params::default()).purpose(Purpose::Order);
        Ok(Call { body, cost, ..call })
    }

    /// Up to ten orders of one symbol cancelled in one request (USD-M, none of them conditional).
    pub fn cancel_batch(&self, instrument: InstrumentId, orders: &[OrderRef]) -> Result<Call, VenueError> {
        if !self.is_usdm() || !(1..=BATCH_CANCEL_MAX).contains(&orders.len()) || orders.iter().any(|o| o.conditional) {
            return Err(invalid("batch", "one to ten plain orders, and only on USD-M"));
        }
        let symbol = self.of(instrument)?.0.to_string();
        let mut list = String::from("[");
        for (at, order) in orders.iter().enumerate() {
            if at > 0 {
                list.push(',');
            }
            json_text(&order.client.to_string(), &mut list);
        }
        list.push(']');
        let params = Params::new().text("symbol", symbol).text("origClientOrderIdList", list);
        Ok(Call::signed(Method::Delete, "/fapi/v1/batchOrders", 1, params).purpose(Purpose::Reduce))
    }

    /// Arms the dead man's switch of a symbol: unless asked again within `countdown_ms`, the venue cancels its open
    /// orders. 0 disarms. `None` where the market has none (spot, margin). Whether it covers conditional orders is not
    /// documented: count on those to stay.
    pub fn countdown_cancel_all(
        &self,
        instrument: InstrumentId,
        countdown_ms: u32,
    ) -> Result<Option<Call>, VenueError> {
        if !self.is_usdm() {
            return Ok(None);
        }
        let symbol = self.of(instrument)?.0.to_string();
        let params = Params::new().text("symbol", symbol).int("countdownTime", i64::from(countdown_ms));
        Ok(Some(Call::signed(Method::Post, "/fapi/v1/countdownCancelAll", 10, params).purpose(Purpose::Reduce)))
    }
}

/// The venue's id where it is known, else ours: both at once are looked up twice.
pub(super) fn named(params: Params, at: &OrderRef, by_id: &'static str, by_client: &'static str) -> Params {
    match at.venue_order_id.and_then(|id| id.as_str().parse().ok()) {
        Some(id) => params.int(by_id, id),
        None => params.text(by_client, at.client.to_string()),
    }
}
