//! One cell of a grid: the stretch between two neighbouring levels. It buys at its lower level and sells at its upper
//! one, in turn, so a cell never has more than one order and what it bought is exactly what it sells.

use crate::sizing::OrderAmount;
use crate::track::{Retry, Working, lots};
use ctos_types::{Decimal, Instrument, Price, Qty, Side};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub lower: Price,
    pub upper: Price,
    /// The side of its first order: buy below the market, sell above it.
    pub opens: Side,
    /// Whether it now trades back what it opened.
    pub closing: bool,
    /// A spot cell above the market that has nothing to sell waits until the market has passed it.
    pub armed: bool,
    /// Signed coins or contracts from its fills, net of fees charged in coins.
    pub held: Decimal,
    pub order: Option<Working>,
    pub retry: Retry,
}

impl Cell {
    pub fn new(lower: Price, upper: Price, opens: Side) -> Cell {
        Cell {
            lower,
            upper,
            opens,
            closing: false,
            armed: true,
            held: Decimal::ZERO,
            order: None,
            retry: Retry::default(),
        }
    }

    /// The side of its next order.
    pub fn side(&self) -> Side {
        if self.closing { self.opens.opposite() } else { self.opens }
    }

    /// The level of its next order.
    pub fn level(&self) -> Price {
        self.level_of(self.side())
    }

    fn level_of(&self, side: Side) -> Price {
        match side {
            Side::Buy => self.lower,
            Side::Sell => self.upper,
        }
    }

    /// What it holds in the direction it opens: positive once it opened.
    fn opened(&self) -> Decimal {
        match self.opens {
            Side::Buy => self.held,
            Side::Sell => -self.held,
        }
    }

    /// The size of one full order at the opening level.
    pub fn full(&self, instrument: &Instrument, amount: OrderAmount) -> Option<Qty> {
        amount.size(instrument, self.level_of(self.opens))
    }

    /// Decides between opening and closing and gives the size of the next order; `None` when nothing can be ordered.
    ///
    /// A rest too small for the venue is not ordered: an opening with such a rest counts as done, and what a closing
    /// leaves stays in `held` and goes out with the next closing.
    ///
    /// `full` is what [`Cell::full`] gives: it stays the same until the venue changes its rules.
    pub fn plan(&mut self, instrument: &Instrument, full: Option<Qty>) -> Option<Qty> {
        let back = self.opens.opposite();
        let takes = |side: Side, q: Qty| instrument.check(Some(self.level_of(side)), q).is_ok();
        let close = lots(instrument, self.opened());
        if self.closing && takes(back, close) {
            return Some(close);
        }
        let rest = full.map(|f| lots(instrument, instrument.qty_decimal(f) - self.opened().max(Decimal::ZERO)));
        if let Some(rest) = rest.filter(|rest| takes(self.opens, *rest)) {
            self.closing = false;
            return Some(rest);
        }
        self.closing = takes(back, close);
        // Neither the rest nor what is held can be ordered alone: one full order more makes both tradable.
        if self.closing { Some(close) } else { full }
    }

    /// Takes the end of an order in: a filled one turns the cell round.
    pub fn finished(&mut self, filled: bool) {
        self.order = None;
        if filled {
            self.closing = !self.closing;
            self.retry.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::harness::{d, perp};

    /// 100.0 to 101.0, 100 USDT an order: 1.000 coins to buy. The venue takes 5 USDT and more.
    fn cell() -> (Cell, Instrument, Option<Qty>) {
        let i = Instrument { min_notional: d("5"), ..perp() };
        let c = Cell::new(Price(1000), Price(1010), Side::Buy);
        let full = c.full(&i, OrderAmount { quote: d("100"), or_minimum: false });
        assert_eq!(full, Some(Qty(1000)));
        (c, i, full)
    }

    #[test]
    fn opens_in_full_then_closes_what_it_holds() {
        let (mut c, i, full) = cell();
        assert_eq!((c.plan(&i, full), c.side(), c.level()), (Some(Qty(1000)), Side::Buy, Price(1000)));
        c.held = d("1");
        c.finished(true);
        assert_eq!((c.plan(&i, full), c.side(), c.level()), (Some(Qty(1000)), Side::Sell, Price(1010)));
        c.held = d("0");
        c.finished(true);
        assert_eq!((c.plan(&i, full), c.side()), (Some(Qty(1000)), Side::Buy));
    }

    #[test]
    fn an_opening_that_ended_half_way_goes_on_with_its_rest() {
        let (mut c, i, full) = cell();
        c.held = d("0.4");
        c.finished(false);
        assert_eq!((c.plan(&i, full), c.side()), (Some(Qty(600)), Side::Buy));
        // A rest of 3 USDT is below the minimum: the cell goes on to closing.
        c.held = d("0.97");
        assert_eq!((c.plan(&i, full), c.side()), (Some(Qty(970)), Side::Sell));
    }

    #[test]
    fn dust_after_a_closing_goes_with_the_next_round() {
        let (mut c, i, full) = cell();
        (c.closing, c.held) = (true, d("0.0205"));
        assert_eq!((c.plan(&i, full), c.side()), (Some(Qty(979)), Side::Buy));
        (c.held, c.closing) = (d("0.9995"), true);
        assert_eq!((c.plan(&i, full), c.side()), (Some(Qty(999)), Side::Sell));
    }

    #[test]
    fn when_neither_part_can_be_ordered_a_full_order_makes_both_tradable() {
        let i = Instrument { min_notional: d("60"), ..perp() };
        let (mut c, _, full) = cell();
        c.held = d("0.5");
        assert_eq!((c.plan(&i, full), c.side()), (Some(Qty(1000)), Side::Buy));
    }
}
