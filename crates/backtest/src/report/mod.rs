//! One self-contained HTML page about a run, or about several side by side.
//! Never: computes a figure that `summary.json` does not have, reads a file, or needs anything from outside the page.

mod curves;
mod data;
mod falls;
mod figures;
mod pack;
pub(crate) mod page;
mod prices;
mod shares;
mod spread;
pub(crate) mod text;
mod trades;

#[cfg(test)]
mod tests;

use crate::log::RunLog;
use crate::metrics::Metrics;
use data::{Page, RunPage, Worse};
use page::Head;
use std::collections::BTreeMap;

/// Points of worth on a page; shared by its runs and their accounts.
const POINTS: usize = 80_000;

/// A run with its figures.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    pub log: &'a RunLog,
    /// `None`: the run was never valued, so it has none.
    pub metrics: Option<&'a Metrics>,
}

/// What a page is made from.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    pub run: Run<'a>,
    /// The same run under pessimistic assumptions. `None`: not measured, and the page says so.
    pub pessimistic: Option<Run<'a>>,
    /// Title. `None`: the strategies and what they traded.
    pub label: Option<String>,
}

/// The page of one run.
pub fn html(input: &ReportInput<'_>) -> String {
    let run = run_page(input, POINTS);
    let log = input.run.log;
    let mut lines = vec![format!("{} to {} UTC", text::minute(log.facts.from), text::minute(log.facts.to))];
    lines.push(text::span(log.facts.to.0.saturating_sub(log.facts.from.0)));
    if let Some(change) = worth(log) {
        lines.push(change);
    }
    lines.push(format!("run {}", log.facts.run_id));
    let head = Head { title: run.label.clone(), lines };
    page::render(&head, &Page { kind: "run", runs: vec![run] })
}

/// Several runs side by side. Their order is kept.
pub fn compare(inputs: &[ReportInput<'_>]) -> String {
    let share = POINTS / inputs.len().max(1);
    let mut runs: Vec<RunPage> = inputs.iter().map(|input| run_page(input, share)).collect();
    let place = shorten(&mut runs, inputs);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for run in &runs {
        *seen.entry(run.label.clone()).or_default() += 1;
    }
    for (run, input) in runs.iter_mut().zip(inputs) {
        if seen[&run.label] > 1 {
            run.label = format!("{} ({})", run.label, input.run.log.facts.run_id);
        }
        // The page of several runs shows none of these.
        (run.prices, run.trades, run.hold, run.exposure) = (Vec::new(), data::Trades::default(), None, None);
        run.equity.truncate(1);
    }
    let title = match place {
        Some(place) => format!("{} runs compared on {place}", inputs.len()),
        None => format!("{} runs compared", inputs.len()),
    };
    let lines = runs.iter().map(|r| r.label.clone()).collect();
    page::render(&Head { title, lines }, &Page { kind: "compare", runs })
}

/// Takes what all runs traded out of their names, and returns it.
fn shorten(runs: &mut [RunPage], inputs: &[ReportInput<'_>]) -> Option<String> {
    let places: Vec<String> = inputs.iter().filter(|i| i.label.is_none()).map(|i| label(i.run.log).1).collect();
    let place = places.first().filter(|p| places.len() == runs.len() && places.iter().all(|other| other == *p))?;
    for (run, input) in runs.iter_mut().zip(inputs) {
        run.label = label(input.run.log).0;
    }
    Some(place.clone())
}

fn run_page(input: &ReportInput<'_>, points: usize) -> RunPage {
    let (log, metrics) = (input.run.log, input.run.metrics);
    let (months, years) = metrics.map(spread::months).unwrap_or_default();
    let instruments = &log.facts.instruments;
    RunPage {
        label: input.label.clone().unwrap_or_else(|| {
            let (strategies, symbols) = label(log);
            format!("{strategies} on {symbols}")
        }),
        from: pack::millis(log.facts.from),
        to: pack::millis(log.facts.to).max(pack::millis(log.facts.from) + 1),
        currency: log.currency().map(|c| c.to_string()).unwrap_or_default(),
        period: metrics.map(figures::period).unwrap_or_default(),
        headline: vec![
            "total_return",
            "annual_return",
            "pessimistic",
            "sharpe",
            "max_drawdown",
            "volatility",
            "profit_factor",
            "win_rate",
            "trades",
        ],
        headline_notes: worth(log).map(|w| ("total_return", w)).into_iter().collect(),
        figures: metrics.map(figures::figures).unwrap_or_default(),
        notes: notes(log),
        equity: curves::equity(log, points),
        hold: curves::hold(log),
        prices: prices::charts(log),
        months,
        years,
        returns: metrics.and_then(spread::spread),
        rolling: metrics.and_then(spread::rolling),
        falls: log.main_equity().map(|line| falls::deepest(line, 5)).unwrap_or_default(),
        results: spread::results(log),
        exposure: curves::exposure(log),
        costs: metrics.map(shares::costs).unwrap_or_default(),
        shares: metrics.map(shares::shares).unwrap_or_default(),
        symbols: instruments.iter().map(|i| i.symbol.to_string()).collect(),
        price_places: instruments.iter().map(|i| i.price_decimals).collect(),
        qty_places: instruments.iter().map(|i| i.qty_decimals).collect(),
        trades: trades::table(log),
        assumptions: log.facts.assumptions.clone(),
        quality: log.facts.data_quality.clone(),
        settings: settings(log),
        pessimistic: input.pessimistic.map(|worse| pessimistic(log, worse, points)),
    }
}

/// `ma_cross` and `BTC-USDT-PERP`: what traded and where, with at most three names of each.
fn label(log: &RunLog) -> (String, String) {
    let few = |names: Vec<String>, none: &str| match names.len() {
        0 => none.to_owned(),
        1..=3 => names.join(", "),
        n => format!("{} and {} more", names[..2].join(", "), n - 2),
    };
    let strategies = few(log.facts.strategies.iter().map(|s| s.id.clone()).collect(), "No strategy");
    let symbols = log.prices.iter().map(|p| log.facts.instruments.get(p.instrument));
    let mut symbols: Vec<String> = symbols.map(|i| i.symbol.split().1.to_owned()).collect();
    if symbols.is_empty() {
        symbols = log.facts.instruments.iter().map(|i| i.symbol.split().1.to_owned()).collect();
    }
    (strategies, few(symbols, "nothing"))
}

/// `10,000.00 to 12,345.67 USDT`.
fn worth(log: &RunLog) -> Option<String> {
    let line = log.main_equity()?;
    let (first, last) = (line.points.first()?, line.points.last()?);
    let (first, last) = (text::amount(first.open.to_f64()), text::amount(last.close.to_f64()));
    Some(format!("{first} to {last} {}", line.currency))
}

fn notes(log: &RunLog) -> Vec<String> {
    let mut notes = Vec::new();
    let other: Vec<String> = match log.currency() {
        Some(main) => {
            let others = log.facts.accounts.iter().filter(|a| a.reporting != main);
            others.map(|a| format!("{} ({})", a.name, a.reporting)).collect()
        }
        None => Vec::new(),
    };
    if !other.is_empty() {
        notes.push(format!("Not in the figures, because they count in another currency: {}.", other.join(", ")));
    }
    let missing = &log.left_out;
    if missing.fills + missing.positions + missing.funding > 0 {
        notes.push(format!(
            "The run was larger than its log: {} fills and {} trades are missing in charts and tables. The figures and sums hold all.",
            text::count(missing.fills),
            text::count(missing.trades)
        ));
    }
    notes
}

fn settings(log: &RunLog) -> Vec<(String, String)> {
    let facts = &log.facts;
    let mut rows = vec![
        ("Run".to_owned(), facts.run_id.clone()),
        ("From".to_owned(), facts.from.to_string()),
        ("To".to_owned(), facts.to.to_string()),
    ];
    for account in &facts.accounts {
        let start = account.start_equity;
        rows.push((format!("Account {}", account.name), format!("starts with {start} {}", account.reporting)));
    }
    for strategy in &facts.strategies {
        let account = facts.accounts.get(usize::from(strategy.account.0)).map(|a| a.name.as_str()).unwrap_or_default();
        rows.push((format!("Strategy {}", strategy.id), format!("{} on account {account}", strategy.name)));
        rows.extend(strategy.params.iter().map(|(k, v)| (format!("{}: {k}", strategy.id), v.clone())));
    }
    let symbols: Vec<String> = facts.instruments.iter().map(|i| i.symbol.to_string()).collect();
    rows.push(("Instruments".to_owned(), symbols.join(", ")));
    rows
}

fn pessimistic(log: &RunLog, worse: Run<'_>, points: usize) -> Worse {
    let Verdict { sentence, brief, bad } = verdict(profit(log), profit(worse.log), log);
    Worse {
        assumptions: worse.log.facts.assumptions.clone(),
        figures: worse.metrics.map(figures::figures).unwrap_or_default(),
        shown: vec![
            "net_profit",
            "total_return",
            "sharpe",
            "max_drawdown",
            "profit_factor",
            "win_rate",
            "trades",
            "fees",
            "slippage",
        ],
        verdict: sentence,
        brief,
        bad,
        equity: curves::equity(worse.log, points).into_iter().next(),
    }
}

fn profit(log: &RunLog) -> Option<f64> {
    let points = &log.main_equity()?.points;
    Some(points.last()?.close.to_f64() - points.first()?.open.to_f64())
}

struct Verdict {
    sentence: String,
    brief: String,
    /// Whether it is a warning.
    bad: bool,
}

/// How much of the profit hangs on the assumptions.
fn verdict(is: Option<f64>, worse: Option<f64>, log: &RunLog) -> Verdict {
    let say = |sentence: String, brief: String, bad| Verdict { sentence, brief, bad };
    let (Some(is), Some(worse)) = (is, worse) else {
        let why = "One of the two runs was never valued, so they cannot be compared.";
        return say(why.to_owned(), "cannot be compared".to_owned(), true);
    };
    let currency = log.currency().map(|c| c.to_string()).unwrap_or_default();
    let [a, b] = [is, worse].map(|v| format!("{} {currency}", text::amount(v)));
    if is <= 0.0 {
        let brief = if worse <= 0.0 { "no profit either way" } else { "no profit as run" };
        let why = format!("The run made no profit: {a} as run, {b} under pessimistic assumptions.");
        return say(why, brief.to_owned(), true);
    }
    if worse <= 0.0 {
        let why = format!("All of the profit depends on the assumptions: {a} as run, {b} under pessimistic ones.");
        return say(why, "all profit depends on assumptions".to_owned(), true);
    }
    let share = ((is - worse) / is * 100.0).round();
    if share <= 0.0 {
        let why = format!("No part of the profit depends on the assumptions: {a} as run, {b} under pessimistic ones.");
        return say(why, "no profit depends on assumptions".to_owned(), false);
    }
    let why = format!("{share:.0} % of the profit depends on the assumptions: {a} as run, {b} under pessimistic ones.");
    say(why, format!("{share:.0} % of profit depends on assumptions"), share > 50.0)
}
