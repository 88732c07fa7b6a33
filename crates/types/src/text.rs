//! Short text held inline, so that ids and currency codes are `Copy` and cost no allocation.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// UTF-8 text of at most `N` bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

/// An asset code as the venue writes it, for example `USDT`. At most 15 bytes of UTF-8.
pub type Currency = Text<15>;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text of {len} bytes is longer than the {max} allowed: {text:?}")]
pub struct TooLong {
    pub text: String,
    pub len: usize,
    pub max: usize,
}

impl<const N: usize> Text<N> {
    pub const EMPTY: Text<N> = Text { bytes: [0; N], len: 0 };

    pub fn new(text: &str) -> Result<Self, TooLong> {
        if text.len() > N {
            return Err(TooLong { text: text.into(), len: text.len(), max: N });
        }
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Text { bytes, len: text.len() as u8 })
    }

    /// The longest prefix of whole characters that fits: for messages, never for ids.
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(N);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self::new(&text[..end]).expect("cut to the limit above")
    }

    /// Decimal digits of `n`. `N` must be at least 20.
    pub fn from_u64(mut n: u64) -> Self {
        const { assert!(N >= 20) };
        let mut digits = [0u8; 20];
        let mut at = 20;
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        let mut bytes = [0; N];
        bytes[..20 - at].copy_from_slice(&digits[at..]);
        Text { bytes, len: (20 - at) as u8 }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len as usize]).expect("built from whole UTF-8 text")
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> std::str::FromStr for Text<N> {
    type Err = TooLong;
    fn from_str(s: &str) -> Result<Self, TooLong> {
        Self::new(s)
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Text::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_round_trip() {
        assert_eq!(Currency::new("币安人生").unwrap().as_str(), "币安人生");
        assert!(Currency::new("ABCDEFGHIJKLMNOP").is_err());
        assert_eq!(Text::<20>::from_u64(u64::MAX).as_str(), "18446744073709551615");
        assert_eq!(Text::<20>::from_u64(0).as_str(), "0");
        assert_eq!(Text::<4>::cut("ab币").as_str(), "ab");
    }
}
