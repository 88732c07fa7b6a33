//! Every frame of a market socket: the frequent ones by the scanner, the rest through the JSON parser.
//! Never: hides a frame: what is of no use has a name for counting.

use super::klines::Kline;
use super::streams::{StreamReply, read_reply};
use crate::decode::{DecodeError, Decoder, Frame, Levels, MarkTick, is_partial_depth};
use crate::fields::{Row, parse, rows};
use crate::symbols::SymbolMap;
use ctos_types::{Decimal, InstrumentId, MarkPrice, Price, Qty, Side, Text, UnixNanos};
use serde_json::Value;

/// Marks of several instruments.
pub type MarkTicks = Vec<MarkTick>;

/// What one frame of a market socket said.
#[derive(Clone, Debug, PartialEq)]
pub enum MarketFrame {
    /// Depth, quote, trade, aggregate, mark, snapshot.
    Frame(Frame),
    Kline(Kline),
    /// The whole top of a book; its levels are in the caller's storage.
    PartialBook(PartialBook),
    /// Of all instruments; those that are not ours are left out.
    Marks(MarkTicks),
    ForceOrder(ForceOrder),
    /// A symbol's listing or state has changed: read the instruments again.
    ContractInfo(ContractInfo),
    Reply(StreamReply),
    /// The server goes down: reconnect at once.
    Shutdown,
    /// Of no use; the kind is for counting.
    Other(Text<23>),
}

/// The best levels of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialBook {
    pub instrument: InstrumentId,
    pub last_update_id: u64,
    /// USD-M only.
    pub ts_event: Option<UnixNanos>,
}

/// A liquidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForceOrder {
    pub instrument: InstrumentId,
    /// What the liquidation does: a sell closes a long.
    pub side: Side,
    pub price: Price,
    pub qty: Qty,
    /// Average price so far; zero before it trades.
    pub avg_px: Decimal,
    pub cum_qty: Qty,
    pub ts_event: UnixNanos,
}

/// A symbol that was listed, changed or delisted. Not only ours: a new one is none of ours yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractInfo {
    pub symbol: String,
    /// As the venue writes it: `TRADING`, `SETTLING`, …
    pub status: String,
    pub ts_sent: UnixNanos,
}

/// Decodes every frame of one product's market sockets.
#[derive(Clone, Debug)]
pub struct MarketDecoder {
    inner: Decoder,
}

impl MarketDecoder {
    pub fn new(map: SymbolMap) -> MarketDecoder {
        MarketDecoder { inner: Decoder::new(map) }
    }

    /// The instruments it knows.
    pub fn symbols(&self) -> &SymbolMap {
        self.inner.symbols()
    }

    /// As [`Decoder::decode`], and all the rest of what market sockets say. Levels of depth, snapshots and partial
    /// books replace what is in `levels`.
    pub fn decode(
        &self,
        frame: &[u8],
        snapshot_of: Option<InstrumentId>,
        levels: &mut Levels,
    ) -> Result<MarketFrame, DecodeError> {
        match self.inner.decode(frame, snapshot_of, levels)? {
            Frame::Other(kind) => self.rare(frame, kind, levels),
            frame => Ok(MarketFrame::Frame(frame)),
        }
    }

    fn rare(&self, frame: &[u8], kind: Text<23>, levels: &mut Levels) -> Result<MarketFrame, DecodeError> {
        let value = parse(frame)?;
        let (stream, data) = match (value.get("stream").and_then(Value::as_str), value.get("data")) {
            (Some(stream), Some(data)) => (stream, data),
            _ => ("", &value),
        };
        let event = data.get("e").and_then(Value::as_str).unwrap_or_default();
        Ok(match (kind.as_str(), event) {
            ("array", _) => return self.array(data),
            ("partialDepth", _) => MarketFrame::PartialBook(self.partial(stream, data, levels)?),
            (_, "kline") => {
                let row = Row::new(data, "kline")?;
                let grid = row.grid("s", self.symbols())?;
                MarketFrame::Kline(Kline::of_stream(&row.row("k", "kline")?, grid, row.time("E")?)?)
            }
            (_, "forceOrder") => MarketFrame::ForceOrder(self.force_order(data)?),
            (_, "contractInfo") => {
                let row = Row::new(data, "contractInfo")?;
                let (symbol, status) = (row.text("s")?.to_string(), row.text("cs")?.to_string());
                MarketFrame::ContractInfo(ContractInfo { symbol, status, ts_sent: row.time("E")? })
            }
            (_, "serverShutdown") => MarketFrame::Shutdown,
            _ => match read_reply(data) {
                Some(reply) => MarketFrame::Reply(reply),
                None => MarketFrame::Other(kind),
            },
        })
    }

    /// Streams of all instruments: marks, or one liquidation.
    fn array(&self, data: &Value) -> Result<MarketFrame, DecodeError> {
        let kind = || MarketFrame::Other(Text::cut("array"));
        let Some(list) = data.as_array() else { return Ok(kind()) };
        if list.is_empty() || list.iter().any(|v| v.get("e").and_then(Value::as_str) != Some("markPriceUpdate")) {
            return Ok(kind());
        }
        let mut marks = Vec::new();
        for row in rows(data, "markPriceUpdate")? {
            match self.mark(&row?) {
                Ok(mark) => marks.push(mark),
                Err(DecodeError::UnknownSymbol(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(MarketFrame::Marks(marks))
    }

    fn mark(&self, row: &Row<'_>) -> Result<MarkTick, DecodeError> {
        let grid = row.grid("s", self.symbols())?;
        let mark = MarkPrice {
            mark: row.decimal("p")?,
            index: row.decimal("i")?,
            // Dated futures have none.
            funding_rate: row.amount("r")?,
            next_funding: row.time("T")?,
        };
        Ok(MarkTick { instrument: grid.id, mark, ts_sent: row.time("E")? })
    }

    fn partial(&self, stream: &str, data: &Value, levels: &mut Levels) -> Result<PartialBook, DecodeError> {
        let row = Row::new(data, "partialDepth")?;
        // Spot's does not name its symbol: only the stream does.
        let grid = match row.has("s") {
            true => row.grid("s", self.symbols())?,
            false => {
                let symbol = stream.split_once('@').filter(|_| is_partial_depth(stream)).map(|(s, _)| s.to_uppercase());
                let symbol = symbol.ok_or(DecodeError::SnapshotOwner)?;
                self.symbols().find(symbol.as_bytes()).ok_or(DecodeError::UnknownSymbol(symbol))?
            }
        };
        levels.clear();
        let (bids, asks, id) = if row.has("e") { ("b", "a", "u") } else { ("bids", "asks", "lastUpdateId") };
        row.levels(bids, grid, &mut levels.bids)?;
        row.levels(asks, grid, &mut levels.asks)?;
        Ok(PartialBook { instrument: grid.id, last_update_id: row.id(id)?, ts_event: row.opt_time("T")? })
    }

    fn force_order(&self, data: &Value) -> Result<ForceOrder, DecodeError> {
        let row = Row::new(data, "forceOrder")?.row("o", "forceOrder")?;
        let grid = row.grid("s", self.symbols())?;
        Ok(ForceOrder {
            instrument: grid.id,
            side: row.side("S")?,
            price: row.price("p", grid)?,
            qty: row.qty("q", grid)?,
            avg_px: row.amount("ap")?,
            cum_qty: row.qty("z", grid)?,
            ts_event: row.time("T")?,
        })
    }
}
