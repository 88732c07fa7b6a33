//! Keeps a fixed share of an account's money in one coin: buys when it fell below its share, sells when it rose above.
//! Shows a strategy from the ground up: subscriptions, queries, an order, its end, and state that survives a restart.
//! Never: a float; worth and sizes are exact decimals.

use ctos_kernel::{Ctx, Order, OrderChange, OrderRequest, Strategy};
use ctos_strategies::{Args, ParamError, ParamKind, ParamSpec, Program, Range, StrategyInfo, on_bars};
use ctos_types::{Bar, ClientOrderId, Decimal, Instrument, InstrumentId, Interval, NumberError, Qty, Rounding, Side};
use serde::Deserialize;
use serde_json::{Value, json};

pub const PROGRAM: Program = Program {
    info: StrategyInfo {
        name: "rebalance",
        summary: "Keeps a fixed share of the account's money in one coin.",
        params: &[
            on_bars::SYMBOL,
            on_bars::INTERVAL,
            ParamSpec {
                name: "share",
                kind: ParamKind::Percent,
                default: Some("50"),
                doc: "How much of the money is to be in the coin.",
                range: Range::Between("1", "99"),
            },
            ParamSpec {
                name: "band",
                kind: ParamKind::Percent,
                default: Some("1"),
                doc: "Trade when the share is off by this much of the money.",
                range: Range::Between("0.01", "50"),
            },
        ],
        example: "own-strategy run --symbols sim:ETH-USDT --strategy rebalance --set share=50",
    },
    build,
};

fn build(args: &Args<'_>) -> Result<Box<dyn Strategy>, ParamError> {
    let symbol = args.symbol("symbol")?;
    let instrument = args.instruments.get(symbol);
    if !instrument.is_spot() {
        return Err(args.error("symbol", format_args!("{} is not spot: there is no coin to hold", instrument.symbol)));
    }
    let percent = |name| Ok(args.number(name)?.mul_ratio(1, 100, Rounding::HalfEven).expect("the range is small"));
    let (share, band) = (percent("share")?, percent("band")?);
    Ok(Box::new(Rebalance { symbol, interval: args.interval("interval")?, share, band, order: None }))
}

#[derive(Debug)]
struct Rebalance {
    symbol: InstrumentId,
    interval: Interval,
    /// Of one.
    share: Decimal,
    band: Decimal,
    /// On its way; there is never a second one. The only state.
    order: Option<ClientOrderId>,
}

impl Strategy for Rebalance {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe_bars(self.symbol, self.interval);
        // It may have ended while this strategy was not running.
        self.order = self.order.filter(|id| ctx.order(*id).is_some_and(Order::is_open));
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, _: InstrumentId, _: &Bar) {
        if self.order.is_some() {
            return;
        }
        let i = ctx.instrument(self.symbol);
        let Some(price) = ctx.price(self.symbol) else { return };
        let (coins, cash) = (ctx.balance(i.base), ctx.balance(i.quote));
        match trade(i, price, coins, cash, self.share, self.band) {
            Ok(Some((side, size))) => self.order = Some(ctx.place(OrderRequest::market(self.symbol, side, size))),
            Ok(None) => {}
            Err(e) => ctx.note(format!("the money cannot be counted: {e}")),
        }
    }

    fn on_order(&mut self, _: &mut Ctx<'_>, order: &Order, _: OrderChange) {
        // However it ended (filled, refused, denied by our own gates): the next bar looks again.
        if self.order == Some(order.id()) && !order.is_open() {
            self.order = None;
        }
    }

    fn save(&self) -> Value {
        json!(self.order)
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.order = Option::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }

    fn trades(&self) -> Vec<InstrumentId> {
        vec![self.symbol]
    }
}

/// The order that brings the coin's worth back to its share; `None` within the band, or where it is too small for the
/// venue.
fn trade(
    i: &Instrument,
    price: Decimal,
    coins: Decimal,
    cash: Decimal,
    share: Decimal,
    band: Decimal,
) -> Result<Option<(Side, Qty)>, NumberError> {
    let worth = coins.mul(price, Rounding::Down)?;
    let money = worth.checked_add(cash)?;
    let missing = money.mul(share, Rounding::Down)?.checked_sub(worth)?;
    if missing.abs() < money.mul(band, Rounding::Up)? {
        return Ok(None);
    }
    // Upwards, so that the size is not larger than what is missing.
    let px = i.price_rounded(price, Rounding::Ceil)?;
    let size = i.qty_for_quote(missing.abs(), px)?;
    let side = if missing.is_positive() { Side::Buy } else { Side::Sell };
    Ok(i.check(Some(px), size).is_ok().then_some((side, size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ctos_types::{Currency, InstrumentKind, Price, Symbol};

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// Prices with two places, sizes with three, at least 10 USDT an order.
    fn coin() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            version: 1,
            symbol: Symbol::new("sim:ETH-USDT"),
            kind: InstrumentKind::Spot,
            base: Currency::new("ETH").unwrap(),
            quote: Currency::new("USDT").unwrap(),
            price_decimals: 2,
            qty_decimals: 3,
            tick: Price(1),
            lot: Qty(1),
            min_qty: Qty(1),
            max_qty: Qty(1_000_000),
            min_notional: d("10"),
            contract_value: Decimal::ONE,
            multiplier: Decimal::ONE,
            initial_margin: Decimal::ZERO,
            maintenance_margin: Decimal::ZERO,
            maker_fee: Decimal::ZERO,
            taker_fee: Decimal::ZERO,
        }
    }

    #[test]
    fn the_share_is_brought_back_and_never_overshot() {
        for (coins, cash, want) in [
            ("0", "1000", Some((Side::Buy, Qty(166)))),
            // 3 coins at 3.00 each: 166.666 would be half of the money.
            ("166.666", "500", None),
            ("200", "500", Some((Side::Sell, Qty(16_666)))),
            ("170", "500", None),
            ("0", "0", None),
            ("0", "19", None),
        ] {
            let price = if coins == "0" { "3000" } else { "3" };
            let got = trade(&coin(), d(price), d(coins), d(cash), d("0.5"), d("0.01")).unwrap();
            assert_eq!(got, want, "{coins} coins at {price}, {cash} in cash");
        }
    }
}
