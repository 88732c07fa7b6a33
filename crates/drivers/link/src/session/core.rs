//! The session over its links: what happens when, and who is told.
//! Never: hides a gap. What may have been missed is told when it may have been, not when it is over.

use super::handover::{Decision, Handover};
use super::link::{Link, Pending, Phase, Sub};
use super::{Action, Class, Forward, LinkId, NotSent, Refusal, Renewal, SessionConfig, SessionEvent, Words};
use crate::backoff::Backoff;
use crate::staleness::Pulse;
use ctos_types::{Nanos, UnixNanos};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// A stream that is wanted.
#[derive(Debug, Default)]
struct Stream {
    pulse: Option<Pulse>,
    handover: Handover,
    /// Told as silent; its next data restores it.
    silent: bool,
}

/// See [`super`] for the calling contract.
#[derive(Debug)]
pub struct Session<W> {
    config: SessionConfig,
    words: W,
    rng: Xoshiro256PlusPlus,
    running: bool,
    streams: BTreeMap<String, Stream>,
    /// The link that counts, its replacement while one is being opened, and the replaced one.
    main: Option<Link>,
    next: Option<Link>,
    old: Option<Link>,
    next_id: u64,
    backoff: Backoff,
    reconnect_at: Option<UnixNanos>,
    rotate_at: UnixNanos,
    rotate_why: &'static str,
    /// Since when frames may be missing. `None` while nothing is.
    gap_since: Option<UnixNanos>,
    /// Whether anything was ever passed on, so that it can be interrupted.
    flowed: bool,
    /// No pulse is due before; recomputed only when it is reached, since data moves them only later.
    pulses_due: UnixNanos,
    offset: Nanos,
}

impl<W: Words> Session<W> {
    /// `seed` is for the jitter of back-off only.
    pub fn new(config: SessionConfig, words: W, seed: u64) -> Session<W> {
        Session {
            backoff: Backoff::new(config.backoff),
            config,
            words,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            running: false,
            streams: BTreeMap::new(),
            main: None,
            next: None,
            old: None,
            next_id: 0,
            reconnect_at: None,
            rotate_at: UnixNanos::MAX,
            rotate_why: "age",
            gap_since: None,
            flowed: false,
            pulses_due: UnixNanos::MAX,
            offset: Nanos::ZERO,
        }
    }

    pub fn words(&mut self) -> &mut W {
        &mut self.words
    }

    /// Venue time minus ours, for what is signed.
    pub fn set_clock(&mut self, offset: Nanos) {
        self.offset = offset;
    }

    /// Whether every subscription stands and the owner has caught up.
    pub fn is_live(&self) -> bool {
        self.main.as_ref().is_some_and(|l| l.phase == Phase::Live)
    }

    // ---- inputs

    /// Connects. Also after [`SessionEvent::LoginRefused`], with what a person changed.
    pub fn start(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if !self.running {
            self.running = true;
            self.backoff.reset();
            self.connect_main(now, out);
        }
    }

    /// Closes everything. Streams stay wanted for the next start.
    pub fn stop(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if self.main.as_ref().is_some_and(|l| l.phase == Phase::Live) {
            self.open_gap(now, now, "stopped", out);
        }
        self.running = false;
        self.reconnect_at = None;
        for link in [self.main.take(), self.next.take(), self.old.take()].into_iter().flatten() {
            out.push(Action::Close(link.id, "stopped"));
        }
    }

    /// Wants these streams from now on; those it has already are left alone, refused ones are asked for again.
    pub fn subscribe<S: AsRef<str>>(&mut self, now: UnixNanos, streams: &[S], out: &mut Vec<Action>) {
        for stream in streams {
            self.streams.entry(stream.as_ref().into()).or_default();
            for link in [&mut self.main, &mut self.next].into_iter().flatten() {
                if link.subs.get(stream.as_ref()) == Some(&Sub::Refused) {
                    link.subs.remove(stream.as_ref());
                }
            }
        }
        self.settle(now, out);
    }

    pub fn unsubscribe<S: AsRef<str>>(&mut self, now: UnixNanos, streams: &[S], out: &mut Vec<Action>) {
        for stream in streams {
            self.streams.remove(stream.as_ref());
        }
        self.settle(now, out);
    }

    /// A message of the owner's own (an order over the WebSocket). Once `Ok`, it is sent or the link ends: after a
    /// [`SessionEvent::Gap`] whatever has no answer yet has an unknown outcome.
    pub fn request(&mut self, now: UnixNanos, text: String, out: &mut Vec<Action>) -> Result<(), NotSent> {
        let link = self.main.as_mut().filter(|l| l.is_up()).ok_or(NotSent::Down)?;
        if !link.request(text, &self.config) {
            return Err(NotSent::Crowded);
        }
        link.flush(now, &self.config, out);
        Ok(())
    }

    pub fn on_connected(&mut self, now: UnixNanos, id: LinkId, out: &mut Vec<Action>) {
        let at = now.after(self.offset);
        let Some(link) = self.link(id) else { return out.push(Action::Close(id, "no longer wanted")) };
        (link.opened, link.heard) = (now, now);
        (link.phase, link.phase_due) = (Phase::Subscribing, UnixNanos::MAX);
        if let Some(message) = self.words.login(at) {
            let within = self.config.login_within;
            let link = self.link(id).expect("found above");
            link.login(message);
            if link.login_id.is_some() {
                (link.phase, link.phase_due) = (Phase::LoggingIn, now.after(within));
            }
        }
        self.settle(now, out);
    }

    /// The link ended, or never came to be. `why` goes to logs.
    pub fn on_closed(&mut self, now: UnixNanos, id: LinkId, why: &str, out: &mut Vec<Action>) {
        self.fail(now, id, why, true, out);
    }

    /// A control ping came; the socket answers it by itself.
    pub fn on_ping(&mut self, now: UnixNanos, id: LinkId) {
        if let Some(link) = self.link(id) {
            link.heard = now;
            link.count_message(now);
        }
    }

    pub fn on_pong(&mut self, now: UnixNanos, id: LinkId) {
        if let Some(link) = self.link(id) {
            link.heard = now;
            link.ping_sent = None;
        }
    }

    pub fn on_text(&mut self, now: UnixNanos, id: LinkId, text: &str, out: &mut Vec<Action>) -> Forward {
        let links = [&mut self.main, &mut self.next, &mut self.old];
        let Some(link) = links.into_iter().flatten().find(|l| l.id == id) else { return Forward::No };
        link.heard = now;
        link.ping_sent = None;
        match self.words.classify(text) {
            Class::Data { stream, seq } => {
                self.flowed = true;
                let leaving = link.phase == Phase::Leaving;
                // A stream that nobody wants any more still sends until it hears so.
                let Some(known) = self.streams.get_mut(stream) else { return Forward::Yes };
                if let Some(pulse) = known.pulse.as_mut().filter(|_| !leaving) {
                    pulse.on_data(now);
                }
                match known.handover.on_frame(id, seq, text) {
                    Decision::Forward => {}
                    Decision::Swallow => return Forward::No,
                    Decision::ForwardAfterGap if self.gap_since.is_some() => {}
                    Decision::ForwardAfterGap => {
                        let why = "the replaced link lagged too far behind".into();
                        out.push(Action::Emit(SessionEvent::Gap { stream: Some(stream.into()), since: now, why }));
                        known.silent = true;
                    }
                }
                // While it is being subscribed again there will be another hole.
                if known.silent && link.phase == Phase::Live && link.subs.get(stream) == Some(&Sub::Active) {
                    known.silent = false;
                    // After the frame that ended the silence; the snapshot is asked for while that one waits.
                    out.push(Action::Emit(SessionEvent::Restored { stream: stream.into() }));
                }
                Forward::Yes
            }
            Class::Reply { id: message, stream, result } => {
                let stream = stream.map(str::to_owned);
                self.on_reply(now, id, message, stream, result, out)
            }
            Class::Pong => Forward::No,
            Class::Ping { answer } => {
                link.send(now, answer, out);
                Forward::No
            }
            Class::Closing => {
                if self.main.as_ref().is_some_and(|l| l.id == id) {
                    (self.rotate_at, self.rotate_why) = (self.rotate_at.min(now), "the venue closes the link");
                    self.rotate(now, out);
                }
                Forward::No
            }
            Class::Expired => {
                self.fail(now, id, "credentials expired", false, out);
                Forward::No
            }
            Class::Other => Forward::Yes,
        }
    }

    pub fn on_renewed(&mut self, now: UnixNanos, id: LinkId, how: Renewal, out: &mut Vec<Action>) {
        let Some(renew) = self.config.renew else { return };
        let Some(link) = self.link(id) else { return };
        link.renewing = false;
        match how {
            Renewal::Done => (link.renewed, link.renew_at) = (now, now.after(renew.every)),
            Renewal::Failed => link.renew_at = now.after(Nanos((renew.every.0 / 20).max(1_000_000_000))),
            Renewal::Gone => self.fail(now, id, "credentials expired", false, out),
        }
    }

    /// The owner has caught up after [`SessionEvent::Resync`], or could not.
    pub fn on_resynced(&mut self, now: UnixNanos, ok: bool, out: &mut Vec<Action>) {
        let Some(link) = self.main.as_ref().filter(|l| l.phase == Phase::Resyncing) else { return };
        let id = link.id;
        if ok { self.go_live(now, out) } else { self.fail(now, id, "resync failed", false, out) }
    }

    pub fn on_deadline(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if self.reconnect_at.is_some_and(|at| at <= now) {
            self.reconnect_at = None;
            self.connect_main(now, out);
        }
        if self.rotate_at <= now {
            self.rotate(now, out);
        }
        let ids: Vec<LinkId> = [&self.main, &self.next, &self.old].into_iter().flatten().map(|l| l.id).collect();
        for id in ids {
            self.check_link(now, id, out);
        }
        self.check_pulses(now, out);
        self.settle(now, out);
    }

    /// When [`Session::on_deadline`] must be called, and why: the reason goes to logs and metrics.
    pub fn deadline(&self) -> (UnixNanos, &'static str) {
        let links = [&self.main, &self.next, &self.old].into_iter().flatten().map(|l| l.deadline(&self.config));
        let own = [
            (self.reconnect_at.unwrap_or(UnixNanos::MAX), "reconnect"),
            (if self.may_rotate() { self.rotate_at } else { UnixNanos::MAX }, "rotate"),
            (if self.is_live() { self.pulses_due } else { UnixNanos::MAX }, "silent stream"),
        ];
        links.chain(own).min_by_key(|(at, _)| *at).unwrap_or((UnixNanos::MAX, "nothing"))
    }

    // ---- links

    fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        [&mut self.main, &mut self.next, &mut self.old].into_iter().flatten().find(|l| l.id == id)
    }

    fn open(&mut self, now: UnixNanos, out: &mut Vec<Action>) -> Link {
        self.next_id += 1;
        let id = LinkId(self.next_id);
        out.push(Action::Connect(id));
        Link::new(id, now, &self.config)
    }

    fn connect_main(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        self.streams.values_mut().for_each(|s| s.handover.reset());
        self.rotate_at = UnixNanos::MAX;
        self.main = Some(self.open(now, out));
    }

    fn may_rotate(&self) -> bool {
        self.next.is_none() && self.main.as_ref().is_some_and(Link::is_up)
    }

    fn rotate(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if self.may_rotate() && self.rotate_at <= now {
            self.next = Some(self.open(now, out));
        }
    }

    /// Carries out what the state asks for: messages, phases that are complete.
    fn settle(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
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
    fn subscribed(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let Some(within) = self.config.resync_within else { return self.go_live(now, out) };
        let since = self.gap_since;
        let link = self.main.as_mut().expect("checked by the caller");
        (link.phase, link.phase_due) = (Phase::Resyncing, now.after(within));
        out.push(Action::Emit(SessionEvent::Resync { since }));
    }

    fn go_live(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
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
    fn change_over(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
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

    fn fail(&mut self, now: UnixNanos, id: LinkId, why: &str, closed: bool, out: &mut Vec<Action>) {
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
    fn drop_old(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        let Some(old) = self.old.take() else { return };
        for (name, stream) in &mut self.streams {
            let held = stream.handover.retire(old.id);
            if held.is_empty() {
                continue;
            }
            let why = "the replaced link fell behind".into();
            out.push(Action::Emit(SessionEvent::Gap { stream: Some(name.clone()), since: old.heard.min(now), why }));
            out.extend(held.into_iter().map(Action::Frame));
            out.push(Action::Emit(SessionEvent::Restored { stream: name.clone() }));
        }
    }

    fn open_gap(&mut self, now: UnixNanos, since: UnixNanos, why: &str, out: &mut Vec<Action>) {
        self.gap_since = Some(since.min(now));
        out.push(Action::Emit(SessionEvent::Gap { stream: None, since, why: why.into() }));
    }

    // ---- replies

    fn on_reply(
        &mut self,
        now: UnixNanos,
        id: LinkId,
        message: u64,
        stream: Option<String>,
        result: Result<(), Refusal>,
        out: &mut Vec<Action>,
    ) -> Forward {
        let link = self.link(id).expect("found by the caller");
        if link.login_id == Some(message) {
            match result {
                Ok(()) => {
                    link.login_id = None;
                    (link.phase, link.phase_due) = (Phase::Subscribing, UnixNanos::MAX);
                    self.settle(now, out);
                }
                // A replacement that is refused says nothing about the link that works.
                Err(refusal) if refusal.fatal && self.main.as_ref().is_some_and(|l| l.id == id) => {
                    self.refused_for_good(now, refusal, out);
                }
                Err(refusal) => {
                    let why = format!("login refused: {} ({})", refusal.text, refusal.code);
                    self.fail(now, id, &why, false, out);
                }
            }
            return Forward::No;
        }
        let Some(pending) = link.pending.get_mut(&message) else { return Forward::Yes };
        let streams = stream.map_or_else(|| pending.streams.clone(), |s| vec![s]);
        let all = streams.len() == pending.streams.len();
        pending.acks = if all { 0 } else { pending.acks.saturating_sub(1) };
        let leaving = pending.leaving;
        let shared = pending.streams.len() > 1 && all;
        if pending.acks == 0 {
            link.pending.remove(&message);
        }
        let (mut refused, mut watch) = (Vec::new(), false);
        for stream in streams {
            match &result {
                // What was refused to be left is as good as left.
                _ if leaving => drop(link.subs.remove(&stream)),
                Ok(()) => {
                    link.subs.insert(stream, Sub::Active);
                    watch = true;
                }
                // One of them is the culprit: each is asked for by itself.
                Err(_) if shared => {
                    link.subs.remove(&stream);
                    link.alone.push(stream);
                }
                Err(_) => {
                    link.subs.insert(stream.clone(), Sub::Refused);
                    refused.push(stream);
                }
            }
        }
        if watch && self.is_live() {
            self.watch_pulses(now);
        }
        if let Err(Refusal { code, text, .. }) = result {
            out.extend(refused.into_iter().map(|stream| {
                Action::Emit(SessionEvent::StreamRefused { stream, code: code.clone(), text: text.clone() })
            }));
        }
        self.settle(now, out);
        Forward::No
    }

    fn refused_for_good(&mut self, now: UnixNanos, refusal: Refusal, out: &mut Vec<Action>) {
        self.stop(now, out);
        out.push(Action::Emit(SessionEvent::LoginRefused { code: refusal.code, text: refusal.text }));
    }

    // ---- time

    fn check_link(&mut self, now: UnixNanos, id: LinkId, out: &mut Vec<Action>) {
        let config = self.config;
        let at = now.after(self.offset);
        let Some(link) = self.link(id) else { return };
        if link.phase_due <= now {
            let why = match link.phase {
                Phase::Leaving => {
                    out.push(Action::Close(id, "replaced"));
                    return self.drop_old(now, out);
                }
                Phase::Connecting => "connect timeout",
                Phase::LoggingIn => "login timeout",
                _ => "resync timeout",
            };
            return self.fail(now, id, why, false, out);
        }
        if link.phase == Phase::Connecting {
            return;
        }
        if link.heard.after(config.dead_after) <= now {
            return self.fail(now, id, "dead link", false, out);
        }
        match (link.ping_sent, config.ping_after) {
            (Some(sent), _) if sent.after(config.pong_within) <= now => {
                return self.fail(now, id, "no pong", false, out);
            }
            (None, Some(idle)) if link.heard.after(idle) <= now => {
                link.ping_sent = Some(now);
                let text = self.words.ping(at);
                let link = self.link(id).expect("found above");
                match text {
                    Some(text) => link.send(now, text, out),
                    None => {
                        link.count_message(now);
                        out.push(Action::Ping(id));
                    }
                }
            }
            _ => {}
        }
        let link = self.link(id).expect("found above");
        if link.phase == Phase::Leaving {
            return;
        }
        if let Some(renew) = config.renew {
            if link.renewed.after(renew.within) <= now {
                return self.fail(now, id, "credentials expired", false, out);
            }
            if link.renew_at <= now && !link.renewing {
                link.renewing = true;
                out.push(Action::Renew(id));
            }
        }
        let late: Vec<u64> = link.pending.iter().filter(|(_, p)| p.due <= now).map(|(id, _)| *id).collect();
        for message in late {
            let Some(Pending { streams, .. }) = link.pending.remove(&message) else { continue };
            link.ack_misses += 1;
            for stream in streams {
                if matches!(link.subs.get(&stream), Some(Sub::Asked | Sub::Leaving)) {
                    link.subs.remove(&stream);
                }
            }
        }
        if link.ack_misses > config.ack_misses {
            self.fail(now, id, "no reply to subscriptions", false, out);
        }
    }

    /// Begins to watch what is subscribed and not watched yet, and notes when the first silence is due.
    fn watch_pulses(&mut self, now: UnixNanos) {
        let Some(link) = &self.main else { return };
        self.pulses_due = UnixNanos::MAX;
        for (name, stream) in &mut self.streams {
            if link.subs.get(name) != Some(&Sub::Active) {
                continue;
            }
            if stream.pulse.is_none() {
                stream.pulse = self.words.expect(name).map(|expect| Pulse::new(expect, now));
            }
            self.pulses_due = stream.pulse.map_or(self.pulses_due, |p| self.pulses_due.min(p.due()));
        }
    }

    /// Streams that are silent too long are subscribed again; where that did not help, or all are silent, the link is
    /// replaced by a new one.
    fn check_pulses(&mut self, now: UnixNanos, out: &mut Vec<Action>) {
        if now < self.pulses_due || !self.is_live() {
            return;
        }
        let link = self.main.as_mut().expect("live");
        let (mut watched, mut silent, mut hopeless) = (0, 0, false);
        self.pulses_due = UnixNanos::MAX;
        for (name, stream) in &mut self.streams {
            let Some(pulse) = &mut stream.pulse else { continue };
            watched += 1;
            if link.subs.get(name) != Some(&Sub::Active) {
                silent += usize::from(stream.silent);
                continue;
            }
            let since = pulse.since();
            if let Some(quiet) = pulse.check(now) {
                let told = stream.silent;
                stream.silent = true;
                // The second alarm in a row: subscribing again did not help. Later ones only remind.
                hopeless |= pulse.strikes() == 2;
                if pulse.strikes() == 1 {
                    link.subs.insert(name.clone(), Sub::Stale);
                }
                if !told {
                    let why = format!("silent for {:.1} s", quiet.as_secs_f64());
                    out.push(Action::Emit(SessionEvent::Gap { stream: Some(name.clone()), since, why }));
                }
            }
            silent += usize::from(stream.silent);
            self.pulses_due = self.pulses_due.min(pulse.due());
        }
        let fresh = self.streams.values().any(|s| s.pulse.is_some_and(|p| p.strikes() == 1));
        let id = link.id;
        if hopeless || (fresh && silent == watched && watched > 1) {
            self.fail(now, id, "no data though the link is up", false, out);
        }
    }
}
