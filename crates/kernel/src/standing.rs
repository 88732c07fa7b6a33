//! What a venue says apart from market and orders: whether an account is known, what it held before, and what an
//! instrument's rules have become.
//! Never: books anything against a venue's word without saying so in the audit stream.

use crate::audit::{Alarm, Audit};
use crate::core::Core;
use ctos_types::{AccountId, Decimal, InstrumentId, Leg, Qty, Rules};
use serde::{Deserialize, Serialize};

/// A part of a position that waits for a first price to be booked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub leg: Leg,
    pub qty: Qty,
}

impl Core {
    /// Whether what we believe of the account is what the venue has.
    pub fn is_known(&self, account: AccountId) -> bool {
        !self.s.unknown.contains(&account) && !self.s.unpriced.iter().any(|o| o.account == account)
    }

    pub fn stand(&mut self, account: AccountId, known: bool) {
        let changed = if known { self.s.unknown.remove(&account) } else { self.s.unknown.insert(account) };
        if changed {
            self.audit(Audit::Standing { account, known });
        }
    }

    /// Takes a part of a position over that no report explains.
    pub fn adopt(&mut self, opening: Opening, entry_px: Option<Decimal>) {
        let px = entry_px.or_else(|| self.reference(opening.instrument)).filter(|px| px.is_positive());
        let Some(px) = px else {
            self.s.unpriced.push(opening);
            return;
        };
        let Opening { account, instrument: id, leg, qty } = opening;
        let booked = self.outside_flow(account, |core| {
            let instrument = core.instruments.get(id);
            core.s.portfolio.adopt(account, leg, instrument, qty, px)
        });
        if self.money(booked).is_none() {
            return;
        }
        self.audit(Audit::Adopted { account, instrument: id, leg, qty, px });
        self.position_audit(account, id, leg);
    }

    /// Books what waited for a price.
    pub fn adopt_priced(&mut self) {
        let waiting = std::mem::take(&mut self.s.unpriced);
        for opening in waiting {
            self.adopt(opening, None);
        }
    }

    /// Takes over what the venue now asks of orders. What is open already is the venue's to keep or to cancel.
    pub fn new_rules(&mut self, instrument: InstrumentId, rules: &Rules) {
        let mut rules = *rules;
        if let Err(error) = self.instruments.set_rules(instrument, &rules) {
            // What cannot be checked here must not be sent.
            rules.trading = false;
            self.alarm(Alarm::BadRules { instrument, why: error.why });
        }
        self.s.rules.insert(instrument, rules);
        self.audit(Audit::Rules { instrument, rules });
    }

    /// Whether the venue takes orders for the instrument.
    pub fn is_trading(&self, instrument: InstrumentId) -> bool {
        self.s.rules.is_empty() || self.s.rules.get(&instrument).is_none_or(|rules| rules.trading)
    }

    /// Gives instruments the rules of a restored state.
    pub fn restore_rules(&mut self) {
        for (instrument, rules) in &self.s.rules {
            // Rules that make no definition were refused when they came.
            let _ = self.instruments.set_rules(*instrument, rules);
        }
    }

    pub fn position_audit(&mut self, account: AccountId, instrument: InstrumentId, leg: Leg) {
        let position = self.s.portfolio.position(account, instrument, leg);
        let ledgers = self.s.portfolio.ledgers().filter(|((_, a, i, l), _)| (*a, *i, *l) == (account, instrument, leg));
        let realized = ledgers.map(|(_, l)| l.realized).sum();
        self.tell(|| Audit::Position { account, instrument, leg, position, realized });
    }
}
