//! Appends records, groups them into writes and syncs, rolls segments and keeps the reserve.
//! Never: accepts a record after a failed write, or moves `synced_seq` before the disk has said yes.

use super::frame::{self, HEADER_LEN, Header, SYNC_POINT_LEN, segment_name};
use super::recover::{self, Chain, Segment};
use super::{Durability, JournalError, JournalOptions, Recovered, Result, RunInfo};
use crate::codec::{encode_command, encode_event};
use crate::fs::{Fs, FsFile, create_dir_durably};
use ctos_types::{Command, Event, Stamped};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RESERVE: &str = "reserve";

/// A journal open for writing. One per directory: the home's lock guarantees it.
///
/// Records go to a buffer; [`Journal::flush`] writes it out in one piece, [`Journal::sync`] makes it durable (group
/// commit: one sync for all that was appended before it). An append that returns an error has appended nothing.
#[derive(Debug)]
pub struct Journal {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    options: JournalOptions,
    run: RunInfo,
    path: PathBuf,
    file: Box<dyn FsFile>,
    index: u64,
    /// Whole frames not yet written; the first may be a sync point, which is not worth a write of its own.
    buffer: Vec<u8>,
    point_buffered: bool,
    /// Bytes of the segment that were written without error.
    written: u64,
    /// Bytes of the segment that are durable.
    durable: u64,
    next_seq: u64,
    /// One past the last durable input.
    synced_next: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// No room; what is buffered is whole and can be written once there is.
    Full,
    Poisoned,
}

impl Journal {
    /// Starts a journal in `dir`, which is created; its first input must have sequence 0.
    ///
    /// # Errors
    /// [`JournalError::Exists`] when there is one already; otherwise what the disk says. A missing reserve is no error.
    pub fn create(fs: Arc<dyn Fs>, dir: &Path, run: RunInfo, options: JournalOptions) -> Result<Journal> {
        Header { run: run.clone(), index: 0, first_seq: 0 }.encode()?;
        create_dir_durably(&*fs, dir).map_err(|e| JournalError::io("create", dir, e))?;
        let chain = recover::chain(&*fs, dir)?;
        if !chain.segments.is_empty() {
            return Err(JournalError::Exists { dir: dir.into() });
        }
        drop_headless(&*fs, &chain)?;
        let journal = Self::start(fs, dir, run, options, 0, 0)?;
        let _ = journal.keep_reserve();
        Ok(journal)
    }

    /// Opens the journal in `dir` for appending after recovery: a torn tail is cut off and reported, and everything
    /// that is still readable is made durable before this returns.
    ///
    /// # Errors
    /// [`JournalError::Missing`], damage that a crash cannot explain, another version's files, or what the disk says.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, options: JournalOptions) -> Result<(Journal, Recovered)> {
        let chain = recover::chain(&*fs, dir)?;
        let Some(last) = chain.segments.last().cloned() else {
            return Err(JournalError::Missing { dir: dir.into() });
        };
        let headless = drop_headless(&*fs, &chain)?;
        let (journal, torn) = Self::resume(fs, dir, &last, options)?;
        let reserve = journal.keep_reserve().is_ok();
        let first = chain.segments[0].header.first_seq;
        let recovered = Recovered {
            run: journal.run.clone(),
            first_seq: (journal.next_seq > first).then_some(first),
            next_seq: journal.next_seq,
            segments: chain.segments.len(),
            torn: torn.or(headless),
            reserve,
        };
        Ok((journal, recovered))
    }

    fn start(
        fs: Arc<dyn Fs>,
        dir: &Path,
        run: RunInfo,
        options: JournalOptions,
        index: u64,
        first_seq: u64,
    ) -> Result<Journal> {
        let header = Header { run: run.clone(), index, first_seq };
        let (path, file) = create_segment(&*fs, dir, &header)?;
        Ok(Journal {
            fs,
            dir: dir.into(),
            buffer: Vec::with_capacity(options.buffer_bytes + (64 << 10)),
            options,
            run,
            path,
            file,
            index,
            point_buffered: false,
            written: HEADER_LEN as u64,
            durable: HEADER_LEN as u64,
            next_seq: first_seq,
            synced_next: first_seq,
            state: State::Open,
        })
    }

    fn resume(
        fs: Arc<dyn Fs>,
        dir: &Path,
        last: &Segment,
        options: JournalOptions,
    ) -> Result<(Journal, Option<super::TornTail>)> {
        let path = last.path.clone();
        let tail = recover::scan_last(&*fs, last)?;
        let io = |op| {
            let path = path.clone();
            move |e| JournalError::io(op, &path, e)
        };
        let mut file = fs.open(&path).map_err(io("open"))?;
        if tail.torn.is_some() {
            file.set_len(tail.valid).map_err(io("truncate"))?;
        }
        // Reading back proves nothing: after a failed sync the cache shows pages that the disk never got, marked clean.
        // Writing the unvouched part again makes them dirty, so that the sync means what it says.
        if tail.valid > tail.durable {
            let mut bytes = vec![0; (tail.valid - tail.durable) as usize];
            let n = fs.read_at(&path, tail.durable, &mut bytes).map_err(io("read"))?;
            file.write_at(tail.durable, &bytes[..n]).map_err(io("write"))?;
        }
        file.sync_data().map_err(io("sync"))?;
        fs.sync_dir(dir).map_err(|e| JournalError::io("sync", dir, e))?;
        let vouched = tail.valid == tail.durable;
        let mut journal = Journal {
            fs,
            dir: dir.into(),
            buffer: Vec::with_capacity(options.buffer_bytes + (64 << 10)),
            options,
            run: last.header.run.clone(),
            path: last.path.clone(),
            file,
            index: last.header.index,
            point_buffered: false,
            written: tail.valid,
            durable: tail.valid,
            next_seq: tail.next_seq,
            synced_next: tail.next_seq,
            state: State::Open,
        };
        if !vouched {
            journal.vouch()?;
        }
        Ok((journal, tail.torn))
    }

    /// The run this journal belongs to.
    pub fn run(&self) -> &RunInfo {
        &self.run
    }

    /// Sequence that the next input must have.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The last input appended; `None` before the first.
    pub fn appended_seq(&self) -> Option<u64> {
        self.next_seq.checked_sub(1)
    }

    /// The last input that survives what [`Durability`] promises, and with it all before it; `None` before the first.
    /// A command may leave the process once its cause is at or below this.
    pub fn synced_seq(&self) -> Option<u64> {
        self.synced_next.checked_sub(1)
    }

    /// Bytes appended and not yet handed to the operating system.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - if self.point_buffered { SYNC_POINT_LEN } else { 0 }
    }

    /// Whether appends are accepted.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Appends an input. Its sequence must be [`Journal::next_seq`].
    pub fn append_input(&mut self, input: &Stamped<Event<'_>>) -> Result<()> {
        if input.seq != self.next_seq {
            return Err(JournalError::Sequence { at: self.path.clone(), expected: self.next_seq, got: input.seq });
        }
        self.make_room()?;
        frame::put(&mut self.buffer, frame::INPUT, |out| encode_event(input, out))?;
        self.next_seq += 1;
        Ok(())
    }

    /// Appends a command that the step of input `cause_seq`, already appended, issued.
    pub fn append_command(&mut self, cause_seq: u64, command: &Command) -> Result<()> {
        if cause_seq >= self.next_seq {
            return Err(JournalError::Sequence { at: self.path.clone(), expected: self.next_seq, got: cause_seq });
        }
        self.make_room()?;
        frame::put(&mut self.buffer, frame::COMMAND, |out| {
            out.extend_from_slice(&cause_seq.to_le_bytes());
            encode_command(command, true, out);
        })
    }

    /// Appends a note.
    pub fn append_note(&mut self, note: &serde_json::Value) -> Result<()> {
        let text = serde_json::to_vec(note)?;
        self.make_room()?;
        frame::put(&mut self.buffer, frame::NOTE, |out| out.extend_from_slice(&text))
    }

    /// Hands everything appended to the operating system, in one write.
    pub fn flush(&mut self) -> Result<()> {
        self.refuse_unless_open()?;
        if self.buffered() == 0 {
            return Ok(());
        }
        if self.written >= self.options.segment_bytes {
            self.roll_before_flush()?;
        }
        self.write_out()
    }

    /// Flushes and, unless the journal only promises to survive a process crash, waits until the disk has everything.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        if self.options.durability == Durability::PowerLoss {
            self.sync_file()?;
            self.vouch()?;
        }
        self.synced_next = self.next_seq;
        Ok(())
    }

    /// Syncs and ends the journal with a sync point, so that later damage anywhere in it can be told from a torn tail.
    pub fn close(mut self) -> Result<()> {
        self.sync()?;
        if self.point_buffered { self.write_out() } else { Ok(()) }
    }

    /// Begins a new segment whose first input will be `seq`, which must be [`Journal::next_seq`]. Everything before is
    /// synced first, so that only a last segment can ever have a torn tail.
    pub fn start_segment(&mut self, seq: u64) -> Result<()> {
        if seq != self.next_seq {
            return Err(JournalError::Sequence { at: self.path.clone(), expected: self.next_seq, got: seq });
        }
        self.refuse_unless_open()?;
        if self.buffered() > 0 {
            self.write_out()?;
        }
        if self.written == HEADER_LEN as u64 {
            return Ok(());
        }
        self.sync_file()?;
        self.synced_next = self.next_seq;
        self.new_segment(seq)
    }

    /// Gives the reserved disk space back after [`JournalError::Full`], so that a halt can still be journaled. What had
    /// been appended before the disk ran full is kept and written by the next flush. Returns whether there was a
    /// reserve to release; without one the journal stays closed.
    pub fn release_reserve(&mut self) -> Result<bool> {
        let path = self.dir.join(RESERVE);
        if !self.fs.exists(&path).map_err(|e| JournalError::io("look up", &path, e))? {
            return Ok(false);
        }
        self.fs.remove(&path).map_err(|e| JournalError::io("remove", &path, e))?;
        if self.state == State::Full {
            self.state = State::Open;
        }
        Ok(true)
    }

    fn refuse_unless_open(&self) -> Result<()> {
        match self.state {
            State::Open => Ok(()),
            State::Full => Err(JournalError::Full { path: self.path.clone() }),
            State::Poisoned => Err(JournalError::Poisoned { dir: self.dir.clone() }),
        }
    }

    fn make_room(&mut self) -> Result<()> {
        self.refuse_unless_open()?;
        if self.buffer.len() >= self.options.buffer_bytes { self.flush() } else { Ok(()) }
    }

    /// Notes the failure and returns it.
    fn fail(&mut self, op: &'static str, error: std::io::Error) -> JournalError {
        let error = JournalError::io(op, &self.path, error);
        let full = matches!(error, JournalError::Full { .. }) && op == "write";
        self.state = if full && self.state == State::Open { State::Full } else { State::Poisoned };
        error
    }

    fn write_out(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let done = self.write(&buffer);
        self.buffer = buffer;
        done?;
        self.buffer.clear();
        self.point_buffered = false;
        Ok(())
    }

    /// Puts a sync point at the head of the next write.
    fn vouch(&mut self) -> Result<()> {
        if !self.point_buffered && self.buffer.is_empty() && self.durable > HEADER_LEN as u64 {
            frame::put_sync_point(&mut self.buffer, self.durable)?;
            self.point_buffered = true;
        }
        Ok(())
    }

    /// A sync point speaks of the segment it is in: it does not move to the next.
    fn drop_point(&mut self) {
        if std::mem::take(&mut self.point_buffered) {
            self.buffer.drain(..SYNC_POINT_LEN);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Err(error) = self.file.append(bytes) else {
            self.written += bytes.len() as u64;
            return Ok(());
        };
        let error = self.fail("write", error);
        // Without the cut a retry would append behind half a frame.
        if self.file.set_len(self.written).is_err() {
            self.state = State::Poisoned;
        }
        Err(error)
    }

    fn sync_file(&mut self) -> Result<()> {
        if self.durable == self.written {
            return Ok(());
        }
        self.file.sync_data().map_err(|e| self.fail("sync", e))?;
        self.durable = self.written;
        Ok(())
    }

    /// Rolls with records still buffered: they move to the new segment, whose first sequence is that of the first of
    /// them.
    fn roll_before_flush(&mut self) -> Result<()> {
        self.sync_file()?;
        let first = self.first_buffered_seq();
        self.synced_next = first;
        self.new_segment(first)
    }

    /// Sequence of the first buffered input, or of the next one when none is buffered.
    fn first_buffered_seq(&self) -> u64 {
        let mut at = 0;
        let mut inputs = 0;
        while let frame::Parsed::Frame { kind, size, .. } = frame::parse(&self.buffer[at..]) {
            inputs += u64::from(kind == frame::INPUT);
            at += size;
        }
        self.next_seq - inputs
    }

    fn new_segment(&mut self, first_seq: u64) -> Result<()> {
        let header = Header { run: self.run.clone(), index: self.index + 1, first_seq };
        let (path, file) = match create_segment(&*self.fs, &self.dir, &header) {
            Ok(made) => made,
            Err(error) => {
                let full = matches!(error, JournalError::Full { .. });
                self.state = if full { State::Full } else { State::Poisoned };
                return Err(error);
            }
        };
        self.path = path;
        self.file = file;
        self.index += 1;
        self.written = HEADER_LEN as u64;
        self.durable = HEADER_LEN as u64;
        self.drop_point();
        Ok(())
    }

    fn keep_reserve(&self) -> Result<()> {
        let path = self.dir.join(RESERVE);
        let want = self.options.reserve_bytes;
        let io = |op| {
            let path = path.clone();
            move |e| JournalError::io(op, &path, e)
        };
        if want == 0
            || (self.fs.exists(&path).map_err(io("look up"))? && self.fs.len(&path).map_err(io("look up"))? >= want)
        {
            return Ok(());
        }
        // Real bytes, not a hole: only allocated blocks can be given back.
        let fill = || {
            self.fs.write(&path, &vec![0xA5; want as usize])?;
            self.fs.open(&path)?.sync_data()
        };
        fill().map_err(|e| {
            // Half a reserve would take the last room without being one.
            let _ = self.fs.remove(&path);
            JournalError::io("write", &path, e)
        })
    }
}

/// Creates a segment with a durable header and a durable name. Nothing is left behind after an error.
fn create_segment(fs: &dyn Fs, dir: &Path, header: &Header) -> Result<(PathBuf, Box<dyn FsFile>)> {
    let path = dir.join(segment_name(header.index));
    let bytes = header.encode()?;
    let make = || {
        let mut file = fs.open(&path)?;
        file.set_len(0)?;
        file.append(&bytes)?;
        file.sync_data()?;
        fs.sync_dir(dir)?;
        Ok(file)
    };
    match make() {
        Ok(file) => Ok((path, file)),
        Err(e) => {
            let _ = fs.remove(&path);
            Err(JournalError::io("create", &path, e))
        }
    }
}

/// Removes a last segment that never got its header, and says what it was.
fn drop_headless(fs: &dyn Fs, chain: &Chain) -> Result<Option<super::TornTail>> {
    let Some((path, bytes)) = &chain.headless else { return Ok(None) };
    fs.remove(path).map_err(|e| JournalError::io("remove", path, e))?;
    Ok(Some(super::TornTail { segment: path.clone(), offset: 0, bytes: *bytes }))
}
