//! One order: what was asked, what the venue said, and which fills are counted.
//! Never: counts an execution twice, or more than the venue stands by.

use super::{PastFill, signed};
use ctos_types::{
    CancelReason, ExecId, Fill, NewOrder, OrderQty, Price, Qty, RejectReason, Text, UnixNanos, VenueOrderId,
};
use std::collections::{BTreeMap, BTreeSet};

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Filled,
    Canceled(CancelReason),
    Expired,
    Rejected {
        reason: RejectReason,
        code: Text<31>,
    },
    /// Never at the venue, as far as could be found out.
    NeverArrived,
}

impl End {
    /// Whether fills may belong to the order that were not seen.
    pub fn may_have_filled(self) -> bool {
        !matches!(self, End::Rejected { .. } | End::NeverArrived)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// On its way; the venue has not spoken.
    Sent,
    Open,
    /// Ended at the venue; fills of it are still to be found.
    Ending(End),
    Closed(End),
}

/// An amend without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amend {
    pub price: Option<Price>,
    pub qty: Option<Qty>,
    pub sent: UnixNanos,
    pub doubtful: bool,
    /// Queries after `visibility` that showed the order as it was before.
    pub unchanged: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cancel {
    pub sent: UnixNanos,
    /// The answer is out: sent again when the order is still open by then.
    pub doubtful: bool,
    pub tries: u32,
}

/// Price and total size of an open order as views show them, unlike ours, and since when they all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherTerms {
    pub price: Price,
    pub qty: Qty,
    pub since: UnixNanos,
}

/// Where a doubt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Order,
    Fills,
    Owner(VenueOrderId),
    Position,
}

/// Something that must be found out about the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    pub since: UnixNanos,
    pub stage: Stage,
    pub queries: u32,
    pub not_found: u32,
    /// The next query, or when the one under way counts as failed.
    pub due: UnixNanos,
    pub under_way: bool,
    /// Executions on orders that nobody knows: one of them may be this one.
    pub strangers: Vec<PastFill>,
    pub alarmed: bool,
    /// Of an order that an earlier life placed, and of which the venue has not spoken in this one.
    pub earlier_life: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub request: NewOrder,
    pub phase: Phase,
    pub venue_order_id: VenueOrderId,
    pub told_accepted: bool,
    pub told_triggered: bool,
    /// Total size now; for an order by amount what the venue says, if it does.
    pub size: Option<Qty>,
    pub price: Option<Price>,
    pub sent: UnixNanos,
    /// Sum of the fills that were counted.
    pub cum: i64,
    /// Largest total that the venue stated.
    pub declared: i64,
    /// The total that the venue ended the order with.
    pub last_word: Option<i64>,
    pub amended_at: UnixNanos,
    pub amend: Option<Amend>,
    pub other_terms: Option<OtherTerms>,
    pub cancel: Option<Cancel>,
    pub doubt: Option<Doubt>,
    pub queries: u32,
    /// Counted executions, with the end of the span of the total that each one filled, where the venue said it.
    execs: BTreeMap<ExecId, (i64, Option<i64>)>,
    /// Executions that would exceed what the venue stands by, until a query tells.
    pub suspects: Vec<Fill>,
    /// When the agenda has this order.
    pub agenda: Option<UnixNanos>,
}

/// What becomes of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// New: book it. `over`: more than was asked for.
    Yes { over: bool },
    /// Known by its id.
    Known,
    /// Another id for what is counted already.
    Doubled,
    /// More than the venue is known to stand by: ask it.
    Suspect,
}

impl Tracked {
    pub fn new(request: NewOrder, now: UnixNanos) -> Tracked {
        let size = match request.qty {
            OrderQty::Size(qty) => Some(qty),
            OrderQty::Quote(_) => None,
        };
        Tracked {
            request,
            phase: Phase::Sent,
            venue_order_id: VenueOrderId::EMPTY,
            told_accepted: false,
            told_triggered: false,
            size,
            price: request.kind.limit_price(),
            sent: now,
            cum: 0,
            declared: 0,
            last_word: None,
            amended_at: UnixNanos::MIN,
            amend: None,
            other_terms: None,
            cancel: None,
            doubt: None,
            queries: 0,
            execs: BTreeMap::new(),
            suspects: Vec::new(),
            agenda: None,
        }
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// The most that may come to be filled: an amend under way may have taken effect.
    pub fn ceiling(&self) -> Option<i64> {
        let size = self.size?.0;
        Some(self.amend.and_then(|a| a.qty).map_or(size, |asked| asked.0.max(size)))
    }

    /// Whether fills are missing that the venue counts.
    pub fn lacks_fills(&self) -> bool {
        self.cum < self.declared
    }

    /// Judges an execution and counts it where it is new. `cum_qty`: the venue's total with it.
    pub fn count(&mut self, fill: &Fill, cum_qty: Option<Qty>) -> Counted {
        let end = cum_qty.map(|c| c.0);
        if let Some((_, span)) = self.execs.get_mut(&fill.exec_id) {
            // The first message of it may not have said where it lies.
            *span = span.or(end);
            return Counted::Known;
        }
        let qty = fill.last_qty.0;
        if let Some(end) = end {
            let overlaps = |(other, other_end): &(i64, Option<i64>)| {
                other_end.is_some_and(|other_end| end - qty < other_end && other_end - other < end)
            };
            if self.execs.values().any(overlaps) {
                // Which of the two ids is the real one, nobody can tell: from here on both are known.
                self.execs.insert(fill.exec_id, (0, None));
                return Counted::Doubled;
            }
            self.declared = self.declared.max(end);
        }
        let after = self.cum.saturating_add(qty);
        // A total that the venue states binds; without one the size does.
        let states_totals = self.states_totals();
        let stands = match end {
            Some(_) => Some(self.declared),
            None if states_totals => Some(self.declared),
            None => self.ceiling().map(|c| c.max(self.declared)),
        };
        if stands.is_some_and(|stands| after > stands) {
            return Counted::Suspect;
        }
        self.book(fill, end);
        Counted::Yes { over: self.ceiling().is_some_and(|c| after > c) }
    }

    /// Whether the venue says of its fills where they lie in the order's total.
    pub fn states_totals(&self) -> bool {
        self.last_word.is_some() || self.execs.values().any(|(_, end)| end.is_some())
    }

    /// Takes the order's fills from the venue's history, which has no totals, and gives those to be booked. `None`: the
    /// totals are not known from elsewhere either, so each is judged by itself.
    ///
    /// Nothing is taken from a history that is behind the total. One that is not has every real id: what was counted
    /// under another id is the same execution sent again, and is matched with the one that it repeated.
    ///
    /// An answer that was put together from several lists may have the same execution more than once: it is one.
    pub fn match_history(&mut self, fills: &[Fill]) -> Option<Vec<Fill>> {
        if !self.states_totals() {
            return None;
        }
        let mut seen = BTreeSet::new();
        let fills: Vec<&Fill> = fills.iter().filter(|f| seen.insert(f.exec_id)).collect();
        let sum: i64 = fills.iter().map(|f| f.last_qty.0).sum();
        if sum < self.declared {
            return Some(Vec::new());
        }
        self.declared = sum;
        let listed = |id: &ExecId| fills.iter().any(|f| f.exec_id == *id);
        let mut strays: Vec<i64> =
            self.execs.iter().filter(|(id, (qty, _))| *qty > 0 && !listed(id)).map(|(_, (qty, _))| *qty).collect();
        let mut take = |qty: i64| strays.iter().position(|s| *s == qty).map(|at| strays.swap_remove(at)).is_some();
        let mut new = Vec::new();
        // Those that are known as another name of a stray come first, so that no other fill takes it from them.
        for fill in fills.iter().filter(|f| self.execs.get(&f.exec_id).is_some_and(|(qty, _)| *qty == 0)) {
            take(fill.last_qty.0);
        }
        for fill in &fills {
            if self.execs.contains_key(&fill.exec_id) {
                continue;
            }
            if take(fill.last_qty.0) {
                self.execs.insert(fill.exec_id, (0, None));
            } else {
                new.push(**fill);
            }
        }
        self.suspects.retain(|s| !listed(&s.exec_id));
        Some(new)
    }

    /// Counts an execution that the venue stands by.
    pub fn book(&mut self, fill: &Fill, end: Option<i64>) {
        self.execs.insert(fill.exec_id, (fill.last_qty.0, end));
        self.cum = self.cum.saturating_add(fill.last_qty.0);
    }

    /// What an earlier life booked. Only the sum is known, not what each execution was of it.
    pub fn recall(&mut self, cum: Qty, execs: &[ExecId]) {
        self.cum = cum.0;
        self.declared = cum.0;
        self.execs.extend(execs.iter().map(|id| (*id, (0, None))));
    }

    /// Executions that are booked, or known as other names of those.
    pub fn execs(&self) -> impl Iterator<Item = &ExecId> {
        self.execs.keys()
    }

    /// Whether this execution is booked, or known as another name of one that is.
    pub fn has_exec(&self, id: &ExecId) -> bool {
        self.execs.contains_key(id)
    }

    /// Filled to its size, so that it is closed whatever else is said.
    pub fn is_full(&self) -> bool {
        self.ceiling().is_some_and(|c| self.cum > 0 && self.cum >= c)
    }

    pub fn signed_fill(fill: &Fill) -> i64 {
        signed(fill.side, fill.last_qty)
    }
}
