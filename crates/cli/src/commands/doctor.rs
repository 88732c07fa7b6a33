//! `doctor`: looks at everything a run needs and says what is wrong and how to mend it.
//! Never: changes anything, except the store when it is told to rebuild it.

mod venues;

use crate::args::Global;
use crate::client::{self, Found};
use crate::error::CliError;
use crate::{out, settings};
use ctos_runtime::record;
use ctos_runtime::runs::{RunStatus, record_of};
use ctos_runtime::summary::Summary;
use ctos_server::store;
use ctos_storage::fs::RealFs;
use ctos_storage::home::{Home, HomeError};
use ctos_storage::journal::{JournalError, JournalReader};
use ctos_storage::projection::{Projection, ProjectionError};
use ctos_strategies::Catalog;
use ctos_types::UnixNanos;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    message: String,
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Nothing failed; there may be warnings.
    ok: bool,
    home: PathBuf,
    checks: Vec<Check>,
}

fn ok(name: &'static str, message: impl Into<String>) -> Check {
    Check { name, state: State::Ok, message: message.into(), hint: None }
}

fn warn(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Check {
    Check { name, state: State::Warn, message: message.into(), hint: Some(hint.into()) }
}

fn fail(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Check {
    Check { name, state: State::Fail, message: message.into(), hint: Some(hint.into()) }
}

fn failed(name: &'static str, error: &HomeError) -> Check {
    fail(name, error.to_string(), error.hint().unwrap_or_else(|| "look at the file that is named".into()))
}

pub fn doctor(global: &Global, catalog: Catalog, rebuild_store: bool, online: bool) -> Result<(), CliError> {
    let mut checks = Vec::new();
    let home = match settings::resolve(global) {
        Ok(s) => {
            checks.push(ok("settings", format!("valid, {} strategies", s.strategies.len())));
            venues::look(&s, now(), online, &mut checks);
            s.home
        }
        Err(CliError::User(e)) => {
            checks.push(fail("settings", e.message, e.hint));
            // What can still be looked at without them.
            global.home.clone().unwrap_or_else(|| PathBuf::from("./var"))
        }
        Err(e) => return Err(e),
    };
    if rebuild_store {
        checks.push(rebuild(&home, catalog)?);
    }
    machine(&home, &mut checks);
    match Home::read_only(&home) {
        Ok(open) => in_home(&open, &mut checks),
        Err(HomeError::Missing { .. }) => {
            checks.push(ok("home", format!("{} does not exist yet; the first run makes it", home.display())));
        }
        Err(e) => checks.push(failed("home", &e)),
    }
    let report = Report { ok: checks.iter().all(|c| c.state != State::Fail), home, checks };
    out::show(global.json, &report, text)?;
    if report.ok { Ok(()) } else { Err(CliError::Silent(1)) }
}

fn text(report: &Report) -> String {
    let mut text = format!("home {}\n\n", report.home.display());
    for check in &report.checks {
        let word = match check.state {
            State::Ok => "ok  ",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        text += &format!("{word}  {:<10} {}\n", check.name, check.message);
        if let Some(hint) = &check.hint {
            text += &format!("      {:<10} hint: {hint}\n", "");
        }
    }
    text
}

/// Rebuilds the store; nobody may be writing it meanwhile.
fn rebuild(path: &Path, catalog: Catalog) -> Result<Check, CliError> {
    // Opened for writing only when it is there: a mistyped --home must not become a new one.
    Home::read_only(path)?;
    let home = Home::open(path)?;
    let runs = record::rebuild(&home, catalog)?;
    Ok(ok("rebuild", format!("the store was rebuilt from the journals of {runs} runs")))
}

// ---- the machine

fn machine(home: &Path, checks: &mut Vec<Check>) {
    checks.push(clock());
    checks.push(disk(home));
    checks.push(open_files());
}

fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixNanos(since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
}

fn clock() -> Check {
    let now = now();
    // Earlier than this program: no clock that was ever set says that.
    let program = UnixNanos::from_civil(2025, 1, 1, 0, 0, 0, 0).unwrap_or_default();
    if now < program {
        return fail("clock", format!("the system clock says {now}"), "set the clock, for example with NTP");
    }
    ok("clock", format!("{now}"))
}

fn disk(home: &Path) -> Check {
    // The first of its parents that exists is on the same disk as the home will be.
    let mut at = home.to_path_buf();
    while !at.exists() {
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent.to_path_buf(),
            _ => at = PathBuf::from("."),
        }
    }
    let stat = match rustix::fs::statvfs(&at) {
        Ok(stat) => stat,
        Err(e) => return warn("disk", format!("{}: {e}", at.display()), "check that the directory can be read"),
    };
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return fail(
            "disk",
            format!("{} is on a read-only disk", at.display()),
            "name a writable directory with --home",
        );
    }
    if let Err(e) = rustix::fs::access(&at, rustix::fs::Access::WRITE_OK) {
        let hint = "check who owns it, or name another directory with --home";
        return fail("disk", format!("{} cannot be written: {e}", at.display()), hint);
    }
    let free_mb = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    let message = format!("{free_mb} MiB free at {}", at.display());
    match free_mb {
        0..128 => fail("disk", message, "free disk space: a run needs about 1 GiB for its journal (journal.max_mb)"),
        128..2048 => warn("disk", message, "free disk space, or lower journal.max_mb"),
        _ => ok("disk", message),
    }
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(n) if n < 256 => warn("files", format!("only {n} files may be open"), "raise it with `ulimit -n 1024`"),
        Some(n) => ok("files", format!("{n} files may be open")),
        None => ok("files", "any number of files may be open"),
    }
}

// ---- the home

fn in_home(home: &Home, checks: &mut Vec<Check>) {
    let running = instance(home, checks);
    token(home, checks);
    latches(home, checks);
    runs(home, running, checks);
    projection(home, checks);
}

/// Whether somebody works in the home.
fn instance(home: &Home, checks: &mut Vec<Check>) -> bool {
    match client::find(home.path()) {
        Ok(Found::Running(client)) => {
            let message = format!("process {} runs {} and its API answers", client.pid, client.run_id);
            match client.get::<serde_json::Value>("/status") {
                Ok(_) => checks.push(ok("instance", message)),
                Err(CliError::User(e)) => checks.push(fail("instance", e.message, e.hint)),
                Err(_) => checks.push(fail("instance", "its API fails", "look into its log, restart it")),
            }
            true
        }
        Ok(_) => {
            checks.push(ok("instance", "none runs"));
            false
        }
        Err(CliError::User(e)) => {
            checks.push(fail("instance", e.message, e.hint));
            true
        }
        Err(_) => {
            checks.push(fail("instance", "the lock cannot be read", "check who owns the home"));
            true
        }
    }
}

fn token(home: &Home, checks: &mut Vec<Check>) {
    checks.push(match home.api_token() {
        Ok(_) => ok("token", "there, and only its owner can read it"),
        Err(HomeError::NoToken { .. }) => ok("token", "none yet; the first run makes it"),
        Err(e) => failed("token", &e),
    });
}

fn latches(home: &Home, checks: &mut Vec<Check>) {
    match store::halts(home) {
        Ok(found) if found.halts.is_empty() => checks.push(ok("latches", "nothing is halted")),
        Ok(found) => {
            for h in found.halts {
                let message = format!("{} is {} since {}: {}", h.scope, super::look::word(h.state), h.since, h.reason);
                checks.push(warn("latches", message, format!("when it is mended: `ctos resume {}`", h.scope)));
            }
        }
        Err(e) => {
            checks.push(fail("latches", e.to_string(), "whatever is in it may be a halt: check, then move it aside"));
        }
    }
}

fn runs(home: &Home, running: bool, checks: &mut Vec<Check>) {
    let all = match home.runs() {
        Ok(all) => all,
        Err(e) => return checks.push(failed("runs", &e)),
    };
    let latest = all.last().map(|r| r.id.clone());
    let mut sound = 0;
    for dir in &all {
        let record = match record_of(dir) {
            Ok(record) => record,
            Err(e) => {
                let hint = format!("look at {}; move the directory aside if you can do without it", dir.path.display());
                checks.push(fail("runs", e.to_string(), hint));
                continue;
            }
        };
        if let Err(e) = dir.read_summary::<Summary>() {
            checks.push(failed("runs", &e));
            continue;
        }
        let is_latest = latest.as_ref() == Some(&dir.id);
        if let Err(e) = JournalReader::open(Arc::new(RealFs), &dir.journal_dir())
            && !(record.status == RunStatus::Running && matches!(e, JournalError::Missing { .. }))
        {
            checks.push(fail(
                "runs",
                format!("run {}: {e}", dir.id),
                "its journal is damaged: keep a copy, start anew with --fresh",
            ));
            continue;
        }
        if record.status == RunStatus::Running && !(running && is_latest) {
            let hint = "`ctos run` with the same settings continues it; `ctos run --fresh` gives it up";
            checks.push(warn("runs", format!("run {} was cut off", dir.id), hint));
            continue;
        }
        sound += 1;
    }
    checks.push(ok("runs", format!("{sound} of {} are sound", all.len())));
}

fn projection(home: &Home, checks: &mut Vec<Check>) {
    let rebuild = "rebuild it with `ctos doctor --rebuild-store`";
    checks.push(match Projection::open_read_only(&home.projection_path()).and_then(|p| p.check()) {
        Ok(()) => ok("store", "sound"),
        Err(ProjectionError::Missing { .. }) => ok("store", "none yet; the first run makes it"),
        Err(e) => fail("store", e.to_string(), rebuild),
    });
}
