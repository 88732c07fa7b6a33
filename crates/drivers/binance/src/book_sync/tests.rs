use super::*;
use crate::decode::Levels;
use ctos_types::{InstrumentId, Level, Price, Qty};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn diff(first: u64, last: u64, prev: Option<u64>) -> DepthUpdate {
    DepthUpdate { instrument: InstrumentId(0), first, last, prev, ts_sent: UnixNanos(last as i64), ts_engine: None }
}

fn snap(id: u64) -> Snapshot {
    Snapshot { instrument: InstrumentId(0), last_update_id: id, ts_sent: None, ts_event: None }
}

/// Feeds `S id` and `D first last prev` and tells what came out, in the same words.
fn run(product: Product, input: &[&str]) -> (Vec<String>, BookSync) {
    let mut sync = BookSync::new(product);
    let mut seen = Vec::new();
    for line in input {
        let n: Vec<u64> = line[1..].split_whitespace().map(|w| w.parse().unwrap()).collect();
        let mut out = |o: SyncOut<'_>| {
            seen.push(match o {
                SyncOut::Snapshot { snapshot, .. } => format!("S {}", snapshot.last_update_id),
                SyncOut::Diff { diff, .. } => format!("D {}", diff.last),
                SyncOut::Gap { ts_event } => format!("gap at {}", ts_event.0),
            });
        };
        match line.as_bytes()[0] {
            b'S' => sync.on_snapshot(&snap(n[0]), &Levels::default(), &mut out),
            _ => sync.on_diff(&diff(n[0], n[1], n.get(2).copied()), &Levels::default(), &mut out),
        }
    }
    (seen, sync)
}

#[track_caller]
fn check(product: Product, input: &[&str], want: &[&str]) -> SyncCounts {
    let (seen, sync) = run(product, input);
    assert_eq!(seen, want);
    sync.counts()
}

const UM: Product = Product::UsdM;
const SPOT: Product = Product::Spot;

#[test]
fn usdm_bridges_by_rule() {
    // U <= L <= u, both ends included.
    check(UM, &["D 10 19 8", "D 25 30 19", "S 27", "D 33 40 30"], &["S 27", "D 30", "D 40"]);
    check(UM, &["S 27", "D 10 19 8", "D 25 30 19", "D 33 40 30"], &["S 27", "D 30", "D 40"]);
    check(UM, &["S 25", "D 25 30 19"], &["S 25", "D 30"]);
    let c = check(UM, &["D 10 19 8", "S 30", "D 25 30 19", "D 33 40 30"], &["S 30", "D 30", "D 40"]);
    assert_eq!((c.diffs_old, c.diffs_applied, c.gaps, c.diffs_dropped), (1, 2, 0, 0));
}

#[test]
fn usdm_snapshot_between_two_diffs_is_safe_by_the_previous_id() {
    check(UM, &["D 10 19 8", "S 22", "D 25 30 19"], &["S 22", "D 30"]);
    check(UM, &["D 10 19 8", "D 25 30 19", "S 22"], &["S 22", "D 30"]);
    // The diff before was lost: nothing is proven.
    let c = check(UM, &["D 10 19 8", "S 22", "D 28 30 24"], &["S 22", "gap at 30"]);
    assert_eq!((c.gaps, c.diffs_old), (1, 1));
}

#[test]
fn usdm_chain_breaks_show_at_once() {
    let start = ["S 10", "D 5 12 4", "D 15 20 12"];
    let with = |rest: &[&'static str]| [&start[..], rest].concat();
    // Dropped, doubled, reordered.
    check(UM, &with(&["D 35 40 30"]), &["S 10", "D 12", "D 20", "gap at 40"]);
    check(UM, &with(&["D 15 20 12"]), &["S 10", "D 12", "D 20", "gap at 20"]);
    check(UM, &with(&["D 35 40 30", "D 25 30 20"]), &["S 10", "D 12", "D 20", "gap at 40"]);
    // U == previous u + 1 is not the rule here, and a diff without pu proves nothing.
    check(UM, &with(&["D 21 30 19"]), &["S 10", "D 12", "D 20", "gap at 30"]);
    check(UM, &with(&["D 21 30"]), &["S 10", "D 12", "D 20", "gap at 30"]);
    // The diffs since the break join the next snapshot.
    let (seen, sync) = run(UM, &with(&["D 35 40 30", "D 45 50 40", "S 42", "D 55 60 50"]));
    assert_eq!(seen, ["S 10", "D 12", "D 20", "gap at 40", "S 42", "D 50", "D 60"]);
    assert_eq!((sync.counts().gaps, sync.is_valid(), sync.update_id()), (1, true, Some(60)));
    let (_, sync) = run(UM, &with(&["D 35 40 30"]));
    assert_eq!((sync.is_valid(), sync.update_id(), sync.waiting()), (false, None, 1));
}

#[test]
fn spot_bridges_by_rule() {
    check(SPOT, &["D 1 5", "D 6 10", "S 7", "D 11 15"], &["S 7", "D 10", "D 15"]);
    check(SPOT, &["S 5", "D 1 5", "D 6 10"], &["S 5", "D 10"]);
    check(SPOT, &["S 7", "D 6 10"], &["S 7", "D 10"]);
    let c = check(SPOT, &["S 10", "D 11 15", "D 11 15", "D 14 18"], &["S 10", "D 15", "D 18"]);
    assert_eq!((c.diffs_old, c.gaps), (1, 0));
    check(SPOT, &["S 10", "D 11 15", "D 17 20"], &["S 10", "D 15", "gap at 20"]);
    check(SPOT, &["S 10", "D 12 15"], &["S 10", "gap at 15"]);
}

#[test]
fn a_snapshot_too_old_is_not_shown_and_the_diffs_wait_for_a_younger_one() {
    let c = check(UM, &["D 25 30 19", "S 15", "D 33 40 30", "S 27"], &["S 27", "D 30", "D 40"]);
    assert_eq!((c.snapshots_too_old, c.snapshots_applied, c.diffs_dropped), (1, 1, 0));
    let c = check(SPOT, &["D 11 15", "S 9", "S 12"], &["S 12", "D 15"]);
    assert_eq!((c.snapshots_too_old, c.snapshots_applied), (1, 1));
}

#[test]
fn snapshots_nobody_needs() {
    let c = check(UM, &["S 10", "S 9", "S 11", "D 5 12 4", "S 12", "D 13 14 12"], &["S 10", "S 11", "D 12", "D 14"]);
    assert_eq!((c.snapshots_applied, c.snapshots_unused), (2, 2));
}

#[test]
fn an_impossible_diff_is_a_gap_and_never_waits() {
    let c = check(SPOT, &["S 10", "D 15 11", "S 20", "D 21 22"], &["S 10", "gap at 11", "S 20", "D 22"]);
    assert_eq!((c.diffs_dropped, c.gaps), (1, 1));
    check(SPOT, &["D 9 3", "S 20", "D 21 22"], &["S 20", "D 22"]);
}

#[test]
fn a_break_among_the_waiting_diffs_shows_when_they_are_used() {
    let (seen, sync) = run(UM, &["D 10 19 8", "D 35 40 30", "S 15"]);
    assert_eq!(seen, ["S 15", "D 19", "gap at 40"]);
    assert_eq!(sync.waiting(), 1);
}

#[test]
fn the_waiting_room_is_bounded() {
    let mut sync = BookSync::new(SPOT);
    let many = MAX_WAITING_DIFFS as u64 + 100;
    for n in 1..=many {
        sync.on_diff(&diff(n, n, None), &Levels::default(), &mut |_| panic!("nothing to tell"));
    }
    assert_eq!((sync.waiting(), sync.counts().diffs_dropped), (MAX_WAITING_DIFFS, 100));
    let mut fat = BookSync::new(SPOT);
    let levels = Levels { bids: vec![Level::default(); MAX_WAITING_LEVELS / 4], asks: Vec::new() };
    for n in 1..=6 {
        fat.on_diff(&diff(n, n, None), &levels, &mut |_| panic!("nothing to tell"));
    }
    assert_eq!((fat.waiting(), fat.counts().diffs_dropped), (4, 2));
}

#[test]
fn reset_forgets() {
    let (mut seen, mut sync) = (Vec::new(), run(UM, &["S 10", "D 5 12 4"]).1);
    sync.reset(UnixNanos(99), &mut |o| seen.push(format!("{o:?}")));
    sync.reset(UnixNanos(99), &mut |o| seen.push(format!("{o:?}")));
    assert_eq!((seen.len(), sync.is_valid(), sync.counts().gaps), (1, false, 1));
}

proptest! {
    /// A venue with a true book; its diffs are lost, doubled and swapped on the way, and snapshots come now and then.
    /// Whenever the machine calls the book valid, it is the venue's book at that update id, level by level.
    #[test]
    fn a_valid_book_is_the_true_book(
        spot in any::<bool>(),
        changes in prop::collection::vec((prop::collection::vec((0i64..8, 0i64..3), 1..4), 0u64..3), 1..60),
        faults in prop::collection::vec((0usize..60, 0u8..3), 0..6),
        snapshots in prop::collection::vec((0usize..60, 0usize..10), 1..6),
    ) {
        let product = if spot { SPOT } else { UM };
        let mut truth = BTreeMap::<i64, i64>::new();
        let mut books = vec![(0u64, truth.clone())]; // after each diff: its last id and the book
        let mut diffs = Vec::new();
        let mut id = 0u64;
        for (levels, hole) in &changes {
            let prev = id;
            // USD-M counts over all symbols, so ids jump; spot is contiguous.
            let first = prev + 1 + if spot { 0 } else { *hole };
            id = first + levels.len() as u64 - 1;
            for (px, qty) in levels {
                if *qty == 0 { truth.remove(px); } else { truth.insert(*px, *qty); }
            }
            books.push((id, truth.clone()));
            let bids = levels.iter().map(|(p, q)| Level { price: Price(*p), qty: Qty(*q) }).collect();
            diffs.push((diff(first, id, (!spot).then_some(prev)), Levels { bids, asks: Vec::new() }));
        }
        let mut wire: Vec<usize> = (0..diffs.len()).collect();
        for (at, kind) in faults {
            let at = at % wire.len();
            match kind {
                0 if wire.len() > 1 => { wire.remove(at); }
                1 => wire.insert(at, wire[at]),
                _ => { let next = (at + 1) % wire.len(); wire.swap(at, next); }
            }
        }
        let mut sync = BookSync::new(product);
        let mut book = BTreeMap::<i64, i64>::new();
        for (n, which) in wire.iter().enumerate() {
            let mut out = |o: SyncOut<'_>| match o {
                SyncOut::Snapshot { levels, .. } => book = levels.bids.iter().map(|l| (l.price.0, l.qty.0)).collect(),
                SyncOut::Diff { levels, .. } => for l in &levels.bids {
                    if l.qty.0 == 0 { book.remove(&l.price.0); } else { book.insert(l.price.0, l.qty.0); }
                },
                SyncOut::Gap { .. } => book.clear(),
            };
            for (_, age) in snapshots.iter().filter(|(at, _)| *at == n) {
                let at = (n + 1).saturating_sub(*age).min(books.len() - 1);
                let bids = books[at].1.iter().map(|(p, q)| Level { price: Price(*p), qty: Qty(*q) }).collect();
                sync.on_snapshot(&snap(books[at].0), &Levels { bids, asks: Vec::new() }, &mut out);
            }
            sync.on_diff(&diffs[*which].0, &diffs[*which].1, &mut out);
            if let Some(id) = sync.update_id() {
                let want = books.iter().find(|(have, _)| *have == id).map(|(_, b)| b);
                prop_assert_eq!(Some(&book), want, "at update id {}", id);
            }
        }
    }
}
