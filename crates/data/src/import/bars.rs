//! Generic bar files: which column is what, and a record out of each row. CSV and Parquet only deliver the texts.
//! Never: fills a gap, or guesses a column that the caller mapped.

mod csv;
mod layout;
mod parquet;

pub use csv::CsvBars;
use layout::{FIELDS, Field, Layout};
pub use parquet::{ParquetBars, is_parquet};

use super::{Batch, ImportError, ImportOptions};
use crate::defect::DefectKind;
use crate::number::Number;
use crate::record::{BarFields, Body, Record};
use ctos_storage::bars::time;
use ctos_types::{Interval, Symbol, UnixNanos};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A time as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub enum RawTime<'a> {
    Text(&'a str),
    At(UnixNanos),
}

/// Rows wait here until the interval is known.
const LOOKAHEAD: usize = 4096;

/// Makes records of rows.
#[derive(Debug)]
pub struct Assembler {
    path: PathBuf,
    venue: String,
    /// Of a file without a symbol column.
    symbol: Option<Symbol>,
    symbols: BTreeMap<String, Symbol>,
    volume_in_quote: bool,
    asked: Option<Interval>,
    interval: Option<Interval>,
    waiting: Vec<Record>,
    /// Unit of numeric times, as a power of ten of nanoseconds, and the line that told.
    unit: Option<(u32, u64)>,
}

impl Assembler {
    fn new(path: &Path, options: &ImportOptions) -> Assembler {
        let venue = options.venue.clone().unwrap_or_else(|| {
            let of_symbol = options.symbol.as_deref().and_then(|s| s.split_once(':')).map(|(venue, _)| venue);
            of_symbol.unwrap_or("file").to_string()
        });
        Assembler {
            path: path.into(),
            venue,
            symbol: None,
            symbols: BTreeMap::new(),
            volume_in_quote: options.volume_in_quote,
            asked: options.interval,
            interval: None,
            waiting: Vec::new(),
            unit: None,
        }
    }

    /// For a file without a symbol column: what was stated, or what the file's name says.
    fn one_symbol(&mut self, options: &ImportOptions) {
        let name = options.symbol.clone().unwrap_or_else(|| symbol_of(&self.path));
        self.symbol = Some(self.unified(&name));
    }

    fn unified(&self, name: &str) -> Symbol {
        match name.split_once(':') {
            Some(_) => Symbol::new(name),
            None => Symbol::new(&format!("{}:{}", self.venue, name.replace(['/', '_'], "-"))),
        }
    }

    fn symbol_for(&mut self, text: &str) -> Symbol {
        match self.symbols.get(text) {
            Some(symbol) => symbol.clone(),
            None => {
                let symbol = self.unified(text);
                self.symbols.insert(text.to_string(), symbol.clone());
                symbol
            }
        }
    }

    /// One row; empty texts are missing fields.
    fn row(
        &mut self,
        place: u64,
        at: Option<RawTime<'_>>,
        texts: &[&str; FIELDS],
        out: &mut Batch,
    ) -> Result<(), ImportError> {
        out.rows_read += 1;
        if let Some(RawTime::Text(text)) = at {
            self.check_unit(place, text)?;
        }
        match self.record(place, at, texts, out) {
            Ok(record) if self.interval.is_some() => out.records.push(record),
            Ok(record) => {
                self.waiting.push(record);
                if self.waiting.len() >= LOOKAHEAD {
                    self.settle(out)?;
                }
            }
            Err((kind, example)) => out.defects.add(kind, place, || example),
        }
        Ok(())
    }

    fn record(
        &mut self,
        place: u64,
        at: Option<RawTime<'_>>,
        texts: &[&str; FIELDS],
        out: &mut Batch,
    ) -> Result<Record, (DefectKind, String)> {
        let open_time = match at {
            None => return Err((DefectKind::MissingField, "no time".into())),
            Some(RawTime::At(at)) => at,
            Some(RawTime::Text(text)) => time::parse(text).ok_or_else(|| (DefectKind::BadTime, format!("{text:?}")))?,
        };
        let mut number = |field: Field| -> Result<Option<Number>, (DefectKind, String)> {
            let text = texts[field as usize];
            if text.is_empty() {
                return Ok(None);
            }
            let bad = |_| (DefectKind::BadNumber, format!("{} {text:?}", field.name()));
            let (number, rounded) = Number::parse_rounded(text).map_err(bad)?;
            // Files like these are mostly written from doubles.
            let (number, noisy) = number.without_noise();
            if rounded || noisy {
                out.defects.add(DefectKind::Rounded, place, || format!("{} {text}", field.name()));
            }
            Ok(Some(number))
        };
        let missing = |field: Field| (DefectKind::MissingField, format!("no {}", field.name()));
        let mut price = |field: Field| number(field)?.ok_or_else(|| missing(field));
        let (open, high) = (price(Field::Open)?, price(Field::High)?);
        let (low, close) = (price(Field::Low)?, price(Field::Close)?);
        let (mut volume, mut quote_volume) = (number(Field::Volume)?, number(Field::QuoteVolume)?);
        let taker_buy_volume = number(Field::TakerBuyVolume)?;
        if self.volume_in_quote && quote_volume.is_none() {
            quote_volume = volume.take();
        }
        let trades = match texts[Field::Trades as usize] {
            "" => None,
            text => {
                let whole = Number::parse(text).ok().filter(|n| n.places() == 0 && n.signum() >= 0);
                Some(whole.ok_or_else(|| (DefectKind::BadNumber, format!("trades {text:?}")))?.mantissa() as u64)
            }
        };
        let symbol = match (&self.symbol, texts[Field::Symbol as usize]) {
            (Some(symbol), _) => symbol.clone(),
            (None, "") => return Err(missing(Field::Symbol)),
            (None, text) => self.symbol_for(text),
        };
        let interval = self.interval.unwrap_or(Interval::M1);
        let bar = BarFields { interval, open, high, low, close, volume, quote_volume, trades, taker_buy_volume };
        Ok(Record { symbol, place, ts_event: Some(open_time), ts_recv: None, body: Body::Bar(bar) })
    }

    /// Finds the interval from the rows that wait, and hands them on.
    fn settle(&mut self, out: &mut Batch) -> Result<(), ImportError> {
        if self.interval.is_none() && !self.waiting.is_empty() {
            self.interval = Some(self.find_interval()?);
        }
        let Some(interval) = self.interval else { return Ok(()) };
        for mut record in self.waiting.drain(..) {
            if let Body::Bar(bar) = &mut record.body {
                bar.interval = interval;
            }
            out.records.push(record);
        }
        Ok(())
    }

    /// The most common step between neighbours of a symbol.
    fn find_interval(&self) -> Result<Interval, ImportError> {
        let fail = |why: String, hint: &str| Err(ImportError::new(&self.path, 0, why, hint));
        let mut last: BTreeMap<&Symbol, UnixNanos> = BTreeMap::new();
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for record in &self.waiting {
            let Some(at) = record.ts_event else { continue };
            if let Some(before) = last.insert(&record.symbol, at) {
                // Files are written newest first, too.
                *counts.entry((at.0 - before.0).abs()).or_default() += 1;
            }
        }
        counts.remove(&0);
        let step =
            counts.iter().max_by_key(|(step, count)| (**count, std::cmp::Reverse(**step))).map(|(step, _)| *step);
        let Some(step) = step else {
            return match self.asked {
                Some(asked) => Ok(asked),
                None => fail("one bar does not tell its interval".into(), "state it, for example --interval 1m"),
            };
        };
        let whole = (step % 1_000_000_000 == 0).then(|| u32::try_from(step / 1_000_000_000).ok()).flatten();
        match (whole.and_then(Interval::from_secs), self.asked) {
            (None, _) => {
                let why = format!("bars are {step} ns apart, and an interval is whole seconds");
                fail(why, "check which column is the time: --map NAME=time")
            }
            (Some(found), Some(asked)) if asked != found => {
                fail(format!("bars are {found} apart, not {asked}"), "leave --interval out, or state what the file has")
            }
            (Some(found), _) => Ok(found),
        }
    }

    /// Two units mean that two files were put together: nobody knows what else is wrong then.
    fn check_unit(&mut self, place: u64, text: &str) -> Result<(), ImportError> {
        let whole = text.split('.').next().unwrap_or(text).trim();
        if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(());
        }
        let unit = match whole.len() {
            0..=11 => 9,
            12..=14 => 6,
            15..=17 => 3,
            _ => 0,
        };
        let (first, line) = *self.unit.get_or_insert((unit, place));
        if first == unit {
            return Ok(());
        }
        let name = |unit| match unit {
            9 => "seconds",
            6 => "milliseconds",
            3 => "microseconds",
            _ => "nanoseconds",
        };
        let why = format!("mixed time units: {} here, {} at line {line}", name(unit), name(first));
        let hint = "two files were put together in one: split them and import each by itself";
        Err(ImportError::new(&self.path, place, why, hint))
    }
}

/// `btc_perp_1m_2022-01.csv` → `BTC-USDT-PERP`: where only the file's name says anything.
fn symbol_of(path: &Path) -> String {
    let stem = path.file_name().map(|s| s.to_string_lossy().to_string()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let mut words = stem.split(['_', '-']);
    let coin = words.next().unwrap_or_default().to_uppercase();
    let perp = words.any(|w| w.eq_ignore_ascii_case("perp") || w.eq_ignore_ascii_case("swap"));
    let coin = coin.strip_suffix("USDT").filter(|c| !c.is_empty()).unwrap_or(&coin);
    let coin = if coin.is_empty() { "ASSET" } else { coin };
    format!("{coin}-USDT{}", if perp { "-PERP" } else { "" })
}

#[cfg(test)]
mod tests;
