//! Bytes of a text file, plain, gzip or from any other stream, cut into lines inside one reused buffer.
//! Never: knows what a line means.

use flate2::bufread::MultiGzDecoder;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

const READ_SIZE: usize = 256 << 10;

/// Why the next line is not there.
#[derive(Debug)]
pub enum Fault {
    /// The compressed stream is cut off or corrupt.
    Damaged(String),
    /// The disk failed.
    Io(io::Error),
    /// No newline within the limit. The rest of the line is still in front.
    TooLong,
}

/// Where a line lies in [`Source::buffer`], without newline and carriage return.
#[derive(Clone, Copy, Debug)]
pub struct LineSpan {
    pub start: usize,
    pub end: usize,
    /// False for a last line that the file ends in without a newline.
    pub terminated: bool,
}

enum Input {
    Plain(BufReader<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    /// Somebody else's decoder; it reports damage by the kinds that gzip has.
    Decoded(Box<dyn Read + Send>),
}

/// Lines of a file or stream, one at a time. Memory is bounded by the longest line that the caller allows.
pub struct Source {
    input: Input,
    buffer: Vec<u8>,
    /// Unread bytes are `buffer[start..end]`.
    start: usize,
    end: usize,
    /// What the last call took.
    taken: (usize, usize),
    /// No more bytes will come; the fault, if there is one, is told once the bytes before it are used up.
    ended: bool,
    fault: Option<Fault>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("unread", &(self.end - self.start)).finish_non_exhaustive()
    }
}

impl Source {
    /// Gzip is told by its magic number. Fails where the file cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path) -> io::Result<Source> {
        let mut file = BufReader::with_capacity(64 << 10, File::open(path)?);
        let gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let input = if gzip { Input::Gzip(Box::new(MultiGzDecoder::new(file))) } else { Input::Plain(file) };
        Ok(Source::over(input))
    }

    /// Lines of text that `stream` unpacks. An error of kind `InvalidData`, `InvalidInput` or `UnexpectedEof` is
    /// [`Fault::Damaged`], any other one the disk's.
    pub fn decoded(stream: Box<dyn Read + Send>) -> Source {
        Source::over(Input::Decoded(stream))
    }

    fn over(input: Input) -> Source {
        Source { input, buffer: vec![0; READ_SIZE], start: 0, end: 0, taken: (0, 0), ended: false, fault: None }
    }

    /// How far the file on the disk was read, for showing progress; 0 for a stream.
    pub fn bytes_on_disk(&self) -> u64 {
        let mut file = match &self.input {
            Input::Plain(file) => file.get_ref(),
            Input::Gzip(gzip) => gzip.get_ref().get_ref(),
            Input::Decoded(_) => return 0,
        };
        file.stream_position().unwrap_or(0)
    }

    /// What [`LineSpan`] points into.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// The raw bytes that the last call took, newline included.
    pub fn consumed(&self) -> &[u8] {
        &self.buffer[self.taken.0..self.taken.1]
    }

    /// The next line of at most `max` bytes, `None` at the end.
    pub fn next_line(&mut self, max: usize) -> Result<Option<LineSpan>, Fault> {
        self.taken = (self.start, self.start);
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[searched..self.end]) {
                let newline = searched + at;
                let start = self.take(newline + 1);
                if newline - start > max {
                    // Found only because it was in the buffer already: the same verdict as one read later.
                    self.start = newline;
                    self.taken = (start, newline);
                    return Err(Fault::TooLong);
                }
                let end = newline - usize::from(newline > start && self.buffer[newline - 1] == b'\r');
                return Ok(Some(LineSpan { start, end, terminated: true }));
            }
            if self.end - self.start > max {
                self.take(self.end);
                return Err(Fault::TooLong);
            }
            let unread = self.end - self.start;
            if self.ended || !self.fill() {
                return self.last_line();
            }
            searched = self.start + unread;
        }
    }

    /// Takes up to and including the next newline, or what is buffered. True when the line ended.
    pub fn skip_line_piece(&mut self) -> Result<bool, Fault> {
        self.taken = (self.start, self.start);
        if self.start == self.end && (self.ended || !self.fill()) {
            return match self.fault.take() {
                None => Ok(true),
                Some(Fault::Damaged(why)) => {
                    self.fault = Some(Fault::Damaged(why.clone()));
                    Err(Fault::Damaged(why))
                }
                Some(fault) => Err(fault),
            };
        }
        let newline = memchr::memchr(b'\n', &self.buffer[self.start..self.end]);
        self.take(newline.map_or(self.end, |at| self.start + at + 1));
        Ok(newline.is_some())
    }

    fn last_line(&mut self) -> Result<Option<LineSpan>, Fault> {
        if self.start < self.end {
            let (end, start) = (self.end, self.take(self.end));
            return Ok(Some(LineSpan { start, end, terminated: false }));
        }
        self.fault.take().map_or(Ok(None), Err)
    }

    /// Marks everything before `to` as read and returns where it started.
    fn take(&mut self, to: usize) -> usize {
        self.taken = (self.start, to);
        self.start = to;
        self.taken.0
    }

    /// Reads more behind the unread bytes. False at the end.
    fn fill(&mut self) -> bool {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.taken = (0, 0);
        if self.buffer.len() - self.end < READ_SIZE / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let into = &mut self.buffer[self.end..];
        let read = loop {
            let read = match &mut self.input {
                Input::Plain(file) => file.read(into),
                Input::Gzip(gzip) => gzip.read(into),
                Input::Decoded(stream) => stream.read(into),
            };
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match read {
            Ok(n) if n > 0 => {
                self.end += n;
                return true;
            }
            Ok(_) => {}
            Err(e) => self.fault = Some(self.classify(e)),
        }
        self.ended = true;
        false
    }

    /// The decoder reports damage by these kinds; a failing disk has others.
    fn classify(&self, e: io::Error) -> Fault {
        let damage =
            matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
        match &self.input {
            Input::Plain(_) => Fault::Io(e),
            _ if e.kind() == io::ErrorKind::UnexpectedEof => Fault::Damaged("the file was cut off".into()),
            _ if damage => Fault::Damaged(e.to_string()),
            _ => Fault::Io(e),
        }
    }
}
