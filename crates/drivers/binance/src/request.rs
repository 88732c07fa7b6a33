//! What a request to Binance consists of, and how its bytes are written: REST query and body, WebSocket API frames.
//! Never: sends anything, reads a clock, or encodes differently from what is signed.

mod ws;

pub(crate) use ws::message as ws_message;
pub use ws::{WsAuth, WsCall};

use crate::sign::Credentials;
use std::borrow::Cow;
use std::fmt::Write;

/// HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// As it stands in the request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// What the venue wants to know about the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Public,
    /// The key in its header, nothing else.
    Keyed,
    /// Key, timestamp and signature.
    Signed,
}

/// What a request is for: decides who goes first where the rate budget is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Cancels, and whatever else only takes risk away.
    Reduce,
    Query,
    Order,
    History,
}

/// What a request takes from the venue's budgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Request weight, counted per address and minute.
    pub weight: u32,
    /// Weight counted per account (`/sapi` only).
    pub uid_weight: u32,
    /// Orders, counted per account in every order window.
    pub orders: u32,
}

impl Cost {
    /// Weight per address only.
    pub const fn weight(weight: u32) -> Cost {
        Cost { weight, uid_weight: 0, orders: 0 }
    }
}

/// The value of one parameter. Numbers with decimals are text: on this venue nothing else is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Int(i64),
    Text(Cow<'static, str>),
}

/// Parameters in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(&'static str, Value)>);

impl Params {
    /// Room for the longest order, so that filling it allocates once.
    pub fn new() -> Params {
        Params(Vec::with_capacity(14))
    }

    #[must_use]
    pub fn int(mut self, name: &'static str, value: i64) -> Params {
        self.0.push((name, Value::Int(value)));
        self
    }

    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Params {
        self.0.push((name, Value::Text(value.into())));
        self
    }

    /// Left out where `value` is `None`.
    #[must_use]
    pub fn opt_int(self, name: &'static str, value: Option<i64>) -> Params {
        match value {
            Some(value) => self.int(name, value),
            None => self,
        }
    }

    /// Left out where `value` is `None`.
    #[must_use]
    pub fn opt_text(self, name: &'static str, value: Option<impl Into<Cow<'static, str>>>) -> Params {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// These parameters and then `more`.
    #[must_use]
    pub fn extend(mut self, more: Params) -> Params {
        self.0.extend(more.0);
        self
    }

    /// The text of a parameter, however it is typed.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.iter().find(|(have, _)| *have == name).map(|(_, value)| match value {
            Value::Int(n) => Cow::Owned(n.to_string()),
            Value::Text(text) => Cow::Borrowed(&**text),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Appends `name=value&…`, percent-encoded.
    fn write_query(&self, out: &mut String) {
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push('&');
            }
            out.push_str(name);
            out.push('=');
            match value {
                Value::Int(n) => write_int(*n, out),
                Value::Text(text) => percent_encode(text, out),
            }
        }
    }
}

fn write_int(n: i64, out: &mut String) {
    write!(out, "{n}").expect("writing to a String");
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
pub fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(b as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(b >> 4)] as char);
            out.push(HEX[usize::from(b & 15)] as char);
        }
    }
}

/// When a signed request counts as made, and how long it may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since the epoch on the venue's clock, as well as we know it.
    pub timestamp_ms: i64,
    /// At most 60,000. `None` is the venue's default of 5,000.
    pub recv_window_ms: Option<u32>,
}

/// A REST request before it is signed. All parameters stand in the query unless they are in `body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    pub path: &'static str,
    pub security: Security,
    pub purpose: Purpose,
    pub cost: Cost,
    pub query: Params,
    /// Form parameters; for what may be too long for a query.
    pub body: Params,
}

/// A REST request as it goes out, after the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: Method,
    /// Path and query: `/api/v3/order?symbol=…`.
    pub target: String,
    /// `application/x-www-form-urlencoded`; empty: no body.
    pub body: String,
    /// Whether the header [`KEY_HEADER`] goes with it.
    pub keyed: bool,
}

/// Carries the API key.
pub const KEY_HEADER: &str = "X-MBX-APIKEY";

impl Call {
    pub(crate) fn new(method: Method, path: &'static str, security: Security, cost: Cost, query: Params) -> Call {
        let purpose = Purpose::Query;
        Call { method, path, security, purpose, cost, query, body: Params::default() }
    }

    pub(crate) fn public(path: &'static str, weight: u32, query: Params) -> Call {
        Call::new(Method::Get, path, Security::Public, Cost::weight(weight), query)
    }

    pub(crate) fn signed(method: Method, path: &'static str, weight: u32, query: Params) -> Call {
        Call::new(method, path, Security::Signed, Cost::weight(weight), query)
    }

    pub(crate) fn purpose(self, purpose: Purpose) -> Call {
        Call { purpose, ..self }
    }

    /// The bytes to send. A signed call is stamped and signed; the signature comes last.
    ///
    /// # Errors
    /// [`NoKey`] where the call needs a key and there is none.
    pub fn build(&self, keys: Option<&Credentials>, stamp: Stamp) -> Result<HttpRequest, NoKey> {
        let keyed = self.security != Security::Public;
        let mut target = String::with_capacity(384);
        target.push_str(self.path);
        let start = target.len() + 1;
        if !self.query.is_empty() {
            target.push('?');
            self.query.write_query(&mut target);
        }
        let mut body = String::new();
        self.body.write_query(&mut body);
        if keyed && keys.is_none() {
            return Err(NoKey);
        }
        if let (Security::Signed, Some(keys)) = (self.security, keys) {
            target.push(if self.query.is_empty() { '?' } else { '&' });
            if let Some(window) = stamp.recv_window_ms {
                target.push_str("recvWindow=");
                write_int(i64::from(window), &mut target);
                target.push('&');
            }
            target.push_str("timestamp=");
            write_int(stamp.timestamp_ms, &mut target);
            // Query and body are signed as one text with nothing between them.
            let signature = keys.sign_parts(&target.as_bytes()[start..], body.as_bytes());
            let into = if body.is_empty() { &mut target } else { &mut body };
            into.push_str("&signature=");
            percent_encode(&signature, into);
        }
        Ok(HttpRequest { method: self.method, target, body, keyed })
    }
}

/// The request needs an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this request needs an API key; hint: put key and secret of the account into configs/secrets.yaml")]
pub struct NoKey;

/// A JSON string with its quotes.
pub(crate) fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32).expect("writing to a String"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
