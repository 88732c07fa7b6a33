//! `ctos twin binance` in a process of its own, which outlives every kill of ctos and is the judge.
//! Never: a port that two stories share.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Venue seconds a second. A machine that is busy with other tests must keep up.
pub const SPEED: u32 = 20;

/// `ctos`, without the settings of whoever runs the tests.
pub fn ctos(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctos"));
    clean(&mut command);
    command.args(args);
    command
}

pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CTOS_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
}

/// The Python that `make` insists on.
pub fn python() -> std::ffi::OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

/// An API key made up from a name.
#[derive(Clone, Debug)]
pub struct Key {
    pub key: String,
    pub secret: String,
}

impl Key {
    pub fn named(name: &str) -> Key {
        let long = |suffix: &str| format!("{name}{suffix}{}", "0".repeat(64))[..64].to_owned();
        Key { key: long("Key"), secret: long("Secret") }
    }

    pub fn setting(&self) -> Value {
        json!({"api_key": self.key, "material": {"type": "HMAC", "secret": self.secret}})
    }
}

/// An account of the twin with money everywhere and one key.
pub fn funded(name: &str) -> Value {
    json!({
        "name": name,
        "spot": [["BNB", "100"], ["BTC", "2"], ["USDT", "100000"]],
        "margin": [["BTC", "1"], ["USDT", "50000"]],
        "usdm": [["USDT", "100000"]],
        "keys": [Key::named(name).setting()],
    })
}

/// `funded` with other keys.
pub fn with(mut account: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        account[key] = value.clone();
    }
    account
}

pub struct Twin {
    child: Child,
    json: Value,
    flags: Vec<String>,
    pub speed: u32,
    dir: tempfile::TempDir,
}

impl Twin {
    /// With one account `test`, as fast as stories are told.
    pub fn start() -> Twin {
        Twin::with(SPEED, &[funded("test")])
    }

    pub fn with(speed: u32, accounts: &[Value]) -> Twin {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("accounts.json");
        std::fs::write(&file, json!(accounts).to_string()).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let flags = ["--seed", "5", "--history", "10m", "--state"].map(String::from).into_iter();
        let flags = flags.chain([path("state"), "--speed".into(), speed.to_string()]);
        let mut flags: Vec<String> = flags.chain(["--accounts".into(), path("accounts.json")]).collect();
        let (child, json) = Twin::spawn(&flags);
        let url = |market: &str| json[market]["rest"].as_str().or(json[market].as_str()).unwrap().to_owned();
        // A later life listens where this one does.
        for (flag, market) in [("--spot-port", "spot"), ("--usdm-port", "usdm"), ("--admin-port", "admin")] {
            flags.extend([flag.to_owned(), url(market).rsplit(':').next().unwrap().to_owned()]);
        }
        Twin { child, json, flags, speed, dir }
    }

    fn spawn(flags: &[String]) -> (Child, Value) {
        let mut child = ctos(&["twin", "binance", "--json"]).args(flags).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (child, json)
    }

    pub fn kill_and_restart(&mut self, pause: Duration) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::thread::sleep(pause);
        (self.child, self.json) = Twin::spawn(&self.flags);
        assert!(self.dir.path().exists());
    }

    /// The address `rest`, `ws` or `ws_api` of a market.
    pub fn url(&self, market: &str, what: &str) -> &str {
        self.json[market][what].as_str().unwrap()
    }

    /// A request of the account's owner, by another program than ctos.
    #[track_caller]
    pub fn signed(&self, market: &str, method: &str, path: &str, query: &str, name: &str) -> Value {
        let Key { key, secret } = Key::named(name);
        let and = if query.is_empty() { "" } else { "&" };
        let query = format!("{query}{and}recvWindow=60000&timestamp={}", self.time());
        let sign = "import hashlib, hmac, sys; a, b = (x.encode() for x in sys.argv[1:]); \
                    print(hmac.new(a, b, hashlib.sha256).hexdigest())";
        let out = Command::new(python()).args(["-c", sign, &secret, &query]).output().unwrap();
        assert!(out.status.success(), "{out:?}");
        let signature = String::from_utf8(out.stdout).unwrap();
        let request = format!("{method} {path}?{query}&signature={}", signature.trim());
        let (status, said) = self.http_with(self.url(market, "rest"), &request, &format!("X-MBX-APIKEY: {key}"), "");
        assert_eq!(status, 200, "{said}");
        said
    }

    /// What a cross margin account owns net of what it owes, by currency.
    pub fn net_assets(&self, name: &str) -> BTreeMap<String, String> {
        let account = self.signed("spot", "GET", "/sapi/v1/margin/account", "", name);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let all = account["userAssets"].as_array().unwrap().iter();
        all.map(|a| (text(&a["asset"]), plain(&text(&a["netAsset"])))).filter(|(_, net)| net != "0").collect()
    }

    fn http(&self, url: &str, request: &str, body: &str) -> (u16, Value) {
        self.http_with(url, request, "X-Nothing: 1", body)
    }

    fn http_with(&self, url: &str, request: &str, header: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head =
            format!("{request} HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\nContent-Length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let status = reply.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_default();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {reply}")))
    }

    /// Does a deed on `spot` or `usdm`.
    #[track_caller]
    pub fn deed(&self, market: &str, deed: Value) -> Value {
        let (status, said) =
            self.http(self.json["admin"].as_str().unwrap(), &format!("POST /{market}/do"), &deed.to_string());
        assert_eq!(status, 200, "{deed}: {said}");
        said
    }

    /// Requests of this name meet a fault so many times; 0: until the rule is removed. Returns the rule's number.
    #[track_caller]
    pub fn rule(&self, market: &str, named: &str, times: u32, fault: Value) -> Value {
        let rule = json!({"on": "request", "named": named, "times": times, "fault": fault});
        self.deed(market, json!({"do": "rule", "rule": rule}))["number"].clone()
    }

    fn all(&self, market: &str) -> Value {
        self.http(self.json["admin"].as_str().unwrap(), &format!("GET /{market}/truth"), "").1
    }

    /// Milliseconds on the venue's clock.
    pub fn time(&self) -> i64 {
        self.all("usdm")["time"].as_i64().unwrap()
    }

    /// Rules that have not acted as often as they may.
    pub fn rules(&self, market: &str) -> usize {
        self.all(market)["rules"].as_array().unwrap().len()
    }

    /// The venue's own view of an account; `NAME:margin` on `spot` is the cross margin account.
    #[track_caller]
    pub fn truth(&self, market: &str, name: &str) -> Truth {
        let all = self.all(market);
        let account = all["accounts"].as_array().unwrap().iter().find(|a| a["account"] == name);
        let account = account.unwrap_or_else(|| panic!("no account {name}: {all}"));
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let list = |key: &str| account[key].as_array().unwrap().iter();
        Truth {
            positions: list("positions")
                .map(|p| ((text(&p["symbol"]), text(&p["side"])), plain(&text(&p["quantity"]))))
                .filter(|(_, qty)| qty != "0")
                .collect(),
            balances: list("balances")
                .map(|b| (text(&b["asset"]), plain(&text(&b["total"]))))
                .filter(|(_, total)| total != "0")
                .collect(),
            open: list("openOrders")
                .map(|o| Open {
                    symbol: text(&o["symbol"]),
                    id: o["orderId"].as_i64().unwrap(),
                    price: text(&o["price"]).parse().unwrap(),
                })
                .collect(),
            orders: account["orders"].as_u64().unwrap(),
            trades: account["trades"].as_u64().unwrap(),
        }
    }

    /// `None` while this address is banned.
    pub fn price(&self, market: &str, symbol: &str) -> Option<f64> {
        let path = if market == "spot" { "/api/v3/ticker/price" } else { "/fapi/v1/ticker/price" };
        let (_, price) = self.http(self.url(market, "rest"), &format!("GET {path}?symbol={symbol}"), "");
        price["price"].as_str().and_then(|p| p.parse().ok())
    }

    /// Trades with one of the account's orders: the one nearest to the market. False where none is open, or nobody knows
    /// where the market is.
    pub fn fill_one(&self, market: &str, name: &str) -> bool {
        let truth = self.truth(market, name);
        let Some(first) = truth.open.first() else { return false };
        let Some(price) = self.price(market, &first.symbol) else { return false };
        let near = |o: &&Open| ((o.price - price).abs() * 1e8) as i64;
        let order = truth.open.iter().filter(|o| o.symbol == first.symbol).min_by_key(near).unwrap();
        let deed = json!({"do": "fill", "account": name, "order_id": order.id, "quantity": null});
        // It may have gone since: then the market was faster.
        let (status, said) =
            self.http(self.json["admin"].as_str().unwrap(), &format!("POST /{market}/do"), &deed.to_string());
        assert!(status == 200 || status == 400, "{said}");
        status == 200
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The venue's own view of an account.
#[derive(Debug)]
pub struct Truth {
    /// By symbol and side.
    pub positions: BTreeMap<(String, String), String>,
    pub balances: BTreeMap<String, String>,
    pub open: Vec<Open>,
    pub orders: u64,
    pub trades: u64,
}

#[derive(Debug)]
pub struct Open {
    pub symbol: String,
    pub id: i64,
    pub price: f64,
}

/// Without zeros at the end: both sides print their own number of places.
pub fn plain(number: &str) -> String {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => number.to_owned(),
    }
}

/// Until it is so. What never comes fails the test after a minute: no story takes that long.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > Duration::from_secs(60) {
            panic!("{what} never came: {}", otherwise());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
