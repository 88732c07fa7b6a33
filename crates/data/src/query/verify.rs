//! Reads everything again: checksums, schema, order, partitions, scales, continuity, provenance.
//! Never: mends anything; it says what to do.

use super::Selection;
use crate::error::CatalogError;
use crate::ingest::read_manifest;
use crate::layout::{Catalog, Series, date_text, day};
use crate::part::PartReader;
use crate::record::Kind;
use crate::schema::book;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    /// The catalog is not as it was written: each needs an action.
    pub problems: Vec<String>,
    /// What the data lacks: holes, lost book updates.
    pub notes: Vec<String>,
}

/// Checks the series that `selection` names, every file and row of them.
///
/// # Errors
/// The catalog cannot be listed. Damaged files are [`Verification::problems`].
pub fn verify(
    catalog: &Catalog,
    selection: &Selection,
    mut progress: impl FnMut(u64),
) -> Result<Verification, CatalogError> {
    let mut found = Verification::default();
    let mut sources = BTreeSet::new();
    for series in selection.series(catalog)? {
        let (mut scales, mut book_gaps): (Option<Vec<u8>>, u64) = (None, 0);
        for day in selection.days(catalog, &series)? {
            let path = catalog.part(&series, day);
            match check(&path, &series, day, &mut found, &mut book_gaps) {
                Ok(info) => {
                    sources.extend(info.sources);
                    if scales.replace(info.scales.clone()).is_some_and(|before| before != info.scales) {
                        let what = format!("{series}: decimal places change on {}", date_text(day));
                        found.problems.push(format!("{what}; import any file of this series again to align them"));
                    }
                }
                Err(e) => found.problems.push(format!("{}; {}", e.message, e.hint)),
            }
            progress(found.bytes);
        }
        if book_gaps > 0 {
            found.notes.push(format!("{series}: the book is unknown after {book_gaps} gaps, until the next snapshot"));
        }
        // A damaged file was named above.
        if let Ok(gaps) = catalog.bar_gaps(&series, i64::MIN, i64::MAX) {
            found.notes.extend(gaps.iter().map(|gap| format!("{} bars missing; first {}", gap.count, gap.example)));
        }
    }
    for id in sources {
        match read_manifest(catalog, &id) {
            Ok(Some(_)) => {}
            Ok(None) => found.problems.push(format!(
                "import {id} was cut off: some of its days are in place, others are not; run the same import again"
            )),
            Err(e) => found.problems.push(format!("{}; {}", e.message, e.hint)),
        }
    }
    if catalog.staging().exists() {
        let what = "files of an import that was cut off (or is running) lie in the staging area";
        found.notes.push(format!("{what}; the next import removes them"));
    }
    Ok(found)
}

fn check(
    path: &Path,
    series: &Series,
    of_day: i64,
    found: &mut Verification,
    book_gaps: &mut u64,
) -> Result<crate::part::PartInfo, CatalogError> {
    let bad = |why: String| {
        let hint = "remove it with its manifest in `_imports`, and import the source again";
        CatalogError::new(format!("{}: {why}", path.display()), hint)
    };
    let mut reader = PartReader::open(path)?;
    let info = reader.info().clone();
    found.files += 1;
    found.bytes += info.file_bytes;
    if info.kind != series.kind {
        return Err(bad(format!("it holds {}, and lies under {}", info.kind, series.kind)));
    }
    reader.check_digest()?;
    let (mut rows, mut last) = (0, i64::MIN);
    while let Some(table) = reader.next_table()? {
        for row in 0..table.len() {
            let time = table.time(row);
            if time < last {
                return Err(bad(format!("row {} is earlier than the row before it", rows + row as u64 + 1)));
            }
            if day(time) != of_day {
                return Err(bad(format!("row {} is of {}", rows + row as u64 + 1, date_text(day(time)))));
            }
            last = time;
        }
        if series.kind == Kind::Book {
            *book_gaps += table.column(book::ACTION).iter().filter(|a| **a == book::GAP).count() as u64;
        }
        rows += table.len() as u64;
    }
    if rows != info.rows {
        return Err(bad(format!("{rows} rows, and its footer says {}", info.rows)));
    }
    found.rows += rows;
    Ok(info)
}
