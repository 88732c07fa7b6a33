//! A running instance: one thread that paces the shard by the wall clock, takes requests, and ends the run in order.
//! Never: decides about trading. How fast the loop turns changes nothing in what the run decides.

mod links;

use self::links::Rising;
use crate::alerts::Alerts;
use crate::config::{Settings, Speed};
use crate::live::{AccountLock, Brake, Callers, ClosureStatus, Recording};
use crate::runs::{RunDir, RunRecord};
use crate::shard::{Shard, ShardError};
use crate::summary::{RunFacts, Summary};
use crate::view::{View, ViewCell};
use crate::watchdog::{self, Intervention, Watched};
use crate::{RunError, UserError};
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use ctos_kernel::Answer;
use ctos_kernel::kill::Latch;
use ctos_storage::home::Home;
use ctos_types::{Control, HaltScope, Nanos, UnixNanos};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Inputs stepped before requests are looked at again.
const BATCH: usize = 2_000;
/// How often faces get a new view, real time.
const VIEW_EVERY: Duration = Duration::from_millis(200);
/// Longest sleep while nothing is due.
const NAP: Duration = Duration::from_millis(5);

/// How long a face waits for a busy kernel.
const PATIENCE: Duration = Duration::from_secs(10);

/// A control input that a face asks the shard's thread to step; the answer comes once it is durable.
#[derive(Debug)]
struct Request {
    control: Control,
    reply: Sender<Result<Option<Answer>, String>>,
}

/// Asks things of a running instance. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: Sender<Request>,
    stop: Arc<OnceLock<String>>,
    pub view: ViewCell,
    callers: Arc<Callers>,
    recording: Option<Arc<Recording>>,
}

/// Why an instance did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("the instance has ended")]
    Ended,
    #[error("the instance does not answer: its kernel is busy for longer than {} s", .0.as_secs())]
    Busy(Duration),
    #[error("{0}")]
    Refused(String),
}

impl Handle {
    /// Steps a control input and waits until it is durable.
    pub fn control(&self, control: Control) -> Result<(), AskError> {
        self.ask(control).map(drop)
    }

    /// Steps what a person orders, changes or cancels, and says what the gates said once it is durable.
    pub fn order(&self, control: Control) -> Result<Answer, AskError> {
        Ok(self.ask(control)?.unwrap_or(Answer::Nothing("that is no order")))
    }

    fn ask(&self, control: Control) -> Result<Option<Answer>, AskError> {
        let (reply, answer) = bounded(1);
        self.requests.send_timeout(Request { control, reply }, PATIENCE).map_err(|e| match e {
            SendTimeoutError::Timeout(_) => AskError::Busy(PATIENCE),
            SendTimeoutError::Disconnected(_) => AskError::Ended,
        })?;
        match answer.recv_timeout(PATIENCE) {
            Ok(result) => result.map_err(AskError::Refused),
            Err(RecvTimeoutError::Timeout) => Err(AskError::Busy(PATIENCE)),
            Err(RecvTimeoutError::Disconnected) => Err(AskError::Ended),
        }
    }

    /// Who asks the venues for people, within the run's rate budget.
    pub fn callers(&self) -> &Callers {
        &self.callers
    }

    /// The switch that records the run's live markets; `None` where it has none.
    pub fn recording(&self) -> Option<&Arc<Recording>> {
        self.recording.as_ref()
    }

    /// Asks the run to end: cancel, settle, summarise. Never waits and is never lost; the first reason counts.
    pub fn stop(&self, reason: &str) {
        let _ = self.stop.set(reason.into());
    }
}

/// A started run.
#[derive(Debug)]
pub struct Instance {
    pub handle: Handle,
    pub run_id: String,
    /// One line each: what recovery did, what the data holds.
    pub notices: Vec<String>,
    thread: JoinHandle<Result<Summary, RunError>>,
}

impl Instance {
    /// Waits for the end of the run.
    pub fn join(self) -> Result<Summary, RunError> {
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
                Err(RunError::Internal(format!("the kernel thread panicked: {}", text.unwrap_or("no message"))))
            }
        }
    }

    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

/// What the loop needs besides the shard.
pub(crate) struct Start {
    pub settings: Settings,
    pub home: Arc<Home>,
    pub dir: RunDir,
    pub record: RunRecord,
    pub facts: RunFacts,
    pub notices: Vec<String>,
    pub alerts: Alerts,
    /// Called by the watchdog when it had to act; the kernel's thread does not come back.
    pub on_hang: Box<dyn FnOnce(Intervention) + Send>,
    /// The way to a real venue past the kernel's thread.
    pub brake: Option<Box<dyn Brake>>,
    /// For questions of people to the venues.
    pub callers: Callers,
    /// Nobody else trades on these accounts while the run lives.
    pub locks: Vec<AccountLock>,
    /// Of the live markets.
    pub recording: Option<Arc<Recording>>,
}

/// Runs the shard on its own thread, with a watchdog beside it.
pub(crate) fn launch(shard: Shard, start: Start, recorder: crate::record::Recorder) -> Instance {
    let (requests, inbox) = bounded(64);
    let stop = Arc::<OnceLock<String>>::default();
    let view = ViewCell::default();
    let stop_watchdog = Arc::new(AtomicBool::new(false));
    let brake: Box<dyn Brake> = match (start.brake, shard.driver()) {
        (Some(brake), _) => brake,
        (None, driver) => Box::new(driver.expect("a run without a brake simulates its venue").clone()),
    };
    let brake = Arc::new(Mutex::new(brake));
    let watched = Watched {
        progress: shard.kernel().progress(),
        brake: brake.clone(),
        journal: shard.journal().expect("a run has a journal").clone(),
        market_time: shard.clock().clone(),
        home: start.home.clone(),
        alerts: start.alerts.clone(),
        timeout: Duration::from_nanos(start.settings.watchdog.timeout.0 as u64),
    };
    let dog = watchdog::start(watched, stop_watchdog.clone(), start.on_hang);
    let (run_id, notices) = (start.record.run_id.clone(), start.notices);
    let speed = start.settings.speed;
    let end = start.settings.duration.map(|d| start.record.start.after(d));
    let rising = shard.is_live().then(|| Rising::new(&shard, start.settings.live.known_within));
    let turning = Loop {
        shard,
        alerts: start.alerts.clone(),
        brake,
        rising,
        never_known: None,
        closures: Vec::new(),
        facts: start.facts,
        inbox,
        view: view.clone(),
        pace: Pace::new(speed),
        end,
        home: start.home.clone(),
        latches: None,
        names: Names::of(&start.settings),
        asked_to_stop: stop.clone(),
        stop: None,
        next_view: Instant::now(),
    };
    let (dir, record, home, locks, callers) = (start.dir, start.record, start.home, start.locks, start.callers);
    let body = move || {
        let result = turning.run();
        stop_watchdog.store(true, Ordering::Release);
        dog.thread().unpark();
        let _ = dog.join();
        recorder.finish();
        let (summary, error) = result?;
        let record = record.finished();
        dir.write_summary(&summary)?;
        // A store that fails costs only itself, and is done before the run's own record says that all is.
        if let Err(error) = crate::record::close_run(&home, &record) {
            tracing::error!(%error, "the end of the run is not in the store: rebuild it with `ctos doctor --rebuild-store`");
        }
        dir.write_run(&record)?;
        drop(locks);
        error.map_or(Ok(summary), |error| Err(RunError::User(error)))
    };
    let thread =
        std::thread::Builder::new().name("shard-0".into()).spawn(body).expect("the operating system starts a thread");
    let handle = Handle { requests, stop, view, callers: Arc::new(callers), recording: start.recording };
    Instance { handle, run_id, notices, thread }
}

/// How far market time may go at a given moment of real time.
struct Pace {
    speed: Speed,
    /// Real and market time that belong together.
    anchor: Option<(Instant, UnixNanos)>,
}

impl Pace {
    fn new(speed: Speed) -> Pace {
        Pace { speed, anchor: None }
    }

    fn limit(&mut self, now: Instant, market: UnixNanos) -> UnixNanos {
        let Speed::Factor(factor) = self.speed else { return UnixNanos::MAX };
        let (real, begun) = *self.anchor.get_or_insert((now, market));
        let nanos = (now - real).as_nanos() as f64 * factor.to_f64();
        begun.after(Nanos(nanos as i64))
    }
}

struct Loop {
    shard: Shard,
    alerts: Alerts,
    brake: Arc<Mutex<Box<dyn Brake>>>,
    /// Until the venue's word and ours agree for the first time.
    rising: Option<Rising>,
    /// That never came, and why: the run ends before it has begun.
    never_known: Option<String>,
    /// What venues told us to keep away from, as it was last written.
    closures: Vec<ClosureStatus>,
    facts: RunFacts,
    inbox: Receiver<Request>,
    view: ViewCell,
    pace: Pace,
    end: Option<UnixNanos>,
    home: Arc<Home>,
    /// What was last written to the latch file.
    latches: Option<BTreeMap<HaltScope, Latch>>,
    names: Names,
    asked_to_stop: Arc<OnceLock<String>>,
    stop: Option<String>,
    next_view: Instant,
}

impl Loop {
    /// How it ended, and what the user should mend.
    fn run(mut self) -> Result<(Summary, Option<UserError>), RunError> {
        self.publish();
        if self.shard.stats().stopping.is_none() {
            self.trade().map_err(RunError::internal)?;
            let reason = self.stop.clone().unwrap_or_else(|| "end of data".into());
            let at = if reason == DURATION { self.end.unwrap_or(UnixNanos::MIN) } else { self.shard.kernel().now() };
            self.shard.control(at, &Control::Stop { reason }).map_err(RunError::internal)?;
        }
        let left = if self.shard.is_live() { self.leave() } else { self.shard.settle() };
        let left = left.map_err(RunError::internal)?;
        if let Some(gateway) = self.shard.gateway() {
            gateway.stop(links::LEAVE_WITHIN);
        }
        if left > 0 {
            tracing::warn!(left, "orders are still open after the run was settled");
        }
        self.keep_latches();
        let ended = self.shard.stats().stopping.clone().unwrap_or_default();
        let summary = Summary::of(&self.shard, &self.facts, &ended);
        self.shard.close(&json!({ "end": summary })).map_err(RunError::internal)?;
        self.publish();
        if let Some(why) = &self.never_known {
            let error = UserError::new(
                format!("the venue's accounts could not be taken in, and nothing was traded: {why}"),
                "the log says what failed; `ctos account check` tells what is wrong with keys, clock and settings; a slow \
                 venue needs a longer live.known_within",
            );
            return Ok((summary, Some(error)));
        }
        match self.shard.degraded() {
            None if left > 0 && self.shard.is_live() => {
                let error = UserError::new(
                    format!("the run ended, but {left} orders may still be open at the venue"),
                    "look at the venue's own page, and cancel them there or with `ctos call cancel_all`",
                );
                Ok((summary, Some(error)))
            }
            None => Ok((summary, None)),
            Some(why) => Err(RunError::User(UserError::new(
                format!(
                    "the journal could not be written ({why}): trading was halted, {} open orders left",
                    summary.open_orders
                ),
                "free disk space or make the home directory writable, start again, then release the halt with `ctos resume`",
            ))),
        }
    }

    /// Until something ends the run.
    fn trade(&mut self) -> Result<(), ShardError> {
        while self.stop.is_none() {
            let limit = self.limit();
            let until = self.end.map_or(limit, |end| limit.min(end));
            let idle = self.turn(until)?;
            self.keep_latches();
            self.look_after_links(limit)?;
            if Instant::now() >= self.next_view {
                self.publish();
            }
            if !idle {
                self.requests(Duration::ZERO, limit)?;
            } else if self.end.is_some_and(|end| until >= end) {
                self.stop = Some(DURATION.into());
            } else if self.shard.is_finished() || self.gave_up() {
                self.stop = Some(if self.gave_up() { "journal failed" } else { "end of data" }.into());
            } else {
                self.shard.flush()?;
                let wait = self.nap();
                self.requests(wait, limit)?;
            }
        }
        Ok(())
    }

    /// After the journal failed and the cancels are answered there is nothing left to wait for.
    fn gave_up(&self) -> bool {
        self.shard.degraded().is_some() && self.shard.kernel().orders().open_count() == 0
    }

    /// Steps what is due. True when nothing was left.
    fn turn(&mut self, until: UnixNanos) -> Result<bool, ShardError> {
        for _ in 0..BATCH {
            if !self.shard.advance(until)? {
                return Ok(true);
            }
            if self.gave_up() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn requests(&mut self, wait: Duration, now: UnixNanos) -> Result<(), ShardError> {
        let mut next = self.inbox.recv_timeout(wait).ok();
        if self.stop.is_none() {
            self.stop = self.asked_to_stop.get().cloned();
        }
        while let Some(Request { control, reply }) = next {
            // Market time of a person's word: where the clock has brought the market, or the last input.
            let at = if now == UnixNanos::MAX { self.shard.kernel().now() } else { now };
            // Without a journal only halts are taken: they need no record to be safe.
            if self.shard.degraded().is_none() || matches!(control, Control::Halt { .. }) {
                self.shard.control(at, &control)?;
            }
            self.keep_latches();
            self.publish();
            let refused = self.shard.degraded().map(|why| format!("not recorded: {why}"));
            let answer = if is_by_hand(&control) { self.shard.kernel().answer().cloned() } else { None };
            let _ = reply.send(refused.map_or(Ok(answer), Err));
            next = self.inbox.try_recv().ok();
        }
        Ok(())
    }

    fn publish(&mut self) {
        self.keep_closures();
        self.next_view = Instant::now() + VIEW_EVERY;
        let mut view = View::of(&self.shard, &self.facts);
        view.live = self.shard.gateway().map(|gateway| gateway.status());
        self.view.publish(view);
    }

    /// Carries latches over to the next run of this home.
    fn keep_latches(&mut self) {
        let now = self.shard.kernel().kill().latches();
        if self.latches.as_ref() == Some(now) {
            return;
        }
        let now = now.clone();
        // The file may only be ahead of the journal where the journal is lost: a restart applies what it has more.
        if let Err(error) = self.shard.sync() {
            tracing::error!(%error, "the journal cannot be synced for the latch file");
        }
        let named = now.iter().map(|(scope, latch)| (self.names.of_scope(*scope), latch.clone())).collect();
        match crate::runs::write_latches(&self.home, &self.names, &named) {
            Ok(()) => self.latches = Some(now),
            Err(error) => tracing::error!(%error, "the latch file could not be written"),
        }
    }
}

const DURATION: &str = "duration";

/// Whether a person orders, changes or cancels.
fn is_by_hand(control: &Control) -> bool {
    matches!(control, Control::Order(_) | Control::Amend { .. } | Control::Cancel { .. } | Control::CancelAll { .. })
}

/// Account and strategy ids as people know them: the latch file outlives the numbering of one run.
#[derive(Clone, Debug)]
pub struct Names {
    accounts: Vec<String>,
    strategies: Vec<String>,
}

impl Names {
    pub fn of(settings: &Settings) -> Names {
        Names {
            accounts: settings.accounts.iter().map(|a| a.id.clone()).collect(),
            strategies: settings.strategies.iter().map(|s| s.id.clone()).collect(),
        }
    }

    /// The account as people know it; empty where the run has no such account.
    pub fn account(&self, id: ctos_types::AccountId) -> &str {
        self.accounts.get(id.0 as usize).map_or("", String::as_str)
    }

    /// Latches by the scopes of this run; what it does not have is left out.
    pub fn scopes(&self, latches: &crate::runs::NamedLatches) -> BTreeMap<HaltScope, Latch> {
        latches.iter().filter_map(|(name, latch)| Some((self.scope(name)?, latch.clone()))).collect()
    }

    /// `system`, `account:NAME` or `strategy:NAME`.
    pub fn of_scope(&self, scope: HaltScope) -> String {
        let name = |list: &[String], i: u16| list.get(i as usize).cloned().unwrap_or_else(|| i.to_string());
        match scope {
            HaltScope::System => "system".into(),
            HaltScope::Account(a) => format!("account:{}", name(&self.accounts, a.0)),
            HaltScope::Strategy(s) => format!("strategy:{}", name(&self.strategies, s.0)),
        }
    }

    /// The scope a text names, if this run has it.
    pub fn scope(&self, text: &str) -> Option<HaltScope> {
        let find = |list: &[String], name: &str| list.iter().position(|n| n == name).map(|i| i as u16);
        match text.split_once(':') {
            None if text == "system" => Some(HaltScope::System),
            Some(("account", name)) => find(&self.accounts, name).map(|i| HaltScope::Account(ctos_types::AccountId(i))),
            Some(("strategy", name)) => {
                find(&self.strategies, name).map(|i| HaltScope::Strategy(ctos_types::StrategyId(i)))
            }
            _ => None,
        }
    }
}
