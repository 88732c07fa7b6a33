//! Reads bar files, CSV (plain or gzip) and Parquet, into exact decimals, and says everything that is wrong in them.
//! Never: fills a gap, repairs a row, or lets a binary float near arithmetic: floats pass through their shortest text.

mod collect;
mod csv;
mod infer;
mod parquet;
mod rows;
pub mod time;

use ctos_types::{Decimal, Interval, UnixNanos};
use std::fmt;
use std::path::{Path, PathBuf};

pub use infer::{VolumeUnit, assumed_instrument};
pub use rows::{Drain, Rows};

/// What the caller knows better than the file.
#[derive(Clone, Debug, Default)]
pub struct BarOptions {
    /// The bars' interval. Left out, it is the most common step. One that disagrees with the file is an error.
    pub interval: Option<Interval>,
    /// Read only this symbol of a file that holds several, as the file writes it.
    pub symbol: Option<String>,
}

/// One bar as the file gives it. Prices are positive, `low <= open, close <= high`, volume not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarRow {
    pub open_time: UnixNanos,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    /// In the file's own unit, see [`VolumeUnit`]; zero where the file has no volume.
    pub volume: Decimal,
}

/// A hole between two bars that the file does have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Open time of the last bar before it.
    pub after: UnixNanos,
    /// Open time of the first bar behind it.
    pub before: UnixNanos,
    /// Bars that are not there.
    pub missing: u64,
}

/// The bars of one symbol, in order of time, one per open time, all on one grid of the interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarSeries {
    /// As the file writes it; `None` where the file has no symbol column.
    pub symbol: Option<String>,
    pub interval: Interval,
    pub rows: Rows,
    /// Every hole, in order of time.
    pub gaps: Vec<Gap>,
}

impl BarSeries {
    /// Bars missing in all gaps together.
    pub fn missing(&self) -> u64 {
        self.gaps.iter().map(|g| g.missing).sum()
    }
}

/// What can be wrong with a row. All but [`DefectKind::OutOfOrder`] and [`DefectKind::Rounded`] keep it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefectKind {
    /// A field is missing or empty.
    MissingField,
    BadTime,
    BadNumber,
    NonPositivePrice,
    /// High below low, or open or close outside of them.
    InconsistentPrices,
    NegativeVolume,
    /// An open time met before; the first bar stands.
    Duplicate,
    /// The open time is not a whole number of intervals from the others.
    OffGrid,
    /// Earlier than the row before it: kept, and put where it belongs.
    OutOfOrder,
    /// More than 18 decimal places, and more than the noise that float arithmetic leaves: kept, rounded half-even.
    Rounded,
    /// The compressed file is damaged from here on, or a line is too long or not UTF-8.
    Unreadable,
}

impl DefectKind {
    /// Whether such a row is missing in the result.
    pub fn skips(self) -> bool {
        !matches!(self, DefectKind::OutOfOrder | DefectKind::Rounded)
    }

    fn text(self) -> &'static str {
        match self {
            DefectKind::MissingField => "field missing",
            DefectKind::BadTime => "time not understood",
            DefectKind::BadNumber => "not a number",
            DefectKind::NonPositivePrice => "price not positive",
            DefectKind::InconsistentPrices => "open, high, low and close contradict each other",
            DefectKind::NegativeVolume => "negative volume",
            DefectKind::Duplicate => "open time seen before",
            DefectKind::OffGrid => "open time off the interval's grid",
            DefectKind::OutOfOrder => "out of order, sorted in",
            DefectKind::Rounded => "more than 18 decimal places, rounded",
            DefectKind::Unreadable => "unreadable",
        }
    }
}

/// One kind of defect, over the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    pub kind: DefectKind,
    /// Rows that have it (numbers, for [`DefectKind::Rounded`]).
    pub count: u64,
    /// Line of the first one in a CSV file (the header is line 1), row number from 1 in Parquet.
    pub first_line: u64,
    /// What stood there.
    pub example: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Defect { kind, count, first_line, example } = self;
        let verb = if kind.skips() { "skipped" } else { "kept" };
        write!(f, "{count} {}: {} (first at line {first_line}: {example})", verb, kind.text())
    }
}

/// A bar file, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarFile {
    pub path: PathBuf,
    /// In order of symbol.
    pub series: Vec<BarSeries>,
    /// Rows met, good and bad, of all symbols, the header not counted.
    pub rows_read: u64,
    /// Worst first is not implied: in order of kind.
    pub defects: Vec<Defect>,
    /// Digest of the uncompressed CSV text, or of the Parquet file as it is.
    pub sha256: [u8; 32],
}

impl BarFile {
    /// Good rows of all series.
    pub fn rows(&self) -> u64 {
        self.series.iter().map(|s| s.rows.len() as u64).sum()
    }

    /// Takes the rows out of the series that `ranks` gives a rank, in the order in which their bars close; of those that
    /// close together the lowest rank goes first. Each comes with the place of its series. Memory is let go as they pass.
    pub fn drain_rows(&mut self, ranks: &[Option<usize>]) -> impl Iterator<Item = (usize, BarRow)> + use<> {
        let mut waiting = Vec::new();
        for (at, series) in self.series.iter_mut().enumerate() {
            let Some(rank) = ranks.get(at).copied().flatten() else { continue };
            let (span, mut rows) = (series.interval.as_nanos(), std::mem::take(&mut series.rows).into_iter());
            if let Some(row) = rows.next() {
                waiting.push((row.open_time.after(span), rank, at, row, span, rows));
            }
        }
        std::iter::from_fn(move || {
            let first = (0..waiting.len()).min_by_key(|n| (waiting[*n].0, waiting[*n].1))?;
            let (close, _, at, row, span, rows) = &mut waiting[first];
            let passed = (*at, *row);
            match rows.next() {
                Some(next) => (*close, *row) = (next.open_time.after(*span), next),
                None => drop(waiting.swap_remove(first)),
            }
            Some(passed)
        })
    }

    /// Rows met that are in no series. With [`BarOptions::symbol`], rows of other symbols are not met.
    pub fn skipped(&self) -> u64 {
        self.rows_read - self.rows()
    }
}

/// The file as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BarError {
    #[error("cannot open bar file {}: {source}; check the path and its permissions", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("bar file {}, line {line}: read failed: {source}; check the disk, then read the file again", path.display())]
    Read { path: PathBuf, line: u64, source: std::io::Error },
    #[error("bar file {}, line {line}: {why}", path.display())]
    Format { path: PathBuf, line: u64, why: String },
}

/// Reads a whole bar file. CSV needs columns for time, open, high, low and close by any of their usual names, in any
/// order; a file without a header is read as a Binance kline archive. Bad rows are counted in
/// [`BarFile::defects`]; a file with no good row is an error.
pub fn read_bars(path: impl AsRef<Path>, options: &BarOptions) -> Result<BarFile, BarError> {
    let path = path.as_ref();
    let (collector, sha256) =
        if parquet::is_parquet(path)? { parquet::read(path, options)? } else { csv::read(path, options)? };
    collector.finish(path, options, sha256)
}

/// The columns a bar is made of. `Time` to `Close` must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Time,
    Open,
    High,
    Low,
    Close,
    Volume,
    Symbol,
}

impl Column {
    const COUNT: usize = 7;

    /// By header, in any case, with `_`, `-` or a space between words.
    fn named(header: &str) -> Option<Column> {
        let name: String = header
            .trim()
            .trim_matches('"')
            .chars()
            .map(|c| if c == ' ' || c == '-' { '_' } else { c.to_ascii_lowercase() })
            .collect();
        Some(match name.as_str() {
            "timestamp" | "open_time" | "opentime" | "date" | "datetime" | "time" | "ts" | "t" | "unix"
            | "candle_begin_time" => Column::Time,
            "open" | "o" | "open_price" => Column::Open,
            "high" | "h" | "high_price" => Column::High,
            "low" | "l" | "low_price" => Column::Low,
            "close" | "c" | "close_price" => Column::Close,
            "volume" | "v" | "vol" | "base_volume" | "volume_base" => Column::Volume,
            "symbol" | "pair" | "ticker" | "instrument" | "market" => Column::Symbol,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        ["time", "open", "high", "low", "close", "volume", "symbol"][self as usize]
    }
}

/// Which place each column has. The first column of a name counts (`timestamp` before a later `date`).
#[derive(Clone, Copy, Debug, Default)]
struct Layout([Option<usize>; Column::COUNT]);

impl Layout {
    fn from_headers<'a>(headers: impl Iterator<Item = &'a str>) -> Layout {
        let mut layout = Layout::default();
        for (at, header) in headers.enumerate() {
            if let Some(column) = Column::named(header) {
                layout.0[column as usize].get_or_insert(at);
            }
        }
        layout
    }

    /// Names the needed columns that are not there.
    fn check(&self) -> Result<(), String> {
        let needed = [Column::Time, Column::Open, Column::High, Column::Low, Column::Close];
        let missing: Vec<_> = needed.iter().filter(|c| self.0[**c as usize].is_none()).map(|c| c.name()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "no column for {}; name the columns timestamp, open, high, low, close and, if there is one, volume",
            missing.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests;
