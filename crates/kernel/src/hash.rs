//! `command_hash`: a chain over the canonical form of every command, without the run's own tag.

use ctos_types::{Command, NewOrder, OrderKind, OrderQty, TimeInForce, UnixNanos};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The running chain: `h' = sha256(h | seq | at | command)`, so that equal hashes mean equal commands at equal inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandHash([u8; 32]);

impl CommandHash {
    pub fn push(&mut self, seq: u64, at: UnixNanos, command: &Command) {
        let mut sha = Sha256::new();
        sha.update(self.0);
        sha.update(seq.to_le_bytes());
        sha.update(at.0.to_le_bytes());
        let mut bytes = Canonical { buf: [0; 192], len: 0 };
        bytes.command(command);
        sha.update(&bytes.buf[..bytes.len]);
        self.0 = sha.finalize().into();
    }

    pub fn hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// A fixed buffer: the longest command is well below its size, and hashing must not allocate.
struct Canonical {
    buf: [u8; 192],
    len: usize,
}

impl Canonical {
    fn put(&mut self, bytes: &[u8]) {
        self.buf[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
    fn u8(&mut self, v: u8) {
        self.put(&[v]);
    }
    fn i64(&mut self, v: i64) {
        self.put(&v.to_le_bytes());
    }
    fn u64(&mut self, v: u64) {
        self.put(&v.to_le_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.put(&v.to_le_bytes());
    }
    fn optional(&mut self, v: Option<i64>) {
        self.u8(u8::from(v.is_some()));
        self.i64(v.unwrap_or(0));
    }

    fn command(&mut self, command: &Command) {
        self.u32(u32::from(command.account().0));
        match command {
            Command::Place(order) => {
                self.u8(1);
                self.order(order);
            }
            Command::Amend(amend) => {
                self.u8(2);
                self.u64(amend.cl_ord_id.seq);
                self.u32(amend.instrument.0);
                self.optional(amend.price.map(|p| p.0));
                self.optional(amend.qty.map(|q| q.0));
            }
            Command::Cancel(cancel) => {
                self.u8(3);
                self.u64(cancel.cl_ord_id.seq);
                self.u32(cancel.instrument.0);
            }
            Command::CancelAll { instrument, .. } => {
                self.u8(4);
                self.optional(instrument.map(|i| i64::from(i.0)));
            }
        }
    }

    fn order(&mut self, o: &NewOrder) {
        self.u32(u32::from(o.strategy.0));
        self.u64(o.cl_ord_id.seq);
        self.u32(o.instrument.0);
        self.u8(o.side as u8);
        let (tag, a, b) = match o.kind {
            OrderKind::Market => (0, 0, None),
            OrderKind::Limit { price } => (1, price.0, None),
            OrderKind::StopMarket { trigger } => (2, trigger.0, None),
            OrderKind::StopLimit { trigger, price } => (3, trigger.0, Some(price.0)),
            OrderKind::TakeProfitMarket { trigger } => (4, trigger.0, None),
            OrderKind::TakeProfitLimit { trigger, price } => (5, trigger.0, Some(price.0)),
            OrderKind::TrailingStop { callback_bps, activation } => {
                (6, i64::from(callback_bps), activation.map(|p| p.0))
            }
        };
        self.u8(tag);
        self.i64(a);
        self.optional(b);
        match o.qty {
            OrderQty::Size(q) => {
                self.u8(0);
                self.i64(q.0);
            }
            OrderQty::Quote(amount) => {
                self.u8(1);
                self.put(&amount.atoms().to_le_bytes());
            }
        }
        match o.tif {
            TimeInForce::Gtc => self.u8(0),
            TimeInForce::Ioc => self.u8(1),
            TimeInForce::Fok => self.u8(2),
            TimeInForce::Gtd(t) => {
                self.u8(3);
                self.i64(t.0);
            }
        }
        let flags = u8::from(o.post_only) | u8::from(o.reduce_only) << 1 | (o.trigger_by as u8) << 2;
        // Apart from the others, so that orders without a word on loans count as before there was one.
        let flags = flags | o.auto_borrow.map_or(0, |yes| if yes { 8 } else { 16 });
        self.put(&[flags, o.position_effect as u8, o.leg as u8]);
    }
}
