//! From decimals of a bar file to an instrument's grid, and to an instrument where nobody has its definition.
//! Never: presents an inferred rule as the venue's: it is what the prices in the file imply.

use super::collect::without_noise;
use super::{BarRow, BarSeries};
use ctos_types::instrument::BadInstrument;
use ctos_types::{
    Bar, Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Interval, NumberError, Price, Qty, Rounding,
    Symbol,
};

/// Most places an inferred price has.
const MAX_PRICE_PLACES: u8 = 10;
const MAX_QTY_PLACES: u8 = 8;

/// What a file's volume column counts. No file says it; who wrote it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VolumeUnit {
    /// Base coin: exchanges' kline archives.
    #[default]
    Base,
    /// Quote currency; converted at the bar's close, so approximate.
    Quote,
}

impl BarRow {
    /// The bar on `instrument`'s grid. Prices round half-even to the tick (exact for an instrument inferred from the
    /// same series, unless its places were capped); volume rounds down to the lot.
    ///
    /// Fails where a price rounds to zero or a number leaves its range.
    pub fn to_bar(&self, interval: Interval, instrument: &Instrument, unit: VolumeUnit) -> Result<Bar, NumberError> {
        let price = |px: Decimal| match instrument.price_rounded(px, Rounding::HalfEven)? {
            Price(..=0) => {
                Err(NumberError::OffGrid { value: px.to_string(), step: instrument.price_text(instrument.tick) })
            }
            px => Ok(px),
        };
        let close = price(self.close)?;
        let volume = match unit {
            VolumeUnit::Base => instrument.qty_for_base(self.volume, close)?,
            VolumeUnit::Quote => instrument.qty_for_quote(self.volume, close)?,
        };
        Ok(Bar {
            interval,
            open_time: self.open_time,
            open: price(self.open)?,
            high: price(self.high)?,
            low: price(self.low)?,
            close,
            volume,
        })
    }
}

impl BarSeries {
    /// An instrument that holds this series, for use where no definition is at hand: [`assumed_instrument`] with the
    /// places and prices of the series.
    pub fn infer_instrument(&self, symbol: &str, kind: InstrumentKind) -> Result<Instrument, BadInstrument> {
        let (price_places, qty_places) = self.rows.places(places);
        let highest = self.rows.iter().map(|r| r.high).max().unwrap_or(Decimal::ONE);
        assumed_instrument(symbol, kind, price_places, qty_places, highest)
    }
}

/// An instrument for data whose definition nobody has.
///
/// `symbol` is unified (`binance:BTC-USDT-PERP`); base and quote come from it. The tick is the finest decimal place seen
/// in a price (at most 10). The lot is the finest place seen in a size (at most 8), or finer where one such lot would be
/// worth more than about 0.01 of quote currency at the `highest` price. Fees are 0.1 % for spot and 0.02 % / 0.05 %
/// otherwise; margins 5 % and 2.5 %. Limits are wide.
pub fn assumed_instrument(
    symbol: &str,
    kind: InstrumentKind,
    price_places: u8,
    qty_places: u8,
    highest: Decimal,
) -> Result<Instrument, BadInstrument> {
    let bad = |why: &str| BadInstrument { symbol: symbol.into(), why: why.into() };
    let symbol = Symbol::new(symbol);
    let mut parts = symbol.split().1.split('-').map(Currency::new);
    let (Some(Ok(base)), Some(Ok(quote))) = (parts.next(), parts.next()) else {
        return Err(bad("base and quote currency are not told by the symbol; write it like binance:BTC-USDT"));
    };
    let price_decimals = price_places.min(MAX_PRICE_PLACES);
    let qty_decimals = qty_places.max(useful_places(highest)).min(MAX_QTY_PLACES);
    let rate = |ten_thousandths: i64| Decimal::new(ten_thousandths, 4);
    let spot = kind == InstrumentKind::Spot;
    let instrument = Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol,
        kind,
        base,
        quote,
        price_decimals,
        qty_decimals,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(10i64.pow(u32::from(qty_decimals) + 9)),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: if spot { Decimal::ZERO } else { rate(500) },
        maintenance_margin: if spot { Decimal::ZERO } else { rate(250) },
        maker_fee: rate(if spot { 10 } else { 2 }),
        taker_fee: rate(if spot { 10 } else { 5 }),
    };
    instrument.validate()?;
    Ok(instrument)
}

/// Decimal places of a number without trailing zeros, and without the digits that float arithmetic leaves behind.
fn places(number: Decimal) -> u8 {
    let number = without_noise(number);
    (0..Decimal::PLACES).find(|p| number.round(*p, Rounding::Down) == number).unwrap_or(Decimal::PLACES)
}

/// Places at which a lot at this price is worth at most 0.01.
fn useful_places(px: Decimal) -> u8 {
    let cent = Decimal::new(1, 2);
    (0..MAX_QTY_PLACES)
        .find(|p| px.mul(Decimal::new(1, *p), Rounding::Up).is_ok_and(|worth| worth <= cent))
        .unwrap_or(MAX_QTY_PLACES)
}
