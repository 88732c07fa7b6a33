//! The columns of each kind of data: names, types and what makes two rows the same. `docs/data.md` is its public form.
//! Never: a value, or a file.

use crate::record::Kind;

/// How a column's values lie in memory and in Parquet. In memory every value is an `i64`, [`NULL`] where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Nanoseconds since 1970 UTC. Parquet: INT64, TIMESTAMP(NANOS), without a zone, which DuckDB would read as
    /// microseconds.
    Time,
    /// A scaled integer; the scale is the column's. Parquet: INT64, DECIMAL(18, scale).
    Decimal,
    /// Parquet: INT64.
    Int,
    /// 0 or 1.
    Bool,
    /// An index into these words. Parquet: STRING.
    Word(&'static [&'static str]),
    /// An index into the table's texts. Parquet: STRING.
    Text,
}

/// No value here.
pub const NULL: i64 = i64::MIN;

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnType,
    pub nullable: bool,
}

const fn required(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: false }
}

const fn optional(name: &'static str, kind: ColumnType) -> Column {
    Column { name, kind, nullable: true }
}

use ColumnType::{Bool, Decimal, Int, Text, Time, Word};

/// The first column of every kind: the venue's time.
pub const TS_EVENT: usize = 0;
/// The second column of every kind: our time.
pub const TS_RECV: usize = 1;

/// Places of the columns that code reads by name.
pub mod book {
    pub const UPDATE_ID: usize = 2;
    pub const ACTION: usize = 3;
    pub const SIDE: usize = 4;
    pub const PRICE: usize = 5;
    pub const QTY: usize = 6;
    pub const LAST: usize = 7;
    /// Words of the action column.
    pub const SNAPSHOT: i64 = 0;
    pub const UPDATE: i64 = 1;
    pub const GAP: i64 = 2;
    /// Words of the side column.
    pub const BID: i64 = 0;
    pub const ASK: i64 = 1;
}

const BOOK: &[Column] = &[
    optional("ts_event", Time),
    optional("ts_recv", Time),
    required("update_id", Int),
    required("action", Word(&["snapshot", "update", "gap"])),
    optional("side", Word(&["bid", "ask"])),
    optional("price", Decimal),
    optional("qty", Decimal),
    required("last", Bool),
];

const QUOTES: &[Column] = &[
    optional("ts_event", Time),
    optional("ts_recv", Time),
    required("update_id", Int),
    required("bid_px", Decimal),
    required("bid_qty", Decimal),
    required("ask_px", Decimal),
    required("ask_qty", Decimal),
];

const TRADES: &[Column] = &[
    optional("ts_event", Time),
    optional("ts_recv", Time),
    required("id", Int),
    optional("side", Word(&["buy", "sell"])),
    required("price", Decimal),
    required("qty", Decimal),
];

const BARS: &[Column] = &[
    required("open_time", Time),
    optional("ts_recv", Time),
    required("open", Decimal),
    required("high", Decimal),
    required("low", Decimal),
    required("close", Decimal),
    optional("volume", Decimal),
    optional("quote_volume", Decimal),
    optional("trades", Int),
    optional("taker_buy_volume", Decimal),
];

const FUNDING: &[Column] =
    &[optional("ts_event", Time), optional("ts_recv", Time), required("rate", Decimal), optional("mark", Decimal)];

const MARKS: &[Column] = &[
    optional("ts_event", Time),
    optional("ts_recv", Time),
    required("mark", Decimal),
    optional("index", Decimal),
    optional("funding_rate", Decimal),
    optional("next_funding", Time),
];

const DEPTH_BANDS: &[Column] = &[
    optional("ts_event", Time),
    optional("ts_recv", Time),
    required("percentage", Decimal),
    required("depth", Decimal),
    required("notional", Decimal),
];

const INSTRUMENTS: &[Column] = &[
    optional("ts_event", Time),
    optional("ts_recv", Time),
    required("version", Int),
    required("base", Text),
    required("quote", Text),
    required("tick", Decimal),
    required("lot", Decimal),
    required("definition", Text),
];

/// The columns of a kind, in order.
pub fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Book => BOOK,
        Kind::Quotes => QUOTES,
        Kind::Trades => TRADES,
        Kind::Bars(_) => BARS,
        Kind::Funding => FUNDING,
        Kind::Marks => MARKS,
        Kind::DepthBands => DEPTH_BANDS,
        Kind::Instruments => INSTRUMENTS,
    }
}

/// What tells two rows of one moment apart. Rows that agree in it are the same row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The moment alone.
    Time,
    /// The moment and this column.
    Column(usize),
    /// This column, a venue's id; where it is 0 only whole equal rows of another source are the same.
    Id(usize),
}

pub fn identity(kind: Kind) -> Identity {
    match kind {
        Kind::Book => Identity::Id(book::UPDATE_ID),
        Kind::Quotes | Kind::Trades => Identity::Id(2),
        Kind::DepthBands => Identity::Column(2),
        Kind::Bars(_) | Kind::Funding | Kind::Marks | Kind::Instruments => Identity::Time,
    }
}

/// Columns that hold prices and sizes of the instrument, for its grid: `(prices, sizes)`.
pub fn grid_columns(kind: Kind) -> (&'static [usize], &'static [usize]) {
    match kind {
        Kind::Book => (&[book::PRICE], &[book::QTY]),
        Kind::Quotes => (&[3, 5], &[4, 6]),
        Kind::Trades => (&[4], &[5]),
        Kind::Bars(_) => (&[2, 3, 4, 5], &[6]),
        Kind::Funding | Kind::Marks | Kind::DepthBands | Kind::Instruments => (&[], &[]),
    }
}
