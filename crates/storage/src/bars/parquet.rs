//! Rows of a Parquet bar file through the crate's row interface.
//! Never: arithmetic on a float: a double becomes the shortest decimal text that reads back as that very double, and
//! where that has more than 18 places it is rounded, as text, to the 15 digits a double is good for.

use super::collect::{Collector, RawRow, RawTime};
use super::{BarError, BarOptions, Column, Layout};
use ctos_types::UnixNanos;
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// By the magic number, not by the name.
pub(super) fn is_parquet(path: &Path) -> Result<bool, BarError> {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut f| f.read(&mut magic));
    let n = read.map_err(|source| BarError::Open { path: path.into(), source })?;
    Ok(&magic[..n] == b"PAR1")
}

pub(super) fn read(path: &Path, options: &BarOptions) -> Result<(Collector, [u8; 32]), BarError> {
    let fail = |line, why| BarError::Format { path: path.into(), line, why };
    let damaged = |line, e: ParquetError| fail(line, format!("not a whole Parquet file ({e}); fetch it again"));
    let sha256 = digest(path).map_err(|source| BarError::Read { path: path.into(), line: 0, source })?;
    let file = File::open(path).map_err(|source| BarError::Open { path: path.into(), source })?;
    let reader = SerializedFileReader::new(file).map_err(|e| damaged(0, e))?;
    let schema = reader.metadata().file_metadata().schema();
    let (projection, columns) = project(schema).map_err(|why| fail(0, why))?;
    let mut collector = Collector::default();
    for (number, row) in (1..).zip(reader.get_row_iter(Some(projection)).map_err(|e| damaged(0, e))?) {
        let fields = row.map_err(|e| damaged(number, e))?.into_columns();
        push(&mut collector, number, &columns, &fields, options);
    }
    Ok((collector, sha256))
}

fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let (mut file, mut digest, mut piece) = (File::open(path)?, Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest.finalize().into()),
            n => digest.update(&piece[..n]),
        }
    }
}

/// The schema with only the bar's columns, and which one stands where.
fn project(schema: &Type) -> Result<(Type, Vec<Column>), String> {
    let fields = schema.get_fields();
    let layout = Layout::from_headers(fields.iter().map(|f| f.name()));
    layout.check()?;
    let all = [Column::Time, Column::Open, Column::High, Column::Low, Column::Close, Column::Volume, Column::Symbol];
    let mut places: Vec<(usize, Column)> =
        all.into_iter().filter_map(|c| layout.0[c as usize].map(|at| (at, c))).collect();
    places.sort_by_key(|(at, _)| *at);
    let mut kept = Vec::with_capacity(places.len());
    for (at, column) in &places {
        let field: &Arc<Type> = &fields[*at];
        if !is_readable(field, *column) {
            return Err(format!(
                "column {:?} has a type that is no {}; write times as timestamps and numbers as double, decimal or text",
                field.name(),
                column.name()
            ));
        }
        kept.push(Arc::clone(field));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(kept).build().map_err(|e| e.to_string())?;
    Ok((projection, places.into_iter().map(|(_, c)| c).collect()))
}

/// The row interface panics on the types it does not know, so only those it does know are let in.
fn is_readable(field: &Type, column: Column) -> bool {
    use ConvertedType as C;
    if !field.is_primitive() || field.get_basic_info().has_repetition() && is_repeated(field) {
        return false;
    }
    let converted = field.get_basic_info().converted_type();
    let number = column != Column::Time && column != Column::Symbol;
    let half = matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Float16));
    match field.get_physical_type() {
        Physical::DOUBLE | Physical::FLOAT => column != Column::Symbol,
        Physical::INT32 if number => {
            matches!(
                converted,
                C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::UINT_8 | C::UINT_16 | C::UINT_32 | C::DECIMAL
            )
        }
        Physical::INT32 => column == Column::Time && matches!(converted, C::NONE | C::INT_32 | C::UINT_32 | C::DATE),
        Physical::INT64 if number => matches!(converted, C::NONE | C::INT_64 | C::UINT_64 | C::DECIMAL),
        Physical::INT64 => {
            let known = [C::NONE, C::INT_64, C::UINT_64, C::TIMESTAMP_MILLIS, C::TIMESTAMP_MICROS];
            column == Column::Time && known.contains(&converted)
        }
        Physical::INT96 => column == Column::Time,
        Physical::BYTE_ARRAY => converted == C::UTF8 || number && converted == C::DECIMAL,
        Physical::FIXED_LEN_BYTE_ARRAY => number && converted == C::DECIMAL && !half,
        Physical::BOOLEAN => false,
    }
}

fn is_repeated(field: &Type) -> bool {
    field.get_basic_info().repetition() == parquet::basic::Repetition::REPEATED
}

fn push(collector: &mut Collector, line: u64, columns: &[Column], fields: &[(String, Field)], options: &BarOptions) {
    let field = |c: Column| columns.iter().position(|have| *have == c).map(|at| &fields[at].1);
    let texts =
        [Column::Open, Column::High, Column::Low, Column::Close].map(|c| field(c).map(text).unwrap_or_default());
    let volume = field(Column::Volume).map(text);
    let symbol = field(Column::Symbol).map(|f| if let Field::Str(s) = f { s.as_str() } else { "" });
    if options.symbol.is_some() && symbol.is_some() && symbol != options.symbol.as_deref() {
        return;
    }
    let time_text = field(Column::Time).map(text).unwrap_or_default();
    let time = match field(Column::Time) {
        Some(f) => at(f).map(RawTime::At).or((!time_text.is_empty()).then_some(RawTime::Text(&time_text))),
        None => None,
    };
    let prices = [&*texts[0], &*texts[1], &*texts[2], &*texts[3]];
    collector.row(RawRow { line, symbol, time, prices, volume: volume.as_deref() });
}

/// A typed time; text and plain numbers, which nanosecond timestamps come as too, go the way of CSV.
fn at(field: &Field) -> Option<UnixNanos> {
    match field {
        Field::TimestampMillis(ms) => ms.checked_mul(1_000_000).map(UnixNanos),
        Field::TimestampMicros(us) => us.checked_mul(1_000).map(UnixNanos),
        Field::Date(days) => Some(UnixNanos(i64::from(*days) * ctos_types::time::NANOS_PER_DAY)),
        _ => None,
    }
}

/// Decimal text of a field; empty for null.
fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(s) => s.trim().to_string(),
        // `Display` of a Rust float is the shortest text that reads back, without exponent.
        Field::Double(v) => v.to_string(),
        Field::Float(v) => v.to_string(),
        other => other.to_string(),
    }
}
