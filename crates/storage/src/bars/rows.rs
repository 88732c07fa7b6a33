//! The bars of one symbol in 56 bytes each, in blocks, so that taking them in never copies what is there and whoever
//! takes them out lets go of each block as it passes.
//! Never: another number than the one that was put in. What does not fit stands beside, whole.

use super::BarRow;
use ctos_types::{Decimal, UnixNanos};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

/// Rows of a block, about one MiB. Tests have small ones, so that short files cross their borders.
const BLOCK: usize = if cfg!(test) { 3 } else { 1 << 14 };

/// A number in few digits: `mantissa * 10^-places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    mantissa: i64,
    places: u8,
}

impl Short {
    /// Plain digits, with or without a point between them, at most 18. Everything else is for [`Decimal`] to judge.
    pub fn of(text: &str) -> Option<Short> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if whole.is_empty() || fraction.is_empty() || whole.len() + fraction.len() > 18 {
            return None;
        }
        let mut mantissa = 0i64;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            mantissa = mantissa * 10 + i64::from(digit);
        }
        Some(Short { mantissa, places: fraction.len() as u8 }.without_zeros())
    }

    fn exactly(number: Decimal) -> Option<Short> {
        let places = [0, 8, 12, 18].into_iter().find(|p| number.to_mantissa(*p).is_ok())?;
        Some(Short { mantissa: number.to_mantissa(places).ok()?, places }.without_zeros())
    }

    fn without_zeros(mut self) -> Short {
        while self.places > 0 && self.mantissa % 10 == 0 {
            (self.mantissa, self.places) = (self.mantissa / 10, self.places - 1);
        }
        self
    }

    pub fn decimal(self) -> Decimal {
        Decimal::new(self.mantissa, self.places)
    }

    fn at(self, places: u8) -> Option<i64> {
        self.mantissa.checked_mul(10i64.checked_pow(u32::from(places - self.places))?)
    }
}

/// One row. Prices are at `price_places`, the volume at `volume_places`, which are as few as they can be.
#[derive(Clone, Copy, Debug)]
struct Packed {
    time: UnixNanos,
    prices: [i64; 4],
    volume: i64,
    line: u32,
    /// [`BESIDE`]: the row is number `volume` of those that did not fit.
    price_places: u8,
    volume_places: u8,
}

const _: () = assert!(size_of::<Packed>() == 56);

const BESIDE: u8 = u8::MAX;

/// Rows in the order in which they were put in, or in that of time.
#[derive(Clone, Default)]
pub struct Rows {
    blocks: VecDeque<Vec<Packed>>,
    beside: Vec<BarRow>,
    len: usize,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = BarRow> + Clone {
        self.packed().map(|p| self.unpack(p))
    }

    /// Walks there: for looking at a few.
    pub fn get(&self, at: usize) -> Option<BarRow> {
        self.iter().nth(at)
    }

    /// Most decimal places of any price, and of any volume.
    pub(super) fn places(&self, fewest: impl Fn(Decimal) -> u8) -> (u8, u8) {
        let (mut price, mut volume) = (0, 0);
        for packed in self.packed() {
            // Digits that mean nothing only ever take places away, so most rows need no second look.
            if packed.price_places > price {
                let row = self.unpack(packed);
                price = [row.open, row.high, row.low, row.close].map(&fewest).into_iter().fold(price, u8::max);
            }
            if packed.volume_places > volume || packed.price_places == BESIDE {
                volume = volume.max(fewest(self.unpack(packed).volume));
            }
        }
        (price, volume)
    }

    /// `shorts` are open, high, low, close and volume, where they are known in few digits.
    pub(super) fn push(&mut self, line: u64, row: &BarRow, shorts: [Option<Short>; 5]) {
        let packed = pack(line, row, shorts).unwrap_or_else(|| {
            self.beside.push(*row);
            let at = self.beside.len() as i64 - 1;
            Packed { price_places: BESIDE, volume: at, prices: [0; 4], ..bare(line, row.open_time) }
        });
        self.append(packed);
    }

    fn append(&mut self, packed: Packed) {
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push(packed),
            // The first one grows as it must: most files of a series are short.
            None => self.blocks.push_back(vec![packed]),
            Some(_) => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(packed);
                self.blocks.push_back(block);
            }
        }
        self.len += 1;
    }

    fn packed(&self) -> impl Iterator<Item = &Packed> + Clone {
        self.blocks.iter().flatten()
    }

    fn unpack(&self, p: &Packed) -> BarRow {
        match p.price_places {
            BESIDE => self.beside[p.volume as usize],
            places => {
                let [open, high, low, close] = p.prices.map(|n| Decimal::new(n, places));
                BarRow { open_time: p.time, open, high, low, close, volume: Decimal::new(p.volume, p.volume_places) }
            }
        }
    }

    /// Line and time of each row.
    pub(super) fn times(&self) -> impl Iterator<Item = (u64, UnixNanos)> + Clone {
        self.packed().map(|p| (u64::from(p.line), p.time))
    }

    /// Last row first.
    pub(super) fn reverse(&mut self) {
        let blocks = std::mem::take(&mut self.blocks);
        let turned = blocks.into_iter().rev().map(|mut block| {
            block.reverse();
            block
        });
        self.blocks = turned.collect();
    }

    /// Into the order of time; of one time the first line first. Blocks are sorted one by one and merged, and let go
    /// when they are used up, so that near order costs little.
    pub(super) fn sort(&mut self) {
        let key = |p: &Packed| (p.time, p.line);
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.iter_mut().for_each(|block| block.sort_unstable_by_key(key));
        // The earliest row in all blocks behind: up to it everything that is at hand can go.
        let mut behind = vec![(UnixNanos::MAX, u32::MAX); blocks.len()];
        for n in (1..blocks.len()).rev() {
            behind[n - 1] = behind[n].min(key(&blocks[n][0]));
        }
        self.len = 0;
        let mut runs: Vec<std::iter::Peekable<std::vec::IntoIter<Packed>>> = Vec::new();
        let mut heads = BinaryHeap::new();
        for (block, limit) in blocks.into_iter().zip(behind) {
            heads.push(Reverse((key(&block[0]), runs.len())));
            runs.push(block.into_iter().peekable());
            while heads.peek().is_some_and(|Reverse((head, _))| *head <= limit) {
                let Some(Reverse((_, first))) = heads.pop() else { break };
                let until = heads.peek().map_or(limit, |Reverse((other, _))| limit.min(*other));
                let run = &mut runs[first];
                while let Some(p) = run.next_if(|p| key(p) <= until) {
                    self.append(p);
                }
                match run.peek() {
                    Some(p) => heads.push(Reverse((key(p), first))),
                    None => *run = Vec::new().into_iter().peekable(),
                }
            }
        }
    }

    /// Keeps the rows that `keep` says, which is given the line and the row. Blocks stay where they are.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u64, &BarRow) -> bool) {
        let mut blocks = std::mem::take(&mut self.blocks);
        for block in &mut blocks {
            block.retain(|p| keep(u64::from(p.line), &self.unpack(p)));
        }
        blocks.retain(|block| !block.is_empty());
        self.len = blocks.iter().map(Vec::len).sum();
        self.blocks = blocks;
    }
}

fn bare(line: u64, time: UnixNanos) -> Packed {
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    Packed { time, prices: [0; 4], volume: 0, line, price_places: 0, volume_places: 0 }
}

fn pack(line: u64, row: &BarRow, shorts: [Option<Short>; 5]) -> Option<Packed> {
    let numbers = [row.open, row.high, row.low, row.close, row.volume];
    let mut found = [Short { mantissa: 0, places: 0 }; 5];
    for ((found, number), short) in found.iter_mut().zip(numbers).zip(shorts) {
        *found = short.or_else(|| Short::exactly(number))?;
    }
    let [open, high, low, close, volume] = found;
    let places = open.places.max(high.places).max(low.places).max(close.places);
    let prices = [open.at(places)?, high.at(places)?, low.at(places)?, close.at(places)?];
    let (price_places, volume_places) = (places, volume.places);
    Some(Packed { prices, volume: volume.mantissa, price_places, volume_places, ..bare(line, row.open_time) })
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Rows {}

impl<'a> IntoIterator for &'a Rows {
    type Item = BarRow;
    type IntoIter = Box<dyn Iterator<Item = BarRow> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl FromIterator<BarRow> for Rows {
    fn from_iter<T: IntoIterator<Item = BarRow>>(rows: T) -> Rows {
        let mut all = Rows::default();
        (0u64..).zip(rows).for_each(|(line, row)| all.push(line, &row, [None; 5]));
        all
    }
}

/// Takes the rows out, and lets go of what has passed.
#[derive(Debug)]
pub struct Drain {
    rows: Rows,
    block: std::vec::IntoIter<Packed>,
}

impl IntoIterator for Rows {
    type Item = BarRow;
    type IntoIter = Drain;

    fn into_iter(self) -> Drain {
        Drain { rows: self, block: Vec::new().into_iter() }
    }
}

impl Iterator for Drain {
    type Item = BarRow;

    fn next(&mut self) -> Option<BarRow> {
        loop {
            if let Some(packed) = self.block.next() {
                return Some(self.rows.unpack(&packed));
            }
            self.block = self.rows.blocks.pop_front()?.into_iter();
        }
    }
}
