//! Collects checked rows by partition and writes them to sorted files in the staging area, in bounded memory.
//! Never: touches what the catalog already has.

use super::check::{Checked, SeriesState};
use super::dedupe::dedupe;
use crate::defect::Defects;
use crate::error::CatalogError;
use crate::layout::{Catalog, date_text, day};
use crate::part::{PartInfo, PartReader, PartWriter, ROW_GROUP};
use crate::table::Table;
use ctos_storage::fs::{Fs, RealFs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rows in memory, in bytes, above which the largest partitions are written out.
const BUDGET: usize = 160 << 20;
/// Files written at a time: each holds a row group.
const OPEN_FILES: usize = 12;

/// A sorted file in the staging area.
#[derive(Debug)]
pub enum Run {
    Open(Box<PartWriter>),
    Closed(PathBuf, PartInfo),
}

/// One partition of an import.
#[derive(Debug)]
pub struct Slot {
    buffer: Table,
    pub runs: Vec<Run>,
    /// The catalog has rows of this day: a merge will be needed, so staged files keep the rows' places.
    pub existing: bool,
    /// When rows came last, for choosing what to close.
    touched: u64,
}

/// All partitions of an import.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    id: String,
    /// By series (its number) and day.
    pub slots: BTreeMap<(usize, i64), Slot>,
    bytes: usize,
    clock: u64,
    files: u64,
}

impl Spool {
    pub fn new(dir: &Path, id: &str) -> Result<Spool, CatalogError> {
        RealFs.create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
        let slots = BTreeMap::new();
        Ok(Spool { dir: dir.into(), id: id.into(), slots, bytes: 0, clock: 0, files: 0 })
    }

    /// Adds a record's rows to the partition of their day.
    pub fn push(
        &mut self,
        catalog: &Catalog,
        number: usize,
        series: &SeriesState,
        checked: &Checked,
        place: u64,
        defects: &mut Defects,
    ) -> Result<(), CatalogError> {
        let at = (number, day(checked.time));
        let slot = self.slots.entry(at).or_insert_with(|| Slot {
            buffer: Table::new(series.kind()),
            runs: Vec::new(),
            existing: catalog.part(&series.series, at.1).is_file(),
            touched: 0,
        });
        self.clock += 1;
        slot.touched = self.clock;
        if slot.buffer.scales() != series.scales {
            let raised = slot.buffer.raise_all(&series.scales);
            raised.map_err(|e| super::merge::does_not_fit(&self.dir, e.column))?;
        }
        let before = slot.buffer.bytes();
        let width = series.scales.len();
        for row in &checked.rows {
            let mut row = *row;
            if let Some([base, quote, definition]) = &checked.texts {
                for (at, text) in [(3, base), (4, quote), (7, definition)] {
                    row[at] = slot.buffer.intern(text);
                }
            }
            slot.buffer.push(&row[..width]);
            slot.buffer.push_place(place);
        }
        self.bytes += slot.buffer.bytes() - before;
        if slot.buffer.len() >= ROW_GROUP {
            self.flush(at, false, defects)?;
        }
        if self.bytes > BUDGET {
            self.make_room(defects)?;
        }
        Ok(())
    }

    /// Writes the largest partitions until half of the budget is free.
    fn make_room(&mut self, defects: &mut Defects) -> Result<(), CatalogError> {
        let mut sizes: Vec<(usize, (usize, i64))> =
            self.slots.iter().map(|(at, slot)| (slot.buffer.bytes(), *at)).filter(|(bytes, _)| *bytes > 0).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (_, at) in sizes {
            if self.bytes <= BUDGET / 2 {
                break;
            }
            self.flush(at, true, defects)?;
        }
        Ok(())
    }

    /// Sorts and writes what is buffered of a partition. Unless `all`, the last moment stays: more of it may come.
    fn flush(&mut self, at: (usize, i64), all: bool, defects: &mut Defects) -> Result<(), CatalogError> {
        let Some(slot) = self.slots.get_mut(&at) else { return Ok(()) };
        self.bytes -= slot.buffer.bytes();
        let mut rows = slot.buffer.like();
        std::mem::swap(&mut rows, &mut slot.buffer);
        rows.sort();
        dedupe(&mut rows, &mut Vec::new(), defects);
        let mut whole = rows.len();
        if !all {
            let last = rows.time(whole - 1);
            while whole > 0 && rows.time(whole - 1) == last {
                whole -= 1;
            }
            slot.buffer.extend(&rows, whole, rows.len());
        }
        self.bytes += slot.buffer.bytes();
        if whole == 0 {
            return Ok(());
        }
        let first = rows.time(0);
        let fits = |run: &Run| match run {
            Run::Open(w) => w.scales() == rows.scales() && w.last_time() < first,
            Run::Closed(..) => false,
        };
        let found = slot.runs.iter().rposition(fits);
        let run = match found {
            Some(run) => run,
            None => {
                // A second file of a partition will be merged with the first: its rows keep their places.
                let places = slot.existing || !slot.runs.is_empty();
                self.files += 1;
                let name = format!("{}-{}-{:06}.parquet", at.0, date_text(at.1), self.files);
                let writer = PartWriter::create(&self.dir.join(name), &rows, places)?;
                slot.runs.push(Run::Open(Box::new(writer)));
                slot.runs.len() - 1
            }
        };
        if let Run::Open(writer) = &mut slot.runs[run] {
            writer.write_rows(&rows, 0, whole)?;
        }
        if found.is_none() {
            self.close_spare()?;
        }
        Ok(())
    }

    /// Closes files until few enough are open: those first whose partitions had no rows for the longest time.
    fn close_spare(&mut self) -> Result<(), CatalogError> {
        let mut open: Vec<(u64, (usize, i64), usize)> = Vec::new();
        for (at, slot) in &self.slots {
            let of_slot = slot.runs.iter().enumerate().filter(|(_, run)| matches!(run, Run::Open(_)));
            open.extend(of_slot.map(|(n, _)| (slot.touched, *at, n)));
        }
        let spare = open.len().saturating_sub(OPEN_FILES);
        open.sort_unstable();
        for (_, at, n) in open.into_iter().take(spare) {
            self.close(at, n)?;
        }
        Ok(())
    }

    fn close(&mut self, at: (usize, i64), run: usize) -> Result<(), CatalogError> {
        let Some(slot) = self.slots.get_mut(&at) else { return Ok(()) };
        let nothing = Run::Closed(PathBuf::new(), PartInfo::none(slot.buffer.kind()));
        let closed = match std::mem::replace(&mut slot.runs[run], nothing) {
            Run::Open(writer) => {
                let path = writer.path().to_path_buf();
                Run::Closed(path, writer.close(std::slice::from_ref(&self.id))?)
            }
            closed => closed,
        };
        slot.runs[run] = closed;
        Ok(())
    }

    /// Writes and closes everything.
    pub fn finish(&mut self, defects: &mut Defects) -> Result<(), CatalogError> {
        let all: Vec<(usize, i64)> = self.slots.keys().copied().collect();
        for at in all {
            if !self.slots[&at].buffer.is_empty() {
                self.flush(at, true, defects)?;
            }
            for run in 0..self.slots[&at].runs.len() {
                self.close(at, run)?;
            }
            if let Some(slot) = self.slots.get_mut(&at) {
                slot.buffer = Table::new(slot.buffer.kind());
            }
        }
        Ok(())
    }
}

impl Slot {
    /// Staged files with what they say of themselves.
    pub fn closed(&self) -> impl Iterator<Item = (&Path, &PartInfo)> {
        self.runs.iter().filter_map(|run| match run {
            Run::Closed(path, info) => Some((path.as_path(), info)),
            Run::Open(_) => None,
        })
    }

    pub fn rows(&self) -> u64 {
        self.closed().map(|(_, info)| info.rows).sum()
    }
}

/// Scales and largest values of what the catalog has of a day.
pub fn widen_by(series: &mut SeriesState, path: &Path) -> Result<(), CatalogError> {
    let reader = PartReader::open(path)?;
    series.widen(&reader.info().scales, |column| reader.largest(column));
    Ok(())
}
