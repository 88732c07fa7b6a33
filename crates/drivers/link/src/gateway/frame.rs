//! The frame around the parts of one venue: inputs in, deeds out. Calling contract: one input, carry out all deeds,
//! take the events, sleep until [`Gateway::deadline`].
//! Never: lets two parts spend the same budget twice, or loses a command: each reaches a desk or comes back.

mod budget;
mod carry;
mod entries;
mod watch;

pub use watch::ClockState;

use super::entry::{ENTRY, Entry, Wish};
use super::requests::{ClockView, Due, Owner, Requests, UnderWay, Wanted, What};
use super::{
    Answer, Ask, Budget, Deeds, EntryStatus, GuestNo, Outbox, Part, PartStatus, SocketDeed, SocketKey, SocketNews,
    VenueWords,
};
use crate::clock::{ClockConfig, ServerClock};
use crate::rate::{Closure, Limiter, Ticket, Usage};
use ctos_types::{
    AccountId, Command, Event, EventBuf, InstrumentId, Nanos, OrderReport, RejectReason, ReportBody, Request, Text,
    UnixNanos, VenueOrderId,
};
use std::collections::BTreeMap;

/// Answers told in one go; a part that asks again at once must not keep the frame from everything else.
const MAX_TOLD: usize = 4096;

/// See the module for the calling contract.
#[derive(Debug)]
pub struct Gateway {
    words: Box<dyn VenueWords>,
    parts: Vec<Box<dyn Part>>,
    deadlines: Vec<(UnixNanos, &'static str)>,
    desks: BTreeMap<AccountId, u16>,
    requests: Requests,
    clock: ServerClock,
    /// The question for the venue's time: how many are under way, how many there were.
    asking: u32,
    asked: UnixNanos,
    turn: u32,
    doubted: bool,
    wall_error: Option<Nanos>,
    out: Outbox,
    budgets: Vec<Budget>,
    /// Closures that people were told of.
    told: Vec<Closure>,
    /// What the order-entry sockets want done.
    wishes: Vec<Wish>,
    stopping: bool,
}

impl Gateway {
    /// Takes the parts in the order in which [`SocketKey::part`] counts them.
    ///
    /// # Panics
    /// When two parts want the commands of the same account: one of them would never hear of its orders.
    pub fn new(words: Box<dyn VenueWords>, parts: Vec<Box<dyn Part>>, clock: ClockConfig) -> Gateway {
        let (config, groups, meters) = words.limiter();
        let mut limiter = Limiter::new(config);
        for group in &groups {
            limiter.add_group(group);
        }
        for meter in meters {
            limiter.add_meter(meter);
        }
        let mut desks = BTreeMap::new();
        for (at, part) in parts.iter().enumerate() {
            for account in part.accounts() {
                let before = desks.insert(*account, at as u16);
                assert!(before.is_none(), "account {} has two desks", account.0);
            }
        }
        let bases = words.bases().len();
        // Without a desk there are no orders.
        let entries = words.entries().into_iter().filter(|(base, _)| !desks.is_empty() && usize::from(base.0) < bases);
        let entries = entries.map(|(base, address)| Entry::new(base, address)).collect();
        Gateway {
            requests: Requests::new(limiter, bases, entries),
            deadlines: parts.iter().map(|p| p.deadline()).collect(),
            words,
            parts,
            desks,
            clock: ServerClock::new(clock),
            asking: 0,
            asked: UnixNanos::MIN,
            turn: 0,
            doubted: false,
            wall_error: None,
            out: Outbox::default(),
            budgets: Vec::new(),
            told: Vec::new(),
            wishes: Vec::new(),
            stopping: false,
        }
    }

    /// How long a message waits for its reply: as long as the shell's HTTP client does. Before [`Gateway::start`].
    pub fn set_answer_within(&mut self, within: Nanos) {
        self.requests.entries.iter_mut().for_each(|e| e.set_within(within));
    }

    // ---- inputs

    pub fn start(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        for _ in 0..self.words.bases().len() {
            self.ask_time(now);
        }
        self.tend_entries(now, deeds);
        for part in 0..self.parts.len() {
            self.parts[part].start(now, &mut self.out);
            self.absorb(now, part, deeds);
        }
        self.flush(now, deeds);
    }

    /// A command whose intent is durable. Its outcome is an event, whatever happens.
    pub fn command(&mut self, now: UnixNanos, command: &Command, deeds: &mut Deeds) {
        let Some(part) = self.desks.get(&command.account()).map(|p| *p as usize) else {
            if let Some(report) = refusal(command, now, NO_ACCOUNT) {
                self.out.event(now, Event::Report(&report));
            }
            return;
        };
        self.parts[part].on_command(now, command, &mut self.out);
        self.absorb(now, part, deeds);
        self.flush(now, deeds);
    }

    /// A request of [`Deeds::sends`] ended. Returns the guest who asked: the answer is then the guest's.
    pub fn answered(
        &mut self,
        now: UnixNanos,
        ticket: Ticket,
        answer: &Answer<'_>,
        deeds: &mut Deeds,
    ) -> Option<GuestNo> {
        let request = self.requests.take(ticket)?;
        let guest = self.end(now, ticket, &request, answer, deeds);
        self.flush(now, deeds);
        guest
    }

    /// What happened on a socket of [`Deeds::sockets`]. `now`: when it was read from the socket.
    pub fn socket(&mut self, now: UnixNanos, key: SocketKey, news: &SocketNews<'_>, deeds: &mut Deeds) {
        if matches!(news, SocketNews::Opened | SocketNews::Closed { .. }) {
            self.requests.connected(now, key);
        }
        if key.part == ENTRY {
            self.entry_news(now, key, news, deeds);
        } else {
            let part = key.part as usize;
            self.parts[part].on_socket(now, key.socket, key.link, news, &mut self.out);
            self.absorb(now, part, deeds);
        }
        self.flush(now, deeds);
    }

    /// A one-shot request of a guest, in the lane and at the cost that stand in it; its tag is not looked at.
    /// Not sent, it comes back in [`Deeds::refused`].
    pub fn request(&mut self, now: UnixNanos, guest: GuestNo, ask: Ask, deeds: &mut Deeds) {
        self.want(now, Owner::Guest(guest), ask);
        self.flush(now, deeds);
    }

    /// Market data of these instruments was lost behind us: see [`Part::resend`].
    pub fn resend(&mut self, now: UnixNanos, instrument: InstrumentId, deeds: &mut Deeds) {
        for part in 0..self.parts.len() {
            self.parts[part].resend(now, instrument, &mut self.out);
            self.absorb(now, part, deeds);
        }
        self.flush(now, deeds);
    }

    pub fn on_deadline(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        if self.clock_due().0 <= now {
            self.ask_time(now);
        }
        self.requests.give_up_permits(now);
        if self.entries_due().0 <= now {
            self.tend_entries(now, deeds);
        }
        for part in 0..self.parts.len() {
            if self.deadlines[part].0 <= now {
                self.parts[part].on_deadline(now, &mut self.out);
                self.absorb(now, part, deeds);
            }
        }
        self.flush(now, deeds);
    }

    /// When [`Gateway::on_deadline`] must be called, and why.
    pub fn deadline(&self) -> (UnixNanos, &'static str) {
        let own = [self.requests.deadline(), self.clock_due(), self.entries_due()];
        self.deadlines.iter().copied().chain(own).min_by_key(|(at, _)| *at).expect("three are always there")
    }

    /// Tells every part to leave. What they still ask for goes out; after that [`Gateway::is_idle`].
    pub fn stop(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        for part in 0..self.parts.len() {
            self.parts[part].stop(now, &mut self.out);
            self.absorb(now, part, deeds);
        }
        self.requests.entries.iter_mut().for_each(Entry::stop);
        self.flush(now, deeds);
    }

    /// Nothing that a part asked for waits or is under way.
    pub fn is_idle(&self) -> bool {
        self.requests.of_parts() == 0
    }

    // ---- outputs

    /// Events for the kernel with their times, in order; give the boxes back with [`Gateway::reuse`].
    pub fn take_events(&mut self) -> std::vec::Drain<'_, (UnixNanos, Box<EventBuf>)> {
        self.out.take_events()
    }

    pub fn has_events(&self) -> bool {
        self.out.has_events()
    }

    pub fn reuse(&mut self, buf: Box<EventBuf>) {
        self.out.reuse(buf);
    }

    pub fn bases(&self) -> Vec<String> {
        self.words.bases()
    }

    /// What is closed now. Kept over a restart: a new process must not hammer into a ban.
    pub fn closures(&self) -> Vec<Closure> {
        self.requests.limiter.closures().collect()
    }

    /// A closure that an earlier process met. Before [`Gateway::start`].
    pub fn resume_closure(&mut self, name: &str, until: UnixNanos, banned: bool) {
        self.requests.limiter.resume_closure(name, until, banned);
        self.told = self.closures();
    }

    pub fn usage(&self) -> Vec<Usage> {
        self.requests.limiter.usage().collect()
    }

    /// The order-entry sockets.
    pub fn entry_status(&self, now: UnixNanos) -> Vec<EntryStatus> {
        self.requests.entries.iter().map(|e| e.status(now)).collect()
    }

    pub fn part_status(&self, now: UnixNanos) -> Vec<PartStatus> {
        self.parts.iter().map(|p| p.status(now)).collect()
    }

    // ---- the inside

    fn clock_view(&self, now: UnixNanos) -> ClockView {
        ClockView { stamp: self.clock.stamp(now), doubted: self.doubted }
    }
}

/// Code of a refusal of our own: no desk here takes the account's commands.
pub const NO_ACCOUNT: &str = "NO_ACCOUNT";

/// The outcome of a command that never reached a desk: nothing of it left this process. `None` for [`Command::CancelAll`],
/// which has no outcome of its own.
pub fn refusal(command: &Command, at: UnixNanos, code: &str) -> Option<OrderReport> {
    let (instrument, cl_ord_id, request) = match command {
        Command::Place(o) => (o.instrument, o.cl_ord_id, Request::Place),
        Command::Amend(o) => (o.instrument, o.cl_ord_id, Request::Amend),
        Command::Cancel(o) => (o.instrument, o.cl_ord_id, Request::Cancel),
        Command::CancelAll { .. } => return None,
    };
    Some(OrderReport {
        account: command.account(),
        instrument,
        cl_ord_id: Some(cl_ord_id),
        venue_order_id: VenueOrderId::default(),
        ts_event: at,
        body: ReportBody::Rejected { request, reason: RejectReason::Other, code: Text::cut(code) },
    })
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::gateway) mod toy;
