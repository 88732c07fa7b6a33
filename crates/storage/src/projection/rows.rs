//! Rows as plain structs: numbers of money as exact decimal text, times as nanoseconds since the Unix epoch.
//! Never: types of the kernel; whoever writes rows maps them.

use rusqlite::types::Value;
use rusqlite::{Row, types::FromSql};
use serde::{Deserialize, Serialize};

/// A row type and its table.
pub(super) trait Table: Sized {
    /// All columns but the run's id, separated by commas.
    const COLUMNS: &'static str;
    /// Takes the run's id and then the columns.
    const INSERT: &'static str;
    /// Appends the columns' values; the error is the name of a column that does not fit.
    fn values(&self, out: &mut Vec<Value>) -> Result<(), &'static str>;
    fn read(row: &Row<'_>) -> rusqlite::Result<Self>;
}

/// A value that SQLite can hold.
trait Cell: Sized {
    /// `None`: out of range.
    fn value(&self) -> Option<Value>;
    fn read(row: &Row<'_>, column: &str) -> rusqlite::Result<Self>;
}

fn get<T: FromSql>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    row.get(column)
}

macro_rules! cell {
    ($type:ty, $value:expr) => {
        impl Cell for $type {
            fn value(&self) -> Option<Value> {
                let value: fn(&$type) -> Option<Value> = $value;
                value(self)
            }
            fn read(row: &Row<'_>, column: &str) -> rusqlite::Result<Self> {
                get(row, column)
            }
        }
    };
}

cell!(String, |v| Some(Value::Text(v.clone())));
cell!(i64, |v| Some(Value::Integer(*v)));
cell!(u16, |v| Some(Value::Integer(i64::from(*v))));
cell!(u32, |v| Some(Value::Integer(i64::from(*v))));
cell!(bool, |v| Some(Value::Integer(i64::from(*v))));

impl Cell for u64 {
    fn value(&self) -> Option<Value> {
        i64::try_from(*self).ok().map(Value::Integer)
    }
    fn read(row: &Row<'_>, column: &str) -> rusqlite::Result<Self> {
        let value: i64 = row.get(column)?;
        u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, value))
    }
}

impl<T: Cell + FromSql> Cell for Option<T> {
    fn value(&self) -> Option<Value> {
        match self {
            None => Some(Value::Null),
            Some(value) => value.value(),
        }
    }
    fn read(row: &Row<'_>, column: &str) -> rusqlite::Result<Self> {
        get(row, column)
    }
}

macro_rules! placeholder {
    ($field:ident) => {
        ", ?"
    };
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident in $table:literal { $(#[$first_doc:meta])* $first:ident: $first_type:ty, $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            $(#[$first_doc])* pub $first: $first_type,
            $($(#[$field_doc])* pub $field: $type,)*
        }
        impl Table for $name {
            const COLUMNS: &'static str = concat!(stringify!($first), $(", ", stringify!($field)),*);
            const INSERT: &'static str = concat!(
                "INSERT OR REPLACE INTO ", $table, " (run_id, ", stringify!($first), $(", ", stringify!($field),)*
                ") VALUES (?, ?", $(placeholder!($field),)* ")"
            );
            fn values(&self, out: &mut Vec<Value>) -> Result<(), &'static str> {
                out.push(Cell::value(&self.$first).ok_or(stringify!($first))?);
                $(out.push(Cell::value(&self.$field).ok_or(stringify!($field))?);)*
                Ok(())
            }
            fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
                Ok($name {
                    $first: Cell::read(row, stringify!($first))?,
                    $($field: Cell::read(row, stringify!($field))?,)*
                })
            }
        }
    };
}

/// A run. Its id is the key of everything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRow {
    /// The run's id.
    pub run_id: String,
    /// Place among the home's runs.
    pub number: u64,
    /// `paper`, `replay`, `live`.
    pub mode: String,
    /// The kernel it ran on.
    pub shard: u16,
    /// Kernel time of its first input.
    pub started_at: i64,
    /// Kernel time of its last input, once it has ended.
    pub ended_at: Option<i64>,
    /// `running`, `ended`, `failed`.
    pub status: String,
    /// The resolved settings, as JSON text without secrets.
    pub settings: String,
    /// The summary, as JSON text, once it has ended.
    pub summary: Option<String>,
}

impl Table for RunRow {
    const COLUMNS: &'static str = "run_id, number, mode, shard, started_at, ended_at, status, settings, summary";
    const INSERT: &'static str = "INSERT OR REPLACE INTO runs \
        (run_id, number, mode, shard, started_at, ended_at, status, settings, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    fn values(&self, out: &mut Vec<Value>) -> Result<(), &'static str> {
        out.push(self.number.value().ok_or("number")?);
        let rest = [
            self.mode.value(),
            self.shard.value(),
            self.started_at.value(),
            self.ended_at.value(),
            self.status.value(),
            self.settings.value(),
            self.summary.value(),
        ];
        out.extend(rest.into_iter().flatten());
        Ok(())
    }
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(RunRow {
            run_id: Cell::read(row, "run_id")?,
            number: Cell::read(row, "number")?,
            mode: Cell::read(row, "mode")?,
            shard: Cell::read(row, "shard")?,
            started_at: Cell::read(row, "started_at")?,
            ended_at: Cell::read(row, "ended_at")?,
            status: Cell::read(row, "status")?,
            settings: Cell::read(row, "settings")?,
            summary: Cell::read(row, "summary")?,
        })
    }
}

table! {
    /// An order as it stands.
    OrderRow in "orders" {
        account: u16,
        /// Unique within run and account: the client order id, or for foreign orders the venue's.
        order_key: String,
        /// `None`: not ours.
        cl_ord_id: Option<String>,
        /// `None`: the venue has not named it yet.
        venue_order_id: Option<String>,
        /// Name of the strategy that ordered it, or `EXTERNAL`.
        strategy: String,
        /// Unified symbol.
        instrument: String,
        /// `buy` or `sell`.
        side: String,
        /// `limit`, `market`, `stop_limit`, …
        kind: String,
        time_in_force: String,
        /// `net`, `long` or `short`.
        leg: String,
        /// Decimal text; `None` for market types.
        price: Option<String>,
        /// Decimal text; `None` where nothing triggers it.
        trigger_price: Option<String>,
        /// Decimal text: the total size, in the venue's order unit.
        qty: String,
        /// Decimal text: how much of it is filled.
        cum_qty: String,
        /// Decimal text; `None` before the first fill.
        avg_px: Option<String>,
        /// FIX state in snake case.
        status: String,
        /// Whether it can still trade.
        is_open: bool,
        /// Why it was refused or cancelled.
        reason: Option<String>,
        /// Input that created it.
        created_seq: u64,
        /// Input that changed it last.
        updated_seq: u64,
        created_at: i64,
        updated_at: i64,
    }
}

table! {
    /// One execution.
    FillRow in "fills" {
        account: u16,
        instrument: String,
        /// The venue's id of the fill.
        exec_id: String,
        /// Input that reported it.
        seq: u64,
        at: i64,
        cl_ord_id: Option<String>,
        venue_order_id: Option<String>,
        strategy: String,
        side: String,
        leg: String,
        /// Decimal text.
        last_px: String,
        /// Decimal text.
        last_qty: String,
        /// `maker` or `taker`.
        liquidity: String,
        /// Decimal text; positive when paid.
        fee: String,
        fee_currency: String,
        /// Decimal text in settlement currency, before fees.
        realized_pnl: Option<String>,
    }
}

table! {
    /// A position as it stands; size zero once it is flat.
    PositionRow in "positions" {
        account: u16,
        /// Whose share; empty for the whole account.
        strategy: String,
        instrument: String,
        leg: String,
        /// Decimal text, negative when short.
        qty: String,
        /// Decimal text; `None` when flat.
        avg_px: Option<String>,
        /// Decimal text.
        realized_pnl: String,
        /// Decimal text; `None` without a mark.
        unrealized_pnl: Option<String>,
        /// What profit is paid in.
        currency: String,
        at: i64,
    }
}

table! {
    /// One currency of one account. All amounts are decimal text.
    BalanceRow in "balances" {
        account: u16,
        currency: String,
        total: String,
        hold: String,
        borrowed: String,
        interest: String,
        at: i64,
    }
}

table! {
    /// A point of the equity curve.
    EquityRow in "equity" {
        account: u16,
        currency: String,
        seq: u64,
        at: i64,
        /// Decimal text.
        equity: String,
    }
}

table! {
    /// An alert, a denial, a halt, or whatever else a person should find again.
    EventRow in "events" {
        seq: u64,
        /// Number among the events of the same input.
        number: u32,
        at: i64,
        /// `denied`, `halt`, `resume`, `alert`, …
        kind: String,
        /// `info`, `warning`, `error`.
        severity: String,
        account: Option<u16>,
        strategy: Option<String>,
        instrument: Option<String>,
        /// One line.
        message: String,
        /// JSON text.
        detail: Option<String>,
    }
}

table! {
    /// A strategy as it stands.
    StrategyRow in "strategies" {
        /// Its name in the run.
        strategy: String,
        /// Which program it is an instance of.
        kind: String,
        /// JSON text.
        params: String,
        /// `running`, `stopped`, `failed`.
        status: String,
        reason: Option<String>,
        at: i64,
    }
}
