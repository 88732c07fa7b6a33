//! Keeps one book in step: orders snapshot and diffs by the product's own rule and says when the chain is broken.
//! Never: holds the book itself, fetches a snapshot, or passes a diff on whose place in the chain is not proven.

use crate::decode::{DepthUpdate, Levels, Snapshot};
use crate::symbols::Product;
use ctos_types::UnixNanos;
use std::collections::VecDeque;

/// Diffs kept while waiting for a snapshot: more than a minute of the fastest stream.
pub const MAX_WAITING_DIFFS: usize = 2_048;
/// Levels kept in those diffs, 16 bytes each.
pub const MAX_WAITING_LEVELS: usize = 1 << 20;

/// What the book's keeper must do, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SyncOut<'a> {
    /// Replace the book.
    Snapshot { snapshot: Snapshot, levels: &'a Levels },
    /// Set each level to its size.
    Diff { diff: DepthUpdate, levels: &'a Levels },
    /// The book is unknown from here to the next `Snapshot`. `ts_event` is that of the diff that showed it.
    Gap { ts_event: UnixNanos },
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncCounts {
    pub snapshots_applied: u64,
    /// Not needed: the chain was whole, or the snapshot was older than the one in use.
    pub snapshots_unused: u64,
    /// The diffs behind it do not reach back to it: another one is needed.
    pub snapshots_too_old: u64,
    pub diffs_applied: u64,
    /// Diffs that a snapshot already contained, or (spot) that were repeated: normal.
    pub diffs_old: u64,
    /// Diffs that could not be used: no snapshot came, or the waiting room was full.
    pub diffs_dropped: u64,
    /// Times the chain broke after the book had been valid.
    pub gaps: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No usable snapshot: diffs wait.
    Waiting,
    /// The snapshot with this id is in the book, and the first diff behind it has not come.
    Bridging(u64),
    /// The diff that ended in this id is in the book.
    Live(u64),
}

/// What a diff is to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Next,
    Old,
    Gap,
}

/// The synchronisation of one instrument's book. Feed it every diff and every snapshot, in the order received.
///
/// Spot: first diff after a snapshot with id `L` has `U <= L+1 <= u`, every other `U <= previous u + 1`; diffs that end
/// at or before the book's id are ignored. USD-M: first diff has `U <= L <= u`, every other `pu == previous u`.
/// On USD-M a snapshot id may also fall between two diffs; then `pu <= L < U` proves that nothing is missing, and such
/// a diff is taken although the documentation does not speak of it.
#[derive(Clone, Debug)]
pub struct BookSync {
    product: Product,
    state: State,
    waiting: VecDeque<(DepthUpdate, Levels)>,
    waiting_levels: usize,
    counts: SyncCounts,
}

impl BookSync {
    /// Without a book: diffs wait for the first snapshot.
    pub fn new(product: Product) -> BookSync {
        BookSync {
            product,
            state: State::Waiting,
            waiting: VecDeque::new(),
            waiting_levels: 0,
            counts: SyncCounts::default(),
        }
    }

    /// Whether the book is exact: a snapshot is in it and the chain behind it is whole.
    pub fn is_valid(&self) -> bool {
        self.state != State::Waiting
    }

    /// The update id the book stands at; `None` while it is unknown.
    pub fn update_id(&self) -> Option<u64> {
        match self.state {
            State::Waiting => None,
            State::Bridging(id) | State::Live(id) => Some(id),
        }
    }

    /// Counts so far. Diffs still waiting for a snapshot are in none of them, see [`BookSync::waiting`].
    pub fn counts(&self) -> SyncCounts {
        self.counts
    }

    /// Diffs that wait for a snapshot.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the next diff received. Applied, ignored, kept for a snapshot, or the end of the chain.
    pub fn on_diff(&mut self, diff: &DepthUpdate, levels: &Levels, out: &mut impl FnMut(SyncOut<'_>)) {
        match self.fit(self.state, diff) {
            None => self.wait(diff, levels),
            Some(Fit::Next) => self.apply(diff, levels, out),
            Some(Fit::Old) => self.counts.diffs_old += 1,
            Some(Fit::Gap) => {
                self.state = State::Waiting;
                self.counts.gaps += 1;
                out(SyncOut::Gap { ts_event: diff.ts_event() });
                self.wait(diff, levels);
            }
        }
    }

    /// Takes a snapshot, and with it the waiting diffs behind it. Ignored while the chain is whole, refused where the
    /// waiting diffs do not reach back to it.
    pub fn on_snapshot(&mut self, snapshot: &Snapshot, levels: &Levels, out: &mut impl FnMut(SyncOut<'_>)) {
        let id = snapshot.last_update_id;
        let needed = match self.state {
            State::Waiting => true,
            State::Bridging(have) => id > have,
            State::Live(_) => false,
        };
        if !needed {
            self.counts.snapshots_unused += 1;
            return;
        }
        // The first waiting diff that the snapshot does not contain must join it. If it cannot, the snapshot is too
        // old, the diffs stay for a younger one, and nobody has been shown a book that cannot be continued.
        let bridge = State::Bridging(id);
        let old = self.waiting.iter().take_while(|(diff, _)| self.fit(bridge, diff) == Some(Fit::Old)).count();
        if self.waiting.get(old).is_some_and(|(diff, _)| self.fit(bridge, diff) == Some(Fit::Gap)) {
            self.counts.snapshots_too_old += 1;
            return;
        }
        self.state = bridge;
        self.counts.snapshots_applied += 1;
        self.counts.diffs_old += old as u64;
        out(SyncOut::Snapshot { snapshot: *snapshot, levels });
        let mut waiting = std::mem::take(&mut self.waiting);
        self.waiting_levels = 0;
        for (diff, levels) in waiting.drain(old..) {
            self.on_diff(&diff, &levels, out);
        }
    }

    /// Forgets the chain, as after a reconnect: the book is unknown until the next snapshot.
    pub fn reset(&mut self, at: UnixNanos, out: &mut impl FnMut(SyncOut<'_>)) {
        self.counts.diffs_dropped += self.waiting.len() as u64;
        self.waiting.clear();
        self.waiting_levels = 0;
        if self.is_valid() {
            self.state = State::Waiting;
            self.counts.gaps += 1;
            out(SyncOut::Gap { ts_event: at });
        }
    }

    /// How `diff` joins a book in `state`; `None` where there is no book.
    fn fit(&self, state: State, diff: &DepthUpdate) -> Option<Fit> {
        let DepthUpdate { first, last, prev, .. } = *diff;
        let fit = |next, old| {
            Some(if old {
                Fit::Old
            } else if next {
                Fit::Next
            } else {
                Fit::Gap
            })
        };
        if last < first {
            // No such diff exists: whatever it is, it proves nothing.
            return (state != State::Waiting).then_some(Fit::Gap);
        }
        match (self.product, state) {
            (_, State::Waiting) => None,
            (Product::Spot, State::Bridging(id) | State::Live(id)) => fit(first <= id.saturating_add(1), last <= id),
            (Product::UsdM, State::Bridging(id)) => {
                let joins = first <= id || prev.is_some_and(|p| p <= id);
                fit(joins, last < id)
            }
            // A repeated diff breaks the rule too: the stream is not what it should be.
            (Product::UsdM, State::Live(id)) => fit(prev == Some(id), false),
        }
    }

    fn apply(&mut self, diff: &DepthUpdate, levels: &Levels, out: &mut impl FnMut(SyncOut<'_>)) {
        self.state = State::Live(diff.last);
        self.counts.diffs_applied += 1;
        out(SyncOut::Diff { diff: *diff, levels });
    }

    /// Keeps a diff for the snapshot to come; the oldest goes when there is no room.
    fn wait(&mut self, diff: &DepthUpdate, levels: &Levels) {
        if diff.last < diff.first {
            // It fits nowhere, so it must not stand between a snapshot and the diffs behind it.
            self.counts.diffs_dropped += 1;
            return;
        }
        self.waiting_levels += size(levels);
        self.waiting.push_back((*diff, levels.clone()));
        while self.waiting.len() > MAX_WAITING_DIFFS || self.waiting_levels > MAX_WAITING_LEVELS {
            let Some((_, dropped)) = self.waiting.pop_front() else { break };
            self.waiting_levels -= size(&dropped);
            self.counts.diffs_dropped += 1;
        }
    }
}

fn size(levels: &Levels) -> usize {
    levels.bids.len() + levels.asks.len()
}

#[cfg(test)]
mod tests;
