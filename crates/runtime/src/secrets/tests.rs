//! Where keys are found, what is refused, and that nothing of them is ever said.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const API: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn in_file(path: &Path) -> SecretSettings {
    SecretSettings { file: Some(path.into()), command: Vec::new() }
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
}

fn at_venue(key: &str) -> VenueAccount {
    VenueAccount::binance(crate::config::ProfileName::Spot, key)
}

/// The error, and that it says nothing it must not.
#[track_caller]
fn refused(settings: &SecretSettings, key: &str, what: &str, hint: &str) {
    let error = credentials(settings, &at_venue(key), env(&[])).unwrap_err();
    let text = format!("{error:?} {error} {}", error.hint);
    assert!(error.message.contains(what), "{what:?} is not in {text}");
    assert!(error.hint.contains(hint), "{hint:?} is not in {text}");
    for part in [&API[..12], &SECRET[..12], "MC4CAQAw"] {
        assert!(!text.contains(part), "{text}");
    }
}

#[test]
fn keys_are_found_in_files_of_both_generations() {
    let place = Place::new();
    place.file("ed.pem", PEM, 0o600);
    let text = format!(
        "keys:\n  main: {{api_key: \"{API}\", api_secret: \"{SECRET}\"}}\n  ed:\n    api_key: {API}\n    private_key_file: ed.pem\n\
         accounts:\n  binance:\n    main: {{api_key: other, api_secret: other}}\n    old: {{public_key: {API}, secret_key: {SECRET}}}\n"
    );
    let settings = in_file(&place.file("secrets.yaml", &text, 0o600));
    let kind = |key: &str| credentials(&settings, &at_venue(key), env(&[])).unwrap().kind().to_string();
    assert_eq!([kind("main"), kind("ed"), kind("old")], ["HMAC", "Ed25519", "HMAC"]);
    let found = find(&settings, "main", env(&[])).unwrap().unwrap();
    assert_eq!(found.api_key.as_str(), API, "the newer form wins");
    let shown = format!("{found:?}");
    assert!(shown.contains("***") && !shown.contains(&API[..8]) && !shown.contains(&SECRET[..8]), "{shown}");
    refused(&settings, "nobody", "no API key called nobody", "CTOS__SECRETS__NOBODY__API_KEY");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let place = Place::new();
    let text = format!("keys:\n  main: {{api_key: {API}, api_secret: {SECRET}}}\n");
    for mode in [0o644, 0o640, 0o604, 0o602] {
        let path = place.file("secrets.yaml", &text, mode);
        refused(&in_file(&path), "main", &format!("mode {mode:03o}"), &format!("chmod 600 {}", path.display()));
    }
    place.file("open.pem", PEM, 0o644);
    let text = format!("keys:\n  main: {{api_key: {API}, private_key_file: open.pem}}\n");
    refused(&in_file(&place.file("secrets.yaml", &text, 0o600)), "main", "can be read by others", "open.pem");
    refused(&in_file(&place.0.path().join("nowhere")), "main", "cannot read", "path");
    refused(&in_file(place.0.path()), "main", "", "");
}

#[test]
fn mistakes_are_told_without_what_was_written() {
    let place = Place::new();
    let of = |text: String| in_file(&place.file("s.yaml", &text, 0o600));
    for (text, what, hint) in [
        (format!("{SECRET}\n"), "s.yaml", "secrets.example"),
        (format!("keys: {SECRET}\n"), "s.yaml:1", "secrets.example"),
        (format!("{SECRET}: x\n"), "s.yaml:1: unknown section", "keys"),
        (format!("key:\n  main: {{api_key: {API}}}\n"), "unknown section", "did you mean keys?"),
        (format!("keys:\n  main: {SECRET}\n"), "s.yaml:2", "secrets.example"),
        (format!("keys:\n  main:\n    api_key: [{API}]\n"), "s.yaml:3", "api_key"),
        (format!("keys:\n  main: {{api_key: {API}, api_secrte: {SECRET}}}\n"), "not known", "did you mean api_secret?"),
        (format!("keys:\n  main: {{api_key: {API}, {SECRET}: x}}\n"), "not known", "api_key"),
        (format!("keys:\n  main: {{api_key: {API}}}\n"), "no api_secret", "private_key_file"),
        (format!("keys:\n  main: {{api_secret: {SECRET}}}\n"), "no api_key", "api_key"),
        (
            format!("keys:\n  main: {{api_key: {API}, api_secret: {SECRET}, private_key: {SECRET}}}\n"),
            "more than one",
            "one of",
        ),
        (format!("keys:\n  main: {{api_key: {API}, api_secret: \"{SECRET} x\"}}\n"), "cannot be used", "copy"),
        (format!("keys:\n  main: {{api_key: {API}, api_secret: *{SECRET}}}\n"), "s.yaml:2: not readable", "quote"),
        (format!("keys:\n\tmain: {{api_key: \"{API}, api_secret: {SECRET}\n"), "not readable", "quote"),
    ] {
        refused(&of(text), "main", what, hint);
    }
}

#[test]
fn the_environment_comes_first_and_is_no_setting() {
    let place = Place::new();
    let path = place.file("secrets.yaml", "keys:\n  my-grid: {api_key: file, api_secret: file}\n", 0o600);
    let pem = place.file("ed.pem", PEM, 0o600);
    let vars = |pairs: &[(&str, &str)]| credentials(&in_file(&path), &at_venue("my-grid"), env(pairs)).unwrap();
    let set = vars(&[("CTOS__SECRETS__MY_GRID__API_KEY", API), ("CTOS__SECRETS__MY_GRID__API_SECRET", SECRET)]);
    assert_eq!(set.api_key(), API);
    let file = pem.to_str().unwrap();
    let set = vars(&[("CTOS__SECRETS__my-grid__api_key", API), ("CTOS__SECRETS__MY_GRID__PRIVATE_KEY_FILE", file)]);
    assert_eq!(set.kind().to_string(), "Ed25519");
    assert_eq!(vars(&[("CTOS__SECRETS__OTHER__API_KEY", API), ("PATH", "/bin")]).api_key(), "file");
    let half = env(&[("CTOS__SECRETS__MY_GRID__API_KEY", API)]);
    let error = credentials(&in_file(&path), &at_venue("my-grid"), half).unwrap_err();
    assert!(error.message.contains("the environment has no api_secret"), "{error}");
    for (name, is) in [
        ("CTOS__SECRETS__MAIN__API_KEY", true),
        ("CTOS__SECRETS__MAIN__PRIVATE_KEY_FILE", true),
        ("CTOS__SECRETS__FILE", false),
        ("CTOS__SECRETS____API_KEY", false),
        ("CTOS__ACCOUNTS__0__KEY", false),
    ] {
        assert_eq!(is_key_variable(name), is, "{name}");
    }
    let mut layers = crate::config::Layers::new();
    layers.env(env(&[("CTOS__SECRETS__MAIN__API_SECRET", SECRET), ("CTOS__SECRETS__FILE", "keys.yaml")]));
    let settings = crate::config::Settings::resolve(&layers).unwrap();
    assert_eq!(settings.secrets.file.as_deref(), Some(Path::new("keys.yaml")));
    assert!(!format!("{settings:?}").contains(SECRET));
}

#[test]
fn a_program_can_hold_the_keys() {
    let place = Place::new();
    let command = |script: &str| SecretSettings {
        file: None,
        command: ["sh", "-c", script, "helper", "{key}"].map(String::from).to_vec(),
    };
    place.file("x", "", 0o600);
    let json = format!("printf '{{\"api_key\": \"%s\", \"api_secret\": \"{SECRET}\"}}' {API}");
    let set = credentials(&command(&json), &at_venue("main"), env(&[])).unwrap();
    assert_eq!(set.api_key(), API);
    let named = format!("test \"$1\" = sub1 && printf 'api_key: {API}\\napi_secret: {SECRET}\\n'");
    assert!(credentials(&command(&named), &at_venue("sub1"), env(&[])).is_ok());
    refused(&command(&named), "main", "ended with 1", "by hand");
    refused(&command("true"), "main", "no api_key", "api_key");
    refused(&command(&format!("echo {SECRET}")), "main", "output of sh", "secrets.example");
    let missing = SecretSettings { file: None, command: vec!["/nowhere/helper".into()] };
    refused(&missing, "main", "cannot be started", "path");
}
