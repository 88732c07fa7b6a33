//! Reads runs from the home directory and its SQLite store, in the API's words: for history, and when no instance runs.
//! Never: writes; a store that is being written by an instance may be half a second behind it.

use crate::model::{
    FillLine, Fills, HaltLine, Halts, OrderLine, Orders, PositionLine, Positions, RunLine, Status, Strategies,
    StrategyLine, balances_of,
};
use ctos_runtime::RunError;
use ctos_runtime::runs::{NamedLatches, RunDir, RunRecord, RunStatus, record_of};
use ctos_runtime::summary::Summary;
use ctos_storage::home::Home;
use ctos_storage::projection::{FillFilter, FillRow, OrderFilter, OrderRow, PositionRow, Projection, ProjectionError};
use ctos_types::{Decimal, Leg, UnixNanos};
use std::collections::BTreeMap;

/// One run as the home has it.
#[derive(Debug)]
pub struct StoredRun {
    pub dir: RunDir,
    pub record: RunRecord,
    projection: Projection,
    /// Whether an instance is working on it.
    running: bool,
}

/// `cut_off` is a run that says it is running while nobody runs.
fn state_of(record: &RunRecord, running: bool) -> String {
    match record.status {
        RunStatus::Running if running => "running",
        RunStatus::Running => "cut_off",
        RunStatus::Finished => "finished",
        RunStatus::Abandoned => "abandoned",
    }
    .into()
}

impl StoredRun {
    /// Opens one run.
    pub fn open(home: &Home, dir: RunDir, running: bool) -> Result<StoredRun, RunError> {
        let record = record_of(&dir)?;
        let projection = Projection::open_read_only(&home.projection_path())?;
        Ok(StoredRun { dir, record, projection, running })
    }

    /// The last run of the home that nobody runs; `None` in an empty home.
    pub fn latest(home: &Home) -> Result<Option<StoredRun>, RunError> {
        let Some(dir) = home.latest_run()? else { return Ok(None) };
        StoredRun::open(home, dir, false).map(Some)
    }

    fn account(&self, id: u16) -> String {
        self.record.settings.accounts.get(id as usize).map_or(id.to_string(), |a| a.id.clone())
    }

    fn run_id(&self) -> Option<String> {
        Some(self.record.run_id.clone())
    }

    /// Orders, newest first; only the open ones, or all.
    pub fn orders(&self, all: bool, limit: u32) -> Result<Orders, RunError> {
        let open = (!all).then_some(true);
        let filter =
            OrderFilter { run_id: self.record.run_id.clone(), open, limit: Some(limit), ..OrderFilter::default() };
        let rows = self.projection.orders(&filter)?;
        let orders = rows.into_iter().map(|row| self.order(row)).collect::<Result<_, _>>()?;
        Ok(Orders { running: self.running, run_id: self.run_id(), orders })
    }

    fn order(&self, row: OrderRow) -> Result<OrderLine, ProjectionError> {
        Ok(OrderLine {
            id: row.order_key,
            account: self.account(row.account),
            strategy: row.strategy,
            symbol: row.instrument,
            side: row.side,
            kind: row.kind,
            price: opt("price", row.price)?,
            trigger: opt("trigger_price", row.trigger_price)?,
            qty: decimal("qty", &row.qty)?,
            filled: decimal("cum_qty", &row.cum_qty)?,
            status: row.status,
            reason: row.reason,
            created: UnixNanos(row.created_at).to_string(),
            updated: UnixNanos(row.updated_at).to_string(),
        })
    }

    /// Fills, newest first.
    pub fn fills(&self, limit: u32) -> Result<Fills, RunError> {
        let filter = FillFilter { run_id: self.record.run_id.clone(), limit: Some(limit), ..FillFilter::default() };
        let rows = self.projection.fills(&filter)?;
        let fills = rows.into_iter().map(|row| self.fill(row)).collect::<Result<_, _>>()?;
        Ok(Fills { running: self.running, run_id: self.run_id(), fills })
    }

    fn fill(&self, row: FillRow) -> Result<FillLine, ProjectionError> {
        Ok(FillLine {
            at: UnixNanos(row.at).to_string(),
            exec_id: row.exec_id,
            order: row.cl_ord_id,
            account: self.account(row.account),
            strategy: row.strategy,
            symbol: row.instrument,
            side: row.side,
            price: decimal("last_px", &row.last_px)?,
            qty: decimal("last_qty", &row.last_qty)?,
            liquidity: row.liquidity,
            fee: decimal("fee", &row.fee)?,
            fee_currency: row.fee_currency,
            realized_pnl: opt("realized_pnl", row.realized_pnl)?,
        })
    }

    /// Positions and balances: of the summary when the run has ended, else as last recorded.
    pub fn positions(&self) -> Result<Positions, RunError> {
        let (positions, balances) = match self.summary()? {
            Some(s) => (s.positions.iter().map(PositionLine::from).collect(), balances_of(&s)),
            None => (self.recorded_positions()?, self.recorded_balances()?),
        };
        Ok(Positions { running: self.running, run_id: self.run_id(), positions, balances })
    }

    fn recorded_positions(&self) -> Result<Vec<PositionLine>, RunError> {
        let rows = self.projection.positions(&self.record.run_id)?;
        // An empty strategy is the account's whole position.
        let whole = rows.into_iter().filter(|r| r.strategy.is_empty());
        let lines = whole.map(|row| self.position(row)).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.into_iter().filter(|p| !p.qty.is_zero()).collect())
    }

    fn position(&self, row: PositionRow) -> Result<PositionLine, ProjectionError> {
        Ok(PositionLine {
            account: self.account(row.account),
            symbol: row.instrument,
            leg: match row.leg.as_str() {
                "long" => Leg::Long,
                "short" => Leg::Short,
                _ => Leg::Net,
            },
            qty: decimal("qty", &row.qty)?,
            avg_px: opt("avg_px", row.avg_px)?,
            mark: None,
            unrealized_pnl: opt("unrealized_pnl", row.unrealized_pnl)?,
        })
    }

    fn recorded_balances(&self) -> Result<BTreeMap<String, BTreeMap<String, Decimal>>, RunError> {
        let mut all: BTreeMap<String, BTreeMap<String, Decimal>> = BTreeMap::new();
        for row in self.projection.balances(&self.record.run_id)? {
            let total = decimal("total", &row.total)?;
            all.entry(self.account(row.account)).or_default().insert(row.currency, total);
        }
        Ok(all)
    }

    /// The strategies of the run with their last recorded state.
    pub fn strategies(&self) -> Result<Strategies, RunError> {
        let rows = self.projection.strategies(&self.record.run_id)?;
        let line = |s: &ctos_runtime::config::StrategySettings| {
            let row = rows.iter().find(|r| r.strategy == s.id);
            let state = match row {
                Some(r) => r.reason.as_ref().map_or(r.status.clone(), |why| format!("{}: {why}", r.status)),
                None => "created".into(),
            };
            let (id, kind, account) = (s.id.clone(), s.name.clone(), s.account.clone());
            StrategyLine { id, kind, account, state, params: s.params.clone() }
        };
        let strategies = self.record.settings.strategies.iter().map(line).collect();
        Ok(Strategies { running: self.running, run_id: self.run_id(), strategies })
    }

    /// What the run ended with; `None` when it has not ended.
    pub fn summary(&self) -> Result<Option<Summary>, RunError> {
        Ok(self.dir.read_summary()?)
    }
}

/// The latches as the home keeps them.
pub fn halts(home: &Home) -> Result<Halts, RunError> {
    let latches: NamedLatches = home.read_latches()?.unwrap_or_default();
    let lines = latches.into_iter().map(|(scope, latch)| HaltLine {
        scope,
        state: latch.state,
        reason: latch.reason,
        since: latch.since.to_string(),
        open_orders: None,
    });
    Ok(Halts { running: false, halts: lines.collect() })
}

/// The status of a home in which no instance runs.
pub fn status(home: &Home) -> Result<Status, RunError> {
    let mut runs = Vec::new();
    for dir in home.runs()? {
        let record = record_of(&dir)?;
        runs.push(RunLine {
            run_id: record.run_id.clone(),
            state: state_of(&record, false),
            created: record.created.clone(),
            market: record.settings.market.to_string(),
        });
    }
    let latest = StoredRun::latest(home)?;
    let (summary, positions, strategies) = match &latest {
        Some(run) => (run.summary()?, run.positions()?.positions, run.strategies()?.strategies),
        None => (None, Vec::new(), Vec::new()),
    };
    Ok(Status {
        running: false,
        run_id: latest.as_ref().and_then(StoredRun::run_id),
        state: latest.as_ref().map_or("none".into(), |r| state_of(&r.record, false)),
        version: env!("CARGO_PKG_VERSION").into(),
        pid: None,
        address: None,
        summary,
        positions,
        strategies,
        halts: halts(home)?.halts,
        markets: Vec::new(),
        degraded: None,
        live: None,
        runs,
    })
}

fn decimal(column: &'static str, text: &str) -> Result<Decimal, ProjectionError> {
    text.parse().map_err(|_| ProjectionError::OutOfRange { column })
}

fn opt(column: &'static str, text: Option<String>) -> Result<Option<Decimal>, ProjectionError> {
    text.map(|t| decimal(column, &t)).transpose()
}
