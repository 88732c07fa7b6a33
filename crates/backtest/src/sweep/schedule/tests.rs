use super::super::objective::Objective;
use super::super::search::Method;
use super::super::space::tests::space;
use super::super::split::{Split, Walk, Window, folds};
use super::super::trial::{DataRange, FORMAT, Figures, Models};
use super::*;
use ctos_runtime::config::{Layers, Settings};
use ctos_types::{Nanos, UnixNanos};
use proptest::prelude::*;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

/// A trial without data, for tests of what never runs it.
pub fn some_trial(seed: u64) -> Trial {
    let settings = Settings::resolve(&Layers::new()).unwrap();
    let models = Models {
        strategy_id: "s".into(),
        account: "main".into(),
        accounts: settings.accounts,
        venue: settings.venue,
        risk: settings.risk,
    };
    let data = DataRange {
        market: "replay:none".into(),
        digest: String::new(),
        symbols: Vec::new(),
        from: UnixNanos(0),
        to: UnixNanos(1),
        warm_up: Nanos::ZERO,
    };
    Trial {
        format: FORMAT,
        program: "test".into(),
        strategy: "ma_cross".into(),
        params: BTreeMap::new(),
        data,
        models: Arc::new(models),
        seed,
    }
}

pub fn some_sweep(method: Method, sizes: &[usize], trials: u64, walk: u32) -> Sweep {
    let range = Window { from: UnixNanos(0), to: UnixNanos::from_secs(1_000_000) };
    let split = (walk > 0).then_some(Split { folds: walk, walk: Walk::Rolling, train: 3 });
    Sweep {
        base: some_trial(1),
        space: Arc::new(space(sizes)),
        plan: Plan { method, trials, batch: 8, seed: 5 },
        folds: folds(range, split, Nanos::ZERO).unwrap(),
        scoring: Scoring { objective: Objective::Sharpe, min_trades: 0 },
    }
}

/// A known function instead of a market: a hill whose top moves with the window.
#[derive(Default)]
pub struct Hill {
    pub runs: AtomicUsize,
    /// Ends this trial, counted from 1, with an error.
    pub fails_at: usize,
    /// Raises `stop` at this trial.
    pub stops_at: usize,
    /// Refuses combinations whose first two values add up to an odd number.
    pub picky: bool,
}

fn number(params: &BTreeMap<String, String>, name: &str) -> f64 {
    params.get(name).map_or(0.0, |v| v.parse().unwrap())
}

impl Engine for Hill {
    fn run(&self, trial: &Trial, stop: &AtomicBool) -> Result<Option<TrialResult>, RunError> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if run == self.fails_at {
            return Err(RunError::Internal("the disk is gone".into()));
        }
        if run == self.stops_at {
            stop.store(true, Ordering::Relaxed);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (a, b) = (number(&trial.params, "a"), number(&trial.params, "b"));
        let top = 3.0 + trial.data.from.0 as f64 / 1e14;
        // Trials take unlike time, so that they end in another order than they began.
        for _ in 0..(a as u64 * 7 + b as u64 * 3) % 11 {
            std::thread::yield_now();
        }
        let sharpe = 2.0 - (a - top).abs() / 3.0 - (b - 5.0).abs() / 7.0;
        let figures =
            Figures { sharpe: Some(sharpe), total_return: Some(sharpe / 10.0), trades: 7, ..Figures::default() };
        Ok(Some(TrialResult { figures, ..TrialResult::default() }))
    }

    fn takes(&self, _: &str, params: &BTreeMap<String, String>) -> Result<(), UserError> {
        let odd = (number(params, "a") + number(params, "b")) % 2.0 == 1.0;
        if self.picky && odd { Err(UserError::new("odd", "take an even one")) } else { Ok(()) }
    }
}

fn go(sweep: &Sweep, engine: &Hill, dir: &Path, jobs: usize) -> Result<Outcome, RunError> {
    let (mut store, finished) = Store::open(dir, &"test", false)?;
    run(sweep, engine, &mut store, finished, jobs, &AtomicBool::new(false), &|_| ())
}

fn rows(sweep: &Sweep, jobs: usize) -> Vec<Row> {
    let dir = tempfile::tempdir().unwrap();
    let outcome = go(sweep, &Hill::default(), dir.path(), jobs).unwrap();
    assert!(outcome.complete);
    outcome.rows
}

#[test]
fn any_number_of_jobs_gives_the_same_table() {
    for (method, walk) in [(Method::Grid, 0), (Method::Random, 3), (Method::Tpe, 0), (Method::Tpe, 3)] {
        let sweep = some_sweep(method, &[12, 12], 40, walk);
        let one = rows(&sweep, 1);
        let points = if method == Method::Grid { 144 } else { 40 };
        assert_eq!(one.len(), points * if walk > 0 { 2 * walk as usize } else { 1 });
        for jobs in [2, 5] {
            assert!(rows(&sweep, jobs) == one, "{method:?} with {jobs} jobs");
        }
    }
}

#[test]
fn every_fold_finds_its_own_hill() {
    let sweep = some_sweep(Method::Tpe, &[12, 12], 80, 3);
    let all = rows(&sweep, 2);
    let best = |fold| {
        let of = all.iter().filter(|r: &&Row| r.fold == fold && r.part == Part::Train);
        of.max_by(|a, b| a.score.unwrap().total_cmp(&b.score.unwrap())).unwrap().point.clone()
    };
    assert!(best(0)[0] < best(2)[0], "{:?} {:?}", best(0), best(2));
}

#[test]
fn refused_combinations_are_counted_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Hill { picky: true, ..Hill::default() };
    let outcome = go(&some_sweep(Method::Grid, &[4, 4], 1, 0), &engine, dir.path(), 2).unwrap();
    assert_eq!((outcome.rows.len(), outcome.refused), (8, 8));
    let mut all_odd = some_sweep(Method::Grid, &[1, 2], 1, 0);
    all_odd.base.params.insert("a".into(), "1".into());
    all_odd.space = Arc::new(
        Space::new(vec![super::super::axis::Axis {
            name: "b".into(),
            scale: super::super::axis::Scale::Linear,
            values: vec!["0".into(), "2".into()],
            open: false,
        }])
        .unwrap(),
    );
    let other = tempfile::tempdir().unwrap();
    match go(&all_odd, &engine, other.path(), 1) {
        Err(RunError::User(e)) => assert!(e.message.contains("no combination is possible; for example: odd")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_ends_the_sweep_and_keeps_what_was_finished() {
    let sweep = some_sweep(Method::Tpe, &[12, 12], 40, 0);
    let whole = rows(&sweep, 1);
    let dir = tempfile::tempdir().unwrap();
    let failing = Hill { fails_at: 20, ..Hill::default() };
    assert!(matches!(go(&sweep, &failing, dir.path(), 2), Err(RunError::Internal(e)) if e == "the disk is gone"));
    let engine = Hill::default();
    let outcome = go(&sweep, &engine, dir.path(), 2).unwrap();
    assert!(outcome.rows == whole);
    assert!((20..=21).contains(&engine.runs.into_inner()), "19 or 20 trials were taken over");
}

#[test]
fn a_panicking_engine_is_an_error_and_nobody_waits_for_it() {
    struct Panics;
    impl Engine for Panics {
        fn run(&self, _: &Trial, _: &AtomicBool) -> Result<Option<TrialResult>, RunError> {
            panic!("on purpose");
        }
        fn takes(&self, _: &str, _: &BTreeMap<String, String>) -> Result<(), UserError> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut store, finished) = Store::open(dir.path(), &"test", false).unwrap();
    let sweep = some_sweep(Method::Tpe, &[9], 9, 0);
    let result = run(&sweep, &Panics, &mut store, finished, 3, &AtomicBool::new(false), &|_| ());
    assert!(matches!(result, Err(RunError::Internal(e)) if e.contains("panicked")));
}

#[test]
fn progress_counts_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, finished) = Store::open(dir.path(), &"test", false).unwrap();
    let seen = Mutex::new(Vec::new());
    let sweep = some_sweep(Method::Tpe, &[3, 3], 40, 2);
    let told = |s: &Status| lock(&seen).push(s.clone());
    run(&sweep, &Hill::default(), &mut store, finished, 2, &AtomicBool::new(false), &told).unwrap();
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 36);
    assert!(seen.iter().all(|s| s.total == 36 && s.kept == 0 && s.eta.is_some() && s.best.is_some()));
    assert_eq!(seen.iter().map(|s| s.done).max(), Some(36));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn stopped_anywhere_the_same_sweep_goes_on_to_the_same_table(
        stops in prop::collection::vec(1usize..60, 1..4), method in 0usize..3, jobs in 1usize..4, walk in 0u32..3
    ) {
        let sweep = some_sweep(Method::ALL[method].1, &[6, 6], 30, walk);
        let dir = tempfile::tempdir().unwrap();
        for stops_at in stops {
            go(&sweep, &Hill { stops_at, ..Hill::default() }, dir.path(), jobs).unwrap();
        }
        let engine = Hill::default();
        let outcome = go(&sweep, &engine, dir.path(), jobs).unwrap();
        prop_assert!(outcome.complete && outcome.rows == rows(&sweep, 1));
        let again = Hill::default();
        prop_assert!(go(&sweep, &again, dir.path(), jobs).unwrap().rows == outcome.rows);
        prop_assert_eq!(again.runs.into_inner(), 0, "a finished sweep runs nothing");
    }
}
