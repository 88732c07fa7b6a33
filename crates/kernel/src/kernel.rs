//! The step: the only way in. One input, processed to the end, commands and audit out.
//! Never: comes back to an input, or leaves a part of one for the next.

mod parts;
mod views;

pub use parts::{AccountSpec, Borrow, KernelConfig, ProcessInfo, ProcessSpec, ProcessState, Progress};

use crate::audit::{Alarm, Audit};
use crate::core::{Core, Notice};
use crate::ctx::Ctx;
use crate::kill::KillSwitch;
use crate::market::MarketChange;
use crate::operator::Answer;
use crate::risk::Approved;
use crate::strategy::{Feeds, Strategy, Tick};
use ctos_types::{
    Bar, Command, Control, Event, HaltScope, InstrumentId, KillState, Market, MarketData, Stamped, StrategyId, Trade,
    UnixNanos,
};
use parts::Process;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a step produced. Reuse one: its storage settles.
#[derive(Debug, Default)]
pub struct Output {
    pub commands: Vec<Approved<Command>>,
    pub audits: Vec<Audit>,
}

impl Output {
    pub fn clear(&mut self) {
        self.commands.clear();
        self.audits.clear();
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.audits.is_empty()
    }
}

pub struct Kernel {
    pub(crate) core: Core,
    processes: Vec<Process>,
    progress: Arc<Progress>,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel")
            .field("now", &self.core.s.now)
            .field("next_input", &self.core.s.next_input)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    pub fn new(config: KernelConfig) -> Kernel {
        let limits = config.processes.iter().map(|p| p.limits.clone()).collect();
        let kill = KillSwitch::with_latches(config.latches);
        let core = Core::new(config.instruments, config.accounts, limits, config.tag, kill);
        let process = |p: ProcessSpec| Process {
            label: p.label,
            account: p.account,
            state: ProcessState::Created,
            strategy: p.strategy,
        };
        Kernel { core, processes: config.processes.into_iter().map(process).collect(), progress: Arc::default() }
    }

    /// Processes one input to the end. `out` is cleared first.
    ///
    /// Panics when inputs are out of order: the caller stamps them, so that would be our bug.
    pub fn step(&mut self, input: &Stamped<Event<'_>>, out: &mut Output) {
        self.empty(out);
        self.step_on(input.seq, input.at, &input.event);
        std::mem::swap(&mut *self.core.out, out);
    }

    /// [`Kernel::step`] for an input whose parts lie apart. What it produces stays inside, and must be taken before the
    /// next one.
    pub fn step_on(&mut self, seq: u64, at: UnixNanos, event: &Event<'_>) {
        debug_assert!(self.core.out.is_empty(), "what the last step produced was not taken");
        let s = &mut self.core.s;
        assert_eq!(seq, s.next_input, "inputs come in sequence");
        assert!(at >= s.now, "kernel time never goes back: {at} after {}", s.now);
        (s.now, s.next_input) = (at, seq + 1);
        self.progress.working_on.store(seq + 1, Ordering::Release);
        match event {
            Event::Market(market) => self.on_market(market),
            Event::Report(report) => self.core.on_report(report),
            Event::Account(event) => self.core.on_account(event),
            Event::Rules { instrument, rules } => self.core.new_rules(*instrument, rules),
            Event::Wake => {}
            Event::Control(control) => self.on_control(control),
        }
        if !matches!(event, Event::Wake) {
            self.core.arm_monitor();
        }
        if self.core.s.now >= self.core.s.deadline {
            self.on_deadline();
        }
        if !self.core.s.notices.is_empty() {
            self.deliver_notices();
        }
        if self.core.s.kill.is_verifying() {
            self.core.verify_halts();
        }
        self.progress.done.store(seq + 1, Ordering::Release);
        self.progress.working_on.store(0, Ordering::Release);
    }

    /// Whether the last step produced anything.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.core.out.is_empty()
    }

    /// Puts what the last step produced into `out`, which must be empty and whose storage serves the next step. By its
    /// pointer: this happens at every step that has something to say.
    #[inline]
    pub fn swap_output(&mut self, out: &mut Box<Output>) {
        debug_assert!(out.is_empty(), "what the step before produced is still there");
        std::mem::swap(&mut self.core.out, out);
    }

    /// Empties what was looked at, and keeps what the next steps can use of it.
    #[inline]
    pub fn empty(&mut self, out: &mut Output) {
        out.commands.clear();
        self.core.take_back(&mut out.audits);
    }

    // ---- market data

    fn on_market(&mut self, market: &Market<'_>) {
        let (id, index) = (market.instrument, market.instrument.index());
        let change = self.core.s.markets[index].apply(self.core.s.now, market);
        if !self.core.s.bars[index].is_empty() {
            match &market.data {
                MarketData::Bar(bar) => self.feed_bar(id, bar),
                MarketData::Trade(trade) => self.feed_trade(market, trade),
                _ => {}
            }
        }
        let count = self.core.s.listeners[index].len();
        match change {
            MarketChange::Quote(quote) => self.tick(Feeds::QUOTES, id, &Tick::Quote(quote)),
            MarketChange::Trade(trade) => self.tick(Feeds::TRADES, id, &Tick::Trade(trade)),
            MarketChange::Book { top_moved } => {
                let quote = self.core.s.markets[index].quote().filter(|_| top_moved);
                for i in 0..count {
                    let (who, feeds) = self.core.s.listeners[index][i];
                    if feeds.has(Feeds::BOOK) {
                        self.call(who, |s, ctx| s.on_book(ctx, id));
                    }
                    if let (Some(quote), true) = (quote, feeds.has(Feeds::QUOTES)) {
                        self.call(who, |s, ctx| s.on_tick(ctx, id, &Tick::Quote(quote)));
                    }
                }
            }
            MarketChange::Gap => {
                self.core.audit(Audit::BookInvalid { instrument: id });
                for i in 0..count {
                    let (who, _) = self.core.s.listeners[index][i];
                    self.call(who, |s, ctx| s.on_gap(ctx, id));
                }
            }
            MarketChange::Mark | MarketChange::None => {}
        }
    }

    fn tick(&mut self, feed: Feeds, id: InstrumentId, tick: &Tick) {
        let listeners = &self.core.s.listeners[id.index()];
        if let [(who, feeds)] = listeners[..] {
            if feeds.has(feed) {
                self.call(who, |s, ctx| s.on_tick(ctx, id, tick));
            }
            return;
        }
        // Whoever begins to listen meanwhile waits for the next one.
        for i in 0..listeners.len() {
            let (who, feeds) = self.core.s.listeners[id.index()][i];
            if feeds.has(feed) {
                self.call(who, |s, ctx| s.on_tick(ctx, id, tick));
            }
        }
    }

    /// The market's own bar, for those who asked for its interval or a multiple.
    fn feed_bar(&mut self, id: InstrumentId, bar: &Bar) {
        for at in 0..self.core.s.bars[id.index()].len() {
            let builder = &mut self.core.s.bars[id.index()][at].builder;
            if builder.interval() != bar.interval {
                self.feed_finer(id, at, bar);
            } else if builder.on_own(bar) {
                self.deliver_bar(id, at, bar);
            }
        }
    }

    fn feed_finer(&mut self, id: InstrumentId, at: usize, bar: &Bar) {
        let core = &mut self.core;
        let feed = &mut core.s.bars[id.index()][at];
        if feed.builder.interval().is_made_of(bar.interval) {
            let closed = feed.builder.on_bar(bar);
            self.after_part(id, at, closed);
        } else {
            core.out.audits.extend(feed.cannot_use(id, bar.interval));
        }
    }

    fn feed_trade(&mut self, market: &Market<'_>, trade: &Trade) {
        let id = market.instrument;
        for at in 0..self.core.s.bars[id.index()].len() {
            let builder = &mut self.core.s.bars[id.index()][at].builder;
            let closed = builder.on_trade(market.ts_event, trade.price, trade.qty);
            self.after_part(id, at, closed);
        }
    }

    fn after_part(&mut self, id: InstrumentId, at: usize, closed: Option<Bar>) {
        if let Some(due) = self.core.s.bars[id.index()][at].builder.deadline() {
            self.core.wake_at(due);
        }
        if let Some(bar) = closed {
            self.deliver_bar(id, at, &bar);
        }
    }

    fn deliver_bars(&mut self) {
        let mut closed = std::mem::take(&mut self.core.closed_bars);
        for (id, at, bar) in closed.drain(..) {
            self.deliver_bar(id, at, &bar);
        }
        self.core.closed_bars = closed;
    }

    fn deliver_bar(&mut self, id: InstrumentId, at: usize, bar: &Bar) {
        let listeners = &self.core.s.bars[id.index()][at].listeners;
        if let [who] = listeners[..] {
            return self.call(who, |s, ctx| s.on_bar(ctx, id, bar));
        }
        // Whoever begins to listen meanwhile waits for the next one.
        for i in 0..listeners.len() {
            let who = self.core.s.bars[id.index()][at].listeners[i];
            self.call(who, |s, ctx| s.on_bar(ctx, id, bar));
        }
    }

    // ---- time

    fn on_deadline(&mut self) {
        let now = self.core.s.now;
        if now >= self.core.s.monitor_due {
            self.core.monitor();
        }
        if now < self.core.s.others_due {
            self.core.s.deadline = self.core.s.others_due.min(self.core.s.monitor_due);
            return;
        }
        for index in 0..self.core.s.bars.len() {
            for (at, feed) in self.core.s.bars[index].iter_mut().enumerate() {
                if let Some(bar) = feed.builder.on_time(now) {
                    self.core.closed_bars.push((InstrumentId(index as u32), at, bar));
                }
            }
        }
        if !self.core.closed_bars.is_empty() {
            self.deliver_bars();
        }
        // A timer set from within a timer for the same moment waits for the next input: no endless loop in one step.
        let last = self.core.s.timer_seq;
        while let Some(timer) = self.core.s.timers.first().copied().filter(|t| t.due <= now && t.seq <= last) {
            self.core.s.timers.remove(&timer);
            self.call(timer.strategy.0 as usize, |s, ctx| s.on_timer(ctx, timer.token));
        }
        self.core.refresh_deadline();
    }

    /// When the caller must send a `Wake` if no other input comes before.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        (self.core.s.deadline < UnixNanos::MAX).then_some(self.core.s.deadline)
    }

    // ---- strategies

    fn call(&mut self, who: usize, f: impl FnOnce(&mut dyn Strategy, &mut Ctx<'_>)) {
        let process = &mut self.processes[who];
        if !matches!(process.state, ProcessState::Running) {
            return;
        }
        let me = StrategyId(who as u16);
        self.progress.strategy.store(who as u32 + 1, Ordering::Release);
        let mut ctx = Ctx { core: &mut self.core, me, account: process.account };
        let strategy = &mut process.strategy;
        // The strategy is not called again after a panic, so a broken invariant of its own cannot be observed.
        let result = catch_unwind(AssertUnwindSafe(|| f(strategy.as_mut(), &mut ctx)));
        self.progress.strategy.store(0, Ordering::Release);
        match result {
            Err(panic) => self.fail(me, format!("panicked: {}", panic_text(panic.as_ref()))),
            Ok(()) if self.core.is_flooding(me) => self.fail(me, "made too many requests within one event".into()),
            Ok(()) => {}
        }
    }

    /// Ends a strategy that cannot be trusted any more and cancels its orders.
    fn fail(&mut self, strategy: StrategyId, reason: String) {
        let Some(process) = self.processes.get_mut(strategy.0 as usize) else { return };
        if matches!(&process.state, ProcessState::Failed { reason: earlier } if *earlier != reason) {
            return;
        }
        process.state = ProcessState::Failed { reason };
        self.core.process_audit(strategy, &process.state);
        self.core.drop_timers(strategy);
        self.core.clear_scope(HaltScope::Strategy(strategy));
    }

    fn start(&mut self, strategy: StrategyId) {
        let Some(process) = self.processes.get_mut(strategy.0 as usize) else { return };
        if !matches!(process.state, ProcessState::Created | ProcessState::Stopped) {
            return;
        }
        process.state = ProcessState::Running;
        // Orders it left behind when it was stopped are its own again: nobody else cancels what it now places.
        self.core.s.kill.unwatch(HaltScope::Strategy(strategy));
        self.core.process_audit(strategy, &ProcessState::Running);
        self.call(strategy.0 as usize, |s, ctx| s.on_start(ctx));
    }

    fn stop(&mut self, strategy: StrategyId) {
        if strategy.0 as usize >= self.processes.len() {
            return;
        }
        self.call(strategy.0 as usize, |s, ctx| s.on_stop(ctx));
        let process = &mut self.processes[strategy.0 as usize];
        if process.state == ProcessState::Running {
            process.state = ProcessState::Stopped;
            self.core.process_audit(strategy, &ProcessState::Stopped);
        }
        self.core.drop_timers(strategy);
        self.core.clear_scope(HaltScope::Strategy(strategy));
    }

    fn deliver_notices(&mut self) {
        // What callbacks cause by being told is told in the same step, so that a strategy sees its own refusals
        // before the next input. `is_flooding` ends a strategy that would never stop.
        while let Some(Notice { strategy, order, change, fill }) = self.core.s.notices.pop_front() {
            if strategy == StrategyId::EXTERNAL {
                continue;
            }
            let who = strategy.0 as usize;
            self.call(who, |s, ctx| s.on_order(ctx, &order, change));
            if let Some(fill) = fill {
                self.call(who, |s, ctx| s.on_fill(ctx, &order, &fill));
            }
            self.core.unboxed(order);
        }
    }

    // ---- control

    fn on_control(&mut self, control: &Control) {
        match control {
            Control::Start => {
                for who in 0..self.processes.len() {
                    self.start(StrategyId(who as u16));
                }
            }
            Control::Stop { .. } => {
                for who in 0..self.processes.len() {
                    self.stop(StrategyId(who as u16));
                }
                // Order by order: what others have on the account is not this run's to cancel.
                self.core.cancel_where(|_| true);
            }
            Control::StartStrategy { strategy } => self.start(*strategy),
            Control::StopStrategy { strategy } => self.stop(*strategy),
            Control::Halt { scope, state, reason } => self.core.halt(*scope, *state, reason),
            Control::Resume { scope, reason } => self.core.resume(*scope, reason),
            Control::Watchdog { seq, strategy } => {
                self.core.alarm(Alarm::Watchdog { seq: *seq, strategy: *strategy });
                if let Some(strategy) = *strategy {
                    self.fail(strategy, HUNG.into());
                }
                self.core.halt(HaltScope::System, KillState::Halted, "watchdog: the kernel stopped making progress");
            }
            Control::Order(order) => self.core.order_by_hand(order),
            Control::Amend { cl_ord_id, price, qty } => self.core.amend_by_hand(*cl_ord_id, *price, *qty),
            Control::Cancel { cl_ord_id } => self.core.cancel_by_hand(*cl_ord_id),
            Control::CancelAll { account, instrument } => self.core.cancel_all_by_hand(*account, *instrument),
            Control::JournalFailed { error } => {
                self.core.s.journal_ok = false;
                self.core.alarm(Alarm::JournalFailed { error: error.clone() });
                self.core.halt(HaltScope::System, KillState::Halted, "the journal cannot be written");
            }
        }
    }

    /// What became of the order that the last input gave, if a person gave one.
    pub fn answer(&self) -> Option<&Answer> {
        self.core.answer.as_ref()
    }

    /// Takes a strategy out before re-stepping the input that it hung in. See [`Control::Watchdog`].
    pub fn quarantine(&mut self, strategy: StrategyId) {
        if let Some(process) = self.processes.get_mut(strategy.0 as usize) {
            process.state = ProcessState::Failed { reason: HUNG.into() };
        }
    }

    pub(crate) fn process_states(&self) -> impl Iterator<Item = (&str, &ProcessState, serde_json::Value)> + '_ {
        self.processes.iter().map(|p| (p.label.as_str(), &p.state, p.strategy.save()))
    }

    pub(crate) fn restore_process(
        &mut self,
        at: usize,
        state: ProcessState,
        saved: &serde_json::Value,
    ) -> Result<(), String> {
        let process = &mut self.processes[at];
        process.state = state;
        process.strategy.restore(saved)
    }

    pub(crate) fn process_label(&self, at: usize) -> Option<&str> {
        self.processes.get(at).map(|p| p.label.as_str())
    }
}

const HUNG: &str = "hung: it did not return from a callback";

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
