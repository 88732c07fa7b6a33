//! The recording switch of one market: every frame as it came, one line each, in the form that captures are read in.
//! Never: holds up a link (a full queue loses frames and counts them), hides what was lost (a line says so where it
//! was), or tries a disk again that has failed.
//!
//! A feed tells it each frame that it uses, once, and answers that belong between them. A reader of a file knows only
//! what is in it, so a new file, or a place where frames were lost, begins a new *chapter*: the feed then asks for its
//! books again, for the recording alone.

mod volumes;

pub use volumes::{Directory, Shelf, Volume};

use ctos_types::{Nanos, UnixNanos};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use volumes::Volumes;

/// What is written reaches the file at least this often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
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

/// How a recording went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureEnd {
    pub files: u64,
    /// Lines written.
    pub lines: u64,
    /// Frames that found the queue full.
    pub lost: u64,
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
    board: Arc<Board>,
}

/// What the writer's thread tells.
#[derive(Debug, Default)]
struct Board {
    on: AtomicBool,
    chapter: AtomicU64,
    /// In the queue.
    waiting: AtomicUsize,
    bytes: AtomicUsize,
    news: Mutex<VecDeque<CaptureNews>>,
}

#[derive(Debug)]
struct Running {
    sender: SyncSender<(UnixNanos, String)>,
    writer: JoinHandle<(u64, u64, Option<String>)>,
    /// Lost since the last line that was taken, and since when.
    missing: Option<(u64, UnixNanos)>,
    lost: u64,
    last: UnixNanos,
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
        let board = Arc::default();
        CaptureSwitch { name: name.into(), limits, running: Mutex::default(), board }
    }

    pub fn is_on(&self) -> bool {
        self.board.on.load(Ordering::Relaxed)
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

    /// Begins to write to a new file on `shelf`, named after `now`. Nothing is ever overwritten.
    ///
    /// # Errors
    /// It cannot be created, or a recording runs.
    pub fn start(&self, now: UnixNanos, shelf: Box<dyn Shelf>) -> Result<(), CaptureStart> {
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(|r| !r.writer.is_finished()) {
            return Err(CaptureStart::Running);
        }
        let at = shelf.place();
        let open = |source| CaptureStart::Open { at: at.clone(), source };
        let volumes = Volumes::begin(shelf, &self.name, self.limits.file_bytes, now).map_err(open)?;
        self.board.tell(CaptureNews::File(volumes.path()));
        let (sender, receiver) = sync_channel(self.limits.frames);
        let board = self.board.clone();
        board.waiting.store(0, Ordering::Relaxed);
        board.bytes.store(0, Ordering::Relaxed);
        let writer =
            std::thread::Builder::new().name("capture".into()).spawn(move || write(volumes, &receiver, &board));
        let writer = writer.map_err(open)?;
        *running = Some(Running { sender, writer, missing: None, lost: 0, last: now });
        self.board.on.store(true, Ordering::Release);
        self.board.turn();
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

    /// Ends the recording and waits until it is on the disk. `None`: there was none.
    pub fn stop(&self) -> Option<CaptureEnd> {
        let mut running = lock(&self.running).take()?;
        self.board.on.store(false, Ordering::Release);
        running.tell_missing(running.last, &self.board);
        let Running { sender, writer, lost, missing, .. } = running;
        drop(sender);
        let panicked = |_| (0, 0, Some("the writer panicked".to_string()));
        let (files, lines, error) = writer.join().unwrap_or_else(panicked);
        self.board.turn();
        Some(CaptureEnd { files, lines, lost: lost + missing.map_or(0, |(n, _)| n), error })
    }
}

impl Drop for CaptureSwitch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    fn put(&mut self, at: UnixNanos, frame: &str, board: &Board, limits: CaptureLimits) {
        self.last = at;
        let (waiting, bytes) = (board.waiting.load(Ordering::Relaxed), board.bytes.load(Ordering::Relaxed));
        let room = match self.missing {
            None => bytes.saturating_add(frame.len()) <= limits.bytes,
            Some((_, since)) => at - since >= limits.pause && waiting <= limits.frames / 2 && bytes <= limits.bytes / 2,
        };
        let told = room && self.tell_missing(at, board);
        // A newline in JSON is only space between its tokens; in the file it would end the line.
        let line = || if frame.contains(['\n', '\r']) { frame.replace(['\n', '\r'], " ") } else { frame.to_owned() };
        if !(told && self.send(at, line(), board)) {
            let (count, _) = self.missing.get_or_insert((0, at));
            *count += 1;
        }
    }

    /// Says in the recording what is missing before the next line. False: there is no room for that either.
    fn tell_missing(&mut self, at: UnixNanos, board: &Board) -> bool {
        let Some((count, since)) = self.missing else { return true };
        let why = format!("the disk was too slow for {count} frames");
        if !self.send(at, gap_line(since, None, &why), board) {
            return false;
        }
        self.missing = None;
        self.lost += count;
        board.tell(CaptureNews::Lost(count));
        board.turn();
        true
    }

    fn send(&mut self, at: UnixNanos, line: String, board: &Board) -> bool {
        let size = line.len();
        board.waiting.fetch_add(1, Ordering::Relaxed);
        board.bytes.fetch_add(size, Ordering::Relaxed);
        let sent = self.sender.try_send((at, line)).is_ok();
        if !sent {
            board.waiting.fetch_sub(1, Ordering::Relaxed);
            board.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }
}

/// The line of a gap: JSON like every other, of a kind that no venue sends.
fn gap_line(since: UnixNanos, stream: Option<&str>, why: &str) -> String {
    let quoted = |text: &str| {
        let mut out = String::from('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_control() => out.push(' '),
                c => out.push(c),
            }
        }
        out.push('"');
        out
    };
    let stream = stream.map_or_else(|| "null".into(), quoted);
    format!("{{\"ctos\":\"gap\",\"since\":{},\"stream\":{stream},\"why\":{}}}", since.0, quoted(why))
}

/// The writer's thread: files and lines written, and the disk's word where it failed.
fn write(mut volumes: Volumes, frames: &Receiver<(UnixNanos, String)>, board: &Board) -> (u64, u64, Option<String>) {
    let mut flushed = Instant::now();
    let result = (|| {
        loop {
            match frames.recv_timeout(FLUSH_EVERY.saturating_sub(flushed.elapsed())) {
                Ok((at, line)) => {
                    board.waiting.fetch_sub(1, Ordering::Relaxed);
                    board.bytes.fetch_sub(line.len(), Ordering::Relaxed);
                    if volumes.line(at, &line)? {
                        board.tell(CaptureNews::File(volumes.path()));
                        board.turn();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                volumes.flush()?;
                flushed = Instant::now();
            }
        }
        volumes.end("the recording ends")
    })();
    let error = result.err().map(|e: io::Error| format!("{}: {e}", volumes.path().display()));
    if let Some(error) = &error {
        board.on.store(false, Ordering::Release);
        board.tell(CaptureNews::Failed(error.clone()));
        board.turn();
    }
    (volumes.files(), volumes.lines(), error)
}

#[cfg(test)]
mod tests;
