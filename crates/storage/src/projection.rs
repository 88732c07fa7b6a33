//! The SQLite projection of runs, for people and queries: orders, fills, positions, balances, equity, events.
//! Never: the truth (the journal is), computes with money, or knows the kernel; rows come mapped by the caller.
//!
//! Exact decimals are TEXT. The file can be deleted and rebuilt from the journal at any time.

mod query;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

pub use query::{EventFilter, FillFilter, OrderFilter};
pub use rows::{BalanceRow, EquityRow, EventRow, FillRow, OrderRow, PositionRow, RunRow, StrategyRow};

use rows::Table;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits for another process's lock before [`ProjectionError::Busy`].
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One change, with the input that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionRow {
    /// The input whose step caused the change.
    pub seq: u64,
    /// The new state of the row.
    pub change: Change,
}

/// The new state of one row. A row replaces the one with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Key: account, client order id (or, for foreign orders, the venue's).
    Order(OrderRow),
    /// Key: account, instrument, exec id.
    Fill(FillRow),
    /// Key: account, strategy, instrument, leg.
    Position(PositionRow),
    /// Key: account, currency.
    Balance(BalanceRow),
    /// Key: account, currency, input.
    Equity(EquityRow),
    /// Key: input, number within the input.
    Event(EventRow),
    /// Key: strategy.
    Strategy(StrategyRow),
}

/// Why the projection cannot be used. None of these stops trading: the journal has it all.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The file is not a database, or a damaged one: move it aside and rebuild.
    #[error("{} is damaged ({why}); it can be rebuilt from the journal", path.display())]
    Corrupt { path: PathBuf, why: String },
    /// Another process kept it locked for [`BUSY_TIMEOUT`].
    #[error("{} is locked by another process", path.display())]
    Busy { path: PathBuf },
    /// The disk has no room.
    #[error("disk full while writing {}", path.display())]
    Full { path: PathBuf },
    /// The file or its file system does not accept writes.
    #[error("{} cannot be written: read-only", path.display())]
    ReadOnly { path: PathBuf },
    /// There is no such file.
    #[error("no projection at {}", path.display())]
    Missing { path: PathBuf },
    /// Written by a newer program.
    #[error("{} has schema version {found}, this program knows {known}; use the newer program, or delete the file and rebuild it", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// A number that SQLite cannot hold, or text where a number should be.
    #[error("{column} out of range")]
    OutOfRange { column: &'static str },
    /// Anything else SQLite says.
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

type Result<T> = std::result::Result<T, ProjectionError>;

/// Rows that one statement of [`Projection::prune`] removes.
const PRUNE_ROWS: u32 = 1_000;

/// An open projection.
#[derive(Debug)]
pub struct Projection {
    path: PathBuf,
    db: Connection,
}

impl Projection {
    /// Opens the file for writing, creating it or bringing it to the present schema.
    ///
    /// # Errors
    /// [`ProjectionError::Corrupt`] when it is not a sound database, [`ProjectionError::Newer`], or what SQLite says.
    pub fn open(path: &Path) -> Result<Projection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut this = Self::connect(path, flags)?;
        let prepare = |db: &Connection| -> rusqlite::Result<()> {
            // WAL: readers never block the writer. NORMAL: the last transactions may be lost in a power loss, and come
            // back from the journal.
            db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            db.pragma_update(None, "journal_size_limit", 16 << 20)?;
            // In KiB: rows are written once and read by other processes, so a large cache would only be memory.
            db.pragma_update(None, "cache_size", -512)
        };
        prepare(&this.db).map_err(|e| this.error(e))?;
        this.migrate()?;
        Ok(this)
    }

    /// Opens an existing file for queries only.
    pub fn open_read_only(path: &Path) -> Result<Projection> {
        if !path.exists() {
            return Err(ProjectionError::Missing { path: path.into() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let this = Self::connect(path, flags)?;
        this.known_version()?;
        Ok(this)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Projection> {
        let db = Connection::open_with_flags(path, flags).map_err(|e| sort(path, e))?;
        let this = Projection { path: path.into(), db };
        this.db.busy_timeout(BUSY_TIMEOUT).map_err(|e| this.error(e))?;
        Ok(this)
    }

    fn known_version(&self) -> Result<i64> {
        let found: i64 = self.db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| self.error(e))?;
        let known = schema::MIGRATIONS.len() as i64;
        if (0..=known).contains(&found) {
            Ok(found)
        } else {
            Err(ProjectionError::Newer { path: self.path.clone(), found, known })
        }
    }

    fn migrate(&mut self) -> Result<()> {
        let from = self.known_version()?;
        for (version, sql) in (from + 1..).zip(&schema::MIGRATIONS[from as usize..]) {
            self.in_transaction(|tx, path| {
                let step = || {
                    tx.execute_batch(sql)?;
                    tx.pragma_update(None, "user_version", version)
                };
                step().map_err(|e| sort(path, e))
            })?;
        }
        Ok(())
    }

    /// Reads every page and checks that they fit together. Takes time in proportion to the file.
    pub fn check(&self) -> Result<()> {
        let said: String =
            self.db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| self.error(e))?;
        if said == "ok" { Ok(()) } else { Err(ProjectionError::Corrupt { path: self.path.clone(), why: said }) }
    }

    /// Creates or replaces the run's own row.
    pub fn put_run(&mut self, run: &RunRow) -> Result<()> {
        self.in_transaction(|tx, path| put(tx, path, &run.run_id, run))
    }

    /// Applies changes of a run up to and including input `upto_seq`, all or none. Rows of inputs that were applied
    /// before are ignored, so that repeating a call, or replaying from an earlier snapshot, changes nothing.
    pub fn apply(&mut self, run_id: &str, upto_seq: u64, rows: &[ProjectionRow]) -> Result<()> {
        self.in_transaction(|tx, path| {
            let applied = applied_seq(tx, path, run_id)?;
            for row in rows.iter().filter(|r| applied.is_none_or(|a| r.seq > a)) {
                put_change(tx, path, run_id, &row.change)?;
            }
            let upto = applied.map_or(upto_seq, |a| a.max(upto_seq));
            let upto = i64::try_from(upto).map_err(|_| ProjectionError::OutOfRange { column: "applied_seq" })?;
            tx.prepare_cached("INSERT OR REPLACE INTO meta (run_id, applied_seq) VALUES (?1, ?2)")
                .and_then(|mut s| s.execute((run_id, upto)))
                .map_err(|e| sort(path, e))?;
            Ok(())
        })
    }

    /// The last input whose changes are in; `None` when there is none.
    pub fn applied_seq(&self, run_id: &str) -> Result<Option<u64>> {
        applied_seq(&self.db, &self.path, run_id)
    }

    /// Keeps the newest `keep` closed orders, fills, equity points and events of a run and forgets older ones, so that
    /// the file of a long run stays bounded. Open orders stay. Returns how many rows went.
    pub fn prune(&mut self, run_id: &str, keep: u32) -> Result<usize> {
        const TABLES: [(&str, &str, &str); 4] = [
            ("orders", "created_seq", "AND is_open = 0"),
            ("fills", "seq", ""),
            ("equity", "seq", ""),
            ("events", "seq", ""),
        ];
        let mut removed = 0;
        for (table, seq, only) in TABLES {
            let of_run = format!("FROM {table} WHERE run_id = ?1 {only}");
            // The input of the first row beyond the newest `keep`.
            let beyond: Option<i64> = self
                .db
                .prepare_cached(&format!("SELECT {seq} {of_run} ORDER BY {seq} DESC LIMIT 1 OFFSET ?2"))
                .and_then(|mut s| s.query_row((run_id, keep), |row| row.get(0)).optional())
                .map_err(|e| self.error(e))?;
            let Some(beyond) = beyond else { continue };
            // In slices: SQLite holds all rows of one DELETE in memory.
            let slice = format!(
                "DELETE {of_run} AND {seq} <= min(?2, \
                 (SELECT max({seq}) FROM (SELECT {seq} {of_run} ORDER BY {seq} LIMIT {PRUNE_ROWS})))"
            );
            loop {
                let mut gone = 0;
                self.in_transaction(|tx, path| {
                    let run = |s: &mut rusqlite::CachedStatement<'_>| s.execute((run_id, beyond));
                    gone = tx.prepare_cached(&slice).and_then(|mut s| run(&mut s)).map_err(|e| sort(path, e))?;
                    Ok(())
                })?;
                removed += gone;
                if gone == 0 {
                    break;
                }
            }
        }
        Ok(removed)
    }

    /// Forgets everything about a run except its own row, so that it can be rebuilt from the journal.
    pub fn reset(&mut self, run_id: &str) -> Result<()> {
        self.in_transaction(|tx, path| {
            for table in schema::RUN_TABLES {
                tx.execute(&format!("DELETE FROM {table} WHERE run_id = ?1"), [run_id]).map_err(|e| sort(path, e))?;
            }
            Ok(())
        })
    }

    /// Forgets what inputs from `seq` on did to a run's history, so that it can be applied again; the rest stays. Rows
    /// that only hold a present state (positions, balances, strategies) stay until they are replaced. 0 forgets all.
    pub fn reset_from(&mut self, run_id: &str, seq: u64) -> Result<()> {
        let Some(last) = seq.checked_sub(1) else { return self.reset(run_id) };
        let last = i64::try_from(last).map_err(|_| ProjectionError::OutOfRange { column: "applied_seq" })?;
        self.in_transaction(|tx, path| {
            for (table, column) in [("orders", "created_seq"), ("fills", "seq"), ("equity", "seq"), ("events", "seq")] {
                tx.execute(&format!("DELETE FROM {table} WHERE run_id = ?1 AND {column} > ?2"), (run_id, last))
                    .map_err(|e| sort(path, e))?;
            }
            tx.execute("UPDATE meta SET applied_seq = min(applied_seq, ?2) WHERE run_id = ?1", (run_id, last))
                .map_err(|e| sort(path, e))?;
            Ok(())
        })
    }

    fn in_transaction(&mut self, work: impl FnOnce(&Transaction<'_>, &Path) -> Result<()>) -> Result<()> {
        // Immediate: waits for the lock at the start, where the busy timeout works, not in the middle, where it cannot.
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| sort(&self.path, e))?;
        work(&tx, &self.path)?;
        tx.commit().map_err(|e| sort(&self.path, e))
    }

    fn error(&self, source: rusqlite::Error) -> ProjectionError {
        sort(&self.path, source)
    }
}

fn put_change(tx: &Transaction<'_>, path: &Path, run_id: &str, change: &Change) -> Result<()> {
    match change {
        Change::Order(row) => put(tx, path, run_id, row),
        Change::Fill(row) => put(tx, path, run_id, row),
        Change::Position(row) => put(tx, path, run_id, row),
        Change::Balance(row) => put(tx, path, run_id, row),
        Change::Equity(row) => put(tx, path, run_id, row),
        Change::Event(row) => put(tx, path, run_id, row),
        Change::Strategy(row) => put(tx, path, run_id, row),
    }
}

fn put<T: Table>(tx: &Transaction<'_>, path: &Path, run_id: &str, row: &T) -> Result<()> {
    let mut values = vec![rusqlite::types::Value::Text(run_id.into())];
    row.values(&mut values).map_err(|column| ProjectionError::OutOfRange { column })?;
    tx.prepare_cached(T::INSERT)
        .and_then(|mut s| s.execute(rusqlite::params_from_iter(values)))
        .map_err(|e| sort(path, e))?;
    Ok(())
}

fn applied_seq(db: &Connection, path: &Path, run_id: &str) -> Result<Option<u64>> {
    let seq = db
        .prepare_cached("SELECT applied_seq FROM meta WHERE run_id = ?1")
        .and_then(|mut s| s.query_row([run_id], |row| row.get::<_, i64>(0)).optional())
        .map_err(|e| sort(path, e))?;
    seq.map(|s| u64::try_from(s).map_err(|_| ProjectionError::OutOfRange { column: "applied_seq" })).transpose()
}

/// Sorts SQLite's errors by what the caller can do.
fn sort(path: &Path, source: rusqlite::Error) -> ProjectionError {
    let path = path.to_path_buf();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            ProjectionError::Corrupt { path, why: source.to_string() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ProjectionError::Busy { path },
        Some(ErrorCode::DiskFull) => ProjectionError::Full { path },
        Some(ErrorCode::ReadOnly) => ProjectionError::ReadOnly { path },
        _ => ProjectionError::Sqlite { path, source },
    }
}
