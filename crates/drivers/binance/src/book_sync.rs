//! How snapshot and diffs of a book join, by each product's own rule; the machine is `link::feed`'s.
//! Never: state.

use crate::decode::{DepthUpdate, Snapshot};
use crate::symbols::Product;
use ctos_link::feed::{Chain, Fit, Place};
use ctos_types::UnixNanos;

pub use ctos_link::feed::{MAX_WAITING_DIFFS, MAX_WAITING_LEVELS, SyncCounts};

/// The synchronisation of one instrument's book.
pub type BookSync = ctos_link::feed::BookSync<Product>;
/// What its keeper must do.
pub type SyncOut<'a> = ctos_link::feed::SyncOut<'a, Product>;

/// Spot: first diff after a snapshot with id `L` has `U <= L+1 <= u`, every other `U <= previous u + 1`; diffs that end
/// at or before the book's id are ignored. USD-M: first diff has `U <= L <= u`, every other `pu == previous u`.
/// On USD-M a snapshot id may also fall between two diffs; then `pu <= L < U` proves that nothing is missing, and such
/// a diff is taken although the documentation does not speak of it.
impl Chain for Product {
    type Diff = DepthUpdate;
    type Snapshot = Snapshot;

    #[inline]
    fn fit(self, place: Place, diff: &DepthUpdate) -> Fit {
        let DepthUpdate { first, last, prev, .. } = *diff;
        let fit = |next, old| match (next, old) {
            (_, true) => Fit::Old,
            (true, false) => Fit::Next,
            (false, false) => Fit::Gap,
        };
        match (self, place) {
            (Product::Spot, Place::Bridging(id) | Place::Live(id)) => fit(first <= id.saturating_add(1), last <= id),
            (Product::UsdM, Place::Bridging(id)) => {
                let joins = first <= id || prev.is_some_and(|p| p <= id);
                fit(joins, last < id)
            }
            // A repeated diff breaks the rule too: the stream is not what it should be.
            (Product::UsdM, Place::Live(id)) => fit(prev == Some(id), false),
        }
    }

    #[inline]
    fn is_sound(diff: &DepthUpdate) -> bool {
        diff.first <= diff.last
    }

    #[inline]
    fn last(diff: &DepthUpdate) -> u64 {
        diff.last
    }

    #[inline]
    fn made(diff: &DepthUpdate) -> UnixNanos {
        diff.ts_event()
    }

    fn id(snapshot: &Snapshot) -> u64 {
        snapshot.last_update_id
    }

    fn taken(snapshot: &Snapshot) -> Option<UnixNanos> {
        snapshot.ts_event.or(snapshot.ts_sent)
    }
}

#[cfg(test)]
mod tests;
