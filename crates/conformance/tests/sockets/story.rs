//! A session's story over real sockets in real time: data flows, an order lives and dies, and both come back after cut
//! connections, a ban and the end of a connection's day. Never: a kernel; the events themselves are looked at.

use ctos_conformance::engine::{ACCOUNT, TAG};
use ctos_driver_binance::desk_words::{BinanceDesk, BinanceDeskConfig};
use ctos_driver_binance::feed_words::BinanceFeed;
use ctos_driver_binance::instruments::parse_instruments;
use ctos_driver_binance::{BinanceWords, Credentials, Hosts, Profile};
use ctos_link::LinkTime;
use ctos_link::clock::ClockConfig;
use ctos_link::desk::{Desk, DeskConfig, Holdings};
use ctos_link::dial::Dialer;
use ctos_link::feed::{Feed, FeedConfig, Want};
use ctos_link::gateway::shell::{GatewayConfig, Running, spawn};
use ctos_link::http::HttpConfig;
use ctos_link::tracker::TrackerConfig;
use ctos_twin::server::{Clock, Server, ServerConfig, SystemClock};
use ctos_twin::{AccountSetting, Product, Twin, TwinConfig};
use ctos_types::{
    AccountEvent, CancelOrder, ClientOrderId, Command, Decimal, EventBuf, EventKind, Instrument, InstrumentId,
    Instruments, Nanos, NewOrder, OrderKind, OrderQty, Price, ReportBody, Side, StrategyId,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One request on a connection of its own; the body of the answer.
fn http(at: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default()
}

struct Case {
    server: Server,
    product: &'static str,
    running: Running,
    instrument: Instrument,
    event: Box<EventBuf>,
    bid: Price,
    known: bool,
    next: u64,
}

fn start(profile: Profile) -> Case {
    let usdm = profile == Profile::UsdM;
    let product = if usdm { Product::UsdM } else { Product::Spot };
    let clock = Arc::new(SystemClock::new(1.0));
    let account = AccountSetting::test(5);
    let config = TwinConfig { accounts: vec![account.clone()], ..TwinConfig::new(product, 5, clock.now()) };
    let twin = Some((Twin::synthetic(config, 5, Nanos::from_secs(600)).unwrap(), 0));
    let mut config = ServerConfig::new(clock);
    *(if usdm { &mut config.usdm } else { &mut config.spot }) = twin;
    let server = Server::start(config).unwrap();
    let at = if usdm { server.usdm } else { server.spot }.unwrap();
    let info = http(at, "GET", if usdm { "/fapi/v1/exchangeInfo" } else { "/api/v3/exchangeInfo" }, "");
    let list = parse_instruments(&info[info.find('{').unwrap()..=info.rfind('}').unwrap()]).unwrap();
    let one = list.instruments.into_iter().find(|i| i.base.as_str() == "BTC").unwrap();
    let instruments = Instruments::new(vec![one]).unwrap();
    let instrument = instruments.get(InstrumentId(0)).clone();

    let (key, secret) = account.hmac_pair().unwrap();
    let mut words = BinanceWords::new();
    let base = words.base(profile.product(), &format!("http://{at}"));
    let route = words.account("test", profile, base, Arc::new(Credentials::new(key, secret).unwrap()), Some(5_000));
    let api = if usdm { "ws-fapi/v1" } else { "ws-api/v3" };
    let streams = format!("ws://{at}");
    let time = Arc::new(LinkTime::start());
    let now = ctos_link::Time::now(&*time);
    let tracker = TrackerConfig { tags: vec![TAG], ..TrackerConfig::default() };
    let desk = BinanceDesk::new(BinanceDeskConfig {
        name: "test".into(),
        account: ACCOUNT,
        profile,
        hedge: false,
        leverage: usdm.then_some(10),
        hosts: Hosts { rest: format!("http://{at}"), streams: streams.clone(), ws_api: format!("ws://{at}/{api}") },
        route,
        key_route: None,
        instruments: instruments.clone(),
        dead_man: true,
        borrows: false,
        visibility: tracker.visibility,
    });
    let desk = Desk::new(DeskConfig { tracker, ..DeskConfig::default() }, desk, &Holdings::default(), now);
    let feed = BinanceFeed::new(profile, &streams, words.public(base), std::slice::from_ref(&instrument));
    let want = Want { book: true, quotes: true, trades: true, ..Want::default() };
    // Spot says nothing of its own when a symbol goes.
    let config = FeedConfig { listing_every: Some(Nanos::from_secs(2)), ..FeedConfig::default() };
    let feed = Feed::new(feed, vec![(instrument.clone(), want)], config);
    let config = GatewayConfig {
        name: "binance".into(),
        time,
        dialer: Dialer::new(&[], None, Nanos::from_secs(5)).unwrap(),
        http: HttpConfig::default(),
        clock: ClockConfig::default(),
        closures: Vec::new(),
    };
    let running = spawn(config, Box::new(words), vec![Box::new(desk), Box::new(feed)]).unwrap();
    let product = if usdm { "usdm" } else { "spot" };
    Case { server, product, running, instrument, event: Box::default(), bid: Price(0), known: false, next: 1 }
}

impl Case {
    fn admin(&self, deed: &str) {
        let answer = http(self.server.admin, "POST", &format!("/{}/do", self.product), deed);
        assert!(!answer.contains("error"), "{deed}: {answer}");
    }

    /// Takes events until one is what is waited for.
    #[track_caller]
    fn until(&mut self, what: &str, mut is_it: impl FnMut(&EventKind) -> bool) {
        let by = Instant::now() + Duration::from_secs(40);
        loop {
            assert!(Instant::now() < by, "no {what}: {:?} {:#?}", self.running.notices(), self.running.status());
            assert_eq!(self.running.ended(), None);
            if self.running.poll(&mut self.event).is_none() {
                self.running.wait(Duration::from_millis(100));
                continue;
            }
            self.note();
            if is_it(&self.event.kind) {
                return;
            }
        }
    }

    #[track_caller]
    fn until_known(&mut self) {
        if !self.known {
            self.until("account that is known", |e| {
                matches!(e, EventKind::Account(AccountEvent::Standing { known: true, .. }))
            });
        }
    }

    fn is_report(event: &EventKind, id: ClientOrderId, body: impl Fn(&ReportBody) -> bool) -> bool {
        matches!(event, EventKind::Report(r) if r.cl_ord_id == Some(id) && body(&r.body))
    }

    /// A bid far below the market.
    fn place(&mut self) -> ClientOrderId {
        let cl_ord_id = ClientOrderId { tag: TAG, seq: self.next };
        self.next += 1;
        let px = Price(self.bid.0 / 100 * 97 / self.instrument.tick.0 * self.instrument.tick.0);
        let qty = self.instrument.qty_down("0.01".parse::<Decimal>().unwrap()).unwrap();
        let order = NewOrder {
            strategy: StrategyId(0),
            ..NewOrder::new(
                ACCOUNT,
                cl_ord_id,
                InstrumentId(0),
                Side::Buy,
                OrderKind::Limit { price: px },
                OrderQty::Size(qty),
            )
        };
        self.running.send(Command::Place(order)).unwrap();
        cl_ord_id
    }

    #[track_caller]
    fn lives_and_dies(&mut self) {
        let id = self.place();
        self.until("acceptance", |e| Case::is_report(e, id, |b| matches!(b, ReportBody::Accepted)));
        let cancel = CancelOrder { account: ACCOUNT, cl_ord_id: id, instrument: InstrumentId(0) };
        self.running.send(Command::Cancel(cancel)).unwrap();
        self.until("end of the order", |e| Case::is_report(e, id, |b| matches!(b, ReportBody::Canceled { .. })));
    }

    fn ban_is_over(&mut self) {
        let closures = self.running.closures_changed().expect("the ban was told before its outcome was");
        assert!(closures.len() == 1 && closures[0].banned, "{closures:?}");
        while self.running.now() < closures[0].until {
            self.running.wait(Duration::from_millis(20));
            while self.running.poll(&mut self.event).is_some() {
                self.note();
            }
        }
    }

    fn note(&mut self) {
        match &self.event.kind {
            EventKind::Quote { quote, .. } => self.bid = quote.bid_px,
            EventKind::Account(AccountEvent::Standing { known, .. }) => self.known = *known,
            _ => {}
        }
    }

    #[track_caller]
    fn book_comes_back(&mut self) {
        self.until("gap", |e| matches!(e, EventKind::Gap { .. }));
        self.until("whole book", |e| matches!(e, EventKind::Depth { snapshot: true, .. }));
        self.until("quote", |e| matches!(e, EventKind::Quote { .. }));
    }
}

fn story(profile: Profile) {
    let mut case = start(profile);
    case.until("whole book", |e| matches!(e, EventKind::Depth { snapshot: true, .. }));
    case.until("quote", |e| matches!(e, EventKind::Quote { .. }));
    case.until_known();
    case.lives_and_dies();

    // Every connection is cut without a word.
    case.admin(r#"{"do":"close","code":null}"#);
    case.book_comes_back();
    case.until_known();
    case.lives_and_dies();

    // Banned: the order comes back, nothing hammers, and all is well after it.
    case.admin(r#"{"do":"ban","secs":3}"#);
    let id = case.place();
    case.until("outcome under a ban", |e| {
        Case::is_report(e, id, |b| matches!(b, ReportBody::Rejected { .. } | ReportBody::Accepted))
    });
    case.ban_is_over();
    case.until_known();
    case.lives_and_dies();

    // The day of a connection ends, sped up.
    case.admin(r#"{"do":"life","ms":1500}"#);
    case.book_comes_back();
    case.admin(r#"{"do":"behave"}"#);
    case.until_known();
    case.lives_and_dies();

    let status = case.running.status();
    assert!(status.clock.offset.is_some() && status.sockets.iter().any(|s| s.open), "{status:?}");
    case.running.stop(Duration::from_secs(5));
    assert_eq!(case.running.ended().as_deref(), Some("the gateway was stopped"));
}

#[test]
fn spot_over_sockets() {
    story(Profile::Spot);
}

#[test]
fn usdm_over_sockets() {
    story(Profile::UsdM);
}

/// The symbol goes while an order rests on it: the order's end is told, the rules say that nothing is taken any more, and
/// what is sent all the same is refused.
fn delisting(profile: Profile) {
    let mut case = start(profile);
    case.until("whole book", |e| matches!(e, EventKind::Depth { snapshot: true, .. }));
    case.until("quote", |e| matches!(e, EventKind::Quote { .. }));
    case.until_known();
    let resting = case.place();
    case.until("acceptance", |e| Case::is_report(e, resting, |b| matches!(b, ReportBody::Accepted)));
    // Spot tells of a symbol that halts by its list alone, and refuses questions about one whose row is gone.
    let remove = profile == Profile::UsdM;
    case.admin(&format!(r#"{{"do":"delist","symbol":"BTCUSDT","remove":{remove}}}"#));
    let (mut ended, mut closed) = (false, false);
    case.until("end of the order and of trading", |e| {
        let is_end = |b: &ReportBody| matches!(b, ReportBody::Expired | ReportBody::Canceled { .. });
        ended |= Case::is_report(e, resting, is_end);
        closed |= matches!(e, EventKind::Rules { rules, .. } if !rules.trading);
        ended && closed
    });
    let alarm = |n: &ctos_link::gateway::Notice| format!("{n:?}").contains("takes no orders any more");
    assert!(case.running.notices().iter().any(alarm));
    let late = case.place();
    case.until("refusal", |e| Case::is_report(e, late, |b| matches!(b, ReportBody::Rejected { .. })));
    case.running.stop(Duration::from_secs(5));
}

#[test]
fn spot_symbol_goes() {
    delisting(Profile::Spot);
}

#[test]
fn usdm_symbol_goes() {
    delisting(Profile::UsdM);
}
