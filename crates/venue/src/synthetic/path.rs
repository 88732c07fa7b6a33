//! Where prices come from: a shared factor and one source of its own per coin, each with clustered volatility,
//! fat tails, jumps and slow trends. Never: a book, a grid, a time of day.

use super::config::CoinConfig;
use super::random::{Stream, bits};
use serde::{Deserialize, Serialize};

/// Steps of the model per second.
pub(super) const STEPS_PER_SEC: u64 = 4;
const SECS_PER_DAY: f64 = 86_400.0;

/// Log-volatility is a sum of mean-reverting parts: (time constant in seconds, standard deviation).
/// Three scales together decay like the slow, power-law-like memory of real volatility.
const VOL_PARTS: [(f64, f64); 3] = [(150.0, 0.40), (3_600.0, 0.40), (43_200.0, 0.45)];
/// Each part stays within this many standard deviations.
const VOL_PART_MAX: f64 = 4.0;

/// Jumps per day of each source, their size in daily volatilities, and how far one lifts the fastest volatility part.
const JUMPS_PER_DAY: f64 = 5.0;
const JUMP_SIZE: f64 = 0.09;
const JUMP_KICK: f64 = 1.5;

/// Trend regimes: mean length, and drift in daily volatilities per day. Small beside the noise of a minute.
const REGIME_SECS: f64 = 4.0 * 3_600.0;
const REGIME_DRIFT: f64 = 0.8;

/// The log price is drawn back to its start with this time constant, so that an endless stream stays on its grid.
const HOME_DAYS: f64 = 90.0;
/// And never leaves this distance: a factor of about ten either way.
pub(super) const MAX_LOG_MOVE: f64 = 2.25;

/// One source of returns, in units of the coin's daily volatility.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Source {
    stream: Stream,
    parts: Vec<Float>,
    /// Current volatility; its mean square is 1.
    #[serde(with = "bits")]
    vol: f64,
    /// -1 falling, 0 flat, 1 rising.
    regime: i8,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Float(#[serde(with = "bits")] f64);

/// Constants of the update that need a transcendental function, computed once.
#[derive(Clone, Debug)]
struct Rates {
    /// Per volatility part: what is kept over a second, and the weight of the new draw.
    parts: [(f64, f64); VOL_PARTS.len()],
    /// Mean of the log-volatility that makes the mean square volatility 1.
    log_vol: f64,
    /// Standard deviation of the continuous part of one step.
    step_sd: f64,
    jump_p: f64,
    drift: f64,
}

impl Rates {
    fn new() -> Rates {
        let step_days = 1.0 / (SECS_PER_DAY * STEPS_PER_SEC as f64);
        Rates {
            parts: VOL_PARTS.map(|(tau, _)| {
                let keep = libm::exp(-1.0 / tau);
                (keep, (1.0 - keep * keep).sqrt())
            }),
            log_vol: -VOL_PARTS.iter().map(|(_, sd)| sd * sd).sum::<f64>(),
            step_sd: ((1.0 - JUMPS_PER_DAY * JUMP_SIZE * JUMP_SIZE) * step_days).sqrt(),
            jump_p: JUMPS_PER_DAY * step_days,
            drift: REGIME_DRIFT * step_days,
        }
    }
}

impl Source {
    fn new(seed: u64, label: &str) -> Source {
        let mut stream = Stream::new(seed, label);
        let parts = (0..VOL_PARTS.len()).map(|_| Float(clamp(stream.normal(), VOL_PART_MAX))).collect();
        let regime = pick_regime(&mut stream);
        Source { stream, parts, vol: 1.0, regime }
    }

    fn second(&mut self, rates: &Rates) {
        let mut log_vol = rates.log_vol;
        for ((part, (keep, new)), (_, sd)) in self.parts.iter_mut().zip(rates.parts).zip(VOL_PARTS) {
            part.0 = clamp(part.0 * keep + self.stream.normal() * new, VOL_PART_MAX);
            log_vol += sd * part.0;
        }
        self.vol = libm::exp(log_vol);
        if self.stream.uniform() < 1.0 / REGIME_SECS {
            self.regime = pick_regime(&mut self.stream);
        }
    }

    fn step(&mut self, rates: &Rates) -> f64 {
        let mut r = self.stream.student() * self.vol * rates.step_sd + f64::from(self.regime) * rates.drift;
        if self.stream.uniform() < rates.jump_p {
            r += self.stream.normal() * JUMP_SIZE;
            self.parts[0].0 = clamp(self.parts[0].0 + JUMP_KICK, VOL_PART_MAX);
        }
        r
    }

    fn is_sane(&self) -> bool {
        let parts = self.parts.len() == VOL_PARTS.len() && self.parts.iter().all(|p| p.0.abs() <= VOL_PART_MAX);
        parts && self.stream.is_alive() && (0.0..1e3).contains(&self.vol) && self.regime.abs() <= 1
    }
}

fn pick_regime(stream: &mut Stream) -> i8 {
    (stream.bits() % 3) as i8 - 1
}

fn clamp(x: f64, limit: f64) -> f64 {
    x.clamp(-limit, limit)
}

/// Everything about the prices that changes, in the order of the coins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PathState {
    factor: Source,
    coins: Vec<CoinState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CoinState {
    own: Source,
    /// Log of price over start price.
    #[serde(with = "bits")]
    log_move: f64,
    #[serde(with = "bits")]
    vol: f64,
}

#[derive(Clone, Debug)]
struct CoinParams {
    start: f64,
    /// Share of the shared factor in a return, and of the coin's own source; their squares sum to the daily variance.
    shared: f64,
    own: f64,
    /// Squared shares of the two in the variance.
    shared_part: f64,
    step_sd: f64,
}

/// The efficient prices of a list of coins. A coin's path depends on the seed, its own settings and the shared
/// factor, never on which other coins are in the list.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    rates: Rates,
    params: Vec<CoinParams>,
    pub state: PathState,
    home: f64,
}

impl Paths {
    pub fn new<'a>(seed: u64, coins: impl Iterator<Item = &'a CoinConfig>) -> Paths {
        let rates = Rates::new();
        let (mut params, mut states) = (Vec::new(), Vec::new());
        for c in coins {
            params.push(CoinParams {
                start: c.start_price.to_f64(),
                shared: c.daily_vol * c.correlation.sqrt(),
                own: c.daily_vol * (1.0 - c.correlation).sqrt(),
                shared_part: c.correlation,
                step_sd: c.daily_vol * rates.step_sd,
            });
            let own = Source::new(seed, &format!("price {}", c.coin));
            states.push(CoinState { own, log_move: 0.0, vol: 1.0 });
        }
        let state = PathState { factor: Source::new(seed, "factor"), coins: states };
        Paths { rates, params, state, home: 1.0 / (HOME_DAYS * SECS_PER_DAY * STEPS_PER_SEC as f64) }
    }

    /// Advances every price by one step; `n` counts the steps, volatility moves once a second.
    pub fn step(&mut self, n: u64) {
        let whole_second = n.is_multiple_of(STEPS_PER_SEC);
        if whole_second {
            self.state.factor.second(&self.rates);
        }
        let shared = self.state.factor.step(&self.rates);
        for (c, p) in self.state.coins.iter_mut().zip(&self.params) {
            if whole_second {
                c.own.second(&self.rates);
                let (f, o) = (self.state.factor.vol, c.own.vol);
                c.vol = (p.shared_part * f * f + (1.0 - p.shared_part) * o * o).sqrt();
            }
            let r = p.shared * shared + p.own * c.own.step(&self.rates);
            c.log_move = clamp(c.log_move + r - self.home * c.log_move, MAX_LOG_MOVE);
        }
    }

    /// Efficient price in quote currency.
    pub fn price(&self, coin: usize) -> f64 {
        self.params[coin].start * libm::exp(self.state.coins[coin].log_move)
    }

    /// Current volatility over its long-run mean.
    pub fn vol(&self, coin: usize) -> f64 {
        self.state.coins[coin].vol
    }

    /// Standard deviation of one step's relative move at present.
    pub fn step_sd(&self, coin: usize) -> f64 {
        self.params[coin].step_sd * self.state.coins[coin].vol
    }

    /// Whether a restored state fits these coins.
    pub fn accepts(&self, state: &PathState) -> bool {
        let coin = |c: &CoinState| c.own.is_sane() && c.log_move.abs() <= MAX_LOG_MOVE && (0.0..1e3).contains(&c.vol);
        state.coins.len() == self.params.len() && state.factor.is_sane() && state.coins.iter().all(coin)
    }
}
