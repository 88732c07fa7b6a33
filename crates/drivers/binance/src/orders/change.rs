//! Changes of live orders: amend, cancel, cancel all, the dead man's switch.

use super::place::{price_text, qty_text};
use super::{Desk, Loan, OrderRef, VenueClientId, invalid};
use crate::profile::Profile;
use crate::request::{Call, Cost, Method, Params, Purpose};
use ctos_types::{AmendOrder, InstrumentId, NewOrder, OrderKind, OrderQty, Qty, Side, VenueError};

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
        /// Fills of earlier generations: the new order starts at zero on top of them. The old one of this request has
        /// none, or it is not cancelled.
        carried: Qty,
        /// Total size of the new order at the venue.
        qty: Qty,
    },
    /// The order is cancelled first. Once the answer says how much of it has traded, [`Desk::place_rest`] gives the
    /// request for the rest, under the next generation of its id: nothing can be bought twice, whatever fills between.
    CancelThenPlace { cancel: Call, client: VenueClientId },
}

impl Desk {
    /// The request for an amend: in place where the market can, in one request while nothing of the order has traded,
    /// else a cancel and what follows from its answer.
    ///
    /// # Errors
    /// [`VenueError::Invalid`] for a conditional order, a market order, a size already traded, a rest that is too small
    /// to be placed, or an order with nothing to change; nothing was sent.
    pub fn amend(&self, change: &AmendOrder, as_is: &Amendment<'_>) -> Result<Replacement, VenueError> {
        let wanted = self.wanted(change, as_is)?;
        let smaller = wanted.kind == as_is.order.kind && amount(&wanted)? < amount(as_is.order)?;
        match self.profile {
            Profile::UsdM => Ok(Replacement::InPlace(self.modify(&wanted, &as_is.at_venue)?)),
            Profile::Spot if smaller => {
                let at_venue = Qty(amount(&wanted)?.0 - as_is.carried.0);
                Ok(Replacement::InPlace(self.keep_priority(wanted.instrument, &as_is.at_venue, at_venue)?))
            }
            Profile::Spot if as_is.cum_qty == as_is.carried => self.cancel_replace(&wanted, as_is),
            Profile::Spot | Profile::Margin => self.cancel_first(&wanted, as_is),
        }
    }

    /// As [`Desk::amend`], for an order that the venue would not change in its place or in one request.
    ///
    /// # Errors
    /// As there; on USD-M always.
    pub fn amend_apart(&self, change: &AmendOrder, as_is: &Amendment<'_>) -> Result<Replacement, VenueError> {
        if self.is_usdm() {
            return Err(invalid("amend", "orders are changed in place on USD-M"));
        }
        self.cancel_first(&self.wanted(change, as_is)?, as_is)
    }

    /// The order that an amend asks for, with its total size.
    fn wanted(&self, change: &AmendOrder, as_is: &Amendment<'_>) -> Result<NewOrder, VenueError> {
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
        Ok(wanted)
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
        let at = &as_is.at_venue;
        let client = successor(at.client)?;
        let carried = as_is.carried;
        let qty = self.rest(wanted, carried)?;
        let order = NewOrder { qty: OrderQty::Size(qty), ..*wanted };
        let params = self
            .order_params(&order, client)?
            .text("cancelReplaceMode", "STOP_ON_FAILURE")
            // An order that has begun to trade since must not be replaced at its full size.
            .text("cancelRestrictions", "ONLY_NEW");
        let params = named(params, at, "cancelOrderId", "cancelOrigClientOrderId");
        let call = Call::signed(Method::Post, "/api/v3/order/cancelReplace", 1, params).purpose(Purpose::Order);
        let cost = Cost { weight: 1, uid_weight: 0, orders: 1 };
        Ok(Replacement::CancelReplace { call: Call { cost, ..call }, client, carried, qty })
    }

    fn cancel_first(&self, wanted: &NewOrder, as_is: &Amendment<'_>) -> Result<Replacement, VenueError> {
        let client = successor(as_is.at_venue.client)?;
        // A rest that could not be placed would end the order.
        self.rest(wanted, as_is.cum_qty)?;
        Ok(Replacement::CancelThenPlace { cancel: self.cancel(wanted.instrument, &as_is.at_venue)?, client })
    }

    /// The request for what is left of an order that was cancelled to be replaced. `wanted`: with its total size;
    /// `traded`: what has traded of it, earlier generations included.
    ///
    /// # Errors
    /// [`VenueError::Invalid`] where nothing is left, or less than the market takes; nothing was sent.
    pub fn place_rest(
        &self,
        wanted: &NewOrder,
        client: VenueClientId,
        traded: Qty,
        loan: Loan,
    ) -> Result<Call, VenueError> {
        let rest = self.rest(wanted, traded)?;
        self.place_as(&NewOrder { qty: OrderQty::Size(rest), ..*wanted }, client, loan)
    }

    /// What is left of an order to be placed.
    fn rest(&self, wanted: &NewOrder, traded: Qty) -> Result<Qty, VenueError> {
        let (_, i) = self.of(wanted.instrument)?;
        let rest = Qty(amount(wanted)?.0 - traded.0);
        if rest.0 <= 0 {
            return Err(invalid("qty", "as much as that has traded already"));
        }
        let text = i.qty_text(rest);
        if rest < i.min_qty {
            let least = i.qty_text(i.min_qty);
            return Err(invalid(
                "qty",
                format!("what is left of it, {text}, is less than the {least} that can be placed"),
            ));
        }
        let value = wanted.kind.limit_price().and_then(|px| i.notional(px, rest).ok());
        if value.is_some_and(|v| v < i.min_notional) {
            let least = i.min_notional;
            return Err(invalid("notional", format!("what is left of it, {text}, is worth less than {least}")));
        }
        Ok(rest)
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

/// The name of the order that replaces this one.
fn successor(client: VenueClientId) -> Result<VenueClientId, VenueError> {
    let next = client.next().filter(|c| c.to_string().len() <= ID_MAX);
    next.ok_or_else(|| invalid("amend", "the order was replaced too often: place another"))
}

fn amount(order: &NewOrder) -> Result<Qty, VenueError> {
    match order.qty {
        OrderQty::Size(qty) => Ok(qty),
        OrderQty::Quote(_) => Err(invalid("qty", "an order by amount of quote currency is not changed")),
    }
}

/// The venue's id where it is known, else ours: both at once are looked up twice.
pub(super) fn named(params: Params, at: &OrderRef, by_id: &'static str, by_client: &'static str) -> Params {
    match at.venue_order_id.and_then(|id| id.as_str().parse().ok()) {
        Some(id) => params.int(by_id, id),
        None => params.text(by_client, at.client.to_string()),
    }
}
