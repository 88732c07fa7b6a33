//! The SQLite store is a projection: rebuilt from the journal it is the same, damaged it is replaced, locked it waits.

use crate::support::{TestHome, refused, run, settings, start};
use ctos_kernel::ProcessState;
use ctos_runtime::record;
use ctos_runtime::view::ProcessView;
use ctos_runtime::world::Catalog;
use ctos_storage::home::Home;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::time::{Duration, Instant};

/// `meta` is left out: how far the store has come says nothing where nothing came after.
const TABLES: [&str; 8] = ["runs", "orders", "fills", "positions", "balances", "equity", "events", "strategies"];

/// Every row of every table.
fn dump(home: &TestHome) -> Vec<(&'static str, Vec<Vec<Value>>)> {
    let db = Connection::open(home.read().projection_path()).unwrap();
    let rows = |table: &str| -> Vec<Vec<Value>> {
        let mut all = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let n = all.column_count();
        let row = |r: &rusqlite::Row| (0..n).map(|i| r.get(i)).collect::<Result<Vec<Value>, _>>();
        // Tables without row ids come in the order of their keys.
        all.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    TABLES.map(|table| (table, rows(table))).into()
}

fn fills(db: &Connection, run_id: &str) -> u64 {
    let count: i64 = db.query_row("SELECT count(*) FROM fills WHERE run_id = ?1", [run_id], |row| row.get(0)).unwrap();
    count as u64
}

fn rebuild(home: &TestHome) {
    let home = Home::open(&home.path()).unwrap();
    record::rebuild(&home, Catalog::BUILT_IN).unwrap();
}

#[track_caller]
fn same(live: &[(&str, Vec<Vec<Value>>)], now: &[(&str, Vec<Vec<Value>>)]) {
    for ((table, live), (_, now)) in live.iter().zip(now) {
        assert!(!live.is_empty(), "{table} is empty: nothing is proven");
        for (live, now) in live.iter().zip(now) {
            assert_eq!(live, now, "{table}");
        }
        assert_eq!(live.len(), now.len(), "{table}");
    }
}

#[test]
fn rebuilt_from_the_journal_it_is_the_same() {
    let home = TestHome::new();
    let summary = run(&home, &[]);
    let live = dump(&home);
    assert_eq!(live.iter().find(|(t, _)| *t == "fills").unwrap().1.len() as u64, summary.fills);
    rebuild(&home);
    same(&live, &dump(&home));
    std::fs::remove_file(home.read().projection_path()).unwrap();
    rebuild(&home);
    same(&live, &dump(&home));
}

#[test]
fn rebuilding_keeps_what_the_journal_no_longer_has() {
    let home = TestHome::new();
    run(&home, &[("journal.snapshot_every", "100"), ("journal.keep_snapshots", "2")]);
    let live = dump(&home);
    rebuild(&home);
    same(&live, &dump(&home));
}

#[test]
fn a_damaged_store_is_moved_aside() {
    let home = TestHome::new();
    let first = run(&home, &[]);
    let path = home.read().projection_path();
    std::fs::write(&path, b"this is not a database, and never was one; it only has its name").unwrap();
    let second = run(&home, &[("seed", "2")]);
    assert!(path.with_extension("damaged").exists());
    let db = || Connection::open(&path).unwrap();
    let fills = |run_id: &str| fills(&db(), run_id);
    assert_eq!((fills(&first.run_id), fills(&second.run_id)), (0, second.fills));
    rebuild(&home);
    assert_eq!((fills(&first.run_id), fills(&second.run_id)), (first.fills, second.fills));
}

#[test]
fn a_locked_store_does_not_stop_the_run() {
    let home = TestHome::new();
    run(&home, &[]);
    let locked = Connection::open(home.read().projection_path()).unwrap();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = Instant::now();
    let instance = start(settings(&home.path(), &[("seed", "2")])).unwrap();
    // Trading comes to its end under the lock; only the recorder waits. It has given up once when the lock goes.
    let stopped = |p: &ProcessView| p.state == ProcessState::Stopped;
    let ended = || instance.handle.view.latest().is_some_and(|v| v.processes.iter().all(stopped));
    while !ended() || begun.elapsed() < Duration::from_millis(5_300) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the run does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    locked.execute_batch("ROLLBACK").unwrap();
    let summary = instance.join().unwrap();
    assert_eq!(fills(&locked, &summary.run_id), summary.fills);
    let status: String =
        locked.query_row("SELECT status FROM runs WHERE run_id = ?1", [&summary.run_id], |row| row.get(0)).unwrap();
    assert_eq!(status, "finished");
}

#[test]
fn a_store_of_a_newer_program_is_left_alone() {
    let home = TestHome::new();
    run(&home, &[]);
    let path = home.read().projection_path();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    let error = refused(start(settings(&home.path(), &[])));
    assert!(error.message.contains("newer"), "{error:?}");
}
