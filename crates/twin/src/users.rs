//! Accounts, their keys and their listen keys. Never: balances (the exchange's), a socket.

use crate::config::{AccountSetting, KeySetting, Product, TwinError, random_text};
use crate::error::ApiError;
use crate::loans::Loan;
use crate::saved::{Word, pairs, word};
use crate::sign::Verifier;
use ctos_types::{AccountId, Currency, Decimal, InstrumentId, Leg, Position};
use ctos_venue::{AccountConfig, FeeCurrency};
use rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Life of a listen key without a keep-alive.
const LISTEN_KEY_MS: i64 = 60 * 60_000;
/// What an account starts with.
pub(crate) const DEFAULT_LEVERAGE: i64 = 20;

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub user: usize,
    pub verifier: Verifier,
    /// Only these may log a WebSocket session on.
    pub ed25519: bool,
    pub setting: KeySetting,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListenKey {
    pub text: String,
    pub expires_ms: i64,
}

/// One account and what the exchange engine does not keep of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub name: String,
    pub listen_key: Option<ListenKey>,
    /// USD-M: long and short are separate positions.
    pub hedge: bool,
    pub multi_assets: bool,
    pub leverage: BTreeMap<InstrumentId, i64>,
    pub isolated: BTreeMap<InstrumentId, bool>,
    /// Positions as the fills made them, for the profit of each fill.
    #[serde(with = "pairs")]
    pub positions: BTreeMap<(InstrumentId, Leg), Position>,
    #[serde(with = "pairs")]
    pub realized: BTreeMap<(InstrumentId, Leg), Decimal>,
    /// Dead-man switch per symbol: when everything is cancelled.
    pub countdown: BTreeMap<InstrumentId, i64>,
    pub income: Vec<Income>,
    pub fee_token: Option<Currency>,
    /// Margin accounts: what is owed.
    #[serde(with = "pairs")]
    pub loans: BTreeMap<Currency, Loan>,
    /// USD-M: margin added to isolated positions.
    #[serde(with = "pairs")]
    pub added: BTreeMap<(InstrumentId, Leg), Decimal>,
}

/// Lines of a futures account's history that are remembered.
const INCOME_KEPT: usize = 100_000;

impl User {
    pub fn note(&mut self, line: Income) {
        self.income.push(line);
        if self.income.len() > INCOME_KEPT {
            self.income.drain(..INCOME_KEPT / 4);
        }
    }
}

/// A line of the futures account's history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Income {
    pub symbol: String,
    #[serde(deserialize_with = "word")]
    pub kind: Word,
    pub amount: Decimal,
    pub asset: String,
    pub at_ms: i64,
    pub id: i64,
    pub trade: String,
}

/// Accounts with their keys, as they are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedUsers {
    list: Vec<User>,
    keys: Vec<(usize, KeySetting)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub list: Vec<User>,
    keys: BTreeMap<String, Key>,
    product: Product,
}

impl Users {
    pub fn new(product: Product, accounts: &[AccountSetting]) -> Result<Users, TwinError> {
        let mut users = Users { list: Vec::new(), keys: BTreeMap::new(), product };
        // On spot every account has a margin account, behind all the others.
        let margins = if product == Product::Spot { accounts } else { &[] };
        let names = accounts.iter().map(|a| (a, a.name.clone()));
        for (account, name) in names.chain(margins.iter().map(|a| (a, format!("{}:margin", a.name)))) {
            users.list.push(User {
                name,
                listen_key: None,
                hedge: false,
                multi_assets: false,
                leverage: BTreeMap::new(),
                isolated: BTreeMap::new(),
                positions: BTreeMap::new(),
                realized: BTreeMap::new(),
                countdown: BTreeMap::new(),
                income: Vec::new(),
                fee_token: account.fee_token,
                loans: BTreeMap::new(),
                added: BTreeMap::new(),
            });
        }
        for (user, account) in accounts.iter().enumerate() {
            for key in &account.keys {
                users.add_key(user, key.clone()).map_err(|why| {
                    TwinError::new(format!("account {}: {why}", account.name), "give each account keys of its own")
                })?;
            }
        }
        Ok(users)
    }

    /// Errors: why the key cannot be used.
    pub fn add_key(&mut self, user: usize, setting: KeySetting) -> Result<(), String> {
        let verifier = setting.material.verifier()?;
        let fits = setting.api_key.len() == 64 && setting.api_key.bytes().all(|b| b.is_ascii_alphanumeric());
        if !fits {
            return Err("an API key is 64 letters and digits".into());
        }
        if self.keys.contains_key(&setting.api_key) {
            return Err("the API key is in use already".into());
        }
        let ed25519 = matches!(verifier, Verifier::Ed25519(_));
        self.keys.insert(setting.api_key.clone(), Key { user, verifier, ed25519, setting });
        Ok(())
    }

    /// Withdraws a key: whatever uses it is refused from now on.
    pub fn revoke(&mut self, api_key: &str) -> bool {
        self.keys.remove(api_key).is_some()
    }

    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|u| u.name == name)
    }

    /// Errors: malformed (-2014) or unknown (-2015).
    pub fn key(&self, api_key: Option<&str>) -> Result<&Key, ApiError> {
        let text = api_key.unwrap_or_default();
        if text.is_empty() || text.len() != 64 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ApiError::new(-2014, "API-key format invalid.").status(401));
        }
        self.keys.get(text).ok_or_else(not_authorised)
    }

    pub fn save(&self) -> SavedUsers {
        let keys = self.keys.values().map(|k| (k.user, k.setting.clone())).collect();
        SavedUsers { list: self.list.clone(), keys }
    }

    /// Errors: a key that cannot be used.
    pub fn restore(&mut self, saved: SavedUsers) -> Result<(), String> {
        (self.list, self.keys) = (saved.list, BTreeMap::new());
        saved.keys.into_iter().try_for_each(|(user, key)| {
            if user >= self.list.len() {
                return Err("a key of no account".into());
            }
            self.add_key(user, key)
        })
    }

    // ---- listen keys

    /// The account's listen key: the same one while it lives, good for another hour.
    pub fn listen_key(&mut self, user: usize, now_ms: i64, rng: &mut impl Rng) -> String {
        let slot = &mut self.list[user].listen_key;
        let expires_ms = now_ms + LISTEN_KEY_MS;
        match slot.as_mut().filter(|k| k.expires_ms > now_ms) {
            Some(key) => key.expires_ms = expires_ms,
            None => *slot = Some(ListenKey { text: random_text(rng, 64), expires_ms }),
        }
        slot.as_ref().map(|k| k.text.clone()).unwrap_or_default()
    }

    /// Whose stream a listen key opens.
    pub fn listener(&self, text: &str, now_ms: i64) -> Option<usize> {
        let live = |u: &User| u.listen_key.as_ref().is_some_and(|k| k.text == text && k.expires_ms > now_ms);
        self.list.iter().position(live)
    }

    // ---- accounts of the engine

    /// The engine's account behind a user. USD-M has two: which is used depends on the position mode, because the
    /// engine's accounts keep theirs for life.
    pub fn engine(&self, user: usize) -> AccountId {
        match self.product {
            Product::Spot => AccountId(user as u16),
            Product::UsdM => AccountId(2 * user as u16 + u16::from(self.list[user].hedge)),
        }
    }

    /// The cross margin account of a spot account.
    pub fn margin_of(&self, user: usize) -> usize {
        user + self.list.len() / 2
    }

    pub fn of_engine(&self, id: AccountId) -> usize {
        match self.product {
            Product::Spot => usize::from(id.0),
            Product::UsdM => usize::from(id.0 / 2),
        }
    }

    /// Engine accounts for the settings.
    pub fn engine_accounts(product: Product, accounts: &[AccountSetting]) -> Vec<AccountConfig> {
        let mut out = Vec::new();
        let margins = if product == Product::Spot { accounts } else { &[] };
        for (n, a) in margins.iter().enumerate() {
            let account = AccountConfig::cash(AccountId((accounts.len() + n) as u16), a.margin.clone());
            // Loans are the twin's own: the engine's account holds what is there, borrowed or not.
            out.push(account);
        }
        for (n, a) in accounts.iter().enumerate() {
            let n = n as u16;
            match product {
                Product::Spot => {
                    let mut account = AccountConfig::cash(AccountId(n), a.spot.clone());
                    if let Some(currency) = a.fee_token {
                        let discount = Decimal::new(25, 2);
                        account.fees.currency = FeeCurrency::Token { currency, discount, prices: Vec::new() };
                    }
                    out.push(account);
                }
                Product::UsdM => {
                    let leverage = Decimal::from_int(DEFAULT_LEVERAGE);
                    let one_way = AccountConfig::cash(AccountId(2 * n), a.usdm.clone());
                    out.push(AccountConfig { leverage, ..one_way });
                    let hedge = AccountConfig::cash(AccountId(2 * n + 1), Vec::new());
                    out.push(AccountConfig { leverage, hedge_mode: true, ..hedge });
                }
            }
        }
        out
    }
}

pub(crate) fn not_authorised() -> ApiError {
    ApiError::new(-2015, "Invalid API-key, IP, or permissions for action.").status(401)
}
