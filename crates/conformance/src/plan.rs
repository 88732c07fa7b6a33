//! A strategy that does what a case says, at the moments it says.
//! Never: anything that the case's list does not have.

use crate::script::Means;
use ctos_kernel::{Ctx, Feeds, OrderRequest, Strategy};
use ctos_types::{
    ClientOrderId, Decimal, InstrumentId, Nanos, OrderKind, OrderQty, Price, Qty, Quote, Side, TimeInForce,
};

/// A price by its distance from the touch of the own side, in steps; below zero it reaches into the other side.
pub type Away = i64;

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Market,
    /// By an amount of quote currency.
    MarketQuote(i64),
    Limit(Away),
    PostOnly(Away),
    Ioc(Away),
    Fok(Away),
    StopMarket(Away),
    StopLimit(Away),
    /// In hundredths of a percent.
    Trailing(u32),
    /// Off the tick grid.
    OffGrid,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// `lots`: of the case's size. Orders are numbered from 1 in this order.
    Place {
        side: Side,
        kind: Kind,
        lots: i64,
    },
    /// A market order that only reduces.
    Reduce {
        side: Side,
        lots: i64,
    },
    /// A limit order that rests and uses the last digit of price and size.
    Fine {
        side: Side,
    },
    /// The smallest size there is, far below the least worth.
    Crumb {
        side: Side,
    },
    Amend {
        order: usize,
        away: Option<Away>,
        lots: Option<i64>,
    },
    Cancel(usize),
    CancelAll,
    CloseAll,
}

/// Milliseconds after the start of the strategy, and what is done then.
pub type Plan = Vec<(i64, Step)>;

#[derive(Debug)]
pub struct Planned {
    means: Means,
    plan: Plan,
    placed: Vec<ClientOrderId>,
}

impl Planned {
    pub fn new(means: Means, plan: Plan) -> Planned {
        Planned { means, plan, placed: Vec::new() }
    }

    fn request(&self, quote: Quote, side: Side, kind: Kind, lots: i64) -> OrderRequest {
        let Means { instrument: id, size, step, .. } = self.means;
        let size = Qty(size.0 * lots);
        let round = |px: i64| Price(px / step.0 * step.0);
        let px = |away: i64| match side {
            Side::Buy => round(quote.bid_px.0 - away * step.0),
            Side::Sell => round(quote.ask_px.0 + away * step.0),
        };
        // A stop waits beyond the market, where its side would pay more.
        let stop = |away: i64| match side {
            Side::Buy => round(quote.ask_px.0 + away * step.0),
            Side::Sell => round(quote.bid_px.0 - away * step.0),
        };
        let beyond = |away: i64| stop(away + 20);
        let stop_order = |kind| OrderRequest::new(id, side, kind, OrderQty::Size(size));
        match kind {
            Kind::Market => OrderRequest::market(id, side, size),
            Kind::MarketQuote(amount) => OrderRequest::market_quote(id, side, Decimal::from_int(amount)),
            Kind::Limit(away) => OrderRequest::limit(id, side, px(away), size),
            Kind::PostOnly(away) => OrderRequest::limit(id, side, px(away), size).post_only(),
            Kind::Ioc(away) => OrderRequest::limit(id, side, px(away), size).tif(TimeInForce::Ioc),
            Kind::Fok(away) => OrderRequest::limit(id, side, px(away), size).tif(TimeInForce::Fok),
            Kind::StopMarket(away) => stop_order(OrderKind::StopMarket { trigger: stop(away) }),
            Kind::StopLimit(away) => stop_order(OrderKind::StopLimit { trigger: stop(away), price: beyond(away) }),
            Kind::Trailing(callback_bps) => stop_order(OrderKind::TrailingStop { callback_bps, activation: None }),
            Kind::OffGrid => OrderRequest::limit(id, side, Price(px(10).0 + 1), size),
        }
    }

    fn act(&mut self, ctx: &mut Ctx<'_>, step: Step) {
        let id: InstrumentId = self.means.instrument;
        let Some(quote) = ctx.quote(id) else { return };
        match step {
            Step::Place { side, kind, lots } => {
                let order = ctx.place(self.request(quote, side, kind, lots));
                self.placed.push(order);
            }
            Step::Reduce { side, lots } => {
                let order = OrderRequest::market(id, side, Qty(self.means.size.0 * lots)).reduce_only();
                self.placed.push(ctx.place(order));
            }
            Step::Fine { side } => {
                let (tick, lot) = (ctx.instrument(id).tick, ctx.instrument(id).lot);
                let order = self.request(quote, side, Kind::Limit(30), 1);
                let px = order.kind.limit_price().unwrap_or_default();
                let size = Qty(self.means.size.0 + 3 * lot.0);
                self.placed.push(ctx.place(OrderRequest::limit(id, side, Price(px.0 + 7 * tick.0), size)));
            }
            Step::Crumb { side } => {
                let least = ctx.instrument(id).lot;
                let order = self.request(quote, side, Kind::Limit(100), 1);
                self.placed.push(ctx.place(OrderRequest { qty: OrderQty::Size(least), ..order }));
            }
            Step::Amend { order, away, lots } => {
                let Some(cl_ord_id) = self.placed.get(order - 1).copied() else { return };
                let Some(side) = ctx.order(cl_ord_id).map(|o| o.request.side) else { return };
                let wanted = self.request(quote, side, Kind::Limit(away.unwrap_or(0)), lots.unwrap_or(1));
                let price = away.and(wanted.kind.limit_price());
                ctx.amend(cl_ord_id, price, lots.map(|n| Qty(self.means.size.0 * n)));
            }
            Step::Cancel(order) => {
                if let Some(id) = self.placed.get(order - 1).copied() {
                    ctx.cancel(id);
                }
            }
            Step::CancelAll => drop(ctx.cancel_all(None)),
            Step::CloseAll => ctx.close_all(None),
        }
    }
}

impl Strategy for Planned {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe(self.means.instrument, Feeds::QUOTES);
        for (at, (ms, _)) in self.plan.iter().enumerate() {
            ctx.set_timer(Nanos::from_millis(*ms), at as u64);
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, token: u64) {
        if let Some((_, step)) = self.plan.get(token as usize).copied() {
            self.act(ctx, step);
        }
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.placed).unwrap_or_default()
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        self.placed = serde_json::from_value(state.clone()).map_err(|e| e.to_string())?;
        Ok(())
    }
}
