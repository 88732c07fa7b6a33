//! One instance for each account at a venue: a lock in the user's own directory, whatever home the run is in.
//! Never: writes a key, or anything that one could be guessed from.

use crate::UserError;
use crate::config::VenueAccount;
use ctos_storage::home::{DirLock, HomeError};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Held as long as this lives; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct AccountLock {
    _lock: DirLock,
}

impl AccountLock {
    /// Keeps every other instance of this user away from the account. `api_key` tells accounts apart, since two settings
    /// may call one account by two names.
    ///
    /// `home` is told to whoever finds the account taken.
    ///
    /// # Errors
    /// Another process has it.
    pub fn take(name: &str, account: &VenueAccount, api_key: &str, home: &Path) -> Result<AccountLock, UserError> {
        let dir = dir_of(account, api_key)?;
        let lock = DirLock::take(&dir).map_err(|e| match e {
            HomeError::Busy { pid, .. } => {
                let who = pid.map_or("another ctos process".into(), |pid| format!("ctos process {pid}"));
                UserError::new(
                    format!("the account {name} is traded by {who}"),
                    "two instances on one account would cancel each other's orders: stop the other one first",
                )
            }
            other => UserError::new(
                format!("the lock of the account {name} cannot be taken: {other}"),
                "make the directory writable, or set XDG_STATE_HOME to one that is",
            ),
        })?;
        let home = std::path::absolute(home).unwrap_or_else(|_| home.into());
        // Only a help for others: without it they are told the process alone.
        if let Err(error) = std::fs::write(dir.join(HOME), home.as_os_str().as_encoded_bytes()) {
            tracing::debug!(%error, "where the account is traded from is not written down");
        }
        Ok(AccountLock { _lock: lock })
    }

    /// Which process has the account now, and in which home.
    ///
    /// # Errors
    /// The lock cannot be looked at.
    pub fn holder(account: &VenueAccount, api_key: &str) -> Result<Option<Holder>, UserError> {
        let dir = dir_of(account, api_key)?;
        let pid = DirLock::holder(&dir).map_err(|e| {
            UserError::new(format!("the lock of an account cannot be read: {e}"), "check who owns the directory")
        })?;
        let Some(pid) = pid else { return Ok(None) };
        let home = std::fs::read_to_string(dir.join(HOME)).ok().filter(|text| !text.is_empty()).map(PathBuf::from);
        Ok(Some(Holder { pid, home }))
    }
}

/// Who trades an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// As far as it is known: where that instance's control API is found.
    pub home: Option<PathBuf>,
}

impl Holder {
    /// Whether it works in this home, as far as that is known.
    pub fn is_in(&self, home: &Path) -> bool {
        let same = |held: &PathBuf| {
            let plain = |p: &Path| std::fs::canonicalize(p).or_else(|_| std::path::absolute(p)).ok();
            plain(held) == plain(home)
        };
        self.home.as_ref().is_some_and(same)
    }
}

/// Beside the lock: the home of whoever has it.
const HOME: &str = "home";

fn dir_of(account: &VenueAccount, api_key: &str) -> Result<PathBuf, UserError> {
    let hosts = account.hosts()?;
    let mut sha = Sha256::new();
    for part in ["ctos account lock", &hosts.rest, api_key] {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    let digest = sha.finalize();
    let id: String = digest[..12].iter().map(|b| format!("{b:02x}")).collect();
    Ok(state_dir().join("accounts").join(format!("binance-{}-{id}", account.profile)))
}

/// `$XDG_STATE_HOME/ctos`, else `~/.local/state/ctos`, else in the system's directory for such things.
fn state_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    base.unwrap_or_else(std::env::temp_dir).join("ctos")
}
