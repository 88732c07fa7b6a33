//! Follows the crossing of a fast and a slow moving average of closed bars, with market orders.
//! Never: acts on a bar that is still open, or twice on one crossing.

use crate::mover::{Goal, Lot, Mover};
use crate::params::{Args, ParamError, ParamKind, ParamSpec, Range};
use crate::sizing::{check_minimum, order_amount};
use ctos_indicators::{Ema, Sma};
use ctos_kernel::{Ctx, Order, OrderChange, Strategy};
use ctos_types::{Bar, Decimal, Fill, Instrument, InstrumentId, Interval};
use serde::{Deserialize, Serialize};

pub(crate) const PARAMS: &[ParamSpec] = &[
    SYMBOL,
    INTERVAL,
    ParamSpec {
        name: "kind",
        kind: ParamKind::Choice(&["sma", "ema"]),
        default: Some("sma"),
        doc: "Simple or exponential averages.",
        range: Range::Any,
    },
    ParamSpec {
        name: "fast",
        kind: ParamKind::Integer,
        default: Some("9"),
        doc: "Bars in the fast average.",
        range: Range::Between("1", "10000"),
    },
    ParamSpec {
        name: "slow",
        kind: ParamKind::Integer,
        default: Some("21"),
        doc: "Bars in the slow average.",
        range: Range::Between("2", "10000"),
    },
    ORDER_AMOUNT,
    DIRECTION,
];

/// Parameters that the strategies on bars share.
pub(crate) const SYMBOL: ParamSpec = ParamSpec {
    name: "symbol",
    kind: ParamKind::Symbol,
    default: None,
    doc: "What to trade. Default: the run's first symbol.",
    range: Range::Any,
};
pub(crate) const INTERVAL: ParamSpec = ParamSpec {
    name: "interval",
    kind: ParamKind::Interval,
    default: Some("1m"),
    doc: "Length of the bars.",
    range: Range::Any,
};
pub(crate) const ORDER_AMOUNT: ParamSpec = ParamSpec {
    name: "order_amount",
    kind: ParamKind::Amount,
    default: None,
    doc: "Worth of a position. Default: 1000.",
    range: Range::Above("0"),
};
pub(crate) const DIRECTION: ParamSpec = ParamSpec {
    name: "direction",
    kind: ParamKind::Choice(&["long", "both"]),
    default: None,
    doc: "Long only, or short as well. Default: both, on spot long.",
    range: Range::Any,
};

/// The parameters that the strategies on bars share, checked: lot, interval, whether shorts are allowed.
pub(crate) fn read_common(args: &Args<'_>) -> Result<(Lot, Interval, bool), ParamError> {
    let instrument = args.symbol("symbol")?;
    let amount = order_amount(args, Decimal::from_int(1000))?;
    check_minimum(args, amount, instrument)?;
    let spot = args.instruments.get(instrument).is_spot();
    let shorts = match args.choice("direction")? {
        Some("both") if spot => {
            let symbol = &args.instruments.get(instrument).symbol;
            return Err(args.error("direction", format_args!("{symbol} is spot and cannot be sold short; take long")));
        }
        Some(word) => word == "both",
        None => !spot,
    };
    Ok((Lot { instrument, amount }, args.interval("interval")?, shorts))
}

/// A bar's close for an indicator; prices of real instruments are far within an `f64`.
pub(crate) fn close(instrument: &Instrument, bar: &Bar) -> f64 {
    instrument.price_decimal(bar.close).to_f64()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Average {
    Sma(Sma),
    Ema(Ema),
}

impl Average {
    fn new(kind: &str, period: usize) -> Result<Average, ctos_indicators::BadPeriod> {
        if kind == "ema" { Ema::new(period).map(Average::Ema) } else { Sma::new(period).map(Average::Sma) }
    }

    fn update(&mut self, x: f64) -> Option<f64> {
        match self {
            Average::Sma(a) => a.update(x),
            Average::Ema(a) => a.update(x),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    fast: Average,
    slow: Average,
    /// Whether the fast average was above the slow one when they last differed.
    above: Option<bool>,
    mover: Mover,
}

/// See the module's head.
#[derive(Debug)]
pub struct MaCross {
    lot: Lot,
    interval: Interval,
    shorts: bool,
    s: State,
}

impl MaCross {
    pub(crate) fn build(args: &Args<'_>) -> Result<MaCross, ParamError> {
        let (lot, interval, shorts) = read_common(args)?;
        let kind = args.choice("kind")?.unwrap_or("sma");
        let (fast, slow) = (args.integer("fast")?, args.integer("slow")?);
        if fast >= slow {
            return Err(args.error("fast", format_args!("{fast} is not below slow, which is {slow}")));
        }
        let fast = Average::new(kind, fast as usize).map_err(|e| args.error("fast", e))?;
        let slow = Average::new(kind, slow as usize).map_err(|e| args.error("slow", e))?;
        Ok(MaCross { lot, interval, shorts, s: State { fast, slow, above: None, mover: Mover::default() } })
    }

    /// Takes a close in; the goal that a crossing sets, if this bar made one.
    fn signal(&mut self, close: f64) -> Option<Goal> {
        let (fast, slow) = (self.s.fast.update(close), self.s.slow.update(close));
        let (fast, slow) = (fast?, slow?);
        if fast == slow {
            // Touching is not crossing: the last relation stands.
            return None;
        }
        let above = fast > slow;
        let before = self.s.above.replace(above)?;
        let goal = match above {
            true => Goal::Long,
            false if self.shorts => Goal::Short,
            false => Goal::Flat,
        };
        (before != above).then_some(goal)
    }
}

impl Strategy for MaCross {
    fn on_start(&mut self, ctx: &mut Ctx<'_>) {
        ctx.subscribe_bars(self.lot.instrument, self.interval);
        self.s.mover.on_start(ctx, self.lot);
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, id: InstrumentId, bar: &Bar) {
        if let Some(goal) = self.signal(close(ctx.instrument(id), bar)) {
            self.s.mover.aim(ctx, self.lot, goal);
        }
    }

    fn on_order(&mut self, ctx: &mut Ctx<'_>, order: &Order, change: OrderChange) {
        self.s.mover.on_order(ctx, self.lot, order, change);
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, order: &Order, fill: &Fill) {
        self.s.mover.on_fill(ctx, self.lot, order, fill);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _: u64) {
        self.s.mover.on_timer(ctx, self.lot);
    }

    fn save(&self) -> serde_json::Value {
        serde_json::to_value(&self.s).expect("state is plain data")
    }

    fn restore(&mut self, state: &serde_json::Value) -> Result<(), String> {
        self.s = State::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }
}
