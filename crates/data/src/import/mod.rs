//! Sources of market data, read as a stream of records: one importer a format, all behind one trait.
//! Never: decides what goes into the catalog (see `ingest`), or holds more than one batch of a source.

mod bars;
mod binance;
mod capture;
mod columns;
mod detect;
pub(crate) mod event;
mod fields;
mod freqtrade;
mod okx;
mod open;
#[cfg(test)]
mod testing;
mod text;
mod zipped;

pub use capture::probe_capture;
pub use detect::{Format, detect};
pub use open::{formats, open};

use crate::defect::Defects;
use crate::record::{LevelFields, Record};
use ctos_types::Interval;
use std::fmt;
use std::path::{Path, PathBuf};

/// Records of one step of an importer. Its storage is reused from step to step.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the source.
    pub records: Vec<Record>,
    /// Levels of the book records in this batch, by the ranges they hold.
    pub levels: Vec<LevelFields>,
    /// Rows that gave no record, or one with a flaw, met since the batch was cleared.
    pub defects: Defects,
    /// Rows met since the batch was cleared, good and bad; headers and empty lines do not count.
    pub rows_read: u64,
}

impl Batch {
    /// About as many records as one step should deliver.
    pub const TARGET: usize = 4096;

    pub fn clear(&mut self) {
        self.records.clear();
        self.levels.clear();
        self.defects = Defects::default();
        self.rows_read = 0;
    }
}

/// One open source. Bad rows are reported in the batch and passed; what makes the whole file useless is an error.
pub trait Importer {
    /// What it reads, for reports and provenance: `binance-klines`, `capture`, `bars-csv`, ...
    fn name(&self) -> &'static str;

    /// Adds about [`Batch::TARGET`] records to `out`, which the caller has cleared. False: the source has ended
    /// (records delivered by that last call count).
    ///
    /// # Errors
    /// The file cannot be read, or is not what it was taken for.
    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError>;

    /// Bytes of the file taken in so far, as they lie on the disk (compressed, where it is): for progress.
    fn bytes_read(&self) -> u64;

    /// Whether the ids of trades are counted without holes by the venue: a jump is then a gap in the data.
    fn consecutive_ids(&self) -> bool {
        false
    }
}

/// What the caller knows better than the file. All of it is part of an import's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The importer to use (`--format`), for files whose name and content do not tell.
    pub format: Option<String>,
    /// Venue part of the symbols, where the file does not tell: `binance`, `okx`, ...
    pub venue: Option<String>,
    /// Unified symbol of a file that holds one and does not name it. With or without the venue part.
    pub symbol: Option<String>,
    /// Which of a venue's markets the file is of, where its name does not tell: `spot`, `um`, `cm`.
    pub market: Option<String>,
    /// Which data the file holds, where its name does not tell: the venue's own word (`klines`, `aggTrades`, ...).
    pub data: Option<String>,
    /// Of bars. One that disagrees with the file is an error.
    pub interval: Option<Interval>,
    /// Which unit a volume column without a telling name has: true for quote currency.
    pub volume_in_quote: bool,
    /// Columns of generic files: (name in the file, field), as `--map Close=close` gives them.
    pub map: Vec<(String, String)>,
}

impl ImportOptions {
    /// What was stated, in one line; empty where nothing was. Part of an import's identity, so it never changes.
    pub fn text(&self) -> String {
        let ImportOptions { format, venue, symbol, market, data, interval, volume_in_quote, map } = self;
        let mut text = Vec::new();
        for (name, value) in
            [("format", format), ("venue", venue), ("symbol", symbol), ("market", market), ("data", data)]
        {
            text.extend(value.iter().map(|v| format!("{name}={v}")));
        }
        text.extend(interval.iter().map(|i| format!("interval={i}")));
        text.extend(volume_in_quote.then(|| "volume=quote".to_string()));
        text.extend(map.iter().map(|(column, field)| format!("map={column}={field}")));
        text.join(" ")
    }
}

/// A source cannot be used as a whole.
#[derive(Debug)]
pub struct ImportError {
    pub path: PathBuf,
    /// Line or row, 0 where there is none.
    pub place: u64,
    pub why: String,
    /// What to do about it, without the `hint:` in front.
    pub hint: String,
}

impl ImportError {
    pub fn new(path: &Path, place: u64, why: impl Into<String>, hint: impl Into<String>) -> ImportError {
        ImportError { path: path.into(), place, why: why.into(), hint: hint.into() }
    }

    /// The file could not be read.
    pub fn io(path: &Path, place: u64, source: &std::io::Error) -> ImportError {
        ImportError::new(
            path,
            place,
            format!("cannot be read: {source}"),
            "check the path, its permissions and the disk",
        )
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            0 => write!(f, "{}: {}", self.path.display(), self.why),
            place => write!(f, "{}, line {place}: {}", self.path.display(), self.why),
        }
    }
}

impl std::error::Error for ImportError {}
