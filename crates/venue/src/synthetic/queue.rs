//! The events of one step waiting to be handed out, in time order, and the digest of those handed out.
//! Never: how an event came about.

use ctos_types::event::EventKind;
use ctos_types::{EventBuf, FundingRate, InstrumentId, Level, MarkPrice, Side, Trade, UnixNanos};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An event without its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub at: UnixNanos,
    pub instrument: InstrumentId,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// Levels `from..from + bids` of the queue are bids, those up to `to` asks.
    Depth {
        from: usize,
        bids: usize,
        to: usize,
        snapshot: bool,
        update_id: u64,
    },
    Trade(Trade),
    Mark(MarkPrice),
    Funding(FundingRate),
}

/// Reused from step to step, so that a steady stream does not allocate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queue {
    events: Vec<Pending>,
    pub levels: Vec<Level>,
    /// Positions in `events` by time; equal times in the order of `push`.
    order: Vec<u32>,
    /// How many of `order` were handed out.
    head: usize,
}

impl Queue {
    pub fn clear(&mut self) {
        self.events.clear();
        self.levels.clear();
        self.order.clear();
        self.head = 0;
    }

    pub fn push(&mut self, at: UnixNanos, instrument: InstrumentId, what: What) {
        self.order.push(self.events.len() as u32);
        self.events.push(Pending { at, instrument, what });
    }

    /// Puts what was pushed since `clear` into time order.
    pub fn sort(&mut self) {
        let events = &self.events;
        self.order.sort_unstable_by_key(|&i| (events[i as usize].at, i));
    }

    pub fn front(&self) -> Option<&Pending> {
        self.order.get(self.head).map(|&i| &self.events[i as usize])
    }

    /// The front, with its levels, which is then gone.
    pub fn pop(&mut self) -> Option<(Pending, &[Level])> {
        let front = *self.front()?;
        self.head += 1;
        let levels = match front.what {
            What::Depth { from, to, .. } => &self.levels[from..to],
            _ => &[],
        };
        Some((front, levels))
    }

    /// Whether a restored queue refers only to what is there, in time order.
    pub fn is_sane(&self, instruments: usize) -> bool {
        let event = |e: &Pending| {
            let levels = match e.what {
                What::Depth { from, bids, to, .. } => from <= to && to <= self.levels.len() && bids <= to - from,
                _ => true,
            };
            levels && e.instrument.index() < instruments
        };
        let indices = self.order.len() == self.events.len()
            && self.order.iter().all(|&i| (i as usize) < self.events.len())
            && self.head <= self.order.len();
        indices
            && self.events.iter().all(event)
            && self.order.windows(2).all(|w| {
                let at = |i: u32| (self.events[i as usize].at, i);
                at(w[0]) < at(w[1])
            })
    }
}

impl Pending {
    /// Writes the event out, reusing the level storage.
    pub fn write(&self, levels: &[Level], out: &mut EventBuf) {
        let (instrument, ts_event) = (self.instrument, self.at);
        out.levels.clear();
        out.kind = match self.what {
            What::Depth { bids, snapshot, update_id, .. } => {
                out.levels.extend_from_slice(levels);
                EventKind::Depth { instrument, ts_event, bids, snapshot, update_id }
            }
            What::Trade(trade) => EventKind::Trade { instrument, ts_event, trade },
            What::Mark(mark) => EventKind::Mark { instrument, ts_event, mark },
            What::Funding(funding) => EventKind::Funding { instrument, ts_event, funding },
        };
    }
}

/// Bytes that are hashed at once: per event the hash's own overhead would cost more than making the event.
const LINK_BYTES: usize = 4_096;

/// A chained digest: each link is the hash of the link before and a run of encoded events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chain {
    link: [u8; 32],
    /// Encoded events since the last link.
    open: Vec<u8>,
}

impl Chain {
    pub fn new(head: &[u8]) -> Chain {
        Chain { link: Sha256::digest(head).into(), open: Vec::with_capacity(2 * LINK_BYTES) }
    }

    /// Digest of all events so far.
    pub fn digest(&self) -> [u8; 32] {
        if self.open.is_empty() {
            return self.link;
        }
        let mut hash = Sha256::new();
        hash.update(self.link);
        hash.update(&self.open);
        hash.finalize().into()
    }

    pub fn event(&mut self, event: &Pending, levels: &[Level]) {
        self.encode(event, levels);
        if self.open.len() >= LINK_BYTES {
            self.link = self.digest();
            self.open.clear();
        }
    }

    fn encode(&mut self, event: &Pending, levels: &[Level]) {
        let tag = match event.what {
            What::Depth { snapshot, .. } => u8::from(snapshot),
            What::Trade(_) => 2,
            What::Mark(_) => 3,
            What::Funding(_) => 4,
        };
        let b = &mut self.open;
        b.push(tag);
        b.extend_from_slice(&event.instrument.0.to_le_bytes());
        b.extend_from_slice(&event.at.0.to_le_bytes());
        match event.what {
            What::Depth { bids, update_id, .. } => {
                b.extend_from_slice(&update_id.to_le_bytes());
                b.extend_from_slice(&(bids as u32).to_le_bytes());
                b.extend_from_slice(&(levels.len() as u32).to_le_bytes());
                for l in levels {
                    b.extend_from_slice(&l.price.0.to_le_bytes());
                    b.extend_from_slice(&l.qty.0.to_le_bytes());
                }
            }
            What::Trade(t) => {
                b.push(u8::from(t.aggressor == Side::Buy));
                for n in [t.price.0, t.qty.0, t.id as i64] {
                    b.extend_from_slice(&n.to_le_bytes());
                }
            }
            What::Mark(m) => {
                for d in [m.mark, m.index, m.funding_rate] {
                    b.extend_from_slice(&d.atoms().to_le_bytes());
                }
                b.extend_from_slice(&m.next_funding.0.to_le_bytes());
            }
            What::Funding(f) => {
                for d in [f.rate, f.mark] {
                    b.extend_from_slice(&d.atoms().to_le_bytes());
                }
            }
        }
    }
}
