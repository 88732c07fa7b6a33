//! Breakout of a Donchian channel: long above the highest high of the last bars, short below the lowest low, out at the
//! channel's middle. Shows a signal on bars: what to hold is decided here, orders are the library's business.
//! Never: looks at the newest bar to draw the channel that it is measured against.

use ctos_indicators::{RollingMax, RollingMin};
use ctos_kernel::Strategy;
use ctos_strategies::on_bars::{Candle, DIRECTION, Goal, INTERVAL, ORDER_AMOUNT, OnBars, SYMBOL, Signal};
use ctos_strategies::{Args, ParamError, ParamKind, ParamSpec, Program, Range, StrategyInfo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub const PROGRAM: Program = Program {
    info: StrategyInfo {
        name: "donchian",
        summary: "Goes with a close outside the channel of the last bars' highs and lows.",
        params: &[
            SYMBOL,
            INTERVAL,
            ParamSpec {
                name: "bars",
                kind: ParamKind::Integer,
                default: Some("20"),
                doc: "Bars in the channel, the newest not included.",
                range: Range::Between("2", "10000"),
            },
            ORDER_AMOUNT,
            DIRECTION,
        ],
        example: "own-strategy run --strategy donchian --set bars=20 --set interval=1m",
    },
    build,
};

fn build(args: &Args<'_>) -> Result<Box<dyn Strategy>, ParamError> {
    let bars = args.integer("bars")? as usize;
    let high = RollingMax::new(bars).map_err(|e| args.error("bars", e))?;
    let low = RollingMin::new(bars).map_err(|e| args.error("bars", e))?;
    Ok(Box::new(OnBars::build(args, Donchian { high, low })?))
}

/// All of it is state: a restart brings it back.
#[derive(Debug, Serialize, Deserialize)]
struct Donchian {
    high: RollingMax,
    low: RollingMin,
}

impl Signal for Donchian {
    fn on_bar(&mut self, candle: &Candle<'_>, goal: Goal) -> Option<Goal> {
        let channel = (self.high.value(), self.low.value());
        self.high.update(candle.high());
        self.low.update(candle.low());
        let (Some(high), Some(low)) = channel else { return None };
        wanted(goal, candle.close(), high, low)
    }

    fn plot(&self, point: &mut dyn FnMut(&'static str, f64)) {
        if let (Some(high), Some(low)) = (self.high.value(), self.low.value()) {
            point("upper", high);
            point("middle", (high + low) / 2.0);
            point("lower", low);
        }
    }

    fn save(&self) -> Value {
        serde_json::to_value(self).expect("state is plain data")
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        *self = Donchian::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }
}

fn wanted(goal: Goal, close: f64, high: f64, low: f64) -> Option<Goal> {
    let middle = (high + low) / 2.0;
    match goal {
        _ if close > high => Some(Goal::Long),
        _ if close < low => Some(Goal::Short),
        Goal::Long if close < middle => Some(Goal::Flat),
        Goal::Short if close > middle => Some(Goal::Flat),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakouts_enter_and_the_middle_ends_them() {
        for (goal, close, want) in [
            (Goal::Flat, 105.0, None),
            (Goal::Flat, 110.0, None),
            (Goal::Flat, 110.5, Some(Goal::Long)),
            (Goal::Flat, 89.5, Some(Goal::Short)),
            (Goal::Long, 100.5, None),
            (Goal::Long, 99.5, Some(Goal::Flat)),
            (Goal::Long, 89.5, Some(Goal::Short)),
            (Goal::Short, 99.5, None),
            (Goal::Short, 100.5, Some(Goal::Flat)),
            (Goal::Short, 110.5, Some(Goal::Long)),
        ] {
            assert_eq!(wanted(goal, close, 110.0, 90.0), want, "{goal:?} at {close}");
        }
    }
}
