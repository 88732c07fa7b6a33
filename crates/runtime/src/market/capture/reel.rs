//! The captures of one market, one after the other, line by line.
//! Never: lets a book outlive the file that it was made of, or two files of one time follow each other.

use super::definitions::Chosen;
use super::{Found, capture_error, reader};
use crate::UserError;
use ctos_driver_binance::{CaptureLoad, Product, Replayer};
use ctos_storage::capture::{CaptureItem, CaptureReader};
use ctos_types::{Instrument, InstrumentId, Instruments, Market, MarketData, Nanos, UnixNanos};
use ctos_venue::TapeBuilder;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

/// An instrument whose frames end so much before the others' is not traded in the rest of a capture.
const ENDED: Nanos = Nanos::from_secs(60);
/// Clocks are set, and a recording begins a moment before the one before it was closed.
const OVERLAP: Nanos = Nanos::from_secs(5);

/// What one file held.
pub(super) struct FileLoad {
    pub path: PathBuf,
    pub load: CaptureLoad,
    pub sha256: [u8; 32],
}

/// When each instrument was last heard of, and whether what it said still stands.
#[derive(Default)]
pub(super) struct Ends(BTreeMap<InstrumentId, Heard>);

#[derive(Clone, Copy)]
struct Heard {
    recv: UnixNanos,
    ts_event: UnixNanos,
    /// When it was told that this stands no longer.
    gap: Option<UnixNanos>,
}

impl Ends {
    fn see(&mut self, recv: UnixNanos, market: &Market<'_>) {
        match market.data {
            MarketData::Quote { .. } | MarketData::Trade(_) | MarketData::Depth { .. } => {
                self.0.insert(market.instrument, Heard { recv, ts_event: market.ts_event, gap: None });
            }
            MarketData::Gap => {
                if let Some(heard) = self.0.get_mut(&market.instrument) {
                    heard.gap.get_or_insert(recv);
                }
            }
            MarketData::Bar(_) | MarketData::Mark(_) | MarketData::Funding(_) => {}
        }
    }

    /// Instruments that fell silent long before the last of all did.
    pub fn early(&self) -> impl Iterator<Item = (InstrumentId, UnixNanos, UnixNanos)> + '_ {
        let last = self.0.values().map(|h| h.recv).max().unwrap_or(UnixNanos::MIN);
        let stood = |h: &Heard| h.gap.is_none_or(|gap| gap > h.recv.after(ENDED));
        let ended = self.0.iter().filter(move |(_, h)| stood(h) && h.recv.after(ENDED) < last);
        ended.map(|(id, h)| (*id, h.recv, h.ts_event))
    }

    /// What stands of these instruments stands no longer.
    fn cut(&mut self, at: UnixNanos, of: impl Fn(InstrumentId) -> bool, tape: &mut TapeBuilder) {
        for (id, heard) in self.0.iter_mut().filter(|(id, heard)| heard.gap.is_none() && of(**id)) {
            heard.gap = Some(at);
            tape.push(at, &Market { instrument: *id, ts_event: heard.ts_event, data: MarketData::Gap });
        }
    }
}

/// The line that comes next.
enum Next {
    Frame { number: u64, recv: UnixNanos },
    Bad { number: u64, why: String },
}

struct Open {
    path: PathBuf,
    reader: CaptureReader,
    replayer: Replayer,
    next: Next,
    /// The frame that comes next.
    frame: Vec<u8>,
}

/// See the module's text: [`Reel::open_next`] once, then [`Reel::advance`] while something is [due](Reel::due).
pub(super) struct Reel {
    product: Product,
    files: VecDeque<Found>,
    open: Option<Open>,
    /// With the rules as the files so far left them.
    instruments: Instruments,
    loads: Vec<FileLoad>,
    /// The last receive time of all files so far.
    last: UnixNanos,
}

impl Open {
    /// Reads a line ahead. `false`: there is none.
    fn read(&mut self) -> Result<bool, UserError> {
        let item = self.reader.next_item().map_err(|e| capture_error(&e))?;
        self.next = match item {
            None => return Ok(false),
            Some(CaptureItem::Bad(bad)) => Next::Bad { number: bad.line, why: bad.why.to_string() },
            Some(CaptureItem::Line(line)) => {
                self.frame.clear();
                self.frame.extend_from_slice(line.frame);
                Next::Frame { number: line.number, recv: line.ts_recv }
            }
        };
        Ok(true)
    }
}

impl Reel {
    /// `files` of one product, in order of time.
    pub fn new(files: Vec<Found>, chosen: &Chosen) -> Reel {
        Reel {
            product: files.first().map_or(Product::Spot, |f| f.product),
            files: files.into(),
            open: None,
            instruments: chosen.instruments.clone(),
            loads: Vec::new(),
            last: UnixNanos::MIN,
        }
    }

    pub fn into_loads(self) -> Vec<FileLoad> {
        self.loads
    }

    /// When the next line was received: at once for one that tells no time. `None`: there is none.
    pub fn due(&self) -> Option<UnixNanos> {
        self.open.as_ref().map(|open| match open.next {
            Next::Frame { recv, .. } => recv,
            Next::Bad { .. } => UnixNanos::MIN,
        })
    }

    /// Takes in the next line. `last`: the receive time reached, which never goes back.
    pub fn advance(&mut self, last: &mut UnixNanos, tape: &mut TapeBuilder, ends: &mut Ends) -> Result<(), UserError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match &open.next {
            Next::Frame { number, recv } => {
                self.last = self.last.max(*recv);
                open.replayer.on_line(*number, *recv, &open.frame, &mut |recv, market| {
                    *last = recv.max(*last);
                    ends.see(*last, market);
                    tape.push(*last, market);
                });
            }
            Next::Bad { number, why } => open.replayer.on_bad_line(*number, why.clone()),
        }
        if !open.read()? {
            self.close();
            if !self.files.is_empty() {
                let spot = self.product == Product::Spot;
                ends.cut(*last, |id| self.instruments.get(id).is_spot() == spot, tape);
            }
            self.open_next()?;
        }
        Ok(())
    }

    /// The next file that has a line.
    pub fn open_next(&mut self) -> Result<(), UserError> {
        while let Some(found) = self.files.pop_front() {
            if let Some(before) = self.loads.last().filter(|_| found.first.after(OVERLAP) < self.last) {
                let (a, b) = (before.path.display(), found.path.display());
                let hint = "replay one recording at a time: replay:FILE, or keep them in directories of their own";
                return Err(UserError::new(format!("{a} and {b} are of the same market and the same time"), hint));
            }
            let list: Vec<Instrument> = self.instruments.iter().cloned().collect();
            let mut open = Open {
                reader: reader(&found.path)?,
                path: found.path,
                replayer: Replayer::new(&list, Some(self.product)),
                next: Next::Bad { number: 0, why: String::new() },
                frame: Vec::new(),
            };
            let any = open.read()?;
            self.open = Some(open);
            if any {
                break;
            }
            self.close();
        }
        Ok(())
    }

    fn close(&mut self) {
        let Some(Open { path, reader, replayer, .. }) = self.open.take() else { return };
        let load = replayer.finish();
        for change in &load.rules {
            // Rules that make no definition change nothing there, and nothing here.
            let _ = self.instruments.set_rules(change.instrument, &change.rules);
        }
        self.loads.push(FileLoad { path, load, sha256: reader.summary().sha256 });
    }
}
