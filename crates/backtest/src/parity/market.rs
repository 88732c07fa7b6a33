//! Which market the second run gets: the run's own, opened again where it can be shown to be the same, or what its
//! journal holds of it.
//! Never: takes another market for the recorded one.

use ctos_runtime::config::{LatencySetting, MarketSetting, Settings};
use ctos_runtime::market::{self, Opened};
use ctos_runtime::runs::{RunDir, RunRecord};
use ctos_runtime::shard::Body;
use ctos_runtime::summary::Summary;
use ctos_runtime::{RunError, UserError};
use ctos_types::{EventBuf, Instruments, Nanos, UnixNanos};
use ctos_venue::{MarketSource, SourceTimes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the market comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The market opened again, where it can be; else the journal.
    #[default]
    Auto,
    /// The run's market opened again.
    Market,
    /// What the journal says that the run received.
    Journal,
}

/// The run's market once more, or why it cannot be had.
pub fn again(dir: &RunDir, record: &RunRecord, start: Option<&Body>) -> Result<Result<Opened, UserError>, RunError> {
    let no = |why: String| Ok(Err(UserError::new(why, "use `--source journal`, or open the market again as it was")));
    let opened = match market::open(&record.settings) {
        Ok(opened) => opened,
        Err(e) => return Ok(Err(e)),
    };
    if *opened.source.instruments() != record.instruments {
        return no(format!("{} has other instruments than when the run was made", record.settings.market));
    }
    if record.settings.market == MarketSetting::Synthetic {
        let now = env!("CARGO_PKG_VERSION");
        if record.version != now {
            return no(format!("the synthetic market of version {} may differ from that of {now}", record.version));
        }
        return Ok(Ok(opened));
    }
    let digest: String = opened.source.digest().iter().map(|b| format!("{b:02x}")).collect();
    let summary: Option<Summary> = dir.read_summary()?;
    let recorded = summary.map(|s| s.input_hash).or_else(|| start.and_then(saved_digest));
    match recorded {
        None => no("the run has not ended, so there is no digest of its market to compare with".into()),
        Some(recorded) if recorded != digest => {
            no(format!("{} is not the data that the run was made on: its digest differs", record.settings.market))
        }
        Some(_) => Ok(Ok(opened)),
    }
}

/// Another market for the run.
///
/// # Errors
/// It cannot be opened, or its instruments are not those of the run.
pub fn other(settings: &Settings, record: &RunRecord) -> Result<Opened, UserError> {
    let opened = market::open(settings)?;
    if *opened.source.instruments() == record.instruments {
        return Ok(opened);
    }
    let names = |all: &Instruments| all.iter().map(|i| i.symbol.to_string()).collect::<Vec<_>>().join(", ");
    let (theirs, ours) = (names(opened.source.instruments()), names(&record.instruments));
    let message = match theirs == ours {
        true => {
            format!("{} defines {ours} otherwise than the run: another grid, other fees or limits", settings.market)
        }
        false => format!("{} is of {theirs}, the run is of {ours}", settings.market),
    };
    Err(UserError::new(message, "compare with data of the same instruments, defined alike"))
}

/// The market of a journal. Where it ends, the run only stopped listening: time goes on, and timers with it.
pub struct Heard<S>(pub S);

/// Later than any input.
const NEVER: UnixNanos = UnixNanos(i64::MAX - 1);

impl<S: MarketSource> MarketSource for Heard<S> {
    fn instruments(&self) -> &Instruments {
        self.0.instruments()
    }

    fn peek(&mut self) -> Option<UnixNanos> {
        self.0.peek().or(Some(NEVER))
    }

    fn next(&mut self, out: &mut EventBuf) -> Option<SourceTimes> {
        self.0.next(out)
    }

    fn digest(&self) -> [u8; 32] {
        self.0.digest()
    }

    fn save(&self) -> Value {
        self.0.save()
    }

    fn restore(&mut self, state: &Value) -> Result<(), String> {
        self.0.restore(state)
    }
}

/// The digest of a recording in a snapshot.
fn saved_digest(body: &Body) -> Option<String> {
    let bytes: [u8; 32] = serde_json::from_value(body.driver["source"]["digest"].clone()).ok()?;
    Some(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// What the feed's latency added to the times in the journal, and what to say where that cannot be known.
pub fn feed(latency: LatencySetting) -> (Nanos, Option<String>) {
    match latency {
        LatencySetting::Constant(span) => (span, None),
        random => {
            let least = match random {
                LatencySetting::Uniform { min, .. } => min,
                _ => Nanos::ZERO,
            };
            let note = format!(
                "the feed's latency was {random}: how long each message took is not in the journal, and the venue's \
                 times are as near as they can be had"
            );
            (least, Some(note))
        }
    }
}
