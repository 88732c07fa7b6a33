//! Which combinations to try next: all (grid), any (random), or what did well so far (TPE).
//! Never: runs anything. Proposals depend on the seed and on the scores of whole batches alone, so that it does not
//! matter how many trials run at a time, or which of them end first.

mod tpe;

use super::draw::Draw;
use super::space::{Point, Space};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Combinations proposed at once where no score is needed.
const CHUNK: usize = 1_024;
/// Draws in a row that bring nothing new before a search goes through the rest in order.
const PATIENCE: u32 = 200;
/// Combinations looked at in order before the space counts as used up.
const LOOKS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Grid,
    Random,
    Tpe,
}

impl Method {
    pub const ALL: [(&'static str, Method); 3] =
        [("grid", Method::Grid), ("random", Method::Random), ("tpe", Method::Tpe)];

    pub fn name(self) -> &'static str {
        Method::ALL[self as usize].0
    }
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub method: Method,
    /// Combinations tried at most; a grid tries all.
    pub trials: u64,
    /// Combinations TPE proposes at once. Part of what decides the result, unlike the number of jobs.
    pub batch: u32,
    pub seed: u64,
}

/// One search over a space. Call `propose`, then `tell` the scores of all of them, until it proposes nothing.
#[derive(Debug)]
pub struct Search {
    space: Arc<Space>,
    plan: Plan,
    draw: Draw,
    /// Where the next combination in order is.
    next: u64,
    /// Everything proposed or found to be refused; not kept for a grid.
    seen: BTreeSet<Point>,
    /// Combinations the strategy does not take.
    refused: u64,
    /// Proposed, in order, with their scores as far as they were told.
    tried: Vec<(Point, Option<f64>)>,
    told: usize,
    proposed: u64,
}

impl Search {
    /// `stream` names one of several searches under one seed.
    pub fn new(space: Arc<Space>, plan: Plan, stream: &str) -> Search {
        let draw = Draw::new(plan.seed, &format!("sweep:{stream}"));
        let seen = BTreeSet::new();
        Search { space, plan, draw, next: 0, seen, refused: 0, tried: Vec::new(), told: 0, proposed: 0 }
    }

    /// Whether the next proposal waits for the scores of the last.
    pub fn needs_scores(&self) -> bool {
        self.plan.method == Method::Tpe
    }

    /// Combinations passed over because the strategy does not take them.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The next combinations, none twice; empty when the search is over. `takes` says whether the strategy accepts one.
    pub fn propose(&mut self, takes: &dyn Fn(&[u32]) -> bool) -> Vec<Point> {
        debug_assert!(!self.needs_scores() || self.told == self.tried.len(), "TPE waits for the scores of its batch");
        if self.plan.method == Method::Grid {
            return self.rest(CHUNK, takes);
        }
        let left = self.plan.trials.saturating_sub(self.proposed);
        let size = if self.needs_scores() { self.plan.batch as usize } else { CHUNK };
        let wanted = size.min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut batch: Vec<Point> = Vec::with_capacity(wanted);
        let ready = self.needs_scores() && self.told >= tpe::STARTUP;
        let mut model = ready.then(|| tpe::Model::new(&self.space, &self.tried));
        while batch.len() < wanted {
            let found = self.fresh(model.as_ref(), takes).or_else(|| self.rest(1, takes).pop());
            let Some(point) = found else { break };
            if let Some(model) = &mut model {
                model.avoid(&point);
            }
            self.seen.insert(point.clone());
            batch.push(point);
        }
        self.proposed += batch.len() as u64;
        if self.needs_scores() {
            self.tried.extend(batch.iter().map(|p| (p.clone(), None)));
        }
        batch
    }

    /// The scores of the last proposal, in its order; higher is better, `None` is worst.
    pub fn tell(&mut self, scores: &[Option<f64>]) {
        if !self.needs_scores() {
            return;
        }
        for ((_, score), told) in self.tried[self.told..].iter_mut().zip(scores) {
            *score = told.filter(|s| s.is_finite());
        }
        self.told += scores.len();
        debug_assert_eq!(self.told, self.tried.len(), "the scores of a whole batch are told at once");
    }

    /// Draws until something new comes.
    fn fresh(&mut self, model: Option<&tpe::Model>, takes: &dyn Fn(&[u32]) -> bool) -> Option<Point> {
        for _ in 0..PATIENCE {
            let point = match model {
                Some(model) => model.best_of(tpe::CANDIDATES, &mut self.draw, &self.seen),
                None => Some(self.anywhere()),
            };
            // A model whose candidates are all known is asked again, then the space is gone through in order.
            let Some(point) = point.filter(|p| !self.seen.contains(p)) else { continue };
            if takes(&point) {
                return Some(point);
            }
            self.refused += 1;
            self.seen.insert(point);
        }
        None
    }

    fn anywhere(&mut self) -> Point {
        let axes = self.space.axes().iter();
        axes.map(|axis| self.draw.below(axis.values.len() as u64) as u32).collect()
    }

    /// Up to `n` combinations in order, from where the last call stopped.
    fn rest(&mut self, n: usize, takes: &dyn Fn(&[u32]) -> bool) -> Vec<Point> {
        let (mut found, size) = (Vec::new(), self.space.size());
        let stop = if self.plan.method == Method::Grid { size } else { size.min(self.next.saturating_add(LOOKS)) };
        while self.next < stop && found.len() < n {
            let point = self.space.nth(self.next);
            self.next += 1;
            if self.seen.contains(&point) {
                continue;
            }
            if takes(&point) {
                found.push(point);
            } else {
                self.refused += 1;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
