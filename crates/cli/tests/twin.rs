//! `ctos twin binance` as a user has it: the real binary, real sockets, other people's clients.

use ctos_link::LinkTime;
use ctos_link::dial::{DialError, Dialer, Target};
use ctos_link::http::{HttpClient, HttpConfig, HttpRequest};
use ctos_types::Nanos;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

struct Twin {
    child: Child,
    line: String,
    json: Value,
}

impl Twin {
    fn start(flags: &[&str]) -> Twin {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ctos"))
            .args(["twin", "binance", "--json"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Twin { child, line, json }
    }

    /// Host and port of an address in the line.
    fn at(&self, market: &str) -> String {
        let url = if market == "admin" { &self.json["admin"] } else { &self.json[market]["rest"] };
        url.as_str().unwrap().trim_start_matches("http://").to_string()
    }

    /// Status (0: the connection ended without one) and body.
    fn http(&self, market: &str, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.at(market)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = Vec::new();
        // A connection that is cut off on purpose ends in an error.
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let status = reply.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, reply.split_once("\r\n\r\n").map_or(String::new(), |p| p.1.to_string()))
    }

    fn get(&self, market: &str, path: &str) -> (u16, Value) {
        let (status, body) = self.http(market, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn deed(&self, market: &str, json: &str) -> u16 {
        let head =
            format!("POST /{market}/do HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", json.len());
        self.http("admin", &format!("{head}\r\n\r\n{json}")).0
    }

    fn term(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        // It has ended already in the tests that end it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serves_misbehaves_and_stops() {
    let mut twin = Twin::start(&["--seed", "5", "--history", "10m"]);
    for key in ["api_key", "api_secret"] {
        assert_eq!(twin.json[key].as_str().map(str::len), Some(64), "{}", twin.line);
    }
    assert_eq!(twin.get("spot", "/api/v3/ping").0, 200);
    let (status, json) = twin.get("usdm", "/fapi/v1/premiumIndex?symbol=BTCUSDT");
    assert!(status == 200 && json["markPrice"].is_string(), "{json}");
    assert_eq!(twin.get("spot", "/nothing").0, 404);
    assert_eq!(twin.get("spot", "/api/v3/depth?symbol=NOPE").1["code"], -1121);
    let fault =
        |kind: &str| format!(r#"{{"do":"rule","rule":{{"on":"request","named":"GET /api/v3/time","fault":{kind}}}}}"#);
    assert_eq!(twin.deed("spot", &fault(r#"{"kind":"reply_lost"}"#)), 200);
    assert_eq!(twin.get("spot", "/api/v3/time").0, 0, "closed without a byte");
    assert_eq!(twin.deed("spot", &fault(r#"{"kind":"half_reply"}"#)), 200);
    assert_eq!(twin.get("spot", "/api/v3/time"), (200, Value::Null), "half a body");
    assert_eq!(twin.deed("spot", &fault(r#"{"kind":"error","text":"html","executed":false}"#)), 200);
    assert_eq!(twin.get("spot", "/api/v3/time").0, 502);
    assert_eq!(twin.get("spot", "/api/v3/time").0, 200);
    assert_eq!(twin.deed("spot", r#"{"do":"nothing"}"#), 400);
    assert_eq!(twin.get("spot", "/spot/truth").0, 404, "the venue's ports do not show it");
    let (_, truth) = twin.http("admin", "GET /usdm/truth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(truth.contains("\"account\":\"test\""), "{truth}");
    assert_eq!(twin.term(), Some(0), "stopped in order");
}

#[test]
fn same_seed_same_keys_and_bad_flags_are_told() {
    let keys = |seed: &str| Twin::start(&["--seed", seed, "--history", "1m"]).json["api_key"].clone();
    assert_eq!(keys("8"), keys("8"));
    assert_ne!(keys("8"), keys("9"));
    for (flags, what) in [
        (&["--accounts", "/nowhere.json"][..], "cannot read"),
        (&["--history", "8d"], "--history"),
        (&["--market", "nowhere.jsonl"], "no such file"),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_ctos")).args(["twin", "binance"]).args(flags).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(what) && said.contains("hint:"), "{said}");
    }
}

/// The recorded market, where the recordings are.
#[test]
fn a_recording_is_served() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/raw/binance_usdm_btcusdt_20240808.jsonl.gz");
    if !path.exists() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no recorded data at {}", path.display());
        eprintln!("skipped: no recorded data at {}", path.display());
        return;
    }
    let twin = Twin::start(&["--market", path.to_str().unwrap(), "--speed", "20"]);
    std::thread::sleep(Duration::from_secs(2));
    let (_, info) = twin.get("usdm", "/fapi/v1/exchangeInfo");
    let names: Vec<&str> = info["symbols"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["status"] == "TRADING")
        .map(|s| s["symbol"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["BTCUSDT"]);
    let (_, book) = twin.get("usdm", "/fapi/v1/depth?symbol=BTCUSDT&limit=5");
    let bid: f64 = book["bids"][0][0].as_str().unwrap().parse().unwrap();
    assert!((50_000.0..70_000.0).contains(&bid), "{book}");
}

/// A Python with the packages of `.ci/python.txt`; `None`, with a message, where nobody insists on it.
fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let named = std::env::var_os("PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let has = |python: &PathBuf| {
        let found = Command::new(python)
            .args(["-c", "import ccxt.pro, binance.spot, binance.um_futures, binance_sdk_spot"])
            .output();
        found.is_ok_and(|o| o.status.success())
    };
    let found = [own, named].into_iter().find(has);
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no Python with the packages: run `make packages`");
        eprintln!("skipped: no Python with ccxt and Binance's connectors: run `make packages`");
    }
    found
}

fn client(script: &str, flags: &[&str]) {
    let Some(python) = python() else { return };
    let twin = Twin::start(&[&["--seed", "3", "--history", "30m"], flags].concat());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let out = Command::new(python).arg(script).arg(twin.line.trim()).output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    assert!(out.status.success() && text(&out.stdout).contains("ok"), "{}{}", text(&out.stdout), text(&out.stderr));
}

#[test]
fn a_unified_exchange_library_works_against_it() {
    client("unified.py", &[]);
}

#[test]
fn the_venues_own_connectors_work_against_it() {
    client("sdk.py", &[]);
}

#[test]
fn the_venues_former_connectors_work_against_it() {
    client("connector.py", &[]);
}

/// ctos's own HTTP client and dialer, told of the authority as the settings of an account tell them.
#[tokio::test]
async fn who_trusts_the_authority_talks_and_nobody_else() {
    let twin = Twin::start(&["--tls", "--history", "1m"]);
    let other = Twin::start(&["--tls", "--history", "1m"]);
    let dialer = |twin: &Twin| {
        let roots = std::fs::read(twin.json["ca_file"].as_str().unwrap()).unwrap();
        Dialer::new(&roots, None, Nanos::from_secs(5)).unwrap()
    };
    let rest = twin.json["spot"]["rest"].as_str().unwrap();
    let port: u16 = rest.rsplit(':').next().unwrap().parse().unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let base = format!("https://{host}:{port}");
        let time = Arc::new(LinkTime::start());
        let client = HttpClient::new(&base, HttpConfig::default(), dialer(&twin), time).unwrap();
        let answer = client.send(HttpRequest::get("/api/v3/ping")).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
        let target = Target { tls: true, host: host.into(), port };
        let stream = dialer(&twin).dial(&target).await.unwrap();
        // The stream is TLS already.
        let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{host}:{port}/ws"), stream).await.unwrap();
        socket.send(Message::text(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), r#"{"result":[],"id":1}"#);
        let refused = dialer(&other).dial(&target).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, DialError::Tls { .. }), "{refused}");
    }
}

#[test]
fn tls_needs_only_the_file_it_names() {
    client("tls.py", &["--tls"]);
}

/// What every account has, without the time and the connections.
fn truth(twin: &Twin, market: &str) -> Value {
    let (_, body) =
        twin.http("admin", &format!("GET /{market}/truth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    serde_json::from_str::<Value>(&body).unwrap_or_else(|e| panic!("{e}: {body}"))["accounts"].clone()
}

#[test]
fn a_script_is_in_force_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let script = |text: &str| {
        let path = dir.path().join("script.json");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let path = script(
        r#"[{"on":"request","named":"GET /api/v3/time","fault":{"kind":"error","text":"html","executed":false}},
            {"market":"usdm","do":"symbol","symbol":"BTCUSDT","change":{"status":"SETTLING"}},
            {"do":"skew","ms":3600000}]"#,
    );
    let twin = Twin::start(&["--script", &path, "--history", "1m"]);
    assert_eq!(twin.get("spot", "/api/v3/time").0, 502);
    let time = |market: &str, path: &str| twin.get(market, path).1["serverTime"].as_i64().unwrap();
    assert!((time("spot", "/api/v3/time") - time("usdm", "/fapi/v1/time")).abs() < 60_000);
    let (_, info) = twin.get("usdm", "/fapi/v1/exchangeInfo");
    let btc = info["symbols"].as_array().unwrap().iter().find(|s| s["symbol"] == "BTCUSDT").unwrap();
    assert_eq!(btc["status"], "SETTLING");
    for (text, what) in
        [(r#"[{"do":"fly"}]"#, "fly"), (r#"[{"market":"moon","do":"behave"}]"#, "usdm"), ("{}", "fault rules")]
    {
        let out = Command::new(env!("CARGO_BIN_EXE_ctos"))
            .args(["twin", "binance", "--history", "1m", "--script", &script(text)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains(what) && said.contains("hint:"), "{said}");
    }
}

#[test]
fn a_killed_twin_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let flags = ["--state", state.to_str().unwrap(), "--history", "10m", "--speed", "20"];
    let order = |twin: &Twin, market: &str, n: u32| {
        // Every third one rests far below the market; the others trade at once.
        let price = if n.is_multiple_of(3) { "\"100\"" } else { "null" };
        let side = if n.is_multiple_of(2) { "BUY" } else { "SELL" };
        let deed = format!(
            r#"{{"do":"foreign","account":"test","symbol":"BNBUSDT","side":"{}","quantity":"0.1","price":{price}}}"#,
            if price == "null" { side } else { "BUY" }
        );
        assert_eq!(twin.deed(market, &deed), 200, "{deed}");
    };
    let mut twin = Twin::start(&[&flags[..], &["--seed", "12"]].concat());
    let (key, mut price) = (twin.json["api_key"].clone(), 0.0);
    for round in 0..3 {
        for n in 0..12 {
            order(&twin, "spot", n);
            order(&twin, "usdm", n);
        }
        let before = [truth(&twin, "spot"), truth(&twin, "usdm")];
        let answered = twin.get("spot", "/api/v3/time").1["serverTime"].as_i64().unwrap();
        price =
            twin.get("usdm", "/fapi/v1/premiumIndex?symbol=BTCUSDT").1["markPrice"].as_str().unwrap().parse().unwrap();
        // SIGKILL: nothing is written in parting.
        twin.child.kill().unwrap();
        twin.child.wait().unwrap();
        twin = Twin::start(&flags);
        assert_eq!(twin.json["api_key"], key);
        assert_eq!([truth(&twin, "spot"), truth(&twin, "usdm")], before, "round {round}");
        assert!(twin.get("spot", "/api/v3/time").1["serverTime"].as_i64().unwrap() >= answered, "its clock went on");
    }
    let after: f64 =
        twin.get("usdm", "/fapi/v1/premiumIndex?symbol=BTCUSDT").1["markPrice"].as_str().unwrap().parse().unwrap();
    assert!((after / price - 1.0).abs() < 0.05, "the market went on: {price} {after}");
    for (more, what) in [(&[][..], "another twin uses"), (&["--seed", "13"], "")] {
        let out =
            Command::new(env!("CARGO_BIN_EXE_ctos")).args(["twin", "binance"]).args(flags).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains(what) && said.contains("hint:"), "{said}");
    }
    assert_eq!(twin.term(), Some(0));
    for (more, what) in [(["--seed", "13"], "--seed"), (["--market", "other.jsonl"], "--market")] {
        let out =
            Command::new(env!("CARGO_BIN_EXE_ctos")).args(["twin", "binance"]).args(flags).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains(what) && said.contains("hint:"), "{said}");
    }
}
