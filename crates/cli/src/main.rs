//! `ctos`: commands, output, exit codes. Wires the faces to the runtime.
//! Never: holds trading logic.

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
use error::CliError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage::report(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    match dispatch(&cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

fn dispatch(cli: &Cli, matches: &clap::ArgMatches) -> Result<(), CliError> {
    let global = &cli.global;
    match &cli.command {
        Command::Run(args) => {
            let own = matches.subcommand_matches("run").ok_or_else(|| CliError::internal("no flags of run"))?;
            commands::run::run(global, args, own)
        }
        Command::Replay { run } => commands::replay::replay(global, run),
        Command::Status => commands::look::status(global),
        Command::Orders { all, limit } => commands::look::orders(global, *all, *limit),
        Command::Positions => commands::look::positions(global),
        Command::Fills { limit } => commands::look::fills(global, *limit),
        Command::Halt { scope, reducing, reason } => commands::switch::halt(global, scope, *reducing, reason),
        Command::Resume { scope, reason } => commands::switch::resume(global, scope, reason),
        Command::Stop { strategy: None, reason } => commands::switch::stop(global, reason),
        Command::Stop { strategy: Some(id), .. } => commands::switch::strategy(global, id, "stop"),
        Command::Start { strategy } => commands::switch::strategy(global, strategy, "start"),
        Command::Strategies { name } => commands::strategies::strategies(global, name.as_deref()),
        Command::Config { command: ConfigCommand::Show { resolved } } => commands::config::show(global, *resolved),
        Command::Doctor { rebuild_store } => commands::doctor::doctor(global, *rebuild_store),
        Command::Completions { shell } => commands::completions::completions(global, *shell),
    }
}
