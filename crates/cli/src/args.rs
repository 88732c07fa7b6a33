//! The command line as typed. Never: defaults of settings (they are in one place, `ctos_runtime::config`).

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// A trading operating system: paper trading that survives everything and can be replayed.
#[derive(Debug, Parser)]
#[command(name = "ctos", version, subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  ctos run                                trade simulated money on the built-in market\n  \
    ctos run --duration 10m --speed max     ten simulated minutes at once\n  ctos doctor                             \
    what is wrong, and how to mend it"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Directory of journals, store and token [default: ./var, or as configured]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub home: Option<PathBuf>,
    /// Settings file [default: ctos.yaml or configs/ctos.yaml, where there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Print JSON on stdout
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Log more (-v debug, -vv trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Log less (-q warnings, -qq errors)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: u8,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a run, or go on with the one that was cut off
    #[command(
        after_help = "Examples:\n  ctos run\n  ctos run --market replay:capture.jsonl.gz --strategy grid --speed max --seed 1 --json\n  \
        ctos run --strategy grid --set levels=8 --strategy ma_cross --set interval=1m --balance USDT=50000"
    )]
    Run(Box<RunArgs>),
    /// Re-step a run from its journal and compare every command
    #[command(after_help = "Example:\n  ctos replay latest\n\nExits 0 when the run is identical, 1 when it differs.")]
    Replay {
        /// Id of the run, or `latest`
        #[arg(value_name = "RUN", default_value = "latest")]
        run: String,
    },
    /// Simulate the venue's answers to a recorded run again, and show both runs side by side
    #[command(
        after_help = "Examples:\n  ctos parity latest\n  ctos parity latest --conf venue.queue=proportional --json\n\n\
        Exits 0 when the runs are identical, 1 when they differ."
    )]
    Parity(crate::commands::parity::ParityArgs),
    /// What runs, and how it stands
    #[command(after_help = "Example:\n  ctos status --json")]
    Status,
    /// Open orders
    #[command(after_help = "Example:\n  ctos orders --all --limit 20")]
    Orders {
        /// Closed orders too
        #[arg(long)]
        all: bool,
        /// At most so many, the newest
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Positions and balances
    #[command(after_help = "Example:\n  ctos positions --json")]
    Positions,
    /// Executions, newest first
    #[command(after_help = "Example:\n  ctos fills --limit 20")]
    Fills {
        /// At most so many, the newest
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Pull the kill switch: cancel open orders, allow no new ones until resumed
    #[command(after_help = "Examples:\n  ctos halt --reason \"news\"\n  ctos halt strategy:grid --reducing\n\n\
        Works without a running instance too: the next run starts halted.")]
    Halt {
        /// `system`, `account:NAME` or `strategy:NAME`
        #[arg(value_name = "SCOPE", default_value = "system")]
        scope: String,
        /// Allow orders that shrink positions, and leave open orders alone
        #[arg(long)]
        reducing: bool,
        /// Why; kept with the latch
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Release the kill switch
    #[command(after_help = "Example:\n  ctos resume --reason \"checked\"")]
    Resume {
        /// `system`, `account:NAME` or `strategy:NAME`
        #[arg(value_name = "SCOPE", default_value = "system")]
        scope: String,
        /// Why; kept in the journal
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// End the running instance in order: cancel, settle, summarise; or stop one strategy
    #[command(after_help = "Examples:\n  ctos stop\n  ctos stop grid")]
    Stop {
        /// Stop only this strategy
        #[arg(value_name = "STRATEGY")]
        strategy: Option<String>,
        /// Why; kept in the journal
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Start a stopped strategy of the running instance
    #[command(after_help = "Example:\n  ctos start grid")]
    Start {
        /// What it is called in the run
        #[arg(value_name = "STRATEGY")]
        strategy: String,
    },
    /// Record the live market of the running instance, or look at how that goes
    #[command(after_help = "Examples:\n  ctos record\n  ctos record start tapes\n  ctos record stop\n\n\
        What is recorded can be traded on: `ctos run --market replay:DIR`.")]
    Record {
        #[command(subcommand)]
        command: Option<RecordCommand>,
    },
    /// The built-in strategies and their parameters
    #[command(after_help = "Examples:\n  ctos strategies\n  ctos strategies grid")]
    Strategies {
        /// Show the parameters of this one
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// The settings
    #[command(after_help = "Example:\n  ctos config show --resolved")]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// What is wrong with this home, and how to mend it
    #[command(after_help = "Examples:\n  ctos doctor\n  ctos doctor --rebuild-store")]
    Doctor {
        /// Rebuild the SQLite store from the journals
        #[arg(long)]
        rebuild_store: bool,
        /// Ask the venues of live accounts, too
        #[arg(long)]
        online: bool,
    },
    /// Run strategies over history: the kernel and venue of paper trading, as fast as they go
    #[command(
        after_help = "Examples:\n  ctos backtest --data bars.csv --strategy ma_cross --set fast=10 --set slow=20\n  \
        ctos backtest --data ./var/catalog --symbols binance:BTCUSDT --from 2024-01-01 --to 2024-02-01 --warm-up 1d --strategy grid\n  \
        ctos backtest --market synthetic --duration 24h --json --no-files"
    )]
    Backtest(Box<crate::commands::backtest::BacktestArgs>),
    /// The page of a backtest again, or several side by side
    #[command(
        after_help = "Examples:\n  ctos report 0001-grid\n  ctos report 0001-grid 0002-ma_cross --out compare.html"
    )]
    Report(crate::commands::backtest::ReportArgs),
    /// Try many combinations of a strategy's parameters, and judge the best outside the data it was chosen on
    #[command(
        after_help = "Examples:\n  ctos sweep --market replay:bars.csv --strategy ma_cross --param fast=5..50:5 --param slow=20,50,100\n  \
        ctos sweep --market replay:bars.csv --strategy ma_cross --param fast=5..50 --param slow=log:20..200:12 --method tpe --trials 200 --walk-forward 4\n\n\
        A sweep that was cut off goes on when the same command is given again."
    )]
    Sweep(Box<crate::commands::sweep::SweepArgs>),
    /// Market data: import, look at, verify, export, record
    #[command(
        after_help = "Examples:\n  ctos data import BTCUSDT-1m-2024-01.zip\n  ctos data list\n  ctos run --market catalog:var/catalog"
    )]
    Data(Box<crate::commands::data::DataArgs>),
    /// A local server that speaks a venue's own protocol, to trade against and to practise on
    #[command(after_help = "Example:\n  ctos twin binance --json")]
    Twin(crate::commands::twin::TwinArgs),
    /// Make one syscall: prices, books, orders, balances, positions
    #[command(
        after_help = "Examples:\n  ctos call                                              every syscall with its arguments\n  \
        ctos call get_price_now binance:BTC-USDT-PERP\n  \
        ctos call place_order BTC-USDT-PERP buy limit size=0.01 price=60000 --account main\n\n\
        Goes through the instance that runs in the home, its rate budget and its gates; by itself where none runs."
    )]
    Call(Box<crate::commands::call::CallArgs>),
    /// Accounts at venues
    Account(crate::commands::account::AccountArgs),
    /// Measure this machine: steps, frames, durable inputs, order round trips
    #[command(after_help = "Examples:\n  ctos bench\n  ctos bench --json --filter step\n  ctos bench --quick")]
    Bench(crate::commands::bench::BenchArgs),
    /// Completion script for a shell
    #[command(after_help = "Example:\n  ctos completions bash > ~/.local/share/bash-completion/completions/ctos")]
    Completions {
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Turn it on; into another directory than the one it is on in, it goes on there
    #[command(after_help = "Examples:\n  ctos record start\n  ctos record start tapes")]
    Start {
        /// Where files are made [default: the setting `record`, else a new directory under recordings/ in the home]
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Turn it off; what was recorded is on the disk when the command returns
    #[command(after_help = "Example:\n  ctos record stop")]
    Stop,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// What is set, or with --resolved every setting with its value and origin
    #[command(after_help = "Example:\n  ctos config show --resolved --json")]
    Show {
        /// Defaults too
        #[arg(long)]
        resolved: bool,
    },
}

/// Flags of `run`; each is a layer over file and environment.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// `synthetic`, `replay:PATH` for a recorded file, `catalog:DIR` for a data catalog, `binance` for its live market
    #[arg(long, value_name = "MARKET")]
    pub market: Option<String>,
    /// What to trade, with commas between
    #[arg(long, value_name = "A,B")]
    pub symbols: Option<String>,
    /// `1x`, `60x`, …, or `max`; every speed gives the same decisions
    #[arg(long, value_name = "SPEED")]
    pub speed: Option<String>,
    /// Market time after which the run ends, for example 30s, 10m, 24h
    #[arg(long, value_name = "SPAN")]
    pub duration: Option<String>,
    /// Seed of the synthetic market and of every random model
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
    /// Run this strategy (see `ctos strategies`); repeatable
    #[arg(long, value_name = "NAME")]
    pub strategy: Vec<String>,
    /// A parameter of the --strategy before it; repeatable
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true)]
    pub set: Vec<String>,
    /// Starting balance, for example USDT=10000; repeatable
    #[arg(long, value_name = "CURRENCY=AMOUNT")]
    pub balance: Vec<String>,
    /// A limit, for example max_leverage=3; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub risk: Vec<String>,
    /// Whether money is real: `paper`, or `live`
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Where the venue answers, for example a twin: of the live market, or with --mode live of the first account
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Where the venue's streams are, if not at --base-url
    #[arg(long, value_name = "URL")]
    pub ws_url: Option<String>,
    /// Record every frame of the live market into files in this directory
    #[arg(long, value_name = "DIR")]
    pub record: Option<String>,
    /// With --mode live: go on without asking
    #[arg(long)]
    pub yes: bool,
    /// Any other setting by its path, for example venue.queue=proportional; repeatable
    #[arg(long, value_name = "PATH=VALUE")]
    pub conf: Vec<String>,
    /// Give up a run that was cut off instead of continuing it
    #[arg(long)]
    pub fresh: bool,
    /// Before a new live run, cancel what earlier runs of this home left open at the venue
    #[arg(long)]
    pub cancel_leftovers: bool,
    /// Log lines instead of the live view
    #[arg(long, alias = "no-tui")]
    pub plain: bool,
}
