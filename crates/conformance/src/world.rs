//! The world: engine, network and twin on one clock.
//! Never: lets time pass without everything due in it happening, each thing at its own moment.

use crate::engine::{Blueprint, Engine};
use crate::net::{Back, Ev, Net, News};
use crate::script::{Means, Script};
use ctos_driver_binance::instruments::parse_instruments;
use ctos_driver_binance::{Credentials, Profile};
use ctos_kernel::Strategy;
use ctos_link::gateway::{Answer, SocketDeed, SocketKey, SocketNews};
use ctos_link::session::LinkId;
use ctos_twin::{
    AccountSetting, ConnId, Frame, LimitSettings, Manner, Outgoing, Product, Request, Twin, TwinConfig, Upgrade,
    synthetic_config,
};
use ctos_types::{Decimal, InstrumentId, Instruments, Nanos, Rounding, UnixNanos};
use ctos_venue::{SyntheticConfig, SyntheticMarket};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// 2026-11-21T12:00:00Z.
pub const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);
const US: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The judge and the market's quotes are no traffic of ours.
const JUDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));
/// Without an answer for this long, a request's outcome is unknown.
const TIMEOUT: Nanos = Nanos::from_secs(10);

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Setup {
    pub profile: Profile,
    pub seed: u64,
    /// Strategies act until then; seconds.
    pub active_secs: i64,
    /// Fees of spot are paid in this asset.
    pub fee_token: Option<&'static str>,
    pub grid: bool,
}

impl Setup {
    pub fn new(profile: Profile, seed: u64) -> Setup {
        Setup { profile, seed, active_secs: 50, fee_token: None, grid: true }
    }
}

/// See the module's head.
#[derive(Debug)]
pub struct World {
    pub now: UnixNanos,
    pub setup: Setup,
    pub twin: Twin,
    pub net: Net,
    plan: Blueprint,
    engine: Option<Engine>,
    /// Which life of ctos this is.
    pub life: u32,
    conns: BTreeMap<SocketKey, ConnId>,
    keys: BTreeMap<ConnId, SocketKey>,
    next_conn: ConnId,
    frames: Vec<Outgoing>,
    account: AccountSetting,
    judge: Credentials,
    /// Orders that others placed.
    pub strangers: u64,
    pub banned_replies: u64,
    pub limited_replies: u64,
    pub bans_injected: bool,
    pub limits_injected: bool,
    trace: bool,
}

fn plan(setup: &Setup, info: &str, account: &AccountSetting) -> Blueprint {
    let list = parse_instruments(info).expect("the twin's own list");
    let one = list.instruments.into_iter().find(|i| i.base.as_str() == "BTC").expect("BTC trades");
    let tick = one.tick;
    let instruments = Instruments::new(vec![one]).expect("one instrument");
    let i = instruments.get(InstrumentId(0)).clone();
    // Orders of some 300, steps of some 5.
    let size = i.qty_down("0.005".parse().expect("a number")).expect("on the grid");
    let step = i.price_rounded(Decimal::from_int(4), Rounding::Up).expect("on the grid").max(tick);
    let (profile, seed, grid) = (setup.profile, setup.seed, setup.grid);
    let means = Means {
        instrument: InstrumentId(0),
        size,
        step,
        futures: profile == Profile::UsdM,
        amend: profile != Profile::Margin,
        conditional: true,
        until: START.after(Nanos::from_secs(setup.active_secs)),
        every: Nanos::from_millis(900),
    };
    let listed = instruments.clone();
    let strategies = move || {
        let mut list: Vec<Box<dyn Strategy>> = vec![Box::new(Script::new(means, seed))];
        if grid {
            let set = [("spacing", "0.02"), ("levels", "3"), ("order_amount", "400")];
            let set: BTreeMap<String, String> = set.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
            list.push(ctos_strategies::build("grid", &set, &listed, &[InstrumentId(0)]).expect("a grid"));
        }
        list
    };
    let (key, secret) = account.hmac_pair().expect("a test account has one");
    Blueprint {
        profile,
        instruments,
        api_key: key.into(),
        secret: secret.into(),
        strategies: Box::new(strategies),
        seed,
    }
}

impl World {
    pub fn new(setup: Setup) -> World {
        let product = if setup.profile == Profile::UsdM { Product::UsdM } else { Product::Spot };
        let mut config = TwinConfig::new(product, setup.seed, START);
        config.limits = LimitSettings::default();
        let mut account = AccountSetting::test(setup.seed);
        // Enough of both for what the strategies do without borrowing.
        account.margin = account.spot.clone();
        account.fee_token = setup.fee_token.map(ctos_types::Currency::cut);
        config.accounts = vec![account.clone()];
        let coin = if product == Product::UsdM { "BTC-USDT-PERP" } else { "BTC-USDT" };
        let base = synthetic_config(product, setup.seed);
        let market = SyntheticConfig { start: START, select: vec![coin.into()], ..base };
        let market = SyntheticMarket::new(market).expect("a market");
        let mut twin = Twin::recorded(config, Box::new(market)).expect("a twin");
        twin.advance(START.after(Nanos::from_secs(1)));
        let now = twin.now();
        let path = if product == Product::UsdM { "/fapi/v1/exchangeInfo" } else { "/api/v3/exchangeInfo" };
        let info = twin.rest(now, &ask("GET", path, "", None, JUDGE)).body;
        let plan = plan(&setup, &info, &account);
        let judge = Credentials::new(&plan.api_key, &plan.secret).expect("the twin's own key");
        let mut net = Net::new(setup.seed);
        // No two seeds start at the same place in a second.
        let now = now.after(Nanos::from_millis(net.upto(1_000) as i64));
        let engine = Engine::start(&plan, now);
        World {
            now,
            setup,
            twin,
            net,
            plan,
            engine: Some(engine),
            life: 1,
            conns: BTreeMap::new(),
            keys: BTreeMap::new(),
            next_conn: 1,
            frames: Vec::new(),
            account,
            judge,
            strangers: 0,
            banned_replies: 0,
            limited_replies: 0,
            bans_injected: false,
            limits_injected: false,
            trace: std::env::var_os("CONF_TRACE").is_some(),
        }
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("there is always one")
    }

    fn engine_mut(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("there is always one")
    }

    pub fn is_usdm(&self) -> bool {
        self.setup.profile == Profile::UsdM
    }

    pub fn symbol(&self) -> &'static str {
        "BTCUSDT"
    }

    /// The account's name at the twin.
    pub fn account(&self) -> String {
        let name = &self.account.name;
        if self.setup.profile == Profile::Margin { format!("{name}:margin") } else { name.clone() }
    }

    /// The account as the twin knows it to be.
    pub fn true_account(&mut self) -> Value {
        let name = self.account();
        let truth = self.truth();
        let mut accounts = truth["accounts"].as_array().cloned().unwrap_or_default();
        accounts.retain(|a| a["account"] == name.as_str());
        accounts.pop().unwrap_or_default()
    }

    /// Seconds since the beginning.
    pub fn secs(&self) -> i64 {
        (self.now.0 - START.0) / 1_000_000_000
    }

    // ---- others

    /// Something done to the twin. Panics when it does not know it: that would be a mistake of the row.
    pub fn admin(&mut self, deed: &Value) -> Value {
        let now = self.now;
        if self.trace {
            eprintln!("{:.3} # {deed}", crate::engine::secs(now));
        }
        let done = self.twin.admin(now, &deed.to_string()).unwrap_or_else(|e| panic!("{deed}: {e}"));
        serde_json::from_str(&done).unwrap_or_default()
    }

    /// As [`World::admin`], for what may not be possible at this moment.
    pub fn try_admin(&mut self, deed: &Value) -> bool {
        let now = self.now;
        let done = self.twin.admin(now, &deed.to_string());
        if self.trace {
            eprintln!("{:.3} # {deed} {done:?}", crate::engine::secs(now));
        }
        done.is_ok()
    }

    /// A signed call from elsewhere with the account's key.
    pub fn signed(&mut self, method: &str, path: &str, query: &str) -> (u16, Value) {
        let sep = if query.is_empty() { "" } else { "&" };
        let server = self.twin.rest(self.now, &ask("GET", self.time_path(), "", None, JUDGE)).body;
        let server: Value = serde_json::from_str(&server).unwrap_or_default();
        let payload = format!("{query}{sep}timestamp={}&recvWindow=60000", server["serverTime"]);
        let query = format!("{payload}&signature={}", self.judge.sign(payload.as_bytes()));
        let key = self.plan.api_key.clone();
        let reply = self.twin.rest(self.now, &ask(method, path, &query, Some(&key), JUDGE));
        (reply.status, serde_json::from_str(&reply.body).unwrap_or_default())
    }

    fn time_path(&self) -> &'static str {
        if self.is_usdm() { "/fapi/v1/time" } else { "/api/v3/time" }
    }

    /// Conditional orders that wait (USD-M keeps them apart).
    pub fn open_conditionals(&mut self) -> Vec<Value> {
        if !self.is_usdm() {
            return Vec::new();
        }
        let (_, list) = self.signed("GET", "/fapi/v1/openAlgoOrders", "symbol=BTCUSDT");
        list.as_array().cloned().unwrap_or_default()
    }

    /// `kill -9` and a start right after it. What was on its way to the venue arrives there.
    pub fn restart(&mut self) {
        if self.trace {
            eprintln!("{:.3} # restart", crate::engine::secs(self.now));
        }
        self.life += 1;
        for conn in std::mem::take(&mut self.keys).into_keys() {
            self.twin.ws_close(self.now, conn);
        }
        self.conns.clear();
        let engine = self.engine.take().expect("there is always one");
        let now = self.now;
        self.engine = Some(engine.restart(&self.plan, now));
        self.carry_out();
    }

    // ---- time

    /// Runs for so long.
    pub fn run_for(&mut self, span: Nanos) {
        let until = self.now.after(span);
        loop {
            let next = self.next_due().min(until);
            self.now = self.now.max(next);
            self.happen();
            if self.now >= until && self.next_due() > until {
                return;
            }
        }
    }

    fn next_due(&mut self) -> UnixNanos {
        let mut at = self.twin.deadline().min(self.engine().next_due());
        if let Some(due) = self.net.next_due() {
            at = at.min(due);
        }
        at
    }

    fn happen(&mut self) {
        let now = self.now;
        self.twin.advance(now);
        self.from_venue();
        while let Some(ev) = self.net.pop(now) {
            self.arrive(ev);
        }
        if self.engine().next_due() <= now {
            self.engine_mut().on_time(now);
        }
        self.carry_out();
    }

    // ---- from ctos to the venue

    fn carry_out(&mut self) {
        let now = self.now;
        let life = self.life;
        loop {
            let engine = self.engine_mut();
            engine.drain(now);
            let sends = std::mem::take(&mut engine.deeds.sends);
            let sockets = std::mem::take(&mut engine.deeds.sockets);
            if sends.is_empty() && sockets.is_empty() {
                return;
            }
            for out in sends {
                if self.trace {
                    let path = out.request.path.split("&timestamp").next().unwrap_or_default().to_string();
                    eprintln!("{:.3} -> {:?} {} {path}", crate::engine::secs(now), out.ticket, out.request.method);
                }
                let lost = self.net.quality.lose_request;
                if self.net.chance(lost) {
                    self.lost(now, out.ticket, "the request was lost");
                    continue;
                }
                let at = now.after(self.net.delay());
                self.net.put(at, Ev::Request { life, ticket: out.ticket, request: out.request, sent: now });
            }
            for (key, deed) in sockets {
                self.socket_deed(key, deed);
            }
        }
    }

    /// No answer: told at once by a broken connection, or by nobody for as long as a client waits.
    fn lost(&mut self, sent: UnixNanos, ticket: ctos_link::rate::Ticket, why: &str) {
        let at = if self.net.upto(2) == 0 { self.now.after(self.net.delay()) } else { sent.after(TIMEOUT) };
        let back = Back::Unknown(why.into());
        self.net.put(at.max(self.now), Ev::Reply { life: self.life, ticket, back });
    }

    fn socket_deed(&mut self, key: SocketKey, deed: SocketDeed) {
        let (now, life) = (self.now, self.life);
        let conn = self.conns.get(&key).copied();
        let at = now.after(self.net.delay());
        match (deed, conn) {
            (SocketDeed::Connect { address }, _) => {
                let rest = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
                let path = rest.find('/').map_or("/", |i| &rest[i..]).to_string();
                self.net.put(at, Ev::Open { life, key, path });
            }
            (SocketDeed::Send(text), Some(conn)) => {
                self.net.put_in_order(at, true, conn, Ev::Say { conn, text });
            }
            (SocketDeed::Ping, Some(conn)) => self.net.put_in_order(at, true, conn, Ev::PingVenue { conn }),
            (SocketDeed::Close { .. }, Some(conn)) => {
                self.forget(conn);
                self.net.put_in_order(at, true, conn, Ev::Shut { conn });
            }
            (_, None) => {}
        }
    }

    fn forget(&mut self, conn: ConnId) {
        if let Some(key) = self.keys.remove(&conn) {
            self.conns.remove(&key);
        }
    }

    // ---- arrivals

    fn arrive(&mut self, ev: Ev) {
        let now = self.now;
        match ev {
            Ev::Request { life, ticket, request, sent } => self.at_venue(life, ticket, &request, sent),
            Ev::Reply { life, ticket, back } if life == self.life => {
                if self.trace {
                    eprintln!("{:.3} <- {ticket:?} {}", crate::engine::secs(now), short(&back));
                }
                let engine = self.engine_mut();
                match &back {
                    Back::Http { status, headers, body, sent } => {
                        let answer = Answer::Http { status: *status, headers, body, sent: *sent, received: now };
                        engine.gateway.answered(now, ticket, &answer, &mut engine.deeds);
                    }
                    Back::Unknown(why) => {
                        let answer = Answer::Unknown { why: why.clone() };
                        engine.gateway.answered(now, ticket, &answer, &mut engine.deeds);
                    }
                }
                engine.drain(now);
            }
            Ev::Open { life, key, path } if life == self.life => self.open(key, &path),
            Ev::Say { conn, text } => self.twin.ws_text(now, conn, &text),
            Ev::PingVenue { conn } => {
                self.twin.ws_ping(now, conn);
                self.tell(conn, News::Pong);
            }
            Ev::PongVenue { conn } => self.twin.ws_pong(now, conn),
            Ev::Shut { conn } => self.twin.ws_close(now, conn),
            Ev::News { life, key, news } if life == self.life => {
                if self.trace
                    && let News::Text(text) = &news
                {
                    eprintln!("{:.3} << {text}", crate::engine::secs(now));
                }
                let engine = self.engine_mut();
                let told = match &news {
                    News::Opened => SocketNews::Opened,
                    News::Closed(why) => SocketNews::Closed { why },
                    News::Text(text) => SocketNews::Text(text),
                    News::Ping => SocketNews::Ping,
                    News::Pong => SocketNews::Pong,
                };
                engine.gateway.socket(now, key, &told, &mut engine.deeds);
                engine.drain(now);
                if let News::Closed(_) = news
                    && let Some(conn) = self.conns.get(&key).copied()
                {
                    self.forget(conn);
                }
            }
            Ev::Reply { .. } | Ev::Open { .. } | Ev::News { .. } => {}
        }
    }

    fn at_venue(
        &mut self,
        life: u32,
        ticket: ctos_link::rate::Ticket,
        request: &ctos_link::http::HttpRequest,
        sent: UnixNanos,
    ) {
        let now = self.now;
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let key = request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("x-mbx-apikey")).map(|(_, v)| v.as_str());
        let ask = Request {
            method: request.method.as_str(),
            path,
            query,
            body: &body,
            api_key: key,
            micros: false,
            from: US,
        };
        let reply = self.twin.rest(now, &ask);
        match reply.status {
            418 => self.banned_replies += 1,
            429 => self.limited_replies += 1,
            _ => {}
        }
        let lost = self.net.quality.lose_reply;
        if life != self.life {
            return;
        }
        if reply.manner != Manner::Whole || self.net.chance(lost) {
            return self.lost(sent, ticket, "no whole answer came");
        }
        let at = now.after(self.net.delay()).after(Nanos::from_millis(reply.delay_ms));
        if at >= sent.after(TIMEOUT) {
            let back = Back::Unknown("no answer in time".into());
            return self.net.put(sent.after(TIMEOUT).max(now), Ev::Reply { life, ticket, back });
        }
        let headers = reply.headers.into_iter().map(|(n, v)| (n.to_string(), v)).collect();
        let back = Back::Http { status: reply.status, headers, body: reply.body.into_bytes(), sent };
        self.net.put(at, Ev::Reply { life, ticket, back });
    }

    fn open(&mut self, key: SocketKey, path: &str) {
        let (now, life) = (self.now, self.life);
        let conn = self.next_conn;
        self.next_conn += 1;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let failed = self.net.quality.no_connection;
        let at = now.after(self.net.delay());
        if self.net.chance(failed) {
            let news = News::Closed("no connection".into());
            return self.net.put(at, Ev::News { life, key, news });
        }
        match self.twin.ws_open(now, conn, &Upgrade { path, query, from: US }) {
            Ok(()) => {
                self.conns.insert(key, conn);
                self.keys.insert(conn, key);
                self.net.put_in_order(at, false, conn, Ev::News { life, key, news: News::Opened });
            }
            Err(reply) => {
                self.banned_replies += u64::from(reply.status == 418);
                let news = News::Closed(format!("refused: {}", reply.status));
                self.net.put(at, Ev::News { life, key, news });
            }
        }
    }

    // ---- from the venue

    fn from_venue(&mut self) {
        let mut frames = std::mem::take(&mut self.frames);
        self.twin.drain(&mut frames);
        for Outgoing { conn, frame } in frames.drain(..) {
            match frame {
                Frame::Text(text) => self.tell(conn, News::Text(text)),
                Frame::Ping(_) => {
                    self.tell(conn, News::Ping);
                    let at = self.now.after(self.net.delay());
                    self.net.put_in_order(at, true, conn, Ev::PongVenue { conn });
                }
                Frame::Close(code, why) => {
                    self.tell(conn, News::Closed(format!("closed by the venue: {code} {why}")));
                    self.twin.ws_close(self.now, conn);
                }
                Frame::Cut | Frame::Half(_) => {
                    self.tell(conn, News::Closed("connection reset".into()));
                    self.twin.ws_close(self.now, conn);
                }
            }
        }
        self.frames = frames;
    }

    fn tell(&mut self, conn: ConnId, news: News) {
        let Some(key) = self.keys.get(&conn).copied() else { return };
        let at = self.now.after(self.net.delay());
        self.net.put_in_order(at, false, conn, Ev::News { life: self.life, key, news });
    }

    /// Links that are open, for rows that want to know.
    pub fn links(&self) -> Vec<LinkId> {
        self.conns.keys().map(|k| k.link).collect()
    }
}

fn ask<'a>(method: &'a str, path: &'a str, query: &'a str, api_key: Option<&'a str>, from: IpAddr) -> Request<'a> {
    Request { method, path, query, body: "", api_key, micros: false, from }
}

fn short(back: &Back) -> String {
    match back {
        Back::Http { status, body, .. } => {
            let text = String::from_utf8_lossy(body);
            format!("{status} {}", text.chars().take(700).collect::<String>())
        }
        Back::Unknown(why) => why.clone(),
    }
}
