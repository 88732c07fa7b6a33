//! Candles from a feather file (Arrow IPC): `date` and open, high, low, close, volume as doubles.
//! Never: more of a float than its shortest decimal text.

use super::blocks::Blocks;
use super::{NUMBERS, Series};
use crate::defect::DefectKind;
use crate::import::fields::{Flaw, OneUnit, Stamp, flaw};
use crate::import::{Batch, ImportError, ImportOptions, Importer};
use crate::number::Number;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use ctos_types::UnixNanos;
use std::path::{Path, PathBuf};

/// An open feather file.
pub(crate) struct Feather {
    path: PathBuf,
    series: Series,
    blocks: Blocks,
    /// Names of the time column and of those of [`NUMBERS`] that are needed.
    time: String,
    columns: [Option<String>; NUMBERS.len()],
    unit: OneUnit,
    /// The batch at hand and its next row.
    batch: Option<(Columns, usize)>,
    place: u64,
}

/// The columns of one batch.
struct Columns {
    rows: usize,
    time: ArrayRef,
    numbers: [Option<ArrayRef>; NUMBERS.len()],
}

impl Feather {
    pub fn open(path: &Path, options: &ImportOptions) -> Result<Feather, ImportError> {
        let series = Series::new(path, options)?;
        let mut blocks = Blocks::open(path)?;
        let schema = std::sync::Arc::clone(&blocks.schema);
        let find = |names: &[&str]| {
            let named = |name: &str| names.iter().any(|n| name.eq_ignore_ascii_case(n));
            schema.fields().iter().enumerate().find(|(_, field)| named(field.name()))
        };
        let fail = |why: String| {
            let hint = "candles have the columns date, open, high, low, close, volume: a timestamp and doubles";
            ImportError::new(path, 0, why, hint)
        };
        let wrong = |name: &str, kind: &DataType| fail(format!("column {name} holds {kind}, which is not read here"));
        let (at, field) =
            find(&["date", "timestamp", "open_time", "time"]).ok_or_else(|| fail("no column date".into()))?;
        if !matches!(field.data_type(), DataType::Timestamp(..) | DataType::Int64) {
            return Err(wrong(field.name(), field.data_type()));
        }
        let (time, mut projection) = (field.name().clone(), vec![at]);
        let mut columns = [const { None }; NUMBERS.len()];
        for column in series.needed() {
            let names: &[&str] = match NUMBERS[*column] {
                "open" if series.candles == super::Candles::Funding => &["funding_rate", "fundingRate", "open"],
                name => &[name],
            };
            let found = names.iter().find_map(|name| find(&[name]));
            let (at, field) = found.ok_or_else(|| fail(format!("no column {}", NUMBERS[*column])))?;
            if !matches!(field.data_type(), DataType::Float64 | DataType::Float32 | DataType::Int64) {
                return Err(wrong(field.name(), field.data_type()));
            }
            columns[*column] = Some(field.name().clone());
            projection.push(at);
        }
        projection.sort_unstable();
        projection.dedup();
        blocks.project(projection);
        let unit = OneUnit::default();
        Ok(Feather { path: path.into(), series, blocks, time, columns, unit, batch: None, place: 0 })
    }

    /// The next batch that has rows.
    fn load(&mut self) -> Result<Option<(Columns, usize)>, ImportError> {
        if let Some(batch) = self.batch.take() {
            return Ok(Some(batch));
        }
        while let Some(batch) = self.blocks.next(self.place)? {
            if batch.num_rows() > 0 {
                return self.columns(&batch).map(|columns| Some((columns, 0)));
            }
        }
        Ok(None)
    }

    fn columns(&self, batch: &RecordBatch) -> Result<Columns, ImportError> {
        let column = |name: &String| {
            let lost =
                || ImportError::new(&self.path, self.place, format!("a batch lacks {name}"), "fetch the file again");
            batch.column_by_name(name).cloned().ok_or_else(lost)
        };
        let mut numbers = [const { None }; NUMBERS.len()];
        for (slot, name) in numbers.iter_mut().zip(&self.columns) {
            *slot = name.as_ref().map(&column).transpose()?;
        }
        Ok(Columns { rows: batch.num_rows(), time: column(&self.time)?, numbers })
    }

    fn row(&mut self, columns: &Columns, row: usize, out: &mut Batch) -> Result<Result<(), Flaw>, ImportError> {
        let at = match time(&columns.time, row) {
            Ok(Time::At(at)) => at,
            Ok(Time::Counted(stamp)) => {
                self.unit.check(&self.path, self.place, stamp.unit)?;
                stamp.at
            }
            Err(flaw) => return Ok(Err(flaw)),
        };
        let number = |column: usize| match &columns.numbers[column] {
            Some(values) => number(values, row, NUMBERS[column]),
            None => Err((DefectKind::MissingField, format!("no {}", NUMBERS[column]))),
        };
        let record = self.series.record(self.place, at, &mut out.defects, number);
        Ok(record.map(|record| out.records.push(record)))
    }
}

impl Importer for Feather {
    fn name(&self) -> &'static str {
        "freqtrade-feather"
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        while out.rows_read < Batch::TARGET as u64 {
            let Some((columns, from)) = self.load()? else {
                if self.place == 0 {
                    let hint = "fetch it again: freqtrade download-data";
                    return Err(ImportError::new(&self.path, 0, "the file has no rows", hint));
                }
                return Ok(false);
            };
            let room = Batch::TARGET.saturating_sub(out.rows_read as usize);
            let to = columns.rows.min(from + room);
            for row in from..to {
                self.place += 1;
                out.rows_read += 1;
                if let Err(found) = self.row(&columns, row, out)? {
                    flaw(&mut out.defects, self.place, found);
                }
            }
            self.batch = (to < columns.rows).then_some((columns, to));
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.blocks.bytes_read()
    }
}

enum Time {
    At(UnixNanos),
    /// A plain integer, whose unit only its magnitude tells.
    Counted(Stamp),
}

fn time(values: &ArrayRef, row: usize) -> Result<Time, Flaw> {
    if values.is_null(row) {
        return Err((DefectKind::MissingField, "no date".into()));
    }
    let (count, nanos) = match values.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            (values.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            (values.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            (values.as_primitive::<TimestampMicrosecondType>().value(row), 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            (values.as_primitive::<TimestampNanosecondType>().value(row), 1)
        }
        _ => {
            let count = values.as_primitive::<Int64Type>().value(row);
            let bad = || (DefectKind::BadTime, format!("date {count}"));
            return Stamp::parse(&count.to_string()).map(Time::Counted).ok_or_else(bad);
        }
    };
    let at = i64::checked_mul(count, nanos).map(UnixNanos).filter(|at| Stamp::is_plausible(*at));
    at.map(Time::At).ok_or_else(|| (DefectKind::BadTime, format!("date {count}")))
}

fn number(values: &ArrayRef, row: usize, name: &str) -> Result<(Number, bool), Flaw> {
    if values.is_null(row) {
        return Err((DefectKind::MissingField, format!("no {name}")));
    }
    let (text, number) = match values.data_type() {
        DataType::Float64 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            (value.to_string(), Number::from_double(value))
        }
        // Its own shortest text: as a double it would get digits that nobody wrote.
        DataType::Float32 => {
            let text = values.as_primitive::<Float32Type>().value(row).to_string();
            let number = Number::parse_rounded(&text).ok();
            (text, number)
        }
        _ => {
            let value = values.as_primitive::<Int64Type>().value(row);
            (value.to_string(), Number::new(value, 0).ok().map(|n| (n, false)))
        }
    };
    number.ok_or_else(|| (DefectKind::BadNumber, format!("{name} {text}")))
}
