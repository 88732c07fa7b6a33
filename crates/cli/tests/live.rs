//! Live trading as a user has it: the real binary against `ctos twin binance` in another process, which outlives every
//! kill and is the judge.
//! Never: a real exchange, a key of anybody. The venue's time runs faster than ours, and ours with it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Venue seconds a second. A machine that is busy with other tests must keep up.
const SPEED: u32 = 20;
/// Venue time of the long story.
const HOUR_MS: i64 = 3_600_000;
/// What is traded.
const SYMBOL: &str = "binance:BTC-USDT-PERP";

fn ctos(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    // Settings of whoever runs the tests must not reach in.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CTOS_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

struct Twin {
    child: Child,
    json: Value,
    flags: Vec<String>,
}

impl Twin {
    fn start(state: &Path) -> Twin {
        let flags = ["--seed", "5", "--history", "10m", "--state"].map(String::from);
        let mut flags: Vec<String> = flags.into_iter().chain([state.display().to_string()]).collect();
        flags.extend(["--speed".into(), SPEED.to_string()]);
        let (child, json) = Twin::spawn(&flags);
        let mut twin = Twin { child, json, flags };
        // A later life listens where this one does.
        for (flag, market) in [("--spot-port", "spot"), ("--usdm-port", "usdm"), ("--admin-port", "admin")] {
            let port = twin.at(market).rsplit(':').next().unwrap().to_owned();
            twin.flags.extend([flag.to_owned(), port]);
        }
        twin
    }

    fn spawn(flags: &[String]) -> (Child, Value) {
        let mut child = ctos(&["twin", "binance", "--json"]).args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (child, json)
    }

    fn kill_and_restart(&mut self, pause: Duration) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::thread::sleep(pause);
        (self.child, self.json) = Twin::spawn(&self.flags);
    }

    fn at(&self, market: &str) -> String {
        let url = if market == "admin" { &self.json["admin"] } else { &self.json[market]["rest"] };
        url.as_str().unwrap().trim_start_matches("http://").to_string()
    }

    fn admin(&self, request: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(self.at("admin")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {reply}"))
    }

    fn deed(&self, json: &str) {
        self.admin("POST /usdm/do", json);
    }

    /// Milliseconds on the venue's clock.
    fn time(&self) -> i64 {
        self.admin("GET /usdm/truth", "")["time"].as_i64().unwrap()
    }

    fn truth(&self) -> Truth {
        let all = self.admin("GET /usdm/truth", "");
        let account = all["accounts"].as_array().unwrap().iter().find(|a| a["account"] == "test").unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let list = |key: &str| account[key].as_array().unwrap().iter();
        Truth {
            positions: list("positions")
                .map(|p| (text(&p["symbol"]), plain(&text(&p["quantity"]))))
                .filter(|(_, qty)| qty != "0")
                .collect(),
            balances: list("balances").map(|b| (text(&b["asset"]), plain(&text(&b["total"])))).collect(),
            open: list("openOrders").map(|o| text(&o["clientOrderId"])).collect(),
            orders: account["orders"].as_u64().unwrap(),
            trades: account["trades"].as_u64().unwrap(),
        }
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The venue's own view of the account.
#[derive(Debug)]
struct Truth {
    positions: BTreeMap<String, String>,
    balances: BTreeMap<String, String>,
    open: Vec<String>,
    orders: u64,
    trades: u64,
}

/// Without zeros at the end: both sides print their own number of places.
fn plain(number: &str) -> String {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => number.to_owned(),
    }
}

/// A run of the real binary, which does not outlive a test that fails.
struct Run(Child);

impl Run {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A home with its settings, and where its log goes.
struct Trader {
    dir: tempfile::TempDir,
    lives: u32,
}

impl Trader {
    fn new(twin: &Twin, mode: &str) -> Trader {
        let dir = tempfile::tempdir().unwrap();
        let usdm = &twin.json["usdm"];
        let place =
            format!("base_url: {}\n{{indent}}ws_url: {}", usdm["rest"].as_str().unwrap(), usdm["ws"].as_str().unwrap());
        let accounts = format!(
            "accounts:\n  - id: main\n    venue: binance\n    profile: usdm\n    {}\n",
            place.replace("{indent}", "    ")
        );
        let feed = format!("market: binance:usdm\nfeed:\n  {}\n", place.replace("{indent}", "  "));
        let settings = format!(
            "mode: {mode}\nsymbols: [\"{SYMBOL}\"]\nspeed: {SPEED}x\napi: {{enabled: false}}\n{}\
             strategies:\n  - name: grid\n    params: {{spacing: \"0.03%\", levels: 6}}\n\
             risk: {{max_drawdown_pct: 90, daily_loss: 90%, stale_after: 60s}}\nlog: {{format: json}}\n",
            if mode == "live" { accounts } else { feed },
        );
        std::fs::write(dir.path().join("ctos.yaml"), settings).unwrap();
        Trader { dir, lives: 0 }
    }

    fn command(&self, twin: &Twin, args: &[&str]) -> Command {
        self.command_in(twin, "home", args)
    }

    fn command_in(&self, twin: &Twin, home: &str, args: &[&str]) -> Command {
        let mut command = ctos(args);
        let key = |name: &str| twin.json[name].as_str().unwrap().to_owned();
        command
            .env("CTOS__SECRETS__MAIN__API_KEY", key("api_key"))
            .env("CTOS__SECRETS__MAIN__API_SECRET", key("api_secret"))
            // Locks of accounts stay out of the user's own directory.
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .current_dir(self.dir.path())
            .arg("--home")
            .arg(self.dir.path().join(home));
        command
    }

    fn log(&self, life: u32) -> PathBuf {
        self.dir.path().join(format!("log-{life}"))
    }

    fn start(&mut self, twin: &Twin, more: &[&str]) -> Run {
        self.lives += 1;
        let log = std::fs::File::create(self.log(self.lives)).unwrap();
        let mut command = self.command(twin, &["run", "--plain", "--json", "--yes"]);
        Run(command.args(more).stdout(Stdio::piped()).stderr(log).spawn().unwrap())
    }

    fn logs(&self) -> String {
        (1..=self.lives).map(|life| std::fs::read_to_string(self.log(life)).unwrap_or_default()).collect()
    }

    /// Ends the run in order and gives its summary.
    #[track_caller]
    fn end(&self, mut run: Run) -> Value {
        Command::new("kill").arg(run.0.id().to_string()).status().unwrap();
        let mut out = String::new();
        run.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let status = run.0.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.logs());
        serde_json::from_str(&out).unwrap()
    }

    /// Until the venue says so, or a minute has passed.
    #[track_caller]
    fn wait_for(&self, twin: &Twin, what: &str, said: impl Fn(&Truth) -> bool) {
        let begun = Instant::now();
        loop {
            let truth = twin.truth();
            if said(&truth) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came: {truth:?}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Both sides hold the same, and nothing is open.
    #[track_caller]
    fn agrees(&self, twin: &Twin, summary: &Value) {
        let truth = twin.truth();
        assert!(truth.open.is_empty(), "{truth:?}\n{}", self.logs());
        let ours = self.positions(twin);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let venue_name = |symbol: &str| symbol.replace("binance:", "").replace("-PERP", "").replace('-', "");
        let held: BTreeMap<String, String> = ours["positions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (venue_name(&text(&p["symbol"])), plain(&text(&p["qty"]))))
            .filter(|(_, qty)| qty != "0")
            .collect();
        assert_eq!(held, truth.positions, "{summary}\n{ours}\n{}", self.logs());
        let owned: BTreeMap<String, String> = ours["balances"]["main"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(currency, total)| (currency.clone(), plain(&text(total))))
            .filter(|(c, _)| truth.balances.contains_key(c))
            .collect();
        assert_eq!(owned, truth.balances, "{summary}\n{ours}\n{}", self.logs());
    }

    fn positions(&self, twin: &Twin) -> Value {
        let out = self.command(twin, &["positions", "--json"]).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    fn replays(&self, twin: &Twin) {
        let out = self.command(twin, &["replay", "latest", "--json"]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success() && said.contains("\"identical\":true") || said.contains("\"identical\": true"),
            "{said}"
        );
    }
}

/// Lets it trade until so many more fills have come.
#[track_caller]
fn trade(trader: &Trader, twin: &Twin, fills: u64) {
    let before = twin.truth().trades;
    trader.wait_for(twin, "trading", |t| t.trades >= before + fills);
}

/// As [`trade`], but for at most some minutes of the venue's time: a grid that the market has left trades no more.
fn linger(twin: &Twin, fills: u64) {
    let (begun, before) = (Instant::now(), twin.truth().trades);
    while twin.truth().trades < before + fills && begun.elapsed() < Duration::from_secs(12) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_killed_live_run_goes_on_and_both_sides_agree_at_the_end() {
    let state = tempfile::tempdir().unwrap();
    let twin = Twin::start(state.path());
    let mut trader = Trader::new(&twin, "live");
    let mut run = trader.start(&twin, &[]);
    trade(&trader, &twin, 2);
    run.kill();
    assert!(!twin.truth().open.is_empty(), "the grid's orders outlive a kill");
    let before = twin.truth();
    run = trader.start(&twin, &[]);
    trade(&trader, &twin, 2);
    let summary = trader.end(run);
    trader.agrees(&twin, &summary);
    trader.replays(&twin);
    let truth = twin.truth();
    assert!(truth.orders >= before.orders, "{truth:?}");
    // Every order of the venue's is one that the journal has: none was sent twice.
    let sent = summary["orders"]["sent"].as_u64().unwrap();
    assert!(sent > 0 && sent >= truth.orders, "{summary} {truth:?}");
}

/// Everything that goes wrong, one after the other, until an hour of the venue's time has passed.
#[test]
#[ignore = "three minutes: part of `make soak`"]
fn an_hour_through_disconnects_restarts_of_the_venue_bans_and_kills() {
    let state = tempfile::tempdir().unwrap();
    let mut twin = Twin::start(state.path());
    let mut trader = Trader::new(&twin, "live");
    let mut run = trader.start(&twin, &[]);
    let begun = twin.time();
    for round in 0.. {
        match round % 5 {
            0 => twin.deed(r#"{"do":"close","code":null}"#),
            1 => {
                twin.deed(r#"{"do":"ban","secs":60}"#);
                std::thread::sleep(Duration::from_secs(u64::from(60 / SPEED) + 1));
            }
            2 => {
                run.kill();
                twin.kill_and_restart(Duration::from_millis(300));
                run = trader.start(&twin, &[]);
            }
            3 => twin.kill_and_restart(Duration::from_millis(300)),
            _ => {
                run.kill();
                run = trader.start(&twin, &[]);
            }
        }
        linger(&twin, 2);
        if round >= 4 && twin.time() - begun >= HOUR_MS {
            break;
        }
    }
    let truth = twin.truth();
    assert!(truth.trades >= 20, "it traded too little to prove anything: {truth:?}\n{}", trader.logs());
    let summary = trader.end(run);
    trader.agrees(&twin, &summary);
    trader.replays(&twin);
}

#[test]
fn simulated_money_on_the_live_market_of_a_twin_goes_on_after_a_kill() {
    let state = tempfile::tempdir().unwrap();
    let twin = Twin::start(state.path());
    let mut trader = Trader::new(&twin, "paper");
    let mut run = trader.start(&twin, &[]);
    std::thread::sleep(Duration::from_secs(3));
    run.kill();
    run = trader.start(&twin, &[]);
    std::thread::sleep(Duration::from_secs(3));
    let summary = trader.end(run);
    assert!(summary["events_in"].as_u64().unwrap() > 100, "{summary}\n{}", trader.logs());
    assert!(trader.logs().contains("continuing run"), "{}", trader.logs());
    trader.replays(&twin);
    assert_eq!(twin.truth().orders, 0, "paper sends nothing");
}

#[test]
fn live_is_refused_without_a_word_and_twice_on_one_account() {
    let state = tempfile::tempdir().unwrap();
    let twin = Twin::start(state.path());
    let mut trader = Trader::new(&twin, "live");
    let out = trader.command(&twin, &["run", "--plain"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("confirmation") && said.contains("hint:") && said.contains("--yes"), "{said}");
    assert!(!trader.dir.path().join("home/runs").exists(), "nothing half-made is left");
    let run = trader.start(&twin, &[]);
    trader.wait_for(&twin, "an order", |t| !t.open.is_empty());
    // From another home, so that it is the account's own lock that refuses.
    let out = trader.command_in(&twin, "other", &["run", "--plain", "--yes"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("is traded by") && said.contains("hint:"), "{said}");
    trader.end(run);
}
