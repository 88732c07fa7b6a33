use super::*;
use crate::config::Layers;
use ctos_types::{EventBuf, EventKind, Instrument};
use std::fmt::Write;

/// 2024-08-08T23:54:15.000Z.
const START_MS: i64 = 1_723_161_255_000;

/// A file of a recording, line by line.
#[derive(Default)]
struct Tape(String);

impl Tape {
    fn line(&mut self, second: i64, text: &str) -> &mut Tape {
        writeln!(self.0, "{}000000 {text}", START_MS + second * 1_000 + 3).unwrap();
        self
    }

    fn quote(&mut self, second: i64, symbol: &str, price: &str) -> &mut Tape {
        let (ms, stream) = (START_MS + second * 1_000, symbol.to_lowercase());
        let quote = format!(r#""s":"{symbol}","b":"{price}","B":"2.000","a":"{price}9","A":"2.000""#);
        let data = format!(r#"{{"e":"bookTicker","u":{},{quote},"T":{ms},"E":{ms}}}"#, 10 + second);
        self.line(second, &format!(r#"{{"stream":"{stream}@bookTicker","data":{data}}}"#))
    }

    fn spot_quote(&mut self, second: i64, symbol: &str, price: &str) -> &mut Tape {
        let quote = format!(r#""s":"{symbol}","b":"{price}","B":"2.00000000","a":"{price}9","A":"2.00000000""#);
        let stream = symbol.to_lowercase();
        self.line(second, &format!(r#"{{"stream":"{stream}@bookTicker","data":{{"u":{},{quote}}}}}"#, 10 + second))
    }

    fn defined(&mut self, second: i64, symbol: &str, i: &Instrument, trading: bool) -> &mut Tape {
        let definition = serde_json::to_string(i).unwrap();
        let line =
            format!(r#"{{"ctos":"instrument","symbol":"{symbol}","trading":{trading},"definition":{definition}}}"#);
        self.line(second, &line)
    }

    fn save(&self, dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, &self.0).unwrap();
        path
    }
}

/// Perpetual, with a grid of its own: 0.05 and 0.02.
fn unusual(symbol: &str) -> Instrument {
    use ctos_driver_binance::instruments::builtin;
    let known = builtin(Product::UsdM, symbol).unwrap().clone();
    let i = known.on_places(4, 3).unwrap();
    Instrument { tick: ctos_types::Price(500), lot: ctos_types::Qty(20), ..i }
}

fn settings(path: &Path, more: &[(&str, &str)]) -> Settings {
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("replay:{}", path.display()));
    for (key, value) in more {
        layers.flag("--conf", key, value);
    }
    Settings::resolve(&layers).unwrap()
}

fn opened(path: &Path, more: &[(&str, &str)]) -> Opened {
    crate::market::open(&settings(path, more)).unwrap()
}

fn refused(path: &Path) -> UserError {
    crate::market::open(&settings(path, &[])).unwrap_err()
}

/// Second after the start, the symbol, and what happened.
fn events(opened: &mut Opened) -> Vec<(i64, String, &'static str)> {
    let mut buf = EventBuf::default();
    let mut all = Vec::new();
    let mut last = UnixNanos::MIN;
    let instruments = opened.source.instruments().clone();
    while let Some(times) = opened.source.next(&mut buf) {
        assert!(times.venue >= last, "the tape goes back");
        last = times.venue;
        let (id, what) = match &buf.kind {
            EventKind::Quote { instrument, .. } => (*instrument, "quote"),
            EventKind::Gap { instrument, .. } => (*instrument, "gap"),
            EventKind::Rules { instrument, rules } if rules.trading => (*instrument, "rules"),
            EventKind::Rules { instrument, .. } => (*instrument, "no trading"),
            other => panic!("{other:?}"),
        };
        let second = (times.recv.0 / 1_000_000 - START_MS - 3) / 1_000;
        all.push((second, instruments.get(id).symbol.split().1.to_string(), what));
    }
    all
}

#[test]
fn a_book_ends_with_the_frames_of_its_instrument() {
    let dir = tempfile::tempdir().unwrap();
    let mut tape = Tape::default();
    for second in 0..300 {
        for (symbol, until) in [("BTCUSDT", 300), ("ETHUSDT", 120)] {
            if second < until {
                tape.quote(second, symbol, "2500.0");
            }
        }
    }
    // The last word of a recording is a hole of everything: ETH was gone long before.
    tape.line(299, r#"{"ctos":"gap","since":1,"stream":null,"why":"the recording ends"}"#);
    let mut opened = opened(&tape.save(dir.path(), "two.jsonl"), &[]);
    let told = |n: &String| n.contains("ETH-USDT-PERP: its frames end at 2024-08-08T");
    assert!(opened.notices.iter().any(told), "{:?}", opened.notices);
    let gaps: Vec<_> = events(&mut opened).into_iter().filter(|(.., what)| *what == "gap").collect();
    let eth = |second| (second, "ETH-USDT-PERP".to_string(), "gap");
    assert_eq!(gaps, [eth(119), (299, "BTC-USDT-PERP".into(), "gap"), eth(299)]);
}

#[test]
fn a_setting_outranks_the_recording_and_that_the_built_in_list() {
    let dir = tempfile::tempdir().unwrap();
    let mut tape = Tape::default();
    tape.defined(0, "BTCUSDT", &unusual("BTCUSDT"), true);
    tape.quote(1, "BTCUSDT", "2500.05").quote(1, "ETHUSDT", "2500.1");
    let path = tape.save(dir.path(), "tape.jsonl");
    let by = |opened: &Opened| -> Vec<String> {
        let rows = opened.report["instruments"].as_array().unwrap();
        let cell = |r: &Value, key: &str| r[key].as_str().unwrap().to_string();
        rows.iter().map(|r| ["symbol", "defined_by", "tick", "lot"].map(|k| cell(r, k)).join(" ")).collect()
    };
    let plain = opened(&path, &[]);
    assert_eq!(
        by(&plain),
        ["binance:BTC-USDT-PERP recording 0.0500 0.020", "binance:ETH-USDT-PERP built in 0.01 0.001"]
    );
    assert_eq!(plain.notices[0], "defined by the recording: binance:BTC-USDT-PERP (tick 0.0500, lot 0.020)");
    let info = dir.path().join("info.json");
    let filters = r#"[{"filterType":"PRICE_FILTER","tickSize":"0.25"},
        {"filterType":"LOT_SIZE","stepSize":"0.005","minQty":"0.005","maxQty":"1000"}]"#;
    let row = format!(
        r#"{{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","contractType":"PERPETUAL",
            "pricePrecision":2,"quantityPrecision":3,"filters":{filters}}}"#
    );
    std::fs::write(&info, format!(r#"{{"futuresType":"U_MARGINED","symbols":[{row}]}}"#)).unwrap();
    let given = opened(&path, &[("instruments", info.to_str().unwrap())]);
    assert_eq!(by(&given)[0], "binance:BTC-USDT-PERP setting 0.25 0.005");
    assert!(given.notices[0].starts_with("defined by the setting `instruments`: "), "{:?}", given.notices);
    // What the recording says of its own rules is not laid over a definition from elsewhere.
    assert!(!given.notices.iter().any(|n| n.contains("from 2024")), "{:?}", given.notices);
    assert_ne!(given.source.digest(), plain.source.digest());
    std::fs::write(&info, "{}").unwrap();
    let error = crate::market::open(&settings(&path, &[("instruments", info.to_str().unwrap())])).unwrap_err();
    assert!(error.message.contains("info.json") && error.hint.contains("exchangeInfo"), "{error:?}");
}

#[test]
fn rules_change_where_the_recording_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (first, mut tape) = (unusual("BTCUSDT"), Tape::default());
    let coarse = Instrument { tick: ctos_types::Price(1_000), ..first.clone() };
    tape.defined(0, "BTCUSDT", &first, true).quote(1, "BTCUSDT", "2500.05").quote(5, "BTCUSDT", "2500.05");
    // Again at each new chapter: no news.
    tape.defined(6, "BTCUSDT", &first, true).quote(7, "BTCUSDT", "2500.05");
    tape.defined(8, "BTCUSDT", &coarse, true).quote(9, "BTCUSDT", "2500.1");
    tape.defined(10, "BTCUSDT", &coarse, false).quote(11, "BTCUSDT", "2500.1");
    let mut opened = opened(&tape.save(dir.path(), "tape.jsonl"), &[]);
    let told: Vec<_> = events(&mut opened).into_iter().map(|(second, _, what)| (second, what)).collect();
    let want =
        [(1, "quote"), (5, "quote"), (7, "quote"), (8, "rules"), (9, "quote"), (10, "no trading"), (11, "quote")];
    assert_eq!(told, want);
    let text = opened.notices.join("\n");
    assert!(text.contains("on ticks are 0.1000, lots 0.020") && text.contains("the venue takes no orders"), "{text}");
    assert_eq!(opened.report["bad_lines"], 0);
}

#[test]
fn a_directory_is_one_market_of_all_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let coarse = Instrument { tick: ctos_types::Price(10), ..unusual("BTCUSDT").on_places(2, 3).unwrap() };
    let mut early = Tape::default();
    early.defined(0, "BTCUSDT", &coarse, true).quote(0, "BTCUSDT", "2500.1").quote(2, "BTCUSDT", "2500.1");
    early.save(dir.path(), "binance-usdm-20240808T235415Z.jsonl");
    let mut late = Tape::default();
    // By now the venue's prices have more places: the whole recording is on a grid that holds them.
    late.defined(10, "BTCUSDT", &unusual("BTCUSDT"), true).quote(11, "BTCUSDT", "2500.050");
    late.save(dir.path(), "binance-usdm-20240808T235415Z-2.jsonl");
    let mut spot = Tape::default();
    spot.spot_quote(1, "BTCUSDT", "2500.1").spot_quote(12, "BTCUSDT", "2500.1");
    spot.save(dir.path(), "binance-spot-20240808T235415Z.jsonl");
    Tape::default().save(dir.path(), "empty.jsonl");
    std::fs::write(dir.path().join("notes.txt"), "not a recording").unwrap();
    let mut all = opened(dir.path(), &[]);
    let (perp, spot) = ("BTC-USDT-PERP".to_string(), "BTC-USDT".to_string());
    let want = [
        (0, perp.clone(), "quote"),
        (1, spot.clone(), "quote"),
        (2, perp.clone(), "quote"),
        (2, perp.clone(), "gap"),
        (10, perp.clone(), "rules"),
        (11, perp, "quote"),
        (12, spot, "quote"),
    ];
    assert_eq!(events(&mut all), want);
    let btc = all.source.instruments().find("BTC-USDT-PERP").unwrap();
    assert_eq!((btc.price_decimals, btc.price_text(btc.tick)), (4, "0.1000".into()));
    assert!(all.notices.iter().any(|n| n.contains("empty.jsonl")), "{:?}", all.notices);
    let files = all.report["files"].as_array().unwrap();
    assert_eq!((files.len(), &all.report["lines"]), (3, &json!(7)));
    // Only what is asked for is wound.
    let mut some = opened(dir.path(), &[("symbols", "binance:BTC-USDT")]);
    assert!(events(&mut some).iter().all(|(_, symbol, _)| symbol == "BTC-USDT"));
    assert_eq!(some.report["unknown_symbols"], json!({}));
}

#[test]
fn what_is_no_recording_is_refused_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(dir.path()).message.ends_with("holds no capture"));
    assert!(refused(&dir.path().join("gone")).message.contains("no such file or directory"));
    let empty = Tape::default().save(dir.path(), "empty.jsonl");
    assert!(refused(&empty).message.contains("empty.jsonl holds no Binance frame"));
    assert!(refused(dir.path()).message.ends_with("holds no Binance frame"));
    for name in ["a.jsonl", "b.jsonl"] {
        let mut tape = Tape::default();
        tape.quote(0, "BTCUSDT", "2500.1").quote(60, "BTCUSDT", "2500.1").save(dir.path(), name);
    }
    let error = refused(dir.path());
    assert!(error.message.contains("of the same market and the same time"), "{error:?}");
    let mut other = Tape::default();
    other.quote(0, "ABCUSDT", "1.0");
    let error = refused(&other.save(dir.path(), "c.jsonl"));
    assert!(error.message.contains("of ABCUSDT, which is not defined here"), "{error:?}");
    assert!(error.hint.contains("instruments: FILE"), "{error:?}");
}

#[test]
fn a_definition_that_is_none_is_a_bad_line_and_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let good = unusual("BTCUSDT");
    let (mut tape, wide) = (Tape::default(), Instrument { price_decimals: 200, qty_decimals: 200, ..good.clone() });
    tape.defined(0, "BTCUSDT", &Instrument { lot: ctos_types::Qty(0), ..good.clone() }, true);
    tape.defined(0, "ETHUSDT", &good, true).defined(0, "BTCUSDT", &wide, true);
    tape.line(0, r#"{"ctos":"instrument","symbol":7}"#).quote(1, "BTCUSDT", "2500.1");
    let mut opened = opened(&tape.save(dir.path(), "tape.jsonl"), &[]);
    assert_eq!((events(&mut opened).len(), &opened.report["bad_lines"]), (1, &json!(4)));
    assert_eq!(opened.report["instruments"][0]["defined_by"], "built in");
}
