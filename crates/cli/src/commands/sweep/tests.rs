use super::progress::short;
use std::time::Duration;

#[test]
fn spans_left_read_well() {
    let texts = [0.2, 61.0, 3_900.0].map(|s| short(Duration::from_secs_f64(s)));
    assert_eq!(texts, ["1s", "1m01s", "1h05m"]);
}
