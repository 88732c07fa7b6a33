//! Errors sorted by what to do next. Nothing here is built from a bare string of somebody else's.

use crate::ids::ClientOrderId;
use crate::time::Nanos;
use serde::{Deserialize, Serialize};

/// The outcome of talking to a venue, by what the caller may conclude.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VenueError {
    /// Ours: nothing was sent.
    #[error("invalid {field}: {why}")]
    Invalid { field: &'static str, why: String },
    /// The venue said no, about this request.
    #[error("rejected by venue: {reason} (code {code})")]
    Rejected { reason: RejectReason, code: String },
    /// Documented as not processed.
    #[error("rate limited, try again after {} s", retry_after.as_secs_f64())]
    RateLimited { retry_after: Nanos },
    /// Key, clock skew, address list or permission.
    #[error("authentication refused: {0}")]
    Auth(String),
    /// No request byte left this process.
    #[error("transport: {0}")]
    Transport(String),
    /// Sent, no verdict: the order stays in flight until reconciliation decides.
    #[error("outcome unknown for {0}")]
    UnknownState(ClientOrderId),
}

/// Why a venue refused a request. The venue's raw code travels beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    #[error("insufficient balance or margin")]
    InsufficientBalance,
    #[error("price off the tick grid or outside the venue's limits")]
    BadPrice,
    #[error("size off the lot grid or outside the venue's limits")]
    BadQty,
    #[error("notional below the venue's minimum")]
    MinNotional,
    #[error("a post-only order would have taken liquidity")]
    PostOnlyWouldTake,
    #[error("a reduce-only order would not reduce")]
    ReduceOnly,
    #[error("a fill-or-kill order could not be filled in full")]
    FokNotFilled,
    #[error("nothing to trade against")]
    NoLiquidity,
    #[error("a trigger price would fire at once")]
    WouldTriggerImmediately,
    #[error("no such order, or it is closed already")]
    UnknownOrder,
    #[error("client order id already used")]
    DuplicateClientOrderId,
    #[error("unknown instrument or not trading")]
    InstrumentNotTrading,
    #[error("order type or option not supported here")]
    Unsupported,
    #[error("too many open orders")]
    TooManyOrders,
    #[error("would trade with an order of the same account")]
    SelfTrade,
    #[error("other reason, see the venue's code")]
    Other,
}

/// Why a live order left the book without filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// We asked.
    Requested,
    /// The rest of an IOC or market order found nothing to trade against.
    NoLiquidity,
    /// It met another order of the same account.
    SelfTrade,
    /// A post-only order would have taken liquidity (venues that cancel rather than reject).
    PostOnly,
    /// The position it was to reduce is gone.
    ReduceOnly,
    /// The account was liquidated.
    Liquidation,
    /// The venue's own decision.
    Venue,
}
