//! A cursor over the bytes of a frame that reads eight bytes at a time.
//! Never: allocates, or decides about anything unexpected: it gives up, and the JSON parser has the word.

use super::venue_time;
use crate::symbols::Grid;
use ctos_types::{Level, Price, Qty, UnixNanos};

pub(super) struct Scan<'a> {
    rest: &'a [u8],
}

/// The same byte in all eight places.
const fn all(b: u8) -> u64 {
    u64::from_ne_bytes([b; 8])
}

const POW10: [u64; 19] = {
    let mut table = [1u64; 19];
    let mut i = 1;
    while i < 19 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// How many of the eight bytes, from the first, are digits, and their value.
#[inline(always)]
fn digits8(chunk: [u8; 8]) -> (usize, u64) {
    let x = u64::from_le_bytes(chunk) ^ all(b'0');
    // A byte above 9 gets its top bit set. Carries only reach bytes behind it, which do not count.
    let other = (x.wrapping_add(all(0x76)) | x) & all(0x80);
    let n = other.trailing_zeros() as usize / 8;
    if n == 0 {
        return (0, 0);
    }
    // The digits move to the end of the eight; what comes in before them counts as leading zeros.
    let x = x << (64 - 8 * n);
    let pairs = x.wrapping_mul(10).wrapping_add(x >> 8);
    const MASK: u64 = 0x0000_00ff_0000_00ff;
    let high = (pairs & MASK).wrapping_mul(0x000f_4240_0000_0064);
    let low = ((pairs >> 16) & MASK).wrapping_mul(0x0000_2710_0000_0001);
    (n, high.wrapping_add(low) >> 32)
}

/// How many digits a number has before and behind its point.
#[derive(Clone, Copy)]
struct Shape {
    whole: usize,
    fraction: usize,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { whole: 1, fraction: 3 }
    }
}

impl Shape {
    /// Whether such a number is one of at most 18 digits on a grid of `places`.
    #[inline(always)]
    fn fits(self, places: u8) -> bool {
        let places = usize::from(places);
        (1..8).contains(&self.whole) && (1..=places).contains(&self.fraction) && self.whole + places <= 18
    }
}

/// `whole` and a fraction of `len` digits at `places`: [`Shape::fits`] has made sure that it is below 10^18.
#[inline(always)]
fn join(whole: u64, fraction: u64, len: usize, places: u8) -> i64 {
    let (scale, pad) = (POW10[usize::from(places)], POW10[usize::from(places) - len]);
    whole.wrapping_mul(scale).wrapping_add(fraction.wrapping_mul(pad)) as i64
}

/// The eight bytes from `at`, where there are so many.
#[inline(always)]
fn eight(bytes: &[u8], at: usize) -> Option<[u8; 8]> {
    bytes.get(at..).and_then(|b| b.first_chunk::<8>()).copied()
}

impl<'a> Scan<'a> {
    pub fn new(bytes: &'a [u8]) -> Scan<'a> {
        Scan { rest: bytes }
    }

    #[inline(always)]
    pub fn skip(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    #[inline(always)]
    pub fn at_end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// Text up to the closing quote, which is passed too. Plain ASCII only.
    #[inline(always)]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = plain_text(self.rest);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip(b"\"")?;
        Some(text)
    }

    /// A JSON integer without sign, of at most 19 digits.
    #[inline(always)]
    pub fn integer(&mut self) -> Option<u64> {
        let bytes = self.rest;
        let (mut n, mut at) = (0u64, 0usize);
        while let Some(chunk) = bytes.get(at..).and_then(|b| b.first_chunk::<8>()) {
            let (len, value) = digits8(*chunk);
            if at + len > 19 {
                return None;
            }
            n = n * POW10[len] + value;
            at += len;
            if len < 8 {
                return self.integer_ends(n, at);
            }
        }
        // Less than eight bytes are left.
        while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            if at == 19 {
                return None;
            }
            n = n * 10 + u64::from(digit);
            at += 1;
        }
        self.integer_ends(n, at)
    }

    #[inline(always)]
    fn integer_ends(&mut self, n: u64, len: usize) -> Option<u64> {
        if len == 0 || (len > 1 && self.rest[0] == b'0') {
            return None;
        }
        self.rest = &self.rest[len..];
        Some(n)
    }

    #[inline(always)]
    pub fn time(&mut self) -> Option<UnixNanos> {
        venue_time(self.integer()?)
    }

    #[inline(always)]
    pub fn boolean(&mut self) -> Option<bool> {
        if self.skip(b"true").is_some() {
            return Some(true);
        }
        self.skip(b"false").map(|()| false)
    }

    /// The next key of an object after its opening brace and each value, with its colon; the closing brace is 0.
    /// Keys of one character are that character, keys of two have the second one in the higher byte; longer ones are
    /// for the parser.
    #[inline(always)]
    pub fn next_key(&mut self) -> Option<u16> {
        match *self.rest {
            [b',', b'"', key, b'"', b':', ref rest @ ..] if is_key(key) => {
                self.rest = rest;
                Some(u16::from(key))
            }
            [b',', b'"', first, second, b'"', b':', ref rest @ ..] if is_key(first) && is_key(second) => {
                self.rest = rest;
                Some(key2(first, second))
            }
            [b'}', ref rest @ ..] => {
                self.rest = rest;
                Some(0)
            }
            _ => None,
        }
    }

    /// Passes the value of a field that nobody asks for: text, whole number, truth value.
    pub fn pass_value(&mut self) -> Option<()> {
        match self.rest.first()? {
            b'"' => {
                self.rest = &self.rest[1..];
                self.text().map(|_| ())
            }
            b'0'..=b'9' => self.integer().map(|_| ()),
            b'n' => self.skip(b"null"),
            _ => self.boolean().map(|_| ()),
        }
    }

    /// A price in quotes.
    #[inline(always)]
    pub fn price(&mut self, grid: &Grid) -> Option<Price> {
        self.skip(b"\"")?;
        self.mantissa(grid.price_decimals).map(Price)
    }

    /// A size in quotes.
    #[inline(always)]
    pub fn qty(&mut self, grid: &Grid) -> Option<Qty> {
        self.skip(b"\"")?;
        self.mantissa(grid.qty_decimals).map(Qty)
    }

    /// Plain decimal text and its closing quote as a mantissa: at most 18 digits before padding, no digit lost.
    #[inline(always)]
    fn mantissa(&mut self, places: u8) -> Option<i64> {
        self.mantissa_like(places, &mut Shape::default())
    }

    /// As [`Scan::mantissa`], at once where the text has the shape of the one before: then nothing waits for the
    /// number's length before it can look at what follows. Else `shape` becomes what was found.
    #[inline(always)]
    fn mantissa_like(&mut self, places: u8, shape: &mut Shape) -> Option<i64> {
        let (bytes, point) = (self.rest, shape.whole);
        if let (Some(whole), Some(fraction)) = (eight(bytes, 0), eight(bytes, point + 1)) {
            let ((whole, high), (len, low)) = (digits8(whole), digits8(fraction));
            let end = point + 1 + shape.fraction;
            let same = whole == point && len == shape.fraction;
            if same && shape.fits(places) && bytes[point] == b'.' && bytes.get(end) == Some(&b'"') {
                self.rest = &bytes[end + 1..];
                return Some(join(high, low, shape.fraction, places));
            }
        }
        self.mantissa_shaped(places, shape)
    }

    /// Up to seven digits, a point, up to eight more: nearly every number there is.
    #[inline(never)]
    fn mantissa_shaped(&mut self, places: u8, shape: &mut Shape) -> Option<i64> {
        let bytes = self.rest;
        if let Some(first) = eight(bytes, 0) {
            let (whole, high) = digits8(first);
            if whole < 8
                && bytes[whole] == b'.'
                && let Some(second) = eight(bytes, whole + 1)
            {
                let (len, low) = digits8(second);
                let found = Shape { whole, fraction: len };
                if found.fits(places) && bytes.get(whole + 1 + len) == Some(&b'"') {
                    *shape = found;
                    self.rest = &bytes[whole + len + 2..];
                    return Some(join(high, low, len, places));
                }
            }
        }
        self.mantissa_slow(places)
    }

    /// As [`Scan::mantissa`], digit by digit.
    #[inline(never)]
    fn mantissa_slow(&mut self, places: u8) -> Option<i64> {
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

    /// `[["price","size"],…]`.
    #[inline(always)]
    pub fn levels(&mut self, grid: &Grid, into: &mut Vec<Level>) -> Option<()> {
        self.skip(b"[")?;
        if self.skip(b"]").is_some() {
            return Some(());
        }
        let (mut px_shape, mut qty_shape) = (Shape::default(), Shape::default());
        loop {
            self.skip(b"[\"")?;
            let price = Price(self.mantissa_like(grid.price_decimals, &mut px_shape)?);
            self.skip(b",\"")?;
            let qty = Qty(self.mantissa_like(grid.qty_decimals, &mut qty_shape)?);
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

/// How [`Scan::next_key`] names a key of two characters.
pub(super) const fn key2(first: u8, second: u8) -> u16 {
    first as u16 | (second as u16) << 8
}

#[inline(always)]
fn is_key(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

/// Length of the ASCII text before the first quote, backslash, control or other byte.
#[inline(always)]
fn plain_text(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|b| b.first_chunk::<8>()) {
        let x = u64::from_le_bytes(*chunk);
        let below = |limit: u8| x.wrapping_sub(all(limit)) & !x;
        let equal = |b: u8| {
            let y = x ^ all(b);
            y.wrapping_sub(all(1)) & !y
        };
        // Borrows only reach bytes behind the first hit, which do not count.
        let stop = (below(0x20) | equal(b'"') | equal(b'\\') | x.wrapping_add(all(1)) | x) & all(0x80);
        if stop != 0 {
            return at + stop.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let tail = bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20 | 0x7f..));
    tail.map_or(bytes.len(), |n| at + n)
}

#[cfg(test)]
mod tests;
