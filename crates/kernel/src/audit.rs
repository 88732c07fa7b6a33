//! The audit stream: facts in the past tense that replicas, logs, metrics and the store are built from.

use crate::kernel::ProcessState;
use crate::orders::Order;
use crate::risk::Denied;
use ctos_types::{
    AccountId, Balance, ClientOrderId, Currency, Decimal, Fill, HaltScope, InstrumentId, Interval, KillState, Leg,
    NewOrder, Position, Qty, Rules, StrategyId,
};
use serde::{Deserialize, Serialize};

/// What changed about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderChange {
    /// Refused by our own gates; it never left.
    Denied,
    /// Passed the gates and left for the driver.
    Sent,
    Accepted,
    Triggered,
    Filled,
    Amended,
    AmendRejected,
    CancelRejected,
    Canceled,
    Rejected,
    Expired,
    Unknown,
}

/// Something an operator must hear about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The venue's balance is not what fills, fees and funding add up to.
    BalanceDrift {
        account: AccountId,
        currency: Currency,
        venue: Decimal,
        ours: Decimal,
    },
    /// A fill repeated an execution id and was not applied again.
    DuplicateFill {
        order: Option<ClientOrderId>,
        instrument: InstrumentId,
    },
    /// A fill on an order that had nothing left: taken for a repetition under a new id, not applied.
    FillAboveCeiling {
        order: ClientOrderId,
    },
    /// The venue filled more than was ordered; applied, because it happened.
    OverFill {
        order: ClientOrderId,
    },
    /// A report carries a client order id of another instance of ctos on our account.
    ForeignInstance {
        id: ClientOrderId,
    },
    /// A report about an order of ours that is no longer known.
    UnknownOrder {
        id: ClientOrderId,
    },
    Liquidated {
        account: AccountId,
    },
    /// The venue changed an instrument's rules to something that cannot be traded here: it is not traded any more.
    BadRules {
        instrument: InstrumentId,
        why: String,
    },
    DailyLoss {
        account: AccountId,
        limit: Decimal,
        lost: Decimal,
    },
    Drawdown {
        account: AccountId,
        limit_pct: Decimal,
        drawdown_pct: Decimal,
    },
    /// Open orders remained after a halt, a stop or a failure of the scope, and are being cancelled again.
    HaltNotVerified {
        scope: HaltScope,
        open_orders: usize,
    },
    JournalFailed {
        error: String,
    },
    Watchdog {
        seq: u64,
        strategy: Option<StrategyId>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audit {
    Order {
        order: Box<Order>,
        change: OrderChange,
    },
    Denied {
        order: Box<NewOrder>,
        denied: Denied,
    },
    Fill {
        account: AccountId,
        strategy: StrategyId,
        instrument: InstrumentId,
        order: Option<ClientOrderId>,
        fill: Fill,
        realized: Decimal,
    },
    /// `realized` is what all strategies together have realised on it, before fees.
    Position {
        account: AccountId,
        instrument: InstrumentId,
        leg: Leg,
        position: Position,
        realized: Decimal,
    },
    Balance {
        account: AccountId,
        currency: Currency,
        balance: Balance,
    },
    Funding {
        account: AccountId,
        instrument: InstrumentId,
        amount: Decimal,
        currency: Currency,
    },
    /// A part of a position came from outside: signed, booked at `px` to nobody's strategy.
    Adopted {
        account: AccountId,
        instrument: InstrumentId,
        leg: Leg,
        qty: Qty,
        px: Decimal,
    },
    /// Whether the account is known; while it is not, no new risk leaves.
    Standing {
        account: AccountId,
        known: bool,
    },
    /// The venue changed an instrument's rules.
    Rules {
        instrument: InstrumentId,
        rules: Rules,
    },
    /// Worth of the account in its reporting currency, sampled by the monitor.
    Equity {
        account: AccountId,
        currency: Currency,
        equity: Decimal,
    },
    Process {
        strategy: StrategyId,
        state: ProcessState,
    },
    Kill {
        scope: HaltScope,
        state: KillState,
        reason: String,
    },
    /// After a halt, or after a strategy stopped or failed: no order of the scope is left open.
    HaltVerified {
        scope: HaltScope,
    },
    BookInvalid {
        instrument: InstrumentId,
    },
    /// A strategy asked for bars that the market's own bars cannot make: it will never get one.
    BarsUnusable {
        instrument: InstrumentId,
        have: Interval,
        want: Interval,
    },
    Alarm(Alarm),
    Note {
        strategy: StrategyId,
        text: String,
    },
    /// A point of a line that a strategy draws. Only where plots were asked for.
    Plot {
        strategy: StrategyId,
        instrument: InstrumentId,
        name: &'static str,
        /// In quote currency, on the scale of the instrument's prices. Finite.
        value: f64,
    },
}
