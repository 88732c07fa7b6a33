//! How long an input takes until it would survive a power loss: one at a time, and many to one sync.

use crate::fixture::BTC;
use crate::machine;
use crate::measure::{Measure, Samples};
use crate::{Lab, internal};
use ctos_runtime::{RunError, UserError};
use ctos_storage::fs::RealFs;
use ctos_storage::journal::{Durability, Journal, JournalOptions, RunInfo};
use ctos_types::{Event, Market, MarketData, Price, Qty, Quote, Stamped, UnixNanos};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

/// Inputs to one sync in group commit.
const GROUP: usize = 256;

pub fn single(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let samples = syncs(lab, 1, if lab.quick { 5 } else { 1_000 })?;
    let note = format!("append one quote, write, fdatasync; {}", on(&lab.dir));
    Ok(samples.measure(name, "ns", &lab.machine, note).with_percentiles(samples.percentiles()))
}

pub fn group(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let samples = syncs(lab, GROUP, if lab.quick { 5 } else { 1_000 })?;
    let note = format!("share of one input in appending {GROUP}, one write, one fdatasync; {}", on(&lab.dir));
    Ok(samples.measure(name, "ns", &lab.machine, note).with_percentiles(samples.percentiles()))
}

fn on(dir: &Path) -> String {
    format!("on {}", machine::file_system(dir))
}

/// A directory of our own on the disk under test, removed when dropped.
pub fn work_dir(dir: &Path) -> Result<TempDir, RunError> {
    tempfile::Builder::new().prefix("bench-").tempdir_in(dir).map_err(|e| {
        let hint = "name a directory that can be written with --home";
        RunError::User(UserError::new(format!("cannot work in {}: {e}", dir.display()), hint))
    })
}

/// A new journal that survives power loss.
pub fn journal(dir: &Path) -> Result<Journal, RunError> {
    journal_with(dir, Durability::PowerLoss)
}

pub fn journal_with(dir: &Path, durability: Durability) -> Result<Journal, RunError> {
    let run = RunInfo { shard: 0, epoch: 1, run_id: "bench".into(), instance_tag: crate::fixture::TAG };
    let options = JournalOptions { durability, ..JournalOptions::default() };
    Ok(Journal::create(Arc::new(RealFs), dir, run, options)?)
}

/// Nanoseconds an input, one sample a sync.
fn syncs(lab: &Lab, group: usize, rounds: usize) -> Result<Samples, RunError> {
    let dir = work_dir(&lab.dir)?;
    let mut journal = journal(&dir.path().join("journal"))?;
    let mut sample = || -> Result<f64, RunError> {
        let begun = Instant::now();
        for _ in 0..group {
            let n = journal.next_seq();
            let at = UnixNanos::from_secs(1_700_000_000 + n as i64);
            let bid = Price(600_000 + n as i64 % 40);
            let quote = Quote { bid_px: bid, bid_qty: Qty(100), ask_px: Price(bid.0 + 1), ask_qty: Qty(90) };
            let data = MarketData::Quote { quote, update_id: n };
            let event = Event::Market(Market { instrument: BTC, ts_event: at, data });
            journal.append_input(&Stamped { seq: n, at, event })?;
        }
        journal.sync()?;
        Ok(begun.elapsed().as_nanos() as f64 / group as f64)
    };
    sample()?;
    let samples = (0..rounds).map(|_| sample()).collect::<Result<Vec<f64>, RunError>>()?;
    if journal.synced_seq() != Some((group * (rounds + 1)) as u64 - 1) {
        return Err(internal(format!("the journal vouches for input {:?} only", journal.synced_seq())));
    }
    Ok(Samples::new(samples))
}
