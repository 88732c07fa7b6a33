use super::*;
use ctos_types::{InstrumentKind, Settlement};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;

const SPOT: InstrumentKind = InstrumentKind::Spot;

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn read_text(text: &str, options: &BarOptions) -> Result<BarFile, BarError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    read_bars(file.path(), options)
}

fn read(text: &str) -> BarFile {
    read_text(text, &BarOptions::default()).unwrap()
}

fn defects(file: &BarFile) -> Vec<(DefectKind, u64, u64)> {
    file.defects.iter().map(|d| (d.kind, d.count, d.first_line)).collect()
}

/// Real files where they are at hand: skipped without them, but never in CI.
fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bars").join(name);
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is absent", path.display());
    println!("skipped: {} is absent", path.display());
    None
}

#[test]
fn header_in_any_order_and_case() {
    let want = read("timestamp,open,high,low,close,volume\n60,1,3,0.5,2,10\n120,2,2,2,2,0\n");
    assert_eq!(want.series[0].rows.get(0).unwrap().open_time, UnixNanos::from_secs(60));
    assert_eq!(want.series[0].interval, Interval::M1);
    for same in [
        "\u{feff}Open Time;Close;LOW;high;Open;extra;Vol\r\n60;2;0.5;3;1;x;10\r\n120;2;2;2;2;;0\r\n",
        "https://example.org\n\"date\",\"open\",\"high\",\"low\",\"close\",\"volume\"\n1970-01-01 00:01:00,1,3,0.5,2,10\n\n120,2,2,2,2,\n",
        "open_time\topen\thigh\tlow\tclose\tvolume\n60\t1.0\t3.00\t5e-1\t2\t1e1\n120\t2\t2\t2\t2\t0",
        "60,1,3,0.5,2,10,119,55,9,1,1,0\n120,2,2,2,2,0,179,0,0,0,0,0\n",
    ] {
        let got = read(same);
        assert_eq!((&got.series, got.defects.len()), (&want.series, 0), "{same}");
    }
}

#[test]
fn two_time_units_in_one_file_are_refused() {
    let rows = |unit: i64, from: i64| -> String {
        (from..from + 3).map(|i| format!("{},1,1,1,1,1\n", (1_640_995_200 + i * 60) * unit)).collect()
    };
    for (unit, name) in [(1_000, "milliseconds"), (1_000_000, "microseconds"), (1_000_000_000, "nanoseconds")] {
        let text = format!("time,open,high,low,close,volume\n{}{}", rows(1, 0), rows(unit, 3));
        let error = read_text(&text, &BarOptions::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("line 5: mixed time units: {name} here, seconds at line 2")), "{error}");
    }
    assert_eq!(read(&format!("time,open,high,low,close\n{}", rows(1_000, 0))).series[0].rows.len(), 3);
}

#[test]
fn every_defect_is_counted_with_its_first_line() {
    let file = read(
        "time,open,high,low,close,volume\n\
         60,1,1,1,1,1\n\
         120,1,1,1,1,1\n\
         120,1,1,1,1,1\n\
         180,0,1,0,1,1\n\
         240,1,0.5,1,1,1\n\
         300,1,1,1,1,-1\n\
         360,1,x,1,1,1\n\
         yesterday,1,1,1,1,1\n\
         420,1,1,1\n\
         480,1,1,1,1,1\n\
         450,1,1,1,1,1\n\
         500,1,1,1,1,1\n\
         540,-2,1,1,1,1\n\
         600,1,1,1,1,0.00001234567890123456\n\
         660,5,4,3,4,1\n\
         720,1,1,1,1,1\n\
         780,1,1,1,1,1\n\
         840,1,1,1,1,1\n",
    );
    use DefectKind::*;
    assert_eq!(
        defects(&file),
        [
            (MissingField, 1, 10),
            (BadTime, 1, 9),
            (BadNumber, 1, 8),
            (NonPositivePrice, 2, 5),
            (InconsistentPrices, 2, 6),
            (NegativeVolume, 1, 7),
            (Duplicate, 1, 4),
            (OffGrid, 2, 12),
            (OutOfOrder, 1, 12),
            (Rounded, 1, 15),
        ]
    );
    assert_eq!((file.rows_read, file.rows(), file.skipped()), (18, 7, 11));
    let series = &file.series[0];
    assert_eq!(series.rows.get(3).unwrap().volume, d("0.000012345678901235"));
    let at = |s| UnixNanos::from_secs(s);
    assert_eq!(
        series.gaps,
        [
            Gap { after: at(120), before: at(480), missing: 5 },
            Gap { after: at(480), before: at(600), missing: 1 },
            Gap { after: at(600), before: at(720), missing: 1 },
        ]
    );
    assert_eq!(series.missing(), 7);
    assert_eq!(file.defects[3].to_string(), "2 skipped: price not positive (first at line 5: open 0)");
}

#[test]
fn order_is_mended_and_newest_first_is_an_order() {
    let sorted = read("t,o,h,l,c\n60,1,1,1,1\n120,2,2,2,2\n180,3,3,3,3\n");
    let newest_first = read("t,o,h,l,c\n180,3,3,3,3\n120,2,2,2,2\n60,1,1,1,1\n");
    assert_eq!((&newest_first.series, newest_first.defects.len()), (&sorted.series, 0));
    let mixed = read("t,o,h,l,c\n60,1,1,1,1\n180,3,3,3,3\n120,2,2,2,2\n");
    assert_eq!(mixed.series, sorted.series);
    assert_eq!(defects(&mixed), [(DefectKind::OutOfOrder, 1, 4)]);
}

#[test]
fn symbols_are_series_of_their_own() {
    let text =
        "symbol,t,o,h,l,c\nB,60,1,1,1,1\nA,60,2,2,2,2\nB,120,1,1,1,1\nA,360,2,2,2,2\nA,660,2,2,2,2\n,60,1,1,1,1\n";
    let file = read(text);
    let seen: Vec<_> = file.series.iter().map(|s| (s.symbol.as_deref(), s.interval.secs(), s.rows.len())).collect();
    assert_eq!(seen, [(Some("A"), 300, 3), (Some("B"), 60, 2)]);
    assert_eq!(defects(&file), [(DefectKind::MissingField, 1, 7)]);
    let only = read_text(text, &BarOptions { symbol: Some("B".into()), ..Default::default() }).unwrap();
    assert_eq!((only.series.len(), only.rows(), only.skipped()), (1, 2, 0));
}

#[test]
fn unusable_files_say_what_to_do() {
    let fails = |text: &str, options: BarOptions, want: &str| {
        let e = read_text(text, &options).unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    };
    let m5 = BarOptions { interval: "5m".parse().ok(), ..Default::default() };
    fails("", BarOptions::default(), "no header and no bars");
    fails("timestamp,open,high,low\n1,1,1,1\n", BarOptions::default(), "line 1: no column for close; name the columns");
    fails("hello\nworld\n", BarOptions::default(), "no header and no bars");
    fails("t,o,h,l,c\n", BarOptions::default(), "no bars after the header");
    fails("t,o,h,l,c\n60,0,0,0,0\n", BarOptions::default(), "no usable bar: 1 skipped: price not positive");
    fails("t,o,h,l,c\n60,1,1,1,1\n", BarOptions::default(), "state the interval");
    fails("t,o,h,l,c\n60,1,1,1,1\n120,1,1,1,1\n", m5, "bars are 1m apart, not 5m");
    fails(
        "t,o,h,l,c\n1640995200000,1,1,1,1\n1640995260500,1,1,1,1\n",
        BarOptions::default(),
        "an interval is whole seconds",
    );
    fails(
        "symbol,t,o,h,l,c\nA,60,1,1,1,1\n",
        BarOptions { symbol: Some("Z".into()), ..Default::default() },
        "no bar of \"Z\"",
    );
    fails("PAR1 is only the start", BarOptions::default(), "not a whole Parquet file");
    let e = read_bars("no/such/bars.csv", &BarOptions::default()).unwrap_err().to_string();
    assert!(e.contains("no/such/bars.csv") && e.contains("check the path"), "{e}");
}

#[test]
fn unreadable_lines_are_passed() {
    let mut bytes = b"t,o,h,l,c\n60,1,1,1,1\n\xff\xfe\n".to_vec();
    bytes.extend(std::iter::repeat_n(b'9', 1 << 20));
    bytes.extend_from_slice(b"\n120,1,1,1,1\n");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let file = read_bars(file.path(), &BarOptions::default()).unwrap();
    assert_eq!((file.rows(), file.rows_read), (2, 4));
    assert_eq!(defects(&file), [(DefectKind::Unreadable, 2, 3)]);
}

#[test]
fn inferred_instruments_hold_the_series_exactly() {
    let file = read("t,o,h,l,c,v\n60,46319.0,46385.5,46319,46377,3.25\n120,46377,46411,46377,46411,0\n");
    let series = &file.series[0];
    let perp = InstrumentKind::Perpetual(Settlement::Linear);
    let i = series.infer_instrument("binance:BTC-USDT-PERP", perp).unwrap();
    assert_eq!((i.price_decimals, i.qty_decimals, i.base.as_str(), i.quote.as_str()), (1, 7, "BTC", "USDT"));
    let bar = series.rows.get(0).unwrap().to_bar(series.interval, &i, VolumeUnit::Base).unwrap();
    assert_eq!((i.price_decimal(bar.high), i.qty_decimal(bar.volume)), (d("46385.5"), d("3.25")));
    let quote = series.rows.get(0).unwrap().to_bar(series.interval, &i, VolumeUnit::Quote).unwrap();
    assert_eq!(i.qty_decimal(quote.volume), d("0.00007")); // 3.25 / 46377, rounded down
    assert!(series.infer_instrument("BTCUSDT", SPOT).is_err());
    // A price below half a tick of the instrument it is put on is an error, not a zero.
    let dust = BarRow { low: d("0.01"), ..series.rows.get(0).unwrap() };
    assert!(dust.to_bar(series.interval, &i, VolumeUnit::Base).is_err());
}

#[test]
fn real_minute_bars() {
    let Some(path) = data("btc_perp_1m_2022-01.csv") else { return };
    let file = read_bars(&path, &BarOptions::default()).unwrap();
    assert_eq!((file.rows(), file.rows_read, file.defects.len(), file.series.len()), (45_031, 45_031, 0, 1));
    let series = &file.series[0];
    // Counted the plain way: minute numbers from the text.
    let text = std::fs::read_to_string(&path).unwrap();
    let minutes: Vec<i64> = text.lines().skip(1).map(|l| naive_minute(l.split(',').next().unwrap())).collect();
    assert_eq!(minutes.len(), series.rows.len());
    let holes = minutes.windows(2).filter(|w| w[1] - w[0] != 1).count();
    let missing: i64 = minutes.windows(2).map(|w| w[1] - w[0] - 1).sum();
    assert_eq!((series.gaps.len(), series.missing()), (holes, missing as u64));
    let times: Vec<i64> = series.rows.iter().map(|r| r.open_time.0 / 60_000_000_000).collect();
    assert_eq!(times, minutes);
    let first = text.lines().nth(1).unwrap();
    let r = series.rows.get(0).unwrap();
    let numbers: Vec<Decimal> = first.split(',').skip(1).map(d).collect();
    assert_eq!(vec![r.open, r.high, r.low, r.close, r.volume], numbers);
    println!("minute bars: {} rows, {} gaps, {} missing", series.rows.len(), series.gaps.len(), series.missing());
}

/// Minutes since the epoch of `2021-12-31 23:01:00.000000`, for the two months the file covers.
fn naive_minute(text: &str) -> i64 {
    let n = |a: usize, b: usize| text[a..b].parse::<i64>().unwrap();
    let day = match (n(0, 4), n(5, 7)) {
        (2021, 12) => 18_962 + n(8, 10) - 1,
        (2022, 1) => 18_993 + n(8, 10) - 1,
        (2022, 2) => 19_024 + n(8, 10) - 1,
        other => panic!("a month the file does not have: {other:?}"),
    };
    day * 1440 + n(11, 13) * 60 + n(14, 16)
}

#[test]
fn real_ten_coins() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::RowAccessor;
    let Some(path) = data("ten_coins_btc_5m_2018-01.parquet") else { return };
    let file = read_bars(&path, &BarOptions::default()).unwrap();
    let coins: Vec<_> = file.series.iter().filter_map(|s| s.symbol.as_deref()?.strip_suffix("-BTC")).collect();
    assert_eq!(coins, ["ADA", "DASH", "ETC", "ETH", "LTC", "NXT", "TRX", "XLM", "XMR", "ZEC"]);
    assert_eq!((file.rows_read, file.skipped()), (57_546, 0));
    assert_eq!(defects(&file), []);
    // Counted the plain way over the same rows.
    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let mut times = BTreeMap::<String, Vec<i64>>::new();
    let mut closes = BTreeMap::<String, Vec<f64>>::new();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        times.entry(row.get_string(0).unwrap().clone()).or_default().push(row.get_timestamp_millis(1).unwrap());
        closes.entry(row.get_string(0).unwrap().clone()).or_default().push(row.get_double(5).unwrap());
    }
    for series in &file.series {
        let name = series.symbol.as_deref().unwrap();
        let steps: Vec<i64> = times[name].windows(2).map(|w| (w[1] - w[0]) / 300_000).collect();
        assert_eq!(series.interval, "5m".parse().unwrap());
        assert_eq!(series.rows.len(), times[name].len());
        assert_eq!(series.gaps.len(), steps.iter().filter(|s| **s != 1).count(), "{name}");
        assert_eq!(series.missing() as i64, steps.iter().map(|s| s - 1).sum::<i64>(), "{name}");
        // The file's doubles carry noise (0.00005330000000000001): on the inferred grid stands what they meant.
        let i = series.infer_instrument(&format!("binance:{name}"), SPOT).unwrap();
        for (row, close) in series.rows.iter().zip(&closes[name]) {
            let bar = row.to_bar(series.interval, &i, VolumeUnit::Base).unwrap();
            assert_eq!(i.price_decimal(bar.close), d(&format!("{close:.14e}")), "{name}");
        }
        println!(
            "{name}: {} rows, {} gaps, {} missing, {} places",
            series.rows.len(),
            series.gaps.len(),
            series.missing(),
            i.price_decimals
        );
    }
}

/// The numbers of bars as files write them, and as they must not be lost.
fn number_texts() -> impl Strategy<Value = String> {
    let plain = (0..10_000_000u64, 0..9usize).prop_map(|(n, places)| {
        let (whole, part) = (n / 10u64.pow(places as u32), n % 10u64.pow(places as u32));
        if places == 0 { whole.to_string() } else { format!("{whole}.{part:0places$}") }
    });
    let odd = prop::sample::select(vec![
        "0.000000000000000001",
        "123456789.123456789012345678",
        "1e-7",
        "2.5E3",
        ".5",
        "5.",
        "007",
        "1.50000000000000",
        "99999999999999999999",
        "170000000000000000000.5",
        "12345678901234567.8",
        "0.1234567890123456",
    ]);
    prop_oneof![6 => plain, 1 => odd.prop_map(str::to_owned)]
}

proptest! {
    /// Packed rows against a list of whole ones, through every change a file makes to them.
    #[test]
    fn packed_rows_are_the_rows(list in prop::collection::vec((0..40i64, prop::array::uniform5(number_texts())), 0..25)) {
        let mut plain: Vec<(u64, BarRow)> = Vec::new();
        let mut rows = rows::Rows::default();
        for (line, (time, texts)) in (1..).zip(list) {
            let shorts = [0, 1, 2, 3, 4].map(|n: usize| rows::Short::of(&texts[n]));
            let Ok(numbers) = texts.iter().map(|t| t.parse()).collect::<Result<Vec<Decimal>, _>>() else { continue };
            for (short, number) in shorts.iter().zip(&numbers) {
                prop_assert!(short.is_none_or(|s| s.decimal() == *number));
            }
            let [open, high, low, close, volume] = numbers[..] else { unreachable!() };
            let row = BarRow { open_time: UnixNanos(time), open, high, low, close, volume };
            rows.push(line, &row, if line % 3 == 0 { [None; 5] } else { shorts });
            plain.push((line, row));
        }
        let same = |rows: &rows::Rows, plain: &[(u64, BarRow)]| {
            assert_eq!(rows.len(), plain.len());
            assert!(rows.iter().eq(plain.iter().map(|(_, row)| *row)));
            assert!(rows.times().eq(plain.iter().map(|(line, row)| (*line, row.open_time))));
            assert!(rows.clone().into_iter().eq(plain.iter().map(|(_, row)| *row)));
        };
        same(&rows, &plain);
        plain.reverse();
        rows.reverse();
        same(&rows, &plain);
        plain.sort_by_key(|(line, row)| (row.open_time, *line));
        rows.sort();
        same(&rows, &plain);
        plain.retain(|(line, row)| line % 4 != 1 && row.open_time.0 != 7);
        rows.retain(|line, row| line % 4 != 1 && row.open_time.0 != 7);
        same(&rows, &plain);
    }
}

#[test]
fn rows_are_taken_out_in_the_order_of_their_close() {
    let mut file = read(
        "symbol,t,o,h,l,c\nA,0,1,1,1,1\nA,300,2,2,2,2\nA,600,3,3,3,3\nB,240,4,4,4,4\nB,300,5,5,5,5\nB,360,6,6,6,6\n\
         C,240,7,7,7,7\nC,300,8,8,8,8\n",
    );
    let mut taken = file.clone();
    // A's bars of five minutes close at 300, 600 and 900, B's at 300, 360 and 420. B is named before A, and C not at all.
    let order: Vec<_> =
        taken.drain_rows(&[Some(2), Some(1), None]).map(|(at, row)| (at, row.open.to_string())).collect();
    let want = [(1, "4"), (0, "1"), (1, "5"), (1, "6"), (0, "2"), (0, "3")].map(|(at, px)| (at, px.to_string()));
    assert_eq!(order, want);
    assert_eq!((taken.rows(), taken.series[2].rows.len()), (2, 2));
    assert_eq!(file.drain_rows(&[Some(0), Some(1), Some(2)]).count(), 8);
}
