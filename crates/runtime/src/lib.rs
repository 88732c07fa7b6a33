//! Init: configuration, the shard loop, recovery, watchdog, observers. Wires the kernel to drivers and storage.
//! Never: parses a venue's wire format, knows a face.

pub mod alerts;
pub mod brake;
pub mod config;
mod fit;
pub mod instance;
pub mod live;
pub mod market;
pub mod oneshot;
pub mod record;
pub mod replay;
pub mod runs;
pub mod secrets;
pub mod shard;
pub mod stats;
pub mod summary;
pub mod view;
pub mod watchdog;
pub mod world;

/// Something the user can mend: what failed, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    pub message: String,
    /// Without the `hint:` in front.
    pub hint: String,
}

impl UserError {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> UserError {
        UserError { message: message.into(), hint: hint.into() }
    }
}

impl From<config::ConfigError> for UserError {
    fn from(e: config::ConfigError) -> UserError {
        UserError { message: e.message, hint: e.hint }
    }
}

/// Why a run could not be started or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Theirs: exit code 1.
    #[error("{0}")]
    User(#[from] UserError),
    /// Ours, or the machine's: exit code 2.
    #[error("{0}")]
    Internal(String),
}

impl RunError {
    pub(crate) fn internal(error: impl std::fmt::Display) -> RunError {
        RunError::Internal(error.to_string())
    }
}
