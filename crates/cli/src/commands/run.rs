//! `run`: starts or continues a run, shows it live or logs it, and ends it in order.
//! Never: decides about trading.

use super::{confirm, summary};
use crate::args::{Global, RunArgs};
use crate::error::{CliError, tell};
use crate::live::{self, Watching};
use crate::logging::{self, Tail};
use crate::{out, settings};
use clap::ArgMatches;
use ctos_runtime::config::{Mode, Settings};
use ctos_runtime::instance::{Handle, Instance};
use ctos_runtime::runs::{self, StartOptions};
use ctos_runtime::summary::Summary;
use ctos_runtime::watchdog::Intervention;
use ctos_server::Bound;
use ctos_strategies::Catalog;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::time::{Duration, Instant};

/// Real time between status lines where there is no live view.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Exit code when the user does not wait for the end.
const ABORTED: i32 = 130;
/// Exit code of a fault of ours.
const FAULT: i32 = 2;

pub fn run(global: &Global, catalog: Catalog, args: &RunArgs, matches: &ArgMatches) -> Result<(), CliError> {
    let settings = settings::for_run(global, args, matches)?;
    let on_screen = !args.plain && !global.json && live::is_possible();
    let tail = on_screen.then(Tail::default);
    logging::start(&settings.log, global.verbose, global.quiet, tail.clone());
    let confirmed = if settings.mode == Mode::Live { confirm::live(&settings, args.yes) } else { Ok(()) };
    let result = confirmed.and_then(|()| run_with(&settings, catalog, args, tail.clone()));
    if result.is_err() {
        // What the live view would have shown explains the error.
        for line in tail.iter().flat_map(|t| t.last(20)) {
            eprintln!("{line}");
        }
    }
    let summary = result?;
    out::show(global.json, &summary, summary::text)
}

fn run_with(settings: &Settings, catalog: Catalog, args: &RunArgs, tail: Option<Tail>) -> Result<Summary, CliError> {
    // An address that cannot be had is found before anything is made on disk.
    let bound = if settings.api.enabled { Some(Bound::bind(settings.api.bind)?) } else { None };
    let names: Vec<String> = settings.strategies.iter().map(|s| s.id.clone()).collect();
    let on_hang = Box::new(move |what| give_up(&what, &names));
    let (fresh, cancel_leftovers) = (args.fresh, args.cancel_leftovers);
    let options = StartOptions { fresh, cancel_leftovers, catalog, ..StartOptions::new(on_hang) };
    let (instance, home) = runs::start(settings.clone(), options)?;
    for notice in &instance.notices {
        tracing::info!("{notice}");
    }
    tracing::info!(run_id = instance.run_id, market = %settings.market, speed = %settings.speed, home = %home.path().display(), "run started");
    catch_signals(&instance.handle)?;
    let server = bound.map(|b| b.serve(instance.handle.clone(), home.clone(), settings, &instance.run_id)).transpose();
    let server = match server {
        Ok(server) => server,
        Err(e) => {
            instance.handle.stop("the control API could not be opened");
            instance.join()?;
            return Err(e.into());
        }
    };
    if let Some(server) = &server {
        tracing::info!(address = %server.address, "control API");
    }
    match tail {
        Some(tail) => live::show(&Watching { instance: &instance, settings, home: &home, tail: &tail })?,
        None => follow(&instance),
    }
    let summary = instance.join();
    drop(server);
    Ok(summary?)
}

/// Waits for the end with a status line now and then.
fn follow(instance: &Instance) {
    let mut due = Instant::now() + STATUS_EVERY;
    while !instance.is_finished() {
        std::thread::sleep(Duration::from_millis(10));
        if Instant::now() >= due {
            due += STATUS_EVERY;
            status_line(&instance.handle);
        }
    }
}

fn status_line(handle: &Handle) {
    let Some(view) = handle.view.latest() else { return };
    let s = &view.summary;
    let equity: Vec<String> = s
        .equity
        .iter()
        .flat_map(|(account, all)| all.iter().map(move |(c, e)| format!("{account} {} {c}", e.end)))
        .collect();
    tracing::info!(
        market_time = s.to,
        events_in = s.events_in,
        fills = s.fills,
        open_orders = s.open_orders,
        denied = s.orders.denied,
        equity = equity.join(", "),
        realized = summary::amounts(&s.realized_pnl, out::money),
        unrealized = summary::amounts(&s.unrealized_pnl, out::money),
        fees = summary::amounts(&s.fees, out::money),
        halts = view.latches.len(),
        step_p50_ns = s.step_latency_ns.p50,
        step_p99_ns = s.step_latency_ns.p99,
        "status"
    );
}

/// The first signal ends the run in order, the second at once.
fn catch_signals(handle: &Handle) -> Result<(), CliError> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(CliError::internal)?;
    let handle = handle.clone();
    let wait = move || {
        for (n, _) in signals.forever().enumerate() {
            if n > 0 {
                abort();
            }
            tracing::info!("ending the run: cancelling, settling; once more to abort at once");
            handle.stop("interrupted");
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(CliError::internal)?;
    Ok(())
}

/// Ends the process now. Nothing that was acknowledged is lost: the next start recovers it.
pub fn abort() -> ! {
    live::restore();
    tell("aborted before the run was settled", "`ctos run` with the same settings continues it");
    std::process::exit(ABORTED);
}

/// The watchdog had to act: the kernel's thread does not come back, so the process ends.
fn give_up(what: &Intervention, strategies: &[String]) {
    live::restore();
    let who = match what.strategy.and_then(|s| strategies.get(s.0 as usize)) {
        Some(name) => format!("strategy {name} did not return from input {}", what.seq),
        None => format!("the kernel did not finish input {}", what.seq),
    };
    let orders = match what.open_orders {
        _ if what.not_cancelled.is_some() => "and it is NOT KNOWN whether orders are open at the venue".to_owned(),
        0 => "all orders are cancelled".to_owned(),
        n => format!("{n} orders are STILL OPEN"),
    };
    tell(
        &format!("watchdog: {who}; the system is halted, {orders}"),
        "find out why, then `ctos resume` and `ctos run`: the run goes on without that strategy",
    );
    std::process::exit(FAULT);
}
