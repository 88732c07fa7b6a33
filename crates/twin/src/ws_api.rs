//! The WebSocket API: the same calls as REST under other names, sessions, and on spot the user data.
//! Never: what a call does.

use crate::acts::without;
use crate::config::Product;
use crate::conns::{ApiSession, Kind};
use crate::error::ApiError;
use crate::faults::{Fault, Place};
use crate::json::{Obj, array};
use crate::params::Params;
use crate::rest::{Proof, endpoints};
use crate::sign::{bad_signature, ws_payload};
use crate::twin::Twin;
use crate::users::not_authorised;
use crate::wire::{ConnId, Frame};
use ctos_types::Nanos;
use serde_json::Value;
use std::net::IpAddr;

/// Method names of spot and the calls they are.
const SPOT: &[(&str, &str, &str)] = &[
    ("ping", "GET", "/api/v3/ping"),
    ("time", "GET", "/api/v3/time"),
    ("exchangeInfo", "GET", "/api/v3/exchangeInfo"),
    ("depth", "GET", "/api/v3/depth"),
    ("trades.recent", "GET", "/api/v3/trades"),
    ("trades.historical", "GET", "/api/v3/historicalTrades"),
    ("trades.aggregate", "GET", "/api/v3/aggTrades"),
    ("klines", "GET", "/api/v3/klines"),
    ("uiKlines", "GET", "/api/v3/uiKlines"),
    ("avgPrice", "GET", "/api/v3/avgPrice"),
    ("ticker.24hr", "GET", "/api/v3/ticker/24hr"),
    ("ticker.price", "GET", "/api/v3/ticker/price"),
    ("ticker.book", "GET", "/api/v3/ticker/bookTicker"),
    ("referencePrice", "GET", "/api/v3/referencePrice"),
    ("executionRules", "GET", "/api/v3/executionRules"),
    ("order.place", "POST", "/api/v3/order"),
    ("sor.order.place", "POST", "/api/v3/sor/order"),
    ("order.test", "POST", "/api/v3/order/test"),
    ("order.status", "GET", "/api/v3/order"),
    ("order.cancel", "DELETE", "/api/v3/order"),
    ("order.cancelReplace", "POST", "/api/v3/order/cancelReplace"),
    ("order.amend.keepPriority", "PUT", "/api/v3/order/amend/keepPriority"),
    ("order.amendments", "GET", "/api/v3/order/amendments"),
    ("openOrders.status", "GET", "/api/v3/openOrders"),
    ("openOrders.cancelAll", "DELETE", "/api/v3/openOrders"),
    ("allOrders", "GET", "/api/v3/allOrders"),
    ("myTrades", "GET", "/api/v3/myTrades"),
    ("myPreventedMatches", "GET", "/api/v3/myPreventedMatches"),
    ("myFilters", "GET", "/api/v3/myFilters"),
    ("account.status", "GET", "/api/v3/account"),
    ("account.commission", "GET", "/api/v3/account/commission"),
    ("account.rateLimits.orders", "GET", "/api/v3/rateLimit/order"),
];

const USDM: &[(&str, &str, &str)] = &[
    ("depth", "GET", "/fapi/v1/depth"),
    ("ticker.price", "GET", "/fapi/v2/ticker/price"),
    ("ticker.book", "GET", "/fapi/v1/ticker/bookTicker"),
    ("order.place", "POST", "/fapi/v1/order"),
    ("order.modify", "PUT", "/fapi/v1/order"),
    ("order.cancel", "DELETE", "/fapi/v1/order"),
    ("order.status", "GET", "/fapi/v1/order"),
    ("algoOrder.place", "POST", "/fapi/v1/algoOrder"),
    ("algoOrder.cancel", "DELETE", "/fapi/v1/algoOrder"),
    ("account.balance", "GET", "/fapi/v2/balance"),
    ("account.status", "GET", "/fapi/v2/account"),
    ("account.position", "GET", "/fapi/v2/positionRisk"),
    ("v2/account.balance", "GET", "/fapi/v3/balance"),
    ("v2/account.status", "GET", "/fapi/v3/account"),
    ("v2/account.position", "GET", "/fapi/v3/positionRisk"),
    ("userDataStream.start", "POST", "/fapi/v1/listenKey"),
    ("userDataStream.ping", "PUT", "/fapi/v1/listenKey"),
    ("userDataStream.stop", "DELETE", "/fapi/v1/listenKey"),
];

/// Names of all methods that are calls.
#[cfg(test)]
pub(crate) fn methods(product: Product) -> Vec<&'static str> {
    let table = if product == Product::Spot { SPOT } else { USDM };
    table.iter().map(|(name, ..)| *name).collect()
}

/// What a method gives.
struct Done {
    /// Of the result.
    json: String,
    /// Whose order count the reply shows.
    orders_of: Option<usize>,
}

impl From<String> for Done {
    fn from(json: String) -> Done {
        Done { json, orders_of: None }
    }
}

type Answer = Result<Done, ApiError>;
/// JSON of what a method about the session gives.
type Told = Result<String, ApiError>;

impl Twin {
    /// Answers a frame; `None` where a fault swallows it, or keeps it for later.
    pub(crate) fn on_api_text(&mut self, conn: ConnId, text: &str) -> Option<String> {
        self.on_message(conn, text, None)
    }

    /// Messages that a fault kept back.
    pub(crate) fn run_held(&mut self) {
        while let Some((conn, text, fault)) = self.conns.take_held(self.now) {
            if let Some(reply) = self.on_message(conn, &text, Some(fault)) {
                self.conns.send(self.now, conn, Frame::Text(reply), Nanos::ZERO);
            }
            self.settle();
        }
    }

    /// `fault`: what was picked for it before.
    fn on_message(&mut self, conn: ConnId, text: &str, fault: Option<Fault>) -> Option<String> {
        let request: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let id = match request.get("id") {
            None | Some(Value::Null) => "null".to_string(),
            Some(id @ (Value::String(_) | Value::Number(_))) => id.to_string(),
            Some(_) => "null".to_string(),
        };
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            let e = ApiError::new(-1135, "Invalid JSON Request");
            return Some(self.frame(conn, "null", Err(e)));
        };
        let params = match params(&request) {
            Ok(params) => params,
            Err(e) => return Some(self.frame(conn, &id, Err(e))),
        };
        let table = if self.product == Product::Spot { SPOT } else { USDM };
        let plain = if self.product == Product::Spot {
            method.strip_prefix("v3/").unwrap_or(method)
        } else {
            method.strip_prefix("v1/").unwrap_or(method)
        };
        let name = table.iter().find(|(m, ..)| *m == plain).map(|(_, verb, path)| format!("{verb} {path}"));
        let fault = fault.or_else(|| name.as_deref().and_then(|n| self.faults.pick(Place::Request, n)));
        if let Some(Fault::Delay { before_ms: before_ms @ 1.., after_ms }) = fault {
            let until = self.now + Nanos::from_millis(i64::from(before_ms));
            self.conns.hold(until, conn, text, Fault::Delay { before_ms: 0, after_ms });
            return None;
        }
        self.prepare_with(&fault, &params);
        let answer = match &fault {
            Some(Fault::Lost) => {
                self.end_or_send(conn, Frame::Cut);
                return None;
            }
            Some(Fault::Unheard) => return None,
            Some(Fault::Error { text, executed: false }) => Err(by_fault(text.reply())),
            Some(Fault::Limit { retry_after }) => {
                let mut e = ApiError::new(-1003, "Too many requests.").status(429);
                e.retry_after = Some((*retry_after).into());
                Err(e)
            }
            Some(Fault::Ban { secs }) => {
                let (ip, now) = (self.conns.map.get(&conn).map(|c| c.ip), self.now_ms());
                self.limits.ban(ip, now, i64::from(*secs) * 1_000);
                self.api_call(conn, plain, params)
            }
            Some(Fault::Omit { name }) => {
                self.api_call(conn, plain, params).map(|done| Done { json: without(&done.json, name), ..done })
            }
            Some(Fault::EmptyList) => self.api_call(conn, plain, params).map(|done| Done { json: "[]".into(), ..done }),
            _ => self.api_call(conn, plain, params),
        };
        self.half = false;
        let reply = match &fault {
            Some(Fault::ReplyLost | Fault::HalfReply) => {
                self.end_or_send(conn, Frame::Cut);
                return None;
            }
            Some(Fault::Unanswered) => return None,
            Some(Fault::Error { text, executed: true }) => self.frame(conn, &id, Err(by_fault(text.reply()))),
            _ => self.frame(conn, &id, answer),
        };
        if let Some(Fault::Delay { after_ms: after_ms @ 1.., .. }) = fault {
            self.conns.send(self.now, conn, Frame::Text(reply), Nanos::from_millis(i64::from(after_ms)));
            return None;
        }
        Some(reply)
    }

    fn session(&mut self, conn: ConnId) -> Option<&mut ApiSession> {
        match &mut self.conns.map.get_mut(&conn)?.kind {
            Kind::Api(session) => Some(session),
            Kind::Streams(_) => None,
        }
    }

    fn frame(&mut self, conn: ConnId, id: &str, answer: Answer) -> String {
        let (ip, now) = (self.conns.map.get(&conn).map(|c| c.ip), self.now_ms());
        let hide = self.session(conn).is_none_or(|s| s.hide_limits);
        let o = Obj::new().raw("id", id);
        let mut rows = Vec::new();
        let o = match answer {
            Ok(done) => {
                rows.extend(done.orders_of.into_iter().flat_map(|user| self.limits.order_rows(Some((user, now)))));
                o.int("status", 200).raw("result", &done.json)
            }
            Err(e) => {
                let mut body = Obj::new().int("code", e.code.into()).str("msg", &e.msg);
                if let Some(secs) = e.retry_after {
                    let data = Obj::new().int("serverTime", now).int("retryAfter", now + secs * 1_000).done();
                    body = body.raw("data", &data);
                } else if let Some(data) = &e.data {
                    body = body.raw("data", data);
                }
                o.int("status", e.status.into()).raw("error", &body.done())
            }
        };
        match ip.filter(|_| !hide) {
            Some(ip) => {
                rows.push(self.limits.weight_row(ip, now));
                o.raw("rateLimits", &array(rows)).done()
            }
            None => o.done(),
        }
    }

    fn api_call(&mut self, conn: ConnId, method: &str, params: Params) -> Answer {
        let Some(ip) = self.conns.map.get(&conn).map(|c| c.ip) else { return Err(not_authorised()) };
        self.limits.banned(ip, self.now_ms())?;
        if let Some(hide) = params.bool("returnRateLimits")?
            && let Some(s) = self.session(conn)
        {
            s.hide_limits = !hide;
        }
        if let Some(answer) = self.session_call(conn, method, &params, ip) {
            return answer.map(Done::from);
        }
        let table = if self.product == Product::Spot { SPOT } else { USDM };
        let entry = table.iter().find(|(m, ..)| *m == method);
        let endpoint =
            entry.and_then(|(_, verb, path)| endpoints(self.product).find(|e| e.method == *verb && e.path == *path));
        let Some(endpoint) = endpoint else {
            return Err(ApiError::new(-1099, format!("Method '{method}' not found.")).status(404));
        };
        let logon = self.session(conn).and_then(|s| s.logon.clone()).map(|(key, _)| key);
        // A request may sign for itself and override the session.
        let own = params.raw("apiKey").map(str::to_string);
        let session = logon.filter(|_| own.is_none());
        let signature = params.raw("signature").map(str::to_string);
        let (key, proof) = match session {
            Some(key) => (Some(key), Proof::Session),
            None => {
                let payload = ws_payload(params.iter());
                (own, Proof::Signed { payload, signature: signature.as_deref() })
            }
        };
        let (user, json) = self.call(endpoint, params.clone(), key.as_deref(), ip, &proof)?;
        Ok(Done { json, orders_of: (endpoint.orders > 0).then_some(user) })
    }

    /// Methods about the session itself; `None` for all others.
    fn session_call(&mut self, conn: ConnId, method: &str, params: &Params, ip: IpAddr) -> Option<Told> {
        let spot = self.product == Product::Spot;
        let known = method.starts_with("session.") || (spot && method.starts_with("userDataStream."));
        if !known {
            return None;
        }
        if let Err(e) = self.limits.charge(ip, self.now_ms(), 2) {
            return Some(Err(e));
        }
        Some(match method {
            "session.logon" => self.logon(conn, params),
            "session.status" => Ok(self.status(conn)),
            "session.logout" => {
                if let Some(s) = self.session(conn) {
                    s.logon = None;
                    s.subscriptions.retain(|(.., by_logon)| !by_logon);
                }
                Ok(self.status(conn))
            }
            "session.subscriptions" if spot => {
                let rows = self.session(conn).map(|s| s.subscriptions.clone()).unwrap_or_default();
                let row = |(id, ..): &(u32, usize, bool)| Obj::new().int("subscriptionId", i64::from(*id)).done();
                Ok(array(rows.iter().map(row)))
            }
            "userDataStream.subscribe" => self.subscribe_logon(conn),
            "userDataStream.subscribe.signature" => {
                self.proven(params).and_then(|(user, _)| self.subscribe_user(conn, user, false))
            }
            "userDataStream.subscribe.listenToken" => {
                let now = self.now_ms();
                let token = params.need("listenToken").ok().and_then(|t| self.tokens.get(t).copied());
                match token.filter(|(_, expires)| *expires > now) {
                    None => Err(ApiError::new(-1209, "Invalid listen token.")),
                    Some((user, expires)) => self.subscribe_user(conn, user, false).map(|json| {
                        format!("{},\"expirationTime\":{}}}", json.strip_suffix('}').unwrap_or(&json), expires * 1_000)
                    }),
                }
            }
            "userDataStream.unsubscribe" => self.unsubscribe_user(conn, params),
            other => Err(ApiError::new(-1099, format!("Method '{other}' not found.")).status(404)),
        })
    }

    /// Whose signature the params carry, and whether the key is Ed25519.
    fn proven(&self, params: &Params) -> Result<(usize, bool), ApiError> {
        let key = self.users.key(Some(params.need("apiKey")?))?;
        params.need("timestamp")?;
        let signature = params.need("signature")?;
        self.check_time(params)?;
        if !key.verifier.verify(&ws_payload(params.iter()), signature) {
            return Err(bad_signature());
        }
        Ok((key.user, key.ed25519))
    }

    fn logon(&mut self, conn: ConnId, params: &Params) -> Told {
        let (_, ed25519) = self.proven(params)?;
        if !ed25519 {
            return Err(ApiError::new(-4056, "HMAC_SHA256 API key is not supported."));
        }
        let (key, now) = (params.need("apiKey")?.to_string(), self.now_ms());
        if let Some(s) = self.session(conn) {
            s.logon = Some((key, now));
        }
        Ok(self.status(conn))
    }

    fn status(&mut self, conn: ConnId) -> String {
        let (server, spot) = (self.server_ms(), self.product == Product::Spot);
        let opened = self.conns.map.get(&conn).map_or(0, |c| c.opened_ms);
        let Some(s) = self.session(conn) else { return "{}".into() };
        let o = Obj::new();
        let o = match &s.logon {
            Some((key, since)) => o.str("apiKey", key).int("authorizedSince", *since),
            None => o.null("apiKey").null("authorizedSince"),
        };
        let o = o.int("connectedSince", opened).bool("returnRateLimits", !s.hide_limits).int("serverTime", server);
        let listening = !s.subscriptions.is_empty();
        o.when(spot, |o| o.bool("userDataStream", listening)).done()
    }

    fn subscribe_logon(&mut self, conn: ConnId) -> Told {
        let logon = self.session(conn).and_then(|s| s.logon.clone());
        let Some((key, _)) = logon else { return Err(not_authorised()) };
        let user = self.users.key(Some(&key))?.user;
        self.subscribe_user(conn, user, true)
    }

    fn subscribe_user(&mut self, conn: ConnId, user: usize, by_logon: bool) -> Told {
        let Some(s) = self.session(conn) else { return Err(not_authorised()) };
        if s.subscriptions.iter().any(|(_, u, _)| *u == user) {
            return Err(ApiError::new(-2035, "User Data Stream subscription already active."));
        }
        if s.next_subscription >= 65_535 {
            return Err(ApiError::new(-2042, "Connection has reached its maximum number of subscriptions."));
        }
        let id = s.next_subscription;
        s.next_subscription += 1;
        s.subscriptions.push((id, user, by_logon));
        Ok(Obj::new().int("subscriptionId", id.into()).done())
    }

    fn unsubscribe_user(&mut self, conn: ConnId, params: &Params) -> Told {
        let asked = params.int("subscriptionId")?;
        let server = self.server_ms();
        let Some(s) = self.session(conn) else { return Err(not_authorised()) };
        let gone: Vec<u32> =
            s.subscriptions.iter().map(|(id, ..)| *id).filter(|id| asked.is_none_or(|a| a == i64::from(*id))).collect();
        if gone.is_empty() {
            return Err(ApiError::new(-2036, "User Data Stream subscription not active."));
        }
        s.subscriptions.retain(|(id, ..)| !gone.contains(id));
        for id in gone {
            let event = Obj::new().str("e", "eventStreamTerminated").int("E", server).done();
            let frame = Obj::new().int("subscriptionId", id.into()).raw("event", &event).done();
            self.conns.send(self.now, conn, Frame::Text(frame), Nanos::ZERO);
        }
        Ok("{}".into())
    }
}

/// The error of a front end, in the form of a reply.
fn by_fault((status, body): (u16, String)) -> ApiError {
    let parsed: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    let code = parsed["code"].as_i64().unwrap_or(-1000) as i32;
    ApiError::new(code, parsed["msg"].as_str().unwrap_or("Unknown error")).status(status)
}

/// `params` as names and texts: numbers as written, lists as JSON.
fn params(request: &Value) -> Result<Params, ApiError> {
    let object = match request.get("params") {
        None | Some(Value::Null) => return Ok(Params::default()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(ApiError::new(-1135, "Invalid JSON Request")),
    };
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    Ok(Params::from_pairs(object.iter().map(|(k, v)| (k.clone(), text(v))).collect()))
}
