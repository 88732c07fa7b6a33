//! Runs the trials of a sweep on several threads and puts their results into the order of their proposal.
//! Never: decides by which trial ended first. What is proposed, and the table, are the same for any number of jobs.

mod state;

use super::objective::Scoring;
use super::search::Plan;
use super::space::{Point, Space};
use super::split::{Fold, Part};
use super::store::{Finished, Store};
use super::trial::{Engine, Trial, TrialResult};
use ctos_runtime::{RunError, UserError};
use serde::Serialize;
use state::{State, Task};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long results may wait to survive a loss of power.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// A sweep, ready to run. Its JSON names it: equal ones have equal tables.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// What all trials have in common; parameters that are not swept included.
    pub base: Trial,
    pub space: Arc<Space>,
    pub plan: Plan,
    pub folds: Vec<Fold>,
    pub scoring: Scoring,
}

impl Sweep {
    /// The record of one trial.
    pub fn trial(&self, point: &[u32], fold: &Fold, part: Part) -> Trial {
        let mut trial = self.base.clone();
        trial.params.extend(self.space.params(point));
        let window = fold.window(part).unwrap_or(fold.train);
        (trial.data.from, trial.data.to) = (window.from, window.to);
        trial
    }

    /// Runs, if nothing is refused, finished or cut short.
    pub fn expected(&self) -> u64 {
        let points = match self.plan.method {
            super::search::Method::Grid => self.space.size(),
            _ => self.plan.trials.min(self.space.size()),
        };
        self.folds.iter().map(|f| points.saturating_mul(1 + u64::from(f.test.is_some()))).sum()
    }
}

/// One line of the table: one run of one combination.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which of the searches, from 0.
    pub fold: usize,
    /// Place among the combinations of its search, from 0.
    pub number: usize,
    pub part: Part,
    pub point: Point,
    /// Higher is better.
    pub score: Option<f64>,
    pub trial: String,
    pub result: TrialResult,
}

/// What a sweep came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// By fold, number and part.
    pub rows: Vec<Row>,
    /// Combinations that the strategy does not take, one search's count.
    pub refused: u64,
    /// Everything was run; else `stop` was raised.
    pub complete: bool,
}

/// How far a sweep is.
#[derive(Clone, Debug)]
pub struct Status {
    pub done: u64,
    pub total: u64,
    /// Taken over from an earlier process.
    pub kept: u64,
    /// Until the end, by the pace so far; `None` at the start.
    pub eta: Option<Duration>,
    /// Best training combination and its score.
    pub best: Option<(Point, f64)>,
}

/// Runs every trial that `finished` does not hold. `told` hears of each one that ends, on the thread that ran it.
///
/// # Errors
/// No combination is taken by the strategy; the engine's and the disk's failures. All that had ended is in the store.
pub fn run(
    sweep: &Sweep,
    engine: &dyn Engine,
    store: &mut Store,
    finished: Finished,
    jobs: usize,
    stop: &AtomicBool,
    told: &(dyn Fn(&Status) + Sync),
) -> Result<Outcome, RunError> {
    let board = Board {
        sweep,
        engine,
        state: Mutex::new(State::new(sweep, finished)),
        woken: Condvar::new(),
        store: Mutex::new((store, Instant::now())),
        begun: Instant::now(),
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs.max(1) {
            scope.spawn(|| board.work(stop, told));
        }
        board.work(stop, told);
    });
    lock(&board.store).0.sync()?;
    let state = board.state.into_inner().unwrap_or_else(|poison| poison.into_inner());
    if let Some(error) = state.error {
        return Err(error);
    }
    let complete = !stop.load(Ordering::Relaxed);
    if complete && state.folds.iter().all(|f| f.points.is_empty()) {
        return Err(nothing_taken(sweep, engine).into());
    }
    Ok(state.outcome(sweep, complete))
}

/// What the strategy has against the first combination.
pub(super) fn nothing_taken(sweep: &Sweep, engine: &dyn Engine) -> UserError {
    let trial = sweep.trial(&sweep.space.nth(0), &sweep.folds[0], Part::Train);
    let why = engine.takes(&trial.strategy, &trial.params).err();
    let (message, hint) = why.map_or_else(
        || ("nothing was left to try".to_owned(), "give wider ranges".to_owned()),
        |e| (format!("no combination is possible; for example: {}", e.message), e.hint),
    );
    UserError::new(message, hint)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere is reported by the scope; what the mutex holds is changed in one piece.
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

struct Board<'a> {
    sweep: &'a Sweep,
    engine: &'a dyn Engine,
    state: Mutex<State>,
    woken: Condvar,
    /// And when it was last synced.
    store: Mutex<(&'a mut Store, Instant)>,
    begun: Instant,
}

impl Board<'_> {
    fn work(&self, stop: &AtomicBool, told: &(dyn Fn(&Status) + Sync)) {
        // Waiting threads must not wait for one that panics: its task is given up with an error.
        while let Some(task) = self.next(stop) {
            let point = lock(&self.state).folds[task.fold].points[task.number].clone();
            let trial = self.sweep.trial(&point, &self.sweep.folds[task.fold], task.part);
            let run = || self.engine.run(&trial, stop);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
                .unwrap_or_else(|_| Err(RunError::Internal(format!("trial {} panicked", trial.id()))));
            if let Some(status) = self.ended(&task, &trial, result) {
                told(&status);
            }
        }
    }

    /// The next run to do; waits while what there is to do depends on runs under way.
    fn next(&self, stop: &AtomicBool) -> Option<Task> {
        let mut state = lock(&self.state);
        // Refusals are asked for with the state locked: building a strategy takes microseconds.
        let takes = |point: &[u32]| {
            let mut params: BTreeMap<String, String> = self.sweep.base.params.clone();
            params.extend(self.sweep.space.params(point));
            self.engine.takes(&self.sweep.base.strategy, &params).is_ok()
        };
        loop {
            if stop.load(Ordering::Relaxed) || state.error.is_some() {
                return None;
            }
            if let Some(task) = state.train.pop_front() {
                state.running += 1;
                return Some(task);
            }
            if state.propose(self.sweep, &takes) {
                self.woken.notify_all();
                continue;
            }
            if let Some(task) = state.test.pop_front() {
                state.running += 1;
                return Some(task);
            }
            if state.running == 0 {
                return None;
            }
            state = self.woken.wait(state).unwrap_or_else(|poison| poison.into_inner());
        }
    }

    /// Stores a result and wakes whoever waits for it.
    fn ended(&self, task: &Task, trial: &Trial, result: Result<Option<TrialResult>, RunError>) -> Option<Status> {
        // Durable first: what others build on must be there after a kill.
        let kept = result.and_then(|result| match result {
            Some(result) => self.keep(trial, &result).map(|()| Some(result)),
            None => Ok(None),
        });
        let mut state = lock(&self.state);
        state.running -= 1;
        let status = match kept {
            Ok(Some(result)) => {
                state.note(self.sweep, task, result);
                Some(self.status(&state))
            }
            Ok(None) => None,
            Err(error) => {
                state.error.get_or_insert(error);
                None
            }
        };
        self.woken.notify_all();
        status
    }

    fn keep(&self, trial: &Trial, result: &TrialResult) -> Result<(), RunError> {
        let mut store = lock(&self.store);
        store.0.add(trial, result)?;
        if store.1.elapsed() >= SYNC_EVERY {
            store.0.sync()?;
            store.1 = Instant::now();
        }
        Ok(())
    }

    fn status(&self, state: &State) -> Status {
        let known: u64 = if state.folds.iter().all(|f| f.over) {
            // Refused combinations and used-up spaces are known now.
            state.folds.iter().map(|f| (f.train.len() + f.test.len()) as u64).sum()
        } else {
            self.sweep.expected()
        };
        let total = known.max(state.done);
        let ran = state.done - state.kept;
        let eta = (ran > 0).then(|| self.begun.elapsed().mul_f64((total - state.done) as f64 / ran as f64));
        Status { done: state.done, total, kept: state.kept, eta, best: state.best.clone() }
    }
}

#[cfg(test)]
pub(super) mod tests;
