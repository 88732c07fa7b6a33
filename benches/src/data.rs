//! How fast the data catalog takes in an archive and gives it back: from CSV to Parquet, and from Parquet to a tape.
//! Never: counts the making of the data.

use crate::measure::{Measure, Samples};
use crate::{Lab, Run, internal};
use ctos_data::import::{ImportOptions, open};
use ctos_data::ingest::{Job, import};
use ctos_data::{Catalog, Selection};
use ctos_runtime::{RunError, UserError};
use ctos_types::UnixNanos;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub const ALL: [(&str, Run); 4] = [
    ("import_csv", import_bytes),
    ("import_csv_rows", import_rows),
    ("load_parquet", load_bytes),
    ("load_parquet_rows", load_rows),
];

/// Trades of the archive: about a busy day of a large perpetual.
const ROWS: u64 = 2_000_000;
const ROWS_QUICK: u64 = 20_000;
const REPEATS: usize = 3;

/// A made archive in the format of Binance: `id,price,qty,quote_qty,time,is_buyer_maker`, the times in ms over one day.
pub struct Archive {
    pub dir: tempfile::TempDir,
    pub path: PathBuf,
    rows: u64,
    bytes: u64,
}

pub fn archive(lab: &Lab, rows: u64) -> Result<Archive, RunError> {
    let dir = crate::durable::work_dir(&lab.dir)?;
    let path = dir.path().join("BTCUSDT-trades-2024-01-01.csv");
    let unwritable =
        |e: io::Error| UserError::new(format!("cannot write {}: {e}", path.display()), "name another --home");
    write(&path, rows).map_err(unwritable)?;
    let bytes = std::fs::metadata(&path).map_err(unwritable)?.len();
    Ok(Archive { dir, path, rows, bytes })
}

fn write(path: &Path, rows: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "id,price,qty,quote_qty,time,is_buyer_maker")?;
    let (mut state, mut tenths) = (0x9e37_79b9_7f4a_7c15u64, 423_000i64);
    for row in 0..rows {
        // A walk of some ticks; xorshift, so that every machine makes the same bytes.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        tenths += (state % 7) as i64 - 3;
        let lots = state >> 20 & 0x7ff;
        let (qty, time) = (lots + 1, 1_704_067_200_000 + row * 86_400_000 / rows);
        let worth = tenths as u64 * qty;
        writeln!(
            out,
            "{},{}.{},{}.{:03},{}.{:04},{time},{}",
            4_400_000_000 + row,
            tenths / 10,
            tenths % 10,
            qty / 1000,
            qty % 1000,
            worth / 10_000,
            worth % 10_000,
            state & 1 == 0
        )?;
    }
    out.flush()
}

/// Takes the archive into a fresh catalog. Returns the seconds it took.
fn take(archive: &Archive, catalog: &Path) -> Result<f64, RunError> {
    let catalog = Catalog::create(catalog).map_err(internal)?;
    let options = ImportOptions { market: Some("um".into()), ..ImportOptions::default() };
    let start = Instant::now();
    let job =
        Job { catalog: &catalog, path: &archive.path, options: &options, now: UnixNanos(0), progress: &mut |_| {} };
    let done = import(job, |path, options| Ok(open(path, options)?)).map_err(internal)?;
    let seconds = start.elapsed().as_secs_f64();
    if done.report().rows_added != archive.rows {
        return Err(internal(format!("{} of {} rows came in", done.report().rows_added, archive.rows)));
    }
    Ok(seconds)
}

fn rows(lab: &Lab) -> u64 {
    if lab.quick { ROWS_QUICK } else { ROWS }
}

fn imports(lab: &Lab) -> Result<(Archive, Vec<f64>), RunError> {
    let archive = archive(lab, rows(lab))?;
    let mut seconds = Vec::new();
    for repeat in 0..REPEATS {
        let dir = archive.dir.path().join(format!("catalog-{repeat}"));
        seconds.push(take(&archive, &dir)?);
        std::fs::remove_dir_all(&dir).map_err(internal)?;
    }
    Ok((archive, seconds))
}

fn import_note(archive: &Archive) -> String {
    let (rows, mb) = (archive.rows, archive.bytes as f64 / 1e6);
    format!("{rows} trades, {mb:.0} MB of CSV: checksum, parse, checks, Parquet, sync")
}

fn import_bytes(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (archive, seconds) = imports(lab)?;
    let rates = seconds.iter().map(|s| archive.bytes as f64 / 1e6 / s).collect();
    Ok(Samples::new(rates).measure(name, "MB/s", &lab.machine, import_note(&archive)))
}

fn import_rows(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (archive, seconds) = imports(lab)?;
    let rates = seconds.iter().map(|s| archive.rows as f64 / s).collect();
    Ok(Samples::new(rates).measure(name, "rows/s", &lab.machine, import_note(&archive)))
}

/// Seconds of each load, and the bytes of the catalog's files.
fn loads(lab: &Lab) -> Result<(Archive, Vec<f64>, u64), RunError> {
    let archive = archive(lab, rows(lab))?;
    let dir = archive.dir.path().join("catalog");
    take(&archive, &dir)?;
    let catalog = Catalog::open(&dir).map_err(internal)?;
    let list = ctos_data::query::list(&catalog, &Selection::default()).map_err(internal)?;
    let bytes = list.iter().map(|s| s.bytes).sum();
    let mut seconds = Vec::new();
    for _ in 0..REPEATS {
        let start = Instant::now();
        let loaded = ctos_data::load(&dir, &Selection::default()).map_err(internal)?;
        seconds.push(start.elapsed().as_secs_f64());
        if loaded.report.events != archive.rows {
            return Err(internal(format!("{} of {} events were loaded", loaded.report.events, archive.rows)));
        }
    }
    Ok((archive, seconds, bytes))
}

fn load_note(archive: &Archive, bytes: u64) -> String {
    format!("{} trades, {:.1} MB of Parquet, from open files to a tape in memory", archive.rows, bytes as f64 / 1e6)
}

fn load_bytes(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (archive, seconds, bytes) = loads(lab)?;
    let rates = seconds.iter().map(|s| bytes as f64 / 1e6 / s).collect();
    Ok(Samples::new(rates).measure(name, "MB/s", &lab.machine, load_note(&archive, bytes)))
}

fn load_rows(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let (archive, seconds, bytes) = loads(lab)?;
    let rates = seconds.iter().map(|s| archive.rows as f64 / s).collect();
    Ok(Samples::new(rates).measure(name, "rows/s", &lab.machine, load_note(&archive, bytes)))
}
