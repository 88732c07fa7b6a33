//! Which importer fits a file: by `--format`, else by its first bytes, its name and its first line.
//! Never: reads more of a file than its first lines, or takes a file for something because nothing else fits.

use super::binance::{self, BinanceArchive};
use super::text::{self, Next, Text};
use super::{ImportError, ImportOptions, Importer};
use std::fmt;
use std::path::Path;

/// A format of venue archives and of what other tools keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CSV of Binance's public archive, plain, gzip or zip.
    Binance,
}

impl Format {
    pub const ALL: [Format; 1] = [Format::Binance];

    /// The word for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Binance => "binance",
        }
    }

    /// Opens `path` as this format.
    ///
    /// # Errors
    /// The file cannot be read, is not of this format, or does not tell what `options` do not tell either.
    pub fn open(self, path: &Path, options: &ImportOptions) -> Result<Box<dyn Importer + Send>, ImportError> {
        Ok(match self {
            Format::Binance => Box::new(BinanceArchive::open(path, options)?),
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The format of `path`, where it is one of [`Format::ALL`]; `None` where it is something else.
///
/// # Errors
/// The file cannot be read, is empty, or is a damaged or encrypted zip.
pub fn detect(path: &Path) -> Result<Option<Format>, ImportError> {
    let head = text::head(path)?;
    if head.is_empty() {
        return Err(ImportError::new(path, 0, "the file is empty", "the download may have failed: fetch it again"));
    }
    let mut text = Text::open(path)?;
    loop {
        match text.next_line()? {
            Next::Line(line) if line.bytes.trim_ascii().is_empty() => {}
            Next::Line(line) => return Ok(by_line(path, line.bytes)),
            Next::TooLong(_) | Next::End => return Ok(None),
        }
    }
}

fn by_line(path: &Path, line: &[u8]) -> Option<Format> {
    binance::is_one(path, line).then_some(Format::Binance)
}
