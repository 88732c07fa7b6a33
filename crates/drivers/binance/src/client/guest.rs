//! A caller through a running gateway: its connections, its clock, its keys and, above all, its one rate budget.
//! Never: a connection of its own, or a second budget beside the one that the venue counts.

use super::direct::{no_key, no_sapi, seconds};
use super::{CallError, Caller, Later, Reading, Reply};
use crate::limits::{Route, lane};
use crate::request::{Call, Security};
use ctos_link::Time;
use ctos_link::gateway::shell::{Handle, RequestError};
use ctos_link::rate::{Lane, Usage};
use ctos_types::{Nanos, UnixNanos};
use std::sync::Arc;
use std::time::Duration;

/// How long the gateway may take to learn the venue's clock, real time.
const CLOCK_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Beyond the wait for room: the way there and back, real time.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// One account, or nobody's view of a market, of a running gateway. Must be used inside a tokio runtime.
#[derive(Debug)]
pub struct Guest {
    handle: Handle,
    time: Arc<dyn Time>,
    main: Route,
    /// Where `/sapi` is answered, if elsewhere.
    sapi: Option<Route>,
    /// Whether the main route leads there, too.
    is_spot: bool,
    patience: Duration,
}

impl Guest {
    /// `time` is the gateway's own; `patience` is how long a call may wait for room in the budget, real time.
    pub fn new(handle: Handle, time: Arc<dyn Time>, main: Route, is_spot: bool, patience: Duration) -> Guest {
        Guest { handle, time, main, sapi: None, is_spot, patience }
    }

    /// With the way to the spot host, which alone tells what the key of a USD-M account may do.
    #[must_use]
    pub fn with_sapi(self, sapi: Option<Route>) -> Guest {
        Guest { sapi, ..self }
    }

    fn route(&self, call: &Call) -> Result<&Route, CallError> {
        if self.is_spot || !call.path.starts_with("/sapi/") {
            return Ok(&self.main);
        }
        self.sapi.as_ref().ok_or_else(|| no_sapi(call.path))
    }

    /// How much of the gateway's time passes in so much of ours.
    fn of_gateway(&self, span: Duration) -> Nanos {
        let day = self.time.now().after(Nanos::from_secs(86_400));
        let real = self.time.real_until(day).as_secs_f64();
        let speed = if real > 0.0 { 86_400.0 / real } else { 1.0 };
        Nanos((span.as_nanos() as f64 * speed) as i64)
    }

    fn of_ours(&self, span: Nanos) -> Nanos {
        Nanos(self.time.real_until(self.time.now().after(span)).as_nanos().min(i64::MAX as u128) as i64)
    }

    fn refused(&self, error: RequestError) -> CallError {
        match error {
            RequestError::Unknown { why } => CallError::Unknown { why },
            RequestError::NotSent { why, retry_after: Some(wait) } => {
                let wait = self.of_ours(wait);
                let hint =
                    format!("the running instance keeps to the venue's limits: try again in {} s", seconds(wait));
                CallError::NotSent { why, hint, retry_after: Some(wait) }
            }
            RequestError::NotSent { why, retry_after: None } => {
                let (why, hint) =
                    why.split_once("; hint: ").unwrap_or((&why, "`ctos status` shows the instance's links"));
                CallError::NotSent { why: why.into(), hint: hint.into(), retry_after: None }
            }
        }
    }
}

impl Caller for Guest {
    fn call<'a>(&'a self, call: &'a Call) -> Later<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let route = self.route(call)?;
            if call.security != Security::Public && route.keys().is_none() {
                return Err(no_key());
            }
            let lane = lane(call.purpose);
            let patience = if lane == Lane::History { self.patience * 2 } else { self.patience };
            let cost = route.cost(call.path, call.cost);
            let (base, draft) = (route.base(), Box::new(route.draft(call.clone())));
            let (handle, within) = (self.handle.clone(), self.of_gateway(patience));
            let at_most = patience + ANSWER_WITHIN;
            // The handle blocks: a thread beside the runtime's.
            let asked = move || handle.request((lane, cost), base, draft, within, at_most);
            let response = match tokio::task::spawn_blocking(asked).await {
                Ok(answered) => answered.map_err(|e| self.refused(e))?,
                Err(e) => return Err(CallError::Unknown { why: e.to_string() }),
            };
            Ok(Reply { status: response.status, retry_after: response.retry_after(), body: response.body })
        })
    }

    fn venue_time(&self) -> Later<'_, Result<UnixNanos, CallError>> {
        Box::pin(async move {
            let begun = std::time::Instant::now();
            loop {
                if let Some(offset) = self.handle.status().clock.offset {
                    return Ok(self.time.now().after(offset));
                }
                if begun.elapsed() >= CLOCK_WITHIN {
                    return Err(CallError::NotSent {
                        why: "the venue's clock is not known".into(),
                        hint: "`ctos status` shows the instance's links".into(),
                        retry_after: None,
                    });
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }

    /// The gateway has seen the refusal, and looks at the clock by itself.
    fn distrust_clock(&self) {}

    fn now(&self) -> UnixNanos {
        self.time.now()
    }

    fn sleep(&self, span: Nanos) -> Later<'_, ()> {
        self.time.sleep_until(self.time.now().after(span))
    }

    fn clock(&self) -> Option<Reading> {
        let clock = self.handle.status().clock;
        Some(Reading { ahead: clock.wall_error?, uncertainty: clock.uncertainty? })
    }

    fn closures(&self) -> Vec<(String, Nanos, bool)> {
        let now = self.time.now();
        let closures = self.handle.status().closures.into_iter().filter(|c| c.until > now);
        closures.map(|c| (c.name, self.of_ours(c.until - now), c.banned)).collect()
    }

    fn usage(&self) -> Vec<Usage> {
        self.handle.status().usage
    }
}
