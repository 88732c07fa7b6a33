//! The tree-structured Parzen estimator: where good combinations lie closer together than bad ones, try more.
//!
//! Tried combinations are split into the good and the others. On each axis both give a density over the axis' values;
//! a candidate drawn from the good densities is worth the ratio good/others at its place. After Bergstra, Bardenet,
//! Bengio, Kégl: Algorithms for Hyper-Parameter Optimization (2011), with axes taken as independent.
//! Never: looks at a score but for its rank.

use super::super::axis::Axis;
use super::super::draw::Draw;
use super::super::space::{Point, Space};
use std::collections::BTreeSet;

/// Combinations tried at random before there is a model.
pub(super) const STARTUP: usize = 16;
/// Draws from the good densities of which the best is taken.
pub(super) const CANDIDATES: usize = 32;
/// Share of the tried that counts as good.
const GOOD: f64 = 0.15;
/// No more than so many are good: later ones would only blur the place of the best.
const MOST_GOOD: usize = 25;
/// Narrowest kernel, in values of the axis: below one nothing but the very same value would be proposed.
const NARROWEST: f64 = 1.0;

/// Weights of the values on every axis. They need not add up to one: only their ratios are compared.
#[derive(Debug)]
pub(super) struct Model {
    good: Vec<Vec<f64>>,
    others: Vec<Vec<f64>>,
    /// How wide a kernel of a proposed combination is; `None` for words.
    width: Vec<Option<f64>>,
}

impl Model {
    pub fn new(space: &Space, tried: &[(Point, Option<f64>)]) -> Model {
        let mut ranked: Vec<&(Point, Option<f64>)> = tried.iter().collect();
        // Stable: among equals the earlier is the better one.
        ranked.sort_by(|a, b| {
            let of = |score: Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
            of(b.1).total_cmp(&of(a.1))
        });
        let scored = ranked.iter().filter(|(_, score)| score.is_some()).count();
        let good = ((tried.len() as f64 * GOOD).ceil() as usize).clamp(1, MOST_GOOD).min(scored);
        let (best, rest) = ranked.split_at(good);
        let densities = |points: &[&Point]| {
            let on = |(i, axis): (usize, &Axis)| {
                let at: Vec<u32> = points.iter().map(|p| p[i]).collect();
                density(axis, &at)
            };
            space.axes().iter().enumerate().map(on).collect::<Vec<_>>()
        };
        let best: Vec<&Point> = best.iter().map(|(p, _)| p).collect();
        let rest: Vec<&Point> = rest.iter().map(|(p, _)| p).collect();
        let width = |axis: &Axis| axis.is_ordered().then(|| narrowest(axis.values.len(), rest.len()));
        let width = space.axes().iter().map(width).collect();
        Model { good: densities(&best), others: densities(&rest), width }
    }

    /// A combination that was proposed and has no score yet counts as poor: it keeps the rest of its batch away.
    pub fn avoid(&mut self, point: &[u32]) {
        for ((at, weights), width) in point.iter().zip(&mut self.others).zip(&self.width) {
            match width {
                Some(width) => bell(weights, f64::from(*at), *width),
                None => weights[*at as usize] += 1.0,
            }
        }
    }

    /// The most promising of `n` draws that is not in `seen`.
    pub fn best_of(&self, n: usize, draw: &mut Draw, seen: &BTreeSet<Point>) -> Option<Point> {
        let mut best: Option<(f64, Point)> = None;
        for _ in 0..n {
            // Every value has some weight by the prior, so a draw always finds one.
            let point: Point = self.good.iter().map(|d| draw.weighted(d).unwrap_or(0) as u32).collect();
            let worth = self.worth(&point);
            if !seen.contains(&point) && best.as_ref().is_none_or(|(most, _)| worth > *most) {
                best = Some((worth, point));
            }
        }
        best.map(|(_, point)| point)
    }

    /// Logarithm of good/others.
    fn worth(&self, point: &[u32]) -> f64 {
        let axes = point.iter().zip(self.good.iter().zip(&self.others));
        axes.map(|(at, (good, others))| libm::log(good[*at as usize]) - libm::log(others[*at as usize])).sum()
    }
}

/// A weight for each value of the axis.
fn density(axis: &Axis, at: &[u32]) -> Vec<f64> {
    if axis.is_ordered() { kernels(axis.values.len(), at) } else { counts(axis.values.len(), at) }
}

/// With many observations even lonely ones say something exact: kernels narrow as their count grows.
fn narrowest(values: usize, observations: usize) -> f64 {
    (values as f64 / (1.0 + observations as f64).min(100.0)).max(NARROWEST)
}

/// Words: how often each was seen, and one for all together so that none is ruled out.
fn counts(n: usize, at: &[u32]) -> Vec<f64> {
    let mut weights = vec![1.0 / n as f64; n];
    for i in at {
        weights[*i as usize] += 1.0;
    }
    weights
}

/// Ordered values: a bell around each place seen, as wide as the way to its farther neighbour, and a flat prior that
/// weighs as much as one of them.
fn kernels(n: usize, at: &[u32]) -> Vec<f64> {
    let mut weights = vec![1.0 / n as f64; n];
    let mut places = at.to_vec();
    places.sort_unstable();
    let span = n as f64;
    let floor = narrowest(n, places.len());
    for (k, place) in places.iter().enumerate() {
        let left = k.checked_sub(1).map_or(span, |j| f64::from(place - places[j]));
        let right = places.get(k + 1).map_or(span, |p| f64::from(p - place));
        // An outermost place has one neighbour; the end of the axis is no observation.
        let width = match (k == 0, k + 1 == places.len()) {
            (true, true) => span,
            (true, false) => right,
            (false, true) => left,
            (false, false) => left.max(right),
        };
        bell(&mut weights, f64::from(*place), width.clamp(floor, span));
    }
    weights
}

/// Adds one unit of a normal curve's mass, cut to the axis and shared out over its values.
fn bell(weights: &mut [f64], centre: f64, sigma: f64) {
    let below = |x: f64| 0.5 * libm::erfc((centre - x) / (sigma * std::f64::consts::SQRT_2));
    let (start, end) = (below(-0.5), below(weights.len() as f64 - 0.5));
    let mass = end - start;
    // Beyond eight deviations there is nothing left that a sum of weights could hold.
    let first = (centre - 8.0 * sigma).max(0.0) as usize;
    let last = ((centre + 8.0 * sigma) as usize).min(weights.len() - 1);
    let mut before = below(first as f64 - 0.5);
    for (i, weight) in weights.iter_mut().enumerate().take(last + 1).skip(first) {
        let upto = below(i as f64 + 0.5);
        *weight += (upto - before) / mass;
        before = upto;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::space::tests::space;
    use super::*;

    #[test]
    fn densities_are_whole_and_peak_where_points_lie() {
        for (n, at) in [(1, vec![0]), (11, vec![]), (101, vec![50]), (1_001, vec![3, 3, 4, 900])] {
            let d = kernels(n, &at);
            let total: f64 = d.iter().sum();
            assert!((total - (at.len() as f64 + 1.0)).abs() < 1e-9, "{n} {at:?}: {total}");
            assert!(d.iter().all(|w| *w > 0.0));
        }
        let d = kernels(101, &[20, 21, 22, 80]);
        assert!(d[21] > d[80] && d[80] > d[100]);
        assert_eq!(counts(4, &[1, 1]), [0.25, 2.25, 0.25, 0.25]);
    }

    #[test]
    fn candidates_come_from_where_the_good_ones_are() {
        let s = space(&[101, 101]);
        let mut draw = Draw::new(1, "tpe");
        let tried: Vec<_> = (0..100u32)
            .map(|i| {
                let point = vec![draw.below(101) as u32, draw.below(101) as u32];
                let far = (f64::from(point[0]) - 70.0).abs() + (f64::from(point[1]) - 20.0).abs();
                (point, (i % 10 != 0).then_some(-far))
            })
            .collect();
        let model = Model::new(&s, &tried);
        let seen = BTreeSet::new();
        let mean = |axis: usize, draw: &mut Draw| {
            (0..50).map(|_| f64::from(model.best_of(CANDIDATES, draw, &seen).unwrap()[axis])).sum::<f64>() / 50.0
        };
        let (a, b) = (mean(0, &mut draw), mean(1, &mut draw));
        assert!((55.0..85.0).contains(&a) && (5.0..35.0).contains(&b), "{a} {b}");
        let mut wary = Model::new(&s, &tried);
        let first = wary.best_of(CANDIDATES, &mut draw, &seen).unwrap();
        let before = wary.worth(&first);
        wary.avoid(&first);
        assert!(wary.worth(&first) < before);
    }

    #[test]
    fn without_any_score_it_draws_from_the_prior() {
        let s = space(&[5]);
        let tried: Vec<_> = (0..5).map(|i| (vec![i], None)).collect();
        let model = Model::new(&s, &tried);
        assert!(model.best_of(4, &mut Draw::new(1, ""), &BTreeSet::new()).is_some());
        let all: BTreeSet<Point> = (0..5).map(|i| vec![i]).collect();
        assert_eq!(model.best_of(4, &mut Draw::new(1, ""), &all), None);
    }
}
