//! A strategy without a plan: it places, changes and cancels orders of every kind by its dice.
//! Never: anything that its saved state does not decide.

use ctos_kernel::{Ctx, Feeds, OrderRequest, Strategy};
use ctos_types::{
    ClientOrderId, InstrumentId, Leg, Nanos, OrderKind, OrderQty, Price, Qty, Side, TimeInForce, UnixNanos,
};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// What the script may use.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    pub instrument: InstrumentId,
    /// Steps of size and price that orders are made of.
    pub size: Qty,
    pub step: Price,
    /// Reduce-only and conditional orders of futures.
    pub futures: bool,
    /// Orders say on which leg they are.
    pub hedge: bool,
    pub amend: bool,
    pub conditional: bool,
    /// Nothing new is placed after it.
    pub until: UnixNanos,
    pub every: Nanos,
}

/// See the module's head.
#[derive(Debug)]
pub struct Script {
    means: Means,
    dice: Dice,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Dice(Xoshiro256PlusPlus);

/// Orders that may be open at once.
const MOST_OPEN: usize = 10;

impl Script {
    pub fn new(means: Means, seed: u64) -> Script {
        Script { means, dice: Dice(Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7363_7269_7074)) }
    }

    fn upto(&mut self, n: u64) -> u64 {
        self.dice.0.next_u64() % n
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        let id = self.means.instrument;
        let Some(quote) = ctx.quote(id) else { return };
        let open: Vec<ClientOrderId> = ctx.open_orders().map(|o| o.id()).collect();
        let what = self.upto(20);
        let chosen = (!open.is_empty()).then(|| open[self.upto(open.len() as u64) as usize]);
        let distance = 1 + self.upto(12) as i64;
        let position = ctx.position(id).qty.0;
        let lean = position.abs() > 6 * self.means.size.0;
        let buy = if lean { position < 0 } else { self.upto(2) == 0 };
        let side = if buy { Side::Buy } else { Side::Sell };
        let leg = match side {
            _ if !self.means.hedge => Leg::Net,
            Side::Buy => Leg::Long,
            Side::Sell => Leg::Short,
        };
        let held = ctx.position_on(id, leg).qty.0.abs();
        // A leg that has grown is reduced by orders of every kind.
        let side = if self.means.hedge && held > 6 * self.means.size.0 { opposite(side) } else { side };
        let on = |order: OrderRequest| OrderRequest { leg, ..order };
        let step = self.means.step.0;
        let px = |touch: i64| Price(touch / step * step);
        let passive = match side {
            Side::Buy => px(quote.bid_px.0 - distance * self.means.step.0),
            Side::Sell => px(quote.ask_px.0 + distance * self.means.step.0),
        };
        let size = Qty(self.means.size.0 * (1 + self.upto(3) as i64));
        match (what, chosen) {
            (0..=5, _) if open.len() < MOST_OPEN => {
                let order = OrderRequest::limit(id, side, passive, size);
                ctx.place(on(if what < 2 { order.post_only() } else { order }));
            }
            (6, _) => {
                ctx.place(on(OrderRequest::market(id, side, self.means.size)));
            }
            (7, _) => {
                let reach = match side {
                    Side::Buy => px(quote.ask_px.0 + 3 * self.means.step.0),
                    Side::Sell => px(quote.bid_px.0 - 3 * self.means.step.0),
                };
                ctx.place(on(OrderRequest::limit(id, side, reach, self.means.size).tif(TimeInForce::Ioc)));
            }
            (8, _) if open.len() < MOST_OPEN && self.means.conditional => {
                let away = 2 * distance * self.means.step.0;
                let (trigger, limit) = match side {
                    Side::Buy => (px(quote.ask_px.0 + away), px(quote.ask_px.0 + away + self.means.step.0)),
                    Side::Sell => (px(quote.bid_px.0 - away), px(quote.bid_px.0 - away - self.means.step.0)),
                };
                let kind = if self.means.futures && distance % 2 == 0 {
                    OrderKind::StopMarket { trigger }
                } else {
                    OrderKind::StopLimit { trigger, price: limit }
                };
                ctx.place(on(OrderRequest::new(id, side, kind, OrderQty::Size(self.means.size))));
            }
            (9, _) if self.means.hedge && held > 0 => {
                let away = if leg == Leg::Long { Side::Sell } else { Side::Buy };
                ctx.place(on(OrderRequest::market(id, away, Qty(held.min(self.means.size.0))).reduce_only()));
            }
            (9, _) if self.means.futures && !self.means.hedge && position != 0 => {
                let side = if position > 0 { Side::Sell } else { Side::Buy };
                let part = Qty(position.abs().min(self.means.size.0));
                ctx.place(OrderRequest::market(id, side, part).reduce_only());
            }
            (10..=13, Some(order)) if self.means.amend => {
                let side = ctx.order(order).map(|o| o.request.side);
                let there = match side {
                    Some(Side::Buy) => px(quote.bid_px.0 - distance * self.means.step.0),
                    _ => px(quote.ask_px.0 + distance * self.means.step.0),
                };
                ctx.amend(order, Some(there), None);
            }
            (14..=18, Some(order)) => {
                ctx.cancel(order);
            }
            (19, _) if distance == 1 => {
                ctx.cancel_all(None);
            }
            _ => {}
        }
    }
}

fn opposite(side: Side) -> Side {
    if side == Side::Buy { Side::Sell } else { Side::Buy }
}

impl Strategy for Script {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(self.means.instrument, Feeds::QUOTES);
        ctx.set_timer(self.means.every, 0);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _: u64) {
        if ctx.now() < self.means.until {
            self.act(ctx);
            ctx.set_timer(self.means.every, 0);
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.dice).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        self.dice = Dice::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }
}
