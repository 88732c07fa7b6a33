//! Reads one Parquet file of the catalog, one row group at a time, and checks that it is one.
//! Never: trusts a file's schema because of where it lies.

use super::{DATA_BYTES, FORMAT, FROM, KIND, PLACE, PartInfo, SHA256, SOURCES, TO, VERSION, damaged};
use crate::error::CatalogError;
use crate::record::Kind;
use crate::schema::{self, Column, ColumnType, NULL};
use crate::table::Table;
use parquet::basic::{LogicalType, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::FileMetaData;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::statistics::Statistics;
use parquet::schema::types::Type;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// An open file.
pub struct PartReader {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    info: PartInfo,
    places: bool,
    next_group: usize,
    /// The row group that is being read.
    open: Option<OpenGroup>,
}

/// The columns of a row group, each as far as it was read, and the rows that are left.
struct OpenGroup {
    columns: Vec<ColumnReader>,
    left: usize,
}

impl std::fmt::Debug for PartReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartReader").field("path", &self.path).field("info", &self.info).finish_non_exhaustive()
    }
}

impl PartReader {
    /// # Errors
    /// The file cannot be opened, or is no whole file of a catalog.
    pub fn open(path: &Path) -> Result<PartReader, CatalogError> {
        let file = File::open(path).map_err(|e| CatalogError::io("open", path, &e))?;
        let file_bytes = file.metadata().map_err(|e| CatalogError::io("read", path, &e))?.len();
        let reader =
            SerializedFileReader::new(file).map_err(|e| damaged(path, format!("not a whole Parquet file ({e})")))?;
        let meta = reader.metadata().file_metadata();
        let (info, places) = describe(meta, file_bytes).map_err(|why| damaged(path, why))?;
        Ok(PartReader { path: path.into(), reader, info, places, next_group: 0, open: None })
    }

    pub fn info(&self) -> &PartInfo {
        &self.info
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rows of the next row group, or what is left of one that was begun; `None` at the end.
    pub fn next_table(&mut self) -> Result<Option<Table>, CatalogError> {
        self.next_rows(usize::MAX)
    }

    /// The next rows, up to `limit` and never beyond a row group; `None` at the end. Of the file no more is held than a
    /// page of each column.
    pub fn next_rows(&mut self, limit: usize) -> Result<Option<Table>, CatalogError> {
        if self.open.is_none() && self.next_group >= self.reader.num_row_groups() {
            return Ok(None);
        }
        self.read_rows(limit).map(Some).map_err(|e| damaged(&self.path, e))
    }

    fn read_rows(&mut self, limit: usize) -> Result<Table, ParquetError> {
        let mut group = match self.open.take() {
            Some(group) => group,
            None => {
                let group = self.reader.get_row_group(self.next_group)?;
                self.next_group += 1;
                let columns = schema::columns(self.info.kind).len() + usize::from(self.places);
                let columns = (0..columns).map(|at| group.get_column_reader(at)).collect::<Result<_, _>>()?;
                let left = usize::try_from(group.metadata().num_rows());
                OpenGroup { columns, left: left.map_err(|_| ParquetError::General("negative rows".into()))? }
            }
        };
        let rows = group.left.min(limit);
        let table = read_group(&mut group.columns, rows, &self.info, self.places)?;
        group.left -= rows;
        self.open = Some(group).filter(|group| group.left > 0);
        Ok(table)
    }

    /// Goes back to row group `at`.
    pub fn seek(&mut self, at: usize) {
        (self.next_group, self.open) = (at, None);
    }

    /// Passes row groups that end before `time`, by their statistics.
    pub fn skip_to(&mut self, time: i64) {
        while self.next_group < self.reader.num_row_groups() && self.group_ends_before(self.next_group, time) {
            self.next_group += 1;
        }
    }

    fn group_ends_before(&self, group: usize, time: i64) -> bool {
        let column = |at: usize| self.reader.metadata().row_group(group).column(at);
        let max = |at: usize| match column(at).statistics() {
            Some(Statistics::Int64(s)) => s.max_opt().copied(),
            _ => None,
        };
        let has_nulls = |at: usize| column(at).statistics().and_then(Statistics::null_count_opt) != Some(0);
        let event = max(schema::TS_EVENT);
        match self.info.kind {
            Kind::Bars(_) => event.is_some_and(|t| t < time),
            // A row without receive time counts by the venue's.
            _ if has_nulls(schema::TS_RECV) => {
                let recv = max(schema::TS_RECV).is_none_or(|t| t < time);
                recv && event.is_some_and(|t| t < time)
            }
            _ => max(schema::TS_RECV).is_some_and(|t| t < time),
        }
    }

    /// Largest value of a decimal column, by the footer's statistics.
    pub fn largest(&self, column: usize) -> Option<i64> {
        let groups = self.reader.metadata().row_groups().iter();
        let max = groups.filter_map(|g| match g.column(column).statistics() {
            Some(Statistics::Int64(s)) => s.max_opt().copied(),
            _ => None,
        });
        max.max()
    }

    /// Reads the bytes before the footer again and compares their digest.
    ///
    /// # Errors
    /// They are not what was written.
    pub fn check_digest(&self) -> Result<(), CatalogError> {
        let fail = |e: &std::io::Error| CatalogError::io("read", &self.path, e);
        let mut file = File::open(&self.path).map_err(|e| fail(&e))?.take(self.info.data_bytes);
        let (mut digest, mut piece) = (Sha256::new(), vec![0; 256 << 10]);
        loop {
            match file.read(&mut piece).map_err(|e| fail(&e))? {
                0 => break,
                n => digest.update(&piece[..n]),
            }
        }
        if crate::hex(&digest.finalize()) != self.info.sha256 {
            return Err(damaged(&self.path, "its bytes are not those that were written (checksum differs)"));
        }
        Ok(())
    }
}

fn describe(meta: &FileMetaData, file_bytes: u64) -> Result<(PartInfo, bool), String> {
    let said = |key: &str| {
        let found = meta.key_value_metadata().and_then(|all| all.iter().find(|kv| kv.key == key));
        found.and_then(|kv| kv.value.clone()).ok_or_else(|| format!("not a file of a catalog: it has no {key}"))
    };
    let number = |key: &str| said(key)?.parse::<i64>().map_err(|_| format!("{key} is not a number"));
    match said(FORMAT)?.as_str() {
        VERSION => {}
        other => return Err(format!("written in format {other}, and this version of ctos reads {VERSION}")),
    }
    let kind: Kind = said(KIND)?.parse()?;
    let (scales, places) = check_schema(kind, meta.schema_descr().root_schema().get_fields())?;
    let sources = said(SOURCES)?.split(',').filter(|s| !s.is_empty()).map(str::to_string).collect();
    let rows = u64::try_from(meta.num_rows()).map_err(|_| "negative number of rows")?;
    let data_bytes = u64::try_from(number(DATA_BYTES)?).map_err(|_| "negative size")?;
    let (from, to, sha256) = (number(FROM)?, number(TO)?, said(SHA256)?);
    Ok((PartInfo { kind, rows, from, to, scales, sources, sha256, data_bytes, file_bytes }, places))
}

/// The columns must be exactly ours. Gives the scales, and whether places are there.
fn check_schema(kind: Kind, fields: &[std::sync::Arc<Type>]) -> Result<(Vec<u8>, bool), String> {
    let columns = schema::columns(kind);
    let places = fields.len() == columns.len() + 1 && fields[columns.len()].name() == PLACE;
    if fields.len() != columns.len() + usize::from(places) {
        return Err(format!("{} columns where {kind} has {}", fields.len(), columns.len()));
    }
    let scales = columns.iter().zip(fields).map(|(column, field)| check_column(column, field));
    Ok((scales.collect::<Result<_, _>>()?, places))
}

fn check_column(column: &Column, field: &Type) -> Result<u8, String> {
    let wrong = || format!("column {:?} is not as it must be ({:?})", field.name(), column.name);
    if field.name() != column.name || !field.is_primitive() || field.is_optional() != column.nullable {
        return Err(wrong());
    }
    let physical = match column.kind {
        ColumnType::Time | ColumnType::Decimal | ColumnType::Int => Physical::INT64,
        ColumnType::Bool => Physical::BOOLEAN,
        ColumnType::Word(_) | ColumnType::Text => Physical::BYTE_ARRAY,
    };
    if field.get_physical_type() != physical {
        return Err(wrong());
    }
    match (column.kind, field.get_basic_info().logical_type_ref()) {
        (ColumnType::Decimal, Some(LogicalType::Decimal(d))) => u8::try_from(d.scale).map_err(|_| wrong()),
        (ColumnType::Decimal, _) => Err(wrong()),
        _ => Ok(0),
    }
}

/// The next `rows` rows of an open row group.
fn read_group(readers: &mut [ColumnReader], rows: usize, info: &PartInfo, places: bool) -> Result<Table, ParquetError> {
    let mut table = Table::new(info.kind);
    table.raise_all(&info.scales).map_err(|_| ParquetError::General("scales".into()))?;
    let columns = schema::columns(info.kind);
    for (at, (column, reader)) in columns.iter().zip(&mut *readers).enumerate() {
        let cells = read_column(reader, column, rows, &mut table)?;
        table.columns_mut()[at] = cells;
    }
    if places {
        let place = Column { name: PLACE, kind: ColumnType::Int, nullable: false };
        let cells = read_column(&mut readers[columns.len()], &place, rows, &mut table)?;
        table.set_places(cells.into_iter().map(|p| p as u64).collect());
    }
    Ok(table)
}

fn read_column(
    reader: &mut ColumnReader,
    column: &Column,
    rows: usize,
    table: &mut Table,
) -> Result<Vec<i64>, ParquetError> {
    let mut levels: Vec<i16> = Vec::new();
    let mut cells: Vec<i64> = Vec::new();
    let short = |n: usize| ParquetError::General(format!("column {} has {n} of {rows} rows", column.name));
    macro_rules! values {
        ($reader:expr) => {{
            let mut values = Vec::with_capacity(rows);
            let reader = $reader;
            let mut read = 0;
            while read < rows {
                let levels = column.nullable.then_some(&mut levels);
                match reader.read_records(rows - read, levels, None, &mut values)?.0 {
                    0 => return Err(short(read)),
                    n => read += n,
                }
            }
            values
        }};
    }
    match reader {
        ColumnReader::Int64ColumnReader(r) => cells = values!(r),
        ColumnReader::BoolColumnReader(r) => cells.extend(values!(r).into_iter().map(|b: bool| i64::from(b))),
        ColumnReader::ByteArrayColumnReader(r) => {
            for text in values!(r) {
                cells.push(text_cell(&text, column, table)?);
            }
        }
        _ => return Err(ParquetError::General(format!("column {} has another type", column.name))),
    }
    if !column.nullable || cells.len() == rows {
        return Ok(cells);
    }
    let mut there = cells.into_iter();
    Ok(levels.iter().map(|level| if *level == 0 { NULL } else { there.next().unwrap_or(NULL) }).collect())
}

fn text_cell(text: &ByteArray, column: &Column, table: &mut Table) -> Result<i64, ParquetError> {
    let bad = || ParquetError::General(format!("a word that column {} does not have", column.name));
    match column.kind {
        ColumnType::Word(words) => {
            words.iter().position(|w| w.as_bytes() == text.data()).map(|at| at as i64).ok_or_else(bad)
        }
        _ => Ok(table.intern(text.as_utf8().map_err(|_| bad())?)),
    }
}
