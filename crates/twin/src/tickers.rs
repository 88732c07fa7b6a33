//! Sums over the last day, averages and marks, as streams and replies show them. Never: decides when they are sent.

use crate::json::Obj;
use crate::klines::Bar;
use crate::number::{eight, fixed};
use crate::public::Row;
use crate::symbols::Symbol;
use crate::twin::Twin;
use ctos_types::{Decimal, InstrumentId, Nanos, Price, Rounding, UnixNanos};

impl Twin {
    /// The last day: open, high, low, close and sums, with the candle it began with.
    pub(crate) fn day(&self, id: InstrumentId) -> Option<Bar> {
        let minutes = self.public(id).klines.minutes();
        let from = self.now_ms() - 86_400_000;
        let first = minutes.partition_point(|b| b.open_ms < from);
        let mut bars = minutes.range(first..);
        let mut day = *bars.next()?;
        bars.for_each(|b| day.join(b));
        Some(day)
    }

    pub(crate) fn mini_ticker(&self, id: InstrumentId) -> String {
        let s: &Symbol = self.symbols.of(id);
        let Some(d) = self.day(id) else { return "{}".into() };
        let o = Obj::new().str("e", "24hrMiniTicker").int("E", self.server_ms()).str("s", &s.name);
        let o = o.str("c", &self.px(id, d.close)).str("o", &self.px(id, d.open)).str("h", &self.px(id, d.high));
        let o = o.str("l", &self.px(id, d.low)).str("v", &self.qty(id, d.volume)).str("q", &self.money(d.quote));
        o.done()
    }

    pub(crate) fn full_ticker(&self, id: InstrumentId) -> String {
        let Some(d) = self.day(id) else { return "{}".into() };
        let p = self.public(id);
        let c = self.changes(id, &d);
        let o = Obj::new().str("e", "24hrTicker").int("E", self.server_ms()).str("s", &self.symbols.of(id).name);
        let o = o.str("p", &c.0).str("P", &c.1).str("w", &c.2);
        let o = if self.spot() { o.str("x", &self.px(id, d.open)) } else { o };
        let o = o.str("c", &self.px(id, d.close)).str("Q", &self.qty(id, p.last.map_or(0, |l| l.qty)));
        let row = |rows: &[Row]| rows.first().copied().unwrap_or_default();
        let (bid, ask) = (row(&p.bids), row(&p.asks));
        let o = if self.spot() {
            let o = o.str("b", &self.px(id, Price(bid.0))).str("B", &self.qty(id, bid.1));
            o.str("a", &self.px(id, Price(ask.0))).str("A", &self.qty(id, ask.1))
        } else {
            o
        };
        let o = o.str("o", &self.px(id, d.open)).str("h", &self.px(id, d.high)).str("l", &self.px(id, d.low));
        let o = o.str("v", &self.qty(id, d.volume)).str("q", &self.money(d.quote));
        let now = self.now_ms();
        o.int("O", now - 86_400_000).int("C", now).int("F", d.first_id).int("L", d.last_id).int("n", d.count).done()
    }

    /// Price change, its percentage, and the weighted average of a day.
    pub(crate) fn changes(&self, id: InstrumentId, d: &Bar) -> (String, String, String) {
        let i = self.instrument(id);
        let (open, close) = (i.price_decimal(d.open), i.price_decimal(d.close));
        let change = close - open;
        let percent = change.mul_ratio(100, 1, Rounding::HalfEven).and_then(|c| c.div(open, Rounding::HalfEven));
        let volume = Decimal::new(d.volume, self.symbols.of(id).grid.1);
        let average = d.quote.div(volume, Rounding::HalfEven).unwrap_or(close);
        let places = self.symbols.of(id).wire.0;
        (fixed(change, places), fixed(percent.unwrap_or_default(), 3), fixed(average, places))
    }

    /// Mean price of the last five minutes; without trades the last price.
    pub(crate) fn average(&self, id: InstrumentId) -> Decimal {
        let minutes = self.public(id).klines.minutes();
        let i = self.instrument(id);
        let (mut quote, mut volume) = (Decimal::ZERO, 0);
        for b in minutes.iter().rev().take(5) {
            (quote, volume) = (quote + b.quote, volume + b.volume);
        }
        let last = self.public(id).last.map_or(Decimal::ZERO, |l| i.price_decimal(l.price));
        quote.div(Decimal::new(volume, i.qty_decimals), Rounding::HalfEven).unwrap_or(last)
    }

    pub(crate) fn avg_price(&self, id: InstrumentId) -> String {
        let last = self.public(id).last.map_or(0, |l| l.at_ms);
        let o = Obj::new().str("e", "avgPrice").int("E", self.server_ms()).str("s", &self.symbols.of(id).name);
        o.str("i", "5m").str("w", &eight(self.average(id))).int("T", last).done()
    }

    /// Mark, index, rate and next funding; without a mark feed the last price stands for both.
    pub(crate) fn marks(&self, id: InstrumentId) -> (Decimal, Decimal, Decimal, i64) {
        let eight_hours = Nanos::from_secs(8 * 3_600);
        let next = UnixNanos(self.now.0).floor(eight_hours).after(eight_hours);
        match self.public(id).mark {
            Some(m) => (m.mark, m.index, m.funding_rate, crate::number::ms(m.next_funding)),
            None => {
                let mark = self.mark(id).unwrap_or_default();
                (mark, mark, Decimal::new(1, 4), crate::number::ms(next))
            }
        }
    }

    pub(crate) fn mark_price(&self, id: InstrumentId) -> String {
        let (mark, index, rate, next) = self.marks(id);
        let o = Obj::new().str("e", "markPriceUpdate").int("E", self.server_ms()).str("s", &self.symbols.of(id).name);
        let o = o.str("p", &eight(mark)).str("ap", &eight(mark)).str("P", &eight(index)).str("i", &eight(index));
        o.str("r", &eight(rate)).int("T", next).int("st", 1).done()
    }
}
