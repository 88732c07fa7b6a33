//! Cells of a row taken one after the other as what they stand for.
//! Never: takes a cell of another kind for the one that was asked for.

use super::table::Cell;
use ctos_types::{ClientOrderId, Currency, Decimal, Instrument, Price, Qty, UnixNanos};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a cell says, or in words why it does not.
pub type Read<T> = Result<T, String>;

/// Reads the cells of a row from left to right.
#[derive(Debug)]
pub struct Cursor<'a> {
    cells: std::slice::Iter<'a, Cell<'a>>,
}

/// How a word of ours is written, for example an order status: as in JSON.
pub fn word<T: Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

impl<'a> Cursor<'a> {
    pub fn new(cells: &'a [Cell<'a>]) -> Cursor<'a> {
        Cursor { cells: cells.iter() }
    }

    fn next(&mut self) -> Read<&'a Cell<'a>> {
        self.cells.next().ok_or_else(|| "too few columns".into())
    }

    pub fn skip(&mut self) -> Read<()> {
        self.next().map(drop)
    }

    pub fn opt_text(&mut self) -> Read<Option<&'a str>> {
        match self.next()? {
            Cell::Text(t) => Ok(Some(t)),
            Cell::Null => Ok(None),
            other => Err(format!("{other:?} is no text")),
        }
    }
    pub fn text(&mut self) -> Read<&'a str> {
        self.opt_text()?.ok_or_else(|| "a text is missing".into())
    }
    pub fn opt_int(&mut self) -> Read<Option<i64>> {
        match self.next()? {
            Cell::Int(n) => Ok(Some(*n)),
            Cell::Null => Ok(None),
            other => Err(format!("{other:?} is no whole number")),
        }
    }
    /// A whole number that fits `T`.
    pub fn int<T: TryFrom<i64>>(&mut self) -> Read<T> {
        let n = self.opt_int()?.ok_or("a number is missing")?;
        T::try_from(n).map_err(|_| format!("{n} is out of range"))
    }
    pub fn opt_decimal(&mut self) -> Read<Option<Decimal>> {
        match self.next()? {
            Cell::Decimal(d) => Ok(Some(*d)),
            Cell::Null => Ok(None),
            other => Err(format!("{other:?} is no decimal")),
        }
    }
    pub fn decimal(&mut self) -> Read<Decimal> {
        self.opt_decimal()?.ok_or_else(|| "a decimal is missing".into())
    }
    pub fn float(&mut self) -> Read<f64> {
        match self.next()? {
            Cell::Float(f) => Ok(*f),
            other => Err(format!("{other:?} is no float")),
        }
    }
    pub fn opt_time(&mut self) -> Read<Option<UnixNanos>> {
        match self.next()? {
            Cell::Time(at) => Ok(Some(*at)),
            Cell::Null => Ok(None),
            other => Err(format!("{other:?} is no time")),
        }
    }
    pub fn time(&mut self) -> Read<UnixNanos> {
        self.opt_time()?.ok_or_else(|| "a time is missing".into())
    }
    pub fn flag(&mut self) -> Read<bool> {
        match self.next()? {
            Cell::Bool(b) => Ok(*b),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }
    /// A word written by [`word`].
    pub fn word<T: DeserializeOwned>(&mut self) -> Read<T> {
        parse_word(self.text()?)
    }
    pub fn currency(&mut self) -> Read<Currency> {
        self.text()?.parse().map_err(|e: ctos_types::text::TooLong| e.to_string())
    }
    pub fn opt_order(&mut self) -> Read<Option<ClientOrderId>> {
        self.opt_text()?.map(|t| t.parse().map_err(|e: ctos_types::ids::ForeignId| e.to_string())).transpose()
    }
    pub fn price(&mut self, i: &Instrument) -> Read<Price> {
        price(i, self.decimal()?)
    }
    pub fn opt_price(&mut self, i: &Instrument) -> Read<Option<Price>> {
        self.opt_decimal()?.map(|d| price(i, d)).transpose()
    }
    pub fn qty(&mut self, i: &Instrument) -> Read<Qty> {
        qty(i, self.decimal()?)
    }
}

pub fn parse_word<T: DeserializeOwned>(text: &str) -> Read<T> {
    serde_json::from_value(serde_json::Value::String(text.into())).map_err(|e| e.to_string())
}

/// On the grid's places; the tick is not asked for, since fills may lie on an older one.
fn price(i: &Instrument, d: Decimal) -> Read<Price> {
    d.to_mantissa(i.price_decimals).map(Price).map_err(|e| e.to_string())
}

pub fn qty(i: &Instrument, d: Decimal) -> Read<Qty> {
    d.to_mantissa(i.qty_decimals).map(Qty).map_err(|e| e.to_string())
}
