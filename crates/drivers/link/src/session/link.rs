//! One link of a session: its phase, its subscriptions and the pace of its messages.
//! Never: decides what the session does about it.

use super::{Action, LinkId, Message, SessionConfig, Words};
use ctos_types::UnixNanos;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Connecting,
    LoggingIn,
    Subscribing,
    /// All subscriptions stand; the owner catches up.
    Resyncing,
    Live,
    /// Replaced; open a little longer.
    Leaving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sub {
    Queued,
    Asked,
    Active,
    Refused,
    /// Active for the venue, silent for us: left, then asked for again.
    Stale,
    Leaving,
}

/// A message without all its replies.
#[derive(Debug)]
pub(super) struct Pending {
    pub streams: Vec<String>,
    pub acks: u32,
    pub leaving: bool,
    pub due: UnixNanos,
}

#[derive(Debug)]
struct Queued {
    message: Message,
    pending: Option<Pending>,
}

#[derive(Debug)]
pub(super) struct Link {
    pub id: LinkId,
    pub phase: Phase,
    /// When the phase must have ended.
    pub phase_due: UnixNanos,
    pub opened: UnixNanos,
    /// Last frame of any kind.
    pub heard: UnixNanos,
    pub ping_sent: Option<UnixNanos>,
    pub subs: BTreeMap<String, Sub>,
    pub pending: BTreeMap<u64, Pending>,
    pub login_id: Option<u64>,
    pub ack_misses: u32,
    /// Streams that are asked for one by one, since a batch with one of them was refused.
    pub alone: Vec<String>,
    /// When credentials were last renewed, and when the next try is.
    pub renewed: UnixNanos,
    pub renew_at: UnixNanos,
    pub renewing: bool,
    requests: VecDeque<String>,
    queue: VecDeque<Queued>,
    sent: VecDeque<UnixNanos>,
}

impl Link {
    pub fn new(id: LinkId, now: UnixNanos, config: &SessionConfig) -> Link {
        Link {
            id,
            phase: Phase::Connecting,
            phase_due: now.after(config.connect_within),
            opened: now,
            heard: now,
            ping_sent: None,
            subs: BTreeMap::new(),
            pending: BTreeMap::new(),
            login_id: None,
            ack_misses: 0,
            alone: Vec::new(),
            renewed: now,
            renew_at: config.renew.map_or(UnixNanos::MAX, |r| now.after(r.every)),
            renewing: false,
            requests: VecDeque::new(),
            queue: VecDeque::new(),
            sent: VecDeque::new(),
        }
    }

    /// Whether frames of this link are listened to as data.
    pub fn is_up(&self) -> bool {
        self.phase >= Phase::Subscribing
    }

    /// Nothing is asked for and not answered.
    pub fn is_settled(&self) -> bool {
        self.subs.values().all(|s| matches!(s, Sub::Active | Sub::Refused | Sub::Stale | Sub::Leaving))
    }

    /// A pong that the socket sends by itself counts for the pace.
    pub fn count_message(&mut self, now: UnixNanos) {
        self.sent.push_back(now);
    }

    pub fn request(&mut self, text: String, config: &SessionConfig) -> bool {
        let room = self.requests.len() < config.max_requests;
        if room {
            self.requests.push_back(text);
        }
        room
    }

    pub fn login(&mut self, message: Message) {
        self.login_id = (message.acks > 0).then_some(message.id);
        self.queue.push_back(Queued { message, pending: None });
    }

    /// Queues messages for what is wanted and not asked for, and for what is no longer wanted.
    pub fn plan<'a>(
        &mut self,
        wanted: impl Iterator<Item = &'a String>,
        at: UnixNanos,
        words: &mut impl Words,
        config: &SessionConfig,
    ) {
        let wanted: std::collections::BTreeSet<&String> = wanted.collect();
        let leave: Vec<String> = (self.subs.iter())
            .filter(|(stream, sub)| {
                **sub == Sub::Stale || (!wanted.contains(stream) && matches!(sub, Sub::Active | Sub::Refused))
            })
            .map(|(stream, _)| stream.clone())
            .collect();
        let (refused, leave): (Vec<_>, Vec<_>) = leave.into_iter().partition(|s| self.subs[s] == Sub::Refused);
        for stream in refused {
            self.subs.remove(&stream);
        }
        let join: Vec<String> = wanted.into_iter().filter(|s| !self.subs.contains_key(*s)).cloned().collect();
        let (alone, together): (Vec<_>, Vec<_>) = join.into_iter().partition(|s| self.alone.contains(s));
        let max = config.max_batch.max(1);
        for batch in leave.chunks(max) {
            self.ask(batch, true, at, words);
        }
        for batch in together.chunks(max).chain(alone.chunks(1)) {
            self.ask(batch, false, at, words);
        }
    }

    fn ask(&mut self, streams: &[String], leaving: bool, at: UnixNanos, words: &mut impl Words) {
        let names: Vec<&str> = streams.iter().map(String::as_str).collect();
        let message = if leaving { words.unsubscribe(&names, at) } else { words.subscribe(&names, at) };
        for stream in streams {
            self.subs.insert(stream.clone(), if leaving { Sub::Leaving } else { Sub::Queued });
        }
        // The reply is due a while after sending, which may have to wait for the pace.
        let pending = Pending { streams: streams.to_vec(), acks: message.acks, leaving, due: UnixNanos::MAX };
        self.queue.push_back(Queued { message, pending: Some(pending) });
    }

    /// Sends what the pace allows: the owner's requests first, then logins and subscriptions.
    pub fn flush(&mut self, now: UnixNanos, config: &SessionConfig, out: &mut Vec<Action>) {
        if self.phase == Phase::Connecting {
            return;
        }
        while self.may_send(now, config) {
            let logged_in = self.phase != Phase::LoggingIn;
            if logged_in && let Some(text) = self.requests.pop_front() {
                self.send(now, text, out);
                continue;
            }
            let Some(Queued { message, pending }) = self.queue.pop_front() else { return };
            if let Some(mut pending) = pending {
                let next = if pending.leaving { Sub::Leaving } else { Sub::Asked };
                let answered = if pending.acks > 0 { next } else { Sub::Active };
                for stream in &pending.streams {
                    self.subs.insert(stream.clone(), answered);
                    if pending.acks == 0 && pending.leaving {
                        self.subs.remove(stream);
                    }
                }
                if pending.acks > 0 {
                    pending.due = now.after(config.ack_within);
                    self.pending.insert(message.id, pending);
                }
            }
            self.send(now, message.text, out);
        }
    }

    /// Pings and pongs may use the message that is kept for them.
    pub fn send(&mut self, now: UnixNanos, text: String, out: &mut Vec<Action>) {
        self.sent.push_back(now);
        out.push(Action::Send(self.id, text));
    }

    fn may_send(&mut self, now: UnixNanos, config: &SessionConfig) -> bool {
        while self.sent.front().is_some_and(|at| at.after(config.per) <= now) {
            self.sent.pop_front();
        }
        self.sent.len() + 1 < config.max_messages.max(2) as usize
    }

    /// When something that waits for the pace may be sent.
    fn pace_due(&self, config: &SessionConfig) -> Option<UnixNanos> {
        let waits = !self.queue.is_empty() || (!self.requests.is_empty() && self.phase != Phase::LoggingIn);
        if !waits || self.phase == Phase::Connecting {
            return None;
        }
        let over = (self.sent.len() + 2).saturating_sub(config.max_messages.max(2) as usize);
        over.checked_sub(1).map(|i| self.sent[i].after(config.per))
    }

    /// When something about this link is due, and what.
    pub fn deadline(&self, config: &SessionConfig) -> (UnixNanos, &'static str) {
        let phase = match self.phase {
            Phase::Connecting => "connect timeout",
            Phase::LoggingIn => "login timeout",
            Phase::Resyncing => "resync timeout",
            Phase::Leaving => "end of overlap",
            Phase::Subscribing | Phase::Live => "phase",
        };
        let mut first = (self.phase_due, phase);
        let mut propose = |at: Option<UnixNanos>, why| {
            if let Some(at) = at.filter(|at| *at < first.0) {
                first = (at, why);
            }
        };
        if self.phase == Phase::Connecting {
            return first;
        }
        propose(self.pace_due(config), "message pace");
        propose(Some(self.heard.after(config.dead_after)), "dead link");
        match (self.ping_sent, config.ping_after) {
            (Some(sent), _) => propose(Some(sent.after(config.pong_within)), "no pong"),
            (None, Some(idle)) => propose(Some(self.heard.after(idle)), "idle ping"),
            (None, None) => {}
        }
        if self.phase != Phase::Leaving {
            propose(self.pending.values().map(|p| p.due).min(), "no reply to a subscription");
            if let Some(renew) = config.renew {
                propose(Some(self.renewed.after(renew.within)), "credentials ran out");
                propose((!self.renewing).then_some(self.renew_at), "renew credentials");
            }
        }
        first
    }
}
