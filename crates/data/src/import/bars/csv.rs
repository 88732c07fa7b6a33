//! Rows of a CSV bar file: comma, semicolon or tab; plain, gzip or zip; with a header.
//! Never: judges a value, only finds it.

use super::{Assembler, FIELDS, Field, Layout, RawTime};
use crate::defect::DefectKind;
use crate::import::text::{Next, Text};
use crate::import::{Batch, ImportError, ImportOptions, Importer};
use std::path::{Path, PathBuf};

/// Lines of prose that some sites put above the header.
const PREAMBLE: u64 = 5;

/// An open CSV file.
pub struct CsvBars {
    path: PathBuf,
    text: Text,
    options: ImportOptions,
    layout: Option<Layout>,
    /// Columns of the header.
    width: usize,
    separator: u8,
    assembler: Assembler,
}

impl std::fmt::Debug for CsvBars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvBars").field("path", &self.path).field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl CsvBars {
    /// # Errors
    /// The file cannot be read, or has no header with the columns of a bar.
    pub fn open(path: &Path, options: &ImportOptions) -> Result<CsvBars, ImportError> {
        let assembler = Assembler::new(path, options);
        let text = Text::open(path)?;
        let (path, options) = (path.to_path_buf(), options.clone());
        let mut bars = CsvBars { path, text, options, layout: None, width: 0, separator: b',', assembler };
        let mut first_refused = None;
        while bars.layout.is_none() {
            bars.header(&mut first_refused)?;
        }
        Ok(bars)
    }

    /// One more line of the top of the file. What was taken for prose is the better error where no header follows.
    fn header(&mut self, first_refused: &mut Option<ImportError>) -> Result<(), ImportError> {
        let hint = "a bar file starts with a line such as timestamp,open,high,low,close,volume";
        let fail = |line, why: &str| ImportError::new(&self.path, line, why, hint);
        let line = match self.text.next_line()? {
            Next::Line(line) => line,
            Next::TooLong(line) => return Err(fail(line, "a line that is no header")),
            Next::End => return Err(first_refused.take().unwrap_or_else(|| fail(0, "no header and no bars"))),
        };
        let Ok(text) = std::str::from_utf8(line.bytes) else { return Err(fail(line.number, "not a text file")) };
        let count = |c: &u8| (text.bytes().filter(|b| b == c).count(), *c == b',');
        self.separator = [b',', b';', b'\t'].into_iter().max_by_key(count).unwrap_or(b',');
        let separator = char::from(self.separator);
        let headers = || text.split(separator).map(unquote);
        let known = Layout::count(headers());
        let mapped = self.options.map.iter().any(|(column, _)| headers().any(|h| h == column));
        match Layout::new(headers(), &self.options) {
            Ok(layout) => {
                self.width = headers().count();
                if layout.0[Field::Symbol as usize].is_none() {
                    self.assembler.one_symbol(&self.options);
                }
                self.layout = Some(layout);
            }
            Err((why, hint)) if line.number < PREAMBLE && known < 2 && !mapped => {
                first_refused.get_or_insert_with(|| ImportError::new(&self.path, line.number, why, hint));
            }
            Err((why, hint)) => return Err(ImportError::new(&self.path, line.number, why, hint)),
        }
        Ok(())
    }
}

impl Importer for CsvBars {
    fn name(&self) -> &'static str {
        "bars-csv"
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        let Some(layout) = self.layout else { return Ok(false) };
        while out.rows_read < Batch::TARGET as u64 {
            let line = match self.text.next_line()? {
                Next::End => {
                    self.assembler.settle(out)?;
                    return Ok(false);
                }
                Next::TooLong(line) => {
                    out.rows_read += 1;
                    out.defects.add(DefectKind::Unreadable, line, || "a line of more than 64 KiB".into());
                    continue;
                }
                Next::Line(line) if line.bytes.trim_ascii().is_empty() => continue,
                Next::Line(line) => line,
            };
            let bad = |out: &mut Batch, why: String| {
                out.rows_read += 1;
                out.defects.add(DefectKind::Unreadable, line.number, || why);
            };
            let Ok(text) = std::str::from_utf8(line.bytes) else {
                bad(out, "not UTF-8".into());
                continue;
            };
            let (mut texts, mut time, mut columns) = ([""; FIELDS], None, 0);
            for (at, field) in text.split(char::from(self.separator)).enumerate() {
                columns = at + 1;
                for (slot, place) in texts.iter_mut().zip(layout.0) {
                    if place == Some(at) {
                        *slot = unquote(field);
                    }
                }
            }
            if columns != self.width {
                bad(out, format!("{columns} columns where the header has {}", self.width));
                continue;
            }
            if !texts[Field::Time as usize].is_empty() {
                time = Some(RawTime::Text(texts[Field::Time as usize]));
            }
            self.assembler.row(line.number, time, &texts, out)?;
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.text.bytes_read()
    }
}

/// No field of a bar holds a separator, so quotes are only decoration.
fn unquote(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|f| f.strip_suffix('"')).unwrap_or(field).trim()
}
