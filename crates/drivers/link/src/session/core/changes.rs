//! Links that open, take over, fail and are left, and who is told.
//! Never: hides a gap. What may have been missed is told when it may have been, not when it is over.

use super::Session;
use crate::session::link::{Link, Phase, Sub};
use crate::session::{Action, LinkId, SessionEvent, Words};
use ctos_types::UnixNanos;
use rand_core::Rng;

impl<W: Words> Session<W> {
    pub(super) fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        [&mut self.main, &mut self.next, &mut self.old].into_iter().flatten().find(|l| l.id == id)
    }

    pub(super) fn open(&mut self, now: UnixNanos, out: &mut Vec<Action>) -> Link {
        self.next_id += 1;
        let id = LinkId(self.next_id);
        out.push(Action::Connect(id));
        Link::new(id, now, &self.config)
    }

    pub(super) fn connect_main(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        self.streams.values_mut().for_each(|s| s.handover.reset());
        self.rotate_at = UnixNanos::MAX;
        self.main = Some(self.open(now, out));
    }

    pub(super) fn may_rotate(&self) -> bool {
        self.next.is_none() && self.main.as_ref().is_some_and(Link::is_up)
    }

    pub(super) fn rotate(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if self.may_rotate() && self.rotate_at <= now {
            self.next = Some(self.open(now, out));
        }
    }

    /// Carries out what the state asks for: messages, phases that are complete.
    pub(super) fn settle(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let at = now.after(self.offset);
        for link in [&mut self.main, &mut self.next].into_iter().flatten() {
            if link.is_up() && link.phase != Phase::Leaving {
                link.plan(self.streams.keys(), at, &mut self.words, &self.config);
            }
            link.flush(now, &self.config, out);
        }
        if let Some(old) = &mut self.old {
            old.flush(now, &self.config, out);
        }
        let complete = |l: &Option<Link>| l.as_ref().is_some_and(|l| l.phase == Phase::Subscribing && l.is_settled());
        if complete(&self.main) {
            self.subscribed(now, out);
        }
        if complete(&self.next) {
            self.change_over(now, out);
        }
    }

    /// Every subscription of the main link stands.
    pub(super) fn subscribed(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let Some(within) = self.config.resync_within else { return self.go_live(now, out) };
        let since = self.gap_since;
        let link = self.main.as_mut().expect("checked by the caller");
        (link.phase, link.phase_due) = (Phase::Resyncing, now.after(within));
        out.push(Action::Emit(SessionEvent::Resync { since }));
    }

    pub(super) fn go_live(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let link = self.main.as_mut().expect("checked by the caller");
        (link.phase, link.phase_due) = (Phase::Live, UnixNanos::MAX);
        self.rotate_at =
            self.config.rotate_after.map_or(self.rotate_at, |age| self.rotate_at.min(link.opened.after(age)));
        self.rotate_why = if self.rotate_at <= now { self.rotate_why } else { "age" };
        self.backoff.up(now);
        self.gap_since = None;
        self.flowed = true;
        for stream in self.streams.values_mut() {
            // Live speaks for all of them.
            stream.silent = false;
            stream.pulse.iter_mut().for_each(|p| p.restart(now));
        }
        self.watch_pulses(now);
        out.push(Action::Emit(SessionEvent::Live));
    }

    /// The replacement is ready: it takes over, and the replaced link stays for what is still on its way.
    pub(super) fn change_over(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let mut next = self.next.take().expect("checked by the caller");
        let Some(mut main) = self.main.take() else {
            self.main = Some(next);
            return self.subscribed(now, out);
        };
        // A main link that was itself still catching up passes that on.
        (next.phase, next.phase_due) = (main.phase, main.phase_due);
        (main.phase, main.phase_due) = (Phase::Leaving, now.after(self.config.overlap));
        self.rotate_at = self.config.rotate_after.map_or(UnixNanos::MAX, |age| next.opened.after(age));
        if let Some(older) = &self.old {
            out.push(Action::Close(older.id, "replaced"));
            self.drop_old(now, out);
        }
        self.old = Some(main);
        let subscribing = next.phase == Phase::Subscribing;
        self.main = Some(next);
        self.backoff.up(now);
        out.push(Action::Emit(SessionEvent::Rotated { why: self.rotate_why }));
        self.rotate_why = "age";
        if subscribing {
            self.subscribed(now, out);
        }
    }

    pub(super) fn fail(&mut self, now: UnixNanos, id: LinkId, why: &str, closed: bool, out: &mut Vec<Action>) {
        if self.link(id).is_none() {
            return;
        }
        if !closed {
            out.push(Action::Close(id, "given up"));
        }
        if self.old.as_ref().is_some_and(|l| l.id == id) {
            return self.drop_old(now, out);
        }
        if self.next.as_ref().is_some_and(|l| l.id == id) {
            self.next = None;
            self.streams.values_mut().for_each(|s| drop(s.handover.retire(id)));
            let random = self.rng.next_u64();
            self.rotate_at = now.after(self.backoff.down(now, random));
            return;
        }
        let link = self.main.take().expect("one of the three");
        if link.phase >= Phase::Subscribing && self.flowed && self.gap_since.is_none() {
            self.open_gap(now, link.heard, why, out);
        }
        // A replacement under way becomes the link. What it missed before it was subscribed is missed.
        if let Some(next) = self.next.take() {
            self.main = Some(next);
            self.rotate_at = UnixNanos::MAX;
            for stream in self.streams.values_mut() {
                out.extend(stream.handover.retire(id).into_iter().map(Action::Frame));
            }
            return self.settle(now, out);
        }
        // What the replaced link still brings would only mix with a new beginning.
        if let Some(old) = self.old.take() {
            out.push(Action::Close(old.id, "replaced"));
        }
        let random = self.rng.next_u64();
        let at = now.after(self.backoff.down(now, random));
        self.reconnect_at = Some(at);
        let failures = self.backoff.failures();
        out.push(Action::Emit(SessionEvent::Retrying { at, failures, why: why.into() }));
    }

    /// The replaced link is gone. A stream that had not changed over by then may have lost frames on it.
    pub(super) fn drop_old(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let Some(old) = self.old.take() else { return };
        for (name, stream) in &mut self.streams {
            let held = stream.handover.retire(old.id);
            if held.is_empty() {
                continue;
            }
            let why = "the replaced link fell behind".into();
            out.push(Action::Emit(SessionEvent::Gap { stream: Some(name.clone()), since: old.heard.min(now), why }));
            out.extend(held.into_iter().map(Action::Frame));
            // Where it is just being subscribed again there will be another hole: its next data restores it.
            let flows =
                self.main.as_ref().is_some_and(|l| l.phase == Phase::Live && l.subs.get(name) == Some(&Sub::Active));
            stream.silent = !flows;
            if flows {
                out.push(Action::Emit(SessionEvent::Restored { stream: name.clone() }));
            }
        }
    }

    pub(super) fn open_gap(&mut self, now: UnixNanos, since: UnixNanos, why: &str, out: &mut Vec<Action>) {
        self.gap_since = Some(since.min(now));
        out.push(Action::Emit(SessionEvent::Gap { stream: None, since, why: why.into() }));
    }
}
