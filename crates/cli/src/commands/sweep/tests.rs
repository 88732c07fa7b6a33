use super::progress::short;
use super::*;
use std::time::Duration;

#[test]
fn times_are_utc_and_checked() {
    let want = UnixNanos::from_secs(1_641_340_800);
    for text in ["2022-01-05", "2022-01-05T00:00:00Z", "2022-01-05 00:00", "2022-01-05T00:00"] {
        assert_eq!(time(text), Ok(want), "{text}");
    }
    assert_eq!(time("2022-01-05T08:30:01Z"), Ok(UnixNanos::from_secs(1_641_340_800 + 30_601)));
    for text in ["", "2022", "2022-01", "2022-13-01", "2022-02-30", "2022-01-05T25:00", "05.01.2022", "soon"] {
        assert!(time(text).is_err(), "{text}");
    }
}

#[test]
fn spans_left_read_well() {
    let texts = [0.2, 61.0, 3_900.0].map(|s| short(Duration::from_secs_f64(s)));
    assert_eq!(texts, ["1s", "1m01s", "1h05m"]);
}
