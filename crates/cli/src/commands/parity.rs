//! `parity`: simulates the venue's answers to a recorded run again and shows both runs side by side.
//! Never: compares anything itself (`ctos_backtest::parity` does).

use crate::args::Global;
use crate::commands::replay::find;
use crate::error::CliError;
use crate::{out, settings};
use clap::{Args, ValueEnum};
use ctos_backtest::parity::{Line, Pair, Report, Request, Source, parity as compare};
use ctos_runtime::config::{Expected, MarketSetting};
use ctos_storage::home::Home;
use ctos_strategies::Catalog;
use std::fmt::Write as _;

/// Exit code when the runs differ, as that of `replay`.
const DIVERGED: u8 = 1;

/// Flags of `parity`.
#[derive(Debug, Args)]
pub struct ParityArgs {
    /// Id of the run, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// What if: another model of the simulated venue, for example venue.queue=proportional; repeatable
    #[arg(long, value_name = "PATH=VALUE")]
    pub conf: Vec<String>,
    /// Where the market comes from
    #[arg(long, value_enum, default_value_t = From::Auto)]
    pub source: From,
    /// What if: another market of the same instruments and time, for example catalog:var/catalog
    #[arg(long, value_name = "MARKET", value_parser = market, conflicts_with = "source")]
    pub market: Option<MarketSetting>,
    /// Orders to show at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub limit: u32,
}

fn market(text: &str) -> Result<MarketSetting, String> {
    text.parse().map_err(|e: Expected| format!("expected {}, for example {}", e.what, e.example))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum From {
    /// The run's market opened again where it is the same, else the journal
    Auto,
    /// The run's market opened again
    Market,
    /// What the run received, from its journal
    Journal,
}

pub fn parity(global: &Global, catalog: Catalog, args: &ParityArgs) -> Result<(), CliError> {
    let home = Home::read_only(&settings::home(global)?)?;
    let pair = |text: &String| -> Result<(String, String), CliError> {
        let (path, value) = settings::pair("--conf", text, "venue.queue=proportional")?;
        Ok((path.into(), value.into()))
    };
    let request = Request {
        run_id: find(&home, &args.run)?,
        conf: args.conf.iter().map(pair).collect::<Result<_, _>>()?,
        source: match args.source {
            From::Auto => Source::Auto,
            From::Market => Source::Market,
            From::Journal => Source::Journal,
        },
        market: args.market.clone(),
        limit: args.limit as usize,
    };
    let report = compare(&home, &request, catalog)?;
    out::show(global.json, &report, text)?;
    if report.identical { Ok(()) } else { Err(CliError::Silent(DIVERGED)) }
}

fn text(r: &Report) -> String {
    let verdict = if r.identical { "identical" } else { "DIVERGED" };
    let market = match r.source {
        Source::Journal => "the market as its journal has it",
        _ if r.changed.iter().any(|c| c.starts_with("market: ")) => "another market",
        Source::Market | Source::Auto => "its market opened again",
    };
    let mut t = format!("run {}: {verdict}, on {market}\n", r.run);
    let _ = writeln!(t, "from {} to {}", r.from, r.to);
    let _ = writeln!(t, "recorded   {} orders, {} fills", r.compared_orders, r.compared_fills);
    let _ = writeln!(t, "simulated  {} orders, {} fills", r.simulated_orders, r.simulated_fills);
    for changed in &r.changed {
        let _ = writeln!(t, "changed    {changed}");
    }
    for note in &r.notes {
        let _ = writeln!(t, "note       {note}");
    }
    if let Some(d) = &r.divergence {
        let _ = writeln!(t, "first divergence at {}", d.at);
        let _ = writeln!(t, "  cause      {}: {}", d.cause, d.why);
        let _ = writeln!(t, "  order      {}", out::or_dash(d.cl_ord_id.as_ref()));
        let _ = writeln!(t, "  recorded   {}", out::or_dash(d.recorded.as_ref()));
        let _ = writeln!(t, "  simulated  {}", out::or_dash(d.simulated.as_ref()));
        let _ = writeln!(t, "{} orders differ", r.different_orders);
    }
    r.orders.iter().for_each(|pair| orders(&mut t, pair));
    t
}

/// One line where both are the same, two where they are not.
fn orders(t: &mut String, pair: &Pair) {
    let mark = if pair.same { "=" } else { "!" };
    let _ = match (&pair.recorded, &pair.simulated) {
        (Some(a), Some(_)) if pair.same => writeln!(t, "{mark} {}  {}", pair.cl_ord_id, line(a)),
        (a, b) => {
            let side = |l: &Option<Line>| l.as_ref().map_or_else(|| "no such order".into(), line);
            writeln!(
                t,
                "{mark} {}  recorded   {}\n  {:width$}  simulated  {}",
                pair.cl_ord_id,
                side(a),
                "",
                side(b),
                width = pair.cl_ord_id.len()
            )
        }
    };
}

fn line(l: &Line) -> String {
    let side = format!("{:?}", l.side).to_lowercase();
    let price = l.price.as_deref().unwrap_or("market");
    let fees: Vec<String> = l.fees.iter().map(|(currency, fee)| format!("{fee} {currency}")).collect();
    let fees = if fees.is_empty() { "-".into() } else { fees.join(" ") };
    format!(
        "{} {} {side:<4} {} @ {price}  filled {} fee {fees}  {} {}",
        l.sent, l.symbol, l.qty, l.filled, l.last, l.at
    )
}
