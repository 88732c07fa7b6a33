//! OKX's historical files: trades, aggregate trades, one-minute candles and funding rates, as CSV or zip.
//! Never: reads a column by its place (old files have size before price), or drops what `confirm` says is open. Source:
//! static.okx.com; times are ms, sizes of swaps and futures are contracts, a file's day starts at 16:00 UTC.

use super::columns::{Column, Layout, closed, extra, number};
use super::fields::{Fields, Flaw, OneUnit, flaw, wrong_count};
use super::text::{Line, Next, Text};
use super::{Batch, ImportError, ImportOptions, Importer};
use crate::defect::{DefectKind, Defects};
use crate::record::{BarFields, Body, Record};
use ctos_types::{Interval, Side, Symbol};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Trades,
    Candles,
    Funding,
}

const INSTRUMENT: Column = extra(closed(&["instrument_name", "inst_id", "instid", "instrument_id"], 0));
const TRADES: &[Column] = &[
    INSTRUMENT,
    number(&["trade_id", "agg_trade_id"], 0),
    closed(&["side"], 0),
    number(&["price"], 0),
    number(&["size"], 0),
    closed(&["created_time"], 0),
];
const CANDLES: &[Column] = &[
    INSTRUMENT,
    number(&["open"], 0),
    number(&["high"], 0),
    number(&["low"], 0),
    number(&["close"], 0),
    number(&["vol"], 0),
    closed(&["open_time"], 0),
    extra(number(&["vol_quote"], 0)),
];
const FUNDING: &[Column] = &[INSTRUMENT, number(&["funding_rate"], 0), closed(&["funding_time"], 0)];

impl Data {
    const ALL: [Data; 3] = [Data::Trades, Data::Candles, Data::Funding];

    fn columns(self) -> &'static [Column] {
        match self {
            Data::Trades => TRADES,
            Data::Candles => CANDLES,
            Data::Funding => FUNDING,
        }
    }

    /// By the file's name, `BTC-USDT-SWAP-trades-2024-01-05`.
    fn from_name(name: &str) -> Option<Data> {
        let has = |word: &str| name.contains(word);
        match () {
            () if has("-trades-") || has("-aggtrades-") => Some(Data::Trades),
            () if has("-candlesticks-") => Some(Data::Candles),
            () if has("-fundingrates-") => Some(Data::Funding),
            () => None,
        }
    }
}

/// Header names as they count: old files have `trade_id/` and then the same in Chinese, in UTF-8 or GBK.
fn header(line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(line);
    text.split(',')
        .map(|name| name.trim().trim_matches('"').split('/').next().unwrap_or("").trim().to_string())
        .collect()
}

fn names(header: &[String]) -> impl Iterator<Item = &str> {
    header.iter().map(String::as_str)
}

/// Whether a text file whose first line is `first` is one of these. Candles without an instrument are anybody's.
pub(super) fn is_one(first: &[u8]) -> bool {
    let header = header(first);
    Data::ALL.iter().any(|data| {
        let layout = Layout::from_header(data.columns(), names(&header));
        layout.is_ok_and(|layout| layout.has(0) || *data == Data::Trades)
    })
}

/// An open OKX file.
pub(super) struct OkxArchive {
    text: Text,
    rows: Rows,
}

impl OkxArchive {
    pub fn open(path: &Path, options: &ImportOptions) -> Result<OkxArchive, ImportError> {
        let fail = |place, why: String, hint: &str| ImportError::new(path, place, why, hint);
        let mut text = Text::open(path)?;
        let own = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let file_name = if Data::from_name(own).is_some() { own } else { text.name() }.to_string();
        let (place, header) = loop {
            match text.next_line()? {
                Next::Line(line) if line.bytes.trim_ascii().is_empty() => {}
                Next::Line(line) => break (line.number, header(line.bytes)),
                Next::TooLong(number) => {
                    let hint = "check that this is the file you meant; --format states what it is";
                    return Err(fail(number, "a line longer than 64 KiB".into(), hint));
                }
                Next::End => {
                    let hint = "the download may have failed: fetch it again";
                    return Err(fail(0, "the file is empty".into(), hint));
                }
            }
        };
        let layout_of = |data: &Data| Layout::from_header(data.columns(), names(&header));
        let data = Data::ALL.into_iter().find(|data| layout_of(data).is_ok()).or_else(|| Data::from_name(&file_name));
        let data = data.ok_or_else(|| {
            let hint = "OKX files start with a header: trade_id,side,... or open,high,... or funding_rate,funding_time";
            fail(place, "not the header of an OKX file".into(), hint)
        })?;
        let layout = layout_of(&data).map_err(|missing| {
            fail(place, format!("no column {} in the header", missing.join(", ")), "fetch the file again, whole")
        })?;
        let symbols = Symbols::new(path, options, &layout, &file_name)?;
        // The archive has candles of one minute only.
        let interval = options.interval.unwrap_or(Interval::M1);
        let (unit, checked) = (OneUnit::default(), text.is_checked());
        Ok(OkxArchive {
            text,
            rows: Rows { path: path.into(), data, layout, symbols, interval, unit, checked, met: 0 },
        })
    }
}

impl Importer for OkxArchive {
    fn name(&self) -> &'static str {
        match self.rows.data {
            Data::Trades => "okx-trades",
            Data::Candles => "okx-candles",
            Data::Funding => "okx-funding",
        }
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        for _ in 0..Batch::TARGET {
            match self.text.next_line()? {
                Next::Line(line) => self.rows.take(line, out)?,
                Next::TooLong(number) => {
                    out.rows_read += 1;
                    flaw(&mut out.defects, number, (DefectKind::Unreadable, "longer than 64 KiB".into()));
                }
                Next::End if self.rows.met == 0 => {
                    let hint = "check that this is the file you meant, and --symbol if it was given";
                    return Err(ImportError::new(&self.rows.path, 0, "a header and no rows", hint));
                }
                Next::End => return Ok(false),
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.text.bytes_read()
    }
}

/// Which instrument a row is of.
enum Symbols {
    /// The file's own, by its name or by flag.
    One(Symbol),
    /// A column names it; with a flag, only rows of that one are read.
    Column { known: BTreeMap<String, Option<Symbol>>, only: Option<String> },
}

impl Symbols {
    fn new(path: &Path, options: &ImportOptions, layout: &Layout, name: &str) -> Result<Symbols, ImportError> {
        if layout.has(0) {
            return Ok(Symbols::Column { known: BTreeMap::new(), only: options.symbol.clone() });
        }
        if let Some(symbol) = &options.symbol {
            let venue = options.venue.as_deref().unwrap_or("okx");
            let whole = if symbol.contains(':') { symbol.clone() } else { format!("{venue}:{symbol}") };
            return Ok(Symbols::One(Symbol::new(&whole)));
        }
        let id =
            ["-trades-", "-aggtrades-", "-candlesticks-", "-fundingrates-"].iter().find_map(|w| name.split_once(w));
        let unknown = || {
            let hint = "state it, for example --symbol okx:BTC-USDT-PERP";
            ImportError::new(path, 0, "neither columns nor name tell the instrument", hint)
        };
        id.and_then(|(id, _)| unified(id)).map(|s| Symbols::One(Symbol::new(&s))).ok_or_else(unknown)
    }

    /// `None`: the row is not wanted.
    fn of(&mut self, fields: &Fields<'_>, layout: &Layout) -> Result<Option<Symbol>, Flaw> {
        let (known, only) = match self {
            Symbols::One(symbol) => return Ok(Some(symbol.clone())),
            Symbols::Column { known, only } => (known, only),
        };
        let id = fields.needed(layout.at(0), "instrument_name")?;
        let symbol = match known.get(id) {
            Some(symbol) => symbol.clone(),
            None => {
                let symbol = unified(id).map(|s| Symbol::new(&s));
                known.insert(id.to_string(), symbol.clone());
                symbol
            }
        };
        let symbol = symbol.ok_or_else(|| (DefectKind::Unsupported, format!("instrument {id:?}")))?;
        Ok(Some(symbol).filter(|symbol| only.as_deref().is_none_or(|only| symbol.is_named(only))))
    }
}

/// `BTC-USDT-SWAP` is `okx:BTC-USDT-PERP`; options have no unified symbol.
fn unified(id: &str) -> Option<String> {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let parts: Vec<_> = id.split('-').collect();
    if !parts.iter().all(|part| word(part)) {
        return None;
    }
    match parts[..] {
        [base, quote] => Some(format!("okx:{base}-{quote}")),
        [base, quote, "SWAP"] => Some(format!("okx:{base}-{quote}-PERP")),
        [base, quote, date] if date.len() == 6 && date.bytes().all(|b| b.is_ascii_digit()) => {
            Some(format!("okx:{base}-{quote}-20{date}"))
        }
        _ => None,
    }
}

/// What is the same for all rows of a file.
struct Rows {
    path: PathBuf,
    data: Data,
    layout: Layout,
    symbols: Symbols,
    interval: Interval,
    unit: OneUnit,
    checked: bool,
    /// Rows met so far, good and bad.
    met: u64,
}

impl Rows {
    fn take(&mut self, line: Line<'_>, out: &mut Batch) -> Result<(), ImportError> {
        if line.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        let found = self.record(line, &mut out.defects)?;
        if let Ok(None) = found {
            return Ok(());
        }
        self.met += 1;
        out.rows_read += 1;
        match found {
            Ok(record) => out.records.extend(record),
            Err(found) => flaw(&mut out.defects, line.number, found),
        }
        Ok(())
    }

    /// `None` for an instrument that is not wanted. The outer error is of the whole file.
    fn record(&mut self, line: Line<'_>, defects: &mut Defects) -> Result<Result<Option<Record>, Flaw>, ImportError> {
        let fields = match self.fields(line) {
            Ok(fields) => fields,
            Err(flaw) => return Ok(Err(flaw)),
        };
        let layout = self.layout;
        let symbol = match self.symbols.of(&fields, &layout) {
            Ok(Some(symbol)) => symbol,
            Ok(None) => return Ok(Ok(None)),
            Err(flaw) => return Ok(Err(flaw)),
        };
        let (column, name) = match self.data {
            Data::Trades => (5, "created_time"),
            Data::Candles => (6, "open_time"),
            Data::Funding => (2, "funding_time"),
        };
        let stamp = match fields.stamp(layout.at(column), name) {
            Ok(stamp) => stamp,
            Err(flaw) => return Ok(Err(flaw)),
        };
        self.unit.check(&self.path, line.number, stamp.unit)?;
        let mut fields = fields;
        let body = match self.data {
            Data::Trades => trade(&mut fields, &layout),
            Data::Candles => candle(&mut fields, &layout, self.interval),
            Data::Funding => fields.number(layout.at(1), "funding_rate").map(|rate| Body::Funding { rate, mark: None }),
        };
        if let (Ok(_), Some(text)) = (&body, fields.rounded) {
            defects.add(DefectKind::Rounded, line.number, || text.into());
        }
        let at = Some(stamp.at);
        Ok(body.map(|body| Some(Record { symbol, place: line.number, ts_event: at, ts_recv: None, body })))
    }

    fn fields<'a>(&self, line: Line<'a>) -> Result<Fields<'a>, Flaw> {
        let fields = Fields::cut(line.bytes)?;
        let half = !line.terminated && !self.checked && self.layout.open_end;
        if fields.count() != self.layout.width || half {
            let found = if half { 0 } else { fields.count() };
            return Err(wrong_count(found, self.layout.width, line.terminated));
        }
        Ok(fields)
    }
}

fn trade(fields: &mut Fields<'_>, layout: &Layout) -> Result<Body, Flaw> {
    let id = fields.count_at(layout.at(1), "trade_id")?;
    let price = fields.number(layout.at(3), "price")?;
    let qty = fields.number(layout.at(4), "size")?;
    // The side of the one who took.
    let side = fields.needed(layout.at(2), "side")?;
    let aggressor = match side {
        "buy" | "BUY" | "Buy" => Side::Buy,
        "sell" | "SELL" | "Sell" => Side::Sell,
        other => return Err((DefectKind::Unreadable, format!("side {other:?} is neither buy nor sell"))),
    };
    Ok(Body::Trade { price, qty, aggressor: Some(aggressor), id })
}

fn candle(fields: &mut Fields<'_>, layout: &Layout, interval: Interval) -> Result<Body, Flaw> {
    let mut number = |n: usize, name: &str| fields.number(layout.at(n), name);
    let (open, high, low, close) = (number(1, "open")?, number(2, "high")?, number(3, "low")?, number(4, "close")?);
    let volume = Some(number(5, "vol")?);
    let quote_volume = layout.has(7).then(|| number(7, "vol_quote")).transpose()?;
    Ok(Body::Bar(BarFields {
        interval,
        open,
        high,
        low,
        close,
        volume,
        quote_volume,
        trades: None,
        taker_buy_volume: None,
    }))
}

#[cfg(test)]
mod tests;
