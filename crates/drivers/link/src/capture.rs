//! The recording switch: every frame as it came, one line each, in the form that captures are read in.
//! Never: holds up a link (a full queue drops and counts), or hides what was dropped: a line says so.

use ctos_types::UnixNanos;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Frames that may wait for the disk.
const QUEUE: usize = 65_536;
/// What is written reaches the file at least this often.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How a recording went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureEnd {
    pub path: PathBuf,
    /// Lines written.
    pub lines: u64,
    /// Frames that found the queue full.
    pub dropped: u64,
    /// The disk's word, where it failed: nothing was written after it.
    pub error: Option<String>,
}

/// The recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum CaptureStart {
    #[error("cannot write the capture {}: {source}; check the path and its permissions", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("a capture is being written to {} already; stop it first", .0.display())]
    Running(PathBuf),
}

struct Running {
    path: PathBuf,
    sender: SyncSender<(UnixNanos, String)>,
    writer: JoinHandle<(u64, Option<String>)>,
    dropped: Arc<AtomicU64>,
}

/// Shared by the links of a process. Off, it costs one read of a flag per frame.
#[derive(Default)]
pub struct CaptureSwitch {
    on: AtomicBool,
    running: Mutex<Option<Running>>,
}

impl std::fmt::Debug for CaptureSwitch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureSwitch").field("on", &self.is_on()).finish_non_exhaustive()
    }
}

impl CaptureSwitch {
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Begins to write to `path`, which must not exist. Fails where it cannot be created or a recording runs.
    pub fn start(&self, path: &Path) -> Result<(), CaptureStart> {
        let mut running = self.lock();
        if let Some(running) = &*running {
            return Err(CaptureStart::Running(running.path.clone()));
        }
        let open = |source| CaptureStart::Open { path: path.into(), source };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(open)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        let writer = std::thread::Builder::new().name("capture".into()).spawn(move || write(file, &receiver, &counter));
        let writer = writer.map_err(open)?;
        *running = Some(Running { path: path.into(), sender, writer, dropped });
        self.on.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes a frame as received, from a stream or a snapshot from a query, with the time it arrived at.
    pub fn frame(&self, at: UnixNanos, frame: &str) {
        if !self.is_on() {
            return;
        }
        if let Some(running) = &*self.lock() {
            // A newline in JSON is only space between its tokens; in the file it would end the line.
            let line = if frame.contains(['\n', '\r']) { frame.replace(['\n', '\r'], " ") } else { frame.to_owned() };
            if running.sender.try_send((at, line)).is_err() {
                running.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Frames may be missing from here on back to `since`: a line of its own says so.
    pub fn gap(&self, at: UnixNanos, since: UnixNanos, stream: Option<&str>, why: &str) {
        self.frame(at, &gap_line(since, stream, why));
    }

    /// Ends the recording and waits until it is on the disk. `None`: there was none.
    pub fn stop(&self) -> Option<CaptureEnd> {
        self.on.store(false, Ordering::Release);
        let Running { path, sender, writer, dropped } = self.lock().take()?;
        drop(sender);
        let (lines, error) = writer.join().unwrap_or((0, Some("the writer panicked".into())));
        Some(CaptureEnd { path, lines, dropped: dropped.load(Ordering::Relaxed), error })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for CaptureSwitch {
    fn drop(&mut self) {
        self.stop();
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

fn write(file: File, frames: &Receiver<(UnixNanos, String)>, dropped: &AtomicU64) -> (u64, Option<String>) {
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let (mut lines, mut told) = (0, 0);
    let mut last = UnixNanos(0);
    let mut line = |out: &mut BufWriter<File>, at: UnixNanos, frame: &str| {
        lines += 1;
        writeln!(out, "{} {frame}", at.0)
    };
    let result = (|| {
        loop {
            match frames.recv_timeout(FLUSH_EVERY) {
                Ok((at, frame)) => {
                    last = at;
                    line(&mut out, at, &frame)?;
                }
                Err(RecvTimeoutError::Timeout) => out.flush()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let lost = dropped.load(Ordering::Relaxed);
            if lost > told {
                let why = format!("the disk was too slow for {} frames", lost - told);
                told = lost;
                line(&mut out, last, &gap_line(last, None, &why))?;
            }
        }
        out.flush()?;
        out.get_ref().sync_all()
    })();
    (lines, result.err().map(|e: io::Error| e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_storage::capture::CaptureReader;

    #[test]
    fn what_is_recorded_is_read_back_frame_for_frame() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let switch = CaptureSwitch::default();
        switch.frame(UnixNanos(1), "before");
        switch.start(&path).unwrap();
        assert!(matches!(switch.start(&path), Err(CaptureStart::Running(_))));
        switch.frame(UnixNanos(10), "{\"a\":1}");
        switch.frame(UnixNanos(11), "{\"a\":\r\n 2}");
        switch.gap(UnixNanos(12), UnixNanos(5), Some("a"), "closed \"1006\"\n");
        let end = switch.stop().unwrap();
        assert_eq!(end, CaptureEnd { path: path.clone(), lines: 3, dropped: 0, error: None });
        switch.frame(UnixNanos(13), "after");
        assert_eq!(switch.stop(), None);
        let mut reader = CaptureReader::open(&path).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push((line.ts_recv.0, String::from_utf8(line.frame.to_vec()).unwrap()));
        }
        let gap = r#"{"ctos":"gap","since":5,"stream":"a","why":"closed \"1006\" "}"#;
        let want = [(10, "{\"a\":1}"), (11, "{\"a\":   2}"), (12, gap)].map(|(at, text)| (at, text.to_owned()));
        assert_eq!(lines, want);
        assert_eq!(reader.summary().bad_lines, 0);
        assert!(matches!(switch.start(&path), Err(CaptureStart::Open { .. })), "nothing is overwritten");
    }
}
