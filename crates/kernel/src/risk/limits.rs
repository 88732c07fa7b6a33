//! What the gates allow, and the traffic that some of them count.
//! Never: decides.

use ctos_types::{Decimal, Nanos, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What the gates allow. `None` switches a limit off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub price_band_bps: Option<Decimal>,
    pub stale_after: Option<Nanos>,
    pub min_qty: Option<Decimal>,
    pub max_qty: Option<Decimal>,
    pub min_notional: Option<Decimal>,
    pub max_notional: Option<Decimal>,
    pub max_position_notional: Option<Decimal>,
    pub max_total_notional: Option<Decimal>,
    pub max_leverage: Option<Decimal>,
    pub max_open_orders: Option<u32>,
    pub max_orders_per_sec: Option<u32>,
    pub max_orders_per_min: Option<u32>,
    /// Cancels per order over the last minute, asked once at least `cancel_ratio_min` orders were sent in it.
    pub max_cancel_ratio: Option<Decimal>,
    pub cancel_ratio_min: u32,
    pub self_cross: bool,
    pub duplicate_window: Option<Nanos>,
    /// Loss since the start of the UTC day, in the account's reporting currency.
    pub daily_loss: Option<Decimal>,
    /// The same in percent of the equity at the start of the UTC day.
    pub daily_loss_pct: Option<Decimal>,
    /// Fall from the highest equity, in percent.
    pub max_drawdown_pct: Option<Decimal>,
}

/// Chosen for a paper account of 10,000: wide enough for any default strategy, narrow enough to stop a runaway.
impl Default for Limits {
    fn default() -> Self {
        let int = |n| Some(Decimal::from_int(n));
        Limits {
            price_band_bps: int(500),
            stale_after: Some(Nanos::from_secs(10)),
            min_qty: None,
            max_qty: None,
            min_notional: None,
            max_notional: int(5_000),
            max_position_notional: int(20_000),
            max_total_notional: int(50_000),
            max_leverage: int(5),
            max_open_orders: Some(200),
            max_orders_per_sec: Some(50),
            max_orders_per_min: Some(1_000),
            max_cancel_ratio: int(20),
            cancel_ratio_min: 50,
            self_cross: true,
            duplicate_window: Some(Nanos::from_millis(100)),
            daily_loss: int(1_000),
            daily_loss_pct: None,
            max_drawdown_pct: int(20),
        }
    }
}

impl Limits {
    /// Everything switched off: for measuring and for tests of something else.
    pub fn unlimited() -> Limits {
        Limits {
            price_band_bps: None,
            stale_after: None,
            min_qty: None,
            max_qty: None,
            min_notional: None,
            max_notional: None,
            max_position_notional: None,
            max_total_notional: None,
            max_leverage: None,
            max_open_orders: None,
            max_orders_per_sec: None,
            max_orders_per_min: None,
            max_cancel_ratio: None,
            cancel_ratio_min: 0,
            self_cross: false,
            duplicate_window: None,
            daily_loss: None,
            daily_loss_pct: None,
            max_drawdown_pct: None,
        }
    }
}

pub(super) const SECOND: Nanos = Nanos::from_secs(1);
pub(super) const MINUTE: Nanos = Nanos::from_secs(60);

/// When an account sent orders and cancels: a minute of history, bounded by the rates themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub(super) orders: VecDeque<UnixNanos>,
    pub(super) cancels: VecDeque<UnixNanos>,
}

/// Above this many remembered sends the oldest go: a rate beyond it is refused by any sane limit anyway.
const TRAFFIC_KEPT: usize = 20_000;

impl Traffic {
    fn trim(list: &mut VecDeque<UnixNanos>, now: UnixNanos) {
        while list.front().is_some_and(|t| t.after(MINUTE) <= now) || list.len() > TRAFFIC_KEPT {
            list.pop_front();
        }
    }
    pub fn ordered(&mut self, now: UnixNanos) {
        Self::trim(&mut self.orders, now);
        self.orders.push_back(now);
    }
    pub fn cancelled(&mut self, now: UnixNanos) {
        Self::trim(&mut self.cancels, now);
        self.cancels.push_back(now);
    }
    pub(super) fn since(list: &VecDeque<UnixNanos>, now: UnixNanos, span: Nanos) -> u32 {
        // Times only grow, so a busy minute costs a few comparisons and not a walk.
        (list.len() - list.partition_point(|t| t.after(span) <= now)) as u32
    }
}
