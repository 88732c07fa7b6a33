//! History of a venue into the catalog: only what is not there, in pieces that are whole or absent, page by page.
//! Never: asks again for what the catalog has, or keeps half a piece.

mod binance;
mod coverage;
mod pages;

pub use binance::{BinanceHistory, KlineInterval, Market};
pub use pages::{Cursor, History, Page};

use crate::defect::Defects;
use crate::error::CatalogError;
use crate::ingest::{ImportReport, SourceFile, Stream, ingest};
use crate::layout::{Catalog, Series};
use crate::record::Kind;
use coverage::{Span, covered, missing};
use ctos_types::{Nanos, UnixNanos};
use pages::Pages;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What to fetch of one series. Times are those of the rows; `to` is not included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub series: Series,
    pub from: UnixNanos,
    pub to: UnixNanos,
}

impl Wish {
    /// # Errors
    /// The range is empty.
    pub fn check(&self) -> Result<(), CatalogError> {
        if self.from < self.to {
            return Ok(());
        }
        Err(CatalogError::new(
            format!("the range from {} to {} is empty", self.from, self.to),
            "name a --from before --to, and before now; `--to` itself is not included",
        ))
    }
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Time of the series that was fetched, and all of it.
    pub done: Nanos,
    pub total: Nanos,
    pub rows: u64,
}

/// What a download did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub symbol: String,
    pub kind: String,
    /// What was wanted, RFC 3339.
    pub from: String,
    pub to: String,
    /// Seconds of it that the catalog had already.
    pub had_secs: i64,
    pub rows_added: u64,
    /// Bars or trade ids that the venue itself does not have between those that it gave.
    pub missing: u64,
    /// One of each piece.
    pub imports: Vec<ImportReport>,
}

/// One download.
pub struct Job<'a> {
    pub catalog: &'a Catalog,
    pub history: &'a mut dyn History,
    pub wish: &'a Wish,
    /// The wall clock, for the manifests.
    pub now: UnixNanos,
    /// Called often.
    pub progress: &'a mut dyn FnMut(Progress),
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("wish", &self.wish).finish_non_exhaustive()
    }
}

/// Rows of one piece at most, about: what a kill may lose, and what a merge has to write again.
const PIECE_ROWS: i64 = 20_000;
/// Of series whose rows do not come at a pace.
const TRADES_PIECE: Nanos = Nanos::from_secs(3 * 3_600);
const FUNDING_PIECE: Nanos = Nanos::from_secs(300 * 86_400);

/// How long a piece of a series is.
fn piece(kind: Kind) -> Nanos {
    match kind {
        Kind::Bars(interval) => Nanos(interval.as_nanos().0.saturating_mul(PIECE_ROWS)),
        Kind::Funding => FUNDING_PIECE,
        _ => TRADES_PIECE,
    }
}

/// Fetches what is missing. A kill at any moment leaves a catalog from which the same call goes on.
///
/// # Errors
/// The range is empty, the venue refuses or does not answer, the catalog cannot be written. Pieces that were whole
/// before that stay.
pub fn download(job: Job<'_>) -> Result<Report, CatalogError> {
    let Job { catalog, history, wish, now, progress } = job;
    wish.check()?;
    let whole = Span { from: wish.from.0, to: wish.to.0 };
    let gaps = missing(whole, &covered(catalog, &wish.series, whole)?);
    let total: i64 = gaps.iter().map(Span::len).sum();
    let mut report = Report {
        symbol: wish.series.symbol.to_string(),
        kind: wish.series.kind.to_string(),
        from: wish.from.to_string(),
        to: wish.to.to_string(),
        had_secs: (whole.len() - total) / 1_000_000_000,
        ..Report::default()
    };
    let (mut done, mut rows) = (0, 0);
    for gap in gaps {
        let mut from = gap.from;
        while from < gap.to {
            let span = Span { from, to: gap.to.min(from.saturating_add(piece(wish.series.kind).0)) };
            from = span.to;
            let mut tell = |reached: i64, read: u64| {
                progress(Progress {
                    done: Nanos(done + (reached - span.from).clamp(0, span.len())),
                    total: Nanos(total),
                    rows: rows + read,
                });
            };
            tell(span.from, 0);
            let made = fetch(catalog, history, &wish.series, span, now, &mut tell)?;
            done += span.len();
            if let Some(made) = made {
                rows += made.rows_read;
                report.rows_added += made.rows_added;
                report.missing += made.series.iter().map(|s| s.missing).sum::<u64>();
                report.imports.push(made);
            }
        }
    }
    Ok(report)
}

/// One piece: whole in the catalog, or nothing. `None` where the venue has no rows there.
fn fetch(
    catalog: &Catalog,
    history: &mut dyn History,
    series: &Series,
    span: Span,
    now: UnixNanos,
    tell: &mut dyn FnMut(i64, u64),
) -> Result<Option<ImportReport>, CatalogError> {
    let name = history.name().to_string();
    let place = history.place();
    let define = crate::instruments::known(catalog, &series.symbol)?.is_none();
    let Some(pages) = Pages::begin(history, span, define, tell)? else { return Ok(None) };
    let options = coverage::options(series, span);
    let id = format!("{}{}", coverage::PREFIX, crate::hex(&Sha256::digest(format!("1\n{name}\n{options}"))[..8]));
    let (from, to) = (UnixNanos(span.from), UnixNanos(span.to));
    let file = SourceFile {
        path: format!("{place} {series} {from} to {to}"),
        bytes: span.len() as u64,
        sha256: String::new(),
    };
    // Pages tell how far they are by themselves.
    let stream = Stream { catalog, id, file, options, now, progress: &mut |_| {} };
    ingest(stream, Box::new(pages), || Ok(())).map(Some)
}

/// For people: one line, and what was wrong.
impl Report {
    pub fn text(&self) -> String {
        let mut text =
            format!("{} {}: {} rows added, {} to {}", self.symbol, self.kind, self.rows_added, self.from, self.to);
        if self.had_secs > 0 {
            text += &format!(", {} of it were there", duration(self.had_secs));
        }
        if self.missing > 0 {
            text += &format!(", {} missing at the venue", self.missing);
        }
        text.push('\n');
        let mut all = Defects::default();
        for d in self.imports.iter().flat_map(|i| &i.defects) {
            all.add_many(d.kind, d.count, 0, || d.example.clone());
        }
        all.iter().for_each(|defect| text += &format!("  ! {defect}\n"));
        text
    }
}

fn duration(secs: i64) -> String {
    match secs {
        s if s >= 2 * 86_400 => format!("{} days", s / 86_400),
        s if s >= 2 * 3_600 => format!("{} hours", s / 3_600),
        s if s >= 120 => format!("{} minutes", s / 60),
        s => format!("{s} seconds"),
    }
}

#[cfg(test)]
mod tests;
