//! The world: engine, network and twin on one clock.
//! Never: lets time pass without everything due in it happening, each thing at its own moment.

mod wire;

use crate::engine::{Blueprint, Engine};
use crate::net::Net;
use crate::plan::{Plan, Planned};
use crate::script::{Means, Script};
use ctos_driver_binance::instruments::parse_instruments;
use ctos_driver_binance::{Credentials, Profile};
use ctos_kernel::Strategy;
use ctos_link::gateway::SocketKey;
use ctos_twin::{
    AccountSetting, ConnId, LimitSettings, Outgoing, Product, Request, Twin, TwinConfig, synthetic_config,
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
}

impl Setup {
    pub fn new(profile: Profile, seed: u64) -> Setup {
        Setup { profile, seed, active_secs: 50, fee_token: None, grid: true, plan: None, held_before: false }
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
    gone: bool,
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
    let todo = setup.plan.clone();
    let strategies = move || {
        if let Some(plan) = &todo {
            return vec![Box::new(Planned::new(means, plan.clone())) as Box<dyn Strategy>];
        }
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
        lot: size,
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
        let mut select: Vec<String> = vec![coin.into()];
        // Fees in another asset need its price.
        select.extend(setup.fee_token.map(|asset| format!("{asset}-USDT")));
        let market = SyntheticConfig { start: START, select, ..base };
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
        if setup.held_before {
            let name = if setup.profile == Profile::Margin { "test:margin" } else { "test" };
            let deed =
                format!(r#"{{"do":"foreign","account":"{name}","symbol":"BTCUSDT","side":"BUY","quantity":"0.05"}}"#);
            twin.admin(now, &deed).expect("the market is open");
        }
        let strangers = u64::from(setup.held_before);
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
            strangers,
            banned_replies: 0,
            limited_replies: 0,
            bans_injected: false,
            limits_injected: false,
            gone: false,
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

    /// The orders' endpoint of the account.
    pub fn order_path(&self) -> &'static str {
        match self.setup.profile {
            Profile::Spot => "/api/v3/order",
            Profile::Margin => "/sapi/v1/margin/order",
            Profile::UsdM => "/fapi/v1/order",
        }
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
