//! Lines of a text file as archives keep it: plain, gzip, or the one file inside a zip.
//! Never: knows what a line means, or holds more than one.

use super::{ImportError, zipped};
use ctos_storage::capture::{Fault, Source};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// No line of an archive is longer.
const MAX_LINE: usize = 64 << 10;

/// One line, without its newline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// 1 for the first of the file.
    pub number: u64,
    pub bytes: &'a [u8],
    /// False for a last line without a newline: it may be half of one.
    pub terminated: bool,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Line(Line<'a>),
    /// Passed over: this line is longer than any line of an archive.
    TooLong(u64),
    End,
}

pub(super) struct Text {
    path: PathBuf,
    /// The file's own name, or of the file in the zip.
    name: String,
    source: Source,
    checked: bool,
    taken: Arc<AtomicU64>,
    line: u64,
}

impl Text {
    /// What it is, the first bytes tell, not the name.
    pub fn open(path: &Path) -> Result<Text, ImportError> {
        let taken = Arc::new(AtomicU64::new(0));
        let Stream { name, bytes, checked } = open(path, &taken)?;
        Ok(Text { path: path.into(), name, source: Source::decoded(bytes), checked, taken, line: 0 })
    }

    /// The text file's name; of a zip, the name of the file in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the bytes carry a checksum, as compressed ones do.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Bytes read from the disk.
    pub fn bytes_read(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The next line; a byte-order mark in front of the first one is gone.
    ///
    /// # Errors
    /// The disk failed, or compressed data is damaged: then what came before cannot be trusted either.
    pub fn next_line(&mut self) -> Result<Next<'_>, ImportError> {
        self.line += 1;
        let number = self.line;
        match self.source.next_line(MAX_LINE) {
            Ok(Some(span)) => {
                let bytes = &self.source.buffer()[span.start..span.end];
                let bytes = if number == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
                Ok(Next::Line(Line { number, bytes, terminated: span.terminated }))
            }
            Ok(None) => Ok(Next::End),
            Err(Fault::TooLong) => {
                // A fault met on the way shows again at the next line.
                while let Ok(false) = self.source.skip_line_piece() {}
                Ok(Next::TooLong(number))
            }
            Err(Fault::Damaged(why)) => Err(ImportError::new(
                &self.path,
                number,
                format!("the compressed data is damaged from here on: {why}"),
                "fetch the file again",
            )),
            Err(Fault::Io(e)) => Err(ImportError::io(&self.path, number, &e)),
        }
    }
}

/// A text file's bytes, unpacked.
pub(super) struct Stream {
    /// The file's own name, or of the file in the zip.
    pub name: String,
    pub bytes: Box<dyn Read + Send>,
    pub checked: bool,
}

/// Opens a file as it lies there; bytes read from the disk are added to `taken`.
pub(super) fn open(path: &Path, taken: &Arc<AtomicU64>) -> Result<Stream, ImportError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let head = head(path)?;
    if head.starts_with(b"PK") {
        let (name, bytes) = zipped::open(path, taken)?;
        return Ok(Stream { name, bytes, checked: true });
    }
    let file = Counted::new(File::open(path).map_err(|e| ImportError::io(path, 0, &e))?, taken);
    Ok(match head.starts_with(&[0x1f, 0x8b]) {
        true => Stream { name, bytes: Box::new(MultiGzDecoder::new(file)), checked: true },
        false => Stream { name, bytes: Box::new(file), checked: false },
    })
}

/// The first eight bytes of a file, fewer where it is shorter.
pub(super) fn head(path: &Path) -> Result<Vec<u8>, ImportError> {
    let mut head = Vec::with_capacity(8);
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut head));
    read.map_err(|e| ImportError::io(path, 0, &e))?;
    Ok(head)
}

/// Counts what is read through it.
pub(super) struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub fn new(inner: R, taken: &Arc<AtomicU64>) -> Counted<R> {
        Counted { inner, taken: Arc::clone(taken) }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(into)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
