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

/// The instruments of one product, by Binance symbol.
#[derive(Clone, Debug)]
pub struct SymbolMap {
    product: Product,
    /// In order of symbol.
    entries: Vec<(Box<str>, Grid)>,
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
        SymbolMap { product, entries }
    }

    /// Whose symbols these are.
    pub fn product(&self) -> Product {
        self.product
    }

    /// By the symbol as it stands in a frame (`BTCUSDT`).
    pub fn find(&self, venue_symbol: &[u8]) -> Option<&Grid> {
        let at = self.entries.binary_search_by(|(have, _)| have.as_bytes().cmp(venue_symbol)).ok()?;
        Some(&self.entries[at].1)
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
