//! The files of a recording, one after the other: gzip, each readable by itself, a new one each UTC day and where one
//! is large enough.
//! Never: overwrites a file, or leaves one without a word that it goes on elsewhere.

use super::GOES_ON;
use super::writer::gap_line;
use ctos_types::UnixNanos;
use ctos_types::time::civil_from_days;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// Frames repeat themselves: the fast setting makes them a sixth already.
const COMPRESSION: Compression = Compression::new(3);
/// Files of one second: more than anybody can make.
const MAX_NUMBER: u32 = 10_000;

/// Where files are made: a directory, or a test's.
pub trait Shelf: Send + fmt::Debug {
    /// Makes a new file.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where there is one of this name; whatever else the disk says.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Volume>>;
    /// Takes back a file that was made and never used.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// For people.
    fn place(&self) -> PathBuf;
}

/// One open file.
pub trait Volume: Write + Send {
    /// What was written survives a power cut from here on.
    ///
    /// # Errors
    /// The disk does not take it.
    fn sync(&mut self) -> io::Result<()>;
}

impl Volume for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A directory, made where it is missing.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Shelf for Directory {
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Volume>> {
        std::fs::create_dir_all(&self.0)?;
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(self.0.join(name))?))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(name))
    }

    fn place(&self) -> PathBuf {
        self.0.clone()
    }
}

/// Counts what reaches the file.
struct Counted {
    file: Box<dyn Volume>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(super) struct Volumes {
    shelf: Box<dyn Shelf>,
    name: String,
    max_bytes: u64,
    file: String,
    out: GzEncoder<Counted>,
    day: i64,
    last: UnixNanos,
    files: u64,
    /// Of the files before this one.
    bytes_before: u64,
}

impl Volumes {
    pub fn begin(mut shelf: Box<dyn Shelf>, name: &str, max_bytes: u64, now: UnixNanos) -> io::Result<Volumes> {
        let (file, out) = open(shelf.as_mut(), name, now)?;
        let (name, day) = (name.into(), now.day());
        let mut volumes = Volumes { shelf, name, max_bytes, file, out, day, last: now, files: 1, bytes_before: 0 };
        // The first bytes, now: a disk without room for them says so to whoever begins, not to a log later.
        match volumes.flush() {
            Ok(()) => Ok(volumes),
            Err(e) => {
                volumes.discard();
                Err(e)
            }
        }
    }

    /// Takes the file back: nothing was recorded.
    pub fn discard(self) {
        let Volumes { mut shelf, file, out, .. } = self;
        drop(out);
        // Whoever made it hears of what went wrong before; an empty file does no harm.
        let _ = shelf.remove(&file);
    }

    /// Writes a line; true where a new file begins with it.
    pub fn line(&mut self, at: UnixNanos, text: &str) -> io::Result<bool> {
        let next = at.day() > self.day || self.out.get_ref().bytes >= self.max_bytes;
        if next {
            let (file, out) = open(self.shelf.as_mut(), &self.name, at)?;
            self.end(&format!("{GOES_ON}{file}"))?;
            self.bytes_before += self.out.get_ref().bytes;
            (self.file, self.out, self.day) = (file, out, at.day());
            self.files += 1;
        }
        self.put(at, text)?;
        Ok(next)
    }

    /// What was written can be read by others from here on.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Finishes the file, with a word that it is over: whoever reads on elsewhere has missed something.
    pub fn end(&mut self, why: &str) -> io::Result<()> {
        self.put(self.last, &gap_line(self.last, None, why))?;
        self.out.try_finish()?;
        self.out.get_mut().file.flush()?;
        self.out.get_mut().file.sync()
    }

    pub fn path(&self) -> PathBuf {
        self.place().join(&self.file)
    }

    pub fn place(&self) -> PathBuf {
        self.shelf.place()
    }

    /// On the disk, of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes_before + self.out.get_ref().bytes
    }

    pub fn files(&self) -> u64 {
        self.files
    }

    fn put(&mut self, at: UnixNanos, text: &str) -> io::Result<()> {
        self.last = at;
        writeln!(self.out, "{} {text}", at.0)
    }
}

/// A file that is not there yet: `binance-usdm-20261122T011500Z.jsonl.gz`, with a number where a second has several.
fn open(shelf: &mut dyn Shelf, name: &str, now: UnixNanos) -> io::Result<(String, GzEncoder<Counted>)> {
    let (y, mo, d) = civil_from_days(now.day());
    let secs = now.0.div_euclid(1_000_000_000).rem_euclid(86_400);
    let stamp = format!("{y:04}{mo:02}{d:02}T{:02}{:02}{:02}Z", secs / 3_600, secs / 60 % 60, secs % 60);
    for number in 1..MAX_NUMBER {
        let again = if number > 1 { format!("-{number}") } else { String::new() };
        let file = format!("{name}-{stamp}{again}.jsonl.gz");
        match shelf.create(&file) {
            Ok(made) => return Ok((file, GzEncoder::new(Counted { file: made, bytes: 0 }, COMPRESSION))),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
