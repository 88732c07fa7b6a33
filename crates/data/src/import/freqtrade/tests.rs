use crate::import::testing::{self, gz};
use crate::import::{Batch, Format, ImportOptions, detect};
use arrow_array::{
    ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use proptest::prelude::*;
use std::sync::Arc;

/// 2018-01-01, in ms.
const START: i64 = 1_514_764_800_000;
/// Written by pandas 3 as freqtrade does: `df.to_feather(path, compression_level=9, compression="lz4")`; made by
/// `fixture.py` beside it.
const FROM_PANDAS: &[u8] = include_bytes!("fixture.feather");

fn json(name: &str, content: impl AsRef<[u8]>, want: &[&str]) {
    with(Format::FreqtradeJson, name, content.as_ref(), &ImportOptions::default(), want);
}

fn feather(name: &str, content: impl AsRef<[u8]>, want: &[&str]) {
    with(Format::FreqtradeFeather, name, content.as_ref(), &ImportOptions::default(), want);
}

#[track_caller]
fn with(format: Format, name: &str, content: &[u8], options: &ImportOptions, want: &[&str]) {
    assert_eq!(testing::import(format, name, content, options), want, "{name}");
}

fn write(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Bars of five minutes with these numbers as all prices.
fn candles(from: usize, values: &[f64]) -> RecordBatch {
    let times = (0..values.len()).map(|n| START + (from + n) as i64 * 300_000);
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![("date", Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC")))];
    columns.extend(["open", "high", "low", "close", "volume"].map(|name| (name, doubles(values))));
    batch(columns)
}

#[test]
fn a_feather_file_of_pandas() {
    feather(
        "binance/BTC_USDT-5m.feather",
        FROM_PANDAS,
        &[
            "1: binance:BTC-USDT@2018-01-01T00:00:00Z 5m bar 13715.65 13715.65 13681 13707.92 v=2.846266",
            "2: binance:BTC-USDT@2018-01-01T00:05:00Z 5m bar 13707.91 13707.91 13666.11 13694.92 v=4.366",
            "3: binance:BTC-USDT@2018-01-01T00:10:00Z 5m bar 13689.99 13690 13647.4 13680.87 v=0.3",
            "4: binance:BTC-USDT@2018-01-01T00:20:00Z 5m bar 0.00000001 0.00000015 0.00000001 0.000000099 v=123456789",
            "1 kept: more digits than can be meant, rounded to 15 (first at line 3: volume, now 0.3)",
        ],
    );
}

#[test]
fn feather_in_all_compressions_and_times() {
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let file = write(&[candles(0, &[0.1]), candles(1, &[2.5])], compression);
        feather(
            "okx/futures/BTC_USDT_USDT-5m-futures.feather",
            file,
            &[
                "1: okx:BTC-USDT-PERP@2018-01-01T00:00:00Z 5m bar 0.1 0.1 0.1 0.1 v=0.1",
                "2: okx:BTC-USDT-PERP@2018-01-01T00:05:00Z 5m bar 2.5 2.5 2.5 2.5 v=2.5",
            ],
        );
    }
    let times: [ArrayRef; 3] = [
        Arc::new(TimestampNanosecondArray::from(vec![START * 1_000_000])),
        Arc::new(Int64Array::from(vec![START])),
        Arc::new(Int64Array::from(vec![START * 1000])),
    ];
    for time in times {
        let singles = Arc::new(Float32Array::from(vec![0.1f32]));
        let whole = Arc::new(Int64Array::from(vec![7]));
        // Columns in another order and case, with one that is not needed and of a type that is not read.
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("note", Arc::new(StringArray::from(vec!["x"]))),
            ("volume", whole),
            ("Close", singles.clone()),
            ("low", singles.clone()),
            ("high", singles.clone()),
            ("open", singles),
            ("timestamp", time),
        ];
        feather(
            "binance/BTC_USDT-5m.feather",
            write(&[batch(columns)], None),
            &["1: binance:BTC-USDT@2018-01-01T00:00:00Z 5m bar 0.1 0.1 0.1 0.1 v=7"],
        );
    }
}

#[test]
fn feather_rows_that_are_no_candles_are_counted_and_passed() {
    let numbers = vec![Some(1.0), None, Some(f64::NAN), Some(1e300), Some(1.0), Some(1.0), Some(0.1 + 0.7)];
    let values: ArrayRef = Arc::new(Float64Array::from(numbers));
    let times = [0, 1, 2, 3].map(|n| Some(START + n * 300_000)).into_iter().chain([None, Some(-5), Some(START)]);
    let mut columns: Vec<(&str, ArrayRef)> = vec![("date", Arc::new(times.collect::<TimestampMillisecondArray>()))];
    columns.extend(["open", "high", "low", "close"].map(|name| (name, values.clone())));
    columns.push(("volume", doubles(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e-20 + 1.0 / 3e10])));
    feather(
        "binance/BTC_USDT-5m.feather",
        write(&[batch(columns)], Some(CompressionType::LZ4_FRAME)),
        &[
            "1: binance:BTC-USDT@2018-01-01T00:00:00Z 5m bar 1 1 1 1 v=1",
            "7: binance:BTC-USDT@2018-01-01T00:00:00Z 5m bar 0.8 0.8 0.8 0.8 v=0.000000000033333333",
            "2 skipped: field missing (first at line 2: no open)",
            "1 skipped: time not understood (first at line 6: date -5)",
            "2 skipped: not a number that fits (first at line 3: open NaN)",
            "1 kept: more digits than can be meant, rounded to 15 (first at line 7: open, now 0.8)",
        ],
    );
}

#[test]
fn marks_and_funding_rates() {
    let file = write(&[candles(0, &[0.0001])], Some(CompressionType::LZ4_FRAME));
    feather(
        "binance/futures/BTC_USDT_USDT-8h-funding_rate.feather",
        &file,
        &["1: binance:BTC-USDT-PERP@2018-01-01T00:00:00Z funding 0.0001"],
    );
    feather(
        "binance/futures/BTC_USDT_USDT-8h-mark.feather",
        &file,
        &["1: binance:BTC-USDT-PERP@2018-01-01T08:00:00Z mark 0.0001"],
    );
    feather(
        "binance/BTC_USDT-trades.feather",
        &file,
        &["error: trades files have no place in the catalog | hint: there is a place for candles of prices and marks \
           and for funding rates"],
    );
    // Funding files need no more than their own column.
    let rate = batch(vec![
        ("date", Arc::new(TimestampMillisecondArray::from(vec![START]))),
        ("funding_rate", doubles(&[-0.5])),
    ]);
    feather(
        "binance/futures/BTC_USDT_USDT-8h-funding_rate.feather",
        write(&[rate], None),
        &["1: binance:BTC-USDT-PERP@2018-01-01T00:00:00Z funding -0.5"],
    );
}

#[test]
fn json_lists() {
    let rows = "[[1514764800000,13715.65,13715.65,13681.0,13707.92,2.846266],\n \
        [1514765100000, 1e-8, 1.5e-7, 1e-8, 9.9e-8, 123456789]]\n";
    let want = [
        "1: binance:BTC-USDT@2018-01-01T00:00:00Z 5m bar 13715.65 13715.65 13681 13707.92 v=2.846266",
        "2: binance:BTC-USDT@2018-01-01T00:05:00Z 5m bar 0.00000001 0.00000015 0.00000001 0.000000099 v=123456789",
    ];
    json("binance/BTC_USDT-5m.json", rows, &want);
    json("binance/BTC_USDT-5m.json.gz", gz(rows.as_bytes()), &want);
    json("binance/BTC_USDT-5m.json", format!("\u{feff}{rows}"), &want);
    let micros = "[[1514764800000000,1,1,1,1,1]]";
    json("okx/BTC_USDT-1h.json", micros, &["1: okx:BTC-USDT@2018-01-01T00:00:00Z 1h bar 1 1 1 1 v=1"]);
    json(
        "binance/futures/BTC_USDT_USDT-8h-funding_rate.json",
        "[[1514764800000.0,0.0001,null,null,null,null]]",
        &["1: binance:BTC-USDT-PERP@2018-01-01T00:00:00Z funding 0.0001"],
    );
}

#[test]
fn json_rows_that_are_no_candles_are_counted_and_passed() {
    let long = "1".repeat(5000);
    let rows = format!(
        "[[1514764800000,1,1,1,1,1],[1514765100000,1,1,1,1],[1514765100000,1,null,1,1,1],[1514765100000,1,NaN,1,1,1],\
         [1514765,1,1,1,1,1],[{long}],[1514766000000,1,1,1,1,1],[1514766300000,1,1,1"
    );
    let good =
        ["2018-01-01T00:00:00Z", "2018-01-01T00:20:00Z"].map(|at| format!("binance:BTC-USDT@{at} 5m bar 1 1 1 1 v=1"));
    json(
        "binance/BTC_USDT-5m.json",
        rows,
        &[
            &format!("1: {}", good[0]),
            &format!("7: {}", good[1]),
            "3 skipped: unreadable (first at line 2: 5 columns where there should be 6)",
            "1 skipped: field missing (first at line 3: no high)",
            "1 skipped: time not understood (first at line 5: \"1514765\")",
            "1 skipped: not a number that fits (first at line 4: high \"NaN\")",
        ],
    );
}

#[test]
fn files_that_are_of_no_use_say_why() {
    let lists = "candles are a list of lists: [[time, open, high, low, close, volume], ...]";
    for (content, why, hint) in [
        ("", "the file is empty", "fetch it again: freqtrade download-data"),
        ("[]", "the list is empty", "fetch it again: freqtrade download-data"),
        ("{\"a\":1}", "not a JSON list", lists),
        ("[1,2]", "line 1: not a list of candles", lists),
        (
            "[[1514764800000,[1],1,1,1,1]]",
            "line 1: a list within a candle",
            "candles are six numbers each: check the file",
        ),
        ("[] x", "line 1: text behind the end of the list", "check that this is the file you meant"),
    ] {
        json("binance/BTC_USDT-5m.json", content, &[&format!("error: {why} | hint: {hint}")]);
    }
    json(
        "binance/BTC_USDT-5m.json",
        "[[1514764800000,1,1,1,1,1],[1514765100000000,1,1,1,1,1]]",
        &[
            "1: binance:BTC-USDT@2018-01-01T00:00:00Z 5m bar 1 1 1 1 v=1",
            "error: line 2: mixed time units: microseconds here, milliseconds at line 1 | hint: two archives were put \
             together in one file: split them and import each by itself",
        ],
    );
    let row = "[[1514764800000,1,1,1,1,1]]";
    for (name, why, hint) in [
        (
            "x/BTC_USDT-5m.json",
            "neither folder nor flags tell which venue BTC-USDT is of",
            "state it, for example --venue binance",
        ),
        (
            "x.json",
            "the name does not tell the pair, as BTC_USDT-5m does",
            "state it, for example --symbol binance:BTC-USDT",
        ),
    ] {
        json(name, row, &[&format!("error: {why} | hint: {hint}")]);
    }
    let options = ImportOptions {
        venue: Some("okx".into()),
        symbol: Some("ETH-USDT".into()),
        interval: "5m".parse().ok(),
        ..Default::default()
    };
    with(
        Format::FreqtradeJson,
        "x.json",
        row.as_bytes(),
        &options,
        &["1: okx:ETH-USDT@2018-01-01T00:00:00Z 5m bar 1 1 1 1 v=1"],
    );
    let want = "error: the name says 1h bars and --interval says 5m | hint: leave --interval out, or rename the file";
    with(Format::FreqtradeJson, "okx/BTC_USDT-1h.json", row.as_bytes(), &options, &[want]);
    let hint = "hint: candles have the columns date, open, high, low, close, volume: a timestamp and doubles";
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let text = batch(vec![("date", texts)]);
    let want = format!("error: column date holds Utf8, which is not read here | {hint}");
    feather("okx/BTC_USDT-5m.feather", write(&[text], None), &[&want]);
    let short = batch(vec![("date", Arc::new(Int64Array::from(vec![START]))), ("open", doubles(&[1.0]))]);
    feather("okx/BTC_USDT-5m.feather", write(&[short], None), &[&format!("error: no column high | {hint}")]);
    let none = "error: the file has no rows | hint: fetch it again: freqtrade download-data";
    feather("okx/BTC_USDT-5m.feather", write(&[candles(0, &[])], None), &[none]);
}

#[test]
fn a_long_feather_file_comes_in_steps_whatever_its_batches() {
    let values: Vec<f64> = (1..=10_000).map(f64::from).collect();
    let file = write(&[candles(0, &values), candles(10_000, &values[..7])], Some(CompressionType::LZ4_FRAME));
    testing::with_file("okx/BTC_USDT-5m.feather", &file, |path| {
        let mut importer = Format::FreqtradeFeather.open(path, &ImportOptions::default()).unwrap();
        let (mut places, mut batch, mut sizes) = (Vec::new(), Batch::default(), Vec::new());
        loop {
            batch.clear();
            let more = importer.next(&mut batch).unwrap();
            places.extend(batch.records.iter().map(|r| r.place));
            sizes.push(batch.records.len());
            if !more {
                break;
            }
        }
        assert_eq!((sizes, importer.name()), (vec![4096, 4096, 1815], "freqtrade-feather"));
        assert_eq!(places, (1..=10_007).collect::<Vec<_>>());
        assert!(importer.bytes_read() <= file.len() as u64);
    });
}

#[test]
fn detection() {
    let fits = |name: &str, content: &[u8]| testing::with_file(name, content, |path| detect(path).unwrap());
    assert_eq!(fits("x", FROM_PANDAS), Some(Format::FreqtradeFeather));
    assert_eq!(fits("x", b"[[1514764800000,1,1,1,1,1]]"), Some(Format::FreqtradeJson));
    assert_eq!(fits("BTC_USDT-5m.json", b"[ ]"), Some(Format::FreqtradeJson));
    assert_eq!(fits("x.gz", &gz(b" [ [1514764800000,1,1,1,1,1]]")), Some(Format::FreqtradeJson));
    assert_eq!(fits("x.json", b"[1,2]"), None);
    let e = testing::with_file("x.feather", b"FEA1xxxxxxxxxxxxxx", |path| detect(path).unwrap_err());
    assert!(e.why.contains("first version") && e.hint.contains("to_feather"), "{e}");
}

#[test]
fn every_truncation_of_a_feather_file_is_an_error() {
    for cut in 0..FROM_PANDAS.len() {
        let seen = testing::import(
            Format::FreqtradeFeather,
            "okx/BTC_USDT-5m.feather",
            &FROM_PANDAS[..cut],
            &ImportOptions::default(),
        );
        assert!(seen.len() == 1 && seen[0].starts_with("error: not a whole feather file"), "cut at {cut}: {seen:?}");
    }
}

proptest! {
    /// What a double of 15 digits says is what comes out, digit for digit.
    #[test]
    fn doubles_come_through_exactly(
        rows in proptest::collection::vec((0i64..=999_999_999_999_999, 0u8..=12), 1..30)
    ) {
        let texts: Vec<_> = rows.iter().map(|(m, p)| ctos_types::instrument::mantissa_text(*m, *p)).collect();
        let values: Vec<f64> = texts.iter().map(|t| t.parse().unwrap()).collect();
        let file = write(&[candles(0, &values)], Some(CompressionType::LZ4_FRAME));
        let seen = testing::records(Format::FreqtradeFeather, "okx/BTC_USDT-5m.feather", &file);
        prop_assert_eq!(seen.len(), texts.len());
        for (record, text) in seen.iter().zip(&texts) {
            let crate::Body::Bar(bar) = record.body else { panic!("{record:?}") };
            prop_assert_eq!(bar.open, crate::Number::parse(text).unwrap());
        }
    }

    #[test]
    fn json_numbers_come_through_exactly(mantissa in 0i64..=999_999_999_999_999_999, places in 0u8..=18) {
        let text = ctos_types::instrument::mantissa_text(mantissa, places);
        let file = format!("[[{START},{text},{text},{text},{text},{text}]]");
        let seen = testing::records(Format::FreqtradeJson, "okx/BTC_USDT-5m.json", file.as_bytes());
        let crate::Body::Bar(bar) = seen[0].body else { panic!("{seen:?}") };
        prop_assert_eq!(bar.close, crate::Number::parse(&text).unwrap());
    }

    /// A damaged file gives rows, flaws or an error: never a panic, never memory that the file does not have.
    #[test]
    fn damaged_feather_files_are_an_answer(
        compressed in any::<bool>(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let own = write(&[candles(0, &[0.5; 40])], None);
        let mut file = if compressed { FROM_PANDAS.to_vec() } else { own };
        for (at, byte) in hits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        testing::import(Format::FreqtradeFeather, "okx/BTC_USDT-5m.feather", &file, &ImportOptions::default());
    }

    #[test]
    fn damaged_json_is_an_answer(text in "[\\[\\],0-9.e \"a-]{0,60}", cut in 0usize..60) {
        let whole = "[[1514764800000,1,1,1,1,1],[1514765100000,1,1,1,1,1]]";
        for content in [text.clone(), format!("{}{text}", &whole[..cut.min(whole.len())])] {
            let options = ImportOptions::default();
            testing::import(Format::FreqtradeJson, "okx/BTC_USDT-5m.json", content.as_bytes(), &options);
        }
    }
}
