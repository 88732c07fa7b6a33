//! Syscalls one at a time: what they are, over which connection they go, and their answers as JSON.
//! Never: an order without a written intent, or past a halt that somebody latched.

mod args;
mod check;
mod clock;
mod gateway;
mod held;
mod instance;
mod intents;
mod live;
mod orders;
mod plausible;
mod shapes;
mod syscalls;
mod ticks;

pub use args::Args;
pub(crate) use check::leverage;
pub use check::{AccountReport, check};
pub use clock::Clock;
pub use ctos_driver_binance::client::{Question, Told};
pub use gateway::{Public, at_the_venue, by_itself, check_within, relay, remember};
pub use instance::Through;
pub use intents::{IntentLog, Intents};
pub use live::{Bounds, run};
pub use orders::may_ask_for_loans;
pub use syscalls::{Param, SYSCALLS, Syscall, find};

use crate::UserError;
use crate::config::{Settings, Speed, VenueAccount};
use crate::live::ClosureStatus;
use crate::runs::NamedLatches;
use crate::secrets;
use ctos_driver_binance::Credentials;
use ctos_driver_binance::client::{Access, Blocking, CallError, Caller, Client, ClientConfig, Direct, Failure};
use ctos_link::{LinkTime, Time};
use ctos_storage::home::{Home, HomeError};
use ctos_types::{AccountId, Decimal, KillState, Nanos, UnixNanos};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// How long a call may wait for room in the budget.
const PATIENCE: Nanos = Nanos::from_secs(20);

/// What happened, for people.
impl From<Failure> for UserError {
    fn from(failure: Failure) -> UserError {
        UserError::new(failure.to_string(), failure.hint())
    }
}

/// A group of the rate limit that an earlier process of this home found closed, and until when on the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedUntil {
    pub group: String,
    pub until: UnixNanos,
    pub banned: bool,
}

/// Where and with which key an account is reached. `keys`: `None` for public questions.
/// `speed`: how many times as fast as the world the clock goes that it is used with.
pub fn access(name: &str, account: &VenueAccount, keys: Option<Credentials>, speed: u32) -> Result<Access, UserError> {
    let extra_roots = match &account.extra_ca {
        None => Vec::new(),
        Some(path) => std::fs::read(path).map_err(|e| {
            let message = format!("cannot read the certificates {}: {e}", path.display());
            UserError::new(message, format!("check extra_ca of the account {name}"))
        })?,
    };
    Ok(Access {
        name: name.into(),
        profile: account.profile.into(),
        rest: account.hosts()?.rest,
        sapi: account.sapi(),
        keys: keys.map(Arc::new),
        recv_window_ms: u32::try_from(account.recv_window.0 / 1_000_000).ok(),
        proxy: account.proxy.as_ref().map(|p| p.proxy().clone()),
        extra_roots,
        patience: PATIENCE,
        speed,
    })
}

/// Whether two spellings mean one symbol.
fn same_symbol(unified: &str, written: &str) -> bool {
    let plain = |s: &str| s.split_once(':').map_or(s, |(_, pair)| pair).to_uppercase().replace(['/', '_'], "-");
    plain(unified) == plain(written)
}

/// Whether a key is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    None,
    /// It makes the answer fuller.
    IfThere,
    Needed,
}

/// A client over connections of its own. `account` is the position in the settings; it must be at a venue.
pub fn connect(settings: &Settings, account: usize, keys: Keys, clock: &Clock) -> Result<Blocking, UserError> {
    let of = &settings.accounts[account];
    let venue = at_venue(settings, account)?;
    let env = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let keys = match keys {
        Keys::None => None,
        Keys::Needed => Some(secrets::credentials(&settings.secrets, venue, env)?),
        Keys::IfThere => {
            let env: Vec<(String, String)> = env.collect();
            match secrets::find(&settings.secrets, &venue.key, env.clone())? {
                Some(_) => Some(secrets::credentials(&settings.secrets, venue, env)?),
                None => None,
            }
        }
    };
    let direct = direct(access(&of.id, venue, keys, clock.speed)?, clock)?;
    let client = Client::new(Arc::new(direct), venue.profile.into(), AccountId(account as u16), of.hedge_mode)
        .with_loans(venue.borrows())
        .with_config(ClientConfig { recv_window: venue.recv_window, ..ClientConfig::default() });
    Ok(Blocking::new(client)?)
}

/// The account's place at a venue, or that it has none.
pub fn at_venue(settings: &Settings, account: usize) -> Result<&VenueAccount, UserError> {
    let of = &settings.accounts[account];
    of.venue.as_ref().ok_or_else(|| {
        UserError::new(
            format!("the account {} is on the simulated exchange", of.id),
            "set its venue and profile (docs/accounts.md), or name another one with --account",
        )
    })
}

pub(crate) fn direct(access: Access, clock: &Clock) -> Result<Direct, UserError> {
    let (now, wall) = (clock.time.now(), clock.time.wall());
    let direct = Direct::new(access, clock.time.clone()).map_err(|e| match e {
        CallError::NotSent { why, hint, .. } => UserError::new(why, hint),
        CallError::Unknown { why } => UserError::new(why, "check the account's settings"),
    })?;
    for c in clock.closed.iter().filter(|c| c.until > wall) {
        direct.resume_closure(&c.group, now.after(c.until - wall), c.banned);
    }
    Ok(direct)
}

/// How a syscall reaches its venue.
#[derive(Clone, Debug)]
pub enum Way {
    /// Over a connection of its own.
    Own(Keys),
    /// Through another process that has the rate budget; for public questions.
    Through(Public),
}

/// One syscall, in this machine's time. `line` takes each line of a stream and says whether more are wanted; then there
/// is no value.
pub fn call(
    settings: &Settings,
    account: usize,
    way: Way,
    args: &Args,
    bounds: &Bounds<'_>,
    intents: &mut dyn Intents,
    line: &mut (dyn FnMut(&Value) -> bool + Send),
) -> Result<Option<Value>, UserError> {
    let (mut client, own) = match way {
        Way::Own(keys) => {
            let clock = Clock::of(settings, at_venue(settings, account)?)?;
            (connect(settings, account, keys, &clock)?, Some(clock))
        }
        Way::Through(caller) => (gateway::client(settings, account, caller)?, None),
    };
    if args.syscall.name == "subscribe_ticks" {
        let time = own.map_or_else(|| Arc::new(LinkTime::start()) as Arc<dyn Time>, |clock| clock.time);
        return ticks::subscribe(settings, account, &mut client, args, time, line).map(|()| None);
    }
    let done = client.with(async |client| run(client, args, bounds, intents).await).map(Some);
    if let Some(clock) = own.filter(Clock::is_machine) {
        keep_closures_of(&settings.home, &**client.client.caller(), &*clock.time);
    }
    done
}

/// What a caller was told to keep away from, for the next process.
fn keep_closures_of(home: &Path, caller: &dyn Caller, time: &dyn Time) {
    let met = caller.closures();
    if met.is_empty() {
        return;
    }
    let wall = time.wall();
    let met = met.into_iter().map(|(group, left, banned)| ClosureStatus { group, until: wall.after(left), banned });
    keep_closures(home, met);
}

/// What venues told earlier processes of this home to keep away from, and is not over yet. A file that cannot be read
/// says nothing: the venue will say it again.
pub fn closures(home: &Path) -> Vec<ClosedUntil> {
    let kept = Home::read_only(home).and_then(|home| home.read_closures::<Vec<ClosureStatus>>());
    let kept = kept.ok().flatten().unwrap_or_default();
    kept.into_iter().map(|c| ClosedUntil { group: c.group, until: c.until, banned: c.banned }).collect()
}

/// As [`closures`], of a run with these settings. A run that goes faster than the world beside a twin keeps them on its
/// twin's clock, which says nothing to this machine's.
pub(crate) fn closures_of(settings: &Settings) -> Vec<ClosedUntil> {
    match settings.speed {
        Speed::Factor(factor) if factor != Decimal::ONE && settings.market.is_live() => Vec::new(),
        _ => closures(&settings.home),
    }
}

/// For the next process. A home that is not there yet is made for it: without it every call would ask into the ban.
fn keep_closures(home: &Path, met: impl Iterator<Item = ClosureStatus>) {
    let made = std::fs::create_dir_all(home).map_err(|e| e.to_string());
    let home = match made.and_then(|()| Home::read_only(home).map_err(|e| e.to_string())) {
        Ok(home) => home,
        Err(error) => return tracing::warn!(error, "what the venue closed is not remembered"),
    };
    let mut all: Vec<ClosureStatus> = home.read_closures().ok().flatten().unwrap_or_default();
    for closure in met {
        all.retain(|c| c.group != closure.group);
        all.push(closure);
    }
    if let Err(error) = home.write_closures(&all) {
        tracing::warn!(%error, "what the venue closed is not remembered");
    }
}

/// As [`check`], on the clock that fits the account's venue.
pub fn check_now(settings: &Settings, account: usize) -> Result<AccountReport, UserError> {
    check(settings, account, &Clock::of(settings, at_venue(settings, account)?)?)
}

/// A moment in text as the milliseconds of the unified shapes; null where it is none.
pub fn millis(text: &str) -> Value {
    args::moment(text).map_or(Value::Null, shapes::ms)
}

/// Why no new risk may be taken on: a halt that was latched in this home, of everything or of the account.
pub fn halted(home: &Path, account: &str) -> Result<Option<UserError>, UserError> {
    let failed = |e: HomeError| {
        let hint = e.hint().unwrap_or_else(|| "ask `ctos doctor`".into());
        UserError::new(format!("whether trading is halted cannot be read: {e}"), hint)
    };
    let home = match Home::read_only(home) {
        Ok(home) => home,
        Err(HomeError::Missing { .. }) => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let latches: NamedLatches = home.read_latches().map_err(failed)?.unwrap_or_default();
    let scopes = ["system".to_owned(), format!("account:{account}")];
    let found = scopes.iter().find_map(|scope| {
        latches.get(scope).filter(|latch| latch.state != KillState::Active).map(|latch| (scope, latch))
    });
    Ok(found.map(|(scope, latch)| {
        UserError::new(
            format!("the kill switch is pulled on {scope}: {}", latch.reason),
            format!("cancels and closing pass; release it with `ctos resume {scope}`"),
        )
    }))
}

#[cfg(test)]
mod tests;
