use super::*;
use crate::instruments::builtin_all;
use crate::limits::BinanceWords;
use ctos_link::feed::{Item, Talk};
use ctos_link::session::{Class, Words};
use ctos_types::{Instruments, Interval};

fn feed(profile: Profile) -> (BinanceFeed, Vec<Instrument>) {
    let list = Instruments::new(builtin_all().to_vec()).unwrap();
    let list: Vec<Instrument> = list.iter().cloned().collect();
    let mut words = BinanceWords::new();
    let base = words.base(profile.product(), "http://127.0.0.1:1");
    (BinanceFeed::new(profile, "ws://127.0.0.1:2/", words.public(base), &list), list)
}

fn find(list: &[Instrument], symbol: &str) -> Instrument {
    list.iter().find(|i| i.symbol.as_str() == symbol).unwrap().clone()
}

fn everything() -> Want {
    Want {
        book: true,
        quotes: true,
        trades: true,
        bars: vec![Interval::M1, Interval::from_secs(90).unwrap()],
        marks: true,
        liquidations: true,
    }
}

#[test]
fn each_stream_is_on_the_path_where_it_speaks() {
    let (usdm, list) = feed(Profile::UsdM);
    let btc = find(&list, "binance:BTC-USDT-PERP");
    let plans = usdm.streams(&[(btc.id, everything())]);
    let text: Vec<String> = plans.iter().map(|p| format!("{} {}", usdm.address(p.route), p.name)).collect();
    assert_eq!(
        text,
        [
            "ws://127.0.0.1:2/public/stream btcusdt@depth@100ms",
            "ws://127.0.0.1:2/public/stream btcusdt@bookTicker",
            "ws://127.0.0.1:2/market/stream btcusdt@aggTrade",
            "ws://127.0.0.1:2/market/stream btcusdt@kline_1m",
            "ws://127.0.0.1:2/market/stream btcusdt@markPrice@1s",
            "ws://127.0.0.1:2/market/stream btcusdt@forceOrder",
            "ws://127.0.0.1:2/market/stream !contractInfo",
        ]
    );
    let (spot, _) = feed(Profile::Spot);
    assert!(spot.streams(&[(btc.id, everything())]).is_empty(), "a contract is not spot's");
    let coin = find(&list, "binance:BTC-USDT");
    let plans = spot.streams(&[(coin.id, everything())]);
    let text: Vec<String> = plans.iter().map(|p| format!("{} {}", spot.address(p.route), p.name)).collect();
    let want = ["btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade", "btcusdt@kline_1m"];
    assert_eq!(text, want.map(|name| format!("ws://127.0.0.1:2/stream {name}")));
}

#[test]
fn marks_of_many_come_on_one_stream() {
    let template = find(&feed(Profile::UsdM).1, "binance:BTC-USDT-PERP");
    let many: Vec<Instrument> = (0..60)
        .map(|n| Instrument {
            id: InstrumentId(n),
            base: ctos_types::Currency::new(&format!("C{n}")).unwrap(),
            symbol: ctos_types::Symbol::new(&format!("binance:C{n}-USDT-PERP")),
            ..template.clone()
        })
        .collect();
    let mut words = BinanceWords::new();
    let base = words.base(Product::UsdM, "http://127.0.0.1:1");
    let feed = BinanceFeed::new(Profile::UsdM, "ws://x", words.public(base), &many);
    let wants: Vec<_> = many.iter().map(|i| (i.id, Want { marks: true, ..Want::default() })).collect();
    let names: Vec<String> = feed.streams(&wants).into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["!markPrice@arr@1s", "!contractInfo"]);
    let mut talk = feed.talk(RouteNo(2));
    let row = |n: u32| {
        format!(r#"{{"e":"markPriceUpdate","E":17,"s":"C{n}USDT","p":"1.5","i":"1.4","P":"1","r":"0.0001","T":99}}"#)
    };
    let text = format!(r#"{{"stream":"!markPrice@arr@1s","data":[{},{}]}}"#, row(3), row(70));
    assert!(matches!(talk.classify(&text), Class::Data { stream: "!markPrice@arr@1s", seq: Some(17) }));
    assert!(matches!(talk.take(), Item::Marks));
    assert_eq!(talk.marks().iter().map(|m| m.instrument.0).collect::<Vec<_>>(), [3]);
}

/// What the session and the feed see of a frame, in short.
fn seen(talk: &mut BinanceTalk, text: &str) -> String {
    let class = match talk.classify(text) {
        Class::Data { stream, seq } => format!("{stream} {seq:?}"),
        Class::Reply { id, result, .. } => format!("reply {id} {:?}", result.map_err(|r| r.code)),
        other => format!("{other:?}"),
    };
    let item = match talk.take() {
        Item::Trade { trade, number, on_book, .. } => format!("trade {} {number:?} {on_book}", trade.id),
        Item::Bad { instrument, .. } => format!("bad of {:?}", instrument.map(|i| i.0)),
        Item::News { about } => about,
        Item::Bar { bar, .. } => format!("bar {}", bar.interval),
        other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_string(),
    };
    format!("{class} | {item}")
}

#[test]
fn frames_are_understood_once_for_session_and_feed() {
    let (usdm, list) = feed(Profile::UsdM);
    let id = find(&list, "binance:BTC-USDT-PERP").id.0;
    let mut talk = usdm.talk(RouteNo(1));
    let cases = [
        (r#"{"result":null,"id":1}"#, "reply 1 Ok(()) | Quiet".to_string()),
        (r#"{"code":2,"msg":"Invalid request","id":4}"#, r#"reply 4 Err("2") | Quiet"#.into()),
        (r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}"#, "Closing | Quiet".into()),
        (
            r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":7,"p":"1.5","q":"2","nq":"2","f":100,"l":105,"T":1,"m":true,"st":1}}"#,
            "btcusdt@aggTrade Some(7) | trade 105 Some(7) true".into(),
        ),
        (
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":5,"p":"61800.30","q":"0.006","X":"INSURANCE_FUND","m":false}}"#,
            "btcusdt@trade Some(5) | trade 5 Some(5) false".into(),
        ),
        (
            r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4","T":1,"E":1}}"#,
            "btcusdt@bookTicker Some(9) | Quote".into(),
        ),
        (
            r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1.23456789","B":"2","a":"3","A":"4","T":1,"E":1}}"#,
            format!("btcusdt@bookTicker None | bad of Some({id})"),
        ),
        (
            r#"{"stream":"xyzusdt@bookTicker","data":{"e":"bookTicker","u":9,"s":"XYZUSDT","b":"1","B":"2","a":"3","A":"4","T":1,"E":1}}"#,
            "xyzusdt@bookTicker None | Foreign".into(),
        ),
        (
            r#"{"stream":"!contractInfo","data":{"e":"contractInfo","E":3,"s":"BTCUSDT","ps":"BTCUSDT","ct":"PERPETUAL","dt":1,"ot":1,"cs":"SETTLING"}}"#,
            "!contractInfo None | BTCUSDT is listed as SETTLING".into(),
        ),
        (
            r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":60000,"s":"BTCUSDT","k":{"t":0,"T":59999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"1","c":"1","h":"1","l":"1","v":"1","n":2,"x":true,"q":"1","V":"1","Q":"1","B":"0"}}}"#,
            "btcusdt@kline_1m Some(60000) | bar 1m".into(),
        ),
        (
            r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":60000,"s":"BTCUSDT","k":{"t":0,"T":59999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"1","c":"1","h":"1","l":"1","v":"1","n":2,"x":false,"q":"1","V":"1","Q":"1","B":"0"}}}"#,
            "btcusdt@kline_1m Some(60000) | Quiet".into(),
        ),
        ("not JSON", "Other | bad of None".into()),
    ];
    for (text, want) in cases {
        assert_eq!(seen(&mut talk, text), want, "{text}");
    }
    assert!(matches!(talk.take(), Item::Quiet), "taken once");
}

#[test]
fn ids_of_messages_come_back_as_they_were() {
    let mut talk = feed(Profile::Spot).0.talk(RouteNo(0));
    let one = talk.subscribe(&["a@trade", "b@trade"], UnixNanos(0));
    assert_eq!(
        (one.text.as_str(), one.id, one.acks),
        (r#"{"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":1}"#, 1, 1)
    );
    assert_eq!(talk.unsubscribe(&["a@trade"], UnixNanos(0)).id, 2);
}

#[test]
fn snapshots_cost_their_weight_and_are_recorded_with_their_symbol() {
    let (usdm, list) = feed(Profile::UsdM);
    let btc = find(&list, "binance:BTC-USDT-PERP");
    let question = usdm.ask_snapshot(btc.id).unwrap();
    assert_eq!(question.draft.write(UnixNanos(0)).unwrap().path, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    assert!(!question.draft.needs_clock());
    assert_eq!(question.cost.iter().map(|(_, n)| n).collect::<Vec<_>>(), [20]);
    let body = r#"{"lastUpdateId":5,"E":1,"T":1,"bids":[["1.5","2"]],"asks":[]}"#;
    let mut levels = Levels::default();
    assert_eq!(usdm.read_snapshot(btc.id, body.as_bytes(), &mut levels).unwrap().last_update_id, 5);
    assert_eq!(levels.bids.len(), 1);
    assert!(usdm.read_snapshot(btc.id, b"{\"code\":-1003}", &mut levels).is_err());
    let recorded = usdm.record_snapshot(btc.id, body);
    let decoder = Decoder::new(SymbolMap::new(Product::UsdM, &list));
    assert!(
        matches!(decoder.decode(recorded.as_bytes(), None, &mut levels), Ok(Frame::Snapshot(s)) if s.instrument == btc.id)
    );
}

#[test]
fn the_list_tells_what_changed_about_ours() {
    let (mut spot, list) = feed(Profile::Spot);
    let (btc, eth) = (find(&list, "binance:BTC-USDT"), find(&list, "binance:ETH-USDT"));
    let path = spot.ask_listing().unwrap().draft.write(UnixNanos(0)).unwrap().path;
    assert!(path.starts_with("/api/v3/exchangeInfo?symbols=%5B%22"), "{path}");
    let row = |symbol: &str, status: &str, tick: &str| {
        format!(
            r#"{{"symbol":"{symbol}USDT","status":"{status}","baseAsset":"{symbol}","quoteAsset":"USDT","filters":[
              {{"filterType":"PRICE_FILTER","tickSize":"{tick}"}},
              {{"filterType":"LOT_SIZE","stepSize":"0.00001000","minQty":"0.00001000","maxQty":"9000.00000000"}},
              {{"filterType":"NOTIONAL","minNotional":"5.00000000"}}]}}"#
        )
    };
    let body = format!(r#"{{"symbols":[{},{}]}}"#, row("BTC", "TRADING", "0.10000000"), row("ETH", "BREAK", "0.01"));
    let rows = spot.read_listing(200, body.as_bytes()).unwrap();
    let of = |i: &Instrument| rows.iter().find(|r| r.instrument == i.id).unwrap();
    assert!(of(&btc).rules.trading && of(&btc).rules.tick != btc.tick);
    assert_eq!(of(&btc).rules.tick, btc.parse_price("0.1").unwrap());
    assert_eq!((of(&eth).rules.trading, of(&eth).status.as_str()), (false, "not trading: BREAK"));
    let gone = rows.iter().find(|r| r.instrument != btc.id && r.instrument != eth.id).unwrap();
    assert_eq!((gone.rules.trading, gone.status.as_str()), (false, "not listed any more"));
    // One of ours is unknown to the venue: then everything is read.
    assert!(spot.read_listing(400, br#"{"code":-1121,"msg":"Invalid symbol."}"#).is_err());
    assert_eq!(spot.ask_listing().unwrap().draft.write(UnixNanos(0)).unwrap().path, "/api/v3/exchangeInfo");
}

/// Frames of every kind that a market socket brings, for the fuzzers to spoil.
const FRAMES: [&str; 9] = [
    r#"{"result":null,"id":1}"#,
    r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":3,"T":2,"s":"BTCUSDT","U":5,"u":9,"pu":4,"b":[["58710.20","0.014"]],"a":[["61810.00","1.5"]],"st":1}}"#,
    r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":9,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4","T":1,"E":1}}"#,
    r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":7,"p":"1.5","q":"2","nq":"2","f":100,"l":105,"T":1,"m":true}}"#,
    r#"{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":17,"s":"BTCUSDT","p":"1.5","i":"1.4","P":"1","r":"0.0001","T":99}}"#,
    r#"{"stream":"!markPrice@arr@1s","data":[{"e":"markPriceUpdate","E":17,"s":"BTCUSDT","p":"1.5","i":"1.4","P":"1","r":"","T":0}]}"#,
    r#"{"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","E":1,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910","ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1}}}"#,
    r#"{"stream":"!contractInfo","data":{"e":"contractInfo","E":3,"s":"BTCUSDT","cs":"SETTLING"}}"#,
    r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":60000,"s":"BTCUSDT","k":{"t":0,"T":59999,"s":"BTCUSDT","i":"1m","f":1,"L":2,"o":"1","c":"1","h":"1","l":"1","v":"1","n":2,"x":true,"q":"1","V":"1","Q":"1","B":"0"}}}"#,
];

mod fuzz {
    use super::*;
    use ctos_link::feed::{Feed, FeedConfig};
    use ctos_link::gateway::{Answer, Outbox, Part, SocketNews, SocketNo};
    use ctos_link::session::LinkId;
    use proptest::prelude::*;

    /// Bytes replaced, taken out or put in, cut to text again.
    fn spoiled() -> impl Strategy<Value = String> {
        let change = (any::<prop::sample::Index>(), 0u8..3, any::<u8>());
        (0..FRAMES.len(), prop::collection::vec(change, 0..6)).prop_map(|(frame, changes)| {
            let mut bytes = FRAMES[frame].as_bytes().to_vec();
            for (at, kind, byte) in changes {
                let at = at.index(bytes.len().max(1));
                match kind {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.insert(at.min(bytes.len()), byte),
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn no_frame_makes_the_words_panic(text in spoiled()) {
            let mut talk = BinanceTalk::new(SymbolMap::new(Product::UsdM, &feed(Profile::UsdM).1));
            let _ = talk.classify(&text);
            let _ = talk.take();
            prop_assert!(matches!(talk.take(), Item::Quiet));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        // Anything on an open link, and any answer to any question: events or none, never a panic, and a deadline that
        // is not in the past for ever.
        #[test]
        fn nothing_makes_a_feed_panic(texts in prop::collection::vec((spoiled(), 0u16..2), 1..30), body in "\\PC{0,60}") {
            let (words, list) = feed(Profile::UsdM);
            let btc = find(&list, "binance:BTC-USDT-PERP");
            let mut feed = Feed::new(words, vec![(btc, everything())], FeedConfig::default());
            let (mut out, mut now) = (Outbox::default(), UnixNanos::from_secs(1_785_000_000));
            feed.start(now, &mut out);
            for socket in 0..2 {
                feed.on_socket(now, SocketNo(socket), LinkId(1), &SocketNews::Opened, &mut out);
                let reply = SocketNews::Text(FRAMES[0]);
                feed.on_socket(now, SocketNo(socket), LinkId(1), &reply, &mut out);
            }
            for (text, socket) in &texts {
                now = now.after(Nanos::from_millis(50));
                feed.on_socket(now, SocketNo(*socket), LinkId(1), &SocketNews::Text(text), &mut out);
                for ask in std::mem::take(&mut out.asks) {
                    let (sent, received) = (now, now);
                    let answer = Answer::Http { status: 200, headers: &[], body: body.as_bytes(), sent, received };
                    feed.on_answer(now, ask.tag, &answer, &mut out);
                }
                feed.on_deadline(now, &mut out);
                prop_assert!(feed.deadline().0 > now, "{:?}", feed.deadline());
            }
        }
    }
}
