use super::*;
use crate::instruments::builtin_all;
use ctos_types::{FundingRate, Instruments};

struct Lines {
    lines: Vec<(i64, String)>,
    next: usize,
}

impl LineSource for Lines {
    type Error = std::convert::Infallible;

    fn next_line(&mut self) -> Result<Option<SourceLine<'_>>, Self::Error> {
        self.next += 1;
        let number = self.next as u64;
        Ok(self.lines.get(self.next - 1).map(|(ts, text)| match text.as_str() {
            "bad" => SourceLine::Bad { number },
            text => SourceLine::Frame { number, ts_recv: UnixNanos(*ts), frame: text.as_bytes() },
        }))
    }
}

fn load(lines: &[&str], product: Option<Product>) -> (Vec<String>, CaptureLoad) {
    let lines = lines.iter().enumerate().map(|(n, l)| (n as i64, l.to_string())).collect();
    load_stamped(lines, product)
}

fn load_stamped(lines: Vec<(i64, String)>, product: Option<Product>) -> (Vec<String>, CaptureLoad) {
    let instruments = Instruments::new(builtin_all().to_vec()).unwrap();
    let list: Vec<_> = instruments.iter().cloned().collect();
    let mut seen = Vec::new();
    let load = load_capture(&mut Lines { lines, next: 0 }, &list, product, |at, m| {
        let name = instruments.get(m.instrument).symbol.split().1.to_string();
        let what = match m.data {
            MarketData::Quote { update_id, .. } => format!("quote {update_id}"),
            MarketData::Trade(t) => format!("trade {} of {}", t.id, t.qty.0),
            MarketData::Depth { snapshot: true, update_id, .. } => format!("snapshot {update_id}"),
            MarketData::Depth { update_id, .. } => format!("diff {update_id}"),
            MarketData::Mark(m) => format!("mark {}", m.mark),
            MarketData::Gap => "gap".into(),
            MarketData::Funding(f) => format!("funding {} at {}", f.rate, f.mark),
            other => panic!("no capture has {other:?}"),
        };
        seen.push(format!("{} {name} {what}", at.0));
    });
    let load = load.unwrap();
    let unknown: u64 = load.unknown_symbols.values().sum();
    assert_eq!(load.lines, load.frames.total() + load.bad_lines + unknown, "every line is accounted for");
    (seen, load)
}

fn quote(symbol: &str, u: u64) -> String {
    format!(r#"{{"e":"bookTicker","u":{u},"s":"{symbol}","b":"1.0","B":"1","a":"2.0","A":"1","T":5,"E":6}}"#)
}

fn diff(symbol: &str, first: u64, last: u64, prev: u64) -> String {
    format!(
        r#"{{"e":"depthUpdate","E":6,"T":5,"s":"{symbol}","U":{first},"u":{last},"pu":{prev},"b":[["1.0","1"]],"a":[]}}"#
    )
}

fn snapshot(id: u64) -> String {
    format!(r#"{{"lastUpdateId":{id},"E":6,"T":5,"bids":[["1.0","1"]],"asks":[]}}"#)
}

fn trade(id: u64, kind: &str) -> String {
    format!(r#"{{"e":"trade","E":6,"T":5,"s":"BTCUSDT","t":{id},"p":"1.0","q":"1","X":"{kind}","m":false}}"#)
}

fn agg(first: u64, last: u64) -> String {
    format!(r#"{{"e":"aggTrade","E":6,"s":"BTCUSDT","a":9,"p":"1.0","q":"2","f":{first},"l":{last},"T":5,"m":false}}"#)
}

#[test]
fn events_in_the_order_received() {
    let (q, d1, s, d2) = (quote("BTCUSDT", 8), diff("BTCUSDT", 5, 9, 4), snapshot(7), diff("BTCUSDT", 12, 15, 9));
    let (seen, load) = load(&[&q, &d1, "{\"result\":null,\"id\":1}", &s, &d2, &trade(3, "MARKET")], None);
    assert_eq!(
        seen,
        [
            "0 BTC-USDT-PERP quote 8",
            "3 BTC-USDT-PERP snapshot 7",
            "3 BTC-USDT-PERP diff 9",
            "4 BTC-USDT-PERP diff 15",
            "5 BTC-USDT-PERP trade 3 of 1000",
        ]
    );
    assert_eq!((load.product, load.bad_lines, load.notices()), (Some(Product::UsdM), 0, vec![]));
    assert_eq!(load.frames.other, BTreeMap::from([("reply".to_string(), 1)]));
    assert_eq!((load.symbols.len(), load.symbols[0].symbol.as_str(), load.symbols[0].valid), (1, "BTCUSDT", true));
}

#[test]
fn a_lost_diff_is_a_gap_and_the_book_stays_unknown_without_a_snapshot() {
    let d = |a, b, c| diff("BTCUSDT", a, b, c);
    let (seen, load) = load(&[&d(5, 9, 4), &snapshot(7), &d(20, 25, 15), &d(26, 30, 25), &quote("BTCUSDT", 30)], None);
    assert_eq!(
        seen,
        ["1 BTC-USDT-PERP snapshot 7", "1 BTC-USDT-PERP diff 9", "2 BTC-USDT-PERP gap", "4 BTC-USDT-PERP quote 30",]
    );
    assert_eq!((load.gaps(), load.dropped_diffs(), load.symbols[0].valid), (1, 2, false));
    assert_eq!(
        load.notices(),
        ["BTCUSDT: the chain of depth updates broke 1 times; the book stayed unknown, 2 updates were dropped"]
    );
}

#[test]
fn bad_lines_unknown_symbols_and_other_markets_are_told() {
    let spot = r#"{"u":5,"s":"BTCUSDT","b":"1.0","B":"1","a":"2.0","A":"1"}"#;
    let (seen, load) = load(&["bad", &quote("BTCUSDT", 1), "{", spot, &quote("XYZUSDT", 2)], None);
    assert_eq!(seen, ["1 BTC-USDT-PERP quote 1"]);
    let told: Vec<_> = load.bad.iter().map(|b| (b.number, b.why.split(':').next().unwrap())).collect();
    assert_eq!(
        told,
        [(1, "unreadable"), (3, "not JSON"), (4, "a frame of another market in a capture of USD-M futures")]
    );
    assert_eq!(load.unknown_symbols, BTreeMap::from([("XYZUSDT".to_string(), 1)]));
    let notices = load.notices();
    assert!(
        notices[0].contains("XYZUSDT (1 frames)") && notices[1].starts_with("3 bad lines were skipped"),
        "{notices:?}"
    );
}

#[test]
fn the_product_can_be_told() {
    let (seen, load) = load(&[&quote("BTCUSDT", 1)], Some(Product::Spot));
    assert_eq!((seen, load.product), (vec!["0 BTC-USDT quote 1".to_string()], Some(Product::Spot)));
    let (seen, load) = super::tests::load(&["{\"result\":null}", "nonsense"], None);
    assert_eq!((seen.len(), load.product, load.bad_lines, load.frames.total()), (0, None, 1, 1));
}

#[test]
fn each_trade_once() {
    let lines = [
        &trade(1, "MARKET"),
        &trade(1, "MARKET"),
        &agg(1, 1),
        &agg(2, 4),
        &trade(3, "MARKET"),
        &trade(5, "MARKET"),
        &trade(6, "INSURANCE_FUND"),
    ];
    let (seen, load) = load(&lines.map(String::as_str), None);
    assert_eq!(
        seen,
        ["0 BTC-USDT-PERP trade 1 of 1000", "3 BTC-USDT-PERP trade 4 of 2000", "5 BTC-USDT-PERP trade 5 of 1000"]
    );
    assert_eq!((load.trades_repeated, load.trades_off_book), (3, 1));
}

#[test]
fn time_never_goes_back() {
    let lines = [(50, quote("BTCUSDT", 1)), (40, quote("BTCUSDT", 2)), (60, quote("BTCUSDT", 3))];
    let (seen, load) = load_stamped(lines.to_vec(), None);
    let times: Vec<_> = seen.iter().map(|s| &s[..2]).collect();
    assert_eq!((times, load.out_of_order), (vec!["50", "50", "60"], 1));
}

#[test]
fn a_snapshot_among_several_symbols_must_name_its_own() {
    let named = snapshot(7).replace("{\"last", "{\"s\":\"ETHUSDT\",\"last");
    let (b, e) = (diff("BTCUSDT", 5, 9, 4), diff("ETHUSDT", 5, 9, 4));
    let (seen, load) = load(&[&b, &e, &snapshot(7), &named], None);
    assert_eq!(seen, ["3 ETH-USDT-PERP snapshot 7", "3 ETH-USDT-PERP diff 9"]);
    assert_eq!((load.bad_lines, load.bad[0].number), (1, 3));
    assert!(load.notices()[0].starts_with("BTCUSDT: the capture has no depth snapshot"), "{:?}", load.notices());
}

#[test]
fn probing() {
    let lines = ["{\"result\":null}", &quote("BTCUSDT", 1), &quote("ETHUSDT", 2), &quote("BTCUSDT", 3)];
    let lines = lines.iter().map(|l| (0, l.to_string())).collect();
    let probe = probe(&mut Lines { lines, next: 0 }, 3).unwrap();
    assert_eq!(probe.product, Some(Product::UsdM));
    assert_eq!(probe.symbols, BTreeMap::from([("BTCUSDT".to_string(), 1), ("ETHUSDT".to_string(), 1)]));
}

#[test]
fn holes_and_settlements_of_our_own_recordings() {
    let hole = |stream: &str| format!(r#"{{"ctos":"gap","since":5,"stream":{stream},"why":"closed (1006)"}}"#);
    let (d, s) = (|first, last, prev| diff("BTCUSDT", first, last, prev), snapshot(9));
    let funding = FundingRate { rate: "0.0001".parse().unwrap(), mark: "60000.5".parse().unwrap() };
    let lines = [
        d(5, 9, 4),
        s.clone(),
        d(10, 12, 9),
        funding_line("BTCUSDT", UnixNanos(77), &funding),
        // Beside a whole book a hole in the trades is nothing.
        hole("\"btcusdt@aggTrade\""),
        d(13, 14, 12),
        hole("\"btcusdt@depth@100ms\""),
        d(15, 16, 14),
        snapshot(16),
        d(17, 18, 16),
        hole("null"),
        // Told once.
        hole("null"),
        hole("\"ethusdt@depth@100ms\""),
        r#"{"ctos":"gap"}"#.into(),
        r#"{"ctos":"of a later version","x":1}"#.into(),
        r#"{"ctos":"gap","stream":7}"#.into(),
    ];
    let (seen, report) = load(&lines.each_ref().map(String::as_str), None);
    let want = [
        "1 BTC-USDT-PERP snapshot 9",
        "1 BTC-USDT-PERP diff 9",
        "2 BTC-USDT-PERP diff 12",
        "3 BTC-USDT-PERP funding 0.0001 at 60000.5",
        "5 BTC-USDT-PERP diff 14",
        "6 BTC-USDT-PERP gap",
        "8 BTC-USDT-PERP snapshot 16",
        "8 BTC-USDT-PERP diff 16",
        "9 BTC-USDT-PERP diff 18",
        "10 BTC-USDT-PERP gap",
    ];
    assert_eq!(seen, want);
    assert_eq!((report.frames.other["gap"], report.frames.other["funding"], report.bad_lines), (6, 1, 1));
    // Without a book, what is missing is told once for all that was there.
    let (seen, _) = load(&[&quote("BTCUSDT", 8), &hole("null"), &hole("null"), &quote("BTCUSDT", 9)], None);
    assert_eq!(seen.iter().filter(|s| s.ends_with("gap")).count(), 1, "{seen:?}");
}

#[test]
fn that_a_recording_is_over_is_a_gap_and_no_fault_of_its_chain() {
    let end = |why: &str| format!(r#"{{"ctos":"gap","since":5,"stream":null,"why":"{why}"}}"#);
    let lines = [
        diff("BTCUSDT", 5, 9, 4),
        snapshot(9),
        end("goes on in binance-usdm-20261123T000000Z.jsonl.gz"),
        diff("BTCUSDT", 30, 31, 29),
        snapshot(31),
        end("the recording ends"),
    ];
    let (seen, report) = load(&lines.each_ref().map(String::as_str), None);
    assert_eq!(seen.iter().filter(|s| s.ends_with("gap")).count(), 2, "{seen:?}");
    assert_eq!((report.gaps(), report.notices()), (0, Vec::new()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    // Lines that look like ours and are not, between frames: counted, never a panic, and each accounted for.
    #[test]
    fn any_line_of_a_recorder_is_an_answer(
        words in proptest::collection::vec("(gap|funding|x)", 1..6),
        rest in "(,\"(stream|symbol|at|rate|mark|since)\":(null|-?[0-9]{1,20}|\"[A-Za-z@0-9.\\\\-]{0,12}\"|\\[\\])){0,5}",
        tail in "(\\}|\\}\\}|,|\\PC{0,3})",
    ) {
        let lines: Vec<String> = words.iter().map(|word| format!("{{\"ctos\":\"{word}\"{rest}{tail}")).collect();
        let mut all = vec![diff("BTCUSDT", 5, 9, 4), snapshot(9)];
        all.extend(lines);
        all.push(diff("BTCUSDT", 10, 12, 9));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (seen, _) = load(&all, None);
        proptest::prop_assert!(seen.iter().any(|s| s.contains("snapshot 9")));
    }
}

#[test]
fn instruments_that_a_recorder_of_ours_noted() {
    let known = crate::instruments::builtin(Product::UsdM, "BTCUSDT").unwrap();
    let rules = known.rules();
    let coarse = ctos_types::Rules { tick: ctos_types::Price(known.tick.0 * 5), ..rules };
    let line = |rules| super::instrument_line("BTCUSDT", known, &rules);
    let lines = [line(rules), quote("BTCUSDT", 8), line(coarse), line(coarse), quote("BTCUSDT", 9)];
    let off = line(ctos_types::Rules { trading: false, ..coarse });
    let texts: Vec<&str> = lines.iter().map(String::as_str).chain([off.as_str()]).collect();
    let (seen, load) = load(&texts, None);
    assert_eq!(seen, ["1 BTC-USDT-PERP quote 8", "4 BTC-USDT-PERP quote 9"]);
    let changes: Vec<_> = load.rules.iter().map(|c| (c.at.0, c.rules.tick, c.rules.trading)).collect();
    assert_eq!(changes, [(2, coarse.tick, true), (5, coarse.tick, false)], "what is said again is no news");
    assert_eq!((load.bad_lines, load.frames.other["instrument"]), (0, 4));

    let own = texts.iter().enumerate().map(|(n, l)| (n as i64, (*l).to_string())).collect();
    let probe = super::probe(&mut Lines { lines: own, next: 0 }, 100).unwrap();
    assert_eq!(probe.definitions["BTCUSDT"], *known, "the first one counts");
    // Nothing else need tell what the recording is of.
    let alone = vec![(0, texts[0].to_string())];
    let probe = super::probe(&mut Lines { lines: alone, next: 0 }, 100).unwrap();
    assert_eq!((probe.product, probe.symbols["BTCUSDT"]), (Some(Product::UsdM), 0));
}
