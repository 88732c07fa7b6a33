//! One writer per home, a private token, whole files, and the order of runs, on a real file system.
//! Never: wall time.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_second_writer_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("var");
    let home = Home::open(&path).unwrap();
    let error = Home::open(&path).unwrap_err();
    assert!(matches!(error, HomeError::Busy { pid: Some(pid), since: Some(_), .. } if pid == std::process::id()));
    let said = format!("{error} hint: {}", error.hint().unwrap());
    assert!(said.contains(&format!("process {}", std::process::id())) && said.contains("ctos stop"), "{said}");
    let reader = Home::read_only(&path).unwrap();
    assert_eq!(reader.writer().unwrap(), Some(std::process::id()));
    drop(home);
    assert_eq!(reader.writer().unwrap(), None);
    Home::open(&path).unwrap();
}

/// This test starts its own binary again: the child tries to open the home that the parent holds.
#[test]
fn a_second_process_is_refused() {
    const VAR: &str = "CTOS_TEST_HOME_OF_PARENT";
    if let Some(path) = std::env::var_os(VAR) {
        match Home::open(Path::new(&path)) {
            Err(HomeError::Busy { pid: Some(pid), .. }) => println!("refused by {pid}"),
            other => println!("unexpected {other:?}"),
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let try_in_child = || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "home::tests::a_second_process_is_refused", "--nocapture"]).env(VAR, dir.path());
        String::from_utf8(child.output().unwrap().stdout).unwrap()
    };
    let home = Home::open(dir.path()).unwrap();
    let said = try_in_child();
    assert!(said.contains(&format!("refused by {}", std::process::id())), "{said}");
    drop(home);
    let said = try_in_child();
    assert!(said.contains("unexpected Ok"), "{said}");
}

#[test]
fn the_token_is_made_once_and_kept_private() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Home::read_only(dir.path()).unwrap().api_token(), Err(HomeError::NoToken { .. })));
    let home = Home::open(dir.path()).unwrap();
    let token = home.api_token().unwrap();
    assert_eq!(home.api_token().unwrap(), token);
    assert_eq!(token.secret().len(), 64);
    assert!(token.matches(token.secret()) && !token.matches("") && !token.matches(&"0".repeat(64)));
    assert_eq!(format!("{token:?}"), "ApiToken(***)");
    let path = dir.path().join("api-token");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let error = home.api_token().unwrap_err();
    assert!(matches!(error, HomeError::TokenMode { mode: 0o644, .. }));
    assert!(error.to_string().contains("644") && error.hint().unwrap().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "short\n").unwrap();
    assert!(matches!(home.api_token(), Err(HomeError::Damaged { .. })));
}

#[test]
fn the_address_is_only_believed_while_its_process_holds_the_home() {
    let dir = tempfile::tempdir().unwrap();
    let info = ApiInfo { address: "127.0.0.1:1".into(), pid: std::process::id(), run_id: "r".into() };
    let home = Home::open(dir.path()).unwrap();
    assert_eq!(home.read_api().unwrap(), None);
    home.write_api(&info).unwrap();
    let reader = Home::read_only(dir.path()).unwrap();
    assert_eq!(reader.read_api().unwrap(), Some(info));
    drop(home);
    assert_eq!(reader.read_api().unwrap(), None, "nobody is running");
    let home = Home::open(dir.path()).unwrap();
    home.remove_api().unwrap();
    home.remove_api().unwrap();
    assert_eq!(home.read_api().unwrap(), None);
}

#[test]
fn latches_survive_and_damage_is_not_a_release() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    assert_eq!(home.read_latches::<Vec<String>>().unwrap(), None);
    home.write_latches(&["HALTED"]).unwrap();
    drop(home);
    let home = Home::read_only(dir.path()).unwrap();
    assert_eq!(home.read_latches::<Vec<String>>().unwrap().unwrap(), ["HALTED"]);
    assert!(matches!(home.write_latches(&["x"]), Err(HomeError::ReadOnly { .. })));
    std::fs::write(dir.path().join("latches.json"), "").unwrap();
    assert!(matches!(home.read_latches::<Vec<String>>(), Err(HomeError::Damaged { .. })));
}

#[test]
fn runs_are_listed_in_the_order_they_were_made() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    assert_eq!(home.latest_run().unwrap(), None);
    for id in ["zebra", "alpha", "middle-2"] {
        home.create_run(id, &serde_json::json!({ "seed": 1 })).unwrap();
    }
    assert!(matches!(home.create_run("alpha", &1), Err(HomeError::RunExists { .. })));
    for bad in ["", ".", "..", "a/b", "a b", ".hidden", &"x".repeat(64)] {
        assert!(matches!(home.create_run(bad, &1), Err(HomeError::BadRunId { .. })), "{bad:?}");
    }
    // A crash in the middle of making a run.
    std::fs::create_dir_all(dir.path().join("runs/.new-half/journal")).unwrap();
    drop(home);
    let home = Home::open(dir.path()).unwrap();
    assert!(!dir.path().join("runs/.new-half").exists());
    let ids: Vec<String> = home.runs().unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(ids, ["zebra", "alpha", "middle-2"]);
    let run = home.latest_run().unwrap().unwrap();
    assert_eq!((run.id.as_str(), run.number), ("middle-2", 3));
    assert!(run.journal_dir().is_dir() && run.snapshots_dir().is_dir());
    assert_eq!(run.read_run::<serde_json::Value>().unwrap().unwrap()["seed"], 1);
    assert_eq!(run.read_summary::<serde_json::Value>().unwrap(), None);
    run.write_summary(&serde_json::json!({ "fills": 3 })).unwrap();
    assert_eq!(home.run("middle-2").unwrap().read_summary::<serde_json::Value>().unwrap().unwrap()["fills"], 3);
    assert!(matches!(home.run("nothing"), Err(HomeError::NoRun { .. })));
}

#[test]
fn a_home_that_is_not_there_or_not_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Home::read_only(&dir.path().join("no")), Err(HomeError::Missing { .. })));
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(Home::read_only(&file), Err(HomeError::Missing { .. })));
    assert!(matches!(Home::open(&file), Err(HomeError::Io { .. })));
}
