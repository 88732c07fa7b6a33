//! Where a simulated venue's market comes from: a tape of recorded data, or the synthetic market.

use ctos_types::{EventBuf, Instruments, UnixNanos};

/// When one market event happens at the simulated venue, and when we receive it without added feed latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceTimes {
    /// When the event changes the venue's own book, on our clock. Never decreases from event to event.
    pub venue: UnixNanos,
    /// When the event reaches us: never before `venue`. A recording knows it; a synthetic market says `venue`.
    pub recv: UnixNanos,
}

/// A deterministic stream of market events in venue-time order.
///
/// Contract: `peek` gives the venue time of what `next` will return; both `None` when the data has run out.
pub trait MarketSource: Send {
    fn instruments(&self) -> &Instruments;

    fn peek(&mut self) -> Option<UnixNanos>;

    /// Writes the next event into `out` (a `Market` event or changed `Rules`, its level storage reused) and says when it
    /// happens.
    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes>;

    /// Digest of everything handed out so far (recordings: of the source itself). Part of a run's `input_hash`.
    fn digest(&self) -> [u8; 32];

    /// The same market from its beginning, sharing what is loaded; `None` where it can only be opened anew.
    fn share(&self) -> Option<Box<dyn MarketSource>> {
        None
    }

    /// State from which `restore` goes on with the very next event.
    fn save(&self) -> serde_json::Value;

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String>;
}
