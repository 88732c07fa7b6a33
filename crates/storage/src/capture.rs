//! Reads raw market captures, plain or gzip: one line is the receive time in ns, a space, the frame as received.
//! Never: looks inside a frame, holds more than one line, or stops at a bad line: it is counted, reported and passed.

mod source;

pub use source::{Fault, LineSpan, Source};

use ctos_types::UnixNanos;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// Longest line taken in, in bytes, without its newline. Real frames stay under 100 KiB.
pub const MAX_LINE: usize = 16 << 20;

/// How many bad lines a reader keeps in full; all are counted.
pub const BAD_LINES_KEPT: usize = 100;

/// One whole line of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureLine<'a> {
    /// 1 for the first line of the file.
    pub number: u64,
    /// Our own clock when the frame arrived.
    pub ts_recv: UnixNanos,
    /// The frame as received: valid UTF-8, without the newline.
    pub frame: &'a [u8],
}

/// A line that could not be used. The lines around it are not affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// 1 for the first line of the file.
    pub line: u64,
    pub why: BadLineReason,
}

/// Why a line could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLineReason {
    #[error("no space between receive time and frame")]
    NoSpace,
    #[error("receive time is not a count of nanoseconds: {0:?}")]
    BadTime(String),
    #[error("not UTF-8")]
    NotUtf8,
    #[error("no frame after the receive time")]
    NoFrame,
    #[error("longer than {} MiB", MAX_LINE >> 20)]
    TooLong,
    #[error("half a line: the file ends in the middle of a frame")]
    HalfLine,
    #[error("the compressed data is damaged from here on ({0}); everything before it was kept")]
    Damaged(String),
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// What comes next in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureItem<'a> {
    Line(CaptureLine<'a>),
    Bad(&'a BadLine),
}

/// The file cannot be read at all, or the disk failed under it.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("cannot open capture {}: {source}; check the path and its permissions", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("capture {}, line {line}: read failed: {source}; check the disk, then read the file again", path.display())]
    Read { path: PathBuf, line: u64, source: std::io::Error },
}

/// What a reader has seen so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureSummary {
    /// Lines met, good and bad.
    pub lines: u64,
    pub bad_lines: u64,
    /// The first [`BAD_LINES_KEPT`] of them.
    pub bad: Vec<BadLine>,
    /// Uncompressed bytes.
    pub bytes: u64,
    /// Digest of the uncompressed bytes: the same for a plain file and its compressed copies.
    pub sha256: [u8; 32],
}

/// Streams a capture line by line. Memory is bounded by [`MAX_LINE`], and in practice by one read buffer.
pub struct CaptureReader {
    path: PathBuf,
    source: Source,
    digest: Sha256,
    bytes: u64,
    line: u64,
    bad_lines: u64,
    bad: Vec<BadLine>,
    last_bad: Option<BadLine>,
    finished: bool,
}

impl fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureReader").field("path", &self.path).field("line", &self.line).finish_non_exhaustive()
    }
}

/// What the last advance found; the bytes stay in the source's buffer.
enum Found {
    Line { ts_recv: UnixNanos, start: usize, end: usize },
    Bad,
    End,
}

impl CaptureReader {
    /// Opens a plain or gzip file; which one is told by its first bytes, not by its name.
    pub fn open(path: impl AsRef<Path>) -> Result<CaptureReader, CaptureError> {
        let path = path.as_ref().to_path_buf();
        let source = Source::open(&path).map_err(|source| CaptureError::Open { path: path.clone(), source })?;
        Ok(CaptureReader {
            path,
            source,
            digest: Sha256::new(),
            bytes: 0,
            line: 0,
            bad_lines: 0,
            bad: Vec::new(),
            last_bad: None,
            finished: false,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far the file on the disk was read, for showing progress.
    pub fn bytes_on_disk(&self) -> u64 {
        self.source.bytes_on_disk()
    }

    /// The next whole line; bad lines are passed over, see [`CaptureReader::summary`]. `None` at the end.
    /// Fails only where the disk does.
    pub fn next_line(&mut self) -> Result<Option<CaptureLine<'_>>, CaptureError> {
        loop {
            match self.advance()? {
                Found::Line { ts_recv, start, end } => return Ok(Some(self.line_at(ts_recv, start, end))),
                Found::Bad => {}
                Found::End => return Ok(None),
            }
        }
    }

    /// As [`CaptureReader::next_line`], with the bad lines in their places.
    pub fn next_item(&mut self) -> Result<Option<CaptureItem<'_>>, CaptureError> {
        Ok(match self.advance()? {
            Found::Line { ts_recv, start, end } => Some(CaptureItem::Line(self.line_at(ts_recv, start, end))),
            Found::Bad => self.last_bad.as_ref().map(CaptureItem::Bad),
            Found::End => None,
        })
    }

    /// What was read so far; of the whole file once the end was reached.
    pub fn summary(&self) -> CaptureSummary {
        CaptureSummary {
            lines: self.line,
            bad_lines: self.bad_lines,
            bad: self.bad.clone(),
            bytes: self.bytes,
            sha256: self.digest.clone().finalize().into(),
        }
    }

    fn line_at(&self, ts_recv: UnixNanos, start: usize, end: usize) -> CaptureLine<'_> {
        CaptureLine { number: self.line, ts_recv, frame: &self.source.buffer()[start..end] }
    }

    fn advance(&mut self) -> Result<Found, CaptureError> {
        if self.finished {
            return Ok(Found::End);
        }
        let line = self.source.next_line(MAX_LINE);
        // Each byte is digested once, when its line is handed out, so a reader stopped half-way has the digest of
        // exactly the lines it saw.
        let consumed = self.source.consumed();
        self.digest.update(consumed);
        self.bytes += consumed.len() as u64;
        self.line += 1;
        let (start, end, ended) = match line {
            Ok(Some(line)) => (line.start, line.end, line.terminated),
            Ok(None) => {
                self.line -= 1;
                self.finished = true;
                return Ok(Found::End);
            }
            Err(Fault::TooLong) => {
                self.skip_long()?;
                return Ok(self.bad(BadLineReason::TooLong));
            }
            Err(fault) => return self.fault(fault),
        };
        let bytes = &self.source.buffer()[start..end];
        match parse(bytes) {
            Ok((ts_recv, at)) if ended || is_whole(&bytes[at..]) => Ok(Found::Line { ts_recv, start: start + at, end }),
            Err(why) if ended => Ok(self.bad(why)),
            _ => Ok(self.bad(BadLineReason::HalfLine)),
        }
    }

    /// Passes the rest of a line that was given up, piece by piece.
    fn skip_long(&mut self) -> Result<(), CaptureError> {
        loop {
            let piece = self.source.skip_line_piece();
            let consumed = self.source.consumed();
            self.digest.update(consumed);
            self.bytes += consumed.len() as u64;
            match piece {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // Damage shows again on the next read, with its own line number.
                Err(Fault::Damaged(_)) => return Ok(()),
                Err(fault) => return self.fault(fault).map(|_| ()),
            }
        }
    }

    fn fault(&mut self, fault: Fault) -> Result<Found, CaptureError> {
        self.finished = true;
        match fault {
            Fault::Damaged(why) => {
                let found = self.bad(BadLineReason::Damaged(why));
                self.line -= 1; // a place in the file, not a line
                Ok(found)
            }
            Fault::Io(source) => Err(CaptureError::Read { path: self.path.clone(), line: self.line, source }),
            Fault::TooLong => Ok(self.bad(BadLineReason::TooLong)),
        }
    }

    fn bad(&mut self, why: BadLineReason) -> Found {
        let bad = BadLine { line: self.line, why };
        self.bad_lines += 1;
        if self.bad.len() < BAD_LINES_KEPT {
            self.bad.push(bad.clone());
        }
        self.last_bad = Some(bad);
        Found::Bad
    }
}

/// The receive time and where the frame starts.
fn parse(line: &[u8]) -> Result<(UnixNanos, usize), BadLineReason> {
    let text = std::str::from_utf8(line).map_err(|_| BadLineReason::NotUtf8)?;
    let space = memchr::memchr(b' ', &line[..line.len().min(64)]).ok_or(BadLineReason::NoSpace)?;
    let digits = &text[..space];
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let ts = plain.then(|| digits.parse::<i64>().ok()).flatten();
    let ts = ts.ok_or_else(|| BadLineReason::BadTime(digits.chars().take(40).collect()))?;
    if line[space + 1..].iter().all(u8::is_ascii_whitespace) {
        return Err(BadLineReason::NoFrame);
    }
    Ok((UnixNanos(ts), space + 1))
}

/// Whether a last line without a newline holds a whole frame: a recorder that was cut off leaves half of one.
fn is_whole(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(b'{' | b'[')) && serde_json::from_slice::<serde::de::IgnoredAny>(frame).is_ok()
}

#[cfg(test)]
mod tests;
