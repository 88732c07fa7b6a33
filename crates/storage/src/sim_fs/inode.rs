//! One file's content: what reads see, what the disk has, and which pages differ.
//! Never: names or faults.

use super::PAGE;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Inode {
    /// What reads see.
    pub cached: Vec<u8>,
    /// What a power loss leaves at least.
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl Inode {
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        let from = offset.min(self.cached.len());
        if self.cached.len() < end {
            self.cached.resize(end, 0);
        }
        self.cached[offset..end].copy_from_slice(bytes);
        self.dirty.extend(from / PAGE..=(end - 1) / PAGE);
    }

    pub fn set_len(&mut self, len: usize) {
        let old = self.cached.len();
        self.cached.resize(len, 0);
        if len > old {
            self.dirty.extend(old / PAGE..=(len - 1) / PAGE);
        }
    }

    /// The system gives up on the dirty pages and calls them clean.
    pub fn fail_sync(&mut self) {
        self.dirty.clear();
    }

    /// Flips bits both in the cache and on the disk.
    pub fn corrupt(&mut self, at: usize, mask: u8) {
        for bytes in [&mut self.cached, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= mask;
            }
        }
    }

    pub fn sync(&mut self) {
        self.durable.resize(self.cached.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let (from, to) = (page * PAGE, ((page + 1) * PAGE).min(self.cached.len()));
            if from < to {
                self.durable[from..to].copy_from_slice(&self.cached[from..to]);
            }
        }
    }

    pub fn crash(&mut self, rng: &mut Xoshiro256PlusPlus) {
        let (old, new) = (self.durable.len(), self.cached.len());
        // The length is metadata of its own: it may be the old one, the new one or, where the file grew, one between.
        let len = match rng.next_u64() % 3 {
            0 => old,
            1 => new,
            _ if new > old => old + (rng.next_u64() % (new - old + 1) as u64) as usize,
            _ => new,
        };
        self.durable.resize(len, 0);
        for page in std::mem::take(&mut self.dirty) {
            let (from, to) = (page * PAGE, ((page + 1) * PAGE).min(len).min(new));
            if from >= to {
                continue;
            }
            let landed = match rng.next_u64() % 3 {
                0 => from,
                1 => to,
                _ => from + (rng.next_u64() % (to - from + 1) as u64) as usize,
            };
            self.durable[from..landed].copy_from_slice(&self.cached[from..landed]);
        }
        self.cached = self.durable.clone();
    }
}
