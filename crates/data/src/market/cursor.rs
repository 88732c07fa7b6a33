//! One series of a catalog on its way to the tape: the row in front, when it happens, and where the series ends.
//! Never: decides which series goes first.

use super::LoadedSeries;
use super::convert::Converter;
use super::reach::known_at;
use crate::error::CatalogError;
use crate::ingest::missing_bars;
use crate::layout::{Catalog, Series};
use crate::part::PartReader;
use crate::query::{Rows, Selection};
use crate::record::Kind;
use crate::table::Table;
use ctos_types::{Instrument, InstrumentId, Nanos, UnixNanos};
use ctos_venue::TapeBuilder;

/// An instrument whose book, quotes and trades end so much before the prices of others is taken to be delisted.
const DELISTED: Nanos = Nanos::from_secs(60);

/// One series on its way to the tape.
pub struct Cursor<'a> {
    pub series: Series,
    pub instrument: InstrumentId,
    pub rows: Rows<'a>,
    table: Table,
    row: usize,
    /// When the row in front happens.
    pub time: i64,
    pub converter: Converter,
    count: u64,
    from: i64,
    to: i64,
    /// Not later than this is the last row.
    end: i64,
    pub missing: u64,
}

impl<'a> Cursor<'a> {
    pub fn open(
        catalog: &'a Catalog,
        series: &Series,
        selection: &'a Selection,
        instrument: &Instrument,
    ) -> Result<Option<Cursor<'a>>, CatalogError> {
        let mut rows = Rows::new(catalog, series, selection)?;
        let Some(table) = rows.next_table()? else { return Ok(None) };
        let converter = Converter::new(series, instrument);
        let from = table.time(0);
        let end = match catalog.days(series)?.last() {
            Some(day) => PartReader::open(&catalog.part(series, *day))?.info().to,
            None => from,
        };
        let end = selection.to.map_or(end, |to| end.min(to.0.saturating_sub(1)));
        let mut cursor = Cursor {
            series: series.clone(),
            instrument: instrument.id,
            rows,
            table,
            row: 0,
            time: 0,
            converter,
            count: 0,
            from,
            to: from,
            end,
            missing: 0,
        };
        cursor.time = cursor.known_at();
        Ok(Some(cursor))
    }

    /// Whether the book of this instrument is made of it. On bars nothing trades without a next one.
    fn makes_book(&self) -> bool {
        matches!(self.series.kind, Kind::Book | Kind::Quotes | Kind::Trades)
    }

    fn has_prices(&self) -> bool {
        !matches!(self.series.kind, Kind::Funding | Kind::Marks)
    }

    /// Now that it has ended: whether nothing more makes this instrument's book while `others` trade on for long.
    pub fn is_delisted(&self, others: &[Cursor<'_>]) -> bool {
        let same = |o: &Cursor<'_>| o.series.symbol == self.series.symbol && o.makes_book();
        let later = |o: &Cursor<'_>| o.has_prices() && o.end.saturating_sub(self.time) > DELISTED.0;
        self.makes_book() && !others.iter().any(same) && others.iter().any(later)
    }

    fn known_at(&self) -> i64 {
        known_at(self.series.kind, self.table.time(self.row))
    }

    /// Puts the row in front on the tape. Whether it made an event: the levels of a book update make one together.
    pub fn emit(&mut self, tape: &mut TapeBuilder) -> Result<bool, CatalogError> {
        let time = self.table.time(self.row);
        if let Kind::Bars(interval) = self.series.kind
            && self.count > 0
        {
            self.missing += missing_bars(self.to, time, interval);
        }
        (self.count, self.to) = (self.count + 1, time);
        self.converter.push(&self.table, self.row, UnixNanos(self.time), tape)
    }

    /// False at the end.
    pub fn advance(&mut self) -> Result<bool, CatalogError> {
        self.row += 1;
        if self.row == self.table.len() {
            match self.rows.next_table()? {
                Some(table) => (self.table, self.row) = (table, 0),
                None => return Ok(false),
            }
        }
        self.time = self.known_at();
        Ok(true)
    }

    pub fn report(&self) -> LoadedSeries {
        LoadedSeries {
            symbol: self.series.symbol.to_string(),
            kind: self.series.kind.to_string(),
            rows: self.count,
            from: UnixNanos(self.from).to_string(),
            to: UnixNanos(self.to).to_string(),
            missing_bars: self.missing,
        }
    }

    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.missing > 0 {
            notices.push(format!("{}: {} bars are missing between its first and last one", self.series, self.missing));
        }
        notices.extend(self.converter.notices(&self.series));
        notices
    }
}
