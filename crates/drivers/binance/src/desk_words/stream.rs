//! The user stream as the session sees it: what opens it, what its frames are.
//! Never: what an event says of an order (`news`).

use super::{BinanceDesk, by};
use crate::errors::{self, Verdict};
use crate::limits::Route;
use crate::profile::Profile;
use crate::request::{WsAuth, WsCall};
use crate::user::{ListenKey, ListenToken, subscribe_spot};
use ctos_link::backoff::BackoffConfig;
use ctos_link::desk::{Connect, Trouble};
use ctos_link::gateway::Answer;
use ctos_link::session::{Class, Message, Refusal, Renew, SessionConfig, Words};
use ctos_link::staleness::Expect;
use ctos_types::{Nanos, UnixNanos};
use serde_json::Value;

/// Ids of what is said to open the stream are apart from those of orders on the same socket.
const LOGIN_FROM: u64 = 1 << 40;

pub(super) fn config(profile: Profile) -> SessionConfig {
    let usdm = profile == Profile::UsdM;
    SessionConfig {
        // Our own pings find a dead link sooner than the venue's, which come every three minutes on USD-M.
        ping_after: Some(Nanos::from_secs(20)),
        dead_after: Nanos::from_secs(if usdm { 240 } else { 90 }),
        // A subscription does not move to another link: each one has its own.
        renew: usdm.then(|| Renew { every: Nanos::from_secs(30 * 60), within: Nanos::from_secs(60 * 60) }),
        // While a ban keeps us from looking, the stream itself is worth keeping.
        resync_within: Some(Nanos::from_secs(3_600)),
        backoff: BackoffConfig { cap: Nanos::from_secs(20), ..BackoffConfig::default() },
        ..SessionConfig::default()
    }
}

/// The words of the user stream's socket.
#[derive(Debug)]
pub struct UserStream {
    profile: Profile,
    route: Route,
    /// Margin's, fetched before each connection.
    token: Option<ListenToken>,
    next: u64,
}

impl UserStream {
    pub(super) fn new(profile: Profile, route: Route) -> UserStream {
        UserStream { profile, route, token: None, next: LOGIN_FROM }
    }

    fn opening(&self) -> Option<WsCall> {
        match self.profile {
            Profile::UsdM => None,
            // Signed by itself: works with every kind of key.
            Profile::Spot => Some(subscribe_spot()),
            Profile::Margin => self.token.as_ref().map(ListenToken::subscribe),
        }
    }
}

impl Words for UserStream {
    fn login(&mut self, at: UnixNanos) -> Option<Message> {
        let call = self.opening()?;
        self.next += 1;
        let auth = self.route.keys().map(|keys| WsAuth::Each(keys));
        let text = call.build(self.next, auth, self.route.stamp(at)).ok()?;
        Some(Message { text, id: self.next, acks: 1 })
    }

    fn subscribe(&mut self, _: &[&str], _: UnixNanos) -> Message {
        Message { text: String::new(), id: 0, acks: 0 }
    }

    fn unsubscribe(&mut self, _: &[&str], _: UnixNanos) -> Message {
        Message { text: String::new(), id: 0, acks: 0 }
    }

    fn ping(&mut self, _: UnixNanos) -> Option<String> {
        None
    }

    fn classify<'a>(&mut self, text: &'a str) -> Class<'a> {
        // What is no JSON is the desk's to complain about.
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Class::Other };
        let event = value.get("event").filter(|_| value.get("e").is_none()).unwrap_or(&value);
        match event.get("e").and_then(Value::as_str) {
            Some("listenKeyExpired" | "eventStreamTerminated") => return Class::Expired,
            Some("serverShutdown") => return Class::Closing,
            Some(_) => return Class::Data { stream: "user", seq: None },
            None => {}
        }
        let (status, id) = (value.get("status").and_then(Value::as_u64), value.get("id").and_then(Value::as_u64));
        match (status, id) {
            (Some(200), Some(id)) if id > LOGIN_FROM => Class::Reply { id, stream: None, result: Ok(()) },
            (Some(status), Some(id)) if id > LOGIN_FROM => {
                let status = u16::try_from(status).unwrap_or(400);
                let reply = errors::read_ws(self.profile, status, value.get("error").unwrap_or(&Value::Null));
                let result = match reply.verdict {
                    Verdict::Already => Ok(()),
                    verdict => Err(Refusal {
                        code: reply.raw_code().to_string(),
                        text: format!("{}: {}", reply.line, reply.msg),
                        fatal: verdict == Verdict::Auth,
                    }),
                };
                Class::Reply { id, stream: None, result }
            }
            // The key was revoked: the venue says so by itself.
            (Some(401), None) => Class::Expired,
            _ => Class::Other,
        }
    }

    fn expect(&self, _: &str) -> Option<Expect> {
        None
    }
}

impl BinanceDesk {
    pub(super) fn ask_stream(&mut self) -> Connect {
        match self.config.profile {
            Profile::Spot => Connect::Address(self.config.hosts.ws_api.clone()),
            Profile::Margin => Connect::Ask(by(&self.config.route, ListenToken::create())),
            Profile::UsdM => Connect::Ask(by(&self.config.route, ListenKey::create())),
        }
    }

    pub(super) fn read_stream(&mut self, stream: &mut UserStream, answer: &Answer<'_>) -> Result<String, Trouble> {
        let body = self.asked(answer)?;
        let unread = |e: crate::decode::DecodeError| Trouble::passing(e.to_string());
        if self.config.profile == Profile::Margin {
            stream.token = Some(ListenToken::read(body).map_err(unread)?);
            return Ok(self.config.hosts.ws_api.clone());
        }
        let key = ListenKey::read(body).map_err(unread)?;
        Ok(format!("{}{}", self.config.hosts.streams, key.path()))
    }
}
