//! The venue's clock: asked for by the frame itself, told to the parts.
//! Never: a second question while one is under way, except the first ones, one to each base.

use super::{Gateway, Owner, Wanted, What};
use crate::clock::BadSample;
use crate::gateway::{Answer, Deeds, Notice};
use crate::rate::Lane;
use ctos_types::{Nanos, UnixNanos};

/// A look at the clock that waits longer for room says nothing.
const WITHIN: Nanos = Nanos::from_secs(10);
/// A base that did not answer is tried again after this.
const UNHEARD_AGAIN: Nanos = Nanos::from_secs(2);
/// A change of the offset that a person should hear of.
const LARGE: Nanos = Nanos::from_secs(1);

/// What is known of the venue's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Venue time minus ours; `None`: not known yet.
    pub offset: Option<Nanos>,
    /// How wrong that may be.
    pub uncertainty: Option<Nanos>,
    /// How far the machine's wall clock is ahead of the venue's.
    pub wall_error: Option<Nanos>,
}

impl Gateway {
    /// The machine's wall clock, every second or so.
    pub fn on_wall(&mut self, now: UnixNanos, wall: UnixNanos, deeds: &mut Deeds) {
        if let Some(step) = self.clock.on_wall(now, wall) {
            let seconds = step.by.as_secs_f64();
            deeds.notices.push(Notice::Warning(format!(
                "this machine's clock stepped by {seconds:.3} s; stamps follow the venue's clock, which is asked anew"
            )));
        }
        self.wall_error = self.clock.wall_error(now, wall);
    }

    pub fn clock(&self, now: UnixNanos) -> ClockState {
        ClockState {
            offset: self.clock.offset(now),
            uncertainty: self.clock.uncertainty(now),
            wall_error: self.wall_error,
        }
    }

    /// When the time is asked for next.
    pub(super) fn clock_due(&self) -> (UnixNanos, &'static str) {
        let (at, why) = self.clock.deadline();
        match () {
            () if self.asking > 0 => (UnixNanos::MAX, "clock"),
            () if self.requests.all_heard() => (at, why),
            // Others wait for the first answer of each base.
            () => (at.min(self.asked.after(UNHEARD_AGAIN)), "clock: a base has not answered"),
        }
    }

    pub(super) fn ask_time(&mut self, now: UnixNanos) {
        self.asking += 1;
        self.asked = now;
        let (base, cost, draft) = self.words.ask_time(self.turn);
        self.turn = self.turn.wrapping_add(1);
        let what = What::Request { base, draft };
        let give_up = now.after(WITHIN);
        let clock = self.clock_view(now);
        self.requests.want(now, Wanted { owner: Owner::Clock, tag: 0, lane: Lane::Query, cost, give_up, what }, clock);
    }

    pub(super) fn on_time(&mut self, now: UnixNanos, answer: &Answer<'_>, deeds: &mut Deeds) {
        self.asking -= 1;
        let (sent, received, server) = match answer {
            Answer::Http { status: 200, body, sent, received, .. } => match self.words.read_time(body) {
                Some(server) => (*sent, *received, server),
                None => return self.clock.on_failed(now),
            },
            _ => return self.clock.on_failed(now),
        };
        let before = self.clock.offset(now);
        match self.clock.on_sample(sent, server, received) {
            Ok(()) => {}
            Err(bad @ BadSample::Contradicts(_)) => {
                deeds.notices.push(Notice::Warning(format!("{bad}; it is asked once more")));
                return;
            }
            Err(_) => return,
        }
        self.doubted = false;
        let (Some(offset), Some(doubt)) = (self.clock.offset(now), self.clock.uncertainty(now)) else { return };
        self.requests.limiter.set_clock(offset, doubt);
        if before == Some(offset) {
            return;
        }
        if before.is_none_or(|before| (before.0 - offset.0).abs() > LARGE.0) {
            deeds.notices.push(Notice::Info(format!(
                "the venue's clock is {:+.3} s from ours, known to {:.3} s",
                offset.as_secs_f64(),
                doubt.as_secs_f64()
            )));
        }
        for part in 0..self.parts.len() {
            self.parts[part].set_clock(now, offset);
            self.absorb(now, part, deeds);
        }
    }
}
