//! The paper driver: a simulated exchange, its market and its latency behind the driver contract, on one queue of time.
//! Never: threads, clocks, sockets. Everything happens when the caller asks what comes next.

mod queue;

use crate::queue::TimedQueue;
use ctos_kernel::Approved;
use ctos_types::{AccountId, Command, Event, EventBuf, EventKind, InstrumentId, Instruments, Rules, UnixNanos};
use ctos_venue::{Exchange, Latency, MarketSource, Private};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// How long each way takes, as seeded samplers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latencies {
    /// Added to a market event's own receive time.
    pub feed: Latency,
    /// From the kernel's command to the venue.
    pub entry: Latency,
    /// From the venue's answer to the kernel.
    pub response: Latency,
}

/// The venue, its market and everything in flight between it and the kernel.
///
/// One order of time: of what is due, the venue's own affairs come first (market, expiries, arriving commands), then
/// market data for the kernel, then answers. The caller steps the kernel with each delivery before asking for the
/// next, so a command can never arrive in the venue's past.
pub struct PaperDriver {
    source: Box<dyn MarketSource>,
    exchange: Exchange,
    accounts: Vec<AccountId>,
    latencies: Latencies,
    /// Venue time reached.
    venue_now: UnixNanos,
    feed: TimedQueue,
    answers: TimedQueue,
    entries: TimedQueue<Command>,
    /// When the source's next event happens, once it was asked: the end of time where there is none.
    market_due: Option<UnixNanos>,
    /// When the venue has something to do that is not the market's: its own deadline, or a command that arrives. The end
    /// of time where there is nothing.
    others_due: UnixNanos,
    /// Emptied buffers. Every event under way takes one and gives it back, so a steady stream settles into no
    /// allocation and the pool is as large as what was ever under way at once.
    #[expect(clippy::vec_box, reason = "an event moves between queues by its pointer")]
    spare: Vec<Box<EventBuf>>,
    private: Vec<Private>,
    market_events: u64,
    taken: Taken,
}

/// Commands that the driver was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub commands: u64,
    /// Orders and amends among them: what can add risk.
    pub adding: u64,
}

impl std::fmt::Debug for PaperDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaperDriver").field("venue_now", &self.venue_now).finish_non_exhaustive()
    }
}

/// A driver's state, borrowed where it is large: it goes to text without a copy in between.
#[derive(Serialize)]
pub struct Saved<'a> {
    driver: SavedDriver<'a>,
    source: Value,
}

impl std::fmt::Debug for Saved<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved").field("venue_now", &self.driver.venue_now).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct SavedDriver<'a> {
    exchange: Cow<'a, Exchange>,
    latencies: Cow<'a, Latencies>,
    venue_now: UnixNanos,
    feed: Cow<'a, TimedQueue>,
    answers: Cow<'a, TimedQueue>,
    entries: Cow<'a, TimedQueue<Command>>,
    market_events: u64,
    taken: Taken,
}

impl PaperDriver {
    /// `accounts` are those of the exchange.
    pub fn new(
        source: Box<dyn MarketSource>,
        exchange: Exchange,
        accounts: Vec<AccountId>,
        latencies: Latencies,
    ) -> PaperDriver {
        let others_due = exchange.next_deadline().unwrap_or(UnixNanos::MAX);
        PaperDriver {
            source,
            exchange,
            accounts,
            latencies,
            venue_now: UnixNanos::MIN,
            feed: TimedQueue::default(),
            answers: TimedQueue::default(),
            entries: TimedQueue::default(),
            market_due: None,
            others_due,
            spare: Vec::new(),
            private: Vec::new(),
            market_events: 0,
            taken: Taken::default(),
        }
    }

    pub fn instruments(&self) -> &Instruments {
        self.exchange.instruments()
    }

    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Market events taken from the source so far.
    pub fn market_events(&self) -> u64 {
        self.market_events
    }

    /// Commands taken so far, over restarts.
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// Digest of the market data handed out so far.
    pub fn source_digest(&self) -> [u8; 32] {
        self.source.digest()
    }

    /// Takes a command that left the kernel at `now`.
    pub fn send(&mut self, now: UnixNanos, command: &Approved<Command>) {
        self.taken.commands += 1;
        self.taken.adding += u64::from(!command.get().only_reduces());
        let at = now.after(self.latencies.entry.sample());
        // One session: a command never overtakes the one before it.
        self.entries.push_in_order(at, *command.get());
        self.look_at_others();
    }

    /// When the source's next event happens: what a run without a clock starts at.
    pub fn first_event(&mut self) -> Option<UnixNanos> {
        self.source.peek()
    }

    /// Moves the next event for the kernel that arrives not later than `until` into `out` and says when it arrives.
    /// The old contents of `out` are only storage, and where nothing arrives so are the new.
    ///
    /// `None`: nothing arrives until then, and the venue has lived up to `until` (or to its next delivery).
    pub fn poll(&mut self, until: UnixNanos, out: &mut Box<EventBuf>) -> Option<UnixNanos> {
        loop {
            let (feed, answer) = (self.feed.due(), self.answers.due());
            let due = feed.min(answer);
            let market = self.market_due();
            let at = market.min(self.others_due);
            if at <= due && at <= until && at < UnixNanos::MAX {
                if self.others_due < market {
                    self.venue_step(at);
                    continue;
                }
                let Some(recv) = self.market_step(at, out) else { continue };
                // Most often nothing comes in between, and the event need not wait in the queue.
                let next = self.market_due().min(self.others_due);
                if feed == UnixNanos::MAX && recv <= until && recv <= self.answers.due() && recv < next {
                    return Some(recv);
                }
                let next = self.spare.pop().unwrap_or_default();
                self.feed.push_sorted(recv, std::mem::replace(out, next));
            } else if due <= until {
                // Of what arrives at one moment, market data comes before answers.
                let queue = if feed <= answer { &mut self.feed } else { &mut self.answers };
                let (at, event) = queue.pop()?;
                self.spare.push(std::mem::replace(out, event));
                return Some(at);
            } else {
                return None;
            }
        }
    }

    /// The source has more than it had when it was asked last: it is asked again. Only for a market that comes in as it
    /// happens; no other source changes behind our back.
    pub fn market_grew(&mut self) {
        self.market_due = None;
    }

    /// The venue changes what it takes for an instrument. Rules that make no definition change nothing.
    pub fn set_rules(&mut self, instrument: InstrumentId, rules: &Rules) {
        self.exchange.set_rules(instrument, rules);
    }

    /// Whether commands or answers are under way.
    pub fn in_flight(&self) -> bool {
        !self.entries.is_empty() || !self.answers.is_empty()
    }

    /// Whether nothing more can ever come: the source has ended and nothing is in flight.
    pub fn is_finished(&mut self) -> bool {
        self.feed.is_empty() && self.answers.is_empty() && self.entries.is_empty() && self.source.peek().is_none()
    }

    /// When the source's next event happens: the end of time where there is none.
    #[inline]
    fn market_due(&mut self) -> UnixNanos {
        match self.market_due {
            Some(due) => due,
            None => *self.market_due.insert(self.source.peek().unwrap_or(UnixNanos::MAX)),
        }
    }

    /// After whatever may have changed it.
    #[inline]
    fn look_at_others(&mut self) {
        self.others_due = self.exchange.next_deadline().unwrap_or(UnixNanos::MAX).min(self.entries.due());
    }

    /// The source's next event happens, in `out`. Returns when it reaches the kernel.
    #[inline]
    fn market_step(&mut self, at: UnixNanos, out: &mut EventBuf) -> Option<UnixNanos> {
        self.venue_now = self.venue_now.max(at);
        let now = self.venue_now;
        self.market_due = None;
        let times = self.source.next(out)?;
        self.market_events += 1;
        match out.as_event() {
            Event::Market(market) => self.exchange.on_market(now, &market, &mut self.private),
            Event::Rules { instrument, rules } => self.exchange.set_rules(instrument, rules),
            _ => {}
        }
        self.look_at_others();
        if !self.private.is_empty() {
            self.send_answers(now);
        }
        Some(times.recv.max(now).after(self.latencies.feed.sample()))
    }

    /// The venue's own deadline passes, or a command arrives; the deadline first where both are due.
    fn venue_step(&mut self, at: UnixNanos) {
        // A deadline that was set in the past happens now.
        self.venue_now = self.venue_now.max(at);
        let now = self.venue_now;
        if self.exchange.next_deadline().is_some_and(|deadline| deadline <= self.entries.due()) {
            self.exchange.on_time(now, &mut self.private);
        } else if let Some((_, command)) = self.entries.pop() {
            self.exchange.on_command(now, &command, &mut self.private);
        }
        self.look_at_others();
        self.send_answers(now);
    }

    fn send_answers(&mut self, now: UnixNanos) {
        let mut private = std::mem::take(&mut self.private);
        for answer in &private {
            let at = now.after(self.latencies.response.sample());
            self.answer(at, answer);
        }
        private.clear();
        self.private = private;
    }

    fn answer(&mut self, at: UnixNanos, answer: &Private) {
        let mut event = self.spare.pop().unwrap_or_default();
        event.levels.clear();
        event.kind = match answer {
            Private::Report(report) => EventKind::Report(*report),
            Private::Account(account) => EventKind::Account(*account),
        };
        self.answers.push_in_order(at, event);
    }

    /// The emergency brake: cancels every open order at the venue at once, past all queues, and forgets commands still
    /// on their way to it. For a watchdog whose kernel no longer answers. Returns how many orders remain open.
    pub fn cancel_everything(&mut self) -> usize {
        self.entries.clear();
        for account in &self.accounts {
            let command = Command::CancelAll { account: *account, instrument: None::<InstrumentId> };
            self.exchange.on_command(self.venue_now, &command, &mut self.private);
        }
        self.private.clear();
        self.look_at_others();
        self.accounts.iter().map(|a| self.exchange.open_orders(*a).count()).sum()
    }

    /// State from which [`PaperDriver::restore`] goes on identically, to be serialised as JSON.
    pub fn save(&self) -> Saved<'_> {
        let driver = SavedDriver {
            exchange: Cow::Borrowed(&self.exchange),
            latencies: Cow::Borrowed(&self.latencies),
            venue_now: self.venue_now,
            feed: Cow::Borrowed(&self.feed),
            answers: Cow::Borrowed(&self.answers),
            entries: Cow::Borrowed(&self.entries),
            market_events: self.market_events,
            taken: self.taken,
        };
        Saved { driver, source: self.source.save() }
    }

    pub fn restore(&mut self, state: &Value) -> Result<(), String> {
        let saved = SavedDriver::deserialize(&state["driver"]).map_err(|e| format!("paper venue: {e}"))?;
        self.source.restore(&state["source"])?;
        self.market_due = None;
        self.exchange = saved.exchange.into_owned();
        self.latencies = saved.latencies.into_owned();
        self.venue_now = saved.venue_now;
        (self.feed, self.answers) = (saved.feed.into_owned(), saved.answers.into_owned());
        self.entries = saved.entries.into_owned();
        (self.market_events, self.taken) = (saved.market_events, saved.taken);
        self.look_at_others();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_types::{AccountEvent, Market, MarketData, Nanos, Price, Qty, Side, Trade};
    use ctos_venue::{ExchangeConfig, LatencyModel, TapeBuilder};

    /// Each answer used to leave a buffer behind: a day of busy trading took a hundred megabytes.
    #[test]
    fn answers_give_their_buffers_back() {
        let instruments = Instruments::default();
        let mut tape = TapeBuilder::new(instruments.clone());
        for i in 0..1_000 {
            let trade = Trade { price: Price(1), qty: Qty(1), aggressor: Side::Buy, id: i };
            let (instrument, ts_event) = (InstrumentId(0), UnixNanos(i as i64));
            tape.push(ts_event, &Market { instrument, ts_event, data: MarketData::Trade(trade) });
        }
        let exchange = Exchange::new(instruments, ExchangeConfig::default()).expect("an empty exchange");
        let none = || Latency::new(LatencyModel::Constant(Nanos::ZERO), 0).expect("a constant");
        let latencies = Latencies { feed: none(), entry: none(), response: none() };
        let mut driver = PaperDriver::new(Box::new(tape.finish([0; 32])), exchange, Vec::new(), latencies);
        let mut out = Box::default();
        let liquidated = AccountEvent::Liquidated { account: AccountId(0) };
        for at in 0..1_000 {
            driver.answer(UnixNanos(at), &Private::Account(liquidated));
            while driver.poll(UnixNanos(at), &mut out).is_some() {}
        }
        assert!(driver.spare.len() <= 4, "{} buffers are kept", driver.spare.len());
    }
}
