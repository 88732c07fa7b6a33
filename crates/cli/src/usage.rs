//! Mistakes on the command line in our two lines; help and version on stdout.

use crate::error::{CliError, tell};
use crate::out;
use clap::error::{Error, ErrorKind};
use std::process::ExitCode;

/// Prints what clap has to say and gives the exit code. `json`: mistakes are told on stdout too, as an object.
pub fn report(error: &Error, json: bool) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match out::print(&error.to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => e.report(json),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nothing was asked: the help is the best answer, but no command was done.
            eprintln!("{error}");
            tell("no command was given", "start with `ctos run`, or read the help above");
            ExitCode::from(1)
        }
        _ => {
            let (message, hint) = two_lines(&error.to_string());
            CliError::user(message, hint).report(json)
        }
    }
}

/// The first paragraph is what is wrong; a tip is the best hint there is.
fn two_lines(text: &str) -> (String, String) {
    let mut message = String::new();
    for line in text.trim_start_matches("error:").trim_start().lines().take_while(|l| !l.trim().is_empty()) {
        message += if message.is_empty() { "" } else { " " };
        message += line.trim();
    }
    let tip = text.lines().find_map(|l| l.trim().strip_prefix("tip:")).map(str::trim);
    let values = text.lines().find_map(|l| l.trim().strip_prefix("[possible values:"));
    let usage = text.lines().find_map(|l| l.trim().strip_prefix("Usage:")).map(str::trim).unwrap_or("ctos --help");
    let command: Vec<&str> = usage.split_whitespace().take_while(|w| !w.starts_with(['-', '[', '<'])).collect();
    let help = format!("see `{} --help`", if command.is_empty() { "ctos".into() } else { command.join(" ") });
    let hint = match (tip, values) {
        (Some(tip), _) => tip.to_owned(),
        (None, Some(values)) => format!("possible values: {}", values.trim_end_matches(']').trim()),
        (None, None) => help,
    };
    (message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn mistakes_become_two_lines() {
        for (args, message, hint) in [
            (vec!["ctos", "rum"], "unrecognized subcommand 'rum'", "'run', 'resume'"),
            (
                vec!["ctos", "run", "--sped", "max"],
                "unexpected argument '--sped' found",
                "a similar argument exists: '--speed'",
            ),
            (
                vec!["ctos", "start"],
                "the following required arguments were not provided: <STRATEGY>",
                "see `ctos start --help`",
            ),
            (
                vec!["ctos", "completions", "dos"],
                "invalid value 'dos' for '<SHELL>'",
                "possible values: bash, elvish, fish, powershell, zsh",
            ),
        ] {
            let error = Cli::command().try_get_matches_from(&args).expect_err("a mistake");
            let (m, h) = two_lines(&error.to_string());
            assert!(m.starts_with(message), "{args:?}: {m}");
            assert!(h.contains(hint), "{args:?}: {h}");
        }
    }

    #[test]
    fn every_command_and_flag_of_run_is_documented() {
        let docs = include_str!("../../../docs/cli.md");
        for sub in Cli::command().get_subcommands() {
            let heading = format!("## `ctos {}", sub.get_name());
            assert!(docs.contains(&heading), "docs/cli.md has no section {heading}");
            // What is hidden is not for people.
            for long in sub.get_arguments().filter(|a| !a.is_hide_set()).filter_map(|a| a.get_long()) {
                assert!(
                    docs.contains(&format!("`--{long}")),
                    "docs/cli.md does not mention --{long} of {}",
                    sub.get_name()
                );
            }
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let leaf = command.get_subcommands().next().is_none();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(!leaf || help.contains("ctos "), "{path} has no example in its help");
            for sub in command.get_subcommands() {
                check(sub, &format!("{path} {}", sub.get_name()));
            }
        }
        check(&Cli::command(), "ctos");
    }
}
