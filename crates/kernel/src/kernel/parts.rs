//! What a kernel is made of and how others see its strategies: accounts, processes, where it is.
//! Never: changes anything in a step.

use crate::kill::Latch;
use crate::risk::Limits;
use crate::strategy::Strategy;
use ctos_types::{AccountId, Currency, Decimal, HaltScope, InstanceTag, Instruments, StrategyId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Whether spot orders of an account may be paid with borrowed money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Borrow {
    /// Nothing is lent to it.
    #[default]
    Never,
    /// Only to an order that asks for it.
    Asked,
    /// To every order that lacks something, unless it says no.
    Auto,
}

impl Borrow {
    /// Whether what an order with this word of its own lacks may be borrowed.
    pub(crate) const fn allows(self, word: Option<bool>) -> bool {
        match self {
            Borrow::Never => false,
            Borrow::Asked => matches!(word, Some(true)),
            Borrow::Auto => !matches!(word, Some(false)),
        }
    }
}

/// An account as the kernel needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSpec {
    pub id: AccountId,
    pub name: String,
    /// Equity, limits and breakers count in this currency.
    pub reporting: Currency,
    pub leverage: Decimal,
    pub borrow: Borrow,
    pub limits: Limits,
}

/// A strategy to run. Its position in the list is its [`StrategyId`].
pub struct ProcessSpec {
    pub label: String,
    pub account: AccountId,
    pub limits: Limits,
    pub strategy: Box<dyn Strategy>,
}

impl std::fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessSpec").field("label", &self.label).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct KernelConfig {
    pub instruments: Instruments,
    pub accounts: Vec<AccountSpec>,
    pub processes: Vec<ProcessSpec>,
    pub tag: InstanceTag,
    /// Latches an earlier run left and no person has released.
    pub latches: BTreeMap<HaltScope, Latch>,
}

/// Life of a strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    Created,
    Running,
    Stopped,
    /// It panicked, flooded or hung. Its orders were cancelled; it does not come back in this run.
    Failed {
        reason: String,
    },
}

/// A strategy as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessInfo {
    pub id: StrategyId,
    pub label: String,
    pub account: AccountId,
    pub state: ProcessState,
}

pub(super) struct Process {
    pub label: String,
    pub account: AccountId,
    pub state: ProcessState,
    pub strategy: Box<dyn Strategy>,
}

/// Where the kernel is, readable from another thread: what the watchdog watches.
#[derive(Debug, Default)]
pub struct Progress {
    /// Sequence of the input in work plus one; zero between inputs.
    pub(super) working_on: AtomicU64,
    /// Strategy being called plus one; zero when none is.
    pub(super) strategy: AtomicU32,
    /// Inputs finished.
    pub(super) done: AtomicU64,
}

impl Progress {
    /// The input in work and the strategy being called, if any.
    pub fn in_step(&self) -> Option<(u64, Option<StrategyId>)> {
        let seq = self.working_on.load(Ordering::Acquire).checked_sub(1)?;
        let strategy = self.strategy.load(Ordering::Acquire).checked_sub(1);
        Some((seq, strategy.map(|s| StrategyId(s as u16))))
    }
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }
}
