//! The same frames through a JSON parser: fields in any order, extra fields, escapes, spaces.
//! Never: lets a missing or malformed field pass as a default.

use super::fast::aggressor;
use super::{
    AggTrade, BookTicker, DecodeError, DepthUpdate, Frame, Levels, MarkTick, Snapshot, TradeTick, is_partial_depth,
    venue_time,
};
use crate::symbols::{Grid, Product, SymbolMap};
use ctos_types::{Decimal, InstrumentId, Level, MarkPrice, NumberError, Quote, Text, Trade, UnixNanos};
use serde_json::{Map, Value};

type Fields = Map<String, Value>;

pub(super) fn decode(
    map: &SymbolMap,
    frame: &[u8],
    snapshot_of: Option<InstrumentId>,
    levels: &mut Levels,
) -> Result<Frame, DecodeError> {
    levels.clear();
    let parsed = parse(frame)?;
    let Some(fields) = parsed.data.as_object() else { return Ok(other("array")) };
    let reader = Reader { fields, kind: "depth" };
    match kind(fields, parsed.stream.as_deref()) {
        Kind::Depth => depth(&reader, map, levels),
        Kind::BookTicker => book_ticker(&reader.of("bookTicker"), map),
        Kind::Trade => trade(&reader.of("trade"), map),
        Kind::AggTrade => agg_trade(&reader.of("aggTrade"), map),
        Kind::MarkPrice => mark_price(&reader.of("markPriceUpdate"), map),
        Kind::Snapshot => snapshot(&reader.of("snapshot"), map, snapshot_of, levels),
        Kind::Other(name) => Ok(other(name)),
    }
}

struct Parsed {
    stream: Option<String>,
    data: Value,
}

fn parse(frame: &[u8]) -> Result<Parsed, DecodeError> {
    let value = serde_json::from_slice(frame).map_err(|e| DecodeError::NotJson(e.to_string()))?;
    match value {
        Value::Object(mut fields) if fields.contains_key("stream") && fields.contains_key("data") => {
            let stream = fields.get("stream").and_then(Value::as_str).map(str::to_string);
            Ok(Parsed { stream, data: fields.remove("data").unwrap_or_default() })
        }
        data => Ok(Parsed { stream: None, data }),
    }
}

enum Kind<'a> {
    Depth,
    BookTicker,
    Trade,
    AggTrade,
    MarkPrice,
    Snapshot,
    Other(&'a str),
}

fn kind<'a>(fields: &'a Fields, stream: Option<&str>) -> Kind<'a> {
    let has = |name| fields.contains_key(name);
    let partial = stream.is_some_and(is_partial_depth);
    match fields.get("e").and_then(Value::as_str) {
        Some("depthUpdate") if partial => Kind::Other("partialDepth"),
        Some("depthUpdate") => Kind::Depth,
        Some("bookTicker") => Kind::BookTicker,
        Some("trade") => Kind::Trade,
        Some("aggTrade") => Kind::AggTrade,
        Some("markPriceUpdate") => Kind::MarkPrice,
        Some(event) => Kind::Other(event),
        None if has("lastUpdateId") && stream.is_some() => Kind::Other("partialDepth"),
        None if has("lastUpdateId") => Kind::Snapshot,
        None if has("u") && has("b") && has("B") => Kind::BookTicker,
        None if has("result") => Kind::Other("reply"),
        None if has("code") || has("error") => Kind::Other("error"),
        None => Kind::Other("unknown"),
    }
}

fn other(kind: &str) -> Frame {
    Frame::Other(Text::cut(kind))
}

/// Fields of a known kind of frame.
struct Reader<'a> {
    fields: &'a Fields,
    kind: &'static str,
}

impl<'a> Reader<'a> {
    fn of(&self, kind: &'static str) -> Reader<'a> {
        Reader { fields: self.fields, kind }
    }

    fn missing(&self, field: &'static str) -> DecodeError {
        DecodeError::Field { kind: self.kind, field }
    }

    fn opt<T>(&self, field: &'static str, get: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, DecodeError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => get(value).map(Some).ok_or_else(|| self.missing(field)),
        }
    }

    fn integer(&self, field: &'static str) -> Result<u64, DecodeError> {
        self.opt(field, Value::as_u64)?.ok_or_else(|| self.missing(field))
    }

    fn opt_time(&self, field: &'static str) -> Result<Option<UnixNanos>, DecodeError> {
        self.opt(field, |v| v.as_u64().and_then(venue_time))
    }

    fn time(&self, field: &'static str) -> Result<UnixNanos, DecodeError> {
        self.opt_time(field)?.ok_or_else(|| self.missing(field))
    }

    fn boolean(&self, field: &'static str) -> Result<bool, DecodeError> {
        self.opt(field, Value::as_bool)?.ok_or_else(|| self.missing(field))
    }

    fn text(&self, field: &'static str) -> Result<&'a str, DecodeError> {
        self.opt(field, Value::as_str)?.ok_or_else(|| self.missing(field))
    }

    fn number<T>(
        &self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, NumberError>,
    ) -> Result<T, DecodeError> {
        let text = self.text(field)?;
        parse(text).map_err(|source| DecodeError::Number { kind: self.kind, field, source })
    }

    fn grid<'m>(&self, map: &'m SymbolMap) -> Result<&'m Grid, DecodeError> {
        let symbol = self.text("s")?;
        map.find(symbol.as_bytes()).ok_or_else(|| DecodeError::UnknownSymbol(symbol.chars().take(40).collect()))
    }

    fn levels(&self, field: &'static str, grid: &Grid, into: &mut Vec<Level>) -> Result<(), DecodeError> {
        let list = self.opt(field, Value::as_array)?.ok_or_else(|| self.missing(field))?;
        for level in list {
            let text = |at: usize| level.get(at).and_then(Value::as_str).ok_or_else(|| self.missing(field));
            let bad = |source| DecodeError::Number { kind: self.kind, field, source };
            into.push(Level { price: grid.price(text(0)?).map_err(bad)?, qty: grid.qty(text(1)?).map_err(bad)? });
        }
        Ok(())
    }
}

fn depth(r: &Reader<'_>, map: &SymbolMap, levels: &mut Levels) -> Result<Frame, DecodeError> {
    let grid = r.grid(map)?;
    r.levels("b", grid, &mut levels.bids)?;
    r.levels("a", grid, &mut levels.asks)?;
    Ok(Frame::Depth(DepthUpdate {
        instrument: grid.id,
        first: r.integer("U")?,
        last: r.integer("u")?,
        prev: r.opt("pu", Value::as_u64)?,
        ts_sent: r.time("E")?,
        ts_engine: r.opt_time("T")?,
    }))
}

fn book_ticker(r: &Reader<'_>, map: &SymbolMap) -> Result<Frame, DecodeError> {
    let grid = r.grid(map)?;
    let quote = Quote {
        bid_px: r.number("b", |t| grid.price(t))?,
        bid_qty: r.number("B", |t| grid.qty(t))?,
        ask_px: r.number("a", |t| grid.price(t))?,
        ask_qty: r.number("A", |t| grid.qty(t))?,
    };
    Ok(Frame::BookTicker(BookTicker {
        instrument: grid.id,
        update_id: r.integer("u")?,
        quote,
        ts_engine: r.opt_time("T")?,
        ts_sent: r.opt_time("E")?,
    }))
}

fn trade(r: &Reader<'_>, map: &SymbolMap) -> Result<Frame, DecodeError> {
    let grid = r.grid(map)?;
    let trade = Trade {
        price: r.number("p", |t| grid.price(t))?,
        qty: r.number("q", |t| grid.qty(t))?,
        aggressor: aggressor(r.boolean("m")?),
        id: r.integer("t")?,
    };
    Ok(Frame::Trade(TradeTick {
        instrument: grid.id,
        trade,
        ts_event: r.time("T")?,
        ts_sent: r.time("E")?,
        on_book: r.opt("X", Value::as_str)?.map(|x| x == "MARKET"),
    }))
}

fn agg_trade(r: &Reader<'_>, map: &SymbolMap) -> Result<Frame, DecodeError> {
    let grid = r.grid(map)?;
    let trade = Trade {
        price: r.number("p", |t| grid.price(t))?,
        qty: r.number("q", |t| grid.qty(t))?,
        aggressor: aggressor(r.boolean("m")?),
        id: r.integer("a")?,
    };
    Ok(Frame::AggTrade(AggTrade {
        instrument: grid.id,
        trade,
        first_trade: r.integer("f")?,
        last_trade: r.integer("l")?,
        ts_event: r.time("T")?,
        ts_sent: r.time("E")?,
    }))
}

fn mark_price(r: &Reader<'_>, map: &SymbolMap) -> Result<Frame, DecodeError> {
    let grid = r.grid(map)?;
    let mark = r.number("p", str::parse::<Decimal>)?;
    // Dated futures have no funding: their rate is empty text and the next time is 0.
    let rate = |t: &str| if t.is_empty() { Ok(Decimal::ZERO) } else { t.parse() };
    let mark = MarkPrice {
        mark,
        index: r.number("i", str::parse::<Decimal>)?,
        funding_rate: r.number("r", rate)?,
        next_funding: r.time("T")?,
    };
    Ok(Frame::MarkPrice(MarkTick { instrument: grid.id, mark, ts_sent: r.time("E")? }))
}

fn snapshot(
    r: &Reader<'_>,
    map: &SymbolMap,
    of: Option<InstrumentId>,
    levels: &mut Levels,
) -> Result<Frame, DecodeError> {
    // A recorder may have added the symbol that the venue leaves out.
    let grid = match r.opt("s", Value::as_str)? {
        Some(_) => r.grid(map)?,
        None => of.and_then(|id| map.by_id(id)).ok_or(DecodeError::SnapshotOwner)?,
    };
    r.levels("bids", grid, &mut levels.bids)?;
    r.levels("asks", grid, &mut levels.asks)?;
    Ok(Frame::Snapshot(Snapshot {
        instrument: grid.id,
        last_update_id: r.integer("lastUpdateId")?,
        ts_sent: r.opt_time("E")?,
        ts_event: r.opt_time("T")?,
    }))
}

/// What a frame gives away before anything is known about its symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sniff {
    /// `None` where such a frame comes from both.
    pub product: Option<Product>,
    /// As the venue writes it (`BTCUSDT`).
    pub symbol: Option<String>,
}

/// Product and symbol of a market frame; `None` for what is no market frame of a single symbol.
pub fn sniff(frame: &[u8]) -> Option<Sniff> {
    let parsed = parse(frame).ok()?;
    let fields = parsed.data.as_object()?;
    let has = |name| fields.contains_key(name);
    let futures = |yes| Some(if yes { Product::UsdM } else { Product::Spot });
    let product = match kind(fields, parsed.stream.as_deref()) {
        Kind::Depth => futures(has("pu")),
        Kind::BookTicker => futures(has("E")),
        Kind::Trade | Kind::AggTrade => futures(!has("M")),
        Kind::MarkPrice => Some(Product::UsdM),
        Kind::Snapshot => futures(has("E") || has("T")),
        Kind::Other(_) => return None,
    };
    Some(Sniff { product, symbol: fields.get("s").and_then(Value::as_str).map(str::to_string) })
}
