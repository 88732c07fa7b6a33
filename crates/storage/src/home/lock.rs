//! The exclusive lock of a home: an advisory lock of the operating system on the file `lock`.
//! Never: believes a process id alone (ids are reused); only the lock itself says whether somebody writes.

use super::{HomeError, Result};
use ctos_types::UnixNanos;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// The lock, held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

#[derive(Serialize, Deserialize)]
struct Owner {
    pid: u32,
    version: String,
}

fn lock_path(home: &Path) -> PathBuf {
    home.join("lock")
}

impl Lock {
    pub fn take(home: &Path) -> Result<Lock> {
        let path = lock_path(home);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(|e| HomeError::io("open", &path, e))?;
        let mut tries = 1;
        let locked = loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // A reader that asks who the writer is holds a shared lock for a moment; that is not a writer.
                Err(e) if e == rustix::io::Errno::WOULDBLOCK && tries < TRIES => std::thread::sleep(BETWEEN_TRIES),
                done => break done,
            }
            tries += 1;
        };
        match locked {
            Ok(()) => {}
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => return Err(busy(home, &mut file)),
            Err(e) => return Err(HomeError::io("lock", &path, e.into())),
        }
        write_owner(&mut file).map_err(|e| HomeError::io("write", &path, e))?;
        Ok(Lock { _file: file })
    }
}

/// Process that holds the lock now, if any does.
pub(super) fn holder(home: &Path) -> Result<Option<u32>> {
    let path = lock_path(home);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(HomeError::io("open", &path, e)),
    };
    let mut tries = 1;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            // Closing the file gives the shared lock back at once.
            Ok(()) => return Ok(None),
            Err(e) if e == rustix::io::Errno::WOULDBLOCK => {}
            Err(e) => return Err(HomeError::io("lock", &path, e.into())),
        }
        // Whoever has just taken it writes its name a moment later; until then the file is empty.
        match owner(&mut file) {
            None if tries < TRIES => std::thread::sleep(BETWEEN_TRIES),
            found => return Ok(found),
        }
        file.rewind().map_err(|e| HomeError::io("read", &path, e))?;
        tries += 1;
    }
}

fn write_owner(file: &mut File) -> io::Result<()> {
    let owner = Owner { pid: std::process::id(), version: env!("CARGO_PKG_VERSION").into() };
    let text = serde_json::to_string(&owner)?;
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{text}")
}

fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str::<Owner>(&text).ok().map(|o| o.pid)
}

/// The owner writes the file once, when it takes the lock: its modification time is when that was.
fn busy(home: &Path, file: &mut File) -> HomeError {
    let since = file.metadata().ok().and_then(|m| m.mtime().checked_mul(1_000_000_000)).map(UnixNanos);
    HomeError::Busy { path: home.into(), pid: owner(file), since }
}
