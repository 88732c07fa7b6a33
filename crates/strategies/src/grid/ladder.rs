//! The prices of a grid: evenly spaced by amount or by ratio, on the instrument's tick grid, strictly rising.
//! Never: a float; ratios and roots are computed on exact decimals, so every machine has the same grid.

use ctos_types::{Decimal, Instrument, NumberError, Price, Rounding};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Equal distances in price.
    Arithmetic,
    /// Equal ratios.
    Geometric,
}

/// Where the grid lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Between two prices.
    Between { lower: Decimal, upper: Decimal },
    /// Around a price, `spacing` of it apart (0.0005 is 0.05 %).
    Around { center: Decimal, spacing: Decimal },
}

/// Levels of a grid from low to high, and how far the market may go beyond them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ladder {
    pub levels: Vec<Price>,
    /// Beyond these the grid has lost the market. Off: the ends of the range.
    pub floor: Price,
    pub ceiling: Price,
}

type Result<T> = std::result::Result<T, NumberError>;

impl Ladder {
    /// `2 * per_side + 1` levels; fewer where a wide grid would reach below the first tick. `beyond` spacings outside
    /// the grid are tolerated before it counts as lost; 0: it never does.
    pub fn new(instrument: &Instrument, extent: Extent, mode: Mode, per_side: usize, beyond: u32) -> Result<Ladder> {
        let step = Step::of(extent, mode, per_side)?;
        let (start, up, down) = match extent {
            Extent::Between { lower, .. } => (lower, 2 * per_side, 0),
            Extent::Around { center, .. } => (center, per_side, per_side),
        };
        let round = |px| instrument.price_rounded(px, Rounding::HalfEven);
        let mut levels = vec![round(start)?];
        let (mut high, mut low) = (start, start);
        for _ in 0..up {
            high = step.up(high)?;
            // A spacing below one tick still makes a grid: the tick is the least distance.
            let least = levels[levels.len() - 1].0.checked_add(instrument.tick.0);
            let least = least.ok_or_else(|| NumberError::Overflow(high.to_string()))?;
            levels.push(round(high)?.max(Price(least)));
        }
        levels.reverse();
        for _ in 0..down {
            low = step.down(low)?;
            let px = round(low)?.min(Price(levels[levels.len() - 1].0 - instrument.tick.0));
            if px.0 <= 0 {
                break;
            }
            levels.push(px);
        }
        levels.reverse();
        let (mut floor, mut ceiling) = (Price(i64::MIN), Price(i64::MAX));
        if beyond > 0 {
            for _ in 0..beyond {
                (low, high) = (step.down(low)?, step.up(high)?);
            }
            floor = round(low)?.min(levels[0]);
            ceiling = round(high)?.max(levels[levels.len() - 1]);
        }
        Ok(Ladder { levels, floor, ceiling })
    }
}

/// The way from one level to the next.
enum Step {
    Add(Decimal),
    Times(Decimal),
}

impl Step {
    fn of(extent: Extent, mode: Mode, per_side: usize) -> Result<Step> {
        let intervals = 2 * per_side as i64;
        Ok(match (extent, mode) {
            (Extent::Between { lower, upper }, Mode::Arithmetic) => {
                Step::Add(upper.checked_sub(lower)?.mul_ratio(1, intervals, Rounding::HalfEven)?)
            }
            (Extent::Between { lower, upper }, Mode::Geometric) => {
                Step::Times(root(upper.div(lower, Rounding::HalfEven)?, intervals)?)
            }
            (Extent::Around { center, spacing }, Mode::Arithmetic) => {
                Step::Add(center.mul(spacing, Rounding::HalfEven)?)
            }
            (Extent::Around { spacing, .. }, Mode::Geometric) => Step::Times(Decimal::ONE.checked_add(spacing)?),
        })
    }

    fn up(&self, px: Decimal) -> Result<Decimal> {
        match self {
            Step::Add(step) => px.checked_add(*step),
            Step::Times(ratio) => px.mul(*ratio, Rounding::HalfEven),
        }
    }

    fn down(&self, px: Decimal) -> Result<Decimal> {
        match self {
            Step::Add(step) => px.checked_sub(*step),
            Step::Times(ratio) => px.div(*ratio, Rounding::HalfEven),
        }
    }
}

/// The largest decimal whose `n`-th power is at most `x`, for `x` of at least one.
fn root(x: Decimal, n: i64) -> Result<Decimal> {
    let fits = |r: Decimal| {
        let mut power = Decimal::ONE;
        for _ in 0..n {
            match power.mul(r, Rounding::Up) {
                Ok(p) if p <= x => power = p,
                _ => return false,
            }
        }
        true
    };
    let (mut low, mut high) = (Decimal::ONE.atoms(), x.checked_add(Decimal::ONE)?.atoms());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(Decimal::from_atoms(middle)) { low = middle } else { high = middle }
    }
    Ok(Decimal::from_atoms(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::harness::{d, perp};

    fn prices(extent: Extent, mode: Mode, per_side: usize) -> Vec<i64> {
        Ladder::new(&perp(), extent, mode, per_side, 0).unwrap().levels.iter().map(|p| p.0).collect()
    }

    #[test]
    fn levels_by_hand() {
        let between = Extent::Between { lower: d("100"), upper: d("400") };
        assert_eq!(prices(between, Mode::Arithmetic, 1), [1000, 2500, 4000]);
        assert_eq!(prices(between, Mode::Geometric, 1), [1000, 2000, 4000]);
        let around = Extent::Around { center: d("100"), spacing: d("0.1") };
        assert_eq!(prices(around, Mode::Arithmetic, 2), [800, 900, 1000, 1100, 1200]);
        // 100 / 1.21, 100 / 1.1, 100, 110, 121 at one decimal.
        assert_eq!(prices(around, Mode::Geometric, 2), [826, 909, 1000, 1100, 1210]);
    }

    #[test]
    fn a_spacing_below_a_tick_still_rises_and_a_wide_grid_stops_above_zero() {
        let narrow = Extent::Around { center: d("10"), spacing: d("0.0001") };
        assert_eq!(prices(narrow, Mode::Geometric, 2), [98, 99, 100, 101, 102]);
        let wide = Extent::Around { center: d("10"), spacing: d("0.4") };
        assert_eq!(prices(wide, Mode::Arithmetic, 3), [20, 60, 100, 140, 180, 220]);
    }

    #[test]
    fn bounds_lie_the_asked_spacings_outside() {
        let around = Extent::Around { center: d("100"), spacing: d("0.1") };
        let l = Ladder::new(&perp(), around, Mode::Arithmetic, 2, 1).unwrap();
        assert_eq!((l.floor, l.ceiling), (Price(700), Price(1300)));
        let l = Ladder::new(&perp(), around, Mode::Arithmetic, 2, 0).unwrap();
        assert_eq!((l.floor, l.ceiling), (Price(i64::MIN), Price(i64::MAX)));
    }
}
