//! The recording switch of one market: every frame as it came, one line each, in the form that captures are read in.
//! Never: holds up a link (a full queue loses frames and counts them), hides what was lost (a line says so where it
//! was), or tries a disk again that has failed.
//!
//! A feed tells it each frame that it uses, once, and answers that belong between them. A reader of a file knows only
//! what is in it, so a new file, or a place where frames were lost, begins a new *chapter*: the feed then asks for its
//! books again, for the recording alone. That is all that it takes to be thrown at any moment, from any thread.

mod volumes;
mod writer;

pub use volumes::{Directory, Shelf, Volume};

use ctos_types::{Nanos, UnixNanos};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use volumes::Volumes;
use writer::{Running, Tally, gap_line};

/// Why the last line of a file is a gap's.
const ENDS: &str = "the recording ends";
const GOES_ON: &str = "goes on in ";

/// Whether this is why a recorded file is over, and no frame before that is missing.
pub fn is_end(why: &str) -> bool {
    why == ENDS || why.starts_with(GOES_ON)
}

/// News that nobody took.
const MAX_NEWS: usize = 64;

/// Bounds of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Bytes of a compressed file after which the next one begins.
    pub file_bytes: u64,
    /// Frames and bytes that may wait for the disk.
    pub frames: usize,
    pub bytes: usize,
    /// After a loss so long is waited for the disk, and until half of what may wait is written: each loss costs a
    /// question for every book.
    pub pause: Nanos,
}

impl Default for CaptureLimits {
    fn default() -> CaptureLimits {
        CaptureLimits { file_bytes: 256 << 20, frames: 65_536, bytes: 64 << 20, pause: Nanos::from_secs(10) }
    }
}

/// How a recording goes, or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureStatus {
    /// Frames are taken now.
    pub on: bool,
    /// Where files are made.
    pub place: PathBuf,
    /// The file that is written, or was last.
    pub file: PathBuf,
    /// When it was turned on.
    pub since: UnixNanos,
    pub files: u64,
    /// Lines from the venue: frames, and snapshots that were asked for.
    pub frames: u64,
    /// Lines of holes, the one at each file's end included.
    pub gaps: u64,
    /// Compressed, of all files.
    pub bytes: u64,
    /// Frames that found the queue full.
    pub lost: u64,
    /// Lines that wait for the disk.
    pub waiting: u64,
    /// Books that a reader of what was written up to now does not have. `None`: the feed has not looked yet.
    pub books_missing: Option<u64>,
    /// The disk's word, where it failed: nothing was written after it.
    pub error: Option<String>,
}

/// What people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureNews {
    /// A file was begun.
    File(PathBuf),
    /// So many frames are missing: the disk was too slow.
    Lost(u64),
    /// The disk failed: the recording has ended.
    Failed(String),
}

/// The recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum CaptureStart {
    #[error("cannot write a capture in {}: {source}", at.display())]
    Open { at: PathBuf, source: io::Error },
    #[error("a recording is running already")]
    Running,
}

/// Shared by the feed, the writer's thread and whoever turns it on and off. Off, it costs one read of a number a frame.
#[derive(Debug)]
pub struct CaptureSwitch {
    /// First part of the files' names: `binance-usdm`.
    name: String,
    limits: CaptureLimits,
    running: Mutex<Option<Running>>,
    /// Of the recording that was turned on last.
    last: Mutex<Option<Arc<Tally>>>,
    started: AtomicU64,
    board: Arc<Board>,
}

/// What the feed looks at.
#[derive(Debug, Default)]
struct Board {
    /// Number of the recording that is on; 0: none.
    on: AtomicU64,
    chapter: AtomicU64,
    /// What the feed said last, and in which chapter.
    books_missing: AtomicU64,
    heeded: AtomicU64,
    news: Mutex<VecDeque<CaptureNews>>,
}

/// A recording whose first file is there, and that waits to be turned on. Dropped, it leaves no file behind.
#[derive(Debug)]
pub struct Prepared(Option<Running>);

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.abandon();
        }
    }
}

impl Board {
    fn tell(&self, news: CaptureNews) {
        let mut list = lock(&self.news);
        if list.len() == MAX_NEWS {
            list.pop_front();
        }
        list.push_back(news);
    }

    /// Books must be shown again, or there is news.
    fn turn(&self) {
        self.chapter.fetch_add(1, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it left whole values behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CaptureSwitch {
    /// Off. `name` is the first part of the files' names.
    pub fn new(name: &str, limits: CaptureLimits) -> CaptureSwitch {
        CaptureSwitch {
            name: name.into(),
            limits,
            running: Mutex::default(),
            last: Mutex::default(),
            started: AtomicU64::new(0),
            board: Arc::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_on(&self) -> bool {
        self.board.on.load(Ordering::Relaxed) != 0
    }

    /// Changes whenever a reader of what is written from here on knows nothing of what was before, when the recording
    /// ends, and when there is news.
    #[inline]
    pub fn chapter(&self) -> u64 {
        self.board.chapter.load(Ordering::Acquire)
    }

    /// What people should hear of, in order; emptied by the call.
    pub fn news(&self) -> Vec<CaptureNews> {
        lock(&self.board.news).drain(..).collect()
    }

    /// Of the recording that is on, or else of the last one; `None`: there was none.
    pub fn status(&self) -> Option<CaptureStatus> {
        let last = lock(&self.last).clone()?;
        let on = self.board.on.load(Ordering::Acquire) == last.number;
        let heeded = self.board.heeded.load(Ordering::Acquire) == self.chapter();
        let books_missing = (on && heeded).then(|| self.board.books_missing.load(Ordering::Relaxed));
        Some(CaptureStatus { on, books_missing, ..last.status() })
    }

    /// Makes the first file of a recording on `shelf`, named after `now`, without turning it on. Nothing is ever
    /// overwritten.
    ///
    /// # Errors
    /// It cannot be created, or there is no room for a first byte: no file is left.
    pub fn prepare(&self, now: UnixNanos, shelf: Box<dyn Shelf>) -> Result<Prepared, CaptureStart> {
        let at = shelf.place();
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let made = Volumes::begin(shelf, &self.name, self.limits.file_bytes, now)
            .and_then(|volumes| Running::spawn(volumes, (number, now), self.limits, &self.board));
        made.map(|running| Prepared(Some(running))).map_err(|source| CaptureStart::Open { at, source })
    }

    /// Turns a prepared recording on. One that is on ends with the frame before, and its end is returned: between the
    /// two nothing is missing. Waits until that one is on the disk.
    pub fn begin(&self, mut prepared: Prepared) -> Option<CaptureStatus> {
        let new = prepared.0.take()?;
        new.tally.keep();
        self.board.tell(CaptureNews::File(new.tally.file()));
        *lock(&self.last) = Some(new.tally.clone());
        let old = {
            let mut running = lock(&self.running);
            self.board.on.store(new.tally.number, Ordering::Release);
            running.replace(new)
        };
        self.board.turn();
        old.map(|old| old.end(&self.board))
    }

    /// [`CaptureSwitch::prepare`] and [`CaptureSwitch::begin`], where nothing is recorded.
    ///
    /// # Errors
    /// It cannot be created, or a recording runs.
    pub fn start(&self, now: UnixNanos, shelf: Box<dyn Shelf>) -> Result<(), CaptureStart> {
        if self.is_on() {
            return Err(CaptureStart::Running);
        }
        self.begin(self.prepare(now, shelf)?);
        Ok(())
    }

    /// Takes a frame as received, from a stream or a snapshot from a query, with the time it arrived at.
    pub fn frame(&self, at: UnixNanos, frame: &str) {
        if !self.is_on() {
            return;
        }
        if let Some(running) = &mut *lock(&self.running) {
            running.put(at, frame, &self.board, self.limits);
        }
    }

    /// Frames may be missing from here on back to `since`: a line of its own says so.
    pub fn gap(&self, at: UnixNanos, since: UnixNanos, stream: Option<&str>, why: &str) {
        if self.is_on() {
            self.frame(at, &gap_line(since, stream, why));
        }
    }

    /// How many books a reader of the recording does not have, in this chapter.
    pub(crate) fn lacks(&self, chapter: u64, books: u64) {
        self.board.books_missing.store(books, Ordering::Relaxed);
        self.board.heeded.store(chapter, Ordering::Release);
    }

    /// Ends the recording and waits until it is on the disk. `None`: there was none.
    pub fn stop(&self) -> Option<CaptureStatus> {
        let running = {
            let mut running = lock(&self.running);
            self.board.on.store(0, Ordering::Release);
            running.take()?
        };
        self.board.turn();
        Some(running.end(&self.board))
    }
}

impl Drop for CaptureSwitch {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
