//! The world: engine, network and twin on one clock.
//! Never: lets time pass without everything due in it happening, each thing at its own moment.

mod wire;

use crate::engine::{Blueprint, Engine, NAMES, Sabotage};
use crate::net::{Ev, Net, News};
use crate::plan::{Plan, Planned};
use crate::rows::stage::{Notes, Stage};
use crate::script::{Means, Script};
use ctos_driver_binance::instruments::parse_instruments;
use ctos_driver_binance::{Credentials, Hosts, Profile};
use ctos_kernel::Strategy;
use ctos_link::gateway::{ENTRY, SocketKey};
use ctos_twin::{
    AccountSetting, ConnId, LimitSettings, Market, Outgoing, Product, Request, Twin, TwinConfig, synthetic_config,
};
use ctos_types::{AccountId, Decimal, InstrumentId, Instruments, Nanos, Rounding, UnixNanos};
use ctos_venue::{SyntheticConfig, SyntheticMarket};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// 2026-11-21T12:00:00Z.
pub const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);
const US: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The judge and the market's quotes are no traffic of ours.
const JUDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9));

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
    /// What is done instead of what the script and the grid would do.
    pub plan: Option<Plan>,
    /// The account holds a position, or coins bought a moment ago, before ctos begins.
    pub held_before: bool,
    /// Orders go over the WebSocket API, where the market has it: half of the seeds of every profile.
    pub entry: bool,
    /// USD-M with two legs.
    pub hedge: bool,
    /// Cross margin owns dollars only and borrows the rest: half of the seeds.
    pub borrows: bool,
    /// A second account trades on the same address.
    pub two: bool,
    /// What the driver gets wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Setup {
    pub fn new(profile: Profile, seed: u64) -> Setup {
        Setup {
            profile,
            seed,
            active_secs: 50,
            fee_token: None,
            grid: true,
            plan: None,
            held_before: false,
            entry: (seed / 6).is_multiple_of(2),
            hedge: false,
            borrows: profile == Profile::Margin && (seed / 6).is_multiple_of(2),
            two: false,
            sabotage: None,
        }
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
    /// Nothing passes on them any more, and nobody is told.
    dead: BTreeSet<ConnId>,
    /// Requests by HTTP that place, change or cancel an order.
    pub by_http: u64,
    frames: Vec<Outgoing>,
    judge: Credentials,
    /// What was done to it that ctos did not do.
    pub notes: Notes,
    pub banned_replies: u64,
    pub limited_replies: u64,
    gone: bool,
    /// The venue is down until then.
    away_until: UnixNanos,
    trace: bool,
}

/// Where the simulated network leads.
fn hosts(profile: Profile) -> Hosts {
    let ws_api = if profile == Profile::UsdM { "wss://twin/ws-fapi/v1" } else { "wss://twin/ws-api/v3" };
    Hosts { rest: "https://twin".into(), streams: "wss://twin".into(), ws_api: ws_api.into() }
}

impl Setup {
    fn product(&self) -> Product {
        if self.profile == Profile::UsdM { Product::UsdM } else { Product::Spot }
    }

    fn twin_config(&self) -> TwinConfig {
        let mut config = TwinConfig::new(self.product(), self.seed, START);
        config.limits = LimitSettings::default();
        let seeds = [Some(self.seed), self.two.then_some(self.seed ^ 0x7365_636f_6e64)];
        let accounts = seeds.into_iter().flatten().zip(NAMES).map(|(seed, name)| {
            let mut account = AccountSetting { name: name.into(), ..AccountSetting::test(seed) };
            // Enough of both for what the strategies do without borrowing.
            if !self.borrows {
                account.margin = account.spot.clone();
            }
            account.fee_token = self.fee_token.map(ctos_types::Currency::cut);
            account
        });
        config.accounts = accounts.collect();
        config
    }

    fn market(&self) -> SyntheticMarket {
        let product = self.product();
        let coin = if product == Product::UsdM { "BTC-USDT-PERP" } else { "BTC-USDT" };
        let base = synthetic_config(product, self.seed);
        let mut select: Vec<String> = vec![coin.into()];
        // Fees in another asset need its price.
        select.extend(self.fee_token.map(|asset| format!("{asset}-USDT")));
        let market = SyntheticConfig { start: START, select, ..base };
        SyntheticMarket::new(market).expect("a market")
    }

    /// The venue: one market, an account or two. It has lived for a second.
    pub fn venue(&self) -> (Twin, Vec<AccountSetting>) {
        let config = self.twin_config();
        let accounts = config.accounts.clone();
        let mut twin = Twin::recorded(config, Box::new(self.market())).expect("a twin");
        twin.advance(START.after(Nanos::from_secs(1)));
        for account in accounts.iter().filter(|_| self.hedge) {
            let (key, secret) = account.hmac_pair().expect("a test account has one");
            let now = twin.now();
            let payload = format!("dualSidePosition=true&timestamp={}", now.0 / 1_000_000);
            let signature = Credentials::new(key, secret).expect("the twin's own key").sign(payload.as_bytes());
            let query = format!("{payload}&signature={signature}");
            let reply = twin.rest(now, &ask("POST", "/fapi/v1/positionSide/dual", &query, Some(key), JUDGE));
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        (twin, accounts)
    }

    /// What the venue lists, and the instance that trades on it.
    pub fn blueprint(&self, twin: &mut Twin, accounts: &[AccountSetting], hosts: Hosts) -> Blueprint {
        let path = if self.profile == Profile::UsdM { "/fapi/v1/exchangeInfo" } else { "/api/v3/exchangeInfo" };
        let now = twin.now();
        let info = twin.rest(now, &ask("GET", path, "", None, JUDGE)).body;
        plan(self, &info, accounts, hosts)
    }
}

fn plan(setup: &Setup, info: &str, accounts: &[AccountSetting], hosts: Hosts) -> Blueprint {
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
        hedge: setup.hedge,
        amend: true,
        conditional: true,
        until: START.after(Nanos::from_secs(setup.active_secs)),
        every: Nanos::from_millis(900),
    };
    let listed = instruments.clone();
    let todo = setup.plan.clone();
    let strategies = move |account: AccountId| {
        if let Some(plan) = &todo {
            return vec![Box::new(Planned::new(means, plan.clone())) as Box<dyn Strategy>];
        }
        let mut list: Vec<Box<dyn Strategy>> = vec![Box::new(Script::new(means, seed ^ u64::from(account.0)))];
        if grid {
            let set = [("spacing", "0.02"), ("levels", "3"), ("order_amount", "400")];
            let set: BTreeMap<String, String> = set.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
            list.push(ctos_strategies::build("grid", &set, &listed, &[InstrumentId(0)]).expect("a grid"));
        }
        list
    };
    let mut pairs = accounts.iter().map(|a| a.hmac_pair().expect("a test account has one"));
    let (key, secret) = pairs.next().expect("there is one");
    let second = pairs.next().map(|(key, secret)| (key.to_string(), secret.to_string()));
    Blueprint {
        profile,
        hosts,
        entry: setup.entry,
        hedge: setup.hedge,
        borrows: setup.borrows,
        instruments,
        second,
        api_key: key.into(),
        secret: secret.into(),
        lot: size,
        strategies: Box::new(strategies),
        seed,
    }
}

impl World {
    pub fn new(setup: Setup) -> World {
        let (mut twin, accounts) = setup.venue();
        let now = twin.now();
        let plan = setup.blueprint(&mut twin, &accounts, hosts(setup.profile));
        let judge = Credentials::new(&plan.api_key, &plan.secret).expect("the twin's own key");
        let mut net = Net::new(setup.seed);
        // No two seeds start at the same place in a second.
        let now = now.after(Nanos::from_millis(net.upto(1_000) as i64));
        if setup.held_before {
            let name = if setup.profile == Profile::Margin { "test:margin" } else { "test" };
            let deed =
                format!(r#"{{"do":"foreign","account":"{name}","symbol":"BTCUSDT","side":"BUY","quantity":"0.05"}}"#);
            twin.admin(now, &deed).expect("the market is open");
        }
        let notes = Notes { strangers: u64::from(setup.held_before), ..Notes::default() };
        let engine = Engine::start(&plan, now, setup.sabotage);
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
            dead: BTreeSet::new(),
            by_http: 0,
            frames: Vec::new(),
            judge,
            notes,
            banned_replies: 0,
            limited_replies: 0,
            gone: false,
            away_until: UnixNanos::MIN,
            trace: std::env::var_os("CONF_TRACE").is_some(),
        }
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("there is always one")
    }

    fn engine_mut(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("there is always one")
    }

    /// One lot of the strategies, on the instrument's grid.
    pub fn means_size(&self) -> i64 {
        self.plan.lot.0
    }

    /// Seconds since the beginning.
    pub fn secs(&self) -> i64 {
        (self.now.0 - START.0) / 1_000_000_000
    }

    // ---- others

    /// Something done to the twin. `Err`: it is not possible now.
    pub fn deed(&mut self, deed: &Value) -> Result<Value, String> {
        let now = self.now;
        let done = self.twin.admin(now, &deed.to_string());
        if self.trace {
            eprintln!("{:.3} # {deed} {done:?}", crate::engine::secs(now));
        }
        done.map(|text| serde_json::from_str(&text).unwrap_or_default())
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

    /// `kill -9` and a start right after it. What was on its way to the venue arrives there.
    pub fn restart(&mut self) {
        if self.trace {
            eprintln!("{:.3} # restart", crate::engine::secs(self.now));
        }
        self.life += 1;
        for (conn, key) in std::mem::take(&mut self.keys) {
            if key.part == ENTRY {
                // Orders that are on their way there arrive before the end.
                let at = self.now.after(self.net.delay());
                self.net.put_in_order(at, true, conn, Ev::Shut { conn });
            } else {
                self.twin.ws_close(self.now, conn);
            }
        }
        self.conns.clear();
        let engine = self.engine.take().expect("there is always one");
        let now = self.now;
        self.engine = Some(engine.restart(&self.plan, now));
        self.carry_out();
    }

    /// The venue goes down and comes back after `away` with its state; nothing reaches it meanwhile.
    pub fn restart_venue(&mut self, away: Nanos) {
        if self.trace {
            eprintln!("{:.3} # the venue restarts", crate::engine::secs(self.now));
        }
        for conn in self.keys.keys().copied().collect::<Vec<_>>() {
            self.tell(conn, News::Closed("connection reset".into()));
            self.twin.ws_close(self.now, conn);
        }
        let state = self.twin.state();
        self.away_until = self.now.after(away);
        let market = Market::Recorded(Box::new(self.setup.market()));
        self.twin = Twin::resume(self.setup.twin_config(), market, state, &[], self.now).expect("its own state");
    }

    /// The machine is gone: nothing leaves it any more, and nothing reaches it.
    pub fn vanish(&mut self) {
        self.life += 1;
        for conn in std::mem::take(&mut self.keys).into_keys() {
            self.twin.ws_close(self.now, conn);
        }
        self.conns.clear();
        self.gone = true;
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
        let own = if self.gone { UnixNanos::MAX } else { self.engine().next_due() };
        let mut at = self.twin.deadline().min(own);
        if let Some(due) = self.net.next_due() {
            at = at.min(due);
        }
        at
    }

    fn happen(&mut self) {
        let now = self.now;
        self.twin.advance(now);
        self.take_from_venue();
        while let Some(ev) = self.net.pop(now) {
            self.arrive(ev);
        }
        if self.gone {
            return;
        }
        if self.engine().next_due() <= now {
            self.engine_mut().on_time(now);
        }
        self.carry_out();
    }
}

pub(crate) fn ask<'a>(
    method: &'a str,
    path: &'a str,
    query: &'a str,
    api_key: Option<&'a str>,
    from: IpAddr,
) -> Request<'a> {
    Request { method, path, query, body: "", api_key, micros: false, from }
}
