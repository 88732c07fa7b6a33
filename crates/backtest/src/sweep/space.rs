//! The combinations of all axes, numbered, and the window of numbers that a search draws from.
//! Never: knows what a combination is worth.

use super::axis::Axis;
use ctos_runtime::UserError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Index of a value on each axis.
pub type Point = Vec<u32>;

/// What is swept: at least one axis, no name twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Space {
    axes: Vec<Axis>,
}

impl Space {
    /// # Errors
    /// No axis, or a parameter swept twice.
    pub fn new(axes: Vec<Axis>) -> Result<Space, UserError> {
        if axes.is_empty() {
            let hint = "name what to vary, for example --param fast=5..50:5; `ctos backtest` runs a single combination";
            return Err(UserError::new("no parameter is swept", hint));
        }
        for (i, axis) in axes.iter().enumerate() {
            if axes[..i].iter().any(|a| a.name == axis.name) {
                let hint = "give each parameter one --param";
                return Err(UserError::new(format!("parameter {} is swept twice", axis.name), hint));
            }
        }
        Ok(Space { axes })
    }

    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Number of combinations; `u64::MAX` where there are more.
    pub fn size(&self) -> u64 {
        self.axes.iter().fold(1u64, |n, axis| n.saturating_mul(axis.values.len() as u64))
    }

    /// Combination `n`; the last axis changes fastest.
    pub fn nth(&self, mut n: u64) -> Point {
        let mut point = vec![0; self.axes.len()];
        for (at, axis) in point.iter_mut().zip(&self.axes).rev() {
            let len = axis.values.len() as u64;
            *at = (n % len) as u32;
            n /= len;
        }
        point
    }

    /// The values at `point`, by parameter.
    pub fn params(&self, point: &[u32]) -> BTreeMap<String, String> {
        let pairs = self.axes.iter().zip(point);
        pairs.map(|(axis, at)| (axis.name.clone(), axis.values[*at as usize].clone())).collect()
    }

    /// How far two combinations lie apart: the mean over the axes, 0 to 1 each; words are equal or not.
    pub fn distance(&self, a: &[u32], b: &[u32]) -> f64 {
        let each = self.axes.iter().zip(a.iter().zip(b)).map(|(axis, (x, y))| {
            if axis.is_ordered() {
                (axis.place(*x as usize) - axis.place(*y as usize)).abs()
            } else {
                f64::from(u8::from(x != y))
            }
        });
        each.sum::<f64>() / self.axes.len() as f64
    }
}

/// `fast=5 slow=20`, in the order of the axes.
pub fn label(space: &Space, point: &[u32]) -> String {
    let pairs = space.axes.iter().zip(point);
    let words: Vec<String> = pairs.map(|(axis, at)| format!("{}={}", axis.name, axis.values[*at as usize])).collect();
    words.join(" ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::axis::Scale;
    use super::*;

    /// Axes `a`, `b`, … with so many evenly spaced values.
    pub fn space(sizes: &[usize]) -> Space {
        let axes = sizes.iter().zip('a'..).map(|(n, name)| Axis {
            name: name.into(),
            scale: Scale::Linear,
            values: (0..*n).map(|i| i.to_string()).collect(),
            open: false,
        });
        Space::new(axes.collect()).unwrap()
    }

    #[test]
    fn combinations_are_counted_and_named() {
        let s = space(&[2, 3]);
        let all: Vec<Point> = (0..s.size()).map(|n| s.nth(n)).collect();
        assert_eq!(all, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
        assert_eq!(label(&s, &[1, 2]), "a=1 b=2");
        assert_eq!(s.params(&[1, 2])["b"], "2");
        assert_eq!(space(&[10_000; 9]).size(), u64::MAX);
        assert_eq!(s.distance(&[0, 0], &[1, 1]), 0.75);
        assert!(Space::new(Vec::new()).is_err());
        let axis = s.axes()[0].clone();
        assert!(Space::new(vec![axis.clone(), axis]).is_err());
    }
}
