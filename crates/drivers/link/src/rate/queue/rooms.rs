//! Room and closures: what fits, when it will, and what is refused meanwhile.
//! Never: opens a group before its time.

use super::{LONGEST_PAUSE, Limiter, Meter, STRIKES_FORGOTTEN, UnderWay, Verdict, Waiting};
use crate::rate::{Cost, GroupId, Lane};
use ctos_types::{Nanos, UnixNanos};

impl Limiter {
    pub(super) fn advance(&mut self, now: UnixNanos) {
        let now = now.after(self.offset);
        for window in self.meters.iter_mut().flat_map(|m| &mut m.windows) {
            window.advance(now, self.guard);
        }
    }

    pub(super) fn reopen(&mut self, now: UnixNanos) {
        for group in &mut self.groups {
            if group.closed_until.is_some_and(|until| until <= now) {
                group.closed_until = None;
                group.banned = false;
            }
        }
    }

    pub(super) fn close(&mut self, now: UnixNanos, id: GroupId, banned: bool, retry_after: Option<Nanos>) {
        let first = if banned { self.config.banned_pause } else { self.config.limited_pause };
        let group = &mut self.groups[id.0 as usize];
        if now > group.last_strike.after(STRIKES_FORGOTTEN) {
            group.strikes = 0;
        }
        // Answers that were under way when the first refusal came tell nothing new.
        if group.closed_until.is_none() || (banned && !group.banned) {
            group.strikes += 1;
        }
        group.last_strike = now;
        let own = Nanos(first.0.saturating_mul(1 << (group.strikes.clamp(1, 20) - 1)).min(LONGEST_PAUSE.0));
        let until = now.after(retry_after.unwrap_or(own)).after(self.guard);
        group.closed_until = Some(group.closed_until.map_or(until, |u| u.max(until)));
        group.banned |= banned;
    }

    pub(super) fn closed_until(&self, cost: &Cost) -> Option<UnixNanos> {
        let groups = cost.iter().map(|(m, _)| self.meters[m.0 as usize].spec.group);
        groups.filter_map(|g| self.groups[g.0 as usize].closed_until).max()
    }

    pub(super) fn is_closed(&self, cost: &Cost) -> bool {
        self.closed_until(cost).is_some()
    }

    /// Refuses what waited too long, and what does not reduce while its group is closed.
    pub(super) fn refuse(&mut self, now: UnixNanos, out: &mut Vec<Verdict>) {
        for lane in Lane::ALL {
            let mut at = 0;
            while let Some(waiting) = self.lanes[lane as usize].get(at) {
                let Waiting { ticket, ask } = *waiting;
                let closed = self.closed_until(&ask.cost);
                if now < ask.give_up && (closed.is_none() || lane == Lane::Reduce) {
                    at += 1;
                    continue;
                }
                let room = || {
                    let rooms = ask.cost.iter().filter_map(|(m, a)| {
                        self.meters[m.0 as usize].room_at(lane, a, self.guard).map(|at| at - self.offset)
                    });
                    rooms.max().unwrap_or(now)
                };
                let retry_at = closed.unwrap_or_else(room);
                self.lanes[lane as usize].remove(at);
                out.push(Verdict::Refused { ticket, retry_after: Nanos((retry_at - now).0.max(0)) });
            }
        }
    }

    pub(super) fn let_go(&mut self, venue_now: UnixNanos, waiting: Waiting) {
        let mut settled_before = [0; Cost::MAX];
        for (part, (id, amount)) in waiting.ask.cost.iter().enumerate() {
            let meter = &mut self.meters[id.0 as usize];
            settled_before[part] = meter.settled;
            meter.gone += u64::from(amount);
            meter.windows.iter_mut().for_each(|w| w.charge(amount));
        }
        let request = UnderWay { cost: waiting.ask.cost, sent: venue_now, settled_before };
        self.under_way.insert(waiting.ticket, request);
    }
}

impl Meter {
    pub(super) fn fits(&self, lane: Lane, amount: u32) -> bool {
        self.windows.iter().all(|w| w.fits(amount, self.spec.shares.of(lane, w.spec.limit)))
    }

    /// Venue time at which every window has room; `None` when that depends on what is under way, or is now.
    pub(super) fn room_at(&self, lane: Lane, amount: u32, guard: Nanos) -> Option<UnixNanos> {
        let lacking = self.windows.iter().filter(|w| !w.fits(amount, self.spec.shares.of(lane, w.spec.limit)));
        lacking
            .map(|w| w.fits_at(amount, self.spec.shares.of(lane, w.spec.limit), UnixNanos::MIN, guard))
            .try_fold(None, |latest: Option<UnixNanos>, at| at.map(|at| Some(latest.map_or(at, |l| l.max(at)))))
            .flatten()
    }
}
