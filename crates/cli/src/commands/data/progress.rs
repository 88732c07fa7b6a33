//! One line on a terminal's stderr: how far an import is, how fast, and how long it will take.
//! Never: writes where nobody looks, or slows the work down.

use crate::args::Global;
use ctos_data::ingest::{Progress, Stage};
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::time::{Duration, Instant};

const BETWEEN: Duration = Duration::from_millis(200);

/// The line. Empty unless stderr is a terminal.
pub struct Line {
    shown: bool,
    name: String,
    stage: Option<Stage>,
    started: Instant,
    last: Option<Instant>,
}

impl Line {
    pub fn new(global: &Global, path: &Path, number: usize, of: usize) -> Line {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Line::plain(global, &if of > 1 { format!("{name} ({number} of {of})") } else { name })
    }

    pub fn plain(global: &Global, name: &str) -> Line {
        let shown = global.quiet == 0 && stderr().is_terminal();
        Line { shown, name: name.into(), stage: None, started: Instant::now(), last: None }
    }

    pub fn show(&mut self, p: &Progress) {
        if self.stage != Some(p.stage) {
            (self.stage, self.started, self.last) = (Some(p.stage), Instant::now(), None);
        }
        if self.due() {
            self.write(&text(p, self.started.elapsed().as_secs_f64()));
        }
    }

    pub fn bytes(&mut self, bytes: u64) {
        if self.due() {
            self.write(&format!("{} MB", bytes / 1_000_000));
        }
    }

    /// A part of a whole, in whatever unit, and the rows so far.
    pub fn part(&mut self, done: f64, total: f64, rows: u64) {
        if self.due() {
            self.write(&portion(done, total, rows, self.started.elapsed().as_secs_f64()));
        }
    }

    fn due(&mut self) -> bool {
        let due = self.shown && self.last.is_none_or(|last| last.elapsed() >= BETWEEN);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }

    fn write(&self, text: &str) {
        // Nobody is left to tell when stderr is gone.
        let _ = write!(stderr(), "\r\x1b[2K{}: {text}", self.name);
        let _ = stderr().flush();
    }

    pub fn clear(&mut self) {
        if self.shown && self.last.is_some() {
            let _ = write!(stderr(), "\r\x1b[2K");
            let _ = stderr().flush();
        }
    }
}

fn text(p: &Progress, seconds: f64) -> String {
    let percent = 100.0 * p.bytes as f64 / p.total.max(1) as f64;
    let rate = p.bytes as f64 / seconds.max(0.001);
    let left = (p.total.saturating_sub(p.bytes)) as f64 / rate.max(1.0);
    let left = format!("{}:{:02} left", left as u64 / 60, left as u64 % 60);
    match p.stage {
        Stage::Checksum => format!("checksum {percent:.0} %, {:.0} MB/s, {left}", rate / 1e6),
        Stage::Reading => {
            let rows = p.rows as f64 / seconds.max(0.001);
            format!("{percent:.0} %, {} rows, {:.1} MB/s, {:.0} rows/s, {left}", p.rows, rate / 1e6, rows)
        }
        Stage::Writing => format!("writing {} of {} days", p.bytes, p.total),
    }
}

fn portion(done: f64, total: f64, rows: u64, seconds: f64) -> String {
    let share = (done / total.max(1.0)).clamp(0.0, 1.0);
    let speed = format!("{:.0} %, {rows} rows, {:.0} rows/s", 100.0 * share, rows as f64 / seconds.max(0.001));
    if share < 0.001 {
        return speed;
    }
    let left = (seconds / share - seconds) as u64;
    let hours = if left >= 3_600 { format!("{}:{:02}", left / 3_600, left / 60 % 60) } else { (left / 60).to_string() };
    format!("{speed}, {hours}:{:02} left", left % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_and_time_left() {
        assert_eq!(portion(25.0, 100.0, 5_000, 10.0), "25 %, 5000 rows, 500 rows/s, 0:30 left");
        assert_eq!(portion(1.0, 1_000.0, 10, 10.0), "0 %, 10 rows, 1 rows/s, 2:46:30 left");
        assert_eq!(portion(0.0, 0.0, 0, 0.0), "0 %, 0 rows, 0 rows/s");
    }

    #[test]
    fn rates_and_time_left() {
        let p = Progress { stage: Stage::Reading, bytes: 25_000_000, total: 100_000_000, rows: 500_000 };
        assert_eq!(text(&p, 2.0), "25 %, 500000 rows, 12.5 MB/s, 250000 rows/s, 0:06 left");
        let p = Progress { stage: Stage::Writing, bytes: 3, total: 31, rows: 0 };
        assert_eq!(text(&p, 2.0), "writing 3 of 31 days");
        let p = Progress { stage: Stage::Checksum, bytes: 0, total: 0, rows: 0 };
        assert!(text(&p, 0.0).starts_with("checksum 0 %"));
    }
}
