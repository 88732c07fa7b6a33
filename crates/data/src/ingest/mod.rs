//! Takes a source into the catalog: checked, staged, merged, then put in place partition by partition.
//! Never: adds a row twice, shows a partition half done, or needs more memory for a larger file.

mod check;
mod dedupe;
mod manifest;
mod merge;
mod place;
mod source;
mod spool;
mod work;

pub use check::missing_bars;
pub use manifest::{ImportReport, SeriesReport, SourceFile, read_manifest};

use crate::defect::Defects;
use crate::error::CatalogError;
use crate::import::{ImportOptions, Importer};
use crate::layout::Catalog;
use ctos_types::UnixNanos;
use manifest::write_manifest;
use source::{digest, import_id, stamp_of};
use std::path::{Path, PathBuf};
use work::Work;

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
    importer: Box<dyn Importer + '_>,
    unchanged: impl FnOnce() -> Result<(), CatalogError>,
) -> Result<ImportReport, CatalogError> {
    let _lock = stream.catalog.lock()?;
    staged(stream, importer, unchanged)
}

/// From the first row to the manifest. The caller holds the lock.
fn staged(
    stream: Stream<'_>,
    mut importer: Box<dyn Importer + '_>,
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
    if work.is_empty() {
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

fn clear_staging(catalog: &Catalog) -> Result<(), CatalogError> {
    let dir = catalog.staging();
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CatalogError::io("remove", &dir, &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
