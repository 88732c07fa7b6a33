//! Tables of the projection, as the steps from one schema version to the next.
//! Never: changes a step that has been released; later versions append.

/// Tables that belong to a run and are rebuilt with it.
pub(super) const RUN_TABLES: [&str; 8] =
    ["orders", "fills", "positions", "balances", "equity", "events", "strategies", "meta"];

/// `MIGRATIONS[n]` leads from version `n` to `n + 1`.
pub(super) const MIGRATIONS: [&str; 2] = [
    "
CREATE TABLE runs (
  run_id TEXT PRIMARY KEY, number INTEGER NOT NULL, mode TEXT NOT NULL, shard INTEGER NOT NULL,
  started_at INTEGER NOT NULL, ended_at INTEGER, status TEXT NOT NULL, settings TEXT NOT NULL, summary TEXT
) WITHOUT ROWID;
CREATE TABLE orders (
  run_id TEXT NOT NULL, account INTEGER NOT NULL, order_key TEXT NOT NULL, cl_ord_id TEXT, venue_order_id TEXT,
  strategy TEXT NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL, kind TEXT NOT NULL,
  time_in_force TEXT NOT NULL, leg TEXT NOT NULL, price TEXT, trigger_price TEXT, qty TEXT NOT NULL,
  cum_qty TEXT NOT NULL, avg_px TEXT, status TEXT NOT NULL, is_open INTEGER NOT NULL, reason TEXT,
  created_seq INTEGER NOT NULL, updated_seq INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (run_id, account, order_key)
) WITHOUT ROWID;
CREATE INDEX orders_by_time ON orders (run_id, created_seq);
CREATE INDEX orders_open ON orders (run_id, is_open, created_seq) WHERE is_open = 1;
CREATE TABLE fills (
  run_id TEXT NOT NULL, account INTEGER NOT NULL, instrument TEXT NOT NULL, exec_id TEXT NOT NULL, seq INTEGER NOT NULL,
  at INTEGER NOT NULL, cl_ord_id TEXT, venue_order_id TEXT, strategy TEXT NOT NULL, side TEXT NOT NULL,
  leg TEXT NOT NULL, last_px TEXT NOT NULL, last_qty TEXT NOT NULL, liquidity TEXT NOT NULL, fee TEXT NOT NULL,
  fee_currency TEXT NOT NULL, realized_pnl TEXT,
  PRIMARY KEY (run_id, account, instrument, exec_id)
) WITHOUT ROWID;
CREATE INDEX fills_by_time ON fills (run_id, seq);
CREATE TABLE positions (
  run_id TEXT NOT NULL, account INTEGER NOT NULL, strategy TEXT NOT NULL, instrument TEXT NOT NULL, leg TEXT NOT NULL,
  qty TEXT NOT NULL, avg_px TEXT, realized_pnl TEXT NOT NULL, unrealized_pnl TEXT, currency TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (run_id, account, strategy, instrument, leg)
) WITHOUT ROWID;
CREATE TABLE balances (
  run_id TEXT NOT NULL, account INTEGER NOT NULL, currency TEXT NOT NULL, total TEXT NOT NULL, hold TEXT NOT NULL,
  borrowed TEXT NOT NULL, interest TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (run_id, account, currency)
) WITHOUT ROWID;
CREATE TABLE equity (
  run_id TEXT NOT NULL, account INTEGER NOT NULL, currency TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  equity TEXT NOT NULL,
  PRIMARY KEY (run_id, account, currency, seq)
) WITHOUT ROWID;
CREATE TABLE events (
  run_id TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  severity TEXT NOT NULL, account INTEGER, strategy TEXT, instrument TEXT, message TEXT NOT NULL, detail TEXT,
  PRIMARY KEY (run_id, seq, number)
) WITHOUT ROWID;
CREATE TABLE strategies (
  run_id TEXT NOT NULL, strategy TEXT NOT NULL, kind TEXT NOT NULL, params TEXT NOT NULL, status TEXT NOT NULL,
  reason TEXT, at INTEGER NOT NULL,
  PRIMARY KEY (run_id, strategy)
) WITHOUT ROWID;
CREATE TABLE meta (run_id TEXT PRIMARY KEY, applied_seq INTEGER NOT NULL) WITHOUT ROWID;
",
    "
CREATE INDEX equity_by_time ON equity (run_id, seq);
",
];
