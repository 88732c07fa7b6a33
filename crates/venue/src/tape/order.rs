//! Puts entries that came in the order received into the venue's order of time.
//! Never: holds more of them twice than lie between an event and the last one that overtook it.

use super::entry;
use super::words::Words;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A block whose entries are being handed out in order of time.
struct Run {
    block: Box<[u64]>,
    /// Venue time and place of each entry, in the order in which they go.
    order: Vec<(i64, u32)>,
    next: usize,
}

/// Entries in order of `venue_time`; what happened at one time keeps the order in which it came.
///
/// Blocks are sorted one by one and merged. A block is let go once nothing of it is left, and is not looked at before
/// its turn, so disorder that is local, as it is in recordings, costs a block or two of memory.
pub fn by_time(came: Words, venue_time: impl Fn(&[u64]) -> i64) -> Words {
    let earliest = |block: &[u64]| entries(block).map(|(_, e)| venue_time(e)).min().unwrap_or(i64::MAX);
    let least: Vec<i64> = came.blocks.iter().map(|block| earliest(block)).collect();
    // The earliest time in all blocks behind: up to it everything that is at hand can go.
    let mut behind = vec![i64::MAX; least.len()];
    for n in (0..least.len().saturating_sub(1)).rev() {
        behind[n] = behind[n + 1].min(least[n + 1]);
    }
    let mut ordered = Words::default();
    let mut runs: Vec<Option<Run>> = Vec::with_capacity(behind.len());
    let mut heads: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    for (number, (block, limit)) in came.blocks.into_iter().zip(behind).enumerate() {
        let mut order: Vec<(i64, u32)> = entries(&block).map(|(at, e)| (venue_time(e), at as u32)).collect();
        order.sort_by_key(|(time, _)| *time);
        heads.push(Reverse((order[0].0, number)));
        runs.push(Some(Run { block, order, next: 0 }));
        while heads.peek().is_some_and(|Reverse((time, _))| *time <= limit) {
            let Some(Reverse((_, first))) = heads.pop() else { break };
            let until = heads.peek().map_or((limit, usize::MAX), |Reverse(other)| (limit, usize::MAX).min(*other));
            let Some(run) = &mut runs[first] else { continue };
            while let Some((_, at)) = run.order.get(run.next).filter(|(time, _)| (*time, first) <= until) {
                let words = &run.block[*at as usize..];
                ordered.push(&words[..entry::len(words)]);
                run.next += 1;
            }
            match run.order.get(run.next) {
                Some((time, _)) => heads.push(Reverse((*time, first))),
                None => runs[first] = None,
            }
        }
    }
    ordered.seal();
    ordered
}

/// The entries of a block with their places.
fn entries(block: &[u64]) -> impl Iterator<Item = (usize, &[u64])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let words = block.get(at..).filter(|w| !w.is_empty())?;
        let (place, entry) = (at, &words[..entry::len(words)]);
        at += entry.len();
        Some((place, entry))
    })
}
