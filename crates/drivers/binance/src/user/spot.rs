//! Events of spot and cross margin.

use super::{Ended, OrderUpdate, UserDecoder, UserEvent, end};
use crate::decode::DecodeError;
use crate::fields::Row;
use crate::orders::Owner;
use crate::orders::states::{self, Prices, State};
use crate::profile::Profile;
use ctos_types::{
    AccountEvent, Balance, Decimal, ExecId, Fill, Leg, Liquidity, OrderKind, Qty, RejectReason, ReportBody, Request,
    Text, VenueOrderId,
};

impl UserDecoder<'_> {
    pub(super) fn spot(&self, row: &Row<'_>) -> Result<Vec<UserEvent>, DecodeError> {
        Ok(match row.text("e")? {
            "executionReport" => vec![UserEvent::Order(self.execution_report(row)?)],
            "outboundAccountPosition" => self.balances(row)?,
            // Deposits, withdrawals, transfers; trades are not among them.
            "balanceUpdate" => {
                vec![self.adjustment(row.currency("a")?, row.decimal("d")?, row.time("T")?)]
            }
            "eventStreamTerminated" => vec![UserEvent::Ended(Ended::Terminated)],
            // Order lists are not ours; their orders come as reports of their own.
            other => vec![UserEvent::Ignored(Text::cut(other))],
        })
    }

    fn balances(&self, row: &Row<'_>) -> Result<Vec<UserEvent>, DecodeError> {
        let ts_event = row.time("u")?;
        let one = |asset: Result<Row<'_>, DecodeError>| {
            let asset = asset?;
            let (currency, free, held) = (asset.currency("a")?, asset.amount("f")?, asset.amount("l")?);
            if self.desk.profile == Profile::Margin {
                return Ok(UserEvent::MarginBalance { currency, free, held, ts_event });
            }
            let total = free.checked_add(held);
            let total = total.map_err(|source| DecodeError::Number { kind: "balance", field: "f", source })?;
            let balance = Balance { total, hold: held, borrowed: Decimal::ZERO, interest: Decimal::ZERO };
            Ok(UserEvent::Account {
                event: AccountEvent::Balance { account: self.desk.account, currency, balance },
                ts_event,
            })
        };
        row.list("B", "balance")?.map(one).collect()
    }

    fn execution_report(&self, row: &Row<'_>) -> Result<OrderUpdate, DecodeError> {
        let grid = row.grid("s", self.desk.symbols())?;
        let side = row.side("S")?;
        let prices = Prices {
            price: row.opt_price("p", grid)?,
            stop: row.opt_price("P", grid)?,
            trailing_bps: row.opt_int("d")?.and_then(|bps| u32::try_from(bps).ok()),
            activation: None,
        };
        let (kind, maker_only) = states::kind(row, "o", prices)?;
        let (tif, _) = states::tif(row, "f", None)?;
        let state = states::state(row, "X")?;
        let outcome = states::ended(state, row.opt_text("eR")?, kind, tif, maker_only);
        // On a cancel and an amend `c` names the request; the order's own id stands in `C`.
        let client = match row.text("C")? {
            "" => row.text("c")?,
            original => original,
        };
        let qty = row.qty("q", grid)?;
        let mut update = OrderUpdate {
            owner: Owner::of(client),
            instrument: grid.id,
            venue_order_id: VenueOrderId::from_u64(row.id("i")?),
            reports: Vec::new(),
            qty,
            cum_qty: row.qty("z", grid)?,
            outcome,
            conditional: false,
            child: None,
            ts_event: row.time("T")?,
            ts_sent: row.time("E")?,
        };
        let bodies = match row.text("x")? {
            // A stop that comes to rest on the book has been triggered before.
            "NEW" if kind.is_some_and(|k| k.is_conditional()) && row.bool("w")? => vec![ReportBody::Triggered],
            "NEW" => vec![ReportBody::Accepted],
            "TRADE" => {
                let fee = row.decimal("n")?;
                let fill = Fill {
                    exec_id: ExecId::from_u64(row.id("t")?),
                    side,
                    leg: Leg::Net,
                    last_px: row.price("L", grid)?,
                    last_qty: row.qty("l", grid)?,
                    liquidity: if row.bool("m")? { Liquidity::Maker } else { Liquidity::Taker },
                    fee,
                    // Without a fee there is no asset to name.
                    fee_currency: match row.has("N") {
                        true => row.currency("N")?,
                        false if fee.is_zero() => self.quote_of(grid.id),
                        false => return Err(row.missing("N")),
                    },
                };
                vec![ReportBody::Fill(fill)]
            }
            "REPLACED" => vec![ReportBody::Amended { price: limit(kind), qty }],
            "REJECTED" => vec![ReportBody::Rejected {
                request: Request::Place,
                reason: reject_reason(row.text("r")?),
                code: Text::cut(row.text("r")?),
            }],
            "TRADE_PREVENTION" if matches!(state, State::Open(_)) => {
                // Part of it is gone and was not traded: the order has become smaller.
                let prevented = row.qty("A", grid)?;
                let left = qty.0.checked_sub(prevented.0).filter(|n| *n >= 0).ok_or_else(|| row.missing("A"))?;
                update.qty = Qty(left);
                vec![ReportBody::Amended { price: limit(kind), qty: Qty(left) }]
            }
            "CANCELED" | "EXPIRED" | "TRADE_PREVENTION" => Vec::from_iter(end(outcome)),
            other => return Err(row.unknown("x", other)),
        };
        update.reports = bodies.into_iter().map(|body| self.report(&update, body)).collect();
        Ok(update)
    }

    pub(super) fn quote_of(&self, id: ctos_types::InstrumentId) -> ctos_types::Currency {
        self.desk.of(id).map(|(_, i)| i.quote).unwrap_or_default()
    }
}

pub(super) fn limit(kind: Option<OrderKind>) -> Option<ctos_types::Price> {
    kind.and_then(|k| k.limit_price())
}

fn reject_reason(word: &str) -> RejectReason {
    match word {
        "INSUFFICIENT_BALANCES" => RejectReason::InsufficientBalance,
        "STOP_PRICE_WOULD_TRIGGER_IMMEDIATELY" => RejectReason::WouldTriggerImmediately,
        "WOULD_MATCH_IMMEDIATELY" => RejectReason::PostOnlyWouldTake,
        "OCO_BAD_PRICES" => RejectReason::BadPrice,
        _ => RejectReason::Other,
    }
}
