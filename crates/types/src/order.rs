//! Orders in FIX words: what is asked for, what state it is in, what the venue reports about it.

use crate::decimal::Decimal;
use crate::error::{CancelReason, RejectReason};
use crate::ids::{AccountId, ClientOrderId, ExecId, InstrumentId, VenueOrderId};
use crate::instrument::{Price, Qty};
use crate::text::{Currency, Text};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    pub const fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
    /// +1 for a buy, -1 for a sell.
    pub const fn sign(self) -> i64 {
        match self {
            Side::Buy => 1,
            Side::Sell => -1,
        }
    }
}

/// Order type with the prices that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    Market,
    Limit {
        price: Price,
    },
    /// Becomes a market order when the market trades at or through `trigger` against the position (buy: rises to it).
    StopMarket {
        trigger: Price,
    },
    StopLimit {
        trigger: Price,
        price: Price,
    },
    /// Becomes a market order when the market reaches `trigger` in the order's favour (buy: falls to it).
    TakeProfitMarket {
        trigger: Price,
    },
    TakeProfitLimit {
        trigger: Price,
        price: Price,
    },
    /// A stop that follows the best price since activation at a distance of `callback_bps` hundredths of a percent.
    /// Without `activation` it follows at once.
    TrailingStop {
        callback_bps: u32,
        activation: Option<Price>,
    },
}

impl OrderKind {
    /// The price at which the order may rest or trade at worst; `None` for market types.
    pub const fn limit_price(&self) -> Option<Price> {
        match *self {
            OrderKind::Limit { price }
            | OrderKind::StopLimit { price, .. }
            | OrderKind::TakeProfitLimit { price, .. } => Some(price),
            _ => None,
        }
    }
    /// Whether the order waits at the venue for a trigger before it can trade.
    pub const fn is_conditional(&self) -> bool {
        !matches!(self, OrderKind::Market | OrderKind::Limit { .. })
    }
}

/// How much: a size on the instrument's grid, or (market orders only) an amount of quote currency to spend or raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderQty {
    Size(Qty),
    Quote(Decimal),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Good till cancelled.
    #[default]
    Gtc,
    /// Immediate or cancel: what does not trade at once is cancelled.
    Ioc,
    /// Fill or kill: trades in full at once or not at all.
    Fok,
    /// Good till the given venue time, then expired.
    Gtd(UnixNanos),
}

/// Which price a trigger watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerBy {
    #[default]
    Last,
    Mark,
}

/// Whether the order opens or closes. `Auto` where the venue nets by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionEffect {
    #[default]
    Auto,
    Open,
    Close,
    CloseToday,
    CloseYesterday,
}

/// Which leg of a hedge-mode position the order belongs to; `Net` in one-way mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    #[default]
    Net,
    Long,
    Short,
}

/// FIX OrdStatus with our own states before the venue has spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Refused by our own gates; never left the process.
    Denied,
    /// Approved and on its way; the venue has not answered.
    PendingNew,
    New,
    PartiallyFilled,
    Filled,
    Canceled,
    Rejected,
    Expired,
    /// Sent without a verdict: exposure stays reserved until reconciliation decides.
    Unknown,
}

impl OrderStatus {
    /// Whether the order can never trade again.
    pub const fn is_closed(self) -> bool {
        matches!(
            self,
            OrderStatus::Denied
                | OrderStatus::Filled
                | OrderStatus::Canceled
                | OrderStatus::Rejected
                | OrderStatus::Expired
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liquidity {
    Maker,
    Taker,
}

/// One execution. `last_px` and `last_qty` are this fill's own; the fee is positive when paid, negative for a rebate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub exec_id: ExecId,
    pub side: Side,
    pub leg: Leg,
    pub last_px: Price,
    pub last_qty: Qty,
    pub liquidity: Liquidity,
    pub fee: Decimal,
    pub fee_currency: Currency,
}

/// Which request a refusal or an unknown outcome is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    Place,
    Amend,
    Cancel,
}

/// What the venue says about one order (FIX ExecutionReport), mapped by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReport {
    pub account: AccountId,
    pub instrument: InstrumentId,
    /// `None`: the order is not ours (another program, a person, a liquidation).
    pub cl_ord_id: Option<ClientOrderId>,
    pub venue_order_id: VenueOrderId,
    pub ts_event: UnixNanos,
    pub body: ReportBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBody {
    Accepted,
    /// Positive evidence that the request was refused. For `Place` the order is closed; for the others it stands as it was.
    Rejected {
        request: Request,
        reason: RejectReason,
        code: Text<31>,
    },
    /// A conditional order was triggered and now behaves as its market or limit form.
    Triggered,
    Fill(Fill),
    /// The order now has this price and total size.
    Amended {
        price: Option<Price>,
        qty: Qty,
    },
    Canceled {
        reason: CancelReason,
    },
    Expired,
    /// The request was sent and no verdict came.
    Unknown {
        request: Request,
    },
}
