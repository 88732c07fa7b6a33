//! The findings of a sweep in sentences, doubts first: what a person should know before trading its best combination.
//! Never: praises without a number.

use super::analysis::{Analysis, Choice};
use super::objective::Objective;
use super::space::Space;
use serde::Serialize;

/// One sentence or two. `bad`: a reason for doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub bad: bool,
    pub text: String,
}

/// Closed trades below which a figure says little.
const FEW_TRADES: u64 = 30;
/// Probability from which a Sharpe ratio counts as more than luck.
const SURE: f64 = 0.95;

/// The figure as people read it.
pub fn figure(objective: Objective, value: f64) -> String {
    let share = matches!(
        objective,
        Objective::TotalReturn
            | Objective::AnnualReturn
            | Objective::MaxDrawdown
            | Objective::Volatility
            | Objective::WinRate
    );
    let text = if share { format!("{:.2} %", value * 100.0) } else { format!("{value:.3}") };
    if text.trim_end_matches(" %").trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
        return text.replace('-', "");
    }
    text
}

/// `Sharpe ratio`, `total return`, …
pub fn label(objective: Objective) -> &'static str {
    match objective {
        Objective::Sharpe => "Sharpe ratio",
        Objective::Sortino => "Sortino ratio",
        Objective::Calmar => "Calmar ratio",
        Objective::TotalReturn => "Total return",
        Objective::AnnualReturn => "Annual return",
        Objective::ProfitFactor => "Profit factor",
        Objective::Expectancy => "Expectancy",
        Objective::WinRate => "Win rate",
        Objective::MaxDrawdown => "Largest drawdown",
        Objective::Volatility => "Volatility",
    }
}

pub fn verdicts(analysis: &Analysis, objective: Objective, space: &Space) -> Vec<Verdict> {
    let mut all = Vec::new();
    let mut say = |bad, text: String| all.push(Verdict { bad, text });
    let choices: Vec<&Choice> = analysis.folds.iter().filter_map(|f| f.best.as_ref()).collect();
    if choices.is_empty() {
        say(true, "No combination has a score: every strategy failed, or traded less than was asked for.".into());
        return all;
    }
    match &analysis.walk_forward {
        None => {
            let text = "Every figure here is from the data the combination was chosen on, and flatters it. With \
                        --walk-forward 4 each choice is judged on data that follows.";
            say(true, text.into());
        }
        Some(_) => outside(analysis, objective, &mut say),
    }
    luck(&choices, &mut say);
    neighbourhood(&choices, &mut say);
    edges(&choices, space, &mut say);
    let trades = choices.iter().map(|c| c.train_figures.trades).min().unwrap_or(0);
    if trades < FEW_TRADES {
        say(true, format!("The choice rests on {trades} closed trades; below {FEW_TRADES} a figure says little."));
    }
    all
}

fn outside(analysis: &Analysis, objective: Objective, say: &mut dyn FnMut(bool, String)) {
    let Some(wf) = &analysis.walk_forward else { return };
    let name = label(objective);
    match (wf.train_mean, wf.test_mean) {
        (Some(train), Some(test)) => {
            // A gain that is halved, or a pain that is doubled.
            let bad = if analysis.minimised { test > 2.0 * train } else { test < 0.5 * train };
            let (test, train) = (figure(objective, test), figure(objective, train));
            say(
                bad,
                format!(
                    "{name} of the choices: {train} on the data they were chosen on, {test} on the data behind it."
                ),
            );
        }
        _ => say(true, format!("No choice has a {} in its test window.", super::page::in_a_sentence(name))),
    }
    if let Some(overfit) = wf.overfit.filter(|_| wf.tests > 0) {
        let text =
            format!("In {:.0} % of the windows the choice ended in the worse half of its test.", overfit * 100.0);
        let more = " Choosing was no better than picking at random.";
        say(overfit >= 0.5, if overfit >= 0.5 { text + more } else { text });
    }
}

fn luck(choices: &[&Choice], say: &mut dyn FnMut(bool, String)) {
    let mut all: Vec<_> = choices.iter().filter_map(|c| c.deflated.as_ref()).collect();
    all.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let Some(middle) = all.get(all.len() / 2) else { return };
    let (percent, trials) = (middle.probability * 100.0, middle.trials);
    let whose = if choices.len() > 1 { " (the median window)" } else { "" };
    if middle.probability < SURE {
        say(
            true,
            format!(
                "Deflated Sharpe ratio {percent:.1} %{whose}: the best of {trials} useless combinations might look as \
                 good. 95 % is the usual bar."
            ),
        );
    } else {
        say(
            false,
            format!(
                "Deflated Sharpe ratio {percent:.1} %{whose}: more than the best of {trials} useless combinations would \
                 show."
            ),
        );
    }
}

fn neighbourhood(choices: &[&Choice], say: &mut dyn FnMut(bool, String)) {
    let mut ranks: Vec<f64> = choices.iter().filter_map(|c| c.stability.as_ref()).map(|s| s.rank).collect();
    ranks.sort_by(f64::total_cmp);
    let Some(rank) = ranks.get(ranks.len() / 2) else { return };
    let share = format!("the median of the combinations around it is better than {:.0} % of all", rank * 100.0);
    if *rank < 0.6 {
        say(true, format!("The choice is a lonely peak: {share}."));
    } else {
        say(false, format!("The choice stands on a hill: {share}."));
    }
}

fn edges(choices: &[&Choice], space: &Space, say: &mut dyn FnMut(bool, String)) {
    for axis in space.axes().iter().filter(|a| a.is_ordered() && a.values.len() > 2) {
        let ends = [axis.values.first(), axis.values.last()];
        let at_end = |c: &&&Choice| ends.contains(&c.params.get(&axis.name));
        let count = choices.iter().filter(at_end).count();
        if count * 2 > choices.len() {
            let value = choices.iter().find(at_end).and_then(|c| c.params.get(&axis.name)).cloned().unwrap_or_default();
            let name = &axis.name;
            say(
                true,
                format!(
                    "The choice lies at the end of the range of {name} ({value}): a wider range may hold a better one."
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::analysis::{Deflated, FoldFindings, Stability, WalkForward};
    use super::super::space::tests::space;
    use super::super::split::Window;
    use super::super::trial::Figures;
    use super::*;
    use ctos_types::UnixNanos;

    fn choice(a: &str, probability: f64, rank: f64, trades: u64) -> Choice {
        Choice {
            number: 0,
            params: [("a".to_owned(), a.to_owned())].into(),
            train: 2.0,
            test: Some(0.5),
            train_figures: Figures { trades, ..Figures::default() },
            test_figures: None,
            test_rank: Some(0.4),
            stability: Some(Stability { neighbours: 2, median: 1.0, worst: 0.0, rank }),
            deflated: Some(Deflated { trials: 9, sharpe: 0.1, expected_max: 0.05, probability }),
        }
    }

    fn analysis(best: Option<Choice>, overfit: Option<f64>) -> Analysis {
        let window = Window { from: UnixNanos(0), to: UnixNanos(1) };
        let fold = FoldFindings { train: window, test: None, tried: 9, best, median: None, correlation: None };
        let walk_forward = overfit.map(|o| WalkForward {
            train_mean: Some(2.0),
            test_mean: Some(1.5),
            test_return: None,
            positive: 1,
            tests: 2,
            overfit: Some(o),
        });
        Analysis {
            objective: "sharpe",
            minimised: false,
            tried: 9,
            failed: 0,
            without_score: 0,
            refused: 0,
            folds: vec![fold],
            walk_forward,
        }
    }

    fn bad(analysis: &Analysis) -> Vec<bool> {
        verdicts(analysis, Objective::Sharpe, &space(&[5])).iter().map(|v| v.bad).collect()
    }

    #[test]
    fn doubts_are_said() {
        assert_eq!(bad(&analysis(Some(choice("2", 0.99, 0.9, 50)), Some(0.25))), [false; 4]);
        assert_eq!(bad(&analysis(Some(choice("4", 0.5, 0.2, 3)), None)), [true; 5]);
        assert_eq!(bad(&analysis(Some(choice("2", 0.99, 0.9, 50)), Some(0.5))), [false, true, false, false]);
        assert_eq!(bad(&analysis(None, None)), [true]);
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(figure(Objective::Sharpe, 1.23456), "1.235");
        assert_eq!(figure(Objective::TotalReturn, -0.01234), "-1.23 %");
        assert_eq!(figure(Objective::TotalReturn, -0.000_001), "0.00 %");
    }
}
