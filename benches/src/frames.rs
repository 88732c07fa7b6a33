//! Frames a second of a whole capture through venue, kernel and the default grid: decoded before, or from the file.
//!
//! One sample is one pass over the capture on one thread. Before each pass kernel and venue begin anew, untimed; no
//! journal is written. `frames_from_file` counts lines and times everything from opening the file: looking for its
//! symbols, unpacking, decoding, book synchronisation, the tape, venue and kernel.

use crate::fixture::TAG;
use crate::measure::{Measure, Samples};
use crate::{Lab, internal};
use ctos_driver_paper::PaperDriver;
use ctos_kernel::{Kernel, Output};
use ctos_runtime::config::{Layers, Settings};
use ctos_runtime::world::{self, World};
use ctos_runtime::{RunError, UserError};
use ctos_types::{AccountEvent, Control, Event, EventBuf, Stamped, UnixNanos};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Measured time of a full run.
const LONG: Duration = Duration::from_secs(10);
const FRAMES: &str = "frames/s";

pub fn decoded(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let ready = lab.capture.ready(&lab.dir)?;
    let settings = settings(&ready.path)?;
    let mut world = build(&settings)?;
    let initial = serde_json::to_value(world.driver.save()).map_err(internal)?;
    let instruments = world.driver.instruments().clone();
    let mut check = Check::default();
    let samples = repeat(lab, || {
        world.driver.restore(&initial).map_err(internal)?;
        let kernel = world::kernel_only(
            &settings,
            ctos_strategies::Catalog::BUILT_IN,
            instruments.clone(),
            TAG,
            BTreeMap::new(),
        )?;
        let begun = Instant::now();
        let kernel = drive(kernel, &mut world.driver, &world.balances, world.start);
        let took = begun.elapsed();
        check.same(name, &kernel)?;
        Ok((world.driver.market_events() as f64 / took.as_secs_f64(), took))
    })?;
    let note = format!("passes over the decoded tape: paper venue, kernel, grid ({} commands a pass)", check.commands);
    Ok(samples.measure(name, FRAMES, &lab.machine, note).on(ready.source))
}

pub fn from_file(lab: &Lab, name: &'static str) -> Result<Measure, RunError> {
    let ready = lab.capture.ready(&lab.dir)?;
    let settings = settings(&ready.path)?;
    let mut check = Check::default();
    let samples = repeat(lab, || {
        let begun = Instant::now();
        let World { kernel, mut driver, balances, start, source_report, .. } = build(&settings)?;
        let kernel = drive(kernel, &mut driver, &balances, start);
        let took = begun.elapsed();
        check.same(name, &kernel)?;
        let lines = source_report["lines"].as_u64().filter(|n| *n > 0);
        let lines = lines.ok_or_else(|| internal("the capture's report does not tell its lines"))?;
        Ok((lines as f64 / took.as_secs_f64(), took))
    })?;
    let note = format!("passes from opening the file to the last step, grid ({} commands a pass)", check.commands);
    Ok(samples.measure(name, FRAMES, &lab.machine, note).on(ready.source))
}

/// Takes samples until they have measured long enough.
fn repeat(lab: &Lab, mut pass: impl FnMut() -> Result<(f64, Duration), RunError>) -> Result<Samples, RunError> {
    let enough = if lab.quick { Duration::ZERO } else { LONG };
    let (mut rates, mut measured) = (Vec::new(), Duration::ZERO);
    while rates.is_empty() || measured < enough {
        let (rate, took) = pass()?;
        rates.push(rate);
        measured += took;
    }
    Ok(Samples::new(rates))
}

/// What a run with all defaults would use, on the whole capture.
fn settings(capture: &Path) -> Result<Settings, RunError> {
    let path = capture.to_str().ok_or_else(|| UserError::new("--capture is not UTF-8 text", "rename the file"))?;
    let mut layers = Layers::new();
    layers.flag("--market", "market", &format!("replay:{path}"));
    layers.flag("--speed", "speed", "max");
    layers.flag("--seed", "seed", "1");
    layers.flag_strategy("grid");
    Ok(Settings::resolve(&layers).map_err(UserError::from)?)
}

fn build(settings: &Settings) -> Result<World, RunError> {
    Ok(world::build(settings, ctos_strategies::Catalog::BUILT_IN, TAG, BTreeMap::new())?)
}

/// The shard's loop without its journal: every delivery is stepped before the next is asked for.
fn drive(mut kernel: Kernel, driver: &mut PaperDriver, balances: &[AccountEvent], start: UnixNanos) -> Kernel {
    let mut out = Output::default();
    let mut step = |kernel: &mut Kernel, driver: &mut PaperDriver, at: UnixNanos, event: Event<'_>| {
        let input = Stamped { seq: kernel.next_input(), at: at.max(kernel.now()), event };
        kernel.step(&input, &mut out);
        for command in &out.commands {
            driver.send(input.at, command);
        }
    };
    for balance in balances {
        step(&mut kernel, driver, start, Event::Account(balance));
    }
    step(&mut kernel, driver, start, Event::Control(&Control::Start));
    let mut event = Box::<EventBuf>::default();
    loop {
        let deadline = kernel.next_deadline().unwrap_or(UnixNanos::MAX);
        match driver.poll(deadline, &mut event) {
            Some(at) => step(&mut kernel, driver, at, event.as_event()),
            None if driver.is_finished() => return kernel,
            None => step(&mut kernel, driver, deadline, Event::Wake),
        }
    }
}

/// Every pass must decide the same, and decide something.
#[derive(Default)]
struct Check {
    commands: u64,
    hash: String,
}

impl Check {
    fn same(&mut self, name: &str, kernel: &Kernel) -> Result<(), RunError> {
        let (commands, hash) = (kernel.commands_out(), kernel.command_hash());
        if commands == 0 {
            return Err(internal(format!("{name}: the strategy sent no command")));
        }
        if self.commands != 0 && self.hash != hash {
            return Err(internal(format!("{name}: command hash {hash} after {}", self.hash)));
        }
        (self.commands, self.hash) = (commands, hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Capture;

    // A generated capture is as good as a real one: every line is understood and the book never loses its place.
    #[test]
    fn a_generated_capture_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let ready = Capture::new(None, true).ready(dir.path()).unwrap();
        let world = build(&settings(&ready.path).unwrap()).unwrap();
        let report = &world.source_report;
        assert_eq!(report["notices"], serde_json::json!([]));
        assert_eq!(report["bad_lines"], 0);
        assert!(report["lines"].as_u64() >= Some(5_000), "{report}");
        for kind in ["depth", "book_ticker", "trade"] {
            assert!(report["frames"][kind].as_u64() > Some(100), "{report}");
        }
        assert_eq!(report["frames"]["snapshot"], 1, "{report}");
    }
}
