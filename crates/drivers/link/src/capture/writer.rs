//! One recording: its queue, the thread that writes it, and what both know of how it goes.
//! Never: blocks whoever brings a frame.

use super::{Board, CaptureLimits, CaptureNews, CaptureStatus, ENDS, Volumes, lock};
use ctos_types::UnixNanos;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is written reaches the file at least this often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How every line begins that no venue said.
const OURS: &str = "{\"ctos\":";
const GAP: &str = "{\"ctos\":\"gap\"";

/// The feed's end of a recording.
#[derive(Debug)]
pub(super) struct Running {
    pub tally: Arc<Tally>,
    sender: SyncSender<(UnixNanos, String)>,
    writer: JoinHandle<()>,
    /// Lost since the last line that was taken, and since when.
    missing: Option<(u64, UnixNanos)>,
    last: UnixNanos,
}

/// What is known of a recording, on both ends and by whoever asks.
#[derive(Debug)]
pub(super) struct Tally {
    /// Counts the recordings of a switch.
    pub number: u64,
    place: PathBuf,
    since: UnixNanos,
    /// It was turned on: its file is worth keeping.
    kept: AtomicBool,
    /// In the queue.
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    lost: AtomicU64,
    files: AtomicU64,
    frames: AtomicU64,
    gaps: AtomicU64,
    bytes: AtomicU64,
    file: Mutex<PathBuf>,
    error: Mutex<Option<String>>,
}

impl Tally {
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    pub fn file(&self) -> PathBuf {
        lock(&self.file).clone()
    }

    /// Without what only the switch knows.
    pub fn status(&self) -> CaptureStatus {
        let number = |n: &AtomicU64| n.load(Ordering::Relaxed);
        CaptureStatus {
            on: false,
            place: self.place.clone(),
            file: self.file(),
            since: self.since,
            files: number(&self.files),
            frames: number(&self.frames),
            gaps: number(&self.gaps),
            bytes: number(&self.bytes),
            lost: number(&self.lost),
            waiting: self.waiting.load(Ordering::Relaxed) as u64,
            books_missing: None,
            error: lock(&self.error).clone(),
        }
    }

    fn wrote(&self, line: &str, volumes: &Volumes) {
        if !line.starts_with(OURS) {
            self.frames.fetch_add(1, Ordering::Relaxed);
        } else if line.starts_with(GAP) {
            self.gaps.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes.store(volumes.bytes(), Ordering::Relaxed);
    }

    /// A file has ended, with a gap's line.
    fn ended(&self, volumes: &Volumes) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        self.files.store(volumes.files(), Ordering::Relaxed);
        self.bytes.store(volumes.bytes(), Ordering::Relaxed);
        *lock(&self.file) = volumes.path();
    }
}

impl Running {
    /// Starts the thread that writes to `volumes`, which has one file. `(number, now)`: which recording it is, and since
    /// when.
    pub fn spawn(
        volumes: Volumes,
        (number, now): (u64, UnixNanos),
        limits: CaptureLimits,
        board: &Arc<Board>,
    ) -> io::Result<Running> {
        let tally = Arc::new(Tally {
            number,
            place: volumes.place(),
            since: now,
            kept: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            files: AtomicU64::new(1),
            frames: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            bytes: AtomicU64::new(volumes.bytes()),
            file: Mutex::new(volumes.path()),
            error: Mutex::new(None),
        });
        let (sender, receiver) = sync_channel(limits.frames);
        let (told, board) = (tally.clone(), board.clone());
        let writer = std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || write(volumes, &receiver, &told, &board))?;
        Ok(Running { tally, sender, writer, missing: None, last: now })
    }

    pub fn put(&mut self, at: UnixNanos, frame: &str, board: &Board, limits: CaptureLimits) {
        self.last = at;
        let waiting = self.tally.waiting.load(Ordering::Relaxed);
        let bytes = self.tally.waiting_bytes.load(Ordering::Relaxed);
        let room = match self.missing {
            None => bytes.saturating_add(frame.len()) <= limits.bytes,
            Some((_, since)) => at - since >= limits.pause && waiting <= limits.frames / 2 && bytes <= limits.bytes / 2,
        };
        let told = room && self.tell_missing(at, board);
        // A newline in JSON is only space between its tokens; in the file it would end the line.
        let line = || if frame.contains(['\n', '\r']) { frame.replace(['\n', '\r'], " ") } else { frame.to_owned() };
        if !(told && self.send(at, line())) {
            let (count, _) = self.missing.get_or_insert((0, at));
            *count += 1;
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends it and waits until it is on the disk.
    pub fn end(mut self, board: &Board) -> CaptureStatus {
        self.tell_missing(self.last, board);
        self.join()
    }

    /// It was never turned on: nothing of it is left.
    pub fn abandon(self) {
        self.join();
    }

    fn join(self) -> CaptureStatus {
        let Running { tally, sender, writer, .. } = self;
        drop(sender);
        if writer.join().is_err() {
            lock(&tally.error).get_or_insert_with(|| "the writer panicked".into());
        }
        tally.status()
    }

    /// Says in the recording what is missing before the next line. False: there is no room for that either.
    fn tell_missing(&mut self, at: UnixNanos, board: &Board) -> bool {
        let Some((count, since)) = self.missing else { return true };
        let why = format!("the disk was too slow for {count} frames");
        if !self.send(at, gap_line(since, None, &why)) {
            return false;
        }
        self.missing = None;
        board.tell(CaptureNews::Lost(count));
        board.turn();
        true
    }

    fn send(&mut self, at: UnixNanos, line: String) -> bool {
        let size = line.len();
        self.tally.waiting.fetch_add(1, Ordering::Relaxed);
        self.tally.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        let sent = self.sender.try_send((at, line)).is_ok();
        if !sent {
            self.tally.took(size);
        }
        sent
    }
}

impl Tally {
    /// A line of this size does not wait any more.
    fn took(&self, size: usize) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

/// The line of a gap: JSON like every other, of a kind that no venue sends.
pub(super) fn gap_line(since: UnixNanos, stream: Option<&str>, why: &str) -> String {
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
    format!("{GAP},\"since\":{},\"stream\":{stream},\"why\":{}}}", since.0, quoted(why))
}

/// The writer's thread.
fn write(mut volumes: Volumes, frames: &Receiver<(UnixNanos, String)>, tally: &Tally, board: &Board) {
    match write_all(&mut volumes, frames, tally, board) {
        Ok(true) => {}
        Ok(false) => volumes.discard(),
        Err(e) => {
            let error = format!("{}: {e}", volumes.path().display());
            *lock(&tally.error) = Some(error.clone());
            // Where another recording is on by now, this one's end is told to whoever turned that one on.
            if board.on.compare_exchange(tally.number, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                board.tell(CaptureNews::Failed(error));
                board.turn();
            }
        }
    }
}

/// Until nothing comes any more. False: the recording was never turned on.
fn write_all(
    volumes: &mut Volumes,
    frames: &Receiver<(UnixNanos, String)>,
    tally: &Tally,
    board: &Board,
) -> io::Result<bool> {
    let mut flushed = Instant::now();
    loop {
        match frames.recv_timeout(FLUSH_EVERY.saturating_sub(flushed.elapsed())) {
            Ok((at, line)) => {
                tally.took(line.len());
                let next = volumes.line(at, &line)?;
                if next {
                    tally.ended(volumes);
                    board.tell(CaptureNews::File(volumes.path()));
                    board.turn();
                }
                tally.wrote(&line, volumes);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if flushed.elapsed() >= FLUSH_EVERY {
            volumes.flush()?;
            flushed = Instant::now();
            tally.bytes.store(volumes.bytes(), Ordering::Relaxed);
        }
    }
    if !tally.kept.load(Ordering::Acquire) {
        return Ok(false);
    }
    volumes.end(ENDS)?;
    tally.ended(volumes);
    Ok(true)
}
