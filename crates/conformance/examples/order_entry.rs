//! How long placing an order and cancelling it takes, by REST and over the WebSocket API: the gateway with its real
//! sockets against the twin's server on loopback, one way after the other in the same run.
//! Never: a figure of the venue's own; the twin answers at once.
//!
//! `cargo run --release -p ctos-conformance --example order_entry -- 2000`

use ctos_driver_binance::limits::{BinanceWords, LimitRow, RateLimit, Route};
use ctos_driver_binance::orders::{Desk, OrderRef};
use ctos_driver_binance::{Credentials, Product, Profile};
use ctos_link::clock::ClockConfig;
use ctos_link::dial::Dialer;
use ctos_link::gateway::shell::{GatewayConfig, spawn};
use ctos_link::gateway::{Answer, Outbox, Part, SocketNews, SocketNo};
use ctos_link::http::HttpConfig;
use ctos_link::session::LinkId;
use ctos_link::{LinkTime, Time};
use ctos_twin::server::{Server, ServerConfig, SystemClock};
use ctos_twin::{AccountSetting, LimitSettings, Request, Twin, TwinConfig, synthetic_config};
use ctos_types::{
    AccountId, ClientOrderId, Command, InstanceTag, InstrumentId, Instruments, Nanos, NewOrder, OrderKind, OrderQty,
    Side, StrategyId, UnixNanos,
};
use ctos_venue::{SyntheticConfig, SyntheticMarket};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

const ACCOUNT: AccountId = AccountId(0);
/// Sockets are open and warm by then.
const WARM: Nanos = Nanos::from_secs(2);
/// More than anybody can send.
const ENOUGH: u32 = 100_000_000;

/// Places an order and cancels it, over and over, each time the other way.
#[derive(Debug)]
struct Racer {
    desk: Desk,
    /// By REST, over the WebSocket API.
    ways: [Route; 2],
    order: NewOrder,
    left: u32,
    begun: Instant,
    cancelling: bool,
    due: UnixNanos,
    done: Sender<(usize, Duration)>,
}

impl Racer {
    fn way(&self) -> usize {
        (self.left % 2) as usize
    }

    fn send(&mut self, out: &mut Outbox) {
        let call = match self.cancelling {
            true => self.desk.cancel(self.order.instrument, &OrderRef::of(self.order.cl_ord_id)),
            false => {
                self.order.cl_ord_id.seq += 1;
                self.begun = Instant::now();
                self.desk.place(&self.order)
            }
        };
        out.asks.push(self.ways[self.way()].ask(1, Nanos::from_secs(5), call.expect("a plain order")));
    }
}

impl Part for Racer {
    fn start(&mut self, now: UnixNanos, _: &mut Outbox) {
        self.due = now.after(WARM);
    }
    fn on_command(&mut self, _: UnixNanos, _: &Command, _: &mut Outbox) {}
    fn on_answer(&mut self, _: UnixNanos, _: u64, answer: &Answer<'_>, out: &mut Outbox) {
        let Answer::Http { status: 200, .. } = answer else { panic!("{answer:?}") };
        if self.cancelling {
            let _ = self.done.send((self.way(), self.begun.elapsed()));
            self.left -= 1;
        }
        self.cancelling = !self.cancelling;
        if self.left > 0 {
            self.send(out);
        }
    }
    fn on_socket(&mut self, _: UnixNanos, _: SocketNo, _: LinkId, _: &SocketNews<'_>, _: &mut Outbox) {}
    fn deadline(&self) -> (UnixNanos, &'static str) {
        (self.due, "the start")
    }
    fn on_deadline(&mut self, _: UnixNanos, out: &mut Outbox) {
        self.due = UnixNanos::MAX;
        self.send(out);
    }
    fn set_clock(&mut self, _: UnixNanos, _: Nanos) {}
    fn accounts(&self) -> &[AccountId] {
        &[ACCOUNT]
    }
    fn stop(&mut self, _: UnixNanos, _: &mut Outbox) {}
}

fn main() {
    let pairs: u32 = std::env::args().nth(1).map_or(2_000, |n| n.parse().expect("how many orders each way"));
    let now = SystemClock::machine();
    let mut config = TwinConfig::new(ctos_twin::Product::Spot, 1, now);
    config.limits = LimitSettings { weight: Some(ENOUGH), orders_10s: Some(ENOUGH), ..LimitSettings::default() };
    let account = AccountSetting::test(1);
    config.accounts = vec![account.clone()];
    let market = SyntheticConfig {
        start: now,
        select: vec!["BTC-USDT".into()],
        ..synthetic_config(ctos_twin::Product::Spot, 1)
    };
    let market = SyntheticMarket::new(market).expect("a market");
    let mut twin = Twin::recorded(config, Box::new(market)).expect("a twin");
    let (method, path) = ("GET", "/api/v3/exchangeInfo");
    let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let info = twin.rest(now, &Request { method, path, query: "", body: "", api_key: None, micros: false, from });
    let list = ctos_driver_binance::instruments::parse_instruments(&info.body).expect("the twin's own list");
    let one = list.instruments.into_iter().find(|i| i.symbol.as_str().ends_with("BTC-USDT")).expect("BTC-USDT trades");
    let (price, qty) = (one.parse_price("20000").expect("on the grid"), one.parse_qty("0.01").expect("on the grid"));
    let instruments = Instruments::new(vec![one]).expect("one");
    let mut server = ServerConfig::new(Arc::new(SystemClock::since(now, now, 1.0)));
    server.spot = Some((twin, 0));
    let server = Server::start(server).expect("a free port");
    let at = server.spot.expect("it is served");

    let mut words = BinanceWords::new();
    let base = words.base(Product::Spot, &format!("http://{at}"));
    let (key, secret) = account.hmac_pair().expect("a test account has one");
    let keys = Arc::new(Credentials::new(key, secret).expect("a key"));
    let rest = words.account("one", Profile::Spot, base, keys, Some(5_000));
    let socket = words.over_websocket(rest.clone(), Profile::Spot, &format!("ws://{at}/ws-api/v3"));
    let limit = |kind, secs| LimitRow { kind, period: Nanos::from_secs(secs), limit: ENOUGH };
    let rows = [(RateLimit::Weight, 60), (RateLimit::Raw, 300), (RateLimit::Orders, 10), (RateLimit::Orders, 86_400)];
    words.set_limits(base, &rows.map(|(kind, secs)| limit(kind, secs)));
    let (done, times) = channel();
    let racer = Racer {
        desk: Desk::new(Profile::Spot, ACCOUNT, false, &instruments),
        ways: [rest, socket],
        order: NewOrder {
            strategy: StrategyId(0),
            ..NewOrder::new(
                ACCOUNT,
                ClientOrderId { tag: InstanceTag(1), seq: 0 },
                InstrumentId(0),
                Side::Buy,
                OrderKind::Limit { price },
                OrderQty::Size(qty),
            )
        },
        left: 2 * pairs,
        begun: Instant::now(),
        cancelling: false,
        due: UnixNanos::MAX,
        done,
    };
    let time: Arc<dyn Time> = Arc::new(LinkTime::start());
    let config = GatewayConfig {
        name: "order entry".into(),
        time,
        dialer: Dialer::new(b"", None, Nanos::from_secs(5)).expect("no proxy"),
        http: HttpConfig::default(),
        clock: ClockConfig::default(),
        closures: Vec::new(),
    };
    let mut running = spawn(config, Box::new(words), vec![Box::new(racer)]).expect("a thread");
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..2 * pairs {
        let (way, span) = times.recv_timeout(Duration::from_secs(30)).expect("the gateway goes on");
        took[way].push(span);
    }
    std::thread::sleep(Duration::from_millis(300));
    let entry = running.status().entries.pop().expect("there is one");
    running.stop(Duration::from_secs(1));
    assert_eq!((entry.sent, entry.unknown), (2 * u64::from(pairs), 0), "every second order went over the socket");
    for (name, spans) in ["REST", "WebSocket API"].into_iter().zip(&mut took) {
        spans.sort_unstable();
        let at = |q: f64| spans[((spans.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e6;
        println!("{name:14} place + cancel: p50 {:.0} us, p99 {:.0} us, {} times", at(0.5), at(0.99), spans.len());
    }
}
