use super::*;
use crate::defect::DefectKind;
use crate::import::Batch;
use crate::import::open as open_source;
use crate::layout::Series;
use crate::number::Number;
use crate::part::PartReader;
use crate::record::Kind;
use crate::record::{BarFields, Body, LevelFields, Record};
use crate::table::Table;
use ctos_types::Symbol;
use ctos_types::{Interval, Side};

const DAY: i64 = 86_400_000_000_000;

struct Home {
    _dir: tempfile::TempDir,
    catalog: Catalog,
    files: u32,
}

/// Records as a source, in batches of `step`.
struct Script {
    records: Vec<Record>,
    levels: Vec<LevelFields>,
    step: usize,
    at: usize,
    ids: bool,
}

impl Importer for Script {
    fn name(&self) -> &'static str {
        "script"
    }
    fn next(&mut self, out: &mut Batch) -> Result<bool, crate::import::ImportError> {
        let to = (self.at + self.step).min(self.records.len());
        out.records.extend_from_slice(&self.records[self.at..to]);
        out.levels.clone_from(&self.levels);
        out.rows_read = (to - self.at) as u64;
        self.at = to;
        Ok(to < self.records.len())
    }
    fn bytes_read(&self) -> u64 {
        0
    }
    fn consecutive_ids(&self) -> bool {
        self.ids
    }
}

impl Home {
    fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::create(&dir.path().join("catalog")).unwrap();
        Home { _dir: dir, catalog, files: 0 }
    }

    fn run(
        &self,
        path: &Path,
        records: Vec<Record>,
        levels: Vec<LevelFields>,
        ids: bool,
    ) -> Result<Imported, CatalogError> {
        let options = ImportOptions::default();
        let (catalog, now) = (&self.catalog, UnixNanos(0));
        let job = Job { catalog, path, options: &options, now, progress: &mut |_| {} };
        import(job, |_, _| Ok(Box::new(Script { records, levels, step: 1000, at: 0, ids })))
    }

    /// Imports records as if they came from a file of their own.
    fn take(&mut self, records: Vec<Record>) -> ImportReport {
        self.take_with(records, Vec::new(), false)
    }

    fn take_with(&mut self, records: Vec<Record>, levels: Vec<LevelFields>, ids: bool) -> ImportReport {
        self.files += 1;
        let path = self.catalog.dir().parent().unwrap().join(format!("source-{}", self.files));
        std::fs::write(&path, format!("{}", self.files)).unwrap();
        self.run(&path, records, levels, ids).unwrap().report().clone()
    }

    fn rows(&self, symbol: &str, kind: Kind) -> Vec<String> {
        let series = Series { symbol: Symbol::new(symbol), kind };
        let mut rows = Vec::new();
        for day in self.catalog.days(&series).unwrap() {
            let mut reader = PartReader::open(&self.catalog.part(&series, day)).unwrap();
            let mut last = i64::MIN;
            while let Some(table) = reader.next_table().unwrap() {
                for row in 0..table.len() {
                    assert!(table.time(row) >= last && crate::layout::day(table.time(row)) == day);
                    last = table.time(row);
                    rows.push(table.describe(row));
                }
            }
        }
        rows
    }
}

fn n(text: &str) -> Number {
    Number::parse(text).unwrap()
}

fn trade(place: u64, time: i64, id: u64, price: &str) -> Record {
    Record {
        symbol: Symbol::new("x:A-B"),
        place,
        ts_event: Some(UnixNanos(time)),
        ts_recv: None,
        body: Body::Trade { price: n(price), qty: n("1"), aggressor: Some(Side::Buy), id },
    }
}

fn bar(place: u64, minute: i64, close: &str) -> Record {
    let (open, high, low) = (n(close), n(close), n(close));
    let bar = BarFields {
        interval: Interval::M1,
        open,
        high,
        low,
        close: n(close),
        volume: Some(n("1")),
        quote_volume: None,
        trades: None,
        taker_buy_volume: None,
    };
    Record {
        symbol: Symbol::new("x:A-B"),
        place,
        ts_event: Some(UnixNanos(minute * 60_000_000_000)),
        ts_recv: None,
        body: Body::Bar(bar),
    }
}

const BARS: Kind = Kind::Bars(Interval::M1);

fn defects(report: &ImportReport) -> Vec<String> {
    report.defects.iter().map(|d| format!("{:?} {} {}", d.kind, d.count, d.first_place)).collect()
}

#[test]
fn the_same_file_twice_adds_nothing() {
    let mut home = Home::new();
    let records: Vec<Record> = (0..3000).map(|i| trade(i + 1, i as i64 * DAY / 1000, i + 1, "10.5")).collect();
    let first = home.take(records.clone());
    assert_eq!((first.rows_read, first.rows_added, first.series[0].days), (3000, 3000, 3));
    let path = home.catalog.dir().parent().unwrap().join("source-1");
    let again = home.run(&path, records.clone(), Vec::new(), false).unwrap();
    assert!(matches!(again, Imported::Before(_)));
    // The same rows from another file: all of them are there, and the report says so.
    let other = home.take(records);
    assert_eq!((other.rows_added, defects(&other)), (0, vec!["Duplicate 3000 1".to_string()]));
    assert_eq!(home.rows("x:A-B", Kind::Trades).len(), 3000);
}

#[test]
fn files_that_overlap_add_what_is_new() {
    let mut home = Home::new();
    home.take((0..100).map(|i| bar(i, i as i64, "1")).collect());
    let mut second: Vec<Record> = (90..150).map(|i| bar(i, i as i64, "1")).collect();
    second[3] = bar(93, 93, "1.25");
    let report = home.take(second);
    assert_eq!((report.rows_added, defects(&report)), (50, vec!["Duplicate 9 90".into(), "Conflict 1 93".into()]));
    let rows = home.rows("x:A-B", BARS);
    assert_eq!(rows.len(), 150);
    assert!(rows[93].contains("close=1.00 ") && rows[149].contains("close=1.00 "), "one scale: {}", rows[93]);
}

#[test]
fn rows_in_any_order_end_up_sorted_with_true_gaps() {
    let mut home = Home::new();
    // Newest first over three days, with a hole of seven minutes.
    let minutes: Vec<i64> = (0..3 * 1440).rev().filter(|m| !(2000..2007).contains(m)).collect();
    let count = minutes.len();
    let report = home.take(minutes.iter().zip(1..).map(|(m, place)| bar(place, *m, "2")).collect());
    assert_eq!(report.rows_added, count as u64);
    assert_eq!(defects(&report), [format!("OutOfOrder {} 2", count - 1), "Gap 7 0".into()]);
    assert_eq!(home.rows("x:A-B", BARS).len(), count);
}

#[test]
fn gaps_in_order_have_their_place() {
    let mut home = Home::new();
    let report = home.take(vec![bar(1, 1, "1"), bar(2, 2, "1"), bar(3, 6, "1"), bar(4, 9, "1")]);
    assert_eq!((defects(&report), report.series[0].missing), (vec!["Gap 5 3".into()], 5));
    let trades = vec![trade(1, 1, 10, "1"), trade(2, 2, 11, "1"), trade(3, 3, 15, "1")];
    let report = home.take_with(trades, Vec::new(), true);
    assert_eq!(defects(&report), ["Gap 3 3"], "ids 12 to 14");
}

#[test]
fn bad_rows_stay_out_and_are_counted() {
    let mut home = Home::new();
    let mut off = bar(6, 6, "1");
    off.ts_event = Some(UnixNanos(6 * 60_000_000_000 + 1));
    let mut timeless = trade(7, 0, 1, "1");
    timeless.ts_event = None;
    let mut negative = trade(8, 5, 1, "1");
    if let Body::Trade { qty, .. } = &mut negative.body {
        *qty = n("-1");
    }
    let mut contradiction = bar(9, 9, "1");
    if let Body::Bar(b) = &mut contradiction.body {
        b.high = n("0.5");
    }
    let rows = vec![bar(1, 1, "1"), bar(2, 2, "0"), trade(3, 1, 1, "-5"), off, timeless, negative, contradiction];
    let report = home.take(rows);
    assert_eq!(report.rows_added, 2);
    assert_eq!(
        defects(&report),
        ["BadTime 1 7", "NonPositivePrice 2 2", "BadQty 1 8", "InconsistentPrices 1 9", "OffGridTime 1 6", "Gap 4 6"]
    );
}

#[test]
fn numbers_that_do_not_fit_together_are_refused_one_by_one() {
    let mut home = Home::new();
    let report = home.take(vec![
        trade(1, 1, 1, "123456789012.5"),
        trade(2, 2, 2, "0.00000001"),
        trade(3, 3, 3, "0.000001"),
        trade(4, 4, 4, "9999999999999"),
    ]);
    assert_eq!((report.rows_added, defects(&report)), (2, vec!["Unfit 2 2".to_string()]));
    let report = home.take(vec![trade(1, 5, 5, "0.0000001"), trade(2, 6, 6, "2")]);
    assert_eq!(defects(&report), ["Unfit 1 1"], "what the catalog has counts too");
}

#[test]
fn more_places_later_rescale_the_whole_series() {
    let mut home = Home::new();
    home.take((0..10).map(|i| trade(i, i as i64 * DAY, i + 1, "10.5")).collect());
    home.take(vec![trade(1, 20 * DAY, 100, "10.125")]);
    let series = Series { symbol: Symbol::new("x:A-B"), kind: Kind::Trades };
    let days = home.catalog.days(&series).unwrap();
    assert_eq!(days.len(), 11);
    for day in days {
        let part = PartReader::open(&home.catalog.part(&series, day)).unwrap();
        assert_eq!(part.info().scales[4], 3);
        part.check_digest().unwrap();
    }
    assert!(home.rows("x:A-B", Kind::Trades)[0].contains("price=10.500 "));
}

#[test]
fn a_trade_of_a_recording_is_not_added_again_by_an_archive() {
    let mut home = Home::new();
    let mut recorded: Vec<Record> = (1..=50).map(|i| trade(i, i as i64 * 1000, i, "1")).collect();
    recorded.iter_mut().for_each(|r| r.ts_recv = r.ts_event.map(|t| UnixNanos(t.0 + 40_000)));
    home.take(recorded);
    let report = home.take((1..=60).map(|i| trade(i, i as i64 * 1000, i, "1")).collect());
    assert_eq!((report.rows_added, defects(&report)), (10, vec!["Duplicate 50 1".to_string()]));
}

#[test]
fn a_book_keeps_its_updates_whole() {
    let mut home = Home::new();
    let level = |price: &str, qty: &str| LevelFields { price: n(price), qty: n(qty) };
    let levels = vec![level("10", "1"), level("11", "2"), level("10", "0"), level("10.25", "1"), level("0", "1")];
    let record = |place, time, body| Record {
        symbol: Symbol::new("x:A-B"),
        place,
        ts_event: Some(UnixNanos(time)),
        ts_recv: Some(UnixNanos(time + 5)),
        body,
    };
    let book = |bids, asks, snapshot, update_id| Body::Book { bids, asks, snapshot, update_id };
    let report = home.take_with(
        vec![
            record(1, 1, book(0..1, 1..2, true, 7)),
            record(2, 2, book(2..4, 0..0, false, 8)),
            record(3, 2, book(2..4, 0..0, false, 8)),
            record(4, 3, book(4..5, 0..0, false, 9)),
            record(5, 4, Body::Gap),
        ],
        levels,
        false,
    );
    assert_eq!(defects(&report), ["NonPositivePrice 1 4", "Duplicate 1 3", "Gap 1 5"]);
    let rows = home.rows("x:A-B", Kind::Book);
    let short: Vec<String> = rows.iter().map(|r| r.split(' ').skip(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        short,
        [
            "update_id=7 action=snapshot side=bid price=10.00 qty=1 last=false",
            "update_id=7 action=snapshot side=ask price=11.00 qty=2 last=true",
            "update_id=8 action=update side=bid price=10.00 qty=0 last=false",
            "update_id=8 action=update side=bid price=10.25 qty=1 last=true",
            "update_id=0 action=gap last=true",
            "update_id=0 action=gap last=true",
        ],
        "an update that cannot be used leaves a gap"
    );
}

#[test]
fn an_import_cut_off_at_any_partition_is_finished_by_the_next() {
    let records: Vec<Record> = (0..1000).map(|i| trade(i + 1, i as i64 * DAY / 100, 0, "10.5")).collect();
    let mut whole = Home::new();
    whole.take(records.clone());
    let want = whole.rows("x:A-B", Kind::Trades);
    for placed in 0..=10 {
        let mut home = Home::new();
        home.take(records.clone());
        let series = Series { symbol: Symbol::new("x:A-B"), kind: Kind::Trades };
        // As a kill leaves it: some partitions in place, leftovers in the staging area, no manifest.
        for day in placed..10 {
            std::fs::remove_dir_all(home.catalog.part(&series, day).parent().unwrap()).unwrap();
        }
        for id in home.catalog.manifests().unwrap() {
            std::fs::remove_file(home.catalog.manifest(&id)).unwrap();
        }
        std::fs::create_dir_all(home.catalog.staging().join("old")).unwrap();
        std::fs::write(home.catalog.staging().join("old/half.parquet"), "PAR1").unwrap();
        home.files = 0;
        let report = home.take(records.clone());
        assert_eq!((report.rows_added, home.rows("x:A-B", Kind::Trades) == want), (1000, true), "{placed} in place");
        assert!(!home.catalog.staging().exists());
    }
}

#[test]
fn nothing_usable_is_an_error_and_leaves_nothing() {
    let home = Home::new();
    let path = home.catalog.dir().parent().unwrap().join("source");
    std::fs::write(&path, "x").unwrap();
    let e = home.run(&path, vec![trade(1, 1, 1, "0")], Vec::new(), false).unwrap_err();
    assert!(e.message.contains("none of 1 rows can be used: 1 skipped: price zero"), "{e}");
    assert!(home.catalog.manifests().unwrap().is_empty() && !home.catalog.staging().exists());
    assert!(home.catalog.series().unwrap().is_empty());
}

#[test]
fn many_rows_of_many_days_in_wild_order_survive_small_buffers() {
    let mut home = Home::new();
    // A fixed scramble: every row once, far from its neighbours, more than a row group in one day.
    let count = 150_000u64;
    let records: Vec<Record> = (0..count)
        .map(|i| (i * 7919) % count)
        .map(|k| trade(k + 1, k as i64 * (2 * DAY / count as i64), k + 1, "3"))
        .collect();
    let report = home.take(records);
    assert_eq!(report.rows_added, count);
    let rows = home.rows("x:A-B", Kind::Trades);
    assert!(
        rows.len() == count as usize && (1..=count).zip(&rows).all(|(id, row)| row.contains(&format!(" id={id} ")))
    );
}

#[test]
fn merge_equals_a_slow_twin() {
    use proptest::prelude::*;
    let strategy = prop::collection::vec((0i64..40, 0u64..6, 1i64..4), 0..60);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let both = (strategy.clone(), strategy);
    runner
        .run(&both, |(a, b)| {
            let records = |list: &[(i64, u64, i64)]| -> Vec<Record> {
                (1..).zip(list).map(|(place, (t, id, px))| trade(place, t * DAY / 16, *id, &px.to_string())).collect()
            };
            let mut home = Home::new();
            let mut twin: Vec<(i64, u64, i64)> = Vec::new();
            for list in [&a, &b] {
                if !list.is_empty() {
                    home.take(records(list));
                    twin = slow(&twin, list);
                }
            }
            let rows: Vec<String> = home.rows("x:A-B", Kind::Trades);
            let mut seen: Vec<(i64, u64, i64)> = rows.iter().map(|r| parse(r)).collect();
            seen.sort_unstable();
            twin.sort_unstable();
            prop_assert_eq!(seen, twin);
            Ok(())
        })
        .unwrap();
}

/// What is there stands; of the new, the first of each (time, id), no id known on that day, nameless ones beyond those
/// that are there.
fn slow(have: &[(i64, u64, i64)], new: &[(i64, u64, i64)]) -> Vec<(i64, u64, i64)> {
    let day = |t: i64| (t * (DAY / 16)).div_euclid(DAY);
    let mut new = new.to_vec();
    new.sort_by_key(|r| r.0);
    let mut result = have.to_vec();
    let mut nameless = have.to_vec();
    for row in new {
        let (t, id, _) = row;
        if id == 0 {
            match nameless.iter().position(|r| *r == row) {
                Some(at) => drop(nameless.remove(at)),
                None => result.push(row),
            }
        } else if !result.iter().any(|r| r.0 == t && r.1 == id) && !have.iter().any(|r| day(r.0) == day(t) && r.1 == id)
        {
            result.push(row);
        }
    }
    result
}

fn parse(row: &str) -> (i64, u64, i64) {
    let get = |name: &str| row.split(' ').find_map(|c| c.strip_prefix(name)).unwrap().to_string();
    let time = ctos_storage::bars::time::parse(&get("ts_event=")).unwrap_or(UnixNanos(0));
    (time.0 / (DAY / 16), get("id=").parse().unwrap(), get("price=").parse().unwrap())
}

#[test]
fn the_two_recorded_bar_files() {
    let data = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bars").join(name);
        if !path.is_file() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", path.display());
            eprintln!("skipped: {} is not there", path.display());
            return None;
        }
        Some(path)
    };
    let (Some(csv), Some(parquet)) = (data("btc_perp_1m_2022-01.csv"), data("ten_coins_btc_5m_2018-01.parquet")) else {
        return;
    };
    let home = Home::new();
    let take = |path: &Path| {
        let options = ImportOptions::default();
        let job = Job { catalog: &home.catalog, path, options: &options, now: UnixNanos(0), progress: &mut |_| {} };
        import(job, |p, o| Ok(open_source(p, o)?)).unwrap().report().clone()
    };
    let report = take(&csv);
    assert_eq!((report.rows_read, report.rows_added), (45_031, 45_031), "{}", report.text());
    assert_eq!(report.series[0].symbol, "file:BTC-USDT-PERP");
    let report = take(&parquet);
    assert_eq!(report.series.len(), 10, "{}", report.text());
    // The independent count: `ctos_storage` reads the same file into series and counts holes its own way.
    let whole = ctos_storage::bars::read_bars(&parquet, &Default::default()).unwrap();
    let missing: u64 = whole.series.iter().map(|s| s.missing()).sum();
    assert_eq!((report.rows_added, report.defect(DefectKind::Gap)), (whole.rows(), missing));
    assert!(missing > 0);
    let table = |series: &Series| -> Vec<Table> {
        let days = home.catalog.days(series).unwrap().into_iter();
        days.map(|d| PartReader::open(&home.catalog.part(series, d)).unwrap().next_table().unwrap().unwrap()).collect()
    };
    let meant = |price: ctos_types::Decimal| Number::try_from(price).unwrap().without_noise().0;
    for (report, series) in report.series.iter().zip(&whole.series) {
        let key = Series { symbol: Symbol::new(&report.symbol), kind: report.kind.parse().unwrap() };
        let closes: Vec<_> = table(&key)
            .iter()
            .flat_map(|t| (0..t.len()).map(|r| t.number(r, 5).unwrap()).collect::<Vec<_>>())
            .collect();
        assert_eq!(closes, series.rows.iter().map(|r| meant(r.close)).collect::<Vec<_>>(), "{}", report.symbol);
    }
}
