//! The words cases are told in.
//! Never: what a market does not have.

use super::{Capability, Case};
use crate::engine::{ACCOUNT, TAG};
use crate::plan::{Kind, Plan, Step};
use crate::rows::stage::Stage;
use crate::world::World;
use ctos_kernel::Order;
use ctos_types::{
    ClientOrderId, Currency, Decimal, Instrument, InstrumentId, Nanos, OrderStatus, Qty, RejectReason, Side, StrategyId,
};
use serde_json::json;

pub const fn case(
    name: &'static str,
    needs: Capability,
    plan: fn() -> Plan,
    play: fn(&mut World) -> Result<(), String>,
) -> Case {
    Case { name, needs, setup: |_| {}, plan, play }
}

pub fn place(ms: i64, side: Side, kind: Kind, lots: i64) -> (i64, Step) {
    (ms, Step::Place { side, kind, lots })
}

pub fn buy(ms: i64, kind: Kind, lots: i64) -> (i64, Step) {
    place(ms, Side::Buy, kind, lots)
}

pub fn sell(ms: i64, kind: Kind, lots: i64) -> (i64, Step) {
    place(ms, Side::Sell, kind, lots)
}

/// Of the first order.
pub fn amend(ms: i64, away: Option<i64>, lots: Option<i64>) -> (i64, Step) {
    (ms, Step::Amend { order: 1, away, lots })
}

pub fn ensure(holds: bool, why: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.into()) }
}

pub fn refused(w: &World, n: u64, wanted: RejectReason) -> Result<(), String> {
    let reason = w.order(n).and_then(|o| o.reject).map(|(reason, _)| reason);
    ensure(reason == Some(wanted), format!("order {n}: refused for {reason:?}, not {wanted:?}"))
}

pub fn request_rule(w: &mut World, method: &str, times: u32, fault: serde_json::Value) {
    let path = w.order_path();
    let named = format!("{method} {path}*");
    w.admin(&json!({"do": "rule", "rule": {"on": "request", "named": named, "times": times, "fault": fault}}));
}

pub fn commands(w: &World) -> u64 {
    w.engine().places
}

impl World {
    pub fn pass(&mut self, ms: i64) {
        self.run_for(Nanos::from_millis(ms));
    }

    /// The n-th order of the plan.
    pub fn order(&self, n: u64) -> Option<&Order> {
        self.engine().kernel.orders().get(ClientOrderId { tag: TAG, seq: n })
    }

    pub fn is(&self, n: u64, status: OrderStatus) -> Result<(), String> {
        match self.order(n) {
            Some(order) if order.status == status => Ok(()),
            Some(order) => {
                let (have, cum, why) = (order.status, order.cum_qty.0, order.reject);
                Err(format!("order {n} is {have:?} with {cum} filled ({why:?}), not {status:?}"))
            }
            None => Err(format!("there is no order {n}")),
        }
    }

    /// Both sides agree within so many seconds, and the account is known.
    pub fn agrees_within(&mut self, secs: u32) -> Result<(), String> {
        let mut why = String::new();
        for _ in 0..secs * 4 {
            self.pass(250);
            match self.agreement() {
                Ok(()) if self.engine().kernel.is_known(ACCOUNT) => return Ok(()),
                Ok(()) => why = "the account is not known".into(),
                Err(other) => why = other,
            }
        }
        Err(format!("after {secs} s: {why}"))
    }

    /// What the kernel has of an asset.
    pub fn cash(&self, asset: &str) -> Decimal {
        self.engine().kernel.portfolio().cash(ACCOUNT, Currency::cut(asset)).ours
    }

    pub fn instrument(&self) -> Instrument {
        self.engine().kernel.instruments().get(InstrumentId(0)).clone()
    }

    /// A size as the venue writes it.
    pub fn quantity(&self, size: i64) -> String {
        self.instrument().qty_text(Qty(size))
    }

    /// The venue fills the only open order: as much of it, or all.
    pub fn fill_at_venue(&mut self, quantity: Option<&str>) -> Result<(), String> {
        let (account, id) = (self.account(), self.true_account()["openOrders"][0]["orderId"].clone());
        let deed = json!({"do": "fill", "account": account, "order_id": id, "quantity": quantity});
        self.deed(&deed).map(drop)
    }

    /// The plan's strategy holds nothing and has no open orders.
    pub fn flat(&self) -> Result<(), String> {
        let kernel = &self.engine().kernel;
        let mine = |s: StrategyId| s == StrategyId(0);
        let open = kernel.open_orders().filter(|o| mine(o.request.strategy)).count();
        let held: Vec<String> = kernel
            .portfolio()
            .ledgers()
            .filter(|((s, ..), l)| mine(*s) && !l.position.is_flat())
            .map(|(_, l)| format!("{:?}", l.position.qty))
            .collect();
        ensure(open == 0 && held.is_empty(), format!("{open} orders are open, {held:?} is held"))
    }
}
