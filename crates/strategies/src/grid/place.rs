//! Laying the grid out around the market, and keeping an order in every cell that may have one.

use super::cell::Cell;
use super::ladder::Ladder;
use super::room::{Resting, Sizes};
use super::{Grid, State};
use crate::sizing::View;
use crate::track::{Working, lots};
use ctos_kernel::{Ctx, OrderRequest};
use ctos_types::{Decimal, Instrument, NumberError, Price, Qty, Rounding, Side};

impl Grid {
    /// Builds levels and cells around the market. Inventory of an earlier grid goes to the cells that can work it off,
    /// one order each, nearest first; the rest is parked.
    pub(super) fn lay_out(&mut self, ctx: &mut Ctx<'_>, view: View, moved: bool) {
        let instrument = ctx.instrument(self.id()).clone();
        let mid = view.mid(&instrument);
        let extent = self.settings.extent(mid, moved);
        let s = &self.settings;
        let ladder = match Ladder::new(&instrument, extent, s.mode, s.levels, s.recenter) {
            Ok(ladder) => ladder,
            Err(e) => return self.cannot_lay_out(ctx, mid, &e),
        };
        let inherited = self.inventory();
        let pairs = ladder.levels.windows(2);
        self.s.cells = pairs.map(|p| Cell::new(p[0], p[1], first_side(p[0], p[1], view))).collect();
        self.s.parked = self.inherit(&instrument, inherited);
        if instrument.is_spot() {
            let owned = ctx.balance(instrument.base) - inherited.max(Decimal::ZERO);
            self.only_sell_owned(&instrument, owned);
        }
        self.sizes = Sizes::of(&instrument, &self.settings, &self.s.cells);
        self.blocked.clear();
        self.tell(ctx, &instrument, &ladder);
        // The old levels once more, so that a chart shows a step.
        self.plot(ctx);
        self.s.ladder = Some(ladder);
        self.s.told = false;
        self.plot(ctx);
    }

    /// Where the grid lies, for charts.
    pub(super) fn plot(&self, ctx: &mut Ctx<'_>) {
        let Some(ladder) = &self.s.ladder else { return };
        let instrument = ctx.instrument(self.id()).clone();
        let (levels, last) = (&ladder.levels, ladder.levels.len() - 1);
        ctx.plot_all(self.id(), |point| {
            for (name, at) in [("lowest", 0), ("centre", last / 2), ("highest", last)] {
                point(name, instrument.price_decimal(levels[at]).to_f64());
            }
        });
    }

    /// Prices beyond the instrument's range. A grid that exists stays where it is.
    fn cannot_lay_out(&mut self, ctx: &mut Ctx<'_>, mid: Decimal, why: &NumberError) {
        if !self.s.told {
            ctx.note(format!("no grid around {mid}: {why}"));
        }
        self.s.told = true;
        if let Some(ladder) = &mut self.s.ladder {
            (ladder.floor, ladder.ceiling) = (Price(i64::MIN), Price(i64::MAX));
        }
    }

    /// Hands inventory to cells that close it. Returns what is left over.
    fn inherit(&mut self, instrument: &Instrument, inventory: Decimal) -> Decimal {
        let (opens, sign) = if inventory.is_negative() { (Side::Sell, -1) } else { (Side::Buy, 1) };
        let amount = self.settings.amount;
        let mut left = inventory.abs();
        let above = |c: &&mut Cell| c.opens == opens.opposite();
        let mut cells: Vec<&mut Cell> = self.s.cells.iter_mut().filter(above).collect();
        if opens == Side::Sell {
            cells.reverse();
        }
        for cell in cells {
            let mut closer = Cell { opens, closing: true, ..*cell };
            let Some(full) = closer.full(instrument, amount) else { continue };
            let part = lots(instrument, left.min(instrument.qty_decimal(full)));
            if instrument.check(Some(closer.level()), part).is_err() {
                break;
            }
            closer.held = Decimal::from_atoms(instrument.qty_decimal(part).atoms() * sign);
            left -= instrument.qty_decimal(part);
            *cell = closer;
        }
        Decimal::from_atoms(left.atoms() * sign)
    }

    /// Spot cells above the market sell what the account owns beside the grid's own coins; the others wait until they
    /// lie below the market and then start with a buy.
    fn only_sell_owned(&mut self, instrument: &Instrument, owned: Decimal) {
        let mut owned = if self.settings.sell_owned { owned } else { Decimal::ZERO };
        let amount = self.settings.amount;
        for cell in self.s.cells.iter_mut().filter(|c| c.opens == Side::Sell && !c.closing) {
            let size = cell.full(instrument, amount).map(|q| instrument.qty_decimal(q));
            match size.filter(|size| *size <= owned) {
                Some(size) => owned -= size,
                None => (cell.opens, cell.armed) = (Side::Buy, false),
            }
        }
    }

    fn tell(&self, ctx: &mut Ctx<'_>, instrument: &Instrument, ladder: &Ladder) {
        let (first, last) = (ladder.levels[0], ladder.levels[ladder.levels.len() - 1]);
        let (first, last) = (instrument.price_text(first), instrument.price_text(last));
        ctx.note(format!("grid of {} levels from {first} to {last}", ladder.levels.len()));
        if self.sizes.full.iter().any(Option::is_none) {
            let amount = self.settings.amount.quote;
            ctx.note(format!("order_amount {amount} is too small for {} at some levels", instrument.symbol));
        }
        let narrowest =
            self.s.cells.first().map(|c| instrument.price_decimal(c.upper) - instrument.price_decimal(c.lower));
        let fees =
            instrument.price_decimal(ladder.levels[0]).mul(instrument.maker_fee + instrument.maker_fee, Rounding::Down);
        if let (Some(gain), Ok(cost)) = (narrowest, fees)
            && gain <= cost
        {
            ctx.note(format!("a round of {gain} between levels does not pay its fees of {cost}; try a wider spacing"));
        }
    }

    /// Places an order in every cell that has none and may have one, nearest to the market first on each side.
    pub(super) fn fill_cells(&mut self, ctx: &mut Ctx<'_>, view: View) {
        self.s.waiting = false;
        let instrument = ctx.instrument(self.id());
        let owned = instrument.is_spot().then(|| ctx.balance(instrument.base));
        self.blocked.with_coins(owned);
        let mut ready = Vec::new();
        for at in 0..self.s.cells.len() {
            if self.blocked.has(at) {
                self.s.waiting = true;
            } else if self.is_ready(ctx, view, at) {
                ready.push(at);
            }
        }
        if ready.is_empty() {
            return;
        }
        let instrument = ctx.instrument(self.id()).clone();
        if !self.sizes.fit(&instrument, &self.s.cells) {
            self.sizes = Sizes::of(&instrument, &self.settings, &self.s.cells);
            self.blocked.clear();
        }
        let mut plans = Vec::with_capacity(ready.len());
        for at in ready {
            if let Some(owned) = owned {
                self.s.write_off(at, owned);
            }
            let full = self.sizes.full[at];
            debug_assert_eq!(full, self.s.cells[at].full(&instrument, self.settings.amount));
            match self.s.cells[at].plan(&instrument, full) {
                Some(size) => plans.push((at, self.s.cells[at].side(), size)),
                None => self.pause(ctx, at),
            }
        }
        let mut resting = Resting::of(&instrument, &self.s.cells, self.inventory());
        for (at, side, size) in plans.iter().rev().filter(|(_, side, _)| *side == Side::Buy) {
            self.place(ctx, &instrument, view, &mut resting, (*at, *side, *size));
        }
        for (at, side, size) in plans.iter().filter(|(_, side, _)| *side == Side::Sell) {
            self.place(ctx, &instrument, view, &mut resting, (*at, *side, *size));
        }
    }

    /// Whether a cell wants an order now; sees to it that it is asked again when it will.
    fn is_ready(&mut self, ctx: &mut Ctx<'_>, view: View, at: usize) -> bool {
        let cell = &mut self.s.cells[at];
        if cell.order.is_some() {
            return false;
        }
        cell.armed |= view.bid >= cell.upper;
        if !cell.armed {
            self.s.waiting = true;
            return false;
        }
        let due = cell.retry.at;
        if due > ctx.now() {
            self.s.alarm.arm(ctx, due);
            return false;
        }
        true
    }

    fn pause(&mut self, ctx: &mut Ctx<'_>, at: usize) {
        let retry = &mut self.s.cells[at].retry;
        retry.failed(ctx.now());
        let due = retry.at;
        self.s.alarm.arm(ctx, due);
    }

    fn place(
        &mut self,
        ctx: &mut Ctx<'_>,
        i: &Instrument,
        view: View,
        resting: &mut Resting,
        plan: (usize, Side, Qty),
    ) {
        let (at, side, size) = plan;
        let cell = self.s.cells[at];
        let Some(price) = safe_price(i, &cell, view) else {
            self.s.waiting = true;
            return;
        };
        if resting.collides(side, price) || (!cell.closing && self.exceeds(i, resting, side, price, size)) {
            self.s.waiting = true;
            if !cell.closing {
                self.blocked.add(at);
            }
            return;
        }
        if i.is_spot() && side == Side::Sell && i.qty_decimal(size) > ctx.balance(i.base) - resting.sell {
            return self.pause(ctx, at);
        }
        let order = Working::place(ctx, OrderRequest::limit(i.id, side, price, size).post_only());
        resting.add(i, side, price, size);
        self.s.cells[at].order = Some(order);
    }

    /// Whether the position could grow beyond the inventory limit if everything on this side filled.
    fn exceeds(&self, i: &Instrument, resting: &Resting, side: Side, price: Price, size: Qty) -> bool {
        let most = match self.settings.max_inventory {
            Some(quote) => i.qty_for_quote(quote, price).map(|q| i.qty_decimal(q)).ok(),
            None => self.sizes.most,
        };
        let Some(most) = most else { return false };
        let (inventory, waiting) = match side {
            Side::Buy => (resting.inventory, resting.buy),
            Side::Sell => (-resting.inventory, resting.sell),
        };
        inventory + waiting + i.qty_decimal(size) > most
    }
}

impl State {
    /// Coins that cells hold by their fills but the account has not (a fee nobody told us of, a withdrawal) are gone:
    /// a sell for them would be refused for ever.
    fn write_off(&mut self, at: usize, owned: Decimal) {
        let held: Decimal = self.cells.iter().map(|c| c.held.max(Decimal::ZERO)).sum();
        let cell = &mut self.cells[at];
        let missing = (held - owned).min(cell.held);
        if missing.is_positive() {
            cell.held -= missing;
        }
    }
}

/// A cell in the lower half of the grid buys first, one in the upper half sells first.
fn first_side(lower: Price, upper: Price, view: View) -> Side {
    let middle = i128::from(lower.0) + i128::from(upper.0);
    if view.twice_mid() >= middle { Side::Buy } else { Side::Sell }
}

/// The cell's level, if an order there would not take. A closing order that the market has passed goes to the nearest
/// price that would not take, which is better than its level; an opening one waits.
fn safe_price(i: &Instrument, cell: &Cell, view: View) -> Option<Price> {
    let level = cell.level();
    let safe = match cell.side() {
        Side::Buy => level.min(last_below(i, view.ask)),
        Side::Sell => level.max(first_above(i, view.bid)),
    };
    (safe == level || (cell.closing && safe.0 > 0)).then_some(safe)
}

fn last_below(i: &Instrument, px: Price) -> Price {
    Price((px.0 - 1).div_euclid(i.tick.0) * i.tick.0)
}

fn first_above(i: &Instrument, px: Price) -> Price {
    Price((px.0.div_euclid(i.tick.0) + 1) * i.tick.0)
}
