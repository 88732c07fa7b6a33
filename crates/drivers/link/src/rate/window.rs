//! One window of a meter: how much was used, and how much may have been used by what is still under way.
//! Never: counts less than the venue could have counted. Doubt at a turn of the window counts in both windows.

use ctos_types::{Nanos, UnixNanos};
use std::collections::VecDeque;

/// How the venue's window moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Turns at multiples of the period on the venue's clock (a minute at :00).
    Aligned,
    /// The last period before each request, or a bucket that begins whenever the venue likes.
    Sliding,
}

/// At most `limit` within `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    pub period: Nanos,
    pub limit: u32,
    pub shape: Shape,
    /// The venue's count may fall within a window (Binance spot takes filled orders out again): its headers may then
    /// lower ours, not only raise it.
    pub falls: bool,
}

impl WindowSpec {
    pub const fn aligned(period: Nanos, limit: u32) -> WindowSpec {
        WindowSpec { period, limit, shape: Shape::Aligned, falls: false }
    }
    pub const fn sliding(period: Nanos, limit: u32) -> WindowSpec {
        WindowSpec { period, limit, shape: Shape::Sliding, falls: false }
    }
}

/// All times here are the venue's, as far as we know it; `guard` bounds how wrong that may be.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub spec: WindowSpec,
    /// Used in the window, everything under way included.
    used: u64,
    /// Sent and not settled: the venue may count it at any moment from sending to settling.
    under_way: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Aligned {
        /// Start of the window after this one.
        end: UnixNanos,
        /// Settled so close before `end` that the venue may have counted it after the turn.
        late: u64,
        /// Since when this window is ours: an answer to something sent before speaks of the window before.
        since: UnixNanos,
        /// The clock was corrected: `end` is to be found anew.
        moved: bool,
    },
    /// Settled amounts, oldest first.
    Sliding(VecDeque<(UnixNanos, u64)>),
}

impl Window {
    pub fn new(spec: WindowSpec) -> Window {
        let kind = match spec.shape {
            Shape::Aligned => Kind::Aligned { end: UnixNanos::MIN, late: 0, since: UnixNanos::MIN, moved: false },
            Shape::Sliding => Kind::Sliding(VecDeque::new()),
        };
        Window { spec, used: 0, under_way: 0, kind }
    }

    /// No guard may eat more than a quarter of a window.
    fn guard(&self, guard: Nanos) -> Nanos {
        Nanos(guard.0.min(self.spec.period.0 / 4))
    }

    /// Forgets what can no longer count at the venue.
    pub fn advance(&mut self, now: UnixNanos, guard: Nanos) {
        let (period, guard) = (self.spec.period, self.guard(guard));
        match &mut self.kind {
            Kind::Aligned { end, late, since, moved } => {
                if *end == UnixNanos::MIN || *moved {
                    *end = now.floor(period).after(period);
                    *moved = false;
                }
                if now < end.after(guard) {
                    return;
                }
                // Two turns later nothing settled around the first one counts any more.
                self.used = self.under_way + if now < end.after(period).after(guard) { *late } else { 0 };
                *late = 0;
                *since = now;
                *end = (now - guard).floor(period).after(period);
            }
            Kind::Sliding(settled) => {
                while let Some((at, amount)) = settled.front().copied() {
                    if now <= at.after(period).after(guard) {
                        break;
                    }
                    settled.pop_front();
                    self.used -= amount;
                }
            }
        }
    }

    /// The venue's clock is `by` ahead of what was thought: nothing of what was used is forgotten for it.
    pub fn realign(&mut self, by: Nanos) {
        match &mut self.kind {
            Kind::Aligned { end, since, moved, .. } => {
                // The true turn is found with the next look at the time; until then the latest it can be.
                if *end != UnixNanos::MIN {
                    *end = end.after(by).floor(self.spec.period).after(self.spec.period);
                    *moved = true;
                }
                // A turn by the wrong clock was none: answers to what was sent before it speak of this window too.
                *since = UnixNanos::MIN;
            }
            Kind::Sliding(settled) => settled.iter_mut().for_each(|(at, _)| *at = at.after(by)),
        }
    }

    /// Used after the last [`Window::advance`].
    pub fn used(&self) -> u64 {
        self.used
    }

    pub fn fits(&self, amount: u32, allowed: u64) -> bool {
        self.used + u64::from(amount) <= allowed
    }

    /// When `amount` fits if nothing else is sent. `None`: only once something under way is settled.
    pub fn fits_at(&self, amount: u32, allowed: u64, now: UnixNanos, guard: Nanos) -> Option<UnixNanos> {
        if self.fits(amount, allowed) {
            return Some(now);
        }
        let guard = self.guard(guard);
        match &self.kind {
            Kind::Aligned { end, .. } => Some(end.after(guard)),
            Kind::Sliding(settled) => {
                let mut used = self.used;
                settled.iter().find_map(|(at, freed)| {
                    used -= freed;
                    let fits = used + u64::from(amount) <= allowed;
                    fits.then(|| at.after(self.spec.period).after(guard).after(Nanos(1)))
                })
            }
        }
    }

    pub fn charge(&mut self, amount: u32) {
        self.used += u64::from(amount);
        self.under_way += u64::from(amount);
    }

    /// The venue has counted it by now, or never will.
    pub fn settle(&mut self, now: UnixNanos, amount: u32, guard: Nanos) {
        let (amount, guard) = (u64::from(amount), self.guard(guard));
        self.under_way -= amount;
        match &mut self.kind {
            Kind::Aligned { end, late, .. } => {
                if now >= *end - guard {
                    *late += amount;
                }
            }
            Kind::Sliding(settled) => {
                if amount > 0 {
                    // A clock correction may have set time back a little; the list stays in order.
                    let at = settled.back().map_or(now, |(last, _)| now.max(*last));
                    settled.push_back((at, amount));
                }
            }
        }
    }

    /// It never left: nothing was counted.
    pub fn refund(&mut self, amount: u32) {
        self.under_way -= u64::from(amount);
        self.used = self.used.saturating_sub(u64::from(amount)).max(self.under_way);
    }

    /// The venue says `total` was used when it handled something sent at `sent`; of ours, up to `unsure` may not be
    /// in that number yet.
    pub fn observe(&mut self, now: UnixNanos, sent: UnixNanos, total: u64, unsure: u64) {
        let told = total.saturating_add(unsure);
        match &mut self.kind {
            Kind::Aligned { since, .. } => {
                if sent < *since {
                    return;
                }
                if told > self.used || self.spec.falls {
                    self.used = told.max(self.under_way);
                }
            }
            Kind::Sliding(settled) => {
                if told > self.used {
                    let foreign = told - self.used;
                    let at = settled.back().map_or(now, |(last, _)| now.max(*last));
                    settled.push_back((at, foreign));
                    self.used = told;
                }
            }
        }
    }

    /// The venue refused for want of room: there is none, whatever we counted.
    pub fn exhaust(&mut self, now: UnixNanos) {
        let limit = u64::from(self.spec.limit);
        self.observe(now, UnixNanos::MAX, limit, 0);
    }
}
