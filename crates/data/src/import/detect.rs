//! Which importer fits a file: by `--format`, else by its first bytes, its name and its first line.
//! Never: reads more of a file than its first lines, or takes a file for something because nothing else fits.

use super::binance::{self, BinanceArchive};
use super::freqtrade::{self, Feather, Json};
use super::okx::{self, OkxArchive};
use super::text::{self, Next, Text};
use super::{ImportError, ImportOptions, Importer};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// A format of venue archives and of what other tools keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CSV of Binance's public archive, plain, gzip or zip.
    Binance,
    /// CSV of OKX's historical files, plain, gzip or zip.
    Okx,
    /// freqtrade's candles in Arrow IPC.
    FreqtradeFeather,
    /// freqtrade's candles as a JSON list, plain or gzip.
    FreqtradeJson,
}

impl Format {
    pub const ALL: [Format; 4] = [Format::Binance, Format::Okx, Format::FreqtradeFeather, Format::FreqtradeJson];

    /// The word for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Binance => "binance",
            Format::Okx => "okx",
            Format::FreqtradeFeather => "freqtrade-feather",
            Format::FreqtradeJson => "freqtrade-json",
        }
    }

    /// Opens `path` as this format.
    ///
    /// # Errors
    /// The file cannot be read, is not of this format, or does not tell what `options` do not tell either.
    pub fn open(self, path: &Path, options: &ImportOptions) -> Result<Box<dyn Importer + Send>, ImportError> {
        Ok(match self {
            Format::Binance => Box::new(BinanceArchive::open(path, options)?),
            Format::Okx => Box::new(OkxArchive::open(path, options)?),
            Format::FreqtradeFeather => Box::new(Feather::open(path, options)?),
            Format::FreqtradeJson => Box::new(Json::open(path, options)?),
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
/// The file cannot be read, is empty, is a damaged or encrypted zip, or a feather file of the format before Arrow.
pub fn detect(path: &Path) -> Result<Option<Format>, ImportError> {
    let head = text::head(path)?;
    if head.is_empty() {
        return Err(ImportError::new(path, 0, "the file is empty", "the download may have failed: fetch it again"));
    }
    if head.starts_with(freqtrade::MAGIC) {
        return Ok(Some(Format::FreqtradeFeather));
    }
    if head.starts_with(b"FEA1") {
        let hint = "write it again with a pandas of today: pandas.read_feather(path).to_feather(path)";
        return Err(ImportError::new(path, 0, "a feather file of the first version, from before 2020", hint));
    }
    // A JSON list has no lines to speak of.
    let mut first = Vec::with_capacity(64);
    let read = text::open(path, &Arc::default())?.bytes.take(64).read_to_end(&mut first);
    if read.is_ok() && freqtrade::is_json(path, first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first)) {
        return Ok(Some(Format::FreqtradeJson));
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
    match line {
        line if okx::is_one(line) => Some(Format::Okx),
        line if binance::is_one(path, line) => Some(Format::Binance),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
