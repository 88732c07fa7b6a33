use super::*;
use crate::defect::Defects;
use crate::import::Importer;
use std::io::Write;

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    (dir, path)
}

fn drain(importer: &mut dyn Importer) -> Result<(Vec<Record>, Defects, u64), ImportError> {
    let (mut records, mut defects, mut rows) = (Vec::new(), Defects::default(), 0);
    let mut batch = Batch::default();
    loop {
        batch.clear();
        let more = importer.next(&mut batch)?;
        records.append(&mut batch.records);
        defects.merge(batch.defects.take());
        rows += batch.rows_read;
        if !more {
            return Ok((records, defects, rows));
        }
    }
}

fn read(name: &str, text: &str, options: &ImportOptions) -> Result<(Vec<Record>, Defects, u64), ImportError> {
    let (_dir, path) = write(name, text.as_bytes());
    drain(&mut CsvBars::open(&path, options)?)
}

fn line(r: &Record) -> String {
    let Body::Bar(b) = &r.body else { panic!("{r:?}") };
    let text = |n: Option<Number>| n.map_or("-".into(), |n| n.to_string());
    format!(
        "{} {} {} {} {} {} {} {} {} {}",
        r.place,
        r.symbol,
        b.interval,
        r.ts_event.unwrap(),
        b.open,
        b.high,
        b.low,
        b.close,
        text(b.volume),
        text(b.quote_volume)
    )
}

#[test]
fn usual_names_any_order_and_prose_above() {
    let text = "from somewhere\nDate;Close;open;HIGH;Low;Volume\n2022-01-01;2;1;3;0.5;10\n2022-01-02;2;1;3;0.5;\n";
    let (records, defects, rows) = read("eth_perp_1d.csv", text, &ImportOptions::default()).unwrap();
    assert_eq!((records.len(), rows, defects.is_empty()), (2, 2, true));
    assert_eq!(line(&records[0]), "3 file:ETH-USDT-PERP 1d 2022-01-01T00:00:00Z 1 3 0.5 2 10 -");
    assert_eq!(line(&records[1]).split(' ').nth(8), Some("-"), "no volume is no zero volume");
}

#[test]
fn columns_can_be_mapped_and_volume_be_in_quote() {
    let text = "Begin,O1,H1,L1,Last,close,Vol\n60,1,3,0.5,2,9,10\n120,1,3,0.5,2,9,11\n";
    let map = [("Begin", "time"), ("O1", "open"), ("H1", "high"), ("L1", "low"), ("Last", "close")];
    let mut options = ImportOptions {
        map: map.map(|(a, b)| (a.to_string(), b.to_string())).to_vec(),
        volume_in_quote: true,
        symbol: Some("okx:BTC-USDT".into()),
        ..ImportOptions::default()
    };
    let (records, ..) = read("x.csv", text, &options).unwrap();
    assert_eq!(line(&records[0]), "2 okx:BTC-USDT 1m 1970-01-01T00:01:00Z 1 3 0.5 2 - 10");
    options.map.push(("Nope".into(), "volume".into()));
    assert!(read("x.csv", text, &options).unwrap_err().why.contains("no column \"Nope\""));
    options.map = vec![("Begin".into(), "begin".into())];
    assert!(read("x.csv", text, &options).unwrap_err().hint.contains("taker_buy_volume"));
}

#[test]
fn bad_rows_are_counted_with_their_lines() {
    let text = "time,open,high,low,close,volume\n60,1,1,1,1,1\n120,1,1,1\n,1,1,1,1,1\n180,x,1,1,1,1\n240,,1,1,1,1\n\
                300,1,1,1,1,1.0000000000000000001\nsoon,1,1,1,1,1\n360,1,1,1,1,1\n";
    let (records, defects, rows) = read("x.csv", text, &ImportOptions::default()).unwrap();
    assert_eq!((records.len(), rows), (3, 8));
    let seen: Vec<String> = defects.iter().map(|d| format!("{:?} {} {}", d.kind, d.count, d.first_place)).collect();
    assert_eq!(seen, ["Unreadable 1 3", "MissingField 2 4", "BadTime 1 8", "BadNumber 1 5", "Rounded 1 7"]);
}

#[test]
fn what_makes_a_file_useless_is_one_clear_error() {
    let head = "time,open,high,low,close\n";
    let mixed = format!("{head}1640995200,1,1,1,1\n1640995260000,1,1,1,1\n");
    let asked = ImportOptions { interval: Some(Interval::H1), ..ImportOptions::default() };
    let two = format!("{head}60,1,1,1,1\n120,1,1,1,1\n");
    for (text, options, why) in [
        ("time,open,high,low\n1,1,1,1\n", &ImportOptions::default(), "no column for close"),
        ("", &ImportOptions::default(), "no header"),
        (&mixed, &ImportOptions::default(), "mixed time units: milliseconds here, seconds at line 2"),
        (&two, &asked, "bars are 1m apart, not 1h"),
        (&format!("{head}60,1,1,1,1\n"), &ImportOptions::default(), "one bar does not tell its interval"),
    ] {
        let e = read("x.csv", text, options).unwrap_err();
        assert!(e.to_string().contains(why) && !e.hint.is_empty(), "{e}");
    }
}

#[test]
fn symbols_from_names_of_files() {
    for (name, symbol) in [
        ("btc_perp_1m_2022-01.csv", "BTC-USDT-PERP"),
        ("ETHUSDT-1m.csv.gz", "ETH-USDT"),
        ("sol-swap.parquet", "SOL-USDT-PERP"),
        (".csv", "ASSET-USDT"),
    ] {
        assert_eq!(symbol_of(Path::new(name)), symbol);
    }
}
