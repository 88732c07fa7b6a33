//! One trial as a record that can be run anywhere: what is run, on what, under which models, and what came out.
//! Never: anything that the machine, the number of jobs or the moment decides.

use ctos_runtime::RunError;
use ctos_runtime::config::{AccountSettings, RiskSettings, VenueSettings};
use ctos_types::{Currency, Decimal, Nanos, UnixNanos};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Version of [`Trial`] and [`TrialResult`]: it changes when the same record would mean something else.
pub const FORMAT: u32 = 1;

/// Everything that decides a trial's result. Equal trials have equal results on every machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub format: u32,
    /// Version of the program: another one may trade otherwise.
    pub program: String,
    pub strategy: String,
    /// As the strategy reads them; absent ones take their defaults.
    pub params: BTreeMap<String, String>,
    pub data: DataRange,
    pub models: Arc<Models>,
    /// Seeds the synthetic market and every random model.
    pub seed: u64,
}

/// Which data is traded on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRange {
    /// As in `--market`.
    pub market: String,
    /// Digest of the recording, in hex.
    pub digest: String,
    /// Empty: all of the recording.
    pub symbols: Vec<String>,
    /// Trading begins here, in ns since 1970 UTC.
    pub from: UnixNanos,
    /// The run ends here, before what happens at this moment.
    pub to: UnixNanos,
    /// How long before `from` the strategy sees the market without trading, in ns.
    pub warm_up: Nanos,
}

/// What the simulated exchange, the accounts and the limits are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Models {
    /// What the strategy is called; limits may name it.
    pub strategy_id: String,
    /// Id of the account it trades on.
    pub account: String,
    pub accounts: Vec<AccountSettings>,
    pub venue: VenueSettings,
    pub risk: RiskSettings,
}

impl Trial {
    /// Names the trial by its content: 32 hex digits.
    pub fn id(&self) -> String {
        hash(self)[..32].to_owned()
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// Why the strategy ended before the data, when it failed. Such a trial has no score.
    pub failed: Option<String>,
    pub figures: Figures,
    /// Worth of all accounts by the currency it is counted in, at the start and at the end. Exact.
    pub equity: BTreeMap<Currency, Worth>,
    /// Hash of everything the strategy ordered.
    pub command_hash: String,
    /// Market events of the run.
    pub events: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worth {
    pub start: Decimal,
    pub end: Decimal,
}

/// The run in numbers; `None` where a figure has no value, as a Sharpe ratio without any change of worth. Formulas:
/// docs/metrics.md.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub total_return: Option<f64>,
    pub annual_return: Option<f64>,
    pub volatility: Option<f64>,
    pub sharpe: Option<f64>,
    pub sortino: Option<f64>,
    pub calmar: Option<f64>,
    /// A share of the worth, 0 to 1.
    pub max_drawdown: Option<f64>,
    pub win_rate: Option<f64>,
    pub profit_factor: Option<f64>,
    pub expectancy: Option<f64>,
    /// Closed trades.
    pub trades: u64,
    pub fills: u64,
    pub returns: Returns,
}

/// Shape of the returns by period: what a deflated Sharpe ratio is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Returns {
    /// Number of periods.
    pub count: u64,
    /// Mean over deviation of one period, not annualised.
    pub sharpe: Option<f64>,
    pub skewness: Option<f64>,
    /// 3 for a normal distribution.
    pub kurtosis: Option<f64>,
}

impl TrialResult {
    /// Equal results have equal hashes: 64 hex digits.
    pub fn hash(&self) -> String {
        hash(self)
    }
}

/// SHA-256 of the JSON of `value`, in hex. Field order is fixed and maps are ordered, so the text is one and the same.
pub fn hash<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_vec(value).expect("a record of plain values has a JSON text");
    Sha256::digest(&text).iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs trials: this process, or one day another machine.
pub trait Engine: Sync {
    /// Runs one trial to its end; `Ok(None)` when `stop` was raised before. The same trial gives the same result.
    ///
    /// # Errors
    /// What would befall every trial alike, such as data that cannot be read. A strategy that fails is a result.
    fn run(&self, trial: &Trial, stop: &AtomicBool) -> Result<Option<TrialResult>, RunError>;

    /// Whether the strategy accepts these parameters; why not, and what it would take.
    ///
    /// # Errors
    /// The strategy's own refusal.
    fn takes(&self, strategy: &str, params: &BTreeMap<String, String>) -> Result<(), ctos_runtime::UserError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_survive_their_text_bit_for_bit() {
        let figures = Figures {
            sharpe: Some(0.1 + 0.2),
            total_return: Some(1.0 / 3.0),
            calmar: Some(-7.234_567_890_123_457e-5),
            ..Figures::default()
        };
        let equity = [(Currency::cut("USDT"), Worth { start: Decimal::ONE, end: Decimal::from_atoms(1) })].into();
        let result = TrialResult { figures, equity, events: 9, ..TrialResult::default() };
        let text = serde_json::to_string(&result).unwrap();
        let back: TrialResult = serde_json::from_str(&text).unwrap();
        assert_eq!((back.hash(), &back), (result.hash(), &result));
        assert_eq!(result.hash().len(), 64);
    }
}
