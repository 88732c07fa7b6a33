//! Follows every order from before it is sent until the venue has said how it ended. Calling contract: one input,
//! carry out all actions, sleep until [`Tracker::deadline`].
//! Never: sends an order twice, takes silence for a no, applies a fill twice, or leaves a terminal state.

mod core;
mod doubt;
mod order;

pub use self::core::Tracker;

use ctos_types::{
    AccountId, AmendOrder, CancelOrder, CancelReason, ClientOrderId, ExecId, Fill, InstanceTag, InstrumentId, Leg,
    Nanos, NewOrder, OrderReport, Price, Qty, RejectReason, Side, Text, UnixNanos, VenueOrderId,
};

/// Code of a refusal of our own making: the venue was asked often enough and never had the order.
pub const NEVER_ARRIVED: &str = "NEVER_ARRIVED";
/// Code of a refusal of our own making: no byte of the request left this process.
pub const NOT_SENT: &str = "NOT_SENT";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerConfig {
    /// Tags of client order ids that are ours: this run's first, then those of runs it took over.
    pub tags: Vec<InstanceTag>,
    /// A request without an answer for this long is in doubt.
    pub reply_within: Nanos,
    /// First query after a doubt; the distance doubles up to `query_cap`.
    pub query_first: Nanos,
    pub query_cap: Nanos,
    /// How long the venue may fail to show an order that it has. Must exceed the time for which a signed request stays
    /// valid (recvWindow), since until then it may still arrive.
    pub visibility: Nanos,
    /// "Not found" answers, the last of them after `visibility`, before fills and position are looked at.
    pub not_found: u32,
    /// How far back before the intent fills are asked for, against differences of the clocks.
    pub slack: Nanos,
    /// Queries of one doubt after which a person is told that it does not resolve.
    pub alarm_after: u32,
    /// Closed orders that are remembered against late news.
    pub closed_kept: usize,
}

impl Default for TrackerConfig {
    fn default() -> TrackerConfig {
        TrackerConfig {
            tags: Vec::new(),
            reply_within: Nanos::from_secs(10),
            query_first: Nanos::from_millis(300),
            query_cap: Nanos::from_millis(2_400),
            visibility: Nanos::from_secs(10),
            not_found: 2,
            slack: Nanos::from_secs(5),
            alarm_after: 30,
            closed_kept: 1024,
        }
    }
}

/// What a query says of an order, or an answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderView {
    pub venue_order_id: VenueOrderId,
    pub state: ViewState,
    /// Total size, fills included. `None` where the venue leaves it out.
    pub qty: Option<Qty>,
    pub cum_qty: Qty,
    pub price: Option<Price>,
    pub ts_event: UnixNanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewState {
    Open,
    Filled,
    Canceled(CancelReason),
    Expired,
    Rejected { reason: RejectReason, code: Text<31> },
}

/// How a request ended, as far as its answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The venue took the request. What it says of the order is applied.
    Done(OrderView),
    /// The venue took it and said no more than its id.
    Acknowledged { venue_order_id: VenueOrderId, ts_event: UnixNanos },
    /// Positive evidence that it was refused.
    Refused { reason: RejectReason, code: Text<31> },
    /// No byte left this process, or the venue says that it did not process it (429).
    NotSent { code: Text<31> },
    /// Sent, no verdict: timeout, 5xx, dropped link, an answer that does not parse.
    Unknown,
}

/// News about one order from the user stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    pub account: AccountId,
    pub instrument: InstrumentId,
    /// `None`: not an id of ctos.
    pub cl_ord_id: Option<ClientOrderId>,
    pub venue_order_id: VenueOrderId,
    pub ts_event: UnixNanos,
    pub body: NewsBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewsBody {
    Accepted,
    Triggered,
    /// `cum_qty`: filled in total once this fill is counted, where the venue says so.
    Fill {
        fill: Fill,
        cum_qty: Option<Qty>,
    },
    Amended {
        price: Option<Price>,
        qty: Qty,
    },
    Canceled {
        reason: CancelReason,
        cum_qty: Option<Qty>,
    },
    Expired {
        cum_qty: Option<Qty>,
    },
    Rejected {
        reason: RejectReason,
        code: Text<31>,
    },
}

/// A fill from the venue's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastFill {
    pub instrument: InstrumentId,
    /// Where the history names it.
    pub cl_ord_id: Option<ClientOrderId>,
    pub venue_order_id: VenueOrderId,
    pub ts_event: UnixNanos,
    pub fill: Fill,
}

/// An order that an earlier life of this process placed, as its books have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// With price and total size as they are now.
    pub order: NewOrder,
    /// Empty where the venue had not spoken.
    pub venue_order_id: VenueOrderId,
    pub sent: UnixNanos,
    /// What is booked of it, and the executions that made it up.
    pub cum_qty: Qty,
    pub execs: Vec<ExecId>,
    /// An amend without a verdict: price and size it asked for.
    pub amending: Option<(Option<Price>, Option<Qty>)>,
    /// A cancel without a verdict.
    pub canceling: bool,
    /// Venue time of the last amend that is booked: what is older is late news to whoever booked it.
    pub amended_at: UnixNanos,
}

/// What to ask the venue for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The order by its client id. [`Answer::Order`].
    Order(ClientOrderId),
    /// Whose order that is: [`Answer::Owner`].
    Owner(VenueOrderId),
    /// All fills of the instrument since then, on the room's clock: the shell turns it into the venue's.
    /// [`Answer::Fills`].
    Fills { since: UnixNanos },
    /// The position of the instrument. [`Answer::Position`].
    Position { leg: Leg },
}

/// A query under way. `about` is the order whose doubt it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub about: ClientOrderId,
    pub account: AccountId,
    pub instrument: InstrumentId,
    /// Comes back with the answer, so that an answer to an older question is told apart.
    pub number: u32,
    pub ask: Ask,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Order(OrderView),
    /// The venue knows no such order.
    NotFound,
    /// Whose order it is; `None`: nobody's of ctos.
    Owner(Option<ClientOrderId>),
    Fills(Vec<PastFill>),
    Position(Qty),
    /// The venue has no positions to ask for (spot).
    NoPosition,
    /// The query failed: nothing is known that was not known before.
    Failed,
}

/// What the shell does next, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send it, once. Then [`Tracker::on_reply`].
    Place(NewOrder),
    Amend(AmendOrder),
    /// May come again for the same order: cancels do no harm.
    Cancel(CancelOrder),
    /// Then [`Tracker::on_answer`].
    Query(Query),
    /// For the kernel.
    Report(OrderReport),
    Alarm(Alarm),
}

/// What a person should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// The venue sent a fill again under another id; it was not applied.
    #[error("order {id}: fill {} was sent again under another id and is not counted", fill.exec_id)]
    DuplicateFill { id: ClientOrderId, fill: Fill },
    /// More was filled than was asked for, and the venue stands by it: it is counted.
    #[error("order {id}: filled {} of {}", cum.0, size.0)]
    OverFill { id: ClientOrderId, cum: Qty, size: Qty },
    /// A doubt that many queries did not resolve. The order's exposure stays reserved.
    #[error("order {id}: in doubt since {since}; {queries} queries did not resolve it")]
    Unresolved { id: ClientOrderId, since: UnixNanos, queries: u32 },
    /// The venue does not have the order, yet the position moved as if it had filled.
    #[error("order {id}: not at the venue, but the position is {} where {} is explained", at_venue.0, explained.0)]
    PositionUnexplained { id: ClientOrderId, at_venue: Qty, explained: Qty },
    /// An order that was given up for never arrived came to life; it is cancelled.
    #[error("order {id} came to life after the venue had not known it")]
    Resurrected { id: ClientOrderId },
    /// Another instance of ctos trades on this account.
    #[error("an order with the tag of another instance: {id}")]
    ForeignTag { id: ClientOrderId },
    /// The venue's totals say that fills exist which its history does not show.
    #[error("order {id}: the venue counts {} filled, {} are known", declared.0, known.0)]
    FillsMissing { id: ClientOrderId, declared: Qty, known: Qty },
}

/// Why an intent was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("order {0} was placed before: an id is never used twice")]
    Repeated(ClientOrderId),
    #[error("order {0} is not known or closed")]
    NotOpen(ClientOrderId),
    #[error("order {0} has an amend under way")]
    Amending(ClientOrderId),
}

/// Signed by side.
fn signed(side: Side, qty: Qty) -> i64 {
    qty.0 * side.sign()
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
