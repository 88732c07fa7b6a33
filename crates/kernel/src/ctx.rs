//! The syscalls: what a strategy can ask and do. Queries answer at once from kernel state; orders return their client
//! order id at once and their outcome arrives as events.

use crate::audit::Audit;
use crate::core::{BarFeed, Core};
use crate::orders::Order;
use crate::strategy::{Feeds, OrderRequest};
use ctos_types::{
    AccountId, ClientOrderId, Currency, Decimal, Instrument, InstrumentId, Instruments, Interval, L2Book, Leg, Nanos,
    Position, Price, Qty, Quote, Rounding, StrategyId, UnixNanos,
};

/// Audit entries of one input beyond which no point is drawn: what a strategy can make the kernel keep is bounded. It
/// is not counted as a request, which would end a strategy only where somebody looks.
const MAX_PLOTTED: usize = 10_000;

/// A strategy's view of the kernel during one callback.
pub struct Ctx<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) me: StrategyId,
    pub(crate) account: AccountId,
}

impl std::fmt::Debug for Ctx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("strategy", &self.me).field("account", &self.account).finish_non_exhaustive()
    }
}

impl Ctx<'_> {
    // ---- queries

    /// Kernel time: the stamp of the input being processed.
    pub fn now(&self) -> UnixNanos {
        self.core.s.now
    }

    pub fn strategy(&self) -> StrategyId {
        self.me
    }

    pub fn instruments(&self) -> &Instruments {
        &self.core.instruments
    }

    pub fn instrument(&self, id: InstrumentId) -> &Instrument {
        self.core.instruments.get(id)
    }

    /// Best bid and ask; `None` until one was seen.
    pub fn quote(&self, id: InstrumentId) -> Option<Quote> {
        self.core.s.markets[id.index()].quote()
    }

    /// The whole synchronised book; `None` while it is unknown (not seen yet, or updates were lost).
    pub fn book(&self, id: InstrumentId) -> Option<&L2Book> {
        self.core.s.markets[id.index()].book()
    }

    pub fn last_price(&self, id: InstrumentId) -> Option<Price> {
        self.core.s.markets[id.index()].last()
    }

    /// Mark price, else mid, else last trade, in quote currency.
    pub fn price(&self, id: InstrumentId) -> Option<Decimal> {
        self.core.reference(id)
    }

    /// [`Ctx::price`] as a price of the instrument's grid, rounded up where it lies between two.
    pub fn price_up(&self, id: InstrumentId) -> Option<Price> {
        self.core.s.markets[id.index()].grid_reference().or_else(|| {
            let px = self.core.reference(id)?;
            self.core.instruments.get(id).price_rounded(px, Rounding::Ceil).ok()
        })
    }

    /// Current funding rate per period of a perpetual, and when it is next paid.
    pub fn funding(&self, id: InstrumentId) -> Option<(Decimal, UnixNanos)> {
        self.core.s.markets[id.index()].mark_price().map(|m| (m.funding_rate, m.next_funding))
    }

    /// This strategy's own position, all legs netted.
    pub fn position(&self, id: InstrumentId) -> Position {
        self.core.s.portfolio.strategy_net(self.me, self.account, id)
    }

    /// This strategy's own position on one leg.
    pub fn position_on(&self, id: InstrumentId, leg: Leg) -> Position {
        self.core.s.portfolio.strategy_position(self.me, self.account, id, leg)
    }

    /// The account's position over all strategies.
    pub fn account_position(&self, id: InstrumentId, leg: Leg) -> Position {
        self.core.s.portfolio.position(self.account, id, leg)
    }

    /// What the account owns of a currency, net of borrowings.
    pub fn balance(&self, currency: Currency) -> Decimal {
        self.core.s.portfolio.cash(self.account, currency).ours
    }

    /// Worth of the account in its reporting currency.
    pub fn equity(&self) -> Decimal {
        self.core.equity(self.account)
    }

    /// This strategy's open orders, oldest first.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> + '_ {
        self.core.s.orders.open_of(self.me)
    }

    /// An order of this strategy: open, or closed not long ago.
    pub fn order(&self, id: ClientOrderId) -> Option<&Order> {
        self.core.s.orders.get(id).filter(|o| o.request.strategy == self.me)
    }

    // ---- orders

    /// Sends an order through the gates. Denied orders come back as `on_order` with status `Denied`.
    pub fn place(&mut self, request: OrderRequest) -> ClientOrderId {
        self.core.place(self.me, self.account, request)
    }

    /// Changes price and/or total size of an own open order. False when there is no such order or a change of it is
    /// already under way; a refusal by gates or venue arrives as `on_order` with `AmendRejected`.
    pub fn amend(&mut self, id: ClientOrderId, price: Option<Price>, qty: Option<Qty>) -> bool {
        self.core.amend(self.me, id, price, qty)
    }

    /// Asks for an own order's cancellation. False when it is not open or already being cancelled.
    pub fn cancel(&mut self, id: ClientOrderId) -> bool {
        self.core.s.orders.get(id).is_some_and(|o| o.request.strategy == self.me) && self.core.cancel(id)
    }

    /// Cancels all own orders, or those of one instrument. Returns how many were asked for.
    pub fn cancel_all(&mut self, only: Option<InstrumentId>) -> usize {
        let me = self.me;
        self.core.cancel_where(|o| o.request.strategy == me && only.is_none_or(|i| o.request.instrument == i))
    }

    /// Cancels all own orders and trades own positions back to flat at market.
    pub fn close_all(&mut self, only: Option<InstrumentId>) {
        self.core.close_all(self.me, self.account, only);
    }

    // ---- subscriptions, timers, notes

    /// Asks for market callbacks of an instrument, on top of those already asked for.
    pub fn subscribe(&mut self, id: InstrumentId, feeds: Feeds) {
        let me = self.me.0 as usize;
        let listeners = &mut self.core.s.listeners[id.index()];
        match listeners.iter_mut().find(|(who, _)| *who == me) {
            Some((_, have)) => *have = have.and(feeds),
            None => {
                listeners.push((me, feeds));
                // Callbacks go out in the order of strategies, whenever each subscribed.
                listeners.sort_by_key(|(who, _)| *who);
            }
        }
    }

    /// Asks for `on_bar` of an instrument at an interval.
    pub fn subscribe_bars(&mut self, id: InstrumentId, interval: Interval) {
        let me = self.me.0 as usize;
        let feeds = &mut self.core.s.bars[id.index()];
        let at = feeds.iter().position(|f| f.builder.interval() == interval).unwrap_or_else(|| {
            feeds.push(BarFeed::new(interval));
            feeds.len() - 1
        });
        if !feeds[at].listeners.contains(&me) {
            feeds[at].listeners.push(me);
            feeds[at].listeners.sort_unstable();
        }
    }

    /// `on_timer(token)` after `span`, once. A span below one millisecond counts as one.
    pub fn set_timer(&mut self, span: Nanos, token: u64) {
        self.core.set_timer(self.me, span, token);
    }

    /// Puts a line into the audit stream: for people, not for decisions.
    pub fn note(&mut self, text: impl Into<String>) {
        if self.core.admit(self.me) {
            self.core.audit(Audit::Note { strategy: self.me, text: text.into() });
        }
    }

    /// A point, now, of the line `name` over the instrument's prices, in quote currency: for charts, not for
    /// decisions. A value that is not finite is left out, and so is what a strategy plots without end on one event.
    pub fn plot(&mut self, instrument: InstrumentId, name: &'static str, value: f64) {
        let room = self.core.out.audits.len() < MAX_PLOTTED;
        if self.core.plots && value.is_finite() && room {
            self.core.audit(Audit::Plot { strategy: self.me, instrument, name, value });
        }
    }

    /// As [`Ctx::plot`] for points that are computed only to be drawn: `points` is not called where nobody looks. It
    /// must change nothing, or the run would depend on being watched.
    pub fn plot_all(&mut self, instrument: InstrumentId, points: impl Fn(&mut dyn FnMut(&'static str, f64))) {
        if self.core.plots {
            points(&mut |name, value| self.plot(instrument, name, value));
        }
    }
}
