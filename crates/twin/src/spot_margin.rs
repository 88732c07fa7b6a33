//! Cross margin: an account of its own beside each spot account, which may owe. Orders and queries are spot's.
//! Never: isolated margin, or what an order does to loans (`effects`).

use crate::effects::Effect;
use crate::error::ApiError;
use crate::json::{Obj, array};
use crate::number::{eight, fixed};
use crate::orders::Order;
use crate::params::Params;
use crate::rest::{Call, Endpoint, Security};
use crate::spot_change::{cancel, cancel_all};
use crate::twin::Twin;
use crate::{loans, spot_account, spot_trade};
use ctos_types::{Currency, Decimal, Rounding, Side};

type Run = fn(&mut Twin, &Call) -> Result<String, ApiError>;

const fn read(path: &'static str, weight: fn(&Params) -> u32, need: &'static [&'static str], run: Run) -> Endpoint {
    Endpoint { method: "GET", path, security: Security::Read, weight, orders: 0, free: false, need, run }
}

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "POST",
        path: "/sapi/v1/margin/order",
        security: Security::Trade,
        weight: |p| match p.raw("sideEffectType") {
            Some("MARGIN_BUY" | "AUTO_BORROW_REPAY") => 1_500,
            _ => 6,
        },
        orders: 1,
        free: false,
        need: &["symbol", "side", "type"],
        run: place,
    },
    Endpoint {
        method: "DELETE",
        security: Security::Trade,
        ..read("/sapi/v1/margin/order", |_| 10, &["symbol"], |t, c| t.on_margin(c, cancel).map(marked))
    },
    Endpoint {
        method: "DELETE",
        security: Security::Trade,
        ..read("/sapi/v1/margin/openOrders", |_| 1, &["symbol"], |t, c| t.on_margin(c, cancel_all).map(all_marked))
    },
    read("/sapi/v1/margin/order", |_| 10, &["symbol"], |t, c| t.on_margin(c, spot_account::order).map(marked)),
    read("/sapi/v1/margin/openOrders", |_| 10, &[], |t, c| t.on_margin(c, spot_account::open_orders).map(all_marked)),
    read(
        "/sapi/v1/margin/allOrders",
        |_| 200,
        &["symbol"],
        |t, c| t.on_margin(c, spot_account::all_orders).map(all_marked),
    ),
    read(
        "/sapi/v1/margin/myTrades",
        |_| 10,
        &["symbol"],
        |t, c| t.on_margin(c, spot_account::my_trades).map(all_marked),
    ),
    read("/sapi/v1/margin/account", |_| 10, &[], account),
    Endpoint {
        method: "POST",
        security: Security::Trade,
        ..read("/sapi/v1/margin/borrow-repay", |_| 1_500, &["asset", "amount", "type"], loans::borrow_repay)
    },
    read("/sapi/v1/margin/maxBorrowable", |_| 750, &["asset"], loans::max_borrowable),
    read("/sapi/v1/margin/maxTransferable", |_| 50, &["asset"], loans::max_transferable),
    read(
        "/sapi/v1/margin/rateLimit/order",
        |_| 20,
        &[],
        |t, c| Ok(array(t.limits.order_rows(Some((t.users.margin_of(c.user), t.now_ms()))))),
    ),
    Endpoint { method: "POST", security: Security::Key, ..read("/sapi/v1/userListenToken", |_| 1, &[], listen_token) },
];

/// The longest life of a listen token.
const TOKEN_MS: i64 = 86_400_000;

/// Marks one object.
fn marked(json: String) -> String {
    format!("{},\"isIsolated\":false}}", json.strip_suffix('}').unwrap_or(&json))
}

/// Marks every object of a list; none of them has objects inside.
fn all_marked(json: String) -> String {
    json.replace('}', ",\"isIsolated\":false}")
}

impl Twin {
    /// The same call on the caller's margin account.
    fn on_margin(&mut self, c: &Call, run: Run) -> Result<String, ApiError> {
        isolated(c)?;
        run(self, &Call { user: self.users.margin_of(c.user), ..c.clone() })
    }

    /// An asset's price in `quote`, where there is a market for it.
    pub(crate) fn price_in(&self, asset: Currency, quote: Currency) -> Option<Decimal> {
        if asset == quote {
            return Some(Decimal::ONE);
        }
        let (_, id) = self.symbols.live().find(|(s, _)| s.base == asset && s.quote == quote)?;
        Some(self.instrument(id).price_decimal(self.public(id).last?.price))
    }
}

fn place(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    isolated(c)?;
    let effect = Effect::read(&c.params)?;
    let call = Call { user: t.users.margin_of(c.user), ..c.clone() };
    let order = Order { effect, ..t.read_spot(&call)? };
    let how = spot_trade::response_type(&c.params, order.kind)?;
    let spent = {
        let symbol = t.symbols.of(order.instrument);
        if order.side == Side::Buy { symbol.quote } else { symbol.base }
    };
    let n = t.place_margin(order)?;
    let reply = marked(t.spot_reply(n, how));
    let loan = t.orders.list[n].loan;
    if !loan.is_positive() {
        return Ok(reply);
    }
    let tail = Obj::new().raw("marginBuyBorrowAmount", &eight(loan)).str("marginBuyBorrowAsset", spent.as_str()).done();
    Ok(format!("{},{}", reply.strip_suffix('}').unwrap_or(&reply), &tail[1..]))
}

/// Isolated margin accounts do not exist here.
fn isolated(c: &Call) -> Result<(), ApiError> {
    match c.params.text("isIsolated")? {
        Some(i) if i.eq_ignore_ascii_case("true") => {
            Err(ApiError::new(-11001, "Isolated margin account does not exist."))
        }
        _ => Ok(()),
    }
}

fn account(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    let user = t.users.margin_of(c.user);
    let (btc, usdt) = (Currency::cut("BTC"), Currency::cut("USDT"));
    let mut assets: Vec<Currency> = t.symbols.live().flat_map(|(s, _)| [s.base, s.quote]).collect();
    assets.extend(t.venue.balances(t.users.engine(user)).map(|(a, _)| a));
    assets.sort_unstable();
    assets.dedup();
    let (owned, owed) = t.worth_and_debt(user);
    let mut rows = Vec::new();
    for a in assets {
        let b = t.venue.balance(t.users.engine(user), a);
        let loan = t.loan(user, a);
        let (borrowed, interest) = (loan.principal, loan.interest);
        let o =
            Obj::new().str("asset", a.as_str()).str("borrowed", &eight(borrowed)).str("free", &eight(b.available()));
        let o = o.str("interest", &eight(interest)).str("locked", &eight(b.hold));
        rows.push(o.str("netAsset", &eight(b.total - borrowed - interest)).done());
    }
    let in_btc = |d: Decimal| {
        let price = t.price_in(btc, usdt).unwrap_or(Decimal::ONE);
        eight(d.div(price, Rounding::HalfEven).unwrap_or_default())
    };
    let level = owned.div(owed, Rounding::Down).map_or("999.00000000".to_string(), |l| fixed(l, 8));
    let o = Obj::new().bool("created", true).bool("borrowEnabled", true).str("marginLevel", &level);
    let o = o.str("collateralMarginLevel", &level).str("totalAssetOfBtc", &in_btc(owned));
    let o = o.str("totalLiabilityOfBtc", &in_btc(owed)).str("totalNetAssetOfBtc", &in_btc(owned - owed));
    let o = o.str("TotalCollateralValueInUSDT", &eight(owned)).str("totalOpenOrderLossInUSDT", "0.00000000");
    let o = o.bool("tradeEnabled", true).bool("transferInEnabled", true).bool("transferOutEnabled", true);
    Ok(o.str("accountType", "MARGIN_1").raw("userAssets", &array(rows)).done())
}

fn listen_token(t: &mut Twin, c: &Call) -> Result<String, ApiError> {
    isolated(c)?;
    let validity = c.params.int("validity")?.unwrap_or(TOKEN_MS).clamp(1_000, TOKEN_MS);
    let (user, expires) = (t.users.margin_of(c.user), t.now_ms() + validity);
    let token = crate::config::random_text(&mut t.rng, 64);
    t.tokens.insert(token.clone(), (user, expires));
    Ok(Obj::new().str("token", &token).int("expirationTime", expires).done())
}
