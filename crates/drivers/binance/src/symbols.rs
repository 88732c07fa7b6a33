//! Which of our instruments a Binance symbol means.
//! Never: guesses: a symbol means nothing without its product, since spot and futures share names.

use ctos_types::{Decimal, Instrument, InstrumentId, InstrumentKind, NumberError, Price, Qty, Settlement};
use std::fmt;

/// The two markets of Binance that ctos trades. They share symbols and frame names, not rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    Spot,
    /// USD-margined futures: perpetual and dated.
    UsdM,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Product::Spot => "spot",
            Product::UsdM => "USD-M futures",
        })
    }
}

/// Binance's own name of an instrument and the product it trades on. `None` for what neither product has.
pub fn venue_symbol(instrument: &Instrument) -> Option<(Product, String)> {
    let (base, quote) = (instrument.base, instrument.quote);
    match instrument.kind {
        InstrumentKind::Spot => Some((Product::Spot, format!("{base}{quote}"))),
        InstrumentKind::Perpetual(Settlement::Linear) => Some((Product::UsdM, format!("{base}{quote}"))),
        InstrumentKind::Future { settlement: Settlement::Linear, expiry } => {
            let (y, m, d) = ctos_types::time::civil_from_days(expiry.day());
            Some((Product::UsdM, format!("{base}{quote}_{:02}{m:02}{d:02}", y % 100)))
        }
        InstrumentKind::Perpetual(Settlement::Inverse) | InstrumentKind::Future { .. } => None,
    }
}

/// What decoding needs to know of an instrument: its grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub id: InstrumentId,
    pub price_decimals: u8,
    pub qty_decimals: u8,
}

impl Grid {
    /// As [`Instrument::parse_price`], and negative is an error too.
    pub fn price(&self, text: &str) -> Result<Price, NumberError> {
        not_negative(text, self.price_decimals).map(Price)
    }

    /// As [`Instrument::parse_qty`], and negative is an error too.
    pub fn qty(&self, text: &str) -> Result<Qty, NumberError> {
        not_negative(text, self.qty_decimals).map(Qty)
    }
}

fn not_negative(text: &str, places: u8) -> Result<i64, NumberError> {
    if text.starts_with('-') {
        return Err(NumberError::OffGrid { value: text.into(), step: Decimal::new(1, places).to_string() });
    }
    ctos_types::instrument::parse_mantissa(text, places)
}

/// Where the search for a symbol begins.
fn slot(table: &[u32], symbol: &[u8]) -> usize {
    (hash(symbol) >> 32) as usize & (table.len() - 1)
}

/// The instruments of one product, by Binance symbol.
#[derive(Clone, Debug)]
pub struct SymbolMap {
    product: Product,
    /// In order of symbol.
    entries: Vec<(Box<str>, Grid)>,
    /// Places in `entries` by the hash of their symbol, open addressing; a power of two, at most half full.
    table: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

/// A few multiplications over length, first and last bytes: symbols are short and differ there.
fn hash(symbol: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let (head, tail) = match (symbol.first_chunk::<8>(), symbol.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (word(symbol), symbol.len() as u64),
    };
    (head.wrapping_mul(K) ^ tail.rotate_left(29)).wrapping_mul(K)
}

impl SymbolMap {
    /// Takes those of `instruments` that `product` trades.
    pub fn new<'a>(product: Product, instruments: impl IntoIterator<Item = &'a Instrument>) -> SymbolMap {
        let mut entries: Vec<(Box<str>, Grid)> = Vec::new();
        for i in instruments.into_iter().filter(|i| matches!(i.symbol.split().0, "binance" | "")) {
            let grid = Grid { id: i.id, price_decimals: i.price_decimals, qty_decimals: i.qty_decimals };
            match venue_symbol(i) {
                Some((p, symbol)) if p == product => entries.push((symbol.into(), grid)),
                _ => {}
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let mut table = vec![EMPTY; (2 * entries.len()).next_power_of_two().max(2)];
        for (place, (symbol, _)) in entries.iter().enumerate() {
            let mut at = slot(&table, symbol.as_bytes());
            while table[at] != EMPTY {
                at = (at + 1) % table.len();
            }
            table[at] = u32::try_from(place).expect("fewer symbols than that");
        }
        SymbolMap { product, entries, table }
    }

    /// Whose symbols these are.
    pub fn product(&self) -> Product {
        self.product
    }

    /// By the symbol as it stands in a frame (`BTCUSDT`).
    pub fn find(&self, venue_symbol: &[u8]) -> Option<&Grid> {
        let mut at = slot(&self.table, venue_symbol);
        // Half of the table is empty, so the walk ends.
        while let Some((have, grid)) = self.entries.get(self.table[at] as usize) {
            if have.as_bytes() == venue_symbol {
                return Some(grid);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        None
    }

    /// The venue's name of one of our instruments; `None` where it is not of this product.
    pub fn symbol_of(&self, id: InstrumentId) -> Option<&str> {
        self.entries.iter().find(|(_, grid)| grid.id == id).map(|(symbol, _)| &**symbol)
    }

    /// The grid of one of our instruments; `None` where it is not of this product.
    pub fn by_id(&self, id: InstrumentId) -> Option<&Grid> {
        self.entries.iter().map(|(_, grid)| grid).find(|grid| grid.id == id)
    }

    /// Symbols with their instruments, in order of symbol.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Grid)> {
        self.entries.iter().map(|(symbol, grid)| (&**symbol, grid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruments::builtin_all;
    use proptest::prelude::*;

    #[test]
    fn every_symbol_is_found_and_no_other() {
        for product in [Product::Spot, Product::UsdM] {
            let list = ctos_types::Instruments::new(builtin_all().to_vec()).unwrap();
            let map = SymbolMap::new(product, list.iter());
            assert!(map.iter().count() > 5);
            for (symbol, grid) in map.iter() {
                assert_eq!(map.find(symbol.as_bytes()), Some(grid));
                assert_eq!((map.symbol_of(grid.id), map.by_id(grid.id)), (Some(symbol), Some(grid)));
                assert_eq!(map.find(&symbol.as_bytes()[1..]), None);
            }
            assert_eq!(map.find(b""), None);
        }
        assert_eq!(SymbolMap::new(Product::Spot, []).find(b"BTCUSDT"), None);
    }

    proptest! {
        #[test]
        fn found_as_in_an_ordered_map(names in prop::collection::btree_set("[A-Z0-9]{1,5}", 1..200), ask in "[A-Z0-9]{1,6}") {
            let of = |name: &String| Instrument {
                symbol: ctos_types::Symbol::new(&format!("binance:{name}-X")),
                base: ctos_types::Currency::new(name).unwrap(),
                quote: ctos_types::Currency::new("X").unwrap(),
                ..builtin_all()[0].clone()
            };
            let list: Vec<Instrument> = names.iter().map(of).collect();
            let map = SymbolMap::new(Product::Spot, &list);
            for name in &names {
                let found = map.find(format!("{name}X").as_bytes());
                prop_assert!(found.is_some());
            }
            prop_assert_eq!(map.find(ask.as_bytes()).is_some(), names.iter().any(|n| ask == n.clone() + "X"));
        }
    }
}
