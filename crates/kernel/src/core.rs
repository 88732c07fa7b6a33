//! The kernel's state apart from the strategies themselves, and everything that changes it.

use crate::audit::{Alarm, Audit, OrderChange};
use crate::bars::BarBuilder;
use crate::hash::CommandHash;
use crate::kernel::{AccountSpec, Output, ProcessState};
use crate::kill::KillSwitch;
use crate::market::MarketState;
use crate::orders::{Order, OrderStore};
use crate::pairs;
use crate::portfolio::Portfolio;
use crate::risk::{self, Approved, Limits, Traffic};
use crate::standing::Opening;
use crate::strategy::Feeds;
use crate::worth::{Watermark, Worth, rate_sources};
use ctos_types::{
    AccountEvent, AccountId, Bar, Command, Currency, Decimal, Fill, HaltScope, InstanceTag, InstrumentId, Instruments,
    Interval, KillState, Nanos, NumberError, OrderReport, ReportBody, Rules, StrategyId, UnixNanos,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The shortest timer. Time that does not move on would let a strategy that re-arms at once stop the market.
const MIN_TIMER: Nanos = Nanos::from_millis(1);

/// Boxes kept for the copies of orders that are told.
const SPARE_KEPT: usize = 64;

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
    /// It was said that the market's bars cannot make the ones asked for.
    pub told: bool,
}

impl BarFeed {
    pub fn new(interval: Interval) -> BarFeed {
        BarFeed { builder: BarBuilder::new(interval), listeners: Vec::new(), told: false }
    }

    /// Says once that bars of `have` cannot be put together to the ones asked for.
    pub fn cannot_use(&mut self, instrument: InstrumentId, have: Interval) -> Option<Audit> {
        let first = !std::mem::replace(&mut self.told, true);
        first.then(|| Audit::BarsUnusable { instrument, have, want: self.builder.interval() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub due: UnixNanos,
    /// Timers that are due together fire in the order they were set.
    pub seq: u64,
    pub strategy: StrategyId,
    pub token: u64,
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
    /// When equity is sampled next because something has changed since the last time.
    pub monitor_due: UnixNanos,
    /// Not before this; the end of time until there is a balance.
    pub monitor_next: UnixNanos,
    /// When something is due even if no input comes. Part of the state, because it decides when a `Wake` is sent.
    pub deadline: UnixNanos,
    /// Before this nothing but the monitor is due. It may be too early, never too late.
    #[serde(default)]
    pub others_due: UnixNanos,
    pub journal_ok: bool,
    /// Accounts of which what we believe may not be what the venue has.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown: BTreeSet<AccountId>,
    /// Parts of positions that cannot be booked before there is a price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<Opening>,
    /// Rules that came after the run began.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<InstrumentId, Rules>,
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
    pub out: Box<Output>,
    pub closed_bars: Vec<(InstrumentId, usize, Bar)>,
    /// By account, from the last sample of its equity.
    pub worths: Vec<Worth>,
    /// Copies of orders whose listeners have been told: the storage of the next ones.
    #[expect(clippy::vec_box, reason = "the next copy goes into the same box")]
    pub spare: Vec<Box<Order>>,
    /// Which input the intents of each strategy were counted in, and how many there were.
    pub intents: Vec<(u64, u32)>,
    /// For each currency and account: the instrument whose price converts it to the reporting currency.
    pub rate_sources: Vec<(AccountId, Currency, InstrumentId)>,
    /// Whether strategies' plots are passed on. Not part of the state: nothing is decided by it.
    pub plots: bool,
    /// What became of the last order that a person gave. Not part of the state: it is for the asker.
    pub answer: Option<crate::operator::Answer>,
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
            monitor_next: UnixNanos::MAX,
            deadline: UnixNanos::MAX,
            others_due: UnixNanos::MAX,
            journal_ok: true,
            unknown: BTreeSet::new(),
            unpriced: Vec::new(),
            rules: BTreeMap::new(),
            hash: CommandHash::default(),
            commands_out: 0,
            denied: 0,
        };
        let intents = vec![(0, 0); limits.len()];
        let out = Box::default();
        let closed_bars = Vec::new();
        let (worths, spare) = (vec![Worth::default(); accounts.len()], Vec::new());
        Core {
            instruments,
            accounts,
            limits,
            tag,
            s,
            out,
            closed_bars,
            worths,
            spare,
            intents,
            rate_sources,
            plots: false,
            answer: None,
        }
    }

    pub fn audit(&mut self, audit: Audit) {
        self.out.audits.push(audit);
    }

    /// [`Core::audit`] where it happens all the time: made where it is to be. One that is made elsewhere and moved costs
    /// more than the sample of equity that it tells of.
    #[inline(always)]
    pub fn tell(&mut self, audit: impl FnOnce() -> Audit) {
        self.out.audits.extend(std::iter::once_with(audit));
    }

    /// A copy of an order for those who are told of it, from a stock of used ones.
    #[expect(clippy::vec_box, reason = "the next copy goes into the same box")]
    pub fn told(spare: &mut Vec<Box<Order>>, order: &Order) -> Box<Order> {
        match spare.pop() {
            Some(mut place) => {
                *place = order.as_told();
                place
            }
            None => Box::new(order.as_told()),
        }
    }

    /// Takes back what was told of a step.
    pub fn take_back(&mut self, audits: &mut Vec<Audit>) {
        // Only an order's box is worth keeping; whatever else there is need not be moved to be forgotten.
        if audits.iter().any(|audit| matches!(audit, Audit::Order { .. })) {
            self.unbox_all(audits);
        }
        audits.clear();
    }

    fn unbox_all(&mut self, audits: &mut Vec<Audit>) {
        for audit in audits.drain(..) {
            if let Audit::Order { order, .. } = audit {
                self.unboxed(order);
            }
        }
    }

    /// Takes a box back.
    pub fn unboxed(&mut self, order: Box<Order>) {
        if self.spare.len() < SPARE_KEPT {
            self.spare.push(order);
        }
    }

    pub fn alarm(&mut self, alarm: Alarm) {
        self.audit(Audit::Alarm(alarm));
    }

    pub fn wake_at(&mut self, at: UnixNanos) {
        self.s.others_due = self.s.others_due.min(at);
        self.s.deadline = self.s.deadline.min(at);
    }

    /// The earliest moment at which a timer, a bar, the monitor or a halt check is due.
    pub fn refresh_deadline(&mut self) {
        let mut due = self.s.timers.first().map_or(UnixNanos::MAX, |timer| timer.due);
        for feeds in &self.s.bars {
            for feed in feeds {
                due = due.min(feed.builder.deadline().unwrap_or(UnixNanos::MAX));
            }
        }
        for (_, at) in self.s.kill.unverified() {
            due = due.min(at);
        }
        self.s.others_due = due;
        self.s.deadline = due.min(self.s.monitor_due);
    }

    /// Equity may have changed: it is sampled as soon as the last sample is old enough. Without news there is nothing
    /// to sample, so a market of bars is not woken every second.
    #[inline]
    pub fn arm_monitor(&mut self) {
        if self.s.monitor_due == UnixNanos::MAX && self.s.monitor_next != UnixNanos::MAX {
            self.s.monitor_due = self.s.monitor_next.max(self.s.now);
            self.s.deadline = self.s.deadline.min(self.s.monitor_due);
        }
    }

    pub fn reference(&self, id: InstrumentId) -> Option<Decimal> {
        self.s.markets[id.index()].reference(self.instruments.get(id))
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
        let Some(id) = report.cl_ord_id.filter(|id| id.tag != self.tag) else { return self.book_report(report) };
        // An order that a person placed by itself is nobody's instance.
        if id.tag != InstanceTag::ONE_SHOT {
            self.alarm(Alarm::ForeignInstance { id });
            self.halt(
                HaltScope::Account(report.account),
                KillState::Halted,
                "orders of another ctos instance on this account",
            );
        }
        self.book_report(&OrderReport { cl_ord_id: None, ..*report });
    }

    fn book_report(&mut self, report: &OrderReport) {
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
        let strategy = outcome.order.and_then(|id| self.s.orders.get(id)).map(|o| o.request.strategy);
        let strategy = strategy.unwrap_or(StrategyId::EXTERNAL);
        if let Some(fill) = outcome.fill {
            self.book_fill(report, strategy, &fill);
        }
        if let (Some(order), Some(change)) = (outcome.order.and_then(|id| self.s.orders.get(id)), outcome.change) {
            let (order, told) = (Core::told(&mut self.spare, order), Core::told(&mut self.spare, order));
            self.tell(|| Audit::Order { order, change });
            self.s.notices.push_back(Notice { strategy, order: told, change, fill: outcome.fill });
        }
    }

    fn book_fill(&mut self, report: &OrderReport, strategy: StrategyId, fill: &Fill) {
        let (account, id) = (report.account, report.instrument);
        let instrument = self.instruments.get(id);
        let booked = self.s.portfolio.fill(account, strategy, instrument, fill);
        let Some(realized) = self.money(booked) else { return };
        self.tell(|| Audit::Fill { account, strategy, instrument: id, order: report.cl_ord_id, fill: *fill, realized });
        self.position_audit(account, id, fill.leg);
    }

    pub fn on_account(&mut self, event: &AccountEvent) {
        match *event {
            AccountEvent::Balance { account, currency, balance } => {
                let take = |core: &mut Core| core.s.portfolio.venue_balance(account, currency, balance);
                // Only the first balance of a currency changes what we count.
                let drift = if self.s.portfolio.knows(account, currency) {
                    take(self)
                } else {
                    self.outside_flow(account, take)
                };
                if let Some(drift) = drift {
                    self.alarm(Alarm::BalanceDrift { account, currency, venue: drift.venue, ours: drift.ours });
                }
                if self.s.monitor_next == UnixNanos::MAX {
                    self.s.monitor_next = self.s.now;
                    self.wake_at(self.s.now);
                }
                self.tell(|| Audit::Balance { account, currency, balance });
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
                let booked = self.outside_flow(account, |core| core.s.portfolio.flow(account, currency, amount));
                self.money(booked);
            }
            AccountEvent::Liquidated { account } => {
                self.alarm(Alarm::Liquidated { account });
                self.halt(HaltScope::Account(account), KillState::Halted, "the venue liquidated the account");
            }
            AccountEvent::Opening { account, instrument, leg, qty, entry_px } => {
                self.adopt(Opening { account, instrument, leg, qty }, entry_px);
            }
            AccountEvent::Standing { account, known } => self.stand(account, known),
        }
    }

    /// Arithmetic on money that left its range is a reason to stop, not to go on with a wrong number.
    pub fn money<T>(&mut self, result: Result<T, NumberError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.halt(HaltScope::System, KillState::Halted, &format!("money out of range: {error}"));
                None
            }
        }
    }

    pub fn set_timer(&mut self, strategy: StrategyId, span: Nanos, token: u64) {
        if !self.admit(strategy) {
            return;
        }
        self.s.timer_seq += 1;
        let due = self.s.now.after(span.max(MIN_TIMER));
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
