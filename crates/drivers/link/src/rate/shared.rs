//! The limiter behind a handle: every strategy, account and one-shot call of a process holds a clone of the same one.
//! Never: holds the lock across a wait, or forgets a request whose caller went away.

use super::{Ask, AskError, Cost, GroupId, Lane, Limiter, MeterId, Settled, Ticket, Verdict};
use crate::Time;
use ctos_types::{Nanos, UnixNanos, VenueError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

#[derive(Debug)]
struct Inner {
    limiter: Limiter,
    waiters: BTreeMap<Ticket, oneshot::Sender<Verdict>>,
}

/// A cheap clone of the one limiter of an address.
#[derive(Clone, Debug)]
pub struct SharedLimiter {
    inner: Arc<Mutex<Inner>>,
    time: Arc<dyn Time>,
}

impl SharedLimiter {
    pub fn new(limiter: Limiter, time: Arc<dyn Time>) -> SharedLimiter {
        SharedLimiter { inner: Arc::new(Mutex::new(Inner { limiter, waiters: BTreeMap::new() })), time }
    }

    /// Waits until the request may be sent, at most until `within` has passed.
    ///
    /// Fails with [`VenueError::RateLimited`] where it shall not be sent, and [`VenueError::Invalid`] where it never
    /// could be.
    pub async fn acquire(&self, lane: Lane, cost: Cost, within: Nanos) -> Result<Permit, VenueError> {
        let (sender, mut verdict) = oneshot::channel();
        let ticket = {
            let mut inner = self.lock();
            let now = self.time.now();
            let ticket = inner.limiter.ask(Ask { lane, cost, give_up: now.after(within) }).map_err(refused)?;
            inner.waiters.insert(ticket, sender);
            self.pump(&mut inner, now);
            ticket
        };
        // Whoever waits also winds the clock for the others, so no task of its own is needed.
        let withdraw = Withdraw { handle: self, ticket: Some(ticket) };
        let verdict = loop {
            let deadline = self.lock().limiter.deadline();
            let sleep = self.time.sleep_until(deadline.map_or(self.time.now().after(Nanos::from_secs(60)), |d| d.0));
            tokio::select! {
                biased;
                verdict = &mut verdict => break verdict,
                () = sleep => {
                    let now = self.time.now();
                    self.pump(&mut self.lock(), now);
                }
            }
        };
        withdraw.done();
        match verdict {
            Ok(Verdict::Go(ticket)) => Ok(Permit { handle: self.clone(), ticket: Some(ticket), sent: true }),
            Ok(Verdict::Refused { retry_after, .. }) => Err(VenueError::RateLimited { retry_after }),
            Err(_) => Err(VenueError::RateLimited { retry_after: Nanos::ZERO }),
        }
    }

    /// Nothing of the group leaves before `retry_after` has passed (418).
    pub fn banned(&self, group: GroupId, retry_after: Option<Nanos>) {
        self.with(|limiter, now| limiter.banned(now, group, retry_after));
    }

    /// Reads or changes the limiter, then lets go whoever may.
    pub fn with<T>(&self, f: impl FnOnce(&mut Limiter, UnixNanos) -> T) -> T {
        let mut inner = self.lock();
        let now = self.time.now();
        let value = f(&mut inner.limiter, now);
        self.pump(&mut inner, now);
        value
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves the counts as they were: at worst a request counts twice.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn pump(&self, inner: &mut Inner, now: UnixNanos) {
        let mut verdicts = Vec::new();
        loop {
            inner.limiter.poll(now, &mut verdicts);
            if verdicts.is_empty() {
                return;
            }
            for verdict in verdicts.drain(..) {
                let (Verdict::Go(ticket) | Verdict::Refused { ticket, .. }) = verdict;
                let heard = inner.waiters.remove(&ticket).is_some_and(|waiter| waiter.send(verdict).is_ok());
                if !heard && matches!(verdict, Verdict::Go(_)) {
                    // Its caller went away between asking and this moment.
                    inner.limiter.settle(now, ticket, Settled::NotSent);
                }
            }
        }
    }
}

fn refused(error: AskError) -> VenueError {
    match error {
        AskError::Crowded { .. } => VenueError::RateLimited { retry_after: Nanos::from_secs(1) },
        AskError::TooHeavy { .. } | AskError::UnknownMeter(_) => {
            VenueError::Invalid { field: "request cost", why: error.to_string() }
        }
    }
}

/// Takes the ask back when the caller stops waiting.
struct Withdraw<'a> {
    handle: &'a SharedLimiter,
    ticket: Option<Ticket>,
}

impl Withdraw<'_> {
    fn done(mut self) {
        self.ticket = None;
    }
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut inner = self.handle.lock();
        let now = self.handle.time.now();
        let waiting = inner.limiter.withdraw(ticket);
        if inner.waiters.remove(&ticket).is_none() && !waiting {
            // Let go a moment ago and not picked up: nothing was sent.
            inner.limiter.settle(now, ticket, Settled::NotSent);
        }
        self.handle.pump(&mut inner, now);
    }
}

/// The right to send one request. Dropped, it counts as sent: only [`Permit::not_sent`] gives the room back.
#[derive(Debug)]
pub struct Permit {
    handle: SharedLimiter,
    ticket: Option<Ticket>,
    sent: bool,
}

impl Permit {
    /// The venue's own count, from a header of the answer.
    pub fn observe(&self, meter: MeterId, period: Nanos, total: u64) {
        if let Some(ticket) = self.ticket {
            self.handle.with(|limiter, now| limiter.observe(now, ticket, meter, period, total));
        }
    }

    /// The venue refused for want of room (429).
    pub fn limited(&self, meter: MeterId, retry_after: Option<Nanos>) {
        self.handle.with(|limiter, now| limiter.limited(now, meter, retry_after));
    }

    /// No byte of the request left this process.
    pub fn not_sent(mut self) {
        self.sent = false;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let how = if self.sent { Settled::Sent } else { Settled::NotSent };
            self.handle.with(|limiter, now| limiter.settle(now, ticket, how));
        }
    }
}
