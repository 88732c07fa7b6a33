//! The home directory: who may write it, the API token, the running instance's address, latches, and the runs.
//! Never: prints a secret, trusts a token file that others can read, or takes a damaged latch file for an empty one.

mod lock;
mod runs;
#[cfg(test)]
mod tests;
mod token;

pub use runs::RunDir;
pub use token::ApiToken;

use crate::fs::{Fs, RealFs, create_dir_durably, write_atomic};
use ctos_types::UnixNanos;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A home directory, open for writing (one process at a time) or for reading.
///
/// ```text
/// lock  api-token  api.json  latches.json  closures.json  projection.sqlite  runs/<run_id>/{run.json,summary.json,recording.json,journal/,snapshots/}
/// ```
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    /// Held as long as this lives; the system releases it when the process ends, however it ends.
    lock: Option<lock::Lock>,
}

/// The lock of a directory that is no home: a resource that only one process may use at a time.
#[derive(Debug)]
pub struct DirLock {
    _lock: lock::Lock,
}

impl DirLock {
    /// Takes it, making the directory where it is missing, and keeps it until dropped.
    ///
    /// # Errors
    /// [`HomeError::Busy`] when another process (or another handle in this one) has it.
    pub fn take(dir: &Path) -> Result<DirLock> {
        create_dir_durably(&RealFs, dir).map_err(|e| HomeError::io("create", dir, e))?;
        Ok(DirLock { _lock: lock::Lock::take(dir)? })
    }

    /// Which process has it now; `None`: nobody, or there is no such directory.
    ///
    /// # Errors
    /// The lock file cannot be read.
    pub fn holder(dir: &Path) -> Result<Option<u32>> {
        if dir.exists() { lock::holder(dir) } else { Ok(None) }
    }
}

/// Where the running instance listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiInfo {
    /// `host:port` of the control API.
    pub address: String,
    /// Process that listens.
    pub pid: u32,
    /// Run it is working on.
    pub run_id: String,
}

/// Why the home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another process has it open for writing.
    #[error("{} is in use by {}{}", path.display(), pid.map_or("another ctos process".into(), |p| format!("ctos process {p}")), since.map_or(String::new(), |t| format!(", running since {t}")))]
    Busy {
        /// The home.
        path: PathBuf,
        /// Who has it, where the lock file says.
        pid: Option<u32>,
        /// When that process opened it.
        since: Option<UnixNanos>,
    },
    /// There is no such home.
    #[error("no ctos home at {}", path.display())]
    Missing { path: PathBuf },
    /// Opened for reading only.
    #[error("{} is open for reading only", path.display())]
    ReadOnly { path: PathBuf },
    /// No API token was made yet.
    #[error("no API token at {}", path.display())]
    NoToken { path: PathBuf },
    /// Others than the owner can get at the token.
    #[error("API token file {} has mode {mode:03o}, others can read it", path.display())]
    TokenMode { path: PathBuf, mode: u32 },
    /// A file that is not what it should be.
    #[error("{} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    /// A run id that cannot be a directory name.
    #[error("{run_id:?} is not a run id (letters, digits, '-', '_' and '.', at most 63)")]
    BadRunId { run_id: String },
    /// There is no such run.
    #[error("no run {run_id:?} in {}", path.display())]
    NoRun { path: PathBuf, run_id: String },
    /// The run is there already.
    #[error("run {run_id:?} exists already")]
    RunExists { run_id: String },
    /// What the disk says.
    #[error("{op} {}: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
}

impl HomeError {
    /// What a person can try.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            HomeError::Busy { pid: Some(pid), .. } => {
                format!("stop it with `ctos stop` (or `kill {pid}`), or give this run its own directory with --home")
            }
            HomeError::Busy { pid: None, .. } => {
                "stop it with `ctos stop`, or use another directory with --home".into()
            }
            HomeError::Missing { .. } => "check --home, or start a run there first with `ctos run`".into(),
            HomeError::NoToken { .. } => "start an instance first with `ctos run`".into(),
            HomeError::TokenMode { path, .. } => format!("make it private with `chmod 600 {}`", path.display()),
            HomeError::Damaged { path, .. } => {
                format!("look at {} and move it aside if you can do without it", path.display())
            }
            HomeError::NoRun { .. } => "list the runs with `ctos status --json`".into(),
            HomeError::RunExists { .. } => "choose another run id".into(),
            HomeError::BadRunId { .. } | HomeError::ReadOnly { .. } => return None,
            HomeError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "check who owns the directory, or use another with --home".into(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free disk space".into(),
                io::ErrorKind::ReadOnlyFilesystem => "use a writable directory with --home".into(),
                _ => return None,
            },
        })
    }

    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> HomeError {
        HomeError::Io { op, path: path.into(), source }
    }
}

type Result<T> = std::result::Result<T, HomeError>;

impl Home {
    /// Opens the home for writing, creating it when it is missing, and keeps every other writer out until dropped.
    ///
    /// # Errors
    /// [`HomeError::Busy`] when another process (or another handle in this one) has it.
    pub fn open(path: &Path) -> Result<Home> {
        create_dir_durably(&RealFs, path).map_err(|e| HomeError::io("create", path, e))?;
        let lock = lock::Lock::take(path)?;
        let home = Home { path: path.into(), lock: Some(lock) };
        let runs = home.runs_dir();
        create_dir_durably(&RealFs, &runs).map_err(|e| HomeError::io("create", &runs, e))?;
        home.clear_half_made_runs()?;
        Ok(home)
    }

    /// Opens an existing home for reading; a running instance is not disturbed.
    pub fn read_only(path: &Path) -> Result<Home> {
        match path.metadata() {
            Ok(m) if m.is_dir() => Ok(Home { path: path.into(), lock: None }),
            Ok(_) => Err(HomeError::Missing { path: path.into() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(HomeError::Missing { path: path.into() }),
            Err(e) => Err(HomeError::io("open", path, e)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this handle keeps other writers out.
    pub fn is_writable(&self) -> bool {
        self.lock.is_some()
    }

    /// Process that has the home open for writing now; `None` when nobody has. For a writable home this process.
    pub fn writer(&self) -> Result<Option<u32>> {
        if self.is_writable() { Ok(Some(std::process::id())) } else { lock::holder(&self.path) }
    }

    /// Where the SQLite projection lives.
    pub fn projection_path(&self) -> PathBuf {
        self.path.join("projection.sqlite")
    }

    /// The API token; a writable home makes one when there is none.
    ///
    /// # Errors
    /// [`HomeError::TokenMode`] when others can read it, [`HomeError::Damaged`] when it is not a token.
    pub fn api_token(&self) -> Result<ApiToken> {
        token::read_or_make(&self.path.join("api-token"), self.is_writable())
    }

    /// Publishes where this instance listens.
    pub fn write_api(&self, info: &ApiInfo) -> Result<()> {
        self.write_json("api.json", info)
    }

    /// Where the instance that has this home listens. `None` when none runs: what a killed instance left is ignored.
    pub fn read_api(&self) -> Result<Option<ApiInfo>> {
        let Some(info) = self.read_json::<ApiInfo>("api.json")? else { return Ok(None) };
        Ok(self.writer()?.filter(|pid| *pid == info.pid).map(|_| info))
    }

    /// Withdraws the published address.
    pub fn remove_api(&self) -> Result<()> {
        self.require_writable()?;
        let path = self.path.join("api.json");
        match RealFs.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(HomeError::io("remove", &path, e)),
            _ => Ok(()),
        }
    }

    /// Replaces the kill-switch latches; durable when this returns.
    pub fn write_latches<T: Serialize>(&self, latches: &T) -> Result<()> {
        self.write_json("latches.json", latches)
    }

    /// The latches as last written; `None` when none ever were. A damaged file is an error: it must not release one.
    pub fn read_latches<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.read_json("latches.json")
    }

    /// Replaces what venues told this home to keep away from; durable when this returns. Any process that asks a venue
    /// may, whoever has the home open: the file is replaced whole, and what is lost between two of them is asked once more.
    pub fn write_closures<T: Serialize>(&self, closures: &T) -> Result<()> {
        write_json(&self.path.join("closures.json"), closures)
    }

    /// The closures as last written; `None` when none ever were.
    pub fn read_closures<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.read_json("closures.json")
    }

    fn require_writable(&self) -> Result<()> {
        if self.is_writable() { Ok(()) } else { Err(HomeError::ReadOnly { path: self.path.clone() }) }
    }

    fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        self.require_writable()?;
        write_json(&self.path.join(name), value)
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        read_json(&self.path.join(name))
    }
}

/// Writes `value` as JSON so that the file is whole at any moment and durable at the end.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let damaged = |e: serde_json::Error| HomeError::Damaged { path: path.into(), why: e.to_string() };
    let mut text = serde_json::to_vec_pretty(value).map_err(damaged)?;
    text.push(b'\n');
    write_atomic(&RealFs, path, &text).map_err(|e| HomeError::io("write", path, e))
}

/// `None` when there is no such file.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match RealFs.read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(HomeError::io("read", path, e)),
    };
    let damaged = |e: serde_json::Error| HomeError::Damaged { path: path.into(), why: e.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}
