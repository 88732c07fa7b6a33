//! Follows the crossing of a fast and a slow moving average of closed bars, with market orders.
//! Never: acts on a bar that is still open, or twice on one crossing.

use crate::on_bars::{Candle, DIRECTION, Goal, INTERVAL, ORDER_AMOUNT, OnBars, SYMBOL, Signal};
use crate::params::{Args, ParamError, ParamKind, ParamSpec, Range};
use ctos_indicators::{Ema, Sma};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

    #[inline(always)]
    fn update(&mut self, x: f64) -> Option<f64> {
        match self {
            Average::Sma(a) => a.update(x),
            Average::Ema(a) => a.update(x),
        }
    }

    fn value(&self) -> Option<f64> {
        match self {
            Average::Sma(a) => a.value(),
            Average::Ema(a) => a.value(),
        }
    }
}

/// See the module's head. All of it is state: parameters are inside the averages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MaCross {
    fast: Average,
    slow: Average,
    /// Whether the fast average was above the slow one when they last differed.
    above: Option<bool>,
}

pub(crate) fn build(args: &Args<'_>) -> Result<OnBars<MaCross>, ParamError> {
    let kind = args.choice("kind")?.unwrap_or("sma");
    let (fast, slow) = (args.integer("fast")?, args.integer("slow")?);
    if fast >= slow {
        return Err(args.error("fast", format_args!("{fast} is not below slow, which is {slow}")));
    }
    let fast = Average::new(kind, fast as usize).map_err(|e| args.error("fast", e))?;
    let slow = Average::new(kind, slow as usize).map_err(|e| args.error("slow", e))?;
    OnBars::build(args, MaCross { fast, slow, above: None })
}

impl Signal for MaCross {
    fn on_bar(&mut self, candle: &Candle<'_>, _: Goal) -> Option<Goal> {
        let close = candle.close();
        let (fast, slow) = (self.fast.update(close), self.slow.update(close));
        let (fast, slow) = (fast?, slow?);
        if fast == slow {
            // Touching is not crossing: the last relation stands.
            return None;
        }
        let above = fast > slow;
        let before = self.above.replace(above)?;
        (before != above).then_some(if above { Goal::Long } else { Goal::Short })
    }

    fn plot(&self, point: &mut dyn FnMut(&'static str, f64)) {
        for (name, average) in [("fast", &self.fast), ("slow", &self.slow)] {
            if let Some(value) = average.value() {
                point(name, value);
            }
        }
    }

    fn save(&self) -> Value {
        serde_json::to_value(self).expect("state is plain data")
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        *self = MaCross::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }
}
