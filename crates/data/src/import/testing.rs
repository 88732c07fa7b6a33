//! What the importers' tests share: files on the disk, archives built on the spot, records as text.
//! Never: part of the product.

use super::{Batch, Format, ImportError, ImportOptions};
use crate::record::{Body, Record};
use std::io::Write;
use std::path::Path;

pub fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Runs `what` on a file of that name, folders included.
pub fn with_file<T>(name: &str, content: &[u8], what: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    what(&path)
}

/// Everything an importer says about such a file, see [`read`].
pub fn import(format: Format, name: &str, content: &[u8], options: &ImportOptions) -> Vec<String> {
    with_file(name, content, |path| read(format, path, options))
}

/// Records as `place: text`, then the defects, then the error if there was one.
pub fn read(format: Format, path: &Path, options: &ImportOptions) -> Vec<String> {
    let mut seen = Vec::new();
    let mut defects = crate::Defects::default();
    let error = each(format, path, options, |batch| {
        seen.extend(batch.records.iter().map(|r| format!("{}: {}", r.place, render(r))));
        defects.merge(batch.defects.take());
    });
    seen.extend(defects.iter().map(ToString::to_string));
    seen.extend(error.err().map(|e| {
        let place = if e.place == 0 { String::new() } else { format!("line {}: ", e.place) };
        format!("error: {place}{} | hint: {}", e.why, e.hint)
    }));
    seen
}

/// The records of a file that has no flaw.
pub fn records(format: Format, name: &str, content: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    with_file(name, content, |path| {
        each(format, path, &ImportOptions::default(), |batch| {
            assert!(batch.defects.is_empty(), "{:?}", batch.defects);
            records.append(&mut batch.records);
        })
    })
    .unwrap();
    records
}

fn each(
    format: Format,
    path: &Path,
    options: &ImportOptions,
    mut what: impl FnMut(&mut Batch),
) -> Result<(), ImportError> {
    let mut importer = format.open(path, options)?;
    let mut batch = Batch::default();
    loop {
        batch.clear();
        let more = importer.next(&mut batch);
        assert!(batch.rows_read >= batch.records.len() as u64);
        what(&mut batch);
        if !more? {
            return Ok(());
        }
    }
}

/// A record without its place, in one line.
pub fn render(record: &Record) -> String {
    let at = record.ts_event.map_or("-".to_string(), |t| t.to_string());
    let body = match &record.body {
        Body::Bar(b) => {
            let mut text = format!("{} bar {} {} {} {}", b.interval, b.open, b.high, b.low, b.close);
            for (name, number) in [("v", b.volume), ("q", b.quote_volume)] {
                text += &number.map(|n| format!(" {name}={n}")).unwrap_or_default();
            }
            text += &b.trades.map(|n| format!(" n={n}")).unwrap_or_default();
            text + &b.taker_buy_volume.map(|n| format!(" t={n}")).unwrap_or_default()
        }
        Body::Trade { price, qty, aggressor, id } => {
            let side = aggressor.map_or("-".into(), |s| format!("{s:?}"));
            format!("trade {price} x {qty} {side} id={id}")
        }
        Body::Quote { bid_px, bid_qty, ask_px, ask_qty, update_id } => {
            format!("quote {bid_px} x {bid_qty} / {ask_px} x {ask_qty} u={update_id}")
        }
        Body::Funding { rate, mark } => {
            format!("funding {rate}{}", mark.map(|m| format!(" at {m}")).unwrap_or_default())
        }
        Body::Mark { mark, .. } => format!("mark {mark}"),
        Body::DepthBand { percentage, depth, notional } => format!("band {percentage}% {depth} {notional}"),
        other => format!("{other:?}"),
    };
    format!("{}@{at} {body}", record.symbol)
}
