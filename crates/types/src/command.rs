//! Commands: imperatives that leave the kernel for a driver, and control inputs that enter it from people and watchdogs.

use crate::ids::{AccountId, ClientOrderId, InstrumentId, StrategyId};
use crate::instrument::{Price, Qty};
use crate::order::{Leg, OrderKind, OrderQty, PositionEffect, Side, TimeInForce, TriggerBy};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub account: AccountId,
    pub strategy: StrategyId,
    pub cl_ord_id: ClientOrderId,
    pub instrument: InstrumentId,
    pub side: Side,
    pub kind: OrderKind,
    pub qty: OrderQty,
    pub tif: TimeInForce,
    pub post_only: bool,
    pub reduce_only: bool,
    pub position_effect: PositionEffect,
    pub leg: Leg,
    pub trigger_by: TriggerBy,
    /// Spot with borrowed money: whether what the order lacks may be borrowed. `None`: as the account is set. On an order
    /// that leaves, `Some(true)` says that it may need a loan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_borrow: Option<bool>,
}

impl NewOrder {
    /// Good till cancelled, of no strategy, and nothing asked beyond what is given.
    pub fn new(
        account: AccountId,
        cl_ord_id: ClientOrderId,
        instrument: InstrumentId,
        side: Side,
        kind: OrderKind,
        qty: OrderQty,
    ) -> NewOrder {
        NewOrder {
            account,
            strategy: StrategyId::EXTERNAL,
            cl_ord_id,
            instrument,
            side,
            kind,
            qty,
            tif: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            position_effect: PositionEffect::Auto,
            leg: Leg::Net,
            trigger_by: TriggerBy::Last,
            auto_borrow: None,
        }
    }
}

/// Changes a live order. `None` leaves a field as it is; `qty` is the new total size, fills included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendOrder {
    pub account: AccountId,
    pub cl_ord_id: ClientOrderId,
    pub instrument: InstrumentId,
    pub price: Option<Price>,
    pub qty: Option<Qty>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    pub account: AccountId,
    pub cl_ord_id: ClientOrderId,
    pub instrument: InstrumentId,
}

/// What a driver is told to do. Outcomes come back only as events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    Place(NewOrder),
    Amend(AmendOrder),
    Cancel(CancelOrder),
    /// Every open order of the account, or of one instrument of it, foreign orders included.
    CancelAll {
        account: AccountId,
        instrument: Option<InstrumentId>,
    },
}

impl Command {
    pub const fn account(&self) -> AccountId {
        match self {
            Command::Place(o) => o.account,
            Command::Amend(o) => o.account,
            Command::Cancel(o) => o.account,
            Command::CancelAll { account, .. } => *account,
        }
    }
    /// Whether the command can only take risk away.
    pub const fn only_reduces(&self) -> bool {
        matches!(self, Command::Cancel(_) | Command::CancelAll { .. })
    }
}

/// How much trading is allowed. Ordered: the strictest of the scopes that apply wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KillState {
    #[default]
    Active,
    /// Only orders that shrink a position, and cancels.
    Reducing,
    /// Only cancels; open orders are cancelled.
    Halted,
}

/// What a kill-switch latch covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltScope {
    System,
    Account(AccountId),
    Strategy(StrategyId),
}

/// An input from outside the market: a person, the runtime, the watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The first input of a run: strategies are started.
    Start,
    /// The run ends: strategies are stopped and every open order is cancelled.
    Stop {
        reason: String,
    },
    StartStrategy {
        strategy: StrategyId,
    },
    StopStrategy {
        strategy: StrategyId,
    },
    /// Latches at least this state on the scope.
    Halt {
        scope: HaltScope,
        state: KillState,
        reason: String,
    },
    /// A person releases the latch.
    Resume {
        scope: HaltScope,
        reason: String,
    },
    /// The watchdog found input `seq` unfinished while `strategy` was being called. That input's step counts as if the
    /// strategy had been stopped before it, and the system is halted.
    Watchdog {
        seq: u64,
        strategy: Option<StrategyId>,
    },
    /// The journal can no longer be written: no new risk from here on.
    JournalFailed {
        error: String,
    },
    /// A person orders, through every gate with the account's own limits. It belongs to no strategy; its strategy and
    /// id are given by the kernel, whatever stands here.
    Order(Box<NewOrder>),
    /// A person changes an open order, whoever placed it. `None` leaves a field as it is; `qty` is the new total size.
    Amend {
        cl_ord_id: ClientOrderId,
        price: Option<Price>,
        qty: Option<Qty>,
    },
    /// A person cancels an open order, whoever placed it.
    Cancel {
        cl_ord_id: ClientOrderId,
    },
    /// A person cancels every open order of an account, or of one instrument of it, foreign ones included.
    CancelAll {
        account: AccountId,
        instrument: Option<InstrumentId>,
    },
}
