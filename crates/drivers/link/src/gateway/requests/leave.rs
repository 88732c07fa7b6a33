//! The moment at which a request leaves: it is written, and the way is chosen. What may go as a message goes over the
//! base's order-entry socket while that is well, everything else and at any other time by HTTP.
//! Never: sends a request both ways, or one of them twice.

use super::{ClockView, Owner, Requests, Wanted, What};
use crate::gateway::{BaseNo, Deeds, Outgoing, SocketDeed, SocketKey};
use crate::rate::{Cost, Lane, Settled, Ticket};
use crate::session::LinkId;
use ctos_types::{Nanos, UnixNanos};

/// Requests under way at once on one base by HTTP; each takes a connection.
const MAX_UNDER_WAY: usize = 32;
/// So many more for what makes an account safer.
const FOR_REDUCING: usize = 8;

/// How a request left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Way {
    Http,
    /// Over this link of the base's order-entry socket.
    Entry {
        link: LinkId,
        sent: UnixNanos,
    },
}

/// A request of which bytes may have left.
#[derive(Debug)]
pub(in crate::gateway) struct UnderWay {
    pub owner: Owner,
    pub tag: u64,
    pub base: BaseNo,
    pub cost: Cost,
    pub way: Way,
}

impl UnderWay {
    /// When a message was handed to its socket.
    pub fn sent(&self) -> UnixNanos {
        match self.way {
            Way::Entry { sent, .. } => sent,
            Way::Http => UnixNanos::MIN,
        }
    }
}

impl Requests {
    /// Writes and hands out what there is a way for.
    pub(super) fn dispatch(&mut self, now: UnixNanos, base: usize, clock: ClockView, deeds: &mut Deeds) {
        for lane in Lane::ALL {
            let most = MAX_UNDER_WAY + if lane == Lane::Reduce { FOR_REDUCING } else { 0 };
            while let Some((_, front)) = self.ready[base][lane as usize].front() {
                let expired = now >= front.give_up;
                let shut = self.limiter.shut_for(now, &front.cost);
                let entry = self.entry_for(now, front);
                if !expired && shut.is_none() && entry.is_none() && self.busy[base] >= most {
                    break;
                }
                let (ticket, wanted) = self.ready[base][lane as usize].pop_front().expect("it was there");
                let why = match shut {
                    _ if expired => "no connection was free in time".to_string(),
                    // Closed since it was let go. What reduces waits for the end of it.
                    Some(_) if lane == Lane::Reduce => {
                        self.limiter.settle(now, ticket, Settled::NotSent);
                        self.queue(wanted);
                        continue;
                    }
                    Some(_) => "the venue has closed its doors".to_string(),
                    None => {
                        let stamp = clock.stamp.unwrap_or(now);
                        match self.hand_out(now, ticket, &wanted, stamp, entry, deeds) {
                            Ok(()) => continue,
                            Err(why) => why,
                        }
                    }
                };
                self.limiter.settle(now, ticket, Settled::NotSent);
                self.refuse(&wanted, why, shut);
            }
        }
    }

    /// The entry, and its socket, over which this request may go now: only what places, changes and cancels orders.
    fn entry_for(&self, now: UnixNanos, wanted: &Wanted) -> Option<(usize, SocketKey)> {
        let What::Request { base, draft } = &wanted.what else { return None };
        let may = matches!(wanted.owner, Owner::Part(_)) && matches!(wanted.lane, Lane::Reduce | Lane::New);
        if !may || self.entries.is_empty() || !draft.has_message() {
            return None;
        }
        let at = self.entries.iter().position(|e| e.base() == *base)?;
        Some((at, self.entries[at].usable(now)?))
    }

    fn hand_out(
        &mut self,
        now: UnixNanos,
        ticket: Ticket,
        wanted: &Wanted,
        stamp: UnixNanos,
        entry: Option<(usize, SocketKey)>,
        deeds: &mut Deeds,
    ) -> Result<(), String> {
        let What::Request { base, draft } = &wanted.what else { unreachable!("only requests get ready") };
        let message = entry.and_then(|(at, key)| Some((at, key, draft.write_message(stamp, ticket.0)?)));
        let way = match message {
            Some((at, key, text)) => {
                deeds.sockets.push((key, SocketDeed::Send(text?)));
                self.entries[at].handed(now, ticket);
                Way::Entry { link: key.link, sent: now }
            }
            None => {
                let request = draft.write(stamp)?;
                deeds.sends.push(Outgoing { ticket, base: *base, request });
                self.busy[base.0 as usize] += 1;
                Way::Http
            }
        };
        let Wanted { owner, tag, cost, .. } = *wanted;
        self.under_way.insert(ticket, UnderWay { owner, tag, base: *base, cost, way });
        Ok(())
    }

    /// Takes a request off that the shell has an answer to; the caller settles it.
    pub fn take(&mut self, ticket: Ticket) -> Option<UnderWay> {
        let request = self.take_where(ticket, |way| way == Way::Http)?;
        self.busy[request.base.0 as usize] -= 1;
        Some(request)
    }

    /// As [`Requests::take`], for a message.
    pub fn take_message(&mut self, ticket: Ticket) -> Option<UnderWay> {
        self.take_where(ticket, |way| way != Way::Http)
    }

    fn take_where(&mut self, ticket: Ticket, fits: impl Fn(Way) -> bool) -> Option<UnderWay> {
        self.under_way.get(&ticket).filter(|u| fits(u.way))?;
        self.under_way.remove(&ticket)
    }

    /// How long nothing of this cost may leave, and whether that is a ban.
    pub fn shut(&self, now: UnixNanos, cost: &Cost) -> Option<(Nanos, bool)> {
        let left = self.limiter.shut_for(now, cost)?;
        Some((left, self.limiter.closures().any(|c| c.banned && c.until > now)))
    }
}
