//! From rows of a table to market events on an instrument's grid.
//! Never: rounds a price or the size of a book, quote or trade; a bar's volume rounds down.

use crate::error::CatalogError;
use crate::layout::Series;
use crate::record::Kind;
use crate::schema::{self, NULL, book};
use crate::table::Table;
use ctos_types::{
    Bar, FundingRate, Instrument, Level, MarkPrice, Market, MarketData, Price, Qty, Quote, Side, Trade, UnixNanos,
};
use ctos_venue::TapeBuilder;

/// Makes events of one series.
#[derive(Debug)]
pub struct Converter {
    series: Series,
    instrument: Instrument,
    bids: Vec<Level>,
    asks: Vec<Level>,
    last_price: i64,
    last_side: Side,
    pub book_gaps: u64,
    /// Trades whose aggressor the source did not tell.
    sides_guessed: u64,
    /// Bars whose volume was only known in quote currency.
    volumes_converted: u64,
}

impl Converter {
    pub fn new(series: &Series, instrument: &Instrument) -> Converter {
        Converter {
            series: series.clone(),
            instrument: instrument.clone(),
            bids: Vec::new(),
            asks: Vec::new(),
            last_price: 0,
            last_side: Side::Buy,
            book_gaps: 0,
            sides_guessed: 0,
            volumes_converted: 0,
        }
    }

    /// Puts a row on the tape; whether an event is complete with it.
    pub fn push(&mut self, t: &Table, row: usize, at: UnixNanos, tape: &mut TapeBuilder) -> Result<bool, CatalogError> {
        let cell = |column: usize| t.column(column)[row];
        let stated = cell(schema::TS_EVENT);
        let ts_event = if stated == NULL { UnixNanos::MIN } else { UnixNanos(stated) };
        let instrument = self.instrument.id;
        let mut emit = |data: MarketData<'_>| {
            tape.push(at, &Market { instrument, ts_event, data });
            Ok(true)
        };
        let decimal = |column: usize| t.number(row, column).map(|n| n.to_decimal());
        match self.series.kind {
            Kind::Trades => {
                let price = self.price(t, row, 4)?;
                let aggressor = match cell(3) {
                    NULL => self.tick_rule(price.0),
                    0 => Side::Buy,
                    _ => Side::Sell,
                };
                let (qty, id) = (self.qty(t, row, 5)?, u64::try_from(cell(2)).unwrap_or(0));
                emit(MarketData::Trade(Trade { price, qty, aggressor, id }))
            }
            Kind::Quotes => {
                let quote = Quote {
                    bid_px: self.price(t, row, 3)?,
                    bid_qty: self.qty(t, row, 4)?,
                    ask_px: self.price(t, row, 5)?,
                    ask_qty: self.qty(t, row, 6)?,
                };
                emit(MarketData::Quote { quote, update_id: u64::try_from(cell(2)).unwrap_or(0) })
            }
            Kind::Book => {
                if cell(book::ACTION) == book::GAP {
                    self.book_gaps += 1;
                    return emit(MarketData::Gap);
                }
                if cell(book::PRICE) != NULL {
                    let level = Level { price: self.price(t, row, book::PRICE)?, qty: self.qty(t, row, book::QTY)? };
                    if cell(book::SIDE) == book::BID { self.bids.push(level) } else { self.asks.push(level) }
                }
                if cell(book::LAST) == 0 {
                    return Ok(false);
                }
                let (snapshot, update_id) =
                    (cell(book::ACTION) == book::SNAPSHOT, u64::try_from(cell(book::UPDATE_ID)).unwrap_or(0));
                let done = emit(MarketData::Depth { bids: &self.bids, asks: &self.asks, snapshot, update_id });
                self.bids.clear();
                self.asks.clear();
                done
            }
            Kind::Bars(interval) => {
                let close = self.price(t, row, 5)?;
                let bar = Bar {
                    interval,
                    open_time: UnixNanos(stated),
                    open: self.price(t, row, 2)?,
                    high: self.price(t, row, 3)?,
                    low: self.price(t, row, 4)?,
                    close,
                    volume: self.volume(t, row, close),
                };
                emit(MarketData::Bar(bar))
            }
            Kind::Funding => {
                let funding =
                    FundingRate { rate: decimal(2).unwrap_or_default(), mark: decimal(3).unwrap_or_default() };
                emit(MarketData::Funding(&funding))
            }
            Kind::Marks => {
                let mark = decimal(2).unwrap_or_default();
                let mark = MarkPrice {
                    mark,
                    index: decimal(3).unwrap_or(mark),
                    funding_rate: decimal(4).unwrap_or_default(),
                    next_funding: UnixNanos(if cell(5) == NULL { 0 } else { cell(5) }),
                };
                emit(MarketData::Mark(&mark))
            }
            Kind::DepthBands | Kind::Instruments => Ok(false),
        }
    }

    /// A trade above the one before it was bought, below it sold; at the same price as the one before it.
    fn tick_rule(&mut self, price: i64) -> Side {
        self.sides_guessed += 1;
        if self.last_price != 0 && price != self.last_price {
            self.last_side = if price > self.last_price { Side::Buy } else { Side::Sell };
        }
        self.last_price = price;
        self.last_side
    }

    fn price(&self, t: &Table, row: usize, column: usize) -> Result<Price, CatalogError> {
        self.on_grid(t, row, column, self.instrument.price_decimals).map(Price)
    }

    fn qty(&self, t: &Table, row: usize, column: usize) -> Result<Qty, CatalogError> {
        self.on_grid(t, row, column, self.instrument.qty_decimals).map(Qty)
    }

    /// The mantissa at the instrument's places, exactly. A null counts as zero.
    fn on_grid(&self, t: &Table, row: usize, column: usize, places: u8) -> Result<i64, CatalogError> {
        let (value, scale) = (t.column(column)[row], t.scales()[column]);
        if scale == places && value != NULL {
            return Ok(value);
        }
        if value == NULL {
            return Ok(0);
        }
        let number = t.number(row, column);
        let up = number
            .and_then(|n| n.mantissa().checked_mul(10i64.checked_pow(u32::from(places.checked_sub(n.places())?))?));
        up.ok_or_else(|| {
            let name = t.schema()[column].name;
            let text = t.cell_text(row, column).unwrap_or_default();
            CatalogError::new(
                format!("{}: {name} {text} does not fit a grid of {places} decimal places", self.series),
                "import the data under another --symbol, for which a grid is inferred",
            )
        })
    }

    fn volume(&mut self, t: &Table, row: usize, close: Price) -> Qty {
        let number = |column: usize| t.number(row, column).map(|n| n.to_decimal());
        match (number(6), number(7)) {
            (Some(volume), _) => self.instrument.qty_down(volume).unwrap_or_default(),
            (None, Some(quote)) if quote.is_positive() => {
                self.volumes_converted += 1;
                self.instrument.qty_for_quote(quote, close).unwrap_or_default()
            }
            (None, _) => Qty::ZERO,
        }
    }

    pub fn notices(&self, series: &Series) -> Vec<String> {
        let mut notices = Vec::new();
        if self.sides_guessed > 0 {
            notices.push(format!(
                "{series}: {} trades do not tell who took liquidity; it is told by the price's move",
                self.sides_guessed
            ));
        }
        if self.volumes_converted > 0 {
            let n = self.volumes_converted;
            notices.push(format!("{series}: the volume of {n} bars is in quote currency; converted at their close"));
        }
        if self.book_gaps > 0 {
            notices.push(format!("{series}: the book became unknown {} times", self.book_gaps));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_without_a_side_goes_by_its_move() {
        let series = Series { symbol: ctos_types::Symbol::new("x:A-B"), kind: Kind::Trades };
        let instrument = ctos_driver_binance::instruments::builtin_all()[0].clone();
        let mut converter = Converter::new(&series, &instrument);
        let sides: Vec<Side> = [10, 11, 11, 10, 10, 12].map(|px| converter.tick_rule(px)).to_vec();
        let (b, s) = (Side::Buy, Side::Sell);
        assert_eq!(sides, [b, b, b, s, s, b]);
    }
}
