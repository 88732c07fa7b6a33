//! Binance's public archive: klines, trades, aggTrades, bookTicker, bookDepth and fundingRate, as CSV or zip.
//! Never: guesses a market or a symbol that neither path, content nor flags tell; or repairs a row. Source:
//! data.binance.vision and its README; times are ms, on spot µs from 2025 on, one unit a file.

mod facts;
mod layout;
mod name;

use super::columns::Layout;
use super::fields::{Fields, Flaw, OneUnit, Stamp, flaw, wrong_count};
use super::text::{Line, Next, Text};
use super::{Batch, ImportError, ImportOptions, Importer};
use crate::defect::{DefectKind, Defects};
use crate::record::{BarFields, Body, Record};
use ctos_types::{Interval, Side, Symbol, UnixNanos};
use name::{ArchiveName, Data, Market};
use std::path::{Path, PathBuf};

/// Whether a text file whose first line is `first` is one of these, by its path or by that line.
pub(super) fn is_one(path: &Path, first: &[u8]) -> bool {
    let name = name::parse(path);
    if name.data.is_some() && name.symbol.is_some() || name.unread.is_some() && name.symbol.is_some() {
        return true;
    }
    let Ok(fields) = Fields::cut(first) else { return false };
    let data = if layout::is_header(&fields) { layout::by_header(&fields) } else { layout::by_row(&fields) };
    data.is_some()
}

/// An open archive file.
pub(super) struct BinanceArchive {
    text: Text,
    rows: Rows,
    /// The first row, met while opening.
    first: Option<OwnedLine>,
}

struct OwnedLine {
    number: u64,
    bytes: Vec<u8>,
    terminated: bool,
}

impl OwnedLine {
    fn as_line(&self) -> Line<'_> {
        Line { number: self.number, bytes: &self.bytes, terminated: self.terminated }
    }
}

impl BinanceArchive {
    /// Opens a file and finds out what it holds. A `.CHECKSUM` file beside it must agree.
    pub fn open(path: &Path, options: &ImportOptions) -> Result<BinanceArchive, ImportError> {
        let fail = |place, why: String, hint: &str| ImportError::new(path, place, why, hint);
        facts::verify_checksum(path)?;
        let mut text = Text::open(path)?;
        let mut name = name::parse(path);
        if name.symbol.is_none() && name.unread.is_none() {
            // A zip that was renamed still has the file's own name inside.
            let inner = name::parse(Path::new(text.name()));
            let (data, market) = (name.data, name.market);
            name = ArchiveName { market: inner.market.or(market), data: inner.data.or(data), ..inner };
        }
        let stated = facts::stated_data(path, options)?;
        if let (Some(word), None) = (name.unread, stated) {
            let hint = format!("there is a place for {}", Data::WORDS);
            return Err(fail(0, format!("{word} archives have no place in the catalog"), &hint));
        }
        let head = first_line(path, &mut text)?
            .ok_or_else(|| fail(0, "the file is empty".into(), "the download may have failed: fetch it again"))?;
        let fields = Fields::cut(&head.bytes).map_err(|(_, why)| fail(head.number, why, NOT_AN_ARCHIVE))?;
        let has_header = layout::is_header(&fields);
        let found = if has_header { layout::by_header(&fields) } else { layout::by_row(&fields) };
        let data = stated.or(name.data).or(found).ok_or_else(|| {
            let hint = format!("state what it holds with --data: {}", Data::WORDS);
            fail(head.number, "neither name nor columns tell which Binance archive this is".into(), &hint)
        })?;
        let layout = if has_header {
            Layout::from_header(layout::columns(data), fields.iter()).map_err(|missing| {
                let hint = "check that this is the whole archive file; --data states what it holds";
                fail(head.number, format!("no column {} in the header", missing.join(", ")), hint)
            })?
        } else {
            Layout::from_row(layout::columns(data), layout::widths(data), &fields).ok_or_else(|| {
                let widths: Vec<_> = layout::widths(data).iter().map(usize::to_string).collect();
                let why = format!("{} columns where {data:?} files have {}", fields.count(), widths.join(" or "));
                fail(head.number, why, "check that this is the whole archive file; --data states what it holds")
            })?
        };
        let first = match has_header {
            true => first_line(path, &mut text)?
                .ok_or_else(|| fail(0, "a header and no rows".into(), "check that this is the file you meant"))?,
            false => head,
        };
        let row = Fields::cut(&first.bytes).ok();
        let market = facts::market(path, options, &name, data, has_header, row.as_ref())?;
        let interval = match data {
            Data::Klines | Data::MarkPriceKlines => Some(facts::interval(path, options, &name, &layout, row.as_ref())?),
            _ => None,
        };
        let rows = Rows {
            path: path.into(),
            data,
            symbol: facts::symbol(path, options, &name, market)?,
            coin_margined: market == Some(Market::Cm),
            layout,
            interval,
            unit: OneUnit::default(),
            checked: text.is_checked(),
        };
        Ok(BinanceArchive { text, rows, first: Some(first) })
    }
}

const NOT_AN_ARCHIVE: &str = "check that this is the file you meant; --format states what it is";

impl Importer for BinanceArchive {
    fn name(&self) -> &'static str {
        match self.rows.data {
            Data::Klines => "binance-klines",
            Data::MarkPriceKlines => "binance-mark-price-klines",
            Data::Trades => "binance-trades",
            Data::AggTrades => "binance-agg-trades",
            Data::BookTicker => "binance-book-ticker",
            Data::BookDepth => "binance-book-depth",
            Data::FundingRate => "binance-funding-rate",
        }
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        if let Some(first) = self.first.take() {
            self.rows.take(first.as_line(), out)?;
        }
        // Bounded by rows, not records: a file of nothing but bad lines must not hold up the caller either.
        while out.rows_read < Batch::TARGET as u64 {
            match self.text.next_line()? {
                Next::Line(line) => self.rows.take(line, out)?,
                Next::TooLong(number) => {
                    out.rows_read += 1;
                    flaw(&mut out.defects, number, (DefectKind::Unreadable, "longer than 64 KiB".into()));
                }
                Next::End => return Ok(false),
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.text.bytes_read()
    }

    /// Binance counts trades, and aggregate trades, by symbol and without holes.
    fn consecutive_ids(&self) -> bool {
        matches!(self.rows.data, Data::Trades | Data::AggTrades)
    }
}

/// What is the same for all rows of a file.
struct Rows {
    path: PathBuf,
    data: Data,
    symbol: Symbol,
    coin_margined: bool,
    layout: Layout,
    interval: Option<Interval>,
    unit: OneUnit,
    /// A checksum stands behind the bytes, so a last line without newline is whole.
    checked: bool,
}

/// A row that gives no record, or a file that is of no use.
enum Trouble {
    Row(Flaw),
    File(ImportError),
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Trouble {
        Trouble::Row(flaw)
    }
}

impl From<ImportError> for Trouble {
    fn from(e: ImportError) -> Trouble {
        Trouble::File(e)
    }
}

impl Rows {
    fn take(&mut self, line: Line<'_>, out: &mut Batch) -> Result<(), ImportError> {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        out.rows_read += 1;
        match self.record(line, &mut out.defects) {
            Ok(record) => out.records.push(record),
            Err(Trouble::Row(found)) => flaw(&mut out.defects, line.number, found),
            Err(Trouble::File(e)) => return Err(e),
        }
        Ok(())
    }

    fn record(&mut self, line: Line<'_>, defects: &mut Defects) -> Result<Record, Trouble> {
        let mut fields = Fields::cut(line.bytes)?;
        if fields.count() != self.layout.width {
            return Err(wrong_count(fields.count(), self.layout.width, line.terminated).into());
        }
        if !line.terminated && !self.checked && self.layout.open_end {
            // Its last number may have lost digits, and nothing would show it.
            return Err(wrong_count(0, self.layout.width, false).into());
        }
        let (at, body) = match self.data {
            Data::Klines | Data::MarkPriceKlines => self.kline(&mut fields, line.number)?,
            Data::Trades | Data::AggTrades => self.trade(&mut fields, line.number)?,
            Data::BookTicker => self.quote(&mut fields, line.number)?,
            Data::BookDepth => self.band(&mut fields)?,
            Data::FundingRate => self.funding(&mut fields, line.number)?,
        };
        if let Some(text) = fields.rounded {
            defects.add(DefectKind::Rounded, line.number, || text.into());
        }
        Ok(Record { symbol: self.symbol.clone(), place: line.number, ts_event: Some(at), ts_recv: None, body })
    }

    fn time(&mut self, fields: &Fields<'_>, n: usize, name: &str, place: u64) -> Result<UnixNanos, Trouble> {
        let stamp = fields.stamp(self.layout.at(n), name)?;
        self.unit.check(&self.path, place, stamp.unit)?;
        Ok(stamp.at)
    }

    fn kline(&mut self, fields: &mut Fields<'_>, place: u64) -> Result<(UnixNanos, Body), Trouble> {
        let at = self.time(fields, 0, "open_time", place)?;
        let closes = self.time(fields, 6, "close_time", place)?;
        let layout = self.layout;
        let interval = self.interval.unwrap_or(Interval::M1);
        // Bars that an outage cut short close early; one that closes later is of another interval.
        if closes < at || closes >= interval.end(at) {
            return Err((DefectKind::BadTime, format!("opens {at}, closes {closes} among {interval} bars")).into());
        }
        let mut number = |n: usize, name: &str| fields.number(layout.at(n), name);
        let (open, high, low, close) = (number(1, "open")?, number(2, "high")?, number(3, "low")?, number(4, "close")?);
        if self.data == Data::MarkPriceKlines {
            let mark = Body::Mark { mark: close, index: None, funding_rate: None, next_funding: None };
            // What the mark was when the bar had ended.
            return Ok((interval.end(at), mark));
        }
        let volume = Some(number(5, "volume")?);
        let mut extra = |n: usize, name: &str| layout.has(n).then(|| number(n, name)).transpose();
        let (quote_volume, taker_buy_volume) = (extra(7, "quote_volume")?, extra(9, "taker_buy_volume")?);
        let trades = layout.has(8).then(|| fields.count_at(layout.at(8), "count")).transpose()?;
        // Coin-margined files call the base volume quote_volume.
        let quote_volume = quote_volume.filter(|_| !self.coin_margined);
        let bar = BarFields { interval, open, high, low, close, volume, quote_volume, trades, taker_buy_volume };
        Ok((at, Body::Bar(bar)))
    }

    fn trade(&mut self, fields: &mut Fields<'_>, place: u64) -> Result<(UnixNanos, Body), Trouble> {
        let at = self.time(fields, 3, "time", place)?;
        let layout = self.layout;
        let id = fields.count_at(layout.at(0), "id")?;
        let price = fields.number(layout.at(1), "price")?;
        let qty = fields.number(layout.at(2), "quantity")?;
        let buyer_made = fields.boolean(layout.at(4), "is_buyer_maker")?;
        let aggressor = Some(if buyer_made { Side::Sell } else { Side::Buy });
        Ok((at, Body::Trade { price, qty, aggressor, id }))
    }

    fn quote(&mut self, fields: &mut Fields<'_>, place: u64) -> Result<(UnixNanos, Body), Trouble> {
        let at = self.time(fields, 5, "transaction_time", place)?;
        let layout = self.layout;
        let update_id = fields.count_at(layout.at(0), "update_id")?;
        let mut number = |n: usize, name: &str| fields.number(layout.at(n), name);
        let (bid_px, bid_qty) = (number(1, "best_bid_price")?, number(2, "best_bid_qty")?);
        let (ask_px, ask_qty) = (number(3, "best_ask_price")?, number(4, "best_ask_qty")?);
        Ok((at, Body::Quote { bid_px, bid_qty, ask_px, ask_qty, update_id }))
    }

    fn band(&mut self, fields: &mut Fields<'_>) -> Result<(UnixNanos, Body), Trouble> {
        let layout = self.layout;
        let text = fields.needed(layout.at(0), "timestamp")?;
        let at = Stamp::parse_civil(text).ok_or_else(|| (DefectKind::BadTime, format!("timestamp {text:?}")))?;
        let percentage = fields.number(layout.at(1), "percentage")?;
        let depth = fields.number(layout.at(2), "depth")?;
        let notional = fields.number(layout.at(3), "notional")?;
        Ok((at, Body::DepthBand { percentage, depth, notional }))
    }

    fn funding(&mut self, fields: &mut Fields<'_>, place: u64) -> Result<(UnixNanos, Body), Trouble> {
        let at = self.time(fields, 0, "calc_time", place)?;
        let rate = fields.number(self.layout.at(1), "last_funding_rate")?;
        Ok((at, Body::Funding { rate, mark: None }))
    }
}

/// The next line that is not empty.
fn first_line(path: &Path, text: &mut Text) -> Result<Option<OwnedLine>, ImportError> {
    loop {
        match text.next_line()? {
            Next::Line(line) if line.bytes.trim_ascii().is_empty() => {}
            Next::Line(Line { number, bytes, terminated }) => {
                return Ok(Some(OwnedLine { number, bytes: bytes.to_vec(), terminated }));
            }
            Next::TooLong(number) => {
                return Err(ImportError::new(path, number, "a line longer than 64 KiB", NOT_AN_ARCHIVE));
            }
            Next::End => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
