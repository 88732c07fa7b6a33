//! The beginning and the end: settings first, then stream and looks; at the end what must be said goes out.
//! Never: opens the stream of an account that is not set as the run needs it.

use super::core::{Desk, Job, Stage, alarm, warning};
use super::{DeskWords, Trouble};
use crate::gateway::{Answer, Outbox};
use ctos_types::{Nanos, UnixNanos};

/// Settings that could not be read are asked for again after this long, and wrong ones looked at again.
const AGAIN: Nanos = Nanos::from_secs(5);
const WRONG_AGAIN: Nanos = Nanos::from_secs(60);

impl<W: DeskWords> Desk<W> {
    pub(super) fn begin_settings(&mut self, now: UnixNanos, out: &mut Outbox) {
        self.settings_due = UnixNanos::MAX;
        if self.settings_open > 0 {
            return;
        }
        let wires = self.words.settings();
        self.settings_parts = 0;
        self.settings_wrong = None;
        if wires.is_empty() {
            return self.settled(now, out);
        }
        self.ask_settings(wires, out);
    }

    fn ask_settings(&mut self, wires: Vec<super::Wire>, out: &mut Outbox) {
        for wire in wires {
            let part = self.settings_parts;
            self.settings_parts += 1;
            self.settings_open += 1;
            let within = self.config.other_within;
            self.ask(wire, Job::Settings { part }, within, out);
        }
    }

    pub(super) fn on_settings(&mut self, now: UnixNanos, part: usize, answer: &Answer<'_>, out: &mut Outbox) {
        self.settings_open -= 1;
        match self.words.read_settings(part, answer) {
            Ok(more) => self.ask_settings(more, out),
            Err(trouble) => {
                let worse = self.settings_wrong.as_ref().is_none_or(|t| t.hint.is_none());
                if worse {
                    self.settings_wrong = Some(trouble);
                }
            }
        }
        if self.settings_open > 0 {
            return;
        }
        match self.settings_wrong.take() {
            None => self.settled(now, out),
            Some(Trouble { why, hint, pause }) => {
                let again = if hint.is_some() { WRONG_AGAIN } else { AGAIN };
                self.settings_due = now.after(again.max(pause));
                match hint {
                    Some(hint) => out.notices.push(alarm(why, hint)),
                    None => out.notices.push(warning(format!("settings of the account: {why}"))),
                }
            }
        }
    }

    fn settled(&mut self, now: UnixNanos, out: &mut Outbox) {
        if self.stage != Stage::Settings {
            return;
        }
        self.stage = Stage::Running;
        self.schedule.hurry(now);
        self.start_stream(now, out);
    }

    /// The switch that would cancel what is meant to stay is wound off, then the stream is closed.
    pub(super) fn farewell(&mut self, now: UnixNanos, out: &mut Outbox) {
        if self.stage == Stage::Stopped {
            return;
        }
        let within = self.config.other_within;
        for instrument in std::mem::take(&mut self.dead_man).into_keys() {
            if let Some(wire) = self.words.dead_man(instrument, Nanos::ZERO) {
                self.ask(wire, Job::Other, within, out);
            }
        }
        for wire in self.words.farewell() {
            self.ask(wire, Job::Other, within, out);
        }
        self.stop_stream(now, out);
        self.stage = Stage::Stopped;
    }
}
