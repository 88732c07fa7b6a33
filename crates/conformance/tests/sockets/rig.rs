//! ctos and its venue over real sockets: the runtime's shard with journal, kernel and strategies, the gateway's thread
//! with desk and feed, and the twin's server, all on one clock.
//! Never: a piece of any of them replaced, beyond the clock and the disk.

use crate::clock::Hand;
use ctos_conformance::engine::{ACCOUNT, Blueprint, TAG};
use ctos_conformance::net::Quality;
use ctos_conformance::rows::stage::{Asked, Notes, Refusals, Stage, named};
use ctos_conformance::world::{START, Setup};
use ctos_driver_binance::{Credentials, Hosts, Profile};
use ctos_kernel::{Audit, Kernel};
use ctos_link::clock::ClockConfig;
use ctos_link::dial::Dialer;
use ctos_link::gateway::Notice;
use ctos_link::gateway::shell::{GatewayConfig, Running, spawn};
use ctos_link::http::HttpConfig;
use ctos_runtime::live::{Full, Gateway, GatewayStatus};
use ctos_runtime::shard::{Durable, Keep, LiveParts, LiveVenue, Observer, Shard};
use ctos_storage::fs::Fs;
use ctos_storage::journal::{Journal, JournalError, JournalOptions, JournalReader, RunInfo};
use ctos_storage::sim_fs::SimFs;
use ctos_storage::snapshot::{Retention, SnapshotStore};
use ctos_twin::server::{Server, ServerConfig};
use ctos_types::{Command, Control, EventBuf, Nanos, UnixNanos};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How far the clock moves at once.
const TURN: Nanos = Nanos::from_millis(50);
/// Real time after which somebody hangs.
const HANGS: Duration = Duration::from_secs(60);
/// Inputs between snapshots: often enough that a restart begins with one.
const SNAPSHOT_EVERY: u64 = 3_000;
const JOURNAL: &str = "/run/journal";
const SNAPSHOTS: &str = "/run/snapshots";

/// See the module's head.
pub struct Rig {
    pub clock: Arc<Hand>,
    pub setup: Setup,
    at: SocketAddr,
    server: Server,
    plan: Blueprint,
    judge: Credentials,
    disk: SimFs,
    shard: Option<Shard>,
    seen: Arc<Mutex<Seen>>,
    dice: Xoshiro256PlusPlus,
    notes: Notes,
    quality: Quality,
    trace: bool,
}

/// What came out of ctos, over all of its lives.
#[derive(Debug, Default)]
pub struct Seen {
    pub asked: Asked,
    pub alarms: BTreeMap<String, u64>,
    /// What people were told.
    pub notices: Vec<Notice>,
    /// Kernel inputs that said that a book has a gap, or that an instrument's rules changed.
    pub gaps: u64,
    pub rules: u64,
    pub lives: u32,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request on a connection of its own: status and body.
pub fn http(at: SocketAddr, method: &str, path: &str, key: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).expect("the venue listens");
    stream.set_read_timeout(Some(HANGS)).expect("a span");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\nx-mbx-apikey: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the venue reads");
    let mut answer = Vec::new();
    // A fault may break it off.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return (0, answer) };
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, body.to_string())
}

impl Rig {
    pub fn start(setup: Setup) -> Rig {
        let (mut twin, accounts) = setup.venue();
        let clock = Arc::new(Hand::new(twin.now()));
        // The list of instruments is read before the venue opens; everything else goes over the wire.
        let unknown = Hosts { rest: String::new(), streams: String::new(), ws_api: String::new() };
        let mut plan = setup.blueprint(&mut twin, &accounts, unknown);
        let mut config = ServerConfig::new(clock.clone());
        let usdm = setup.profile == Profile::UsdM;
        *(if usdm { &mut config.usdm } else { &mut config.spot }) = Some((twin, 0));
        let server = Server::start(config).expect("free ports");
        let at = if usdm { server.usdm } else { server.spot }.expect("it is served");
        let api = if usdm { "ws-fapi/v1" } else { "ws-api/v3" };
        plan.hosts =
            Hosts { rest: format!("http://{at}"), streams: format!("ws://{at}"), ws_api: format!("ws://{at}/{api}") };
        let judge = Credentials::new(&plan.api_key, &plan.secret).expect("the twin's own key");
        let seed = setup.seed;
        let mut rig = Rig {
            clock,
            at,
            server,
            plan,
            judge,
            disk: SimFs::new(seed),
            shard: None,
            seen: Arc::default(),
            dice: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x736f_636b),
            notes: Notes::default(),
            quality: Quality::default(),
            trace: std::env::var_os("CONF_TRACE").is_some(),
            setup,
        };
        rig.launch();
        rig
    }

    /// A life of ctos: from the journal, where there is one.
    fn launch(&mut self) {
        let fs: Arc<dyn Fs> = Arc::new(self.disk.clone());
        let store = SnapshotStore::open(fs.clone(), Path::new(SNAPSHOTS)).expect("the disk works");
        let (dir, options) = (Path::new(JOURNAL), JournalOptions { reserve_bytes: 4_096, ..JournalOptions::default() });
        let (journal, next) = match Journal::open(fs.clone(), dir, options.clone()) {
            Ok((journal, recovered)) => (journal, recovered.next_seq),
            Err(JournalError::Missing { .. }) => {
                let info = RunInfo { shard: 0, epoch: 1, run_id: "sockets".into(), instance_tag: TAG };
                (Journal::create(fs.clone(), dir, info, options).expect("the disk works"), 0)
            }
            Err(e) => panic!("{e}"),
        };
        let retention = Retention { snapshots: 2, max_bytes: None };
        let snapshots = Keep { store: store.clone(), journal_dir: dir.into(), retention, every: SNAPSHOT_EVERY };
        let durable = Durable { journal, snapshots, sync: true };
        let parts = LiveParts { kernel: self.plan.kernel(), venue: LiveVenue::Real, durable };
        let watcher = Box::new(Watcher { seen: self.seen.clone(), trace: self.trace });
        let mut shard = if next == 0 {
            Shard::new(parts, watcher)
        } else {
            let latest = store.latest(next - 1).expect("snapshots can be read").snapshot;
            let mut reader = JournalReader::open(fs, dir).expect("the journal can be read");
            if let Some(snapshot) = &latest {
                reader.seek_segment_for(snapshot.seq + 1);
            }
            // What is repeated was seen when it was lived.
            let (mut shard, _) = Shard::recover(parts, latest, reader, Box::new(())).expect("the journal repeats");
            shard.set_observer(watcher);
            shard
        };
        let (words, parts) = self.plan.parts(self.clock.at(), Some(shard.kernel()));
        let config = GatewayConfig {
            name: "binance".into(),
            time: self.clock.clone(),
            dialer: Dialer::new(&[], None, Nanos::from_secs(20)).expect("no proxy"),
            // Real time, in which the venue's may stand still.
            http: HttpConfig { answer_within: Nanos::from_secs(20), ..HttpConfig::default() },
            clock: ClockConfig::default(),
            closures: Vec::new(),
        };
        let running = spawn(config, Box::new(words), parts).expect("addresses and a thread");
        lock(&self.seen).lives += 1;
        shard.attach(Box::new(Way { running, seen: self.seen.clone(), trace: self.trace })).expect("the disk works");
        self.shard = Some(shard);
    }

    fn shard(&mut self) -> &mut Shard {
        self.shard.as_mut().expect("there is always one")
    }

    /// Everything that is due at this moment, until all three come to rest.
    fn rest(&mut self) {
        let now = self.clock.at();
        let by = Instant::now() + HANGS;
        loop {
            let rested = self.clock.is_at_rest();
            let mut stepped = false;
            while self.shard().advance(now).expect("the disk works") {
                stepped = true;
            }
            let kernel = self.shard().kernel();
            if kernel.is_known(ACCOUNT) && self.shard().stats().inputs.controls == 0 {
                self.shard().control(now, &Control::Start).expect("the disk works");
            }
            if rested && !stepped {
                return;
            }
            let gateway = self.shard().gateway().expect("it is attached");
            assert_eq!(gateway.ended(), None);
            assert!(Instant::now() < by, "somebody hangs at {now}");
            gateway.wait(Duration::from_micros(300));
        }
    }

    /// What people were told since the last time.
    fn hear(&mut self) {
        let now = self.secs();
        let notices = self.shard().gateway().map(|g| g.notices()).unwrap_or_default();
        if self.trace {
            notices.iter().for_each(|n| eprintln!("{now} ! {n:?}"));
        }
        lock(&self.seen).notices.extend(notices);
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    fn admin_call(&self, method: &str, what: &str, body: &str) -> (u16, Value) {
        let product = if self.is_usdm() { "usdm" } else { "spot" };
        let (status, text) = http(self.server.admin, method, &format!("/{product}/{what}"), "", body);
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Its threads look for the end of it only while time passes.
        if let Some(gateway) = self.shard.as_mut().and_then(|s| s.gateway()) {
            gateway.stop(Duration::from_millis(200));
        }
    }
}

impl Stage for Rig {
    fn profile(&self) -> Profile {
        self.setup.profile
    }
    fn seed(&self) -> u64 {
        self.setup.seed
    }
    fn secs(&self) -> i64 {
        (self.clock.at().0 - START.0) / 1_000_000_000
    }
    fn run_for(&mut self, span: Nanos) {
        let until: UnixNanos = self.clock.at().after(span);
        self.rest();
        while self.clock.at() < until {
            let left = until - self.clock.at();
            self.clock.turn(left.min(TURN));
            self.rest();
        }
        self.hear();
    }
    fn restart(&mut self) {
        // Dropped in the middle of whatever it does; every second time the machine loses its power as well.
        drop(self.shard.take());
        if self.dice(2) == 0 {
            self.disk.crash();
        }
        self.launch();
    }
    fn deed(&mut self, deed: &Value) -> Result<Value, String> {
        self.rest();
        let (status, answer) = self.admin_call("POST", "do", &deed.to_string());
        if self.trace {
            eprintln!("{} # {deed} {status} {answer}", self.secs());
        }
        if status == 200 { Ok(answer) } else { Err(answer.to_string()) }
    }
    fn truth(&mut self) -> Value {
        self.rest();
        let (status, truth) = self.admin_call("GET", "truth", "");
        assert_eq!(status, 200, "{truth}");
        truth
    }
    fn signed(&mut self, method: &str, path: &str, query: &str) -> (u16, Value) {
        self.rest();
        let time = if self.is_usdm() { "/fapi/v1/time" } else { "/api/v3/time" };
        let server: Value = serde_json::from_str(&http(self.at, "GET", time, "", "").1).unwrap_or_default();
        let sep = if query.is_empty() { "" } else { "&" };
        let payload = format!("{query}{sep}timestamp={}&recvWindow=60000", server["serverTime"]);
        let path = format!("{path}?{payload}&signature={}", self.judge.sign(payload.as_bytes()));
        let (status, body) = http(self.at, method, &path, &self.plan.api_key, "");
        (status, serde_json::from_str(&body).unwrap_or_default())
    }
    fn kernel(&self) -> &Kernel {
        self.shard.as_ref().expect("there is always one").kernel()
    }
    fn is_started(&self) -> bool {
        self.shard.as_ref().is_some_and(|s| s.stats().inputs.controls > 0)
    }
    fn dice(&mut self, n: u64) -> u64 {
        self.dice.next_u64() % n.max(1)
    }
    fn quality(&mut self) -> &mut Quality {
        &mut self.quality
    }
    fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }
    fn asked(&self) -> Asked {
        self.seen().asked
    }
    fn refusals(&mut self) -> Refusals {
        let refused = &self.truth()["refused"];
        let count = |key: &str| refused[key].as_u64().unwrap_or(0);
        Refusals { banned: count("banned") + count("bans"), limited: count("limited") }
    }
    fn alarms(&self) -> BTreeMap<String, u64> {
        self.seen().alarms.clone()
    }
}

/// The gateway as the shard has it; commands are counted on their way.
#[derive(Debug)]
struct Way {
    running: Running,
    seen: Arc<Mutex<Seen>>,
    trace: bool,
}

impl Gateway for Way {
    fn send(&mut self, command: &Command) -> Result<(), Full> {
        if self.trace {
            eprintln!("> {command:?}");
        }
        let mut seen = lock(&self.seen);
        match command {
            Command::Place(_) => seen.asked.places += 1,
            Command::Amend(_) => seen.asked.amends += 1,
            _ => {}
        }
        self.running.send(*command).map_err(|_| Full)
    }
    fn poll(&mut self, event: &mut Box<EventBuf>) -> Option<UnixNanos> {
        let at = self.running.poll(event)?;
        match event.as_event() {
            ctos_types::Event::Market(m) if matches!(m.data, ctos_types::MarketData::Gap) => lock(&self.seen).gaps += 1,
            ctos_types::Event::Rules { .. } => lock(&self.seen).rules += 1,
            ctos_types::Event::Market(_) => {}
            other if self.trace => eprintln!("< {other:?}"),
            _ => {}
        }
        Some(at)
    }
    fn wait(&mut self, at_most: Duration) {
        self.running.wait(at_most);
    }
    fn now(&self) -> UnixNanos {
        self.running.now()
    }
    fn notices(&mut self) -> Vec<Notice> {
        self.running.notices()
    }
    fn status(&self) -> GatewayStatus {
        GatewayStatus::default()
    }
    fn ended(&self) -> Option<String> {
        self.running.ended()
    }
    fn stop(&mut self, within: Duration) {
        self.running.stop(within);
    }
}

/// Keeps the alarms.
struct Watcher {
    seen: Arc<Mutex<Seen>>,
    trace: bool,
}

impl Observer for Watcher {
    fn on_step(&mut self, _: u64, _: UnixNanos, audits: &mut Vec<Audit>, _: &Kernel) {
        if self.trace {
            audits.iter().filter(|a| matches!(a, Audit::Alarm(_))).for_each(|a| eprintln!("! {a:?}"));
        }
        let mut seen = lock(&self.seen);
        for (name, n) in named(audits.iter()) {
            *seen.alarms.entry(name).or_insert(0) += n;
        }
    }
}
