//! The recorded side: a run's journal stepped through a kernel, and what of it the second run needs.
//! Never: simulates a venue.

use super::holes::{Hole, Holes};
use super::market::Heard;
use super::rows::{Row, take};
use ctos_kernel::{Kernel, Output};
use ctos_runtime::shard::Body;
use ctos_runtime::shard::recover::{Inputs, Journaled, check_commands};
use ctos_runtime::{RunError, UserError};
use ctos_storage::journal::JournalReader;
use ctos_types::{ClientOrderId, Control, Event, EventKind, Instruments, Market, MarketData, Nanos, UnixNanos};
use ctos_venue::{MarketSource, TapeBuilder};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A place in the recorded order of inputs, and what the kernel was like before it.
#[derive(Clone, Debug)]
pub struct Point {
    pub seq: u64,
    /// Market time of the input.
    pub at: UnixNanos,
    /// Market time of the kernel before it.
    pub before: UnixNanos,
    /// Hash of the commands before it.
    pub hash: String,
    /// A word from outside the market; `None`: the end.
    pub control: Option<Control>,
}

#[derive(Default)]
pub struct Recorded {
    pub rows: Vec<Row>,
    /// Words from outside the market in their order, and then the end.
    pub points: Vec<Point>,
    /// Market time of the first and the last input compared.
    pub from: UnixNanos,
    pub to: UnixNanos,
    /// Whether the run was ended in order.
    pub stopped: bool,
    /// Why the comparison ends before the run does.
    pub cut: Option<String>,
    /// Where the data of an instrument was interrupted.
    pub holes: Vec<Hole>,
    /// Orders that were to be cancelled, and since when.
    pub asked: BTreeMap<ClientOrderId, UnixNanos>,
    /// Hash of all commands.
    pub hash: String,
    /// The market as the kernel got it, when that was asked for.
    pub market: Option<Box<dyn MarketSource>>,
}

impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorded").field("rows", &self.rows.len()).field("cut", &self.cut).finish_non_exhaustive()
    }
}

/// Reads the journal. `tape`: keep the market too; what the feed's latency added to its times is taken off.
pub fn read(
    mut kernel: Kernel,
    start: Option<&Body>,
    journal: JournalReader,
    tape: Option<(Instruments, Nanos)>,
) -> Result<Recorded, RunError> {
    if let Some(body) = start {
        kernel.restore(&body.kernel).map_err(|e| RunError::Internal(e.to_string()))?;
    }
    let mut tape = tape.map(|(instruments, feed)| (TapeBuilder::new(instruments), feed, Sha256::new()));
    let mut all = Recorded { from: kernel.now(), ..Recorded::default() };
    let (mut inputs, mut out, mut holes) = (Inputs::new(journal), Output::default(), Holes::default());
    let mut commands = 0;
    let mut ahead = next(&mut inputs, kernel.next_input())?;
    if let Some(first) = &ahead {
        if first.seq > kernel.next_input() {
            let message = format!("the journal begins at input {} and no snapshot leads up to it", first.seq);
            return Err(UserError::new(message, "compare a newer run: this one's directory is incomplete").into());
        }
        all.from = first.at;
    }
    while let Some(input) = ahead {
        ahead = inputs.next()?;
        all.cut = ahead.as_ref().and_then(unrepeatable);
        if all.cut.is_some() {
            break;
        }
        let point = |control| Point {
            seq: input.seq,
            at: input.at,
            before: kernel.now(),
            hash: kernel.command_hash(),
            control: Some(control),
        };
        if let EventKind::Control(control) = &input.event.kind {
            all.stopped |= matches!(control, Control::Stop { .. });
            all.points.push(point(control.clone()));
        }
        if let Event::Market(market) = input.event.as_event() {
            holes.see(input.at, &market);
        }
        if let (Some((tape, feed, digest)), Event::Market(market)) = (&mut tape, input.event.as_event()) {
            // The tape holds what arrived before the feed's latency was added: the venue adds it again.
            tape.push(UnixNanos(input.at.0.saturating_sub(feed.0)), &stated(market));
            digest.update(input.at.0.to_le_bytes());
        }
        input.step(&mut kernel, &mut out);
        check_commands(&input, &out).map_err(|e| {
            UserError::new(
                format!("this version of ctos does not decide as the recorded run did: {e}"),
                "`ctos replay` says where; compare with the version that the run was made with",
            )
        })?;
        take(&mut all.rows, input.at, &out.audits);
        // Nothing can have been asked for without a command.
        if kernel.commands_out() != commands {
            commands = kernel.commands_out();
            let pending = kernel.open_orders().filter(|o| o.pending_cancel);
            pending.for_each(|o| _ = all.asked.entry(o.id()).or_insert(input.at));
        }
    }
    (all.to, all.holes) = (kernel.now(), holes.found);
    all.hash = kernel.command_hash();
    all.points.push(Point {
        seq: kernel.next_input(),
        at: all.to,
        before: all.to,
        hash: all.hash.clone(),
        control: None,
    });
    all.market =
        tape.map(|(tape, _, digest)| Box::new(Heard(tape.finish(digest.finalize().into()))) as Box<dyn MarketSource>);
    Ok(all)
}

/// The first input from `from` on.
fn next(inputs: &mut Inputs, from: u64) -> Result<Option<Journaled>, RunError> {
    loop {
        match inputs.next()? {
            Some(input) if input.seq < from => {}
            other => return Ok(other),
        }
    }
}

/// A bar's time is its close, which the tape knows by itself.
fn stated(market: Market<'_>) -> Market<'_> {
    match market.data {
        MarketData::Bar(bar) => Market { ts_event: bar.close_time(), ..market },
        _ => market,
    }
}

/// Faults of the machine are in the journal, but a simulation cannot have them again. Both leave their mark right
/// behind the input in which they happened.
fn unrepeatable(input: &Journaled) -> Option<String> {
    match &input.event.kind {
        EventKind::Control(Control::Watchdog { .. }) => {
            Some(format!("the watchdog stepped in at {}, which a simulation cannot repeat", input.at))
        }
        EventKind::Control(Control::JournalFailed { .. }) => {
            Some(format!("the journal failed at {}, which a simulation cannot repeat", input.at))
        }
        _ => None,
    }
}
