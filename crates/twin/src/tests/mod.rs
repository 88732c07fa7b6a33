//! A client without sockets for the twin's tests, and what the twin must do for it.

mod acts;
mod faults;
mod fuzz;
mod margin;
mod memory;
mod money;
mod pace;
mod saved;
mod spot;
mod streams;
mod surface;
mod usdm;
mod ws_api;

use crate::config::{AccountSetting, LimitSettings, Product, TwinConfig};
use crate::conns::Outgoing;
use crate::twin::Twin;
use crate::wire::{ConnId, Frame, Reply, Request};
use crate::ws::Upgrade;
use ctos_types::{Nanos, UnixNanos};
use ring::hmac;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// 2026-11-21T12:00:00Z, on every boundary that matters.
pub(crate) const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);

pub(crate) struct Client {
    pub twin: Twin,
    pub now: UnixNanos,
    pub key: String,
    secret: hmac::Key,
    next: ConnId,
    /// Frames that left, oldest first.
    pub frames: Vec<Outgoing>,
}

pub(crate) fn client(product: Product, seed: u64) -> Client {
    client_with(product, seed, |_| ())
}

pub(crate) fn client_with(product: Product, seed: u64, change: impl FnOnce(&mut TwinConfig)) -> Client {
    let mut config = TwinConfig::new(product, seed, START);
    config.limits = LimitSettings { weight: Some(1_000_000), orders_10s: Some(1_000_000), ..LimitSettings::default() };
    change(&mut config);
    let account = AccountSetting::test(seed);
    let (key, secret) = account.hmac_pair().unwrap();
    let twin = Twin::synthetic(config, seed, Nanos::from_secs(120)).unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    Client { twin, now: START, key: key.into(), secret, next: 1, frames: Vec::new() }
}

impl Client {
    pub fn sign(&self, payload: &str) -> String {
        let tag = hmac::sign(&self.secret, payload.as_bytes());
        tag.as_ref().iter().map(|b| format!("{b:02x}")).collect()
    }

    pub fn ms(&self) -> i64 {
        crate::number::ms(self.now)
    }

    pub fn raw(&mut self, method: &str, path: &str, query: &str, key: Option<&str>) -> Reply {
        let request = Request { method, path, query, body: "", api_key: key, micros: false, from: IP };
        let reply = self.twin.rest(self.now, &request);
        self.twin.drain(&mut self.frames);
        reply
    }

    /// An open call: HTTP status and JSON.
    pub fn get(&mut self, path: &str, query: &str) -> (u16, Value) {
        let reply = self.raw("GET", path, query, None);
        (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::Null))
    }

    /// A signed call.
    pub fn call(&mut self, method: &str, path: &str, query: &str) -> (u16, Value) {
        let reply = self.signed(method, path, query);
        (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::Null))
    }

    pub fn signed(&mut self, method: &str, path: &str, query: &str) -> Reply {
        let sep = if query.is_empty() { "" } else { "&" };
        let payload = format!("{query}{sep}timestamp={}", self.ms());
        let query = format!("{payload}&signature={}", self.sign(&payload));
        let key = self.key.clone();
        self.raw(method, path, &query, Some(&key))
    }

    /// A signed call that must succeed.
    #[track_caller]
    pub fn ok(&mut self, method: &str, path: &str, query: &str) -> Value {
        let (status, json) = self.call(method, path, query);
        assert_eq!(status, 200, "{method} {path} {query}: {json}");
        json
    }

    /// Code of a signed call that must fail.
    #[track_caller]
    pub fn code(&mut self, method: &str, path: &str, query: &str) -> i64 {
        let (status, json) = self.call(method, path, query);
        assert_ne!(status, 200, "{method} {path} {query}: {json}");
        json["code"].as_i64().unwrap_or_else(|| panic!("no code in {json}"))
    }

    pub fn open(&mut self, path: &str) -> ConnId {
        self.try_open(path).unwrap_or_else(|r| panic!("{path}: {}", r.body))
    }

    pub fn try_open(&mut self, path: &str) -> Result<ConnId, Reply> {
        let id = self.next;
        self.next += 1;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.twin.ws_open(self.now, id, &Upgrade { path, query, from: IP })?;
        Ok(id)
    }

    pub fn say(&mut self, conn: ConnId, text: &str) {
        self.twin.ws_text(self.now, conn, text);
        self.twin.drain(&mut self.frames);
    }

    /// Lets venue time pass.
    pub fn pass(&mut self, ms: i64) {
        let until = self.now + Nanos::from_millis(ms);
        while self.now < until {
            self.now = self.twin.deadline().min(until).max(self.now);
            self.twin.advance(self.now);
            self.twin.drain(&mut self.frames);
        }
    }

    pub fn admin(&mut self, json: &str) -> Value {
        let done = self.twin.admin(self.now, json).unwrap_or_else(|e| panic!("{json}: {e}"));
        self.twin.drain(&mut self.frames);
        serde_json::from_str(&done).unwrap()
    }

    pub fn truth(&mut self) -> Value {
        serde_json::from_str(&self.twin.truth(self.now)).unwrap()
    }

    /// Texts that left on a connection so far, as JSON; they are taken.
    pub fn heard(&mut self, conn: ConnId) -> Vec<Value> {
        let (mine, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.frames).into_iter().partition(|o| o.conn == conn);
        self.frames = rest;
        let json = |o: Outgoing| match o.frame {
            Frame::Text(text) => Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))),
            _ => None,
        };
        mine.into_iter().filter_map(json).collect()
    }

    pub fn price(&mut self, symbol: &str) -> f64 {
        let path = if self.twin.product() == Product::Spot { "/api/v3/ticker/price" } else { "/fapi/v2/ticker/price" };
        let (_, json) = self.get(path, &format!("symbol={symbol}"));
        json["price"].as_str().unwrap().parse().unwrap()
    }

    /// A connection that hears the account's events.
    pub fn user_stream(&mut self) -> ConnId {
        if self.twin.product() == Product::Spot {
            let conn = self.open("/ws-api/v3");
            let payload = format!("apiKey={}&timestamp={}", self.key, self.ms());
            let signature = self.sign(&payload);
            let text = format!(
                r#"{{"id":1,"method":"userDataStream.subscribe.signature","params":{{"apiKey":"{}","timestamp":{},"signature":"{signature}"}}}}"#,
                self.key,
                self.ms()
            );
            self.say(conn, &text);
            assert_eq!(self.heard(conn)[0]["result"]["subscriptionId"], 0);
            return conn;
        }
        let key = self.key.clone();
        let reply = self.raw("POST", "/fapi/v1/listenKey", "", Some(&key));
        let json: Value = serde_json::from_str(&reply.body).unwrap();
        self.open(&format!("/private/ws/{}", json["listenKey"].as_str().unwrap()))
    }
}

pub(crate) fn num(v: &Value) -> f64 {
    v.as_str().unwrap_or_else(|| panic!("{v} is no text")).parse().unwrap()
}
