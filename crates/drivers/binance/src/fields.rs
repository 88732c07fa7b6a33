//! Strict reading of the venue's JSON objects: private replies, user events, the rarer market frames.
//! Never: replaces a missing or malformed field by a default, or a value it does not know by one it does.

use crate::decode::DecodeError;
use crate::symbols::{Grid, SymbolMap};
use ctos_types::{Currency, Decimal, Level, NumberError, Price, Qty, Side, UnixNanos};
use serde_json::{Map, Value};

/// One object of a known kind; `kind` is for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    fields: &'a Map<String, Value>,
    pub kind: &'static str,
}

/// The JSON of a reply or frame.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(bytes).map_err(|e| DecodeError::NotJson(e.to_string()))
}

/// The objects of a list.
pub(crate) fn rows<'a>(
    value: &'a Value,
    kind: &'static str,
) -> Result<impl Iterator<Item = Result<Row<'a>, DecodeError>>, DecodeError> {
    let list = value.as_array().ok_or(DecodeError::Field { kind, field: "list" })?;
    Ok(list.iter().map(move |item| Row::new(item, kind)))
}

impl<'a> Row<'a> {
    pub fn new(value: &'a Value, kind: &'static str) -> Result<Row<'a>, DecodeError> {
        let fields = value.as_object().ok_or(DecodeError::Field { kind, field: "object" })?;
        Ok(Row { fields, kind })
    }

    pub fn missing(&self, field: &'static str) -> DecodeError {
        DecodeError::Field { kind: self.kind, field }
    }

    /// A value that moves money and that nobody told us of.
    pub fn unknown(&self, field: &'static str, value: &str) -> DecodeError {
        DecodeError::UnknownValue { kind: self.kind, field, value: value.chars().take(40).collect() }
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|v| !v.is_null())
    }

    pub fn value(&self, field: &'static str) -> Result<&'a Value, DecodeError> {
        self.fields.get(field).ok_or_else(|| self.missing(field))
    }

    pub fn row(&self, field: &'static str, kind: &'static str) -> Result<Row<'a>, DecodeError> {
        Row::new(self.value(field)?, kind)
    }

    pub fn list(
        &self,
        field: &'static str,
        kind: &'static str,
    ) -> Result<impl Iterator<Item = Result<Row<'a>, DecodeError>>, DecodeError> {
        rows(self.value(field)?, kind).map_err(|_| self.missing(field))
    }

    /// `None` where the field is absent or null.
    fn opt<T>(&self, field: &'static str, get: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, DecodeError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => get(value).map(Some).ok_or_else(|| self.missing(field)),
        }
    }

    pub fn opt_text(&self, field: &'static str) -> Result<Option<&'a str>, DecodeError> {
        self.opt(field, Value::as_str)
    }

    pub fn text(&self, field: &'static str) -> Result<&'a str, DecodeError> {
        self.opt_text(field)?.ok_or_else(|| self.missing(field))
    }

    pub fn opt_int(&self, field: &'static str) -> Result<Option<i64>, DecodeError> {
        self.opt(field, Value::as_i64)
    }

    pub fn int(&self, field: &'static str) -> Result<i64, DecodeError> {
        self.opt_int(field)?.ok_or_else(|| self.missing(field))
    }

    /// An id or count, never negative. Some replies have it as text.
    pub fn id(&self, field: &'static str) -> Result<u64, DecodeError> {
        let get = |v: &Value| v.as_u64().or_else(|| v.as_str().and_then(|t| t.parse().ok()));
        self.opt(field, get)?.ok_or_else(|| self.missing(field))
    }

    /// JSON truth, or its text in any case: replies have both.
    pub fn opt_bool(&self, field: &'static str) -> Result<Option<bool>, DecodeError> {
        self.opt(field, |v| match v {
            Value::Bool(b) => Some(*b),
            Value::String(t) if t.eq_ignore_ascii_case("true") => Some(true),
            Value::String(t) if t.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    pub fn bool(&self, field: &'static str) -> Result<bool, DecodeError> {
        self.opt_bool(field)?.ok_or_else(|| self.missing(field))
    }

    /// Milliseconds since the epoch, microseconds from 10^15 up. Never negative.
    pub fn opt_time(&self, field: &'static str) -> Result<Option<UnixNanos>, DecodeError> {
        let get = |v: &Value| {
            let n = v.as_i64().or_else(|| v.as_str().and_then(|t| t.parse().ok()))?;
            u64::try_from(n).ok().and_then(crate::decode::venue_time)
        };
        self.opt(field, get)
    }

    pub fn time(&self, field: &'static str) -> Result<UnixNanos, DecodeError> {
        self.opt_time(field)?.ok_or_else(|| self.missing(field))
    }

    fn number<T>(
        &self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, NumberError>,
    ) -> Result<Option<T>, DecodeError> {
        let bad = |source| DecodeError::Number { kind: self.kind, field, source };
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => parse(text).map(Some).map_err(bad),
            // Brackets and loans come as JSON numbers: their text is what the venue wrote.
            Some(Value::Number(n)) => parse(&n.to_string()).map(Some).map_err(bad),
            Some(_) => Err(self.missing(field)),
        }
    }

    /// `None` where it is absent, null or empty text.
    pub fn opt_decimal(&self, field: &'static str) -> Result<Option<Decimal>, DecodeError> {
        self.number(field, str::parse)
    }

    pub fn decimal(&self, field: &'static str) -> Result<Decimal, DecodeError> {
        self.opt_decimal(field)?.ok_or_else(|| self.missing(field))
    }

    /// An amount that is empty text on accounts which were never funded.
    pub fn amount(&self, field: &'static str) -> Result<Decimal, DecodeError> {
        if self.opt_text(field)? == Some("") { Ok(Decimal::ZERO) } else { self.decimal(field) }
    }

    /// One of the last digit that the venue writes of a number; zeros at its end are digits too.
    pub fn unit(&self, field: &'static str) -> Result<Decimal, DecodeError> {
        let places = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let most = usize::from(Decimal::PLACES);
        let unit = |text: &str| Ok(Decimal::new(1, places(text).min(most) as u8));
        Ok(self.number(field, unit)?.unwrap_or(Decimal::ONE))
    }

    pub fn opt_price(&self, field: &'static str, grid: &Grid) -> Result<Option<Price>, DecodeError> {
        self.number(field, |t| grid.price(t))
    }

    pub fn price(&self, field: &'static str, grid: &Grid) -> Result<Price, DecodeError> {
        self.opt_price(field, grid)?.ok_or_else(|| self.missing(field))
    }

    pub fn opt_qty(&self, field: &'static str, grid: &Grid) -> Result<Option<Qty>, DecodeError> {
        self.number(field, |t| grid.qty(t))
    }

    pub fn qty(&self, field: &'static str, grid: &Grid) -> Result<Qty, DecodeError> {
        self.opt_qty(field, grid)?.ok_or_else(|| self.missing(field))
    }

    /// A size that may be negative: a position.
    pub fn signed_qty(&self, field: &'static str, grid: &Grid) -> Result<Qty, DecodeError> {
        let parse = |t: &str| ctos_types::instrument::parse_mantissa(t, grid.qty_decimals).map(Qty);
        self.number(field, parse)?.ok_or_else(|| self.missing(field))
    }

    pub fn grid<'m>(&self, field: &'static str, map: &'m SymbolMap) -> Result<&'m Grid, DecodeError> {
        let symbol = self.text(field)?;
        map.find(symbol.as_bytes()).ok_or_else(|| DecodeError::UnknownSymbol(symbol.chars().take(40).collect()))
    }

    pub fn currency(&self, field: &'static str) -> Result<Currency, DecodeError> {
        Currency::new(self.text(field)?).map_err(|_| self.missing(field))
    }

    pub fn side(&self, field: &'static str) -> Result<Side, DecodeError> {
        match self.text(field)? {
            "BUY" => Ok(Side::Buy),
            "SELL" => Ok(Side::Sell),
            other => Err(self.unknown(field, other)),
        }
    }

    pub fn levels(&self, field: &'static str, grid: &Grid, into: &mut Vec<Level>) -> Result<(), DecodeError> {
        let list = self.opt(field, Value::as_array)?.ok_or_else(|| self.missing(field))?;
        let bad = |source| DecodeError::Number { kind: self.kind, field, source };
        for level in list {
            let text = |at: usize| level.get(at).and_then(Value::as_str).ok_or_else(|| self.missing(field));
            into.push(Level { price: grid.price(text(0)?).map_err(bad)?, qty: grid.qty(text(1)?).map_err(bad)? });
        }
        Ok(())
    }
}
