//! New orders: spot's types, USD-M's limit and market orders, its conditional orders with their own endpoint.

use super::{Desk, VenueClientId, invalid};
use crate::profile::Profile;
use crate::request::{Call, Cost, Method, Params, Purpose};
use ctos_types::{
    Instrument, Leg, NewOrder, OrderKind, OrderQty, PositionEffect, Price, Qty, Side, TimeInForce, TriggerBy,
    VenueError,
};

/// What a new order does to the loans of a cross margin account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loan {
    /// Nothing: what it lacks is a refusal, what comes in stays.
    #[default]
    None,
    /// What comes in repays a debt in that currency.
    Repay,
    /// What it lacks is borrowed when it is placed, and repaid where it is cancelled; what comes in repays a debt.
    BorrowRepay,
}

impl Loan {
    const fn word(self) -> &'static str {
        match self {
            Loan::None => "NO_SIDE_EFFECT",
            Loan::Repay => "AUTO_REPAY",
            Loan::BorrowRepay => "AUTO_BORROW_REPAY",
        }
    }

    /// A request that may take out a loan costs a hundred and twentieth of what an account has a minute.
    const fn uid_weight(self) -> u32 {
        match self {
            Loan::None | Loan::Repay => 6,
            Loan::BorrowRepay => 1_500,
        }
    }
}

/// The least and the most that a trailing stop of USD-M may follow behind, in hundredths of a percent.
const USDM_CALLBACK_BPS: std::ops::RangeInclusive<u32> = 10..=1_000;

/// Longest of an end of order that USD-M takes: exclusive, milliseconds.
const GTD_END_MS: i64 = 253_402_300_799_000;

impl Desk {
    /// The request for a new order. On USD-M a conditional order goes its own way.
    ///
    /// # Errors
    /// [`VenueError::Invalid`] for what this market cannot do or what is off its grid; nothing was sent.
    pub fn place(&self, order: &NewOrder) -> Result<Call, VenueError> {
        self.place_on(order, self.loan_of(order))
    }

    /// As [`Desk::place`], where it is known what the order is to do to the account's loans (cross margin).
    pub fn place_on(&self, order: &NewOrder, loan: Loan) -> Result<Call, VenueError> {
        self.place_as(order, order.cl_ord_id.into(), loan)
    }

    /// What an order, or else the account, says of loans, where nobody has looked whether it lacks something.
    fn loan_of(&self, order: &NewOrder) -> Loan {
        if order.auto_borrow.unwrap_or(self.borrows) { Loan::BorrowRepay } else { Loan::None }
    }

    /// As [`Desk::place`] under another generation of the client order id.
    pub(super) fn place_as(&self, order: &NewOrder, client: VenueClientId, loan: Loan) -> Result<Call, VenueError> {
        if self.profile != Profile::Margin && order.auto_borrow.is_some() {
            return Err(invalid(
                "auto_borrow",
                format!("only cross margin borrows, and the account is {}", self.profile),
            ));
        }
        let params = self.order_params(order, client)?;
        let params = match (self.profile, loan) {
            // The venue's default.
            (Profile::Spot | Profile::UsdM, _) | (_, Loan::None) => params,
            (Profile::Margin, loan) => params.text("sideEffectType", loan.word()),
        };
        let conditional = order.kind.is_conditional();
        let (path, cost) = match self.profile {
            Profile::Spot => ("/api/v3/order", Cost { weight: 1, uid_weight: 0, orders: 1 }),
            Profile::Margin => ("/sapi/v1/margin/order", Cost { weight: 0, uid_weight: loan.uid_weight(), orders: 1 }),
            Profile::UsdM if conditional => ("/fapi/v1/algoOrder", Cost { weight: 0, uid_weight: 0, orders: 1 }),
            Profile::UsdM => ("/fapi/v1/order", Cost { weight: 0, uid_weight: 0, orders: 1 }),
        };
        let purpose = if order.reduce_only { Purpose::Reduce } else { Purpose::Order };
        Ok(Call { cost, ..Call::signed(Method::Post, path, 0, params) }.purpose(purpose))
    }

    pub(super) fn order_params(&self, order: &NewOrder, client: VenueClientId) -> Result<Params, VenueError> {
        let (symbol, instrument) = self.of(order.instrument)?;
        check(instrument, order)?;
        let side = if order.side == Side::Buy { "BUY" } else { "SELL" };
        let params = Params::new().text("symbol", symbol.to_string()).text("side", side);
        match (self.profile, order.kind.is_conditional()) {
            (Profile::Spot | Profile::Margin, _) => self.spot(params, order, instrument, client),
            (Profile::UsdM, false) => self.usdm(params, order, instrument, client),
            (Profile::UsdM, true) => self.usdm_conditional(params, order, instrument, client),
        }
    }

    fn spot(&self, params: Params, order: &NewOrder, i: &Instrument, id: VenueClientId) -> Result<Params, VenueError> {
        if order.reduce_only {
            return Err(invalid("reduce_only", format!("{} has no positions to reduce", self.profile)));
        }
        if !matches!(order.position_effect, PositionEffect::Auto | PositionEffect::Open) {
            return Err(invalid("position_effect", format!("{} has no positions to close", self.profile)));
        }
        self.position_side(order.leg)?;
        if order.kind.is_conditional() && order.trigger_by != TriggerBy::Last {
            return Err(invalid("trigger_by", "spot has no mark price"));
        }
        let kind = match order.kind {
            OrderKind::Market => "MARKET",
            OrderKind::Limit { .. } if order.post_only => "LIMIT_MAKER",
            OrderKind::Limit { .. } => "LIMIT",
            OrderKind::StopMarket { .. } | OrderKind::TrailingStop { .. } => "STOP_LOSS",
            OrderKind::StopLimit { .. } => "STOP_LOSS_LIMIT",
            OrderKind::TakeProfitMarket { .. } => "TAKE_PROFIT",
            OrderKind::TakeProfitLimit { .. } => "TAKE_PROFIT_LIMIT",
        };
        let tif = match (order.kind.limit_price(), order.post_only) {
            (Some(_), false) => Some(plain_tif(order.tif)?),
            // Post-only orders rest until cancelled, market orders do not rest.
            _ => None,
        };
        let (size, amount) = match order.qty {
            OrderQty::Size(qty) => (Some(qty_text(i, qty)), None),
            OrderQty::Quote(amount) => (None, Some(amount.to_string())),
        };
        let (stop, delta) = match order.kind {
            OrderKind::TrailingStop { callback_bps, activation } => (activation, Some(i64::from(callback_bps))),
            kind => (trigger(kind), None),
        };
        let params = params
            .text("type", kind)
            .opt_text("timeInForce", tif)
            .opt_text("quantity", size)
            .opt_text("quoteOrderQty", amount)
            .opt_text("price", order.kind.limit_price().map(|px| price_text(i, px)))
            .opt_text("stopPrice", stop.map(|px| price_text(i, px)))
            .opt_int("trailingDelta", delta)
            .text("newClientOrderId", id.to_string())
            .text("newOrderRespType", "FULL");
        Ok(if self.profile == Profile::Margin { params.text("isIsolated", "FALSE") } else { params })
    }

    fn usdm(&self, params: Params, order: &NewOrder, i: &Instrument, id: VenueClientId) -> Result<Params, VenueError> {
        let (kind, limit) = match order.kind {
            OrderKind::Limit { price } => ("LIMIT", Some(price)),
            _ => ("MARKET", None),
        };
        let params = params
            .opt_text("positionSide", self.position_side(order.leg)?)
            .text("type", kind)
            .opt_text("timeInForce", limit.map(|_| usdm_tif(order)).transpose()?)
            .text("quantity", qty_text(i, size(order)?))
            .opt_text("price", limit.map(|px| price_text(i, px)))
            .opt_text("reduceOnly", self.reduce_only(order)?)
            .text("newClientOrderId", id.to_string())
            .text("newOrderRespType", "RESULT");
        Ok(with_end(with_self_trade(params, order, limit.is_some()), order))
    }

    fn usdm_conditional(
        &self,
        params: Params,
        order: &NewOrder,
        i: &Instrument,
        id: VenueClientId,
    ) -> Result<Params, VenueError> {
        let kind = match order.kind {
            OrderKind::StopMarket { .. } => "STOP_MARKET",
            OrderKind::StopLimit { .. } => "STOP",
            OrderKind::TakeProfitMarket { .. } => "TAKE_PROFIT_MARKET",
            OrderKind::TakeProfitLimit { .. } => "TAKE_PROFIT",
            _ => "TRAILING_STOP_MARKET",
        };
        let (rate, activation) = match order.kind {
            OrderKind::TrailingStop { callback_bps, activation } => {
                if !USDM_CALLBACK_BPS.contains(&callback_bps) {
                    return Err(invalid("callback_bps", format!("{callback_bps} is not within 10 and 1000")));
                }
                (Some(plain(i64::from(callback_bps), 2)), activation)
            }
            _ => (None, None),
        };
        let limit = order.kind.limit_price();
        let watches = match order.trigger_by {
            TriggerBy::Last => "CONTRACT_PRICE",
            TriggerBy::Mark => "MARK_PRICE",
        };
        let params = Params::new()
            .text("algoType", "CONDITIONAL")
            .extend(params)
            .opt_text("positionSide", self.position_side(order.leg)?)
            .text("type", kind)
            .opt_text("timeInForce", limit.map(|_| usdm_tif(order)).transpose()?)
            .text("quantity", qty_text(i, size(order)?))
            .opt_text("price", limit.map(|px| price_text(i, px)))
            .opt_text("triggerPrice", trigger(order.kind).map(|px| price_text(i, px)))
            .text("workingType", watches)
            .opt_text("activatePrice", activation.map(|px| price_text(i, px)))
            .opt_text("callbackRate", rate)
            .opt_text("reduceOnly", self.reduce_only(order)?)
            .text("clientAlgoId", id.to_string());
        Ok(with_end(with_self_trade(params, order, limit.is_some()), order))
    }

    /// In hedge mode the leg says what is reduced, and the flag is not allowed.
    fn reduce_only(&self, order: &NewOrder) -> Result<Option<&'static str>, VenueError> {
        let close = match order.position_effect {
            PositionEffect::Auto | PositionEffect::Open => false,
            PositionEffect::Close => true,
            PositionEffect::CloseToday | PositionEffect::CloseYesterday => {
                return Err(invalid("position_effect", "the venue does not tell today's positions from yesterday's"));
            }
        };
        if order.position_effect == PositionEffect::Open && order.reduce_only {
            return Err(invalid("reduce_only", "an order that opens cannot be reduce-only"));
        }
        let reduces = matches!((order.leg, order.side), (Leg::Long, Side::Sell) | (Leg::Short, Side::Buy));
        if self.hedge && order.position_effect == PositionEffect::Open && reduces {
            return Err(invalid("position_effect", "this side makes the leg smaller"));
        }
        if !(close || order.reduce_only) {
            return Ok(None);
        }
        if self.hedge {
            return if reduces { Ok(None) } else { Err(invalid("reduce_only", "this side makes the leg larger")) };
        }
        Ok(Some("true"))
    }
}

/// What every market asks of an order.
fn check(i: &Instrument, order: &NewOrder) -> Result<(), VenueError> {
    let on_tick = |field, px: Price| {
        let good = px.0 > 0 && px.0 % i.tick.0 == 0;
        if good { Ok(()) } else { Err(invalid(field, format!("{} is not on the tick grid", i.price_text(px)))) }
    };
    if let Some(px) = order.kind.limit_price() {
        on_tick("price", px)?;
    }
    let activation = match order.kind {
        OrderKind::TrailingStop { activation, .. } => activation,
        _ => None,
    };
    if let Some(px) = trigger(order.kind).or(activation) {
        on_tick("trigger", px)?;
    }
    match order.qty {
        OrderQty::Size(qty) if qty.0 <= 0 || qty.0 % i.lot.0 != 0 => {
            return Err(invalid("qty", format!("{} is not on the lot grid", i.qty_text(qty))));
        }
        OrderQty::Quote(_) if order.kind != OrderKind::Market => {
            return Err(invalid("qty", "only market orders take an amount of quote currency"));
        }
        OrderQty::Quote(amount) if !amount.is_positive() => {
            return Err(invalid("qty", format!("an amount of {amount}")));
        }
        _ => {}
    }
    if order.post_only && !matches!(order.kind, OrderKind::Limit { .. }) {
        return Err(invalid("post_only", "only limit orders can be post-only"));
    }
    match order.tif {
        // Without a limit it takes what there is and no more: such an order is the same with either word.
        TimeInForce::Gtc | TimeInForce::Ioc => {}
        TimeInForce::Fok | TimeInForce::Gtd(_) if order.kind.limit_price().is_some() => {}
        TimeInForce::Fok => return Err(invalid("tif", "all or nothing needs a limit price")),
        TimeInForce::Gtd(_) => return Err(invalid("tif", "an order with an end needs a limit price")),
    }
    if order.post_only && order.tif != TimeInForce::Gtc {
        return Err(invalid("post_only", "a post-only order rests until it is cancelled"));
    }
    Ok(())
}

fn trigger(kind: OrderKind) -> Option<Price> {
    match kind {
        OrderKind::StopMarket { trigger }
        | OrderKind::StopLimit { trigger, .. }
        | OrderKind::TakeProfitMarket { trigger }
        | OrderKind::TakeProfitLimit { trigger, .. } => Some(trigger),
        _ => None,
    }
}

fn size(order: &NewOrder) -> Result<Qty, VenueError> {
    match order.qty {
        OrderQty::Size(qty) => Ok(qty),
        OrderQty::Quote(_) => Err(invalid("qty", "USD-M takes sizes only, no amounts of quote currency")),
    }
}

fn plain_tif(tif: TimeInForce) -> Result<&'static str, VenueError> {
    match tif {
        TimeInForce::Gtc => Ok("GTC"),
        TimeInForce::Ioc => Ok("IOC"),
        TimeInForce::Fok => Ok("FOK"),
        TimeInForce::Gtd(_) => Err(invalid("tif", "spot has no orders with an end")),
    }
}

/// `GTX` is post-only here; in FIX it means something else.
fn usdm_tif(order: &NewOrder) -> Result<&'static str, VenueError> {
    match order.tif {
        TimeInForce::Gtc if order.post_only => Ok("GTX"),
        TimeInForce::Gtd(end) => {
            let ms = end.0 / 1_000_000;
            let whole = end.0 % 1_000_000_000 == 0 && (1..GTD_END_MS).contains(&ms);
            if whole { Ok("GTD") } else { Err(invalid("tif", "the end of an order is a whole second")) }
        }
        tif => plain_tif(tif),
    }
}

/// Always said, because the venue's default has changed before; not applied to FOK and post-only orders.
fn with_self_trade(params: Params, order: &NewOrder, limit: bool) -> Params {
    let applies = !limit || !(order.post_only || order.tif == TimeInForce::Fok);
    if applies { params.text("selfTradePreventionMode", "EXPIRE_MAKER") } else { params }
}

fn with_end(params: Params, order: &NewOrder) -> Params {
    match order.tif {
        TimeInForce::Gtd(end) if order.kind.limit_price().is_some() => params.int("goodTillDate", end.0 / 1_000_000),
        _ => params,
    }
}

pub(super) fn price_text(i: &Instrument, px: Price) -> String {
    plain(px.0, i.price_decimals)
}

pub(super) fn qty_text(i: &Instrument, qty: Qty) -> String {
    plain(qty.0, i.qty_decimals)
}

/// `mantissa · 10^-places` with no more digits than it needs, so that never more decimals go out than a step has.
fn plain(mantissa: i64, places: u8) -> String {
    let mut text = ctos_types::instrument::mantissa_text(mantissa, places);
    if places > 0 {
        let len = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(len);
    }
    text
}
