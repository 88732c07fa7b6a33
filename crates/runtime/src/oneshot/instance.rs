//! Syscalls through a running instance: what it knows is read from its published view, orders pass its gates.
//! Never: a connection of its own, or an order past the kernel.

use super::held::Held;
use super::orders::{new_order, price, size_of};
use super::{Args, shapes};
use crate::UserError;
use crate::instance::{AskError, Handle};
use crate::view::{OrderView, View};
use ctos_kernel::{Answer, Denied, Gate};
use ctos_types::{AccountId, ClientOrderId, Control, Decimal, Instrument, Instruments, NewOrder};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the venue's answer to an order is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The instance that a syscall goes through, and the account that it is about.
pub struct Through<'a> {
    pub handle: &'a Handle,
    pub instruments: &'a Instruments,
    pub account: AccountId,
    pub account_name: &'a str,
    /// An order that is closed, from the store, in the unified shape.
    pub closed: &'a dyn Fn(&str) -> Option<Value>,
}

impl std::fmt::Debug for Through<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Through").field("account", &self.account_name).finish_non_exhaustive()
    }
}

impl Through<'_> {
    /// Carries out one syscall and waits for what became of it.
    pub fn call(&self, args: &Args) -> Result<Value, UserError> {
        let view = self.view()?;
        match args.syscall.name {
            "symbols" => Ok(self.instruments.iter().map(|i| i.symbol.to_string()).collect()),
            "exchange_limits" => match args.text("symbol") {
                Some(_) => Ok(shapes::limits(self.symbol(args)?, None, None)),
                None => Ok(self.instruments.iter().map(|i| shapes::limits(i, None, None)).collect()),
            },
            "fees" => {
                let i = self.symbol(args)?;
                Ok(json!({
                    "symbol": i.symbol.to_string(),
                    "instType": shapes::inst_type(i),
                    "maker": shapes::number(i.maker_fee),
                    "taker": shapes::number(i.taker_fee),
                }))
            }
            "get_price_now" => {
                let i = self.symbol(args)?;
                let market = view.markets.iter().find(|m| m.symbol == i.symbol.as_str());
                let px = market.and_then(|m| m.last.or(m.mark).or(m.bid));
                px.map(shapes::number)
                    .ok_or_else(|| UserError::new(format!("{} has no price yet", i.symbol), "try again in a moment"))
            }
            "get_orderbook" => {
                let i = self.symbol(args)?;
                let market = view.markets.iter().find(|m| m.symbol == i.symbol.as_str());
                // The view has the best prices and no sizes.
                let side = |px: Option<Decimal>| px.map_or(json!([]), |px| json!([[shapes::number(px), Value::Null]]));
                Ok(json!({
                    "symbol": i.symbol.to_string(),
                    "bids": side(market.and_then(|m| m.bid)),
                    "asks": side(market.and_then(|m| m.ask)),
                }))
            }
            "place_order" => self.place(args),
            "amend_order" => self.amend(args),
            "revoke_order" => {
                let id = order_id(args)?;
                self.order(Control::Cancel { cl_ord_id: id })?;
                self.follow(id, |o| o.is_none())
            }
            "cancel_all" => self.cancel_all(args),
            "get_open_orders" => {
                let only = self.maybe_symbol(args)?;
                let mine = view.orders.iter().filter(|o| self.is_mine(o));
                Ok(mine.filter(|o| only.is_none_or(|i| o.symbol == i.symbol.as_str())).map(order).collect())
            }
            "get_order_status" => self.status(&view, order_id(args)?),
            "fetch_balance" => Ok(self.balance(&view, args)),
            "get_position" => {
                let positions = self.positions(&view, args)?;
                Ok(positions.iter().map(|p| p.shape()).collect())
            }
            "close_all_positions" => self.close_all(&view, args),
            other => Err(UserError::new(
                format!("a running instance does not answer {other}"),
                "say --profile spot, margin or usdm to ask Binance itself",
            )),
        }
    }

    fn view(&self) -> Result<Arc<View>, UserError> {
        self.handle.view.latest().ok_or_else(|| UserError::new("the run is still starting", "try again in a moment"))
    }

    fn symbol(&self, args: &Args) -> Result<&Instrument, UserError> {
        let text = args.required("symbol")?;
        self.named(text)
    }

    fn maybe_symbol(&self, args: &Args) -> Result<Option<&Instrument>, UserError> {
        args.text("symbol").map(|text| self.named(text)).transpose()
    }

    fn named(&self, text: &str) -> Result<&Instrument, UserError> {
        let upper = text.split_once(':').map_or(text.to_uppercase(), |(v, s)| format!("{v}:{}", s.to_uppercase()));
        let found = self.instruments.find(text).or_else(|| self.instruments.find(&upper.replace(['/', '_'], "-")));
        found.ok_or_else(|| {
            let known: Vec<String> = self.instruments.iter().take(8).map(|i| i.symbol.to_string()).collect();
            UserError::new(format!("this run does not trade {text:?}"), format!("it trades {}", known.join(", ")))
        })
    }

    fn is_mine(&self, order: &OrderView) -> bool {
        order.account == self.account_name
    }

    /// Passes an order to the kernel, and says what the gates said.
    fn order(&self, control: Control) -> Result<Answer, UserError> {
        let answer = self.handle.order(control).map_err(|e| {
            let hint = match &e {
                AskError::Ended => "start it again with `ctos run`",
                AskError::Busy(_) => "the watchdog halts it if it stays so; look with `ctos orders` before another try",
                AskError::Refused(_) => "free disk space, then try again",
            };
            UserError::new(e.to_string(), hint)
        })?;
        match answer {
            Answer::Denied(denied) => {
                let hint = hint_of(&denied);
                Err(UserError::new(denied.to_string(), hint))
            }
            Answer::Nothing(why) => Err(UserError::new(why, "`ctos orders` lists the open ones")),
            answer => Ok(answer),
        }
    }

    fn place(&self, args: &Args) -> Result<Value, UserError> {
        let i = self.symbol(args)?;
        let order = NewOrder { account: self.account, ..new_order(args, i)? };
        match self.order(Control::Order(Box::new(order)))? {
            Answer::Sent(id) => {
                let seen = self.follow(id, |o| o.is_none_or(|o| o.status != ctos_types::OrderStatus::PendingNew))?;
                // As without an instance: an order that the venue did not take is an error, and no order.
                match (seen["status"].as_str(), seen["reason"].as_str()) {
                    (Some("rejected"), why) => Err(UserError::new(
                        format!("order {id} was refused: {}", why.unwrap_or("the venue gives no reason")),
                        "nothing of it is open; `ctos call exchange_limits SYMBOL` shows what this market takes",
                    )),
                    _ => Ok(seen),
                }
            }
            _ => Err(UserError::new("the order was not sent", "look with `ctos orders --all`")),
        }
    }

    fn amend(&self, args: &Args) -> Result<Value, UserError> {
        let (i, id) = (self.symbol(args)?, order_id(args)?);
        let px = args.positive("price")?.map(|px| price(args, i, "price", px)).transpose()?;
        let qty = args.positive("size")?.map(|size| size_of(args, i, size)).transpose()?;
        if px.is_none() && qty.is_none() {
            return Err(args.wrong("amend_order needs price or size"));
        }
        self.order(Control::Amend { cl_ord_id: id, price: px, qty })?;
        let (px, qty) = (px.map(|px| i.price_decimal(px)), qty.map(|qty| i.qty_decimal(qty)));
        let reached = |o: &OrderView| px.is_none_or(|px| o.price == Some(px)) && qty.is_none_or(|qty| o.qty == qty);
        let seen = self.follow(id, |o| o.is_none_or(reached))?;
        let text = id.to_string();
        // As without an instance: a change that did not come about is an error, and no order as it was.
        match self.view()?.orders.iter().find(|o| o.id == text).filter(|o| !reached(o)) {
            Some(o) if o.amending => Err(UserError::new(
                format!("what became of the change of order {text} is not known yet"),
                format!("ask again: `ctos call get_order_status order_id={text} symbol={}`", i.symbol),
            )),
            Some(_) => Err(UserError::new(
                format!("the change of order {text} was refused: it stands as it was"),
                "the run's log says why; `ctos call exchange_limits SYMBOL` shows what this market takes",
            )),
            None => Ok(seen),
        }
    }

    /// Looks at an order until `done`, or for a while; what it is then.
    fn follow(&self, id: ClientOrderId, done: impl Fn(Option<&OrderView>) -> bool) -> Result<Value, UserError> {
        let text = id.to_string();
        let begun = Instant::now();
        loop {
            let view = self.view()?;
            let open = view.orders.iter().find(|o| o.id == text);
            // A closed order is looked for in the store, which is a moment behind.
            let closed = if open.is_none() && done(None) { (self.closed)(&text) } else { None };
            match (open, closed) {
                (Some(found), _) if done(Some(found)) => return Ok(order(found)),
                (None, Some(closed)) => return Ok(closed),
                (open, _) if begun.elapsed() >= PATIENCE => {
                    return match open {
                        Some(found) => Ok(order(found)),
                        None => Err(UserError::new(
                            format!("what became of the order {text} is not known yet"),
                            format!("ask again: `ctos call get_order_status order_id={text} symbol=…`"),
                        )),
                    };
                }
                _ => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn status(&self, view: &View, id: ClientOrderId) -> Result<Value, UserError> {
        let text = id.to_string();
        let open = view.orders.iter().find(|o| o.id == text).map(order);
        open.or_else(|| (self.closed)(&text)).ok_or_else(|| {
            UserError::new(format!("this run has no order {text}"), "`ctos orders --all` lists the newest ones")
        })
    }

    fn cancel_all(&self, args: &Args) -> Result<Value, UserError> {
        let only = self.maybe_symbol(args)?.map(|i| i.id);
        let symbol = only.map(|id| self.instruments.get(id).symbol.to_string());
        let found = match self.order(Control::CancelAll { account: self.account, instrument: only })? {
            Answer::Canceling(found) => found,
            _ => 0,
        };
        let begun = Instant::now();
        loop {
            let view = self.view()?;
            let left: Vec<&OrderView> = view
                .orders
                .iter()
                .filter(|o| self.is_mine(o) && symbol.as_ref().is_none_or(|s| o.symbol == *s))
                .collect();
            if left.is_empty() {
                return Ok(json!({ "ok": true, "found": found }));
            }
            if begun.elapsed() >= PATIENCE {
                // Strategies that run place new ones; that is no failure of the cancel.
                let hint = "strategies that run place new orders: stop them, or pull the kill switch with `ctos halt`";
                return Err(UserError::new(format!("{} orders are open", left.len()), hint));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn balance(&self, view: &View, args: &Args) -> Value {
        let all = view.summary.balances.get(self.account_name);
        match args.text("currency").filter(|c| !matches!(*c, "ALL" | "*")) {
            None => all
                .into_iter()
                .flatten()
                .map(|(currency, total)| json!({ "currency": currency.to_string(), "total": shapes::number(*total) }))
                .collect(),
            Some(currency) => {
                let mut named = all.into_iter().flatten().filter(|(c, _)| c.as_str().eq_ignore_ascii_case(currency));
                shapes::number(named.next().map_or(Decimal::ZERO, |(_, total)| *total))
            }
        }
    }

    fn positions(&self, view: &View, args: &Args) -> Result<Vec<Held<'_>>, UserError> {
        let only = self.maybe_symbol(args)?;
        let mut held = Vec::new();
        for p in view.positions.iter().filter(|p| p.account == self.account_name) {
            let Some(i) = self.instruments.find(&p.symbol) else { continue };
            if only.is_some_and(|only| only.id != i.id) || p.qty.is_zero() {
                continue;
            }
            held.push(Held {
                instrument: i,
                leg: p.leg,
                qty: p.qty,
                avg_px: p.avg_px,
                mark: p.mark,
                unrealized: p.unrealized_pnl,
            });
        }
        Ok(held)
    }

    fn close_all(&self, view: &View, args: &Args) -> Result<Value, UserError> {
        let offset = args.value("price_offset", "a fraction such as 0.0005", Decimal::new(5, 4))?;
        if offset.is_negative() || offset >= Decimal::ONE {
            return Err(args.wrong(format!("price_offset is a fraction from 0 to 1, not {offset}")));
        }
        let by_limit = args.word("mode", &[("market", false), ("limit", true)])?.unwrap_or(false);
        let long = args.word("side", &[("long", true), ("short", false)])?;
        let good = args.word("is_good", &[("true", true), ("false", false)])?;
        let mut held = self.positions(view, args)?;
        held.retain(|p| long.is_none_or(|long| p.qty.is_positive() == long));
        held.retain(|p| good.is_none_or(|good| p.unrealized.is_positive() == good));
        let (mut closed, mut unclosed) = (Vec::new(), Vec::new());
        for p in &held {
            let done = p.closing(by_limit.then_some(offset)).and_then(|order| {
                let order = NewOrder { account: self.account, ..order };
                match self.order(Control::Order(Box::new(order)))? {
                    Answer::Sent(id) => {
                        self.follow(id, |o| o.is_none_or(|o| o.status != ctos_types::OrderStatus::PendingNew))
                    }
                    _ => Err(UserError::new("the order was not sent", "look with `ctos orders --all`")),
                }
            });
            match done {
                Ok(order) => closed.push(order),
                Err(e) => unclosed.push(json!({
                    "symbol": p.instrument.symbol.to_string(), "error": e.message, "hint": e.hint,
                })),
            }
        }
        Ok(json!({ "closed": closed, "unclosed": unclosed }))
    }
}

/// What a person can do about a gate's no.
fn hint_of(denied: &Denied) -> String {
    let limit = |key: &str| format!("change the order, or risk.{key} in the settings if you mean it");
    match denied.gate {
        Gate::KillSwitch => "release the halt with `ctos resume`; `ctos status` says why it is there".into(),
        Gate::Standing => {
            "try again in a moment; `ctos status` says what is in doubt. Cancels, and orders that shrink a \
                           position, pass"
                .into()
        }
        Gate::StaleMarket => "wait until the market sends prices again; `ctos status` shows its links".into(),
        Gate::Journal => {
            "free disk space or mend the disk, then start again: nothing is sent that cannot be written".into()
        }
        Gate::Balance => "make the order smaller or add funds; a cross margin account may borrow what it lacks \
                          (auto_borrow=true)"
            .into(),
        Gate::Instrument => "`ctos call exchange_limits SYMBOL` shows what the venue takes".into(),
        Gate::PriceBand => limit("price_band_bps"),
        Gate::MinQty => limit("min_order_qty"),
        Gate::MaxQty => limit("max_order_qty"),
        Gate::MinNotional => limit("min_order_notional"),
        Gate::MaxNotional => limit("max_order_notional"),
        Gate::MaxPosition => limit("max_position_notional"),
        Gate::MaxTotalNotional => limit("max_total_notional"),
        Gate::MaxLeverage => limit("max_leverage"),
        Gate::MaxOpenOrders => limit("max_open_orders"),
        Gate::OrderRateSec => limit("max_orders_per_sec"),
        Gate::OrderRateMin => limit("max_orders_per_min"),
        Gate::CancelRatio => limit("max_cancel_ratio"),
        Gate::SelfCross => limit("self_cross"),
        Gate::DuplicateIntent => limit("duplicate_window"),
    }
}

fn order_id(args: &Args) -> Result<ClientOrderId, UserError> {
    let text = args.required("order_id")?;
    text.parse().map_err(|_| {
        UserError::new(
            format!("{text:?} names no order of this run"),
            "through a running instance orders go by their client order id (c000001a2), as `ctos orders` shows it",
        )
    })
}

fn order(o: &OrderView) -> Value {
    let ms = |text: &str| super::args::moment(text).map_or(Value::Null, shapes::ms);
    json!({
        "orderId": o.id,
        "clientId": o.id,
        "symbol": o.symbol,
        "side": shapes::side(o.side),
        "orderType": if o.post_only && o.kind == "limit" { "post_only" } else { o.kind.as_str() },
        "price": shapes::opt(o.price),
        "trigger": shapes::opt(o.trigger),
        "quantity": shapes::number(o.qty),
        "filledQuantity": shapes::number(o.filled),
        "status": shapes::status(o.status),
        "postOnly": o.post_only,
        "reduceOnly": o.reduce_only,
        "strategy": o.strategy,
        "createdAt": ms(&o.created),
        "updatedAt": ms(&o.updated),
    })
}
