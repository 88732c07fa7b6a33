//! What a client may use: request weight per address, orders per account, bans. Windows are aligned to the clock.
//! Never: reads a clock; time is an argument.

use crate::config::{LimitSettings, Product};
use crate::error::ApiError;
use crate::json::Obj;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

const MINUTE: i64 = 60_000;
/// Weight a minute of `/sapi` calls, by address and by account.
const SAPI_IP: u32 = 12_000;
const SAPI_UID: u32 = 180_000;
/// The longest ban: three days.
const LONGEST_BAN: i64 = 3 * 86_400_000;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Window {
    start: i64,
    used: u32,
}

impl Window {
    fn add(&mut self, now_ms: i64, len: i64, amount: u32) -> u32 {
        let start = now_ms - now_ms.rem_euclid(len);
        if start != self.start {
            *self = Window { start, used: 0 };
        }
        self.used = self.used.saturating_add(amount);
        self.used
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Address {
    weight: Window,
    /// Of the `/sapi` calls, which count apart.
    #[serde(default)]
    sapi: Window,
    strikes: Window,
    banned_until: i64,
    bans: u32,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Orders {
    /// Weight of the `/sapi` calls that count per account.
    #[serde(default)]
    uid: Window,
    short: Window,
    long: Window,
}

/// What has been used, apart from the settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Used {
    addresses: BTreeMap<IpAddr, Address>,
    accounts: BTreeMap<usize, Orders>,
}

/// Counters of one product.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    weight: u32,
    /// Limit and length of the two order windows.
    short: (u32, i64),
    long: (u32, i64),
    product: Product,
    strikes: u32,
    ban_ms: i64,
    addresses: BTreeMap<IpAddr, Address>,
    accounts: BTreeMap<usize, Orders>,
    refused: Refused,
}

/// Refusals since the twin began, for its truth.
#[derive(Clone, Debug, Default)]
struct Refused {
    /// Requests over a limit.
    limited: i64,
    /// Requests of a banned address.
    banned: Cell<i64>,
    /// Bans for asking too much, as opposed to those an operator injected.
    bans: i64,
}

impl Limits {
    pub fn new(product: Product, settings: &LimitSettings) -> Limits {
        let (weight, short, long) = match product {
            Product::Spot => (6_000, 100, (200_000, 86_400_000)),
            Product::UsdM => (2_400, 300, (1_200, MINUTE)),
        };
        Limits {
            weight: settings.weight.unwrap_or(weight),
            short: (settings.orders_10s.unwrap_or(short), 10_000),
            long,
            product,
            strikes: settings.strikes.max(1),
            ban_ms: i64::from(settings.ban_secs) * 1_000,
            addresses: BTreeMap::new(),
            accounts: BTreeMap::new(),
            refused: Refused::default(),
        }
    }

    /// Since the twin began, and of its own accord: requests over a limit and bans for them; and requests of addresses
    /// that were banned, for whatever reason.
    pub fn refused(&self) -> (i64, i64, i64) {
        (self.refused.limited, self.refused.banned.get(), self.refused.bans)
    }

    pub fn save(&self) -> Used {
        Used { addresses: self.addresses.clone(), accounts: self.accounts.clone() }
    }

    pub fn restore(&mut self, used: Used) {
        (self.addresses, self.accounts) = (used.addresses, used.accounts);
    }

    /// When the bans end, of those that were ever banned.
    pub fn bans(&self) -> BTreeMap<IpAddr, (i64, u32)> {
        let banned = self.addresses.iter().filter(|(_, a)| a.banned_until > 0);
        banned.map(|(ip, a)| (*ip, (a.banned_until, a.bans))).collect()
    }

    pub fn set_bans(&mut self, bans: &BTreeMap<IpAddr, (i64, u32)>) {
        for (ip, (until, count)) in bans {
            let a = self.addresses.entry(*ip).or_default();
            (a.banned_until, a.bans) = (*until, *count);
        }
    }

    /// The rows of exchangeInfo.
    pub fn rows(&self) -> Vec<String> {
        let mut rows = vec![row("REQUEST_WEIGHT", "MINUTE", 1, self.weight, None)];
        rows.extend(self.order_rows(None));
        if self.product == Product::Spot {
            rows.push(row("RAW_REQUESTS", "MINUTE", 5, 300_000, None));
        }
        rows
    }

    /// The ORDERS rows, with what `account` used where one is named.
    pub fn order_rows(&self, account: Option<(usize, i64)>) -> Vec<String> {
        let used = account.map(|(a, now)| self.order_counts(a, now));
        let long = if self.product == Product::Spot { "DAY" } else { "MINUTE" };
        vec![
            row("ORDERS", "SECOND", 10, self.short.0, used.map(|u| u.0)),
            row("ORDERS", long, 1, self.long.0, used.map(|u| u.1)),
        ]
    }

    /// The row that WebSocket API replies carry.
    pub fn weight_row(&self, ip: IpAddr, now_ms: i64) -> String {
        row("REQUEST_WEIGHT", "MINUTE", 1, self.weight, Some(self.used(ip, now_ms)))
    }

    /// Errors: the address is banned.
    pub fn banned(&self, ip: IpAddr, now_ms: i64) -> Result<(), ApiError> {
        let until = self.addresses.get(&ip).map_or(0, |a| a.banned_until);
        if until <= now_ms {
            return Ok(());
        }
        let msg = format!(
            "Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for live updates to avoid bans."
        );
        let mut e = ApiError::new(-1003, msg).status(418);
        e.retry_after = Some((until - now_ms + 999) / 1_000);
        self.refused.banned.set(self.refused.banned.get() + 1);
        Err(e)
    }

    /// Bans an address; `None`: every address seen, and the local one.
    pub fn ban(&mut self, ip: Option<IpAddr>, now_ms: i64, span_ms: i64) {
        let ips: Vec<IpAddr> = match ip {
            Some(ip) => vec![ip],
            None => self.addresses.keys().copied().chain([IpAddr::from([127, 0, 0, 1])]).collect(),
        };
        for ip in ips {
            self.addresses.entry(ip).or_default().banned_until = now_ms + span_ms;
        }
    }

    /// Charges a request. Errors: over the limit, and after too many of those the ban.
    pub fn charge(&mut self, ip: IpAddr, now_ms: i64, weight: u32) -> Result<(), ApiError> {
        let (limit, strikes, first_ban) = (self.weight, self.strikes, self.ban_ms);
        let a = self.addresses.entry(ip).or_default();
        if a.weight.add(now_ms, MINUTE, weight) <= limit {
            return Ok(());
        }
        self.refused.limited += 1;
        if a.strikes.add(now_ms, MINUTE, 1) >= strikes {
            let span = first_ban.saturating_mul(1 << a.bans.min(20)).min(LONGEST_BAN);
            (a.banned_until, a.bans) = (now_ms + span, a.bans + 1);
            self.refused.bans += 1;
            return self.banned(ip, now_ms);
        }
        let msg = format!(
            "Too many requests; current limit of IP({ip}) is {limit} requests per minute. Please use WebSocket Streams for live updates to avoid polling the API."
        );
        Err(too_many(msg, now_ms, MINUTE))
    }

    /// Charges a `/sapi` call, to the address or to the account. Errors: over the limit.
    pub fn charge_sapi(&mut self, ip: IpAddr, uid: Option<usize>, now_ms: i64, weight: u32) -> Result<(), ApiError> {
        let (used, limit, whose) = match uid {
            Some(user) => (self.accounts.entry(user).or_default().uid.add(now_ms, MINUTE, weight), SAPI_UID, "UID"),
            None => (self.addresses.entry(ip).or_default().sapi.add(now_ms, MINUTE, weight), SAPI_IP, "IP"),
        };
        if used <= limit {
            return Ok(());
        }
        self.refused.limited += 1;
        let msg = format!("Too many requests; current limit of {whose} is {limit} requests per minute.");
        Err(too_many(msg, now_ms, MINUTE))
    }

    /// Weight of `/sapi` calls used by the address and by the account.
    pub fn sapi_used(&self, ip: IpAddr, user: Option<usize>, now_ms: i64) -> (u32, u32) {
        let by_ip = self.addresses.get(&ip).map_or(0, |a| current(a.sapi, now_ms, MINUTE));
        let by_user = user.and_then(|u| self.accounts.get(&u)).map_or(0, |a| current(a.uid, now_ms, MINUTE));
        (by_ip, by_user)
    }

    /// Gives back what a call that succeeded does not cost.
    pub fn refund(&mut self, ip: IpAddr, now_ms: i64, weight: u32) {
        if let Some(a) = self.addresses.get_mut(&ip).filter(|a| current(a.weight, now_ms, MINUTE) >= weight) {
            a.weight.used -= weight;
        }
    }

    pub fn used(&self, ip: IpAddr, now_ms: i64) -> u32 {
        self.addresses.get(&ip).map_or(0, |a| current(a.weight, now_ms, MINUTE))
    }

    /// Counts `n` new orders. Errors: too many of them; they are counted all the same.
    pub fn order(&mut self, account: usize, now_ms: i64, n: u32) -> Result<(), ApiError> {
        let (short, long) = (self.short, self.long);
        let refused = &mut self.refused.limited;
        let o = self.accounts.entry(account).or_default();
        let per = |limit: u32, what: &str| format!("Too many new orders; current limit is {limit} orders per {what}.");
        if o.long.add(now_ms, long.1, n) > long.0 {
            *refused += 1;
            let what = if self.product == Product::Spot { "DAY" } else { "MINUTE" };
            let mut e = too_many(per(long.0, what), now_ms, long.1);
            e.code = -1015;
            return Err(e);
        }
        if o.short.add(now_ms, short.1, n) > short.0 {
            *refused += 1;
            let mut e = too_many(per(short.0, "10 SECOND"), now_ms, short.1);
            e.code = -1015;
            return Err(e);
        }
        Ok(())
    }

    /// An order had its first fill: spot counts only unfilled ones.
    pub fn filled(&mut self, account: usize) {
        if let Some(o) = self.accounts.get_mut(&account).filter(|_| self.product == Product::Spot) {
            o.short.used = o.short.used.saturating_sub(1);
            o.long.used = o.long.used.saturating_sub(1);
        }
    }

    /// Used in the short and the long window.
    pub fn order_counts(&self, account: usize, now_ms: i64) -> (u32, u32) {
        let o = self.accounts.get(&account).copied().unwrap_or_default();
        (current(o.short, now_ms, self.short.1), current(o.long, now_ms, self.long.1))
    }
}

fn current(w: Window, now_ms: i64, len: i64) -> u32 {
    if w.start == now_ms - now_ms.rem_euclid(len) { w.used } else { 0 }
}

fn too_many(msg: String, now_ms: i64, len: i64) -> ApiError {
    let mut e = ApiError::new(-1003, msg).status(429);
    e.retry_after = Some((len - now_ms.rem_euclid(len) + 999) / 1_000);
    e
}

fn row(kind: &str, interval: &str, num: i64, limit: u32, count: Option<u32>) -> String {
    let row = Obj::new().str("rateLimitType", kind).str("interval", interval).int("intervalNum", num);
    let row = row.int("limit", limit.into());
    count.map_or(row.clone(), |c| row.int("count", c.into())).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn over_the_limit_then_banned_then_free_again() {
        let settings = LimitSettings { weight: Some(10), strikes: 3, ban_secs: 60, ..LimitSettings::default() };
        let mut l = Limits::new(Product::Spot, &settings);
        assert!(l.charge(IP, 5_000, 10).is_ok());
        let e = l.charge(IP, 5_000, 1).unwrap_err();
        assert_eq!((e.status, e.code, e.retry_after), (429, -1003, Some(55)));
        assert_eq!(l.charge(IP, 6_000, 1).unwrap_err().status, 429);
        let e = l.charge(IP, 7_000, 1).unwrap_err();
        assert_eq!((e.status, e.retry_after), (418, Some(60)));
        assert!(l.banned(IP, 66_999).is_err() && l.banned(IP, 67_000).is_ok());
        assert!(l.charge(IP, 67_000, 10).is_ok(), "a new minute");
        for n in 0..3 {
            let e = l.charge(IP, 68_000, 1).unwrap_err();
            assert_eq!(e.retry_after, Some(if n < 2 { 52 } else { 120 }), "the second ban is twice as long");
        }
    }

    #[test]
    fn unfilled_orders_only() {
        let mut l = Limits::new(Product::Spot, &LimitSettings { orders_10s: Some(2), ..LimitSettings::default() });
        assert!(l.order(0, 1, 1).is_ok() && l.order(0, 2, 1).is_ok());
        l.filled(0);
        assert!(l.order(0, 3, 1).is_ok());
        let e = l.order(0, 4, 1).unwrap_err();
        assert_eq!(
            (e.status, e.code, e.msg.as_str()),
            (429, -1015, "Too many new orders; current limit is 2 orders per 10 SECOND.")
        );
        assert!(l.order(0, 10_000, 1).is_ok());
        assert!(l.order(1, 4, 2).is_ok(), "each account for itself");
    }
}
