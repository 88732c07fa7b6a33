//! The table of codes. Long, because the venue's is.
//! Never: logic. What the columns do is in `errors.rs`; `docs/venues/binance.md` is written from here.

use super::Verdict;
use super::Verdict::{Already, Auth, Clock, NotDone, Partly, RateLimited, Rejected, Unknown};
use crate::profile::Profile;
use ctos_types::RejectReason as R;
use std::ops::RangeInclusive;

/// Where a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    Both,
    /// Spot and margin.
    Spot,
    UsdM,
}

impl Market {
    /// Whether the row speaks of this profile.
    pub const fn covers(self, profile: Profile) -> bool {
        match self {
            Market::Both => true,
            Market::Spot => !matches!(profile, Profile::UsdM),
            Market::UsdM => matches!(profile, Profile::UsdM),
        }
    }
}

/// What one code, or one text of a code, means.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub market: Market,
    pub codes: RangeInclusive<i64>,
    /// Part of the message, where one code has several meanings; empty for any.
    pub text: &'static str,
    pub verdict: Verdict,
    pub line: &'static str,
    pub hint: &'static str,
    /// A person must look before the account trades on.
    pub stop: bool,
}

const fn row(
    market: Market,
    code: i64,
    text: &'static str,
    verdict: Verdict,
    line: &'static str,
    hint: &'static str,
) -> Row {
    Row { market, codes: code..=code, text, verdict, line, hint, stop: false }
}

const fn both(code: i64, verdict: Verdict, line: &'static str, hint: &'static str) -> Row {
    row(Market::Both, code, "", verdict, line, hint)
}

const fn spot(code: i64, verdict: Verdict, line: &'static str, hint: &'static str) -> Row {
    row(Market::Spot, code, "", verdict, line, hint)
}

const fn usdm(code: i64, verdict: Verdict, line: &'static str, hint: &'static str) -> Row {
    row(Market::UsdM, code, "", verdict, line, hint)
}

const fn usdm_range(codes: RangeInclusive<i64>, verdict: Verdict, line: &'static str, hint: &'static str) -> Row {
    Row { market: Market::UsdM, codes, text: "", verdict, line, hint, stop: false }
}

const fn stop(mut row: Row) -> Row {
    row.stop = true;
    row
}

const BUG: &str = "this is a mistake of ctos: report it with the log line";
const ASK: &str = "nothing to do: ctos asks for the order by its client order id before it does anything else";
const FILTERS: &str =
    "filters change without notice: ctos reads exchangeInfo again; check tick, lot and limits of the symbol";
const SLOWER: &str = "nothing to do: ctos waits as told; run fewer programs on this address if it happens often";
const PLEASE_LOOK: &str = "look at the account on the venue's page, then resume trading";
const KEY: &str = "check the key on the venue's page: still there, this address in its list, the right permissions";
const RESYNC: &str = "nothing to do: ctos reads positions and open orders again";
const MODE: &str = "set one-way mode for the account (or hedge mode in the settings) and start again";
const AGAIN: &str = "nothing to do: ctos tries again after a pause";
const WIDER: &str = "use a price nearer to the market";

/// A code that the table does not have. The reply says 400, so it was not executed.
pub(super) static OTHER_CODE: Row = row(
    Market::Both,
    0,
    "",
    Rejected(R::Other),
    "refused for a reason ctos does not know",
    "see the venue's own words behind it",
);

/// What a reply without code means.
pub(super) fn by_status(status: u16) -> &'static Row {
    static UNREADABLE: Row = both(0, Unknown, "an answer that is none", ASK);
    static KEYS: Row = stop(both(0, Auth, "the key was refused", KEY));
    static FIREWALL: Row = both(
        0,
        Unknown,
        "the venue's firewall refused the request",
        "ctos stops for a minute; too many requests from this address, or an id with odd words in it",
    );
    static NO_PATH: Row =
        both(0, Rejected(R::Unsupported), "no such path at this address", "check the account's base_url");
    static TOO_MANY: Row = both(0, RateLimited, "too many requests from this address", SLOWER);
    match status {
        401 => &KEYS,
        403 => &FIREWALL,
        404 => &NO_PATH,
        418 | 429 => &TOO_MANY,
        _ => &UNREADABLE,
    }
}

/// Every code the driver knows, by market. Rows with a text come before the row for the rest of their code.
pub static TABLE: &[Row] = &[
    // ---- both markets
    both(-1000, Unknown, "the venue had an unknown error", ASK),
    both(-1001, Unknown, "the venue had an internal error", ASK),
    stop(both(-1002, Auth, "the key may not do this", KEY)),
    both(-1003, RateLimited, "too many requests from this address", SLOWER),
    both(-1006, Unknown, "the venue does not know whether it was done", ASK),
    both(-1007, Unknown, "the venue did not get an answer in time", ASK),
    row(Market::Spot, -1008, "", Unknown, "the venue is overloaded", ASK),
    row(Market::UsdM, -1008, "", NotDone, "the venue is overloaded and did not take the request", AGAIN),
    row(
        Market::Spot,
        -1013,
        "PRICE_FILTER",
        Rejected(R::BadPrice),
        "the price is off the tick grid or out of range",
        FILTERS,
    ),
    row(Market::Spot, -1013, "PERCENT_PRICE", Rejected(R::BadPrice), "the price is too far from the market", WIDER),
    row(
        Market::Spot,
        -1013,
        "MARKET_LOT_SIZE",
        Rejected(R::BadQty),
        "the size breaks the limits of market orders",
        FILTERS,
    ),
    row(Market::Spot, -1013, "LOT_SIZE", Rejected(R::BadQty), "the size is off the lot grid or out of range", FILTERS),
    row(
        Market::Spot,
        -1013,
        "NOTIONAL",
        Rejected(R::MinNotional),
        "price times size is too small or too large",
        FILTERS,
    ),
    row(
        Market::Spot,
        -1013,
        "MAX_NUM",
        Rejected(R::TooManyOrders),
        "too many open orders",
        "cancel some, or run fewer strategies",
    ),
    row(
        Market::Spot,
        -1013,
        "MAX_POSITION",
        Rejected(R::BadQty),
        "more of this asset than the account may hold",
        FILTERS,
    ),
    row(Market::Spot, -1013, "TRAILING_DELTA", Rejected(R::BadPrice), "the trailing distance is out of range", FILTERS),
    row(
        Market::Spot,
        -1013,
        "self-trade",
        Rejected(R::Unsupported),
        "self-trade prevention of this kind is not for this symbol",
        BUG,
    ),
    row(Market::Spot, -1013, "", Rejected(R::Other), "the order breaks a filter", FILTERS),
    row(Market::UsdM, -1013, "", Rejected(R::Other), "the venue could not read the request", BUG),
    both(-1014, Rejected(R::Unsupported), "such orders cannot be combined", BUG),
    both(
        -1015,
        RateLimited,
        "too many new orders",
        "nothing to do: ctos waits until the interval ends; slow the strategies down",
    ),
    stop(both(-1016, Rejected(R::Unsupported), "this service has ended", "a newer ctos may know its successor")),
    both(-1020, Rejected(R::Unsupported), "the venue does not do this", BUG),
    both(
        -1021,
        Clock,
        "our clock differs too much from the venue's",
        "ctos measures the offset again; keep the system clock in step (NTP)",
    ),
    stop(both(
        -1022,
        Auth,
        "the signature is wrong",
        "check that the secret belongs to this key and is of its kind (HMAC, RSA, Ed25519)",
    )),
    spot(-1034, RateLimited, "too many connections", SLOWER),
    stop(usdm(-1099, Auth, "not found, or the key may not see it", KEY)),
    both(-1100, Rejected(R::Other), "a parameter has characters it may not have", BUG),
    both(-1101, Rejected(R::Other), "too many parameters", BUG),
    both(-1102, Rejected(R::Other), "a required parameter is missing", BUG),
    both(-1103, Rejected(R::Other), "a parameter is not known there", BUG),
    both(-1104, Rejected(R::Other), "the venue did not read all parameters", BUG),
    both(-1105, Rejected(R::Other), "a parameter is empty", BUG),
    both(-1106, Rejected(R::Other), "a parameter that is not allowed here", BUG),
    row(Market::Spot, -1108, "", Rejected(R::Other), "a parameter is out of range", BUG),
    row(Market::UsdM, -1108, "", Rejected(R::Other), "the asset is not valid here", BUG),
    both(-1111, Rejected(R::BadPrice), "a number has more decimals than allowed", FILTERS),
    both(
        -1115,
        Rejected(R::Unsupported),
        "this time in force is not possible",
        "use another time in force for this symbol",
    ),
    both(-1116, Rejected(R::Unsupported), "this order type is not possible", "use another order type for this symbol"),
    both(-1117, Rejected(R::Other), "the side is not valid", BUG),
    both(
        -1121,
        Rejected(R::InstrumentNotTrading),
        "no such symbol",
        "check the symbol's name and that this market has it",
    ),
    both(
        -1125,
        NotDone,
        "the key of the user stream has expired",
        "nothing to do: ctos opens a new user stream and reads the account again",
    ),
    both(-1127, Rejected(R::Other), "the time span asked for is too long", BUG),
    both(-1128, Rejected(R::Other), "these parameters do not go together", BUG),
    both(-1130, Rejected(R::Other), "a parameter has a value it may not have", BUG),
    spot(-1134, Rejected(R::Other), "the strategy type is not valid", BUG),
    spot(-1145, Rejected(R::Other), "the cancel restriction is not valid", BUG),
    spot(-1209, NotDone, "the listen token is not valid", "nothing to do: ctos asks for a new one"),
    spot(-1220, Rejected(R::InstrumentNotTrading), "the symbol is not in the state asked for", FILTERS),
    // ---- orders, texts of spot first
    row(
        Market::Spot,
        -2010,
        "insufficient balance",
        Rejected(R::InsufficientBalance),
        "not enough balance",
        "add funds, or make the order smaller",
    ),
    row(
        Market::Spot,
        -2010,
        "Duplicate order",
        Rejected(R::DuplicateClientOrderId),
        "the client order id is in use",
        ASK,
    ),
    row(
        Market::Spot,
        -2010,
        "immediately match and take",
        Rejected(R::PostOnlyWouldTake),
        "a post-only order would have traded at once",
        "place it further from the market",
    ),
    row(
        Market::Spot,
        -2010,
        "would trigger immediately",
        Rejected(R::WouldTriggerImmediately),
        "the trigger price is through the market already",
        "move the trigger, or send the order without it",
    ),
    row(
        Market::Spot,
        -2010,
        "Market is closed",
        Rejected(R::InstrumentNotTrading),
        "the market is closed",
        "wait until the symbol trades again",
    ),
    row(
        Market::Spot,
        -2010,
        "not permitted for this account",
        Rejected(R::InstrumentNotTrading),
        "this account may not trade the symbol",
        "choose another symbol, or ask the venue for the permission",
    ),
    row(
        Market::Spot,
        -2010,
        "liquidity is less than",
        Rejected(R::NoLiquidity),
        "the book is too thin for a market order",
        "use a limit order",
    ),
    row(Market::Spot, -2010, "zero or less", Rejected(R::BadQty), "price times size is zero", BUG),
    both(-2010, Rejected(R::Other), "the order was refused", "see the venue's own words behind it"),
    row(
        Market::Spot,
        -2011,
        "restrictions",
        Rejected(R::Other),
        "the order is not in the state the cancel asked for",
        ASK,
    ),
    both(-2011, Rejected(R::UnknownOrder), "nothing to cancel: the order is closed or was never there", ASK),
    both(
        -2013,
        Rejected(R::UnknownOrder),
        "no such order, or none yet",
        "nothing to do: a fresh order can take seconds to be found; ctos asks again",
    ),
    stop(both(-2014, Auth, "the API key has not the form of one", "copy the key again, whole and without quotes")),
    stop(both(-2015, Auth, "key, address or permission refused", KEY)),
    usdm(-2018, Rejected(R::InsufficientBalance), "not enough balance", "add funds, or make the order smaller"),
    usdm(-2019, Rejected(R::InsufficientBalance), "not enough margin", "add margin, or make the order smaller"),
    usdm(-2020, Rejected(R::NoLiquidity), "the order could not be filled", "use a limit order"),
    spot(-2021, Partly, "the order was replaced by half", "nothing to do: ctos reads which half happened"),
    usdm(
        -2021,
        Rejected(R::WouldTriggerImmediately),
        "the trigger price is through the market already",
        "move the trigger, or send the order without it",
    ),
    spot(-2022, Rejected(R::Other), "the order was not replaced and stands as it was", ASK),
    usdm(-2022, Rejected(R::ReduceOnly), "a reduce-only order would not reduce", RESYNC),
    stop(usdm(-2023, Rejected(R::Other), "the account is being liquidated", PLEASE_LOOK)),
    usdm(-2024, Rejected(R::ReduceOnly), "the position is smaller than the order", RESYNC),
    usdm(-2025, Rejected(R::TooManyOrders), "too many open orders", "cancel some, or run fewer strategies"),
    spot(
        -2026,
        Rejected(R::UnknownOrder),
        "the order is in the archive: closed without a fill more than 90 days ago",
        ASK,
    ),
    usdm(-2026, Rejected(R::Unsupported), "this order type cannot be reduce-only", "use another order type to close"),
    usdm(
        -2027,
        Rejected(R::InsufficientBalance),
        "the position would exceed what this leverage allows",
        "lower the leverage, or make the order smaller",
    ),
    usdm(
        -2028,
        Rejected(R::InsufficientBalance),
        "the leverage is too low for the margin there is",
        "raise the leverage, or close something",
    ),
    spot(-2035, Already, "the user stream is subscribed already", AGAIN),
    spot(-2036, NotDone, "the user stream is not subscribed", "nothing to do: ctos subscribes again"),
    spot(
        -2038,
        Rejected(R::Unsupported),
        "the order cannot be changed so",
        "only a smaller size keeps the place in the queue; ctos replaces the order for the rest",
    ),
    spot(-2039, Rejected(R::UnknownOrder), "the order has another client order id", ASK),
    spot(-2042, NotDone, "this connection has no subscriptions left", "nothing to do: ctos opens a new one"),
    spot(-2043, Already, "the symbol has no reference price", AGAIN),
    // ---- cross margin
    spot(-3003, Auth, "there is no margin account", "open it on the venue's page and move funds there"),
    spot(-3004, Rejected(R::InstrumentNotTrading), "trading is not allowed", PLEASE_LOOK),
    spot(
        -3006,
        Rejected(R::InsufficientBalance),
        "more than the account may borrow",
        "repay something, or make the order smaller",
    ),
    spot(-3007, NotDone, "another loan or repayment is under way", AGAIN),
    spot(
        -3008,
        Rejected(R::InsufficientBalance),
        "the account may not borrow",
        "see the margin account on the venue's page, or set margin_borrow: never",
    ),
    spot(
        -3012,
        Rejected(R::InsufficientBalance),
        "this asset is not lent",
        "trade only what the account owns of it (margin_borrow: never), or another symbol",
    ),
    spot(
        -3013,
        Rejected(R::InsufficientBalance),
        "the loan would be below the smallest there is",
        "make the order larger, or add funds",
    ),
    spot(
        -3014,
        Rejected(R::InsufficientBalance),
        "the account is banned from borrowing",
        "see the margin account on the venue's page, or set margin_borrow: never",
    ),
    spot(
        -3015,
        Rejected(R::Other),
        "more would be repaid than is owed",
        "look at the debts with `ctos call fetch_balance`, then try again",
    ),
    spot(
        -3021,
        Rejected(R::InstrumentNotTrading),
        "the symbol is not traded on margin",
        "choose another symbol, or trade it on spot",
    ),
    stop(spot(-3022, Auth, "the account is banned from trading", PLEASE_LOOK)),
    spot(
        -3023,
        Rejected(R::InsufficientBalance),
        "the margin level is too low for this order",
        "repay something, or move funds to the margin account",
    ),
    spot(
        -3027,
        Rejected(R::InstrumentNotTrading),
        "not an asset of cross margin",
        "choose another symbol, or trade it on spot",
    ),
    spot(
        -3028,
        Rejected(R::InstrumentNotTrading),
        "not a symbol of cross margin",
        "choose another symbol, or trade it on spot",
    ),
    spot(-3041, Rejected(R::InsufficientBalance), "not enough balance", "move funds to the margin account"),
    spot(-3044, Unknown, "the margin system is busy", ASK),
    spot(
        -3045,
        Rejected(R::InsufficientBalance),
        "the venue has not enough of the asset to lend",
        "try later, make the order smaller, or trade only what the account owns",
    ),
    spot(-3067, Rejected(R::InstrumentNotTrading), "the asset is restricted on margin", "choose another symbol"),
    // ---- USD-M: parameters and filters
    usdm(-4001, Rejected(R::BadPrice), "the price is zero or less", BUG),
    usdm(-4002, Rejected(R::BadPrice), "the price is above the highest allowed", FILTERS),
    usdm(-4003, Rejected(R::BadQty), "the size is zero or less", BUG),
    usdm(-4004, Rejected(R::BadQty), "the size is below the smallest allowed", FILTERS),
    usdm(-4005, Rejected(R::BadQty), "the size is above the largest allowed", FILTERS),
    usdm(-4013, Rejected(R::BadPrice), "the price is below the lowest allowed", FILTERS),
    usdm(-4014, Rejected(R::BadPrice), "the price is off the tick grid", FILTERS),
    usdm(-4015, Rejected(R::DuplicateClientOrderId), "the client order id is not valid", BUG),
    usdm(-4016, Rejected(R::BadPrice), "the price is too far above the mark price", WIDER),
    usdm(-4021, Rejected(R::Other), "the depth asked for is not offered", BUG),
    usdm(-4023, Rejected(R::BadQty), "the size is off the lot grid", FILTERS),
    usdm(-4024, Rejected(R::BadPrice), "the price is too far below the mark price", WIDER),
    usdm(-4028, Rejected(R::Unsupported), "this leverage is not possible", "choose one within the symbol's brackets"),
    usdm(
        -4045,
        Rejected(R::TooManyOrders),
        "too many open conditional orders",
        "cancel some: 200 are allowed over all symbols",
    ),
    usdm(-4046, Already, "the margin type is as asked already", AGAIN),
    usdm(
        -4047,
        Rejected(R::Other),
        "the margin type cannot change while orders are open",
        "cancel the symbol's orders first",
    ),
    usdm(
        -4048,
        Rejected(R::Other),
        "the margin type cannot change while there is a position",
        "close the symbol's position first",
    ),
    usdm(-4059, Already, "the position mode is as asked already", AGAIN),
    usdm(-4060, Rejected(R::Unsupported), "the position side is not valid", MODE),
    usdm(-4061, Rejected(R::Unsupported), "the order does not fit the account's position mode", MODE),
    usdm(
        -4062,
        Rejected(R::ReduceOnly),
        "reduce-only is not possible here",
        "hedge mode closes with the position's own side instead",
    ),
    usdm(
        -4067,
        Rejected(R::Other),
        "the position mode cannot change while orders are open",
        "cancel all orders of USD-M and COIN-M first",
    ),
    usdm(
        -4068,
        Rejected(R::Other),
        "the position mode cannot change while there are positions",
        "close all positions of USD-M and COIN-M first",
    ),
    usdm(-4082, Rejected(R::Other), "a batch of the wrong size", BUG),
    usdm(-4083, Unknown, "the batch failed", ASK),
    stop(usdm(-4087, Rejected(R::ReduceOnly), "the account may only reduce positions", PLEASE_LOOK)),
    stop(usdm(-4088, Auth, "the account may not place orders", PLEASE_LOOK)),
    stop(usdm(
        -4109,
        Rejected(R::InsufficientBalance),
        "the account is inactive",
        "move funds to the futures account first",
    )),
    usdm(-4116, Rejected(R::DuplicateClientOrderId), "the client order id is in use", ASK),
    usdm(-4117, NotDone, "the conditional order is being triggered", AGAIN),
    usdm(-4118, Rejected(R::ReduceOnly), "other orders cover the position already", "cancel them first"),
    usdm(-4120, Rejected(R::Unsupported), "conditional orders go another way", BUG),
    usdm(
        -4131,
        Rejected(R::NoLiquidity),
        "the best price is too far from the mark price for a market order",
        "try again later, or use a limit order",
    ),
    usdm(-4137, Rejected(R::Other), "an order that closes the position takes no size", BUG),
    usdm(-4138, Rejected(R::ReduceOnly), "an order that closes the position must reduce", BUG),
    usdm(-4140, Rejected(R::InstrumentNotTrading), "the symbol takes no new positions", FILTERS),
    usdm(-4141, Rejected(R::InstrumentNotTrading), "the symbol is closed", FILTERS),
    usdm(
        -4161,
        Rejected(R::Unsupported),
        "leverage cannot be lowered with an isolated position",
        "close the position first",
    ),
    usdm(-4164, Rejected(R::MinNotional), "price times size is too small", FILTERS),
    usdm(
        -4168,
        Rejected(R::Unsupported),
        "no isolated margin in multi-assets mode",
        "leave multi-assets mode, or use cross margin",
    ),
    usdm(-4171, Already, "the assets mode is as asked already", AGAIN),
    usdm(-4183, Rejected(R::BadPrice), "the limit price is too far above the trigger", WIDER),
    usdm(-4184, Rejected(R::BadPrice), "the limit price is too far below the trigger", WIDER),
    stop(usdm(-4192, Rejected(R::Other), "the account is in a cooling-off period", PLEASE_LOOK)),
    usdm_range(
        -4209..=-4202,
        Rejected(R::Unsupported),
        "this leverage is not open to this account or symbol",
        "lower the leverage",
    ),
    stop(usdm(-4400, Rejected(R::ReduceOnly), "trading rules were broken: only reducing for now", PLEASE_LOOK)),
    stop(usdm(-4401, Rejected(R::ReduceOnly), "trading rules were broken: only reducing for now", PLEASE_LOOK)),
    stop(usdm(-4402, Auth, "not offered in the account's region", PLEASE_LOOK)),
    stop(usdm(-4403, Auth, "not offered in the account's region", PLEASE_LOOK)),
    usdm(-4531, NotDone, "position mode and order were out of step", AGAIN),
    // ---- USD-M: outcomes of the engine
    usdm(-5021, Rejected(R::FokNotFilled), "a fill-or-kill order could not be filled in full", "a normal outcome"),
    usdm(
        -5022,
        Rejected(R::PostOnlyWouldTake),
        "a post-only order would have traded at once",
        "place it further from the market",
    ),
    usdm(-5024, Rejected(R::InstrumentNotTrading), "the symbol takes no changes of orders", FILTERS),
    usdm(-5025, Rejected(R::Unsupported), "only limit orders can be changed", "cancel it and place another"),
    usdm(-5026, Rejected(R::TooManyOrders), "the order was changed too often", "cancel it and place another"),
    usdm(-5027, Already, "the order is as asked already", AGAIN),
    usdm(
        -5028,
        Clock,
        "the request was too old when the engine got it",
        "ctos measures the offset again; keep the system clock in step (NTP)",
    ),
    usdm(-5029, Rejected(R::MinNotional), "price times size is too small", FILTERS),
    usdm(-5037, Rejected(R::Unsupported), "the price match is not valid", BUG),
    usdm(-5038, Rejected(R::Unsupported), "this order type takes no price match", BUG),
    usdm(-5039, Rejected(R::Unsupported), "the self-trade prevention is not valid", BUG),
    usdm(
        -5040,
        Rejected(R::Unsupported),
        "the end of the order is too near, too far or no whole second",
        "give it at least eleven minutes",
    ),
    usdm(-5041, Rejected(R::NoLiquidity), "the book is too thin to match a price", "give a price"),
    usdm(-5043, NotDone, "another change of this order is on its way", AGAIN),
];
