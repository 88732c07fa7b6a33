//! From when to when each instrument of a market has prices: what is listed or delisted on the way.
//! Never: guesses why prices end. A recording that stopped looks like a delisting.

use ctos_data::{Extent, Kind};
use ctos_types::{EventKind, InstrumentId, Instruments, Nanos, UnixNanos};
use ctos_venue::SourceTimes;

/// Silence up to here at either end is nothing unusual where there are no bars.
const QUIET: Nanos = Nanos::from_secs(60);

/// When an instrument has prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// A bar begins at its open and ends at its close.
    pub first: UnixNanos,
    pub last: UnixNanos,
    /// Silence up to here, its bar's length or a minute, does not count as missing.
    pub quiet: Nanos,
}

impl Life {
    /// How much later than `from` prices begin; `None`: not worth telling.
    pub fn late(&self, from: UnixNanos) -> Option<Nanos> {
        self.long(self.first.0.saturating_sub(from.0))
    }

    /// How long before `to` prices end; `None`: not worth telling.
    pub fn early(&self, to: UnixNanos) -> Option<Nanos> {
        self.long(to.0.saturating_sub(self.last.0))
    }

    fn long(&self, span: i64) -> Option<Nanos> {
        (span > self.quiet.0).then_some(Nanos(span))
    }

    /// Whether there is a price at all between the two.
    pub fn meets(&self, from: UnixNanos, to: UnixNanos) -> bool {
        self.last >= from && self.first <= to
    }
}

/// The lives of a market's instruments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives(Vec<Option<Life>>);

impl Lives {
    /// `None`: not a single price.
    pub fn get(&self, id: InstrumentId) -> Option<Life> {
        self.0.get(id.index()).copied().flatten()
    }

    /// When the last price of all comes.
    pub fn end(&self) -> Option<UnixNanos> {
        self.0.iter().flatten().map(|l| l.last).max()
    }

    /// Funding, marks and gaps are no prices that anything could trade at.
    pub(super) fn see(&mut self, times: SourceTimes, event: &EventKind) {
        let (id, first, quiet) = match event {
            EventKind::Bar { instrument, bar, .. } => {
                (*instrument, bar.open_time.min(times.venue), bar.interval.as_nanos())
            }
            EventKind::Quote { instrument, .. }
            | EventKind::Trade { instrument, .. }
            | EventKind::Depth { instrument, .. } => (*instrument, times.venue, QUIET),
            _ => return,
        };
        let life = self.of(id, Life { first, last: times.venue, quiet });
        life.first = life.first.min(first);
        life.last = times.venue;
        life.quiet = life.quiet.min(quiet);
    }

    /// What a catalog says of a series, beyond the part of it that was seen.
    pub(super) fn reach(&mut self, id: InstrumentId, extent: &Extent) {
        let quiet = match extent.series.kind {
            Kind::Bars(interval) => interval.as_nanos(),
            Kind::Quotes | Kind::Trades | Kind::Book => QUIET,
            _ => return,
        };
        let (first, last) = match extent.series.kind {
            Kind::Bars(interval) => (interval.start(extent.first), extent.last),
            _ => (extent.first, extent.last),
        };
        let life = self.of(id, Life { first, last, quiet });
        (life.first, life.last) = (life.first.min(first), life.last.max(last));
        life.quiet = life.quiet.min(quiet);
    }

    fn of(&mut self, id: InstrumentId, new: Life) -> &mut Life {
        if id.index() >= self.0.len() {
            self.0.resize(id.index() + 1, None);
        }
        self.0[id.index()].get_or_insert(new)
    }

    /// What is to be told where an instrument's prices do not last from `from` to `to`, one line each.
    pub fn notices(&self, instruments: &Instruments, from: UnixNanos, to: UnixNanos) -> Vec<String> {
        let all = instruments.iter();
        all.flat_map(|i| {
            let (begin, end) = lines(i.symbol.as_str(), self.get(i.id), from, to);
            begin.into_iter().chain(end)
        })
        .collect()
    }
}

/// What is to be told of how one instrument begins and of how it ends.
pub fn lines(symbol: &str, life: Option<Life>, from: UnixNanos, to: UnixNanos) -> (Option<String>, Option<String>) {
    let Some(life) = life.filter(|l| l.meets(from, to)) else {
        return (Some(format!("{symbol}: no prices between {from} and {to}: nothing trades it")), None);
    };
    let begin = life.late(from).map(|span| {
        format!("{symbol}: prices begin at {}, {} after the start: nothing trades it before", life.first, about(span))
    });
    let end = life.early(to).map(|span| {
        format!("{symbol}: prices end at {}, {} before the end: nothing trades it after", life.last, about(span))
    });
    (begin, end)
}

/// A span in its two largest units, the rest cut off: `3d 4h`.
fn about(span: Nanos) -> String {
    let mut rest = span.0 / 1_000_000_000;
    let mut parts = Vec::new();
    for (name, unit) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= unit || !parts.is_empty() {
            if rest >= unit {
                parts.push(format!("{}{name}", rest / unit));
            }
            rest %= unit;
            if parts.len() == 2 || name == "s" {
                break;
            }
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_two_units() {
        let text = |s: i64| about(Nanos::from_secs(s));
        assert_eq!(
            [text(1), text(61), text(3_600), text(90_061), text(86_401), text(7_260)],
            ["1s", "1m 1s", "1h", "1d 1h", "1d 1s", "2h 1m"]
        );
    }

    #[test]
    fn only_what_is_longer_than_its_quiet_is_told() {
        let at = UnixNanos::from_secs;
        let life = Life { first: at(1_000), last: at(2_000), quiet: Nanos::from_secs(60) };
        let told = |from, to| {
            let (begin, end) = lines("x", Some(life), at(from), at(to));
            (begin.is_some(), end.is_some())
        };
        assert_eq!(told(940, 2_060), (false, false));
        assert_eq!(told(939, 2_060), (true, false));
        assert_eq!(told(1_500, 2_061), (false, true));
        let (nothing, _) = lines("x", Some(life), at(2_001), at(9_000));
        assert!(nothing.is_some_and(|t| t.contains("no prices between")));
        assert!(lines("x", None, at(0), at(9)).0.is_some());
    }
}
