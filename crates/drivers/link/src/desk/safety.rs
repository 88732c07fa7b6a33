//! What keeps the account safe by itself: whether it is known, and the switch that the venue pulls without us.
//! Never: allows new risk while anything is not known.

use super::DeskWords;
use super::core::{Desk, Job, Stage, alarm, warning};
use crate::gateway::{Answer, Notice, Outbox};
use ctos_types::{AccountEvent, InstrumentId, Nanos, UnixNanos};
use std::collections::BTreeSet;

/// After a failure the switch is wound up again this soon.
const WIND_AGAIN: Nanos = Nanos::from_secs(3);

impl<W: DeskWords> Desk<W> {
    /// Why new risk must wait; `None`: all is known.
    pub(super) fn unknown(&self) -> Option<String> {
        match self.stage {
            Stage::Clock => return Some("the venue's clock is not known".into()),
            Stage::Settings => return Some("the account's settings are not read".into()),
            Stage::Stopped => return Some("stopped".into()),
            Stage::Running => {}
        }
        if !self.session.is_live() {
            return Some("the user stream is not live".into());
        }
        if self.opening_cash || self.opening_positions {
            return Some("the account was not read yet".into());
        }
        if let Some(subject) = self.schedule.blind().next() {
            return Some(format!("{subject:?} cannot be read"));
        }
        if let Some((id, _)) = self.tracker.unresolved().next() {
            return Some(format!("order {id} is in doubt"));
        }
        if self.odd_positions.any() || self.odd_cash.any() {
            return Some("the venue holds something else than we do".into());
        }
        None
    }

    pub(super) fn tell_standing(&mut self, now: UnixNanos, out: &mut Outbox) {
        let why = self.unknown();
        let known = why.is_none();
        if self.standing == Some(known) {
            return;
        }
        // Nobody needs to be told that nothing is known before anything was.
        if self.standing.is_none() && !known && self.stage != Stage::Running {
            return;
        }
        self.standing = Some(known);
        let account = self.id();
        self.account_event(now, &AccountEvent::Standing { account, known }, out);
        out.notices.push(match why {
            None => Notice::Info("the account is known: new risk is allowed".into()),
            Some(why) => warning(format!("no new risk: {why}")),
        });
    }

    /// The dead man's switch of every instrument with open orders.
    pub(super) fn wind_up(&mut self, now: UnixNanos, out: &mut Outbox) {
        let Some(switch) = self.words.offers().dead_man else { return };
        if self.stage != Stage::Running {
            return;
        }
        let open: BTreeSet<InstrumentId> = self.tracker.open().map(|(_, id)| id).collect();
        let within = self.config.other_within;
        let idle: Vec<InstrumentId> =
            self.dead_man.iter().filter(|(id, at)| **at <= now && !open.contains(id)).map(|(id, _)| *id).collect();
        for id in idle {
            // Wound off: else it would go off into the next order that is placed.
            self.dead_man.remove(&id);
            if let Some(wire) = self.words.dead_man(id, Nanos::ZERO) {
                self.ask(wire, Job::Other, within, out);
            }
        }
        for id in open {
            if self.dead_man.get(&id).is_some_and(|at| *at > now) {
                continue;
            }
            if let Some(wire) = self.words.dead_man(id, switch.countdown) {
                self.dead_man.insert(id, now.after(switch.every));
                self.ask(wire, Job::DeadMan(id), within, out);
            }
        }
    }

    pub(super) fn on_dead_man(
        &mut self,
        now: UnixNanos,
        instrument: InstrumentId,
        answer: &Answer<'_>,
        out: &mut Outbox,
    ) {
        match self.words.read_done(answer) {
            Ok(()) => self.dead_man_failures = 0,
            Err(trouble) => {
                self.dead_man_failures += 1;
                if let Some(at) = self.dead_man.get_mut(&instrument) {
                    *at = now.after(WIND_AGAIN.max(trouble.pause));
                }
                if self.dead_man_failures == 5 {
                    let what = format!("the venue's dead man's switch cannot be wound up: {}", trouble.why);
                    out.notices.push(alarm(what, "orders may be cancelled by the venue; ctos goes on trying"));
                }
            }
        }
    }
}
