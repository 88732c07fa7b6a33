//! The account: balances, positions, settings, fees, and closing what is held.
//! Never: takes a failed question for an empty account.

use super::{Client, Failure};
use crate::account::{AccountState, AssetBalance, Bracket, FeeRates, VenuePosition};
use crate::orders::VenueOrder;
use ctos_types::{
    ClientOrderId, Decimal, Instrument, InstrumentId, Leg, NewOrder, OrderKind, OrderQty, PositionEffect, Qty,
    Rounding, Side,
};

/// How positions are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    Market,
    /// A limit order this far from the mark price in the order's favour, as a fraction.
    Limit {
        offset: Decimal,
    },
}

impl Client {
    /// Balances that are not zero.
    pub async fn balances(&self) -> Result<Vec<AssetBalance>, Failure> {
        let mut all = self.ask(&self.desk.balances(), "balances", |body| self.desk.read_balances(body)).await?;
        all.retain(|a| {
            let b = &a.balance;
            ![b.total, b.borrowed, b.interest, a.available].into_iter().all(Decimal::is_zero)
        });
        Ok(all)
    }

    /// Positions that are not flat, and the venue's names of those that ctos does not know.
    pub async fn positions(&self) -> Result<(Vec<VenuePosition>, Vec<String>), Failure> {
        self.usdm_only("positions")?;
        let Some(call) = self.desk.all_positions() else { return Ok((Vec::new(), Vec::new())) };
        let (mut all, others) = self.ask(&call, "positions", |body| self.desk.read_positions(body)).await?;
        all.retain(|p| p.qty != Qty::ZERO);
        Ok((all, others))
    }

    /// What the account may do and how it is set.
    pub async fn state(&self) -> Result<AccountState, Failure> {
        self.ask(&self.desk.state(), "account", |body| self.desk.read_state(body)).await
    }

    /// What this account pays on an instrument.
    pub async fn fees(&self, instrument: InstrumentId) -> Result<FeeRates, Failure> {
        let call = self.desk.fees(instrument)?;
        self.ask(&call, "fee rates", |body| self.desk.read_fees(body)).await
    }

    /// Leverage brackets, smallest first (USD-M).
    pub async fn brackets(&self, instrument: InstrumentId) -> Result<Vec<Bracket>, Failure> {
        let call = self.desk.brackets(instrument)?;
        self.ask(&call, "leverage brackets", |body| self.desk.read_brackets(body)).await
    }

    /// Closes a position with a reduce-only order of its full size.
    pub async fn close(
        &self,
        position: &VenuePosition,
        mode: CloseMode,
        cl_ord_id: ClientOrderId,
    ) -> Result<VenueOrder, Failure> {
        let order = closing_order(self.instruments().get(position.instrument), position, mode, cl_ord_id)?;
        self.place(&NewOrder { account: self.desk.account, ..order }).await
    }
}

/// The order that closes a position.
pub fn closing_order(
    instrument: &Instrument,
    position: &VenuePosition,
    mode: CloseMode,
    cl_ord_id: ClientOrderId,
) -> Result<NewOrder, Failure> {
    let side = if position.qty.0 > 0 { Side::Sell } else { Side::Buy };
    let kind = match mode {
        CloseMode::Market => OrderKind::Market,
        CloseMode::Limit { offset } => {
            let number = |e: ctos_types::NumberError| Failure::invalid(e.to_string(), "use a smaller offset");
            let signed = if side == Side::Sell { offset } else { -offset };
            let factor = Decimal::ONE.checked_add(signed).map_err(number)?;
            let px = position.mark_px.mul(factor, Rounding::HalfEven).map_err(number)?;
            OrderKind::Limit { price: instrument.price_passive(side, px).map_err(number)? }
        }
    };
    Ok(NewOrder {
        reduce_only: true,
        position_effect: if position.leg == Leg::Net { PositionEffect::Auto } else { PositionEffect::Close },
        leg: position.leg,
        ..NewOrder::new(
            ctos_types::AccountId(0),
            cl_ord_id,
            position.instrument,
            side,
            kind,
            OrderQty::Size(position.qty.abs()),
        )
    })
}
