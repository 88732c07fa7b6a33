//! What a twin is made of: product, accounts and keys, limits, fees. Never: state.

use crate::sign::KeyMaterial;
use ctos_types::{Currency, Decimal, Nanos, UnixNanos};
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// The two markets of the venue. They share symbols and words, not rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    Spot,
    /// USD-margined perpetual futures.
    UsdM,
}

/// Settings of one twin: one product, one port.
#[derive(Clone, Debug)]
pub struct TwinConfig {
    pub product: Product,
    /// Decides keys, ids and every fault's dice. The market has its own seed.
    pub seed: u64,
    /// The venue's clock when the doors open.
    pub start: UnixNanos,
    pub accounts: Vec<AccountSetting>,
    pub limits: LimitSettings,
    /// Unknown parameters are refused with -1104 instead of ignored.
    pub strict_params: bool,
}

/// One account of the venue, the same on every product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSetting {
    pub name: String,
    /// Starting balances on spot.
    pub spot: Vec<(Currency, Decimal)>,
    /// Starting balances of the cross margin account beside it.
    #[serde(default)]
    pub margin: Vec<(Currency, Decimal)>,
    /// Starting wallet of the futures account.
    pub usdm: Vec<(Currency, Decimal)>,
    pub keys: Vec<KeySetting>,
    /// Spot fees are paid in this currency at a discount of a quarter, while there is some of it.
    #[serde(default)]
    pub fee_token: Option<Currency>,
}

/// An API key of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetting {
    pub api_key: String,
    pub material: KeyMaterial,
    #[serde(default = "yes")]
    pub can_trade: bool,
    /// A key that may move money out: clients should refuse to use it.
    #[serde(default)]
    pub can_withdraw: bool,
    /// Whether the key is bound to addresses.
    #[serde(default = "yes")]
    pub ip_restricted: bool,
}

fn yes() -> bool {
    true
}

/// What a client may use, per address and per account. `None`: the product's own figures.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Request weight per minute and address.
    pub weight: Option<u32>,
    /// Orders per 10 s and account.
    pub orders_10s: Option<u32>,
    /// Requests answered with 429 in one minute before the address is banned.
    pub strikes: u32,
    /// First ban in seconds; each further one is twice as long, up to three days.
    pub ban_secs: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        LimitSettings { weight: None, orders_10s: None, strikes: 10, ban_secs: 120 }
    }
}

impl AccountSetting {
    /// A funded account with one HMAC key, the same for the same seed.
    pub fn test(seed: u64) -> AccountSetting {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7477_696e);
        let (api_key, secret) = (random_text(&mut rng, 64), random_text(&mut rng, 64));
        let coin = |c: &str, n: i64| (Currency::cut(c), Decimal::from_int(n));
        AccountSetting {
            name: "test".into(),
            spot: vec![coin("BNB", 100), coin("BTC", 2), coin("ETH", 20), coin("USDT", 100_000)],
            margin: vec![coin("USDT", 10_000)],
            usdm: vec![coin("USDT", 100_000)],
            keys: vec![KeySetting {
                api_key,
                material: KeyMaterial::Hmac { secret },
                can_trade: true,
                can_withdraw: false,
                ip_restricted: true,
            }],
            fee_token: None,
        }
    }

    /// The first HMAC key with its secret, for telling a test client.
    pub fn hmac_pair(&self) -> Option<(&str, &str)> {
        self.keys.iter().find_map(|k| match &k.material {
            KeyMaterial::Hmac { secret } => Some((k.api_key.as_str(), secret.as_str())),
            _ => None,
        })
    }
}

impl TwinConfig {
    pub fn new(product: Product, seed: u64, start: UnixNanos) -> TwinConfig {
        TwinConfig {
            product,
            seed,
            start,
            accounts: vec![AccountSetting::test(seed)],
            limits: LimitSettings::default(),
            strict_params: false,
        }
    }
}

/// How long before `start` the market has been running, so that there are klines and trades to read.
pub const DEFAULT_HISTORY: Nanos = Nanos::from_secs(3_600);

/// Letters and digits, as the venue's own ids and keys.
pub(crate) fn random_text(rng: &mut impl Rng, len: usize) -> String {
    const CHARS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..len).map(|_| char::from(CHARS[(rng.next_u64() % 62) as usize])).collect()
}

/// Why a twin cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TwinError {
    pub message: String,
    pub hint: String,
}

impl TwinError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> TwinError {
        TwinError { message: message.into(), hint: hint.into() }
    }
}
