//! The order-entry sockets: what they want done, what comes over them, and the end of each message.
//! Never: takes a reply for a message that has ended, or that went over another socket.

use super::carry::connect;
use super::{Answer, Deeds, Gateway, Owner, SocketDeed, SocketKey, SocketNews, Wish};
use crate::gateway::EntryFrame;
use crate::rate::{Cost, Ticket};
use ctos_types::UnixNanos;

impl Gateway {
    pub(super) fn entries_due(&self) -> (UnixNanos, &'static str) {
        let due = self.requests.entries.iter().map(|e| e.deadline());
        due.min_by_key(|(at, _)| *at).unwrap_or((UnixNanos::MAX, "no order entry"))
    }

    /// Lets each do what is due. A ban ends them until it is over.
    pub(super) fn tend_entries(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        for at in 0..self.requests.entries.len() {
            let cost = self.words.connect_cost(self.requests.entries[at].address());
            let shut = self.requests.shut(now, &cost);
            self.requests.entries[at].advance(now, shut, &mut self.wishes);
            self.fulfil(now, deeds);
        }
    }

    pub(super) fn entry_news(&mut self, now: UnixNanos, key: SocketKey, news: &SocketNews<'_>, deeds: &mut Deeds) {
        let Some(at) = self.requests.entries.iter().position(|e| e.base().0 == key.socket.0) else { return };
        let entry = &mut self.requests.entries[at];
        match news {
            SocketNews::Opened => entry.opened(now, key.link, &mut self.wishes),
            SocketNews::Closed { why } => entry.closed(now, key.link, why, &mut self.wishes),
            SocketNews::Pong => entry.pong(now, key.link),
            SocketNews::Ping => {}
            SocketNews::Text(text) => return self.entry_text(now, at, key, text, deeds),
        }
        self.fulfil(now, deeds);
    }

    fn entry_text(&mut self, now: UnixNanos, at: usize, key: SocketKey, text: &str, deeds: &mut Deeds) {
        let base = self.requests.entries[at].base();
        let (id, status, headers, body) = match self.words.read_entry(base, text) {
            EntryFrame::Reply { id, status, headers, body } => (id, status, headers, body),
            EntryFrame::Closing => {
                self.requests.entries[at].goodbye(now, key.link);
                return self.tend_entries(now, deeds);
            }
            EntryFrame::Other => return,
        };
        let ticket = id.map(Ticket);
        let fits = self.requests.entries[at].replied(now, key.link, ticket, &mut self.wishes);
        let message = ticket.filter(|_| fits).and_then(|t| Some((t, self.requests.take_message(t)?)));
        match message {
            Some((ticket, message)) => {
                let answer =
                    Answer::Http { status, headers: &headers, body: &body, sent: message.sent(), received: now };
                self.end(now, ticket, &message, &answer, deeds);
            }
            // To none, to one that has ended, or once more. What it says of a ban counts all the same.
            None => {
                let answer = Answer::Http { status, headers: &headers, body: &body, sent: now, received: now };
                let mut budgets = std::mem::take(&mut self.budgets);
                self.words.budgets(base, &Cost::none(), &answer, &mut budgets);
                self.learn(now, None, &mut budgets, deeds);
                self.budgets = budgets;
            }
        }
        self.fulfil(now, deeds);
    }

    fn fulfil(&mut self, now: UnixNanos, deeds: &mut Deeds) {
        for wish in std::mem::take(&mut self.wishes) {
            match wish {
                Wish::Connect(key, address) => {
                    let cost = self.words.connect_cost(&address);
                    if cost.iter().next().is_none() {
                        deeds.sockets.push((key, SocketDeed::Connect { address }));
                        continue;
                    }
                    let clock = self.clock_view(now);
                    self.requests.want(now, connect(now, Owner::Entry, key, address, cost), clock);
                }
                Wish::Do(key, SocketDeed::Close { why }) => {
                    if !self.requests.withdraw_socket(now, key) {
                        deeds.sockets.push((key, SocketDeed::Close { why }));
                    }
                }
                Wish::Do(key, deed) => deeds.sockets.push((key, deed)),
                Wish::Tell(notice) => deeds.notices.push(notice),
                Wish::Unknown(ticket, why) => {
                    let Some(message) = self.requests.take_message(ticket) else { continue };
                    self.end(now, ticket, &message, &Answer::Unknown { why }, deeds);
                }
            }
        }
    }
}
