//! The results file of a sweep: a header, then one line a finished trial, appended as they finish.
//! Never: trusts a line whose hash does not fit; a line cut off by a kill is dropped, and its trial run again.

use super::trial::{Trial, TrialResult, hash};
use ctos_runtime::{RunError, UserError};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Name of the results file in a sweep's folder.
pub const RESULTS: &str = "results.jsonl";
/// Held while a process works on a sweep.
const LOCK: &str = ".lock";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// Format of the file.
    ctos_sweep: u32,
    /// Hash of everything that decides the sweep.
    sweep: String,
    /// What is swept, for readers.
    settings: serde_json::Value,
}

/// A finished trial.
#[derive(Debug, Serialize, Deserialize)]
struct Line<R> {
    /// [`Trial::id`].
    trial: String,
    result_hash: String,
    result: R,
}

/// A sweep's folder, in the hands of this process.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    file: File,
    /// Held until dropped.
    _lock: File,
}

/// What an earlier process has finished, by trial.
pub type Finished = HashMap<String, TrialResult>;

impl Store {
    /// Opens the sweep's folder, or makes it. `settings` are what the sweep is of; a folder of other ones is refused.
    /// With `fresh` earlier results are given up.
    ///
    /// # Errors
    /// Another process works on it, it is of another sweep, or a line in the middle is damaged.
    pub fn open<T: Serialize>(dir: &Path, settings: &T, fresh: bool) -> Result<(Store, Finished), RunError> {
        let lock = lock(dir)?;
        let path = dir.join(RESULTS);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(|e| cannot("open", &path, &e))?;
        if fresh {
            file.set_len(0).map_err(|e| cannot("empty", &path, &e))?;
        }
        let header = Header {
            ctos_sweep: super::trial::FORMAT,
            sweep: hash(settings),
            settings: serde_json::to_value(settings).map_err(|e| RunError::Internal(e.to_string()))?,
        };
        let (finished, whole) = read(&path, &file, &header)?;
        // What a kill left of the last line would run into the next one.
        file.set_len(whole).map_err(|e| cannot("cut", &path, &e))?;
        file.seek(SeekFrom::End(0)).map_err(|e| cannot("read", &path, &e))?;
        let mut store = Store { dir: dir.into(), file, _lock: lock };
        if whole == 0 {
            store.line(&header)?;
        }
        Ok((store, finished))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds a finished trial. It survives the end of this process, not a loss of power.
    pub fn add(&mut self, trial: &Trial, result: &TrialResult) -> Result<(), RunError> {
        self.line(&Line { trial: trial.id(), result_hash: result.hash(), result })
    }

    fn line<T: Serialize>(&mut self, value: &T) -> Result<(), RunError> {
        let mut text = serde_json::to_vec(value).map_err(|e| RunError::Internal(e.to_string()))?;
        text.push(b'\n');
        // One write: the system takes it whole unless the disk is full.
        self.file.write_all(&text).map_err(|e| cannot("write", &self.dir.join(RESULTS), &e))
    }

    /// Everything that was added survives a loss of power from here on.
    pub fn sync(&mut self) -> Result<(), RunError> {
        self.file.sync_data().map_err(|e| cannot("write", &self.dir.join(RESULTS), &e))
    }
}

fn lock(dir: &Path) -> Result<File, RunError> {
    std::fs::create_dir_all(dir).map_err(|e| cannot("make", dir, &e))?;
    let path = dir.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|e| cannot("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let hint = "wait for it, or choose another folder with --out";
            Err(UserError::new(format!("another process works on the sweep in {}", dir.display()), hint).into())
        }
        Err(TryLockError::Error(e)) => Err(cannot("lock", &path, &e)),
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> RunError {
    let message = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            UserError::new(message, "make room on the disk; the same command then goes on").into()
        }
        _ => UserError::new(message, "choose a folder that can be written with --out").into(),
    }
}

/// The finished trials, and how many bytes of the file are whole lines.
fn read(path: &Path, file: &File, want: &Header) -> Result<(Finished, u64), RunError> {
    let (mut reader, mut line) = (BufReader::new(file), Vec::new());
    let (mut finished, mut whole) = (Finished::new(), 0u64);
    for number in 1u64.. {
        line.clear();
        let n = reader.read_until(b'\n', &mut line).map_err(|e| cannot("read", path, &e))?;
        if line.last() != Some(&b'\n') {
            break;
        }
        if number == 1 {
            check_header(path, &line, want)?;
        } else {
            let (trial, result) = trial(&line).ok_or_else(|| {
                let hint = "--fresh begins anew; it gives up what is in the folder";
                UserError::new(format!("{}, line {number}: damaged", path.display()), hint)
            })?;
            finished.insert(trial, result);
        }
        whole += n as u64;
    }
    Ok((finished, whole))
}

fn check_header(path: &Path, line: &[u8], want: &Header) -> Result<(), UserError> {
    let shown = path.display();
    let hint = "choose another folder with --out, or begin anew with --fresh";
    let found: Header = serde_json::from_slice(line)
        .map_err(|_| UserError::new(format!("{shown} is not a results file of ctos sweep"), hint))?;
    if found.ctos_sweep != want.ctos_sweep || found.sweep != want.sweep {
        return Err(UserError::new(format!("{shown} holds another sweep"), hint));
    }
    Ok(())
}

fn trial(line: &[u8]) -> Option<(String, TrialResult)> {
    let line: Line<TrialResult> = serde_json::from_slice(line).ok()?;
    (line.result.hash() == line.result_hash).then_some((line.trial, line.result))
}

#[cfg(test)]
mod tests {
    use super::super::schedule::tests::some_trial;
    use super::*;

    fn result(n: u64) -> TrialResult {
        TrialResult { events: n, ..TrialResult::default() }
    }

    fn message(e: RunError) -> String {
        match e {
            RunError::User(e) => e.message,
            RunError::Internal(e) => panic!("not the user's: {e}"),
        }
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_the_file_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, none) = Store::open(dir.path(), &"a sweep", false).unwrap();
        assert!(none.is_empty());
        for n in 0..3 {
            store.add(&some_trial(n), &result(n)).unwrap();
        }
        drop(store);
        let path = dir.path().join(RESULTS);
        let whole = std::fs::read(&path).unwrap();
        let lines = whole.split_inclusive(|b| *b == b'\n').collect::<Vec<_>>();
        let third = whole.len() - lines[3].len();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut store, found) = Store::open(dir.path(), &"a sweep", false).unwrap();
            let ends: usize = (1..4).filter(|n| cut >= lines[..=*n].iter().map(|l| l.len()).sum()).count();
            assert_eq!(found.len(), ends, "cut at {cut}");
            store.add(&some_trial(9), &result(9)).unwrap();
            drop(store);
            let (_, again) = Store::open(dir.path(), &"a sweep", false).unwrap();
            assert_eq!(again[&some_trial(9).id()], result(9));
            assert_eq!(again.len(), ends + 1, "cut at {cut}");
        }
        std::fs::write(&path, &whole).unwrap();
        let mut bad = whole.clone();
        let at = third - 10;
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let error = message(Store::open(dir.path(), &"a sweep", false).unwrap_err());
        assert!(error.ends_with("line 3: damaged"), "{error}");
        assert!(Store::open(dir.path(), &"a sweep", true).unwrap().1.is_empty());
    }

    #[test]
    fn one_folder_one_sweep_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let held = Store::open(dir.path(), &"a sweep", false).unwrap();
        let busy = message(Store::open(dir.path(), &"a sweep", false).unwrap_err());
        assert!(busy.contains("another process works"), "{busy}");
        drop(held);
        let other = message(Store::open(dir.path(), &"another", false).unwrap_err());
        assert!(other.contains("holds another sweep"), "{other}");
        std::fs::write(dir.path().join(RESULTS), "time,price\n").unwrap();
        let foreign = message(Store::open(dir.path(), &"a sweep", false).unwrap_err());
        assert!(foreign.contains("not a results file"), "{foreign}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(message(Store::open(&file, &"a sweep", false).unwrap_err()).contains("cannot make"));
    }
}
