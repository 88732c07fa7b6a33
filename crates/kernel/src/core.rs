//! The kernel's state apart from the strategies themselves, and everything that changes it.

use crate::audit::{Alarm, Audit, OrderChange};
use crate::bars::BarBuilder;
use crate::hash::CommandHash;
use crate::kernel::{AccountSpec, Output, ProcessState};
use crate::kill::{KillSwitch, VERIFY_EVERY};
use crate::market::MarketState;
use crate::orders::{Order, OrderStore};
use crate::portfolio::Portfolio;
use crate::risk::{self, Approved, Check, Denied, Limits, Traffic};
use crate::strategy::{Feeds, OrderRequest};
use ctos_types::{
    AccountEvent, AccountId, AmendOrder, Bar, CancelOrder, ClientOrderId, Command, Currency, Decimal, Fill, HaltScope,
    InstanceTag, Instrument, InstrumentId, Instruments, KillState, Leg, Nanos, NewOrder, NumberError, OrderKind,
    OrderQty, OrderReport, OrderStatus, Price, Qty, ReportBody, Rounding, Side, StrategyId, UnixNanos,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// How often equity is sampled and the loss breakers look.
const MONITOR_EVERY: Nanos = Nanos::from_secs(1);
/// Orders and refusals one strategy may cause within one input before it counts as running away.
const MAX_INTENTS_PER_STEP: u32 = 10_000;

/// Something a strategy must be told once the callback that caused it has returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub strategy: StrategyId,
    pub order: Box<Order>,
    pub change: OrderChange,
    pub fill: Option<Fill>,
}

/// A bar builder and who listens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BarFeed {
    pub builder: BarBuilder,
    pub listeners: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub due: UnixNanos,
    /// Timers that are due together fire in the order they were set.
    pub seq: u64,
    pub strategy: StrategyId,
    pub token: u64,
}

/// Highest and day-start equity of an account, for the breakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watermark {
    pub peak: Decimal,
    pub day: i64,
    pub day_start: Decimal,
    pub set: bool,
}

/// State that a snapshot carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub now: UnixNanos,
    pub next_input: u64,
    pub markets: Vec<MarketState>,
    pub listeners: Vec<Vec<(usize, Feeds)>>,
    pub bars: Vec<Vec<BarFeed>>,
    pub orders: OrderStore,
    pub portfolio: Portfolio,
    pub kill: KillSwitch,
    pub traffic: Vec<Traffic>,
    pub timers: BTreeSet<Timer>,
    pub timer_seq: u64,
    pub notices: VecDeque<Notice>,
    pub watermarks: Vec<Watermark>,
    pub monitor_due: UnixNanos,
    pub journal_ok: bool,
    pub hash: CommandHash,
    pub commands_out: u64,
    /// Orders and amends that the gates refused.
    pub denied: u64,
}

pub(crate) struct Core {
    pub instruments: Instruments,
    pub accounts: Vec<AccountSpec>,
    pub limits: Vec<Limits>,
    pub tag: InstanceTag,
    pub s: State,
    pub out: Output,
    pub closed_bars: Vec<(InstrumentId, usize, Bar)>,
    /// When something is due even if no input comes.
    pub deadline: UnixNanos,
    /// Which input the intents of each strategy were counted in, and how many there were.
    pub intents: Vec<(u64, u32)>,
    /// For each currency and account: the instrument whose price converts it to the reporting currency.
    rate_sources: Vec<(AccountId, Currency, InstrumentId)>,
}

impl Core {
    pub fn new(
        instruments: Instruments,
        accounts: Vec<AccountSpec>,
        limits: Vec<Limits>,
        tag: InstanceTag,
        kill: KillSwitch,
    ) -> Core {
        let n = instruments.len();
        let rate_sources = rate_sources(&instruments, &accounts);
        let s = State {
            now: UnixNanos::MIN,
            next_input: 0,
            markets: vec![MarketState::default(); n],
            listeners: vec![Vec::new(); n],
            bars: vec![Vec::new(); n],
            orders: OrderStore::default(),
            portfolio: Portfolio::default(),
            kill,
            traffic: vec![Traffic::default(); accounts.len()],
            timers: BTreeSet::new(),
            timer_seq: 0,
            notices: VecDeque::new(),
            watermarks: vec![Watermark::default(); accounts.len()],
            monitor_due: UnixNanos::MAX,
            journal_ok: true,
            hash: CommandHash::default(),
            commands_out: 0,
            denied: 0,
        };
        let intents = vec![(0, 0); limits.len()];
        let out = Output::default();
        Core {
            instruments,
            accounts,
            limits,
            tag,
            s,
            out,
            closed_bars: Vec::new(),
            deadline: UnixNanos::MAX,
            intents,
            rate_sources,
        }
    }

    pub fn audit(&mut self, audit: Audit) {
        self.out.audits.push(audit);
    }

    pub fn alarm(&mut self, alarm: Alarm) {
        self.audit(Audit::Alarm(alarm));
    }

    pub fn wake_at(&mut self, at: UnixNanos) {
        self.deadline = self.deadline.min(at);
    }

    /// The earliest moment at which a timer, a bar, the monitor or a halt check is due.
    pub fn refresh_deadline(&mut self) {
        let timer = self.s.timers.first().map(|t| t.due);
        let bars = self.s.bars.iter().flatten().filter_map(|f| f.builder.deadline()).min();
        let halts = self.s.kill.unverified().map(|(_, at)| at).min();
        let due = [timer, bars, halts].into_iter().flatten().min().unwrap_or(UnixNanos::MAX);
        self.deadline = due.min(self.s.monitor_due);
    }

    pub fn reference(&self, id: InstrumentId) -> Option<Decimal> {
        self.s.markets[id.index()].reference(self.instruments.get(id))
    }

    // ---- intents of strategies

    pub fn place(&mut self, strategy: StrategyId, account: AccountId, request: OrderRequest) -> ClientOrderId {
        let id = ClientOrderId { tag: self.tag, seq: self.s.orders.next_seq() };
        let order = request.into_order(account, strategy, id);
        self.count_intent(strategy);
        let size = self.estimate_size(&order);
        match self.check(&order, size, None) {
            Ok(approved) => {
                let order = Order::new(order, size, self.s.now);
                self.audit(Audit::Order { order: Box::new(order.clone()), change: OrderChange::Sent });
                self.s.orders.insert(order);
                self.s.traffic[account.0 as usize].ordered(self.s.now);
                self.send(approved);
            }
            Err(denied) => self.deny(order, size, denied),
        }
        id
    }

    fn count_intent(&mut self, strategy: StrategyId) {
        let seq = self.s.next_input;
        let Some((at, count)) = self.intents.get_mut(strategy.0 as usize) else { return };
        if *at != seq {
            (*at, *count) = (seq, 0);
        }
        *count += 1;
    }

    /// Whether the strategy keeps sending without end within one input.
    pub fn is_flooding(&self, strategy: StrategyId) -> bool {
        let (at, count) = self.intents[strategy.0 as usize];
        at == self.s.next_input && count > MAX_INTENTS_PER_STEP
    }

    fn estimate_size(&self, order: &NewOrder) -> Qty {
        let instrument = self.instruments.get(order.instrument);
        match order.qty {
            OrderQty::Size(qty) => qty,
            OrderQty::Quote(amount) => {
                let px =
                    self.reference(order.instrument).and_then(|r| instrument.price_rounded(r, Rounding::Floor).ok());
                px.and_then(|px| instrument.qty_for_quote(amount, px).ok()).unwrap_or(Qty(0))
            }
        }
    }

    fn deny(&mut self, request: NewOrder, size: Qty, denied: Denied) {
        self.s.denied += 1;
        let mut order = Order::new(request, size, self.s.now);
        order.status = OrderStatus::Denied;
        self.audit(Audit::Denied { order: Box::new(request), denied });
        let (strategy, order) = (request.strategy, Box::new(order));
        self.s.notices.push_back(Notice { strategy, order, change: OrderChange::Denied, fill: None });
    }

    /// Asks the gates about an order, or about what `replacing` would become.
    fn check(&self, order: &NewOrder, size: Qty, replacing: Option<&Order>) -> Result<Approved<Command>, Denied> {
        let (s, account) = (&self.s, order.account);
        let instrument = self.instruments.get(order.instrument);
        let mut exposure = s.orders.exposure(account, order.instrument);
        let mut open_orders: u32 = s.orders.exposures().filter(|(a, ..)| *a == account).map(|(_, _, e)| e.orders).sum();
        if let Some(old) = replacing {
            match old.request.side {
                Side::Buy => exposure.buy -= old.leaves().0,
                Side::Sell => exposure.sell -= old.leaves().0,
            }
            open_orders -= 1;
        }
        let replaced = replacing.map(Order::id);
        let spec = &self.accounts[account.0 as usize];
        let free = (instrument.is_spot() && !spec.borrow).then(|| self.free_to_spend(order, instrument, replaced));
        Check {
            now: s.now,
            order,
            size,
            instrument,
            market: &s.markets[order.instrument.index()],
            limits: &self.limits[order.strategy.0 as usize],
            kill: s.kill.effective(account, order.strategy),
            journal_ok: s.journal_ok,
            traffic: &s.traffic[account.0 as usize],
            position: s.portfolio.net_qty(account, order.instrument),
            exposure,
            open_orders,
            other_notional: self.other_notional(account, order.instrument),
            equity: self.equity(account),
            free,
            account_leverage: spec.leverage,
            orders: &s.orders,
            replaced,
        }
        .approve()
    }

    /// Spot money in the currency the order spends, less what open orders of the account already claim.
    fn free_to_spend(&self, order: &NewOrder, instrument: &Instrument, except: Option<ClientOrderId>) -> Decimal {
        let currency = if order.side == Side::Buy { instrument.quote } else { instrument.base };
        let claimed: Decimal = self
            .s
            .orders
            .open()
            .filter(|o| o.request.account == order.account && Some(o.id()) != except)
            .map(|o| self.claim(o, currency))
            .sum();
        self.s.portfolio.cash(order.account, currency).ours - claimed
    }

    /// What an open spot order takes from `currency` when it fills.
    fn claim(&self, order: &Order, currency: Currency) -> Decimal {
        let instrument = self.instruments.get(order.request.instrument);
        if !instrument.is_spot() {
            return Decimal::ZERO;
        }
        match order.request.side {
            Side::Sell if instrument.base == currency => instrument.qty_decimal(order.leaves()),
            Side::Buy if instrument.quote == currency => {
                let px = order.limit_price().map(|p| instrument.price_decimal(p));
                let px = px.or_else(|| self.reference(instrument.id)).unwrap_or_default();
                let worth = instrument.notional_at(px, order.leaves()).unwrap_or(Decimal::ZERO);
                let fee = Decimal::ONE + instrument.taker_fee.max(Decimal::ZERO);
                worth.mul(fee, Rounding::Up).unwrap_or(worth)
            }
            _ => Decimal::ZERO,
        }
    }

    /// Worth of every other instrument's position in the worst case of its open orders.
    fn other_notional(&self, account: AccountId, except: InstrumentId) -> Decimal {
        let mut sum = Decimal::ZERO;
        for instrument in self.instruments.iter().filter(|i| i.id != except) {
            let (position, e) =
                (self.s.portfolio.net_qty(account, instrument.id).0, self.s.orders.exposure(account, instrument.id));
            let worst = (position.saturating_add(e.buy)).abs().max(position.saturating_sub(e.sell).abs());
            if worst != 0
                && let Some(reference) = self.reference(instrument.id)
            {
                let worth = instrument.notional_at(reference, Qty(worst)).unwrap_or(Decimal::MAX);
                sum = sum.checked_add(worth).unwrap_or(Decimal::MAX);
            }
        }
        sum
    }

    pub fn amend(&mut self, strategy: StrategyId, id: ClientOrderId, price: Option<Price>, qty: Option<Qty>) -> bool {
        self.count_intent(strategy);
        let Some(order) = self.s.orders.get(id).filter(|o| o.request.strategy == strategy && o.is_open()).cloned()
        else {
            return false;
        };
        if order.pending_cancel || order.pending_amend || (price.is_none() && qty.is_none()) {
            return false;
        }
        let amend = AmendOrder {
            account: order.request.account,
            cl_ord_id: id,
            instrument: order.request.instrument,
            price,
            qty,
        };
        let approved = match risk::approve_shrink(&order, amend) {
            Some(approved) => approved,
            None => {
                let (wanted, size) = amended(&order, price, qty);
                match self.check(&wanted, size, Some(&order)) {
                    Ok(checked) => risk::approve_amend(checked, amend),
                    Err(denied) => {
                        self.s.denied += 1;
                        self.audit(Audit::Denied { order: Box::new(wanted), denied });
                        let order = Box::new(order);
                        self.s.notices.push_back(Notice {
                            strategy,
                            order,
                            change: OrderChange::AmendRejected,
                            fill: None,
                        });
                        return true;
                    }
                }
            }
        };
        self.s.orders.set_pending_amend(id);
        self.send(approved);
        true
    }

    pub fn cancel(&mut self, id: ClientOrderId) -> bool {
        let Some(order) = self.s.orders.get(id).filter(|o| o.is_open() && !o.pending_cancel) else { return false };
        let (account, instrument) = (order.request.account, order.request.instrument);
        self.s.orders.set_pending_cancel(id);
        self.send(risk::approve_cancel(Command::Cancel(CancelOrder { account, cl_ord_id: id, instrument })));
        true
    }

    pub fn cancel_where(&mut self, filter: impl Fn(&Order) -> bool) -> usize {
        let ids = self.s.orders.open_ids(|o| !o.pending_cancel && filter(o));
        ids.iter().filter(|(id, ..)| self.cancel(*id)).count()
    }

    /// Cancels its orders and trades the strategy's positions back to flat at market.
    pub fn close_all(&mut self, strategy: StrategyId, account: AccountId, only: Option<InstrumentId>) {
        self.cancel_where(|o| o.request.strategy == strategy && only.is_none_or(|i| o.request.instrument == i));
        let held: Vec<_> = self
            .s
            .portfolio
            .ledgers()
            .filter(|((s, a, i, _), l)| {
                *s == strategy && *a == account && only.is_none_or(|o| o == *i) && !l.position.is_flat()
            })
            .map(|((_, _, i, leg), l)| (i, leg, l.position.qty))
            .collect();
        for (id, leg, qty) in held {
            let side = if qty.0 > 0 { Side::Sell } else { Side::Buy };
            let size = self.closable(account, id, qty);
            if size.0 > 0 {
                let close =
                    if leg == Leg::Net { ctos_types::PositionEffect::Auto } else { ctos_types::PositionEffect::Close };
                self.place(strategy, account, OrderRequest::market(id, side, size).leg(leg, close));
            }
        }
    }

    /// What of a position can be sent as one order: a spot sale cannot sell the part that went for fees.
    fn closable(&self, account: AccountId, id: InstrumentId, qty: Qty) -> Qty {
        let instrument = self.instruments.get(id);
        let mut size = qty.abs();
        if instrument.is_spot() && qty.0 > 0 {
            let owned = self.s.portfolio.cash(account, instrument.base).ours;
            size = size.min(instrument.qty_down(owned.max(Decimal::ZERO)).unwrap_or(size));
        }
        Qty((size.0 - size.0 % instrument.lot.0).min(instrument.max_qty.0))
    }

    pub fn send(&mut self, approved: Approved<Command>) {
        if let Some(account) = risk::counts_as_cancel(approved.get()) {
            self.s.traffic[account.0 as usize].cancelled(self.s.now);
        }
        // The input in progress is the cause: `next_input` was already advanced past it.
        self.s.hash.push(self.s.next_input - 1, self.s.now, approved.get());
        self.s.commands_out += 1;
        self.out.commands.push(approved);
    }

    // ---- venue reports

    pub fn on_report(&mut self, report: &OrderReport) {
        let foreign = report.cl_ord_id.filter(|id| id.tag != self.tag);
        let report = &OrderReport { cl_ord_id: report.cl_ord_id.filter(|_| foreign.is_none()), ..*report };
        if let Some(id) = foreign {
            self.alarm(Alarm::ForeignInstance { id });
            self.halt(
                HaltScope::Account(report.account),
                KillState::Halted,
                "orders of another ctos instance on this account",
            );
        }
        let instrument = self.instruments.get(report.instrument);
        let value = match &report.body {
            ReportBody::Fill(fill) => instrument.notional(fill.last_px, fill.last_qty),
            _ => Ok(Decimal::ZERO),
        };
        let Some(value) = self.money(value) else { return };
        let outcome = self.s.orders.apply(self.s.now, report, value);
        if let Some(alarm) = outcome.alarm {
            self.alarm(alarm);
        }
        let order = outcome.order.and_then(|id| self.s.orders.get(id)).cloned();
        let strategy = order.as_ref().map_or(StrategyId::EXTERNAL, |o| o.request.strategy);
        if let Some(fill) = outcome.fill {
            self.book_fill(report, strategy, &fill);
        }
        if let (Some(order), Some(change)) = (order, outcome.change) {
            self.audit(Audit::Order { order: Box::new(order.clone()), change });
            self.s.notices.push_back(Notice { strategy, order: Box::new(order), change, fill: outcome.fill });
        }
    }

    fn book_fill(&mut self, report: &OrderReport, strategy: StrategyId, fill: &Fill) {
        let (account, id) = (report.account, report.instrument);
        let instrument = self.instruments.get(id);
        let booked = self.s.portfolio.fill(account, strategy, instrument, fill);
        let Some(realized) = self.money(booked) else { return };
        self.audit(Audit::Fill { account, strategy, instrument: id, order: report.cl_ord_id, fill: *fill, realized });
        let position = self.s.portfolio.position(account, id, fill.leg);
        self.audit(Audit::Position { account, instrument: id, leg: fill.leg, position });
    }

    pub fn on_account(&mut self, event: &AccountEvent) {
        match *event {
            AccountEvent::Balance { account, currency, balance } => {
                if let Some(drift) = self.s.portfolio.venue_balance(account, currency, balance) {
                    self.alarm(Alarm::BalanceDrift { account, currency, venue: drift.venue, ours: drift.ours });
                }
                if self.s.monitor_due == UnixNanos::MAX {
                    self.s.monitor_due = self.s.now;
                    self.wake_at(self.s.now);
                }
                self.audit(Audit::Balance { account, currency, balance });
            }
            // The venue's own position is compared, not believed, by reconciliation outside the kernel.
            AccountEvent::Position { .. } => {}
            AccountEvent::Funding { account, instrument, leg, amount, currency } => {
                let booked = self.s.portfolio.funding(account, instrument, leg, amount, currency);
                self.money(booked);
                self.audit(Audit::Funding { account, instrument, amount, currency });
            }
            AccountEvent::Interest { account, currency, amount } => {
                let booked = self.s.portfolio.flow(account, currency, -amount);
                self.money(booked);
            }
            AccountEvent::Adjustment { account, currency, amount } => {
                let booked = self.s.portfolio.flow(account, currency, amount);
                self.money(booked);
            }
            AccountEvent::Liquidated { account } => {
                self.alarm(Alarm::Liquidated { account });
                self.halt(HaltScope::Account(account), KillState::Halted, "the venue liquidated the account");
            }
        }
    }

    /// Arithmetic on money that left its range is a reason to stop, not to go on with a wrong number.
    fn money<T>(&mut self, result: Result<T, NumberError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.halt(HaltScope::System, KillState::Halted, &format!("money out of range: {error}"));
                None
            }
        }
    }

    // ---- kill switch

    pub fn halt(&mut self, scope: HaltScope, state: KillState, reason: &str) {
        if !self.s.kill.latch(scope, state, reason, self.s.now) {
            return;
        }
        self.audit(Audit::Kill { scope, state, reason: reason.into() });
        if state == KillState::Halted {
            self.cancel_scope(scope);
            self.wake_at(self.s.now.after(VERIFY_EVERY));
        }
    }

    pub fn resume(&mut self, scope: HaltScope, reason: &str) {
        if self.s.kill.release(scope) {
            self.audit(Audit::Kill { scope, state: KillState::Active, reason: reason.into() });
            // A new start for the breakers: the loss that tripped them must not trip them again at once.
            for mark in &mut self.s.watermarks {
                mark.set = false;
            }
        }
    }

    /// Cancels whatever is open in the scope.
    pub fn cancel_scope(&mut self, scope: HaltScope) {
        match scope {
            HaltScope::Strategy(strategy) => {
                self.cancel_where(|o| o.request.strategy == strategy);
            }
            HaltScope::Account(account) => self.cancel_account(account),
            HaltScope::System => {
                for account in 0..self.accounts.len() {
                    self.cancel_account(AccountId(account as u16));
                }
            }
        }
    }

    fn cancel_account(&mut self, account: AccountId) {
        let ids = self.s.orders.open_ids(|o| o.request.account == account);
        if ids.is_empty() {
            return;
        }
        for (id, ..) in ids {
            self.s.orders.set_pending_cancel(id);
        }
        self.send(risk::approve_cancel(Command::CancelAll { account, instrument: None }));
    }

    /// Looks after halts whose orders are not all gone: reports success, or cancels again.
    pub fn verify_halts(&mut self) {
        let pending: Vec<_> = self.s.kill.unverified().collect();
        for (scope, due) in pending {
            let open = self.s.orders.open().filter(|o| in_scope(scope, o)).count();
            if open == 0 {
                self.s.kill.verified(scope);
                self.audit(Audit::HaltVerified { scope });
            } else if self.s.now >= due {
                self.alarm(Alarm::HaltNotVerified { scope, open_orders: open });
                for (id, account, instrument) in self.s.orders.open_ids(|o| in_scope(scope, o)) {
                    self.send(risk::approve_cancel(Command::Cancel(CancelOrder {
                        account,
                        cl_ord_id: id,
                        instrument,
                    })));
                }
                let next = self.s.now.after(VERIFY_EVERY);
                self.s.kill.verify_again(scope, next);
                self.wake_at(next);
            }
        }
    }

    // ---- worth

    /// Worth of the account in its reporting currency: cash at current prices plus unrealised profit of derivatives.
    /// Currencies without a price count as nothing.
    pub fn equity(&self, account: AccountId) -> Decimal {
        let mut sum = Decimal::ZERO;
        for (_, currency, cash) in self.s.portfolio.all_cash().filter(|(a, ..)| *a == account) {
            sum = self.add_converted(sum, account, currency, cash.ours);
        }
        for ((a, id, _), position) in self.s.portfolio.positions() {
            let instrument = self.instruments.get(id);
            if a != account || instrument.is_spot() || position.is_flat() {
                continue;
            }
            if let Some(unrealized) = self.reference(id).and_then(|r| position.unrealized(instrument, r).ok()) {
                sum = self.add_converted(sum, account, instrument.settle(), unrealized);
            }
        }
        sum
    }

    fn add_converted(&self, sum: Decimal, account: AccountId, currency: Currency, amount: Decimal) -> Decimal {
        let converted = match self.rate(account, currency) {
            Some(rate) if rate == Decimal::ONE => Some(amount),
            Some(rate) => amount.mul(rate, Rounding::Down).ok(),
            None => None,
        };
        converted.and_then(|c| sum.checked_add(c).ok()).unwrap_or(sum)
    }

    fn rate(&self, account: AccountId, currency: Currency) -> Option<Decimal> {
        if self.accounts[account.0 as usize].reporting == currency {
            return Some(Decimal::ONE);
        }
        let source = self.rate_sources.iter().find(|(a, c, _)| (*a, *c) == (account, currency))?;
        self.reference(source.2)
    }

    /// Samples equity and trips the loss breakers.
    pub fn monitor(&mut self) {
        self.s.monitor_due = self.s.now.after(MONITOR_EVERY);
        for index in 0..self.accounts.len() {
            let account = AccountId(index as u16);
            let (equity, day) = (self.equity(account), self.s.now.day());
            let mark = &mut self.s.watermarks[index];
            if !mark.set {
                *mark = Watermark { peak: equity, day, day_start: equity, set: true };
            }
            if mark.day != day {
                (mark.day, mark.day_start) = (day, equity);
            }
            mark.peak = mark.peak.max(equity);
            let mark = *mark;
            self.audit(Audit::Equity { account, currency: self.accounts[index].reporting, equity });
            self.breakers(account, equity, mark);
        }
    }

    fn breakers(&mut self, account: AccountId, equity: Decimal, mark: Watermark) {
        let limits = &self.accounts[account.0 as usize].limits;
        let lost = mark.day_start - equity;
        let share = limits.daily_loss_pct.and_then(|pct| mark.day_start.mul(pct, Rounding::Up).ok());
        let share = share.and_then(|s| s.mul_ratio(1, 100, Rounding::Up).ok());
        let limit = [limits.daily_loss, share].into_iter().flatten().min().filter(|limit| limit.is_positive());
        if let Some(limit) = limit.filter(|limit| lost >= *limit) {
            if self.s.kill.state(HaltScope::Account(account)) != KillState::Halted {
                self.alarm(Alarm::DailyLoss { account, limit, lost });
            }
            self.halt(HaltScope::Account(account), KillState::Halted, "daily loss limit reached");
            return;
        }
        let Some(limit_pct) = limits.max_drawdown_pct.filter(|_| mark.peak.is_positive()) else { return };
        let fall = (mark.peak - equity).div(mark.peak, Rounding::Down);
        let Ok(drawdown_pct) = fall.and_then(|f| f.mul(Decimal::from_int(100), Rounding::Down)) else { return };
        if drawdown_pct >= limit_pct {
            if self.s.kill.state(HaltScope::Account(account)) != KillState::Halted {
                self.alarm(Alarm::Drawdown { account, limit_pct, drawdown_pct });
            }
            self.halt(HaltScope::Account(account), KillState::Halted, "drawdown limit reached");
        }
    }

    pub fn set_timer(&mut self, strategy: StrategyId, due: UnixNanos, token: u64) {
        self.s.timer_seq += 1;
        let due = due.max(self.s.now);
        self.s.timers.insert(Timer { due, seq: self.s.timer_seq, strategy, token });
        self.wake_at(due);
    }

    pub fn drop_timers(&mut self, strategy: StrategyId) {
        self.s.timers.retain(|t| t.strategy != strategy);
    }

    pub fn process_audit(&mut self, strategy: StrategyId, state: &ProcessState) {
        self.audit(Audit::Process { strategy, state: state.clone() });
    }
}

fn in_scope(scope: HaltScope, order: &Order) -> bool {
    match scope {
        HaltScope::System => true,
        HaltScope::Account(account) => order.request.account == account,
        HaltScope::Strategy(strategy) => order.request.strategy == strategy,
    }
}

/// The order an amend asks for, and what of it would be open.
fn amended(order: &Order, price: Option<Price>, qty: Option<Qty>) -> (NewOrder, Qty) {
    let mut wanted = order.request;
    if let Some(px) = price {
        wanted.kind = match wanted.kind {
            OrderKind::Limit { .. } => OrderKind::Limit { price: px },
            OrderKind::StopLimit { trigger, .. } => OrderKind::StopLimit { trigger, price: px },
            OrderKind::TakeProfitLimit { trigger, .. } => OrderKind::TakeProfitLimit { trigger, price: px },
            other => other,
        };
    }
    let total = qty.unwrap_or(order.size);
    wanted.qty = OrderQty::Size(total);
    (wanted, Qty((total.0 - order.cum_qty.0).max(0)))
}

fn rate_sources(instruments: &Instruments, accounts: &[AccountSpec]) -> Vec<(AccountId, Currency, InstrumentId)> {
    let mut sources = Vec::new();
    for account in accounts {
        // Spot prices convert before derivatives of the same pair.
        let mut found: Vec<&Instrument> =
            instruments.iter().filter(|i| i.quote == account.reporting && !i.is_inverse()).collect();
        found.sort_by_key(|i| (!i.is_spot(), i.id));
        for i in found {
            if !sources.iter().any(|(a, c, _)| (*a, *c) == (account.id, i.base)) {
                sources.push((account.id, i.base, i.id));
            }
        }
    }
    sources
}
