//! The kill switch: latches per system, account and strategy that only a person releases.

use crate::pairs;
use ctos_types::{AccountId, HaltScope, KillState, Nanos, StrategyId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long after a halt open orders may remain before they are cancelled again.
pub const VERIFY_EVERY: Nanos = Nanos::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    pub state: KillState,
    pub reason: String,
    pub since: UnixNanos,
}

/// All latches, and the halts whose orders are not yet known to be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillSwitch {
    #[serde(with = "pairs")]
    latches: BTreeMap<HaltScope, Latch>,
    #[serde(with = "pairs")]
    unverified: BTreeMap<HaltScope, UnixNanos>,
}

impl KillSwitch {
    /// Starts with latches that an earlier run left.
    pub fn with_latches(latches: BTreeMap<HaltScope, Latch>) -> KillSwitch {
        KillSwitch { latches, unverified: BTreeMap::new() }
    }

    pub fn latches(&self) -> &BTreeMap<HaltScope, Latch> {
        &self.latches
    }

    pub fn state(&self, scope: HaltScope) -> KillState {
        self.latches.get(&scope).map_or(KillState::Active, |l| l.state)
    }

    /// The strictest state that applies to an order.
    pub fn effective(&self, account: AccountId, strategy: StrategyId) -> KillState {
        if self.latches.is_empty() {
            return KillState::Active;
        }
        let scopes = [HaltScope::System, HaltScope::Account(account), HaltScope::Strategy(strategy)];
        scopes.into_iter().map(|s| self.state(s)).max().unwrap_or_default()
    }

    /// Raises the latch; never lowers it. Returns whether anything changed.
    pub fn latch(&mut self, scope: HaltScope, state: KillState, reason: &str, now: UnixNanos) -> bool {
        if state <= self.state(scope) {
            return false;
        }
        self.latches.insert(scope, Latch { state, reason: reason.into(), since: now });
        if state == KillState::Halted {
            self.unverified.insert(scope, now.after(VERIFY_EVERY));
        }
        true
    }

    /// Releases the latch. Returns whether there was one.
    pub fn release(&mut self, scope: HaltScope) -> bool {
        self.unverified.remove(&scope);
        self.latches.remove(&scope).is_some()
    }

    /// Looks after the scope's orders until none is left, although nothing is latched. An earlier check stays due.
    pub fn watch(&mut self, scope: HaltScope, at: UnixNanos) {
        self.unverified.entry(scope).or_insert(at);
    }

    /// Ends a [`KillSwitch::watch`]; the check that belongs to a latch goes on.
    pub fn unwatch(&mut self, scope: HaltScope) {
        if self.state(scope) != KillState::Halted {
            self.unverified.remove(&scope);
        }
    }

    pub fn unverified(&self) -> impl Iterator<Item = (HaltScope, UnixNanos)> + '_ {
        self.unverified.iter().map(|(s, t)| (*s, *t))
    }

    pub fn is_verifying(&self) -> bool {
        !self.unverified.is_empty()
    }

    pub fn verified(&mut self, scope: HaltScope) {
        self.unverified.remove(&scope);
    }

    pub fn verify_again(&mut self, scope: HaltScope, at: UnixNanos) {
        self.unverified.insert(scope, at);
    }
}
