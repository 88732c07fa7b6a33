//! The limiter: who may send now, who waits for what, and what is closed.
//! Never: overtakes within a lane on the same meter, answers before it knows, or sends to a closed group.

mod rooms;

use super::window::Window;
use super::{Cost, GroupId, Lane, MeterId, MeterSpec, Ticket};
use ctos_types::{Nanos, UnixNanos};
use std::collections::{BTreeMap, VecDeque};

/// How the limiter meets doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterConfig {
    /// How far our idea of the venue's clock may be off. [`Limiter::set_clock`] can raise it.
    pub guard: Nanos,
    /// Asks that may wait in one lane; a further one is refused at once.
    pub max_waiting: usize,
    /// First pause after a 429 that names none; doubles with each further one.
    pub limited_pause: Nanos,
    /// First pause after a ban that names none; doubles with each further one.
    pub banned_pause: Nanos,
}

impl Default for LimiterConfig {
    fn default() -> LimiterConfig {
        LimiterConfig {
            guard: Nanos::from_millis(250),
            max_waiting: 1024,
            limited_pause: Nanos::from_secs(10),
            banned_pause: Nanos::from_secs(120),
        }
    }
}

/// A request that wants to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub lane: Lane,
    pub cost: Cost,
    /// Refused when it could not be sent by then: a late order is worse than none.
    pub give_up: UnixNanos,
}

/// Why an ask cannot even wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It is larger than its lane's share of a limit: it would wait for ever.
    #[error("costs {amount} on meter {}, of which its lane may use {allowed}", meter.0)]
    TooHeavy { meter: MeterId, amount: u32, allowed: u64 },
    #[error("no meter {} is known", .0.0)]
    UnknownMeter(MeterId),
    /// Too many are waiting in this lane.
    #[error("{waiting} requests are waiting already")]
    Crowded { waiting: usize },
}

/// What became of an ask. Each ask gets exactly one, unless it was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it now, then [`Limiter::settle`].
    Go(Ticket),
    /// It was not sent and shall not be; another try makes sense after `retry_after`.
    Refused { ticket: Ticket, retry_after: Nanos },
}

/// How a request that was let go ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// An answer came, or the wait for it was given up: the venue has counted it or never will.
    Sent,
    /// No byte left this process.
    NotSent,
}

/// A group that lets nothing out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    pub group: GroupId,
    pub name: String,
    pub until: UnixNanos,
    /// A ban (418) rather than a limit (429).
    pub banned: bool,
}

/// State of one window, for metrics and `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub meter: String,
    pub period: Nanos,
    pub used: u64,
    pub limit: u32,
}

#[derive(Debug)]
struct Group {
    name: String,
    closed_until: Option<UnixNanos>,
    banned: bool,
    strikes: u32,
    last_strike: UnixNanos,
}

#[derive(Debug)]
struct Meter {
    spec: MeterSpec,
    windows: Vec<Window>,
    /// Amounts ever let go, and ever settled: their difference at two moments tells what a header may not include.
    gone: u64,
    settled: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    ask: Ask,
}

#[derive(Debug)]
struct UnderWay {
    cost: Cost,
    sent: UnixNanos,
    /// `Meter::settled` of each part when it was let go.
    settled_before: [u64; Cost::MAX],
}

/// A pause between two strikes after which the count of strikes starts again.
const STRIKES_FORGOTTEN: Nanos = Nanos::from_secs(600);
/// No pause of our own making is longer; a venue's word may be.
const LONGEST_PAUSE: Nanos = Nanos::from_secs(3 * 86_400);

/// One per address, shared by every strategy, account and one-shot call that goes out from it.
#[derive(Debug)]
pub struct Limiter {
    config: LimiterConfig,
    groups: Vec<Group>,
    meters: Vec<Meter>,
    lanes: [VecDeque<Waiting>; 4],
    under_way: BTreeMap<Ticket, UnderWay>,
    next_ticket: u64,
    /// Venue time minus ours.
    offset: Nanos,
    guard: Nanos,
}

impl Limiter {
    pub fn new(config: LimiterConfig) -> Limiter {
        Limiter {
            config,
            groups: Vec::new(),
            meters: Vec::new(),
            lanes: Default::default(),
            under_way: BTreeMap::new(),
            next_ticket: 0,
            offset: Nanos::ZERO,
            guard: config.guard,
        }
    }

    pub fn add_group(&mut self, name: &str) -> GroupId {
        let group =
            Group { name: name.into(), closed_until: None, banned: false, strikes: 0, last_strike: UnixNanos::MIN };
        self.groups.push(group);
        GroupId(self.groups.len() as u16 - 1)
    }

    /// # Panics
    /// When the group is not one of this limiter's.
    pub fn add_meter(&mut self, spec: MeterSpec) -> MeterId {
        assert!((spec.group.0 as usize) < self.groups.len(), "group {} is not of this limiter", spec.group.0);
        let windows = spec.windows.iter().map(|w| Window::new(*w)).collect();
        self.meters.push(Meter { spec, windows, gone: 0, settled: 0 });
        MeterId(self.meters.len() as u16 - 1)
    }

    /// Takes over limits that the venue states now (exchangeInfo); what was used in a window of the same period stays.
    pub fn set_limit(&mut self, meter: MeterId, period: Nanos, limit: u32) {
        let windows = self.meters.get_mut(meter.0 as usize).into_iter().flat_map(|m| &mut m.windows);
        windows.filter(|w| w.spec.period == period).for_each(|w| w.spec.limit = limit);
    }

    /// Venue time minus ours, and how wrong that may be.
    ///
    /// An offset that is another one than was thought moves nothing that was used out of its window: until the next
    /// turn everything counts.
    pub fn set_clock(&mut self, offset: Nanos, uncertainty: Nanos) {
        let by = Nanos(offset.0.saturating_sub(self.offset.0));
        if by.0.abs() > self.guard.0 {
            self.meters.iter_mut().flat_map(|m| &mut m.windows).for_each(|w| w.realign(by));
            self.under_way.values_mut().for_each(|request| request.sent = request.sent.after(by));
        }
        self.offset = offset;
        self.guard = uncertainty.max(self.config.guard);
    }

    /// Queues a request. Its verdict comes from [`Limiter::poll`].
    pub fn ask(&mut self, ask: Ask) -> Result<Ticket, AskError> {
        for (id, amount) in ask.cost.iter() {
            let meter = self.meters.get(id.0 as usize).ok_or(AskError::UnknownMeter(id))?;
            for window in &meter.windows {
                let allowed = meter.spec.shares.of(ask.lane, window.spec.limit);
                if u64::from(amount) > allowed {
                    return Err(AskError::TooHeavy { meter: id, amount, allowed });
                }
            }
        }
        let lane = &mut self.lanes[ask.lane as usize];
        if lane.len() >= self.config.max_waiting {
            return Err(AskError::Crowded { waiting: lane.len() });
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        lane.push_back(Waiting { ticket, ask });
        Ok(ticket)
    }

    /// Takes back an ask that has no verdict yet. False: the verdict is out already.
    pub fn withdraw(&mut self, ticket: Ticket) -> bool {
        for lane in &mut self.lanes {
            if let Some(at) = lane.iter().position(|w| w.ticket == ticket) {
                lane.remove(at);
                return true;
            }
        }
        false
    }

    /// Hands out every verdict that is due.
    pub fn poll(&mut self, now: UnixNanos, out: &mut Vec<Verdict>) {
        self.reopen(now);
        self.advance(now);
        self.refuse(now, out);
        let venue_now = now.after(self.offset);
        // A meter on which somebody ahead lacks room: nobody behind may take what comes free there.
        let mut blocked = vec![false; self.meters.len()];
        for lane in Lane::ALL {
            let mut at = 0;
            while at < self.lanes[lane as usize].len() {
                let cost = self.lanes[lane as usize][at].ask.cost;
                if self.is_closed(&cost) {
                    at += 1;
                    continue;
                }
                let lacking: Vec<usize> = (cost.iter())
                    .filter(|(m, amount)| *amount > 0 && !self.meters[m.0 as usize].fits(lane, *amount))
                    .map(|(m, _)| m.0 as usize)
                    .collect();
                let behind = cost.iter().any(|(m, amount)| amount > 0 && blocked[m.0 as usize]);
                for meter in &lacking {
                    blocked[*meter] = true;
                }
                if behind || !lacking.is_empty() {
                    at += 1;
                    continue;
                }
                let waiting = self.lanes[lane as usize].remove(at).expect("found above");
                out.push(Verdict::Go(waiting.ticket));
                self.let_go(venue_now, waiting);
            }
        }
    }

    /// When to poll again and what for, if nothing else happens before. `None`: nothing waits for time.
    pub fn deadline(&self) -> Option<(UnixNanos, &'static str)> {
        let mut first: Option<(UnixNanos, &'static str)> = None;
        let mut propose = |at: UnixNanos, why| {
            if first.is_none_or(|(known, _)| at < known) {
                first = Some((at, why));
            }
        };
        for lane in Lane::ALL {
            for waiting in &self.lanes[lane as usize] {
                propose(waiting.ask.give_up, "rate: give up");
                if let Some(until) = self.closed_until(&waiting.ask.cost) {
                    propose(until, "rate: closed");
                    continue;
                }
                for (id, amount) in waiting.ask.cost.iter().filter(|(_, amount)| *amount > 0) {
                    if let Some(at) = self.meters[id.0 as usize].room_at(lane, amount, self.guard) {
                        propose(at - self.offset, "rate: room");
                    }
                }
            }
        }
        first
    }

    /// Ends a request that was let go. An unknown ticket is ignored: it was settled before.
    pub fn settle(&mut self, now: UnixNanos, ticket: Ticket, how: Settled) {
        self.advance(now);
        let Some(request) = self.under_way.remove(&ticket) else { return };
        for (id, amount) in request.cost.iter() {
            let meter = &mut self.meters[id.0 as usize];
            meter.settled += u64::from(amount);
            for window in &mut meter.windows {
                match how {
                    Settled::Sent => window.settle(now.after(self.offset), amount, self.guard),
                    Settled::NotSent => window.refund(amount),
                }
            }
        }
    }

    /// The venue's own count, from a header of the answer to `ticket`: call it before [`Limiter::settle`].
    ///
    /// The count may lack what was under way at the same time, so that is added; it is never lowered, except on
    /// windows that the venue itself lowers.
    pub fn observe(&mut self, now: UnixNanos, ticket: Ticket, id: MeterId, period: Nanos, total: u64) {
        self.advance(now);
        let Some(request) = self.under_way.get(&ticket) else { return };
        let Some((part, (_, amount))) = request.cost.iter().enumerate().find(|(_, (m, _))| *m == id) else { return };
        let meter = &mut self.meters[id.0 as usize];
        let unsure = meter.gone - request.settled_before[part] - u64::from(amount);
        let (sent, now) = (request.sent, now.after(self.offset));
        for window in meter.windows.iter_mut().filter(|w| w.spec.period == period) {
            window.observe(now, sent, total, unsure);
        }
    }

    /// The venue refused for want of room on `meter` (429). Nothing of its group leaves before `retry_after`, or
    /// before a growing pause where none is named.
    pub fn limited(&mut self, now: UnixNanos, meter: MeterId, retry_after: Option<Nanos>) {
        self.advance(now);
        let venue_now = now.after(self.offset);
        let meter = &mut self.meters[meter.0 as usize];
        meter.windows.iter_mut().for_each(|w| w.exhaust(venue_now));
        let group = meter.spec.group;
        self.close(now, group, false, retry_after);
    }

    /// The venue banned the group (418). Asks that do not reduce are refused until it ends.
    pub fn banned(&mut self, now: UnixNanos, group: GroupId, retry_after: Option<Nanos>) {
        self.close(now, group, true, retry_after);
    }

    /// Groups that are closed now; their ends are on our clock. A restart passes them to [`Limiter::resume_closure`].
    pub fn closures(&self) -> impl Iterator<Item = Closure> + '_ {
        self.groups.iter().enumerate().filter_map(|(i, g)| {
            let until = g.closed_until?;
            Some(Closure { group: GroupId(i as u16), name: g.name.clone(), until, banned: g.banned })
        })
    }

    /// A closure that an earlier process met: a restart must not hammer into a ban.
    pub fn resume_closure(&mut self, name: &str, until: UnixNanos, banned: bool) {
        for group in self.groups.iter_mut().filter(|g| g.name == name) {
            group.closed_until = Some(group.closed_until.map_or(until, |u| u.max(until)));
            group.banned |= banned;
        }
    }

    /// How long a group that `cost` touches stays closed; `None`: none of them is.
    pub fn shut_for(&self, now: UnixNanos, cost: &Cost) -> Option<Nanos> {
        self.closed_until(cost).filter(|until| *until > now).map(|until| until - now)
    }

    pub fn usage(&self) -> impl Iterator<Item = Usage> + '_ {
        self.meters.iter().flat_map(|m| {
            m.windows.iter().map(|w| Usage {
                meter: m.spec.name.clone(),
                period: w.spec.period,
                used: w.used(),
                limit: w.spec.limit,
            })
        })
    }

    pub fn waiting(&self, lane: Lane) -> usize {
        self.lanes[lane as usize].len()
    }
}
