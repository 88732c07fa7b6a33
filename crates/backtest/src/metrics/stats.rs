//! Statistics of a list of returns. Each is `None` where it is not defined: never NaN, never infinite.
//! Never: touches money.

/// Mean and shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    pub n: usize,
    pub mean: f64,
    /// Of a sample: divided by `n - 1`.
    pub deviation: Option<f64>,
    /// Of the population, as is `kurtosis`, of which a normal distribution has 3.
    pub skew: Option<f64>,
    pub kurtosis: Option<f64>,
}

/// Returns that differ by less than this share of their size do not vary: what is left of them is rounding.
const NOISE: f64 = 1e-14;

impl Moments {
    /// `None` for an empty list.
    pub fn of(values: &[f64]) -> Option<Moments> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let count = n as f64;
        let mean = values.iter().sum::<f64>() / count;
        let central = |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / count;
        let variance = central(2);
        let size = values.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        let varies = n > 1 && libm::sqrt(variance) > NOISE * size.max(f64::MIN_POSITIVE);
        let deviation = (n > 1).then(|| if varies { libm::sqrt(variance * count / (count - 1.0)) } else { 0.0 });
        let skew = varies.then(|| central(3) / (variance * libm::sqrt(variance)));
        let kurtosis = varies.then(|| central(4) / (variance * variance));
        Some(Moments { n, mean, deviation, skew: finite(skew), kurtosis: finite(kurtosis) })
    }

    /// Mean by deviation, per period.
    pub fn sharpe(&self) -> Option<f64> {
        ratio(self.mean, self.deviation?)
    }
}

/// `a / b`; `None` for a zero divisor or a result that is no number.
pub fn ratio(a: f64, b: f64) -> Option<f64> {
    finite((b != 0.0).then(|| a / b))
}

pub fn finite(x: Option<f64>) -> Option<f64> {
    x.filter(|x| x.is_finite())
}

/// Mean by downside deviation (the root of the mean square of the negative returns, over all of them), per period.
pub fn sortino(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let squares: f64 = values.iter().map(|v| v.min(0.0).powi(2)).sum();
    ratio(values.iter().sum::<f64>() / n, libm::sqrt(squares / n))
}

/// The `q`-quantile of sorted values, linear between the two nearest. `None` for an empty list.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, part) = (at.floor() as usize, at - at.floor());
    Some(sorted[low] + part * (sorted[(low + 1).min(last)] - sorted[low]))
}

/// Fewer returns than this have no observation of their own in a 5 % tail.
const TAIL_LEAST: usize = 20;

/// Value at risk and expected shortfall at 95 %, as losses: positive where something is lost.
pub fn tail_risk(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < TAIL_LEAST {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = quantile(&sorted, 0.05)?;
    let tail: Vec<f64> = sorted.into_iter().take_while(|v| *v <= cut).collect();
    let mean = tail.iter().sum::<f64>() / tail.len() as f64;
    // Adding zero turns a negative zero into a plain one.
    Some((-cut + 0.0, -mean + 0.0))
}

/// Counts of returns in bins of equal width.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Histogram {
    /// Lower edge of the first bin.
    pub from: f64,
    /// Width of a bin; zero when all returns are the same, in one bin.
    pub width: f64,
    pub counts: Vec<u64>,
}

impl Histogram {
    /// Between 5 and 60 bins: about the square root of the number of returns.
    pub fn of(values: &[f64]) -> Histogram {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if values.is_empty() {
            return Histogram::default();
        }
        if high <= low {
            return Histogram { from: low, width: 0.0, counts: vec![values.len() as u64] };
        }
        let bins = (libm::sqrt(values.len() as f64).ceil() as usize).clamp(5, 60);
        let width = (high - low) / bins as f64;
        let mut counts = vec![0; bins];
        for v in values {
            counts[(((v - low) / width) as usize).min(bins - 1)] += 1;
        }
        Histogram { from: low, width, counts }
    }
}
