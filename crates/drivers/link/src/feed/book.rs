//! Keeps one book in step: orders snapshot and diffs by the venue's own rule and says when the chain is broken.
//! Never: holds the book itself, fetches a snapshot, or passes a diff on whose place in the chain is not proven.

use ctos_types::{Level, UnixNanos};
use std::collections::VecDeque;
use std::fmt::Debug;

/// Diffs kept while waiting for a snapshot: more than a minute of the fastest stream.
pub const MAX_WAITING_DIFFS: usize = 2_048;
/// Levels kept in those diffs, 16 bytes each.
pub const MAX_WAITING_LEVELS: usize = 1 << 20;

/// Storage for the levels of one frame, reused from frame to frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

impl Levels {
    /// Empties both sides and keeps their storage.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    fn size(&self) -> usize {
        self.bids.len() + self.asks.len()
    }
}

/// What is in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The snapshot with this id, and the first diff behind it has not come.
    Bridging(u64),
    /// The diff that ended in this id.
    Live(u64),
}

/// What a diff is to a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Next,
    /// The book has it already.
    Old,
    /// Something between the book and it is missing.
    Gap,
}

/// A venue's rule for snapshots and diffs.
pub trait Chain: Copy + Debug + Send {
    type Diff: Copy + Debug + Send;
    type Snapshot: Copy + Debug + Send;
    /// How `diff` joins a book.
    fn fit(self, place: Place, diff: &Self::Diff) -> Fit;
    /// Whether such a diff can exist at all.
    fn is_sound(diff: &Self::Diff) -> bool;
    /// The update id that the book stands at behind it.
    fn last(diff: &Self::Diff) -> u64;
    /// When the venue made it.
    fn made(diff: &Self::Diff) -> UnixNanos;
    /// The update id that the snapshot stands at.
    fn id(snapshot: &Self::Snapshot) -> u64;
    /// When the venue made it; `None` where it does not say.
    fn taken(snapshot: &Self::Snapshot) -> Option<UnixNanos>;
}

/// What the book's keeper must do, in this order.
#[derive(Clone, Copy, Debug)]
pub enum SyncOut<'a, C: Chain> {
    /// Replace the book.
    Snapshot { snapshot: C::Snapshot, levels: &'a Levels },
    /// Set each level to its size.
    Diff { diff: C::Diff, levels: &'a Levels },
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
    /// Diffs that a snapshot already contained, or that were repeated where the venue's ids show it: normal.
    pub diffs_old: u64,
    /// Diffs that could not be used: no snapshot came, or the waiting room was full.
    pub diffs_dropped: u64,
    /// Times the chain broke after the book had been valid.
    pub gaps: u64,
}

/// The synchronisation of one instrument's book. Feed it every diff and every snapshot, in the order received.
#[derive(Clone, Debug)]
pub struct BookSync<C: Chain> {
    rule: C,
    /// `None`: no usable snapshot, diffs wait.
    place: Option<Place>,
    waiting: VecDeque<(C::Diff, Levels)>,
    waiting_levels: usize,
    counts: SyncCounts,
}

impl<C: Chain> BookSync<C> {
    /// Without a book: diffs wait for the first snapshot.
    pub fn new(rule: C) -> BookSync<C> {
        BookSync { rule, place: None, waiting: VecDeque::new(), waiting_levels: 0, counts: SyncCounts::default() }
    }

    /// Whether the book is exact: a snapshot is in it and the chain behind it is whole.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.place.is_some()
    }

    /// The update id the book stands at; `None` while it is unknown.
    pub fn update_id(&self) -> Option<u64> {
        self.place.map(|(Place::Bridging(id) | Place::Live(id))| id)
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
    #[inline]
    pub fn on_diff(&mut self, diff: &C::Diff, levels: &Levels, out: &mut impl FnMut(SyncOut<'_, C>)) {
        let Some(place) = self.place else { return self.wait(diff, levels) };
        match self.fit(place, diff) {
            Fit::Next => {
                self.place = Some(Place::Live(C::last(diff)));
                self.counts.diffs_applied += 1;
                out(SyncOut::Diff { diff: *diff, levels });
            }
            Fit::Old => self.counts.diffs_old += 1,
            Fit::Gap => {
                self.place = None;
                self.counts.gaps += 1;
                out(SyncOut::Gap { ts_event: C::made(diff) });
                self.wait(diff, levels);
            }
        }
    }

    /// Takes a snapshot, and with it the waiting diffs behind it. Ignored while the chain is whole, refused where the
    /// waiting diffs do not reach back to it.
    pub fn on_snapshot(&mut self, snapshot: &C::Snapshot, levels: &Levels, out: &mut impl FnMut(SyncOut<'_, C>)) {
        let id = C::id(snapshot);
        let needed = match self.place {
            None => true,
            Some(Place::Bridging(have)) => id > have,
            Some(Place::Live(_)) => false,
        };
        if !needed {
            self.counts.snapshots_unused += 1;
            return;
        }
        // The first waiting diff that the snapshot does not contain must join it. If it cannot, the snapshot is too
        // old, the diffs stay for a younger one, and nobody has been shown a book that cannot be continued.
        let bridge = Place::Bridging(id);
        let old = self.waiting.iter().take_while(|(diff, _)| self.fit(bridge, diff) == Fit::Old).count();
        if self.waiting.get(old).is_some_and(|(diff, _)| self.fit(bridge, diff) == Fit::Gap) {
            self.counts.snapshots_too_old += 1;
            return;
        }
        self.place = Some(bridge);
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
    pub fn reset(&mut self, at: UnixNanos, out: &mut impl FnMut(SyncOut<'_, C>)) {
        self.counts.diffs_dropped += self.waiting.len() as u64;
        self.waiting.clear();
        self.waiting_levels = 0;
        if self.place.take().is_some() {
            self.counts.gaps += 1;
            out(SyncOut::Gap { ts_event: at });
        }
    }

    #[inline]
    fn fit(&self, place: Place, diff: &C::Diff) -> Fit {
        // What cannot exist proves nothing, whatever its ids are.
        if C::is_sound(diff) { self.rule.fit(place, diff) } else { Fit::Gap }
    }

    /// Keeps a diff for the snapshot to come; the oldest goes when there is no room.
    fn wait(&mut self, diff: &C::Diff, levels: &Levels) {
        if !C::is_sound(diff) {
            // It fits nowhere, so it must not stand between a snapshot and the diffs behind it.
            self.counts.diffs_dropped += 1;
            return;
        }
        self.waiting_levels += levels.size();
        self.waiting.push_back((*diff, levels.clone()));
        while self.waiting.len() > MAX_WAITING_DIFFS || self.waiting_levels > MAX_WAITING_LEVELS {
            let Some((_, dropped)) = self.waiting.pop_front() else { break };
            self.waiting_levels -= dropped.size();
            self.counts.diffs_dropped += 1;
        }
    }
}
