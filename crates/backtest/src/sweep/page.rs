//! The sweep as one self-contained HTML page.
//! Never: computes a finding; the page shows what `analysis` says.

use super::analysis::{Analysis, analyse};
use super::schedule::{Outcome, Sweep};
use super::split::{Part, Window};
use super::verdict::{Verdict, label, verdicts};
use crate::report::page::{Head, document};
use crate::report::text::{escape, json_for_script};
use ctos_runtime::config::span_text;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the page shares with reports of runs, and its own.
const SCRIPT: [&str; 6] = [
    include_str!("../../assets/report/base.js"),
    include_str!("../../assets/report/axis.js"),
    include_str!("../../assets/report/table.js"),
    include_str!("../../assets/report/parts.js"),
    include_str!("page/plot.js"),
    include_str!("page/sweep.js"),
];

/// Combinations on the page: more would make it slow to open. Which are left out, the page says.
const MOST_ROWS: usize = 20_000;

#[derive(Serialize)]
struct Page<'a> {
    axes: Vec<AxisData<'a>>,
    analysis: &'a Analysis,
    objective_label: &'static str,
    method: &'static str,
    verdicts: Vec<Verdict>,
    folds: Vec<FoldData>,
    rows: Vec<RowData<'a>>,
    rows_total: usize,
    setup: Vec<(String, String)>,
    models: Vec<(String, String)>,
    notices: &'a [String],
}

#[derive(Serialize)]
struct AxisData<'a> {
    name: &'a str,
    values: &'a [String],
    numeric: bool,
}

#[derive(Serialize)]
struct FoldData {
    train: String,
    test: Option<String>,
}

/// Fold, number, point, figure in training and in the test, then return, Sharpe ratio, drawdown and trades in training.
#[derive(Serialize)]
struct RowData<'a>(usize, usize, &'a [u32], Option<f64>, Option<f64>, Option<f64>, Option<f64>, Option<f64>, u64);

/// The page. `notices` are what is wrong with the data.
pub fn html(sweep: &Sweep, outcome: &Outcome, notices: &[String]) -> String {
    let analysis = analyse(sweep, outcome);
    let (rows, rows_total) = rows(sweep, outcome);
    let objective = sweep.scoring.objective;
    let axis = |a| {
        let a: &super::axis::Axis = a;
        AxisData { name: &a.name, values: &a.values, numeric: a.is_numeric() }
    };
    let page = Page {
        axes: sweep.space.axes().iter().map(axis).collect(),
        objective_label: label(objective),
        method: sweep.plan.method.name(),
        verdicts: verdicts(&analysis, objective, &sweep.space),
        folds: sweep
            .folds
            .iter()
            .map(|f| FoldData { train: window_text(f.train), test: f.test.map(window_text) })
            .collect(),
        rows,
        rows_total,
        setup: setup(sweep),
        models: models(sweep),
        notices,
        analysis: &analysis,
    };
    let data = serde_json::to_string(&page).expect("a page is plain data");
    let head = Head {
        title: format!("Sweep of {}", sweep.base.strategy),
        lines: vec![
            sweep.base.data.market.clone(),
            whole(sweep).map_or_else(String::new, window_text),
            format!("{} search by {}", sweep.plan.method.name(), in_a_sentence(label(objective))),
        ],
    };
    document(&head, &plain(&page), &json_for_script(&data), &SCRIPT.join("\n"))
}

/// In small letters, but for the names of people.
pub fn in_a_sentence(label: &str) -> String {
    let named = ["Sharpe", "Sortino", "Calmar"].iter().any(|name| label.starts_with(name));
    if named { label.to_owned() } else { label.to_lowercase() }
}

/// Everything that is traded on.
pub fn whole(sweep: &Sweep) -> Option<Window> {
    let from = sweep.folds.iter().map(|f| f.train.from).min()?;
    let to = sweep.folds.iter().map(|f| f.test.unwrap_or(f.train).to).max()?;
    Some(Window { from, to })
}

/// `2022-01-01 00:00 to 2022-02-01 00:00`, UTC; seconds only for windows of minutes.
pub fn window_text(window: Window) -> String {
    let short = window.len().0 < 600_000_000_000;
    let text = |at: ctos_types::UnixNanos| {
        let text = at.to_string().replace('T', " ");
        text.get(..if short { 19 } else { 16 }).map_or(text.clone(), str::to_owned)
    };
    format!("{} to {}", text(window.from), text(window.to))
}

fn rows<'a>(sweep: &Sweep, outcome: &'a Outcome) -> (Vec<RowData<'a>>, usize) {
    let shown = |score: Option<f64>| score.map(|s| sweep.scoring.shown(s));
    let tests: BTreeMap<(usize, usize), Option<f64>> =
        outcome.rows.iter().filter(|r| r.part == Part::Test).map(|r| ((r.fold, r.number), r.score)).collect();
    let mut train: Vec<_> = outcome.rows.iter().filter(|r| r.part == Part::Train).collect();
    let total = train.len();
    if total > MOST_ROWS {
        let of = |score: Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
        train.sort_by(|a, b| of(b.score).total_cmp(&of(a.score)).then((a.fold, a.number).cmp(&(b.fold, b.number))));
        // The choice of every window stays, whatever the others are.
        let mut seen = std::collections::BTreeSet::new();
        let firsts: Vec<bool> = train.iter().map(|r| seen.insert(r.fold)).collect();
        let mut index = 0..;
        train.retain(|_| index.next().is_some_and(|i: usize| i < MOST_ROWS || firsts[i]));
    }
    let row = |r: &'a super::schedule::Row| {
        let f = &r.result.figures;
        let test = tests.get(&(r.fold, r.number)).copied().flatten();
        RowData(
            r.fold,
            r.number,
            &r.point,
            shown(r.score),
            shown(test),
            f.total_return,
            f.sharpe,
            f.max_drawdown,
            f.trades,
        )
    };
    (train.into_iter().map(row).collect(), total)
}

fn setup(sweep: &Sweep) -> Vec<(String, String)> {
    let (data, plan) = (&sweep.base.data, &sweep.plan);
    let mut rows = vec![
        ("Strategy".to_owned(), sweep.base.strategy.clone()),
        ("Market".to_owned(), data.market.clone()),
        ("Symbols".to_owned(), if data.symbols.is_empty() { "all".into() } else { data.symbols.join(", ") }),
        ("Warm-up before each window".to_owned(), span_text(data.warm_up)),
        ("Search".to_owned(), plan.method.name().into()),
        ("Seed".to_owned(), sweep.base.seed.to_string()),
    ];
    for axis in sweep.space.axes() {
        let text = match &axis.values[..] {
            values @ ([] | [_] | [_, _] | [_, _, _] | [_, _, _, _] | [_, _, _, _, _] | [_, _, _, _, _, _]) => {
                values.join(", ")
            }
            [first, second, .., last] => format!("{first}, {second}, … {last} ({} values)", axis.values.len()),
        };
        rows.push((format!("Varied: {}", axis.name), text));
    }
    for (name, value) in &sweep.base.params {
        rows.push((format!("Fixed: {name}"), value.clone()));
    }
    if sweep.scoring.min_trades > 0 {
        rows.push(("Fewest trades for a score".to_owned(), sweep.scoring.min_trades.to_string()));
    }
    if !data.digest.is_empty() {
        rows.push(("Digest of the data".to_owned(), data.digest.clone()));
    }
    rows
}

fn models(sweep: &Sweep) -> Vec<(String, String)> {
    let models = &sweep.base.models;
    let venue = &models.venue;
    let mut rows = Vec::new();
    for account in &models.accounts {
        let balances: Vec<String> = account.balances.iter().map(|(c, amount)| format!("{amount} {c}")).collect();
        rows.push((format!("Account {}", account.id), balances.join(", ")));
        let fees = account.fees.map(|f| format!("maker {}, taker {}", f.maker, f.taker));
        rows.push((format!("Fees of {}", account.id), fees.unwrap_or_else(|| "the instruments' own".into())));
    }
    rows.push(("Queue model".to_owned(), venue.queue.to_string()));
    let latency = |l| serde_json::to_value(l).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    rows.push(("Latency of the feed".to_owned(), latency(venue.latency.feed)));
    rows.push(("Latency of orders".to_owned(), latency(venue.latency.order)));
    rows.push(("Latency of answers".to_owned(), latency(venue.latency.response)));
    rows.extend(crate::whole::assume::on_bars(venue));
    rows
}

/// For readers without script.
fn plain(page: &Page<'_>) -> String {
    let mut text: String = page.verdicts.iter().map(|v| format!("<p>{}</p>", escape(&v.text))).collect();
    text += "<table>";
    for (i, fold) in page.analysis.folds.iter().enumerate() {
        let Some(best) = &fold.best else { continue };
        let params: Vec<String> = best.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
        text += &format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            i + 1,
            escape(&params.join(" ")),
            best.train
        );
    }
    text + "</table>"
}

#[cfg(test)]
mod tests {
    use super::super::schedule::tests::some_sweep;
    use super::super::search::Method;
    use super::super::trial::{Figures, TrialResult};
    use super::*;
    use crate::sweep::schedule::Row;

    fn outcome(sweep: &Sweep, rows: u64) -> Outcome {
        let row = |n: u64| {
            let figures = Figures { sharpe: Some((n * 7 % 11) as f64), ..Figures::default() };
            let result = TrialResult { figures, ..TrialResult::default() };
            let (point, score) = (sweep.space.nth(n), result.figures.sharpe);
            Row { fold: 0, number: n as usize, part: Part::Train, point, score, trial: String::new(), result }
        };
        Outcome { rows: (0..rows).map(row).collect(), refused: 0, complete: true }
    }

    #[test]
    fn foreign_text_stays_text_and_nothing_is_loaded() {
        let mut sweep = some_sweep(Method::Grid, &[3, 3], 0, 0);
        sweep.base.strategy = "</script><b>x".into();
        sweep.base.params.insert("note".into(), "<!--</script>".into());
        let page = html(&sweep, &outcome(&sweep, 9), &["</script><img src=x>".into()]);
        assert_eq!(page.matches("</script>").count(), 2, "the data's own and the program's own");
        assert!(!page.contains("<b>x") && !page.contains("<img"));
        assert!(!page.contains("http://") && !page.contains("https://"));
        // Nothing at all was run.
        assert!(html(&sweep, &outcome(&sweep, 0), &[]).contains("No combination has a score"));
    }

    #[test]
    fn of_very_many_combinations_the_best_are_shown() {
        let sweep = some_sweep(Method::Grid, &[200, 150], 0, 0);
        let all = outcome(&sweep, 30_000);
        let (shown, total) = rows(&sweep, &all);
        assert_eq!((shown.len(), total), (MOST_ROWS, 30_000));
        assert!(shown.iter().all(|r| r.3 >= Some(3.0)));
    }
}
