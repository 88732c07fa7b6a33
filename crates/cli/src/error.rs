//! What a command can fail with: one line what failed, one line what to try, and the exit code.

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

    /// Tells the user and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            CliError::User(e) => {
                tell(&e.message, &e.hint);
                ExitCode::from(1)
            }
            CliError::Internal(message) => {
                tell(message, OUR_HINT);
                ExitCode::from(2)
            }
            CliError::Silent(code) => ExitCode::from(*code),
        }
    }
}

/// The two lines on stderr. A message of several lines becomes one.
pub fn tell(message: &str, hint: &str) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Nobody is left to tell when stderr is gone.
    let _ = writeln!(std::io::stderr(), "error: {}\nhint: {}", one_line(message), one_line(hint));
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
