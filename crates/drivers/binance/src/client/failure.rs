//! Why a one-shot request did not end well, for people: one line and a hint.
//! Never: a secret, or "failed" where nobody knows.

use super::CallError;
use crate::errors::{ErrorReply, Verdict};
use ctos_types::{ClientOrderId, Nanos, VenueError};
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Ours, or the asker's: nothing was sent.
    Invalid { why: String, hint: String },
    /// The venue said no.
    Refused(Box<ErrorReply>),
    /// No byte left this process.
    NotSent { why: String, hint: String, retry_after: Option<Nanos> },
    /// A question got no answer, after all tries.
    NoAnswer { why: String },
    /// An order was sent, its answer was lost, and the venue denied knowing it until it could not arrive any more.
    NeverArrived { order: ClientOrderId, why: String },
    /// Nobody knows whether the order is there: the venue did not answer the questions for it either.
    Unknown { order: ClientOrderId, why: String },
    /// Asked again and again, these open orders did not go away.
    StillOpen { left: usize, why: String },
    /// The venue answered something that ctos does not understand.
    Misread { what: &'static str, why: String },
}

impl Failure {
    pub fn invalid(why: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::Invalid { why: why.into(), hint: hint.into() }
    }

    pub(super) fn misread(what: &'static str, why: impl fmt::Display) -> Failure {
        Failure::Misread { what, why: why.to_string() }
    }

    /// What failed with the venue's own words.
    pub(super) fn refused_line(reply: &ErrorReply) -> String {
        let msg = if reply.msg.is_empty() { String::new() } else { format!(": {}", reply.msg) };
        format!("{} (binance {}{msg})", reply.line, reply.raw_code())
    }

    /// What a person can try, without the `hint:` in front.
    pub fn hint(&self) -> String {
        match self {
            Failure::Invalid { hint, .. } | Failure::NotSent { hint, .. } => hint.clone(),
            Failure::Refused(reply) => match (reply.verdict, reply.retry_after) {
                (Verdict::RateLimited, Some(wait)) => {
                    format!(
                        "try again in {} s; every try before makes it longer",
                        wait.0.max(0).unsigned_abs().div_ceil(1_000_000_000)
                    )
                }
                (Verdict::RateLimited, None) => "wait a few minutes; every try before makes it longer".into(),
                _ => reply.hint.into(),
            },
            Failure::NoAnswer { .. } => "check the network and the venue's status page, then try again".into(),
            Failure::NeverArrived { .. } => "nothing is open because of it: it can be sent again".into(),
            Failure::Unknown { order, .. } => {
                format!("do not send it again; ask first: `ctos call get_order_status order_id={order} symbol=…`")
            }
            Failure::StillOpen { .. } => {
                "cancel them on the venue's own page, and check the key's permission to trade".into()
            }
            Failure::Misread { .. } => "the venue may have changed its replies: look for a newer ctos".into(),
        }
    }

    /// The venue's refusal, where there is one.
    pub fn refusal(&self) -> Option<&ErrorReply> {
        match self {
            Failure::Refused(reply) => Some(reply),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Invalid { why, .. } => f.write_str(why),
            Failure::Refused(reply) => f.write_str(&Failure::refused_line(reply)),
            Failure::NotSent { why, .. } => write!(f, "nothing was sent: {why}"),
            Failure::NoAnswer { why } => write!(f, "the venue gave no answer: {why}"),
            Failure::NeverArrived { order, why } => write!(f, "the order {order} never arrived at the venue: {why}"),
            Failure::Unknown { order, why } => write!(f, "nobody knows whether the order {order} is there: {why}"),
            Failure::StillOpen { left, why } => write!(f, "{left} orders are still open: {why}"),
            Failure::Misread { what, why } => write!(f, "cannot read the venue's answer ({what}): {why}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        match error {
            CallError::NotSent { why, hint, retry_after } => Failure::NotSent { why, hint, retry_after },
            CallError::Unknown { why } => Failure::NoAnswer { why },
        }
    }
}

/// What the words refuse before anything is sent.
impl From<VenueError> for Failure {
    fn from(error: VenueError) -> Failure {
        match error {
            VenueError::Invalid { field: field @ "auto_borrow", why } => {
                Failure::invalid(format!("{field}: {why}"), "leave it out, or name an account with profile: margin")
            }
            VenueError::Invalid { field, why } => {
                Failure::invalid(format!("{field}: {why}"), "see docs/venues/binance.md for what this market can do")
            }
            other => Failure::invalid(other.to_string(), "see docs/venues/binance.md"),
        }
    }
}
