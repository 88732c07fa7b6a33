//! Candles as freqtrade keeps them: feather (Arrow IPC) and JSON, named `BTC_USDT-5m.feather`, and for futures
//! `BTC_USDT_USDT-1h-futures.feather` or `-mark`, `-funding_rate`.
//! Never: arithmetic on a float: a double becomes the shortest decimal text that reads back as that very double.

mod blocks;
mod feather;
mod json;
mod name;

pub(super) use blocks::MAGIC;
pub(super) use feather::Feather;
pub(super) use json::Json;

use super::fields::Flaw;
use super::{ImportError, ImportOptions};
use crate::defect::{DefectKind, Defects};
use crate::number::Number;
use crate::record::{BarFields, Body, Record};
use ctos_types::{Interval, Symbol, UnixNanos};
use name::{Candles, DataName};
use std::path::Path;

/// Whether a text file whose first bytes are `first` is a JSON list of candles.
pub(super) fn is_json(path: &Path, first: &[u8]) -> bool {
    let mut bytes = first.iter().filter(|b| !b.is_ascii_whitespace());
    bytes.next() == Some(&b'[') && (bytes.next() == Some(&b'[') || name::parse(path).pair.is_some())
}

/// What is the same for all candles of a file.
struct Series {
    symbol: Symbol,
    candles: Candles,
    /// Funding settlements have none.
    interval: Option<Interval>,
}

/// The places of a candle's numbers: open, high, low, close, volume.
const NUMBERS: [&str; 5] = ["open", "high", "low", "close", "volume"];

impl Series {
    fn new(path: &Path, options: &ImportOptions) -> Result<Series, ImportError> {
        let fail = |why: String, hint: &str| ImportError::new(path, 0, why, hint);
        let name = name::parse(path);
        if let Some(kind) = name.unread {
            let hint = "there is a place for candles of prices and marks and for funding rates";
            return Err(fail(format!("{kind} files have no place in the catalog"), hint));
        }
        let candles = match options.data.as_deref() {
            None => name.candles,
            Some(word) => Candles::from_word(word).ok_or_else(|| {
                fail(format!("--data {word} is no kind of candles"), "there are spot, futures, mark, funding_rate")
            })?,
        };
        let symbol = symbol(path, options, &name)?;
        let interval = match (options.interval, name.interval) {
            (Some(stated), Some(named)) if stated != named => {
                let why = format!("the name says {named} bars and --interval says {stated}");
                return Err(fail(why, "leave --interval out, or rename the file"));
            }
            (stated, named) => stated.or(named),
        };
        if interval.is_none() && candles != Candles::Funding {
            let why = "the name does not tell the bars' length, as BTC_USDT-5m does".into();
            return Err(fail(why, "state it, for example --interval 5m"));
        }
        Ok(Series { symbol, candles, interval })
    }

    /// Which of [`NUMBERS`] a record is made of.
    fn needed(&self) -> &'static [usize] {
        match self.candles {
            Candles::Prices => &[0, 1, 2, 3, 4],
            Candles::Marks => &[3],
            // freqtrade keeps the rate where the open is.
            Candles::Funding => &[0],
        }
    }

    /// One candle. `number` is asked for the needed ones of [`NUMBERS`]; the flag says that one was rounded.
    fn record(
        &self,
        place: u64,
        at: UnixNanos,
        defects: &mut Defects,
        mut number: impl FnMut(usize) -> Result<(Number, bool), Flaw>,
    ) -> Result<Record, Flaw> {
        let mut values = [Number::ZERO; 5];
        let mut rounded = None;
        for column in self.needed() {
            let (value, was_rounded) = number(*column)?;
            values[*column] = value;
            rounded = rounded.or(was_rounded.then_some(*column));
        }
        if let Some(column) = rounded {
            defects.add(DefectKind::Rounded, place, || format!("{}, now {}", NUMBERS[column], values[column]));
        }
        let [open, high, low, close, volume] = values;
        let interval = self.interval.unwrap_or(Interval::H1);
        let (at, body) = match self.candles {
            Candles::Prices => {
                let volume = Some(volume);
                let (quote_volume, trades, taker_buy_volume) = (None, None, None);
                (
                    at,
                    Body::Bar(BarFields {
                        interval,
                        open,
                        high,
                        low,
                        close,
                        volume,
                        quote_volume,
                        trades,
                        taker_buy_volume,
                    }),
                )
            }
            // What the mark was when the bar had ended.
            Candles::Marks => {
                let mark = Body::Mark { mark: close, index: None, funding_rate: None, next_funding: None };
                (interval.end(at), mark)
            }
            Candles::Funding => (at, Body::Funding { rate: open, mark: None }),
        };
        Ok(Record { symbol: self.symbol.clone(), place, ts_event: Some(at), ts_recv: None, body })
    }
}

fn symbol(path: &Path, options: &ImportOptions, name: &DataName) -> Result<Symbol, ImportError> {
    let named = options.symbol.as_ref().or(name.pair.as_ref()).ok_or_else(|| {
        let why = "the name does not tell the pair, as BTC_USDT-5m does";
        ImportError::new(path, 0, why, "state it, for example --symbol binance:BTC-USDT")
    })?;
    if named.contains(':') {
        return Ok(Symbol::new(named));
    }
    let venue = options.venue.as_ref().or(name.venue.as_ref()).ok_or_else(|| {
        let why = format!("neither folder nor flags tell which venue {named} is of");
        ImportError::new(path, 0, why, "state it, for example --venue binance")
    })?;
    Ok(Symbol::new(&format!("{venue}:{named}")))
}

#[cfg(test)]
mod tests;
