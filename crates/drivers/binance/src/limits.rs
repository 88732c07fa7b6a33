//! Binance's budgets in the words of the link: which counters a request touches, what an answer says of them, and how
//! a call of this driver becomes a request that waits for its turn.
//! Never: counts anything itself, or shares a counter between two addresses or two accounts.

mod entry;
mod read;
mod route;

pub use read::{LimitRow, RateLimit, read_limits, read_ws_limits};
pub use route::{Route, SignedCall, lane};

use crate::errors;
use crate::market;
use crate::profile::Profile;
use crate::sign::Credentials;
use crate::symbols::Product;
use ctos_link::gateway::{Answer, BaseNo, Budget, Draft, EntryFrame, VenueWords};
use ctos_link::rate::{Cost, GroupId, LimiterConfig, MeterId, MeterSpec, Shares, WindowSpec};
use ctos_types::{Nanos, UnixNanos};
use std::sync::Arc;

pub(crate) const SECOND: Nanos = Nanos::from_secs(1);
const TEN_SECONDS: Nanos = Nanos::from_secs(10);
const MINUTE: Nanos = Nanos::from_secs(60);
const FIVE_MINUTES: Nanos = Nanos::from_secs(300);
const DAY: Nanos = Nanos::from_secs(86_400);
/// What the web firewall wants at least (403).
const FIREWALL: Nanos = Nanos::from_secs(60);
/// Nobody reads the code of a longer refusal.
const LONGEST_REFUSAL: usize = 64 << 10;

/// One host as seen from this machine: everything on it is counted and banned together.
#[derive(Clone, Debug)]
struct Base {
    product: Product,
    url: String,
    group: GroupId,
    weight: MeterId,
    /// Requests of any weight (spot).
    raw: Option<MeterId>,
    /// `/sapi`, counted apart.
    sapi: Option<MeterId>,
    /// Funding rates, counted apart (USD-M).
    funding: Option<MeterId>,
    /// Where orders may go as messages, once an account wants that.
    entry: Option<String>,
}

/// Counters of one account on one host.
#[derive(Clone, Copy, Debug)]
struct AccountMeters {
    base: BaseNo,
    orders: MeterId,
    /// `/sapi` weight per account.
    uid: Option<MeterId>,
}

/// What Binance counts, for the hosts and accounts of one instance. Built up before the limiter is.
#[derive(Clone, Debug, Default)]
pub struct BinanceWords {
    groups: Vec<String>,
    meters: Vec<MeterSpec>,
    bases: Vec<Base>,
    accounts: Vec<AccountMeters>,
}

impl BinanceWords {
    pub fn new() -> BinanceWords {
        BinanceWords::default()
    }

    /// The host of REST calls at `url` (`https://host`, without a slash at the end); the same one is the same base.
    pub fn base(&mut self, product: Product, url: &str) -> BaseNo {
        let url = url.trim_end_matches('/');
        if let Some(at) = self.bases.iter().position(|b| b.product == product && b.url == url) {
            return BaseNo(at as u16);
        }
        let group = self.group(format!("binance {url}"));
        let meter = |words: &mut BinanceWords, what: &str, window| {
            words.meter(format!("binance {product} {what}"), group, vec![window], Shares::default())
        };
        // What the venue states before exchangeInfo tells better.
        let per_minute = if product == Product::Spot { 6_000 } else { 2_400 };
        let weight = meter(self, "weight", WindowSpec::aligned(MINUTE, per_minute));
        let (raw, sapi, funding) = match product {
            Product::Spot => (
                Some(meter(self, "requests", WindowSpec::sliding(FIVE_MINUTES, 61_000))),
                Some(meter(self, "sapi weight", WindowSpec::aligned(MINUTE, 12_000))),
                None,
            ),
            Product::UsdM => {
                (None, None, Some(meter(self, "funding requests", WindowSpec::sliding(FIVE_MINUTES, 500))))
            }
        };
        self.bases.push(Base { product, url: url.into(), group, weight, raw, sapi, funding, entry: None });
        BaseNo(self.bases.len() as u16 - 1)
    }

    /// How public calls leave.
    pub fn public(&self, base: BaseNo) -> Route {
        let of = &self.bases[base.0 as usize];
        Route {
            base,
            group: of.group,
            weight: of.weight,
            raw: of.raw,
            sapi: of.sapi,
            funding: of.funding,
            orders: None,
            uid: None,
            keys: None,
            recv_window_ms: None,
            entry: None,
        }
    }

    /// How calls of an account leave. `name` is the account's in settings and must differ from every other.
    pub fn account(
        &mut self,
        name: &str,
        profile: Profile,
        base: BaseNo,
        keys: Arc<Credentials>,
        recv_window_ms: Option<u32>,
    ) -> Route {
        let group = self.group(format!("binance account {name}"));
        // Spot takes orders out of its count again when they are filled.
        let falling = |window: WindowSpec| WindowSpec { falls: profile != Profile::UsdM, ..window };
        let windows = match profile {
            Profile::Spot | Profile::Margin => {
                vec![falling(WindowSpec::aligned(TEN_SECONDS, 50)), falling(WindowSpec::aligned(DAY, 160_000))]
            }
            Profile::UsdM => vec![WindowSpec::aligned(TEN_SECONDS, 300), WindowSpec::aligned(MINUTE, 1_200)],
        };
        let orders = self.meter(format!("binance {name} orders"), group, windows, Shares::default());
        let uid = (profile != Profile::UsdM).then(|| {
            let window = vec![WindowSpec::aligned(MINUTE, 180_000)];
            self.meter(format!("binance {name} sapi weight"), group, window, Shares::default())
        });
        self.accounts.push(AccountMeters { base, orders, uid });
        Route { orders: Some(orders), uid, keys: Some(keys), recv_window_ms, ..self.public(base) }
    }

    /// Orders of `route` go over the WebSocket API at `address` while a socket there is well, and by REST otherwise.
    /// All accounts of a host share one socket: the first address counts, and an account that names another one stays
    /// with REST, as cross margin does, which the venue does not trade there.
    #[must_use]
    pub fn over_websocket(&mut self, route: Route, profile: Profile, address: &str) -> Route {
        let Some(of) = self.bases.get_mut(route.base.0 as usize).filter(|_| profile != Profile::Margin) else {
            return route;
        };
        let same = of.entry.get_or_insert_with(|| address.to_owned()) == address;
        Route { entry: same.then_some(profile), ..route }
    }

    /// The venue's own limits (exchangeInfo of `base`), in place of the documented ones.
    pub fn set_limits(&mut self, base: BaseNo, rows: &[LimitRow]) {
        let mut news = Vec::new();
        self.limits(base, rows, &mut news);
        for budget in news {
            let Budget::Limit { meter, period, limit } = budget else { continue };
            let windows = &mut self.meters[meter.0 as usize].windows;
            windows.iter_mut().filter(|w| w.period == period).for_each(|w| w.limit = limit);
        }
    }

    fn group(&mut self, name: String) -> GroupId {
        if let Some(at) = self.groups.iter().position(|g| *g == name) {
            return GroupId(at as u16);
        }
        self.groups.push(name);
        GroupId(self.groups.len() as u16 - 1)
    }

    fn meter(&mut self, name: String, group: GroupId, windows: Vec<WindowSpec>, shares: Shares) -> MeterId {
        self.meters.push(MeterSpec { name, group, windows, shares });
        MeterId(self.meters.len() as u16 - 1)
    }

    fn limits(&self, base: BaseNo, rows: &[LimitRow], out: &mut Vec<Budget>) {
        let Some(of) = self.bases.get(base.0 as usize) else { return };
        let orders = || self.accounts.iter().filter(|a| a.base == base).map(|a| a.orders);
        for row in rows {
            let mut tell = |meter| out.push(Budget::Limit { meter, period: row.period, limit: row.limit });
            match row.kind {
                RateLimit::Weight => tell(of.weight),
                RateLimit::Raw => of.raw.into_iter().for_each(tell),
                RateLimit::Orders => orders().for_each(tell),
                RateLimit::Other => {}
            }
        }
    }

    fn refused(&self, of: &Base, cost: &Cost, status: u16, retry_s: Option<u32>, body: &[u8], out: &mut Vec<Budget>) {
        let profile = if of.product == Product::Spot { Profile::Spot } else { Profile::UsdM };
        let body = if body.len() <= LONGEST_REFUSAL { body } else { b"" };
        let reply = errors::read(profile, status, retry_s, body);
        let touched = |meter: Option<MeterId>| meter.filter(|m| cost.iter().any(|(have, _)| have == *m));
        let retry_after = reply.retry_after;
        match status {
            418 => {
                let until = reply.banned_until_ms.and_then(|ms| ms.checked_mul(1_000_000)).map(UnixNanos);
                out.push(Budget::Banned { group: of.group, retry_after, until });
            }
            429 => {
                // Too many orders: only orders of this account must wait.
                let orders = || self.accounts.iter().find_map(|a| touched(Some(a.orders)));
                let uid = || self.accounts.iter().find_map(|a| touched(a.uid));
                let of_orders = if reply.code == -1015 { orders() } else { None };
                // A call of `/sapi` is counted per address or per account: what it weighs nothing on is not full.
                let weighs = |meter: &MeterId| cost.iter().any(|(have, amount)| have == *meter && amount > 0);
                let meter = of_orders.or_else(|| touched(of.sapi).filter(weighs)).or_else(|| {
                    if touched(Some(of.weight)).is_some() { None } else { uid().or_else(|| touched(of.sapi)) }
                });
                out.push(Budget::Limited { meter: meter.unwrap_or(of.weight), retry_after });
            }
            // The firewall's page, not the venue's reply.
            403 if reply.code == 0 => {
                let retry_after = Some(retry_after.unwrap_or(FIREWALL).max(FIREWALL));
                out.push(Budget::Limited { meter: of.weight, retry_after });
            }
            _ if reply.verdict == errors::Verdict::Clock => out.push(Budget::Clock),
            _ => {}
        }
    }
}

/// Which of the counters of a host's accounts an answer shows: the one that its request touched. Where it touched none,
/// whose it is can only be told if there is one.
fn whose(cost: &Cost, of: impl Iterator<Item = MeterId> + Clone) -> impl Iterator<Item = MeterId> {
    let mut touched = of.clone().filter(|m| cost.iter().any(|(have, _)| have == *m));
    let touched = touched.next().or_else(|| {
        let mut all = of;
        all.next().filter(|_| all.next().is_none())
    });
    touched.into_iter()
}

impl VenueWords for BinanceWords {
    fn limiter(&self) -> (LimiterConfig, Vec<String>, Vec<MeterSpec>) {
        (LimiterConfig::default(), self.groups.clone(), self.meters.clone())
    }

    fn bases(&self) -> Vec<String> {
        self.bases.iter().map(|b| b.url.clone()).collect()
    }

    fn budgets(&self, base: BaseNo, cost: &Cost, answer: &Answer<'_>, out: &mut Vec<Budget>) {
        let Answer::Http { status, headers, body, .. } = answer else { return };
        let Some(of) = self.bases.get(base.0 as usize) else { return };
        let mut retry_s = None;
        for (name, value) in *headers {
            let Ok(total) = value.trim().parse::<u64>() else { continue };
            let mut used = |meter, period| out.push(Budget::Used { meter, period, total });
            let orders = || whose(cost, self.accounts.iter().filter(|a| a.base == base).map(|a| a.orders));
            match name.as_str() {
                "retry-after" => retry_s = u32::try_from(total).ok(),
                "x-mbx-used-weight-1m" => used(of.weight, MINUTE),
                "x-mbx-order-count-10s" => orders().for_each(|m| used(m, TEN_SECONDS)),
                "x-mbx-order-count-1m" => orders().for_each(|m| used(m, MINUTE)),
                "x-mbx-order-count-1d" => orders().for_each(|m| used(m, DAY)),
                "x-sapi-used-ip-weight-1m" => of.sapi.into_iter().for_each(|m| used(m, MINUTE)),
                "x-sapi-used-uid-weight-1m" => {
                    let uids = self.accounts.iter().filter(|a| a.base == base).filter_map(|a| a.uid);
                    whose(cost, uids).for_each(|m| used(m, MINUTE));
                }
                _ => {}
            }
        }
        if *status >= 400 {
            self.refused(of, cost, *status, retry_s, body, out);
        } else if let Some(rows) = read::limits_in_exchange_info(body) {
            self.limits(base, &rows, out);
        }
    }

    fn ask_time(&self, turn: u32) -> (BaseNo, Cost, Box<dyn Draft>) {
        let at = turn as usize % self.bases.len().max(1);
        let base = BaseNo(at as u16);
        let profile = match self.bases[at].product {
            Product::Spot => Profile::Spot,
            Product::UsdM => Profile::UsdM,
        };
        let ask = self.public(base).ask(0, SECOND, market::time(profile));
        (base, ask.cost, ask.draft)
    }

    fn read_time(&self, body: &[u8]) -> Option<UnixNanos> {
        market::read_time(body).ok()
    }

    /// Only the WebSocket API is counted with requests; market streams have a limit of connections that back-off stays
    /// far below.
    fn connect_cost(&self, address: &str) -> Cost {
        let path = |p: &str| address.contains(p);
        let (product, weight) = match () {
            () if path("/ws-api/") => (Product::Spot, 2),
            () if path("/ws-fapi/") => (Product::UsdM, 5),
            () => return Cost::none(),
        };
        let entry = self.bases.iter().find(|b| b.entry.as_deref() == Some(address));
        let of = entry.or_else(|| self.bases.iter().find(|b| b.product == product));
        of.map_or(Cost::none(), |b| Cost::none().and(b.weight, weight))
    }

    fn entries(&self) -> Vec<(BaseNo, String)> {
        let bases = self.bases.iter().enumerate();
        bases.filter_map(|(at, b)| Some((BaseNo(at as u16), b.entry.clone()?))).collect()
    }

    fn read_entry<'a>(&self, _: BaseNo, text: &'a str) -> EntryFrame<'a> {
        entry::read(text)
    }
}

#[cfg(test)]
mod tests;
