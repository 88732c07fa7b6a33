//! Parameters of a request: decoding, types, and what the venue says about wrong ones.
//! Never: knows an endpoint.

use crate::error::ApiError;
use ctos_types::{Decimal, NumberError, UnixNanos};

const INT: &str = "^[0-9]{1,20}$";
const DECIMAL: &str = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";

/// Decoded names and values, query before body. Where a name stands in both, the query wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Errors: a name twice in the same place (-1101), broken escapes (-1100).
    pub fn parse(query: &str, body: &str) -> Result<Params, ApiError> {
        let mut all = pairs(query)?;
        for (name, value) in pairs(body)? {
            if !all.iter().any(|(n, _)| *n == name) {
                all.push((name, value));
            }
        }
        Ok(Params(all))
    }

    pub fn from_pairs(pairs: Vec<(String, String)>) -> Params {
        Params(pairs)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// As sent, empty text included.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `None` where it was not sent. Errors: sent but empty.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.raw(name) {
            Some("") => Err(ApiError::new(-1105, format!("Parameter '{name}' was empty."))),
            other => Ok(other),
        }
    }

    pub fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.raw(name).filter(|v| !v.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let plain = text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
        let value = plain.then(|| text.parse().ok()).flatten();
        value.map(Some).ok_or_else(|| ApiError::illegal(name, INT))
    }

    pub fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name)? {
            None => Ok(None),
            Some(v) if v.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(v) if v.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid(name)),
        }
    }

    /// Plain digits with at most one point.
    pub fn decimal(&self, name: &str) -> Result<Option<Decimal>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| (1..=20).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(ApiError::illegal(name, DECIMAL));
        }
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(NumberError::TooPrecise(..)) => Err(precise(name)),
            Err(_) => Err(ApiError::illegal(name, DECIMAL)),
        }
    }

    /// A time in milliseconds (microseconds where it has 16 digits), as time.
    pub fn time(&self, name: &str) -> Result<Option<UnixNanos>, ApiError> {
        Ok(self.int(name)?.map(instant))
    }

    /// Held to `max`; `default` where it was not sent.
    pub fn limit(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        match self.int("limit")? {
            Some(0) => Err(ApiError::invalid("limit")),
            Some(n) => Ok(usize::try_from(n).unwrap_or(max).min(max)),
            None => Ok(default),
        }
    }

    /// A JSON array of texts or numbers, as texts.
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let range = "^\\[\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}\\]$";
        let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| ApiError::illegal(name, range))?;
        let plain = |v: serde_json::Value| match v {
            serde_json::Value::String(s) => Ok(s),
            serde_json::Value::Number(n) => Ok(n.to_string()),
            _ => Err(ApiError::illegal(name, range)),
        };
        values.into_iter().map(plain).collect::<Result<_, _>>().map(Some)
    }
}

/// A wire time as time: microseconds from 10^15 on.
pub(crate) fn instant(wire: i64) -> UnixNanos {
    let scale = if wire >= 1_000_000_000_000_000 { 1_000 } else { 1_000_000 };
    UnixNanos(wire.saturating_mul(scale))
}

pub(crate) fn precise(name: &str) -> ApiError {
    ApiError::new(-1111, format!("Parameter '{name}' has too much precision."))
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let mut all: Vec<(String, String)> = Vec::new();
    for part in text.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name), decode(value));
        let (Some(name), Some(value)) = (name, value) else {
            return Err(ApiError::new(-1100, "Illegal characters found in a parameter."));
        };
        if all.iter().any(|(n, _)| *n == name) {
            return Err(ApiError::new(-1101, format!("Duplicate values for parameter '{name}' detected.")));
        }
        all.push((name, value));
    }
    Ok(all)
}

/// Percent-decoding of a form value; `None` for broken escapes and what is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        out.push(match b {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let digit = |b: u8| char::from(b).to_digit(16);
                (digit(high)? * 16 + digit(low)?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn query_before_body_and_types() {
        let p = Params::parse("symbol=A%2FB&n=12&e=", "n=13&d=1.50&x=1e3").unwrap();
        assert_eq!(p.raw("symbol"), Some("A/B"));
        assert_eq!(p.int("n").unwrap(), Some(12));
        assert_eq!(p.decimal("d").unwrap().unwrap().to_string(), "1.5");
        assert_eq!(p.decimal("x").unwrap_err().code, -1100);
        assert_eq!(p.text("e").unwrap_err().code, -1105);
        assert_eq!(p.need("zz").unwrap_err().code, -1102);
        assert_eq!(Params::parse("a=1&a=2", "").unwrap_err().code, -1101);
        assert_eq!(Params::parse("a=%G1", "").unwrap_err().code, -1100);
    }

    proptest! {
        #[test]
        fn nothing_panics(query in any::<String>(), body in any::<String>()) {
            if let Ok(p) = Params::parse(&query, &body) {
                for (name, _) in p.iter() {
                    let _ = (p.int(name), p.decimal(name), p.bool(name), p.list(name), p.time(name));
                }
            }
        }
    }
}
