//! Events of USD-M futures.

use super::spot::limit;
use super::{EarlyFill, Ended, OrderUpdate, UserDecoder, UserEvent, end};
use crate::decode::DecodeError;
use crate::fields::Row;
use crate::orders::states::{self, Prices, State};
use crate::orders::{Outcome, Owner};
use ctos_types::{
    AccountEvent, Balance, CancelReason, Decimal, ExecId, Fill, Liquidity, ReportBody, Text, UnixNanos, VenueOrderId,
};

impl UserDecoder<'_> {
    pub(super) fn usdm(&self, row: &Row<'_>) -> Result<Vec<UserEvent>, DecodeError> {
        Ok(match row.text("e")? {
            "ORDER_TRADE_UPDATE" => vec![UserEvent::Order(self.order_trade_update(row)?)],
            "ACCOUNT_UPDATE" => self.account_update(row)?,
            "TRADE_LITE" => vec![UserEvent::EarlyFill(self.trade_lite(row)?)],
            "ALGO_UPDATE" => vec![UserEvent::Order(self.algo_update(row)?)],
            "ACCOUNT_CONFIG_UPDATE" => self.config_update(row)?,
            "MARGIN_CALL" => vec![self.margin_call(row)?],
            "listenKeyExpired" => vec![UserEvent::Ended(Ended::KeyExpired)],
            other => vec![UserEvent::Ignored(Text::cut(other))],
        })
    }

    fn order_trade_update(&self, event: &Row<'_>) -> Result<OrderUpdate, DecodeError> {
        let row = event.row("o", "ORDER_TRADE_UPDATE")?;
        let grid = row.grid("s", self.desk.symbols())?;
        let side = row.side("S")?;
        let prices = Prices {
            price: row.opt_price("p", grid)?,
            stop: row.opt_price("sp", grid)?,
            trailing_bps: crate::orders::bps(row.opt_decimal("cr")?),
            activation: row.opt_price("AP", grid)?,
        };
        // What it is now: a triggered order is a plain one with its old type in `ot`.
        let (kind, _) = states::kind(&row, "o", prices)?;
        let (tif, post_only) = states::tif(&row, "f", row.opt_time("gtd")?)?;
        let state = states::state(&row, "X")?;
        let reason = match row.has("er") {
            true => Some(row.text("er").map(str::to_string).or_else(|_| row.id("er").map(|n| n.to_string()))?),
            false => None,
        };
        let outcome = states::ended(state, reason.as_deref(), kind, tif, post_only);
        let leg = states::leg(&row, "ps")?;
        let qty = row.qty("q", grid)?;
        let mut update = OrderUpdate {
            owner: Owner::of(row.text("c")?),
            instrument: grid.id,
            venue_order_id: VenueOrderId::from_u64(row.id("i")?),
            reports: Vec::new(),
            qty,
            cum_qty: row.qty("z", grid)?,
            outcome,
            conditional: false,
            child: None,
            ts_event: row.time("T")?,
            ts_sent: event.time("E")?,
        };
        let last_qty = row.opt_qty("l", grid)?.filter(|q| q.0 > 0);
        let bodies = match (row.text("x")?, last_qty) {
            ("NEW", _) => vec![ReportBody::Accepted],
            ("TRADE", None) => return Err(row.missing("l")),
            // Liquidation and deleveraging trade too; without a size they only tell of the end.
            ("TRADE" | "CALCULATED", Some(last_qty)) => {
                let fill = Fill {
                    exec_id: ExecId::from_u64(row.id("t")?),
                    side,
                    leg,
                    last_px: row.price("L", grid)?,
                    last_qty,
                    liquidity: if row.bool("m")? { Liquidity::Maker } else { Liquidity::Taker },
                    // Both are left out where there is no fee.
                    fee: row.opt_decimal("n")?.unwrap_or(Decimal::ZERO),
                    fee_currency: match (row.has("N"), row.has("n")) {
                        (true, _) => row.currency("N")?,
                        (false, false) => self.quote_of(grid.id),
                        (false, true) => return Err(row.missing("N")),
                    },
                };
                vec![ReportBody::Fill(fill)]
            }
            ("AMENDMENT", _) => vec![ReportBody::Amended { price: limit(kind), qty }],
            ("CANCELED" | "EXPIRED" | "CALCULATED", _) => Vec::from_iter(end(outcome)),
            (other, _) => return Err(row.unknown("x", other)),
        };
        update.reports = bodies.into_iter().map(|body| self.report(&update, body)).collect();
        Ok(update)
    }

    fn trade_lite(&self, row: &Row<'_>) -> Result<EarlyFill, DecodeError> {
        let grid = row.grid("s", self.desk.symbols())?;
        Ok(EarlyFill {
            owner: Owner::of(row.text("c")?),
            instrument: grid.id,
            venue_order_id: VenueOrderId::from_u64(row.id("i")?),
            exec_id: ExecId::from_u64(row.id("t")?),
            side: row.side("S")?,
            last_px: row.price("L", grid)?,
            last_qty: row.qty("l", grid)?,
            maker: row.bool("m")?,
            ts_event: row.time("T")?,
        })
    }

    fn algo_update(&self, event: &Row<'_>) -> Result<OrderUpdate, DecodeError> {
        let row = event.row("o", "ALGO_UPDATE")?;
        let grid = row.grid("s", self.desk.symbols())?;
        let (qty, cum_qty) =
            (row.opt_qty("q", grid)?.unwrap_or_default(), row.opt_qty("aq", grid)?.unwrap_or_default());
        let state = crate::orders::algo_state(&row, "X", qty, cum_qty)?;
        let child = row.opt_text("ai")?.filter(|id| !id.is_empty());
        let child = child.map(|id| Text::new(id).map_err(|_| row.missing("ai"))).transpose()?;
        let mut update = OrderUpdate {
            owner: Owner::of(row.text("caid")?),
            instrument: grid.id,
            venue_order_id: VenueOrderId::from_u64(row.id("aid")?),
            reports: Vec::new(),
            qty,
            cum_qty,
            outcome: match state {
                State::Open(_) => None,
                State::Filled => Some(Outcome::Filled),
                State::Rejected => Some(Outcome::Rejected),
                State::Expired => Some(Outcome::Expired),
                State::Canceled | State::SelfTrade => Some(Outcome::Canceled(CancelReason::Requested)),
            },
            conditional: true,
            child,
            ts_event: event.time("T")?,
            ts_sent: event.time("E")?,
        };
        let body = match row.text("X")? {
            "NEW" => Some(ReportBody::Accepted),
            "TRIGGERED" => Some(ReportBody::Triggered),
            // The child's own events tell how it ended.
            "TRIGGERING" | "FINISHED" => None,
            _ => end(update.outcome),
        };
        update.reports = body.into_iter().map(|body| self.report(&update, body)).collect();
        Ok(update)
    }

    fn account_update(&self, event: &Row<'_>) -> Result<Vec<UserEvent>, DecodeError> {
        let row = event.row("a", "ACCOUNT_UPDATE")?;
        let ts_event = event.time("T")?;
        let reason = row.text("m")?;
        let mut events = Vec::new();
        let mut of = None;
        if row.has("P") {
            for position in row.list("P", "position")? {
                let position = position?;
                match self.position_of(&position, ts_event) {
                    Ok((id, event)) => {
                        of = Some(id);
                        events.push(event);
                    }
                    Err(DecodeError::UnknownSymbol(symbol)) => events.push(UserEvent::OtherSymbol(Text::cut(&symbol))),
                    Err(e) => return Err(e),
                }
            }
        }
        if row.has("S") {
            of = row.grid("S", self.desk.symbols()).ok().map(|grid| grid.id);
        }
        for balance in row.list("B", "balance")? {
            let balance = balance?;
            let (currency, amount) = (balance.currency("a")?, balance.amount("bc")?);
            if reason == "FUNDING_FEE" {
                events.push(UserEvent::Funding { instrument: of, amount, currency, ts_event });
            } else if !amount.is_zero() {
                events.push(self.adjustment(currency, amount, ts_event));
            }
            // What is held for orders is not in the event: the venue takes margin, it does not set coins aside.
            let balance = Balance { total: balance.amount("wb")?, ..Balance::default() };
            let event = AccountEvent::Balance { account: self.desk.account, currency, balance };
            events.push(UserEvent::Account { event, ts_event });
        }
        Ok(events)
    }

    fn position_of(
        &self,
        row: &Row<'_>,
        ts_event: UnixNanos,
    ) -> Result<(ctos_types::InstrumentId, UserEvent), DecodeError> {
        let grid = row.grid("s", self.desk.symbols())?;
        let (leg, qty) = (states::leg(row, "ps")?, row.signed_qty("pa", grid)?);
        Ok((grid.id, self.position(grid.id, leg, qty, ts_event)))
    }

    fn config_update(&self, event: &Row<'_>) -> Result<Vec<UserEvent>, DecodeError> {
        if event.has("ai") {
            return Ok(vec![UserEvent::MultiAssets(event.row("ai", "ACCOUNT_CONFIG_UPDATE")?.bool("j")?)]);
        }
        let row = event.row("ac", "ACCOUNT_CONFIG_UPDATE")?;
        let instrument = row.grid("s", self.desk.symbols())?.id;
        let leverage = u32::try_from(row.id("l")?).map_err(|_| row.missing("l"))?;
        Ok(vec![UserEvent::Leverage { instrument, leverage }])
    }

    fn margin_call(&self, event: &Row<'_>) -> Result<UserEvent, DecodeError> {
        let mut instruments = Vec::new();
        for position in event.list("p", "MARGIN_CALL")? {
            if let Ok(grid) = position?.grid("s", self.desk.symbols()) {
                instruments.push(grid.id);
            }
        }
        Ok(UserEvent::MarginCall { instruments, ts_event: event.time("E")? })
    }
}
