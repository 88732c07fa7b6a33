//! What an importer makes of one row of a source: a fact about one instrument's market, in exact numbers.
//! Never: an instrument's grid (scales are the catalog's business), or a float.

use crate::number::Number;
use ctos_types::{Instrument, Interval, Side, Symbol, UnixNanos};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What kind of data a series holds; the `kind=` part of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Book snapshots, diffs and gaps, one row a level, in the order in which they happened.
    Book,
    /// Best bid and ask.
    Quotes,
    Trades,
    Bars(Interval),
    /// Funding settlements.
    Funding,
    /// Mark and index prices.
    Marks,
    /// Depth within a percentage of the mid (Binance `bookDepth`): statistics, no book.
    DepthBands,
    /// Instrument definitions, each valid from its time on.
    Instruments,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Book => "book",
            Kind::Quotes => "quotes",
            Kind::Trades => "trades",
            Kind::Bars(interval) => return f.pad(&format!("bars_{interval}")),
            Kind::Funding => "funding",
            Kind::Marks => "marks",
            Kind::DepthBands => "depth_bands",
            Kind::Instruments => "instruments",
        })
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Kind, String> {
        Ok(match text {
            "book" => Kind::Book,
            "quotes" => Kind::Quotes,
            "trades" => Kind::Trades,
            "funding" => Kind::Funding,
            "marks" => Kind::Marks,
            "depth_bands" => Kind::DepthBands,
            "instruments" => Kind::Instruments,
            other => {
                let bad = || {
                    format!(
                        "not a kind of data: {other:?} (there are book, quotes, trades, bars_1m and the like, funding, \
                         marks, depth_bands, instruments)"
                    )
                };
                Kind::Bars(other.strip_prefix("bars_").and_then(|i| i.parse().ok()).ok_or_else(bad)?)
            }
        })
    }
}

/// One row of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Unified, with the venue part: `binance:BTC-USDT-PERP`.
    pub symbol: Symbol,
    /// Where it stands: line of a text file (the first line is 1), row number from 1 elsewhere.
    pub place: u64,
    /// The venue's time; `None` where the source does not tell it. Of a bar: its open time.
    pub ts_event: Option<UnixNanos>,
    /// When it was received; `None` for archives, which do not know. One of the two times must be there.
    pub ts_recv: Option<UnixNanos>,
    pub body: Body,
}

/// What happened. Numbers are as the source gives them; signs and ranges are checked by the catalog, not here.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Bar(BarFields),
    Trade {
        price: Number,
        qty: Number,
        /// Who took liquidity; `None` where the source does not tell.
        aggressor: Option<Side>,
        /// 0 where the source has none.
        id: u64,
    },
    Quote {
        bid_px: Number,
        bid_qty: Number,
        ask_px: Number,
        ask_qty: Number,
        /// The venue's book update, 0 where the source has none.
        update_id: u64,
    },
    /// The whole book (`snapshot`) or absolute sizes of the levels that changed. Levels lie in [`super::import::Batch`].
    Book {
        bids: Range<u32>,
        asks: Range<u32>,
        snapshot: bool,
        update_id: u64,
    },
    /// Updates of the book were lost; it is unknown until the next snapshot.
    Gap,
    Funding {
        rate: Number,
        /// The mark price it was settled at; `None` where the source does not tell.
        mark: Option<Number>,
    },
    Mark {
        mark: Number,
        index: Option<Number>,
        funding_rate: Option<Number>,
        next_funding: Option<UnixNanos>,
    },
    /// Size and notional resting within `percentage` of the mid; negative: bids.
    DepthBand {
        percentage: Number,
        depth: Number,
        notional: Number,
    },
    Instrument(Box<Instrument>),
}

/// A bar over `[ts_event, ts_event + interval)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarFields {
    pub interval: Interval,
    pub open: Number,
    pub high: Number,
    pub low: Number,
    pub close: Number,
    /// In base coin (contracts where the venue counts so).
    pub volume: Option<Number>,
    /// In quote currency.
    pub quote_volume: Option<Number>,
    pub trades: Option<u64>,
    /// The part of `volume` where the buyer took liquidity.
    pub taker_buy_volume: Option<Number>,
}

impl Body {
    pub fn kind(&self) -> Kind {
        match self {
            Body::Bar(bar) => Kind::Bars(bar.interval),
            Body::Trade { .. } => Kind::Trades,
            Body::Quote { .. } => Kind::Quotes,
            Body::Book { .. } | Body::Gap => Kind::Book,
            Body::Funding { .. } => Kind::Funding,
            Body::Mark { .. } => Kind::Marks,
            Body::DepthBand { .. } => Kind::DepthBands,
            Body::Instrument(_) => Kind::Instruments,
        }
    }
}

/// One price level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelFields {
    pub price: Number,
    /// The absolute size; zero deletes the level.
    pub qty: Number,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back() {
        for text in [
            "book",
            "quotes",
            "trades",
            "bars_1m",
            "bars_4h",
            "bars_7d",
            "bars_1mo",
            "funding",
            "marks",
            "depth_bands",
            "instruments",
        ] {
            assert_eq!(text.parse::<Kind>().unwrap().to_string(), text);
        }
        for bad in ["", "bars", "bars_", "bars_1W", "Trades", "klines"] {
            assert!(bad.parse::<Kind>().unwrap_err().contains("depth_bands"), "{bad}");
        }
    }
}
