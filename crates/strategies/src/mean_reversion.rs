//! Bets on the return of closed bars to their mean: enters when the close is unusually far from it (Bollinger z-score),
//! leaves when it is back, when it went too far, or when it took too long. Never: acts on a bar that is still open.

use crate::on_bars::{Candle, DIRECTION, Goal, INTERVAL, ORDER_AMOUNT, OnBars, SYMBOL, Signal};
use crate::params::{Args, ParamError, ParamKind, ParamSpec, Range};
use ctos_indicators::ZScore;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const PARAMS: &[ParamSpec] = &[
    SYMBOL,
    INTERVAL,
    ParamSpec {
        name: "lookback",
        kind: ParamKind::Integer,
        default: Some("20"),
        doc: "Bars in the mean and the deviation, the newest included.",
        range: Range::Between("3", "10000"),
    },
    ParamSpec {
        name: "entry_z",
        kind: ParamKind::Number,
        default: Some("2"),
        doc: "Enter against the move at this many standard deviations.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "exit_z",
        kind: ParamKind::Number,
        default: Some("0.5"),
        doc: "Leave when the close is back within this many standard deviations.",
        range: Range::Between("0", "100"),
    },
    ParamSpec {
        name: "stop_z",
        kind: ParamKind::Number,
        default: Some("4"),
        doc: "Leave when the close is this many standard deviations away on the losing side; no entry beyond it.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "max_bars",
        kind: ParamKind::Integer,
        default: Some("60"),
        doc: "Leave after this many bars.",
        range: Range::Between("1", "1000000"),
    },
    ORDER_AMOUNT,
    DIRECTION,
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    z: ZScore,
    /// Bars since the entry's signal.
    age: u32,
    /// After a stop or a time exit no entry until the close has been back at the mean.
    armed: bool,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct MeanReversion {
    entry: f64,
    exit: f64,
    stop: f64,
    max_bars: u32,
    s: State,
}

pub(crate) fn build(args: &Args<'_>) -> Result<OnBars<MeanReversion>, ParamError> {
    let lookback = args.integer("lookback")?;
    let (entry, exit, stop) = (args.number("entry_z")?, args.number("exit_z")?, args.number("stop_z")?);
    if exit >= entry {
        return Err(args.error("exit_z", format_args!("{exit} is not below entry_z, which is {entry}")));
    }
    if stop <= entry {
        return Err(args.error("stop_z", format_args!("{stop} is not above entry_z, which is {entry}")));
    }
    let n = f64::from(lookback);
    let reach = (n - 1.0).sqrt();
    if stop.to_f64() > reach {
        // With the newest value in the window no value can be further out than this.
        let why = format_args!("with a lookback of {lookback} no close is more than {reach:.2} deviations away");
        return Err(args.error("stop_z", why));
    }
    let z = ZScore::new(lookback as usize).map_err(|e| args.error("lookback", e))?;
    let (entry, exit, stop) = (entry.to_f64(), exit.to_f64(), stop.to_f64());
    let max_bars = args.integer("max_bars")?;
    let s = State { z, age: 0, armed: true };
    OnBars::build(args, MeanReversion { entry, exit, stop, max_bars, s })
}

impl MeanReversion {
    fn entry_signal(&mut self, z: f64) -> Option<Goal> {
        self.s.armed |= z.abs() <= self.exit;
        if !self.s.armed || z.abs() < self.entry || z.abs() >= self.stop {
            return None;
        }
        self.s.age = 0;
        Some(if z > 0.0 { Goal::Short } else { Goal::Long })
    }
}

impl Signal for MeanReversion {
    fn on_bar(&mut self, candle: &Candle<'_>, goal: Goal) -> Option<Goal> {
        let z = self.s.z.update(candle.close())?;
        // `ahead` is the distance still to go to the mean, seen from the position.
        let ahead = match goal {
            Goal::Flat => return self.entry_signal(z),
            Goal::Long => -z,
            Goal::Short => z,
        };
        self.s.age += 1;
        let failed = ahead >= self.stop || self.s.age >= self.max_bars;
        if ahead <= self.exit {
            return Some(Goal::Flat);
        }
        self.s.armed &= !failed;
        failed.then_some(Goal::Flat)
    }

    /// The mean, and where the close must be to enter.
    fn plot(&self, point: &mut dyn FnMut(&'static str, f64)) {
        if let Some(stats) = self.s.z.stats() {
            point("mean", stats.mean);
            point("upper", stats.mean + self.entry * stats.std);
            point("lower", stats.mean - self.entry * stats.std);
        }
    }

    fn save(&self) -> Value {
        serde_json::to_value(&self.s).expect("state is plain data")
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.s = State::deserialize(state).map_err(|e| e.to_string())?;
        Ok(())
    }
}
