//! Every key there is, by section. A table: the reader, the messages and the tests all go by it.

/// Section path and its keys. `*` stands for a list position. Where two sections have a key, the likelier one is first.
pub const SECTIONS: &[(&str, &[&str])] = &[
    ("", TOP),
    ("accounts.*", ACCOUNT),
    ("strategies.*", STRATEGY),
    ("venue", VENUE),
    ("venue.latency", LATENCY),
    ("feed", FEED),
    ("live", LIVE),
    ("risk", RISK),
    ("journal", JOURNAL),
    ("api", API),
    ("watchdog", WATCHDOG),
    ("alerts", ALERTS),
    ("log", LOG),
    ("secrets", SECRETS),
    ("accounts.*.fees", FEES),
    ("accounts.*.borrow", BORROW),
];

pub(super) const TOP: &[&str] = &[
    "mode",
    "market",
    "symbols",
    "instruments",
    "speed",
    "duration",
    "seed",
    "home",
    "record",
    "accounts",
    "strategies",
    "venue",
    "feed",
    "live",
    "risk",
    "journal",
    "api",
    "watchdog",
    "alerts",
    "log",
    "secrets",
];
pub(super) const ACCOUNT: &[&str] = &[
    "id",
    "venue",
    "balances",
    "leverage",
    "hedge_mode",
    "fees",
    "borrow",
    "profile",
    "environment",
    "base_url",
    "ws_url",
    "ws_api_url",
    "sapi_url",
    "recv_window",
    "order_entry",
    "margin_borrow",
    "proxy",
    "extra_ca",
    "key",
];
/// Keys of an account at a venue.
pub(super) const AT_VENUE: &[&str] = &[
    "profile",
    "environment",
    "base_url",
    "ws_url",
    "ws_api_url",
    "sapi_url",
    "recv_window",
    "order_entry",
    "margin_borrow",
    "proxy",
    "extra_ca",
    "key",
];
/// Keys of an account on the simulated exchange.
pub(super) const ON_PAPER: &[&str] = &["balances", "fees", "borrow"];
pub(super) const SECRETS: &[&str] = &["file", "command"];
pub(super) const FEES: &[&str] = &["maker", "taker"];
pub(super) const BORROW: &[&str] = &["max_leverage", "interest_per_hour"];
pub(super) const STRATEGY: &[&str] = &["name", "id", "account", "params"];
pub(super) const VENUE: &[&str] =
    &["queue", "latency", "stp", "bar_slippage_ticks", "bar_slippage_range_pct", "bar_touch_fills", "bar_taker_fees"];
pub(super) const LATENCY: &[&str] = &["feed", "order", "response"];
pub(super) const FEED: &[&str] = &["base_url", "ws_url", "environment", "proxy", "extra_ca"];
pub(super) const LIVE: &[&str] = &["known_within"];
pub(super) const JOURNAL: &[&str] = &["sync", "segment_mb", "keep_snapshots", "snapshot_every", "max_mb"];
pub(super) const API: &[&str] = &["enabled", "bind"];
pub(super) const WATCHDOG: &[&str] = &["timeout"];
pub(super) const ALERTS: &[&str] = &["webhook"];
pub(super) const LOG: &[&str] = &["level", "format"];

/// Keys of `risk`; those of an override below `per_account` and `per_strategy` are the same without these two.
pub(super) const RISK: &[&str] = &[
    "price_band_bps",
    "stale_after",
    "min_order_qty",
    "max_order_qty",
    "min_order_notional",
    "max_order_notional",
    "max_position_notional",
    "max_total_notional",
    "max_leverage",
    "max_open_orders",
    "max_orders_per_sec",
    "max_orders_per_min",
    "max_cancel_ratio",
    "cancel_ratio_min",
    "self_cross",
    "duplicate_window",
    "daily_loss",
    "max_drawdown_pct",
    "per_account",
    "per_strategy",
];

/// Keys of one risk override.
pub(super) fn risk_override() -> &'static [&'static str] {
    &RISK[..RISK.len() - 2]
}

/// The word in `from` that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, from: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.chars().count() / 3).max(2);
    from.into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, known), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// What to say about a key that a section does not have.
pub(super) fn hint(keys: &[&str], unknown: &str) -> String {
    if let Some(near) = nearest(unknown, keys.iter().copied()) {
        return format!("did you mean {near}?");
    }
    let elsewhere = SECTIONS.iter().find(|(_, keys)| keys.contains(&unknown));
    match elsewhere {
        Some(("", _)) => format!("{unknown} belongs at the top level"),
        Some((path, _)) => format!("{unknown} belongs into {path}"),
        None => format!("valid keys here: {}", keys.join(", ")),
    }
}
