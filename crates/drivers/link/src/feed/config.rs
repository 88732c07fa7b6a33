//! How patient a feed is, and what it counts.
//! Never: a venue's number.

use crate::backoff::BackoffConfig;
use ctos_types::Nanos;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// How long a snapshot question may wait for room.
    pub snapshot_within: Nanos,
    /// Snapshot questions under way at once.
    pub snapshots_at_once: usize,
    /// Between snapshots of one book that do not hold.
    pub backoff: BackoffConfig,
    /// How often the list of instruments is read again. `None`: only when the venue says that it changed.
    pub listing_every: Option<Nanos>,
    /// For the jitter of back-offs.
    pub seed: u64,
}

impl Default for FeedConfig {
    fn default() -> FeedConfig {
        FeedConfig {
            snapshot_within: Nanos::from_secs(60),
            snapshots_at_once: 4,
            backoff: BackoffConfig {
                first: Nanos::from_millis(250),
                cap: Nanos::from_secs(30),
                good_after: Nanos::from_secs(30),
            },
            listing_every: Some(Nanos::from_secs(1_800)),
            seed: 1,
        }
    }
}

/// What has come so far, and what was wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedCounts {
    pub diffs: u64,
    pub quotes: u64,
    pub trades: u64,
    pub bars: u64,
    pub marks: u64,
    pub liquidations: u64,
    pub snapshots: u64,
    pub funding: u64,
    /// Understood and of no use: answers, open bars.
    pub quiet: u64,
    /// Of instruments that were not asked for.
    pub foreign: u64,
    /// Not understood.
    pub bad: u64,
    pub quotes_old: u64,
    pub trades_repeated: u64,
    /// Trades whose numbers were never seen.
    pub trades_missing: u64,
    pub trades_off_book: u64,
}
