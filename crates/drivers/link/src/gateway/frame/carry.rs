//! What parts want, carried over to the requests and the sockets, and what came of it told to them.
//! Never: tells the same end twice.

use super::{
    Answer, Ask, Budget, Deeds, Due, ENTRY, Gateway, GuestNo, MAX_TOLD, Owner, SocketDeed, SocketKey, SocketNews,
    UnderWay, Wanted, What,
};
use crate::gateway::Notice;
use crate::gateway::requests::ClockView;
use crate::rate::{Cost, Lane, Settled, Ticket};
use ctos_types::{Nanos, UnixNanos};

/// How long a socket may wait for room in the budget. The patience of whoever wants it is what ends the wait.
const CONNECT_WITHIN: Nanos = Nanos::from_secs(60);

pub(super) fn connect(now: UnixNanos, owner: Owner, key: SocketKey, address: String, cost: Cost) -> Wanted {
    let (what, give_up) = (What::Connect { key, address }, now.after(CONNECT_WITHIN));
    Wanted { owner, tag: 0, lane: Lane::Query, cost, give_up, what }
}

impl Gateway {
    /// What a request or a message came to: the budgets learn of it, then whoever asked. A guest's is the caller's.
    pub(super) fn end(
        &mut self,
        now: UnixNanos,
        ticket: Ticket,
        request: &UnderWay,
        answer: &Answer<'_>,
        deeds: &mut Deeds,
    ) -> Option<GuestNo> {
        if matches!(answer, Answer::Http { status, .. } if *status < 500) {
            self.requests.heard(request.base);
        }
        if request.owner == Owner::Clock {
            // First: what it says of the budgets belongs to a window of the venue's clock.
            self.on_time(now, answer, deeds);
        }
        let mut budgets = std::mem::take(&mut self.budgets);
        self.words.budgets(request.base, &request.cost, answer, &mut budgets);
        self.learn(now, Some(ticket), &mut budgets, deeds);
        self.budgets = budgets;
        let how = if matches!(answer, Answer::NotSent { .. }) { Settled::NotSent } else { Settled::Sent };
        self.requests.limiter.settle(now, ticket, how);
        match request.owner {
            Owner::Part(part) => self.tell(now, part as usize, request.tag, answer, deeds),
            Owner::Clock => {}
            Owner::Entry => unreachable!("its wishes are sockets"),
            Owner::Guest(guest) => return Some(guest),
        }
        None
    }

    pub(super) fn want(&mut self, now: UnixNanos, owner: Owner, ask: Ask) {
        let Ask { tag, lane, cost, within, base, draft } = ask;
        let what = What::Request { base, draft };
        let clock = self.clock_view(now);
        self.requests.want(now, Wanted { owner, tag, lane, cost, give_up: now.after(within), what }, clock);
    }

    pub(super) fn tell(&mut self, now: UnixNanos, part: usize, tag: u64, answer: &Answer<'_>, deeds: &mut Deeds) {
        self.parts[part].on_answer(now, tag, answer, &mut self.out);
        self.absorb(now, part, deeds);
    }

    /// Takes over what a part has put into the outbox. Events stay there.
    pub(super) fn absorb(&mut self, now: UnixNanos, part: usize, deeds: &mut Deeds) {
        self.deadlines[part] = self.parts[part].deadline();
        // A frame of market data brings events and nothing else, thousands of times a second.
        if self.out.is_quiet() {
            return;
        }
        let owner = Owner::Part(part as u16);
        let clock = self.clock_view(now);
        for Ask { tag, lane, cost, within, base, draft } in self.out.asks.drain(..) {
            let what = What::Request { base, draft };
            self.requests.want(now, Wanted { owner, tag, lane, cost, give_up: now.after(within), what }, clock);
        }
        for permit in self.out.permits.drain(..) {
            let give_up = now.after(permit.within);
            let wanted =
                Wanted { owner, tag: permit.tag, lane: permit.lane, cost: permit.cost, give_up, what: What::Permit };
            self.requests.want(now, wanted, clock);
        }
        self.absorb_notices(now, part, deeds);
        if !self.out.sockets.is_empty() {
            self.absorb_sockets(now, part, clock, deeds);
        }
        if self.out.has_settled() {
            let settled: Vec<(u64, Vec<Budget>)> = self.out.take_settled().collect();
            for (tag, mut told) in settled {
                let ticket = self.requests.take_permit(part as u16, tag);
                self.learn(now, ticket, &mut told, deeds);
                if let Some(ticket) = ticket {
                    self.requests.limiter.settle(now, ticket, Settled::Sent);
                }
            }
        }
    }

    /// Where there are several accounts, what a desk says bears the name of its own.
    fn absorb_notices(&mut self, now: UnixNanos, part: usize, deeds: &mut Deeds) {
        let of_many = self.desks.len() > 1 && !self.parts[part].accounts().is_empty();
        if !of_many || self.out.notices.is_empty() {
            deeds.notices.append(&mut self.out.notices);
            return;
        }
        let name = self.parts[part].status(now).name;
        let named = |text: String| format!("{name}: {text}");
        deeds.notices.extend(self.out.notices.drain(..).map(|notice| match notice {
            Notice::Info(text) => Notice::Info(named(text)),
            Notice::Warning(text) => Notice::Warning(named(text)),
            Notice::Alarm { what, hint } => Notice::Alarm { what: named(what), hint },
        }));
    }

    fn absorb_sockets(&mut self, now: UnixNanos, part: usize, clock: ClockView, deeds: &mut Deeds) {
        for (socket, link, deed) in self.out.sockets.drain(..) {
            let key = SocketKey { part: part as u16, socket, link };
            match deed {
                SocketDeed::Connect { address } => {
                    let cost = self.words.connect_cost(&address);
                    if cost.iter().next().is_none() {
                        deeds.sockets.push((key, SocketDeed::Connect { address }));
                        continue;
                    }
                    let wanted = connect(now, Owner::Part(key.part), key, address, cost);
                    self.requests.want(now, wanted, clock);
                }
                SocketDeed::Close { why } => {
                    if !self.requests.withdraw_socket(now, key) {
                        deeds.sockets.push((key, SocketDeed::Close { why }));
                    }
                }
                other => deeds.sockets.push((key, other)),
            }
        }
    }

    /// Lets out what may leave and tells what was refused, until nothing more comes of it.
    pub(super) fn flush(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        if self.requests.is_quiet() {
            return;
        }
        let clock = self.clock_view(now);
        for _ in 0..MAX_TOLD {
            self.requests.advance(now, clock, deeds);
            let Some(due) = self.requests.due.pop_front() else { return };
            match due {
                Due::NotSent { owner, tag, why, retry_after } => match owner {
                    Owner::Part(part) => {
                        self.tell(now, part as usize, tag, &Answer::NotSent { why, retry_after }, deeds);
                    }
                    Owner::Clock => self.on_time(now, &Answer::NotSent { why, retry_after }, deeds),
                    Owner::Guest(guest) => deeds.refused.push((guest, why, retry_after)),
                    Owner::Entry => unreachable!("its wishes are sockets"),
                },
                Due::Go { owner, tag, stamp } => {
                    let Owner::Part(part) = owner else { unreachable!("only parts have sockets") };
                    self.tell(now, part as usize, tag, &Answer::Go { stamp }, deeds);
                }
                Due::NoSocket { key, why } if key.part == ENTRY => {
                    self.entry_news(now, key, &SocketNews::Closed { why: &why }, deeds);
                }
                Due::NoSocket { key, why } => {
                    let part = key.part as usize;
                    let news = SocketNews::Closed { why: &why };
                    self.parts[part].on_socket(now, key.socket, key.link, &news, &mut self.out);
                    self.absorb(now, part, deeds);
                }
            }
        }
    }
}
