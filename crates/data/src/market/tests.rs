use super::*;
use crate::import::{ImportOptions, open as open_source};
use crate::ingest::{ImportReport, Job, import};
use ctos_storage::capture::{CaptureItem, CaptureReader};
use ctos_types::{EventBuf, EventKind};
use ctos_venue::MarketSource;
use std::path::PathBuf;

fn take(catalog: &Catalog, path: &Path, options: &ImportOptions) -> ImportReport {
    let job = Job { catalog, path, options, now: UnixNanos(0), progress: &mut |_| {} };
    import(job, |p, o| Ok(open_source(p, o)?)).unwrap().report().clone()
}

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.is_file() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", path.display());
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn events(tape: &mut Tape) -> Vec<String> {
    let mut out = EventBuf::default();
    let mut all = Vec::new();
    while let Some(times) = tape.next(&mut out) {
        all.push(format!("{} {:?} {:?}", times.recv.0, out.kind, out.levels));
    }
    all
}

fn text_file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn bars_of_two_symbols_come_in_order_of_their_close_and_gaps_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::create(&dir.path().join("c")).unwrap();
    let head = "time,open,high,low,close,volume\n";
    let one = text_file(dir.path(), "btc.csv", &format!("{head}60,1,1,1,1,5\n120,1,1,1,2.5,5\n300,1,1,1,1,5\n"));
    let two = text_file(dir.path(), "eth.csv", &format!("{head}60,3,3,3,3,1\n120,3,3,3,3,1\n180,3,3,3,3,1\n"));
    assert_eq!(take(&catalog, &one, &ImportOptions::default()).rows_added, 2, "one bar contradicts itself");
    take(&catalog, &two, &ImportOptions::default());
    let mut loaded = load(catalog.dir(), &Selection::default()).unwrap();
    assert_eq!((loaded.report.events, loaded.report.missing_bars), (5, 3));
    let mut out = EventBuf::default();
    let mut seen = Vec::new();
    while let Some(times) = loaded.tape.next(&mut out) {
        let EventKind::Bar { instrument, bar, .. } = &out.kind else { panic!() };
        seen.push((times.recv.0 / 1_000_000_000, instrument.0, bar.close.0));
    }
    assert_eq!(seen, [(120, 0, 1), (120, 1, 3), (180, 1, 3), (240, 1, 3), (360, 0, 1)]);
    let half =
        Selection { to: Some(UnixNanos::from_secs(121)), symbols: vec!["ETH-USDT".into()], ..Selection::default() };
    assert_eq!(load(catalog.dir(), &half).unwrap().report.events, 2);
    for (selection, why) in [
        (Selection { symbols: vec!["SOL-USDT".into()], ..Selection::default() }, "no data of \"SOL-USDT\""),
        (Selection { from: Some(UnixNanos(5)), to: Some(UnixNanos(5)), ..Selection::default() }, "is empty"),
        (Selection { from: Some(UnixNanos::from_secs(9999)), ..Selection::default() }, "no rows of"),
        (Selection { kinds: vec![Kind::Trades], ..Selection::default() }, "no trades of these symbols"),
    ] {
        let e = load(catalog.dir(), &selection).unwrap_err();
        assert!(e.message.contains(why) && !e.hint.is_empty(), "{e}");
    }
}

#[test]
fn the_fine_data_is_taken_before_bars_and_shorter_bars_before_longer_ones() {
    let kinds = |list: &[&str]| -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::create(&dir.path().join("c")).unwrap();
        for kind in list {
            let series = Series { symbol: Symbol::new("x:A-B"), kind: kind.parse().unwrap() };
            std::fs::create_dir_all(catalog.series_dir(&series)).unwrap();
        }
        choose(&catalog, &Selection::default()).unwrap().iter().map(|s| s.kind.to_string()).collect()
    };
    assert_eq!(kinds(&["bars_1h", "bars_1m", "funding"]), ["bars_1m", "funding"]);
    assert_eq!(kinds(&["bars_1m", "trades", "marks", "depth_bands"]), ["trades", "marks"]);
}

/// The recorded capture, through the catalog and straight from the file: the same events at the same times.
#[test]
fn a_capture_comes_back_as_it_was() {
    for name in ["raw/binance_usdm_ethusdt_20240808.jsonl.gz", "raw/binance_spot_btcusdt_20240809.jsonl.gz"] {
        let Some(path) = shared(name) else { return };
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::create(&dir.path().join("c")).unwrap();
        let report = take(&catalog, &path, &ImportOptions::default());
        let mut loaded = load(catalog.dir(), &Selection::default()).unwrap();
        let mut reader = CaptureReader::open(&path).unwrap();
        let known: Vec<Instrument> = loaded.tape.instruments().iter().cloned().collect();
        let mut replayer = ctos_driver_binance::Replayer::new(&known, None);
        let mut direct = TapeBuilder::new(loaded.tape.instruments().clone());
        while let Some(item) = reader.next_item().unwrap() {
            if let CaptureItem::Line(line) = item {
                replayer.on_line(line.number, line.ts_recv, line.frame, &mut |recv, market| direct.push(recv, market));
            }
        }
        let (mut seen, mut want) = (events(&mut loaded.tape), events(&mut direct.finish([0; 32])));
        assert_eq!(seen.len(), want.len(), "{}", report.text());
        // Events of one moment may change places between kinds; within a kind they keep their order.
        let moment = |e: &String| e.split(' ').next().map(|t| t.parse::<i64>().unwrap());
        for (a, b) in seen.iter().zip(&want) {
            assert_eq!(moment(a), moment(b));
        }
        seen.sort();
        want.sort();
        assert!(seen == want, "{name}: the events differ");
    }
}

/// What a part needs is a slice of what all gives, and begins at the book's last snapshot.
#[test]
fn a_part_of_a_catalog_is_a_slice_of_the_whole() {
    let Some(path) = shared("raw/binance_usdm_btcusdt_20240808.jsonl.gz") else { return };
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::create(&dir.path().join("c")).unwrap();
    take(&catalog, &path, &ImportOptions::default());
    let all = Selection::default();
    let mut whole = load(catalog.dir(), &all).unwrap();
    let digest = whole.tape.digest();
    let whole = events(&mut whole.tape);
    let at = |n: usize| whole[n].split(' ').next().unwrap().parse().map(UnixNanos).unwrap();
    let looked = survey(catalog.dir(), &all).unwrap();
    assert_eq!((looked.span(), looked.digest), (Some((at(0), at(whole.len() - 1))), digest));

    let snapshots: Vec<usize> = (0..whole.len()).filter(|n| whole[*n].contains("snapshot: true")).collect();
    assert!(!snapshots.is_empty());
    for (begin, end) in [(10, 20), (whole.len() / 2, whole.len() / 2 + 500), (whole.len() - 900, whole.len() - 1)] {
        let part = narrow(catalog.dir(), &all, Some(at(begin)), Some(at(end))).unwrap();
        let part = events(&mut load(catalog.dir(), &part).unwrap().tape);
        let start = snapshots.iter().rev().find(|n| **n <= begin).copied().unwrap_or(begin);
        let skip = part.iter().position(|e| *e == whole[start]).expect("what the window needs");
        let differs = (start..=end).find(|n| part.get(skip + n - start) != Some(&whole[*n]));
        assert_eq!(differs, None, "from {begin} to {end}");
        assert!(part.len() > skip + end - start + 1 || end + 1 == whole.len(), "something behind the end");
        assert!(end > 20 || part.len() < whole.len(), "all {} events", part.len());
    }
    let open = narrow(catalog.dir(), &all, None, Some(at(whole.len() - 1).after(ctos_types::Nanos(1)))).unwrap();
    assert_eq!(open, all, "nothing behind the end: all of it");
}

/// A recording of ours says what its instruments are, and the catalog believes it.
#[test]
fn a_recordings_definition_is_the_catalogs() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::create(&dir.path().join("c")).unwrap();
    let known = ctos_driver_binance::instruments::builtin(ctos_driver_binance::Product::UsdM, "BTCUSDT").unwrap();
    let ours = Instrument { tick: ctos_types::Price(known.tick.0 * 5), ..known.clone() };
    let quote = |ms: i64| {
        let data = format!(
            r#"{{"e":"bookTicker","u":{ms},"s":"BTCUSDT","b":"1.0","B":"1","a":"2.0","A":"1","T":{ms},"E":{ms}}}"#
        );
        format!(r#"{ms}000001 {{"stream":"btcusdt@bookTicker","data":{data}}}"#)
    };
    let definition = serde_json::to_string(&ours).unwrap();
    let line = format!(
        r#"1723161255000000000 {{"ctos":"instrument","symbol":"BTCUSDT","trading":true,"definition":{definition}}}"#
    );
    let path = dir.path().join("tape.jsonl");
    std::fs::write(&path, [line, quote(1_723_161_255_001), quote(1_723_161_255_002)].join("\n") + "\n").unwrap();
    take(&catalog, &path, &ImportOptions::default());
    let loaded = load(catalog.dir(), &Selection::default()).unwrap();
    let i = loaded.tape.instruments().find("binance:BTC-USDT-PERP").unwrap();
    assert_eq!(i.price_decimal(i.tick), ours.price_decimal(ours.tick));
    // The same file again adds nothing.
    let again = take(&catalog, &path, &ImportOptions::default());
    assert_eq!(load(catalog.dir(), &Selection::default()).unwrap().tape.len(), loaded.tape.len(), "{}", again.text());
}
