use super::*;
use ctos_runtime::config::Layers;
use std::fmt::Write as _;

/// Bars of `minutes` minutes from 2022-01-01 on, and the settings that replay them.
fn bars(dir: &std::path::Path, minutes: i64, skip: std::ops::Range<i64>) -> Settings {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for i in (0..minutes).filter(|i| !skip.contains(i)) {
        let px = 100 + i % 7;
        writeln!(text, "{},{px},{},{},{px},5", 1_640_995_200_000 + i * 60_000, px + 1, px - 1).unwrap();
    }
    let path = dir.join("btc_perp_1m.csv");
    std::fs::write(&path, text).unwrap();
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("replay:{}", path.display()));
    Settings::resolve(&layers).unwrap()
}

fn times(source: &mut dyn MarketSource) -> Vec<i64> {
    let mut buf = EventBuf::default();
    std::iter::from_fn(|| source.next(&mut buf).map(|t| (t.venue.0 - 1_640_995_200_000_000_000) / 60_000_000_000))
        .collect()
}

fn minute(n: i64) -> UnixNanos {
    UnixNanos(1_640_995_200_000_000_000 + n * 60_000_000_000)
}

fn window(from: i64, to: i64) -> Window {
    Window { from: minute(from), to: minute(to) }
}

#[test]
fn each_window_begins_at_its_first_event_less_the_warm_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut market = Shared::open(&bars(dir.path(), 100, 40..60)).unwrap();
    let range = market.range();
    assert_eq!(
        (range.from, range.to),
        (minute(1), minute(100).after(Nanos::from_secs(1))),
        "bars happen when they close"
    );
    market.prepare(&[window(10, 20), window(70, 101)], Nanos::from_secs(180)).unwrap();
    for (begin, first) in [(7, 7), (67, 67), (45, 61), (1, 1), (-5, 1)] {
        let seen = times(&mut *market.source(minute(begin)).unwrap());
        assert_eq!((seen[0], *seen.last().unwrap()), (first, 100), "from minute {begin}");
    }
    assert!(times(&mut *market.source(minute(101)).unwrap()).is_empty());
}

#[test]
fn windows_without_data_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut market = Shared::open(&bars(dir.path(), 100, 40..60)).unwrap();
    for empty in [window(41, 60), window(200, 300), window(-10, 0)] {
        match market.prepare(&[window(1, 10), empty], Nanos::ZERO) {
            Err(RunError::User(e)) => assert!(e.message.starts_with("there is no data from 202"), "{e}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_book_is_read_from_its_snapshot_on() {
    let depth = |snapshot| EventKind::Depth {
        instrument: InstrumentId(1),
        ts_event: UnixNanos(0),
        bids: 0,
        snapshot,
        update_id: 0,
    };
    let mut books = Books::default();
    assert_eq!(books.restart(5), 5);
    books.see(5, &depth(true));
    assert_eq!(books.restart(6), 6, "a snapshot alone needs nothing before it but itself is over");
    books.see(6, &depth(false));
    books.see(7, &depth(false));
    assert_eq!(books.restart(8), 5);
    books.see(8, &EventKind::Gap { instrument: InstrumentId(1), ts_event: UnixNanos(0) });
    assert_eq!(books.restart(9), 9);
    books.see(9, &depth(false));
    assert_eq!(books.restart(10), 10, "updates without a snapshot build nothing");
    books.see(10, &depth(true));
    books.see(11, &depth(false));
    assert_eq!(books.restart(12), 10);
}

#[test]
fn the_synthetic_market_ends_where_it_is_told_to() {
    let mut layers = Layers::new();
    match Shared::open(&Settings::resolve(&layers).unwrap()) {
        Err(RunError::User(e)) => assert!(e.message.contains("has no end") && e.hint.contains("--duration")),
        other => panic!("{other:?}"),
    }
    layers.flag("--duration", "duration", "20s");
    let mut market = Shared::open(&Settings::resolve(&layers).unwrap()).unwrap();
    let range = market.range();
    assert!((20_000_000_000..=21_000_000_000).contains(&range.len().0));
    let half = Window { from: range.from + Nanos::from_secs(10), to: range.to };
    market.prepare(&[range, half], Nanos::ZERO).unwrap();
    let mut source = market.source(half.from).unwrap();
    let whole_begin = market.source(range.from).unwrap().peek();
    assert_eq!(whole_begin, Some(range.from));
    assert!(source.peek().unwrap() < half.from, "its book is built from a snapshot before the window");
}

/// Of a catalog only the part that is traded is loaded, and nothing tells it from all of it.
#[test]
fn a_part_of_a_catalog_looks_like_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    bars(dir.path(), 3 * 1_440, 2_000..2_060);
    let catalog = ctos_data::Catalog::create(&dir.path().join("c")).unwrap();
    let (path, options) = (dir.path().join("btc_perp_1m.csv"), ctos_data::import::ImportOptions::default());
    let job = ctos_data::ingest::Job {
        catalog: &catalog,
        path: &path,
        options: &options,
        now: UnixNanos(0),
        progress: &mut |_| {},
    };
    ctos_data::ingest::import(job, |p, o| Ok(ctos_data::import::open(p, o)?)).unwrap();
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("catalog:{}", catalog.dir().display()));
    let settings = Settings::resolve(&layers).unwrap();
    let mut whole = Shared::open(&settings).unwrap();
    for window in [window(1_990, 2_070), window(10, 20), window(1, 3), window(4_000, 4_321)] {
        let warm_up = Nanos::from_secs(300);
        let begin = UnixNanos(window.from.0 - warm_up.0);
        let mut part = Shared::open_part(&settings, Some(begin), Some(window.to)).unwrap();
        assert_eq!((part.range(), &part.digest, &part.lives), (whole.range(), &whole.digest, &whole.lives));
        whole.prepare(&[window], warm_up).unwrap();
        part.prepare(&[window], warm_up).unwrap();
        let (all, seen) = (times(&mut *whole.source(begin).unwrap()), times(&mut *part.source(begin).unwrap()));
        assert!(all.starts_with(&seen), "{seen:?}");
        let end = (window.to.0 - minute(0).0) / 60_000_000_000;
        assert!(seen.len() == all.len() || *seen.last().unwrap() >= end, "nothing is missing before {end}: {seen:?}");
        assert!(seen.len() <= 100 || window.to > minute(4_300), "{} events for a short window", seen.len());
    }
    // Beside the data, the whole range is told, and next to nothing loaded.
    for (begin, end) in [(9_000, 9_010), (-50, -40)] {
        let part = Shared::open_part(&settings, Some(minute(begin)), Some(minute(end))).unwrap();
        assert_eq!(part.range(), whole.range());
    }
}
