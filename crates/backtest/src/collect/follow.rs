//! Watches a run from the moment when trading begins: before it nothing is earned and no time counts.

use super::Collector;
use crate::log::AccountFacts;
use ctos_kernel::{AccountSpec, Audit, Kernel};
use ctos_runtime::shard::Observer;
use ctos_types::{AccountId, Decimal, UnixNanos};

type Begin = Box<dyn FnOnce(UnixNanos, &Kernel) -> Collector + Send>;

/// A collector that is made at its first step, when the kernel is known.
pub struct Follow {
    from: UnixNanos,
    begin: Option<Begin>,
    collector: Option<Collector>,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Follow {
    pub fn new(from: UnixNanos, begin: impl FnOnce(UnixNanos, &Kernel) -> Collector + Send + 'static) -> Follow {
        Follow { from, begin: Some(Box::new(begin)), collector: None }
    }

    /// `None`: nothing happened from there on.
    pub fn into_collector(self) -> Option<Collector> {
        self.collector
    }
}

impl Observer for Follow {
    fn on_step(&mut self, seq: u64, at: UnixNanos, audits: &mut Vec<Audit>, kernel: &Kernel) {
        if let Some(collector) = &mut self.collector {
            return collector.on_step(seq, at, audits, kernel);
        }
        if at < self.from {
            return;
        }
        let Some(begin) = self.begin.take() else { return };
        let mut collector = begin(at, kernel);
        let worth = |(i, spec): (usize, &AccountSpec)| {
            let account = AccountId(i as u16);
            Audit::Equity { account, currency: spec.reporting, equity: kernel.equity(account) }
        };
        // What the accounts are worth when it begins comes before what changes it.
        let mut all: Vec<Audit> = kernel.accounts().iter().enumerate().map(worth).collect();
        all.append(audits);
        collector.on_step(seq, at, &mut all, kernel);
        *audits = all;
        self.collector = Some(collector);
    }
}

/// What a log says of an account; its worth at the start is filled in by the collector.
pub fn account_facts(spec: &AccountSpec) -> AccountFacts {
    AccountFacts { name: spec.name.clone(), reporting: spec.reporting, start_equity: Decimal::ZERO }
}
