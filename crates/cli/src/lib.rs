//! `ctos`: commands, output, exit codes. Wires the faces to the runtime.
//! Never: holds trading logic.
//!
//! A crate with strategies of its own has a `main` of one line, `ctos_cli::main_with(Catalog::with(OWN))`, and thereby
//! every command of `ctos`, with its strategies beside the built-in ones.

mod args;
mod client;
mod commands;
mod error;
mod live;
mod logging;
mod out;
mod settings;
mod usage;

use args::{Cli, Command, ConfigCommand};
use clap::{CommandFactory, FromArgMatches};
pub use ctos_strategies::Catalog;
use error::CliError;
use std::ffi::OsString;
use std::process::ExitCode;

/// The whole command line program, with the strategies of `catalog`. What it returns is the process's exit code: 0 done,
/// 1 the user can mend it, 2 a fault of ours.
pub fn main_with(catalog: Catalog) -> ExitCode {
    main_from(catalog, std::env::args_os())
}

/// As [`main_with`], with arguments of the caller's own. The first is the program's name.
pub fn main_from(catalog: Catalog, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    std::panic::set_hook(Box::new(on_panic));
    match std::panic::catch_unwind(|| command(catalog, &args)) {
        Ok(code) => code,
        Err(panic) => {
            live::restore();
            CliError::Internal(format!("ctos panicked: {}", panic_text(panic.as_ref()))).report(wants_json(&args))
        }
    }
}

/// As far as it can be told of a command line that was not understood.
fn wants_json(args: &[OsString]) -> bool {
    args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

/// Panics of strategies are caught where they happen: they belong into the log, not onto the live view.
fn on_panic(info: &std::panic::PanicHookInfo) {
    let thread = std::thread::current();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let text = panic_text(info.payload());
    tracing::error!(thread = thread.name().unwrap_or_default(), place, "panic: {text}");
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn command(catalog: Catalog, args: &[OsString]) -> ExitCode {
    let parsed = Cli::command().try_get_matches_from(args).and_then(|m| Cli::from_arg_matches(&m).map(|cli| (cli, m)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return usage::report(&error, wants_json(args)),
    };
    match dispatch(&cli, &matches, catalog) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(cli.global.json),
    }
}

fn dispatch(cli: &Cli, matches: &clap::ArgMatches, catalog: Catalog) -> Result<(), CliError> {
    let global = &cli.global;
    match &cli.command {
        Command::Run(args) => {
            let own = matches.subcommand_matches("run").ok_or_else(|| CliError::internal("no flags of run"))?;
            commands::run::run(global, catalog, args, own)
        }
        Command::Replay { run } => commands::replay::replay(global, catalog, run),
        Command::Parity(args) => commands::parity::parity(global, catalog, args),
        Command::Status => commands::look::status(global),
        Command::Orders { all, limit } => commands::look::orders(global, *all, *limit),
        Command::Positions => commands::look::positions(global),
        Command::Fills { limit } => commands::look::fills(global, *limit),
        Command::Halt { scope, reducing, reason } => commands::switch::halt(global, catalog, scope, *reducing, reason),
        Command::Resume { scope, reason } => commands::switch::resume(global, catalog, scope, reason),
        Command::Stop { strategy: None, reason } => commands::switch::stop(global, reason),
        Command::Stop { strategy: Some(id), .. } => commands::switch::strategy(global, id, "stop"),
        Command::Start { strategy } => commands::switch::strategy(global, strategy, "start"),
        Command::Record { command } => commands::record::record(global, command.as_ref()),
        Command::Strategies { name } => commands::strategies::strategies(global, catalog, name.as_deref()),
        Command::Config { command: ConfigCommand::Show { resolved } } => commands::config::show(global, *resolved),
        Command::Doctor { rebuild_store, online } => commands::doctor::doctor(global, catalog, *rebuild_store, *online),
        Command::Backtest(args) => {
            let own =
                matches.subcommand_matches("backtest").ok_or_else(|| CliError::internal("no flags of backtest"))?;
            commands::backtest::backtest(global, catalog, args, own)
        }
        Command::Report(args) => commands::backtest::report(global, args),
        Command::Sweep(args) => {
            let own = matches.subcommand_matches("sweep").ok_or_else(|| CliError::internal("no flags of sweep"))?;
            commands::sweep::sweep(global, catalog, args, own)
        }
        Command::Data(args) => commands::data::data(global, args),
        Command::Twin(args) => commands::twin::twin(global, args),
        Command::Call(args) => commands::call::call(global, args),
        Command::Account(args) => commands::account::account(global, args),
        Command::Bench(args) => commands::bench::bench(global, args),
        Command::Completions { shell } => commands::completions::completions(global, *shell),
    }
}
