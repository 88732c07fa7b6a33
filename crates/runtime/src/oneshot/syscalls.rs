//! The table of syscalls that can be made one at a time: names, arguments, what they do. A table: command line, control
//! API, messages and documentation go by it.

/// One argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    pub name: &'static str,
    pub required: bool,
    /// What it is, with its default.
    pub about: &'static str,
}

/// One syscall. Arguments can be given by name, and by position in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syscall {
    pub name: &'static str,
    /// The same under other names.
    pub aliases: &'static [&'static str],
    pub params: &'static [Param],
    pub about: &'static str,
    /// It needs an account's key.
    pub keyed: bool,
    /// It places, changes or cancels orders.
    pub trades: bool,
    /// It can take on risk: a person confirms it, and a halt stops it.
    pub risks: bool,
}

const fn must(name: &'static str, about: &'static str) -> Param {
    Param { name, required: true, about }
}

const fn may(name: &'static str, about: &'static str) -> Param {
    Param { name, required: false, about }
}

const SYMBOL: Param = must("symbol", "unified symbol, for example binance:BTC-USDT-PERP");
const ANY_SYMBOL: Param = may("symbol", "only this one; default: all");
const ORDER: Param = must("order_id", "client order id of ctos, or the venue's number");

const fn public(name: &'static str, params: &'static [Param], about: &'static str) -> Syscall {
    Syscall { name, aliases: &[], params, about, keyed: false, trades: false, risks: false }
}

const fn account(
    name: &'static str,
    aliases: &'static [&'static str],
    params: &'static [Param],
    about: &'static str,
) -> Syscall {
    Syscall { name, aliases, params, about, keyed: true, trades: false, risks: false }
}

const fn trade(
    name: &'static str,
    aliases: &'static [&'static str],
    params: &'static [Param],
    about: &'static str,
    risks: bool,
) -> Syscall {
    Syscall { name, aliases, params, about, keyed: true, trades: true, risks }
}

/// Every syscall, in the order of the documentation.
pub const SYSCALLS: &[Syscall] = &[
    public("symbols", &[], "unified symbols that are trading"),
    public("exchange_limits", &[ANY_SYMBOL], "tick, lot, smallest order and the like of one symbol, or of all"),
    public("fees", &[SYMBOL], "funding rate of a perpetual; with a key also what the account pays as maker and taker"),
    public("get_price_now", &[SYMBOL], "price of the last trade"),
    public("get_orderbook", &[SYMBOL, may("level", "levels a side; default: 50")], "order book, best first"),
    public(
        "get_klines",
        &[
            SYMBOL,
            may("timeframe", "1m, 5m, 1h, 1d, 1w, 1M, ...; default: 1h"),
            may("limit", "how many; default: 200"),
            may("start_time", "from this moment on (ms since 1970, or 2026-01-31T00:00:00Z)"),
            may("end_time", "up to this moment"),
        ],
        "candles, oldest first; the newest may not be closed",
    ),
    trade(
        "place_order",
        &[],
        &[
            SYMBOL,
            must("side", "buy or sell"),
            must(
                "order_type",
                "market, limit, post_only, stop_market, stop_limit, take_profit_market, take_profit_limit or trailing_stop",
            ),
            may("size", "in base coins, on the lot grid"),
            may("price", "limit price, on the tick grid"),
            may("quote", "instead of size: amount of quote currency of a market order (spot)"),
            may("time_in_force", "GTC, IOC, FOK; default: GTC"),
            may("post_only", "true or false; default: false"),
            may("reduce_only", "true or false; default: false"),
            may("trigger", "trigger price of stops and take-profits, activation price of a trailing stop"),
            may("trigger_by", "last or mark; default: last"),
            may("callback_bps", "distance of a trailing stop in hundredths of a percent"),
            may("leg", "long or short, in hedge mode"),
            may(
                "auto_borrow",
                "true or false: borrow what the order lacks (cross margin); default: as the account is set",
            ),
        ],
        "place an order and follow it until the venue has said what became of it",
        true,
    ),
    trade(
        "amend_order",
        &[],
        &[ORDER, SYMBOL, may("price", "the new price"), may("size", "the new total size, fills included")],
        "change price or size of an open limit order",
        true,
    ),
    trade("revoke_order", &["cancel_order"], &[ORDER, SYMBOL], "cancel an order and tell how it ended", false),
    trade(
        "cancel_all",
        &[],
        &[ANY_SYMBOL],
        "cancel every open order, foreign ones included, and look until none is left",
        false,
    ),
    account("get_open_orders", &[], &[ANY_SYMBOL], "open orders, conditional ones too"),
    account("get_order_status", &[], &[ORDER, SYMBOL], "one order, open or closed"),
    account("fetch_balance", &["balances"], &[may("currency", "only this one; default: all")], "balances"),
    account("get_position", &["positions"], &[ANY_SYMBOL], "positions that are not flat"),
    trade(
        "close_all_positions",
        &[],
        &[
            may("mode", "market or limit; default: market"),
            may("price_offset", "distance of limit orders from the mark price, as a fraction; default: 0.0005"),
            ANY_SYMBOL,
            may("side", "only long or only short positions"),
            may("is_good", "true: only those with a profit; false: only those without"),
        ],
        "close positions with reduce-only orders of their full size",
        false,
    ),
    public("subscribe_ticks", &[SYMBOL], "one line for each change of best bid and ask and each trade, until stopped"),
];

/// A syscall by its name or another one of its names.
pub fn find(name: &str) -> Option<&'static Syscall> {
    SYSCALLS.iter().find(|s| s.name == name || s.aliases.contains(&name))
}
