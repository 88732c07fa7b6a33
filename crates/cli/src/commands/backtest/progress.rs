//! How far a backtest is, on stderr, where that is a terminal.
//! Never: writes to stdout.

use ctos_backtest::whole::Status;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const DRAW_EVERY: Duration = Duration::from_millis(150);
/// So that a line is drawn over and never wraps.
const WIDTH: usize = 78;
const BAR: usize = 24;

pub struct Line {
    shown: bool,
    /// When the run in work began, and which it is.
    begun: Instant,
    pessimistic: bool,
    next: Instant,
}

impl Line {
    pub fn new(quiet: bool) -> Line {
        let now = Instant::now();
        Line { shown: !quiet && stderr().is_terminal(), begun: now, pessimistic: false, next: now + DRAW_EVERY }
    }

    pub fn show(&mut self, status: &Status) {
        let now = Instant::now();
        if status.pessimistic != self.pessimistic {
            (self.begun, self.pessimistic) = (now, status.pessimistic);
        }
        if !self.shown || now < self.next {
            return;
        }
        self.next = now + DRAW_EVERY;
        // Nobody is left to tell when stderr is gone.
        let _ = write!(stderr(), "\r{:<WIDTH$}", text(status, now - self.begun));
    }

    /// Leaves a clean line behind.
    pub fn end(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r{:<WIDTH$}\r", "");
        }
    }
}

fn text(status: &Status, took: Duration) -> String {
    let p = &status.progress;
    let whole = (status.end.0.saturating_sub(p.start.0)).max(1) as f64;
    let share = ((p.at.0.saturating_sub(p.start.0)) as f64 / whole).clamp(0.0, 1.0);
    let full = (share * BAR as f64) as usize;
    let rate = p.events as f64 / took.as_secs_f64().max(1e-9);
    let left = if share > 0.0 { took.as_secs_f64() * (1.0 - share) / share } else { 0.0 };
    let what = if status.pessimistic { "pessimistic" } else { "backtest" };
    format!(
        "{what} [{}{}] {:>3.0} %  {:.1} M events/s  {left:.0} s left",
        "#".repeat(full),
        "-".repeat(BAR - full),
        share * 100.0,
        rate / 1e6
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_backtest::run::Progress;
    use ctos_types::UnixNanos;

    #[test]
    fn the_line_says_how_far_how_fast_and_how_long() {
        let progress = Progress { events: 5_000_000, at: UnixNanos(50), start: UnixNanos(0) };
        let status = Status { progress, end: UnixNanos(200), pessimistic: false };
        let line = text(&status, Duration::from_secs(2));
        assert_eq!(line, "backtest [######------------------]  25 %  2.5 M events/s  6 s left");
        let none = Status { progress: Progress { at: UnixNanos(0), events: 0, ..progress }, ..status };
        assert!(text(&none, Duration::ZERO).contains("  0 %"));
    }
}
