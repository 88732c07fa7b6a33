//! Start is recovery: the latest snapshot, then the journal re-stepped through kernel and venue, each checked against
//! what the journal says happened.

use super::{Assembly, Body, Observer, SNAPSHOT_SCHEMA, Shard, lock};
use crate::stats::Stats;
use ctos_kernel::{Kernel, Output};
use ctos_storage::journal::{Journal, JournalError, JournalReader, Record};
use ctos_storage::snapshot::Snapshot;
use ctos_types::{Command, Control, Event, EventBuf, EventKind, Stamped, UnixNanos};

/// What recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// First input re-stepped: where the snapshot ended, or 0.
    pub from_seq: u64,
    pub inputs: u64,
    pub commands: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("{0}")]
    Journal(#[from] JournalError),
    #[error("snapshot at input {seq}: {why}")]
    Snapshot { seq: u64, why: String },
    #[error("input {seq} cannot be repeated: the journal has {recorded}, the market now gives {now}")]
    Market { seq: u64, recorded: String, now: String },
    #[error("the commands after input {seq} differ: the journal has {recorded}, this version gives {now}")]
    Commands { seq: u64, recorded: String, now: String },
}

/// One journaled input with the commands that were journaled after it.
#[derive(Debug)]
pub struct Journaled {
    pub seq: u64,
    pub at: UnixNanos,
    pub event: EventBuf,
    pub commands: Vec<Command>,
    /// A strategy that hung in this input, as the watchdog noted right behind it.
    pub hung: Option<Control>,
    /// Nothing follows in the journal: the process may have ended before its commands were written.
    pub is_last: bool,
}

impl Journaled {
    /// Steps a kernel with this input, as it was stepped when it was recorded.
    pub fn step(&self, kernel: &mut Kernel, out: &mut Output) {
        if let Some(Control::Watchdog { strategy: Some(strategy), .. }) = &self.hung {
            kernel.quarantine(*strategy);
        }
        kernel.step(&Stamped { seq: self.seq, at: self.at, event: self.event.as_event() }, out);
    }

    /// The process ended between journaling this input and all of its commands: the record is completed.
    pub fn complete(&self, out: &Output, journal: &mut Journal) -> Result<(), JournalError> {
        for command in out.commands.iter().skip(self.commands.len()) {
            journal.append_command(self.seq, command.get())?;
        }
        Ok(())
    }
}

/// Reads a journal input by input, each with what belongs to it.
#[derive(Debug)]
pub struct Inputs {
    reader: JournalReader,
    ahead: Option<(u64, UnixNanos, EventBuf)>,
}

impl Inputs {
    pub fn new(reader: JournalReader) -> Inputs {
        Inputs { reader, ahead: None }
    }

    /// `None` at the end of the journal.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Journaled>, JournalError> {
        let (seq, at, event) = match self.ahead.take() {
            Some(input) => input,
            None => match self.read_input(&mut Vec::new())? {
                Some(input) => input,
                None => return Ok(None),
            },
        };
        let mut commands = Vec::new();
        self.ahead = self.read_input(&mut commands)?;
        let hung = match self.ahead.as_ref().map(|(_, _, e)| &e.kind) {
            Some(EventKind::Control(control @ Control::Watchdog { seq: stuck, .. })) if *stuck == seq => {
                Some(control.clone())
            }
            _ => None,
        };
        Ok(Some(Journaled { seq, at, event, commands, hung, is_last: self.ahead.is_none() }))
    }

    /// The next input; commands met on the way are collected.
    fn read_input(&mut self, commands: &mut Vec<Command>) -> Result<Option<(u64, UnixNanos, EventBuf)>, JournalError> {
        let mut buf = EventBuf::default();
        loop {
            match self.reader.next(&mut buf)? {
                None => return Ok(None),
                Some(Record::Input { seq, at }) => return Ok(Some((seq, at, buf))),
                Some(Record::Command { command, .. }) => commands.push(command),
                Some(Record::Note(_)) => {}
            }
        }
    }
}

impl Shard {
    /// Brings a run back to where its journal ends. The journal in `parts` must be open at that end.
    pub fn recover(
        parts: impl Into<Assembly>,
        snapshot: Option<Snapshot>,
        reader: JournalReader,
        observer: Box<dyn Observer>,
    ) -> Result<(Shard, Recovery), RecoverError> {
        let mut parts = parts.into();
        let mut stats = Stats::default();
        if let Some(snapshot) = snapshot {
            let fail = |why: String| RecoverError::Snapshot { seq: snapshot.seq, why };
            let body: Body = read_body(&snapshot).map_err(fail)?;
            parts.kernel.restore(&body.kernel).map_err(|e| fail(e.to_string()))?;
            parts.venue.simulated(|driver| driver.restore(&body.driver)).unwrap_or(Ok(())).map_err(fail)?;
            stats = body.stats;
        }
        let from_seq = parts.kernel.next_input();
        let mut shard = Shard::assemble(parts, stats, observer);
        let mut recovery = Recovery { from_seq, ..Recovery::default() };
        let mut inputs = Inputs::new(reader);
        let mut out = Output::default();
        while let Some(journaled) = inputs.next()? {
            if journaled.seq < from_seq {
                continue;
            }
            shard.repeat(&journaled, &mut out)?;
            if journaled.is_last {
                shard.disk().map_or(Ok(()), |disk| journaled.complete(&out, &mut lock(&disk.journal)))?;
            }
            recovery.inputs += 1;
            recovery.commands += out.commands.len() as u64;
        }
        Ok((shard, recovery))
    }

    /// Re-steps one journaled input and checks that market and kernel do again what they did.
    fn repeat(&mut self, journaled: &Journaled, out: &mut Output) -> Result<(), RecoverError> {
        let Journaled { seq, at, event, .. } = journaled;
        if !matches!(event.kind, EventKind::Wake | EventKind::Control(_)) && !is_declared(event, &self.kernel) {
            let describe = |event: &EventBuf, at: UnixNanos| format!("{event:?} at {at}");
            self.venue.repeat(*at, event, self.kernel.now()).map_err(|now| RecoverError::Market {
                seq: *seq,
                recorded: describe(event, *at),
                now: now.map_or("nothing".into(), |(t, now)| describe(&now, t)),
            })?;
        }
        journaled.step(&mut self.kernel, out);
        self.stats.on_input(&event.as_event());
        self.stats.on_audits(&out.audits);
        check_commands(journaled, out)?;
        // To a real venue they went when they were recorded, or may have: whoever looks after its orders asks it.
        if !self.venue.is_live() {
            self.venue.send(*at, &out.commands, &mut self.injected);
        }
        if !out.audits.is_empty() {
            self.observer.on_step(*seq, *at, &mut out.audits, &self.kernel);
        }
        Ok(())
    }
}

/// The body of a snapshot of our schema.
pub fn read_body(snapshot: &Snapshot) -> Result<Body, String> {
    if snapshot.schema != SNAPSHOT_SCHEMA {
        return Err(format!("it has schema {}, this version reads {SNAPSHOT_SCHEMA}", snapshot.schema));
    }
    snapshot.body().map_err(|e| e.to_string())
}

/// The starting balances, which the runtime declares before anything else.
fn is_declared(event: &EventBuf, kernel: &ctos_kernel::Kernel) -> bool {
    let before_start = kernel.processes().all(|p| p.state == ctos_kernel::ProcessState::Created);
    before_start && matches!(event.as_event(), Event::Account(_))
}

/// The journal's commands and the kernel's must agree. A process that died may have journaled only some, or none, of
/// the last input's.
pub fn check_commands(journaled: &Journaled, out: &Output) -> Result<(), RecoverError> {
    let now: Vec<&Command> = out.commands.iter().map(|c| c.get()).collect();
    let recorded: Vec<&Command> = journaled.commands.iter().collect();
    let cut = journaled.is_last || journaled.hung.is_some();
    let same = if cut { now.starts_with(&recorded) } else { now == recorded };
    if same {
        return Ok(());
    }
    Err(RecoverError::Commands { seq: journaled.seq, recorded: format!("{recorded:?}"), now: format!("{now:?}") })
}
