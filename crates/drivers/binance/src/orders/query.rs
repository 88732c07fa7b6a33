//! Questions about orders and fills.

use super::change::named;
use super::{Desk, OrderRef};
use crate::profile::Profile;
use crate::request::{Call, Cost, Method, Params, Purpose};
use ctos_types::{InstrumentId, UnixNanos, VenueError, VenueOrderId};

/// Rows that a list gives at most.
pub const LIST_MAX: u32 = 1_000;

/// Where a list of fills begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillsFrom {
    /// The newest.
    Newest,
    /// From this trade id on, ascending.
    Id(u64),
    /// From this moment on: at most 24 hours on spot and margin, 7 days on USD-M.
    Time(UnixNanos),
    /// Those of one order.
    Order(VenueOrderId),
}

impl Desk {
    /// One order by either id. Fresh orders may not be found for seconds (−2013).
    pub fn order(&self, instrument: InstrumentId, at: &OrderRef) -> Result<Call, VenueError> {
        let symbol = self.of(instrument)?.0.to_string();
        let by_symbol = || named(Params::new().text("symbol", symbol), at, "orderId", "origClientOrderId");
        Ok(match self.profile {
            Profile::Spot => get("/api/v3/order", 4, by_symbol()),
            Profile::Margin => get("/sapi/v1/margin/order", 10, by_symbol().text("isIsolated", "FALSE")),
            Profile::UsdM if at.conditional => {
                get("/fapi/v1/algoOrder", 1, named(Params::new(), at, "algoId", "clientAlgoId"))
            }
            Profile::UsdM => get("/fapi/v1/order", 1, by_symbol()),
        })
    }

    /// Every open order, of one instrument or (dearer) of all. USD-M's conditional ones are in
    /// [`Desk::open_conditional_orders`].
    pub fn open_orders(&self, instrument: Option<InstrumentId>) -> Result<Call, VenueError> {
        let params = self.maybe_symbol(instrument)?;
        let all = instrument.is_none();
        Ok(match self.profile {
            Profile::Spot => get("/api/v3/openOrders", if all { 80 } else { 6 }, params),
            Profile::Margin => get("/sapi/v1/margin/openOrders", 10, params.text("isIsolated", "FALSE")),
            Profile::UsdM => get("/fapi/v1/openOrders", if all { 40 } else { 1 }, params),
        })
    }

    /// Conditional orders that wait for their trigger; `None` where they are among the open orders.
    pub fn open_conditional_orders(&self, instrument: Option<InstrumentId>) -> Result<Option<Call>, VenueError> {
        if !self.is_usdm() {
            return Ok(None);
        }
        let weight = if instrument.is_none() { 40 } else { 1 };
        Ok(Some(get("/fapi/v1/openAlgoOrders", weight, self.maybe_symbol(instrument)?)))
    }

    /// Own trades of one instrument, at most [`LIST_MAX`], oldest first.
    pub fn fills(&self, instrument: InstrumentId, from: FillsFrom) -> Result<Call, VenueError> {
        let symbol = self.of(instrument)?.0.to_string();
        let params = Params::new().text("symbol", symbol);
        let params = match from {
            FillsFrom::Newest => params,
            FillsFrom::Id(id) => params.int("fromId", i64::try_from(id).unwrap_or(i64::MAX)),
            FillsFrom::Time(at) => params.int("startTime", at.0 / 1_000_000),
            FillsFrom::Order(id) => params.text("orderId", id.as_str().to_string()),
        };
        let params = params.int("limit", i64::from(LIST_MAX));
        Ok(match self.profile {
            Profile::Spot => {
                let weight = if matches!(from, FillsFrom::Order(_)) { 5 } else { 20 };
                get("/api/v3/myTrades", weight, params)
            }
            Profile::Margin => get("/sapi/v1/margin/myTrades", 10, params.text("isIsolated", "FALSE")),
            Profile::UsdM => get("/fapi/v1/userTrades", 5, params),
        })
    }

    /// How many orders the account has used of its limits.
    pub fn order_rate(&self) -> Call {
        match self.profile {
            Profile::Spot => get("/api/v3/rateLimit/order", 40, Params::default()),
            Profile::Margin => get("/sapi/v1/margin/rateLimit/order", 20, Params::default()),
            Profile::UsdM => get("/fapi/v1/rateLimit/order", 1, Params::default()),
        }
    }

    fn maybe_symbol(&self, instrument: Option<InstrumentId>) -> Result<Params, VenueError> {
        let symbol = instrument.map(|id| self.of(id).map(|(symbol, _)| symbol.to_string())).transpose()?;
        Ok(Params::new().opt_text("symbol", symbol))
    }
}

fn get(path: &'static str, weight: u32, params: Params) -> Call {
    Call { cost: Cost::weight(weight), ..Call::signed(Method::Get, path, weight, params) }.purpose(Purpose::Query)
}
