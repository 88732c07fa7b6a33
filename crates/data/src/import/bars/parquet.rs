//! Rows of a Parquet bar file, one row group in memory at a time.
//! Never: arithmetic on a float: a double becomes the shortest decimal text that reads back as that very double.

use super::{Assembler, FIELDS, Field, Layout, RawTime};
use crate::import::{Batch, ImportError, ImportOptions, Importer};
use ctos_storage::bars::time;
use ctos_types::UnixNanos;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::Field as Value;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open Parquet file.
pub struct ParquetBars {
    path: PathBuf,
    rows: RowIter<'static>,
    /// Which field each projected column is.
    fields: Vec<Field>,
    row: u64,
    total_rows: u64,
    total_bytes: u64,
    assembler: Assembler,
}

impl std::fmt::Debug for ParquetBars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetBars").field("path", &self.path).field("fields", &self.fields).finish_non_exhaustive()
    }
}

/// By the magic number, not by the name.
pub fn is_parquet(path: &Path) -> Result<bool, ImportError> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut f| f.read(&mut magic)).map_err(|e| ImportError::io(path, 0, &e))?;
    Ok(&magic[..read] == b"PAR1")
}

fn damaged(path: &Path, row: u64, e: &ParquetError) -> ImportError {
    ImportError::new(path, row, format!("not a whole Parquet file ({e})"), "fetch the file again")
}

impl ParquetBars {
    /// # Errors
    /// The file cannot be read, or its columns are not those of bars.
    pub fn open(path: &Path, options: &ImportOptions) -> Result<ParquetBars, ImportError> {
        let file = File::open(path).map_err(|e| ImportError::io(path, 0, &e))?;
        let total_bytes = file.metadata().map_err(|e| ImportError::io(path, 0, &e))?.len();
        let reader = SerializedFileReader::new(file).map_err(|e| damaged(path, 0, &e))?;
        let meta = reader.metadata().file_metadata();
        let total_rows = u64::try_from(meta.num_rows()).unwrap_or(0);
        let (projection, fields) =
            project(meta.schema(), options).map_err(|(why, hint)| ImportError::new(path, 0, why, hint))?;
        let mut assembler = Assembler::new(path, options);
        if !fields.contains(&Field::Symbol) {
            assembler.one_symbol(options);
        }
        let rows =
            RowIter::from_file_into(Box::new(reader)).project(Some(projection)).map_err(|e| damaged(path, 0, &e))?;
        Ok(ParquetBars { path: path.into(), rows, fields, row: 0, total_rows, total_bytes, assembler })
    }
}

impl Importer for ParquetBars {
    fn name(&self) -> &'static str {
        "bars-parquet"
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        while out.rows_read < Batch::TARGET as u64 {
            let Some(row) = self.rows.next() else {
                self.assembler.settle(out)?;
                return Ok(false);
            };
            self.row += 1;
            let values = row.map_err(|e| damaged(&self.path, self.row, &e))?.into_columns();
            let mut owned: [String; FIELDS] = Default::default();
            let mut at = None;
            for (field, (_, value)) in self.fields.iter().zip(&values) {
                if *field == Field::Time {
                    at = moment(value);
                }
                owned[*field as usize] = text(value);
            }
            let mut texts = [""; FIELDS];
            texts.iter_mut().zip(&owned).for_each(|(slot, text)| *slot = text);
            let written = texts[Field::Time as usize];
            let time = at.map(RawTime::At).or((!written.is_empty()).then_some(RawTime::Text(written)));
            self.assembler.row(self.row, time, &texts, out)?;
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        // Columns are read side by side, so only the share of rows tells how far it is.
        let share = u128::from(self.total_bytes) * u128::from(self.row) / u128::from(self.total_rows.max(1));
        u64::try_from(share).unwrap_or(self.total_bytes)
    }
}

/// The schema with only the bar's columns, and which field stands where.
fn project(schema: &Type, options: &ImportOptions) -> Result<(Type, Vec<Field>), (String, String)> {
    let columns = schema.get_fields();
    let layout = Layout::new(columns.iter().map(|f| f.name()), options)?;
    let mut places: Vec<(usize, Field)> =
        super::layout::NAMES.iter().filter_map(|(f, _)| layout.0[*f as usize].map(|at| (at, *f))).collect();
    places.sort_by_key(|(at, _)| *at);
    let mut kept = Vec::with_capacity(places.len());
    for (at, field) in &places {
        let column = &columns[*at];
        if !is_readable(column, *field) {
            let why = format!("column {:?} has a type that is no {}", column.name(), field.name());
            return Err((why, "write times as timestamps and numbers as double, decimal, integer or text".into()));
        }
        kept.push(Arc::clone(column));
    }
    let built = Type::group_type_builder(schema.name()).with_fields(kept).build();
    let projection = built.map_err(|e| (e.to_string(), "write the file again".to_string()))?;
    Ok((projection, places.into_iter().map(|(_, f)| f).collect()))
}

/// The row interface panics on types that it does not know: only those it does know are let in.
fn is_readable(column: &Type, field: Field) -> bool {
    use ConvertedType as C;
    let info = column.get_basic_info();
    if !column.is_primitive() || info.has_repetition() && info.repetition() == Repetition::REPEATED {
        return false;
    }
    let number = field != Field::Time && field != Field::Symbol;
    let half = matches!(info.logical_type_ref(), Some(LogicalType::Float16));
    let plain = [C::NONE, C::INT_8, C::INT_16, C::INT_32, C::INT_64, C::UINT_8, C::UINT_16, C::UINT_32, C::UINT_64];
    let converted = info.converted_type();
    match column.get_physical_type() {
        Physical::DOUBLE | Physical::FLOAT => field != Field::Symbol,
        Physical::INT32 | Physical::INT64 if number => plain.contains(&converted) || converted == C::DECIMAL,
        Physical::INT32 => field == Field::Time && (plain.contains(&converted) || converted == C::DATE),
        Physical::INT64 => {
            let times = [C::TIMESTAMP_MILLIS, C::TIMESTAMP_MICROS];
            field == Field::Time && (plain.contains(&converted) || times.contains(&converted))
        }
        Physical::INT96 => field == Field::Time,
        Physical::BYTE_ARRAY => converted == C::UTF8 || number && converted == C::DECIMAL,
        Physical::FIXED_LEN_BYTE_ARRAY => number && converted == C::DECIMAL && !half,
        Physical::BOOLEAN => false,
    }
}

/// A typed time; text and plain numbers go the way of CSV.
fn moment(value: &Value) -> Option<UnixNanos> {
    match value {
        Value::TimestampMillis(ms) => ms.checked_mul(1_000_000).map(UnixNanos),
        Value::TimestampMicros(us) => us.checked_mul(1_000).map(UnixNanos),
        Value::Date(days) => Some(UnixNanos(i64::from(*days) * ctos_types::time::NANOS_PER_DAY)),
        // Nanosecond timestamps come as plain numbers; their magnitude tells.
        Value::Long(n) => time::from_number(*n),
        _ => None,
    }
}

/// Decimal text of a value; empty for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Str(s) => s.trim().to_string(),
        // `Display` of a Rust float is the shortest text that reads back, without exponent.
        Value::Double(v) => v.to_string(),
        Value::Float(v) => v.to_string(),
        other => other.to_string(),
    }
}
