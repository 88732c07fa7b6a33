//! The venue's words for types, times in force, states and ends of orders. Shared by replies and user events.
//! Never: a word that is not here: an order in an unknown state moves money.

use crate::decode::DecodeError;
use crate::fields::Row;
use ctos_types::{CancelReason, Leg, OrderKind, OrderStatus, Price, TimeInForce, UnixNanos};

/// Type and prices as the venue tells them; 0 and absent prices are none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prices {
    pub price: Option<Price>,
    pub stop: Option<Price>,
    /// Spot's trailing distance, USD-M's callback rate: hundredths of a percent.
    pub trailing_bps: Option<u32>,
    pub activation: Option<Price>,
}

/// `None` for what no syscall orders: a liquidation. `LIMIT_MAKER` is post-only.
pub(crate) fn kind(row: &Row<'_>, field: &'static str, p: Prices) -> Result<(Option<OrderKind>, bool), DecodeError> {
    let word = row.text(field)?;
    let some = |px: Option<Price>| px.filter(|px| px.0 > 0);
    let price = || some(p.price).ok_or_else(|| row.missing("price"));
    let trigger = || some(p.stop).ok_or_else(|| row.missing("stop price"));
    let trailing = p.trailing_bps.filter(|bps| *bps > 0);
    let kind = match (word, trailing) {
        ("MARKET", _) => OrderKind::Market,
        ("LIMIT" | "LIMIT_MAKER", _) => OrderKind::Limit { price: price()? },
        ("STOP_LOSS" | "TAKE_PROFIT", Some(callback_bps)) if p.price.is_none_or(|px| px.0 == 0) => {
            OrderKind::TrailingStop { callback_bps, activation: some(p.stop) }
        }
        ("STOP_LOSS" | "STOP_MARKET", _) => OrderKind::StopMarket { trigger: trigger()? },
        ("STOP_LOSS_LIMIT" | "STOP", _) => OrderKind::StopLimit { trigger: trigger()?, price: price()? },
        // Spot's has no price, USD-M's is the one with a price.
        ("TAKE_PROFIT", _) if some(p.price).is_some() => {
            OrderKind::TakeProfitLimit { trigger: trigger()?, price: price()? }
        }
        ("TAKE_PROFIT" | "TAKE_PROFIT_MARKET", _) => OrderKind::TakeProfitMarket { trigger: trigger()? },
        ("TAKE_PROFIT_LIMIT", _) => OrderKind::TakeProfitLimit { trigger: trigger()?, price: price()? },
        ("TRAILING_STOP_MARKET", _) => OrderKind::TrailingStop {
            callback_bps: trailing.ok_or_else(|| row.missing("callback rate"))?,
            activation: some(p.activation).or(some(p.stop)),
        },
        ("LIQUIDATION", _) => return Ok((None, false)),
        (other, _) => return Err(row.unknown(field, other)),
    };
    Ok((Some(kind), word == "LIMIT_MAKER"))
}

/// Time in force, and whether it means post-only.
pub(crate) fn tif(
    row: &Row<'_>,
    field: &'static str,
    end: Option<UnixNanos>,
) -> Result<(TimeInForce, bool), DecodeError> {
    Ok(match row.text(field)? {
        // The second is what closing orders have that live as long as the position.
        "GTC" | "GTE_GTC" => (TimeInForce::Gtc, false),
        "IOC" => (TimeInForce::Ioc, false),
        "FOK" => (TimeInForce::Fok, false),
        "GTX" | "RPI" => (TimeInForce::Gtc, true),
        "GTD" => (TimeInForce::Gtd(end.filter(|t| t.0 > 0).ok_or_else(|| row.missing("goodTillDate"))?), false),
        other => return Err(row.unknown(field, other)),
    })
}

/// `BOTH`, `LONG`, `SHORT`; absent on spot.
pub(crate) fn leg(row: &Row<'_>, field: &'static str) -> Result<Leg, DecodeError> {
    match row.opt_text(field)? {
        None | Some("BOTH") => Ok(Leg::Net),
        Some("LONG") => Ok(Leg::Long),
        Some("SHORT") => Ok(Leg::Short),
        Some(other) => Err(row.unknown(field, other)),
    }
}

/// What an order is to the venue now, before the reason for its end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open(OrderStatus),
    Filled,
    Canceled,
    Rejected,
    Expired,
    /// Ended by self-trade prevention.
    SelfTrade,
}

pub(crate) fn state(row: &Row<'_>, field: &'static str) -> Result<State, DecodeError> {
    Ok(match row.text(field)? {
        "NEW" | "PENDING_CANCEL" => State::Open(OrderStatus::New),
        "PENDING_NEW" => State::Open(OrderStatus::PendingNew),
        "PARTIALLY_FILLED" => State::Open(OrderStatus::PartiallyFilled),
        // Taken over by the insurance fund or by deleveraging: seen on the wire, open until they trade.
        "NEW_INSURANCE" | "NEW_ADL" => State::Open(OrderStatus::New),
        "FILLED" => State::Filled,
        "CANCELED" => State::Canceled,
        "REJECTED" => State::Rejected,
        "EXPIRED" => State::Expired,
        "EXPIRED_IN_MATCH" => State::SelfTrade,
        other => return Err(row.unknown(field, other)),
    })
}

/// How an order ended. FIX has one state for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Filled,
    Canceled(CancelReason),
    Rejected,
    Expired,
}

impl Outcome {
    pub const fn status(self) -> OrderStatus {
        match self {
            Outcome::Filled => OrderStatus::Filled,
            Outcome::Canceled(_) => OrderStatus::Canceled,
            Outcome::Rejected => OrderStatus::Rejected,
            Outcome::Expired => OrderStatus::Expired,
        }
    }
}

/// Why the venue ended an order by itself, from its reason where it gives one, else from the order.
pub(crate) fn ended(
    state: State,
    reason: Option<&str>,
    kind: Option<OrderKind>,
    tif: TimeInForce,
    post_only: bool,
) -> Option<Outcome> {
    use CancelReason as C;
    let by_order = || match (tif, kind) {
        (TimeInForce::Gtd(_), _) => Outcome::Expired,
        (TimeInForce::Ioc | TimeInForce::Fok, _) | (_, Some(OrderKind::Market)) => Outcome::Canceled(C::NoLiquidity),
        _ if post_only => Outcome::Canceled(C::PostOnly),
        _ => Outcome::Expired,
    };
    match state {
        State::Open(_) => None,
        State::Filled => Some(Outcome::Filled),
        State::Canceled => Some(Outcome::Canceled(match reason {
            Some("EXCHANGE_CANCELED" | "OCO_TRIGGER") => C::Venue,
            _ => C::Requested,
        })),
        State::Rejected => Some(Outcome::Rejected),
        State::SelfTrade => Some(Outcome::Canceled(C::SelfTrade)),
        State::Expired => Some(match reason.unwrap_or_default() {
            "1" | "3" => Outcome::Canceled(C::SelfTrade),
            "2"
            | "9"
            | "UNFILLED_IOC_QUANTITY_EXPIRED"
            | "UNFILLED_FOK_ORDER_EXPIRED"
            | "INSUFFICIENT_LIQUIDITY"
            | "EXECUTION_RULE_PRICE_RANGE_EXCEEDED" => Outcome::Canceled(C::NoLiquidity),
            "4" => Outcome::Canceled(C::ReduceOnly),
            "5" => Outcome::Canceled(C::Liquidation),
            "6" | "7" | "8" | "EXCHANGE_CANCELED" | "OCO_TRIGGER" | "OTO_PHASE_ONE_EXPIRED" | "REJECTED" => {
                Outcome::Canceled(C::Venue)
            }
            _ => by_order(),
        }),
    }
}
