//! One Parquet file of the catalog: rows of one venue, kind, symbol and day, in order of time.
//! Never: decides which rows belong in it.

mod read;
mod write;

pub use read::PartReader;
pub use write::PartWriter;

use crate::error::CatalogError;
use crate::record::Kind;
use crate::schema::{self, Column, ColumnType};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;
use std::path::Path;
use std::sync::Arc;

/// Rows of one row group: what a reader holds of one file at a time.
pub const ROW_GROUP: usize = 65_536;

/// Keys of the file's own metadata.
const FORMAT: &str = "ctos.format";
const VERSION: &str = "1";
const KIND: &str = "ctos.kind";
/// Ids of the imports whose rows are inside, with commas between.
const SOURCES: &str = "ctos.sources";
/// First and last time, ns.
const FROM: &str = "ctos.from";
const TO: &str = "ctos.to";
/// SHA-256 of the file's first `ctos.data_bytes` bytes: all that comes before the footer.
const SHA256: &str = "ctos.sha256";
const DATA_BYTES: &str = "ctos.data_bytes";

/// A staged file may carry where each row stood in its source.
const PLACE: &str = "_place";

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    pub kind: Kind,
    pub rows: u64,
    pub from: i64,
    pub to: i64,
    /// Decimal places by column.
    pub scales: Vec<u8>,
    /// Imports whose rows are inside.
    pub sources: Vec<String>,
    /// Of everything before the footer, in hex.
    pub sha256: String,
    pub data_bytes: u64,
    /// Of the whole file.
    pub file_bytes: u64,
}

impl PartInfo {
    /// Of no file.
    pub(crate) fn none(kind: Kind) -> PartInfo {
        let (sources, sha256, scales) = (Vec::new(), String::new(), Vec::new());
        PartInfo { kind, rows: 0, from: i64::MAX, to: i64::MIN, scales, sources, sha256, data_bytes: 0, file_bytes: 0 }
    }
}

fn parquet_schema(kind: Kind, scales: &[u8], places: bool) -> Result<Arc<Type>, ParquetError> {
    let mut fields = Vec::new();
    for (column, scale) in schema::columns(kind).iter().zip(scales) {
        fields.push(Arc::new(field(column, *scale)?));
    }
    if places {
        fields.push(Arc::new(field(&Column { name: PLACE, kind: ColumnType::Int, nullable: false }, 0)?));
    }
    Ok(Arc::new(Type::group_type_builder("ctos").with_fields(fields).build()?))
}

fn field(column: &Column, scale: u8) -> Result<Type, ParquetError> {
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let (physical, logical) = match column.kind {
        ColumnType::Time => (Physical::INT64, Some(LogicalType::timestamp(false, TimeUnit::NANOS))),
        ColumnType::Decimal => (Physical::INT64, Some(LogicalType::decimal(i32::from(scale), 18))),
        ColumnType::Int => (Physical::INT64, None),
        ColumnType::Bool => (Physical::BOOLEAN, None),
        ColumnType::Word(_) | ColumnType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let builder = Type::primitive_type_builder(column.name, physical).with_repetition(repetition);
    let builder = builder.with_logical_type(logical);
    match column.kind {
        ColumnType::Decimal => builder.with_precision(18).with_scale(i32::from(scale)).build(),
        _ => builder.build(),
    }
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> CatalogError {
    CatalogError::new(
        format!("{}: {why}", path.display()),
        "`ctos data verify` checks every file; remove a damaged one with its manifest in `imports` and import it again",
    )
}

#[cfg(test)]
mod tests;
