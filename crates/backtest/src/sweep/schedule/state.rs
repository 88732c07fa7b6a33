//! What is proposed, queued and finished of a sweep: the searches and their results, whichever thread brings them.
//! Never: waits, or runs anything.

use super::super::search::Search;
use super::super::space::Point;
use super::super::split::Part;
use super::super::store::Finished;
use super::super::trial::TrialResult;
use super::{Outcome, Row, Sweep};
use ctos_runtime::RunError;
use std::collections::VecDeque;

/// One run to do.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub fold: usize,
    pub number: usize,
    pub part: Part,
}

/// One search and what came of it.
pub(super) struct Progress {
    search: Search,
    pub points: Vec<Point>,
    /// By number; `None` until it has ended.
    pub train: Vec<Option<TrialResult>>,
    pub test: Vec<Option<TrialResult>>,
    /// Where the batch begins whose scores the search waits for.
    batch: usize,
    pub over: bool,
}

pub(super) struct State {
    pub folds: Vec<Progress>,
    /// Training runs come first: searches wait for them.
    pub train: VecDeque<Task>,
    pub test: VecDeque<Task>,
    pub running: usize,
    finished: Finished,
    pub done: u64,
    pub kept: u64,
    pub best: Option<(Point, f64)>,
    pub error: Option<RunError>,
}

impl State {
    pub fn new(sweep: &Sweep, finished: Finished) -> State {
        let search = |i: usize| Progress {
            search: Search::new(sweep.space.clone(), sweep.plan, &format!("fold {i}")),
            points: Vec::new(),
            train: Vec::new(),
            test: Vec::new(),
            batch: 0,
            over: false,
        };
        State {
            folds: (0..sweep.folds.len()).map(search).collect(),
            train: VecDeque::new(),
            test: VecDeque::new(),
            running: 0,
            finished,
            done: 0,
            kept: 0,
            best: None,
            error: None,
        }
    }

    /// Notes a result where it belongs.
    pub fn note(&mut self, sweep: &Sweep, task: &Task, result: TrialResult) {
        let fold = &mut self.folds[task.fold];
        if task.part == Part::Train
            && let Some(score) = sweep.scoring.score(&result)
            && self.best.as_ref().is_none_or(|(_, best)| score > *best)
        {
            self.best = Some((fold.points[task.number].clone(), score));
        }
        let slot = match task.part {
            Part::Train => &mut fold.train[task.number],
            Part::Test => &mut fold.test[task.number],
        };
        *slot = Some(result);
        self.done += 1;
    }

    /// Takes in one more batch of the first search that can give one. `false`: none can now.
    pub fn propose(&mut self, sweep: &Sweep, takes: &dyn Fn(&[u32]) -> bool) -> bool {
        for i in 0..self.folds.len() {
            let fold = &mut self.folds[i];
            if fold.over {
                continue;
            }
            if fold.search.needs_scores() {
                let batch = &fold.train[fold.batch..];
                if batch.iter().any(Option::is_none) {
                    continue;
                }
                let scores: Vec<Option<f64>> =
                    batch.iter().map(|r| r.as_ref().and_then(|r| sweep.scoring.score(r))).collect();
                fold.search.tell(&scores);
            }
            let points = fold.search.propose(takes);
            if points.is_empty() {
                fold.over = true;
                continue;
            }
            fold.batch = fold.points.len();
            for point in points {
                self.enlist(sweep, i, point);
            }
            return true;
        }
        false
    }

    /// A new combination: its runs are queued, or taken over from an earlier process.
    fn enlist(&mut self, sweep: &Sweep, fold: usize, point: Point) {
        let progress = &mut self.folds[fold];
        let number = progress.points.len();
        let trial = |part| sweep.trial(&point, &sweep.folds[fold], part).id();
        let mut parts = vec![(Part::Train, trial(Part::Train))];
        progress.train.push(None);
        if sweep.folds[fold].test.is_some() {
            progress.test.push(None);
            parts.push((Part::Test, trial(Part::Test)));
        }
        progress.points.push(point);
        for (part, id) in parts {
            let task = Task { fold, number, part };
            match self.finished.get(&id).cloned() {
                Some(result) => {
                    self.kept += 1;
                    self.note(sweep, &task, result);
                }
                None if part == Part::Train => self.train.push_back(task),
                None => self.test.push_back(task),
            }
        }
    }

    pub fn outcome(self, sweep: &Sweep, complete: bool) -> Outcome {
        let refused = self.folds.iter().map(|f| f.search.refused()).max().unwrap_or(0);
        let mut rows = Vec::new();
        for (fold, progress) in self.folds.into_iter().enumerate() {
            let mut test = progress.test.into_iter();
            for (number, (point, train)) in progress.points.into_iter().zip(progress.train).enumerate() {
                for (part, result) in [(Part::Train, train), (Part::Test, test.next().flatten())] {
                    let Some(result) = result else { continue };
                    let trial = sweep.trial(&point, &sweep.folds[fold], part).id();
                    let score = sweep.scoring.score(&result);
                    rows.push(Row { fold, number, part, point: point.clone(), score, trial, result });
                }
            }
        }
        Outcome { rows, refused, complete }
    }
}
