//! The replica that faces read: a picture of the shard, taken on its own thread and handed out whole.

use crate::live::GatewayStatus;
use crate::shard::{Shard, lock};
use crate::summary::{PositionSummary, RunFacts, Summary, positions};
use ctos_kernel::kill::Latch;
use ctos_kernel::{Order, ProcessState};
use ctos_types::{Decimal, HaltScope, OrderKind, OrderQty, OrderStatus, Side, UnixNanos};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// An open order, in the words and units of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub id: String,
    pub account: String,
    pub strategy: String,
    pub symbol: String,
    pub side: Side,
    pub kind: String,
    pub price: Option<Decimal>,
    pub trigger: Option<Decimal>,
    pub qty: Decimal,
    pub filled: Decimal,
    pub status: OrderStatus,
    pub post_only: bool,
    pub reduce_only: bool,
    /// A change was asked for and is neither confirmed nor refused.
    #[serde(default)]
    pub amending: bool,
    pub created: String,
    pub updated: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessView {
    pub id: u16,
    pub label: String,
    pub account: String,
    pub state: ProcessState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchView {
    pub scope: HaltScope,
    pub latch: Latch,
}

/// One market line of the live view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketView {
    pub symbol: String,
    pub bid: Option<Decimal>,
    pub ask: Option<Decimal>,
    pub last: Option<Decimal>,
    pub mark: Option<Decimal>,
    pub book_valid: bool,
    /// Market time since the last price, nanoseconds; absent before the first one.
    pub age_ns: Option<i64>,
}

/// Everything a face shows of a running instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub summary: Summary,
    pub orders: Vec<OrderView>,
    pub positions: Vec<PositionSummary>,
    pub processes: Vec<ProcessView>,
    pub latches: Vec<LatchView>,
    pub markets: Vec<MarketView>,
    /// Why the journal is not written any more, if it is not.
    pub degraded: Option<String>,
    /// How the links to venues are, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<GatewayStatus>,
}

/// Where the newest view is found.
#[derive(Clone, Debug, Default)]
pub struct ViewCell(Arc<Mutex<Option<Arc<View>>>>);

impl ViewCell {
    pub fn publish(&self, view: View) {
        *lock(&self.0) = Some(Arc::new(view));
    }
    /// `None` until the shard has published its first.
    pub fn latest(&self) -> Option<Arc<View>> {
        lock(&self.0).clone()
    }
}

impl View {
    pub fn of(shard: &Shard, facts: &RunFacts) -> View {
        let kernel = shard.kernel();
        let account = |id: ctos_types::AccountId| kernel.accounts()[id.0 as usize].name.clone();
        View {
            summary: Summary::of(shard, facts, ""),
            orders: kernel.open_orders().map(|o| order_view(shard, o)).collect(),
            positions: positions(shard),
            processes: kernel
                .processes()
                .map(|p| ProcessView { id: p.id.0, label: p.label, account: account(p.account), state: p.state })
                .collect(),
            latches: kernel.kill().latches().iter().map(|(s, l)| LatchView { scope: *s, latch: l.clone() }).collect(),
            markets: markets(shard),
            degraded: shard.degraded().map(String::from),
            live: None,
        }
    }
}

/// An order in the words of people.
pub fn order_view(shard: &Shard, order: &Order) -> OrderView {
    let kernel = shard.kernel();
    let r = &order.request;
    let instrument = kernel.instruments().get(r.instrument);
    let (kind, trigger) = match r.kind {
        OrderKind::Market => ("market", None),
        OrderKind::Limit { .. } => ("limit", None),
        OrderKind::StopMarket { trigger } => ("stop_market", Some(trigger)),
        OrderKind::StopLimit { trigger, .. } => ("stop_limit", Some(trigger)),
        OrderKind::TakeProfitMarket { trigger } => ("take_profit_market", Some(trigger)),
        OrderKind::TakeProfitLimit { trigger, .. } => ("take_profit_limit", Some(trigger)),
        OrderKind::TrailingStop { activation, .. } => ("trailing_stop", activation),
    };
    let qty = match r.qty {
        OrderQty::Size(qty) => instrument.qty_decimal(qty),
        OrderQty::Quote(_) => instrument.qty_decimal(order.size),
    };
    let strategy = kernel.processes().find(|p| p.id == r.strategy).map_or("external".into(), |p| p.label);
    OrderView {
        id: order.id().to_string(),
        account: kernel.accounts()[r.account.0 as usize].name.clone(),
        strategy,
        symbol: instrument.symbol.to_string(),
        side: r.side,
        kind: kind.into(),
        price: order.limit_price().map(|p| instrument.price_decimal(p)),
        trigger: trigger.map(|p| instrument.price_decimal(p)),
        qty,
        filled: instrument.qty_decimal(order.cum_qty),
        status: order.status,
        post_only: r.post_only,
        reduce_only: r.reduce_only,
        amending: order.pending_amend,
        created: order.created.to_string(),
        updated: order.updated.to_string(),
    }
}

fn markets(shard: &Shard) -> Vec<MarketView> {
    let kernel = shard.kernel();
    let view = |i: &ctos_types::Instrument| {
        let m = kernel.market(i.id);
        let quote = m.quote();
        let side = |qty: ctos_types::Qty, px| (qty.0 > 0).then(|| i.price_decimal(px));
        MarketView {
            symbol: i.symbol.to_string(),
            bid: quote.and_then(|q| side(q.bid_qty, q.bid_px)),
            ask: quote.and_then(|q| side(q.ask_qty, q.ask_px)),
            last: m.last().map(|p| i.price_decimal(p)),
            mark: m.mark_price().map(|m| m.mark),
            book_valid: m.book().is_some(),
            age_ns: (m.updated() > UnixNanos::MIN).then(|| kernel.now().0.saturating_sub(m.updated().0)),
        }
    };
    kernel.instruments().iter().map(view).collect()
}
