//! Which clock a call over a connection of its own goes by: this machine's, or that of a twin that hurries.
//! Never: measures a venue that is not on this very machine, or asks one that is closed.

use super::{ClosedUntil, access, closures_of, direct};
use crate::UserError;
use crate::config::{Settings, VenueAccount};
use ctos_driver_binance::client::{Blocking, Caller, Client, Direct};
use ctos_link::pace::{Known, Pace};
use ctos_link::{LinkTime, Time};
use ctos_types::{AccountId, Nanos};
use std::sync::Arc;

/// How long the pace of a twin is measured at most. A twin that goes as fast as the world takes 5 ms, one that goes a
/// thousand times as fast about a second.
const MEASURING: Nanos = Nanos::from_secs(3);

/// Time as a call sees it, and what it must keep away from.
#[derive(Clone, Debug)]
pub struct Clock {
    pub time: Arc<dyn Time>,
    /// How many times as fast as the world it goes.
    pub speed: u32,
    /// On this clock.
    pub closed: Vec<ClosedUntil>,
    /// Whether the venue told how fast it goes.
    pub(crate) told: bool,
}

impl Clock {
    /// This machine's.
    pub fn machine(closed: Vec<ClosedUntil>) -> Clock {
        Clock { time: Arc::new(LinkTime::start()), speed: 1, closed, told: false }
    }

    /// One that goes as fast as a twin; `time` does so.
    pub(crate) fn hurried(time: Arc<dyn Time>, speed: u32) -> Clock {
        Clock { time, speed, closed: Vec::new(), told: true }
    }

    /// Whether what it says means something to other processes.
    pub fn is_machine(&self) -> bool {
        self.speed == 1
    }

    /// The one for an account's venue. Signed requests are stamped with the venue's time, and beside a twin that goes
    /// sixty times as fast as the world a stamp is old after a tenth of a second.
    ///
    /// # Errors
    /// A twin goes at a pace that is no whole number.
    pub(crate) fn of(settings: &Settings, venue: &VenueAccount) -> Result<Clock, UserError> {
        let (clock, odd) = Clock::measured(settings, venue)?;
        let Some(odd) = odd else { return Ok(clock) };
        Err(UserError::new(
            format!("the twin at {} goes {odd:.1} times as fast as this machine's clock", venue.hosts()?.rest),
            "orders are stamped with its time: start it with a whole number (`ctos twin binance --speed 60`)",
        ))
    }

    /// As [`Clock::of`], as well as it can be had: the emergency brake is not refused for a clock's sake.
    pub(crate) fn about(settings: &Settings, venue: &VenueAccount) -> Result<Clock, UserError> {
        Ok(Clock::measured(settings, venue)?.0)
    }

    fn measured(settings: &Settings, venue: &VenueAccount) -> Result<(Clock, Option<f64>), UserError> {
        let machine = Clock::machine(closures_of(settings));
        if !venue.is_here() {
            return Ok((machine, None));
        }
        let direct = direct(access("public", venue, None, 1)?, &machine)?;
        let (pace, met) = ask(direct, venue)?;
        let Some(pace) = pace else {
            // Nobody there, or a ban that was met just now: the call itself will tell, without asking into it.
            let wall = machine.time.wall();
            let met =
                met.into_iter().map(|(group, left, banned)| ClosedUntil { group, until: wall.after(left), banned });
            return Ok((Clock { closed: machine.closed.into_iter().chain(met).collect(), ..machine }, None));
        };
        let odd = match pace.known() {
            Known::Odd(odd) => Some(odd),
            Known::Whole(_) | Known::NotYet => None,
        };
        let speed = pace.nearest();
        let now = pace.venue_time(machine.time.now(), speed);
        let (2.., Some(now)) = (speed, now) else { return Ok((Clock { told: true, ..machine }, odd)) };
        // What is remembered is on the machine's clock, which says nothing to this one.
        Ok((Clock::hurried(Arc::new(LinkTime::anchored(now, speed)), speed), odd))
    }
}

/// The pace, if the venue told its time, and what was met on the way: a name, for how long yet, whether it is a ban.
type Asked = (Option<Pace>, Vec<(String, Nanos, bool)>);

fn ask(direct: Direct, venue: &VenueAccount) -> Result<Asked, UserError> {
    let direct = Arc::new(direct);
    // For the event loop that it brings along.
    let waiting = Blocking::new(Client::new(direct.clone(), venue.profile.into(), AccountId(0), false))?;
    let pace = waiting.wait(direct.pace(MEASURING)).ok();
    Ok((pace, direct.closures()))
}
