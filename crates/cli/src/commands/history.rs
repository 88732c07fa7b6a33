//! What commands over history share: the flags that say which part of which market is traded under which settings, and
//! how long work is interrupted.
//! Never: runs anything.

use crate::args::RunArgs;
use crate::error::CliError;
use clap::Args;
use ctos_runtime::config::parse_span;
use ctos_types::{Nanos, UnixNanos};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Exit code when the user does not wait for the end.
pub(super) const ABORTED: u8 = 130;

/// Flags of `backtest` and `sweep`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// `replay:PATH` for recorded data, `catalog:DIR`, or `synthetic` with --duration
    #[arg(long, value_name = "MARKET")]
    pub market: Option<String>,
    /// A file or a catalog directory: short for --market
    #[arg(long, value_name = "PATH", conflicts_with = "market")]
    pub data: Option<PathBuf>,
    /// What to trade, with commas between
    #[arg(long, value_name = "A,B")]
    pub symbols: Option<String>,
    /// Trade from here on, for example 2022-01-05 or 2022-01-05T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<UnixNanos>,
    /// Up to, not including, this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<UnixNanos>,
    /// Length of the synthetic market, for example 2h
    #[arg(long, value_name = "SPAN")]
    pub duration: Option<String>,
    /// A parameter of the strategy (of several: of the --strategy before it); repeatable
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    pub set: Vec<String>,
    /// Seed of every random model
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
    /// Starting balance, for example USDT=10000; repeatable
    #[arg(long, value_name = "CURRENCY=AMOUNT")]
    pub balance: Vec<String>,
    /// A limit, for example max_leverage=3; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub risk: Vec<String>,
    /// Any other setting by its path, for example venue.queue=proportional; repeatable
    #[arg(long, value_name = "PATH=VALUE")]
    pub conf: Vec<String>,
}

impl HistoryArgs {
    /// The flags that `run` has too.
    ///
    /// # Errors
    /// A path that is no text.
    pub(super) fn run_flags<'a>(&self, strategies: impl IntoIterator<Item = &'a String>) -> Result<RunArgs, CliError> {
        Ok(RunArgs {
            base_url: None,
            ws_url: None,
            record: None,
            yes: false,
            market: self.market()?,
            symbols: self.symbols.clone(),
            speed: None,
            duration: self.duration.clone(),
            seed: self.seed.clone(),
            strategy: strategies.into_iter().cloned().collect(),
            set: self.set.clone(),
            balance: self.balance.clone(),
            risk: self.risk.clone(),
            mode: None,
            conf: self.conf.clone(),
            fresh: false,
            cancel_leftovers: false,
            plain: true,
        })
    }

    fn market(&self) -> Result<Option<String>, CliError> {
        let Some(path) = &self.data else { return Ok(self.market.clone()) };
        let kind = if path.is_dir() { "catalog" } else { "replay" };
        let text = path.to_str().ok_or_else(|| CliError::user("--data is not UTF-8 text", "rename the file"))?;
        Ok(Some(format!("{kind}:{text}")))
    }
}

/// The first signal ends the work in order, the second at once; either way nothing finished is lost.
pub(super) fn catch_signals() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first signal finds the flag down and only raises it.
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(ABORTED), stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(CliError::internal)?;
    }
    Ok(stop)
}

pub(super) fn span(text: &str) -> Result<Nanos, String> {
    parse_span(text).map_err(|e| format!("expected {}, for example {}", e.what, e.example))
}

/// A date, or a date and a time of day; UTC where it names no offset.
pub(super) fn time(text: &str) -> Result<UnixNanos, String> {
    // A bare number would be taken for seconds since 1970, which nobody means who types a year.
    let parsed = if text.contains('-') { ctos_storage::bars::time::parse(text) } else { None };
    parsed.ok_or_else(|| "expected a time such as 2022-01-05 or 2022-01-05T08:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_checked() {
        let want = UnixNanos::from_secs(1_641_340_800);
        for text in ["2022-01-05", "2022-01-05T00:00:00Z", "2022-01-05 00:00", "2022-01-05T00:00"] {
            assert_eq!(time(text), Ok(want), "{text}");
        }
        assert_eq!(time("2022-01-05T08:30:01Z"), Ok(UnixNanos::from_secs(1_641_340_800 + 30_601)));
        for text in ["", "2022", "2022-01", "2022-13-01", "2022-02-30", "2022-01-05T25:00", "05.01.2022", "soon"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
