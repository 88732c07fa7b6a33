//! Orders over the WebSocket API: which calls go there, and its replies as the HTTP answers of the same meaning, so that
//! nobody behind reads a second form.
//! Never: takes a frame that is not JSON whole for a reply.

use crate::profile::Profile;
use crate::request::{Call, Method, Purpose};
use ctos_link::gateway::EntryFrame;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The method of a call that places, changes or cancels one order. `None`: REST only, as everything else is, what
/// cancels a whole symbol included: it is meant for when something is wrong.
pub(super) fn method(profile: Profile, call: &Call) -> Option<&'static str> {
    if !matches!(call.purpose, Purpose::Reduce | Purpose::Order) || !call.body.is_empty() {
        return None;
    }
    Some(match (profile, call.method, call.path) {
        (Profile::Spot, Method::Post, "/api/v3/order") => "order.place",
        (Profile::Spot, Method::Delete, "/api/v3/order") => "order.cancel",
        (Profile::Spot, Method::Post, "/api/v3/order/cancelReplace") => "order.cancelReplace",
        (Profile::Spot, Method::Put, "/api/v3/order/amend/keepPriority") => "order.amend.keepPriority",
        (Profile::UsdM, Method::Post, "/fapi/v1/order") => "order.place",
        (Profile::UsdM, Method::Put, "/fapi/v1/order") => "order.modify",
        (Profile::UsdM, Method::Delete, "/fapi/v1/order") => "order.cancel",
        (Profile::UsdM, Method::Post, "/fapi/v1/algoOrder") => "algoOrder.place",
        (Profile::UsdM, Method::Delete, "/fapi/v1/algoOrder") => "algoOrder.cancel",
        _ => return None,
    })
}

/// What a frame says.
pub(super) fn read(text: &str) -> EntryFrame<'_> {
    let Some(fields) = fields(text) else { return EntryFrame::Other };
    let field = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    let Some(status) = field("status").and_then(|s| s.parse::<u16>().ok()) else {
        let closing = |value: &str| value.contains("\"serverShutdown\"");
        return match field("event").or(field("e")).is_some_and(closing) {
            true => EntryFrame::Closing,
            false => EntryFrame::Other,
        };
    };
    let error = field("error").unwrap_or("null");
    let body = match status {
        200..=299 => field("result").unwrap_or("null"),
        _ => error,
    };
    let mut headers = Vec::with_capacity(4);
    counts(field("rateLimits").unwrap_or("[]"), &mut headers);
    if status >= 400
        && let Some(seconds) = retry_after_s(error)
    {
        headers.push(("retry-after".into(), seconds.to_string()));
    }
    // Ids of ours are numbers.
    let id = field("id").and_then(|id| id.parse().ok());
    EntryFrame::Reply { id, status, headers, body: Cow::Borrowed(body.as_bytes()) }
}

/// The fields of an object with their values as they are written; `None`: it is no object.
fn fields(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut fields = Vec::with_capacity(6);
    let mut rest = text.trim_start().strip_prefix('{')?.trim_start();
    if let Some(end) = rest.strip_prefix('}') {
        return end.trim().is_empty().then_some(fields);
    }
    loop {
        let mut key = serde_json::Deserializer::from_str(rest).into_iter::<&str>();
        let name = key.next()?.ok()?;
        rest = rest[key.byte_offset()..].trim_start().strip_prefix(':')?.trim_start();
        let mut value = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        value.next()?.ok()?;
        let (written, behind) = rest.split_at(value.byte_offset());
        fields.push((name, written));
        rest = behind.trim_start();
        if let Some(end) = rest.strip_prefix('}') {
            return end.trim().is_empty().then_some(fields);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count<'a> {
    rate_limit_type: &'a str,
    interval: &'a str,
    interval_num: u32,
    count: Option<u64>,
}

/// The venue's counts, as its headers have them.
fn counts(rows: &str, headers: &mut Vec<(String, String)>) {
    for row in serde_json::from_str::<Vec<Count<'_>>>(rows).unwrap_or_default() {
        let what = match row.rate_limit_type {
            "REQUEST_WEIGHT" => "used-weight",
            "ORDERS" => "order-count",
            _ => continue,
        };
        let unit = match row.interval {
            "SECOND" => 's',
            "MINUTE" => 'm',
            "HOUR" => 'h',
            "DAY" => 'd',
            _ => continue,
        };
        if let Some(count) = row.count {
            headers.push((format!("x-mbx-{what}-{}{unit}", row.interval_num), count.to_string()));
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    data: Option<Moments>,
}

/// Milliseconds on the venue's clock.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moments {
    server_time: i64,
    retry_after: i64,
}

fn retry_after_s(error: &str) -> Option<i64> {
    let Moments { server_time, retry_after } = serde_json::from_str::<Refusal>(error).ok()?.data?;
    let left = retry_after.checked_sub(server_time)?.max(0);
    Some(left.checked_add(999)? / 1_000)
}

#[cfg(test)]
mod tests;
