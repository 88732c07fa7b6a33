//! The gates by name, and our own refusal.
//! Never: asks one.

use ctos_types::{Decimal, RejectReason};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The gates in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Gate {
    /// The kill switch is not ACTIVE for this order. Limit: the state (1 REDUCING, 2 HALTED).
    KillSwitch,
    /// The journal can no longer record intents.
    Journal,
    /// What the venue has on the account is not known: start-up, a lost connection, an order without a verdict.
    Standing,
    /// The venue's own rules for size and price.
    Instrument,
    /// No market price is known, or it is too old. Limit and asked: seconds.
    StaleMarket,
    /// Distance of the order's price from the reference. Basis points.
    PriceBand,
    MinQty,
    MaxQty,
    /// Quote currency.
    MinNotional,
    MaxNotional,
    /// Worth of the position if everything open on this side fills. Quote currency.
    MaxPosition,
    /// Worth of all positions of the account if everything fills. Quote currency.
    MaxTotalNotional,
    /// Total notional over equity.
    MaxLeverage,
    MaxOpenOrders,
    /// Orders a second.
    OrderRateSec,
    /// Orders a minute.
    OrderRateMin,
    /// Cancels per order over the last minute.
    CancelRatio,
    /// Would trade with an order of the same account. Limit: that order's price.
    SelfCross,
    /// Free balance or margin. Limit: what is free; asked: what the order needs.
    Balance,
    /// The same intent again. Limit: window in seconds; asked: seconds since the first.
    DuplicateIntent,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Gate::KillSwitch => "KILL_SWITCH",
            Gate::Journal => "JOURNAL",
            Gate::Standing => "STANDING",
            Gate::Instrument => "INSTRUMENT",
            Gate::StaleMarket => "STALE_MARKET",
            Gate::PriceBand => "PRICE_BAND",
            Gate::MinQty => "MIN_QTY",
            Gate::MaxQty => "MAX_QTY",
            Gate::MinNotional => "MIN_NOTIONAL",
            Gate::MaxNotional => "MAX_NOTIONAL",
            Gate::MaxPosition => "MAX_POSITION",
            Gate::MaxTotalNotional => "MAX_TOTAL_NOTIONAL",
            Gate::MaxLeverage => "MAX_LEVERAGE",
            Gate::MaxOpenOrders => "MAX_OPEN_ORDERS",
            Gate::OrderRateSec => "ORDER_RATE_SEC",
            Gate::OrderRateMin => "ORDER_RATE_MIN",
            Gate::CancelRatio => "CANCEL_RATIO",
            Gate::SelfCross => "SELF_CROSS",
            Gate::Balance => "BALANCE",
            Gate::DuplicateIntent => "DUPLICATE_INTENT",
        };
        f.pad(name)
    }
}

/// Our own refusal: which gate, what it allows, what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub gate: Gate,
    pub limit: Decimal,
    pub asked: Decimal,
    /// The venue rule behind [`Gate::Instrument`].
    pub rule: Option<RejectReason>,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = match self.gate {
            Gate::StaleMarket if self.asked == Decimal::MAX => Some("no price of this market has come yet"),
            Gate::Standing => Some("what the venue has on this account is not known now"),
            _ => None,
        };
        if let Some(why) = switch {
            return write!(f, "denied by {}: {why}", self.gate);
        }
        write!(f, "denied by {}: asked {}, limit {}", self.gate, self.asked, self.limit)?;
        match self.rule {
            Some(rule) => write!(f, " ({rule})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told_without_one() {
        let never = Denied { gate: Gate::StaleMarket, limit: Decimal::ZERO, asked: Decimal::MAX, rule: None };
        assert_eq!(never.to_string(), "denied by STALE_MARKET: no price of this market has come yet");
        let standing = Denied { gate: Gate::Standing, asked: Decimal::ONE, ..never };
        assert_eq!(standing.to_string(), "denied by STANDING: what the venue has on this account is not known now");
        let old = Denied { limit: Decimal::from_int(10), asked: Decimal::from_int(12), ..never };
        assert_eq!(old.to_string(), "denied by STALE_MARKET: asked 12, limit 10");
    }
}
