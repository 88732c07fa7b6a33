//! What a command can fail with: one line what failed, one line what to try, and the exit code.

use crate::out;
use ctos_runtime::{RunError, UserError};
use ctos_server::ServerError;
use ctos_storage::home::HomeError;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug)]
pub enum CliError {
    /// Theirs: exit code 1.
    User(UserError),
    /// Ours, or the machine's: exit code 2.
    Internal(String),
    /// Everything was said; only the exit code is left.
    Silent(u8),
}

const OUR_HINT: &str = "this is a fault of ctos or of the machine: `ctos doctor` may know more, -v logs more";

impl CliError {
    pub fn user(message: impl Into<String>, hint: impl Into<String>) -> CliError {
        CliError::User(UserError::new(message, hint))
    }

    pub fn internal(error: impl std::fmt::Display) -> CliError {
        CliError::Internal(error.to_string())
    }

    /// Tells the user and gives the exit code. `json`: a program reads stdout, and finds there what went wrong where it
    /// would have found an answer.
    pub fn report(&self, json: bool) -> ExitCode {
        let (message, hint, code) = match self {
            CliError::User(e) => (&e.message, e.hint.as_str(), 1),
            CliError::Internal(message) => (message, OUR_HINT, 2),
            CliError::Silent(code) => return ExitCode::from(*code),
        };
        tell(message, hint);
        if json {
            error_object(message, hint, code);
        }
        ExitCode::from(code)
    }
}

/// The error as JSON on stdout, unless an answer stands there already. `code`: the exit code.
pub fn error_object(message: &str, hint: &str, code: u8) {
    let value = serde_json::json!({ "error": one_line(message), "hint": one_line(hint), "code": code });
    if !out::has_printed() {
        // Nobody reads a stdout that is gone.
        let _ = out::json(&value);
    }
}

/// The two lines on stderr. A message of several lines becomes one.
pub fn tell(message: &str, hint: &str) {
    say("error", message, hint);
}

/// Two lines about what is worth knowing and stops nothing.
pub fn note(message: &str, hint: &str) {
    say("note", message, hint);
}

fn say(word: &str, message: &str, hint: &str) {
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "{word}: {}\nhint: {}", one_line(message), one_line(hint));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<UserError> for CliError {
    fn from(e: UserError) -> CliError {
        CliError::User(e)
    }
}

impl From<ctos_runtime::config::ConfigError> for CliError {
    fn from(e: ctos_runtime::config::ConfigError) -> CliError {
        CliError::User(e.into())
    }
}

impl From<RunError> for CliError {
    fn from(e: RunError) -> CliError {
        match e {
            RunError::User(e) => CliError::User(e),
            RunError::Internal(e) => CliError::Internal(e),
        }
    }
}

impl From<HomeError> for CliError {
    fn from(e: HomeError) -> CliError {
        RunError::from(e).into()
    }
}

impl From<ctos_storage::projection::ProjectionError> for CliError {
    fn from(e: ctos_storage::projection::ProjectionError) -> CliError {
        RunError::from(e).into()
    }
}

impl From<ServerError> for CliError {
    fn from(e: ServerError) -> CliError {
        match e.hint() {
            Some(hint) => CliError::user(e.to_string(), hint),
            None => CliError::internal(e),
        }
    }
}
