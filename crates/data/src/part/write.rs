//! Writes one Parquet file, row group by row group, and seals it with a digest of its bytes.
//! Never: leaves a file under its final name before all of it is on the disk (the caller renames).

use super::{
    DATA_BYTES, FORMAT, FROM, KIND, PLACE, PartInfo, ROW_GROUP, SHA256, SOURCES, TO, VERSION, damaged, parquet_schema,
};
use crate::error::CatalogError;
use crate::schema::{ColumnType, NULL};
use crate::table::Table;
use ctos_storage::fs::{Fs, RealFs};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Counts and digests what passes through.
struct Hashing {
    out: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.digest.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An open file. Dropped without [`PartWriter::close`], it is no valid Parquet file.
pub struct PartWriter {
    path: PathBuf,
    writer: SerializedFileWriter<Hashing>,
    /// Rows that do not fill a row group yet.
    pending: Table,
    places: bool,
    rows: u64,
    from: i64,
    to: i64,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn properties(kind: crate::record::Kind) -> Result<WriterProperties, ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by("ctos".into());
    for column in crate::schema::columns(kind) {
        if matches!(column.kind, ColumnType::Time | ColumnType::Int | ColumnType::Decimal) {
            // Neighbours are near each other: differences pack better than a dictionary, and read faster.
            properties = properties
                .set_column_dictionary_enabled(column.name.into(), false)
                .set_column_encoding(column.name.into(), Encoding::DELTA_BINARY_PACKED);
        }
    }
    Ok(properties.build())
}

impl PartWriter {
    /// Rows will have the scales of `like`. With `places`, the file keeps where each row stood: a staged file.
    pub fn create(path: &Path, like: &Table, places: bool) -> Result<PartWriter, CatalogError> {
        // Through the file-system seam, so that tests can kill the process here.
        let made = RealFs.write(path, b"").and_then(|()| File::options().write(true).open(path));
        let file = made.map_err(|e| CatalogError::io("create", path, &e))?;
        let out = Hashing { out: BufWriter::with_capacity(256 << 10, file), digest: Sha256::new(), bytes: 0 };
        let open = || {
            let schema = parquet_schema(like.kind(), like.scales(), places)?;
            SerializedFileWriter::new(out, schema, Arc::new(properties(like.kind())?))
        };
        let writer = open().map_err(|e| written(path, e))?;
        let (from, to) = (i64::MAX, i64::MIN);
        Ok(PartWriter { path: path.into(), writer, pending: like.like(), places, rows: 0, from, to })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn scales(&self) -> &[u8] {
        self.pending.scales()
    }

    /// Time of the last row, `i64::MIN` before the first.
    pub fn last_time(&self) -> i64 {
        self.to
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends rows, which are in order and not before those already there. Their scales are those of this file.
    pub fn write(&mut self, rows: &Table) -> Result<(), CatalogError> {
        self.write_rows(rows, 0, rows.len())
    }

    /// Appends rows `from..to` of a table.
    pub fn write_rows(&mut self, rows: &Table, from: usize, to: usize) -> Result<(), CatalogError> {
        if from >= to {
            return Ok(());
        }
        debug_assert!(rows.time(from) >= self.to, "rows come in order");
        self.from = self.from.min(rows.time(from));
        self.to = rows.time(to - 1);
        self.rows += (to - from) as u64;
        let mut at = from;
        while at < to {
            let n = (to - at).min(ROW_GROUP - self.pending.len());
            self.pending.extend(rows, at, at + n);
            at += n;
            if self.pending.len() == ROW_GROUP {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CatalogError> {
        let (writer, rows, places) = (&mut self.writer, &self.pending, self.places);
        let mut group = || {
            let mut group = writer.next_row_group()?;
            for at in 0..rows.schema().len() {
                let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("a column less".into()))?;
                write_column(&mut column, rows, at)?;
                column.close()?;
            }
            if places {
                let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("a column less".into()))?;
                let values: Vec<i64> = rows.places().iter().map(|p| *p as i64).collect();
                column.typed::<Int64Type>().write_batch(&values, None, None)?;
                column.close()?;
            }
            group.close().map(|_| ())
        };
        group().map_err(|e| written(&self.path, e))?;
        self.pending.clear();
        Ok(())
    }

    /// Seals the file. It is not durable before its file system was synced.
    pub fn close(mut self, sources: &[String]) -> Result<PartInfo, CatalogError> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        let (path, kind) = (self.path.clone(), self.pending.kind());
        let mut seal = || {
            self.writer.flush()?;
            let (digest, data_bytes) = {
                let out = self.writer.inner();
                (out.digest.clone().finalize(), out.bytes)
            };
            let sha256 = crate::hex(&digest);
            let mut say =
                |key: &str, value: String| self.writer.append_key_value_metadata(KeyValue::new(key.into(), value));
            say(FORMAT, VERSION.into());
            say(KIND, kind.to_string());
            say(SOURCES, sources.join(","));
            say(FROM, self.from.to_string());
            say(TO, self.to.to_string());
            say(SHA256, sha256.clone());
            say(DATA_BYTES, data_bytes.to_string());
            self.writer.finish()?;
            Ok((sha256, data_bytes))
        };
        let (sha256, data_bytes) = seal().map_err(|e: ParquetError| written(&path, e))?;
        let out = self.writer.inner_mut();
        out.flush().map_err(|e| CatalogError::io("write", &path, &e))?;
        let file_bytes = out.bytes;
        let scales = self.pending.scales().to_vec();
        let (rows, from, to) = (self.rows, self.from, self.to);
        Ok(PartInfo { kind, rows, from, to, scales, sources: sources.to_vec(), sha256, data_bytes, file_bytes })
    }
}

fn write_column(column: &mut SerializedColumnWriter<'_>, rows: &Table, at: usize) -> Result<(), ParquetError> {
    let (spec, cells) = (&rows.schema()[at], rows.column(at));
    debug_assert_ne!(spec.name, PLACE);
    let levels: Option<Vec<i16>> = spec.nullable.then(|| cells.iter().map(|c| i16::from(*c != NULL)).collect());
    let levels = levels.as_deref();
    let there = || cells.iter().filter(|c| !spec.nullable || **c != NULL);
    match spec.kind {
        ColumnType::Time | ColumnType::Int | ColumnType::Decimal => {
            let writer = column.typed::<Int64Type>();
            if spec.nullable && cells.contains(&NULL) {
                let values: Vec<i64> = there().copied().collect();
                writer.write_batch(&values, levels, None)?;
            } else {
                writer.write_batch(cells, levels, None)?;
            }
        }
        ColumnType::Bool => {
            let values: Vec<bool> = there().map(|c| *c != 0).collect();
            column.typed::<BoolType>().write_batch(&values, levels, None)?;
        }
        ColumnType::Word(words) => {
            let words: Vec<ByteArray> = words.iter().map(|w| ByteArray::from(*w)).collect();
            let values: Vec<ByteArray> = there().map(|c| words[*c as usize].clone()).collect();
            column.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
        }
        ColumnType::Text => {
            let values: Vec<ByteArray> = there().map(|c| ByteArray::from(rows.text(*c))).collect();
            column.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
        }
    }
    Ok(())
}

fn written(path: &Path, e: ParquetError) -> CatalogError {
    match e {
        ParquetError::External(source) => CatalogError::new(
            format!("cannot write {}: {source}", path.display()),
            "check the free space and the permissions of the disk",
        ),
        e => damaged(path, e),
    }
}
