//! Looking at a catalog: what is in it, rows of a series, whether it is whole, and a way out of it.
//! Never: changes it.

mod export;
mod verify;

pub use export::{ExportFormat, export};
pub use verify::{Verification, verify};

use crate::error::CatalogError;
use crate::layout::{Catalog, Series, day};
use crate::part::PartReader;
use crate::record::Kind;
use crate::schema::NULL;
use crate::table::Table;
use ctos_types::UnixNanos;
use serde::Serialize;

/// Which rows of a catalog. Times are those a row became known at; of a bar, its open time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// With or without the venue part; empty: all.
    pub symbols: Vec<String>,
    /// Empty: all.
    pub kinds: Vec<Kind>,
    /// From this time on.
    pub from: Option<UnixNanos>,
    /// Before this time.
    pub to: Option<UnixNanos>,
}

impl Selection {
    /// # Errors
    /// The range is empty.
    pub fn check(&self) -> Result<(), CatalogError> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(CatalogError::new(
                format!("the range from {from} to {to} is empty"),
                "name a --from before --to; `--to` itself is not included",
            )),
            _ => Ok(()),
        }
    }

    pub fn holds(&self, time: i64) -> bool {
        self.from.is_none_or(|from| time >= from.0) && self.to.is_none_or(|to| time < to.0)
    }

    fn holds_day(&self, of: i64) -> bool {
        self.from.is_none_or(|from| of >= day(from.0)) && self.to.is_none_or(|to| of <= day(to.0 - 1))
    }

    /// The series it names.
    ///
    /// # Errors
    /// A symbol or kind that the catalog does not have; the range is empty.
    pub fn series(&self, catalog: &Catalog) -> Result<Vec<Series>, CatalogError> {
        self.check()?;
        let all = catalog.series()?;
        if all.is_empty() {
            return Err(CatalogError::new(
                format!("the catalog {} is empty", catalog.dir().display()),
                "import data first: ctos data import FILE",
            ));
        }
        for symbol in &self.symbols {
            if !all.iter().any(|s| s.symbol.is_named(symbol)) {
                let mut names: Vec<&str> = all.iter().map(|s| s.symbol.as_str()).collect();
                names.dedup();
                let shown = names.len().min(12);
                let more = if names.len() > shown { ", ... (ctos data list shows all)" } else { "" };
                return Err(CatalogError::new(
                    format!("no data of {symbol:?} in {}", catalog.dir().display()),
                    format!("there is {}{more}", names[..shown].join(", ")),
                ));
            }
        }
        let named = |s: &Series| self.symbols.is_empty() || self.symbols.iter().any(|n| s.symbol.is_named(n));
        let of_kind = |s: &Series| self.kinds.is_empty() || self.kinds.contains(&s.kind);
        let chosen: Vec<Series> = all.iter().filter(|s| named(s) && of_kind(s)).cloned().collect();
        if chosen.is_empty() {
            let mut kinds: Vec<String> = all.iter().filter(|s| named(s)).map(|s| s.kind.to_string()).collect();
            kinds.sort();
            kinds.dedup();
            let asked: Vec<String> = self.kinds.iter().map(Kind::to_string).collect();
            return Err(CatalogError::new(
                format!("no {} of these symbols in the catalog", asked.join(", ")),
                format!("there is {}", kinds.join(", ")),
            ));
        }
        Ok(chosen)
    }

    /// The days of a series that may have rows of this selection.
    pub fn days(&self, catalog: &Catalog, series: &Series) -> Result<Vec<i64>, CatalogError> {
        Ok(catalog.days(series)?.into_iter().filter(|d| self.holds_day(*d)).collect())
    }
}

/// One series, as `list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesSummary {
    pub venue: String,
    pub symbol: String,
    pub kind: String,
    /// RFC 3339, first and last row.
    pub from: String,
    pub to: String,
    pub days: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Decimal places by column, of those that hold decimals.
    pub scales: Vec<(String, u8)>,
}

/// What the catalog has, from the footers of its files.
pub fn list(catalog: &Catalog, selection: &Selection) -> Result<Vec<SeriesSummary>, CatalogError> {
    let mut found = Vec::new();
    for series in selection.series(catalog)? {
        let (mut rows, mut bytes, mut span, mut scales) = (0, 0, (i64::MAX, i64::MIN), Vec::new());
        let days = selection.days(catalog, &series)?;
        for day in &days {
            let reader = PartReader::open(&catalog.part(&series, *day))?;
            let info = reader.info();
            rows += info.rows;
            bytes += info.file_bytes;
            span = (span.0.min(info.from), span.1.max(info.to));
            scales.clone_from(&info.scales);
        }
        if days.is_empty() {
            continue;
        }
        let columns = crate::schema::columns(series.kind).iter().zip(scales);
        let decimals = columns.filter(|(c, _)| c.kind == crate::schema::ColumnType::Decimal);
        found.push(SeriesSummary {
            venue: series.symbol.split().0.to_string(),
            symbol: series.symbol.to_string(),
            kind: series.kind.to_string(),
            from: UnixNanos(span.0).to_string(),
            to: UnixNanos(span.1).to_string(),
            days: days.len() as u64,
            rows,
            bytes,
            scales: decimals.map(|(c, scale)| (c.name.to_string(), scale)).collect(),
        });
    }
    Ok(found)
}

/// Rows of one table that [`Rows`] gives: many series are read side by side, and each holds one.
const TABLE: usize = 8_192;

/// Streams the rows of one series that a selection holds, in order, a table at a time.
#[derive(Debug)]
pub struct Rows<'a> {
    catalog: &'a Catalog,
    series: Series,
    selection: &'a Selection,
    days: std::vec::IntoIter<i64>,
    reader: Option<PartReader>,
    /// Files read so far, by their digests.
    pub digests: Vec<String>,
}

impl<'a> Rows<'a> {
    pub fn new(catalog: &'a Catalog, series: &Series, selection: &'a Selection) -> Result<Rows<'a>, CatalogError> {
        let days = selection.days(catalog, series)?.into_iter();
        Ok(Rows { catalog, series: series.clone(), selection, days, reader: None, digests: Vec::new() })
    }

    /// The next rows; never an empty table. `None` at the end.
    pub fn next_table(&mut self) -> Result<Option<Table>, CatalogError> {
        loop {
            if self.reader.is_none() {
                let Some(day) = self.days.next() else { return Ok(None) };
                let mut reader = PartReader::open(&self.catalog.part(&self.series, day))?;
                self.digests.push(reader.info().sha256.clone());
                if let Some(from) = self.selection.from {
                    reader.skip_to(from.0);
                }
                self.reader = Some(reader);
            }
            let Some(reader) = &mut self.reader else { continue };
            match reader.next_rows(TABLE)? {
                None => self.reader = None,
                // Rows come in order of time: nothing behind these is wanted either.
                Some(table) if self.selection.to.is_some_and(|to| table.time(0) >= to.0) => self.reader = None,
                Some(mut table) => {
                    let all = self.selection.holds(table.time(0)) && self.selection.holds(table.time(table.len() - 1));
                    if !all {
                        let keep: Vec<bool> =
                            (0..table.len()).map(|row| self.selection.holds(table.time(row))).collect();
                        table.retain(&keep);
                    }
                    if !table.is_empty() {
                        return Ok(Some(table));
                    }
                }
            }
        }
    }
}

/// One row as texts, column by column; `None` for null.
pub type TextRow = Vec<Option<String>>;

/// Rows as texts, for `show`: the header, and up to `limit` rows of one series, from the start or the end.
pub fn show(
    catalog: &Catalog,
    series: &Series,
    selection: &Selection,
    limit: usize,
    tail: bool,
) -> Result<(Vec<&'static str>, Vec<TextRow>), CatalogError> {
    selection.check()?;
    let mut rows = Rows::new(catalog, series, selection)?;
    let mut shown = std::collections::VecDeque::new();
    let columns = crate::schema::columns(series.kind);
    'all: while let Some(table) = rows.next_table()? {
        let first = if tail { table.len().saturating_sub(limit) } else { 0 };
        for row in first..table.len() {
            if shown.len() == limit {
                if !tail {
                    break 'all;
                }
                shown.pop_front();
            }
            let cell = |at: usize| (table.column(at)[row] != NULL).then(|| table.cell_text(row, at)).flatten();
            shown.push_back((0..columns.len()).map(cell).collect::<Vec<_>>());
        }
    }
    if shown.is_empty() {
        return Err(nothing(series, selection));
    }
    Ok((columns.iter().map(|c| c.name).collect(), shown.into()))
}

/// The series of one symbol and one kind.
///
/// # Errors
/// There is none, or the name fits several.
pub fn one_series(catalog: &Catalog, symbol: &str, kind: Option<Kind>) -> Result<Series, CatalogError> {
    let selection =
        Selection { symbols: vec![symbol.into()], kinds: kind.into_iter().collect(), ..Selection::default() };
    let found = selection.series(catalog)?;
    match found.as_slice() {
        [one] => Ok(one.clone()),
        many => {
            let names: Vec<String> = many.iter().map(Series::to_string).collect();
            let hint = format!("there is {}: name the symbol with its venue, and --kind", names.join("; "));
            Err(CatalogError::new(format!("{symbol:?} fits several series"), hint))
        }
    }
}

pub(crate) fn nothing(series: &Series, selection: &Selection) -> CatalogError {
    let text = |t: Option<UnixNanos>| t.map_or("...".into(), |t| t.to_string());
    CatalogError::new(
        format!("no rows of {series} from {} to {}", text(selection.from), text(selection.to)),
        "`ctos data list` shows what there is and of when",
    )
}
