//! The runs of a home: one directory each, numbered in the order they were made.
//! Never: leaves a run half made, or tells the order of runs from a clock or from their names.

use super::{Home, HomeError, Result, read_json, write_json};
use crate::fs::{Fs, RealFs, create_dir_durably};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

const HALF_MADE: &str = ".new-";

/// The directory of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    /// The run.
    pub id: String,
    /// Its directory.
    pub path: PathBuf,
    /// Place among the home's runs, counted from 1 in the order they were made.
    pub number: u64,
}

impl RunDir {
    /// Where the journal's segments are.
    pub fn journal_dir(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Where the snapshots are.
    pub fn snapshots_dir(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Writes `run.json`, what the run was started with; durable when this returns.
    pub fn write_run<T: Serialize>(&self, value: &T) -> Result<()> {
        write_json(&self.path.join("run.json"), value)
    }

    /// `run.json`; `None` when it was not written.
    pub fn read_run<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        read_json(&self.path.join("run.json"))
    }

    /// Replaces `recording.json`, what was said last about recording the run's market; durable when this returns.
    pub fn write_recording<T: Serialize>(&self, value: &T) -> Result<()> {
        write_json(&self.path.join("recording.json"), value)
    }

    /// `recording.json`; `None` when nothing was said.
    pub fn read_recording<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        read_json(&self.path.join("recording.json"))
    }

    /// Writes `summary.json`, what the run ended with; durable when this returns.
    pub fn write_summary<T: Serialize>(&self, value: &T) -> Result<()> {
        write_json(&self.path.join("summary.json"), value)
    }

    /// `summary.json`; `None` when the run has not ended.
    pub fn read_summary<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        read_json(&self.path.join("summary.json"))
    }
}

impl Home {
    /// Makes the directory of a new run, whole and durable or not at all.
    ///
    /// # Errors
    /// [`HomeError::BadRunId`], [`HomeError::RunExists`], [`HomeError::ReadOnly`], or what the disk says.
    pub fn create_run<T: Serialize>(&self, run_id: &str, run: &T) -> Result<RunDir> {
        self.require_writable()?;
        check_id(run_id)?;
        let path = self.runs_dir().join(run_id);
        if path.try_exists().map_err(|e| HomeError::io("look up", &path, e))? {
            return Err(HomeError::RunExists { run_id: run_id.into() });
        }
        let number = self.runs()?.last().map_or(0, |r| r.number) + 1;
        let half_made =
            RunDir { id: run_id.into(), path: self.runs_dir().join(format!("{HALF_MADE}{run_id}")), number };
        let make = |dir: &Path| create_dir_durably(&RealFs, dir).map_err(|e| HomeError::io("create", dir, e));
        make(&half_made.path)?;
        make(&half_made.journal_dir())?;
        make(&half_made.snapshots_dir())?;
        half_made.write_run(run)?;
        write_json(&half_made.path.join("number.json"), &number)?;
        let rename = || {
            std::fs::rename(&half_made.path, &path)?;
            RealFs.sync_dir(&self.runs_dir())
        };
        rename().map_err(|e| HomeError::io("create", &path, e))?;
        Ok(RunDir { path, ..half_made })
    }

    /// The directory of an existing run.
    pub fn run(&self, run_id: &str) -> Result<RunDir> {
        check_id(run_id)?;
        let no_run = || HomeError::NoRun { path: self.path.clone(), run_id: run_id.into() };
        self.load(run_id)?.ok_or_else(no_run)
    }

    /// All runs, in the order they were made.
    pub fn runs(&self) -> Result<Vec<RunDir>> {
        let mut runs = Vec::new();
        for name in self.names()? {
            if check_id(&name).is_ok()
                && let Some(run) = self.load(&name)?
            {
                runs.push(run);
            }
        }
        runs.sort_by(|a, b| (a.number, &a.id).cmp(&(b.number, &b.id)));
        Ok(runs)
    }

    /// The run made last; `None` in a new home.
    pub fn latest_run(&self) -> Result<Option<RunDir>> {
        Ok(self.runs()?.pop())
    }

    pub(super) fn runs_dir(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// Removes what a crash in the middle of [`Home::create_run`] left.
    pub(super) fn clear_half_made_runs(&self) -> Result<()> {
        for name in self.names()?.into_iter().filter(|n| n.starts_with(HALF_MADE)) {
            let path = self.runs_dir().join(name);
            std::fs::remove_dir_all(&path).map_err(|e| HomeError::io("remove", &path, e))?;
        }
        Ok(())
    }

    /// `None`: no such run.
    fn load(&self, run_id: &str) -> Result<Option<RunDir>> {
        let path = self.runs_dir().join(run_id);
        if !path.is_dir() {
            return Ok(None);
        }
        let number = read_json(&path.join("number.json"))?;
        Ok(number.map(|number| RunDir { id: run_id.into(), path, number }))
    }

    fn names(&self) -> Result<Vec<String>> {
        let dir = self.runs_dir();
        let io_error = |e| HomeError::io("list", &dir, e);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io_error(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(io_error)?.file_name().into_string().ok());
        }
        Ok(names)
    }
}

/// Ids become directory names and part of file headers.
fn check_id(run_id: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ok = (1..=63).contains(&run_id.len()) && run_id.bytes().all(plain) && !run_id.starts_with('.');
    if ok { Ok(()) } else { Err(HomeError::BadRunId { run_id: run_id.into() }) }
}
