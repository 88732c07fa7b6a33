//! Versioned snapshots of a run's state, and the retention that bounds them and the journal.
//! Never: knows what a snapshot's body means, or deletes what recovery from the newest good snapshot needs.
//!
//! `snapshot-00000000000000001234.json` holds one JSON object whose last member is the body; the checksum is over
//! schema, sequence, time and the body's bytes as they stand in the file.

use crate::fs::{Fs, read_blocks, write_atomic_with};
use crate::journal::{JournalError, segments};
use ctos_types::UnixNanos;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// A snapshot that was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of the body, as its writer numbers it.
    pub schema: u32,
    /// The last input whose effects the body includes: recovery goes on with `seq + 1`.
    pub seq: u64,
    /// Kernel time of that input.
    pub at: UnixNanos,
    /// JSON text.
    body: Vec<u8>,
}

impl Snapshot {
    /// The body as a value of the type it was written from.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

/// A snapshot file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// The newest usable snapshot, and the newer ones that were passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// `None`: there is none that can be used.
    pub snapshot: Option<Snapshot>,
    /// Newest first.
    pub damaged: Vec<Damaged>,
}

/// How much history to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Good snapshots to keep, at least 2, so that one damaged file does not end a run.
    pub snapshots: usize,
    /// Bytes that snapshots and segments may take together. When they take more, older snapshots and their segments
    /// go too, down to what the newest good snapshot needs. `None`: no limit.
    pub max_bytes: Option<u64>,
}

/// What retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Snapshot and segment files removed.
    pub removed: Vec<PathBuf>,
    /// Bytes that snapshots and segments take now.
    pub bytes: u64,
    /// By how much the budget is still exceeded, because the rest is needed.
    pub over_budget: u64,
}

/// Why a snapshot cannot be written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk has no room.
    #[error("disk full while writing {}", path.display())]
    Full { path: PathBuf },
    /// Any other failure of the disk.
    #[error("{op} {}: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    /// The body does not turn into JSON.
    #[error("snapshot body: {0}")]
    Body(#[from] serde_json::Error),
    /// The segments beside it cannot be listed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn disk(op: &'static str, path: &Path, source: io::Error) -> SnapshotError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SnapshotError::Full { path },
        _ => SnapshotError::Io { op, path, source },
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    schema: u32,
    seq: u64,
    at: UnixNanos,
    sha256: String,
    /// Stands in for the body, which is kept as bytes.
    body: Option<()>,
}

const BODY: &[u8] = br#","body":"#;
const END: [u8; 2] = *b"}\n";

/// The snapshots of one run.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
}

impl SnapshotStore {
    /// Uses `dir`, creating it when it is missing.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<SnapshotStore, SnapshotError> {
        crate::fs::create_dir_durably(&*fs, dir).map_err(|e| disk("create", dir, e))?;
        Ok(SnapshotStore { fs, dir: dir.into() })
    }

    /// Uses `dir` without touching the disk; a directory that is missing has no snapshots.
    pub fn read_only(fs: Arc<dyn Fs>, dir: &Path) -> SnapshotStore {
        SnapshotStore { fs, dir: dir.into() }
    }

    /// Writes a snapshot and returns once it is durable; before that the file does not have its name. `seq` and `at`
    /// are those of the last input that `body` includes.
    pub fn write<T: Serialize>(
        &self,
        schema: u32,
        seq: u64,
        at: UnixNanos,
        body: &T,
    ) -> Result<PathBuf, SnapshotError> {
        // Turned into JSON twice, once for the checksum and once for the file, so that its text is never in memory.
        let mut hash = hash_of(schema, seq, at);
        serde_json::to_writer(BufWriter::new(Hashing(&mut hash)), body)?;
        let head = Head { schema, seq, at, sha256: crate::hex(&hash.finalize()), body: None };
        let mut start = serde_json::to_vec(&head)?;
        // Cut `null}` and put the body in its place.
        start.truncate(start.len() - b"null}".len());
        let path = self.dir.join(file_name(seq));
        let write = |mut out: &mut dyn Write| {
            out.write_all(&start)?;
            serde_json::to_writer(&mut out, body)?;
            out.write_all(&END)
        };
        write_atomic_with(&*self.fs, &path, write).map_err(|e| disk("write", &path, e))?;
        Ok(path)
    }

    /// Sequences of all snapshots that have a name, oldest first; not all need be whole.
    pub fn list(&self) -> Result<Vec<u64>, SnapshotError> {
        let names = match self.fs.list(&self.dir) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(disk("list", &self.dir, e)),
        };
        let mut seqs: Vec<u64> = names.iter().filter_map(|n| file_seq(n)).collect();
        seqs.sort_unstable();
        Ok(seqs)
    }

    /// The newest whole snapshot whose input is at or before `seq` (`u64::MAX`: the newest at all).
    pub fn latest(&self, seq: u64) -> Result<Latest, SnapshotError> {
        let mut latest = Latest::default();
        for seq in self.list()?.into_iter().rev().filter(|s| *s <= seq) {
            match self.load(seq)? {
                Ok(snapshot) => {
                    latest.snapshot = Some(snapshot);
                    break;
                }
                Err(damaged) => latest.damaged.push(damaged),
            }
        }
        Ok(latest)
    }

    /// Outer error: the disk; inner: the file.
    fn load(&self, seq: u64) -> Result<Result<Snapshot, Damaged>, SnapshotError> {
        let path = self.dir.join(file_name(seq));
        let text = self.fs.read(&path).map_err(|e| disk("read", &path, e))?;
        Ok(parse(&text, seq).map_err(|why| Damaged { path, why }))
    }

    /// Whether [`load`](Self::load) would accept the file, a block at a time.
    fn is_whole(&self, seq: u64) -> Result<bool, SnapshotError> {
        let path = self.dir.join(file_name(seq));
        let read = |e| disk("read", &path, e);
        let (mut start, mut end) = ([0; 512], [0; END.len()]);
        let n = self.fs.read_at(&path, 0, &mut start).map_err(read)?;
        let Ok((head, body)) = head_of(&start[..n]) else { return Ok(false) };
        let Some(mut left) = self.fs.len(&path).map_err(read)?.checked_sub((body + END.len()) as u64) else {
            return Ok(false);
        };
        self.fs.read_at(&path, body as u64 + left, &mut end).map_err(read)?;
        let mut hash = hash_of(head.schema, head.seq, head.at);
        let add = |block: &[u8]| {
            let take = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            hash.update(&block[..take]);
            left -= take as u64;
        };
        read_blocks(&*self.fs, &path, body as u64, add).map_err(read)?;
        Ok(head.seq == seq && end == END && crate::hex(&hash.finalize()) == head.sha256)
    }

    /// Removes snapshots and segments of `journal_dir` that `retention` does not ask for, snapshots first, so that a
    /// crash between leaves no snapshot without its segments. Without a good snapshot nothing is removed.
    pub fn retain(&self, journal_dir: &Path, retention: Retention) -> Result<Retained, SnapshotError> {
        let (mut good, all) = (Vec::new(), self.list()?);
        for seq in all.iter().rev() {
            if good.len() == retention.snapshots.max(2) {
                break;
            }
            if self.is_whole(*seq)? {
                good.push(*seq);
            }
        }
        let Some(newest) = good.first().copied() else { return self.measure(journal_dir, retention) };
        let oldest = good.last().copied().unwrap_or(newest);
        let mut done = Retained::default();
        self.keep_from(oldest, &all, journal_dir, &mut done)?;
        for seq in good.into_iter().rev().skip(1) {
            if self.measure(journal_dir, retention)?.over_budget == 0 {
                break;
            }
            self.keep_from(seq, &all, journal_dir, &mut done)?;
        }
        let now = self.measure(journal_dir, retention)?;
        Ok(Retained { removed: done.removed, ..now })
    }

    fn measure(&self, journal_dir: &Path, retention: Retention) -> Result<Retained, SnapshotError> {
        let mut bytes = 0;
        let snapshots = self.list()?.into_iter().map(|seq| self.dir.join(file_name(seq)));
        for path in snapshots.chain(segments(&*self.fs, journal_dir)?.into_iter().map(|(path, _)| path)) {
            bytes += self.fs.len(&path).map_err(|e| disk("look up", &path, e))?;
        }
        let over_budget = retention.max_bytes.map_or(0, |max| bytes.saturating_sub(max));
        Ok(Retained { removed: Vec::new(), bytes, over_budget })
    }

    /// Removes what recovery from the snapshot at `seq` and newer ones does not need.
    fn keep_from(&self, seq: u64, all: &[u64], journal_dir: &Path, done: &mut Retained) -> Result<(), SnapshotError> {
        let mut remove = |path: PathBuf| match self.fs.remove(&path) {
            Ok(()) => {
                done.removed.push(path);
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(disk("remove", &path, e)),
        };
        let mut any = false;
        for old in all.iter().filter(|s| **s < seq) {
            any |= remove(self.dir.join(file_name(*old)))?;
        }
        if any {
            self.fs.sync_dir(&self.dir).map_err(|e| disk("sync", &self.dir, e))?;
        }
        any = false;
        let chain = segments(&*self.fs, journal_dir)?;
        // A segment ends where the next begins. Oldest first, so that what is left is one chain at any moment.
        for pair in chain.windows(2) {
            let (path, ends) = (&pair[0].0, pair[1].1);
            if ends <= seq.saturating_add(1) {
                any |= remove(path.clone())?;
            }
        }
        if any {
            self.fs.sync_dir(journal_dir).map_err(|e| disk("sync", journal_dir, e))?;
        }
        Ok(())
    }
}

/// The head, and where the body begins.
fn head_of(text: &[u8]) -> Result<(Head, usize), String> {
    // Everything before the body is numbers and hex digits, so the first occurrence is the member's own name.
    let at = text.windows(BODY.len()).position(|w| w == BODY).ok_or("no body")? + BODY.len();
    let head = [&text[..at], b"null}"].concat();
    Ok((serde_json::from_slice(&head).map_err(|e| format!("bad head: {e}"))?, at))
}

fn parse(text: &[u8], seq: u64) -> Result<Snapshot, String> {
    let (head, at) = head_of(text)?;
    let body = text[at..].strip_suffix(&END).ok_or("ends early")?;
    let mut hash = hash_of(head.schema, head.seq, head.at);
    hash.update(body);
    if head.sha256 != crate::hex(&hash.finalize()) {
        return Err("checksum mismatch".into());
    }
    if head.seq != seq {
        return Err(format!("holds input {}, its name says {seq}", head.seq));
    }
    Ok(Snapshot { schema: head.schema, seq, at: head.at, body: body.to_vec() })
}

struct Hashing<'a>(&'a mut Sha256);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The checksum up to where the body begins.
fn hash_of(schema: u32, seq: u64, at: UnixNanos) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(format!("{schema} {seq} {} ", at.0));
    hash
}

fn file_name(seq: u64) -> String {
    format!("snapshot-{seq:020}.json")
}

fn file_seq(name: &str) -> Option<u64> {
    let seq = name.strip_prefix("snapshot-")?.strip_suffix(".json")?.parse().ok()?;
    (file_name(seq) == name).then_some(seq)
}
