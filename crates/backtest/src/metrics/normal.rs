//! The normal distribution and what is built on it: how sure a Sharpe ratio is, and how lucky the best of many looks.
//! Never: annualises; every ratio here is per sampling period.

use super::stats::Moments;

const EULER_MASCHERONI: f64 = 0.577_215_664_901_532_9;

/// P(Z <= x) of a standard normal Z.
pub fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The x with `cdf(x) == p`; infinite at 0 and 1, NaN outside.
pub fn quantile(p: f64) -> f64 {
    if p.is_nan() || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return if p == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // The upper half by symmetry: a probability close to one has no digits left for its tail.
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    // The tail's leading terms, then Newton's method with the second-order term (Halley). It converges from anywhere
    // on this side, and three to six steps reach the last digits.
    let t = libm::sqrt(-2.0 * libm::log(p));
    let mut x = -(t - (2.30753 + 0.27061 * t) / (1.0 + t * (0.99229 + 0.04481 * t)));
    for _ in 0..6 {
        let density = libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * std::f64::consts::PI);
        let u = (cdf(x) - p) / density;
        let step = u / (1.0 + 0.5 * x * u);
        x -= step;
        if step.abs() <= 1e-16 * x.abs() {
            break;
        }
    }
    x
}

/// The variance of an estimated Sharpe ratio of returns with these moments (Mertens; Bailey and López de Prado).
/// `None` for fewer than two returns, or moments for which the approximation fails.
pub fn sharpe_variance(sharpe: f64, m: &Moments) -> Option<f64> {
    let (skew, kurtosis) = (m.skew?, m.kurtosis?);
    let shape = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe;
    (m.n > 1 && shape > 0.0).then(|| shape / (m.n - 1) as f64)
}

/// The probability that the true Sharpe ratio is above `benchmark`.
pub fn probabilistic_sharpe(sharpe: f64, benchmark: f64, m: &Moments) -> Option<f64> {
    sharpe_variance(sharpe, m).map(|v| cdf((sharpe - benchmark) / libm::sqrt(v)))
}

/// The Sharpe ratio that the best of `trials` worthless strategies is expected to show, when their ratios scatter with
/// `variance`. Zero for a single trial.
pub fn expected_best_sharpe(trials: u64, variance: f64) -> f64 {
    if trials < 2 {
        return 0.0;
    }
    let n = trials as f64;
    let best =
        (1.0 - EULER_MASCHERONI) * -quantile(1.0 / n) + EULER_MASCHERONI * -quantile(1.0 / (n * std::f64::consts::E));
    libm::sqrt(variance.max(0.0)) * best
}
