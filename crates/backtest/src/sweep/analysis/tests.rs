use super::super::schedule::tests::some_sweep;
use super::super::search::Method;
use super::super::trial::TrialResult;
use super::*;

/// Training and test Sharpe ratios by combination, one fold.
fn outcome(sweep: &Sweep, scores: &[(Option<f64>, Option<f64>)]) -> Outcome {
    let mut rows = Vec::new();
    for (number, (train, test)) in scores.iter().enumerate() {
        for (part, sharpe) in [(Part::Train, train), (Part::Test, test)] {
            let total_return = sharpe.map(|s| s / 10.0);
            let figures = Figures { sharpe: *sharpe, total_return, ..Figures::default() };
            let result = TrialResult { figures, ..TrialResult::default() };
            let point = sweep.space.nth(number as u64);
            rows.push(Row { fold: 0, number, part, point, score: *sharpe, trial: String::new(), result });
        }
    }
    Outcome { rows, refused: 2, complete: true }
}

#[test]
fn the_choice_is_made_in_training_and_judged_in_the_test() {
    let sweep = some_sweep(Method::Grid, &[6], 0, 1);
    let scores = [(0.5, 1.0), (1.0, 0.0), (3.0, 0.2), (1.5, 0.4), (0.0, 0.6), (-1.0, 0.1)];
    let mut scores: Vec<_> = scores.iter().map(|(a, b)| (Some(*a), Some(*b))).collect();
    scores[5].0 = None;
    let a = analyse(&sweep, &outcome(&sweep, &scores));
    assert_eq!((a.tried, a.without_score, a.refused), (6, 1, 2));
    let fold = &a.folds[0];
    let best = fold.best.as_ref().unwrap();
    assert_eq!((best.number, best.train, best.test), (2, 3.0, Some(0.2)));
    assert_eq!(best.params["a"], "2");
    assert_eq!(best.test_rank, Some(0.4), "two of five others did worse");
    assert_eq!(fold.median, Some(1.0));
    let stability = best.stability.as_ref().unwrap();
    assert_eq!((stability.neighbours, stability.median, stability.worst), (2, 1.25, 1.0));
    assert_eq!(stability.rank, 0.8);
    let wf = a.walk_forward.unwrap();
    assert_eq!(
        (wf.train_mean, wf.test_mean, wf.positive, wf.tests, wf.overfit),
        (Some(3.0), Some(0.2), 1, 1, Some(1.0))
    );
    assert!((wf.test_return.unwrap() - 0.02).abs() < 1e-12);
}

#[test]
fn nothing_scored_is_no_best() {
    let sweep = some_sweep(Method::Grid, &[2], 0, 0);
    let a = analyse(&sweep, &outcome(&sweep, &[(None, None), (None, None)]));
    assert_eq!((a.folds[0].best.as_ref(), a.folds[0].median, a.without_score), (None, None, 2));
    let single = analyse(&sweep, &outcome(&sweep, &[(Some(1.0), None)]));
    let best = single.folds[0].best.as_ref().unwrap();
    assert_eq!((best.stability.as_ref(), best.test_rank), (None, None));
}

#[test]
fn the_best_of_many_is_deflated_by_their_scatter() {
    let sweep = some_sweep(Method::Grid, &[5], 0, 0);
    let scores: Vec<_> = [0.02, 0.10, -0.04, 0.06, 0.01].iter().map(|s| (Some(*s), None)).collect();
    let mut table = outcome(&sweep, &scores);
    for row in &mut table.rows {
        let returns = &mut row.result.figures.returns;
        (returns.count, returns.sharpe) = (1_000, row.score);
        (returns.skewness, returns.kurtosis) = (Some(-0.5), Some(5.0));
    }
    let a = analyse(&sweep, &table);
    let d = a.folds[0].best.as_ref().unwrap().deflated.as_ref().unwrap();
    assert_eq!((d.trials, d.sharpe), (5, 0.10));
    let luck = 0.052_915_026 * (0.422_784_335 * 0.841_621_234 + 0.577_215_665 * 1.449_665_659);
    assert!((d.expected_max - luck).abs() < 1e-8, "{} {luck}", d.expected_max);
    let shape: f64 = 1.0 + 0.5 * 0.1 + 0.01;
    let z = (0.10 - d.expected_max) * 999f64.sqrt() / shape.sqrt();
    assert!((d.probability - normal::cdf(z)).abs() < 1e-12);
    for row in &mut table.rows {
        row.result.figures.returns.kurtosis = None;
    }
    assert_eq!(analyse(&sweep, &table).folds[0].best.as_ref().unwrap().deflated, None);
}

#[test]
fn rank_correlation_by_hand() {
    let pairs = |ys: &[f64]| ys.iter().enumerate().map(|(i, y)| (i as f64, *y)).collect::<Vec<_>>();
    assert_eq!(spearman(&pairs(&[1.0, 5.0, 7.0, 100.0])), Some(1.0));
    assert_eq!(spearman(&pairs(&[9.0, 5.0, 2.0])), Some(-1.0));
    // Ranks 0 1.5 1.5 3 against 0 1 2 3: 4.5 / sqrt(5 * 4.5).
    let tied = spearman(&pairs(&[1.0, 2.0, 2.0, 3.0])).unwrap();
    assert!((tied - 4.5 / 22.5f64.sqrt()).abs() < 1e-12);
    assert_eq!(spearman(&pairs(&[1.0, 1.0, 1.0])), None);
    assert_eq!(spearman(&pairs(&[1.0, 2.0])), None);
}
