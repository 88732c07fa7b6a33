//! Takes a source into the catalog: checked, staged, merged, then put in place partition by partition.
//! Never: adds a row twice, shows a partition half done, or needs more memory for a larger file.

mod check;
mod dedupe;
mod manifest;
mod merge;
mod spool;

pub use check::missing_bars;
pub use manifest::{ImportReport, SeriesReport, SourceFile};

use crate::defect::{DefectKind, Defects};
use crate::error::CatalogError;
use crate::import::{Batch, ImportOptions, Importer};
use crate::layout::{Catalog, Series, write_atomic};
use crate::part::{PartInfo, PartReader};
use crate::record::Kind;
use check::{Checked, SeriesState};
use ctos_storage::fs::{Fs, RealFs};
use ctos_types::{Symbol, UnixNanos};
use sha2::{Digest, Sha256};
use spool::Spool;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Bytes of the source passed, and all of them.
    pub bytes: u64,
    pub total: u64,
    pub rows: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The checksum is computed.
    Checksum,
    Reading,
    /// Partitions are merged and put in place; `bytes` counts partitions.
    Writing,
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    Done(Box<ImportReport>),
    /// The same file was imported before, with the same options: nothing was added.
    Before(Box<ImportReport>),
}

impl Imported {
    pub fn report(&self) -> &ImportReport {
        match self {
            Imported::Done(report) | Imported::Before(report) => report,
        }
    }
}

/// One file to import.
pub struct Job<'a> {
    pub catalog: &'a Catalog,
    pub path: &'a Path,
    pub options: &'a ImportOptions,
    /// The wall clock, for the manifest.
    pub now: UnixNanos,
    /// Called often.
    pub progress: &'a mut dyn FnMut(Progress),
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("path", &self.path).field("options", &self.options).finish_non_exhaustive()
    }
}

/// Imports one file. A kill at any moment leaves a catalog from which the same call finishes the work.
///
/// # Errors
/// The source cannot be used, the catalog cannot be written, or another process writes to it.
pub fn import(
    job: Job<'_>,
    open: impl FnOnce(&Path, &ImportOptions) -> Result<Box<dyn Importer>, CatalogError>,
) -> Result<Imported, CatalogError> {
    let Job { catalog, path, options, now, progress } = job;
    // What is no source at all is told before its bytes are read.
    let importer = open(path, options)?;
    let _lock = catalog.lock()?;
    let (file, stamp) = digest(path, progress)?;
    let id = import_id(&file, options);
    if let Some(report) = read_manifest(catalog, &id)? {
        return Ok(Imported::Before(Box::new(report)));
    }
    let stream = Stream { catalog, id, file, options: options.text(), now, progress };
    let unchanged = || {
        if stamp_of(path)? == stamp {
            return Ok(());
        }
        let hint = "wait until nobody writes to it, then import it";
        Err(CatalogError::new(format!("{} changed while it was imported", path.display()), hint))
    };
    staged(stream, importer, unchanged).map(|report| Imported::Done(Box::new(report)))
}

/// A source that is no plain file, for [`ingest`].
pub(crate) struct Stream<'a> {
    pub catalog: &'a Catalog,
    /// The same source must have the same id, another one another.
    pub id: String,
    pub file: SourceFile,
    pub options: String,
    pub now: UnixNanos,
    pub progress: &'a mut dyn FnMut(Progress),
}

/// Takes in a source whose identity the caller knows.
pub(crate) fn ingest(
    stream: Stream<'_>,
    importer: Box<dyn Importer>,
    unchanged: impl FnOnce() -> Result<(), CatalogError>,
) -> Result<ImportReport, CatalogError> {
    let _lock = stream.catalog.lock()?;
    staged(stream, importer, unchanged)
}

/// From the first row to the manifest. The caller holds the lock.
fn staged(
    stream: Stream<'_>,
    mut importer: Box<dyn Importer>,
    unchanged: impl FnOnce() -> Result<(), CatalogError>,
) -> Result<ImportReport, CatalogError> {
    let Stream { catalog, id, file, options, now, progress } = stream;
    clear_staging(catalog)?;
    let path = PathBuf::from(&file.path);
    let mut work = Work::new(catalog, &id)?;
    let read = work.read(&mut *importer, &path, file.bytes, progress);
    let read = read.and_then(|read| unchanged().map(|()| read));
    let (rows_read, mut defects) = read.inspect_err(|_| {
        // The error at hand says more than one about the staging area, which the next import clears.
        let _ = clear_staging(catalog);
    })?;
    if work.spool.slots.is_empty() {
        clear_staging(catalog)?;
        return Err(nothing(&path, rows_read, &defects));
    }
    let series = work.commit(&id, &mut defects, progress)?;
    let report = ImportReport {
        id,
        file,
        importer: importer.name().into(),
        options,
        version: env!("CARGO_PKG_VERSION").into(),
        imported_at: now.to_string(),
        rows_read,
        rows_added: series.iter().map(|s| s.added).sum(),
        defects: defects.iter().cloned().collect(),
        series,
    };
    write_manifest(catalog, &report)?;
    clear_staging(catalog)?;
    Ok(report)
}

fn nothing(path: &Path, rows_read: u64, defects: &Defects) -> CatalogError {
    let worst = defects.iter().max_by_key(|d| d.count);
    let why = match worst {
        Some(defect) => format!("none of {rows_read} rows can be used: {defect}"),
        None => "it holds no rows".into(),
    };
    CatalogError::new(format!("{}: {why}", path.display()), "check that this is the file you meant; see docs/data.md")
}

/// An import under way.
struct Work<'a> {
    catalog: &'a Catalog,
    spool: Spool,
    series: Vec<SeriesState>,
    numbers: HashMap<(Symbol, Kind), usize>,
}

impl<'a> Work<'a> {
    fn new(catalog: &'a Catalog, id: &str) -> Result<Work<'a>, CatalogError> {
        let spool = Spool::new(&catalog.staging().join(id), id)?;
        Ok(Work { catalog, spool, series: Vec::new(), numbers: HashMap::new() })
    }

    fn read(
        &mut self,
        importer: &mut dyn Importer,
        path: &Path,
        total: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(u64, Defects), CatalogError> {
        let (mut batch, mut checked) = (Batch::default(), Checked::default());
        let (mut rows, mut defects) = (0, Defects::default());
        let mut last: Option<usize> = None;
        loop {
            batch.clear();
            let more = importer.next(&mut batch)?;
            rows += batch.rows_read;
            defects.merge(batch.defects.take());
            for record in &batch.records {
                let kind = record.body.kind();
                let same = |n: &usize| {
                    let series = &self.series[*n].series;
                    series.kind == kind && series.symbol == record.symbol
                };
                let number = match last.filter(same) {
                    Some(number) => number,
                    None => self.number(&record.symbol, kind, importer.consecutive_ids(), path)?,
                };
                last = Some(number);
                let series = &mut self.series[number];
                if series.check(record, &batch.levels, &mut defects, &mut checked) {
                    self.spool.push(self.catalog, number, series, &checked, record.place, &mut defects)?;
                }
            }
            progress(Progress { stage: Stage::Reading, bytes: importer.bytes_read().min(total), total, rows });
            if !more {
                break;
            }
        }
        self.spool.finish(&mut defects)?;
        Ok((rows, defects))
    }

    fn number(&mut self, symbol: &Symbol, kind: Kind, ids: bool, path: &Path) -> Result<usize, CatalogError> {
        if let Some(number) = self.numbers.get(&(symbol.clone(), kind)) {
            return Ok(*number);
        }
        let (venue, name) = symbol.split();
        if venue.is_empty() || name.is_empty() {
            let hint = "state it with --venue and --symbol";
            return Err(CatalogError::new(format!("{}: symbol {symbol:?} names no venue", path.display()), hint));
        }
        let series = Series { symbol: symbol.clone(), kind };
        let instrument = match kind {
            Kind::Instruments => None,
            _ => crate::instruments::known(self.catalog, symbol)?,
        };
        let mut state = SeriesState::new(series.clone(), instrument.as_ref(), ids);
        for day in self.catalog.days(&series)? {
            spool::widen_by(&mut state, &self.catalog.part(&series, day))?;
        }
        self.series.push(state);
        let number = self.series.len() - 1;
        self.numbers.insert((symbol.clone(), kind), number);
        Ok(number)
    }

    /// Makes the final files in the staging area, then puts them in place one by one.
    fn commit(
        &mut self,
        id: &str,
        defects: &mut Defects,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<SeriesReport>, CatalogError> {
        let total = self.spool.slots.len() as u64;
        let mut moves: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut reports: Vec<Option<Counts>> = self.series.iter().map(|_| None).collect();
        for (done, ((number, day), slot)) in self.spool.slots.iter().enumerate() {
            let state = &self.series[*number];
            let part = self.catalog.part(&state.series, *day);
            let made = self.partition(id, state, slot, &part, defects)?;
            let report = reports[*number].get_or_insert_with(|| Counts::of(&state.series));
            report.add(slot, made.added);
            moves.extend(made.file.map(|file| (file, part)));
            progress(Progress { stage: Stage::Writing, bytes: done as u64 + 1, total, rows: 0 });
        }
        self.rescale_rest(&mut moves)?;
        put_in_place(self.catalog, &moves)?;
        let mut done = Vec::new();
        for (state, report) in self.series.iter_mut().zip(reports) {
            let Some(mut report) = report else { continue };
            if state.disordered && matches!(state.series.kind, Kind::Bars(_)) {
                state.gaps = self.catalog.bar_gaps(&state.series, report.from, report.to)?;
            }
            let gaps = state.gaps.take();
            report.missing = gaps.count(DefectKind::Gap);
            defects.merge(gaps);
            done.push(report.text());
        }
        done.sort_by(|a, b| (&a.symbol, &a.kind).cmp(&(&b.symbol, &b.kind)));
        Ok(done)
    }

    fn partition(
        &self,
        id: &str,
        state: &SeriesState,
        slot: &spool::Slot,
        part: &Path,
        defects: &mut Defects,
    ) -> Result<Made, CatalogError> {
        let existing = if part.is_file() { Some(PartReader::open(part)?.info().clone()) } else { None };
        let runs: Vec<(&Path, &PartInfo)> = slot.closed().collect();
        if existing.as_ref().is_some_and(|info| info.sources.iter().any(|s| s == id)) {
            // This partition was put in place before an earlier attempt was killed.
            return Ok(Made { file: None, added: slot.rows() });
        }
        if let ([(path, info)], None) = (runs.as_slice(), &existing)
            && info.scales == state.scales
            && !slot.existing
        {
            return Ok(Made { file: Some(path.to_path_buf()), added: info.rows });
        }
        let out = runs.first().map(|(path, _)| path.with_extension("merged")).unwrap_or_default();
        let mut sources = existing.as_ref().map(|info| info.sources.clone()).unwrap_or_default();
        sources.push(id.to_string());
        let paths: Vec<&Path> = runs.iter().map(|(path, _)| *path).collect();
        let was = existing.is_some().then_some(part);
        let merged = merge::merge(was, &paths, &state.scales, &out, &sources, defects)?;
        Ok(Made { file: merged.info.map(|_| out), added: merged.added })
    }

    /// All files of a series have one scale, so that every reader takes them as one table.
    fn rescale_rest(&self, moves: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), CatalogError> {
        let staging = self.catalog.staging();
        for state in &self.series {
            for day in self.catalog.days(&state.series)? {
                let part = self.catalog.part(&state.series, day);
                if moves.iter().any(|(_, to)| *to == part) || PartReader::open(&part)?.info().scales == state.scales {
                    continue;
                }
                let out = staging.join(format!("rescaled-{}.parquet", moves.len()));
                merge::rescale(&part, &state.scales, &out)?;
                moves.push((out, part));
            }
        }
        Ok(())
    }
}

/// What became of one partition.
struct Made {
    /// The finished file in the staging area; `None`: the one in place stays.
    file: Option<PathBuf>,
    added: u64,
}

/// A series' counts while they are added up.
struct Counts {
    series: Series,
    from: i64,
    to: i64,
    rows: u64,
    added: u64,
    days: u64,
    missing: u64,
}

impl Counts {
    fn of(series: &Series) -> Counts {
        let (from, to) = (i64::MAX, i64::MIN);
        Counts { series: series.clone(), from, to, rows: 0, added: 0, days: 0, missing: 0 }
    }

    fn add(&mut self, slot: &spool::Slot, added: u64) {
        for (_, info) in slot.closed() {
            self.from = self.from.min(info.from);
            self.to = self.to.max(info.to);
        }
        self.rows += slot.rows();
        self.added += added;
        self.days += 1;
    }

    fn text(&self) -> SeriesReport {
        SeriesReport {
            symbol: self.series.symbol.to_string(),
            kind: self.series.kind.to_string(),
            from: UnixNanos(self.from).to_string(),
            to: UnixNanos(self.to).to_string(),
            rows: self.rows,
            added: self.added,
            days: self.days,
            missing: self.missing,
        }
    }
}

/// Everything is on the disk before the first name changes; each name changes at once.
fn put_in_place(catalog: &Catalog, moves: &[(PathBuf, PathBuf)]) -> Result<(), CatalogError> {
    sync(catalog, moves.iter().map(|(from, _)| from.as_path()).collect())?;
    let mut dirs = std::collections::BTreeSet::new();
    for (from, to) in moves {
        let dir = to.parent().unwrap_or(Path::new("."));
        RealFs.create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
        RealFs.rename(from, to).map_err(|e| CatalogError::io("rename into", to, &e))?;
        // New directories are names in the one above.
        dirs.extend(dir.ancestors().take(5).filter(|d| d.starts_with(catalog.dir())));
    }
    sync(catalog, dirs.into_iter().collect())
}

/// More files than this are synced by one call for the whole disk, where the system has it.
const SYNC_ALL: usize = 100;

fn sync(catalog: &Catalog, files: Vec<&Path>) -> Result<(), CatalogError> {
    #[cfg(target_os = "linux")]
    if files.len() > SYNC_ALL {
        let fail = |e: std::io::Error| CatalogError::io("sync", catalog.dir(), &e);
        let dir = File::open(catalog.dir()).map_err(fail)?;
        return rustix::fs::syncfs(&dir).map_err(|e| fail(e.into()));
    }
    for file in files {
        let synced = File::open(file).and_then(|f| f.sync_all());
        synced.map_err(|e| CatalogError::io("sync", file, &e))?;
    }
    Ok(())
}

fn clear_staging(catalog: &Catalog) -> Result<(), CatalogError> {
    let dir = catalog.staging();
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CatalogError::io("remove", &dir, &e)),
        _ => Ok(()),
    }
}

/// Size and modification time: whether a file changed under us.
type Stamp = (u64, Option<std::time::SystemTime>);

fn stamp_of(path: &Path) -> Result<Stamp, CatalogError> {
    let meta = std::fs::metadata(path).map_err(|e| CatalogError::io("read", path, &e))?;
    Ok((meta.len(), meta.modified().ok()))
}

fn digest(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(SourceFile, Stamp), CatalogError> {
    let fail = |e: std::io::Error| CatalogError::io("read", path, &e);
    let stamp = stamp_of(path)?;
    let mut file = File::open(path).map_err(fail)?;
    let (mut digest, mut piece, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut piece).map_err(fail)? {
            0 => break,
            n => {
                digest.update(&piece[..n]);
                bytes += n as u64;
                progress(Progress { stage: Stage::Checksum, bytes, total: stamp.0.max(bytes), rows: 0 });
            }
        }
    }
    let sha256 = crate::hex(&digest.finalize());
    Ok((SourceFile { path: path.display().to_string(), bytes, sha256 }, stamp))
}

fn import_id(file: &SourceFile, options: &ImportOptions) -> String {
    let digest = Sha256::digest(format!("1\n{}\n{}", file.sha256, options.text()));
    crate::hex(&digest[..8])
}

/// The manifest of an import, where it has one.
pub fn read_manifest(catalog: &Catalog, id: &str) -> Result<Option<ImportReport>, CatalogError> {
    let path = catalog.manifest(id);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(CatalogError::io("read", &path, &e)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        let hint = "remove that manifest and import the file again: rows that are there are not added twice";
        CatalogError::new(format!("{}: {e}", path.display()), hint)
    })
}

fn write_manifest(catalog: &Catalog, report: &ImportReport) -> Result<(), CatalogError> {
    let path = catalog.manifest(&report.id);
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
    let mut text = serde_json::to_vec_pretty(report)
        .map_err(|e| CatalogError::new(format!("cannot write a manifest: {e}"), "report this as a bug"))?;
    text.push(b'\n');
    write_atomic(&path, &text)
}

#[cfg(test)]
mod tests;
