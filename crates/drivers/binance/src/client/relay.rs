//! Public questions by way of another process that has the rate budget: the question as data, and the caller that asks
//! so.
//! Never: anything that takes a key. The list of what may be asked is closed.

use super::{CallError, Caller, Later, Reply};
use crate::market;
use crate::profile::Profile;
use crate::request::{Call, Params, Purpose, Security};
use ctos_link::Time;
use ctos_types::{Nanos, UnixNanos};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What may be asked, by what stands behind the version in its path.
const TOPICS: &[&str] = &[
    "/fapi/v1/ping",
    "/fapi/v1/time",
    "/fapi/v1/exchangeInfo",
    "/fapi/v1/depth",
    "/fapi/v1/klines",
    "/fapi/v1/aggTrades",
    "/fapi/v1/trades",
    "/fapi/v2/ticker/price",
    "/fapi/v1/ticker/bookTicker",
    "/fapi/v1/premiumIndex",
    "/fapi/v1/fundingRate",
    "/fapi/v1/fundingInfo",
    "/api/v3/ping",
    "/api/v3/time",
    "/api/v3/exchangeInfo",
    "/api/v3/depth",
    "/api/v3/klines",
    "/api/v3/aggTrades",
    "/api/v3/trades",
    "/api/v3/ticker/price",
    "/api/v3/ticker/bookTicker",
];
const NAMES: &[&str] = &["symbol", "limit", "interval", "startTime", "endTime", "fromId"];
/// The dearest public question there is costs 250.
const MOST_WEIGHT: u32 = 1_000;

/// A public question as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub path: String,
    pub query: Vec<(String, String)>,
    /// What the venue counts it as.
    pub weight: u32,
    /// Of a download: everything else goes first.
    #[serde(default)]
    pub history: bool,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Answer {
        status: u16,
        retry_after_ms: Option<i64>,
        body: String,
    },
    /// No byte of it left.
    NotSent {
        why: String,
        hint: String,
        retry_after_ms: Option<i64>,
    },
    Unknown {
        why: String,
    },
}

impl Question {
    /// A call as a question; `None` where it is none that anybody may ask.
    pub fn of(call: &Call) -> Option<Question> {
        let query = call.query.iter().map(|(name, _)| {
            let value = call.query.get(name).unwrap_or_default();
            (name.to_owned(), value.into_owned())
        });
        let question = Question {
            path: call.path.into(),
            query: query.collect(),
            weight: call.cost.weight,
            history: call.purpose == Purpose::History,
        };
        (call.security == Security::Public && question.call().is_some()).then_some(question)
    }

    /// The call that it asks for; `None` where it is not on the list.
    pub fn call(&self) -> Option<Call> {
        let path = TOPICS.iter().find(|p| **p == self.path)?;
        let mut query = Params::new();
        for (name, value) in &self.query {
            query = query.text(NAMES.iter().find(|n| *n == name)?, value.clone());
        }
        let purpose = if self.history { Purpose::History } else { Purpose::Query };
        Some(Call::public(path, self.weight.min(MOST_WEIGHT), query).purpose(purpose))
    }
}

impl From<Result<Reply, CallError>> for Told {
    fn from(result: Result<Reply, CallError>) -> Told {
        let ms = |span: Option<Nanos>| span.map(|s| s.0 / 1_000_000);
        match result {
            Ok(reply) => Told::Answer {
                status: reply.status,
                retry_after_ms: ms(reply.retry_after),
                body: String::from_utf8_lossy(&reply.body).into_owned(),
            },
            Err(CallError::NotSent { why, hint, retry_after }) => {
                Told::NotSent { why, hint, retry_after_ms: ms(retry_after) }
            }
            Err(CallError::Unknown { why }) => Told::Unknown { why },
        }
    }
}

impl From<Told> for Result<Reply, CallError> {
    fn from(told: Told) -> Result<Reply, CallError> {
        let span = |ms: Option<i64>| ms.map(Nanos::from_millis);
        match told {
            Told::Answer { status, retry_after_ms, body } => {
                Ok(Reply { status, retry_after: span(retry_after_ms), body: body.into() })
            }
            Told::NotSent { why, hint, retry_after_ms } => {
                Err(CallError::NotSent { why, hint, retry_after: span(retry_after_ms) })
            }
            Told::Unknown { why } => Err(CallError::Unknown { why }),
        }
    }
}

/// Carries a question there and its answer back. May block.
pub type Pass = dyn Fn(&Question) -> Told + Send + Sync;

/// Asks by way of another process. Must be used inside a tokio runtime.
pub struct Relay {
    profile: Profile,
    pass: Arc<Pass>,
    time: Arc<dyn Time>,
    /// How long a download waits for its turn.
    patience: Nanos,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Relay {
    pub fn new(profile: Profile, pass: Arc<Pass>, time: Arc<dyn Time>, patience: Nanos) -> Relay {
        Relay { profile, pass, time, patience }
    }

    async fn once(&self, question: &Question) -> Result<Reply, CallError> {
        let (pass, question) = (self.pass.clone(), question.clone());
        match tokio::task::spawn_blocking(move || pass(&question)).await {
            Ok(told) => told.into(),
            Err(e) => Err(CallError::Unknown { why: e.to_string() }),
        }
    }
}

impl Caller for Relay {
    fn call<'a>(&'a self, call: &'a Call) -> Later<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let question = Question::of(call).ok_or_else(|| CallError::NotSent {
                why: format!("{} is nothing that may be asked through another process", call.path),
                hint: "this is a mistake of ctos: report it".into(),
                retry_after: None,
            })?;
            let until = self.time.now().after(self.patience);
            loop {
                let answer = self.once(&question).await;
                // Asking the other process again costs the venue nothing.
                match answer {
                    Err(CallError::NotSent { retry_after: Some(wait), .. })
                        if question.history && self.time.now().after(wait) <= until =>
                    {
                        self.sleep(wait.max(Nanos::from_millis(200))).await;
                    }
                    answer => return answer,
                }
            }
        })
    }

    fn venue_time(&self) -> Later<'_, Result<UnixNanos, CallError>> {
        Box::pin(async move {
            let reply = self.call(&market::time(self.profile)).await?;
            market::read_time(&reply.body).map_err(|_| CallError::NotSent {
                why: format!("the venue does not tell its time: HTTP {}", reply.status),
                hint: "`ctos status` shows the instance's links".into(),
                retry_after: reply.retry_after,
            })
        })
    }

    fn distrust_clock(&self) {}

    fn now(&self) -> UnixNanos {
        self.time.now()
    }

    fn sleep(&self, span: Nanos) -> Later<'_, ()> {
        self.time.sleep_until(self.time.now().after(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{AggFrom, KlineInterval};
    use crate::profile::Profile::{Spot, UsdM};
    use ctos_link::LinkTime;
    use std::sync::Mutex;

    #[test]
    fn every_public_question_passes_and_nothing_else() {
        let at = Some(UnixNanos(1_700_000_000_000_000_000));
        for profile in [Spot, UsdM] {
            let asked = [
                market::ping(profile),
                market::time(profile),
                market::exchange_info(profile),
                market::depth(profile, "BTCUSDT", 50),
                market::klines(profile, "BTCUSDT", KlineInterval::M1, (at, at), 1_000),
                market::agg_trades(profile, "BTCUSDT", AggFrom::Id(7)),
                market::trades(profile, "BTCUSDT", 10),
                market::prices(profile),
                market::book_tickers(profile),
                market::premium_index(),
                market::funding_history("BTCUSDT", at),
            ];
            for call in asked {
                let question = Question::of(&call).unwrap_or_else(|| panic!("{} does not pass", call.path));
                let json = serde_json::to_string(&question).unwrap();
                let again = serde_json::from_str::<Question>(&json).unwrap().call().unwrap();
                let bytes = |c: &Call| c.build(None, crate::request::Stamp { timestamp_ms: 0, recv_window_ms: None });
                assert_eq!(bytes(&again).unwrap(), bytes(&call).unwrap(), "{json}");
                assert_eq!((again.cost, again.purpose, again.security), (call.cost, call.purpose, Security::Public));
            }
        }
        let question = |path: &str, name: &str| Question {
            path: path.into(),
            query: vec![(name.into(), "x".into())],
            weight: 1,
            history: false,
        };
        for wrong in [
            question("/api/v3/account", "symbol"),
            question("/sapi/v1/capital/withdraw/apply", "symbol"),
            question("/api/v3/klines", "signature"),
            question("/api/v3/klines/../account", "symbol"),
        ] {
            assert_eq!(wrong.call(), None, "{wrong:?}");
        }
        let signed = Call::signed(crate::request::Method::Get, "/api/v3/klines", 1, Params::new());
        assert_eq!(Question::of(&signed), None);
    }

    #[test]
    fn a_download_waits_for_its_turn_and_a_question_is_told_at_once() {
        let told = Arc::new(Mutex::new(vec![
            Told::Answer { status: 200, retry_after_ms: None, body: "[]".into() },
            Told::NotSent { why: "full".into(), hint: "wait".into(), retry_after_ms: Some(300) },
        ]));
        let pass = {
            let told = told.clone();
            move |_: &Question| told.lock().unwrap().pop().unwrap()
        };
        // An hour in a wink: what waits, waits on the room's own clock.
        let time = Arc::new(LinkTime::sped_up(3_600));
        let relay = Relay::new(Spot, Arc::new(pass), time, Nanos::from_secs(60));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let call = market::klines(Spot, "BTCUSDT", KlineInterval::M1, (None, None), 1_000);
        assert_eq!(runtime.block_on(relay.call(&call.clone().purpose(Purpose::History))).unwrap().status, 200);
        let again = Told::NotSent { why: "full".into(), hint: "wait".into(), retry_after_ms: Some(61_000) };
        *told.lock().unwrap() = vec![again];
        let refused = runtime.block_on(relay.call(&call.purpose(Purpose::History))).unwrap_err();
        assert!(matches!(refused, CallError::NotSent { retry_after: Some(_), .. }), "{refused:?}");
    }
}
