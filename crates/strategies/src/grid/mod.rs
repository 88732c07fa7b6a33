//! A grid of post-only limit orders on one instrument: buys below the market, sells above, each fill answered by the
//! opposite order one level away. Never: crosses the spread on purpose, sells spot coins that are not there.
//!
//! The grid is a row of cells, one between each pair of neighbouring levels ([`cell`]). A cell below the market buys at
//! its lower level and then sells at its upper one; a cell above the market does it the other way round. Partial fills
//! count at once; the answer goes out when the order is done, for exactly what filled.

mod cell;
mod ladder;
mod place;
mod room;
pub(crate) mod settings;

use crate::params::{Args, ParamError};
use crate::sizing::{POLL, View};
use crate::track::{Alarm, PAUSE, fee_in_units, is_filled};
use cell::Cell;
use ctos_kernel::{Ctx, Feeds, Order, OrderChange, Strategy, Tick};
use ctos_types::{ClientOrderId, Decimal, Fill, Instrument, InstrumentId, Qty, RejectReason};
use ladder::Ladder;
use room::{Blocked, Sizes};
use serde::{Deserialize, Serialize};
use settings::Settings;

/// See the module's head.
#[derive(Debug)]
pub struct Grid {
    settings: Settings,
    sizes: Sizes,
    blocked: Blocked,
    s: State,
}

/// Everything that a restart must bring back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// `None` until the first price.
    ladder: Option<Ladder>,
    cells: Vec<Cell>,
    /// Inventory that no cell works off: what was left when the grid moved, and fills that came after an order's end.
    parked: Decimal,
    /// The book is unknown: nothing is placed.
    gap: bool,
    /// The market left the grid: its orders are being cancelled before it moves.
    moving: bool,
    /// Some cell waits for the market rather than for a timer.
    waiting: bool,
    /// Market at which waiting cells were last looked at.
    looked_at: Option<View>,
    /// The trouble with laying out was told once.
    told: bool,
    alarm: Alarm,
    /// How often the grid has moved.
    moves: u64,
}

impl Grid {
    pub(crate) fn build(args: &Args<'_>) -> Result<Grid, ParamError> {
        let settings = Settings::read(args)?;
        Ok(Grid { settings, sizes: Sizes::default(), blocked: Blocked::default(), s: State::default() })
    }

    fn id(&self) -> InstrumentId {
        self.settings.instrument
    }

    /// Signed inventory of all cells, in coins or contracts.
    fn inventory(&self) -> Decimal {
        self.s.cells.iter().map(|c| c.held).sum::<Decimal>() + self.s.parked
    }

    /// Does whatever can be done now. Safe to call at any time.
    fn work(&mut self, ctx: &mut Ctx<'_>) {
        self.work_after(ctx, None);
    }

    /// As [`Grid::work`], right after a fill, which may tell more of the market than the last quote.
    fn work_after(&mut self, ctx: &mut Ctx<'_>, fill: Option<&Fill>) {
        let id = self.id();
        if ctx.quote(id).is_none() {
            let again = ctx.now().after(POLL);
            self.s.alarm.arm(ctx, again);
        }
        self.s.gap &= ctx.book(id).is_none();
        let Some(view) = View::of(ctx, id).filter(|_| !self.s.gap) else {
            // Whatever was due now is due when the market is back.
            (self.s.waiting, self.s.looked_at) = (true, None);
            if self.s.gap {
                // A book may come back just as it was, which is no tick.
                let again = ctx.now().after(PAUSE);
                self.s.alarm.arm(ctx, again);
            }
            return;
        };
        let view = fill.map_or(view, |fill| view.after_own(fill));
        self.s.looked_at = Some(view);
        if self.s.moving {
            self.move_on(ctx, view);
        } else if self.s.ladder.is_none() {
            self.lay_out(ctx, view, false);
        }
        if !self.s.moving && self.s.ladder.is_some() {
            self.fill_cells(ctx, view);
        }
    }

    fn on_market(&mut self, ctx: &mut Ctx<'_>, view: View) {
        let looked_at = self.s.looked_at;
        let Some(ladder) = self.s.ladder.as_ref().filter(|_| !self.s.gap && looked_at.is_some()) else {
            return self.work(ctx);
        };
        if self.s.moving {
            return;
        }
        let twice = view.twice_mid();
        let outside = twice < 2 * i128::from(ladder.floor.0) || twice > 2 * i128::from(ladder.ceiling.0);
        self.s.moving = outside;
        if outside || (self.s.waiting && looked_at != Some(view)) {
            self.work(ctx);
        }
    }

    /// Cancels what is left of the old grid; lays out the new one when nothing is.
    fn move_on(&mut self, ctx: &mut Ctx<'_>, view: View) {
        let left: Vec<ClientOrderId> = self.s.cells.iter().filter_map(|c| c.order.map(|o| o.id)).collect();
        if left.is_empty() {
            self.s.moving = false;
            self.s.moves += 1;
            self.lay_out(ctx, view, true);
            return;
        }
        for id in left {
            // False while a cancel is under way: asking again waits for its refusal or the timer.
            ctx.cancel(id);
        }
        let again = ctx.now().after(PAUSE);
        self.s.alarm.arm(ctx, again);
    }

    fn cell_of(&self, id: ClientOrderId) -> Option<usize> {
        self.s.cells.iter().position(|c| c.order.is_some_and(|o| o.id == id))
    }

    /// Takes in what the kernel knows of an order; returns whether it is over.
    fn absorb(&mut self, at: usize, order: &Order, instrument: &Instrument) {
        let cell = &mut self.s.cells[at];
        if let Some(working) = &mut cell.order {
            let new = working.take(order);
            cell.held += instrument.qty_decimal(new);
        }
    }

    /// The order ended without being filled in full.
    fn ended(&mut self, ctx: &mut Ctx<'_>, at: usize, order: &Order, change: OrderChange) {
        let (now, moving) = (ctx.now(), self.s.moving);
        let cell = &mut self.s.cells[at];
        cell.finished(false);
        let would_take = order.reject.is_some_and(|(reason, _)| reason == RejectReason::PostOnlyWouldTake);
        match change {
            _ if moving => {}
            OrderChange::Rejected if would_take => cell.retry.pause(now),
            _ => cell.retry.failed(now),
        }
    }

    /// Brings cells up to date with orders that changed while the strategy was not running.
    fn reconcile(&mut self, ctx: &Ctx<'_>) {
        for at in 0..self.s.cells.len() {
            let Some(working) = self.s.cells[at].order else { continue };
            let Some(order) = ctx.order(working.id).cloned() else {
                self.s.cells[at].finished(false);
                continue;
            };
            self.absorb(at, &order, ctx.instrument(self.id()));
            if !order.is_open() {
                self.s.cells[at].finished(is_filled(&order));
            }
        }
    }
}

impl Strategy for Grid {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        let id = self.id();
        ctx.subscribe(id, Feeds::QUOTES.and(Feeds::TRADES));
        self.s.alarm.reset();
        self.blocked.clear();
        self.reconcile(ctx);
        self.work(ctx);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, tick: &Tick) {
        let view = match tick {
            Tick::Quote(quote) => View::from_quote(quote),
            Tick::Trade(_) if ctx.quote(self.id()).is_some() => None,
            Tick::Trade(trade) => Some(View { bid: trade.price, ask: trade.price }),
        };
        if let Some(view) = view {
            self.on_market(ctx, view);
        }
    }

    fn on_gap(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId) {
        self.s.gap = true;
        self.blocked.clear();
        self.work(ctx);
    }

    fn on_order(&mut self, ctx: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        self.blocked.clear();
        // A fill is taken in by `on_fill`, which knows its fee.
        if order.is_open() || change == OrderChange::Filled {
            return;
        }
        let Some(at) = self.cell_of(order.id()) else { return };
        self.absorb(at, order, ctx.instrument(self.id()));
        self.ended(ctx, at, order, change);
        self.work(ctx);
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, order: &Order, fill: &Fill) {
        self.blocked.clear();
        let instrument = ctx.instrument(self.id());
        let fee = fee_in_units(instrument, fill);
        let Some(at) = self.cell_of(order.id()) else {
            self.s.parked += instrument.qty_decimal(Qty(fill.last_qty.0 * fill.side.sign())) - fee;
            return;
        };
        self.absorb(at, order, instrument);
        self.s.cells[at].held -= fee;
        if order.is_open() {
            return;
        }
        self.s.cells[at].finished(is_filled(order));
        self.work_after(ctx, Some(fill));
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _: u64) {
        self.s.alarm.rang(ctx.now());
        self.blocked.clear();
        // Without quotes this is also how the market is followed.
        if let Some(view) = View::of(ctx, self.id()) {
            self.on_market(ctx, view);
        }
        self.work(ctx);
    }

    fn on_stop(&mut self, ctx: &mut Ctx<'_>) {
        self.plot(ctx);
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.s).expect("state is plain data")
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        let state = State::deserialize(state).map_err(|e| e.to_string())?;
        let cells = state.ladder.as_ref().map_or(0, |l| l.levels.len().saturating_sub(1));
        if cells != state.cells.len() {
            return Err(format!("{} cells between {} levels", state.cells.len(), cells + 1));
        }
        self.s = state;
        (self.sizes, self.blocked) = (Sizes::default(), Blocked::default());
        Ok(())
    }

    fn trades(&self) -> Vec<InstrumentId> {
        vec![self.id()]
    }
}
