//! Frames of the WebSocket API: sorted and raw where REST is in order and percent-encoded.

use super::{Cost, NoKey, Params, Purpose, Security, Stamp, Value, json_text, write_int};
use crate::sign::Credentials;
use std::fmt::Write;

/// A request over the WebSocket API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsCall {
    pub method: &'static str,
    pub security: Security,
    pub purpose: Purpose,
    pub cost: Cost,
    pub params: Params,
}

/// How a WebSocket API request proves who sends it.
#[derive(Clone, Copy, Debug)]
pub enum WsAuth<'a> {
    /// Key and signature in the request itself.
    Each(&'a Credentials),
    /// The socket is logged on: a timestamp is enough.
    LoggedOn,
}

impl WsCall {
    /// The text frame to send. `id` comes back with the reply.
    ///
    /// # Errors
    /// [`NoKey`] where the call needs a key and there is none.
    pub fn build(&self, id: u64, auth: Option<WsAuth<'_>>, stamp: Stamp) -> Result<String, NoKey> {
        message(self.method, self.security, &self.params, id, auth, stamp)
    }
}

/// As [`WsCall::build`], of a call's parts.
pub(crate) fn message(
    method: &str,
    security: Security,
    params: &Params,
    id: u64,
    auth: Option<WsAuth<'_>>,
    stamp: Stamp,
) -> Result<String, NoKey> {
    let mut params = params.0.clone();
    match (security, auth) {
        (Security::Public, _) => {}
        (_, None) => return Err(NoKey),
        (security, Some(auth)) => {
            if let WsAuth::Each(keys) = auth {
                params.push(("apiKey", Value::Text(keys.api_key().to_string().into())));
            }
            if security == Security::Signed {
                if let Some(window) = stamp.recv_window_ms {
                    params.push(("recvWindow", Value::Int(i64::from(window))));
                }
                params.push(("timestamp", Value::Int(stamp.timestamp_ms)));
                if let WsAuth::Each(keys) = auth {
                    params.sort_by_key(|(name, _)| *name);
                    let signature = keys.sign_parts(ws_payload(&params).as_bytes(), b"");
                    params.push(("signature", Value::Text(signature.into())));
                }
            }
        }
    }
    Ok(frame(id, method, &params))
}

/// What is signed on the WebSocket API: `name=value` sorted by name, raw UTF-8.
fn ws_payload(sorted: &[(&'static str, Value)]) -> String {
    let mut out = String::with_capacity(384);
    for (at, (name, value)) in sorted.iter().enumerate() {
        if at > 0 {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        match value {
            Value::Int(n) => write_int(*n, &mut out),
            Value::Text(text) => out.push_str(text),
        }
    }
    out
}

fn frame(id: u64, method: &str, params: &[(&'static str, Value)]) -> String {
    let mut out = String::with_capacity(512);
    out.push_str("{\"id\":");
    write!(out, "{id}").expect("writing to a String");
    out.push_str(",\"method\":\"");
    out.push_str(method);
    out.push('"');
    for (at, (name, value)) in params.iter().enumerate() {
        out.push_str(if at == 0 { ",\"params\":{\"" } else { ",\"" });
        out.push_str(name);
        out.push_str("\":");
        match value {
            Value::Int(n) => write_int(*n, &mut out),
            Value::Text(text) => json_text(text, &mut out),
        }
    }
    out.push_str(if params.is_empty() { "}" } else { "}}" });
    out
}
