use super::*;
use crate::config::TwinConfig;
use crate::saved::Market;
use crate::twin::Twin;
use ctos_types::Nanos;

const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);
const DEED: &str = r#"{"do":"transfer","account":"test","asset":"USDT","amount":"1"}"#;

fn twin() -> Twin {
    let mut twin = Twin::synthetic(TwinConfig::new(Product::Spot, 7, START), 7, Nanos::from_secs(10)).unwrap();
    twin.record();
    twin
}

/// Dollars of the spot account, 100,000 at first.
fn money(twin: &mut Twin) -> String {
    let truth: serde_json::Value = serde_json::from_str(&twin.truth(START)).unwrap();
    let all = truth["accounts"][0]["balances"].as_array().unwrap();
    all.iter().find(|b| b["asset"] == "USDT").unwrap()["total"].as_str().unwrap().to_string()
}

fn again(dir: &StateDir) -> Twin {
    let Found { state, recorded } = dir.find(Product::Spot).unwrap().unwrap();
    let config = TwinConfig::new(Product::Spot, 7, START);
    Twin::resume(config, Market::Synthetic(7), state, &recorded, START).unwrap()
}

fn give(twin: &mut Twin, keeper: &mut Keeper) {
    twin.admin(START, DEED).unwrap();
    keeper.append(&twin.take_record()).unwrap();
}

#[test]
fn a_directory_belongs_to_one() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = StateDir::open(&tmp.path().join("a/b")).unwrap();
    assert!(dir.meta().unwrap().is_none() && dir.find(Product::Spot).unwrap().is_none());
    let e = StateDir::open(&tmp.path().join("a/b")).unwrap_err();
    assert!(e.message.contains("another twin uses"), "{e}");
    drop(dir);
    assert!(StateDir::open(&tmp.path().join("a/b")).is_ok());
}

#[test]
fn states_and_lines_make_the_whole_at_every_moment() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = StateDir::open(tmp.path()).unwrap();
    let mut t = twin();
    let mut keeper = dir.keep(Product::Spot, &t.state()).unwrap();
    give(&mut t, &mut keeper);
    assert_eq!(money(&mut again(&dir)), "100001.00000000");
    // A turn that was not finished: the lines of both files count.
    let write = keeper.turn(t.state()).unwrap();
    give(&mut t, &mut keeper);
    assert_eq!(money(&mut again(&dir)), "100002.00000000");
    write().unwrap();
    assert_eq!(money(&mut again(&dir)), "100002.00000000");
    assert_eq!(dir.numbers(Product::Spot, ".state").unwrap(), [2]);
    assert_eq!(dir.numbers(Product::Spot, ".log").unwrap(), [2]);
    // A line that was cut off was never answered.
    let log = tmp.path().join("spot-2.log");
    give(&mut t, &mut keeper);
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, &text[..text.len() - 5]).unwrap();
    assert_eq!(money(&mut again(&dir)), "100002.00000000");
    fs::write(&log, format!("{{}}\n{text}")).unwrap();
    assert!(dir.find(Product::Spot).unwrap_err().message.contains("is damaged"));
}

#[test]
fn a_damaged_state_falls_back_to_the_one_before() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = StateDir::open(tmp.path()).unwrap();
    let mut t = twin();
    let mut keeper = dir.keep(Product::Spot, &t.state()).unwrap();
    give(&mut t, &mut keeper);
    drop(keeper.turn(t.state()).unwrap());
    give(&mut t, &mut keeper);
    fs::write(tmp.path().join("spot-2.state"), "{").unwrap();
    assert_eq!(money(&mut again(&dir)), "100002.00000000");
    fs::remove_file(tmp.path().join("spot-1.state")).unwrap();
    assert!(dir.find(Product::Spot).unwrap_err().message.contains("is damaged"));
}
