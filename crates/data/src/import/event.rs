//! From a market event on an instrument's grid to the exact words of a record: captures and journals have this in common.
//! Never: decides where a row belongs, or what to do with an event that has no words.

use crate::number::Number;
use crate::record::{BarFields, Body, LevelFields};
use ctos_types::{Decimal, Level, Market, MarketData, Price, Qty, UnixNanos};

/// What a source's events are measured in.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub price_places: u8,
    pub qty_places: u8,
    /// A number off the grid (mark, index, rate), as exactly as the source has it; `None`: it does not fit.
    pub off_grid: fn(Decimal) -> Option<Number>,
    /// Whether a mark of zero beside a funding rate stands for none.
    pub zero_mark_is_none: bool,
}

impl Words {
    /// The body of a record; levels go behind those that are there. `None`: a number does not fit.
    pub fn body(&self, market: &Market<'_>, levels: &mut Vec<LevelFields>) -> Option<Body> {
        let price = |px: Price| Number::new(px.0, self.price_places).ok();
        let size = |qty: Qty| Number::new(qty.0, self.qty_places).ok();
        let off_grid = self.off_grid;
        let known = |number: &Number| number.signum() != 0;
        Some(match market.data {
            MarketData::Quote { quote, update_id } => Body::Quote {
                bid_px: price(quote.bid_px)?,
                bid_qty: size(quote.bid_qty)?,
                ask_px: price(quote.ask_px)?,
                ask_qty: size(quote.ask_qty)?,
                update_id,
            },
            MarketData::Trade(t) => {
                Body::Trade { price: price(t.price)?, qty: size(t.qty)?, aggressor: Some(t.aggressor), id: t.id }
            }
            MarketData::Depth { bids, asks, snapshot, update_id } => {
                let start = levels.len() as u32;
                for Level { price: px, qty } in bids.iter().chain(asks) {
                    levels.push(LevelFields { price: price(*px)?, qty: size(*qty)? });
                }
                let middle = start + bids.len() as u32;
                Body::Book { bids: start..middle, asks: middle..levels.len() as u32, snapshot, update_id }
            }
            MarketData::Bar(bar) => Body::Bar(BarFields {
                interval: bar.interval,
                open: price(bar.open)?,
                high: price(bar.high)?,
                low: price(bar.low)?,
                close: price(bar.close)?,
                volume: Some(size(bar.volume)?),
                quote_volume: None,
                trades: None,
                taker_buy_volume: None,
            }),
            MarketData::Mark(m) => Body::Mark {
                mark: off_grid(m.mark)?,
                index: off_grid(m.index).filter(known),
                funding_rate: off_grid(m.funding_rate),
                next_funding: Some(m.next_funding),
            },
            MarketData::Funding(f) => Body::Funding {
                rate: off_grid(f.rate)?,
                mark: off_grid(f.mark).filter(|n| !self.zero_mark_is_none || known(n)),
            },
            MarketData::Gap => Body::Gap,
        })
    }
}

/// The time that an event states; a bar's is its open.
pub fn ts_event(market: &Market<'_>) -> Option<UnixNanos> {
    match market.data {
        MarketData::Bar(bar) => Some(bar.open_time),
        _ => Some(market.ts_event).filter(|t| *t != UnixNanos::MIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_types::{Bar, FundingRate, InstrumentId, Interval, MarkPrice};

    fn words(zero_mark_is_none: bool) -> Words {
        Words { price_places: 2, qty_places: 3, off_grid: |n| Number::try_from(n).ok(), zero_mark_is_none }
    }

    fn of(words: Words, data: MarketData<'_>) -> (Option<Body>, Vec<LevelFields>) {
        let mut levels = vec![LevelFields { price: Number::new(1, 0).unwrap(), qty: Number::new(1, 0).unwrap() }];
        let market = Market { instrument: InstrumentId(0), ts_event: UnixNanos(5), data };
        (words.body(&market, &mut levels), levels)
    }

    #[test]
    fn levels_go_behind_those_that_are_there() {
        let level = |px, qty| Level { price: Price(px), qty: Qty(qty) };
        let (bids, asks) = ([level(100, 5), level(99, 6)], [level(101, 7)]);
        let (body, levels) =
            of(words(true), MarketData::Depth { bids: &bids, asks: &asks, snapshot: true, update_id: 9 });
        let Some(Body::Book { bids, asks, snapshot: true, update_id: 9 }) = body else { panic!("{body:?}") };
        assert_eq!((bids, asks, levels.len()), (1..3, 3..4, 4));
        assert_eq!(levels[3].price.to_string(), "1.01");
    }

    #[test]
    fn a_mark_of_zero_is_none_only_where_the_source_means_that() {
        let funding = FundingRate { rate: "0.0001".parse().unwrap(), mark: Decimal::ZERO };
        for (zero_is_none, has) in [(true, false), (false, true)] {
            let (body, _) = of(words(zero_is_none), MarketData::Funding(&funding));
            let Some(Body::Funding { mark, .. }) = body else { panic!("{body:?}") };
            assert_eq!(mark.is_some(), has);
        }
        let mark = MarkPrice {
            mark: "3".parse().unwrap(),
            index: Decimal::ZERO,
            funding_rate: Decimal::ZERO,
            next_funding: UnixNanos(0),
        };
        let (body, _) = of(words(false), MarketData::Mark(&mark));
        assert!(matches!(body, Some(Body::Mark { index: None, .. })), "{body:?}");
    }

    #[test]
    fn a_bar_is_named_by_its_open() {
        let bar = Bar {
            interval: Interval::M1,
            open_time: UnixNanos::from_secs(60),
            open: Price(150),
            high: Price(150),
            low: Price(150),
            close: Price(150),
            volume: Qty(1_500),
        };
        let market = Market { instrument: InstrumentId(0), ts_event: bar.close_time(), data: MarketData::Bar(bar) };
        assert_eq!(ts_event(&market), Some(bar.open_time));
        let Some(Body::Bar(fields)) = words(true).body(&market, &mut Vec::new()) else { panic!() };
        assert_eq!((fields.open.to_string(), fields.volume.unwrap().to_string()), ("1.5".into(), "1.5".into()));
    }
}
