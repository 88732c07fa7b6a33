//! How the calls of one account, or of nobody, leave: host, counters, key.
//! Never: writes a stamp before the moment of sending.

use super::entry;
use super::read::{RateLimit, read_ws_limits};
use crate::errors;
use crate::profile::Profile;
use crate::request::{self, Call, Method, Purpose, Security, Stamp, WsAuth, WsCall};
use crate::sign::Credentials;
use ctos_link::gateway::{Ask, BaseNo, Budget, Draft, Permit};
use ctos_link::http::{self, HttpRequest};
use ctos_link::rate::{Cost, GroupId, Lane, MeterId};
use ctos_types::{Nanos, UnixNanos};
use serde_json::Value;
use std::sync::Arc;

/// The priority of a purpose.
pub fn lane(purpose: Purpose) -> Lane {
    match purpose {
        Purpose::Reduce => Lane::Reduce,
        Purpose::Query => Lane::Query,
        Purpose::Order => Lane::New,
        Purpose::History => Lane::History,
    }
}

/// Made by [`super::BinanceWords`]. Cheap to clone; `Debug` shows no key.
#[derive(Clone, Debug)]
pub struct Route {
    pub(super) base: BaseNo,
    pub(super) group: GroupId,
    pub(super) weight: MeterId,
    pub(super) raw: Option<MeterId>,
    pub(super) sapi: Option<MeterId>,
    pub(super) funding: Option<MeterId>,
    pub(super) orders: Option<MeterId>,
    pub(super) uid: Option<MeterId>,
    pub(super) keys: Option<Arc<Credentials>>,
    pub(super) recv_window_ms: Option<u32>,
    /// Orders may go over the WebSocket API, in the words of this profile.
    pub(super) entry: Option<Profile>,
}

impl Route {
    pub fn base(&self) -> BaseNo {
        self.base
    }

    pub fn keys(&self) -> Option<&Arc<Credentials>> {
        self.keys.as_ref()
    }

    /// The stamp of a request that leaves when the venue's clock shows `at`.
    pub fn stamp(&self, at: UnixNanos) -> Stamp {
        Stamp { timestamp_ms: at.0.div_euclid(1_000_000), recv_window_ms: self.recv_window_ms }
    }

    /// `call` as a request that waits for its turn, in the lane of its purpose.
    pub fn ask(&self, tag: u64, within: Nanos, call: Call) -> Ask {
        let (lane, cost) = (lane(call.purpose), self.cost(call.path, call.cost));
        Ask { tag, lane, cost, within, base: self.base, draft: Box::new(self.draft(call)) }
    }

    /// `call` as it will be written and signed.
    pub fn draft(&self, call: Call) -> SignedCall {
        SignedCall { call, keys: self.keys.clone(), recv_window_ms: self.recv_window_ms, entry: self.entry }
    }

    /// Leave for a call over the WebSocket API, which is counted with the host's requests.
    pub fn permit(&self, tag: u64, within: Nanos, call: &WsCall) -> Permit {
        Permit { tag, lane: lane(call.purpose), cost: self.cost("", call.cost), within }
    }

    /// What a call of this path counts as.
    pub fn cost(&self, path: &str, cost: request::Cost) -> Cost {
        let and = |sum: Cost, meter: Option<MeterId>, amount: u32| meter.map_or(sum, |m| sum.and(m, amount));
        let some = |sum: Cost, meter, amount| if amount == 0 { sum } else { and(sum, meter, amount) };
        let sum = if path.starts_with("/sapi/") && self.sapi.is_some() {
            // A weight of nothing still belongs to the address, which may be banned.
            and(Cost::none(), self.sapi, cost.weight)
        } else {
            and(Cost::none().and(self.weight, cost.weight), self.raw, 1)
        };
        let is_funding = matches!(path, "/fapi/v1/fundingRate" | "/fapi/v1/fundingInfo");
        let sum = some(sum, self.funding, u32::from(is_funding));
        some(some(sum, self.uid, cost.uid_weight), self.orders, cost.orders)
    }

    /// What a reply over the WebSocket API says of the budgets: its status, its `rateLimits` and its `error`, each null
    /// where it has none.
    pub fn ws_budgets(&self, profile: Profile, status: u16, rate_limits: &Value, error: &Value) -> Vec<Budget> {
        let mut out = Vec::new();
        for (row, count) in read_ws_limits(rate_limits) {
            let meter = match row.kind {
                RateLimit::Weight => Some(self.weight),
                RateLimit::Raw => self.raw,
                RateLimit::Orders => self.orders,
                RateLimit::Other => None,
            };
            let Some(meter) = meter else { continue };
            out.push(Budget::Limit { meter, period: row.period, limit: row.limit });
            out.extend(count.map(|total| Budget::Used { meter, period: row.period, total }));
        }
        if status >= 400 {
            let reply = errors::read_ws(profile, status, error);
            match status {
                418 => out.push(Budget::Banned {
                    group: self.group,
                    retry_after: reply.retry_after,
                    until: reply.banned_until_ms.and_then(|ms| ms.checked_mul(1_000_000)).map(UnixNanos),
                }),
                429 => {
                    let orders = self.orders.filter(|_| reply.code == -1015);
                    let meter = orders.unwrap_or(self.weight);
                    out.push(Budget::Limited { meter, retry_after: reply.retry_after });
                }
                _ if reply.verdict == errors::Verdict::Clock => out.push(Budget::Clock),
                _ => {}
            }
        }
        out
    }
}

/// A REST call that is stamped and signed when it leaves.
#[derive(Clone, Debug)]
pub struct SignedCall {
    pub call: Call,
    /// Needed where the call is keyed.
    pub keys: Option<Arc<Credentials>>,
    pub recv_window_ms: Option<u32>,
    /// It may also go over the WebSocket API, in the words of this profile, if it has words there.
    pub entry: Option<Profile>,
}

impl Draft for SignedCall {
    fn write(&self, stamp: UnixNanos) -> Result<HttpRequest, String> {
        let stamp = Stamp { timestamp_ms: stamp.0.div_euclid(1_000_000), recv_window_ms: self.recv_window_ms };
        let request = self.call.build(self.keys.as_deref(), stamp).map_err(|e| e.to_string())?;
        let mut headers = Vec::with_capacity(2);
        if let (true, Some(keys)) = (request.keyed, &self.keys) {
            headers.push((request::KEY_HEADER, keys.api_key().to_string()));
        }
        if !request.body.is_empty() {
            headers.push(("content-type", "application/x-www-form-urlencoded".to_string()));
        }
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        Ok(HttpRequest { method, path: request.target, headers, body: request.body.into() })
    }

    fn needs_clock(&self) -> bool {
        self.call.security == Security::Signed
    }

    fn has_message(&self) -> bool {
        self.entry.is_some_and(|profile| entry::method(profile, &self.call).is_some())
    }

    fn write_message(&self, stamp: UnixNanos, id: u64) -> Option<Result<String, String>> {
        let method = entry::method(self.entry?, &self.call)?;
        let stamp = Stamp { timestamp_ms: stamp.0.div_euclid(1_000_000), recv_window_ms: self.recv_window_ms };
        let auth = self.keys.as_deref().map(WsAuth::Each);
        let call = &self.call;
        let text = request::ws_message(method, call.security, &call.query, id, auth, stamp);
        Some(text.map_err(|e| e.to_string()))
    }
}
