//! Watches a run and keeps what figures, files and reports need, in bounded memory.
//! Never: changes what it watches, waits, or writes a file.

pub mod equity;
mod exposure;
pub mod follow;
mod keep;
mod lines;
mod prices;
mod recount;
#[cfg(test)]
pub(crate) mod tests;
pub mod trades;

pub use keep::Keep;

use crate::log::{Facts, FillRow, FundingRow, LeftOut, PositionRow, RunLog, Tally, TradeRow};
use ctos_kernel::{Audit, Kernel, Order, OrderChange, ProcessState};
use ctos_runtime::shard::Observer;
use ctos_types::{AccountId, ClientOrderId, Currency, Decimal, Fill, InstrumentId, Leg, Qty, StrategyId, UnixNanos};
use equity::{Buckets, equity_lines};
use exposure::ExposureMeter;
use keep::{keep, plain};
use lines::Plots;
use prices::{is_priced, mid, price_in};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use trades::TradeBook;

/// An account's worth as it is followed.
#[derive(Debug)]
struct Line {
    buckets: Buckets,
    last: Option<Decimal>,
    /// The first sample of this line; before everything held then has a price, later ones replace it.
    begun: Option<UnixNanos>,
    settled: bool,
    exposure: Option<Decimal>,
}

/// Fills a [`RunLog`] from the audit of a run.
#[derive(Debug)]
pub struct Collector {
    facts: Facts,
    keep: Keep,
    /// By account; behind them one line for each currency that several accounts count in.
    lines: Vec<Line>,
    totals: Vec<(Currency, Vec<usize>)>,
    /// Whether strategies run, and whether they were heard to start.
    running: bool,
    started: bool,
    book: TradeBook,
    /// What the market was at when each open order was sent.
    sent: FxHashMap<ClientOrderId, Decimal>,
    open: BTreeMap<(AccountId, InstrumentId, Leg), Qty>,
    in_market_since: Option<UnixNanos>,
    in_market_ns: i64,
    exposure: ExposureMeter,
    orders_sent: u64,
    denied: u64,
    fills: Vec<FillRow>,
    orders: Vec<Order>,
    positions: Vec<PositionRow>,
    funding: Vec<FundingRow>,
    trades: Vec<TradeRow>,
    plots: Plots,
    left_out: LeftOut,
    finished: Vec<TradeRow>,
}

impl Collector {
    /// `facts` must name the instruments and accounts; `to` and the starting worths are filled in at the end.
    pub fn new(facts: Facts, keep: Keep) -> Collector {
        let mut currencies: BTreeMap<Currency, Vec<usize>> = BTreeMap::new();
        for (index, account) in facts.accounts.iter().enumerate() {
            currencies.entry(account.reporting).or_default().push(index);
        }
        let totals: Vec<_> = currencies.into_iter().filter(|(_, accounts)| accounts.len() > 1).collect();
        let line =
            || Line { buckets: Buckets::new(keep.points), last: None, begun: None, settled: false, exposure: None };
        Collector {
            lines: (0..facts.accounts.len() + totals.len()).map(|_| line()).collect(),
            facts,
            keep,
            totals,
            running: false,
            started: false,
            book: TradeBook::default(),
            sent: FxHashMap::default(),
            open: BTreeMap::new(),
            in_market_since: None,
            in_market_ns: 0,
            exposure: ExposureMeter::default(),
            orders_sent: 0,
            denied: 0,
            fills: Vec::new(),
            orders: Vec::new(),
            positions: Vec::new(),
            funding: Vec::new(),
            trades: Vec::new(),
            plots: Plots::default(),
            left_out: LeftOut::default(),
            finished: Vec::new(),
        }
    }

    /// The log of the run as it stands with `kernel`, which is the state after the last step that was watched.
    pub fn finish(mut self, kernel: &Kernel) -> RunLog {
        let to = kernel.now().max(self.facts.from);
        for index in 0..self.facts.accounts.len() {
            let account = AccountId(index as u16);
            self.sample(to, account, kernel.equity(account), kernel);
        }
        self.sum_up(to);
        self.exposure.advance(to);
        self.in_market_ns += self.in_market_since.map_or(0, |since| (to - since).0);
        self.book.close(&mut self.finished);
        self.take_trades();
        self.trades.sort_by_key(|t| t.exit_at);
        self.facts.to = to;
        let tally = Tally {
            fills: self.book.fills,
            maker_fills: self.book.maker_fills,
            orders: self.orders_sent,
            denied: self.denied,
            parts: self.book.parts(),
            open: self.book.open(&self.facts.instruments, |id| kernel.reference(id)),
            fees: std::mem::take(&mut self.book.fees),
            in_market_ns: self.in_market_ns,
            exposure: self.exposure.tally(),
        };
        for (account, line) in self.facts.accounts.iter_mut().zip(&self.lines) {
            account.start_equity = line.buckets.first().map_or(account.start_equity, |p| p.open);
        }
        RunLog {
            equity: equity_lines(&self.facts.accounts, &self.totals, self.lines.into_iter().map(|l| l.buckets)),
            facts: self.facts,
            fills: self.fills,
            orders: self.orders,
            positions: self.positions,
            funding: self.funding,
            trades: self.trades,
            tally: Some(tally),
            left_out: self.left_out,
            prices: Vec::new(),
            plots: self.plots.into_lines(),
        }
    }

    // ---- worth

    /// A sample of one account. Until everything it holds has a price and the strategies run, it only replaces the
    /// first: a starting balance that was not in yet, or had no price yet, is no profit.
    fn sample(&mut self, at: UnixNanos, account: AccountId, equity: Decimal, kernel: &Kernel) {
        let exposure = self.exposure_of(account, kernel);
        let Some(line) =
            self.lines.get_mut(account.0 as usize).filter(|_| (account.0 as usize) < self.facts.accounts.len())
        else {
            return;
        };
        let begun = *line.begun.get_or_insert(at);
        if !line.settled && !self.running {
            // Whoever begins to watch in the middle of a run, after a warm-up, did not hear them start.
            self.running = kernel.processes().any(|p| p.state == ProcessState::Running);
        }
        if !line.settled {
            line.buckets.clear();
            line.settled = (self.running || at > begun) && is_priced(kernel, account);
        }
        line.buckets.push(at, equity, exposure);
        (line.last, line.exposure) = (Some(equity), exposure);
    }

    /// After all accounts of a step were sampled: the lines of several accounts together, and the exposure.
    fn sum_up(&mut self, at: UnixNanos) {
        let accounts = self.facts.accounts.len();
        for (number, (_, members)) in self.totals.iter().enumerate() {
            let Some(sum) = members.iter().map(|m| self.lines[*m].last).sum::<Option<Decimal>>() else { continue };
            let exposure = members.iter().map(|m| self.lines[*m].exposure).sum::<Option<Decimal>>();
            let settled = members.iter().all(|m| self.lines[*m].settled);
            let line = &mut self.lines[accounts + number];
            if !line.settled {
                line.buckets.clear();
                line.settled = settled;
            }
            line.buckets.push(at, sum, exposure);
            (line.last, line.exposure) = (Some(sum), exposure);
        }
        let Some(main) = self.facts.accounts.first().map(|a| a.reporting) else { return };
        let total = self.totals.iter().position(|(currency, _)| *currency == main);
        let line = &self.lines[total.map_or(0, |number| accounts + number)];
        if let Some(equity) = line.last.filter(|_| line.settled) {
            self.exposure.sample(at, equity, line.exposure);
        }
    }

    /// Unsigned worth of the account's positions in its reporting currency; `None` where one has none.
    fn exposure_of(&self, account: AccountId, kernel: &Kernel) -> Option<Decimal> {
        let reporting = self.facts.accounts.get(account.0 as usize)?.reporting;
        let mut sum = Decimal::ZERO;
        for ((_, id, _), qty) in self.open.iter().filter(|((a, ..), qty)| *a == account && qty.0 != 0) {
            let (i, px) = (self.facts.instruments.get(*id), kernel.reference(*id)?);
            let worth = if i.settle() == reporting {
                i.value_at(px, *qty).ok()?.abs()
            } else if i.quote == reporting {
                i.notional_at(px, *qty).ok()?
            } else {
                return None;
            };
            sum = sum.checked_add(worth).ok()?;
        }
        Some(sum)
    }

    // ---- rows

    fn on_order(&mut self, order: &Order, change: OrderChange, kernel: &Kernel) {
        let id = order.id();
        if change == OrderChange::Sent {
            self.orders_sent += 1;
            if let Some(mid) = mid(kernel, order.request.instrument) {
                self.sent.insert(id, mid);
            }
        }
        if order.status.is_closed() {
            self.sent.remove(&id);
        }
        // Sequences only grow, so the rows are in their order.
        match self.orders.binary_search_by_key(&id.seq, |o| o.id().seq) {
            Ok(at) => self.orders[at] = plain(order),
            Err(at) if at == self.orders.len() && at < self.keep.orders => self.orders.push(plain(order)),
            Err(_) => self.left_out.orders += u64::from(change == OrderChange::Sent),
        }
    }

    fn on_fill(&mut self, row: FillRow) {
        let i = self.facts.instruments.get(row.instrument);
        self.book.fill(i, &row, &mut self.finished);
        keep(&mut self.fills, self.keep.fills, row, &mut self.left_out.fills);
        self.take_trades();
    }

    fn take_trades(&mut self) {
        for trade in self.finished.drain(..) {
            keep(&mut self.trades, self.keep.trades, trade, &mut self.left_out.trades);
        }
    }

    fn on_position(&mut self, row: PositionRow) {
        let key = (row.account, row.instrument, row.leg);
        if row.qty.0 == 0 {
            self.open.remove(&key)
        } else {
            self.open.insert(key, row.qty)
        };
        match self.in_market_since {
            None if !self.open.is_empty() => self.in_market_since = Some(row.at),
            Some(since) if self.open.is_empty() => {
                self.in_market_ns += (row.at - since).0;
                self.in_market_since = None;
            }
            _ => {}
        }
        keep(&mut self.positions, self.keep.positions, row, &mut self.left_out.positions);
    }

    fn fill_row(&self, seq: u64, at: UnixNanos, audit: &FillAudit<'_>, kernel: &Kernel) -> FillRow {
        let (i, fill) = (self.facts.instruments.get(audit.instrument), audit.fill);
        let price = || price_in(kernel, fill.fee_currency, i.settle());
        FillRow {
            seq,
            at,
            account: audit.account,
            strategy: audit.strategy,
            instrument: audit.instrument,
            order: audit.order,
            side: fill.side,
            leg: fill.leg,
            price: fill.last_px,
            qty: fill.last_qty,
            liquidity: fill.liquidity,
            fee: fill.fee,
            fee_currency: fill.fee_currency,
            fee_value: trades::fee_value(i, fill.last_px, fill.fee, fill.fee_currency, price),
            realized: audit.realized,
            mid_at_send: audit.order.and_then(|id| self.sent.get(&id).copied()),
        }
    }
}

/// What [`Audit::Fill`] holds.
struct FillAudit<'a> {
    account: AccountId,
    strategy: StrategyId,
    instrument: InstrumentId,
    order: Option<ClientOrderId>,
    fill: &'a Fill,
    realized: Decimal,
}

impl Observer for Collector {
    fn on_step(&mut self, seq: u64, at: UnixNanos, audits: &mut Vec<Audit>, kernel: &Kernel) {
        let mut sampled = false;
        for audit in audits.iter() {
            match audit {
                Audit::Equity { account, equity, .. } => {
                    self.sample(at, *account, *equity, kernel);
                    sampled = true;
                }
                Audit::Order { order, change } => self.on_order(order, *change, kernel),
                Audit::Denied { .. } => self.denied += 1,
                Audit::Fill { account, strategy, instrument, order, fill, realized } => {
                    let (account, strategy, instrument) = (*account, *strategy, *instrument);
                    let audit = FillAudit { account, strategy, instrument, order: *order, fill, realized: *realized };
                    let row = self.fill_row(seq, at, &audit, kernel);
                    self.on_fill(row);
                }
                Audit::Position { account, instrument, leg, position, realized } => {
                    let avg_px = position.avg_px(self.facts.instruments.get(*instrument));
                    let (account, instrument, leg, qty) = (*account, *instrument, *leg, position.qty);
                    self.on_position(PositionRow { at, account, instrument, leg, qty, avg_px, realized: *realized });
                }
                Audit::Funding { account, instrument, amount, currency } => {
                    let (account, instrument, amount, currency) = (*account, *instrument, *amount, *currency);
                    let row = FundingRow { at, account, instrument, amount, currency };
                    self.book.funding(&row);
                    keep(&mut self.funding, self.keep.funding, row, &mut self.left_out.funding);
                }
                Audit::Plot { strategy, instrument, name, value } => {
                    self.plots.push((*strategy, *instrument, name), (at, *value), self.keep.plots);
                }
                Audit::Process { state: ProcessState::Running, .. } if !self.started => {
                    (self.running, self.started) = (true, true);
                    for index in 0..self.facts.accounts.len() {
                        let account = AccountId(index as u16);
                        self.sample(at, account, kernel.equity(account), kernel);
                    }
                    sampled = true;
                }
                _ => {}
            }
        }
        if sampled {
            self.sum_up(at);
        }
    }
}
