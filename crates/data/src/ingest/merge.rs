//! Merges sorted files of one partition into one sorted file without repetitions.
//! Never: holds more than a row group of each.

use super::dedupe::dedupe;
use crate::defect::{DefectKind, Defects};
use crate::error::CatalogError;
use crate::part::{PartInfo, PartReader, PartWriter, ROW_GROUP};
use crate::record::Kind;
use crate::table::Table;
use std::path::Path;

/// What a merge made.
#[derive(Debug)]
pub struct Merged {
    /// The new file; `None` where nothing came to what was there.
    pub info: Option<PartInfo>,
    /// Rows that came to what was there.
    pub added: u64,
}

/// One of the files, with the rows in front.
struct Cursor {
    reader: PartReader,
    table: Table,
    row: usize,
    /// 0: it was in the catalog before.
    origin: u8,
}

impl Cursor {
    fn open(path: &Path, origin: u8, scales: &[u8]) -> Result<Option<Cursor>, CatalogError> {
        let reader = PartReader::open(path)?;
        let table = Table::new(reader.info().kind);
        let mut cursor = Cursor { reader, table, row: 0, origin };
        Ok(cursor.fill(scales)?.then_some(cursor))
    }

    /// False at the end.
    fn fill(&mut self, scales: &[u8]) -> Result<bool, CatalogError> {
        while self.row >= self.table.len() {
            let Some(mut table) = self.reader.next_table()? else { return Ok(false) };
            table.raise_all(scales).map_err(|e| does_not_fit(self.reader.path(), e.column))?;
            (self.table, self.row) = (table, 0);
        }
        Ok(true)
    }

    fn time(&self) -> i64 {
        self.table.time(self.row)
    }
}

pub fn does_not_fit(path: &Path, column: &str) -> CatalogError {
    CatalogError::new(
        format!("{}: the values of {column} need more than 18 digits together with the new ones", path.display()),
        "import one of the two sources into another --catalog",
    )
}

/// Trade ids of a file, sorted: the same trade may come from an archive and from a recording, whose times differ.
fn ids_of(path: &Path) -> Result<Vec<i64>, CatalogError> {
    let mut reader = PartReader::open(path)?;
    let mut ids = Vec::new();
    while let Some(table) = reader.next_table()? {
        ids.extend(table.column(2).iter().filter(|id| **id != 0));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Merges the catalog's file (where there is one) with staged runs into `out`, every column at `scales`.
pub fn merge(
    existing: Option<&Path>,
    runs: &[&Path],
    scales: &[u8],
    out: &Path,
    sources: &[String],
    defects: &mut Defects,
) -> Result<Merged, CatalogError> {
    let mut cursors = Vec::new();
    let was = match existing {
        Some(path) => {
            cursors.extend(Cursor::open(path, 0, scales)?);
            PartReader::open(path)?.info().rows
        }
        None => 0,
    };
    for path in runs {
        cursors.extend(Cursor::open(path, 1, scales)?);
    }
    let Some(kind) = cursors.first().map(|c| c.table.kind()) else {
        return Ok(Merged { info: None, added: 0 });
    };
    let mut rows = Table::new(kind);
    rows.raise_all(scales).map_err(|e| does_not_fit(out, e.column))?;
    let known = match existing {
        Some(path) if kind == Kind::Trades => ids_of(path)?,
        _ => Vec::new(),
    };
    let mut sink = Sink { writer: PartWriter::create(out, &rows, false)?, origins: Vec::new(), rows, known };
    while !cursors.is_empty() {
        let first = (0..cursors.len()).min_by_key(|n| (cursors[*n].time(), *n)).unwrap_or(0);
        // All rows of this file that come before the next one's; on a tie the file that stands first goes first.
        let others = (0..cursors.len()).filter(|n| *n != first);
        let until = others.map(|n| (cursors[n].time(), n)).min();
        let cursor = &mut cursors[first];
        let from = cursor.row;
        let goes = |row: usize| until.is_none_or(|(time, n)| (cursor.table.time(row), first) < (time, n));
        let mut to = from + 1;
        while to < cursor.table.len() && goes(to) {
            to += 1;
        }
        sink.take(&cursor.table, from, to, cursor.origin, defects)?;
        cursor.row = to;
        if !cursor.fill(scales)? {
            cursors.remove(first);
        }
    }
    sink.drain(true, defects)?;
    let rows = sink.writer.rows();
    if existing.is_some() && rows == was {
        // Nothing is new: the old file stays, whatever its scales.
        return Ok(Merged { info: None, added: 0 });
    }
    let info = sink.writer.close(sources)?;
    Ok(Merged { added: rows - was.min(rows), info: Some(info) })
}

/// Rewrites a file with larger scales.
pub fn rescale(path: &Path, scales: &[u8], out: &Path) -> Result<PartInfo, CatalogError> {
    let mut reader = PartReader::open(path)?;
    let mut like = Table::new(reader.info().kind);
    like.raise_all(scales).map_err(|e| does_not_fit(path, e.column))?;
    let mut writer = PartWriter::create(out, &like, false)?;
    while let Some(mut table) = reader.next_table()? {
        table.raise_all(scales).map_err(|e| does_not_fit(path, e.column))?;
        writer.write(&table)?;
    }
    writer.close(&reader.info().sources.clone())
}

struct Sink {
    writer: PartWriter,
    rows: Table,
    origins: Vec<u8>,
    /// Ids of trades that the catalog has, sorted.
    known: Vec<i64>,
}

impl Sink {
    fn take(
        &mut self,
        from_table: &Table,
        from: usize,
        to: usize,
        origin: u8,
        defects: &mut Defects,
    ) -> Result<(), CatalogError> {
        self.rows.extend(from_table, from, to);
        self.origins.resize(self.rows.len(), origin);
        if self.rows.len() >= ROW_GROUP {
            self.drain(false, defects)?;
        }
        Ok(())
    }

    /// Writes all whole moments: all but the last, unless nothing comes any more.
    fn drain(&mut self, all: bool, defects: &mut Defects) -> Result<(), CatalogError> {
        let mut whole = self.rows.len();
        if !all {
            let Some(last) = whole.checked_sub(1).map(|row| self.rows.time(row)) else { return Ok(()) };
            while whole > 0 && self.rows.time(whole - 1) == last {
                whole -= 1;
            }
        }
        let mut rest = self.rows.like();
        rest.extend(&self.rows, whole, self.rows.len());
        let rest_origins = self.origins.split_off(whole);
        let mut keep = vec![true; whole];
        keep.resize(self.rows.len(), false);
        self.rows.retain(&keep);
        dedupe(&mut self.rows, &mut self.origins, defects);
        self.drop_known(defects);
        self.writer.write(&self.rows)?;
        (self.rows, self.origins) = (rest, rest_origins);
        Ok(())
    }

    fn drop_known(&mut self, defects: &mut Defects) {
        if self.known.is_empty() {
            return;
        }
        let rows = &self.rows;
        let mut keep = vec![true; rows.len()];
        for (row, keep) in keep.iter_mut().enumerate() {
            let id = rows.column(2)[row];
            if self.origins[row] != 0 && id != 0 && self.known.binary_search(&id).is_ok() {
                defects.add(DefectKind::Duplicate, rows.place(row), || rows.describe(row));
                *keep = false;
            }
        }
        self.rows.retain(&keep);
    }
}
