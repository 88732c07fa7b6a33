//! Lines that strategies plot, in a bounded number of points.
//! Never: averages: what is kept was plotted as it stands.

use crate::log::PlotLine;
use ctos_types::{InstrumentId, StrategyId, UnixNanos};
use std::borrow::Cow;

/// Lines a run may have; more are not followed.
const MOST_LINES: usize = 256;

/// Every `stride`-th point of a line. The stride doubles when there are more points than may be.
#[derive(Debug)]
struct Thinned {
    line: PlotLine,
    stride: u64,
    seen: u64,
}

#[derive(Debug, Default)]
pub(super) struct Plots {
    lines: Vec<Thinned>,
}

impl Plots {
    /// A point of a line, at most `most` of which are kept.
    pub fn push(
        &mut self,
        (strategy, instrument, name): (StrategyId, InstrumentId, &'static str),
        point: (UnixNanos, f64),
        most: usize,
    ) {
        let same = |t: &Thinned| (t.line.strategy, t.line.instrument) == (strategy, instrument) && t.line.name == name;
        let at = match self.lines.iter().position(same) {
            Some(at) => at,
            None if self.lines.len() < MOST_LINES && most > 0 => {
                let line = PlotLine { strategy, instrument, name: Cow::Borrowed(name), points: Vec::new() };
                self.lines.push(Thinned { line, stride: 1, seen: 0 });
                self.lines.len() - 1
            }
            None => return,
        };
        let Thinned { line, stride, seen } = &mut self.lines[at];
        if seen.is_multiple_of(*stride) {
            line.points.push(point);
            if line.points.len() > most {
                let mut number = 0;
                line.points.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                *stride *= 2;
            }
        }
        *seen += 1;
    }

    pub fn into_lines(self) -> Vec<PlotLine> {
        self.lines.into_iter().map(|t| t.line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_thinned_evenly() {
        let mut plots = Plots::default();
        for n in 0..1_000 {
            plots.push((StrategyId(0), InstrumentId(0), "fast"), (UnixNanos(n), n as f64), 100);
            plots.push((StrategyId(0), InstrumentId(1), "fast"), (UnixNanos(n), 0.0), 2_000);
        }
        let lines = plots.into_lines();
        assert_eq!((lines.len(), lines[1].points.len()), (2, 1_000));
        let steps: Vec<i64> = lines[0].points.windows(2).map(|w| w[1].0.0 - w[0].0.0).collect();
        assert!(lines[0].points.len() > 50 && lines[0].points.len() <= 100);
        assert!(steps.iter().all(|s| *s == steps[0]), "{steps:?}");
    }
}
