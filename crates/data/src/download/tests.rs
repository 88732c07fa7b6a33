use super::*;
use crate::import::{Batch, ImportError, Importer};
use crate::layout::Catalog;
use crate::number::Number;
use crate::query::{Selection, verify};
use crate::record::{BarFields, Body, Record};
use ctos_driver_binance::instruments::builtin_all;
use ctos_types::{Instrument, Interval};

/// A venue with a bar every minute from `first` on, but for those in `holes`; it counts what is asked and can fail.
struct Venue {
    instrument: Instrument,
    first: i64,
    holes: Vec<i64>,
    asked: Vec<i64>,
    /// After so many pages it does not answer any more.
    dies_after: usize,
}

const MINUTE: i64 = 60_000_000_000;
const PAGE: i64 = 500;

impl History for Venue {
    fn name(&self) -> &'static str {
        "test-rest-klines"
    }
    fn place(&self) -> String {
        "https://test".into()
    }
    fn instrument(&self) -> &Instrument {
        &self.instrument
    }
    fn consecutive_ids(&self) -> bool {
        false
    }
    fn page(&mut self, at: Cursor, end: UnixNanos) -> Result<Page, CatalogError> {
        let Cursor::Time(from) = at else { panic!("bars have no ids") };
        if self.asked.len() >= self.dies_after {
            return Err(CatalogError::new("no answer", "try again"));
        }
        self.asked.push(from.0 / MINUTE);
        let first = (from.0.max(self.first * MINUTE) + MINUTE - 1) / MINUTE;
        let minutes: Vec<i64> = (first..).take_while(|m| m * MINUTE < end.0).take(PAGE as usize).collect();
        let px = Number::new(5, 0).unwrap();
        let bar = |m: &i64| Record {
            symbol: self.instrument.symbol.clone(),
            place: 0,
            ts_event: Some(UnixNanos(m * MINUTE)),
            ts_recv: None,
            body: Body::Bar(BarFields {
                interval: Interval::M1,
                open: px,
                high: px,
                low: px,
                close: px,
                volume: Some(px),
                quote_volume: None,
                trades: None,
                taker_buy_volume: None,
            }),
        };
        let next = minutes.last().filter(|_| minutes.len() == PAGE as usize).map(|m| UnixNanos((m + 1) * MINUTE));
        let records = minutes.iter().filter(|m| !self.holes.contains(m)).map(bar).collect();
        Ok(Page { records, next: next.filter(|n| *n < end).map(Cursor::Time) })
    }
}

fn venue() -> Venue {
    let instrument = builtin_all().iter().find(|i| i.symbol.as_str() == "binance:BTC-USDT").unwrap().clone();
    Venue { instrument, first: 0, holes: Vec::new(), asked: Vec::new(), dies_after: usize::MAX }
}

/// 2024-01-01 in minutes.
const START: i64 = 28_401_120;

fn run(catalog: &Catalog, venue: &mut Venue, from: i64, to: i64) -> Result<Report, CatalogError> {
    let series = Series { symbol: venue.instrument.symbol.clone(), kind: Kind::Bars(Interval::M1) };
    let wish = Wish { series, from: UnixNanos((START + from) * MINUTE), to: UnixNanos((START + to) * MINUTE) };
    venue.asked.clear();
    let now = UnixNanos::from_secs(1_800_000_000);
    let mut last = (0, 0);
    let mut progress = |p: Progress| {
        assert!(p.done.0 >= last.0 && p.done <= p.total && p.rows >= last.1, "{p:?} behind {last:?}");
        last = (p.done.0, p.rows);
    };
    download(Job { catalog, history: venue, wish: &wish, now, progress: &mut progress })
}

fn catalog() -> (tempfile::TempDir, Catalog) {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::create(&dir.path().join("catalog")).unwrap();
    (dir, catalog)
}

#[test]
fn what_is_there_is_not_asked_for_again() {
    let (_dir, catalog) = catalog();
    let mut v = venue();
    let report = run(&catalog, &mut v, 0, 2_000).unwrap();
    assert_eq!((report.rows_added, report.had_secs, report.missing, v.asked.len()), (2_000, 0, 0, 4));
    let report = run(&catalog, &mut v, 0, 2_000).unwrap();
    assert_eq!((report.rows_added, report.had_secs, v.asked.len()), (0, 120_000, 0));
    // More on both sides: only that is asked for.
    let report = run(&catalog, &mut v, -300, 2_100).unwrap();
    assert_eq!((report.rows_added, report.had_secs), (400, 120_000));
    assert_eq!(v.asked, [START - 300, START + 2_000]);
    assert!(verify(&catalog, &Selection::default(), |_| {}).unwrap().problems.is_empty());
    assert!(report.text().contains("33 hours of it were there"), "{}", report.text());
}

#[test]
fn a_download_that_dies_goes_on_where_it_was() {
    let (_dir, catalog) = catalog();
    let mut v = Venue { dies_after: 45, ..venue() };
    let failed = run(&catalog, &mut v, 0, 50_000).unwrap_err();
    assert!(failed.message.contains("no answer") && failed.hint.contains("goes on from there"), "{failed:?}");
    // The first piece of 20,000 rows is whole, of the second one nothing is there.
    let mut v = venue();
    let report = run(&catalog, &mut v, 0, 50_000).unwrap();
    assert_eq!((report.had_secs, v.asked[0]), (20_000 * 60, START + 20_000));
    assert_eq!(report.rows_added, 30_000);
    assert!(verify(&catalog, &Selection::default(), |_| {}).unwrap().problems.is_empty());
}

#[test]
fn holes_of_the_venue_are_told_once_and_not_asked_for_again() {
    let (_dir, catalog) = catalog();
    let mut v = Venue { holes: (START + 100..START + 110).collect(), first: START + 50, ..venue() };
    let report = run(&catalog, &mut v, 0, 1_000).unwrap();
    assert_eq!((report.rows_added, report.missing), (940, 10));
    assert!(report.text().contains("10 missing at the venue"), "{}", report.text());
    run(&catalog, &mut v, 0, 1_000).unwrap();
    assert!(v.asked.is_empty());
}

#[test]
fn before_the_listing_there_is_nothing() {
    let (_dir, catalog) = catalog();
    let mut v = Venue { first: START + 5_000, ..venue() };
    let report = run(&catalog, &mut v, 0, 1_000).unwrap();
    assert_eq!((report.rows_added, report.imports.len()), (0, 0));
    let e = run(&catalog, &mut v, 10, 10).unwrap_err();
    assert!(e.message.contains("is empty") && !e.hint.is_empty());
}

/// Bars that came some other way.
struct Other(Vec<Record>);

impl Importer for Other {
    fn name(&self) -> &'static str {
        "other"
    }
    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        out.rows_read = self.0.len() as u64;
        out.records.append(&mut self.0);
        Ok(false)
    }
    fn bytes_read(&self) -> u64 {
        0
    }
}

#[test]
fn imported_bars_are_not_asked_for() {
    let (_dir, catalog) = catalog();
    let mut v = venue();
    let span = (UnixNanos((START + 200) * MINUTE), UnixNanos((START + 400) * MINUTE));
    let page = v.page(Cursor::Time(span.0), span.1).unwrap();
    let stream = Stream {
        catalog: &catalog,
        id: "file".into(),
        file: SourceFile { path: "file.csv".into(), bytes: 1, sha256: String::new() },
        options: String::new(),
        now: UnixNanos(0),
        progress: &mut |_| {},
    };
    ingest(stream, Box::new(Other(page.records)), || Ok(())).unwrap();
    let report = run(&catalog, &mut v, 0, 600).unwrap();
    assert_eq!((report.had_secs, v.asked.clone()), (200 * 60, vec![START, START + 400]));
    assert_eq!(report.rows_added, 400);
}

/// A venue with a bar of every calendar month but those in `holes`, counted from January 1970.
struct Months(Vec<i64>);

fn month(number: i64) -> UnixNanos {
    UnixNanos::from_civil(1970 + number.div_euclid(12), 1 + number.rem_euclid(12), 1, 0, 0, 0, 0).unwrap()
}

impl History for Months {
    fn name(&self) -> &'static str {
        "test-rest-klines"
    }
    fn place(&self) -> String {
        "https://test".into()
    }
    fn instrument(&self) -> &Instrument {
        builtin_all().iter().find(|i| i.symbol.as_str() == "binance:BTC-USDT").unwrap()
    }
    fn consecutive_ids(&self) -> bool {
        false
    }
    fn page(&mut self, at: Cursor, end: UnixNanos) -> Result<Page, CatalogError> {
        let Cursor::Time(from) = at else { panic!("bars have no ids") };
        let all = (0..).map(|n| (n, month(n))).skip_while(|(_, at)| *at < from).take_while(|(_, at)| *at < end);
        let bars = all.filter(|(n, _)| !self.0.contains(n));
        let record = |(n, at): (i64, UnixNanos)| {
            let px = Number::new(100 + n, 0).unwrap();
            let fields = BarFields {
                interval: Interval::MONTH,
                open: px,
                high: px,
                low: px,
                close: px,
                volume: Some(px),
                quote_volume: None,
                trades: None,
                taker_buy_volume: None,
            };
            let symbol = self.instrument().symbol.clone();
            Record { symbol, place: 0, ts_event: Some(at), ts_recv: None, body: Body::Bar(fields) }
        };
        Ok(Page { records: bars.map(record).collect(), next: None })
    }
}

#[test]
fn months_are_whole_where_the_calendar_says_so() {
    let (dir, catalog) = catalog();
    let symbol = Months(Vec::new()).instrument().symbol.clone();
    let series = Series { symbol: symbol.clone(), kind: Kind::Bars(Interval::MONTH) };
    let number = |y: i64, m: i64| (y - 1970) * 12 + m - 1;
    let fetch = |from: i64, to: i64, holes: &[i64]| {
        let wish = Wish { series: series.clone(), from: month(from), to: month(to) };
        let (mut history, now) = (Months(holes.to_vec()), UnixNanos::from_secs(1_800_000_000));
        download(Job { catalog: &catalog, history: &mut history, wish: &wish, now, progress: &mut |_| {} }).unwrap()
    };
    // Over a leap year's February and the turn of a year: nothing is missing, however long each month is.
    let report = fetch(number(2023, 11), number(2024, 6), &[]);
    assert_eq!((report.rows_added, report.missing, report.kind.as_str()), (7, 0, "bars_1mo"), "{}", report.text());
    let report = fetch(number(2023, 11), number(2024, 9), &[number(2024, 7)]);
    assert_eq!((report.rows_added, report.missing), (2, 1), "{}", report.text());
    assert!(verify(&catalog, &Selection::default(), |_| {}).unwrap().problems.is_empty());
    let gaps = catalog.bar_gaps(&series, month(number(2023, 11)).0, month(number(2024, 8)).0).unwrap();
    assert_eq!(gaps.iter().map(|d| d.count).sum::<u64>(), 1, "{gaps:?}");
    // A backtest gets each when its month is over.
    let selection = Selection { symbols: vec![symbol.to_string()], ..Selection::default() };
    let reach = crate::market::survey(&dir.path().join("catalog"), &selection).unwrap();
    let ends = (month(number(2023, 12)), month(number(2024, 9)));
    assert_eq!(reach.span(), Some(ends));
}
