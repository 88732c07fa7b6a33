//! How far a sweep is, on stderr: one line that is drawn over on a terminal, a log line now and then elsewhere.
//! Never: writes to stdout, or holds a trial up.

use ctos_backtest::sweep::objective::Scoring;
use ctos_backtest::sweep::schedule::{Status, Sweep};
use ctos_backtest::sweep::space::{Space, label};
use ctos_backtest::sweep::verdict::figure;
use std::io::{IsTerminal, Write, stderr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Real time between two pictures, and between two log lines.
const DRAW_EVERY: Duration = Duration::from_millis(150);
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Longest line, so that it is drawn over and never wraps.
const WIDTH: usize = 100;

pub struct Line {
    space: Arc<Space>,
    scoring: Scoring,
    screen: bool,
    quiet: bool,
    /// When the next one is due, and the highest count shown.
    next: Mutex<(Instant, u64)>,
}

impl Line {
    pub fn new(sweep: &Sweep, quiet: bool) -> Line {
        let screen = stderr().is_terminal();
        let first = Instant::now() + if screen { Duration::ZERO } else { LOG_EVERY };
        Line { space: sweep.space.clone(), scoring: sweep.scoring, screen, quiet, next: Mutex::new((first, 0)) }
    }

    /// May come from several threads, and late: an older picture never follows a newer one.
    pub fn show(&self, status: &Status) {
        let mut next = self.next.lock().unwrap_or_else(|poison| poison.into_inner());
        let now = Instant::now();
        let last = status.done == status.total;
        if self.quiet || status.done < next.1 || (now < next.0 && !(last && self.screen)) {
            return;
        }
        *next = (now + if self.screen { DRAW_EVERY } else { LOG_EVERY }, status.done);
        let text = self.text(status);
        if self.screen {
            let cut: String = text.chars().take(WIDTH).collect();
            // Nobody is left to tell when stderr is gone.
            let _ = write!(stderr(), "\r{cut:<WIDTH$}");
        } else {
            tracing::info!("{text}");
        }
    }

    /// Leaves a clean line behind.
    pub fn end(&self) {
        if self.screen && !self.quiet {
            let _ = write!(stderr(), "\r{:<WIDTH$}\r", "");
        }
    }

    fn text(&self, status: &Status) -> String {
        let mut text = format!("{} of {} trials", status.done, status.total);
        if status.kept > 0 {
            text += &format!(" ({} kept)", status.kept);
        }
        if let Some(eta) = status.eta.filter(|_| status.done < status.total) {
            text += &format!(", {} left", short(eta));
        }
        if let Some((point, score)) = &status.best {
            let objective = self.scoring.objective;
            let shown = figure(objective, self.scoring.shown(*score));
            text += &format!(", best {} {shown} ({})", objective.name(), label(&self.space, point));
        }
        text
    }
}

/// `1h05m`, `3m20s`, `7s`.
pub fn short(span: Duration) -> String {
    let s = span.as_secs_f64().ceil() as u64;
    match (s / 3_600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
