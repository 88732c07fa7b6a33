//! Questions to the projection. Lists are newest first where they can grow without bound.
//! Never: changes anything.

use super::rows::Table;
use super::{
    BalanceRow, EquityRow, EventRow, FillRow, OrderRow, PositionRow, Projection, ProjectionError, Result, RunRow,
    StrategyRow,
};
use rusqlite::types::Value;

/// Which orders; the default is all of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// The run.
    pub run_id: String,
    /// One account only.
    pub account: Option<u16>,
    /// One unified symbol only.
    pub instrument: Option<String>,
    /// One strategy only.
    pub strategy: Option<String>,
    /// Only orders that can still trade (`true`) or cannot (`false`).
    pub open: Option<bool>,
    /// At most this many, the newest.
    pub limit: Option<u32>,
}

/// Which fills; the default is all of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FillFilter {
    /// The run.
    pub run_id: String,
    /// One account only.
    pub account: Option<u16>,
    /// One unified symbol only.
    pub instrument: Option<String>,
    /// One strategy only.
    pub strategy: Option<String>,
    /// One order of ours only.
    pub cl_ord_id: Option<String>,
    /// At most this many, the newest.
    pub limit: Option<u32>,
}

/// Which events; the default is all of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The run.
    pub run_id: String,
    /// One kind only.
    pub kind: Option<String>,
    /// One severity only.
    pub severity: Option<String>,
    /// At most this many, the newest.
    pub limit: Option<u32>,
}

impl Projection {
    /// All runs, in the order they were made.
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        self.select("runs", Where::default(), "number, run_id", None)
    }

    /// Orders, newest first.
    pub fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderRow>> {
        let mut w = Where::run(&filter.run_id);
        w.and("account", filter.account.map(|a| Value::Integer(i64::from(a))));
        w.and("instrument", text(&filter.instrument));
        w.and("strategy", text(&filter.strategy));
        w.and("is_open", filter.open.map(|o| Value::Integer(i64::from(o))));
        self.select("orders", w, "created_seq DESC, account, order_key DESC", filter.limit)
    }

    /// Fills, newest first.
    pub fn fills(&self, filter: &FillFilter) -> Result<Vec<FillRow>> {
        let mut w = Where::run(&filter.run_id);
        w.and("account", filter.account.map(|a| Value::Integer(i64::from(a))));
        w.and("instrument", text(&filter.instrument));
        w.and("strategy", text(&filter.strategy));
        w.and("cl_ord_id", text(&filter.cl_ord_id));
        self.select("fills", w, "seq DESC, account, instrument, exec_id DESC", filter.limit)
    }

    /// Positions, flat ones included, in the order of account, strategy, instrument, leg.
    pub fn positions(&self, run_id: &str) -> Result<Vec<PositionRow>> {
        self.select("positions", Where::run(run_id), "account, strategy, instrument, leg", None)
    }

    /// Balances, in the order of account and currency.
    pub fn balances(&self, run_id: &str) -> Result<Vec<BalanceRow>> {
        self.select("balances", Where::run(run_id), "account, currency", None)
    }

    /// The equity curve, oldest first.
    pub fn equity(&self, run_id: &str) -> Result<Vec<EquityRow>> {
        self.select("equity", Where::run(run_id), "seq, account, currency", None)
    }

    /// Events, newest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<EventRow>> {
        let mut w = Where::run(&filter.run_id);
        w.and("kind", text(&filter.kind));
        w.and("severity", text(&filter.severity));
        self.select("events", w, "seq DESC, number DESC", filter.limit)
    }

    /// Strategies, by name.
    pub fn strategies(&self, run_id: &str) -> Result<Vec<StrategyRow>> {
        self.select("strategies", Where::run(run_id), "strategy", None)
    }

    fn select<T: Table>(&self, table: &str, w: Where, order: &str, limit: Option<u32>) -> Result<Vec<T>> {
        let limit = limit.map_or(String::new(), |n| format!(" LIMIT {n}"));
        let sql = format!("SELECT {} FROM {table}{} ORDER BY {order}{limit}", T::COLUMNS, w.sql);
        let read = || {
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_map(rusqlite::params_from_iter(w.values), T::read)?.collect::<rusqlite::Result<Vec<T>>>()
        };
        read().map_err(|e: rusqlite::Error| match e {
            rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::IntegralValueOutOfRange(..) => {
                ProjectionError::Corrupt { path: self.path.clone(), why: e.to_string() }
            }
            e => self.error(e),
        })
    }
}

fn text(value: &Option<String>) -> Option<Value> {
    value.clone().map(Value::Text)
}

/// Conditions that must all hold.
#[derive(Default)]
struct Where {
    sql: String,
    values: Vec<Value>,
}

impl Where {
    fn run(run_id: &str) -> Where {
        let mut w = Where::default();
        w.and("run_id", Some(Value::Text(run_id.into())));
        w
    }

    fn and(&mut self, column: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        self.sql.push_str(if self.values.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(column);
        self.sql.push_str(" = ?");
        self.values.push(value);
    }
}
