//! What `doctor` looks at of accounts at venues: addresses, keys, locks, bans. With `--online` also what the venue says.
//! Never: asks a venue or a program that holds keys unless it was told to, or shows a key.

use super::{Check, fail, ok, warn};
use ctos_runtime::config::{AccountSettings, Mode, Settings, VenueAccount};
use ctos_runtime::live::AccountLock;
use ctos_runtime::runs::record_of;
use ctos_runtime::{UserError, oneshot, secrets};
use ctos_storage::home::Home;
use ctos_types::UnixNanos;

pub(super) fn look(settings: &Settings, now: UnixNanos, online: bool, checks: &mut Vec<Check>) {
    let mut any = false;
    for (at, account) in settings.accounts.iter().enumerate() {
        let Some(venue) = &account.venue else { continue };
        any = true;
        checks.push(address(account, venue));
        key(settings, account, venue, online, checks);
        if online {
            asked(settings, at, checks);
        }
    }
    if any {
        closures(settings, now, checks);
        tag(settings, checks);
    }
}

fn address(account: &AccountSettings, venue: &VenueAccount) -> Check {
    let place = match venue.is_real() {
        true => "REAL MONEY",
        false => "practice",
    };
    match venue.hosts() {
        Ok(hosts) => ok("account", format!("{}: binance {}, {place}, {}", account.id, venue.profile, hosts.rest)),
        Err(e) => fail("account", format!("{}: {}", account.id, e.message), e.hint),
    }
}

/// The key, and who trades with it.
fn key(settings: &Settings, account: &AccountSettings, venue: &VenueAccount, online: bool, checks: &mut Vec<Check>) {
    let env = || std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    if let (Some(program), false) = (settings.secrets.command.first(), online) {
        let message = format!("{}: comes from the program {program}, which was not asked", account.id);
        checks.push(warn("key", message, "`ctos doctor --online` asks it, and the venue"));
        return;
    }
    let found = secrets::find(&settings.secrets, &venue.key, env()).ok().flatten().map(|key| key.found_in.clone());
    let holder = match secrets::credentials(&settings.secrets, venue, env()) {
        Ok(keys) => {
            let place = found.unwrap_or_else(|| "its place".into());
            checks.push(ok("key", format!("{}: readable, in {place}, for nobody but its owner", account.id)));
            AccountLock::holder(venue, keys.api_key())
        }
        Err(UserError { message, hint }) => {
            checks.push(fail("key", format!("{}: {message}", account.id), hint));
            return;
        }
    };
    checks.push(match holder {
        Ok(None) => ok("lock", format!("{}: nobody trades it", account.id)),
        Ok(Some(holder)) => {
            let home = holder.home.map_or(String::new(), |home| format!(" (home {})", home.display()));
            ok("lock", format!("{}: ctos process {} trades it{home}", account.id, holder.pid))
        }
        Err(UserError { message, hint }) => fail("lock", message, hint),
    });
}

/// What the venue says: a line for each thing that was found, or one that there is nothing.
fn asked(settings: &Settings, at: usize, checks: &mut Vec<Check>) {
    let report = match oneshot::check_now(settings, at) {
        Ok(report) => report,
        Err(UserError { message, hint }) => return checks.push(fail("venue", message, hint)),
    };
    let account = &report.account;
    for f in &report.findings {
        let message = format!("{account}: {}", f.what);
        checks.push(match f.severity.as_str() {
            "refusal" => fail("venue", message, f.hint.clone()),
            "warning" => warn("venue", message, f.hint.clone()),
            _ => ok("venue", message),
        });
    }
    if report.findings.is_empty() {
        checks.push(ok("venue", format!("{account}: ready to trade")));
    }
}

fn closures(settings: &Settings, now: UnixNanos, checks: &mut Vec<Check>) {
    let shut: Vec<_> = oneshot::closures(&settings.home).into_iter().filter(|c| c.until > now).collect();
    if shut.is_empty() {
        checks.push(ok("bans", "none in force that this home knows of"));
    }
    for c in shut {
        let word = if c.banned { "has banned this address" } else { "asks for a pause" };
        let hint = "nothing is asked there before that; every try would make it longer";
        checks.push(warn("bans", format!("{} {word} until {}", c.group, c.until), hint));
    }
}

/// By what the orders of the last live run are known at the venue.
fn tag(settings: &Settings, checks: &mut Vec<Check>) {
    let latest = Home::read_only(&settings.home).and_then(|home| home.latest_run()).ok().flatten();
    if let Some(record) = latest.and_then(|dir| record_of(&dir).ok()).filter(|r| r.settings.mode == Mode::Live) {
        let first = ctos_types::ClientOrderId { tag: record.tag, seq: 1 };
        checks.push(ok("orders", format!("those of run {} are called {first}, and so on", record.run_id)));
    }
}
