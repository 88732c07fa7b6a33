//! Weighted rate accounting: meters per address and per account, priority lanes, bans. Calling contract: one input,
//! then [`Limiter::poll`] until it has nothing to say, then sleep until [`Limiter::deadline`].
//! Never: reads a clock, sleeps, or lets a request out while its group is closed (a ban is never extended by us).

mod queue;
mod shared;
mod window;

pub use queue::{Ask, AskError, Closure, Limiter, LimiterConfig, Settled, Usage, Verdict};
pub use shared::{Permit, SharedLimiter};
pub use window::{Shape, WindowSpec};

/// A counter of the venue: request weight per address, orders per account, requests of one endpoint, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeterId(pub u16);

/// What is closed together by a 429 or a ban: an address, an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u16);

/// A request that waits for room or is under way. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Priority, highest first. A lane is served before the ones below it and may use more of each limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Cancels and orders that only reduce: what makes the account safer.
    Reduce,
    /// What resolves doubt: order queries, open orders, positions, the clock.
    Query,
    /// Orders that take on risk.
    New,
    /// History and other downloads.
    History,
}

impl Lane {
    pub const ALL: [Lane; 4] = [Lane::Reduce, Lane::Query, Lane::New, Lane::History];
}

/// How much of a limit each lane may fill, in thousandths. What lies above a lane's share is kept for the lanes
/// above it; what lies above the first is kept for other programs on the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    pub reduce: u16,
    pub query: u16,
    pub new: u16,
    pub history: u16,
}

impl Default for Shares {
    fn default() -> Shares {
        Shares { reduce: 950, query: 850, new: 800, history: 500 }
    }
}

impl Shares {
    /// Every lane may use the whole limit: for meters that only one lane touches.
    pub const WHOLE: Shares = Shares { reduce: 1000, query: 1000, new: 1000, history: 1000 };

    /// What `lane` may fill of `limit`; at least 1, so that no lane is shut out of a small limit.
    fn of(&self, lane: Lane, limit: u32) -> u64 {
        let share = match lane {
            Lane::Reduce => self.reduce,
            Lane::Query => self.query,
            Lane::New => self.new,
            Lane::History => self.history,
        };
        (u64::from(limit) * u64::from(share) / 1000).max(1).min(u64::from(limit))
    }
}

/// One counter and its windows, as the venue states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterSpec {
    /// For messages and metrics, for example `binance spot weight`.
    pub name: String,
    pub group: GroupId,
    pub windows: Vec<WindowSpec>,
    pub shares: Shares,
}

/// What a request costs: an amount on each meter it touches. At most [`Cost::MAX`] meters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    parts: [(u16, u32); Cost::MAX],
    len: u8,
}

impl Cost {
    pub const MAX: usize = 4;

    pub const fn none() -> Cost {
        Cost { parts: [(0, 0); Cost::MAX], len: 0 }
    }

    /// Adds `amount` on `meter`; an amount of zero touches the meter's group without counting.
    ///
    /// # Panics
    /// When there are more than [`Cost::MAX`] meters, or one is named twice: both are mistakes in a cost table.
    #[must_use]
    pub fn and(mut self, meter: MeterId, amount: u32) -> Cost {
        assert!((self.len as usize) < Cost::MAX, "a request touches at most {} meters", Cost::MAX);
        assert!(self.iter().all(|(m, _)| m != meter), "meter {} is named twice", meter.0);
        self.parts[self.len as usize] = (meter.0, amount);
        self.len += 1;
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = (MeterId, u32)> + '_ {
        self.parts[..self.len as usize].iter().map(|(m, a)| (MeterId(*m), *a))
    }
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
