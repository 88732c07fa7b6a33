//! Two lists of what happened to orders: whether they are the same, where they first part, and why.
//! Never: runs anything.

use super::holes::Hole;
use super::rows::{Filled, Row, What};
use ctos_kernel::OrderChange;
use ctos_types::{ClientOrderId, Liquidity, Nanos, UnixNanos};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Why two runs part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The same thing happened at another time: a message took longer or shorter.
    Latency,
    /// A resting order had its turn at another time, for another size, or on one side only.
    Queue,
    /// The same fill cost another fee.
    Fee,
    /// The market data was interrupted while the order was open: what happened meanwhile is not known.
    Gap,
    /// The same fill at another price: another book or slippage.
    Price,
    /// The venue answered otherwise.
    Venue,
    /// A strategy or a risk gate decided otherwise at the same time: it saw something else.
    Decision,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Cause::Latency => "latency",
            Cause::Queue => "queue",
            Cause::Fee => "fee",
            Cause::Gap => "gap",
            Cause::Price => "price",
            Cause::Venue => "venue",
            Cause::Decision => "decision",
        })
    }
}

/// The first difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    pub cause: Cause,
    pub why: String,
    pub at: UnixNanos,
    pub recorded: Option<Row>,
    pub simulated: Option<Row>,
}

/// What of the data may be why two runs part.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// Interruptions.
    pub holes: Vec<Hole>,
    /// The two runs are on different markets.
    pub differs: bool,
    /// Orders that the recorded run wanted cancelled, and since when. Up to where they part, so did the other.
    pub asked: BTreeMap<ClientOrderId, UnixNanos>,
}

/// Where `recorded` and `simulated` part.
pub fn first(recorded: &[Row], simulated: &[Row], data: &Data) -> Option<Parting> {
    let n = recorded.iter().zip(simulated).take_while(|(a, b)| a == b).count();
    let (a, b) = (recorded.get(n), simulated.get(n));
    // What came first is what made the difference; the other side may have the same thing later.
    let ours = match (a, b) {
        (None, None) => return None,
        // At the same time it is the one that the other side has not got as well, only a little further on.
        (Some(a), Some(b)) if a.at == b.at => !simulated[n..].contains(a) || recorded[n..].contains(b),
        (Some(a), Some(b)) => a.at < b.at,
        (a, _) => a.is_some(),
    };
    let focus = *if ours { a } else { b }?;
    let others = if ours { &simulated[n..] } else { &recorded[n..] };
    let partner = others.iter().find(|row| row.is_like(&focus)).copied();
    let (recorded_row, simulated_row) = if ours { (Some(focus), partner) } else { (partner, Some(focus)) };
    let side = if ours { "in the recorded run" } else { "in the simulation" };
    let (mut cause, mut why) = match partner {
        None => {
            let asked = focus.id.and_then(|id| data.asked.get(&id)).is_some_and(|since| *since <= focus.at);
            alone(&focus, others, side, asked)
        }
        Some(_) => pair(&recorded_row?, &simulated_row?),
    };
    let since = recorded[..n].iter().find(|r| r.id == focus.id && matches!(r.what, What::Sent { .. }));
    let open = since.map_or(focus.at, |r| r.at);
    if data.differs && cause == Cause::Latency && matches!(focus.what, What::Sent { .. }) {
        // No message took longer: other data led to the same order at another time.
        cause = Cause::Decision;
        why = format!("{why}: it was decided on other data");
    }
    let hole = data.holes.iter().find(|h| h.meets(focus.instrument, open, focus.at));
    if let Some(hole) = hole.filter(|_| matches!(cause, Cause::Queue | Cause::Price | Cause::Venue)) {
        cause = Cause::Gap;
        why = format!("the market data was interrupted at {}, while the order was open; {why}", hole.from);
    }
    Some(Parting { cause, why, at: focus.at, recorded: recorded_row, simulated: simulated_row })
}

/// It happened on one side only.
fn alone(row: &Row, others: &[Row], side: &str, asked: bool) -> (Cause, String) {
    match &row.what {
        What::Fill(_) if row.id.is_none() => (Cause::Venue, format!("a fill that nobody ordered only came {side}")),
        What::Fill(_) => (Cause::Queue, format!("the order was filled only {side}")),
        What::Sent { .. } => (Cause::Decision, format!("the order was sent only {side}")),
        What::Denied(gate) => (Cause::Decision, format!("gate {gate} denied the order only {side}")),
        // Where we wanted it cancelled, or it ran out, the fill of the other side was quicker. What the venue cancels by
        // itself has nothing to do with a turn.
        What::Answer { change, .. }
            if (asked && *change == OrderChange::Canceled
                || matches!(change, OrderChange::Expired | OrderChange::CancelRejected))
                && others.iter().any(|o| o.id == row.id && rested(o)) =>
        {
            (Cause::Queue, format!("the order was {} {side}, and filled in the other", word(&row.what)))
        }
        What::Answer { .. } => (Cause::Venue, format!("the order was {} only {side}", word(&row.what))),
    }
}

/// A fill of an order that waited for its turn. One that took had no place in a queue.
fn rested(row: &Row) -> bool {
    matches!(row.what, What::Fill(Filled { liquidity: Liquidity::Maker, .. }))
}

/// It happened on both sides, but not alike.
fn pair(recorded: &Row, simulated: &Row) -> (Cause, String) {
    let late = Nanos(simulated.at.0 - recorded.at.0);
    let when = match late.0 {
        0 => "at the same time".to_string(),
        n if n > 0 => format!("{} later in the simulation", span(late)),
        _ => format!("{} earlier in the simulation", span(Nanos(-late.0))),
    };
    match (&recorded.what, &simulated.what) {
        (What::Fill(a), What::Fill(b)) => fills(a, b, late, &when),
        (a, b) if a == b && late.0 == 0 => {
            (Cause::Venue, format!("the order was {} at the same time, but not in the same order of things", word(a)))
        }
        (a, b) if a == b => (Cause::Latency, format!("the order was {} {when}", word(a))),
        (What::Sent { .. }, _) if late.0 != 0 => {
            (Cause::Latency, format!("the order was sent {when}, and to other terms"))
        }
        (What::Sent { .. }, _) | (What::Denied(_), _) => {
            (Cause::Decision, "the order has other terms at the same time".into())
        }
        (a, _) => (Cause::Venue, format!("the order was {} {when}, with another price or size", word(a))),
    }
}

fn fills(a: &Filled, b: &Filled, late: Nanos, when: &str) -> (Cause, String) {
    let rested = a.liquidity == Liquidity::Maker || b.liquidity == Liquidity::Maker;
    if a.px != b.px {
        (Cause::Price, format!("the order was filled at another price, {when}"))
    } else if a.qty != b.qty {
        (Cause::Queue, format!("another size was filled, {when}"))
    } else if late.0 != 0 && rested {
        (Cause::Queue, format!("the resting order was filled {when}"))
    } else if late.0 != 0 {
        (Cause::Latency, format!("the order was filled {when}"))
    } else if a.liquidity != b.liquidity {
        (Cause::Queue, "the order rested before its fill on one side only".into())
    } else {
        (Cause::Fee, format!("the same fill paid {} {} and {} {}", a.fee, a.fee_currency, b.fee, b.fee_currency))
    }
}

fn span(span: Nanos) -> String {
    ctos_runtime::config::span_text(span)
}

/// What happened, as a participle.
pub fn word(what: &What) -> &'static str {
    match what {
        What::Sent { .. } => "sent",
        What::Denied(_) => "denied",
        What::Fill(_) => "filled",
        What::Answer { change, .. } => match change {
            OrderChange::Accepted => "accepted",
            OrderChange::Triggered => "triggered",
            OrderChange::Amended => "amended",
            OrderChange::AmendRejected => "refused an amend",
            OrderChange::CancelRejected => "refused a cancel",
            OrderChange::Canceled => "canceled",
            OrderChange::Rejected => "rejected",
            OrderChange::Expired => "expired",
            OrderChange::Unknown => "left without an answer",
            OrderChange::Sent => "sent",
            OrderChange::Filled => "filled",
            OrderChange::Denied => "denied",
        },
    }
}
