//! The contract between the kernel and a strategy (a process).

use crate::audit::OrderChange;
use crate::ctx::Ctx;
use crate::orders::Order;
use ctos_types::{
    Bar, ClientOrderId, Decimal, Fill, InstrumentId, Leg, OrderKind, OrderQty, PositionEffect, Price, Qty, Quote, Side,
    TimeInForce, Trade, TriggerBy,
};

/// A market tick: a changed best bid or ask, or a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    Quote(Quote),
    Trade(Trade),
}

/// Which market callbacks a strategy wants for an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Feeds(u8);

impl Feeds {
    /// `on_tick` with quotes. Depth updates that move the top count as quotes.
    pub const QUOTES: Feeds = Feeds(1);
    /// `on_tick` with trades.
    pub const TRADES: Feeds = Feeds(2);
    /// `on_book` after each depth update.
    pub const BOOK: Feeds = Feeds(4);

    pub const fn and(self, other: Feeds) -> Feeds {
        Feeds(self.0 | other.0)
    }
    pub const fn has(self, other: Feeds) -> bool {
        self.0 & other.0 != 0
    }
}

/// How an account keeps the positions of a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionMode {
    /// One net position; orders name no leg.
    OneWay,
    /// A long and a short leg apart; every order names its own.
    Hedge,
}

/// A trading process. Every callback runs on the kernel's thread, one at a time, in a fixed order among strategies.
///
/// A strategy must be deterministic: decide from what `ctx` and the callbacks say, and from nothing else.
/// `save` returns all state that a restart must bring back; `restore` gets the same value.
pub trait Strategy: Send {
    /// Subscribe and set timers here.
    fn on_start(&mut self, ctx: &mut Ctx<'_>);
    fn on_tick(&mut self, _ctx: &mut Ctx<'_>, _instrument: InstrumentId, _tick: &Tick) {}
    fn on_book(&mut self, _ctx: &mut Ctx<'_>, _instrument: InstrumentId) {}
    /// The book of a subscribed instrument became unknown (lost updates) until it is whole again.
    fn on_gap(&mut self, _ctx: &mut Ctx<'_>, _instrument: InstrumentId) {}
    /// A subscribed bar closed.
    fn on_bar(&mut self, _ctx: &mut Ctx<'_>, _instrument: InstrumentId, _bar: &Bar) {}
    /// One of the strategy's orders changed. Called before `on_fill` for a fill. Denied orders come here too,
    /// with status `Denied`.
    fn on_order(&mut self, _ctx: &mut Ctx<'_>, _order: &Order, _change: OrderChange) {}
    fn on_fill(&mut self, _ctx: &mut Ctx<'_>, _order: &Order, _fill: &Fill) {}
    fn on_timer(&mut self, _ctx: &mut Ctx<'_>, _token: u64) {}
    /// The strategy is being stopped. Its open orders are cancelled after this call.
    fn on_stop(&mut self, _ctx: &mut Ctx<'_>) {}
    fn save(&self) -> serde_json::Value;
    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String>;

    /// The position modes that its orders fit. On an account in another one it is not started: every order would be
    /// refused. One whose orders name legs says [`PositionMode::Hedge`] here.
    fn position_modes(&self) -> &'static [PositionMode] {
        &[PositionMode::OneWay]
    }
    /// What it orders, where that is known before it starts: what cannot be traded on its account is then told at once.
    /// Empty: it may be anything of the run.
    fn trades(&self) -> Vec<InstrumentId> {
        Vec::new()
    }
}

/// What a strategy asks for when it places an order. Built by one of the constructors and refined by the setters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRequest {
    pub instrument: InstrumentId,
    pub side: Side,
    pub kind: OrderKind,
    pub qty: OrderQty,
    pub tif: TimeInForce,
    pub post_only: bool,
    pub reduce_only: bool,
    pub position_effect: PositionEffect,
    pub leg: Leg,
    pub trigger_by: TriggerBy,
    /// Whether what it lacks may be borrowed (spot with borrowed money); `None`: as the account is set.
    pub auto_borrow: Option<bool>,
}

impl OrderRequest {
    pub fn new(instrument: InstrumentId, side: Side, kind: OrderKind, qty: OrderQty) -> OrderRequest {
        OrderRequest {
            instrument,
            side,
            kind,
            qty,
            tif: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            position_effect: PositionEffect::Auto,
            leg: Leg::Net,
            trigger_by: TriggerBy::Last,
            auto_borrow: None,
        }
    }
    pub fn market(instrument: InstrumentId, side: Side, qty: Qty) -> OrderRequest {
        Self::new(instrument, side, OrderKind::Market, OrderQty::Size(qty))
    }
    /// A market order for an amount of quote currency.
    pub fn market_quote(instrument: InstrumentId, side: Side, amount: Decimal) -> OrderRequest {
        Self::new(instrument, side, OrderKind::Market, OrderQty::Quote(amount))
    }
    pub fn limit(instrument: InstrumentId, side: Side, price: Price, qty: Qty) -> OrderRequest {
        Self::new(instrument, side, OrderKind::Limit { price }, OrderQty::Size(qty))
    }
    pub fn post_only(self) -> OrderRequest {
        OrderRequest { post_only: true, ..self }
    }
    pub fn reduce_only(self) -> OrderRequest {
        OrderRequest { reduce_only: true, ..self }
    }
    pub fn tif(self, tif: TimeInForce) -> OrderRequest {
        OrderRequest { tif, ..self }
    }
    pub fn leg(self, leg: Leg, position_effect: PositionEffect) -> OrderRequest {
        OrderRequest { leg, position_effect, ..self }
    }
    pub fn trigger_by(self, trigger_by: TriggerBy) -> OrderRequest {
        OrderRequest { trigger_by, ..self }
    }
    pub fn auto_borrow(self, yes: bool) -> OrderRequest {
        OrderRequest { auto_borrow: Some(yes), ..self }
    }

    /// The request as an order of a strategy on an account.
    pub fn into_order(
        self,
        account: ctos_types::AccountId,
        strategy: ctos_types::StrategyId,
        cl_ord_id: ClientOrderId,
    ) -> ctos_types::NewOrder {
        ctos_types::NewOrder {
            account,
            strategy,
            cl_ord_id,
            instrument: self.instrument,
            side: self.side,
            kind: self.kind,
            qty: self.qty,
            tif: self.tif,
            post_only: self.post_only,
            reduce_only: self.reduce_only,
            position_effect: self.position_effect,
            leg: self.leg,
            trigger_by: self.trigger_by,
            auto_borrow: self.auto_borrow,
        }
    }
}
