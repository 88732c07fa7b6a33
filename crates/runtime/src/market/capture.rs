//! Opens recordings of a venue's frames: one raw capture, or a directory of them, spot and futures side by side.
//! Never: reads a frame itself (the driver's decoder does), or takes two recordings of one market at one time for one.

mod definitions;
mod reel;

use super::Opened;
use crate::UserError;
use crate::config::Settings;
use ctos_data::import::probe_capture;
use ctos_driver_binance::Product;
use ctos_driver_binance::replay::{FrameCounts, Probe};
use ctos_storage::capture::{CaptureError, CaptureReader};
use ctos_types::{Market, MarketData, UnixNanos};
use ctos_venue::TapeBuilder;
use definitions::Chosen;
use reel::{Ends, FileLoad, Reel};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bad lines that are named one by one.
const NAMED: usize = 5;

/// Whether a file's name, in small letters, is one of a capture.
pub(super) fn is_name(name: &str) -> bool {
    let bare = name.strip_suffix(".gz").unwrap_or(name);
    [".jsonl", ".json", ".log"].iter().any(|end| bare.ends_with(end))
}

fn capture_error(error: &CaptureError) -> UserError {
    UserError::new(error.to_string(), "check the file with `gzip -t` or record it again")
}

fn reader(path: &Path) -> Result<CaptureReader, UserError> {
    CaptureReader::open(path).map_err(|e| capture_error(&e))
}

/// One capture, looked at.
struct Found {
    path: PathBuf,
    product: Product,
    seen: Probe,
    /// When its first line was received.
    first: UnixNanos,
}

/// `None`: there is no frame in it.
fn look(path: PathBuf) -> Result<Option<Found>, UserError> {
    let seen = probe_capture(reader(&path)?).map_err(|e| capture_error(&e))?;
    let first = reader(&path)?.next_line().map_err(|e| capture_error(&e))?.map(|line| line.ts_recv);
    let found = seen.product.zip(first).map(|(product, first)| Found { path, product, seen, first });
    Ok(found)
}

fn no_frame(path: &Path) -> UserError {
    let hint = "a raw capture has one frame a line: receive time in ns, a space, the frame as received";
    UserError::new(format!("{} holds no Binance frame", path.display()), hint)
}

/// The captures in a directory.
fn listed(dir: &Path) -> Result<Vec<PathBuf>, UserError> {
    let failed = |e: std::io::Error| UserError::new(format!("cannot list {}: {e}", dir.display()), "check the path");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        if path.is_file() && !name.starts_with('.') && is_name(&name) {
            files.push(path);
        }
    }
    if files.is_empty() {
        let hint = "name the directory that `record` wrote to; raw captures end in .jsonl or .jsonl.gz";
        return Err(UserError::new(format!("{} holds no capture", dir.display()), hint));
    }
    files.sort();
    Ok(files)
}

/// Opens `path`, a file or a directory.
pub(super) fn open(path: &Path, settings: &Settings) -> Result<Opened, UserError> {
    let mut notices = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    if path.is_dir() {
        for file in listed(path)? {
            match look(file.clone())? {
                Some(capture) => found.push(capture),
                None => notices.push(format!("{}: no frame of Binance is in it: it is left out", file.display())),
            }
        }
    } else {
        found.extend(look(path.into())?);
    }
    if found.is_empty() {
        return Err(no_frame(path));
    }
    let chosen = definitions::choose(path, &found, settings)?;
    notices.extend(chosen.notices());
    found.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    let mut by_product = BTreeMap::<Product, Vec<Found>>::new();
    for capture in found {
        by_product.entry(capture.product).or_default().push(capture);
    }
    let many = by_product.values().map(Vec::len).sum::<usize>() > 1;
    let wanted = |product: &Product| chosen.instruments.iter().any(|i| i.is_spot() == (*product == Product::Spot));
    let mut reels: Vec<Reel> =
        by_product.into_iter().filter(|(p, _)| wanted(p)).map(|(_, files)| Reel::new(files, &chosen)).collect();
    let mut tape = TapeBuilder::new(chosen.instruments.clone());
    let mut ends = Ends::default();
    wind(&mut reels, &mut tape, &mut ends)?;
    for (instrument, recv, ts_event) in ends.early() {
        // What the book showed last is not there any more, and nobody must trade with it.
        tape.insert(recv, &Market { instrument, ts_event, data: MarketData::Gap });
        notices.push(format!(
            "{}: its frames end at {recv}, before the others'",
            chosen.instruments.get(instrument).symbol
        ));
    }
    let loads: Vec<FileLoad> = reels.into_iter().flat_map(Reel::into_loads).collect();
    for file in &loads {
        for change in file.load.rules.iter().filter(|c| chosen.follows(c.instrument)) {
            tape.change_rules(change.at, change.instrument, change.rules);
            notices.push(chosen.change_notice(change));
        }
        let named = |text: String| if many { format!("{}: {text}", file.path.display()) } else { text };
        notices.extend(file.load.notices().into_iter().map(named));
        for bad in file.load.bad.iter().take(NAMED) {
            notices.push(format!("{}, line {}: skipped: {}", file.path.display(), bad.number, bad.why));
        }
        if file.load.bad_lines > NAMED as u64 {
            notices.push(format!("{}: {} lines were skipped in all", file.path.display(), file.load.bad_lines));
        }
    }
    let report = report(path, &loads, &chosen, &notices);
    Ok(Opened { source: Box::new(tape.finish(digest(&loads, &chosen))), report, notices })
}

/// All lines of all reels, in the order received.
fn wind(reels: &mut [Reel], tape: &mut TapeBuilder, ends: &mut Ends) -> Result<(), UserError> {
    let mut last = UnixNanos::MIN;
    for reel in &mut *reels {
        reel.open_next()?;
    }
    while let Some(next) = reels.iter_mut().filter(|r| r.due().is_some()).min_by_key(|r| r.due()) {
        next.advance(&mut last, tape, ends)?;
    }
    Ok(())
}

/// Of one file its own; else of all, and of the definitions that a setting brings.
fn digest(loads: &[FileLoad], chosen: &Chosen) -> [u8; 32] {
    match (loads, chosen.given()) {
        ([only], None) => only.sha256,
        _ => {
            let mut all = Sha256::new();
            loads.iter().for_each(|file| all.update(file.sha256));
            chosen.given().into_iter().for_each(|given| all.update(given));
            all.finalize().into()
        }
    }
}

fn report(path: &Path, loads: &[FileLoad], chosen: &Chosen, notices: &[String]) -> Value {
    let sum = |count: fn(&FileLoad) -> u64| loads.iter().map(count).sum::<u64>();
    let frames = |count: fn(&FrameCounts) -> u64| loads.iter().map(|f| count(&f.load.frames)).sum::<u64>();
    let mut unknown = BTreeMap::<&str, u64>::new();
    for (symbol, count) in loads.iter().flat_map(|f| &f.load.unknown_symbols) {
        *unknown.entry(symbol).or_default() += count;
    }
    let many = loads.len() > 1;
    let bad = loads.iter().flat_map(|f| f.load.bad.iter().map(move |b| (&f.path, b)));
    let bad: Vec<Value> = bad
        .map(|(file, b)| match many {
            true => json!({ "file": file.display().to_string(), "line": b.number, "why": b.why }),
            false => json!({ "line": b.number, "why": b.why }),
        })
        .collect();
    let mut report = json!({
        "file": path.display().to_string(),
        "lines": sum(|f| f.load.lines),
        "bad_lines": sum(|f| f.load.bad_lines),
        "bad": bad,
        "frames": {
            "depth": frames(|f| f.depth), "book_ticker": frames(|f| f.book_ticker), "trade": frames(|f| f.trade),
            "agg_trade": frames(|f| f.agg_trade), "mark_price": frames(|f| f.mark_price),
            "snapshot": frames(|f| f.snapshot), "other": frames(|f| f.other.values().sum::<u64>()),
        },
        "unknown_symbols": unknown,
        "instruments": chosen.rows(),
        "notices": notices,
    });
    if many {
        let file = |f: &FileLoad| json!({ "file": f.path.display().to_string(), "lines": f.load.lines, "bad_lines": f.load.bad_lines });
        report["files"] = loads.iter().map(file).collect();
    }
    report
}

#[cfg(test)]
mod tests;
