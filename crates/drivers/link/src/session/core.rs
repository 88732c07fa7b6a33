//! The session over its links: its inputs, its state and its deadline.
//! Never: passes a frame on twice, or holds one back that the owner needs.

mod changes;
mod checks;
mod replies;

use super::handover::{Decision, Handover};
use super::link::{Link, Phase, Sub};
use super::{Action, Class, Forward, LinkId, NotSent, Renewal, SessionConfig, SessionEvent, Words};
use crate::backoff::Backoff;
use crate::staleness::Pulse;
use ctos_types::{Nanos, UnixNanos};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeMap;

/// A stream that is wanted.
#[derive(Debug, Default)]
struct Stream {
    pulse: Option<Pulse>,
    handover: Handover,
    /// Told as silent; its next data restores it.
    silent: bool,
    /// Its silence is no fault of the link: [`Session::excuse`].
    excused: bool,
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

    /// Whether the silence of a wanted stream says nothing about the link, as of a market that is halted: it is told as
    /// ever, and neither is the stream asked for again nor the link replaced for its sake.
    pub fn excuse(&mut self, stream: &str, excused: bool) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.excused = excused;
        }
    }

    /// The owner knows that the link does not bring all that it should: another one is opened and takes over.
    pub fn replace(&mut self, now: UnixNanos, why: &'static str, out: &mut Vec<Action>) {
        if self.is_live() && self.may_rotate() {
            (self.rotate_at, self.rotate_why) = (now, why);
            self.rotate(now, out);
        }
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
}
