//! What an import did: provenance, counts and everything that was wrong, as it is shown and as it is kept.
//! Never: half of it: a manifest is written when all rows are in the catalog.

use crate::defect::{Defect, DefectKind};
use crate::error::CatalogError;
use crate::layout::{Catalog, write_atomic};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;

/// The report of one import, kept as `_imports/ID.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Digest of the file's bytes and of the options, shortened: the same import has the same id.
    pub id: String,
    pub file: SourceFile,
    /// What read it: `binance-klines`, `capture`, ...
    pub importer: String,
    /// What the caller stated about the file.
    pub options: String,
    pub version: String,
    /// RFC 3339.
    pub imported_at: String,
    pub rows_read: u64,
    /// Rows that came into the catalog. A book update counts one row a level.
    pub rows_added: u64,
    /// In order of kind.
    pub defects: Vec<Defect>,
    pub series: Vec<SeriesReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesReport {
    pub symbol: String,
    pub kind: String,
    /// First and last time among the rows of this file, RFC 3339.
    pub from: String,
    pub to: String,
    /// Rows of this file, after repetitions inside of it are gone.
    pub rows: u64,
    /// Those of them that the catalog did not have.
    pub added: u64,
    pub days: u64,
    /// Missing bars or trade ids between neighbours in the file.
    pub missing: u64,
}

impl ImportReport {
    pub fn defect(&self, kind: DefectKind) -> u64 {
        self.defects.iter().find(|d| d.kind == kind).map_or(0, |d| d.count)
    }

    /// For people, several lines.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} rows read, {} added ({}, import {})\n",
            self.file.path, self.rows_read, self.rows_added, self.importer, self.id
        );
        for s in &self.series {
            let missing = if s.missing > 0 { format!(", {} missing", s.missing) } else { String::new() };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {} {}: {} rows, {} new, {} to {}, {} days{missing}",
                s.symbol, s.kind, s.rows, s.added, s.from, s.to, s.days
            );
        }
        for defect in &self.defects {
            let _ = writeln!(text, "  ! {defect}");
        }
        text
    }
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

pub fn write_manifest(catalog: &Catalog, report: &ImportReport) -> Result<(), CatalogError> {
    let path = catalog.manifest(&report.id);
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
    let mut text = serde_json::to_vec_pretty(report)
        .map_err(|e| CatalogError::new(format!("cannot write a manifest: {e}"), "report this as a bug"))?;
    text.push(b'\n');
    write_atomic(&path, &text)
}
