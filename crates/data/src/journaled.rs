//! What a run received, from its journal into the catalog: also while the run goes on, and each time only what is new.
//! Never: orders, fills or anything but the market.

use crate::defect::DefectKind;
use crate::error::CatalogError;
use crate::import::event::{Words, ts_event};
use crate::import::{Batch, ImportError, Importer};
use crate::ingest::{ImportReport, Progress, SourceFile, Stream, ingest, read_manifest};
use crate::instruments::known;
use crate::layout::{Catalog, write_atomic};
use crate::number::Number;
use crate::record::{Body, Record};
use ctos_storage::fs::RealFs;
use ctos_storage::journal::{JournalReader, Record as Journaled};
use ctos_types::{Event, EventBuf, Instrument, Instruments, UnixNanos};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const IMPORTER: &str = "journal";

/// Takes in what the journal of a run has and the catalog has not. `None`: nothing is new.
///
/// # Errors
/// The run has no journal, or the catalog cannot be written.
pub fn record(
    catalog: &Catalog,
    run_dir: &Path,
    now: UnixNanos,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<ImportReport>, CatalogError> {
    let instruments = instruments_of(run_dir)?;
    let run = run_dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let from = recorded_until(catalog, &run)?;
    let journal = run_dir.join("journal");
    // The end is settled first: a running instance appends while this reads.
    let Some(end) = last_input(&journal)?.map(|last| last + 1).filter(|end| *end > from) else { return Ok(None) };
    // One that was killed is finished as it was begun: some of its rows are in the catalog, under its name.
    let end =
        begun(catalog, &run)?.filter(|(begin, until)| *begin == from && *until <= end).map_or(end, |(_, until)| until);
    let note = catalog.recording(&run);
    let dir = note.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
    write_atomic(&note, format!("{from}..{end}\n").as_bytes())?;
    let mut undefined = Vec::new();
    for instrument in instruments.iter() {
        if known(catalog, &instrument.symbol)?.as_ref().is_none_or(|have| !same_definition(have, instrument)) {
            undefined.push(instrument.clone());
        }
    }
    let reader = open(&journal)?;
    let what = format!("run={run} inputs={from}..{end}");
    let file = SourceFile { path: run_dir.display().to_string(), bytes: end - from, sha256: String::new() };
    let id = crate::hex(&Sha256::digest(format!("journal\n{what}"))[..8]);
    let import = JournalImport { path: journal, reader, instruments, undefined, from, end, done: from, first: true };
    let stream = Stream { catalog, id, file, options: what, now, progress };
    let done = match ingest(stream, Box::new(import), || Ok(())) {
        Ok(report) => Some(report),
        // Inputs, but none of the market: there is nothing to keep.
        Err(e) if e.message.contains("it holds no rows") => None,
        Err(e) => return Err(e),
    };
    // Left behind by a kill right here it says nothing: the next recording begins elsewhere.
    let _ = std::fs::remove_file(&note);
    Ok(done)
}

/// Whether a recording of the run was killed: the next one only finishes it, and the one after that takes what is new.
///
/// # Errors
/// The catalog cannot be read.
pub fn was_cut_off(catalog: &Catalog, run: &str) -> Result<bool, CatalogError> {
    let from = recorded_until(catalog, run)?;
    Ok(begun(catalog, run)?.is_some_and(|(begin, _)| begin == from))
}

/// The inputs that a recording was about to take in.
fn begun(catalog: &Catalog, run: &str) -> Result<Option<(u64, u64)>, CatalogError> {
    let path = catalog.recording(run);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let range = text.trim().split_once("..");
            Ok(range.and_then(|(from, end)| Some((from.parse().ok()?, end.parse().ok()?))))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(CatalogError::io("read", &path, &e)),
    }
}

/// Definitions agree but for the id that a run gave.
fn same_definition(a: &Instrument, b: &Instrument) -> bool {
    Instrument { id: b.id, ..a.clone() } == *b
}

fn failed(path: &Path, e: impl std::fmt::Display) -> CatalogError {
    CatalogError::new(format!("{}: {e}", path.display()), "`ctos doctor` checks the journals of a home")
}

fn open(journal: &Path) -> Result<JournalReader, CatalogError> {
    JournalReader::open(Arc::new(RealFs), journal).map_err(|e| failed(journal, e))
}

fn instruments_of(run_dir: &Path) -> Result<Instruments, CatalogError> {
    let path = run_dir.join("run.json");
    let text = std::fs::read(&path).map_err(|e| CatalogError::io("read", &path, &e))?;
    let run: serde_json::Value = serde_json::from_slice(&text).map_err(|e| failed(&path, e))?;
    serde_json::from_value(run["instruments"].clone()).map_err(|e| failed(&path, e))
}

/// Input that the next recording of this run begins with.
fn recorded_until(catalog: &Catalog, run: &str) -> Result<u64, CatalogError> {
    let mut until = 0;
    for id in catalog.manifests()? {
        let Some(report) = read_manifest(catalog, &id)?.filter(|r| r.importer == IMPORTER) else { continue };
        let range = report.options.strip_prefix(&format!("run={run} inputs=")).and_then(|r| r.split_once(".."));
        until = until.max(range.and_then(|(_, end)| end.parse().ok()).unwrap_or(0));
    }
    Ok(until)
}

fn last_input(journal: &Path) -> Result<Option<u64>, CatalogError> {
    let mut reader = open(journal)?;
    // The newest segment alone tells.
    reader.seek_segment_for(u64::MAX);
    let (mut buf, mut last) = (EventBuf::default(), None);
    while let Some(record) = reader.next(&mut buf).map_err(|e| failed(journal, e))? {
        if let Journaled::Input { seq, .. } = record {
            last = Some(seq);
        }
    }
    Ok(last.or_else(|| reader.next_seq().checked_sub(1)))
}

/// The market inputs of a journal as an importer. A row's place is its input's number, from 1.
struct JournalImport {
    path: PathBuf,
    reader: JournalReader,
    instruments: Instruments,
    /// Those that the catalog does not define, or otherwise.
    undefined: Vec<Instrument>,
    from: u64,
    end: u64,
    done: u64,
    first: bool,
}

impl JournalImport {
    /// Before the first event: definitions, and the inputs that retention took away before they were recorded.
    fn begin(&mut self, at: UnixNanos, seq: u64, out: &mut Batch) {
        self.first = false;
        for instrument in self.undefined.drain(..) {
            let symbol = instrument.symbol.clone();
            let body = Body::Instrument(Box::new(instrument));
            out.records.push(Record { symbol, place: seq + 1, ts_event: None, ts_recv: Some(at), body });
        }
        if seq > self.from {
            let (from, lost) = (self.from, seq - self.from);
            out.defects.add_many(DefectKind::Gap, lost, from + 1, || {
                format!("inputs {from} to {} are no longer in the journal", seq - 1)
            });
            for instrument in self.instruments.iter() {
                let symbol = instrument.symbol.clone();
                out.records.push(Record { symbol, place: seq + 1, ts_event: None, ts_recv: Some(at), body: Body::Gap });
            }
        }
    }
}

impl Importer for JournalImport {
    fn name(&self) -> &'static str {
        IMPORTER
    }

    fn next(&mut self, out: &mut Batch) -> Result<bool, ImportError> {
        let mut buf = EventBuf::default();
        if self.first {
            self.reader.seek_segment_for(self.from);
        }
        while out.records.len() < Batch::TARGET {
            let read = self.reader.next(&mut buf);
            let record =
                read.map_err(|e| ImportError::new(&self.path, 0, e.to_string(), "`ctos doctor` checks journals"))?;
            let Some(record) = record else { return Ok(false) };
            let Journaled::Input { seq, at } = record else { continue };
            if seq >= self.end {
                return Ok(false);
            }
            if seq < self.from {
                continue;
            }
            if self.first {
                self.begin(at, seq, out);
            }
            self.done = seq + 1;
            let Event::Market(market) = buf.as_event() else { continue };
            out.rows_read += 1;
            let instrument = self.instruments.get(market.instrument);
            match words(instrument).body(&market, &mut out.levels) {
                Some(body) => out.records.push(Record {
                    symbol: instrument.symbol.clone(),
                    place: seq + 1,
                    ts_event: ts_event(&market),
                    ts_recv: Some(at),
                    body,
                }),
                None => out.defects.add(DefectKind::BadNumber, seq + 1, || format!("{:?}", market.data)),
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.done - self.from
    }
}

/// A journal has its own grid for each instrument. Its rates and marks were computed: their last digits may be rounded.
fn words(instrument: &Instrument) -> Words {
    Words {
        price_places: instrument.price_decimals,
        qty_places: instrument.qty_decimals,
        off_grid: |number| Number::parse_rounded(&number.to_string()).ok().map(|(n, _)| n),
        zero_mark_is_none: true,
    }
}
