//! One backtest: the shard that paper and live use, without a journal, as fast as it goes.
//! Never: steps a kernel or matches an order itself.

use ctos_kernel::Kernel;
use ctos_runtime::config::Settings;
use ctos_runtime::market::Opened;
use ctos_runtime::shard::{Observer, Parts, Shard, ShardError};
use ctos_runtime::summary::{RunFacts, Summary};
use ctos_runtime::world::{self, Catalog};
use ctos_runtime::{RunError, UserError};
use ctos_types::{Control, HaltScope, InstanceTag, KillState, UnixNanos};
use std::collections::BTreeMap;

/// Orders of a backtest never meet those of another instance.
const TAG: InstanceTag = InstanceTag(0);
/// Inputs between two looks at whether to go on.
const LOOK_EVERY: u32 = 8_192;

/// Which part of the market's time is traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Strategies see the market but may not trade before this. `None`: they trade from the first event on.
    pub trade_from: Option<UnixNanos>,
    /// The run ends here; `None`: with the data.
    pub to: Option<UnixNanos>,
    /// Whether what strategies plot is passed on.
    pub plots: bool,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub events: u64,
    pub at: UnixNanos,
    pub start: UnixNanos,
}

/// A finished run: its figures, the kernel as it ended, and what watched it.
#[derive(Debug)]
pub struct Finished<O> {
    pub summary: Summary,
    pub kernel: Kernel,
    pub observer: O,
}

/// Runs the strategies of `settings` over an open market. `watch` is told now and then how far the run is, and ends it
/// by answering `false`.
///
/// # Errors
/// What the settings ask for cannot be built, or the market ends before trading was to begin.
pub fn run<O: Observer>(
    settings: &Settings,
    catalog: Catalog,
    opened: Opened,
    span: Span,
    observer: O,
    watch: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Finished<O>, RunError> {
    let mut world = world::build_on(settings, catalog, TAG, BTreeMap::new(), opened)?;
    let start = world.start;
    if let Some(to) = span.to.filter(|to| *to <= start) {
        let hint = format!("the data begins at {start}");
        return Err(UserError::new(format!("the range ends at {to}, before there is any data"), hint).into());
    }
    world.kernel.set_plots(span.plots);
    let facts = RunFacts {
        run_id: String::new(),
        mode: "backtest".into(),
        market: settings.market.to_string(),
        from: start.to_string(),
        source: world.source_report,
    };
    let parts = Parts { kernel: world.kernel, driver: world.driver, durable: None };
    let mut shard = Shard::begin(parts, start, &world.balances, Box::new(observer)).map_err(internal)?;
    let (reason, at) = drive(&mut shard, start, span, watch)?;
    shard.stop(at, &reason).map_err(internal)?;
    let summary = Summary::of(&shard, &facts, &reason);
    let (kernel, observer) = shard.into_parts();
    let observer = observer.downcast::<O>().expect("the observer that was given");
    Ok(Finished { summary, kernel, observer: *observer })
}

/// Until the data or the range ends. Returns why, and the market time of the end.
fn drive(
    shard: &mut Shard,
    start: UnixNanos,
    span: Span,
    watch: &mut dyn FnMut(&Progress) -> bool,
) -> Result<(String, UnixNanos), RunError> {
    let to = span.to.unwrap_or(UnixNanos::MAX);
    let mut look = |shard: &Shard| {
        let kernel = shard.kernel();
        watch(&Progress { events: kernel.next_input(), at: kernel.now(), start })
    };
    if let Some(from) = span.trade_from.filter(|from| *from > start) {
        let scope = HaltScope::System;
        let halt = Control::Halt { scope, state: KillState::Halted, reason: WARM_UP.into() };
        shard.control(start, &halt).map_err(internal)?;
        if !advance(shard, from, &mut look)? {
            return Ok((INTERRUPTED.into(), shard.kernel().now()));
        }
        if shard.is_finished() {
            let hint = format!("the data ends at {}", shard.kernel().now());
            return Err(
                UserError::new(format!("trading was to begin at {from}, after the end of the data"), hint).into()
            );
        }
        shard.control(from, &Control::Resume { scope, reason: WARM_UP.into() }).map_err(internal)?;
    }
    let on = advance(shard, to, &mut look)?;
    let (reason, at) = match (on, shard.is_finished()) {
        (false, _) => (INTERRUPTED, shard.kernel().now()),
        (true, true) => ("end of data", shard.kernel().now()),
        (true, false) => ("end of range", to),
    };
    Ok((reason.into(), at))
}

const WARM_UP: &str = "warm-up";
/// Why a run ended that was told to.
pub const INTERRUPTED: &str = "interrupted";

/// Steps everything that is due until `until`. `false`: told to end.
fn advance(shard: &mut Shard, until: UnixNanos, look: &mut dyn FnMut(&Shard) -> bool) -> Result<bool, RunError> {
    loop {
        for _ in 0..LOOK_EVERY {
            if !shard.advance(until).map_err(internal)? {
                return Ok(true);
            }
        }
        if !look(shard) {
            return Ok(false);
        }
    }
}

fn internal(error: ShardError) -> RunError {
    RunError::Internal(error.to_string())
}
