//! `halt`, `resume`, `stop`, `start`: through the running instance; halting and resuming also without one.
//! Never: says that orders are gone before the instance has looked.

use super::look::{halts_text, no_home, word};
use crate::args::Global;
use crate::client::{self, Client, Found};
use crate::error::CliError;
use crate::{out, settings};
use ctos_runtime::brake::{Braked, EmergencyBrake};
use ctos_runtime::config::{Mode, Settings};
use ctos_runtime::runs;
use ctos_server::model::{
    HaltDone, HaltRequest, Halts, ResumeDone, ResumeRequest, StopDone, StopRequest, StrategyLine,
};
use ctos_server::store;
use ctos_storage::home::Home;
use ctos_strategies::Catalog;
use ctos_types::KillState;
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long `halt` watches the last orders go.
const VERIFYING: Duration = Duration::from_secs(15);
/// How long `stop` waits for the run to settle.
const SETTLING: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What `halt` prints.
#[derive(Serialize)]
struct Halted {
    #[serde(flatten)]
    done: HaltDone,
    /// Whether no order of the scope is open any more. Absent when no instance runs: the next run will see to it.
    verified: Option<bool>,
    /// What was cancelled at the venues of a live home in which nothing runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    venues: Vec<Braked>,
}

/// How long the brake tries, for each account.
const BRAKING: Duration = Duration::from_secs(45);

pub fn halt(global: &Global, catalog: Catalog, scope: &str, reducing: bool, reason: &str) -> Result<(), CliError> {
    let state = if reducing { KillState::Reducing } else { KillState::Halted };
    let path = settings::home(global)?;
    let halted = match client::find(&path)? {
        Found::Running(client) => halt_running(&client, scope, state, reason)?,
        Found::Stored(_) => {
            runs::latch_offline(&path, catalog, scope, state, or_default(reason))?;
            let done = HaltDone { running: false, scope: scope.into(), state, open_orders: None };
            let (venues, failed) =
                if state == KillState::Halted { brake(global, &path, scope) } else { Default::default() };
            let verified = (!venues.is_empty() || failed.is_some()).then_some(failed.is_none());
            let halted = Halted { done, verified, venues };
            if let Some(failed) = failed {
                // The latch is set all the same, and that is worth knowing.
                out::show(global.json, &halted, halted_text)?;
                return Err(failed);
            }
            halted
        }
        Found::Nothing => return Err(no_home(&path)),
    };
    out::show(global.json, &halted, halted_text)?;
    match halted.verified {
        Some(false) => Err(CliError::user(
            format!("{} orders of {scope} are still open", out::or_dash(halted.done.open_orders)),
            "the instance goes on cancelling them; look with `ctos status`",
        )),
        _ => Ok(()),
    }
}

/// The settings of a home that trades live: as they are now, or as they were for its last run.
fn live(global: &Global, path: &Path) -> Option<Settings> {
    let now = settings::resolve(global);
    if let Ok(now) = &now
        && now.mode == Mode::Live
    {
        return Some(now.clone());
    }
    let dir = Home::read_only(path).and_then(|home| home.latest_run()).ok().flatten()?;
    let mut ran = runs::record_of(&dir).ok()?.settings;
    // Where keys are is not in a run's record. Settings that cannot be read leave the usual places.
    if let Ok(now) = now {
        ran.secrets = now.secrets;
    }
    (ran.mode == Mode::Live).then_some(ran)
}

/// Cancels what the scope has open at venues, where the home trades live.
fn brake(global: &Global, path: &Path, scope: &str) -> (Vec<Braked>, Option<CliError>) {
    let Some(settings) = live(global, path) else { return Default::default() };
    let in_scope = |id: &str| scope == "system" || scope == format!("account:{id}");
    let (mut done, mut failed) = (Vec::new(), None);
    for (at, account) in settings.accounts.iter().enumerate() {
        if account.venue.is_none() || !in_scope(&account.id) {
            continue;
        }
        match EmergencyBrake::now(&settings, at).and_then(|brake| brake.pull(BRAKING)) {
            Ok(braked) => done.push(braked),
            // The other accounts are braked all the same.
            Err(error) => failed = failed.or(Some(CliError::User(error))),
        }
    }
    (done, failed)
}

fn or_default(reason: &str) -> &str {
    if reason.trim().is_empty() { "asked for on the command line" } else { reason }
}

fn halt_running(client: &Client, scope: &str, state: KillState, reason: &str) -> Result<Halted, CliError> {
    let request = HaltRequest { scope: scope.into(), state, reason: or_default(reason).into() };
    let mut done: HaltDone = client.post("/halt", &request)?;
    let begun = Instant::now();
    while done.state == KillState::Halted && done.open_orders != Some(0) && begun.elapsed() < VERIFYING {
        std::thread::sleep(LOOK_EVERY);
        let now: Halts = client.get("/halts")?;
        done.open_orders = now.halts.iter().find(|h| h.scope == scope).and_then(|h| h.open_orders);
    }
    let verified = (done.state == KillState::Halted).then_some(done.open_orders == Some(0));
    Ok(Halted { done, verified, venues: Vec::new() })
}

fn halted_text(h: &Halted) -> String {
    let (scope, state) = (&h.done.scope, word(h.done.state));
    let found: usize = h.venues.iter().map(|b| b.found).sum();
    let orders = match (h.done.running, h.verified) {
        (false, Some(true)) => format!("{found} orders were cancelled at the venue, verified: none is open"),
        (false, _) => "no instance runs; the next run starts that way".to_owned(),
        (true, Some(true)) => "verified: no order is open".into(),
        (true, Some(false)) => format!("{} orders are still open", out::or_dash(h.done.open_orders)),
        (true, None) => "only orders that shrink positions pass".into(),
    };
    format!("{scope} is {state}; {orders}\nrelease it with `ctos resume {scope}`\n")
}

pub fn resume(global: &Global, catalog: Catalog, scope: &str, reason: &str) -> Result<(), CliError> {
    let path = settings::home(global)?;
    let done = match client::find(&path)? {
        Found::Running(client) => {
            let request = ResumeRequest { scope: scope.into(), reason: or_default(reason).into() };
            client.post::<_, ResumeDone>("/resume", &request)?
        }
        Found::Stored(home) => resume_stored(&home, &path, catalog, scope, reason)?,
        Found::Nothing => return Err(no_home(&path)),
    };
    out::show(global.json, &done, |d| {
        let first =
            if d.released { format!("{scope} is released\n") } else { format!("nothing was latched on {scope}\n") };
        first + &halts_text(&d.halts)
    })
}

fn resume_stored(
    home: &Home,
    path: &Path,
    catalog: Catalog,
    scope: &str,
    reason: &str,
) -> Result<ResumeDone, CliError> {
    let latched = store::halts(home)?.halts.iter().any(|h| h.scope == scope);
    runs::latch_offline(path, catalog, scope, KillState::Active, or_default(reason))?;
    Ok(ResumeDone { running: false, scope: scope.into(), released: latched, halts: store::halts(home)?.halts })
}

pub fn stop(global: &Global, reason: &str) -> Result<(), CliError> {
    let path = settings::home(global)?;
    let client = running(&path)?;
    let reason = if reason.trim().is_empty() { "stop" } else { reason };
    let asked: StopDone = client.post("/stop", &StopRequest { reason: reason.into() })?;
    let home = Home::read_only(&path)?;
    let begun = Instant::now();
    while home.writer()? == Some(client.pid) {
        if begun.elapsed() > SETTLING {
            return Err(CliError::user(
                format!("process {} has not ended after {} s", client.pid, SETTLING.as_secs()),
                format!("wait for it, or end it with `kill {}`: nothing that was acknowledged is lost", client.pid),
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let summary: Option<ctos_runtime::summary::Summary> = home.run(&asked.run_id)?.read_summary()?;
    let value = json!({ "run_id": asked.run_id, "stopped": true, "summary": summary });
    out::show(global.json, &value, |_| {
        let figures = summary.as_ref().map(|s| format!("\n{}", super::summary::text(s))).unwrap_or_default();
        format!("run {} has ended\n{figures}", asked.run_id)
    })
}

pub fn strategy(global: &Global, id: &str, verb: &str) -> Result<(), CliError> {
    let client = running(&settings::home(global)?)?;
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) || id.is_empty() {
        let hint = "`ctos status` lists the strategies of the run";
        return Err(CliError::user(format!("there is no strategy {id:?} in this run"), hint));
    }
    let line: StrategyLine = client.post(&format!("/strategies/{id}/{verb}"), &json!({}))?;
    out::show(global.json, &line, |l| format!("strategy {} is {}\n", l.id, l.state))
}

/// The running instance, or an error that says that there is none.
pub(super) fn running(path: &Path) -> Result<Client, CliError> {
    match client::find(path)? {
        Found::Running(client) => Ok(client),
        Found::Stored(_) => {
            let message = format!("no instance runs in {}", path.display());
            Err(CliError::user(message, "start one with `ctos run`, or name its home with --home"))
        }
        Found::Nothing => Err(no_home(path)),
    }
}
