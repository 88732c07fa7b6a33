//! Gateway, shard and venue on one clock that only the venue's and the gateway's deadlines move.
//! Never: counts what the venue does, or a frame that causes no order.

use crate::internal;
use ctos_driver_binance::instruments::parse_instruments;
use ctos_link::gateway::{Answer, Deeds, Gateway, Notice, Outgoing, SocketDeed, SocketKey, SocketNews};
use ctos_runtime::RunError;
use ctos_runtime::live::{self, Full, GatewayStatus};
use ctos_runtime::shard::Shard;
use ctos_twin::{
    AccountSetting, ConnId, Frame, LimitSettings, Product, Request, Twin, TwinConfig, Upgrade, synthetic_config,
};
use ctos_types::{Command, Control, EventBuf, Instruments, Nanos, UnixNanos};
use ctos_venue::{SyntheticConfig, SyntheticMarket};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// 2026-11-21T12:00:00Z.
const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);
const US: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Market time that so many orders may take at most, each.
const PATIENCE: Nanos = Nanos::from_secs(10);

/// The venue: one market of USD-M, one account.
pub(super) struct Venue {
    twin: Twin,
    account: AccountSetting,
    conns: BTreeMap<SocketKey, ConnId>,
    keys: BTreeMap<ConnId, SocketKey>,
    frames: Vec<ctos_twin::Outgoing>,
    next_conn: ConnId,
}

impl Venue {
    pub fn open() -> Result<Venue, RunError> {
        let (product, seed) = (Product::UsdM, 1);
        let mut config = TwinConfig::new(product, seed, START);
        config.limits = LimitSettings::default();
        let account = AccountSetting::test(seed);
        config.accounts = vec![account.clone()];
        let market =
            SyntheticConfig { start: START, select: vec!["BTC-USDT-PERP".into()], ..synthetic_config(product, seed) };
        let market = SyntheticMarket::new(market).map_err(internal)?;
        let mut twin = Twin::recorded(config, Box::new(market)).map_err(internal)?;
        twin.advance(START.after(Nanos::from_secs(1)));
        let (conns, keys, frames) = Default::default();
        Ok(Venue { twin, account, conns, keys, frames, next_conn: 1 })
    }

    pub fn now(&self) -> UnixNanos {
        self.twin.now()
    }

    /// Of the account.
    pub fn keys(&self) -> (&str, &str) {
        self.account.hmac_pair().expect("a test account has one")
    }

    /// What it lists.
    pub fn instruments(&mut self) -> Result<Instruments, RunError> {
        let now = self.now();
        let info = self.twin.rest(now, &ask("GET", "/fapi/v1/exchangeInfo", "", "", None)).body;
        let list = parse_instruments(&info).map_err(internal)?.instruments;
        Instruments::new(list.into_iter().filter(|i| i.base.as_str() == "BTC").collect()).map_err(internal)
    }
}

fn ask<'a>(method: &'a str, path: &'a str, query: &'a str, body: &'a str, api_key: Option<&'a str>) -> Request<'a> {
    Request { method, path, query, body, api_key, micros: false, from: US }
}

/// The gateway, within reach of the shard, which sends commands, and of the stage, which brings frames.
#[derive(Debug)]
struct Inner {
    gateway: Gateway,
    deeds: Deeds,
    now: UnixNanos,
    events: VecDeque<(UnixNanos, Box<EventBuf>)>,
    /// When the last order's bytes were handed out.
    ready: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Wire(Arc<Mutex<Inner>>);

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl live::Gateway for Wire {
    fn send(&mut self, command: &Command) -> Result<(), Full> {
        let inner = &mut *self.lock();
        let before = inner.deeds.sends.len();
        inner.gateway.command(inner.now, command, &mut inner.deeds);
        if matches!(command, Command::Place(_)) && inner.deeds.sends.len() > before {
            inner.ready = Some(Instant::now());
        }
        Ok(())
    }

    fn poll(&mut self, event: &mut Box<EventBuf>) -> Option<UnixNanos> {
        let inner = &mut *self.lock();
        inner.events.extend(inner.gateway.take_events());
        let (at, next) = inner.events.pop_front()?;
        inner.gateway.reuse(std::mem::replace(event, next));
        Some(at)
    }

    fn wait(&mut self, _: Duration) {}

    fn now(&self) -> UnixNanos {
        self.lock().now
    }

    fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.lock().deeds.notices)
    }

    fn status(&self) -> GatewayStatus {
        GatewayStatus::default()
    }

    fn ended(&self) -> Option<String> {
        None
    }

    fn stop(&mut self, _: Duration) {}
}

/// All of it, at one moment.
pub(super) struct Stage {
    now: UnixNanos,
    venue: Venue,
    wire: Wire,
    shard: Shard,
    samples: Vec<f64>,
}

impl Stage {
    /// Connects, lets the desk ask for everything, and starts the strategy once the account is known.
    pub fn begin(venue: Venue, gateway: Gateway, mut shard: Shard) -> Result<Stage, RunError> {
        let now = venue.now();
        let inner = Inner { gateway, deeds: Deeds::default(), now, events: VecDeque::new(), ready: None };
        let wire = Wire(Arc::new(Mutex::new(inner)));
        shard.attach(Box::new(wire.clone())).map_err(internal)?;
        let mut stage = Stage { now, venue, wire, shard, samples: Vec::new() };
        {
            let inner = &mut *stage.wire.lock();
            inner.gateway.start(now, &mut inner.deeds);
        }
        stage.settle()?;
        let patience = now.after(Nanos::from_secs(120));
        while !stage.shard.kernel().is_known(crate::fixture::ACCOUNT) {
            stage.turn()?;
            if stage.now > patience {
                return Err(internal(format!("the account does not become known: {:?}", stage.status())));
            }
        }
        stage.shard.control(stage.now, &Control::Start).map_err(internal)?;
        Ok(stage)
    }

    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    fn status(&self) -> Vec<ctos_link::gateway::PartStatus> {
        self.wire.lock().gateway.part_status(self.now)
    }

    /// Lives on until so many more orders have left; nanoseconds of each.
    pub fn until(&mut self, orders: usize) -> Result<Vec<f64>, RunError> {
        self.samples.clear();
        let patience = self.now.after(Nanos(PATIENCE.0 * orders as i64));
        while self.samples.len() < orders {
            self.turn()?;
            if self.now > patience {
                let stats = &self.shard.stats().orders;
                return Err(internal(format!("no orders leave: {stats:?}, {:?}", self.status())));
            }
        }
        Ok(std::mem::take(&mut self.samples))
    }

    /// The next moment at which something is due, and all of it.
    fn turn(&mut self) -> Result<(), RunError> {
        let own = self.wire.lock().gateway.deadline().0;
        let kernel = self.shard.kernel().next_deadline().unwrap_or(UnixNanos::MAX);
        self.now = self.venue.twin.deadline().min(own).min(kernel).max(self.now);
        let now = self.now;
        self.wire.lock().now = now;
        self.venue.twin.advance(now);
        {
            let inner = &mut *self.wire.lock();
            if inner.gateway.deadline().0 <= now {
                inner.gateway.on_deadline(now, &mut inner.deeds);
            }
        }
        self.settle()
    }

    /// What comes from the venue, what the shard makes of it and what leaves, until nothing more comes of it.
    fn settle(&mut self) -> Result<(), RunError> {
        loop {
            while self.shard.advance(self.now).map_err(internal)? {}
            let (sends, sockets) = {
                let deeds = &mut self.wire.lock().deeds;
                deeds.notices.clear();
                (std::mem::take(&mut deeds.sends), std::mem::take(&mut deeds.sockets))
            };
            let is_quiet = sends.is_empty() && sockets.is_empty();
            sends.into_iter().for_each(|out| self.request(&out));
            sockets.into_iter().for_each(|(key, deed)| self.socket(key, deed));
            let mut frames = std::mem::take(&mut self.venue.frames);
            self.venue.twin.drain(&mut frames);
            if is_quiet && frames.is_empty() {
                self.venue.frames = frames;
                // A run does this whenever nothing is left to step: an order pays for its own records alone.
                return self.shard.flush().map_err(internal);
            }
            for ctos_twin::Outgoing { conn, frame } in frames.drain(..) {
                self.frame(conn, frame)?;
            }
            self.venue.frames = frames;
        }
    }

    fn frame(&mut self, conn: ConnId, frame: Frame) -> Result<(), RunError> {
        let Some(key) = self.venue.keys.get(&conn).copied() else { return Ok(()) };
        match frame {
            Frame::Text(text) => return self.text(key, &text),
            Frame::Ping(_) => {
                self.news(key, &SocketNews::Ping);
                self.venue.twin.ws_pong(self.now, conn);
            }
            Frame::Close(..) | Frame::Cut | Frame::Half(_) => {
                self.venue.keys.remove(&conn);
                self.venue.conns.remove(&key);
                self.venue.twin.ws_close(self.now, conn);
                self.news(key, &SocketNews::Closed { why: "closed by the venue" });
            }
        }
        Ok(())
    }

    /// What is measured: the text is there, and an order's bytes are.
    fn text(&mut self, key: SocketKey, text: &str) -> Result<(), RunError> {
        self.wire.lock().ready = None;
        let begun = Instant::now();
        self.news(key, &SocketNews::Text(text));
        while self.shard.advance(self.now).map_err(internal)? {}
        if let Some(ready) = self.wire.lock().ready.take() {
            self.samples.push((ready - begun).as_nanos() as f64);
        }
        Ok(())
    }

    fn news(&mut self, key: SocketKey, news: &SocketNews<'_>) {
        let inner = &mut *self.wire.lock();
        inner.gateway.socket(self.now, key, news, &mut inner.deeds);
    }

    fn request(&mut self, out: &Outgoing) {
        let (now, request) = (self.now, &out.request);
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let body = String::from_utf8_lossy(&request.body);
        let key = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-mbx-apikey"));
        let ask = ask(request.method.as_str(), path, query, &body, key.map(|(_, value)| value.as_str()));
        let reply = self.venue.twin.rest(now, &ask);
        let headers: Vec<_> = reply.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        let (status, body) = (reply.status, reply.body.as_bytes());
        let answer = Answer::Http { status, headers: &headers, body, sent: now, received: now };
        let inner = &mut *self.wire.lock();
        inner.gateway.answered(now, out.ticket, &answer, &mut inner.deeds);
    }

    fn socket(&mut self, key: SocketKey, deed: SocketDeed) {
        let now = self.now;
        let conn = self.venue.conns.get(&key).copied();
        match (deed, conn) {
            (SocketDeed::Connect { address }, _) => {
                let rest = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
                let path = rest.find('/').map_or("/", |at| &rest[at..]);
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let conn = self.venue.next_conn;
                self.venue.next_conn += 1;
                let news = match self.venue.twin.ws_open(now, conn, &Upgrade { path, query, from: US }) {
                    Ok(()) => {
                        self.venue.conns.insert(key, conn);
                        self.venue.keys.insert(conn, key);
                        SocketNews::Opened
                    }
                    Err(_) => SocketNews::Closed { why: "refused" },
                };
                self.news(key, &news);
            }
            (SocketDeed::Send(text), Some(conn)) => self.venue.twin.ws_text(now, conn, &text),
            (SocketDeed::Ping, Some(conn)) => {
                self.venue.twin.ws_ping(now, conn);
                self.news(key, &SocketNews::Pong);
            }
            (SocketDeed::Close { .. }, Some(conn)) => {
                self.venue.keys.remove(&conn);
                self.venue.conns.remove(&key);
                self.venue.twin.ws_close(now, conn);
            }
            (_, None) => {}
        }
    }
}
