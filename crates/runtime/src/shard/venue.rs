//! What a shard trades with: a simulated exchange on a market of its own, one on a market that comes in as it happens,
//! or real venues behind a gateway.
//! Never: decides about trading, or sends a command whose cause is not durable (the shard calls it afterwards).

use super::lock;
use crate::live::{Gateway, Inlet};
use ctos_driver_paper::PaperDriver;
use ctos_kernel::Approved;
use ctos_types::{
    Command, Event, EventBuf, EventKind, OrderReport, RejectReason, ReportBody, Request, Text, UnixNanos, VenueOrderId,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// The venue's side.
pub(super) enum Venue {
    /// The shard's own, in a backtest.
    Own(Box<PaperDriver>),
    /// Within reach of the watchdog.
    Shared(Arc<Mutex<PaperDriver>>),
    /// Simulated, on a market that comes in as it happens.
    Fed(Box<Fed>),
    /// Real.
    Live(Box<Live>),
}

/// A simulated exchange on a live market.
pub(super) struct Fed {
    pub driver: Arc<Mutex<PaperDriver>>,
    inlet: Inlet,
    gateway: Option<Box<dyn Gateway>>,
    incoming: Box<EventBuf>,
    /// Changed rules that wait until the exchange is quiet: then nothing of what comes before knows them.
    rules: VecDeque<EventBuf>,
}

/// Real venues.
pub(super) struct Live {
    gateway: Option<Box<dyn Gateway>>,
    /// The next event, once it was looked at.
    ahead: Option<UnixNanos>,
    incoming: Box<EventBuf>,
    /// Commands that only take risk away and found no room: they go before everything else.
    waiting: VecDeque<Command>,
}

/// Events taken from the gateway in one go: the exchange is asked in between.
const INTAKE: usize = 512;
/// Code of a refusal of our own making: the way to the venue had no room.
const NO_ROOM: &str = "NO_ROOM";

impl Venue {
    pub fn fed(driver: PaperDriver, inlet: Inlet) -> Venue {
        let driver = Arc::new(Mutex::new(driver));
        let (incoming, rules) = (Box::default(), VecDeque::new());
        Venue::Fed(Box::new(Fed { driver, inlet, gateway: None, incoming, rules }))
    }

    pub fn live() -> Venue {
        Venue::Live(Box::new(Live { gateway: None, ahead: None, incoming: Box::default(), waiting: VecDeque::new() }))
    }

    pub fn is_live(&self) -> bool {
        matches!(self, Venue::Live(_))
    }

    /// What simulates the venue; `None` where it is real.
    pub fn simulated<R>(&mut self, act: impl FnOnce(&mut PaperDriver) -> R) -> Option<R> {
        match self {
            Venue::Own(driver) => Some(act(driver)),
            Venue::Shared(driver) => Some(act(&mut lock(driver))),
            Venue::Fed(fed) => Some(act(&mut lock(&fed.driver))),
            Venue::Live(_) => None,
        }
    }

    pub fn gateway(&mut self) -> Option<&mut Box<dyn Gateway>> {
        match self {
            Venue::Own(_) | Venue::Shared(_) => None,
            Venue::Fed(fed) => fed.gateway.as_mut(),
            Venue::Live(live) => live.gateway.as_mut(),
        }
    }

    /// The other end of what was so far only repeated. The kernel has lived up to `now`.
    pub fn attach(&mut self, now: UnixNanos, gateway: Box<dyn Gateway>) {
        match self {
            Venue::Own(_) | Venue::Shared(_) => {}
            Venue::Fed(fed) => {
                fed.inlet.polled(now);
                fed.gateway = Some(gateway);
            }
            Venue::Live(live) => live.gateway = Some(gateway),
        }
    }

    /// The next event that is due not later than `until`, and whether there can never be another one.
    #[inline]
    pub fn poll(&mut self, until: UnixNanos, out: &mut Box<EventBuf>) -> (Option<UnixNanos>, bool) {
        let of = |driver: &mut PaperDriver, out: &mut Box<EventBuf>| {
            let polled = driver.poll(until, out);
            (polled, polled.is_none() && driver.is_finished())
        };
        match self {
            Venue::Own(driver) => of(driver, out),
            Venue::Shared(driver) => of(&mut lock(driver), out),
            Venue::Fed(fed) => (fed.poll(until, out), false),
            Venue::Live(live) => (live.poll(until, out), false),
        }
    }

    /// Lets commands leave at `at`. What could not is put into `refused`.
    pub fn send(&mut self, at: UnixNanos, commands: &[Approved<Command>], refused: &mut VecDeque<EventBuf>) {
        match self {
            Venue::Own(driver) => commands.iter().for_each(|command| driver.send(at, command)),
            Venue::Shared(driver) => {
                let mut driver = lock(driver);
                commands.iter().for_each(|command| driver.send(at, command));
            }
            Venue::Fed(fed) => {
                let mut driver = lock(&fed.driver);
                commands.iter().for_each(|command| driver.send(at, command));
            }
            Venue::Live(live) => {
                for command in commands {
                    if let Some(report) = live.send(at, command.get()) {
                        refused.push_back(report.into());
                    }
                }
            }
        }
    }

    /// Repeats what a recorded input did to the simulated venue: whether the venue gives the same again.
    /// `floor`: what a control had overtaken was stepped at the control's time.
    pub fn repeat(
        &mut self,
        at: UnixNanos,
        event: &EventBuf,
        floor: UnixNanos,
    ) -> Result<(), Option<(UnixNanos, Box<EventBuf>)>> {
        let mut now = Box::default();
        let came = match self {
            Venue::Live(_) => return Ok(()),
            Venue::Fed(fed) => {
                if let EventKind::Rules { instrument, rules } = &event.kind {
                    let mut driver = lock(&fed.driver);
                    return match driver.poll(at, &mut now) {
                        None => {
                            driver.set_rules(*instrument, rules);
                            Ok(())
                        }
                        Some(came) => Err(Some((came, now))),
                    };
                }
                let mut driver = lock(&fed.driver);
                if matches!(event.as_event(), Event::Market(_)) {
                    fed.inlet.repeat(at, event);
                    driver.market_grew();
                }
                driver.poll(at, &mut now)
            }
            Venue::Own(driver) => driver.poll(at, &mut now),
            Venue::Shared(driver) => lock(driver).poll(at, &mut now),
        };
        let came = came.map(|t| t.max(floor));
        if came == Some(at) && *now == *event { Ok(()) } else { Err(came.map(|t| (t, now))) }
    }

    pub fn in_flight(&mut self) -> bool {
        match self {
            Venue::Live(live) => !live.waiting.is_empty(),
            other => other.simulated(|driver| driver.in_flight()).unwrap_or(false),
        }
    }

    pub fn is_finished(&mut self) -> bool {
        match self {
            Venue::Own(driver) => driver.is_finished(),
            Venue::Shared(driver) => lock(driver).is_finished(),
            Venue::Fed(_) | Venue::Live(_) => false,
        }
    }

    /// For whoever must reach the simulated venue past the shard's thread.
    pub fn shared(&self) -> Option<&Arc<Mutex<PaperDriver>>> {
        match self {
            Venue::Shared(driver) => Some(driver),
            Venue::Fed(fed) => Some(&fed.driver),
            Venue::Own(_) | Venue::Live(_) => None,
        }
    }

    /// Digest of the market data handed out so far. Nothing where the market is only in the journal.
    pub fn source_digest(&self) -> [u8; 32] {
        match self {
            Venue::Own(driver) => driver.source_digest(),
            Venue::Shared(driver) => lock(driver).source_digest(),
            Venue::Fed(fed) => lock(&fed.driver).source_digest(),
            Venue::Live(_) => [0; 32],
        }
    }
}

impl Fed {
    fn poll(&mut self, until: UnixNanos, out: &mut Box<EventBuf>) -> Option<UnixNanos> {
        self.take_in();
        let mut driver = lock(&self.driver);
        self.inlet.polled(until);
        if let Some(at) = driver.poll(until, out) {
            return Some(at);
        }
        let rules = self.rules.pop_front()?;
        if let EventKind::Rules { instrument, rules } = &rules.kind {
            driver.set_rules(*instrument, rules);
        }
        **out = rules;
        Some(until)
    }

    fn take_in(&mut self) {
        let Some(gateway) = &mut self.gateway else { return };
        let mut grew = false;
        for _ in 0..INTAKE {
            let Some(recv) = gateway.poll(&mut self.incoming) else { break };
            match self.incoming.as_event() {
                Event::Market(_) => {
                    self.inlet.push(recv, &mut self.incoming);
                    grew = true;
                }
                Event::Rules { .. } => self.rules.push_back(std::mem::take(&mut *self.incoming)),
                // Without a desk there is nobody who could say anything else.
                _ => tracing::warn!(event = ?self.incoming.kind, "a feed of market data said something else"),
            }
        }
        if grew {
            lock(&self.driver).market_grew();
        }
    }
}

impl Live {
    fn poll(&mut self, until: UnixNanos, out: &mut Box<EventBuf>) -> Option<UnixNanos> {
        let gateway = self.gateway.as_mut()?;
        while let Some(command) = self.waiting.front() {
            if gateway.send(command).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        if self.ahead.is_none() {
            self.ahead = gateway.poll(&mut self.incoming);
        }
        let at = self.ahead.filter(|at| *at <= until)?;
        self.ahead = None;
        std::mem::swap(out, &mut self.incoming);
        Some(at)
    }

    /// What to tell the kernel where the command did not leave.
    fn send(&mut self, at: UnixNanos, command: &Command) -> Option<OrderReport> {
        let taken = match &mut self.gateway {
            // One session: a command never overtakes the one before it.
            Some(gateway) if self.waiting.is_empty() => gateway.send(command).is_ok(),
            _ => false,
        };
        if taken {
            return None;
        }
        if command.only_reduces() {
            self.waiting.push_back(*command);
            return None;
        }
        not_sent(command, at, RejectReason::Other, Text::cut(NO_ROOM))
    }
}

/// Tells the kernel that an order or an amend never left. Nothing is told of what only takes risk away.
pub(super) fn not_sent(command: &Command, at: UnixNanos, reason: RejectReason, code: Text<31>) -> Option<OrderReport> {
    let (account, instrument, id, request) = match command {
        Command::Place(order) => (order.account, order.instrument, order.cl_ord_id, Request::Place),
        Command::Amend(amend) => (amend.account, amend.instrument, amend.cl_ord_id, Request::Amend),
        Command::Cancel(_) | Command::CancelAll { .. } => return None,
    };
    let body = ReportBody::Rejected { request, reason, code };
    let (cl_ord_id, venue_order_id, ts_event) = (Some(id), VenueOrderId::EMPTY, at);
    Some(OrderReport { account, instrument, cl_ord_id, venue_order_id, ts_event, body })
}
