//! Opens a source: by `--format`, else by what the file is.
//! Never: guesses between two formats that both fit: archives are asked first, for their names are the clearest.

use super::bars::{CsvBars, ParquetBars, is_parquet};
use super::capture::{self, CaptureImport};
use super::detect::{Format, detect};
use super::text::{Next, Text};
use super::{ImportError, ImportOptions, Importer};
use std::path::Path;

/// Words of `--format` beside those of the archives.
const OWN: [&str; 3] = ["capture", "bars-csv", "bars-parquet"];

/// All words of `--format`.
pub fn formats() -> Vec<&'static str> {
    OWN.into_iter().chain(Format::ALL.iter().map(|f| f.name())).collect()
}

/// Opens `path` as what it is.
///
/// # Errors
/// The file cannot be read, or is nothing that can be imported.
pub fn open(path: &Path, options: &ImportOptions) -> Result<Box<dyn Importer>, ImportError> {
    if path.is_dir() {
        let hint = "name its files, for example with a pattern: ctos data import DIR/*.zip";
        return Err(ImportError::new(path, 0, "it is a directory", hint));
    }
    match options.format.as_deref() {
        None => by_content(path, options),
        Some("capture") => Ok(Box::new(CaptureImport::open(path, options)?)),
        Some("bars-csv") => Ok(Box::new(CsvBars::open(path, options)?)),
        Some("bars-parquet") => Ok(Box::new(ParquetBars::open(path, options)?)),
        Some(name) => match Format::ALL.into_iter().find(|f| f.name() == name) {
            Some(format) => Ok(format.open(path, options)?),
            None => {
                let hint = format!("formats are {}", formats().join(", "));
                Err(ImportError::new(path, 0, format!("no format {name:?}"), hint))
            }
        },
    }
}

fn by_content(path: &Path, options: &ImportOptions) -> Result<Box<dyn Importer>, ImportError> {
    if is_parquet(path)? {
        return Ok(Box::new(ParquetBars::open(path, options)?));
    }
    // Mapped columns are generic bars by the caller's word.
    if options.map.is_empty() {
        if let Some(format) = detect(path)? {
            return Ok(format.open(path, options)?);
        }
        if first_line(path)?.is_some_and(|line| capture::is_line(&line)) {
            return Ok(Box::new(CaptureImport::open(path, options)?));
        }
    }
    match CsvBars::open(path, options) {
        Ok(bars) => Ok(Box::new(bars)),
        Err(e) if !options.map.is_empty() => Err(e),
        Err(e) => {
            let hint = format!("{}; or say what it is: --format {}", e.hint, formats().join("|"));
            Err(ImportError::new(path, e.place, format!("not understood: {}", e.why), hint))
        }
    }
}

/// Frames may be long, but the first line of a capture starts as one in any case.
fn first_line(path: &Path) -> Result<Option<Vec<u8>>, ImportError> {
    let mut text = Text::open(path)?;
    Ok(match text.next_line()? {
        Next::Line(line) => Some(line.bytes.iter().take(64).copied().collect()),
        Next::TooLong(_) | Next::End => None,
    })
}
