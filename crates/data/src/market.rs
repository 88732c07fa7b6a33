//! Opens a part of a catalog as the market of a run: one tape of all its events, on the grids of their instruments.
//! Never: rounds a price, or hides what the data lacks.

mod convert;
mod cursor;
mod reach;

pub use reach::{Extent, Survey, narrow, survey};

use crate::error::CatalogError;
use crate::instruments;
use crate::layout::{Catalog, Series};
use crate::part::PartReader;
use crate::query::Selection;
use crate::record::Kind;
use crate::schema;
use ctos_types::{Instrument, InstrumentId, Instruments, Market, MarketData, Symbol, UnixNanos};
use ctos_venue::{Tape, TapeBuilder};
use cursor::Cursor;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::Path;

/// A loaded part of a catalog.
#[derive(Debug)]
pub struct Loaded {
    /// Cheap to clone: clones read the same data.
    pub tape: Tape,
    pub report: LoadReport,
}

/// What was loaded, and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    pub catalog: String,
    pub series: Vec<LoadedSeries>,
    pub events: u64,
    /// Bars missing between neighbours, of all series.
    pub missing_bars: u64,
    /// Times that a book became unknown.
    pub book_gaps: u64,
    /// One sentence each.
    pub notices: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadedSeries {
    pub symbol: String,
    pub kind: String,
    pub rows: u64,
    pub from: String,
    pub to: String,
    pub missing_bars: u64,
}

/// Loads what `selection` names. Without kinds in it, a symbol gives its book, quotes and trades, and where it has none
/// of these the bars of its shortest interval; funding and mark prices in any case. A bar happens at its close time.
///
/// # Errors
/// Nothing is there, a file is damaged, or prices do not fit any grid of 18 digits.
pub fn load(dir: &Path, selection: &Selection) -> Result<Loaded, CatalogError> {
    let catalog = Catalog::open(dir)?;
    let chosen = choose(&catalog, selection)?;
    let (instruments, mut notices) = definitions(&catalog, &chosen)?;
    let mut cursors = Vec::new();
    for series in &chosen {
        let instrument = instruments.find(series.symbol.as_str()).expect("defined above");
        cursors.extend(Cursor::open(&catalog, series, selection, instrument)?);
    }
    if cursors.is_empty() {
        return Err(crate::query::nothing(&chosen[0], selection));
    }
    let mut tape = TapeBuilder::new(instruments);
    let mut done = Vec::new();
    let mut events = 0;
    while !cursors.is_empty() {
        let first = (0..cursors.len()).min_by_key(|n| (cursors[*n].time, *n)).unwrap_or(0);
        let until = (0..cursors.len()).filter(|n| *n != first).map(|n| (cursors[n].time, n)).min();
        let cursor = &mut cursors[first];
        // As long as it is this series' turn: on equal times the series that stands first goes first.
        let more = loop {
            events += u64::from(cursor.emit(&mut tape)?);
            if !cursor.advance()? {
                break false;
            }
            if until.is_some_and(|next| next < (cursor.time, first)) {
                break true;
            }
        };
        if !more {
            let ended = cursors.remove(first);
            if ended.is_delisted(&cursors) {
                // What the book showed last is not there any more, and nobody must trade with it.
                let (at, data) = (UnixNanos(ended.time), MarketData::Gap);
                tape.push(at, &Market { instrument: ended.instrument, ts_event: UnixNanos::MIN, data });
                events += 1;
            }
            done.push(ended);
        }
    }
    done.sort_by(|a, b| a.series.cmp(&b.series));
    let mut digest = Sha256::new();
    for cursor in &done {
        digest.update(reach::digest_line(&cursor.series, &cursor.rows.digests));
        notices.extend(cursor.notices());
    }
    digest.update(reach::digest_range(selection));
    let report = LoadReport {
        catalog: dir.display().to_string(),
        events,
        missing_bars: done.iter().map(|c| c.missing).sum(),
        book_gaps: done.iter().map(|c| c.converter.book_gaps).sum(),
        series: done.iter().map(Cursor::report).collect(),
        notices,
    };
    Ok(Loaded { tape: tape.finish(digest.finalize().into()), report })
}

/// The series of a selection that are market events.
fn choose(catalog: &Catalog, selection: &Selection) -> Result<Vec<Series>, CatalogError> {
    let mut chosen = selection.series(catalog)?;
    let named = !selection.kinds.is_empty();
    chosen.retain(|s| !matches!(s.kind, Kind::Instruments | Kind::DepthBands));
    if !named {
        let fine = |symbol: &Symbol| {
            let is_fine =
                |s: &&Series| s.symbol == *symbol && matches!(s.kind, Kind::Book | Kind::Quotes | Kind::Trades);
            chosen.iter().find(is_fine).is_some()
        };
        let shortest = |symbol: &Symbol| {
            let intervals = chosen.iter().filter(|s| s.symbol == *symbol).filter_map(|s| match s.kind {
                Kind::Bars(interval) => Some(interval),
                _ => None,
            });
            intervals.min()
        };
        let keep: Vec<bool> = chosen
            .iter()
            .map(|s| match s.kind {
                Kind::Bars(interval) => !fine(&s.symbol) && shortest(&s.symbol) == Some(interval),
                _ => true,
            })
            .collect();
        let mut at = 0;
        chosen.retain(|_| {
            at += 1;
            keep[at - 1]
        });
    }
    let tradable = |s: &Series| !matches!(s.kind, Kind::Funding | Kind::Marks);
    if !chosen.iter().any(tradable) {
        return Err(CatalogError::new(
            format!(
                "{}: nothing here to trade on: no book, quotes, trades or bars are selected",
                catalog.dir().display()
            ),
            "`ctos data list` shows what there is; import prices of these symbols, or name other --symbols",
        ));
    }
    Ok(chosen)
}

/// Definitions of all symbols, on grids that hold the data.
fn definitions(catalog: &Catalog, chosen: &[Series]) -> Result<(Instruments, Vec<String>), CatalogError> {
    let (mut list, mut notices): (Vec<Instrument>, Vec<String>) = (Vec::new(), Vec::new());
    for series in chosen {
        if list.iter().any(|i| i.symbol == series.symbol) {
            continue;
        }
        let kinds: Vec<Kind> = chosen.iter().filter(|s| s.symbol == series.symbol).map(|s| s.kind).collect();
        let id = InstrumentId(list.len() as u32);
        let instrument = match instruments::known(catalog, &series.symbol)? {
            Some(known) => widen(catalog, known, &kinds, &mut notices)?,
            None => {
                notices.push(format!(
                    "{}: no definition of this instrument: grid, fees and margins are inferred from the data",
                    series.symbol
                ));
                instruments::infer(catalog, &series.symbol, &kinds)?
            }
        };
        list.push(Instrument { id, ..instrument });
    }
    let all = Instruments::new(list).map_err(|e| CatalogError::new(e.to_string(), "report this as a bug"))?;
    Ok((all, notices))
}

/// Data may lie on a finer grid than the definition of today: places are added then, steps and limits stay.
fn widen(
    catalog: &Catalog,
    known: Instrument,
    kinds: &[Kind],
    notices: &mut Vec<String>,
) -> Result<Instrument, CatalogError> {
    let (mut price, mut qty) = (known.price_decimals, known.qty_decimals);
    for kind in kinds {
        let series = Series { symbol: known.symbol.clone(), kind: *kind };
        // All files of a series have the same scales.
        let Some(day) = catalog.days(&series)?.last().copied() else { continue };
        let reader = PartReader::open(&catalog.part(&series, day))?;
        let scales = &reader.info().scales;
        let (prices, sizes) = schema::grid_columns(*kind);
        price = prices.iter().map(|c| scales[*c]).fold(price, u8::max);
        if !matches!(kind, Kind::Bars(_)) {
            qty = sizes.iter().map(|c| scales[*c]).fold(qty, u8::max);
        }
    }
    if (price, qty) == (known.price_decimals, known.qty_decimals) {
        return Ok(known);
    }
    let symbol = known.symbol.clone();
    let wide = known.on_places(price, qty).ok_or_else(|| {
        CatalogError::new(
            format!("{symbol}: prices of {price} and sizes of {qty} decimal places do not fit its grid"),
            "import the data under another --symbol, for which a grid is inferred",
        )
    })?;
    notices.push(format!("{symbol}: the data has more decimal places than its definition; its grid was made finer"));
    Ok(wide)
}

#[cfg(test)]
mod tests;
