//! A strategy without sense: every kind of order, amend and cancel, on every instrument, from a seed.

use ctos_kernel::{Ctx, Feeds, OrderRequest, Strategy, Tick};
use ctos_types::{
    ClientOrderId, Decimal, Instrument, InstrumentId, Leg, Nanos, OrderKind, OrderQty, PositionEffect, Price, Qty,
    Quote, Side, TimeInForce, TriggerBy,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Open orders beyond which it clears up.
const ENOUGH: usize = 25;

pub struct Monkey {
    state: u64,
    hedge: bool,
    /// Shared by all: what they did together.
    actions: Arc<AtomicU64>,
}

impl Monkey {
    pub fn new(seed: u64, hedge: bool, actions: Arc<AtomicU64>) -> Monkey {
        Monkey { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, hedge, actions }
    }

    /// Below `n`.
    fn draw(&mut self, n: i64) -> i64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 11) % n as u64) as i64
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.draw(n) == 0
    }

    fn side(&mut self) -> Side {
        if self.one_in(2) { Side::Buy } else { Side::Sell }
    }

    /// Within a percent of the market, now and then off the grid.
    fn price(&mut self, i: &Instrument, quote: Quote) -> Price {
        let around = quote.bid_px.0 / 10_000 * (9_900 + self.draw(200)) + self.draw(i.tick.0 * 3);
        if self.one_in(30) { Price(around) } else { Price(around / i.tick.0 * i.tick.0) }
    }

    /// Worth five to some thousand, now and then off the grid or too small.
    fn size(&mut self, i: &Instrument, px: Price) -> Qty {
        let worth = [8, 60, 400, 3_000][self.draw(4) as usize] + self.draw(50);
        let qty = i.qty_for_quote(Decimal::from_int(worth), px).unwrap_or(i.min_qty);
        if self.one_in(40) { Qty(qty.0 / 2 + 1) } else { qty.max(i.min_qty) }
    }

    /// A step or twenty from the touch, above or below the market; now and then anywhere.
    fn trigger(&mut self, i: &Instrument, quote: Quote, above: bool) -> Price {
        if self.one_in(5) {
            return self.price(i, quote);
        }
        let away = (1 + self.draw(20)) * (quote.bid_px.0 / 50_000 / i.tick.0 * i.tick.0).max(i.tick.0);
        if above { Price(quote.ask_px.0 + away) } else { Price(quote.bid_px.0 - away) }
    }

    fn kind(&mut self, i: &Instrument, quote: Quote, side: Side) -> OrderKind {
        let which = self.draw(14);
        // A stop waits where the market hurts the position, a take-profit where it helps.
        let is_stop = matches!(which, 2 | 3);
        let (price, trigger) = (self.price(i, quote), self.trigger(i, quote, is_stop == (side == Side::Buy)));
        match which {
            0 | 1 => OrderKind::Market,
            2 => OrderKind::StopMarket { trigger },
            3 => OrderKind::StopLimit { trigger, price },
            4 => OrderKind::TakeProfitMarket { trigger },
            5 => OrderKind::TakeProfitLimit { trigger, price },
            6 => OrderKind::TrailingStop { callback_bps: 2 + self.draw(30) as u32, activation: None },
            7 => OrderKind::TrailingStop { callback_bps: 2 + self.draw(30) as u32, activation: Some(trigger) },
            _ => OrderKind::Limit { price },
        }
    }

    fn tif(&mut self, ctx: &Ctx<'_>) -> TimeInForce {
        match self.draw(10) {
            0 => TimeInForce::Ioc,
            1 => TimeInForce::Fok,
            2 | 3 => TimeInForce::Gtd(ctx.now().after(Nanos::from_millis(1 + self.draw(2_000)))),
            _ => TimeInForce::Gtc,
        }
    }

    /// Leg and effect that fit the side, now and then not.
    fn leg(&mut self, i: &Instrument, side: Side) -> (Leg, PositionEffect) {
        if (!self.hedge || i.is_spot()) && !self.one_in(50) {
            return (Leg::Net, PositionEffect::Auto);
        }
        let leg = if self.one_in(2) { Leg::Long } else { Leg::Short };
        let opens = (leg == Leg::Long) == (side == Side::Buy);
        (leg, if opens { PositionEffect::Open } else { PositionEffect::Close })
    }

    fn place(&mut self, ctx: &mut Ctx<'_>, i: &Instrument, quote: Quote) {
        let side = self.side();
        let kind = self.kind(i, quote, side);
        let size = self.size(i, quote.bid_px);
        let by_amount = kind == OrderKind::Market && self.one_in(2);
        let qty =
            if by_amount { OrderQty::Quote(Decimal::new(1_000 + self.draw(90_000), 2)) } else { OrderQty::Size(size) };
        let (leg, effect) = self.leg(i, side);
        let by = if self.one_in(2) { TriggerBy::Last } else { TriggerBy::Mark };
        let request = OrderRequest::new(i.id, side, kind, qty).leg(leg, effect).trigger_by(by);
        let resting = matches!(kind, OrderKind::Limit { .. });
        let request = if resting { request.tif(self.tif(ctx)) } else { request };
        let request = if resting && self.one_in(3) { request.post_only() } else { request };
        ctx.place(if self.one_in(8) { request.reduce_only() } else { request });
    }

    fn any_open(&mut self, ctx: &Ctx<'_>) -> Option<(ClientOrderId, Instrument)> {
        let count = ctx.open_orders().count() as i64;
        let order = ctx.open_orders().nth(self.draw(count.max(1)) as usize)?;
        Some((order.id(), ctx.instrument(order.request.instrument).clone()))
    }

    fn amend(&mut self, ctx: &mut Ctx<'_>) {
        let Some((id, i)) = self.any_open(ctx) else { return };
        let Some(quote) = ctx.quote(i.id).filter(Quote::is_two_sided) else { return };
        let price = (!self.one_in(3)).then(|| self.price(&i, quote));
        let qty = (!self.one_in(3)).then(|| self.size(&i, quote.bid_px));
        ctx.amend(id, price, qty);
    }

    fn act(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, quote: Quote) {
        self.actions.fetch_add(1, Ordering::Relaxed);
        let i = ctx.instrument(id).clone();
        match self.draw(40) {
            0..=21 => self.place(ctx, &i, quote),
            22..=30 => self.amend(ctx),
            31..=37 => {
                if let Some((id, _)) = self.any_open(ctx) {
                    ctx.cancel(id);
                }
            }
            38 => ctx.close_all(self.one_in(2).then_some(id)),
            _ => {
                ctx.cancel_all(self.one_in(2).then_some(id));
            }
        }
    }
}

impl Strategy for Monkey {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        let all: Vec<InstrumentId> = ctx.instruments().iter().map(|i| i.id).collect();
        for id in all {
            ctx.subscribe(id, Feeds::QUOTES.and(Feeds::TRADES));
        }
        ctx.set_timer(Nanos::from_secs(1), 0);
    }

    fn on_tick(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, _: &Tick) {
        let Some(quote) = ctx.quote(id).filter(Quote::is_two_sided) else { return };
        // Bursts with silence between, so that both crowds on the way and settled books come about.
        if self.one_in(25) {
            for _ in 0..=self.draw(4) {
                self.act(ctx, id, quote);
            }
        }
        if ctx.open_orders().count() > ENOUGH {
            ctx.cancel_all(None);
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, token: u64) {
        ctx.set_timer(Nanos::from_millis(700), token);
    }

    fn save(&self) -> Value {
        json!(self.state)
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.state = state.as_u64().ok_or("not a number")?;
        Ok(())
    }
}

/// Buys what its leverage allows and holds on to it: what liquidations are for.
pub struct Gambler;

impl Strategy for Gambler {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.set_timer(Nanos::from_secs(1), 0);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, token: u64) {
        let perps: Vec<InstrumentId> = ctx.instruments().iter().filter(|i| !i.is_spot()).map(|i| i.id).collect();
        for id in perps {
            ctx.place(OrderRequest::market_quote(id, Side::Buy, Decimal::from_int(700)));
        }
        ctx.set_timer(Nanos::from_secs(1), token);
    }

    fn save(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: &Value) -> Result<(), String> {
        Ok(())
    }
}
