//! A recorded run re-stepped: identical with what recorded it, and where it parts with anything else.

use crate::support::{TestHome, is_identical, run};
use ctos_runtime::runs;
use ctos_strategies::{Args, Catalog, Program};
use std::sync::LazyLock;

/// The same strategy, changed: it places its levels a little further away.
static CHANGED: LazyLock<[Program; 1]> = LazyLock::new(|| {
    let info = *Catalog::BUILT_IN.info("grid").unwrap();
    let build = |args: &Args<'_>| {
        let mut params = args.given().clone();
        params.insert("spacing".into(), "0.006".into());
        Catalog::BUILT_IN.build("grid", &params, args.instruments, args.defaults)
    };
    [Program { info, build }]
});

#[test]
fn the_same_strategy_is_identical_and_a_changed_one_parts_at_its_first_order() {
    let home = TestHome::new();
    let summary = run(&home, &[("journal.snapshot_every", "100000")]);
    assert!(summary.fills > 5);
    let id = home.latest().id;
    let same = runs::replay(&home.read(), &id, Catalog::BUILT_IN).unwrap();
    assert!(same.identical && same.divergence.is_none());
    assert_eq!(same.command_hash, summary.command_hash);
    assert_eq!((same.from_seq, same.inputs), (0, summary.events_in));
    assert!(same.commands > 0);

    let other = runs::replay(&home.read(), &id, Catalog::with(&*CHANGED)).unwrap();
    assert!(!other.identical);
    let parting = other.divergence.unwrap();
    // The grid places its orders at the first quote: that event is the cause.
    assert!(parting.event.contains("Quote") || parting.event.contains("Depth"), "{parting:?}");
    assert!(parting.recorded.contains("Place") && parting.recorded != parting.replayed, "{parting:?}");
    assert_eq!(parting.seq + 1, other.inputs);
}

#[test]
fn a_run_whose_beginning_was_let_go_of_is_replayed_from_its_oldest_snapshot() {
    let home = TestHome::new();
    let summary = run(&home, &[("journal.snapshot_every", "100"), ("journal.keep_snapshots", "2")]);
    let report = runs::replay(&home.read(), &home.latest().id, Catalog::BUILT_IN).unwrap();
    assert!(report.identical && report.from_seq > 0 && report.inputs < summary.events_in, "{report:?}");
    assert!(is_identical(&home));
}
