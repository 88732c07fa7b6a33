//! What the venue tells of its budgets, passed on to the limiter and to people.
//! Never: opens what was closed before its time.

use super::{Gateway, Ticket};
use crate::gateway::{Budget, Deeds, Notice};
use ctos_types::{Nanos, UnixNanos};

impl Gateway {
    /// Empties `budgets`. `ticket`: the request that they came with, not settled yet.
    pub(super) fn learn(
        &mut self,
        now: UnixNanos,
        ticket: Option<Ticket>,
        budgets: &mut Vec<Budget>,
        deeds: &mut Deeds,
    ) {
        let offset = self.clock.offset(now).unwrap_or(Nanos::ZERO);
        let limiter = &mut self.requests.limiter;
        let mut closed = false;
        for budget in budgets.drain(..) {
            match budget {
                Budget::Used { meter, period, total } => {
                    if let Some(ticket) = ticket {
                        limiter.observe(now, ticket, meter, period, total);
                    }
                }
                Budget::Limit { meter, period, limit } => limiter.set_limit(meter, period, limit),
                Budget::Limited { meter, retry_after } => {
                    limiter.limited(now, meter, retry_after);
                    closed = true;
                }
                Budget::Banned { group, retry_after, until } => {
                    let left = || until.map(|until| Nanos((until.0 - offset.0).saturating_sub(now.0).max(0)));
                    limiter.banned(now, group, retry_after.or_else(left));
                    closed = true;
                }
                Budget::Clock => {
                    self.doubted = true;
                    self.clock.distrust(now);
                }
            }
        }
        if closed {
            self.tell_closures(now, deeds);
            self.tend_entries(now, deeds);
        }
    }

    /// Told when it changed: answers that were under way meanwhile say the same again.
    fn tell_closures(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        let closures = self.closures();
        for c in &closures {
            if self.told.iter().any(|t| t.name == c.name && t.banned == c.banned && t.until > now) {
                continue;
            }
            let seconds = (c.until - now).as_secs_f64();
            deeds.notices.push(match c.banned {
                true => Notice::Alarm {
                    what: format!("banned by the venue: nothing leaves for {} for {seconds:.0} s", c.name),
                    hint: "other programs on this address share its budget: stop or slow them".into(),
                },
                false => Notice::Warning(format!(
                    "the venue's budget is used up: {} rests {seconds:.0} s; cancels wait, everything else is refused",
                    c.name
                )),
            });
        }
        if closures != self.told {
            deeds.closures_changed = true;
            self.told = closures;
        }
    }
}
