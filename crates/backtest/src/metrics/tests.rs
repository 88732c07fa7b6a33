//! Figures against numpy, scipy and pandas (`vectors/make.py` made the numbers), and small cases worked out by hand.

use super::*;
use crate::collect::equity::{Buckets, sample};
use crate::log::TradeSums;
use crate::log::{AccountFacts, EquityPoint, Facts};
use ctos_types::{AccountId, Interval};
use serde_json::Value;

const VECTORS: &str = include_str!("vectors/vectors.json");

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn usdt() -> Currency {
    Currency::new("USDT").unwrap()
}

fn line(points: Vec<EquityPoint>, secs: u32) -> EquityLine {
    EquityLine { account: Some(AccountId(0)), currency: usdt(), bucket: Interval::from_secs(secs).unwrap(), points }
}

/// A log of one account with these samples: second and worth.
fn log(samples: &[(i64, &str)]) -> RunLog {
    let points: Vec<_> = samples.iter().map(|(s, e)| sample(UnixNanos::from_secs(*s), d(e), None)).collect();
    let account = AccountFacts { name: "main".into(), reporting: usdt(), start_equity: points[0].open };
    let (from, to) = (points[0].at, points[points.len() - 1].at);
    let facts = Facts { accounts: vec![account], from, to, ..Facts::default() };
    RunLog { facts, equity: vec![line(points, 1)], ..RunLog::default() }
}

#[track_caller]
fn close(what: &str, have: Option<f64>, want: &Value) {
    match (have, want.as_f64()) {
        (None, None) => {}
        (Some(have), Some(want)) => {
            let error = (have - want).abs() / want.abs().max(1e-6);
            assert!(error < 1e-9, "{what}: {have}, expected {want}");
        }
        (have, want) => panic!("{what}: {have:?}, expected {want:?}"),
    }
}

#[test]
fn figures_agree_with_numpy_scipy_and_pandas() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (start, gap) = (case["start_s"].as_i64().unwrap(), case["gap_s"].as_i64().unwrap());
        let mut buckets = Buckets::new(20_000);
        for (n, cents) in (0..).zip(case["cents"].as_array().unwrap()) {
            let at = UnixNanos::from_secs(start + n * gap);
            buckets.push(at, Decimal::new(cents.as_i64().unwrap(), 2), None);
        }
        let (bucket, points) = buckets.into_points();
        let line = line(points, bucket.secs());
        let end = UnixNanos::from_secs(case["end_s"].as_i64().unwrap());
        let trials = Trials { count: 50, sharpe_variance: Some(0.01) };
        let (p, series) = performance(&line, end, trials).unwrap();
        assert_eq!(p.periods as u64, case["periods"].as_u64().unwrap(), "{name}");
        assert_eq!(u64::from(p.periods_per_year), case["per_year"].as_u64().unwrap(), "{name}");
        for (what, have) in [
            ("total_return", p.total_return),
            ("annual_return", p.annual_return),
            ("volatility", p.volatility),
            ("sharpe", p.sharpe),
            ("sortino", p.sortino),
            ("calmar", p.calmar),
            ("skew", p.skew),
            ("kurtosis", p.kurtosis),
            ("var_95", p.var_95),
            ("cvar_95", p.cvar_95),
            ("probabilistic_sharpe", p.probabilistic_sharpe),
            ("deflated_sharpe_50_0.01", p.deflated_sharpe),
            ("rolling_last", series.rolling_sharpe.last().and_then(|(_, s)| *s)),
        ] {
            close(&format!("{name} {what}"), have, &case[what]);
        }
        let fall = &case["drawdown"];
        close(&format!("{name} fall"), Some(p.max_drawdown.amount.to_f64()), &fall["amount"]);
        close(&format!("{name} drawdown"), Some(p.max_drawdown.ratio), &fall["ratio"]);
        assert_eq!(p.max_drawdown.length_s, fall["length_s"].as_i64().unwrap(), "{name}");
        assert_eq!(p.max_drawdown.longest_s, fall["longest_s"].as_i64().unwrap(), "{name}");
        let months = returns::months(&line.points, end);
        let want = case["months"].as_array().unwrap();
        assert_eq!(months.len(), want.len(), "{name}");
        for (have, want) in months.iter().zip(want) {
            close(&format!("{name} {}-{}", have.year, have.month), have.change, want);
        }
        assert_eq!(series.rolling_sharpe.len() as u64, case["rolling_count"].as_u64().unwrap(), "{name}");
        assert_eq!(series.histogram.counts.iter().sum::<u64>(), series.returns.len() as u64, "{name}");
    }
}

#[test]
fn the_normal_distribution_agrees_with_scipy() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for (list, of) in [("quantiles", normal::quantile as fn(f64) -> f64), ("cdf", normal::cdf)] {
        for pair in vectors[list].as_array().unwrap() {
            let (x, want) = (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap());
            let have = of(x);
            let error = (have - want).abs();
            assert!(
                error <= 1e-12 * want.abs() || want == 0.0 && error < 1e-15,
                "{list}({x}): {have}, expected {want}"
            );
        }
    }
    assert!(normal::quantile(-0.1).is_nan() && normal::quantile(f64::NAN).is_nan());
    assert_eq!(normal::quantile(1.0), f64::INFINITY);
}

#[test]
fn more_trials_make_the_same_ratio_less_certain() {
    assert_eq!(normal::expected_best_sharpe(1, 0.04), 0.0);
    // Bailey and López de Prado (2014): the best of 10 and of 1,000 trials, in deviations.
    assert!((normal::expected_best_sharpe(10, 1.0) - 1.57).abs() < 0.01);
    assert!((normal::expected_best_sharpe(1_000, 1.0) - 3.26).abs() < 0.01);
    let samples: Vec<(i64, String)> =
        (0..200).map(|n| (n * 86_400, format!("{}", 10_000 + n * 10 + if n % 3 == 0 { 60 } else { 0 }))).collect();
    let samples: Vec<(i64, &str)> = samples.iter().map(|(s, e)| (*s, e.as_str())).collect();
    let of = |count| of(&log(&samples), Trials { count, sharpe_variance: None }).unwrap().performance;
    let (one, ten, many) = (of(1), of(10), of(1_000));
    assert_eq!(one.deflated_sharpe, one.probabilistic_sharpe);
    assert!(one.deflated_sharpe > ten.deflated_sharpe && ten.deflated_sharpe > many.deflated_sharpe);
}

#[test]
fn drawdown_by_hand() {
    let samples =
        [(0, "100"), (10, "120"), (20, "90"), (30, "110"), (40, "120"), (50, "130"), (60, "117"), (70, "125")];
    let m = of(&log(&samples), Trials::default()).unwrap().performance.max_drawdown;
    let at = |s| Some(UnixNanos::from_secs(s));
    assert_eq!((m.amount, m.ratio), (d("30"), 0.25));
    assert_eq!((m.peak_at, m.trough_at, m.recovered_at), (at(10), at(20), at(40)));
    assert_eq!((m.length_s, m.longest_s), (30, 30));
    // A fall that is never made good lasts until the end; one inside a bucket knows no finer time than the bucket.
    let open = [(0, "100"), (10, "50"), (20, "80")];
    let m = of(&log(&open), Trials::default()).unwrap().performance.max_drawdown;
    assert_eq!((m.ratio, m.recovered_at, m.length_s, m.longest_s), (0.5, None, 20, 20));
    let rising = of(&log(&[(0, "1"), (5, "2")]), Trials::default()).unwrap().performance.max_drawdown;
    assert_eq!((rising.ratio, rising.peak_at, rising.length_s, rising.longest_s), (0.0, None, 0, 0));
}

#[test]
fn what_is_not_defined_is_null() {
    let m = of(&log(&[(0, "100")]), Trials::default()).unwrap();
    let json = serde_json::to_value(&m).unwrap();
    for name in ["annual_return", "volatility", "sharpe", "sortino", "calmar", "var_95", "deflated_sharpe", "turnover"]
    {
        assert!(json.get(name).is_some_and(|v| v.is_null() || name == "turnover"), "{name}: {}", json[name]);
    }
    assert!(json["trades"]["win_rate"].is_null() && json["trades"]["profit_factor"].is_null());
    assert_eq!((json["total_return"].as_f64(), json["periods"].as_u64()), (Some(0.0), Some(1)));
    assert_eq!(of(&RunLog::default(), Trials::default()), None);
    // Nothing to start from, and everything lost: no ratio is made up.
    let zero = of(&log(&[(0, "0"), (100, "5")]), Trials::default()).unwrap().performance;
    assert_eq!((zero.total_return, zero.sharpe, zero.periods), (None, None, 0));
    let lost = of(&log(&[(0, "100"), (86_400, "-20"), (20 * 86_400, "-20")]), Trials::default()).unwrap();
    let p = lost.performance;
    assert_eq!((p.annual_return, p.max_drawdown.ratio, p.max_drawdown.amount), (Some(-1.0), 1.0, d("120")));
    assert_eq!(p.periods, 2, "returns end where nothing was left");
    assert!(!serde_json::to_string(&p).unwrap().contains("NaN"));
}

#[test]
fn the_end_of_the_run_closes_the_last_period() {
    // 31 days, with the last sample at midnight of 1 February: 31 returns and one month.
    let start = UnixNanos::from_civil(2022, 1, 1, 0, 0, 0, 0).unwrap().0 / 1_000_000_000;
    let samples: Vec<(i64, String)> = (0..=31).map(|n| (start + n * 86_400, (100 + n).to_string())).collect();
    let samples: Vec<(i64, &str)> = samples.iter().map(|(s, e)| (*s, e.as_str())).collect();
    let m = of(&log(&samples), Trials::default()).unwrap();
    assert_eq!((m.performance.periods, m.performance.period), (31, Period::Day));
    assert_eq!(m.months, [Month { year: 2022, month: 1, change: Some(131.0 / 100.0 - 1.0) }]);
    let last = m.series.returns.last().unwrap();
    assert_eq!(last.0, UnixNanos::from_civil(2022, 2, 1, 0, 0, 0, 0).unwrap());
    // Midnight opens a day: the last one begins with 130 and takes in the sample at the very end.
    assert_eq!(last.1, 131.0 / 129.0 - 1.0);
}

#[test]
fn periods_follow_the_length_of_the_run() {
    let fit =
        |hours: i64, bucket: u32| Period::fitting(Nanos::from_secs(hours * 3600), Interval::from_secs(bucket).unwrap());
    assert_eq!(
        [fit(9, 1), fit(10, 1), fit(239, 60), fit(240, 60)],
        [Period::Minute, Period::Hour, Period::Hour, Period::Day]
    );
    // Never finer than what was kept.
    assert_eq!([fit(9, 120), fit(10, 3_600), fit(10, 7_200)], [Period::Hour, Period::Hour, Period::Day]);
}

#[test]
fn trade_figures_by_hand() {
    let sums = TradeSums {
        count: 5,
        wins: 2,
        losses: 2,
        won: d("30"),
        lost: d("12"),
        best: d("20"),
        worst: d("8"),
        held_ns: 50_000_000_000,
    };
    let f = TradeFigures::of(usdt(), &sums);
    assert_eq!((f.win_rate, f.profit_factor, f.payoff, f.avg_held_s), (Some(0.4), Some(2.5), Some(2.5), Some(10.0)));
    assert_eq!((f.expectancy, f.avg_win, f.avg_loss), (Some(d("3.6")), Some(d("15")), Some(d("6"))));
    assert_eq!((f.best, f.worst), (Some(d("20")), Some(d("8"))));
    let none = TradeFigures::of(usdt(), &TradeSums::default());
    assert_eq!((none.count, none.win_rate, none.expectancy, none.best), (0, None, None, None));
}
