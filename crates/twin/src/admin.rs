//! What an operator of the twin can do to it: the fault script, standing oddities, and things venues do by themselves.
//! Never: reachable by the venue's own protocol.

use crate::config::{KeySetting, Product};
use crate::faults::Rule;
use crate::json::Obj;
use crate::orders::OrderType;
use crate::twin::Twin;
use ctos_types::{Currency, Decimal, InstrumentId, UnixNanos};
use serde::Deserialize;
use serde_json::Value;

/// A deed, as JSON with its name under `do`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Adds a rule to the fault script.
    Rule {
        rule: Rule,
    },
    /// Removes one rule, or all.
    RemoveRule {
        number: Option<u32>,
    },
    /// The venue's clock is off by so much.
    Skew {
        ms: i64,
    },
    /// The venue's clock goes wrong by so many millionths.
    Drift {
        ppm: i64,
    },
    /// Another deed, so much later, and again if it says how often.
    Later {
        ms: i64,
        every_ms: Option<i64>,
        deed: Value,
    },
    /// New orders cannot be queried for so long.
    Invisible {
        ms: i64,
    },
    /// Market data stops, pings go on; or goes on.
    Stall {
        on: bool,
    },
    /// Depth snapshots are so old.
    SnapshotAge {
        ms: i64,
    },
    /// A connection lives so long.
    Life {
        ms: i64,
    },
    /// Bans every address seen.
    Ban {
        secs: i64,
    },
    /// Ends bans.
    Unban,
    /// Closes every connection: in order with this code, or without a word.
    Close {
        code: Option<u16>,
    },
    /// Announces a shutdown, then closes every connection.
    Shutdown,
    /// Listen keys, or on spot the user subscriptions, end now.
    ExpireKeys,
    /// Cancels an order without being asked; all of the account's without an id.
    Cancel {
        account: String,
        order_id: Option<i64>,
    },
    /// An order the account's owner placed elsewhere.
    Foreign {
        account: String,
        symbol: String,
        side: String,
        quantity: Decimal,
        price: Option<Decimal>,
    },
    /// The market trades at a resting order's price until it is filled, or so much of it.
    Fill {
        account: String,
        order_id: i64,
        quantity: Option<Decimal>,
    },
    /// Trading of a symbol ends; its row stays with another status, or goes.
    Delist {
        symbol: String,
        #[serde(default)]
        remove: bool,
    },
    /// The warning before a liquidation.
    MarginCall {
        account: String,
    },
    /// Fills an order by more than its size.
    Overfill {
        account: String,
        order_id: i64,
        quantity: Decimal,
    },
    /// Closes a position as auto-deleveraging does.
    Adl {
        account: String,
        symbol: String,
        quantity: Option<Decimal>,
    },
    /// Closes all positions of an account as a liquidation does.
    Liquidate {
        account: String,
    },
    /// A funding payment now.
    Funding {
        symbol: String,
        rate: Decimal,
    },
    /// Deposits, or withdraws what is negative.
    Transfer {
        account: String,
        asset: String,
        amount: Decimal,
    },
    /// Changes a symbol's status or one of its filters.
    Symbol {
        symbol: String,
        change: Value,
    },
    /// Gives an account another key.
    AddKey {
        account: String,
        key: KeySetting,
    },
    RevokeKey {
        api_key: String,
    },
    /// Everything as it should be: no rules, no oddities, no bans.
    Behave,
}

/// Longer is for ever: ten years.
const LONGEST_SECS: i64 = 10 * 365 * 86_400;

impl Twin {
    /// Does one deed. Errors: what is wrong with it.
    pub fn admin(&mut self, now: UnixNanos, json: &str) -> Result<String, String> {
        self.advance(now);
        let deed: Deed = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let result = self.deed(deed).map(|extra| extra.unwrap_or_else(|| "{}".into()));
        let text = result.as_ref().unwrap_or_else(|why| why);
        self.note_deed(json, text);
        self.settle();
        result
    }

    pub(crate) fn user(&self, name: &str) -> Result<usize, String> {
        self.users.by_name(name).ok_or_else(|| format!("no account {name}"))
    }

    pub(crate) fn deed(&mut self, deed: Deed) -> Result<Option<String>, String> {
        let now = self.now_ms();
        match deed {
            Deed::Rule { rule } => {
                let number = self.faults.add(rule)?;
                return Ok(Some(Obj::new().int("number", number.into()).done()));
            }
            Deed::RemoveRule { number } => self.faults.remove(number),
            Deed::Skew { ms } => (self.faults.skew_ms, self.faults.drift) = (clock(ms), (0, 0)),
            Deed::Drift { ppm } => {
                // What it went wrong by so far stays.
                self.faults.skew_ms = self.server_ms() - now;
                self.faults.drift = (ppm.clamp(-1_000_000, 1_000_000), now);
            }
            Deed::Later { ms, every_ms, deed } => self.put_off(ms, every_ms, deed)?,
            Deed::Fill { account, order_id, quantity } => self.fill(&account, order_id, quantity)?,
            Deed::Delist { symbol, remove } => self.delist(&symbol, remove)?,
            Deed::MarginCall { account } => self.margin_call(&account)?,
            Deed::Invisible { ms } => self.faults.invisible_ms = ms.clamp(0, LONGEST_SECS * 1_000),
            Deed::Stall { on } => self.faults.stalled = on,
            Deed::SnapshotAge { ms } => self.faults.snapshot_age_ms = ms.clamp(0, LONGEST_SECS * 1_000),
            Deed::Life { ms } => self.faults.life_ms = ms.clamp(1_000, LONGEST_SECS * 1_000),
            Deed::Ban { secs } => self.limits.ban(None, now, secs.clamp(0, LONGEST_SECS) * 1_000),
            Deed::Unban => self.limits.ban(None, now, 0),
            Deed::Close { code } => self.close_all(code),
            Deed::Shutdown => {
                self.tell_shutdown();
                self.close_all(Some(1001));
            }
            Deed::ExpireKeys => self.expire_keys(),
            Deed::Cancel { account, order_id } => {
                let user = self.user(&account)?;
                let open = self.orders.open_of(user, None);
                let wanted = |n: &usize| order_id.is_none_or(|id| self.orders.list[*n].id == id);
                let list: Vec<usize> = open.into_iter().filter(wanted).collect();
                if list.is_empty() && order_id.is_some() {
                    return Err("no such open order".into());
                }
                for n in list {
                    self.cancel(n, None);
                }
            }
            Deed::Foreign { account, symbol, side, quantity, price } => {
                let order = self.foreign(&account, &symbol, &side, quantity, price)?;
                let n = self.submit(order).map_err(|r| r.to_string())?;
                return Ok(Some(Obj::new().int("orderId", self.orders.list[n].id).done()));
            }
            Deed::Overfill { account, order_id, quantity } => self.overfill(&account, order_id, quantity)?,
            Deed::Adl { account, symbol, quantity } => {
                let (user, id) = (self.user(&account)?, self.traded(&symbol)?);
                self.close_out(user, Some(id), quantity, OrderType::Market, &format!("adl_autoclose{now}"))?;
            }
            Deed::Liquidate { account } => {
                let user = self.user(&account)?;
                for n in self.orders.open_of(user, None) {
                    self.cancel(n, None);
                }
                self.close_out(user, None, None, OrderType::Liquidation, &format!("autoclose-{now}"))?;
            }
            Deed::Funding { symbol, rate } => self.fund(&symbol, rate)?,
            Deed::Transfer { account, asset, amount } => {
                let engine = self.users.engine(self.user(&account)?);
                let asset = Currency::new(&asset).map_err(|e| e.to_string())?;
                let mut batch = Vec::new();
                self.venue.transfer(self.now, engine, asset, amount, &mut batch).map_err(|e| e.to_string())?;
                self.absorb(batch, None);
            }
            Deed::Symbol { symbol, change } => {
                self.symbols.patch(self.product, &symbol, &change)?;
                if let Ok(id) = self.traded(&symbol) {
                    self.unveil(id);
                }
                if self.product == Product::UsdM {
                    self.publish_contract(&symbol);
                }
            }
            Deed::AddKey { account, key } => {
                let user = self.user(&account)?;
                self.users.add_key(user, key)?;
            }
            Deed::RevokeKey { api_key } => {
                if !self.users.revoke(&api_key) {
                    return Err("no such key".into());
                }
                self.tell_revoked(&api_key);
            }
            Deed::Behave => {
                self.faults.remove(None);
                let f = &mut self.faults;
                (f.drift, f.later) = ((0, 0), Vec::new());
                (f.skew_ms, f.invisible_ms, f.stalled, f.snapshot_age_ms) = (0, 0, false, 0);
                f.life_ms = 24 * 3_600_000;
                self.limits.ban(None, now, 0);
            }
        }
        Ok(None)
    }

    pub(crate) fn traded(&self, symbol: &str) -> Result<InstrumentId, String> {
        self.symbols.traded(symbol).map(|s| s.1).map_err(|e| e.msg)
    }
}

/// Milliseconds a clock can be off without leaving the times there are: a hundred years.
fn clock(ms: i64) -> i64 {
    const MOST: i64 = 100 * 365 * 86_400_000;
    ms.clamp(-MOST, MOST)
}
