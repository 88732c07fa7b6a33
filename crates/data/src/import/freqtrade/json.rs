//! Candles as a JSON list of lists, `[[ms, open, high, low, close, volume], ...]`, read one inner list at a time.
//! Never: reads a number through a float: its text is what counts; or holds more than one candle's text.

use super::{NUMBERS, Series};
use crate::defect::DefectKind;
use crate::import::fields::{Flaw, OneUnit, Stamp, flaw, wrong_count};
use crate::import::{Batch, ImportError, ImportOptions, Importer, text};
use crate::number::Number;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// No candle is longer, in bytes.
const MAX_ROW: usize = 4 << 10;
/// Time and five numbers.
const WIDTH: usize = 6;

/// An open list.
pub(crate) struct Json {
    path: PathBuf,
    series: Series,
    bytes: BufReader<Box<dyn Read + Send>>,
    taken: Arc<AtomicU64>,
    unit: OneUnit,
    /// Of the candle met last, from 1.
    place: u64,
    /// Its text, without brackets.
    row: Vec<u8>,
}

/// What stands next in the list.
enum Next {
    Row,
    TooLong,
    /// The file ends within a candle, or behind one without closing the list.
    Cut,
    End,
}

impl Json {
    pub fn open(path: &Path, options: &ImportOptions) -> Result<Json, ImportError> {
        let series = Series::new(path, options)?;
        let taken = Arc::new(AtomicU64::new(0));
        let bytes = BufReader::with_capacity(64 << 10, text::open(path, &taken)?.bytes);
        let mut json =
            Json { path: path.into(), series, bytes, taken, unit: OneUnit::default(), place: 0, row: Vec::new() };
        if json.peek()? == Some(0xef) {
            // A byte-order mark.
            json.bytes.consume(3.min(json.bytes.buffer().len()));
        }
        match json.next_byte()? {
            Some(b'[') => Ok(json),
            None => Err(json.fail("the file is empty", "fetch it again: freqtrade download-data")),
            Some(_) => Err(json
                .fail("not a JSON list", "candles are a list of lists: [[time, open, high, low, close, volume], ...]")),
        }
    }

    fn fail(&self, why: &str, hint: &str) -> ImportError {
        ImportError::new(&self.path, self.place, why, hint)
    }

    fn peek(&mut self) -> Result<Option<u8>, ImportError> {
        loop {
            match self.bytes.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(&e)),
            }
        }
    }

    fn broken(&self, e: &io::Error) -> ImportError {
        use io::ErrorKind as K;
        match e.kind() {
            K::UnexpectedEof | K::InvalidData | K::InvalidInput => {
                self.fail(&format!("the compressed data is damaged from here on: {e}"), "fetch the file again")
            }
            _ => ImportError::io(&self.path, self.place, e),
        }
    }

    /// The next byte that is no white space.
    fn next_byte(&mut self) -> Result<Option<u8>, ImportError> {
        while let Some(byte) = self.peek()? {
            self.bytes.consume(1);
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
        }
        Ok(None)
    }

    /// Finds the next candle and puts its text in `row`.
    fn next_row(&mut self) -> Result<Next, ImportError> {
        let mut byte = self.next_byte()?;
        if byte == Some(b',') && self.place > 0 {
            byte = self.next_byte()?;
        }
        self.place += 1;
        match byte {
            Some(b'[') => {}
            Some(b']') => {
                if self.next_byte()?.is_some() {
                    return Err(self.fail("text behind the end of the list", "check that this is the file you meant"));
                }
                return Ok(Next::End);
            }
            None => return Ok(Next::Cut),
            Some(_) => {
                return Err(self.fail(
                    "not a list of candles",
                    "candles are a list of lists: [[time, open, high, low, close, volume], ...]",
                ));
            }
        }
        self.row.clear();
        let mut length = 0usize;
        loop {
            if self.peek()?.is_none() {
                return Ok(Next::Cut);
            }
            let bytes = self.bytes.buffer();
            let end = bytes.iter().position(|b| matches!(b, b'[' | b']'));
            let (piece, found) = (end.unwrap_or(bytes.len()), end.map(|at| bytes[at]));
            length = length.saturating_add(piece);
            if length <= MAX_ROW {
                self.row.extend_from_slice(&bytes[..piece]);
            }
            self.bytes.consume(piece + usize::from(found.is_some()));
            match found {
                None => {}
                Some(b']') if length > MAX_ROW => return Ok(Next::TooLong),
                Some(b']') => return Ok(Next::Row),
                Some(_) => {
                    return Err(self.fail("a list within a candle", "candles are six numbers each: check the file"));
                }
            }
        }
    }

    fn record(&mut self, out: &mut Batch) -> Result<Result<(), Flaw>, ImportError> {
        let Ok(row) = std::str::from_utf8(&self.row) else {
            return Ok(Err((DefectKind::Unreadable, "not UTF-8".into())));
        };
        let mut fields = [""; WIDTH];
        let mut count = 0;
        for field in row.split(',') {
            if let Some(slot) = fields.get_mut(count) {
                *slot = field.trim();
            }
            count += 1;
        }
        if count != WIDTH {
            return Ok(Err(wrong_count(count, WIDTH, true)));
        }
        // Some writers make every number of a candle a float.
        let time = fields[0].strip_suffix(".0").unwrap_or(fields[0]);
        let Some(stamp) = Stamp::parse(time) else {
            return Ok(Err((DefectKind::BadTime, format!("{:?}", fields[0]))));
        };
        self.unit.check(&self.path, self.place, stamp.unit)?;
        let number = |column: usize| match fields[column + 1] {
            "" | "null" => Err((DefectKind::MissingField, format!("no {}", NUMBERS[column]))),
            text => Number::parse_rounded(text)
                .map_err(|_| (DefectKind::BadNumber, format!("{} {text:?}", NUMBERS[column]))),
        };
        let record = self.series.record(self.place, stamp.at, &mut out.defects, number);
        Ok(record.map(|record| out.records.push(record)))
    }
}

impl Importer for Json {
    fn name(&self) -> &'static str {
        "freqtrade-json"
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        while out.rows_read < Batch::TARGET as u64 {
            let found = match self.next_row()? {
                Next::Row => self.record(out)?,
                Next::TooLong => Err((DefectKind::Unreadable, "longer than 4 KiB".into())),
                Next::Cut => {
                    out.rows_read += 1;
                    let why = "the file ends in the middle of the list".into();
                    flaw(&mut out.defects, self.place, (DefectKind::Unreadable, why));
                    return Ok(false);
                }
                Next::End if self.place == 1 => {
                    self.place = 0;
                    return Err(self.fail("the list is empty", "fetch it again: freqtrade download-data"));
                }
                Next::End => return Ok(false),
            };
            out.rows_read += 1;
            if let Err(found) = found {
                flaw(&mut out.defects, self.place, found);
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}
