//! The link's running gateway as a run has it: status in people's words, bans on the machine's clock.
//! Never: decides anything.

use super::recording::Recording;
use super::{AccountStatus, BudgetStatus, ClosureStatus, Full, Gateway, GatewayStatus, LinkStatus};
use crate::UserError;
use crate::config::VenueAccount;
use ctos_link::Time;
use ctos_link::clock::ClockConfig;
use ctos_link::dial::Dialer;
use ctos_link::gateway::shell::{self, GatewayConfig, Handle, Running};
use ctos_link::gateway::{Notice, Part, VenueWords};
use ctos_link::http::HttpConfig;
use ctos_link::rate::{Closure, GroupId};
use ctos_types::{Command, EventBuf, Nanos, UnixNanos};
use std::sync::Arc;
use std::time::Duration;

/// How the whole way to an open connection is bounded.
const DIAL_WITHIN: Nanos = Nanos::from_secs(10);
/// Answers may take this long in the real world, however fast the run's clock goes.
const ANSWER_WITHIN: Nanos = Nanos::from_secs(10);

/// A gateway and the parts of it that are accounts.
#[derive(Debug)]
struct Shell {
    running: Running,
    /// By part: whether it is an account's.
    desks: Vec<bool>,
    recording: Arc<Recording>,
}

/// What a gateway is started with.
pub(super) struct Setup {
    pub words: Box<dyn VenueWords>,
    pub parts: Vec<Box<dyn Part>>,
    pub time: Arc<dyn Time>,
    /// How much faster than the world the clock goes.
    pub speed: u32,
    pub closures: Vec<ClosureStatus>,
    /// Of the parts that are markets.
    pub recording: Arc<Recording>,
}

/// Starts it. `places`: everything it will connect to, by settings. The handle is for questions of people.
pub(super) fn spawn(places: &[&VenueAccount], setup: Setup) -> Result<(Box<dyn Gateway>, Handle), UserError> {
    let Setup { words, parts, time, speed, closures, recording } = setup;
    let answer_within = Nanos(ANSWER_WITHIN.0.saturating_mul(i64::from(speed.max(1))));
    let config = GatewayConfig {
        name: "binance".into(),
        time: time.clone(),
        dialer: dialer(places, speed)?,
        http: HttpConfig { answer_within, ..HttpConfig::default() },
        clock: ClockConfig::default(),
        closures: closures.iter().map(|c| onto(&*time, c)).collect(),
    };
    let desks = parts.iter().map(|part| !part.accounts().is_empty()).collect();
    let running = shell::spawn(config, words, parts)
        .map_err(|e| UserError::new(e.to_string(), "write addresses as https://host or http://127.0.0.1:PORT"))?;
    let handle = running.handle();
    Ok((Box::new(Shell { running, desks, recording }), handle))
}

/// One way out for all: certificates add up, proxies must not contradict each other.
fn dialer(places: &[&VenueAccount], speed: u32) -> Result<Dialer, UserError> {
    let mut roots = Vec::new();
    let mut files: Vec<_> = places.iter().filter_map(|p| p.extra_ca.as_ref()).collect();
    files.dedup();
    for path in files {
        let text = std::fs::read(path).map_err(|e| {
            let message = format!("cannot read the certificates {}: {e}", path.display());
            UserError::new(message, "check extra_ca")
        })?;
        roots.extend(text);
    }
    let proxy = places.first().and_then(|p| p.proxy.as_ref());
    if places.iter().any(|p| p.proxy.as_ref() != proxy) {
        return Err(UserError::new(
            "the accounts of one run go different ways out",
            "use one proxy for all, or two homes",
        ));
    }
    let within = Nanos(DIAL_WITHIN.0.saturating_mul(i64::from(speed.max(1))));
    Dialer::new(&roots, proxy.map(|p| p.proxy().clone()), within).map_err(|e| UserError::new(e.to_string(), e.hint()))
}

/// From the machine's clock onto the gateway's.
fn onto(time: &dyn Time, closure: &ClosureStatus) -> Closure {
    let until = time.now().after(closure.until - time.wall());
    // The number is the budget's own; a closure is known by its name.
    Closure { group: GroupId(0), name: closure.group.clone(), until, banned: closure.banned }
}

pub(super) fn off(time: &dyn Time, closure: &Closure) -> ClosureStatus {
    // Whole seconds: the two clocks are read one after the other, and a ban must not seem to change all the time.
    let left = closure.until - time.now();
    let until = time.wall().after(left).floor(Nanos::from_secs(1)).after(Nanos::from_secs(1));
    ClosureStatus { group: closure.name.clone(), until, banned: closure.banned }
}

/// Of an address as `wss://host/path`.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

impl Gateway for Shell {
    fn send(&mut self, command: &Command) -> Result<(), Full> {
        self.running.send(*command).map_err(|_| Full)
    }

    fn poll(&mut self, event: &mut Box<EventBuf>) -> Option<UnixNanos> {
        self.running.poll(event)
    }

    fn wait(&mut self, at_most: Duration) {
        self.running.wait(at_most);
    }

    fn now(&self) -> UnixNanos {
        self.running.now()
    }

    fn notices(&mut self) -> Vec<Notice> {
        self.running.notices()
    }

    fn status(&self) -> GatewayStatus {
        let (status, time) = (self.running.status(), self.running.time());
        let ms = |span: Nanos| span.0 as f64 / 1e6;
        let name = |part: u16| status.parts.get(usize::from(part)).map_or("", |p| p.name.as_str());
        let links = status.sockets.iter().map(|s| LinkStatus {
            name: format!("{} {}", name(s.part), s.socket.0),
            up: s.open,
            state: if s.open { "open" } else { "opening" }.into(),
            since: s.since,
        });
        let entries = status.entries.iter().map(|e| LinkStatus {
            name: format!("orders to {}", host(&e.address)),
            up: e.open,
            state: if e.open { "open: orders go this way" } else { "down: orders go by REST" }.into(),
            since: e.since,
        });
        let budgets = status.usage.iter().map(|u| BudgetStatus {
            name: u.meter.clone(),
            window_s: u.period.0 / 1_000_000_000,
            used: u.used,
            limit: u.limit.into(),
        });
        let desks = status.parts.iter().zip(&self.desks).filter(|(_, desk)| **desk);
        let accounts = desks.map(|(part, _)| AccountStatus {
            account: part.name.clone(),
            known: part.live,
            doubts: part.doubts.len(),
            state: part.doubts.first().cloned().unwrap_or_else(|| if part.live { "live" } else { "starting" }.into()),
        });
        GatewayStatus {
            links: links.chain(entries).collect(),
            clock_offset_ms: status.clock.offset.map(ms),
            clock_doubt_ms: status.clock.uncertainty.map(ms),
            budgets: budgets.collect(),
            closures: status.closures.iter().map(|c| off(&*time, c)).collect(),
            accounts: accounts.collect(),
            recording: Some(self.recording.status()),
        }
    }

    fn ended(&self) -> Option<String> {
        self.running.ended()
    }

    fn stop(&mut self, within: Duration) {
        self.running.stop(within);
        // Nothing comes any more: what was recorded is whole.
        self.recording.finish();
    }
}
