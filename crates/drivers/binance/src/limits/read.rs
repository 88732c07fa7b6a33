//! `rateLimits` as exchangeInfo and replies of the WebSocket API write them.
//! Never: fails over a row that is not understood: it is left out, and the documented limit stays.

use ctos_types::Nanos;
use serde_json::Value;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Request weight per address.
    Weight,
    /// Requests per address, whatever they weigh.
    Raw,
    /// Orders per account.
    Orders,
    /// Something newer than this driver.
    Other,
}

/// One row of `rateLimits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRow {
    pub kind: RateLimit,
    pub period: Nanos,
    pub limit: u32,
}

/// A list of rows; those that cannot be read are left out.
pub fn read_limits(rate_limits: &Value) -> Vec<LimitRow> {
    rate_limits.as_array().into_iter().flatten().filter_map(row).collect()
}

/// As [`read_limits`], with the venue's count where a row has one.
pub fn read_ws_limits(rate_limits: &Value) -> impl Iterator<Item = (LimitRow, Option<u64>)> + '_ {
    let rows = rate_limits.as_array().into_iter().flatten();
    rows.filter_map(|r| Some((row(r)?, r.get("count").and_then(Value::as_u64))))
}

fn row(row: &Value) -> Option<LimitRow> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let number = |name: &str| row.get(name).and_then(Value::as_u64);
    let unit = match text("interval")? {
        "SECOND" => 1,
        "MINUTE" => 60,
        "HOUR" => 3_600,
        "DAY" => 86_400,
        _ => return None,
    };
    let kind = match text("rateLimitType")? {
        "REQUEST_WEIGHT" => RateLimit::Weight,
        "RAW_REQUESTS" => RateLimit::Raw,
        "ORDERS" => RateLimit::Orders,
        _ => RateLimit::Other,
    };
    let many = i64::try_from(number("intervalNum")?).ok().filter(|n| (1..=1_000).contains(n))?;
    let limit = u32::try_from(number("limit")?).ok().filter(|n| *n > 0)?;
    Some(LimitRow { kind, period: Nanos::from_secs(unit * many), limit })
}

/// How far into an exchangeInfo its limits begin at most.
const HEAD: usize = 512;
const KEY: &[u8] = b"\"rateLimits\":";

/// The limits at the head of a reply, if it is an exchangeInfo.
pub(super) fn limits_in_exchange_info(body: &[u8]) -> Option<Vec<LimitRow>> {
    let head = &body[..body.len().min(HEAD)];
    let at = memchr::memmem::find(head, KEY)? + KEY.len();
    let mut list = serde_json::Deserializer::from_slice(&body[at..]).into_iter::<Value>();
    Some(read_limits(&list.next()?.ok()?)).filter(|rows| !rows.is_empty())
}
