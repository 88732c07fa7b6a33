//! The words of a tape in blocks of a fixed size, so that loading never copies what is there and never holds it twice.
//! Never: splits an entry between two blocks.

/// A block ends where the next entry would exceed this many words, one MiB; a longer entry has a block of its own. Tests
/// have small ones, so that short recordings cross their borders.
pub const BLOCK: usize = if cfg!(test) { 48 } else { 1 << 17 };

/// Blocks, each with the number of entries before it.
#[derive(Debug, Default)]
pub struct Words {
    pub blocks: Vec<Box<[u64]>>,
    /// Entries before each block.
    pub firsts: Vec<usize>,
    pub entries: usize,
    open: Vec<u64>,
    open_first: usize,
}

impl Words {
    pub fn push(&mut self, entry: &[u64]) {
        if self.open.len() + entry.len() > BLOCK && !self.open.is_empty() {
            self.seal();
            self.open.reserve_exact(BLOCK.max(entry.len()));
        }
        self.open.extend_from_slice(entry);
        self.entries += 1;
    }

    /// Nothing more will come: the last block is as large as what is in it.
    pub fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.blocks.push(std::mem::take(&mut self.open).into_boxed_slice());
        self.firsts.push(self.open_first);
        self.open_first = self.entries;
    }
}
