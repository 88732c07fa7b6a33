//! A cursor over the bytes of a frame that knows exactly what must come next.
//! Never: allocates, or decides about anything unexpected: it gives up, and the JSON parser has the word.

use super::venue_time;
use crate::symbols::Grid;
use ctos_types::{Level, Price, Qty, UnixNanos};

pub(super) struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    pub fn new(bytes: &'a [u8]) -> Scan<'a> {
        Scan { rest: bytes }
    }

    #[inline]
    pub fn skip(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    #[inline]
    pub fn at_end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// Text up to the closing quote, which is passed too. Plain ASCII only.
    #[inline]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20 | 0x7f..))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip(b"\"")?;
        Some(text)
    }

    /// A JSON integer without sign, of at most 19 digits.
    #[inline]
    pub fn integer(&mut self) -> Option<u64> {
        let mut n = 0u64;
        let mut at = 0;
        while let Some(digit) = self.rest.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            if at == 19 {
                return None;
            }
            n = n * 10 + u64::from(digit);
            at += 1;
        }
        if at == 0 || (at > 1 && self.rest[0] == b'0') {
            return None;
        }
        self.rest = &self.rest[at..];
        Some(n)
    }

    #[inline]
    pub fn time(&mut self) -> Option<UnixNanos> {
        venue_time(self.integer()?)
    }

    pub fn boolean(&mut self) -> Option<bool> {
        if self.skip(b"true").is_some() {
            return Some(true);
        }
        self.skip(b"false").map(|()| false)
    }

    #[inline]
    pub fn price(&mut self, grid: &Grid) -> Option<Price> {
        self.mantissa(grid.price_decimals).map(Price)
    }

    #[inline]
    pub fn qty(&mut self, grid: &Grid) -> Option<Qty> {
        self.mantissa(grid.qty_decimals).map(Qty)
    }

    /// Plain decimal text and its closing quote as a mantissa: at most 18 digits before padding, no digit lost.
    #[inline]
    fn mantissa(&mut self, places: u8) -> Option<i64> {
        let bytes = self.rest;
        let (mut m, mut at) = (0u64, 0usize);
        let digit = |at: usize| bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10);
        while let Some(d) = digit(at) {
            m = m.wrapping_mul(10).wrapping_add(u64::from(d));
            at += 1;
        }
        let whole = at;
        if whole == 0 || whole > 18 {
            return None;
        }
        let mut missing = usize::from(places);
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            let start = at;
            while let Some(d) = digit(at).filter(|_| missing > 0) {
                m = m.wrapping_mul(10).wrapping_add(u64::from(d));
                at += 1;
                missing -= 1;
            }
            // Places beyond the grid: only zeros may stand there.
            while bytes.get(at) == Some(&b'0') {
                at += 1;
            }
            if at == start {
                return None;
            }
        }
        if whole + usize::from(places) > 18 {
            return None;
        }
        for _ in 0..missing {
            m *= 10;
        }
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        self.rest = &bytes[at + 1..];
        Some(m as i64)
    }

    /// `["price","size"],…]` after the opening bracket of the list.
    pub fn levels(&mut self, grid: &Grid, into: &mut Vec<Level>) -> Option<()> {
        if self.skip(b"]").is_some() {
            return Some(());
        }
        loop {
            self.skip(b"[\"")?;
            let price = self.price(grid)?;
            self.skip(b",\"")?;
            let qty = self.qty(grid)?;
            into.push(Level { price, qty });
            match self.rest {
                [b']', b',', rest @ ..] => self.rest = rest,
                [b']', b']', rest @ ..] => {
                    self.rest = rest;
                    return Some(());
                }
                _ => return None,
            }
        }
    }
}
