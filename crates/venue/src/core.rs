//! The exchange's state, and what every part of it shares: ids, reports, what must be told at the end of a call.
//! Never: a rule of trading; those are in the files named after them.

use crate::Private;
use crate::account::{Account, OpenRef};
use crate::config::{ExchangeConfig, QueueModel, SelfTradePrevention};
use crate::market::MarketState;
use crate::orders::{Order, Slab, Stage};
use ctos_types::{
    AccountEvent, AccountId, CancelReason, Currency, Decimal, Instrument, InstrumentId, InstrumentKind, Instruments,
    Leg, OrderReport, RejectReason, ReportBody, Request, Text, TimeInForce, UnixNanos, VenueOrderId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What one call works with.
pub(crate) struct Cx<'a> {
    pub now: UnixNanos,
    pub all: &'a Instruments,
    pub out: &'a mut Vec<Private>,
}

/// The settings that are not an account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub queue: QueueModel,
    pub stp: SelfTradePrevention,
    pub bar_slippage_ticks: u32,
    #[serde(default)]
    pub bar_slippage_range_pct: u32,
    #[serde(default)]
    pub bar_taker_fees: bool,
    pub bar_touch_fills: bool,
    pub max_open_orders: u32,
}

/// What changed during a call and is told once at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Touched {
    cash: Vec<(u16, Currency)>,
    positions: Vec<(u16, InstrumentId, Leg)>,
    margins: Vec<(u16, InstrumentId)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Core {
    pub rules: Rules,
    /// By instrument.
    pub markets: Vec<MarketState>,
    pub orders: Slab,
    /// Ascending by id.
    pub accounts: Vec<Account>,
    /// Time reached: calls never go back behind it.
    pub now: UnixNanos,
    next_order: u64,
    next_priority: u64,
    next_exec: u64,
    /// Good-till-date orders: (when, venue order id, slot).
    pub expiries: BTreeSet<(UnixNanos, u64, u32)>,
    /// Dated futures still to be settled, latest first.
    pub deliveries: Vec<(UnixNanos, InstrumentId)>,
    /// The next full hour, while anybody owes anything.
    pub interest_due: Option<UnixNanos>,
    touched: Touched,
    /// Room for a short list, between uses.
    #[serde(skip)]
    pub scratch: Vec<(u64, u32)>,
}

impl Core {
    pub fn new(all: &Instruments, config: ExchangeConfig) -> Core {
        let rules = Rules {
            queue: config.queue,
            stp: config.stp,
            bar_slippage_ticks: config.bar_slippage_ticks,
            bar_slippage_range_pct: config.bar_slippage_range_pct.min(100),
            bar_taker_fees: config.bar_taker_fees,
            bar_touch_fills: config.bar_touch_fills,
            max_open_orders: config.max_open_orders,
        };
        let mut accounts: Vec<Account> = config.accounts.into_iter().map(Account::new).collect();
        accounts.sort_by_key(|a| a.config.id);
        let expiry = |i: &Instrument| match i.kind {
            InstrumentKind::Future { expiry, .. } => Some((expiry, i.id)),
            _ => None,
        };
        let mut deliveries: Vec<_> = all.iter().filter_map(expiry).collect();
        deliveries.sort_by(|a, b| b.cmp(a));
        Core {
            rules,
            markets: all.iter().map(|_| MarketState::new()).collect(),
            orders: Slab::default(),
            accounts,
            now: UnixNanos::MIN,
            next_order: 0,
            next_priority: 0,
            next_exec: 0,
            expiries: BTreeSet::new(),
            deliveries,
            interest_due: None,
            touched: Touched::default(),
            scratch: Vec::new(),
        }
    }

    pub fn account_index(&self, id: AccountId) -> Option<u16> {
        self.accounts.binary_search_by_key(&id, |a| a.config.id).ok().map(|at| at as u16)
    }

    pub fn account(&self, index: u16) -> &Account {
        &self.accounts[index as usize]
    }

    pub fn account_mut(&mut self, index: u16) -> &mut Account {
        &mut self.accounts[index as usize]
    }

    pub fn market(&self, id: InstrumentId) -> &MarketState {
        &self.markets[id.index()]
    }

    pub fn market_mut(&mut self, id: InstrumentId) -> &mut MarketState {
        &mut self.markets[id.index()]
    }

    pub fn next_order_id(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    pub fn next_priority(&mut self) -> u64 {
        self.next_priority += 1;
        self.next_priority
    }

    pub fn next_exec_id(&mut self) -> u64 {
        self.next_exec += 1;
        self.next_exec
    }

    // ---- reports

    /// Reports on an open order.
    pub fn report(&self, cx: &mut Cx<'_>, order: &Order, body: ReportBody) {
        cx.out.push(Private::Report(OrderReport {
            account: order.request.account,
            instrument: order.request.instrument,
            cl_ord_id: (!order.foreign).then_some(order.request.cl_ord_id),
            venue_order_id: VenueOrderId::from_u64(order.seq),
            ts_event: cx.now,
            body,
        }));
    }

    pub fn tell(&self, cx: &mut Cx<'_>, event: AccountEvent) {
        cx.out.push(Private::Account(event));
    }

    // ---- order lists

    /// Puts a checked order on the account's lists.
    pub fn enlist(&mut self, order: Order) -> u32 {
        let slot = self.orders.insert(order);
        if order.foreign {
            return slot;
        }
        if let TimeInForce::Gtd(at) = order.request.tif {
            self.expiries.insert((at, order.seq, slot));
        }
        let account = self.account_mut(order.account);
        account.open.push(OpenRef { seq: order.seq, slot, instrument: order.instrument() });
        account.by_client.insert(order.request.cl_ord_id, slot);
        account.used.insert(order.request.cl_ord_id);
        account.reducers += u32::from(order.reduce);
        slot
    }

    /// Takes the order out of whatever it waits in.
    pub fn withdraw(&mut self, slot: u32) {
        let order = &mut self.orders[slot];
        let stage = std::mem::replace(&mut order.stage, Stage::Active);
        let market = &mut self.markets[order.instrument().index()];
        match stage {
            Stage::Active => {}
            Stage::Resting => {
                if let Some(price) = order.limit() {
                    market.queue_mut(order.side()).remove(price, order.priority);
                }
            }
            Stage::Waiting => market.triggers.retain(|s| *s != slot),
            Stage::Pending => market.pending.retain(|s| *s != slot),
        }
    }

    /// Closes the order: off every list, its hold released.
    pub fn close(&mut self, slot: u32) -> Order {
        self.withdraw(slot);
        self.set_hold(slot, Decimal::ZERO);
        let order = self.orders.remove(slot);
        if order.foreign {
            return order;
        }
        if let TimeInForce::Gtd(at) = order.request.tif {
            self.expiries.remove(&(at, order.seq, slot));
        }
        let account = self.account_mut(order.account);
        if let Ok(at) = account.open.binary_search_by_key(&order.seq, |o| o.seq) {
            account.open.remove(at);
        }
        account.by_client.remove(&order.request.cl_ord_id);
        account.reducers -= u32::from(order.reduce);
        self.touch_margin(order.account, order.instrument());
        order
    }

    pub fn cancel(&mut self, cx: &mut Cx<'_>, slot: u32, reason: CancelReason) {
        let order = self.close(slot);
        self.report(cx, &order, ReportBody::Canceled { reason });
    }

    /// Slots of an account's open orders, of one instrument or of all, in order of acceptance.
    pub fn open_slots(&self, account: u16, instrument: Option<InstrumentId>) -> Vec<u32> {
        let open = self.account(account).open.iter();
        open.filter(|o| instrument.is_none_or(|i| i == o.instrument)).map(|o| o.slot).collect()
    }

    // ---- what to tell at the end

    pub fn touch_cash(&mut self, account: u16, currency: Currency) {
        if !self.touched.cash.contains(&(account, currency)) {
            self.touched.cash.push((account, currency));
        }
    }

    pub fn touch_position(&mut self, account: u16, instrument: InstrumentId, leg: Leg) {
        if !self.touched.positions.contains(&(account, instrument, leg)) {
            self.touched.positions.push((account, instrument, leg));
        }
    }

    /// The holds of the account's orders on a contract may have changed.
    pub fn touch_margin(&mut self, account: u16, instrument: InstrumentId) {
        if !self.touched.margins.contains(&(account, instrument)) {
            self.touched.margins.push((account, instrument));
        }
    }

    /// Ends a call: holds, borrowings, then the account events, each once and in a fixed order.
    #[inline]
    pub fn flush(&mut self, cx: &mut Cx<'_>) {
        let touched = &self.touched;
        if !(touched.margins.is_empty() && touched.cash.is_empty() && touched.positions.is_empty()) {
            self.tell_touched(cx);
        }
    }

    fn tell_touched(&mut self, cx: &mut Cx<'_>) {
        // Holds may touch more cash, and nothing else.
        for n in 0..self.touched.margins.len() {
            let (account, instrument) = self.touched.margins[n];
            self.refresh_margin_holds(account, cx.all.get(instrument));
        }
        self.touched.margins.clear();
        // Each is there once.
        if self.touched.positions.len() > 1 {
            self.touched.positions.sort_unstable();
        }
        for &(account, instrument, leg) in &self.touched.positions {
            let a = self.account(account);
            let qty = a.position(instrument, leg).qty;
            self.tell(cx, AccountEvent::Position { account: a.config.id, instrument, leg, qty });
        }
        self.touched.positions.clear();
        if self.touched.cash.len() > 1 {
            self.touched.cash.sort_unstable();
        }
        for n in 0..self.touched.cash.len() {
            let (account, currency) = self.touched.cash[n];
            self.rebalance(cx, account, currency);
            let a = self.account(account);
            self.tell(cx, AccountEvent::Balance { account: a.config.id, currency, balance: a.balance(currency) });
        }
        self.touched.cash.clear();
    }
}

/// A refusal of a request about an order that is not in the book.
pub(crate) fn refusal(
    now: UnixNanos,
    account: AccountId,
    instrument: InstrumentId,
    cl_ord_id: ctos_types::ClientOrderId,
    request: Request,
    reason: RejectReason,
) -> Private {
    Private::Report(OrderReport {
        account,
        instrument,
        cl_ord_id: Some(cl_ord_id),
        venue_order_id: VenueOrderId::EMPTY,
        ts_event: now,
        body: ReportBody::Rejected { request, reason, code: Text::EMPTY },
    })
}
