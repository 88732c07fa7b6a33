//! The two grid numbers, [`Price`] and [`Qty`], and their text.
//! Never: rounds, or knows an instrument.

use crate::decimal::{Decimal, NumberError, pow10};
use serde::{Deserialize, Serialize};

/// Price as an integer on one instrument's decimal grid: `mantissa * 10^-price_decimals`. Never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(pub i64);

/// Size as an integer on one instrument's decimal grid: `mantissa * 10^-qty_decimals`, in the venue's order unit
/// (base coin, or contracts). Signed where it is a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Qty(pub i64);

impl Qty {
    pub const ZERO: Qty = Qty(0);
    pub const fn abs(self) -> Qty {
        Qty(self.0.abs())
    }
}

/// A number at `from` places expressed at `to` places. Fails where digits would be lost or the range left.
pub fn rescale(mantissa: i64, from: u8, to: u8) -> Result<i64, NumberError> {
    Decimal::new(mantissa, from).to_mantissa(to)
}

/// Digits of `text` as a mantissa at `places`, exact. Plain notation only, as venues write it.
pub fn parse_mantissa(text: &str, places: u8) -> Result<i64, NumberError> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    let mut m: i64 = 0;
    let mut fraction: Option<u8> = None;
    let mut seen = false;
    for &b in digits {
        match b {
            b'0'..=b'9' => {
                seen = true;
                if let Some(n) = &mut fraction {
                    if *n == places {
                        if b == b'0' {
                            continue;
                        }
                        return Err(NumberError::TooPrecise(text.into(), places));
                    }
                    *n += 1;
                }
                m = m
                    .checked_mul(10)
                    .and_then(|m| m.checked_add(i64::from(b - b'0')))
                    .ok_or_else(|| NumberError::Overflow(text.into()))?;
            }
            b'.' if fraction.is_none() && seen => fraction = Some(0),
            _ => return Err(NumberError::Malformed(text.into())),
        }
    }
    if !seen || digits.last() == Some(&b'.') {
        return Err(NumberError::Malformed(text.into()));
    }
    for _ in fraction.unwrap_or(0)..places {
        m = m.checked_mul(10).ok_or_else(|| NumberError::Overflow(text.into()))?;
    }
    Ok(if negative { -m } else { m })
}

/// `mantissa * 10^-places` with exactly `places` decimals.
pub fn mantissa_text(mantissa: i64, places: u8) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let abs = mantissa.unsigned_abs() as u128;
    if places == 0 {
        return format!("{sign}{abs}");
    }
    let unit = pow10(places) as u128;
    format!("{sign}{}.{:0width$}", abs / unit, abs % unit, width = places as usize)
}
