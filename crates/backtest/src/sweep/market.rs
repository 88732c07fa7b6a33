//! The market of a sweep, loaded once and read by every trial from where its window begins.
//! Never: a second copy of loaded data, or a window that starts in the middle of a book's updates.

mod lives;

use super::split::Window;
use ctos_data::{CatalogError, Selection, Survey};
use ctos_runtime::config::{MarketSetting, Settings};
use ctos_runtime::market::{self, Opened};
use ctos_runtime::{RunError, UserError};
use ctos_types::{EventBuf, EventKind, InstrumentId, Instruments, Nanos, UnixNanos};
use ctos_venue::MarketSource;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

pub use lives::{Life, Lives, lines};

/// Below this length of a market a minute is a lot.
const LITTLE: Nanos = Nanos::from_secs(7_200);

/// An open market that gives each trial a source of its own.
pub struct Shared {
    settings: Settings,
    /// Read by nobody itself: it hands out what shares its data.
    source: Mutex<Box<dyn MarketSource>>,
    instruments: Instruments,
    pub digest: String,
    pub notices: Vec<String>,
    /// What was found in a recording.
    pub report: Value,
    /// When each instrument has prices. Empty for the synthetic market, where all always have.
    pub lives: Lives,
    /// First and last event.
    first: UnixNanos,
    last: UnixNanos,
    /// Goes on behind `last`.
    endless: bool,
    /// The state of a source that stands where a window begins.
    places: BTreeMap<UnixNanos, Value>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("digest", &self.digest).field("range", &self.range()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Loads the market of `settings`. The synthetic one has an end only where `settings.duration` gives it one.
    ///
    /// # Errors
    /// The market cannot be read, or holds nothing.
    pub fn open(settings: &Settings) -> Result<Shared, RunError> {
        Shared::open_part(settings, None, None)
    }

    /// As [`Shared::open`], for whoever reads only what happens from `begin` up to `end`: of a catalog no more than that
    /// needs is loaded. Digest, range and lives are those of all of it.
    ///
    /// # Errors
    /// The market cannot be read, or holds nothing.
    pub fn open_part(
        settings: &Settings,
        begin: Option<UnixNanos>,
        end: Option<UnixNanos>,
    ) -> Result<Shared, RunError> {
        let part = Part::of(settings, begin, end)?;
        let Opened { mut source, notices, report } = match (&settings.market, &part) {
            (MarketSetting::Catalog(dir), Some(part)) => market::catalog(dir, &part.selection)?,
            _ => market::open(settings)?,
        };
        let nothing = || {
            let hint = "check that the file is the right one, and the symbols";
            UserError::new(format!("{} holds no market event", settings.market), hint)
        };
        let first = source.peek().ok_or_else(nothing)?;
        let endless = settings.market == MarketSetting::Synthetic;
        let last = match settings.duration {
            Some(length) if endless => first.after(length),
            None if endless => {
                let hint = "say how much of it to trade, for example --duration 2h";
                return Err(UserError::new("the synthetic market has no end", hint).into());
            }
            _ => first,
        };
        let digest = hex(&source.digest());
        let instruments = source.instruments().clone();
        let (settings, places) = (settings.clone(), BTreeMap::new());
        let mut shared = Shared {
            settings,
            source: Mutex::new(source),
            instruments,
            digest,
            notices,
            report,
            lives: Lives::default(),
            first,
            last,
            endless,
            places,
        };
        if !endless {
            shared.last = shared.look_through()?;
        }
        if let Some(Part { survey, .. }) = part {
            (shared.first, shared.last) = survey.span().unwrap_or((shared.first, shared.last));
            shared.digest = hex(&survey.digest);
            for extent in &survey.series {
                let id = shared.instruments.find(extent.series.symbol.as_str()).map(|i| i.id);
                id.into_iter().for_each(|id| shared.lives.reach(id, extent));
            }
        }
        Ok(shared)
    }

    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Whether nothing at all happens from `to` on.
    pub fn is_over(&self, to: UnixNanos) -> bool {
        !self.endless && to > self.last
    }

    /// From the first event to the first whole minute behind the last one; to the second where there is little.
    pub fn range(&self) -> Window {
        let unit = if (self.last - self.first).0 < LITTLE.0 { Nanos::from_secs(1) } else { Nanos::from_secs(60) };
        Window { from: self.first, to: self.last.floor(unit).after(unit) }
    }

    /// Sees every event once, for the lives of the instruments. Returns when the last one happens.
    fn look_through(&mut self) -> Result<UnixNanos, RunError> {
        let (mut source, mut buf, mut last) = (self.beginning()?, EventBuf::default(), self.first);
        while let Some(times) = source.next(&mut buf) {
            last = times.venue;
            self.lives.see(times, &buf.kind);
        }
        Ok(last)
    }

    /// What is wrong with the data between the two, one line each: instruments that come late or go early included.
    pub fn notices_of(&self, from: UnixNanos, to: UnixNanos) -> Vec<String> {
        let (from, to) = (from.max(self.first), to.min(self.last));
        let lives = if self.endless { Vec::new() } else { self.lives.notices(&self.instruments, from, to) };
        self.notices.iter().cloned().chain(lives).collect()
    }

    /// The market from its first event on.
    fn beginning(&self) -> Result<Box<dyn MarketSource>, RunError> {
        let source = self.source.lock().unwrap_or_else(|poison| poison.into_inner());
        match source.share() {
            Some(shared) => Ok(shared),
            None => Ok(market::open(&self.settings)?.source),
        }
    }

    /// Looks up where each of `windows` begins, with what it sees before it trades, so that its trials start there.
    ///
    /// # Errors
    /// A window without a single event to trade on.
    pub fn prepare(&mut self, windows: &[Window], warm_up: Nanos) -> Result<(), RunError> {
        let begin = |w: &Window| UnixNanos(w.from.0.saturating_sub(warm_up.0));
        let times: BTreeSet<UnixNanos> = windows.iter().flat_map(|w| [begin(w), w.from, w.to]).collect();
        let marks = self.survey(&times)?;
        if let Some(empty) = windows.iter().find(|w| marks[&w.from].index == marks[&w.to].index) {
            let hint = "give other times or fewer windows: a trial without data would prove nothing";
            let message = format!("there is no data from {} to {}", empty.from, empty.to);
            return Err(UserError::new(message, hint).into());
        }
        let (mut source, mut buf) = (self.beginning()?, EventBuf::default());
        let mut begins: Vec<(u64, UnixNanos)> = windows.iter().map(begin).map(|at| (marks[&at].restart, at)).collect();
        begins.sort_unstable();
        begins.dedup();
        let mut index = 0;
        for (restart, at) in begins {
            while index < restart && source.next(&mut buf).is_some() {
                index += 1;
            }
            self.places.insert(at, source.save());
        }
        Ok(())
    }

    /// A source that stands at the first event at or after `begin`, or before it at the last snapshot of a book whose
    /// updates go on at that moment.
    ///
    /// # Errors
    /// The market cannot be opened again, or is not what it was.
    pub fn source(&self, begin: UnixNanos) -> Result<Box<dyn MarketSource>, RunError> {
        let mut source = self.beginning()?;
        if let Some(state) = self.places.get(&begin) {
            source.restore(state).map_err(|e| UserError::new(e, "the data was changed meanwhile: start again"))?;
            return Ok(source);
        }
        let restart = self.survey(&[begin].into())?[&begin].restart;
        let mut buf = EventBuf::default();
        for _ in 0..restart {
            source.next(&mut buf);
        }
        Ok(source)
    }

    /// Finds `times` in the market.
    fn survey(&self, times: &BTreeSet<UnixNanos>) -> Result<BTreeMap<UnixNanos, Mark>, RunError> {
        let (mut source, mut buf) = (self.beginning()?, EventBuf::default());
        let (mut marks, mut books) = (BTreeMap::new(), Books::default());
        let mut ahead = times.iter().copied().peekable();
        let mut index = 0;
        while ahead.peek().is_some() {
            let now = source.peek().unwrap_or(UnixNanos::MAX);
            while let Some(at) = ahead.next_if(|at| *at <= now) {
                marks.insert(at, Mark { index, restart: books.restart(index) });
            }
            if source.next(&mut buf).is_none() {
                break;
            }
            books.see(index, &buf.kind);
            index += 1;
        }
        marks.extend(ahead.map(|at| (at, Mark { index, restart: books.restart(index) })));
        Ok(marks)
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// The part of a catalog that is loaded, and what there is of all of it.
struct Part {
    selection: Selection,
    survey: Survey,
}

impl Part {
    /// `None`: all of the market is loaded.
    fn of(settings: &Settings, begin: Option<UnixNanos>, end: Option<UnixNanos>) -> Result<Option<Part>, UserError> {
        let MarketSetting::Catalog(dir) = &settings.market else { return Ok(None) };
        if begin.is_none() && end.is_none() {
            return Ok(None);
        }
        let bad = |e: CatalogError| UserError::new(e.message, e.hint);
        let all = Selection { symbols: settings.symbols.clone(), ..Selection::default() };
        let survey = ctos_data::survey(dir, &all).map_err(bad)?;
        let Some((first, last)) = survey.span() else { return Ok(None) };
        // A range beside the data is refused by whoever knows what it is for; little is loaded until then.
        let begin = begin.map(|at| at.min(last));
        let end = end.map(|at| at.max(first.after(Nanos(1))).max(begin.map_or(UnixNanos::MIN, |b| b.after(Nanos(1)))));
        let selection = ctos_data::narrow(dir, &all, begin, end).map_err(bad)?;
        Ok(Some(Part { selection, survey }))
    }
}

/// A moment's place in the market.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Events before it.
    index: u64,
    /// Where to begin so that every book is known then.
    restart: u64,
}

/// Books that are built from updates, by the place of their last snapshot. `None`: unknown until the next one.
#[derive(Debug, Default)]
struct Books(BTreeMap<InstrumentId, (Option<u64>, bool)>);

impl Books {
    fn see(&mut self, index: u64, event: &EventKind) {
        match event {
            EventKind::Depth { instrument, snapshot: true, .. } => {
                self.0.insert(*instrument, (Some(index), false));
            }
            EventKind::Depth { instrument, .. } => self.0.entry(*instrument).or_default().1 = true,
            EventKind::Gap { instrument, .. } => {
                self.0.insert(*instrument, (None, false));
            }
            _ => {}
        }
    }

    fn restart(&self, index: u64) -> u64 {
        let updated = self.0.values().filter(|(_, updated)| *updated);
        updated.filter_map(|(snapshot, _)| *snapshot).fold(index, u64::min)
    }
}

#[cfg(test)]
mod tests;
