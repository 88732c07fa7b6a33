//! Where the twin's market comes from, moved to the twin's own time. Never: decides what happens to an event.

use ctos_types::event::EventKind;
use ctos_types::{EventBuf, InstrumentId, MarkPrice, Nanos, UnixNanos};
use ctos_venue::{MarketSource, SyntheticMarket};
use serde::{Deserialize, Serialize};

/// A market source on the twin's clock. A recording that ends begins again.
pub(crate) struct Feed {
    source: Box<dyn MarketSource>,
    /// Added to the source's times.
    shift: Nanos,
    /// Events that empty every book before a recording begins again.
    restart: Vec<InstrumentId>,
    last: UnixNanos,
    rewinds: bool,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("shift", &self.shift).finish_non_exhaustive()
    }
}

/// Where a feed stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedFeed {
    shift: Nanos,
    restart: Vec<InstrumentId>,
    last: UnixNanos,
    source: serde_json::Value,
}

/// What the feed brings next.
pub(crate) enum Fed {
    Event,
    /// The instrument's book starts anew.
    Reset(InstrumentId),
}

impl Feed {
    /// A synthetic market keeps its own times.
    pub fn synthetic(market: SyntheticMarket) -> Feed {
        Feed { source: Box::new(market), shift: Nanos::ZERO, restart: Vec::new(), last: UnixNanos::MIN, rewinds: false }
    }

    /// A recording whose first event happens at `start`.
    pub fn recorded(mut source: Box<dyn MarketSource>, start: UnixNanos) -> Feed {
        let shift = source.peek().map_or(Nanos::ZERO, |first| start - first);
        Feed { source, shift, restart: Vec::new(), last: start, rewinds: true }
    }

    pub fn save(&self) -> SavedFeed {
        SavedFeed { shift: self.shift, restart: self.restart.clone(), last: self.last, source: self.source.save() }
    }

    /// Goes on where another feed of the same market stood. Errors: it is another market.
    pub fn restore(&mut self, saved: SavedFeed) -> Result<(), String> {
        self.source.restore(&saved.source)?;
        (self.shift, self.restart, self.last) = (saved.shift, saved.restart, saved.last);
        Ok(())
    }

    /// Nothing happens for so long; then it goes on.
    pub fn sleep(&mut self, span: Nanos) {
        self.shift = Nanos(self.shift.0.saturating_add(span.0));
        self.last = self.last.after(span);
    }

    pub fn peek(&mut self) -> Option<UnixNanos> {
        if !self.restart.is_empty() {
            return Some(self.last);
        }
        if let Some(at) = self.source.peek() {
            return Some(at + self.shift);
        }
        self.rewind();
        (!self.restart.is_empty()).then_some(self.last)
    }

    /// Begins the recording again a second after its end.
    fn rewind(&mut self) {
        let fresh = if self.rewinds { self.source.share() } else { None };
        let Some(mut fresh) = fresh else { return };
        let Some(first) = fresh.peek() else { return };
        self.last = self.last.after(Nanos::from_secs(1));
        self.shift = self.last - first;
        self.restart = fresh.instruments().iter().map(|i| i.id).collect();
        self.source = fresh;
    }

    /// The next event in `out`, and when it happens.
    pub fn next(&mut self, out: &mut EventBuf) -> Option<(UnixNanos, Fed)> {
        self.peek()?;
        if let Some(id) = self.restart.pop() {
            return Some((self.last, Fed::Reset(id)));
        }
        let at = self.source.next(out)?.venue + self.shift;
        self.last = self.last.max(at);
        if let EventKind::Mark { mark, .. } = &mut out.kind {
            *mark = MarkPrice { next_funding: mark.next_funding + self.shift, ..*mark };
        }
        Some((at, Fed::Event))
    }
}
