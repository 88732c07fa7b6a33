//! The deepest falls of worth: from which high, to which low, and when that high was reached again.
//! Never: mistakes coarse buckets for the samples in them; depths are exact, times are those of buckets.

use super::pack::millis;
use crate::log::{EquityLine, EquityPoint};
use ctos_types::UnixNanos;
use serde::Serialize;

/// One fall. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fall {
    /// Share of the high, 0 to 1.
    pub depth: f64,
    pub peak: i64,
    pub trough: i64,
    /// `None`: the high was not reached again.
    pub recovered: Option<i64>,
}

/// The `most` deepest falls, deepest first.
pub fn deepest(line: &EquityLine, most: usize) -> Vec<Fall> {
    let Some(first) = line.points.first() else {
        return Vec::new();
    };
    let mut walk = Walk { peak: first.open.to_f64(), peak_at: first.at, open: None, done: Vec::new() };
    line.points.iter().for_each(|p| walk.bucket(p));
    walk.done.extend(walk.open);
    walk.done.sort_by(|a, b| b.depth.total_cmp(&a.depth).then(a.peak.cmp(&b.peak)));
    walk.done.truncate(most);
    walk.done
}

struct Walk {
    peak: f64,
    peak_at: UnixNanos,
    open: Option<Fall>,
    done: Vec<Fall>,
}

impl Walk {
    fn bucket(&mut self, p: &EquityPoint) {
        let (high, low) = (p.high.to_f64(), p.low.to_f64());
        let was_open = self.open.is_some();
        if self.peak > 0.0 {
            self.fall((self.peak - low) / self.peak, p.at);
        }
        if high > self.peak || (high >= self.peak && was_open) {
            if let Some(fall) = self.open.take() {
                self.done.push(Fall { recovered: Some(millis(p.at)), ..fall });
            }
            (self.peak, self.peak_at) = (high, p.at);
        } else if high >= self.peak {
            // It only touches the high, so it began there: the last moment at the high, and no end of its own fall.
            self.peak_at = p.at;
            self.open = self.open.map(|fall| Fall { peak: millis(p.at), ..fall });
        }
        self.fall(p.fall_ratio, p.at);
    }

    fn fall(&mut self, depth: f64, at: UnixNanos) {
        if depth <= 0.0 {
            return;
        }
        let new = Fall { depth: 0.0, peak: millis(self.peak_at), trough: 0, recovered: None };
        let fall = self.open.get_or_insert(new);
        if depth > fall.depth {
            (fall.depth, fall.trough) = (depth, millis(at));
        }
    }
}
