//! The folder a run leaves: `summary.json`, `facts.json`, and tables as Parquet and CSV. Written beside its place and
//! renamed into it, so that it is there whole or not at all. `docs/metrics.md` describes the columns.
//! Never: overwrites a folder that is there.

mod columns;
mod cursor;
mod orders;
mod rows;
pub mod table;
#[cfg(test)]
mod tests;

use crate::log::{EquityLine, Facts, LeftOut, PlotLine, PriceLine, RunLog, Tally};
use crate::metrics::excursion::excursions;
use crate::metrics::{self, Metrics, Trials};
use columns::{EQUITY, FILLS, FUNDING, PLOTS, POSITIONS, PRICES, TRADES};
use ctos_runtime::UserError;
use ctos_types::Interval;
use cursor::Cursor;
use rows::Names;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use table::{Cell, Column, TableError};

/// Of the folder's layout. A reader refuses others.
pub const FORMAT: u32 = 1;

/// What of a log is no table.
#[derive(Serialize, Deserialize)]
struct FactsFile {
    format: u32,
    facts: Facts,
    tally: Option<Tally>,
    left_out: LeftOut,
}

/// A folder being written. Dropped without [`Folder::publish`], nothing of it stays.
#[derive(Debug)]
pub struct Folder {
    target: PathBuf,
    staging: PathBuf,
    /// Directories above that were made for it, the innermost first.
    made: Vec<PathBuf>,
}

/// A folder read back.
#[derive(Clone, Debug)]
pub struct Results {
    pub log: RunLog,
    /// As it was written.
    pub summary: Value,
}

impl Folder {
    /// Prepares to write `target`, which must not exist or be empty. What an earlier, cut-off attempt left is removed.
    pub fn begin(target: &Path) -> Result<Folder, UserError> {
        let taken = match fs::read_dir(target) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(cannot("look into", target, &e)),
        };
        if taken {
            let hint = "choose another folder, or remove it if its results are not needed any more";
            return Err(UserError::new(format!("{} has files in it already", target.display()), hint));
        }
        let mut name = target.file_name().map(|n| n.to_os_string()).ok_or_else(|| {
            UserError::new(format!("{} cannot be a folder for results", target.display()), "give it a name of its own")
        })?;
        name.push(".part");
        let staging = target.with_file_name(name);
        match fs::remove_dir_all(&staging) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot("remove", &staging, &e)),
            _ => {}
        }
        let above = staging.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty());
        let made = above.take_while(|dir| !dir.exists()).map(Path::to_path_buf).collect();
        // From here on dropping it cleans up, also where only some of the directories could be made.
        let folder = Folder { target: target.into(), staging, made };
        fs::create_dir_all(&folder.staging).map_err(|e| cannot("create", &folder.staging, &e))?;
        Ok(folder)
    }

    /// Where further files of the run can be put, for example its report, before the folder is published.
    pub fn path(&self) -> &Path {
        &self.staging
    }

    /// Writes `summary.json` (the given object with `metrics`, `trades` and `left_out` added), `facts.json` and the
    /// tables. Returns the metrics that went into the summary.
    pub fn write(&self, log: &RunLog, summary: &Value, trials: Trials) -> Result<Option<Metrics>, UserError> {
        let metrics = metrics::of(log, trials);
        let mut out = summary.as_object().cloned().unwrap_or_default();
        out.extend(additions(log, metrics.as_ref()));
        let facts =
            FactsFile { format: FORMAT, facts: log.facts.clone(), tally: log.tally.clone(), left_out: log.left_out };
        self.put_json("summary.json", &Value::Object(out))?;
        self.put_json("facts.json", &facts)?;
        self.write_tables(log).map_err(|(name, e)| match e {
            TableError::Io(e) => cannot("write", &self.staging.join(name), &e),
            TableError::Parquet(e) => UserError::new(
                format!("cannot write {}: {e}", self.staging.join(name).display()),
                "look for free space on the disk; amounts of 1e20 and more do not fit these files",
            ),
        })?;
        Ok(metrics)
    }

    fn put_json(&self, name: &str, value: &impl Serialize) -> Result<(), UserError> {
        let path = self.staging.join(name);
        let write = || {
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            let mut file = File::create(&path)?;
            file.write_all(&text)?;
            file.sync_all()
        };
        write().map_err(|e| cannot("write", &path, &e))
    }

    fn write_tables(&self, log: &RunLog) -> Result<(), (&'static str, TableError)> {
        let n = &Names::of(&log.facts);
        let lines = log.equity.iter().flat_map(|l| l.points.iter().map(move |p| (l, p)));
        let equity = lines.map(|(l, p)| rows::point(l.account.map(|a| n.account(a)), l, p));
        let bars = log.prices.iter().flat_map(|l| l.bars.iter().map(move |b| (l.instrument, b)));
        let plots = log.plots.iter().flat_map(|l| l.points.iter().map(move |p| (l, p)));
        self.table("fills", FILLS, log.fills.iter().map(|r| rows::fill(n, r)))?;
        self.table("orders", orders::COLUMNS, log.orders.iter().map(|o| orders::cells(n, o)))?;
        self.table("positions", POSITIONS, log.positions.iter().map(|r| rows::position(n, r)))?;
        self.table("funding", FUNDING, log.funding.iter().map(|r| rows::funding(n, r)))?;
        let trades = log.trades.iter().zip(excursions(log));
        self.table("trades", TRADES, trades.map(|(t, e)| rows::trade(n, t, e)))?;
        self.table("equity", EQUITY, equity)?;
        self.table("prices", PRICES, bars.map(|(id, b)| rows::bar(n.instrument(id), b)))?;
        let plot = |(l, (at, value)): (&PlotLine, &(ctos_types::UnixNanos, f64))| -> Vec<Cell<'_>> {
            let symbol = n.instrument(l.instrument).symbol.as_str();
            vec![n.strategy(l.strategy).into(), symbol.into(), l.name.to_string().into(), (*at).into(), (*value).into()]
        };
        self.table("plots", PLOTS, plots.map(plot))
    }

    fn table<'a>(
        &self,
        name: &'static str,
        columns: &[Column],
        rows: impl Iterator<Item = Vec<Cell<'a>>>,
    ) -> Result<(), (&'static str, TableError)> {
        table::write(&self.staging, name, columns, rows).map_err(|e| (name, e))
    }

    /// Puts the folder in its place, durably.
    pub fn publish(self) -> Result<PathBuf, UserError> {
        let sync = |dir: &Path| File::open(dir).and_then(|d| d.sync_all());
        let parent = match self.target.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let done =
            sync(&self.staging).and_then(|()| fs::rename(&self.staging, &self.target)).and_then(|()| sync(parent));
        done.map_err(|e| cannot("put in place", &self.target, &e))?;
        Ok(self.target.clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // After publishing there is nothing left of this name.
        let _ = fs::remove_dir_all(&self.staging);
        // Only empty ones go: after publishing the innermost holds the results.
        for dir in &self.made {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// What a summary has beyond the one the run made.
fn additions(log: &RunLog, metrics: Option<&Metrics>) -> Map<String, Value> {
    let mut out = Map::new();
    let trades: u64 = log.tally.iter().flat_map(|t| &t.parts).map(|p| p.trades.count).sum();
    out.insert("trades".into(), json!(if log.tally.is_some() { trades } else { log.trades.len() as u64 }));
    out.insert("metrics".into(), serde_json::to_value(metrics).unwrap_or_default());
    out.insert("assumptions".into(), json!(log.facts.assumptions));
    out.insert("data_quality".into(), json!(log.facts.data_quality));
    out.insert("left_out".into(), json!(log.left_out));
    out.insert("result_format".into(), json!(FORMAT));
    out
}

/// Writes a whole run folder at once.
pub fn write(target: &Path, log: &RunLog, summary: &Value, trials: Trials) -> Result<Option<Metrics>, UserError> {
    let folder = Folder::begin(target)?;
    let metrics = folder.write(log, summary, trials)?;
    folder.publish()?;
    Ok(metrics)
}

/// Reads a run folder back.
pub fn read(folder: &Path) -> Result<Results, UserError> {
    let facts: FactsFile = read_json(&folder.join("facts.json"))?;
    if facts.format != FORMAT {
        return Err(UserError::new(
            format!("{} has results of format {}, this ctos reads {FORMAT}", folder.display(), facts.format),
            "run the backtest again with this version, or read them with the one that wrote them",
        ));
    }
    let summary = read_json(&folder.join("summary.json"))?;
    let FactsFile { facts, tally, left_out, .. } = facts;
    let mut log = RunLog { tally, left_out, ..RunLog::default() };
    read_tables(folder, &facts, &mut log)
        .map_err(|why| UserError::new(why, "the folder is damaged or incomplete: run the backtest again"))?;
    log.facts = facts;
    Ok(Results { log, summary })
}

fn read_tables(folder: &Path, facts: &Facts, log: &mut RunLog) -> Result<(), String> {
    let n = &Names::of(facts);
    table::read(folder, "fills", FILLS, |r| rows::read_fill(n, r).map(|f| log.fills.push(f)))?;
    table::read(folder, "orders", orders::COLUMNS, |r| orders::read(n, r).map(|o| log.orders.push(o)))?;
    table::read(folder, "positions", POSITIONS, |r| rows::read_position(n, r).map(|p| log.positions.push(p)))?;
    table::read(folder, "funding", FUNDING, |r| rows::read_funding(n, r).map(|f| log.funding.push(f)))?;
    table::read(folder, "trades", TRADES, |r| rows::read_trade(n, r).map(|t| log.trades.push(t)))?;
    table::read(folder, "equity", EQUITY, |r| read_point(n, r, &mut log.equity))?;
    table::read(folder, "prices", PRICES, |r| {
        let (i, bar) = rows::read_bar(n, r)?;
        match log.prices.last_mut().filter(|l| l.instrument == i.id) {
            Some(line) => line.bars.push(bar),
            None => log.prices.push(PriceLine { instrument: i.id, bars: vec![bar] }),
        }
        Ok(())
    })?;
    table::read(folder, "plots", PLOTS, |c| {
        let (strategy, instrument) = (n.read_strategy(c)?, n.read_instrument(c)?.id);
        let (name, point) = (c.text()?, (c.time()?, c.float()?));
        let same = |l: &&mut PlotLine| (l.strategy, l.instrument) == (strategy, instrument) && l.name == name;
        match log.plots.last_mut().filter(same) {
            Some(line) => line.points.push(point),
            None => {
                let name = Cow::Owned(name.to_owned());
                log.plots.push(PlotLine { strategy, instrument, name, points: vec![point] });
            }
        }
        Ok(())
    })
}

fn read_point(n: &Names<'_>, c: &mut Cursor<'_>, lines: &mut Vec<EquityLine>) -> Result<(), String> {
    let account = match c.opt_text()? {
        Some(name) => Some(n.read_account(&mut Cursor::new(&[name.into()]))?),
        None => None,
    };
    let (currency, bucket) = (c.currency()?, Interval::from_secs(c.int()?).ok_or("buckets without a length")?);
    let point = rows::read_point(c)?;
    match lines.last_mut().filter(|l| (l.account, l.currency) == (account, currency)) {
        Some(line) => line.points.push(point),
        None => lines.push(EquityLine { account, currency, bucket, points: vec![point] }),
    }
    Ok(())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, UserError> {
    let text = fs::read(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => UserError::new(
            format!("{} is not there", path.display()),
            "name the folder of a finished backtest, the one with summary.json in it",
        ),
        _ => cannot("read", path, &e),
    })?;
    serde_json::from_slice(&text).map_err(|e| {
        UserError::new(format!("{} is damaged: {e}", path.display()), "run the backtest again to have it written anew")
    })
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> UserError {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "choose a folder that you may write",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on the disk",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file is in the way: choose another folder",
        _ => "check the path and the disk",
    };
    UserError::new(format!("cannot {what} {}: {error}", path.display()), hint)
}
