use super::*;
use ctos_runtime::config::Layers;
use std::path::Path;

fn settings(dir: &Path, more: &[(&str, &str)]) -> Settings {
    let home = dir.join("home").display().to_string();
    let mut layers = Layers::new();
    for (path, text) in [("home", home.as_str()), ("api.enabled", "false"), ("duration", "30m")] {
        layers.flag("--conf", path, text);
    }
    layers.flag_strategy("ma_cross");
    for (key, text) in more {
        layers.flag_param(key, text);
    }
    Settings::resolve(&layers).unwrap()
}

fn request(dir: &Path, more: &[(&str, &str)]) -> Request {
    let folder = Some(dir.join("deep/down/run"));
    let settings = settings(dir, more);
    Request { settings, from: None, to: None, warm_up: Nanos::ZERO, folder, pessimistic: true }
}

fn go(request: &Request) -> Result<Option<Done>, RunError> {
    backtest(request, Catalog::default(), &mut |_| true)
}

#[track_caller]
fn refused(request: &Request, dir: &Path, why: &str) {
    match go(request) {
        Err(RunError::User(e)) => {
            assert!(e.message.contains(why), "{}", e.message);
            assert!(!e.hint.is_empty() && !e.message.contains('\n'), "{e:?}");
        }
        other => panic!("{why}: {other:?}"),
    }
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "{why}: something was left");
}

#[test]
fn what_cannot_run_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let is = request(dir, &[]);
    refused(&request(dir, &[("slow", "30")]), dir, "needs 30m of bars before its first signal, and sees 30m");
    refused(&request(dir, &[("fats", "3")]), dir, "no parameter fats");
    refused(&request(dir, &[("fast", "21")]), dir, "21 is not below slow");
    let start = Shared::open(&is.settings).unwrap().range().from;
    let at = |minutes: i64| Some(start.after(Nanos::from_secs(minutes * 60)));
    refused(&Request { from: at(5), to: at(5), ..is.clone() }, dir, "is empty");
    refused(&Request { from: at(5), to: at(4), ..is.clone() }, dir, "is empty");
    refused(&Request { from: at(60), ..is.clone() }, dir, "there is no data from");
    refused(&Request { to: at(-1), ..is.clone() }, dir, "there is no data before");
    refused(&Request { warm_up: Nanos::from_secs(60), ..is.clone() }, dir, "a warm-up needs a time");
    let long = Nanos::from_secs(6 * 60);
    refused(&Request { from: at(5), warm_up: long, ..is.clone() }, dir, "before the data");
    refused(&Request { from: at(25), to: at(30), ..is.clone() }, dir, "and sees 5m");
}

#[test]
fn an_interrupted_run_leaves_nothing_in_either_part() {
    let dir = tempfile::tempdir().unwrap();
    let is = request(dir.path(), &[]);
    for pessimistic in [false, true] {
        let done = backtest(&is, Catalog::default(), &mut |status| status.pessimistic != pessimistic).unwrap();
        assert!(done.is_none());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_was_there_stays_when_a_run_fails() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("deep")).unwrap();
    go(&request(dir.path(), &[("fats", "3")])).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path().join("deep")).unwrap().count(), 0);
}
