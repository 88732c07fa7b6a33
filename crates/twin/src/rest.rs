//! HTTP: finds the endpoint, checks the caller in the venue's order, counts, and answers; faults act on the way.
//! Never: what an endpoint does.

use crate::acts::without;
use crate::config::Product;
use crate::error::ApiError;
use crate::faults::{Fault, Place};
use crate::orders::Order;
use crate::params::{Params, instant};
use crate::sign::{bad_signature, rest_payload};
use crate::twin::Twin;
use crate::users::not_authorised;
use crate::wire::{Manner, Reply, Request};
use crate::{spot_account, spot_margin, spot_market, spot_trade, usdm_account, usdm_algo, usdm_market, usdm_trade};
use std::net::IpAddr;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Open,
    /// A key in the header, no signature.
    Key,
    /// Signed.
    Read,
    /// Signed, by a key that may trade.
    Trade,
}

/// One call of the API.
pub(crate) struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub security: Security,
    pub weight: fn(&Params) -> u32,
    /// New orders it counts as.
    pub orders: u32,
    /// Its weight is charged on failure only.
    pub free: bool,
    /// Parameters without which nothing else is looked at.
    pub need: &'static [&'static str],
    pub run: fn(&mut Twin, &Call) -> Result<String, ApiError>,
}

/// What an endpoint works with.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub params: Params,
    /// Account of the key; 0 for open calls.
    pub user: usize,
    pub api_key: String,
}

/// How a caller proves who it is.
pub(crate) enum Proof<'a> {
    /// The signature covers these bytes.
    Signed { payload: Vec<u8>, signature: Option<&'a str> },
    /// A session that was logged on.
    Session,
}

/// The furthest a client's clock may run ahead.
const AHEAD_MS: i64 = 1_000;

pub(crate) fn endpoints(product: Product) -> impl Iterator<Item = &'static Endpoint> {
    let (spot, usdm): (&[&[Endpoint]], &[&[Endpoint]]) = (
        &[spot_market::ENDPOINTS, spot_trade::ENDPOINTS, spot_account::ENDPOINTS, spot_margin::ENDPOINTS],
        &[usdm_market::ENDPOINTS, usdm_trade::ENDPOINTS, usdm_algo::ENDPOINTS, usdm_account::ENDPOINTS],
    );
    let tables = if product == Product::Spot { spot } else { usdm };
    tables.iter().flat_map(|t| t.iter())
}

impl Twin {
    /// Time that passes before a request reaches the exchange, by a fault.
    pub fn before(&mut self, method: &str, path: &str) -> i64 {
        // Looked at without using it up: the rule acts when the request is executed.
        let name = format!("{method} {path}");
        let delay = |f: &Fault| if let Fault::Delay { before_ms, .. } = f { i64::from(*before_ms) } else { 0 };
        let mut copy = self.faults.clone();
        copy.pick(Place::Request, &name).map_or(0, |f| delay(&f))
    }

    /// One HTTP request.
    pub fn rest(&mut self, now: ctos_types::UnixNanos, request: &Request<'_>) -> Reply {
        self.advance(now);
        let name = format!("{} {}", request.method, request.path);
        let fault = self.faults.pick(Place::Request, &name);
        self.prepare(&fault, request);
        let mut reply = match self.refuse_by(&fault, request.from) {
            Some(reply) => reply,
            None => self.answer(request),
        };
        if self.product == Product::Spot && request.micros {
            reply.body = to_micros(&reply.body);
        }
        let used = self.limits.used(request.from, self.now_ms()).to_string();
        reply.headers.push(("x-mbx-used-weight", used.clone()));
        reply.headers.push(("x-mbx-used-weight-1m", used));
        if request.path.starts_with("/sapi/") {
            let user = self.users.key(request.api_key).ok().map(|k| k.user);
            let (by_ip, by_uid) = self.limits.sapi_used(request.from, user, self.now_ms());
            reply.headers.push(("x-sapi-used-ip-weight-1m", by_ip.to_string()));
            reply.headers.push(("x-sapi-used-uid-weight-1m", by_uid.to_string()));
        }
        match fault {
            Some(Fault::ReplyLost) => reply.manner = Manner::Nothing,
            Some(Fault::HalfReply) => reply.manner = Manner::Half,
            Some(Fault::Delay { after_ms, .. }) => reply.delay_ms = after_ms.into(),
            Some(Fault::Omit { name }) => reply.body = without(&reply.body, &name),
            Some(Fault::EmptyList) if reply.status == 200 => reply.body = "[]".into(),
            Some(Fault::Error { text, executed: true }) => {
                (reply.status, reply.body) = text.reply();
                reply.content_type = content_type(&reply.body);
            }
            _ => {}
        }
        self.half = false;
        self.settle();
        reply
    }

    fn prepare(&mut self, fault: &Option<Fault>, request: &Request<'_>) {
        let Some(Fault::FillFirst { .. } | Fault::HalfDone) = fault else { return };
        let params = Params::parse(request.query, request.body).unwrap_or_default();
        self.prepare_with(fault, &params);
    }

    /// What a fault does before the request.
    pub(crate) fn prepare_with(&mut self, fault: &Option<Fault>, params: &Params) {
        match fault {
            Some(Fault::HalfDone) => self.half = true,
            Some(Fault::FillFirst { quantity }) => {
                let any = |names: [&str; 2]| names.iter().find_map(|n| params.raw(n)).map(str::to_string);
                let id = any(["orderId", "cancelOrderId"]);
                let name = any(["origClientOrderId", "cancelOrigClientOrderId"]);
                let of = |o: &Order| {
                    id.as_ref().is_some_and(|i| *i == o.id.to_string()) || Some(&o.client_id) == name.as_ref()
                };
                self.fill_first(of, *quantity);
            }
            _ => {}
        }
    }

    /// The reply of a fault that keeps the request from being executed.
    fn refuse_by(&mut self, fault: &Option<Fault>, from: IpAddr) -> Option<Reply> {
        match fault {
            Some(Fault::Lost) => Some(Reply { manner: Manner::Nothing, ..Reply::json(500, String::new()) }),
            Some(Fault::Error { text, executed: false }) => {
                let (status, body) = text.reply();
                Some(Reply { content_type: content_type(&body), ..Reply::json(status, body) })
            }
            Some(Fault::Limit { retry_after }) => {
                let mut e =
                    ApiError::new(-1003, "Too many requests; please use the websocket for live updates.").status(429);
                e.retry_after = Some((*retry_after).into());
                Some(refusal(&e))
            }
            Some(Fault::Ban { secs }) => {
                self.limits.ban(Some(from), self.now_ms(), i64::from(*secs) * 1_000);
                self.limits.banned(from, self.now_ms()).err().map(|e| refusal(&e))
            }
            _ => None,
        }
    }

    fn answer(&mut self, r: &Request<'_>) -> Reply {
        if let Err(e) = self.limits.banned(r.from, self.now_ms()) {
            return refusal(&e);
        }
        let Some(e) = endpoints(self.product).find(|e| e.method == r.method && e.path == r.path) else {
            if endpoints(self.product).any(|e| e.path == r.path) {
                return refusal(
                    &ApiError::new(-1000, format!("Request method '{}' not supported", r.method)).status(405),
                );
            }
            return Reply {
                content_type: "text/html",
                ..Reply::json(404, "<html><body>404 Not found</body></html>".into())
            };
        };
        let result = Params::parse(r.query, r.body).and_then(|params| {
            let signature = params.raw("signature").map(str::to_string);
            let payload = rest_payload(r.query, r.body);
            let proof = Proof::Signed { payload, signature: signature.as_deref() };
            self.call(e, params, r.api_key, r.from, &proof)
        });
        let mut reply = match &result {
            Ok((_, body)) => Reply::json(200, body.clone()),
            Err(e) => refusal(e),
        };
        if let Some(user) = result.ok().filter(|_| e.orders > 0).map(|(user, _)| user) {
            let (short, long) = self.limits.order_counts(user, self.now_ms());
            let long_name = if self.product == Product::Spot { "x-mbx-order-count-1d" } else { "x-mbx-order-count-1m" };
            reply.headers.push(("x-mbx-order-count-10s", short.to_string()));
            reply.headers.push((long_name, long.to_string()));
        }
        reply
    }

    /// Checks in the venue's order, then does it. Returns the account and the reply's JSON.
    pub(crate) fn call(
        &mut self,
        e: &Endpoint,
        params: Params,
        api_key: Option<&str>,
        ip: IpAddr,
        proof: &Proof<'_>,
    ) -> Result<(usize, String), ApiError> {
        let now = self.now_ms();
        let weight = (e.weight)(&params);
        let mut user = 0;
        let checked = self.check(e, &params, api_key, proof).map(|u| user = u);
        let charged = self.charge(e, &params, user, ip, weight);
        checked?;
        charged?;
        if e.orders > 0 {
            self.limits.order(user, now, e.orders)?;
        }
        if self.strict_params {
            self.check_known(e, &params)?;
        }
        let call = Call { params, user, api_key: api_key.unwrap_or_default().into() };
        let body = self.run(e, &call, ip, weight);
        if self.record.is_some() && e.method != "GET" {
            let text = body.as_ref().map_or_else(ApiError::body, Clone::clone);
            self.note_call(e.method, e.path, ip, &call, &text);
        }
        Ok((user, body?))
    }

    fn charge(&mut self, e: &Endpoint, p: &Params, user: usize, ip: IpAddr, weight: u32) -> Result<(), ApiError> {
        let now = self.now_ms();
        if !e.path.starts_with("/sapi/") {
            return self.limits.charge(ip, now, weight);
        }
        let by_account = ["/sapi/v1/margin/borrow-repay", "/sapi/v1/margin/maxBorrowable", "/sapi/v1/userListenToken"];
        let order = e.path == "/sapi/v1/margin/order" && e.method == "POST" && p.raw("symbol").is_some();
        let uid = (order || by_account.contains(&e.path)).then_some(user);
        self.limits.charge_sapi(ip, uid, now, weight)
    }

    fn run(&mut self, e: &Endpoint, call: &Call, ip: IpAddr, weight: u32) -> Result<String, ApiError> {
        self.orders.forget(self.now_ms());
        let body = (e.run)(self, call)?;
        if e.free {
            self.limits.refund(ip, self.now_ms(), weight);
        }
        Ok(body)
    }

    /// Does again what was allowed once.
    pub(crate) fn execute(&mut self, e: &Endpoint, call: &Call, ip: IpAddr) -> Result<String, ApiError> {
        let (now, weight) = (self.now_ms(), (e.weight)(&call.params));
        // It was within the limits, whatever the counters know of what was asked around it.
        let _ = self.charge(e, &call.params, call.user, ip, weight);
        if e.orders > 0 {
            let _ = self.limits.order(call.user, now, e.orders);
        }
        self.run(e, call, ip, weight)
    }

    fn check(&self, e: &Endpoint, p: &Params, api_key: Option<&str>, proof: &Proof<'_>) -> Result<usize, ApiError> {
        if e.security == Security::Open {
            return e.need.iter().try_for_each(|n| p.need(n).map(drop)).map(|()| 0);
        }
        let key = self.users.key(api_key)?;
        if e.security == Security::Trade && !key.setting.can_trade {
            return Err(not_authorised());
        }
        e.need.iter().try_for_each(|n| p.need(n).map(drop))?;
        if e.security == Security::Key {
            return Ok(key.user);
        }
        p.need("timestamp")?;
        if matches!(proof, Proof::Signed { .. }) {
            p.need("signature")?;
        }
        self.check_time(p)?;
        match proof {
            Proof::Session => {}
            Proof::Signed { payload, signature } => {
                if !key.verifier.verify(payload, signature.unwrap_or_default()) {
                    return Err(bad_signature());
                }
            }
        }
        Ok(key.user)
    }

    pub(crate) fn check_time(&self, p: &Params) -> Result<(), ApiError> {
        let sent = instant(p.int("timestamp")?.unwrap_or_default()).0 / 1_000_000;
        let window = match p.decimal("recvWindow")? {
            None => 5_000,
            Some(w) => w.round(0, ctos_types::Rounding::Up).to_mantissa(0).unwrap_or(i64::MAX),
        };
        if window > 60_000 {
            return Err(ApiError::new(-1131, "recvWindow must be less than 60000"));
        }
        let server = self.server_ms();
        if sent >= server + AHEAD_MS {
            return Err(ApiError::new(-1021, "Timestamp for this request was 1000ms ahead of the server's time."));
        }
        if server - sent > window {
            return Err(ApiError::new(-1021, "Timestamp for this request is outside of the recvWindow."));
        }
        Ok(())
    }

    /// Parameters nobody knows, where that is asked to matter.
    fn check_known(&self, e: &Endpoint, p: &Params) -> Result<(), ApiError> {
        let signed = ["timestamp", "recvWindow", "signature", "apiKey"];
        let optional = crate::known::optional(e.path);
        let known = |name: &str| signed.contains(&name) || e.need.contains(&name) || optional.contains(&name);
        let count = p.iter().count();
        if p.iter().all(|(n, _)| known(n)) {
            return Ok(());
        }
        let read = p.iter().filter(|(n, _)| known(n)).count();
        Err(ApiError::new(
            -1104,
            format!("Not all sent parameters were read; read '{read}' parameter(s) but was sent '{count}'."),
        ))
    }
}

fn content_type(body: &str) -> &'static str {
    if body.starts_with('<') { "text/html" } else { "application/json;charset=UTF-8" }
}

pub(crate) fn refusal(e: &ApiError) -> Reply {
    let mut reply = Reply::json(e.status, e.body());
    if let Some(secs) = e.retry_after {
        reply.headers.push(("retry-after", secs.to_string()));
    }
    reply
}

/// Times in microseconds: on spot every bare integer of thirteen digits is a time.
pub(crate) fn to_micros(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 64);
    let (mut in_text, mut digits, mut escaped) = (false, 0, false);
    for c in json.chars() {
        if !in_text && c.is_ascii_digit() {
            digits += 1;
        } else {
            if digits == 13 && !in_text && matches!(c, ',' | '}' | ']') {
                out.push_str("000");
            }
            digits = 0;
            // A decimal is no time.
            if c == '.' && !in_text {
                digits = 100;
            }
        }
        if c == '"' && !escaped {
            in_text = !in_text;
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micros_touch_times_only() {
        let json = r#"{"time":1700000000000,"id":12345,"s":"1700000000000","l":[1700000000000,1]}"#;
        let want = r#"{"time":1700000000000000,"id":12345,"s":"1700000000000","l":[1700000000000000,1]}"#;
        assert_eq!(to_micros(json), want);
    }

    #[test]
    fn no_call_is_listed_twice() {
        for product in [Product::Spot, Product::UsdM] {
            let all: Vec<_> = endpoints(product).map(|e| (e.method, e.path)).collect();
            for (n, one) in all.iter().enumerate() {
                assert!(!all[..n].contains(one), "{one:?}");
            }
        }
    }
}
