//! What each kind of market event sets off, and what time alone does.
//! Never: the rules themselves. An event on a market without orders or positions costs only its book update.

use crate::core::{Core, Cx};
use ctos_types::{InstrumentId, Market, MarketData, Trade, UnixNanos};

impl Core {
    #[inline]
    pub fn on_market(&mut self, cx: &mut Cx<'_>, event: &Market<'_>) {
        let id = event.instrument;
        let model = self.rules.queue;
        let market = self.market_mut(id);
        match &event.data {
            MarketData::Quote { quote, update_id } => {
                market.apply_quote(quote, *update_id, model);
                self.after_book(cx, id);
            }
            MarketData::Depth { bids, asks, snapshot, update_id } => {
                let before = market.ambient.quote();
                market.apply_depth(bids, asks, *snapshot, *update_id, model);
                // Most updates are behind the best prices: they move queues, but nothing trades and no mark changes.
                if market.stirred || market.ambient.quote() != before {
                    self.after_book(cx, id);
                }
            }
            MarketData::Trade(trade) => self.on_trade(cx, id, trade),
            MarketData::Bar(bar) => self.on_bar(cx, id, bar),
            MarketData::Mark(mark) => {
                if mark.mark.is_positive() {
                    market.mark_feed = Some(mark.mark);
                    self.after_price(cx, id);
                }
            }
            MarketData::Funding(funding) => {
                if market.holders > 0 && funding.mark.is_positive() {
                    self.fund(cx, id, funding.rate, funding.mark);
                    self.check_margins(cx, id);
                }
            }
            MarketData::Gap => market.apply_gap(),
        }
    }

    fn after_book(&mut self, cx: &mut Cx<'_>, id: InstrumentId) {
        if self.market(id).has_orders() {
            self.match_crossed(cx, id);
        }
        self.after_price(cx, id);
    }

    fn on_trade(&mut self, cx: &mut Cx<'_>, id: InstrumentId, trade: &Trade) {
        if trade.qty.0 <= 0 {
            return;
        }
        let market = self.market_mut(id);
        market.see_book();
        if market.has_orders() {
            self.match_trade(cx, id, trade);
        }
        self.market_mut(id).set_last(trade.price);
        self.after_price(cx, id);
    }

    #[inline]
    fn after_price(&mut self, cx: &mut Cx<'_>, id: InstrumentId) {
        if !self.market(id).triggers.is_empty() {
            self.check_triggers(cx, id);
        }
        self.check_margins(cx, id);
        self.market_mut(id).stirred = false;
    }

    // ---- time

    /// When something is next due by time alone.
    #[inline]
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        let mut due = self.interest_due.unwrap_or(UnixNanos::MAX);
        if let Some((at, _)) = self.deliveries.last() {
            due = due.min(*at);
        }
        if !self.expiries.is_empty()
            && let Some((at, ..)) = self.expiries.first()
        {
            due = due.min(*at);
        }
        (due < UnixNanos::MAX).then_some(due)
    }

    /// Does everything due up to `cx.now`, each at its own time.
    #[inline]
    pub fn advance(&mut self, cx: &mut Cx<'_>) {
        let reached = |at: &UnixNanos| *at <= cx.now;
        let due = self.interest_due.as_ref().is_some_and(reached)
            || self.deliveries.last().is_some_and(|(at, _)| reached(at))
            || (!self.expiries.is_empty() && self.expiries.first().is_some_and(|(at, ..)| reached(at)));
        if due {
            self.do_due(cx);
        }
        self.now = cx.now;
    }

    #[cold]
    fn do_due(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        while let Some(at) = self.next_deadline().filter(|at| *at <= now) {
            cx.now = at.max(self.now);
            if self.interest_due == Some(at) {
                self.charge_interest(cx);
            } else if let Some((_, id)) = self.deliveries.pop_if(|(due, _)| *due == at) {
                self.deliver(cx, id);
            } else if let Some((_, seq, slot)) = self.expiries.pop_first() {
                self.expire(cx, seq, slot);
            }
        }
        cx.now = now;
    }
}
