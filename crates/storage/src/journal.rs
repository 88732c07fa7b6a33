//! The journal: every input in order, the commands it caused, and notes, in append-only checksummed segments.
//! Never: interprets an input, retries a failed write, or skips a damaged record.
//!
//! A directory holds `0000000000.seg`, `0000000001.seg`, … and a `reserve` file. A segment is a header of
//! [`HEADER_LEN`] bytes and frames `[len u32][crc32 u32][kind u8][payload]`, little-endian; `len` counts kind and
//! payload, the checksum covers `len`, kind and payload. After each sync the next flush begins with a sync point that
//! states how many bytes of the segment are durable. A bad frame in the last segment is therefore a torn tail (cut, and
//! reported) exactly when no later sync point vouches for it; otherwise it is corruption, and an error.

mod frame;
mod reader;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

pub use frame::HEADER_LEN;
pub use reader::JournalReader;
pub use writer::Journal;

use crate::codec::CodecError;
use crate::fs::Fs;
use ctos_types::{Command, InstanceTag, UnixNanos};
use std::io;
use std::path::{Path, PathBuf};

/// Version of segment headers and frames. The records inside follow [`crate::codec::SCHEMA_VERSION`].
pub const FORMAT_VERSION: u16 = 1;

/// Largest record in bytes.
pub const MAX_RECORD: usize = 16 << 20;

/// What every segment says about the run it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// The kernel whose inputs these are.
    pub shard: u16,
    /// Raised by each takeover of the shard.
    pub epoch: u64,
    /// At most 63 bytes.
    pub run_id: String,
    /// Marks the run's client order ids.
    pub instance_tag: InstanceTag,
}

/// What a synced record survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: [`Journal::sync`] waits for the disk.
    #[default]
    PowerLoss,
    /// A crash of the process, not of the machine: [`Journal::sync`] hands over to the operating system only.
    ProcessCrash,
}

/// Sizes and promises of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// What `sync` promises.
    pub durability: Durability,
    /// A segment that has reached this size is followed by a new one at the next flush.
    pub segment_bytes: u64,
    /// Appends beyond this many buffered bytes flush by themselves.
    pub buffer_bytes: usize,
    /// Disk space kept aside so that a halt can be journaled on a full disk; 0: none.
    pub reserve_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        JournalOptions {
            durability: Durability::PowerLoss,
            segment_bytes: 64 << 20,
            buffer_bytes: 256 << 10,
            reserve_bytes: 1 << 20,
        }
    }
}

/// What was found when a journal was opened for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The run as its newest segment states it.
    pub run: RunInfo,
    /// Sequence of the oldest input that is still there; `None` when there is no input.
    pub first_seq: Option<u64>,
    /// Sequence that the next input must have.
    pub next_seq: u64,
    /// Segments left after recovery.
    pub segments: usize,
    /// What was cut off the end, if anything.
    pub torn: Option<TornTail>,
    /// Whether the reserve file is in place; `false` when the disk has no room for it.
    pub reserve: bool,
}

/// The end of the last segment that held no whole record: what a crash in the middle of a write leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// File it was in.
    pub segment: PathBuf,
    /// Where it began.
    pub offset: u64,
    /// How many bytes it had.
    pub bytes: u64,
}

/// One record, in the order of appending.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An input; its event is in the buffer given to [`JournalReader::next`].
    Input {
        /// Place in the run.
        seq: u64,
        /// Kernel time.
        at: UnixNanos,
    },
    /// A command the kernel issued in the step of input `cause_seq`.
    Command {
        /// Input whose step issued it.
        cause_seq: u64,
        /// What was issued.
        command: Command,
    },
    /// A note of the runtime: run header, settings, summary.
    Note(serde_json::Value),
}

/// Why the journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk has no room (or the quota is used up). Nothing partial is left behind; see
    /// [`Journal::release_reserve`].
    #[error("disk full while writing {}", path.display())]
    Full { path: PathBuf },
    /// The file system does not accept writes.
    #[error("read-only file system or no permission: cannot write {}", path.display())]
    ReadOnly { path: PathBuf },
    /// Any other failure of the disk.
    #[error("{op} {}: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    /// An earlier write failed: nothing is accepted until the journal has been opened again.
    #[error("journal {} refuses writes after an earlier failure: open it again", dir.display())]
    Poisoned { dir: PathBuf },
    /// A damaged record with durable records after it.
    #[error("journal damaged in {} at byte {offset}: {why}", segment.display())]
    Corrupt { segment: PathBuf, offset: u64, why: String },
    /// Inputs must follow each other without gaps.
    #[error("journal {}: input {got} where {expected} was due", at.display())]
    Sequence { at: PathBuf, expected: u64, got: u64 },
    /// A segment is missing in the middle.
    #[error("journal {}: segment {missing} is missing", dir.display())]
    MissingSegment { dir: PathBuf, missing: String },
    /// Written by a program of another version.
    #[error("{} has journal format {format}, schema {schema}; this program reads format {FORMAT_VERSION}, schema {} (use the version that wrote it, or a newer one)", segment.display(), crate::codec::SCHEMA_VERSION)]
    Version { segment: PathBuf, format: u16, schema: u16 },
    /// The directory has no journal.
    #[error("no journal in {}", dir.display())]
    Missing { dir: PathBuf },
    /// The directory has a journal already.
    #[error("{} holds a journal already", dir.display())]
    Exists { dir: PathBuf },
    /// A record that no journal could hold.
    #[error("record of {bytes} bytes is larger than the {MAX_RECORD} allowed")]
    TooLarge { bytes: usize },
    /// A run id that does not fit the header.
    #[error("run id {run_id:?} is longer than 63 bytes")]
    BadRunId { run_id: String },
    /// A note that is not JSON-serialisable.
    #[error("journal note: {0}")]
    Note(#[from] serde_json::Error),
}

impl JournalError {
    /// Sorts an operating-system error by what the caller can do about it.
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> JournalError {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = path.to_path_buf();
        match source.kind() {
            StorageFull | QuotaExceeded => JournalError::Full { path },
            ReadOnlyFilesystem | PermissionDenied => JournalError::ReadOnly { path },
            _ => JournalError::Io { op, path, source },
        }
    }

    pub(crate) fn codec(segment: &Path, offset: u64, error: &CodecError) -> JournalError {
        JournalError::Corrupt { segment: segment.to_path_buf(), offset, why: error.to_string() }
    }
}

/// The segments in `dir`, oldest first: file, and the sequence its inputs begin with.
pub(crate) fn segments(fs: &dyn Fs, dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let chain = recover::chain(fs, dir)?;
    Ok(chain.segments.into_iter().map(|s| (s.path, s.header.first_seq)).collect())
}

pub(crate) type Result<T> = std::result::Result<T, JournalError>;
