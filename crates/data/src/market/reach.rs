//! What a catalog holds of a selection, from the footers of its files, and how much of it must be loaded so that a
//! part of its time can be traded as if all of it were there.
//! Never: loads more than a row group at a time.

use super::choose;
use crate::error::CatalogError;
use crate::layout::{Catalog, Series, day, day_start};
use crate::part::PartReader;
use crate::query::{Rows, Selection};
use crate::record::Kind;
use crate::schema::book;
use ctos_types::UnixNanos;
use sha2::{Digest, Sha256};
use std::path::Path;

/// What [`super::load`] would find, without a row read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    pub series: Vec<Extent>,
    /// Of the market that [`super::load`] makes of all of it.
    pub digest: [u8; 32],
}

/// When a series has data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    pub series: Series,
    /// When its first row becomes known; a bar at its close.
    pub first: UnixNanos,
    /// The same of its last.
    pub last: UnixNanos,
}

impl Survey {
    /// When the first and the last event of all happen.
    pub fn span(&self) -> Option<(UnixNanos, UnixNanos)> {
        let first = self.series.iter().map(|e| e.first).min()?;
        Some((first, self.series.iter().map(|e| e.last).max()?))
    }
}

/// When a row of this time becomes known.
pub(super) fn known_at(kind: Kind, time: i64) -> i64 {
    match kind {
        Kind::Bars(interval) => interval.end(UnixNanos(time)).0,
        _ => time,
    }
}

/// The earliest time of a row that becomes known at `at` or later.
fn first_known(kind: Kind, at: i64) -> i64 {
    match kind {
        Kind::Bars(interval) if interval.months().is_some() => interval.floor(UnixNanos(at.saturating_sub(1))).0,
        Kind::Bars(interval) => at.saturating_sub(interval.as_nanos().0),
        _ => at,
    }
}

/// Books, quotes and trades are filed by when they were received and happen in the venue's order: so much earlier and
/// later, nothing is expected to have been overtaken.
const OVERTAKEN: i64 = 60_000_000_000;

/// Looks at every file of what `selection` names, its range apart.
///
/// # Errors
/// Nothing is there, or a file is damaged.
pub fn survey(dir: &Path, selection: &Selection) -> Result<Survey, CatalogError> {
    let catalog = Catalog::open(dir)?;
    let mut digest = Sha256::new();
    let mut extents = Vec::new();
    for series in choose(&catalog, selection)? {
        let (mut first, mut last, mut digests) = (i64::MAX, i64::MIN, Vec::new());
        for day in catalog.days(&series)? {
            let reader = PartReader::open(&catalog.part(&series, day))?;
            let info = reader.info();
            (first, last) = (first.min(info.from), last.max(info.to));
            digests.push(info.sha256.clone());
        }
        if digests.is_empty() {
            continue;
        }
        digest.update(digest_line(&series, &digests));
        let known = |time: i64| UnixNanos(known_at(series.kind, time));
        extents.push(Extent { first: known(first), last: known(last), series });
    }
    digest.update(digest_range(&Selection::default()));
    Ok(Survey { series: extents, digest: digest.finalize().into() })
}

/// What a series adds to the digest of a market.
pub(super) fn digest_line(series: &Series, digests: &[String]) -> String {
    format!("{series}\n{}\n", digests.join(","))
}

/// What the range adds to it.
pub(super) fn digest_range(selection: &Selection) -> String {
    format!("{:?} {:?}", selection.from, selection.to)
}

/// Narrows `selection` to what happens from `begin` up to `end` and what that needs: each book's last snapshot before
/// `begin`, what came out of order, and one event behind the end, so that the end of what is loaded is not taken for the end of the data.
///
/// # Errors
/// Nothing is there, or a file is damaged.
pub fn narrow(
    dir: &Path,
    selection: &Selection,
    begin: Option<UnixNanos>,
    end: Option<UnixNanos>,
) -> Result<Selection, CatalogError> {
    let catalog = Catalog::open(dir)?;
    let chosen = choose(&catalog, selection)?;
    let mut narrowed = Selection { from: None, to: None, ..selection.clone() };
    if let Some(begin) = begin {
        let mut from = begin.0;
        for series in &chosen {
            let own = match series.kind {
                Kind::Book => last_snapshot(&catalog, series, begin.0)?.unwrap_or(begin.0) - OVERTAKEN,
                Kind::Bars(_) => first_known(series.kind, begin.0),
                _ => begin.0.saturating_sub(OVERTAKEN),
            };
            from = from.min(own);
        }
        narrowed.from = Some(UnixNanos(from));
    }
    if let Some(end) = end {
        let bars_only = chosen.iter().all(|s| matches!(s.kind, Kind::Bars(_)));
        let end = UnixNanos(end.0.saturating_add(if bars_only { 0 } else { OVERTAKEN }));
        let mut next: Option<(i64, i64)> = None;
        for series in &chosen {
            if let Some(time) = first_row(&catalog, series, first_known(series.kind, end.0))? {
                let own = (known_at(series.kind, time), time);
                next = Some(next.map_or(own, |n| n.min(own)));
            }
        }
        // Nothing behind it: all there is.
        narrowed.to = next.map(|(_, time)| UnixNanos(end.0.max(time.saturating_add(1))));
    }
    Ok(narrowed)
}

/// When the last snapshot of a book before or at `at` was; `None` where there is none, and the book is not known then.
fn last_snapshot(catalog: &Catalog, series: &Series, at: i64) -> Result<Option<i64>, CatalogError> {
    for of in catalog.days(series)?.into_iter().rev().filter(|d| *d <= day(at)) {
        let part = Selection {
            from: Some(UnixNanos(day_start(of))),
            to: Some(UnixNanos(day_start(of + 1).min(at.saturating_add(1)))),
            ..Selection::default()
        };
        let mut rows = Rows::new(catalog, series, &part)?;
        let mut last = None;
        while let Some(table) = rows.next_table()? {
            let actions = table.column(book::ACTION);
            let row = (0..table.len()).rev().find(|row| actions[*row] == book::SNAPSHOT);
            last = row.map(|row| table.time(row)).or(last);
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// The time of the first row at or after `at`.
fn first_row(catalog: &Catalog, series: &Series, at: i64) -> Result<Option<i64>, CatalogError> {
    let rest = Selection { from: Some(UnixNanos(at)), ..Selection::default() };
    Ok(Rows::new(catalog, series, &rest)?.next_table()?.map(|table| table.time(0)))
}
