//! What the loop does about venues that are real: the wait until they are known, what they tell people, bans that
//! outlive the process, and the leave-taking.
//! Never: decides about trading; while a venue is not known the gates do not let anything new out.

use super::{Loop, NAP};
use crate::shard::{Shard, ShardError, lock};
use ctos_kernel::ProcessState;
use ctos_link::gateway::Notice;
use ctos_types::{Control, Nanos, UnixNanos};
use std::time::{Duration, Instant};

/// A run that goes on is not given up: a person is told again and again.
const TELL_EVERY: Duration = Duration::from_secs(300);
/// Time of the venue that the end of a run waits for its cancels to be answered.
const SETTLE: Nanos = Nanos::from_secs(120);
/// Real time for what is on its way to the venue at the very end.
pub(super) const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// Why a run ends whose venue never became known.
const NEVER_KNOWN: &str = "the venue's accounts could not be taken in";

/// The time before the venue's word and ours agree.
pub(super) struct Rising {
    /// How long that may take, real time.
    within: Duration,
    deadline: Instant,
    /// Strategies ran before: the run is not begun, but gone on with.
    begun: bool,
    /// The newest thing that went wrong.
    trouble: Option<String>,
}

impl Rising {
    pub fn new(shard: &Shard, within: Nanos) -> Rising {
        let begun = shard.kernel().processes().any(|p| p.state != ProcessState::Created);
        let within = Duration::from_nanos(within.0.max(0).unsigned_abs());
        Rising { within, deadline: Instant::now() + within, begun, trouble: None }
    }
}

impl Loop {
    /// How far the run's time may go now.
    pub(super) fn limit(&mut self) -> UnixNanos {
        match self.shard.gateway() {
            Some(gateway) => gateway.now(),
            None => self.pace.limit(Instant::now(), self.shard.kernel().now()),
        }
    }

    /// Sleeps until something may be due; says how long to wait for a person's word where nothing else wakes us.
    pub(super) fn nap(&mut self) -> Duration {
        match self.shard.gateway() {
            Some(gateway) => {
                gateway.wait(NAP);
                Duration::ZERO
            }
            None => NAP,
        }
    }

    pub(super) fn look_after_links(&mut self, now: UnixNanos) -> Result<(), ShardError> {
        let Some(gateway) = self.shard.gateway() else { return Ok(()) };
        let (notices, ended) = (gateway.notices(), gateway.ended());
        for notice in &notices {
            self.tell(notice);
            let trouble = match notice {
                Notice::Info(_) => continue,
                Notice::Warning(text) => text.clone(),
                Notice::Alarm { what, hint } => format!("{what} (hint: {hint})"),
            };
            if let Some(rising) = &mut self.rising {
                rising.trouble = Some(trouble);
            }
        }
        if let Some(why) = ended {
            // Without a way to the venue nothing can be cancelled but past it.
            self.alerts.send("links", &format!("the links to the venue are gone: {why}"));
            self.stop.get_or_insert_with(|| "the links to the venue are gone".into());
        }
        if self.rising.is_some() {
            self.rise(now)?;
        }
        Ok(())
    }

    fn tell(&self, notice: &Notice) {
        match notice {
            Notice::Info(text) => tracing::info!("{text}"),
            Notice::Warning(text) => tracing::warn!("{text}"),
            Notice::Alarm { what, hint } => self.alerts.send("venue", &format!("{what} (hint: {hint})")),
        }
    }

    /// Strategies start once every account is known.
    fn rise(&mut self, now: UnixNanos) -> Result<(), ShardError> {
        let Some(rising) = &mut self.rising else { return Ok(()) };
        let kernel = self.shard.kernel();
        let unknown: Vec<String> =
            kernel.accounts().iter().filter(|a| !kernel.is_known(a.id)).map(|a| a.name.clone()).collect();
        if unknown.is_empty() {
            let begun = rising.begun;
            self.rising = None;
            tracing::info!("the venue's accounts are taken in");
            return if begun { Ok(()) } else { self.shard.control(now, &Control::Start) };
        }
        if Instant::now() < rising.deadline {
            return Ok(());
        }
        let (begun, waited) = (rising.begun, rising.within.as_secs_f64());
        rising.deadline = Instant::now() + TELL_EVERY;
        let trouble = rising.trouble.clone();
        let missing = self.missing(&unknown, trouble);
        if begun {
            let text = format!("still not known at the venue: {missing}; no new orders, cancels and closing go on");
            self.alerts.send("venue", &text);
        } else {
            let text = format!("not known within {waited} s (live.known_within): {missing}");
            tracing::error!("{text}: giving up");
            self.never_known = Some(text);
            self.stop = Some(NEVER_KNOWN.into());
        }
        Ok(())
    }

    /// What is not known of these accounts, in the desks' own words.
    fn missing(&mut self, unknown: &[String], trouble: Option<String>) -> String {
        let Some(gateway) = self.shard.gateway() else { return unknown.join(", ") };
        let status = gateway.status();
        let closures = status.closures.iter().map(|c| {
            let word = if c.banned { "banned" } else { "paused by the venue" };
            format!("{} is {word} until {}", c.group, c.until)
        });
        let accounts = unknown.iter().map(|name| {
            let of = status.accounts.iter().find(|a| a.account == *name);
            let state = of.map_or("", |a| a.state.as_str());
            let more = of.map_or(0, |a| a.doubts.saturating_sub(1));
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            format!("account {name}: {state}{more}")
        });
        let trouble = trouble.map(|text| format!("last trouble: {text}"));
        accounts.chain(closures).chain(trouble).collect::<Vec<_>>().join("; ")
    }

    /// What venues told us to keep away from outlives this process.
    pub(super) fn keep_closures(&mut self) {
        let Some(gateway) = self.shard.gateway() else { return };
        let closures = gateway.status().closures;
        if closures == self.closures {
            return;
        }
        match self.home.write_closures(&closures) {
            Ok(()) => self.closures = closures,
            Err(error) => tracing::error!(%error, "what the venue banned could not be written down"),
        }
    }

    /// The end at real venues: waits until the cancels are answered, cancels past the kernel what is left, and leaves.
    /// Returns how many orders may still be open.
    pub(super) fn leave(&mut self) -> Result<usize, ShardError> {
        let until = self.limit().after(SETTLE);
        // It is too late to begin.
        self.rising = None;
        loop {
            let now = self.limit();
            self.turn(now)?;
            self.look_after_links(now)?;
            self.keep_latches();
            if Instant::now() >= self.next_view {
                self.publish();
            }
            let gone = self.shard.gateway().is_none_or(|g| g.ended().is_some());
            let done = self.shard.kernel().orders().open_count() == 0 && !self.shard.in_flight();
            if done || gone || now >= until {
                break;
            }
            self.shard.flush()?;
            let wait = self.nap();
            self.requests(wait, now)?;
        }
        let mut left = self.shard.kernel().orders().open_count();
        if left > 0 && self.never_known.is_none() {
            left = self.brake_at_the_end(left)?;
        }
        if let Some(gateway) = self.shard.gateway() {
            gateway.stop(LEAVE_WITHIN);
        }
        self.keep_closures();
        let now = self.limit();
        self.turn(now)?;
        Ok(left.min(self.shard.kernel().orders().open_count()))
    }

    fn brake_at_the_end(&mut self, left: usize) -> Result<usize, ShardError> {
        tracing::warn!(left, "orders are open that nobody answers for: cancelling them over another connection");
        let braked = lock(&self.brake).cancel_everything();
        let still = match braked {
            Ok(still) => still,
            Err(error) => {
                self.alerts.send("venue", &format!("{}; {}", error.message, error.hint));
                left
            }
        };
        // What the venue says about it is still taken in.
        let until = Instant::now() + LEAVE_WITHIN;
        while self.shard.kernel().orders().open_count() > 0 && Instant::now() < until {
            let now = self.limit();
            self.turn(now)?;
            let gone = self.shard.gateway().is_none_or(|g| g.ended().is_some());
            if gone {
                break;
            }
            self.nap();
        }
        Ok(still)
    }
}
