//! What the table of a sweep says: the best, how it did on data it was not chosen on, how alone it stands, and what is
//! left of it once the number of trials is taken into account.
//! Never: picks by anything but the training windows.

use super::schedule::{Outcome, Row, Sweep};
use super::split::{Part, Window};
use super::trial::Figures;
use crate::metrics::normal;
use crate::metrics::stats::Moments;
use serde::Serialize;
use std::collections::BTreeMap;

/// The findings, ready to be shown. Figures are those of the objective, as it is named.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    pub objective: &'static str,
    /// Smaller figures are better.
    pub minimised: bool,
    /// Combinations tried, over all windows.
    pub tried: u64,
    /// Among them those whose strategy failed in training.
    pub failed: u64,
    /// Among them those without a score: failed, too few trades, or a figure without a value.
    pub without_score: u64,
    /// Combinations that the strategy does not take.
    pub refused: u64,
    pub folds: Vec<FoldFindings>,
    /// With walk-forward windows only.
    pub walk_forward: Option<WalkForward>,
}

/// One search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldFindings {
    pub train: Window,
    pub test: Option<Window>,
    pub tried: u64,
    /// `None`: no combination has a score.
    pub best: Option<Choice>,
    /// Median of all training figures.
    pub median: Option<f64>,
    /// Rank correlation (Spearman) of training and test scores over all combinations: -1 to 1.
    pub correlation: Option<f64>,
}

/// The best of one search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    pub number: usize,
    pub params: BTreeMap<String, String>,
    pub train: f64,
    pub test: Option<f64>,
    pub train_figures: Figures,
    pub test_figures: Option<Figures>,
    /// Share of all combinations that did worse than this one in the test window: 0.5 is what chance gives.
    pub test_rank: Option<f64>,
    pub stability: Option<Stability>,
    pub deflated: Option<Deflated>,
}

/// The combinations around the best one: a lonely peak is more likely luck than a broad hill is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stability {
    /// Nearest tried combinations that were looked at.
    pub neighbours: u64,
    pub median: f64,
    pub worst: f64,
    /// Share of all tried combinations that did worse than the median neighbour.
    pub rank: f64,
}

/// The Sharpe ratio of the best against the best that as many useless trials would have had.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deflated {
    /// Trials it was the best of.
    pub trials: u64,
    /// Of one period.
    pub sharpe: f64,
    /// The largest Sharpe ratio of one period to be expected of so many trials without any skill.
    pub expected_max: f64,
    /// Probability that the true Sharpe ratio is above zero, the choice taken into account.
    pub probability: f64,
}

/// Over all test windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WalkForward {
    /// Mean figure of the choices in training and in the tests behind it.
    pub train_mean: Option<f64>,
    pub test_mean: Option<f64>,
    /// Return of the choices over all tests, one behind the other.
    pub test_return: Option<f64>,
    /// Tests that made money, of those that have a return.
    pub positive: u64,
    pub tests: u64,
    /// Share of the windows whose choice ended in the worse half of its test: near or above 0.5 the search found
    /// noise. A count of few windows is a rough one.
    pub overfit: Option<f64>,
}

/// Neighbours that are looked at for each axis.
const NEIGHBOURS: usize = 2;

/// What `outcome` says.
pub fn analyse(sweep: &Sweep, outcome: &Outcome) -> Analysis {
    let train: Vec<&Row> = outcome.rows.iter().filter(|r| r.part == Part::Train).collect();
    let folds: Vec<FoldFindings> = (0..sweep.folds.len()).map(|i| fold(sweep, outcome, i)).collect();
    Analysis {
        objective: sweep.scoring.objective.name(),
        minimised: sweep.scoring.objective.is_minimised(),
        tried: train.len() as u64,
        failed: train.iter().filter(|r| r.result.failed.is_some()).count() as u64,
        without_score: train.iter().filter(|r| r.score.is_none()).count() as u64,
        refused: outcome.refused,
        walk_forward: sweep.folds.iter().any(|f| f.test.is_some()).then(|| walk_forward(&folds)),
        folds,
    }
}

/// Rows of one fold and part, best first; rows without a score last, and equals by number.
pub fn ranked(outcome: &Outcome, fold: usize, part: Part) -> Vec<&Row> {
    let mut rows: Vec<&Row> = outcome.rows.iter().filter(|r| r.fold == fold && r.part == part).collect();
    let of = |row: &Row| row.score.unwrap_or(f64::NEG_INFINITY);
    rows.sort_by(|a, b| of(b).total_cmp(&of(a)).then(a.number.cmp(&b.number)));
    rows
}

fn fold(sweep: &Sweep, outcome: &Outcome, index: usize) -> FoldFindings {
    let train = ranked(outcome, index, Part::Train);
    let tests = ranked(outcome, index, Part::Test);
    let scored: Vec<&Row> = train.iter().copied().filter(|r| r.score.is_some()).collect();
    let by_number: BTreeMap<usize, &Row> = tests.iter().map(|r| (r.number, *r)).collect();
    let both: Vec<(f64, f64)> =
        scored.iter().filter_map(|r| Some((r.score?, by_number.get(&r.number)?.score?))).collect();
    let shown = |score: f64| sweep.scoring.shown(score);
    let scores: Vec<f64> = scored.iter().filter_map(|r| r.score).collect();
    FoldFindings {
        train: sweep.folds[index].train,
        test: sweep.folds[index].test,
        tried: train.len() as u64,
        best: scored
            .first()
            .map(|best| choice(sweep, best, &train, &scored, by_number.get(&best.number).copied(), &tests)),
        median: median(&scores).map(shown),
        correlation: spearman(&both),
    }
}

fn choice(sweep: &Sweep, best: &Row, train: &[&Row], scored: &[&Row], test: Option<&Row>, tests: &[&Row]) -> Choice {
    let shown = |score: f64| sweep.scoring.shown(score);
    Choice {
        number: best.number,
        params: sweep.space.params(&best.point),
        train: shown(best.score.unwrap_or_default()),
        test: test.and_then(|t| t.score).map(shown),
        train_figures: best.result.figures.clone(),
        test_figures: test.map(|t| t.result.figures.clone()),
        test_rank: test.and_then(|t| share_below(tests, t.number, t.score)),
        stability: stability(sweep, best, train, scored),
        deflated: deflated(best, train),
    }
}

/// Share of the other rows that did worse than `score`; equals count half, and no score is worst.
fn share_below(rows: &[&Row], number: usize, score: Option<f64>) -> Option<f64> {
    let of = |score: Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
    let (mut below, mut all) = (0.0, 0u64);
    for row in rows.iter().filter(|r| r.number != number) {
        all += 1;
        below += match of(row.score).total_cmp(&of(score)) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        };
    }
    (all > 0).then(|| below / all as f64)
}

fn stability(sweep: &Sweep, best: &Row, train: &[&Row], scored: &[&Row]) -> Option<Stability> {
    let wanted = NEIGHBOURS * sweep.space.axes().iter().filter(|a| a.values.len() > 1).count();
    let others = train.iter().filter(|r| r.number != best.number);
    let mut near: Vec<(f64, &Row)> = others.map(|r| (sweep.space.distance(&best.point, &r.point), *r)).collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.number.cmp(&b.1.number)));
    near.truncate(wanted);
    // A neighbour that failed or has no score is as bad as the worst there is.
    let worst_of_all = scored.last().and_then(|r| r.score)?;
    let scores: Vec<f64> = near.iter().map(|(_, r)| r.score.unwrap_or(worst_of_all)).collect();
    let middle = median(&scores)?;
    let worst = scores.iter().copied().fold(f64::INFINITY, f64::min);
    Some(Stability {
        neighbours: scores.len() as u64,
        median: sweep.scoring.shown(middle),
        worst: sweep.scoring.shown(worst),
        rank: share_below(train, best.number, Some(middle))?,
    })
}

fn walk_forward(folds: &[FoldFindings]) -> WalkForward {
    let best: Vec<&Choice> = folds.iter().filter_map(|f| f.best.as_ref()).collect();
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let returns: Vec<f64> = best.iter().filter_map(|c| c.test_figures.as_ref()?.total_return).collect();
    let ranks: Vec<f64> = best.iter().filter_map(|c| c.test_rank).collect();
    let low = |r: &f64| {
        if *r < 0.5 {
            1.0
        } else if *r > 0.5 {
            0.0
        } else {
            0.5
        }
    };
    WalkForward {
        train_mean: mean(best.iter().map(|c| c.train).collect()),
        test_mean: mean(best.iter().filter_map(|c| c.test).collect()),
        test_return: (!returns.is_empty()).then(|| returns.iter().map(|r| 1.0 + r).product::<f64>() - 1.0),
        positive: returns.iter().filter(|r| **r > 0.0).count() as u64,
        tests: returns.len() as u64,
        overfit: mean(ranks.iter().map(low).collect()),
    }
}

// ---- statistics

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (last, half) = (sorted.len().checked_sub(1)?, sorted.len() / 2);
    Some(if last % 2 == 0 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 })
}

/// Pearson's correlation of the ranks; equals share the mean of their places. `None` below three pairs, or where one
/// side is all the same.
fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 3 {
        return None;
    }
    let xs = ranks(pairs.iter().map(|p| p.0));
    let ys = ranks(pairs.iter().map(|p| p.1));
    let middle = (pairs.len() as f64 - 1.0) / 2.0;
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in xs.iter().zip(&ys) {
        xy += (x - middle) * (y - middle);
        xx += (x - middle) * (x - middle);
        yy += (y - middle) * (y - middle);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

fn ranks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut ranks = vec![0.0; order.len()];
    let mut start = 0;
    while start < order.len() {
        let end = start + order[start..].iter().take_while(|(_, v)| *v == order[start].1).count();
        for (i, _) in &order[start..end] {
            ranks[*i] = (start + end - 1) as f64 / 2.0;
        }
        start = end;
    }
    ranks
}

/// After Bailey and López de Prado: The Deflated Sharpe Ratio (2014). Luck is measured by the trials' own scatter.
fn deflated(best: &Row, train: &[&Row]) -> Option<Deflated> {
    let returns = best.result.figures.returns;
    let sharpe = returns.sharpe?;
    let ratios: Vec<f64> = train.iter().filter_map(|r| r.result.figures.returns.sharpe).collect();
    let variance = Moments::of(&ratios)?.deviation.unwrap_or(0.0).powi(2);
    let trials = train.len() as u64;
    let expected_max = normal::expected_best_sharpe(trials, variance);
    let n = usize::try_from(returns.count).ok()?;
    let shape = Moments { n, mean: 0.0, deviation: None, skew: returns.skewness, kurtosis: returns.kurtosis };
    let probability = normal::probabilistic_sharpe(sharpe, expected_max, &shape).filter(|p| p.is_finite())?;
    Some(Deflated { trials, sharpe, expected_max, probability })
}

#[cfg(test)]
mod tests;
