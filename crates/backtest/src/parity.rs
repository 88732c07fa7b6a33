//! Parity: the recorded market of a run once more, with the venue's answers simulated again, and both held side by side.
//! Never: changes anything of the recorded run.

mod compare;
mod holes;
mod market;
mod models;
mod orders;
mod recorded;
mod rows;
#[cfg(test)]
mod tests;

pub use compare::Cause;
pub use market::Source;
pub use orders::{Line, Pair};

use ctos_runtime::config::{LatencySetting, MarketSetting, Mode, Settings};
use ctos_runtime::instance::Names;
use ctos_runtime::market::Opened;
use ctos_runtime::runs::{self, RunRecord, RunStatus};
use ctos_runtime::shard::recover::read_body;
use ctos_runtime::shard::{Body, Parts, Shard, ShardError};
use ctos_runtime::world;
use ctos_runtime::{RunError, UserError};
use ctos_storage::home::Home;
use ctos_strategies::Catalog;
use ctos_types::{Control, Instruments, UnixNanos};
use holes::{Hole, Noted};
use recorded::{Point, Recorded};
use rows::{Row, Watch, What};
use serde::Serialize;
use serde_json::Value;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub run_id: String,
    /// Other models of the simulated venue, as path and value.
    pub conf: Vec<(String, String)>,
    pub source: Source,
    /// Another market instead of the run's own, of the same instruments: the same time from another source.
    pub market: Option<MarketSetting>,
    /// Orders to show at most.
    pub limit: usize,
}

/// The first difference, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    #[serde(serialize_with = "orders::text")]
    pub at: UnixNanos,
    pub cause: Cause,
    pub why: String,
    pub cl_ord_id: Option<String>,
    /// What happened there on each side; `None`: nothing of the kind.
    pub recorded: Option<String>,
    pub simulated: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub run: String,
    pub identical: bool,
    /// `market`: the run's own market (or the one asked for), opened again; `journal`: what the run received of it.
    pub source: Source,
    /// Market time of the first and the last input compared.
    #[serde(serialize_with = "orders::text")]
    pub from: UnixNanos,
    #[serde(serialize_with = "orders::text")]
    pub to: UnixNanos,
    /// Orders and fills of the recorded run that were compared.
    pub compared_orders: u64,
    pub compared_fills: u64,
    pub simulated_orders: u64,
    pub simulated_fills: u64,
    /// Orders that are not the same on both sides.
    pub different_orders: u64,
    /// Models that were changed, each with its old and new value.
    pub changed: Vec<String>,
    /// What limits the comparison.
    pub notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// Side by side: from the first that differs on; without any, the last ones.
    pub orders: Vec<Pair>,
}

/// Repeats a run and compares.
///
/// # Errors
/// A run that is incomplete, or that this version decides otherwise; a market that cannot be had; a setting that cannot
/// be changed.
pub fn parity(home: &Home, request: &Request, catalog: Catalog) -> Result<Report, RunError> {
    let dir = home.run(&request.run_id)?;
    let record = runs::record_of(&dir)?;
    if record.settings.mode == Mode::Live {
        let message = format!("run {} was live: its venue's answers are facts, and no simulation of ours", dir.id);
        let hint = "`ctos replay` repeats it to the last order; parity compares runs on simulated money";
        return Err(UserError::new(message, hint).into());
    }
    let (mut settings, mut changed) = models::apply(&record.settings, &request.conf)?;
    if let Some(market) = &request.market {
        changed.push(format!("market: {} -> {market}", settings.market));
        settings.market = market.clone();
    }
    let (kernel, snapshot, journal) = runs::from_journal(&dir, &record, catalog)?;
    let start = snapshot.as_ref().map(read_body).transpose().map_err(RunError::Internal)?;
    if start.is_some() && !changed.is_empty() {
        let message = "the beginning of the run is no longer in its journal: it can only be repeated as it was";
        return Err(UserError::new(
            message,
            "leave out --conf and --market, or make a run with a larger journal.max_mb",
        )
        .into());
    }
    let mut notes = Vec::new();
    let opened = match &request.market {
        Some(_) => Some(market::other(&settings, &record)?),
        None => open(&dir, &record, request.source, start.as_ref(), &mut notes)?,
    };
    let (taken_off, random) = market::feed(record.settings.venue.latency.feed);
    let tape = opened.is_none().then(|| (record.instruments.clone(), taken_off));
    let mut recorded = recorded::read(kernel, start.as_ref(), journal, tape)?;
    let (source, opened, settings) = match opened {
        Some(opened) => (Source::Market, opened, settings),
        None => {
            notes.extend(random.clone());
            let source = recorded.market.take().ok_or_else(|| RunError::Internal("no market was kept".into()))?;
            let opened = Opened { source, report: Value::Null, notices: Vec::new() };
            (Source::Journal, opened, exact_feed(settings, &record.settings))
        }
    };
    if start.is_some() {
        notes.push(format!("the journal was trimmed: the comparison begins at {}", recorded.from));
    }
    notes.extend(recorded.cut.iter().map(|why| format!("the comparison ends early: {why}")));
    let (source_of_holes, found) = Noted::new(opened.source);
    let opened = Opened { source: Box::new(source_of_holes), ..opened };
    let (simulated, hash) = simulate(&settings, &record, catalog, opened, start.as_ref(), &recorded)?;
    let holes = holes(request, &recorded, holes::taken(&found));
    let data = compare::Data { holes, differs: request.market.is_some(), asked: std::mem::take(&mut recorded.asked) };
    let mut divergence =
        compare::first(&recorded.rows, &simulated, &data).map(|parting| told(&parting, &record.instruments));
    if divergence.is_none() && hash != recorded.hash {
        divergence = Some(Divergence {
            at: recorded.to,
            cause: Cause::Decision,
            why: "orders and fills are the same, but cancels or amends were not, or came at another input".into(),
            cl_ord_id: None,
            recorded: Some(format!("command hash {}", recorded.hash)),
            simulated: Some(format!("command hash {hash}")),
        });
    }
    let lines = |rows: &[Row]| orders::lines(rows, &record.instruments);
    let mut pairs = orders::pairs(lines(&recorded.rows), lines(&simulated));
    let different_orders = pairs.iter().filter(|p| !p.same).count() as u64;
    let first = pairs.iter().position(|p| !p.same).unwrap_or(pairs.len().saturating_sub(request.limit));
    let shown = pairs.drain(first..).take(request.limit).collect();
    Ok(Report {
        run: record.run_id.clone(),
        identical: divergence.is_none(),
        source,
        from: recorded.from,
        to: recorded.to,
        compared_orders: count(&recorded.rows, |w| matches!(w, What::Sent { .. })),
        compared_fills: count(&recorded.rows, |w| matches!(w, What::Fill(_))),
        simulated_orders: count(&simulated, |w| matches!(w, What::Sent { .. })),
        simulated_fills: count(&simulated, |w| matches!(w, What::Fill(_))),
        different_orders,
        changed,
        notes,
        divergence,
        orders: shown,
    })
}

/// Interruptions that can be the cause of a difference. Where only models were changed, both runs saw the same ones, and
/// what was changed is the cause.
fn holes(request: &Request, recorded: &Recorded, simulated: Vec<Hole>) -> Vec<Hole> {
    match (&request.market, request.conf.is_empty()) {
        (Some(_), _) => {
            // One that both markets have makes no difference.
            let (a, b) = (&recorded.holes, &simulated);
            let alone =
                |h: &&Hole, other: &[Hole]| !other.iter().any(|o| (o.instrument, o.from) == (h.instrument, h.from));
            let ours = a.iter().filter(|h| alone(h, b));
            ours.chain(b.iter().filter(|h| alone(h, a))).copied().collect()
        }
        (None, true) => recorded.holes.clone(),
        (None, false) => Vec::new(),
    }
}

fn count(rows: &[Row], of: impl Fn(&What) -> bool) -> u64 {
    rows.iter().filter(|r| of(&r.what)).count() as u64
}

/// The market opened again; `None`: the journal's is to be used.
fn open(
    dir: &runs::RunDir,
    record: &RunRecord,
    source: Source,
    start: Option<&Body>,
    notes: &mut Vec<String>,
) -> Result<Option<Opened>, RunError> {
    let trimmed = |why: String| {
        let hint = "open the run's market again as it was, or make a run with a larger journal.max_mb";
        UserError::new(format!("the beginning of the run is no longer in its journal, and {why}"), hint)
    };
    match (source, start) {
        (Source::Journal, None) => return Ok(None),
        (Source::Journal, Some(_)) => return Err(trimmed("so the journal's market is not whole".into()).into()),
        _ => {}
    }
    match (market::again(dir, record, start)?, source, start) {
        (Ok(opened), ..) => Ok(Some(opened)),
        (Err(e), Source::Market, _) => Err(e.into()),
        (Err(e), _, Some(_)) => Err(trimmed(e.message).into()),
        (Err(e), _, None) => {
            notes.push(format!("the market is taken from the journal: {}", e.message));
            Ok(None)
        }
    }
}

/// The journal's times have a random latency in them already, unless another one is asked for.
fn exact_feed(mut settings: Settings, was: &Settings) -> Settings {
    let feed = &mut settings.venue.latency.feed;
    if *feed == was.venue.latency.feed && !matches!(feed, LatencySetting::Constant(_)) {
        *feed = LatencySetting::Constant(market::feed(*feed).0);
    }
    settings
}

/// The second run, up to where the recorded one ends. Gives its rows and the hash of its commands.
fn simulate(
    settings: &Settings,
    record: &RunRecord,
    catalog: Catalog,
    opened: Opened,
    start: Option<&Body>,
    recorded: &Recorded,
) -> Result<(Vec<Row>, String), RunError> {
    let latches = Names::of(settings).scopes(&record.latches);
    let mut world = world::build_on(settings, catalog, record.tag, latches, opened)?;
    if let Some(body) = start {
        world.kernel.restore(&body.kernel).map_err(|e| RunError::Internal(e.to_string()))?;
        world.driver.restore(&body.driver).map_err(|why| {
            UserError::new(format!("the run's market cannot be taken up where its journal begins: {why}"), RESTORE)
        })?;
    }
    let parts = Parts { kernel: world.kernel, driver: world.driver, durable: None };
    let mut shard = Shard::begin(parts, record.start, &world.balances, Box::new(Watch::default())).map_err(internal)?;
    let mut stopped = false;
    for point in &recorded.points {
        let Some(control) = &point.control else {
            // A run that came to its end has had every answer; one that did not is followed to its last input.
            let whole = stopped && recorded.cut.is_none() && record.status == RunStatus::Finished;
            if whole {
                shard.settle().map_err(internal)?;
            } else {
                reach(&mut shard, point)?;
            }
            continue;
        };
        if matches!(control, Control::Start) && shard.kernel().next_input() > point.seq {
            continue;
        }
        reach(&mut shard, point)?;
        shard.control(point.at, control).map_err(internal)?;
        stopped |= matches!(control, Control::Stop { .. });
    }
    let (kernel, watch) = shard.into_parts();
    let watch = watch.downcast::<Watch>().expect("the observer that was given");
    Ok((watch.0, kernel.command_hash()))
}

const RESTORE: &str = "open the market again as it was when the run was made";

/// Steps up to a recorded place: by the number of inputs while both runs are the same, by market time afterwards.
fn reach(shard: &mut Shard, point: &Point) -> Result<(), RunError> {
    loop {
        let kernel = shard.kernel();
        let there = kernel.next_input() == point.seq && kernel.now() == point.before;
        if there && kernel.command_hash() == point.hash {
            return Ok(());
        }
        if !shard.advance(point.at).map_err(internal)? {
            return Ok(());
        }
    }
}

fn internal(error: ShardError) -> RunError {
    RunError::Internal(error.to_string())
}

fn told(parting: &compare::Parting, instruments: &Instruments) -> Divergence {
    let id = parting.recorded.or(parting.simulated).and_then(|row| row.id);
    Divergence {
        at: parting.at,
        cause: parting.cause,
        why: parting.why.clone(),
        cl_ord_id: id.map(|id| id.to_string()),
        recorded: parting.recorded.map(|row| text(&row, instruments)),
        simulated: parting.simulated.map(|row| text(&row, instruments)),
    }
}

/// One row for people: time, what, on which terms.
fn text(row: &Row, instruments: &Instruments) -> String {
    let i = instruments.get(row.instrument);
    let side = format!("{:?}", row.side).to_lowercase();
    let what = match row.what {
        What::Sent { kind, qty } => {
            let price = kind.limit_price().map_or("market".into(), |px| i.price_text(px));
            let qty = match qty {
                ctos_types::OrderQty::Size(size) => i.qty_text(size),
                ctos_types::OrderQty::Quote(amount) => format!("{amount} {}", i.quote),
            };
            format!("sent {side} {qty} at {price}")
        }
        What::Denied(gate) => format!("denied {side} by {gate}"),
        What::Fill(f) => {
            format!("filled {side} {} at {} fee {} {}", i.qty_text(f.qty), i.price_text(f.px), f.fee, f.fee_currency)
        }
        What::Answer { price, size, .. } => {
            let price = price.map_or("market".into(), |px| i.price_text(px));
            format!("{} {side} {} at {price}", compare::word(&row.what), i.qty_text(size))
        }
    };
    format!("{} {what} {}", row.at, i.symbol)
}
