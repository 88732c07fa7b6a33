//! Audit facts as rows of the store.

use crate::instance::Names;
use crate::runs::{RunDir, RunRecord, RunStatus};
use ctos_kernel::{Alarm, Audit, Order, ProcessState};
use ctos_storage::projection::{
    BalanceRow, Change, EquityRow, EventRow, FillRow, OrderRow, PositionRow, ProjectionRow, RunRow, StrategyRow,
};
use ctos_types::{
    AccountId, ClientOrderId, Decimal, Fill, HaltScope, Instrument, InstrumentId, Instruments, KillState, Leg,
    OrderKind, OrderQty, OrderStatus, Rounding, Side, StrategyId, TimeInForce, UnixNanos,
};

/// Knows the names behind the ids of one run.
#[derive(Clone, Debug)]
pub(crate) struct Mapper {
    instruments: Instruments,
    names: Names,
    strategies: Vec<crate::config::StrategySettings>,
}

pub(crate) fn run_row(record: &RunRecord, dir: &RunDir, summary: Option<String>) -> RunRow {
    let status = match record.status {
        RunStatus::Running => "running",
        RunStatus::Finished => "finished",
        RunStatus::Abandoned => "abandoned",
    };
    RunRow {
        run_id: record.run_id.clone(),
        number: dir.number,
        mode: record.settings.mode.to_string(),
        shard: 0,
        started_at: record.start.0,
        ended_at: None,
        status: status.into(),
        settings: serde_json::to_string(&record.settings).unwrap_or_default(),
        summary,
    }
}

pub(crate) fn kill_text(state: KillState) -> &'static str {
    match state {
        KillState::Active => "ACTIVE",
        KillState::Reducing => "REDUCING",
        KillState::Halted => "HALTED",
    }
}

fn side_text(side: Side) -> String {
    if side == Side::Buy { "buy".into() } else { "sell".into() }
}

fn leg_text(leg: Leg) -> String {
    match leg {
        Leg::Net => "net",
        Leg::Long => "long",
        Leg::Short => "short",
    }
    .into()
}

fn status_text(status: OrderStatus) -> String {
    serde_json::to_value(status).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default()
}

fn tif_text(tif: TimeInForce) -> String {
    match tif {
        TimeInForce::Gtc => "gtc".into(),
        TimeInForce::Ioc => "ioc".into(),
        TimeInForce::Fok => "fok".into(),
        TimeInForce::Gtd(until) => format!("gtd {until}"),
    }
}

impl Mapper {
    pub fn of(record: &RunRecord) -> Mapper {
        Mapper {
            instruments: record.instruments.clone(),
            names: Names::of(&record.settings),
            strategies: record.settings.strategies.clone(),
        }
    }

    pub fn instrument(&self, id: InstrumentId) -> &Instrument {
        self.instruments.get(id)
    }

    pub fn strategy(&self, id: StrategyId) -> &str {
        self.strategies.get(id.0 as usize).map_or("EXTERNAL", |s| s.id.as_str())
    }

    pub fn account(&self, id: AccountId) -> &str {
        self.names.account(id)
    }

    pub fn scope(&self, scope: HaltScope) -> String {
        self.names.of_scope(scope)
    }

    /// Appends the rows that one step's audit makes.
    pub fn rows(&mut self, seq: u64, at: UnixNanos, audits: &[Audit], out: &mut Vec<ProjectionRow>) {
        let mut events = 0;
        for audit in audits {
            let change = match audit {
                Audit::Order { order, .. } => Change::Order(self.order(order, seq)),
                Audit::Fill { account, strategy, instrument, order, fill, realized } => {
                    Change::Fill(self.fill(*account, *strategy, *instrument, *order, fill, *realized, seq, at))
                }
                Audit::Position { account, instrument, leg, position, realized } => {
                    let i = self.instrument(*instrument);
                    Change::Position(PositionRow {
                        account: account.0,
                        strategy: String::new(),
                        instrument: i.symbol.to_string(),
                        leg: leg_text(*leg),
                        qty: i.qty_text(position.qty),
                        avg_px: position.avg_px(i).map(|p| p.to_string()),
                        realized_pnl: realized.to_string(),
                        unrealized_pnl: None,
                        currency: i.settle().to_string(),
                        at: at.0,
                    })
                }
                Audit::Balance { account, currency, balance } => Change::Balance(BalanceRow {
                    account: account.0,
                    currency: currency.to_string(),
                    total: balance.total.to_string(),
                    hold: balance.hold.to_string(),
                    borrowed: balance.borrowed.to_string(),
                    interest: balance.interest.to_string(),
                    at: at.0,
                }),
                Audit::Equity { account, currency, equity } => {
                    let (account, currency, equity) = (account.0, currency.to_string(), equity.to_string());
                    Change::Equity(EquityRow { account, currency, seq, at: at.0, equity })
                }
                Audit::Process { strategy, state } => {
                    out.push(ProjectionRow { seq, change: Change::Strategy(self.process(*strategy, state, at)) });
                    self.event(audit, seq, &mut events, at)
                }
                Audit::Denied { .. }
                | Audit::Funding { .. }
                | Audit::Kill { .. }
                | Audit::HaltVerified { .. }
                | Audit::Adopted { .. }
                | Audit::Standing { .. }
                | Audit::Rules { .. }
                | Audit::BookInvalid { .. }
                | Audit::BarsUnusable { .. }
                | Audit::Alarm(_)
                | Audit::Note { .. } => self.event(audit, seq, &mut events, at),
                // Points of charts are for backtests, which have no store.
                Audit::Plot { .. } => continue,
            };
            out.push(ProjectionRow { seq, change });
        }
    }

    fn order(&self, order: &Order, seq: u64) -> OrderRow {
        let r = &order.request;
        let i = self.instrument(r.instrument);
        let (kind, trigger) = kind_text(&r.kind);
        let avg_px = (order.cum_qty.0 > 0).then(|| {
            let size = i.qty_decimal(order.cum_qty);
            let per_unit =
                i.contract_value.mul(i.multiplier, Rounding::HalfEven).and_then(|u| size.mul(u, Rounding::HalfEven));
            per_unit.and_then(|units| order.cum_value.div(units, Rounding::HalfEven)).ok().map(|p| p.to_string())
        });
        let reason = order.reject.map(|(reason, code)| format!("{reason} ({code})"));
        OrderRow {
            account: r.account.0,
            order_key: order.id().to_string(),
            cl_ord_id: Some(order.id().to_string()),
            venue_order_id: (!order.venue_order_id.is_empty()).then(|| order.venue_order_id.to_string()),
            strategy: self.strategy(r.strategy).into(),
            instrument: i.symbol.to_string(),
            side: side_text(r.side),
            kind: kind.into(),
            time_in_force: tif_text(r.tif),
            leg: leg_text(r.leg),
            price: order.limit_price().map(|p| i.price_text(p)),
            trigger_price: trigger.map(|p| i.price_text(p)),
            qty: match r.qty {
                OrderQty::Size(qty) => i.qty_text(qty),
                OrderQty::Quote(_) => i.qty_text(order.size),
            },
            cum_qty: i.qty_text(order.cum_qty),
            avg_px: avg_px.flatten(),
            status: status_text(order.status),
            is_open: order.is_open(),
            reason,
            created_seq: order.created_seq,
            updated_seq: seq,
            created_at: order.created.0,
            updated_at: order.updated.0,
        }
    }

    #[allow(clippy::too_many_arguments)] // one row, one call
    fn fill(
        &self,
        account: AccountId,
        strategy: StrategyId,
        instrument: InstrumentId,
        order: Option<ClientOrderId>,
        fill: &Fill,
        realized: Decimal,
        seq: u64,
        at: UnixNanos,
    ) -> FillRow {
        let i = self.instrument(instrument);
        FillRow {
            account: account.0,
            instrument: i.symbol.to_string(),
            exec_id: fill.exec_id.to_string(),
            seq,
            at: at.0,
            cl_ord_id: order.map(|id| id.to_string()),
            venue_order_id: None,
            strategy: self.strategy(strategy).into(),
            side: side_text(fill.side),
            leg: leg_text(fill.leg),
            last_px: i.price_text(fill.last_px),
            last_qty: i.qty_text(fill.last_qty),
            liquidity: format!("{:?}", fill.liquidity).to_lowercase(),
            fee: fill.fee.to_string(),
            fee_currency: fill.fee_currency.to_string(),
            realized_pnl: Some(realized.to_string()),
        }
    }

    fn process(&self, strategy: StrategyId, state: &ProcessState, at: UnixNanos) -> StrategyRow {
        let settings = self.strategies.get(strategy.0 as usize);
        let (status, reason) = match state {
            ProcessState::Created => ("created", None),
            ProcessState::Running => ("running", None),
            ProcessState::Stopped => ("stopped", None),
            ProcessState::Failed { reason } => ("failed", Some(reason.clone())),
        };
        StrategyRow {
            strategy: self.strategy(strategy).into(),
            kind: settings.map(|s| s.name.clone()).unwrap_or_default(),
            params: settings.and_then(|s| serde_json::to_string(&s.params).ok()).unwrap_or_default(),
            status: status.into(),
            reason,
            at: at.0,
        }
    }

    fn event(&self, audit: &Audit, seq: u64, number: &mut u32, at: UnixNanos) -> Change {
        let (mut account, mut strategy, mut instrument) = (None, None, None);
        let (kind, severity, message) = match audit {
            Audit::Denied { order, denied } => {
                (account, strategy) = (Some(order.account.0), Some(order.strategy));
                instrument = Some(order.instrument);
                ("denied", "warning", denied.to_string())
            }
            Audit::Funding { account: a, instrument: i, amount, currency } => {
                (account, instrument) = (Some(a.0), Some(*i));
                ("funding", "info", format!("{amount} {currency}"))
            }
            Audit::Process { strategy: s, state } => {
                strategy = Some(*s);
                let severity = if matches!(state, ProcessState::Failed { .. }) { "error" } else { "info" };
                ("strategy", severity, crate::summary::state_text(state))
            }
            Audit::Kill { scope, state: KillState::Active, reason } => {
                ("resume", "warning", format!("{} released: {reason}", self.scope(*scope)))
            }
            Audit::Kill { scope, state, reason } => {
                ("halt", "error", format!("{} {}: {reason}", self.scope(*scope), kill_text(*state)))
            }
            Audit::HaltVerified { scope } => {
                ("halt_verified", "info", format!("{}: no order is open", self.scope(*scope)))
            }
            Audit::BookInvalid { instrument: i } => {
                instrument = Some(*i);
                ("book_invalid", "warning", "updates were lost; the book is unknown until a snapshot".into())
            }
            Audit::BarsUnusable { instrument: i, have, want } => {
                instrument = Some(*i);
                ("bars_unusable", "warning", format!("bars of {want} cannot be made from bars of {have}"))
            }
            Audit::Adopted { account: a, instrument: i, leg: _, qty, px } => {
                (account, instrument) = (Some(a.0), Some(*i));
                ("adopted", "warning", format!("{} at {px}", self.instrument(*i).qty_text(*qty)))
            }
            Audit::Standing { account: a, known } => {
                account = Some(a.0);
                match known {
                    true => ("known", "info", "the venue's word and ours agree".into()),
                    false => ("unknown", "warning", "not known what the venue has: no new risk until it is".into()),
                }
            }
            Audit::Rules { instrument: i, rules } => {
                instrument = Some(*i);
                let of = self.instrument(*i);
                let trading = if rules.trading { "" } else { ", not trading" };
                let (tick, lot) = (of.price_text(rules.tick), of.qty_text(rules.lot));
                let min = rules.min_notional;
                ("rules", "warning", format!("tick {tick}, lot {lot}, minimum notional {min}{trading}"))
            }
            Audit::Note { strategy: s, text } => {
                strategy = Some(*s);
                ("note", "info", text.clone())
            }
            _ => ("alarm", "error", self.alarm_text(audit)),
        };
        *number += 1;
        Change::Event(EventRow {
            seq,
            number: *number,
            at: at.0,
            kind: kind.into(),
            severity: severity.into(),
            account,
            strategy: strategy.map(|s| self.strategy(s).to_owned()),
            instrument: instrument.map(|i| self.instrument(i).symbol.to_string()),
            message,
            detail: serde_json::to_string(audit).ok(),
        })
    }

    /// An alarm in one line of words.
    pub fn alarm_text(&self, audit: &Audit) -> String {
        let Audit::Alarm(alarm) = audit else { return String::new() };
        match alarm {
            Alarm::BalanceDrift { currency, venue, ours, .. } => {
                format!("balance of {currency} differs: venue {venue}, own books {ours}")
            }
            Alarm::DuplicateFill { instrument, .. } => {
                format!("a fill on {} came twice and was applied once", self.instrument(*instrument).symbol)
            }
            Alarm::FillAboveCeiling { order } => format!("a fill on the already filled order {order} was not applied"),
            Alarm::OverFill { order } => format!("the venue filled more of order {order} than was asked"),
            Alarm::ForeignInstance { id } => format!("order {id} belongs to another ctos instance on this account"),
            Alarm::UnknownOrder { id } => format!("the venue reported on order {id}, which is not known any more"),
            Alarm::Liquidated { .. } => "the venue liquidated the account".into(),
            Alarm::BadRules { instrument, why } => {
                let symbol = &self.instrument(*instrument).symbol;
                format!("the new rules of {symbol} cannot be traded by ({why}): no orders for it until a new start")
            }
            Alarm::DailyLoss { limit, lost, .. } => format!("daily loss {lost} reached the limit {limit}"),
            Alarm::Drawdown { limit_pct, drawdown_pct, .. } => {
                format!("drawdown {drawdown_pct} % reached the limit {limit_pct} %")
            }
            Alarm::HaltNotVerified { scope, open_orders } => {
                format!("{open_orders} orders of {} are still open after a halt; cancelling again", self.scope(*scope))
            }
            Alarm::JournalFailed { error } => format!("the journal cannot be written: {error}"),
            Alarm::Watchdog { seq, strategy } => match strategy {
                Some(s) => format!("watchdog: strategy {} did not return from input {seq}", self.strategy(*s)),
                None => format!("watchdog: the kernel did not finish input {seq}"),
            },
        }
    }
}

fn kind_text(kind: &OrderKind) -> (&'static str, Option<ctos_types::Price>) {
    match *kind {
        OrderKind::Market => ("market", None),
        OrderKind::Limit { .. } => ("limit", None),
        OrderKind::StopMarket { trigger } => ("stop_market", Some(trigger)),
        OrderKind::StopLimit { trigger, .. } => ("stop_limit", Some(trigger)),
        OrderKind::TakeProfitMarket { trigger } => ("take_profit_market", Some(trigger)),
        OrderKind::TakeProfitLimit { trigger, .. } => ("take_profit_limit", Some(trigger)),
        OrderKind::TrailingStop { activation, .. } => ("trailing_stop", activation),
    }
}
