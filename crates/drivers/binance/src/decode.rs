//! Turns Binance market frames, combined or bare, spot or USD-M, into numbers on the instruments' grids.
//! Never: keeps state between frames, panics on input, or takes a doubtful number. Source: fact sheet of the market
//! streams, checked against captured traffic.

mod fast;
mod scan;
mod slow;

pub use ctos_link::feed::Levels;
pub use slow::{Sniff, sniff};

use crate::symbols::{Product, SymbolMap};
use ctos_types::{InstrumentId, MarkPrice, NumberError, Quote, Text, Trade, UnixNanos};

/// What one frame said. Depth levels are in the [`Levels`] that the caller passed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Frame {
    Depth(DepthUpdate),
    BookTicker(BookTicker),
    Trade(TradeTick),
    AggTrade(AggTrade),
    MarkPrice(MarkTick),
    Snapshot(Snapshot),
    /// Understood as none of the above: a reply, a kline, a partial book. The kind is for counting.
    Other(Text<23>),
}

impl Frame {
    /// Which product such a frame can only come from; `None` where it does not tell.
    pub fn product(&self) -> Option<Product> {
        let futures = |yes| Some(if yes { Product::UsdM } else { Product::Spot });
        match self {
            Frame::Depth(d) => futures(d.prev.is_some()),
            Frame::BookTicker(q) => futures(q.ts_sent.is_some()),
            Frame::Trade(t) => t.on_book.map(|_| Product::UsdM),
            Frame::AggTrade(_) => None,
            Frame::MarkPrice(_) => Some(Product::UsdM),
            Frame::Snapshot(s) => futures(s.ts_event.is_some() || s.ts_sent.is_some()),
            Frame::Other(_) => None,
        }
    }
}

/// A depth diff: absolute sizes of the levels that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthUpdate {
    pub instrument: InstrumentId,
    /// `U`, the first update id in it.
    pub first: u64,
    /// `u`, the last one.
    pub last: u64,
    /// `pu`, the last id of the diff before; USD-M only.
    pub prev: Option<u64>,
    /// `E`, when it was sent.
    pub ts_sent: UnixNanos,
    /// `T`, when the matching engine made it; USD-M only.
    pub ts_engine: Option<UnixNanos>,
}

impl DepthUpdate {
    /// The engine's time where it is told, else the time of sending.
    pub fn ts_event(&self) -> UnixNanos {
        self.ts_engine.unwrap_or(self.ts_sent)
    }
}

/// Best bid and ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookTicker {
    pub instrument: InstrumentId,
    /// `u`, on the same count as the depth of the same book.
    pub update_id: u64,
    pub quote: Quote,
    /// `T`; USD-M only.
    pub ts_engine: Option<UnixNanos>,
    /// `E`; USD-M only.
    pub ts_sent: Option<UnixNanos>,
}

/// A single trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeTick {
    pub instrument: InstrumentId,
    pub trade: Trade,
    /// `T`, when it happened.
    pub ts_event: UnixNanos,
    /// `E`, when it was sent.
    pub ts_sent: UnixNanos,
    /// USD-M's `X`: whether it took liquidity from the book. Other kinds (insurance fund and the like) did not.
    pub on_book: Option<bool>,
}

/// Trades of one taker order at one price, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggTrade {
    pub instrument: InstrumentId,
    /// `id` is the aggregate's own.
    pub trade: Trade,
    /// `f` and `l`: the ids of the first and last trade in it.
    pub first_trade: u64,
    pub last_trade: u64,
    pub ts_event: UnixNanos,
    pub ts_sent: UnixNanos,
}

/// Mark price, index price and funding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkTick {
    pub instrument: InstrumentId,
    pub mark: MarkPrice,
    pub ts_sent: UnixNanos,
}

/// A REST depth snapshot. It does not name its symbol: the recorder knew what it had asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub instrument: InstrumentId,
    pub last_update_id: u64,
    /// `E`; USD-M only.
    pub ts_sent: Option<UnixNanos>,
    /// `T`; USD-M only.
    pub ts_event: Option<UnixNanos>,
}

/// Why a frame could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("{kind} frame without a usable {field}")]
    Field { kind: &'static str, field: &'static str },
    #[error("{kind} frame, {field}: {source}")]
    Number { kind: &'static str, field: &'static str, source: NumberError },
    #[error("unknown symbol {0:?}")]
    UnknownSymbol(String),
    /// A state, type or reason that moves money and that nobody told us of.
    #[error("{kind}, {field}: unknown value {value:?}")]
    UnknownValue { kind: &'static str, field: &'static str, value: String },
    #[error("a depth snapshot that does not name its symbol, among several symbols")]
    SnapshotOwner,
}

/// Decodes the frames of one product.
#[derive(Clone, Debug)]
pub struct Decoder {
    map: SymbolMap,
}

impl Decoder {
    /// For the product and the instruments of `map`.
    pub fn new(map: SymbolMap) -> Decoder {
        Decoder { map }
    }

    /// The instruments it knows.
    pub fn symbols(&self) -> &SymbolMap {
        &self.map
    }

    /// Reads one frame. `snapshot_of` says whose book a snapshot is that does not say so itself; levels of depth and
    /// snapshots replace what is in `levels`.
    ///
    /// The usual shapes are scanned without allocation; everything else goes through a JSON parser, with the same
    /// result for what both can read.
    pub fn decode(
        &self,
        frame: &[u8],
        snapshot_of: Option<InstrumentId>,
        levels: &mut Levels,
    ) -> Result<Frame, DecodeError> {
        match fast::decode(&self.map, frame, snapshot_of, levels) {
            Some(frame) => Ok(frame),
            None => slow::decode(&self.map, frame, snapshot_of, levels),
        }
    }
}

/// Streams of the top levels only (`btcusdt@depth20@100ms`). On USD-M they look exactly like diffs.
pub(crate) fn is_partial_depth(stream: &str) -> bool {
    let Some((_, kind)) = stream.split_once("@depth") else { return false };
    kind.starts_with(|c: char| c.is_ascii_digit())
}

/// Milliseconds, or microseconds where the connection asked for them: told by magnitude, as the venue advises.
pub(crate) fn venue_time(n: u64) -> Option<UnixNanos> {
    let n = i64::try_from(n).ok()?;
    let unit = if n >= 1_000_000_000_000_000 { 1_000 } else { 1_000_000 };
    n.checked_mul(unit).map(UnixNanos)
}

#[cfg(test)]
mod tests;
