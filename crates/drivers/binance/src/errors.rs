//! What a refusal of Binance means: each code by market, with a line for people and what they can do.
//! Never: takes a doubtful answer for a refusal, or shares a code's meaning between markets that use it differently.

mod table;
mod text;

pub use text::markdown;

use crate::profile::Profile;
use ctos_types::{ClientOrderId, Nanos, RejectReason, Text, VenueError};
use serde_json::Value;
pub use table::{Market, Row, TABLE};

/// What may be concluded, and so what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request was refused and nothing was done.
    Rejected(RejectReason),
    /// Nothing was done; the same request may be sent again after a pause.
    NotDone,
    /// Nothing was done, and nothing more may be sent for a while.
    RateLimited,
    /// Key, permission, address list: nothing was done, and the same request will never pass.
    Auth,
    /// Our clock is off: nothing was done. Measure the offset, sign anew, send once more.
    Clock,
    /// It is as was asked already: a success.
    Already,
    /// One half of a replacement happened: the reply's `data` says which.
    Partly,
    /// Nobody knows whether it was done: ask by client order id before anything else.
    Unknown,
}

/// An error reply of the venue, read.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReply {
    pub verdict: Verdict,
    /// HTTP status, also where the reply came over a WebSocket.
    pub status: u16,
    /// The venue's code; 0 where the reply had none.
    pub code: i64,
    /// The venue's own text, at most 300 characters.
    pub msg: String,
    /// What failed, for people.
    pub line: &'static str,
    /// What to try.
    pub hint: &'static str,
    /// A person must look before this account trades on.
    pub stop: bool,
    /// How long nothing may be sent, where the venue says.
    pub retry_after: Option<Nanos>,
    /// When a ban ends, milliseconds since the epoch on the venue's clock, where the text tells.
    pub banned_until_ms: Option<i64>,
    /// `data` of a replacement that failed by half; else null.
    pub data: Value,
}

/// Reads a reply that is no success: its HTTP status, its `Retry-After` in seconds, its body. Never fails: what cannot
/// be understood has an unknown outcome.
pub fn read(profile: Profile, status: u16, retry_after_s: Option<u32>, body: &[u8]) -> ErrorReply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut reply = from_value(profile, status, &body);
    if let Some(seconds) = retry_after_s {
        reply.retry_after = Some(Nanos::from_secs(i64::from(seconds)));
    }
    reply
}

/// As [`read`], from the parts of a WebSocket API reply: `status` and `error`. Its waiting time stands in `data` as
/// two moments, milliseconds on the venue's clock.
pub fn read_ws(profile: Profile, status: u16, error: &Value) -> ErrorReply {
    let mut reply = from_value(profile, status, error);
    let moment = |name| error.get("data").and_then(|d| d.get(name)).and_then(Value::as_i64);
    if let (Some(now), Some(until)) = (moment("serverTime"), moment("retryAfter")) {
        reply.retry_after =
            until.checked_sub(now).filter(|ms| (0..=1_000_000_000).contains(ms)).map(Nanos::from_millis);
        reply.banned_until_ms = Some(until);
    }
    reply
}

/// One failed part of a reply that is a success as a whole: a row of a batch, a half of a replacement.
pub fn read_part(profile: Profile, part: &Value) -> Option<ErrorReply> {
    part.get("code").and_then(Value::as_i64).filter(|code| *code < 0)?;
    Some(from_value(profile, 400, part))
}

fn from_value(profile: Profile, status: u16, body: &Value) -> ErrorReply {
    let code = body.get("code").and_then(Value::as_i64);
    let msg = body.get("msg").and_then(Value::as_str).unwrap_or_default();
    let row = match code {
        Some(code) => find(profile, code, msg).unwrap_or(&table::OTHER_CODE),
        None => table::by_status(status),
    };
    let verdict = match over(profile, status, code, msg) {
        Some(stronger) => stronger,
        None => row.verdict,
    };
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).find(|d| d.len() == 13).map(str::to_string);
    ErrorReply {
        verdict,
        status,
        code: code.unwrap_or(0),
        msg: msg.chars().take(300).collect(),
        line: row.line,
        hint: row.hint,
        stop: row.stop,
        retry_after: None,
        banned_until_ms: if code == Some(-1003) { digits(msg).and_then(|d| d.parse().ok()) } else { None },
        data: body.get("data").cloned().unwrap_or_default(),
    }
}

/// What the HTTP status decides before the code does.
fn over(profile: Profile, status: u16, code: Option<i64>, msg: &str) -> Option<Verdict> {
    match status {
        418 | 429 => Some(Verdict::RateLimited),
        // Exactly these of USD-M's are documented as not executed.
        503 if profile == Profile::UsdM => {
            let text = msg.trim();
            let refused = code == Some(-1008)
                || text.starts_with("Service Unavailable")
                || text.starts_with("Internal error; unable to process your request");
            Some(if refused { Verdict::NotDone } else { Verdict::Unknown })
        }
        408 | 500.. => Some(Verdict::Unknown),
        // A success that carries a code, or a redirect, is nothing we know.
        0..400 => Some(Verdict::Unknown),
        _ => None,
    }
}

/// The row of a code: the one whose text is in the message comes before the one for any text.
fn find(profile: Profile, code: i64, msg: &str) -> Option<&'static Row> {
    let mine = |row: &&Row| row.market.covers(profile) && row.codes.contains(&code);
    let rows = || TABLE.iter().filter(mine);
    rows().find(|row| !row.text.is_empty() && msg.contains(row.text)).or_else(|| rows().find(|row| row.text.is_empty()))
}

impl ErrorReply {
    /// The error of an order, amend or cancel request. `None` where it is as was asked already, or done by half.
    pub fn of_order(&self, cl_ord_id: ClientOrderId) -> Option<VenueError> {
        Some(match self.verdict {
            Verdict::Unknown => VenueError::UnknownState(cl_ord_id),
            Verdict::Already | Verdict::Partly => return None,
            _ => self.of_query(),
        })
    }

    /// The error of a request that changes nothing. Where nobody knows whether it was done it can simply be sent again.
    pub fn of_query(&self) -> VenueError {
        match self.verdict {
            Verdict::Rejected(reason) => VenueError::Rejected { reason, code: self.raw_code().to_string() },
            Verdict::NotDone | Verdict::Unknown | Verdict::Already | Verdict::Partly => {
                VenueError::RateLimited { retry_after: self.pause() }
            }
            Verdict::RateLimited => VenueError::RateLimited { retry_after: self.pause() },
            Verdict::Auth | Verdict::Clock => VenueError::Auth(format!("{} (code {})", self.line, self.code)),
        }
    }

    /// The venue's code for a report, the HTTP status where it gave none.
    pub fn raw_code(&self) -> Text<31> {
        match self.code {
            0 => Text::cut(&format!("http {}", self.status)),
            code => Text::cut(&code.to_string()),
        }
    }

    /// How long to wait before anything is sent again.
    pub fn pause(&self) -> Nanos {
        let known = self.retry_after;
        match self.verdict {
            Verdict::RateLimited => known.unwrap_or(Nanos::from_secs(if self.status == 418 { 120 } else { 10 })),
            _ if self.status == 403 => known.unwrap_or(Nanos::from_secs(60)),
            _ => known.unwrap_or(Nanos::from_millis(200)),
        }
    }
}

impl std::fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (binance {}", self.line, self.raw_code())?;
        if !self.msg.is_empty() {
            write!(f, ": {}", self.msg)?;
        }
        write!(f, ")\nhint: {}", self.hint)
    }
}

#[cfg(test)]
mod tests;
