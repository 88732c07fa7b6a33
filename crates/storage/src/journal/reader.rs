//! Reads a journal from the beginning or from a segment on, record by record, checking everything it passes.
//! Never: writes, or skips what it cannot read.

use super::frame::{self, HEADER_LEN, Parsed};
use super::recover::{self, Segment};
use super::{JournalError, Record, Result, RunInfo, TornTail};
use crate::codec::{decode_command, decode_event};
use crate::fs::Fs;
use ctos_types::EventBuf;
use std::path::Path;
use std::sync::Arc;

/// Bytes taken from the disk at a time.
const CHUNK: usize = 1 << 20;

/// A pass over a journal. A journal that is being written can be read too: the pass ends before its unfinished tail.
#[derive(Debug)]
pub struct JournalReader {
    fs: Arc<dyn Fs>,
    segments: Vec<Segment>,
    /// Which segment is being read.
    at: usize,
    /// File offset of the next frame.
    offset: u64,
    /// What has been read of the segment and not yet consumed; `buffer[start..]` begins at `offset`.
    buffer: Vec<u8>,
    start: usize,
    next_seq: u64,
    torn: Option<TornTail>,
}

impl JournalReader {
    /// Opens the journal in `dir` at its oldest record.
    ///
    /// # Errors
    /// [`JournalError::Missing`] without segments; a broken chain, another version, or what the disk says.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<JournalReader> {
        let chain = recover::chain(&*fs, dir)?;
        let torn = chain.headless.map(|(segment, bytes)| TornTail { segment, offset: 0, bytes });
        let Some(first) = chain.segments.first() else { return Err(JournalError::Missing { dir: dir.into() }) };
        let next_seq = first.header.first_seq;
        Ok(JournalReader {
            fs,
            segments: chain.segments,
            at: 0,
            offset: HEADER_LEN as u64,
            buffer: Vec::new(),
            start: 0,
            next_seq,
            torn,
        })
    }

    /// The run, as its newest segment states it.
    pub fn run(&self) -> &RunInfo {
        &self.segments[self.segments.len() - 1].header.run
    }

    /// Sequence of the oldest input the journal may still hold.
    pub fn first_seq(&self) -> u64 {
        self.segments[0].header.first_seq
    }

    /// Sequence of the next input of this pass.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The unreadable end of the last segment, once the pass has met it.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Moves the pass to the start of the newest segment that begins at or before input `seq`. Returns the sequence of
    /// that segment's first input; `None`, without moving, when `seq` is older than anything here.
    pub fn seek_segment_for(&mut self, seq: u64) -> Option<u64> {
        let at = self.segments.iter().rposition(|s| s.header.first_seq <= seq)?;
        self.enter(at);
        self.next_seq = self.segments[at].header.first_seq;
        Some(self.next_seq)
    }

    /// The next record; an input's event is put into `buf`. `None` at the end of what is whole.
    ///
    /// # Errors
    /// Damage in the middle, a gap in the sequences, or what the disk says. The pass does not move on after an error.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self, buf: &mut EventBuf) -> Result<Option<Record>> {
        loop {
            let (kind, from, to) = match frame::parse(&self.buffer[self.start..]) {
                Parsed::Frame { kind, size, .. } => (kind, self.start + frame::FRAME_HEAD, self.start + size),
                Parsed::Short { need } => {
                    if self.fill(need)? {
                        continue;
                    }
                    if !self.end_of_segment("record ends early")? {
                        return Ok(None);
                    }
                    continue;
                }
                Parsed::Bad(why) => {
                    self.end_of_segment(why)?;
                    return Ok(None);
                }
            };
            let record = self.record(kind, from, to, buf)?;
            self.offset += (to - self.start) as u64;
            self.start = to;
            if let Some(record) = record {
                return Ok(Some(record));
            }
        }
    }

    fn path(&self) -> &Path {
        &self.segments[self.at].path
    }

    fn enter(&mut self, at: usize) {
        self.at = at;
        self.offset = HEADER_LEN as u64;
        self.buffer.clear();
        self.start = 0;
    }

    /// Reads on until at least `need` bytes are at hand; `false` when the file ends before.
    fn fill(&mut self, need: usize) -> Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let have = self.buffer.len();
        self.buffer.resize(have.max(need) + CHUNK, 0);
        let path = &self.segments[self.at].path;
        let n = self.fs.read_at(path, self.offset + have as u64, &mut self.buffer[have..]);
        self.buffer.truncate(have + *n.as_ref().unwrap_or(&0));
        n.map_err(|e| JournalError::io("read", path, e))?;
        Ok(self.buffer.len() >= need)
    }

    /// What is left holds no whole frame. `true`: it was empty and the next segment was entered.
    fn end_of_segment(&mut self, why: &str) -> Result<bool> {
        let last = self.at + 1 == self.segments.len();
        let empty = self.buffer.len() == self.start;
        match (empty, last) {
            (true, true) => return Ok(false),
            (true, false) => {
                let due = self.segments[self.at + 1].header.first_seq;
                if due != self.next_seq {
                    let at = self.segments[self.at + 1].path.clone();
                    return Err(JournalError::Sequence { at, expected: self.next_seq, got: due });
                }
                self.enter(self.at + 1);
                return Ok(true);
            }
            (false, false) => {
                let segment = self.path().to_path_buf();
                return Err(JournalError::Corrupt { segment, offset: self.offset, why: why.into() });
            }
            (false, true) => {}
        }
        let path = self.path().to_path_buf();
        let bytes = self.fs.read(&path).map_err(|e| JournalError::io("read", &path, e))?;
        let at = (self.offset as usize).min(bytes.len());
        self.torn = Some(recover::torn(&path, &bytes, at, why)?);
        Ok(false)
    }

    /// Decodes the frame `buffer[from..to]`; `None` for what callers do not see.
    fn record(&mut self, kind: u8, from: usize, to: usize, buf: &mut EventBuf) -> Result<Option<Record>> {
        let payload = &self.buffer[from..to];
        let corrupt = |why: String| JournalError::Corrupt { segment: self.path().into(), offset: self.offset, why };
        match kind {
            frame::INPUT => {
                let (seq, at) = decode_event(payload, buf).map_err(|e| corrupt(e.to_string()))?;
                if seq != self.next_seq {
                    return Err(JournalError::Sequence { at: self.path().into(), expected: self.next_seq, got: seq });
                }
                self.next_seq += 1;
                Ok(Some(Record::Input { seq, at }))
            }
            frame::COMMAND => {
                let (cause, command) =
                    payload.split_first_chunk::<8>().ok_or_else(|| corrupt("short command".into()))?;
                let command = decode_command(command).map_err(|e| corrupt(e.to_string()))?;
                Ok(Some(Record::Command { cause_seq: u64::from_le_bytes(*cause), command }))
            }
            frame::NOTE => {
                let note = serde_json::from_slice(payload).map_err(|e| corrupt(e.to_string()))?;
                Ok(Some(Record::Note(note)))
            }
            frame::SYNC_POINT => Ok(None),
            kind => Err(corrupt(format!("unknown record kind {kind}"))),
        }
    }
}
