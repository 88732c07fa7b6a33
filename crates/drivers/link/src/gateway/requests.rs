//! Requests from being wanted to being settled: they wait for the venue's clock, for room in the budgets and for a
//! connection, in this order, and are written at the last moment.
//! Never: answers a request twice or not at all, or lets one leave that has waited too long.

mod leave;

pub(super) use leave::UnderWay;

use super::entry::Entry;
use super::{BaseNo, Deeds, Draft, GuestNo, SocketDeed, SocketKey};
use crate::rate::{self, AskError, Cost, Lane, Limiter, Settled, Ticket, Verdict};
use ctos_types::{Nanos, UnixNanos};
use std::collections::{BTreeMap, VecDeque};

/// Requests that may wait for the venue's clock.
const MAX_UNCLOCKED: usize = 1024;
/// A message over a socket whose reply was never told is settled after this.
const REPLY_WITHIN: Nanos = Nanos::from_secs(15);

/// Who wants an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Part(u16),
    Clock,
    Guest(GuestNo),
    /// The order-entry sockets.
    Entry,
}

#[derive(Debug)]
pub(super) enum What {
    Request { base: BaseNo, draft: Box<dyn Draft> },
    Permit,
    Connect { key: SocketKey, address: String },
}

#[derive(Debug)]
pub(super) struct Wanted {
    pub owner: Owner,
    pub tag: u64,
    pub lane: Lane,
    pub cost: Cost,
    pub give_up: UnixNanos,
    pub what: What,
}

/// What somebody must be told before anything else happens.
#[derive(Debug)]
pub(super) enum Due {
    NotSent {
        owner: Owner,
        tag: u64,
        why: String,
        retry_after: Option<Nanos>,
    },
    Go {
        owner: Owner,
        tag: u64,
        stamp: UnixNanos,
    },
    /// A socket that may not be opened now.
    NoSocket {
        key: SocketKey,
        why: String,
    },
}

/// What the venue's clock allows now.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockView {
    /// The stamp of what leaves now; `None` while nothing is known.
    pub stamp: Option<UnixNanos>,
    /// A stamp was refused and no look at the clock has succeeded since.
    pub doubted: bool,
}

impl ClockView {
    /// Until the venue's clock is known nobody knows where its windows turn, and until a base has answered nobody knows
    /// what an earlier process has used there: only the question for the time goes before.
    fn serves(&self, wanted: &Wanted, unheard: &[bool]) -> bool {
        let needs = match &wanted.what {
            _ if wanted.owner == Owner::Clock => return true,
            _ if self.stamp.is_none() => return false,
            What::Request { base, .. } if unheard[base.0 as usize] => return false,
            What::Request { draft, .. } => draft.needs_clock(),
            What::Permit => true,
            What::Connect { .. } => false,
        };
        // A cancel goes with the best stamp there is: at worst it is refused once more.
        !needs || !self.doubted || wanted.lane == Lane::Reduce
    }
}

#[derive(Debug)]
pub(super) struct Requests {
    pub limiter: Limiter,
    unclocked: VecDeque<Wanted>,
    waiting: BTreeMap<Ticket, Wanted>,
    /// With room in the budgets, waiting for a connection: by base and lane.
    ready: Vec<[VecDeque<(Ticket, Wanted)>; 4]>,
    busy: Vec<usize>,
    /// Bases that have not answered yet.
    unheard: Vec<bool>,
    under_way: BTreeMap<Ticket, UnderWay>,
    /// Order-entry sockets, at most one for each base.
    pub entries: Vec<Entry>,
    permits: BTreeMap<(u16, u64), (Ticket, UnixNanos)>,
    connects: BTreeMap<SocketKey, Ticket>,
    pub due: VecDeque<Due>,
    verdicts: Vec<Verdict>,
}

impl Requests {
    pub fn new(limiter: Limiter, bases: usize, entries: Vec<Entry>) -> Requests {
        Requests {
            limiter,
            unclocked: VecDeque::new(),
            waiting: BTreeMap::new(),
            ready: (0..bases).map(|_| Default::default()).collect(),
            busy: vec![0; bases],
            unheard: vec![true; bases],
            under_way: BTreeMap::new(),
            entries,
            permits: BTreeMap::new(),
            connects: BTreeMap::new(),
            due: VecDeque::new(),
            verdicts: Vec::new(),
        }
    }

    pub fn want(&mut self, now: UnixNanos, wanted: Wanted, clock: ClockView) {
        if let What::Request { base, .. } = &wanted.what
            && base.0 as usize >= self.ready.len()
        {
            let why = format!("there is no base {} here", base.0);
            return self.refuse(&wanted, why, None);
        }
        // What is closed is refused at once, with the time when another try makes sense.
        let is_hopeless = wanted.lane != Lane::Reduce && self.limiter.shut_for(now, &wanted.cost).is_some();
        if is_hopeless || clock.serves(&wanted, &self.unheard) {
            self.queue(wanted);
        } else if self.unclocked.len() < MAX_UNCLOCKED {
            self.unclocked.push_back(wanted);
        } else {
            let why = "too many requests wait for the venue's clock".into();
            self.refuse(&wanted, why, Some(Nanos::from_secs(1)));
        }
    }

    fn queue(&mut self, wanted: Wanted) {
        let ask = rate::Ask { lane: wanted.lane, cost: wanted.cost, give_up: wanted.give_up };
        match self.limiter.ask(ask) {
            Ok(ticket) => {
                self.waiting.insert(ticket, wanted);
            }
            Err(e) => {
                let retry_after = matches!(e, AskError::Crowded { .. }).then_some(Nanos::from_secs(1));
                self.refuse(&wanted, e.to_string(), retry_after);
            }
        }
    }

    fn refuse(&mut self, wanted: &Wanted, why: String, retry_after: Option<Nanos>) {
        self.due.push_back(match wanted.what {
            What::Connect { key, .. } => Due::NoSocket { key, why },
            _ => Due::NotSent { owner: wanted.owner, tag: wanted.tag, why, retry_after },
        });
    }

    /// Lets out what may leave now.
    pub fn advance(&mut self, now: UnixNanos, clock: ClockView, deeds: &mut Deeds) {
        self.leave_unclocked(now, clock);
        if !self.waiting.is_empty() {
            let mut verdicts = std::mem::take(&mut self.verdicts);
            self.limiter.poll(now, &mut verdicts);
            for verdict in verdicts.drain(..) {
                self.judge(now, verdict, clock, deeds);
            }
            self.verdicts = verdicts;
        }
        for base in 0..self.ready.len() {
            self.dispatch(now, base, clock, deeds);
        }
    }

    fn leave_unclocked(&mut self, now: UnixNanos, clock: ClockView) {
        for _ in 0..self.unclocked.len() {
            let Some(wanted) = self.unclocked.pop_front() else { return };
            if now >= wanted.give_up {
                self.refuse(&wanted, "the venue's clock is not known".into(), Some(Nanos::from_secs(1)));
            } else if clock.serves(&wanted, &self.unheard) {
                self.queue(wanted);
            } else {
                self.unclocked.push_back(wanted);
            }
        }
    }

    fn judge(&mut self, now: UnixNanos, verdict: Verdict, clock: ClockView, deeds: &mut Deeds) {
        let (Verdict::Go(ticket) | Verdict::Refused { ticket, .. }) = verdict;
        let wanted = self.waiting.remove(&ticket).expect("every ticket that waits is here");
        if let Verdict::Refused { retry_after, .. } = verdict {
            let seconds = retry_after.as_secs_f64();
            return self.refuse(
                &wanted,
                format!("no room in the venue's budget for {seconds:.1} s"),
                Some(retry_after),
            );
        }
        match wanted.what {
            What::Request { base, .. } => {
                self.ready[base.0 as usize][wanted.lane as usize].push_back((ticket, wanted));
            }
            What::Permit => {
                let Wanted { owner, tag, .. } = wanted;
                let Owner::Part(part) = owner else { unreachable!("only parts have sockets") };
                self.permits.insert((part, tag), (ticket, now.after(REPLY_WITHIN)));
                self.due.push_back(Due::Go { owner, tag, stamp: clock.stamp.unwrap_or(now) });
            }
            What::Connect { key, address } => {
                self.connects.insert(key, ticket);
                deeds.sockets.push((key, SocketDeed::Connect { address }));
            }
        }
    }

    /// The base has answered.
    pub fn heard(&mut self, base: BaseNo) {
        self.unheard[base.0 as usize] = false;
    }

    pub fn all_heard(&self) -> bool {
        !self.unheard.contains(&true)
    }

    /// The ticket of a permit that is settled now.
    pub fn take_permit(&mut self, part: u16, tag: u64) -> Option<Ticket> {
        self.permits.remove(&(part, tag)).map(|(ticket, _)| ticket)
    }

    /// The socket was opened, or will not be.
    pub fn connected(&mut self, now: UnixNanos, key: SocketKey) {
        if let Some(ticket) = self.connects.remove(&key) {
            self.limiter.settle(now, ticket, Settled::Sent);
        }
    }

    /// Nobody wants the socket any more. True: it was never asked to be opened.
    pub fn withdraw_socket(&mut self, now: UnixNanos, key: SocketKey) -> bool {
        let is_it = |w: &Wanted| matches!(w.what, What::Connect { key: k, .. } if k == key);
        if let Some(ticket) = self.waiting.iter().find(|(_, w)| is_it(w)).map(|(t, _)| *t) {
            self.limiter.withdraw(ticket);
            self.waiting.remove(&ticket);
            return true;
        }
        if let Some(at) = self.unclocked.iter().position(is_it) {
            self.unclocked.remove(at);
            return true;
        }
        self.due.retain(|d| !matches!(d, Due::NoSocket { key: k, .. } if *k == key));
        self.connected(now, key);
        false
    }

    /// Settles what was let out over sockets and never told of.
    pub fn give_up_permits(&mut self, now: UnixNanos) {
        while let Some((key, ticket)) =
            self.permits.iter().find(|(_, (_, due))| *due <= now).map(|(k, (t, _))| (*k, *t))
        {
            self.permits.remove(&key);
            self.limiter.settle(now, ticket, Settled::Sent);
        }
    }

    /// Nothing waits for anything but an answer.
    pub fn is_quiet(&self) -> bool {
        self.unclocked.is_empty() && self.waiting.is_empty() && self.due.is_empty() && !self.is_ready()
    }

    fn is_ready(&self) -> bool {
        self.ready.iter().flatten().any(|q| !q.is_empty())
    }

    pub fn deadline(&self) -> (UnixNanos, &'static str) {
        if !self.due.is_empty() {
            return (UnixNanos::MIN, "answers to tell");
        }
        let mut first = (UnixNanos::MAX, "nothing");
        let mut propose = |at: Option<UnixNanos>, why| {
            if let Some(at) = at.filter(|at| *at < first.0) {
                first = (at, why);
            }
        };
        if !self.waiting.is_empty()
            && let Some((at, why)) = self.limiter.deadline()
        {
            propose(Some(at), why);
        }
        propose(self.unclocked.iter().map(|w| w.give_up).min(), "request without a clock");
        propose(self.permits.values().map(|(_, due)| *due).min(), "message without a reply");
        let ready = self.ready.iter().flatten().filter_map(|q| q.front());
        propose(ready.map(|(_, w)| w.give_up).min(), "request without a connection");
        first
    }

    /// Requests of parts that wait or are under way, and messages without a reply.
    pub fn of_parts(&self) -> usize {
        let is_part = |owner: Owner| matches!(owner, Owner::Part(_));
        let wanted = self.unclocked.iter().chain(self.waiting.values());
        let ready = self.ready.iter().flatten().flatten().map(|(_, w)| w);
        let waiting = wanted.chain(ready).filter(|w| is_part(w.owner) && !matches!(w.what, What::Connect { .. }));
        let under_way = self.under_way.values().filter(|u| is_part(u.owner));
        waiting.count() + under_way.count() + self.permits.len() + self.due.len()
    }
}
