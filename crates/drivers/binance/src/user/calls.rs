//! How a user stream is opened, kept and closed: over the WebSocket API on spot, by listen token on margin, by listen
//! key on USD-M.

use crate::decode::DecodeError;
use crate::fields::{Row, parse};
use crate::request::{Call, Cost, Method, Params, Purpose, Security, WsCall};
use std::fmt;
use zeroize::Zeroizing;

/// USD-M's key of a user stream: whoever has it reads the account's events. Lives 60 minutes after each keep-alive.
#[derive(Clone, PartialEq, Eq)]
pub struct ListenKey(Zeroizing<String>);

/// Margin's token. Never renewed: ask for another one before it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct ListenToken {
    token: Zeroizing<String>,
    /// Milliseconds since the epoch on the venue's clock.
    pub expires_ms: i64,
}

impl fmt::Debug for ListenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenKey(***)")
    }
}

impl fmt::Debug for ListenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenToken").field("token", &"***").field("expires_ms", &self.expires_ms).finish()
    }
}

impl ListenKey {
    /// The reply to [`ListenKey::create`] or [`ListenKey::keep_alive`].
    pub fn read(body: &[u8]) -> Result<ListenKey, DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "listenKey")?;
        // It goes into a path: nothing but what the venue's keys are made of.
        let key =
            Some(row.text("listenKey")?).filter(|k| !k.is_empty() && k.bytes().all(|b| b.is_ascii_alphanumeric()));
        key.map(|k| ListenKey(Zeroizing::new(k.into()))).ok_or_else(|| row.missing("listenKey"))
    }

    /// Asks for a key. Where there is one already it is the same, prolonged.
    pub fn create() -> Call {
        ListenKey::call(Method::Post)
    }

    /// Prolongs it to 60 minutes; every 30 minutes is what the venue advises. −1125: it has expired, create another.
    pub fn keep_alive() -> Call {
        ListenKey::call(Method::Put)
    }

    pub fn close() -> Call {
        ListenKey::call(Method::Delete)
    }

    fn call(method: Method) -> Call {
        Call::new(method, "/fapi/v1/listenKey", Security::Keyed, Cost::weight(1), Params::default())
    }

    /// Where the stream is, after the host of the streams.
    pub fn path(&self) -> String {
        format!("/private/ws/{}", *self.0)
    }
}

impl ListenToken {
    /// Asks for a token of the cross margin account, for 24 hours.
    pub fn create() -> Call {
        let cost = Cost { weight: 0, uid_weight: 1, orders: 0 };
        Call { cost, ..Call::signed(Method::Post, "/sapi/v1/userListenToken", 0, Params::default()) }
    }

    /// The reply to [`ListenToken::create`].
    pub fn read(body: &[u8]) -> Result<ListenToken, DecodeError> {
        let value = parse(body)?;
        let row = Row::new(&value, "listenToken")?;
        let token = Zeroizing::new(row.text("token")?.to_string());
        Ok(ListenToken { token, expires_ms: row.time("expirationTime")?.0 / 1_000_000 })
    }

    /// Subscribes on the WebSocket API; no log-on and no signature.
    pub fn subscribe(&self) -> WsCall {
        let params = Params::new().text("listenToken", self.token.to_string());
        user_call("userDataStream.subscribe.listenToken", Security::Public, params)
    }
}

/// Subscribes to spot's user events: the request itself is signed, with a key of any kind.
pub fn subscribe_spot() -> WsCall {
    user_call("userDataStream.subscribe.signature", Security::Signed, Params::new())
}

fn user_call(method: &'static str, security: Security, params: Params) -> WsCall {
    WsCall { method, security, purpose: Purpose::Query, cost: Cost::weight(2), params }
}
