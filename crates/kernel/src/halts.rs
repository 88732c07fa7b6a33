//! Halting: latching the kill switch, cancelling what a scope has open, and looking until nothing is left.
//! Never: releases a latch by itself.

use crate::audit::{Alarm, Audit};
use crate::core::Core;
use crate::kill::VERIFY_EVERY;
use crate::orders::Order;
use crate::risk;
use ctos_types::{AccountId, CancelOrder, Command, HaltScope, KillState};

impl Core {
    pub fn halt(&mut self, scope: HaltScope, state: KillState, reason: &str) {
        if !self.s.kill.latch(scope, state, reason, self.s.now) {
            return;
        }
        self.audit(Audit::Kill { scope, state, reason: reason.into() });
        if state == KillState::Halted {
            self.cancel_scope(scope);
            self.wake_at(self.s.now.after(VERIFY_EVERY));
        }
    }

    pub fn resume(&mut self, scope: HaltScope, reason: &str) {
        if self.s.kill.release(scope) {
            self.audit(Audit::Kill { scope, state: KillState::Active, reason: reason.into() });
            match scope {
                // A new start for the breakers: the loss that tripped them must not trip them again at once.
                HaltScope::Account(account) => {
                    if let Some(mark) = self.s.watermarks.get_mut(account.0 as usize) {
                        mark.set = false;
                    }
                }
                // A person says that the disk is mended. If it is not, the next failed write halts again.
                HaltScope::System => self.s.journal_ok = true,
                HaltScope::Strategy(_) => {}
            }
        }
    }

    /// Cancels whatever is open in the scope.
    pub fn cancel_scope(&mut self, scope: HaltScope) {
        match scope {
            HaltScope::Strategy(strategy) => {
                self.cancel_where(|o| o.request.strategy == strategy);
            }
            HaltScope::Account(account) => self.cancel_account(account),
            HaltScope::System => {
                for account in 0..self.accounts.len() {
                    self.cancel_account(AccountId(account as u16));
                }
            }
        }
    }

    /// Cancels whatever is open in the scope and goes on until nothing is left, without a latch.
    pub fn clear_scope(&mut self, scope: HaltScope) {
        self.cancel_scope(scope);
        if self.s.orders.open().any(|o| in_scope(scope, o)) {
            let due = self.s.now.after(VERIFY_EVERY);
            self.s.kill.watch(scope, due);
            self.wake_at(due);
        }
    }

    fn cancel_account(&mut self, account: AccountId) {
        let ids = self.s.orders.open_ids(|o| o.request.account == account);
        if ids.is_empty() {
            return;
        }
        for (id, ..) in ids {
            self.s.orders.set_pending_cancel(id);
        }
        self.send(risk::approve_cancel(Command::CancelAll { account, instrument: None }));
    }

    /// Looks after halts whose orders are not all gone: reports success, or cancels again.
    pub fn verify_halts(&mut self) {
        let pending: Vec<_> = self.s.kill.unverified().collect();
        for (scope, due) in pending {
            let open = self.s.orders.open().filter(|o| in_scope(scope, o)).count();
            if open == 0 {
                self.s.kill.verified(scope);
                self.audit(Audit::HaltVerified { scope });
            } else if self.s.now >= due {
                self.alarm(Alarm::HaltNotVerified { scope, open_orders: open });
                for (id, account, instrument) in self.s.orders.open_ids(|o| in_scope(scope, o)) {
                    self.s.orders.set_pending_cancel(id);
                    self.send(risk::approve_cancel(Command::Cancel(CancelOrder {
                        account,
                        cl_ord_id: id,
                        instrument,
                    })));
                }
                self.s.kill.verify_again(scope, self.s.now.after(VERIFY_EVERY));
            }
        }
        self.refresh_deadline();
    }
}

fn in_scope(scope: HaltScope, order: &Order) -> bool {
    match scope {
        HaltScope::System => true,
        HaltScope::Account(account) => order.request.account == account,
        HaltScope::Strategy(strategy) => order.request.strategy == strategy,
    }
}
