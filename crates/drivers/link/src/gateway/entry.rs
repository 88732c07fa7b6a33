//! The order-entry socket of one base: opened, proved to be alive, replaced before its day is over, and left alone for a
//! while where it does not work. Whoever writes to it says so; each message then has one end here.
//! Never: a socket, a clock or a request; or a message that is handed out twice or whose end is told twice.

use super::{BaseNo, Notice, SocketDeed, SocketKey, SocketNo};
use crate::backoff::{Backoff, BackoffConfig};
use crate::rate::Ticket;
use crate::session::LinkId;
use ctos_types::{Nanos, UnixNanos};
use std::borrow::Cow;
use std::collections::VecDeque;

/// [`SocketKey::part`] of order-entry sockets, which belong to no part. Their [`SocketNo`] is the number of the base.
pub const ENTRY: u16 = u16::MAX;

/// Without a reply or a pong for this long it is asked whether anybody is there.
const PING_AFTER: Nanos = Nanos::from_secs(20);
/// The oldest that a socket gets: venues close them after a day. Up to `SPREAD` less, so that sockets that were opened
/// together are not replaced together.
const LIFE: Nanos = Nanos::from_secs(23 * 3_600);
const SPREAD: Nanos = Nanos::from_secs(30 * 60);
/// Messages without a reply on one socket.
const MOST: usize = 512;
/// Failures in a row after which a person is told.
const TELL_AFTER: u32 = 3;
/// What held for this long is well again.
const GOOD_AFTER: Nanos = Nanos::from_secs(60);
/// How long a socket is not used that took messages and replied to none.
const MUTE: BackoffConfig =
    BackoffConfig { first: Nanos::from_secs(30), cap: Nanos::from_secs(30 * 60), good_after: GOOD_AFTER };

/// A frame of an order-entry socket in the words of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryFrame<'a> {
    /// The reply to a message, as the HTTP answer of the same meaning. `id`: of [`super::Draft::write_message`]; `None`
    /// where the venue does not say to which message.
    Reply { id: Option<u64>, status: u16, headers: Vec<(String, String)>, body: Cow<'a, [u8]> },
    /// The venue is about to close the socket.
    Closing,
    /// Nothing that concerns a message.
    Other,
}

/// An order-entry socket as people see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryStatus {
    pub address: String,
    /// Orders go this way now; else by HTTP.
    pub open: bool,
    /// Since when it is open, or not.
    pub since: UnixNanos,
    /// Messages that were sent, and those of them to which no reply came.
    pub sent: u64,
    pub unknown: u64,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Counted by the venue: it may have to wait.
    Connect(SocketKey, String),
    Do(SocketKey, SocketDeed),
    /// The message left and no reply will be taken any more.
    Unknown(Ticket, String),
    Tell(Notice),
}

/// An open socket.
#[derive(Debug)]
struct Link {
    id: LinkId,
    opened: UnixNanos,
    /// When it last proved that what we say is heard.
    proved: UnixNanos,
    ping_sent: Option<UnixNanos>,
    /// The last reply to any message.
    replied: UnixNanos,
    /// Messages without a reply, oldest first.
    owed: VecDeque<(Ticket, UnixNanos)>,
}

/// See the module. After each call that takes an `out`: carry it out, then [`Entry::deadline`].
#[derive(Debug)]
pub(super) struct Entry {
    base: BaseNo,
    address: String,
    /// For a reply, for a pong.
    within: Nanos,
    current: Option<Link>,
    opening: Option<(LinkId, UnixNanos)>,
    /// Replaced: they still get replies.
    leaving: Vec<Link>,
    backoff: Backoff,
    mutes: Backoff,
    /// Nothing is opened before.
    retry_at: UnixNanos,
    rotate_at: UnixNanos,
    down_since: UnixNanos,
    next_link: u64,
    stopping: bool,
    greeted: bool,
    complained: bool,
    sent: u64,
    unknown: u64,
}

impl Entry {
    pub fn new(base: BaseNo, address: String) -> Entry {
        Entry {
            base,
            address,
            within: Nanos::from_secs(10),
            current: None,
            opening: None,
            leaving: Vec::new(),
            backoff: Backoff::new(BackoffConfig::default()),
            mutes: Backoff::new(MUTE),
            retry_at: UnixNanos::MIN,
            rotate_at: UnixNanos::MAX,
            down_since: UnixNanos::MIN,
            next_link: 0,
            stopping: false,
            greeted: false,
            complained: false,
            sent: 0,
            unknown: 0,
        }
    }

    pub fn set_within(&mut self, within: Nanos) {
        self.within = within;
    }

    pub fn base(&self) -> BaseNo {
        self.base
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    fn key(&self, link: LinkId) -> SocketKey {
        SocketKey { part: ENTRY, socket: SocketNo(self.base.0), link }
    }

    /// Where a message may go now. Not to a socket that owes a reply for long and has given none since.
    pub fn usable(&self, now: UnixNanos) -> Option<SocketKey> {
        let link = self.current.as_ref()?;
        let slow = |(_, sent): &(Ticket, UnixNanos)| now > sent.after(Nanos(self.within.0 / 5)) && link.replied < *sent;
        let fine = link.owed.len() < MOST && !link.owed.front().is_some_and(slow);
        fine.then(|| self.key(link.id))
    }

    /// A message was handed to the socket of [`Entry::usable`].
    pub fn handed(&mut self, now: UnixNanos, ticket: Ticket) {
        let link = self.current.as_mut().expect("there is one that is usable");
        link.owed.push_back((ticket, now));
        self.sent += 1;
    }

    /// Everything that is due. `shut`: how long nothing may be opened, and whether that is a ban.
    pub fn advance(&mut self, now: UnixNanos, shut: Option<(Nanos, bool)>, out: &mut Vec<Wish>) {
        self.overdue(now, out);
        if shut.is_some_and(|(_, banned)| banned) {
            self.leave(now);
        }
        self.close_emptied(out);
        self.ping(now, out);
        if let Some((link, since)) = self.opening
            && now >= since.after(self.connect_within())
        {
            self.opening = None;
            out.push(Wish::Do(self.key(link), SocketDeed::Close { why: "not open in time" }));
            self.failed(now, "no connection in time", out);
        }
        if self.complained && self.current.as_ref().is_some_and(|l| now >= l.opened.after(GOOD_AFTER)) {
            self.complained = false;
            out.push(Wish::Tell(Notice::Info(format!("orders go over {} again", self.address))));
        }
        if self.opens_at() <= now {
            match shut {
                Some((left, _)) => self.retry_at = now.after(left),
                None => {
                    self.next_link += 1;
                    let link = LinkId(self.next_link);
                    self.opening = Some((link, now));
                    out.push(Wish::Connect(self.key(link), self.address.clone()));
                }
            }
        }
    }

    pub fn deadline(&self) -> (UnixNanos, &'static str) {
        let owed = |link: &Link| link.owed.front().map_or(UnixNanos::MAX, |(_, sent)| sent.after(self.within));
        let mut first = (self.opens_at(), "order entry: open");
        let mut propose = |at: UnixNanos, why| {
            if at < first.0 {
                first = (at, why);
            }
        };
        if let Some(link) = &self.current {
            propose(owed(link), "order entry: reply");
            match link.ping_sent {
                Some(sent) => propose(sent.after(self.within), "order entry: pong"),
                None => propose(link.proved.after(PING_AFTER), "order entry: ping"),
            }
            if self.complained {
                propose(link.opened.after(GOOD_AFTER), "order entry: well again");
            }
        }
        for link in &self.leaving {
            propose(owed(link), "order entry: last reply");
        }
        if let Some((_, since)) = self.opening {
            propose(since.after(self.connect_within()), "order entry: connection");
        }
        first
    }

    // ---- news

    pub fn opened(&mut self, now: UnixNanos, link: LinkId, out: &mut Vec<Wish>) {
        // One that was given up meanwhile is being closed.
        if self.opening.take_if(|(id, _)| *id == link).is_none() {
            return;
        }
        self.leave(now);
        let (proved, replied, owed) = (now, UnixNanos::MIN, VecDeque::new());
        self.current = Some(Link { id: link, opened: now, proved, ping_sent: None, replied, owed });
        self.rotate_at = now.after(Nanos(LIFE.0 - (self.random(now) % SPREAD.0 as u64) as i64));
        self.backoff.up(now);
        if !std::mem::replace(&mut self.greeted, true) {
            out.push(Wish::Tell(Notice::Info(format!("orders go over {}", self.address))));
        }
        self.close_emptied(out);
    }

    /// The socket is gone, or was never there.
    pub fn closed(&mut self, now: UnixNanos, link: LinkId, why: &str, out: &mut Vec<Wish>) {
        if self.opening.take_if(|(id, _)| *id == link).is_some() {
            return self.failed(now, why, out);
        }
        if let Some(gone) = self.current.take_if(|l| l.id == link) {
            self.down_since = now;
            self.lose(gone, why, out);
            return self.failed(now, why, out);
        }
        if let Some(at) = self.leaving.iter().position(|l| l.id == link) {
            let gone = self.leaving.remove(at);
            self.lose(gone, why, out);
        }
    }

    pub fn pong(&mut self, now: UnixNanos, link: LinkId) {
        if let Some(link) = self.current.as_mut().filter(|l| l.id == link) {
            (link.proved, link.ping_sent) = (now, None);
        }
    }

    /// A reply came on `link`. True: it is the one that this message waits for.
    pub fn replied(&mut self, now: UnixNanos, link: LinkId, ticket: Option<Ticket>, out: &mut Vec<Wish>) -> bool {
        self.pong(now, link);
        let mut links = self.current.iter_mut().chain(&mut self.leaving);
        let Some(link) = links.find(|l| l.id == link) else { return false };
        link.replied = now;
        let at = ticket.and_then(|ticket| link.owed.iter().position(|(t, _)| *t == ticket));
        at.map(|at| link.owed.remove(at));
        self.mutes.up(now);
        self.close_emptied(out);
        at.is_some()
    }

    /// The venue will close it.
    pub fn goodbye(&mut self, now: UnixNanos, link: LinkId) {
        if self.current.as_ref().is_some_and(|l| l.id == link) {
            self.rotate_at = now;
        }
    }

    /// Nothing is opened any more. What is open stays for what still leaves.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub fn status(&self, now: UnixNanos) -> EntryStatus {
        EntryStatus {
            address: self.address.clone(),
            open: self.usable(now).is_some(),
            since: self.current.as_ref().map_or(self.down_since, |l| l.opened),
            sent: self.sent,
            unknown: self.unknown,
        }
    }

    // ---- the inside

    fn connect_within(&self) -> Nanos {
        Nanos(self.within.0.saturating_mul(2))
    }

    fn opens_at(&self) -> UnixNanos {
        match &self.current {
            _ if self.stopping || self.opening.is_some() => UnixNanos::MAX,
            None => self.retry_at,
            Some(_) => self.rotate_at.max(self.retry_at),
        }
    }

    /// Messages that waited long enough. A socket that has replied to nothing since then is mute: it is left, and
    /// whatever it still says is listened to.
    fn overdue(&mut self, now: UnixNanos, out: &mut Vec<Wish>) {
        let (within, mut mute, mut lost) = (self.within, false, 0);
        for (at, link) in self.current.iter_mut().chain(&mut self.leaving).enumerate() {
            while let Some((ticket, sent)) = link.owed.pop_front_if(|(_, sent)| now >= sent.after(within)) {
                out.push(Wish::Unknown(ticket, "no reply over the socket in time".into()));
                lost += 1;
                mute |= at == 0 && link.replied < sent;
            }
        }
        self.unknown += lost;
        if mute && self.current.is_some() {
            self.leave(now);
            let wait = self.mutes.down(now, self.random(now));
            self.retry_at = self.retry_at.max(now.after(wait));
            let seconds = wait.as_secs_f64();
            let what = format!("{} takes orders and does not reply: REST is used for {seconds:.0} s", self.address);
            out.push(Wish::Tell(Notice::Warning(what)));
        }
    }

    fn ping(&mut self, now: UnixNanos, out: &mut Vec<Wish>) {
        let Some(link) = &mut self.current else { return };
        let key = SocketKey { part: ENTRY, socket: SocketNo(self.base.0), link: link.id };
        match link.ping_sent {
            Some(sent) if now >= sent.after(self.within) => {
                out.push(Wish::Do(key, SocketDeed::Close { why: "no pong" }));
                self.closed(now, key.link, "no pong", out);
            }
            None if now >= link.proved.after(PING_AFTER) => {
                link.ping_sent = Some(now);
                out.push(Wish::Do(key, SocketDeed::Ping));
            }
            _ => {}
        }
    }

    fn leave(&mut self, now: UnixNanos) {
        if let Some(link) = self.current.take() {
            self.down_since = now;
            self.leaving.push(link);
        }
    }

    fn close_emptied(&mut self, out: &mut Vec<Wish>) {
        let base = self.base.0;
        self.leaving.retain(|link| {
            if link.owed.is_empty() {
                let key = SocketKey { part: ENTRY, socket: SocketNo(base), link: link.id };
                out.push(Wish::Do(key, SocketDeed::Close { why: "replaced" }));
            }
            !link.owed.is_empty()
        });
    }

    fn lose(&mut self, link: Link, why: &str, out: &mut Vec<Wish>) {
        self.unknown += link.owed.len() as u64;
        out.extend(link.owed.into_iter().map(|(ticket, _)| Wish::Unknown(ticket, format!("the socket ended: {why}"))));
    }

    fn failed(&mut self, now: UnixNanos, why: &str, out: &mut Vec<Wish>) {
        let wait = self.backoff.down(now, self.random(now));
        self.retry_at = self.retry_at.max(now.after(wait));
        let enough = self.backoff.failures() >= TELL_AFTER && !self.stopping;
        if enough && !std::mem::replace(&mut self.complained, true) {
            let what = format!("{} does not work ({why}): orders go by REST, it is tried again", self.address);
            out.push(Wish::Tell(Notice::Warning(what)));
        }
    }

    /// For jitter only: different for each moment and each link.
    fn random(&self, now: UnixNanos) -> u64 {
        let mut z = (now.0 as u64 ^ (self.next_link << 48)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests;
