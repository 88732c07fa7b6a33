//! Bytes of a segment: its header, the frames, and the sync points.
//! Never: I/O.

use super::{FORMAT_VERSION, JournalError, MAX_RECORD, Result, RunInfo};
use crate::codec::SCHEMA_VERSION;
use ctos_types::InstanceTag;
use std::path::Path;

/// Size of a segment's header in bytes.
pub const HEADER_LEN: usize = 128;
/// Bytes of a frame before its payload: length, checksum, kind.
pub(super) const FRAME_HEAD: usize = 9;
const MAGIC: &[u8; 8] = b"CTOSJRNL";
const RUN_ID_MAX: usize = 63;

pub(super) const INPUT: u8 = 1;
pub(super) const COMMAND: u8 = 2;
pub(super) const NOTE: u8 = 3;
pub(super) const SYNC_POINT: u8 = 4;

/// A segment's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub run: RunInfo,
    /// Position in the chain; also the file's name.
    pub index: u64,
    /// Sequence of the first input the segment holds or will hold.
    pub first_seq: u64,
}

impl Header {
    pub fn encode(&self) -> Result<[u8; HEADER_LEN]> {
        let id = self.run.run_id.as_bytes();
        if id.len() > RUN_ID_MAX {
            return Err(JournalError::BadRunId { run_id: self.run.run_id.clone() });
        }
        let mut h = [0u8; HEADER_LEN];
        h[0..8].copy_from_slice(MAGIC);
        h[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        h[10..12].copy_from_slice(&SCHEMA_VERSION.to_le_bytes());
        h[12..14].copy_from_slice(&self.run.shard.to_le_bytes());
        h[16..20].copy_from_slice(&self.run.instance_tag.0.to_le_bytes());
        h[24..32].copy_from_slice(&self.run.epoch.to_le_bytes());
        h[32..40].copy_from_slice(&self.index.to_le_bytes());
        h[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        h[48] = id.len() as u8;
        h[49..49 + id.len()].copy_from_slice(id);
        let crc = crc32fast::hash(&h[..HEADER_LEN - 4]);
        h[HEADER_LEN - 4..].copy_from_slice(&crc.to_le_bytes());
        Ok(h)
    }

    /// `Ok(None)`: not a whole header.
    pub fn decode(bytes: &[u8], segment: &Path) -> Result<Option<Header>> {
        let Some(h) = bytes.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let u16_at = |i| u16::from_le_bytes([h[i], h[i + 1]]);
        let u32_at = |i| u32::from_le_bytes([h[i], h[i + 1], h[i + 2], h[i + 3]]);
        let u64_at = |i: usize| u64::from(u32_at(i)) | u64::from(u32_at(i + 4)) << 32;
        let (format, schema) = (u16_at(8), u16_at(10));
        let ours = format == FORMAT_VERSION && schema == SCHEMA_VERSION;
        // Another version may lay out the rest in another way, so its checksum is not ours to judge.
        if &h[0..8] == MAGIC && format != 0 && !ours {
            return Err(JournalError::Version { segment: segment.into(), format, schema });
        }
        let id_len = h[48] as usize;
        if &h[0..8] != MAGIC || u32_at(HEADER_LEN - 4) != crc32fast::hash(&h[..HEADER_LEN - 4]) || id_len > RUN_ID_MAX {
            return Ok(None);
        }
        let Ok(run_id) = std::str::from_utf8(&h[49..49 + id_len]) else { return Ok(None) };
        let run = RunInfo {
            shard: u16_at(12),
            epoch: u64_at(24),
            run_id: run_id.into(),
            instance_tag: InstanceTag(u32_at(16)),
        };
        Ok(Some(Header { run, index: u64_at(32), first_seq: u64_at(40) }))
    }
}

fn checksum(len: [u8; 4], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&len);
    crc.update(body);
    crc.finalize()
}

/// Appends a frame whose payload `fill` writes. `out` is as it was after an error.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD - 1]);
    out.push(kind);
    fill(out);
    let body = start + FRAME_HEAD - 1;
    let bytes = out.len() - body;
    if bytes > MAX_RECORD {
        out.truncate(start);
        return Err(JournalError::TooLarge { bytes });
    }
    let len = (bytes as u32).to_le_bytes();
    let crc = checksum(len, &out[body..]);
    out[start..start + 4].copy_from_slice(&len);
    out[start + 4..body].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// The frame at the start of `bytes`.
pub(super) enum Parsed<'a> {
    /// A whole frame of `size` bytes.
    Frame { kind: u8, payload: &'a [u8], size: usize },
    /// A plausible frame of which only a part is here; at least `need` bytes are needed to judge it.
    Short { need: usize },
    /// Not a frame.
    Bad(&'static str),
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((head, _)) = bytes.split_first_chunk::<8>() else { return Parsed::Short { need: FRAME_HEAD } };
    let len_bytes = [head[0], head[1], head[2], head[3]];
    let len = u32::from_le_bytes(len_bytes) as usize;
    if len == 0 || len > MAX_RECORD {
        return Parsed::Bad("impossible record length");
    }
    let Some(body) = bytes.get(8..8 + len) else { return Parsed::Short { need: 8 + len } };
    if checksum(len_bytes, body) != u32::from_le_bytes([head[4], head[5], head[6], head[7]]) {
        return Parsed::Bad("checksum mismatch");
    }
    Parsed::Frame { kind: body[0], payload: &body[1..], size: 8 + len }
}

/// Size of a sync point's frame.
pub(super) const SYNC_POINT_LEN: usize = FRAME_HEAD + 8;

/// Appends the statement that the segment's first `durable` bytes are on disk.
pub(super) fn put_sync_point(out: &mut Vec<u8>, durable: u64) -> Result<()> {
    put(out, SYNC_POINT, |out| out.extend_from_slice(&durable.to_le_bytes()))
}

/// How many bytes a sync point vouches for.
pub(super) fn sync_point(payload: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(payload.try_into().ok()?))
}

/// The furthest durable length that a whole sync point anywhere in `bytes` states; 0 when there is none.
pub(super) fn furthest_sync_point(bytes: &[u8]) -> u64 {
    let mut furthest = 0;
    let mut at = 0;
    // A sync point's length field is 9: its first byte is what to look for.
    while at + SYNC_POINT_LEN <= bytes.len() {
        if bytes[at..at + 4] == [9, 0, 0, 0]
            && bytes[at + 8] == SYNC_POINT
            && let Parsed::Frame { payload, size, .. } = parse(&bytes[at..])
        {
            furthest = furthest.max(sync_point(payload).unwrap_or(0));
            at += size;
        } else {
            at += 1;
        }
    }
    furthest
}

/// `0000000007.seg`.
pub(super) fn segment_name(index: u64) -> String {
    format!("{index:010}.seg")
}

/// The index a segment's name states; `None` for other files.
pub(super) fn segment_index(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let index = digits.parse().ok()?;
    (segment_name(index) == name).then_some(index)
}
