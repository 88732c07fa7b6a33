//! A directory in which twins outlive their process: a state of each product now and then, and every line of its record
//! between them. Never: looks into either.
//!
//! `spot-4.state` is the state before the first line of `spot-4.log`. A line is handed to the system before the reply it
//! is about leaves, so that nothing that was answered is lost with the process.

use super::tls::Tls;
use crate::config::{AccountSetting, Product, TwinError};
use crate::saved::{Entry, State};
use ctos_types::UnixNanos;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const META: &str = "twin.json";
/// What clients of a twin with TLS have to trust.
pub const AUTHORITY: &str = "ca.pem";

/// What a directory's twins are made of: it must be the same whenever they are taken up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    pub venue: String,
    pub seed: u64,
    /// `synthetic`, or the recording.
    pub market: String,
    pub accounts: Vec<AccountSetting>,
    /// The machine's time and the venue's at one moment, and how fast the venue's goes.
    pub clock: (UnixNanos, UnixNanos, f64),
}

/// What is kept of one product.
#[derive(Debug)]
pub struct Found {
    pub state: State,
    pub recorded: Vec<Entry>,
}

/// A locked directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    dir: PathBuf,
    /// Held as long as anything of the directory is in use.
    _lock: Arc<File>,
}

fn cannot(what: &str, path: &Path, e: impl std::fmt::Display) -> TwinError {
    TwinError::new(format!("cannot {what} {}: {e}", path.display()), "check the path, its permissions and the disk")
}

fn damaged(path: &Path, e: impl std::fmt::Display) -> TwinError {
    TwinError::new(
        format!("{} is damaged: {e}", path.display()),
        "use another directory, or remove this one to begin anew",
    )
}

impl StateDir {
    /// Makes the directory where there is none. Errors: it cannot be used, or another twin uses it.
    pub fn open(dir: &Path) -> Result<StateDir, TwinError> {
        make_private(dir).map_err(|e| cannot("make", dir, e))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|e| cannot("open", &path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(StateDir { dir: dir.into(), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(TwinError::new(
                format!("another twin uses {}", dir.display()),
                "stop it, or give this one a directory of its own",
            )),
            Err(TryLockError::Error(e)) => Err(cannot("lock", &path, e)),
        }
    }

    /// `None` where nothing was kept yet.
    pub fn meta(&self) -> Result<Option<Meta>, TwinError> {
        let path = self.dir.join(META);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| damaged(&path, e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(cannot("read", &path, e)),
        }
    }

    /// Writes what the twins are made of. The first time that is the last step: before it nothing counts as kept.
    pub fn set_meta(&self, meta: &Meta) -> Result<(), TwinError> {
        let path = self.dir.join(META);
        write_whole(&path, meta).map_err(|e| cannot("write", &path, e))
    }

    /// The directory's certificate, made the first time, so that clients need to be told only once; and the file with
    /// what they have to trust.
    pub fn tls(&self) -> Result<(Tls, PathBuf), TwinError> {
        let [authority, server] = [AUTHORITY, "server.pem"].map(|name| self.dir.join(name));
        let read = |path: &Path| fs::read_to_string(path).map_err(|e| cannot("read", path, e));
        if server.exists() {
            return Ok((Tls::from_pem(read(&authority)?, read(&server)?)?, authority));
        }
        let tls = Tls::make()?;
        for (path, text) in [(&authority, tls.authority()), (&server, tls.server())] {
            fs::write(path, text).map_err(|e| cannot("write", path, e))?;
        }
        Ok((tls, authority))
    }

    /// Numbers of a product's files with this ending, ascending.
    fn numbers(&self, product: Product, ending: &str) -> Result<Vec<u64>, TwinError> {
        let fail = |e| cannot("read", &self.dir, e);
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name();
            let number =
                name.to_str().and_then(|n| n.strip_prefix(prefix(product))?.strip_suffix(ending)?.parse::<u64>().ok());
            all.extend(number);
        }
        all.sort_unstable();
        Ok(all)
    }

    /// What is kept of a product; `None` when nothing is.
    pub fn find(&self, product: Product) -> Result<Option<Found>, TwinError> {
        let mut why = None;
        for number in self.numbers(product, ".state")?.into_iter().rev() {
            let path = self.path(product, number, ".state");
            let text = fs::read(&path).map_err(|e| cannot("read", &path, e))?;
            match serde_json::from_slice(&text) {
                Ok(state) => return Ok(Some(Found { state, recorded: self.recorded(product, number)? })),
                // The one before it still has all its lines: it goes only after the next one is whole.
                Err(e) => why = why.or(Some(damaged(&path, e))),
            }
        }
        why.map_or(Ok(None), Err)
    }

    fn recorded(&self, product: Product, from: u64) -> Result<Vec<Entry>, TwinError> {
        let logs: Vec<u64> = self.numbers(product, ".log")?.into_iter().filter(|n| *n >= from).collect();
        let mut all = Vec::new();
        for (at, number) in logs.iter().enumerate() {
            let path = self.path(product, *number, ".log");
            let text = fs::read_to_string(&path).map_err(|e| cannot("read", &path, e))?;
            // A line without its end was never answered.
            let whole = match text.rfind('\n') {
                _ if at + 1 < logs.len() => text.as_str(),
                Some(end) => &text[..=end],
                None => "",
            };
            for line in whole.lines() {
                all.push(serde_json::from_str(line).map_err(|e| damaged(&path, e))?);
            }
        }
        Ok(all)
    }

    fn path(&self, product: Product, number: u64, ending: &str) -> PathBuf {
        self.dir.join(format!("{}{number}{ending}", prefix(product)))
    }

    /// Writes a state, and takes lines after it from then on.
    pub(super) fn keep(&self, product: Product, state: &State) -> Result<Keeper, TwinError> {
        let last = |ending| Ok::<_, TwinError>(self.numbers(product, ending)?.last().copied().unwrap_or(0));
        let number = last(".state")?.max(last(".log")?) + 1;
        let keeper = Keeper { dir: self.clone(), product, number, log: self.log(product, number)? };
        self.settle(product, number, state)?;
        Ok(keeper)
    }

    fn log(&self, product: Product, number: u64) -> Result<File, TwinError> {
        let path = self.path(product, number, ".log");
        File::create_new(&path).map_err(|e| cannot("write", &path, e))
    }

    /// Writes a state; what came before it is no longer needed.
    fn settle(&self, product: Product, number: u64, state: &State) -> Result<(), TwinError> {
        let path = self.path(product, number, ".state");
        write_whole(&path, state).map_err(|e| cannot("write", &path, e))?;
        for ending in [".state", ".log"] {
            for old in self.numbers(product, ending)?.into_iter().filter(|n| *n < number) {
                let path = self.path(product, old, ending);
                fs::remove_file(&path).map_err(|e| cannot("remove", &path, e))?;
            }
        }
        Ok(())
    }
}

/// Takes the lines of one product.
#[derive(Debug)]
pub(super) struct Keeper {
    dir: StateDir,
    product: Product,
    number: u64,
    log: File,
}

impl Keeper {
    pub fn append(&mut self, lines: &str) -> Result<(), TwinError> {
        let path = || self.dir.path(self.product, self.number, ".log");
        self.log.write_all(lines.as_bytes()).map_err(|e| cannot("write", &path(), e))
    }

    /// Lines go to a new file from here on; what is returned writes the state they come after, whenever it is called.
    pub fn turn(&mut self, state: State) -> Result<impl FnOnce() -> Result<(), TwinError> + Send + use<>, TwinError> {
        let (dir, product, number) = (self.dir.clone(), self.product, self.number + 1);
        self.log = dir.log(product, number)?;
        self.number = number;
        Ok(move || dir.settle(product, number, &state))
    }
}

fn prefix(product: Product) -> &'static str {
    match product {
        Product::Spot => "spot-",
        Product::UsdM => "usdm-",
    }
}

/// The file is there whole, or not at all.
fn write_whole(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let near = path.with_extension("new");
    let mut file = BufWriter::new(File::create(&near)?);
    serde_json::to_writer(&mut file, value)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&near, path)
}

/// Keys lie in it, if only a twin's.
#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(test)]
mod tests;
