//! What others may see of a kernel between two steps.
//! Never: changes what a step decides.

use super::{AccountSpec, Kernel, ProcessInfo, Progress};
use crate::kill::KillSwitch;
use crate::market::MarketState;
use crate::orders::{Order, OrderStore};
use crate::portfolio::Portfolio;
use ctos_types::{AccountId, Decimal, InstanceTag, InstrumentId, Instruments, StrategyId, UnixNanos};
use std::sync::Arc;

impl Kernel {
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }
    pub fn now(&self) -> UnixNanos {
        self.core.s.now
    }
    /// Sequence the next input must have.
    pub fn next_input(&self) -> u64 {
        self.core.s.next_input
    }
    pub fn instruments(&self) -> &Instruments {
        &self.core.instruments
    }
    /// Whether what strategies plot goes into the audit stream. Off at first: a run that nobody charts pays nothing
    /// for it. Changes no decision and is in no snapshot.
    pub fn set_plots(&mut self, on: bool) {
        self.core.plots = on;
    }
    pub fn accounts(&self) -> &[AccountSpec] {
        &self.core.accounts
    }
    pub fn market(&self, id: InstrumentId) -> &MarketState {
        &self.core.s.markets[id.index()]
    }
    pub fn orders(&self) -> &OrderStore {
        &self.core.s.orders
    }
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> + '_ {
        self.core.s.orders.open()
    }
    pub fn portfolio(&self) -> &Portfolio {
        &self.core.s.portfolio
    }
    pub fn kill(&self) -> &KillSwitch {
        &self.core.s.kill
    }
    /// Whether what we believe of the account is what the venue has.
    pub fn is_known(&self, account: AccountId) -> bool {
        self.core.is_known(account)
    }
    pub fn equity(&self, account: AccountId) -> Decimal {
        self.core.equity(account)
    }
    /// Mark, else mid, else last trade.
    pub fn reference(&self, id: InstrumentId) -> Option<Decimal> {
        self.core.reference(id)
    }
    /// What marks the orders of this run.
    pub fn tag(&self) -> InstanceTag {
        self.core.tag
    }
    /// The highest sequence that an order of this run has had.
    pub fn orders_placed(&self) -> u64 {
        self.core.s.orders.last_seq()
    }
    pub fn command_hash(&self) -> String {
        self.core.s.hash.hex()
    }
    pub fn commands_out(&self) -> u64 {
        self.core.s.commands_out
    }
    pub fn denied(&self) -> u64 {
        self.core.s.denied
    }
    pub fn processes(&self) -> impl Iterator<Item = ProcessInfo> + '_ {
        self.processes.iter().enumerate().map(|(i, p)| ProcessInfo {
            id: StrategyId(i as u16),
            label: p.label.clone(),
            account: p.account,
            state: p.state.clone(),
        })
    }
}
