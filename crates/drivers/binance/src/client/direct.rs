//! A caller with connections, a clock and a rate budget of its own, for when no instance runs and for the emergency
//! brake.
//! Never: sends twice, or sends into a closure.

use super::{Access, CallError, Caller, Later, Reading, Reply};
use crate::limits::{BinanceWords, Route, lane};
use crate::profile::Profile;
use crate::request::{Call, Security};
use crate::symbols::Product;
use ctos_link::Time;
use ctos_link::clock::{ClockConfig, ServerClock};
use ctos_link::dial::Dialer;
use ctos_link::gateway::{Answer, Budget, Draft, VenueWords};
use ctos_link::http::{HttpClient, HttpConfig, HttpError, NotSent};
use ctos_link::pace::{Known, Pace};
use ctos_link::rate::{Cost, Lane, Limiter, Permit, SharedLimiter, Usage};
use ctos_types::{Nanos, UnixNanos, VenueError};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the whole way to an open connection is bounded.
const DIAL_WITHIN: Nanos = Nanos::from_secs(10);
/// Looks at the clock before a signed call is given up.
const CLOCK_TRIES: u32 = 3;
/// Between the first two readings of the venue's pace; doubles.
const PACE_PAUSE: Nanos = Nanos(4_000_000);
const NOT_THE_VENUE: &str = "check the account's address: is it one of Binance's, or a twin's?";

/// One host with the way calls leave to it.
struct Line {
    http: HttpClient,
    route: Route,
    clock: Mutex<ServerClock>,
}

/// Must be used inside a tokio runtime.
pub struct Direct {
    words: BinanceWords,
    main: Line,
    /// Whether the main host answers `/sapi` too.
    is_spot: bool,
    sapi: Option<Line>,
    limiter: SharedLimiter,
    time: Arc<dyn Time>,
    patience: Nanos,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("http", &self.main.http).finish_non_exhaustive()
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic elsewhere leaves behind is at worst an older reading of the clock.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Direct {
    /// # Errors
    /// [`CallError::NotSent`] for an address or a certificate that cannot be used.
    pub fn new(access: Access, time: Arc<dyn Time>) -> Result<Direct, CallError> {
        let bad = |why: String, hint: &str| CallError::NotSent { why, hint: hint.into(), retry_after: None };
        let real = |span: Nanos| Nanos(span.0.saturating_mul(i64::from(access.speed.max(1))));
        let dialer = Dialer::new(&access.extra_roots, access.proxy.clone(), real(DIAL_WITHIN))
            .map_err(|e| bad(e.to_string(), e.hint()))?;
        let mut words = BinanceWords::new();
        let mut route = |name: &str, profile: Profile, url: &str| {
            let base = words.base(profile.product(), url);
            match &access.keys {
                Some(keys) => words.account(name, profile, base, keys.clone(), access.recv_window_ms),
                None => words.public(base),
            }
        };
        let main_route = route(&access.name, access.profile, &access.rest);
        let is_spot = access.profile.product() == Product::Spot;
        let sapi = access.sapi.as_deref().filter(|_| !is_spot);
        let sapi_route = sapi.map(|url| (url, route(&format!("{} on spot", access.name), Profile::Spot, url)));
        let (config, groups, meters) = words.limiter();
        let mut limiter = Limiter::new(config);
        for name in &groups {
            limiter.add_group(name);
        }
        for meter in meters {
            limiter.add_meter(meter);
        }
        let usual = ClockConfig::default();
        let clock = ClockConfig { max_round_trip: real(usual.max_round_trip), ..usual };
        let line = |url: &str, route| {
            let usual = HttpConfig::default();
            let config = HttpConfig { answer_within: real(usual.answer_within), idle: real(usual.idle), ..usual };
            let http = HttpClient::new(url, config, dialer.clone(), time.clone());
            let http = http.map_err(|e| {
                bad(e.to_string(), "write the address as https://host or http://127.0.0.1:PORT, without a path")
            })?;
            Ok(Line { http, route, clock: Mutex::new(ServerClock::new(clock)) })
        };
        Ok(Direct {
            main: line(&access.rest, main_route)?,
            is_spot,
            sapi: sapi_route.map(|(url, route)| line(url, route)).transpose()?,
            words,
            limiter: SharedLimiter::new(limiter, time.clone()),
            time,
            patience: real(access.patience),
        })
    }

    /// A closure that an earlier process met: nothing is sent to it before it ends.
    pub fn resume_closure(&self, name: &str, until: UnixNanos, banned: bool) {
        self.limiter.with(|limiter, _| limiter.resume_closure(name, until, banned));
    }

    fn line(&self, call: &Call) -> Result<&Line, CallError> {
        let foreign = call.path.starts_with("/sapi/") && !self.is_spot;
        match (&self.sapi, foreign) {
            (_, false) => Ok(&self.main),
            (Some(line), true) => Ok(line),
            (None, true) => Err(no_sapi(call.path)),
        }
    }

    async fn permit(&self, lane: Lane, cost: Cost) -> Result<Permit, CallError> {
        let within = if lane == Lane::History { Nanos(self.patience.0 * 10) } else { self.patience };
        self.limiter.acquire(lane, cost, within).await.map_err(|e| match e {
            VenueError::RateLimited { retry_after } => CallError::NotSent {
                why: format!("there is no room in the venue's rate limit for {} s", seconds(retry_after)),
                hint: format!("try again in {} s", seconds(retry_after)),
                retry_after: Some(retry_after),
            },
            other => CallError::NotSent {
                why: other.to_string(),
                hint: "this is a mistake of ctos: report it".into(),
                retry_after: None,
            },
        })
    }

    /// Sends what `draft` writes and tells the budgets what the answer says.
    async fn send(&self, line: &Line, lane: Lane, cost: Cost, draft: Box<dyn Draft>) -> Result<Sent, CallError> {
        let permit = self.permit(lane, cost).await?;
        let stamp = if draft.needs_clock() { self.stamp_of(line)? } else { self.time.now() };
        let request = match draft.write(stamp) {
            Ok(request) => request,
            Err(text) => {
                permit.not_sent();
                let (why, hint) = text.split_once("; hint: ").unwrap_or((&text, "check the account's settings"));
                return Err(CallError::NotSent { why: why.into(), hint: hint.into(), retry_after: None });
            }
        };
        let response = match line.http.send(request).await {
            Ok(response) => response,
            Err(HttpError::Unknown(why)) => return Err(CallError::Unknown { why }),
            Err(error) => {
                permit.not_sent();
                let hint = match &error {
                    HttpError::NotSent(NotSent::Dial(dial)) => dial.hint(),
                    HttpError::NotSent(_) => "check the network, then try again",
                    _ => "this is a mistake of ctos: report it",
                };
                // The message says that nothing was sent; why is told here.
                let why = match &error {
                    HttpError::NotSent(why) => why.to_string(),
                    other => other.to_string(),
                };
                return Err(CallError::NotSent { why, hint: hint.into(), retry_after: None });
            }
        };
        let answer = Answer::Http {
            status: response.status,
            headers: &response.headers,
            body: &response.body,
            sent: response.sent,
            received: response.received,
        };
        let mut told = Vec::new();
        self.words.budgets(line.route.base(), &cost, &answer, &mut told);
        for budget in told {
            self.heed(line, &permit, budget);
        }
        let retry_after = response.retry_after();
        let reply = Reply { status: response.status, retry_after, body: response.body };
        Ok(Sent { reply, sent: response.sent, received: response.received })
    }

    fn heed(&self, line: &Line, permit: &Permit, budget: Budget) {
        match budget {
            Budget::Used { meter, period, total } => permit.observe(meter, period, total),
            Budget::Limit { meter, period, limit } => {
                self.limiter.with(|limiter, _| limiter.set_limit(meter, period, limit));
            }
            Budget::Limited { meter, retry_after } => permit.limited(meter, retry_after),
            Budget::Banned { group, retry_after, until } => {
                let venue_now = lock(&line.clock).venue_time(self.time.now()).unwrap_or(self.time.now());
                let until = until.map(|until| until - venue_now).filter(|span| span.0 > 0);
                self.limiter.banned(group, retry_after.or(until));
            }
            Budget::Clock => lock(&line.clock).distrust(self.time.now()),
        }
    }

    fn stamp_of(&self, line: &Line) -> Result<UnixNanos, CallError> {
        lock(&line.clock).stamp(self.time.now()).ok_or_else(|| CallError::NotSent {
            why: "the venue's clock is not known".into(),
            hint: "check the network, then try again".into(),
            retry_after: None,
        })
    }

    /// Measures how fast the venue's clock goes, within this much real time. `time` is the machine's own. What is told
    /// by then is in the answer.
    ///
    /// # Errors
    /// The venue does not tell its time.
    pub async fn pace(&self, within: Nanos) -> Result<Pace, CallError> {
        let until = self.time.now().after(within);
        let mut pace = Pace::default();
        let mut pause = PACE_PAUSE;
        loop {
            let (_, cost, draft) = self.words.ask_time(u32::from(self.main.route.base().0));
            let Sent { reply, sent, received } = self.send(&self.main, Lane::Query, cost, draft).await?;
            let server = (reply.status == 200).then(|| self.words.read_time(&reply.body)).flatten();
            let Some(server) = server else {
                let why = format!("the venue does not tell its time: HTTP {}", reply.status);
                return Err(CallError::NotSent { why, hint: NOT_THE_VENUE.into(), retry_after: reply.retry_after });
            };
            pace.on_reading(sent, server, received);
            let next = self.time.now().after(pause);
            if pace.known() != Known::NotYet || next > until {
                return Ok(pace);
            }
            self.time.sleep_until(next).await;
            pause = Nanos(pause.0 * 2);
        }
    }

    /// Looks at the venue's clock where that is due.
    async fn look_at_clock(&self, line: &Line) -> Result<(), CallError> {
        let mut last = None;
        for turn in 0..CLOCK_TRIES {
            let (due, known) = {
                let clock = lock(&line.clock);
                let now = self.time.now();
                (clock.deadline().0 <= now, clock.stamp(now).is_some())
            };
            if !due && known {
                return Ok(());
            }
            if turn > 0 {
                self.time.sleep_until(self.time.now().after(Nanos::from_millis(200 << turn))).await;
            }
            let (_, cost, draft) = self.words.ask_time(u32::from(line.route.base().0));
            match self.send(line, Lane::Query, cost, draft).await {
                Ok(Sent { reply: Reply { status: 200, body, .. }, sent, received }) => {
                    match self.words.read_time(&body) {
                        // A sample that contradicts the others asks for another one by the deadline.
                        Some(server) => drop(lock(&line.clock).on_sample(sent, server, received)),
                        None => lock(&line.clock).on_failed(self.time.now()),
                    }
                }
                Ok(Sent { reply, .. }) => {
                    lock(&line.clock).on_failed(self.time.now());
                    let why = format!("the venue does not tell its time: HTTP {}", reply.status);
                    last = Some(CallError::NotSent { why, hint: NOT_THE_VENUE.into(), retry_after: reply.retry_after });
                    if reply.retry_after.is_some() {
                        break;
                    }
                }
                Err(error) => {
                    lock(&line.clock).on_failed(self.time.now());
                    // A question for the time that got lost leaves nothing in doubt.
                    last = Some(match error {
                        CallError::Unknown { why } => CallError::NotSent {
                            why: format!("the venue does not tell its time: {why}"),
                            hint: "check the network and the account's address".into(),
                            retry_after: None,
                        },
                        other => other,
                    });
                    if matches!(&last, Some(CallError::NotSent { retry_after: Some(_), .. })) {
                        break;
                    }
                }
            }
        }
        if lock(&line.clock).stamp(self.time.now()).is_some() {
            return Ok(());
        }
        self.stamp_of(line).map(drop).map_err(|unknown| last.unwrap_or(unknown))
    }
}

/// An answer with its way's two ends.
struct Sent {
    reply: Reply,
    sent: UnixNanos,
    received: UnixNanos,
}

pub(super) fn seconds(span: Nanos) -> i64 {
    span.0.max(0).unsigned_abs().div_ceil(1_000_000_000).max(1) as i64
}

impl Caller for Direct {
    fn call<'a>(&'a self, call: &'a Call) -> Later<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let line = self.line(call)?;
            if call.security == Security::Signed {
                if line.route.keys().is_none() {
                    return Err(no_key());
                }
                self.look_at_clock(line).await?;
            }
            let cost = line.route.cost(call.path, call.cost);
            let draft = Box::new(line.route.draft(call.clone()));
            Ok(self.send(line, lane(call.purpose), cost, draft).await?.reply)
        })
    }

    fn venue_time(&self) -> Later<'_, Result<UnixNanos, CallError>> {
        Box::pin(async move {
            self.look_at_clock(&self.main).await?;
            let now = self.time.now();
            Ok(lock(&self.main.clock).venue_time(now).unwrap_or(now))
        })
    }

    fn distrust_clock(&self) {
        let now = self.time.now();
        lock(&self.main.clock).distrust(now);
        self.sapi.iter().for_each(|line| lock(&line.clock).distrust(now));
    }

    fn now(&self) -> UnixNanos {
        self.time.now()
    }

    fn sleep(&self, span: Nanos) -> Later<'_, ()> {
        self.time.sleep_until(self.time.now().after(span))
    }

    fn clock(&self) -> Option<Reading> {
        let clock = lock(&self.main.clock);
        let now = self.time.now();
        let ahead = clock.wall_error(now, self.time.wall())?;
        Some(Reading { ahead, uncertainty: clock.uncertainty(now)? })
    }

    fn closures(&self) -> Vec<(String, Nanos, bool)> {
        self.limiter.with(|limiter, now| {
            let open = limiter.closures().filter(|c| c.until > now);
            open.map(|c| (c.name, c.until - now, c.banned)).collect()
        })
    }

    fn usage(&self) -> Vec<Usage> {
        self.limiter.with(|limiter, _| limiter.usage().collect())
    }
}

pub(super) fn no_sapi(path: &str) -> CallError {
    CallError::NotSent {
        why: format!("{path} is answered by the spot host, and none is known here"),
        hint: "set the account's sapi_url".into(),
        retry_after: None,
    }
}

pub(super) fn no_key() -> CallError {
    let why = crate::request::NoKey.to_string();
    let (why, hint) = why.split_once("; hint: ").unwrap_or((&why, ""));
    CallError::NotSent { why: why.into(), hint: hint.into(), retry_after: None }
}
