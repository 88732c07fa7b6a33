//! Binance's public archive: klines, trades, aggTrades, bookTicker, bookDepth and fundingRate, as CSV or zip.
//! Never: guesses a market or a symbol that neither path, content nor flags tell; or repairs a row. Source:
//! data.binance.vision and its README; times are ms, on spot µs from 2025 on, one unit a file.

mod layout;
mod name;

use super::fields::{Fields, Flaw, OneUnit, Stamp, Unit, flaw, wrong_count};
use super::text::{Line, Next, Text};
use super::{Batch, ImportError, ImportOptions, Importer};
use crate::defect::{DefectKind, Defects};
use crate::record::{BarFields, Body, Record};
use ctos_types::{Interval, Side, Symbol, UnixNanos};
use layout::Layout;
use name::{ArchiveName, Data, Market};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
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
        verify_checksum(path)?;
        let mut text = Text::open(path)?;
        let mut name = name::parse(path);
        if name.symbol.is_none() && name.unread.is_none() {
            // A zip that was renamed still has the file's own name inside.
            let inner = name::parse(Path::new(text.name()));
            let (data, market) = (name.data, name.market);
            name = ArchiveName { market: inner.market.or(market), data: inner.data.or(data), ..inner };
        }
        let stated = stated_data(path, options)?;
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
            Layout::from_header(data, &fields).map_err(|missing| {
                let hint = "check that this is the whole archive file; --data states what it holds";
                fail(head.number, format!("no column {} in the header", missing.join(", ")), hint)
            })?
        } else {
            Layout::from_row(data, &fields).map_err(|widths| {
                let widths: Vec<_> = widths.iter().map(usize::to_string).collect();
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
        let market = market(path, options, &name, data, has_header, row.as_ref())?;
        let interval = match data {
            Data::Klines | Data::MarkPriceKlines => Some(interval(path, options, &name, &layout, row.as_ref())?),
            _ => None,
        };
        let rows = Rows {
            path: path.into(),
            data,
            symbol: symbol(path, options, &name, market)?,
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
        if closes < at || closes.0 - at.0 >= interval.as_nanos().0 {
            return Err((DefectKind::BadTime, format!("opens {at}, closes {closes} among {interval} bars")).into());
        }
        let mut number = |n: usize, name: &str| fields.number(layout.at(n), name);
        let (open, high, low, close) = (number(1, "open")?, number(2, "high")?, number(3, "low")?, number(4, "close")?);
        if self.data == Data::MarkPriceKlines {
            let mark = Body::Mark { mark: close, index: None, funding_rate: None, next_funding: None };
            // What the mark was when the bar had ended.
            return Ok((at.after(interval.as_nanos()), mark));
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

fn stated_data(path: &Path, options: &ImportOptions) -> Result<Option<Data>, ImportError> {
    let Some(word) = &options.data else { return Ok(None) };
    let unknown = || {
        ImportError::new(path, 0, format!("--data {word} is no kind of archive"), format!("there are {}", Data::WORDS))
    };
    Data::from_word(word).map(Some).ok_or_else(unknown)
}

/// The market by flag, path, name or content. `None` where only the symbol could need it and the caller gave that.
fn market(
    path: &Path,
    options: &ImportOptions,
    name: &ArchiveName,
    data: Data,
    has_header: bool,
    row: Option<&Fields<'_>>,
) -> Result<Option<Market>, ImportError> {
    let stated = match options.market.as_deref() {
        None => None,
        Some("spot") => Some(Market::Spot),
        Some("um") => Some(Market::Um),
        Some("cm") => Some(Market::Cm),
        Some(other) => {
            return Err(ImportError::new(
                path,
                0,
                format!("--market {other} is none of Binance's"),
                "there are spot, um, cm",
            ));
        }
    };
    if let (Some(stated), Some(found)) = (stated, name.market)
        && stated != found
    {
        let why = format!("the path says {found:?} and --market says {stated:?}").to_lowercase();
        return Err(ImportError::new(path, 0, why, "leave --market out, or move the file"));
    }
    let symbol = name.symbol.as_deref().unwrap_or("");
    let given = options.symbol.as_deref().unwrap_or("");
    let width = row.map_or(0, Fields::count);
    let micros = row.and_then(|row| row.stamp(0, "").ok()).is_some_and(|s| s.unit == Unit::Micros);
    let market = stated.or(name.market).or(match data {
        // Only coin-margined pairs are quoted in plain dollars.
        _ if symbol.contains("USD_") || given.contains("-USD-") => Some(Market::Cm),
        _ if symbol.contains('_') || has_header => Some(Market::Um),
        Data::BookTicker | Data::BookDepth | Data::FundingRate | Data::MarkPriceKlines => Some(Market::Um),
        Data::Trades => Some(if width == 7 { Market::Spot } else { Market::Um }),
        Data::AggTrades => Some(if width == 8 { Market::Spot } else { Market::Um }),
        Data::Klines => micros.then_some(Market::Spot),
    });
    if market.is_none() && options.symbol.is_none() {
        return Err(ImportError::new(
            path,
            0,
            "neither path nor content tell whether these klines are of spot or of futures",
            "state it: --market spot, --market um or --market cm",
        ));
    }
    Ok(market)
}

fn symbol(
    path: &Path,
    options: &ImportOptions,
    name: &ArchiveName,
    market: Option<Market>,
) -> Result<Symbol, ImportError> {
    if let Some(symbol) = &options.symbol {
        let venue = options.venue.as_deref().unwrap_or("binance");
        return Ok(Symbol::new(&if symbol.contains(':') { symbol.clone() } else { format!("{venue}:{symbol}") }));
    }
    let hint = "state it, for example --symbol binance:BTC-USDT-PERP";
    let (Some(symbol), Some(market)) = (&name.symbol, market) else {
        return Err(ImportError::new(path, 0, "the file's name does not tell its symbol", hint));
    };
    let unknown = || ImportError::new(path, 0, format!("what base and quote of {symbol} are is not known"), hint);
    name::unified(symbol, market).map(|s| Symbol::new(&s)).ok_or_else(unknown)
}

/// The bars' interval by flag, name or the length of the first bar; any two of them must agree.
fn interval(
    path: &Path,
    options: &ImportOptions,
    name: &ArchiveName,
    layout: &Layout,
    row: Option<&Fields<'_>>,
) -> Result<Interval, ImportError> {
    if name.interval == Some(Err(())) {
        return Err(ImportError::new(path, 0, "bars of a month have no fixed length", "import the 1d archive instead"));
    }
    let named = name.interval.and_then(Result::ok);
    if let (Some(stated), Some(named)) = (options.interval, named)
        && stated != named
    {
        let why = format!("the name says {named} bars and --interval says {stated}");
        return Err(ImportError::new(path, 0, why, "leave --interval out, or rename the file"));
    }
    let length = row.and_then(|row| {
        let (opens, closes) = (row.stamp(layout.at(0), "").ok()?, row.stamp(layout.at(6), "").ok()?);
        let nanos = (closes.at.0 - opens.at.0).checked_add(closes.unit.nanos())?;
        let secs = u32::try_from(nanos / 1_000_000_000).ok().filter(|_| nanos % 1_000_000_000 == 0)?;
        Interval::from_secs(secs)
    });
    if let Some(known) = options.interval.or(named) {
        // A bar that an outage cut short is no evidence; one of another usual length is.
        let other = length.filter(|l| *l != known && name::is_kline_interval(*l));
        return match other {
            None => Ok(known),
            Some(other) => Err(ImportError::new(
                path,
                0,
                format!("the first bar is one of {other}, not of {known}"),
                "check the file's name, and --interval if it was given",
            )),
        };
    }
    length.ok_or_else(|| {
        ImportError::new(path, 0, "the first bar does not tell its length", "state it, for example --interval 1m")
    })
}

/// `FILE.CHECKSUM` holds the SHA-256 in hexadecimal, two spaces and the file's name.
fn verify_checksum(path: &Path) -> Result<(), ImportError> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".CHECKSUM");
    let beside = PathBuf::from(beside);
    let text = match std::fs::read(&beside) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(ImportError::io(&beside, 0, &e)),
    };
    let text = String::from_utf8_lossy(&text);
    let want = text.split_ascii_whitespace().next().unwrap_or("").to_ascii_lowercase();
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 256 << 10]);
    let mut file = File::open(path).map_err(|e| ImportError::io(path, 0, &e))?;
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => digest.update(&piece[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ImportError::io(path, 0, &e)),
        }
    }
    if crate::hex(&digest.finalize()) == want {
        return Ok(());
    }
    Err(ImportError::new(
        path,
        0,
        format!("the file is not the one that {} was made for", beside.display()),
        "fetch both again; a file that was replaced later has a new checksum",
    ))
}

#[cfg(test)]
mod tests;
