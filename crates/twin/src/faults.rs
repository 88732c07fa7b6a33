//! Misbehaviour on command: which request, user event or market frame is treated how. Seeded: the same script and seed
//! give the same faults. Never: does anything by itself.

use crate::acts::Later;
use ctos_types::Decimal;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// Where a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Requests, named `POST /api/v3/order`. WebSocket API requests bear the name of the REST call they stand for.
    Request,
    /// User events, named by their type: `executionReport`, `ORDER_TRADE_UPDATE`.
    User,
    /// Market frames, named by their stream.
    Market,
}

/// A rule of the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub on: Place,
    /// The name, or its beginning followed by `*`. Default: everything.
    #[serde(default = "everything")]
    pub named: String,
    /// Let so many pass first.
    #[serde(default)]
    pub skip: u32,
    /// How often the rule acts; 0: until it is removed.
    #[serde(default = "once")]
    pub times: u32,
    /// Probability that it acts, 0 to 1.
    #[serde(default = "always")]
    pub chance: f64,
    pub fault: Fault,
}

fn everything() -> String {
    "*".into()
}

fn once() -> u32 {
    1
}

fn always() -> f64 {
    1.0
}

/// What is done. The first group is for requests, the second for events and frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Never reaches the exchange; the connection is closed.
    Lost,
    /// Executed; the connection is closed without a byte.
    ReplyLost,
    /// Executed; half of the reply is sent.
    HalfReply,
    /// On the WebSocket API: never reaches the exchange, and the socket stays open without a word. Elsewhere nothing.
    Unheard,
    /// On the WebSocket API: executed, and the socket stays open without a word. Elsewhere nothing.
    Unanswered,
    /// An error of the venue's front end, before or after the request was executed.
    Error {
        text: ErrorText,
        executed: bool,
    },
    /// Time before the request is executed and before its reply leaves.
    Delay {
        #[serde(default)]
        before_ms: u32,
        #[serde(default)]
        after_ms: u32,
    },
    /// 429 with this `Retry-After`; not executed.
    Limit {
        retry_after: u32,
    },
    /// 418: the address is banned for so long.
    Ban {
        secs: u32,
    },
    /// A reply of 200 with a list that leaves everything out.
    EmptyList,
    /// A reply that leaves out what is about this symbol or asset.
    Omit {
        name: String,
    },
    /// The order that is asked about is filled, or so much of it, just before the request is executed.
    FillFirst {
        #[serde(default)]
        quantity: Option<Decimal>,
    },
    /// The first half of a replacement is done, the second refused.
    HalfDone,

    Drop,
    Duplicate,
    /// The same fill again under another trade id.
    NewTradeId,
    /// Without its commission.
    NoFee,
    /// Sent so much later; what follows passes it.
    Hold {
        ms: u32,
    },
    /// Sent after the next one.
    Swap,
    /// Half of the frame, then the socket is gone.
    HalfFrame,
    /// Sent, then the socket is gone.
    ThenCut,
}

/// The texts of front-end errors, as USD-M sends them; spot has its own of the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorText {
    /// 503 "Unknown error, please check your request or try again later."
    Unknown,
    /// 503 "Service Unavailable."
    Unavailable,
    /// 503, -1001
    Internal,
    /// 503, -1008
    Throttled,
    /// -1007, the backend did not answer in time
    Timeout,
    /// -1006
    Unexpected,
    /// 502 with a page instead of JSON
    Html,
    /// 504 without a body
    Empty,
    /// 403 of the firewall, with a page
    Firewall,
}

impl ErrorText {
    /// HTTP status and body.
    pub(crate) fn reply(self) -> (u16, String) {
        let page =
            |title: &str| format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
        let json = |code: i32, msg: &str| crate::error::ApiError::new(code, msg).body();
        match self {
            ErrorText::Unknown => (503, json(-1000, "Unknown error, please check your request or try again later.")),
            ErrorText::Unavailable => (503, json(-1000, "Service Unavailable.")),
            ErrorText::Internal => {
                (503, json(-1001, "Internal error; unable to process your request. Please try again."))
            }
            ErrorText::Throttled => (
                503,
                json(
                    -1008,
                    "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again.",
                ),
            ),
            ErrorText::Timeout => (
                504,
                json(
                    -1007,
                    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
                ),
            ),
            ErrorText::Unexpected => (
                500,
                json(-1006, "An unexpected response was received from the message bus. Execution status unknown."),
            ),
            ErrorText::Html => (502, page("502 Bad Gateway")),
            ErrorText::Empty => (504, String::new()),
            ErrorText::Firewall => (403, page("403 Forbidden")),
        }
    }
}

/// The script, its dice, and the standing oddities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Faults {
    rules: Vec<(u32, Rule)>,
    next: u32,
    rng: Xoshiro256PlusPlus,
    /// How often a rule acted.
    #[serde(default)]
    pub acted: u64,
    /// How far the venue's clock is off its own market's time.
    pub skew_ms: i64,
    /// By how many millionths the venue's clock goes wrong, and since when.
    pub drift: (i64, i64),
    /// Deeds that wait.
    pub later: Vec<Later>,
    /// How long a new order cannot be queried.
    pub invisible_ms: i64,
    /// Market data stops while pings go on.
    pub stalled: bool,
    /// Depth snapshots are so old.
    pub snapshot_age_ms: i64,
    /// Time between the order of a socket's life and its end, in ms; 24 h at a venue.
    pub life_ms: i64,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        Faults {
            rules: Vec::new(),
            next: 1,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6661_756c_7473),
            acted: 0,
            skew_ms: 0,
            drift: (0, 0),
            later: Vec::new(),
            invisible_ms: 0,
            stalled: false,
            snapshot_age_ms: 0,
            life_ms: 24 * 3_600_000,
        }
    }

    /// Adds a rule and returns its number. Errors: a chance that is none.
    pub fn add(&mut self, rule: Rule) -> Result<u32, String> {
        if !(0.0..=1.0).contains(&rule.chance) {
            return Err("chance is between 0 and 1".into());
        }
        self.next += 1;
        self.rules.push((self.next - 1, rule));
        Ok(self.next - 1)
    }

    /// Removes one rule, or all.
    pub fn remove(&mut self, number: Option<u32>) {
        self.rules.retain(|(n, _)| number.is_some_and(|number| *n != number));
    }

    pub fn rules(&self) -> impl Iterator<Item = (u32, &Rule)> {
        self.rules.iter().map(|(n, r)| (*n, r))
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The fault of the first rule that acts on this; the rule is used up by it.
    pub fn pick(&mut self, place: Place, name: &str) -> Option<Fault> {
        let mut hit = None;
        for (number, rule) in &mut self.rules {
            if rule.on != place || !matches(&rule.named, name) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.chance < 1.0 && (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 >= rule.chance {
                continue;
            }
            let done = rule.times == 1;
            rule.times = rule.times.saturating_sub(1);
            hit = Some((*number, rule.fault.clone(), done));
            break;
        }
        let (number, fault, done) = hit?;
        self.acted += 1;
        if done {
            self.remove(Some(number));
        }
        Some(fault)
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_rule_acts_as_often_as_it_says() {
        let mut f = Faults::new(1);
        f.add(rule(r#"{"on":"request","named":"POST /api/*","skip":1,"times":2,"fault":{"kind":"lost"}}"#)).unwrap();
        let picks: Vec<bool> = (0..5).map(|_| f.pick(Place::Request, "POST /api/v3/order").is_some()).collect();
        assert_eq!(picks, [false, true, true, false, false]);
        assert!(f.is_empty());
        let n = f.add(rule(r#"{"on":"market","times":0,"chance":0.5,"fault":{"kind":"drop"}}"#)).unwrap();
        let hits = (0..1_000).filter(|_| f.pick(Place::Market, "btcusdt@depth").is_some()).count();
        assert!((400..600).contains(&hits), "{hits}");
        assert!(f.pick(Place::User, "executionReport").is_none());
        f.remove(Some(n));
        assert!(f.is_empty());
        assert!(serde_json::from_str::<Rule>(r#"{"on":"market","fault":{"kind":"dorp"}}"#).is_err());
    }
}
