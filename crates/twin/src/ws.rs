//! WebSocket connections of streams: paths, subscriptions, pings. Never: what a stream carries, or the WebSocket API.

use crate::config::Product;
use crate::conns::{ApiSession, Conn, Kind};
use crate::json::{Obj, array, text};
use crate::params::decode;
use crate::rest::refusal;
use crate::streams::{Route, Stream};
use crate::twin::Twin;
use crate::wire::{ConnId, Frame, Reply};
use ctos_types::{Nanos, UnixNanos};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Streams one connection may have.
const MOST_STREAMS: usize = 1_024;

/// A wish to open a connection.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    pub path: &'a str,
    pub query: &'a str,
    pub from: IpAddr,
}

impl Twin {
    /// Opens a connection, or says with what HTTP reply it is refused.
    pub fn ws_open(&mut self, now: UnixNanos, id: ConnId, up: &Upgrade<'_>) -> Result<(), Reply> {
        self.advance(now);
        self.limits.banned(up.from, self.now_ms()).map_err(|e| refusal(&e))?;
        let not_found = || Reply { content_type: "text/html", ..Reply::json(404, "Not Found".into()) };
        let (api, weight) = match self.product {
            Product::Spot => ("/ws-api/v3", 2),
            Product::UsdM => ("/ws-fapi/v1", 5),
        };
        let query: Vec<(String, String)> = up
            .query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .filter_map(|(k, v)| Some((k.to_string(), decode(v)?)))
            .collect();
        let value = |name: &str| query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
        let (now_ms, (ping, _)) = (self.now_ms(), self.ping_times());
        let mut conn = Conn {
            kind: Kind::Streams(Vec::new()),
            ip: up.from,
            route: Route::Any,
            combined: false,
            streams: BTreeSet::new(),
            micros: self.product == Product::Spot
                && value("timeUnit").is_some_and(|u| u.eq_ignore_ascii_case("microsecond")),
            opened_ms: now_ms,
            next_ping_ms: now_ms + ping,
            unanswered_ms: None,
            messages: (0, 0),
        };
        if up.path == api {
            self.limits.charge(up.from, now_ms, weight).map_err(|e| refusal(&e))?;
            let hide_limits = value("returnRateLimits") == Some("false");
            conn.kind = Kind::Api(Box::new(ApiSession { hide_limits, ..ApiSession::default() }));
            self.conns.open(id, conn);
            return Ok(());
        }
        let path = decode(up.path).ok_or_else(not_found)?;
        let (route, rest) = self.route(&path);
        conn.route = route;
        let names: Vec<String> = if let Some(tail) = rest.strip_prefix("/ws") {
            let tail = tail.trim_start_matches('/');
            tail.split('/').filter(|n| !n.is_empty()).map(str::to_string).collect()
        } else if rest == "/stream" {
            conn.combined = true;
            value("streams").unwrap_or_default().split('/').filter(|n| !n.is_empty()).map(str::to_string).collect()
        } else {
            return Err(not_found());
        };
        self.conns.open(id, conn);
        let events: Vec<String> =
            value("events").unwrap_or_default().split('/').filter(|e| !e.is_empty()).map(str::to_string).collect();
        for key in query.iter().filter(|(k, _)| k == "listenKey").map(|(_, v)| v.clone()).collect::<Vec<_>>() {
            self.listen(id, &key, events.clone());
        }
        for name in names.into_iter().take(MOST_STREAMS) {
            self.subscribe(id, &name);
        }
        Ok(())
    }

    /// Which part of USD-M a path is of. The unrouted one delivers what the public one does.
    fn route<'a>(&self, path: &'a str) -> (Route, &'a str) {
        if self.product == Product::Spot {
            return (Route::Any, path);
        }
        for (prefix, route) in [("/public", Route::Public), ("/market", Route::Market), ("/private", Route::Private)] {
            if let Some(rest) = path.strip_prefix(prefix) {
                return (route, rest);
            }
        }
        (Route::Public, path)
    }

    fn subscribe(&mut self, id: ConnId, name: &str) {
        if self.product == Product::UsdM && self.listen(id, name, Vec::new()) {
            return;
        }
        let stream = Stream::parse(self.product, name, &self.symbols);
        self.conns.subscribe(id, name, stream);
    }

    /// Adds a listen key to a connection; false when it is none that lives.
    fn listen(&mut self, id: ConnId, key: &str, events: Vec<String>) -> bool {
        let Some(user) = self.users.listener(key, self.now_ms()) else { return false };
        if let Some(Conn { kind: Kind::Streams(listens), .. }) = self.conns.map.get_mut(&id) {
            listens.push((user, events, key.to_string()));
        }
        true
    }

    pub fn ws_close(&mut self, now: UnixNanos, id: ConnId) {
        self.advance(now);
        self.conns.close(id);
        self.swapped.remove(&id);
    }

    /// A pong, asked for or not.
    pub fn ws_pong(&mut self, now: UnixNanos, id: ConnId) {
        self.advance(now);
        if let Some(c) = self.conns.map.get_mut(&id) {
            c.unanswered_ms = None;
        }
    }

    /// A client's ping, which the shell answers: it counts as a message.
    pub fn ws_ping(&mut self, now: UnixNanos, id: ConnId) {
        self.advance(now);
        self.count_message(id);
    }

    /// Whether the client keeps within its message rate; else the connection is ended.
    fn count_message(&mut self, id: ConnId) -> bool {
        let (second, limit) = (self.now_ms() / 1_000, if self.product == Product::Spot { 5 } else { 10 });
        let Some(c) = self.conns.map.get_mut(&id) else { return false };
        let api = matches!(c.kind, Kind::Api(_));
        if c.messages.0 != second {
            c.messages = (second, 0);
        }
        c.messages.1 += 1;
        // The WebSocket API is limited by weight.
        if api || c.messages.1 <= limit {
            return true;
        }
        self.end_or_send(id, Frame::Close(1008, "Too many requests".into()));
        false
    }

    /// A text frame of a client.
    pub fn ws_text(&mut self, now: UnixNanos, id: ConnId, text: &str) {
        self.advance(now);
        if !self.count_message(id) {
            return;
        }
        let api = self.conns.map.get(&id).is_some_and(|c| matches!(c.kind, Kind::Api(_)));
        let reply = if api { self.on_api_text(id, text) } else { Some(self.on_request(id, text)) };
        if let Some(reply) = reply {
            self.conns.send(self.now, id, Frame::Text(reply), Nanos::ZERO);
        }
        self.settle();
    }

    fn on_request(&mut self, id: ConnId, text: &str) -> String {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return fault(3, "Invalid JSON: expected value at line 1 column 1", None);
        };
        let given = request.get("id").cloned();
        if !self.id_fits(given.as_ref()) {
            return fault(2, "Invalid request: request ID must be an unsigned integer", None);
        }
        let given = given.as_ref();
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return fault(2, "Invalid request: missing field `method`", given);
        };
        let params: Vec<Value> = match request.get("params") {
            Some(Value::Array(list)) => list.clone(),
            None => Vec::new(),
            Some(_) => return fault(2, "Invalid request: invalid type: expected a sequence", given),
        };
        match method {
            "SUBSCRIBE" | "UNSUBSCRIBE" => {
                let names: Option<Vec<String>> = params.iter().map(|p| p.as_str().map(str::to_string)).collect();
                let Some(names) = names.filter(|n| !n.is_empty()) else {
                    return fault(2, "Invalid request: params must be a list of stream names", given);
                };
                let had = self.conns.map.get(&id).map_or(0, |c| c.streams.len());
                if method == "SUBSCRIBE" && had + names.len() > MOST_STREAMS {
                    return fault(2, "Invalid request: too many parameters", given);
                }
                for name in names {
                    if method == "SUBSCRIBE" { self.subscribe(id, &name) } else { self.unsubscribe(id, &name) }
                }
                done("null", given)
            }
            "LIST_SUBSCRIPTIONS" => {
                let names = self.conns.map.get(&id).map(|c| array(c.streams.iter().map(|n| crate::json::text(n))));
                done(&names.unwrap_or_else(|| "[]".into()), given)
            }
            "SET_PROPERTY" | "GET_PROPERTY" => self.property(id, method, &params, given),
            other => {
                let known = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`";
                fault(2, &format!("Invalid request: unknown variant {other}, expected one of {known}"), given)
            }
        }
    }

    fn unsubscribe(&mut self, id: ConnId, name: &str) {
        self.conns.unsubscribe(id, name);
        if let Some(Conn { kind: Kind::Streams(listens), .. }) = self.conns.map.get_mut(&id) {
            listens.retain(|(.., key)| key != name);
        }
    }

    fn property(&mut self, id: ConnId, method: &str, params: &[Value], given: Option<&Value>) -> String {
        let Some(conn) = self.conns.map.get_mut(&id) else { return done("null", given) };
        if params.first().and_then(Value::as_str) != Some("combined") {
            return fault(0, "Unknown property", given);
        }
        if method == "GET_PROPERTY" {
            return done(if conn.combined { "true" } else { "false" }, given);
        }
        match params.get(1).and_then(Value::as_bool) {
            Some(on) => {
                conn.combined = on;
                done("null", given)
            }
            None => fault(1, "Invalid value type: expected Boolean", given),
        }
    }

    fn id_fits(&self, id: Option<&Value>) -> bool {
        let spot = self.product == Product::Spot;
        match id {
            None => true,
            Some(Value::Null) => spot,
            Some(Value::Number(n)) => n.is_u64() || (spot && n.is_i64()),
            // USD-M's pages speak of numbers; the venue's own connector sends texts there too.
            Some(Value::String(s)) => s.chars().count() <= 36,
            Some(_) => false,
        }
    }
}

/// Replies are never wrapped in the envelope of combined sockets.
fn done(result: &str, id: Option<&Value>) -> String {
    let id = id.map_or("null".into(), Value::to_string);
    Obj::new().raw("result", result).raw("id", &id).done()
}

fn fault(code: i64, msg: &str, id: Option<&Value>) -> String {
    let o = Obj::new().int("code", code).raw("msg", &text(msg));
    match id {
        Some(id) => o.raw("id", &id.to_string()).done(),
        None => o.done(),
    }
}
