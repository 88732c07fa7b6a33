//! Counters of a run that its summary reports. Part of every snapshot, so that a restarted run counts on.

use ctos_kernel::{Audit, OrderChange};
use ctos_types::{Control, Currency, Decimal, Event, MarketData, OrderStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCounts {
    /// Left for the venue.
    pub sent: u64,
    pub accepted: u64,
    /// Filled in full.
    pub filled: u64,
    pub canceled: u64,
    pub rejected: u64,
    pub expired: u64,
    /// Refused by our own gates: never sent.
    pub denied: u64,
    pub amended: u64,
}

/// Inputs by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputCounts {
    pub quotes: u64,
    pub trades: u64,
    pub depth: u64,
    pub bars: u64,
    pub marks: u64,
    pub funding: u64,
    pub gaps: u64,
    pub reports: u64,
    pub account: u64,
    #[serde(default)]
    pub rules: u64,
    pub wakes: u64,
    pub controls: u64,
}

impl InputCounts {
    pub fn market(&self) -> u64 {
        self.quotes + self.trades + self.depth + self.bars + self.marks + self.funding + self.gaps
    }
    pub fn total(&self) -> u64 {
        self.market() + self.reports + self.account + self.rules + self.wakes + self.controls
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub inputs: InputCounts,
    pub orders: OrderCounts,
    pub fills: u64,
    /// Denials by gate.
    pub denied_by: BTreeMap<String, u64>,
    /// Starting worth by account index, in its reporting currency: the first the monitor saw.
    pub equity_start: BTreeMap<u16, Decimal>,
    pub alarms: u64,
    /// Why the run was told to stop, once it was.
    pub stopping: Option<String>,
    /// The account whose equity came last: its starting worth is known.
    #[serde(skip)]
    sampled: Option<u16>,
}

impl Stats {
    #[inline]
    pub fn on_input(&mut self, event: &Event<'_>) {
        if let Event::Control(Control::Stop { reason }) = event {
            self.stopping = Some(reason.clone());
        }
        let n = &mut self.inputs;
        let counter = match event {
            Event::Market(market) => match market.data {
                MarketData::Quote { .. } => &mut n.quotes,
                MarketData::Trade(_) => &mut n.trades,
                MarketData::Depth { .. } => &mut n.depth,
                MarketData::Bar(_) => &mut n.bars,
                MarketData::Mark(_) => &mut n.marks,
                MarketData::Funding(_) => &mut n.funding,
                MarketData::Gap => &mut n.gaps,
            },
            Event::Report(_) => &mut n.reports,
            Event::Account(_) => &mut n.account,
            Event::Rules { .. } => &mut n.rules,
            Event::Wake => &mut n.wakes,
            Event::Control(_) => &mut n.controls,
        };
        *counter += 1;
    }

    #[inline]
    pub fn on_audits(&mut self, audits: &[Audit]) {
        for audit in audits {
            match audit {
                // What most steps tell, and nothing else.
                Audit::Equity { account, .. } if self.sampled == Some(account.0) => {}
                other => self.on_audit(other),
            }
        }
    }

    fn on_audit(&mut self, audit: &Audit) {
        match audit {
            Audit::Order { order, change } => self.on_order(order.status, *change),
            Audit::Denied { denied, .. } => {
                self.orders.denied += 1;
                *self.denied_by.entry(denied.gate.to_string()).or_default() += 1;
            }
            Audit::Fill { .. } => self.fills += 1,
            Audit::Equity { account, equity, .. } => {
                self.sampled = Some(account.0);
                self.equity_start.entry(account.0).or_insert(*equity);
            }
            Audit::Alarm(_) => self.alarms += 1,
            _ => {}
        }
    }

    fn on_order(&mut self, status: OrderStatus, change: OrderChange) {
        let n = &mut self.orders;
        match change {
            OrderChange::Sent => n.sent += 1,
            OrderChange::Accepted => n.accepted += 1,
            OrderChange::Filled if status == OrderStatus::Filled => n.filled += 1,
            OrderChange::Canceled => n.canceled += 1,
            OrderChange::Rejected => n.rejected += 1,
            OrderChange::Expired => n.expired += 1,
            OrderChange::Amended => n.amended += 1,
            _ => {}
        }
    }
}

/// Sums by currency that a summary prints.
pub type ByCurrency = BTreeMap<Currency, Decimal>;
