//! Trades and sums of a log out of its rows, where nobody counted while they happened.
//! Never: changes a row.

use super::exposure::ExposureMeter;
use super::trades::TradeBook;
use crate::log::{ExposureTally, RunLog, Tally};
use ctos_types::InstrumentId;
use std::collections::BTreeMap;

impl RunLog {
    /// Trades and sums made from the rows, for a log that nobody tallied while it happened. Time in market and exposure
    /// come from the positions and the equity lines; orders that were denied are not known.
    pub fn count(&mut self) {
        let (mut book, mut trades) = (TradeBook::default(), Vec::new());
        let mut funding = self.funding.iter().peekable();
        for fill in &self.fills {
            while let Some(row) = funding.next_if(|f| f.at <= fill.at) {
                book.funding(row);
            }
            book.fill(self.facts.instruments.get(fill.instrument), fill, &mut trades);
        }
        funding.for_each(|row| book.funding(row));
        book.close(&mut trades);
        trades.sort_by_key(|t| t.exit_at);
        let mark = |id: InstrumentId| {
            let line = self.prices.iter().find(|p| p.instrument == id)?;
            line.bars.last().map(|b| self.facts.instruments.get(id).price_decimal(b.close))
        };
        let tally = Tally {
            fills: book.fills,
            maker_fills: book.maker_fills,
            orders: self.orders.len() as u64,
            denied: 0,
            parts: book.parts(),
            open: book.open(&self.facts.instruments, mark),
            fees: std::mem::take(&mut book.fees),
            in_market_ns: self.in_market(),
            exposure: self.exposure(),
        };
        (self.trades, self.tally) = (trades, Some(tally));
    }

    fn in_market(&self) -> i64 {
        let (mut open, mut since, mut sum) = (BTreeMap::new(), None, 0);
        for row in &self.positions {
            let key = (row.account, row.instrument, row.leg);
            if row.qty.0 == 0 {
                open.remove(&key)
            } else {
                open.insert(key, ())
            };
            since = match since {
                None if !open.is_empty() => Some(row.at),
                Some(from) if open.is_empty() => {
                    sum += (row.at - from).0;
                    None
                }
                other => other,
            };
        }
        sum + since.map_or(0, |from| (self.facts.to.max(from) - from).0)
    }

    fn exposure(&self) -> Option<ExposureTally> {
        let mut meter = ExposureMeter::default();
        for point in &self.main_equity()?.points {
            meter.sample(point.at, point.close, point.exposure);
        }
        meter.advance(self.facts.to.max(meter.since()?));
        meter.tally()
    }
}
