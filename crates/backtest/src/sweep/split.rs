//! Walk-forward windows: parameters are chosen on one window and judged on the one right behind it.
//! Never: lets a test window overlap the window its parameters were chosen on, or another test window.

use ctos_runtime::UserError;
use ctos_runtime::config::span_text;
use ctos_types::{Nanos, UnixNanos};
use serde::{Deserialize, Serialize};

/// From the first moment up to, not including, the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub from: UnixNanos,
    pub to: UnixNanos,
}

impl Window {
    pub fn len(self) -> Nanos {
        self.to - self.from
    }

    pub fn is_empty(self) -> bool {
        self.to <= self.from
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Walk {
    /// Every training window is equally long and moves on with the tests.
    Rolling,
    /// Every training window begins at the beginning.
    Anchored,
}

/// How a range is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Test windows: at least 1.
    pub folds: u32,
    pub walk: Walk,
    /// How many times as long as a test window the (first) training window is: at least 1.
    pub train: u32,
}

/// What a window is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Parameters are chosen here; without a split it is the whole range.
    Train,
    /// They are judged here.
    Test,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Test => "test",
        }
    }
}

/// One search: where it chooses and where its choice is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    pub train: Window,
    pub test: Option<Window>,
}

impl Fold {
    pub fn window(&self, part: Part) -> Option<Window> {
        match part {
            Part::Train => Some(self.train),
            Part::Test => self.test,
        }
    }
}

/// Lengths from here on are cut to whole minutes: edges that people can read.
const READABLE: Nanos = Nanos::from_secs(3_600);
const MINUTE: i64 = 60_000_000_000;

/// The windows of `range`, of which the last test ends with the range.
///
/// # Errors
/// A range, or a window of it, that is not longer than `warm_up`: nothing could be traded in it.
pub fn folds(range: Window, split: Option<Split>, warm_up: Nanos) -> Result<Vec<Fold>, UserError> {
    if range.is_empty() {
        let hint = "choose another --from and --to, or more data";
        return Err(UserError::new(format!("the range from {} to {} is empty", range.from, range.to), hint));
    }
    let Some(split) = split else {
        return enough(range, warm_up, "the range").map(|()| vec![Fold { train: range, test: None }]);
    };
    let parts = i64::from(split.folds) + i64::from(split.train);
    let exact = range.len().0 / parts;
    let test = if exact >= READABLE.0 { exact / MINUTE * MINUTE } else { exact };
    let first = Window { from: UnixNanos(range.to.0 - test * i64::from(split.folds)), to: range.to };
    let fold = |i: i64| {
        let start = UnixNanos(first.from.0 + test * i);
        let train = match split.walk {
            // The first one takes what rounding has left over.
            Walk::Rolling => UnixNanos(if i == 0 { range.from.0 } else { start.0 - test * i64::from(split.train) }),
            Walk::Anchored => range.from,
        };
        let to = UnixNanos(start.0 + test);
        Fold { train: Window { from: train, to: start }, test: Some(Window { from: start, to }) }
    };
    let folds: Vec<Fold> = (0..i64::from(split.folds)).map(fold).collect();
    for fold in &folds {
        for window in [Some(fold.train), fold.test].into_iter().flatten() {
            enough(window, warm_up, "a walk-forward window")?;
        }
    }
    Ok(folds)
}

fn enough(window: Window, warm_up: Nanos, what: &str) -> Result<(), UserError> {
    if window.len() > warm_up && !window.is_empty() {
        return Ok(());
    }
    let (has, needs) = (span_text(window.len()), span_text(warm_up));
    let hint = "give more data, fewer --walk-forward windows, or shorter strategy parameters";
    Err(UserError::new(format!("{what} of {has} is not longer than the warm-up of {needs}"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn days(from: i64, to: i64) -> Window {
        Window { from: UnixNanos::from_secs(from * 86_400), to: UnixNanos::from_secs(to * 86_400) }
    }

    fn of(walk: Walk) -> Vec<Fold> {
        folds(days(0, 70), Some(Split { folds: 4, walk, train: 3 }), Nanos::ZERO).unwrap()
    }

    #[test]
    fn rolling_and_anchored() {
        let rolling = of(Walk::Rolling);
        let ten = |i: i64| Fold { train: days(10 * i, 10 * i + 30), test: Some(days(10 * i + 30, 10 * i + 40)) };
        assert_eq!(rolling, (0..4).map(ten).collect::<Vec<_>>());
        let anchored = of(Walk::Anchored);
        let grown = |i: i64| Fold { train: days(0, 10 * i + 30), test: Some(days(10 * i + 30, 10 * i + 40)) };
        assert_eq!(anchored, (0..4).map(grown).collect::<Vec<_>>());
        let whole = folds(days(0, 70), None, Nanos::ZERO).unwrap();
        assert_eq!(whole, [Fold { train: days(0, 70), test: None }]);
    }

    #[test]
    fn windows_must_outlast_the_warm_up() {
        let split = Some(Split { folds: 4, walk: Walk::Rolling, train: 3 });
        let day = |n: i64| Nanos::from_secs(n * 86_400);
        assert!(folds(days(0, 70), split, day(9)).is_ok());
        let error = folds(days(0, 70), split, day(10)).unwrap_err();
        assert_eq!(error.message, "a walk-forward window of 10d is not longer than the warm-up of 10d");
        assert!(folds(days(3, 3), None, Nanos::ZERO).unwrap_err().message.contains("is empty"));
        assert!(folds(days(0, 1), None, day(2)).unwrap_err().message.contains("the range of 1d"));
        let tiny = Window { from: UnixNanos(0), to: UnixNanos(3) };
        assert!(folds(tiny, split, Nanos::ZERO).is_err(), "windows without length");
    }

    proptest! {
        #[test]
        fn tests_follow_each_other_and_end_with_the_range(
            from in -1_000_000i64..1_000_000,
            len in 1_000i64..100_000_000_000_000,
            n in 1u32..20,
            train in 1u32..20,
            anchored: bool,
        ) {
            let walk = if anchored { Walk::Anchored } else { Walk::Rolling };
            let range = Window { from: UnixNanos(from), to: UnixNanos(from + len) };
            let folds = folds(range, Some(Split { folds: n, walk, train }), Nanos::ZERO).unwrap();
            prop_assert_eq!(folds.len(), n as usize);
            prop_assert_eq!(folds[0].train.from, range.from);
            prop_assert_eq!(folds.last().unwrap().test.unwrap().to, range.to);
            for fold in &folds {
                let test = fold.test.unwrap();
                prop_assert_eq!(fold.train.to, test.from);
                prop_assert!(fold.train.from >= range.from && fold.train.len() >= test.len());
            }
            prop_assert!(folds.windows(2).all(|w| w[0].test.unwrap().to == w[1].test.unwrap().from));
        }
    }
}
