//! The recording switch of a run, thrown while it goes on: all its live markets at once, into one directory.
//! Never: holds up the market or the kernel, overwrites a file, or leaves a half-made recording behind a refusal.

use super::ClosureStatus;
use crate::UserError;
use crate::shard::lock;
use ctos_link::Time;
use ctos_link::capture::{CaptureStart, CaptureStatus, CaptureSwitch, Directory, Prepared};
use ctos_storage::home::RunDir;
use ctos_types::{Nanos, UnixNanos};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};

/// How the recording of a run is, or how the last one of this process went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingStatus {
    /// Frames of at least one market are taken now.
    pub on: bool,
    /// Where the files are. `None`: nothing was recorded since this process began.
    pub dir: Option<PathBuf>,
    /// On the run's clock.
    pub since: Option<UnixNanos>,
    pub files: u64,
    /// Lines from the venue: frames, and snapshots of books.
    pub frames: u64,
    /// Compressed, on the disk.
    pub bytes: u64,
    /// One row for each market that can be recorded.
    pub markets: Vec<MarketRecording>,
}

/// The recording of one market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketRecording {
    /// As the files' names begin: `binance-usdm`.
    pub name: String,
    pub on: bool,
    /// The file that is written, or was last.
    pub file: Option<PathBuf>,
    pub files: u64,
    pub frames: u64,
    pub bytes: u64,
    /// Lines that tell of a hole; one more than holes in each file that has ended.
    pub gaps: u64,
    /// Frames that the disk was too slow for.
    pub lost: u64,
    /// Books that a reader of the recording does not have yet. `None`: not known, or nothing is recorded.
    pub books_missing: Option<u64>,
    /// What the disk said, where it ended the recording.
    pub fault: Option<String>,
}

/// What became of a word to start or stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordDone {
    /// False: it was so already.
    pub changed: bool,
    /// What to know beside it, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    pub recording: RecordingStatus,
}

/// A person's last word on a run's recording: it holds when the run is cut off and goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastWord {
    /// `None`: stop.
    dir: Option<PathBuf>,
    /// The setting `record` when it was said. Another one since then is the newer word.
    setting: Option<PathBuf>,
}

/// What closes addresses of the markets now.
type Closures = Box<dyn Fn() -> Vec<ClosureStatus> + Send + Sync>;

/// The switches of a run's markets as one. Any thread may throw it; one at a time does.
pub struct Recording {
    switches: Vec<Arc<CaptureSwitch>>,
    time: Arc<dyn Time>,
    closures: OnceLock<Closures>,
    turn: Mutex<Turn>,
    of: OnceLock<Of>,
}

#[derive(Debug, Default)]
struct Turn {
    /// Of the recording that was turned on last.
    dir: Option<PathBuf>,
    /// The run has ended.
    over: bool,
}

/// The run that it belongs to.
#[derive(Debug)]
struct Of {
    run: RunDir,
    /// The setting `record`.
    setting: Option<PathBuf>,
    /// Where directories without a name are made.
    home: PathBuf,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("switches", &self.switches).field("turn", &self.turn).finish_non_exhaustive()
    }
}

/// Where a run that begins, or goes on, records from its first moment, and whether it may not begin where that fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFrom {
    /// A setting that is new: what was to be recorded does not begin without.
    pub first: Option<PathBuf>,
    /// As it was when the run was cut off: orders may be open, and the run goes on with or without it.
    pub again: Option<PathBuf>,
}

impl RecordFrom {
    /// `run`: the run that goes on, with its setting `record` when it began; `None`: a new one. `setting`: as it is now.
    ///
    /// # Errors
    /// What was written down about the run cannot be read.
    pub fn of(
        run: Option<(&RunDir, Option<&PathBuf>)>,
        setting: Option<&PathBuf>,
    ) -> Result<RecordFrom, ctos_storage::home::HomeError> {
        let Some((run, begun_with)) = run else { return Ok(RecordFrom { first: setting.cloned(), again: None }) };
        let word = match run.read_recording()? {
            Some(word) => word,
            None => LastWord { dir: begun_with.cloned(), setting: begun_with.cloned() },
        };
        Ok(match word.setting.as_ref() == setting {
            true => RecordFrom { first: None, again: word.dir },
            false => RecordFrom { first: setting.cloned(), again: None },
        })
    }
}

impl Recording {
    /// All off.
    pub fn new(switches: Vec<Arc<CaptureSwitch>>, time: Arc<dyn Time>) -> Recording {
        Recording { switches, time, closures: OnceLock::new(), turn: Mutex::default(), of: OnceLock::new() }
    }

    /// Where it is told what the markets' addresses may not be asked for now.
    pub fn heed_closures(&self, closures: impl Fn() -> Vec<ClosureStatus> + Send + Sync + 'static) {
        // Once: the gateway behind it is opened once.
        let _ = self.closures.set(Box::new(closures));
    }

    /// From now on a person's word is kept in `run`, and a directory without a name is made in `home`.
    pub fn attach(&self, run: RunDir, setting: Option<PathBuf>, home: PathBuf) {
        // Once a run; a second time would change nothing.
        let _ = self.of.set(Of { run, setting, home });
    }

    pub fn status(&self) -> RecordingStatus {
        let rows: Vec<(&CaptureSwitch, Option<CaptureStatus>)> =
            self.switches.iter().map(|s| (&**s, s.status())).collect();
        let newest = rows.iter().filter_map(|(_, r)| r.as_ref()).max_by_key(|r| (r.on, r.since));
        let (on, dir) = (newest.is_some_and(|r| r.on), newest.map(|r| r.place.clone()));
        let markets: Vec<MarketRecording> = rows.iter().map(|(s, r)| market(s.name(), r.as_ref())).collect();
        let same = rows.iter().filter_map(|(_, r)| r.as_ref()).filter(|r| Some(&r.place) == dir.as_ref());
        let sum = |figure: fn(&CaptureStatus) -> u64| same.clone().map(figure).sum();
        RecordingStatus {
            on,
            since: same.clone().map(|r| r.since).min(),
            files: sum(|r| r.files),
            frames: sum(|r| r.frames),
            bytes: sum(|r| r.bytes),
            dir,
            markets,
        }
    }

    /// Turns it on. Without `dir`: where it is on already, or by the setting `record`, or in a new directory in the home.
    /// Into another directory than the one it is on in, it goes on there without a frame between.
    ///
    /// # Errors
    /// Nothing can be written there, the run is ending, or another one is being carried out. What was on stays on.
    pub fn start(&self, dir: Option<&Path>) -> Result<RecordDone, UserError> {
        let mut turn = self.turn()?;
        let is_on = self.switches.iter().any(|s| s.is_on());
        let dir = match (dir, &turn.dir) {
            (Some(dir), _) => absolute(dir)?,
            (None, Some(dir)) if is_on => dir.clone(),
            (None, _) => self.usual()?,
        };
        let here = turn.dir.as_ref().is_some_and(|now| is_same(now, &dir));
        let off: Vec<&Arc<CaptureSwitch>> = self.switches.iter().filter(|s| !(here && s.is_on())).collect();
        let mut notices = Vec::new();
        let changed = !off.is_empty();
        if changed {
            let ended = self.turn_on(&off, &dir)?;
            notices.extend(ended.iter().map(|old| format!("ended: {}", told(old))));
            turn.dir = Some(dir.clone());
            tracing::info!("recording: turned on, into {}", dir.display());
        }
        self.remember(Some(dir));
        if changed {
            notices.extend(self.closures.get().into_iter().flat_map(|now| now()).map(|c| shut(&c)));
        }
        Ok(RecordDone { changed, notices, recording: self.status() })
    }

    /// Turns it off and waits until everything is on the disk, in whole files.
    ///
    /// # Errors
    /// Another start or stop is being carried out, or the run is ending.
    pub fn stop(&self) -> Result<RecordDone, UserError> {
        let _turn = self.turn()?;
        let ended = self.end();
        self.remember(None);
        let notices: Vec<String> = ended.iter().map(told).collect();
        for line in &notices {
            tracing::info!("recording: turned off; {line}");
        }
        match ended.iter().find_map(|end| end.error.clone()) {
            None => Ok(RecordDone { changed: !ended.is_empty(), notices, recording: self.status() }),
            Some(why) => Err(UserError::new(
                format!("the recording has ended, and its last part is not on the disk: {why}"),
                "what came before can be read; look at the disk before the next `ctos record start`",
            )),
        }
    }

    /// The run has ended: what is on is finished, and nothing begins any more.
    pub fn finish(&self) {
        // Whoever turns it on now must be done first.
        lock(&self.turn).over = true;
        for end in self.end() {
            tracing::info!("recording: the run has ended; {}", told(&end));
        }
    }

    fn end(&self) -> Vec<CaptureStatus> {
        self.switches.iter().filter(|s| s.is_on()).filter_map(|s| s.stop()).collect()
    }

    /// Everything is made before anything is changed.
    fn turn_on(&self, off: &[&Arc<CaptureSwitch>], dir: &Path) -> Result<Vec<CaptureStatus>, UserError> {
        let (now, was_there) = (self.time.now(), dir.exists());
        let ready: Result<Vec<Prepared>, CaptureStart> =
            off.iter().map(|s| s.prepare(now, Box::new(Directory(dir.into())))).collect();
        let ready = ready.map_err(|e| {
            if !was_there {
                // Of no use to anybody; one that has something in it stays.
                let _ = std::fs::remove_dir(dir);
            }
            UserError::new(
                e.to_string(),
                "name a directory that can be written to and has room; nothing else has changed",
            )
        })?;
        Ok(off.iter().zip(ready).filter_map(|(s, ready)| s.begin(ready)).filter(|old| old.frames > 0).collect())
    }

    fn turn(&self) -> Result<MutexGuard<'_, Turn>, UserError> {
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let hint = "wait a moment, then look with `ctos record`";
                return Err(UserError::new("the recording is being turned on or off already", hint));
            }
        };
        if turn.over {
            return Err(UserError::new("the run is ending: nothing is recorded any more", "look with `ctos status`"));
        }
        Ok(turn)
    }

    /// Where it is recorded when nobody says where.
    fn usual(&self) -> Result<PathBuf, UserError> {
        match self.of.get() {
            Some(Of { setting: Some(dir), .. }) => absolute(dir),
            Some(Of { run, home, .. }) => {
                let second = self.time.now().floor(Nanos::from_secs(1)).to_string();
                let stamp: String = second.chars().filter(char::is_ascii_alphanumeric).collect();
                absolute(&home.join("recordings").join(format!("{}-{stamp}", run.id)))
            }
            None => Err(UserError::new("the run is still starting", "try again in a moment")),
        }
    }

    /// Keeps a person's word for when the run goes on after a cut.
    fn remember(&self, dir: Option<PathBuf>) {
        let Some(Of { run, setting, .. }) = self.of.get() else { return };
        if let Err(error) = run.write_recording(&LastWord { dir, setting: setting.clone() }) {
            tracing::error!(%error, "whether to record could not be written down: a run that is cut off would forget it");
        }
    }
}

fn market(name: &str, r: Option<&CaptureStatus>) -> MarketRecording {
    MarketRecording {
        name: name.into(),
        on: r.is_some_and(|r| r.on),
        file: r.map(|r| r.file.clone()),
        files: r.map_or(0, |r| r.files),
        frames: r.map_or(0, |r| r.frames),
        bytes: r.map_or(0, |r| r.bytes),
        gaps: r.map_or(0, |r| r.gaps),
        lost: r.map_or(0, |r| r.lost),
        books_missing: r.and_then(|r| r.books_missing),
        fault: r.and_then(|r| r.error.clone()),
    }
}

/// How a recording went, for people.
fn told(end: &CaptureStatus) -> String {
    let lost = if end.lost > 0 { format!(", {} frames lost to a slow disk", end.lost) } else { String::new() };
    let fault = end.error.as_ref().map_or(String::new(), |e| format!(", the end missing ({e})"));
    let files = if end.files == 1 { "file" } else { "files" };
    format!("{}: {} frames in {} {files}{lost}{fault}", end.place.display(), end.frames, end.files)
}

/// What a ban does to a recording that begins in it.
fn shut(closure: &ClosureStatus) -> String {
    let word = if closure.banned { "has banned this address" } else { "wants a pause" };
    let ClosureStatus { group, until, .. } = closure;
    format!("{group} {word} until {until}: what comes over the streams is recorded, the books follow after that")
}

fn absolute(dir: &Path) -> Result<PathBuf, UserError> {
    std::path::absolute(dir).map_err(|e| UserError::new(format!("{:?}: {e}", dir.display()), "name a directory"))
}

/// Whether both names are one directory, as far as that can be told.
fn is_same(a: &Path, b: &Path) -> bool {
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.into());
    a == b || real(a) == real(b)
}

#[cfg(test)]
mod tests;
