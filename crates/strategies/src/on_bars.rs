//! A strategy around a signal on closed bars: the signal says long, short or flat, the rest is done here.
//! Never: acts on a bar that is still open, or sends a second order for a goal that stands.

use crate::mover::{Lot, Mover};
use crate::params::{Args, ParamError, ParamKind, ParamSpec, Range};
use crate::sizing::{check_minimum, order_amount};
use ctos_kernel::{Ctx, Order, OrderChange, Strategy};
use ctos_types::{Bar, Decimal, Fill, Instrument, InstrumentId, Interval, Price};
use serde::Deserialize;
use serde_json::{Value, json};

pub use crate::mover::Goal;

/// What to trade. Each strategy on bars has this and the next three parameters in its table.
pub const SYMBOL: ParamSpec = ParamSpec {
    name: "symbol",
    kind: ParamKind::Symbol,
    default: None,
    doc: "What to trade. Default: the run's first symbol.",
    range: Range::Any,
};
/// Length of the bars.
pub const INTERVAL: ParamSpec = ParamSpec {
    name: "interval",
    kind: ParamKind::Interval,
    default: Some("1m"),
    doc: "Length of the bars.",
    range: Range::Any,
};
/// Worth of a position.
pub const ORDER_AMOUNT: ParamSpec = ParamSpec {
    name: "order_amount",
    kind: ParamKind::Amount,
    default: None,
    doc: "Worth of a position. Default: 1000.",
    range: Range::Above("0"),
};
/// Whether the signal's shorts are followed.
pub const DIRECTION: ParamSpec = ParamSpec {
    name: "direction",
    kind: ParamKind::Choice(&["long", "both"]),
    default: None,
    doc: "Long only, or short as well. Default: both, on spot long.",
    range: Range::Any,
};

/// A closed bar as an indicator sees it: in quote currency and coins or contracts, as floats.
#[derive(Clone, Copy, Debug)]
pub struct Candle<'a> {
    instrument: &'a Instrument,
    /// The bar itself, exact.
    pub bar: &'a Bar,
}

/// Powers of ten that an `f64` holds exactly, as many as an instrument has decimal places at most.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// The float nearest to a mantissa of up to 2^53, which is what parsing its decimal text gives.
fn float(mantissa: i64, decimals: u8) -> f64 {
    mantissa as f64 / POWERS[usize::from(decimals)]
}

impl<'a> Candle<'a> {
    pub fn new(instrument: &'a Instrument, bar: &'a Bar) -> Candle<'a> {
        Candle { instrument, bar }
    }

    fn price(&self, px: Price) -> f64 {
        float(px.0, self.instrument.price_decimals)
    }
    pub fn open(&self) -> f64 {
        self.price(self.bar.open)
    }
    pub fn high(&self) -> f64 {
        self.price(self.bar.high)
    }
    pub fn low(&self) -> f64 {
        self.price(self.bar.low)
    }
    pub fn close(&self) -> f64 {
        self.price(self.bar.close)
    }
    pub fn volume(&self) -> f64 {
        float(self.bar.volume.0, self.instrument.qty_decimals)
    }
}

/// Turns closed bars into what to hold. It decides from them and from its own state alone.
pub trait Signal: Send {
    /// Takes a closed bar in. `goal` is what stands; the answer is what is wanted from now on, `None` to leave it.
    /// [`Goal::Short`] counts as [`Goal::Flat`] where shorts are not allowed.
    fn on_bar(&mut self, candle: &Candle<'_>, goal: Goal) -> Option<Goal>;

    /// The lines of a chart as of the newest bar: a name and a price for each.
    fn plot(&self, _point: &mut dyn FnMut(&'static str, f64)) {}

    /// All state that a restart must bring back; parameters come from the settings again.
    fn save(&self) -> Value;

    /// Takes what `save` gave.
    ///
    /// # Errors
    /// The value is not such a state.
    fn restore(&mut self, state: &Value) -> Result<(), String>;
}

/// A strategy that follows a [`Signal`] with market orders.
#[derive(Debug)]
pub struct OnBars<S> {
    lot: Lot,
    interval: Interval,
    shorts: bool,
    signal: S,
    mover: Mover,
}

impl<S: Signal> OnBars<S> {
    /// Reads [`SYMBOL`], [`INTERVAL`], [`ORDER_AMOUNT`] and [`DIRECTION`], which the strategy's table must have.
    ///
    /// # Errors
    /// One of them is malformed, or asks for what the instrument cannot do.
    pub fn build(args: &Args<'_>, signal: S) -> Result<OnBars<S>, ParamError> {
        let instrument = args.symbol("symbol")?;
        let amount = order_amount(args, Decimal::from_int(1000))?;
        check_minimum(args, amount, instrument)?;
        let spot = args.instruments.get(instrument).is_spot();
        let shorts = match args.choice("direction")? {
            Some("both") if spot => {
                let symbol = &args.instruments.get(instrument).symbol;
                let why = format_args!("{symbol} is spot and cannot be sold short; take long");
                return Err(args.error("direction", why));
            }
            Some(word) => word == "both",
            None => !spot,
        };
        let (lot, interval) = (Lot { instrument, amount }, args.interval("interval")?);
        Ok(OnBars { lot, interval, shorts, signal, mover: Mover::default() })
    }
}

impl<S: Signal> Strategy for OnBars<S> {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe_bars(self.lot.instrument, self.interval);
        self.mover.on_start(ctx, self.lot);
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, bar: &Bar) {
        let goal = self.signal.on_bar(&Candle::new(ctx.instrument(id), bar), self.mover.goal());
        ctx.plot_all(id, |point| self.signal.plot(point));
        if let Some(goal) = goal {
            let goal = if goal == Goal::Short && !self.shorts { Goal::Flat } else { goal };
            self.mover.aim(ctx, self.lot, goal);
        }
    }

    fn on_order(&mut self, ctx: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        self.mover.on_order(ctx, self.lot, order, change);
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, order: &Order, fill: &Fill) {
        self.mover.on_fill(ctx, self.lot, order, fill);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _: u64) {
        self.mover.on_timer(ctx, self.lot);
    }

    fn save(&self) -> Value {
        json!({ "signal": self.signal.save(), "mover": self.mover })
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.mover = Mover::deserialize(&state["mover"]).map_err(|e| e.to_string())?;
        self.signal.restore(&state["signal"])
    }

    fn trades(&self) -> Vec<InstrumentId> {
        vec![self.lot.instrument]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::harness::perp;
    use ctos_types::{Qty, UnixNanos};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn candles_are_what_their_text_says(px in 0..(1i64 << 53), qty in 0..(1i64 << 53), places in 0..19u8) {
            let i = Instrument { price_decimals: places, qty_decimals: places, ..perp() };
            let bar = Bar {
                interval: "1m".parse().unwrap(),
                open_time: UnixNanos(0),
                open: Price(px),
                high: Price(px),
                low: Price(px),
                close: Price(px),
                volume: Qty(qty),
            };
            let candle = Candle::new(&i, &bar);
            prop_assert_eq!(candle.close(), i.price_text(Price(px)).parse::<f64>().unwrap());
            prop_assert_eq!(candle.volume(), i.qty_text(Qty(qty)).parse::<f64>().unwrap());
        }
    }
}
