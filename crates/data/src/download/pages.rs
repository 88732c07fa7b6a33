//! Pages of a venue's history as a source that the catalog takes in.
//! Never: a row outside of the span that was asked for.

use super::coverage::Span;
use crate::error::CatalogError;
use crate::import::{Batch, ImportError, Importer};
use crate::record::{Body, Record};
use ctos_types::{Instrument, UnixNanos};
use std::path::PathBuf;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    Time(UnixNanos),
    /// A trade.
    Id(u64),
}

/// Some rows in order, and where the next ones are. No `next`: there are no more before the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub records: Vec<Record>,
    pub next: Option<Cursor>,
}

/// A venue's history of one series.
pub trait History {
    /// What reads it, for reports: `binance-rest-klines`.
    fn name(&self) -> &'static str;
    /// Where it comes from, for people: host and symbol.
    fn place(&self) -> String;
    /// What the venue says of the instrument now.
    fn instrument(&self) -> &Instrument;
    /// Whether ids of its rows are counted without holes.
    fn consecutive_ids(&self) -> bool;
    /// Rows from `at` on and before `end`. May be empty and still have a `next`.
    ///
    /// # Errors
    /// The venue refuses, does not answer, or answers what cannot be read.
    fn page(&mut self, at: Cursor, end: UnixNanos) -> Result<Page, CatalogError>;
}

/// One piece on its way into the catalog.
pub(super) struct Pages<'a> {
    history: &'a mut dyn History,
    span: Span,
    page: Page,
    read: u64,
    reached: i64,
    define: bool,
    tell: &'a mut dyn FnMut(i64, u64),
}

impl<'a> Pages<'a> {
    /// Fetches pages up to the first row. `None`: there is none in the span. With `define`, the instrument's definition
    /// comes first.
    pub fn begin(
        history: &'a mut dyn History,
        span: Span,
        define: bool,
        tell: &'a mut dyn FnMut(i64, u64),
    ) -> Result<Option<Pages<'a>>, CatalogError> {
        let mut at = Cursor::Time(UnixNanos(span.from));
        loop {
            let page = history.page(at, UnixNanos(span.to))?;
            if !page.records.is_empty() {
                return Ok(Some(Pages { history, span, page, read: 0, reached: span.from, define, tell }));
            }
            let Some(next) = page.next else { return Ok(None) };
            if let Cursor::Time(reached) = next {
                tell(reached.0, 0);
            }
            at = next;
        }
    }
}

impl Importer for Pages<'_> {
    fn name(&self) -> &'static str {
        self.history.name()
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        if std::mem::take(&mut self.define) {
            let instrument = self.history.instrument().clone();
            let symbol = instrument.symbol.clone();
            let ts_event = Some(UnixNanos(self.span.from));
            let body = Body::Instrument(Box::new(instrument));
            out.records.push(Record { symbol, place: 0, ts_event, ts_recv: None, body });
        }
        let page = std::mem::take(&mut self.page);
        out.rows_read += page.records.len() as u64;
        for mut record in page.records {
            self.read += 1;
            record.place = self.read;
            self.reached = self.reached.max(record.ts_event.map_or(i64::MIN, |t| t.0));
            out.records.push(record);
        }
        (self.tell)(self.reached, self.read);
        let Some(next) = page.next else { return Ok(false) };
        self.page = self.history.page(next, UnixNanos(self.span.to)).map_err(|e| ImportError {
            path: PathBuf::from(self.history.place()),
            place: 0,
            why: e.message,
            hint: format!("{}; what is whole stays, the same command goes on from there", e.hint),
        })?;
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        u64::try_from(self.reached - self.span.from).unwrap_or_default()
    }

    fn consecutive_ids(&self) -> bool {
        self.history.consecutive_ids()
    }
}
