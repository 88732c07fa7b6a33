use super::*;
use crate::model::*;
use ctos_runtime::config::Layers;
use ctos_runtime::instance::Instance;
use ctos_runtime::runs::{self, StartOptions};
use ctos_types::KillState;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// A real run on the synthetic market at the pace of real time, with its API open.
struct Rig {
    instance: Instance,
    server: Server,
    agent: ureq::Agent,
    token: String,
    // Removed last.
    _dir: tempfile::TempDir,
}

fn settings(home: &std::path::Path) -> Settings {
    let mut layers = Layers::new();
    layers.flag("--home", "home", home.to_str().expect("text"));
    layers.flag("--conf", "journal.sync", "off");
    Settings::resolve(&layers).expect("valid settings")
}

fn rig() -> Rig {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = settings(dir.path());
    let (instance, home) = runs::start(settings.clone(), StartOptions::new(|_| {})).expect("a run");
    let server = start(instance.handle.clone(), home.clone(), &settings, &instance.run_id).expect("an API");
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let rig = Rig {
        agent: config.build().into(),
        token: home.api_token().expect("a token").secret().into(),
        instance,
        server,
        _dir: dir,
    };
    rig.until(|| rig.open_orders() > 0);
    rig
}

impl Rig {
    /// Waits for something that the run does on its own thread.
    fn until(&self, mut done: impl FnMut() -> bool) {
        for _ in 0..2_000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("did not come about in 20 s");
    }

    fn open_orders(&self) -> usize {
        self.instance.handle.view.latest().map_or(0, |v| v.orders.len())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.server.address)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.agent.get(self.url(path)).header("Authorization", format!("Bearer {}", self.token)).call();
        read(answer)
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(self.url(path)).header("Authorization", format!("Bearer {}", self.token));
        read(request.send_json(body))
    }

    /// Sends bytes as they are and reads the status line.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address).expect("connected");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.lines().next().unwrap_or_default().into()
    }

    fn end(self) -> ctos_runtime::summary::Summary {
        self.instance.handle.stop("test");
        let summary = self.instance.join().expect("a good end");
        self.server.stop();
        summary
    }
}

fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Value) {
    let mut answer = answer.expect("an answer");
    let body = answer.body_mut().read_to_string().expect("a body");
    (answer.status().as_u16(), serde_json::from_str(&body).expect("JSON"))
}

#[test]
fn every_route_but_health_needs_the_token() {
    let rig = rig();
    let reading =
        ["/status", "/summary", "/orders", "/positions", "/fills", "/strategies", "/halts", "/record", "/nothing"];
    for path in reading {
        for header in ["", "Bearer ", "Bearer 00", "Basic abc", &format!("bearer {}x", rig.token)] {
            let request = rig.agent.get(rig.url(path));
            let request = if header.is_empty() { request } else { request.header("Authorization", header) };
            let (status, body) = read(request.call());
            assert_eq!(status, 401, "{path} with {header:?}");
            assert!(body["error"].is_string() && body["hint"].is_string(), "{body}");
        }
    }
    for path in ["/halt", "/resume", "/stop", "/strategies/grid/stop", "/record/start", "/record/stop"] {
        let (status, _) = read(rig.agent.post(rig.url(path)).send_json(json!({})));
        assert_eq!(status, 401, "{path}");
    }
    let (status, body) = read(rig.agent.get(rig.url("/health")).call());
    assert_eq!((status, body["status"].as_str()), (200, Some("ok")));
    assert!(rig.open_orders() > 0, "nothing of this reached the kernel");
    rig.end();
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let rig = rig();
    let (ours, token) = (rig.server.address, rig.token.clone());
    let ask = |host: &str, more: &str| {
        let head = format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n");
        rig.raw(&format!("{head}{more}Connection: close\r\n\r\n"))
    };
    assert!(ask(&ours.to_string(), "").contains(" 200 "));
    assert!(ask(&ours.to_string(), &format!("Origin: http://{ours}\r\n")).contains(" 200 "));
    assert!(ask("evil.example", "").contains(" 403 "));
    assert!(ask(&format!("evil.example:{}", ours.port()), "").contains(" 403 "));
    for origin in ["http://evil.example", "https://evil.example", "null", &format!("https://{ours}")] {
        assert!(ask(&ours.to_string(), &format!("Origin: {origin}\r\n")).contains(" 403 "), "{origin}");
    }
    rig.end();
}

#[test]
fn halt_cancels_and_latches_until_resumed_then_stop_ends_the_run() {
    let rig = rig();
    let (status, done) = rig.post("/halt", &json!({ "reason": "test" }));
    assert_eq!((status, done["state"].as_str()), (200, Some("HALTED")), "{done}");
    rig.until(|| rig.open_orders() == 0);
    let (_, halts) = rig.get("/halts");
    let halts: Halts = serde_json::from_value(halts).expect("halts");
    let [halt] = &halts.halts[..] else { panic!("{halts:?}") };
    assert_eq!((halt.scope.as_str(), halt.state, halt.reason.as_str()), ("system", KillState::Halted, "test"));
    assert_eq!(halt.open_orders, Some(0));
    let file = std::fs::read_to_string(rig._dir.path().join("latches.json")).expect("the latch file");
    assert!(file.contains("HALTED"), "{file}");

    let (_, weaker) = rig.post("/halt", &json!({ "state": "REDUCING" }));
    assert_eq!(weaker["state"], "HALTED", "a weaker halt does not weaken");
    let (status, done) = rig.post("/resume", &json!({}));
    assert_eq!((status, done["released"].as_bool()), (200, Some(true)), "{done}");
    assert_eq!(rig.post("/resume", &json!({})).1["released"], false);

    assert_eq!(rig.post("/stop", &json!({ "reason": "enough" })).0, 200);
    let summary = rig.instance.join().expect("a good end");
    assert_eq!((summary.ended.as_str(), summary.open_orders), ("enough", 0));
}

#[test]
fn strategies_stop_and_start_by_name() {
    let rig = rig();
    assert_eq!(rig.get("/strategies").1["strategies"][0]["kind"], "grid");
    let (status, line) = rig.post("/strategies/grid/stop", &json!({}));
    assert_eq!((status, line["state"].as_str()), (200, Some("stopped")));
    rig.until(|| rig.open_orders() == 0);
    assert_eq!(rig.post("/strategies/grid/start", &json!({})).1["state"], "running");
    let (status, error) = rig.post("/strategies/gird/stop", &json!({}));
    assert_eq!(status, 404);
    assert!(error["hint"].as_str().expect("a hint").contains("did you mean grid?"), "{error}");
    rig.end();
}

#[test]
fn lists_have_the_shapes_they_promise() {
    let rig = rig();
    let status: Status = serde_json::from_value(rig.get("/status").1).expect("a status");
    assert!(status.running && status.pid == Some(std::process::id()));
    let open: Orders = serde_json::from_value(rig.get("/orders").1).expect("orders");
    assert_eq!(open.orders.len(), 20, "ten levels on each side");
    let two: Orders = serde_json::from_value(rig.get("/orders?limit=2").1).expect("orders");
    assert_eq!(two.orders.len(), 2);
    // The store follows within a moment.
    let all = || serde_json::from_value::<Orders>(rig.get("/orders?all=1").1).map_or(0, |o| o.orders.len());
    rig.until(|| all() >= 20);
    let positions: Positions = serde_json::from_value(rig.get("/positions").1).expect("positions");
    assert!(positions.balances["main"].contains_key("USDT"));
    let _: Fills = serde_json::from_value(rig.get("/fills?limit=5").1).expect("fills");
    assert!(rig.get("/summary").1["command_hash"].is_string());
    rig.end();
}

#[test]
fn mistakes_are_named_with_their_status() {
    let rig = rig();
    for (path, body, want) in [
        ("/halt", json!({ "scope": "sytem" }), 404),
        ("/halt", json!({ "scope": "account:nobody" }), 404),
        ("/halt", json!({ "state": "ACTIVE" }), 400),
        ("/halt", json!({ "state": "OFF" }), 422),
        ("/halt", json!({ "scop": "system" }), 422),
        ("/resume", json!([1]), 422),
        ("/halt", json!({ "reason": "x".repeat(20_000) }), 413),
        ("/status", json!({}), 405),
        ("/nothing", json!({}), 404),
    ] {
        let (status, error) = rig.post(path, &body);
        assert_eq!(status, want, "{path} {error}");
        assert!(error["error"].is_string() && error["hint"].is_string(), "{error}");
    }
    for path in ["/orders?limit=0", "/orders?limit=x", "/orders?all=maybe", "/fills?limt=3", "/fills?limit=99999999"] {
        assert_eq!(rig.get(path).0, 400, "{path}");
    }
    let token = &rig.token;
    let broken = format!(
        "POST /api/v1/halt HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 3\r\nConnection: close\r\n\r\n{{x}}",
        rig.server.address
    );
    assert!(rig.raw(&broken).contains(" 400 "));
    assert!(rig.open_orders() > 0, "no mistake halts anything");
    rig.end();
}

#[test]
fn clients_that_send_half_a_request_do_not_disturb_others() {
    let rig = rig();
    let half = format!("GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nAuth", rig.server.address);
    let body = format!(
        "POST /api/v1/halt HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        rig.server.address, rig.token
    );
    let slow: Vec<TcpStream> = (0..40)
        .map(|n| {
            let mut stream = TcpStream::connect(rig.server.address).expect("connected");
            // A few hold a slot with half a body, the others only a connection.
            stream.write_all(if n < 8 { body.as_bytes() } else { half.as_bytes() }).expect("sent");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(rig.get("/status").0, 200);
    }
    drop(slow);
    rig.end();
}

#[test]
fn the_address_is_published_while_it_listens() {
    let rig = rig();
    let home = Home::read_only(rig._dir.path()).expect("the home");
    let info = home.read_api().expect("readable").expect("published");
    assert_eq!((info.address, info.run_id), (rig.server.address.to_string(), rig.instance.run_id.clone()));
    let dir = rig._dir.path().to_path_buf();
    let Rig { instance, server, _dir, .. } = rig;
    instance.handle.stop("test");
    instance.join().expect("a good end");
    server.stop();
    assert!(!dir.join("api.json").exists());
}

#[test]
fn only_loopback_addresses_are_bound() {
    let refused = Bound::bind("0.0.0.0:0".parse().expect("an address"));
    assert!(matches!(refused, Err(ServerError::NotLoopback(_))));
    let first = Bound::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let second = Bound::bind(first.address).expect_err("taken");
    assert!(second.hint().is_some() && second.to_string().contains("cannot listen"));
}

#[test]
fn a_market_that_is_not_live_cannot_be_recorded() {
    let rig = rig();
    let (status, now) = rig.get("/record");
    assert_eq!((status, &now["on"], &now["markets"]), (200, &json!(false), &json!([])));
    for path in ["/record/start", "/record/stop"] {
        let (status, body) = rig.post(path, &json!({}));
        assert_eq!(status, 409, "{body}");
        assert!(body["error"].as_str().is_some_and(|e| e.contains("no live market")), "{body}");
        assert!(body["hint"].as_str().is_some_and(|h| h.contains("ctos data record")), "{body}");
    }
    let (status, body) = rig.post("/record/start", &json!({"dir": "tapes"}));
    assert_eq!(status, 400, "{body}");
    assert!(body["error"].as_str().is_some_and(|e| e.contains("not absolute")), "{body}");
    assert_eq!(rig.post("/record/start", &json!({"into": "/x"})).0, 422);
    rig.end();
}
