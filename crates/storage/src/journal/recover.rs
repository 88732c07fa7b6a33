//! What is in a journal directory: the chain of segments, and the valid part of the last one.
//! Never: changes a file.

use super::frame::{self, HEADER_LEN, Header, Parsed, segment_index, segment_name};
use super::{JournalError, Result, TornTail};
use crate::fs::Fs;
use std::path::{Path, PathBuf};

/// A segment that is part of the chain.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub header: Header,
}

/// The segments of a directory, oldest first.
#[derive(Debug)]
pub(super) struct Chain {
    pub segments: Vec<Segment>,
    /// A last file whose header never became whole: no record in it was ever synced.
    pub headless: Option<(PathBuf, u64)>,
}

/// Lists the segments and checks that they follow each other. A directory without segments gives an empty chain.
pub(super) fn chain(fs: &dyn Fs, dir: &Path) -> Result<Chain> {
    let names = match fs.list(dir) {
        Ok(names) => names,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(JournalError::io("list", dir, e)),
    };
    let mut indices: Vec<u64> = names.iter().filter_map(|n| segment_index(n)).collect();
    indices.sort_unstable();
    let mut chain = Chain { segments: Vec::new(), headless: None };
    for (i, &index) in indices.iter().enumerate() {
        let path = dir.join(segment_name(index));
        let last = i + 1 == indices.len();
        match read_header(fs, &path)? {
            Some(header) => {
                follows(dir, &path, chain.segments.last(), &header, index)?;
                chain.segments.push(Segment { path, header });
            }
            None => chain.headless = Some(headless(fs, path, last)?),
        }
    }
    Ok(chain)
}

fn read_header(fs: &dyn Fs, path: &Path) -> Result<Option<Header>> {
    let mut buf = [0; HEADER_LEN];
    let n = fs.read_at(path, 0, &mut buf).map_err(|e| JournalError::io("read", path, e))?;
    Header::decode(&buf[..n], path)
}

/// A segment's header is durable before the first record goes in. So a bad one is a torn creation only at the end of
/// the chain, and only where nothing follows it.
fn headless(fs: &dyn Fs, path: PathBuf, last: bool) -> Result<(PathBuf, u64)> {
    let bytes = fs.len(&path).map_err(|e| JournalError::io("read", &path, e))?;
    if !last || bytes > HEADER_LEN as u64 {
        return Err(JournalError::Corrupt { segment: path, offset: 0, why: "damaged segment header".into() });
    }
    Ok((path, bytes))
}

fn follows(dir: &Path, path: &Path, before: Option<&Segment>, header: &Header, index: u64) -> Result<()> {
    let corrupt = |why: String| Err(JournalError::Corrupt { segment: path.into(), offset: 0, why });
    if header.index != index {
        return corrupt(format!("header belongs to segment {}", header.index));
    }
    let Some(before) = before else { return Ok(()) };
    if before.header.index + 1 != index {
        let missing = segment_name(before.header.index + 1);
        return Err(JournalError::MissingSegment { dir: dir.into(), missing });
    }
    let (a, b) = (&before.header.run, &header.run);
    if (a.shard, &a.run_id, a.instance_tag) != (b.shard, &b.run_id, b.instance_tag) || b.epoch < a.epoch {
        return corrupt(format!("belongs to run {:?}, the segment before to {:?}", b.run_id, a.run_id));
    }
    if header.first_seq < before.header.first_seq {
        return corrupt("sequences go back".into());
    }
    Ok(())
}

/// The valid part of a last segment.
#[derive(Debug)]
pub(super) struct Tail {
    /// Length of header and whole records.
    pub valid: u64,
    /// How much of it some sync point vouches for.
    pub durable: u64,
    pub next_seq: u64,
    pub torn: Option<TornTail>,
}

/// Walks the last segment frame by frame, checking sequences on the way.
pub(super) fn scan_last(fs: &dyn Fs, segment: &Segment) -> Result<Tail> {
    let path = &segment.path;
    let bytes = fs.read(path).map_err(|e| JournalError::io("read", path, e))?;
    let mut at = HEADER_LEN;
    let mut tail = Tail { valid: 0, durable: HEADER_LEN as u64, next_seq: segment.header.first_seq, torn: None };
    while at < bytes.len() {
        match frame::parse(&bytes[at..]) {
            Parsed::Frame { kind, payload, size } => {
                match kind {
                    frame::INPUT => tail.next_seq = check_input(path, at, payload, tail.next_seq)?,
                    frame::SYNC_POINT => tail.durable = tail.durable.max(frame::sync_point(payload).unwrap_or(0)),
                    _ => {}
                }
                at += size;
            }
            Parsed::Short { .. } => {
                tail.torn = Some(torn(path, &bytes, at, "record ends early")?);
                break;
            }
            Parsed::Bad(why) => {
                tail.torn = Some(torn(path, &bytes, at, why)?);
                break;
            }
        }
    }
    tail.valid = at as u64;
    tail.durable = tail.durable.min(tail.valid);
    Ok(tail)
}

/// Judges a bad frame at `at`: a torn tail, or corruption when a later sync point vouches for that place.
pub(super) fn torn(path: &Path, bytes: &[u8], at: usize, why: &str) -> Result<TornTail> {
    if frame::furthest_sync_point(&bytes[at..]) > at as u64 {
        return Err(JournalError::Corrupt { segment: path.into(), offset: at as u64, why: why.into() });
    }
    Ok(TornTail { segment: path.into(), offset: at as u64, bytes: (bytes.len() - at) as u64 })
}

/// Returns the sequence due after this input.
fn check_input(path: &Path, at: usize, payload: &[u8], expected: u64) -> Result<u64> {
    let seq = crate::codec::event_seq(payload).map_err(|e| JournalError::codec(path, at as u64, &e))?;
    if seq != expected {
        return Err(JournalError::Sequence { at: path.into(), expected, got: seq });
    }
    seq.checked_add(1)
        .ok_or_else(|| JournalError::codec(path, at as u64, &crate::codec::CodecError::OutOfRange("sequence")))
}
