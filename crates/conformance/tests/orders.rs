//! Every order that the syscalls can ask for, on every market: it is sent so that the venue takes it for what it is, or
//! refused before anything leaves, with the reason.
//! Never: an option that is dropped on the way.

use ctos_driver_binance::instruments::builtin_all;
use ctos_driver_binance::request::{Call, Stamp};
use ctos_driver_binance::{Credentials, Desk, Profile};
use ctos_twin::{AccountSetting, LimitSettings, Product, Request, Twin, TwinConfig};
use ctos_types::{
    AccountId, ClientOrderId, InstanceTag, Instruments, Leg, Nanos, NewOrder, OrderKind, OrderQty, PositionEffect,
    Price, Rounding, Side, StrategyId, TimeInForce, TriggerBy, UnixNanos, VenueError,
};
use serde_json::Value;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

const START: UnixNanos = UnixNanos::from_secs(1_795_262_400);
const SEED: u64 = 5;

struct Market {
    twin: Twin,
    desk: Desk,
    keys: Credentials,
    now: UnixNanos,
    last: Price,
    seq: u64,
}

impl Market {
    fn new(profile: Profile, hedge: bool) -> Market {
        let product = if profile == Profile::UsdM { Product::UsdM } else { Product::Spot };
        let mut config = TwinConfig::new(product, SEED, START);
        config.limits =
            LimitSettings { weight: Some(10_000_000), orders_10s: Some(10_000_000), ..LimitSettings::default() };
        let account = AccountSetting::test(SEED);
        let (key, secret) = account.hmac_pair().unwrap();
        let keys = Credentials::new(key, secret).unwrap();
        let twin = Twin::synthetic(config, SEED, Nanos::from_secs(120)).unwrap();
        let instruments = Instruments::new(builtin_all().to_vec()).unwrap();
        let desk = Desk::new(profile, AccountId(0), hedge, &instruments);
        let mut m = Market { twin, desk, keys, now: START, last: Price(0), seq: 0 };
        if hedge {
            m.send(&m.desk.set_hedge(true).unwrap()).unwrap();
        }
        m
    }

    /// The body of a success, else the venue's error.
    fn send(&mut self, call: &Call) -> Result<String, Value> {
        self.now = self.now.after(Nanos::from_millis(20));
        let stamp = Stamp { timestamp_ms: self.now.0 / 1_000_000, recv_window_ms: None };
        let http = call.build(Some(&self.keys), stamp).unwrap();
        let (path, query) = http.target.split_once('?').unwrap_or((&http.target, ""));
        let request = Request {
            method: http.method.as_str(),
            path,
            query,
            body: &http.body,
            api_key: Some(self.keys.api_key()),
            micros: false,
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let reply = self.twin.rest(self.now, &request);
        let json = || serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        if reply.status == 200 { Ok(reply.body.clone()) } else { Err(json()) }
    }

    fn instrument(&self) -> &'static ctos_types::Instrument {
        let product = if self.desk.profile == Profile::UsdM { "PERP" } else { "" };
        let named = |i: &&ctos_types::Instrument| {
            i.base.as_str() == "BTC" && i.quote.as_str() == "USDT" && i.is_spot() == product.is_empty()
        };
        builtin_all().iter().find(named).expect("BTC against USDT")
    }

    /// A price so many thousandths of the last one.
    fn at(&self, thousandths: i64) -> Price {
        let px = self.instrument().price_decimal(self.last).mul_ratio(thousandths, 1_000, Rounding::HalfEven).unwrap();
        self.instrument().price_rounded(px, Rounding::HalfEven).unwrap()
    }

    fn order(&mut self) -> NewOrder {
        self.seq += 1;
        let i = self.instrument();
        NewOrder {
            strategy: StrategyId(1),
            ..NewOrder::new(
                AccountId(0),
                ClientOrderId { tag: InstanceTag(10), seq: self.seq },
                self.desk.symbols().find(b"BTCUSDT").unwrap().id,
                Side::Buy,
                OrderKind::Market,
                OrderQty::Size(i.qty_down("0.005".parse().unwrap()).unwrap()),
            )
        }
    }

    /// Nothing is open, the market's price is known, and there is something for every order to reduce.
    fn tidy(&mut self) {
        let id = self.order().instrument;
        for call in self.desk.cancel_all(id).unwrap() {
            let _ = self.send(&call);
        }
        let path = if self.desk.profile == Profile::UsdM { "/fapi/v2/ticker/price" } else { "/api/v3/ticker/price" };
        let ask = Request {
            method: "GET",
            path,
            query: "symbol=BTCUSDT",
            body: "",
            api_key: None,
            micros: false,
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let price: Value = serde_json::from_str(&self.twin.rest(self.now, &ask).body).unwrap();
        self.last = self
            .instrument()
            .parse_price(price["price"].as_str().unwrap().trim_end_matches('0').trim_end_matches('.'))
            .unwrap();
        if self.desk.profile != Profile::UsdM {
            return;
        }
        let body = self.send(&self.desk.all_positions().unwrap()).unwrap();
        let (positions, _) = self.desk.read_positions(body.as_bytes()).unwrap();
        let legs: &[Leg] = if self.desk.hedge { &[Leg::Long, Leg::Short] } else { &[Leg::Net] };
        for leg in legs {
            let have = positions.iter().find(|p| p.instrument == id && p.leg == *leg).map_or(0, |p| p.qty.0.abs());
            let goal = self.instrument().qty_down("0.2".parse().unwrap()).unwrap().0;
            let lack = ctos_types::Qty(goal - have);
            if lack.0 > goal / 2 {
                let side = if *leg == Leg::Long { Side::Buy } else { Side::Sell };
                let order = NewOrder { side, leg: *leg, qty: OrderQty::Size(lack), ..self.order() };
                let call = self.desk.place(&order).unwrap();
                self.send(&call).unwrap();
            }
        }
    }

    fn kinds(&self) -> [(&'static str, OrderKind); 7] {
        let (low, high, limit) = (self.at(985), self.at(1_015), self.at(985));
        [
            ("market", OrderKind::Market),
            ("limit", OrderKind::Limit { price: limit }),
            ("stop, market", OrderKind::StopMarket { trigger: high }),
            ("stop, limit", OrderKind::StopLimit { trigger: high, price: high }),
            ("take-profit, market", OrderKind::TakeProfitMarket { trigger: low }),
            ("take-profit, limit", OrderKind::TakeProfitLimit { trigger: low, price: low }),
            ("trailing stop", OrderKind::TrailingStop { callback_bps: 100, activation: None }),
        ]
    }
}

/// What became of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Type and time in force at the venue.
    Sent(String),
    Refused(&'static str, String),
}

fn tell(m: &mut Market, order: &NewOrder) -> Fate {
    let call = match m.desk.place(order) {
        Ok(call) => call,
        Err(VenueError::Invalid { field, why }) => {
            assert!(!why.is_empty() && !field.is_empty());
            return Fate::Refused(field, why);
        }
        Err(other) => panic!("{order:?}: {other}"),
    };
    let words = ["type", "timeInForce"].map(|n| call.query.get(n).map(|v| v.into_owned()).unwrap_or_default());
    let sent = words.join(" ").trim().to_string();
    match m.send(&call) {
        Ok(body) => {
            let back = m.desk.read_order(body.as_bytes()).unwrap_or_else(|e| panic!("{order:?}: {e} in {body}"));
            // A market order has no time in force of its own, and a hedged account says with the leg what reduces.
            let same_tif = order.kind.limit_price().is_none() || back.tif == order.tif;
            let reduces = order.reduce_only || order.position_effect == PositionEffect::Close;
            let same_reduce = back.reduce_only == (reduces && !m.desk.hedge);
            assert!(
                back.kind == Some(order.kind)
                    && back.side == order.side
                    && back.post_only == order.post_only
                    && back.leg == order.leg
                    && back.owner.client() == Some(order.cl_ord_id.into())
                    && same_tif
                    && same_reduce,
                "asked {order:?}\nbecame {back:?}"
            );
        }
        // Taken for what it is, and what it is cannot be done now: the whole of it at once, or reducing what is short.
        Err(error) => {
            let whole = order.tif == TimeInForce::Fok && error["code"] == -5021;
            let short = order.side == Side::Sell && !m.desk.hedge && error["code"] == -2022;
            assert!(whole || short, "{sent} {}: {error}", call.path);
        }
    }
    Fate::Sent(sent)
}

const TIFS: [(&str, TimeInForce); 4] = [
    ("until cancelled", TimeInForce::Gtc),
    ("immediate", TimeInForce::Ioc),
    ("all or nothing", TimeInForce::Fok),
    ("until a date", TimeInForce::Gtd(UnixNanos::from_secs(1_795_262_400 + 86_400))),
];

const EFFECTS: [PositionEffect; 5] = [
    PositionEffect::Auto,
    PositionEffect::Open,
    PositionEffect::Close,
    PositionEffect::CloseToday,
    PositionEffect::CloseYesterday,
];

const MARKETS: [(Profile, bool); 4] =
    [(Profile::Spot, false), (Profile::Margin, false), (Profile::UsdM, false), (Profile::UsdM, true)];

/// 6,720 buys on each market, and the sells of two kinds.
#[test]
fn every_order_is_sent_right_or_refused_with_the_reason() {
    for (profile, hedge) in MARKETS {
        let mut m = Market::new(profile, hedge);
        let (mut sent, mut refused) = (0, 0);
        for kind in 0..7 {
            m.tidy();
            for (_, tif) in TIFS {
                for flags in 0..32 {
                    for effect in EFFECTS {
                        for leg in [Leg::Net, Leg::Long, Leg::Short] {
                            if flags % 8 == 0 {
                                m.tidy();
                            }
                            let on = |bit: u32| flags >> bit & 1 == 1;
                            let order = NewOrder {
                                kind: m.kinds()[kind].1,
                                tif,
                                post_only: on(0),
                                reduce_only: on(1),
                                trigger_by: if on(2) { TriggerBy::Mark } else { TriggerBy::Last },
                                qty: if on(3) { OrderQty::Quote("300".parse().unwrap()) } else { m.order().qty },
                                position_effect: effect,
                                leg,
                                ..m.order()
                            };
                            // Selling turns every trigger round; the plain ones are enough for the other side.
                            let order = match (on(4), kind) {
                                // The margin account of the twin owns no coins.
                                (true, 0 | 6) if profile != Profile::Margin => NewOrder { side: Side::Sell, ..order },
                                (true, _) => continue,
                                (false, _) => order,
                            };
                            match tell(&mut m, &order) {
                                Fate::Sent(_) => sent += 1,
                                Fate::Refused(..) => refused += 1,
                            }
                        }
                    }
                }
            }
        }
        assert!(sent >= 40 && refused >= 40, "{profile} {hedge}: {sent} sent, {refused} refused");
    }
}

/// The table of docs/venues/binance.md. `UPDATE=1 cargo test -p ctos-conformance --test orders` writes it anew.
#[test]
fn the_documentation_has_this_table() {
    let mut text = String::from("| order | spot | cross margin | USD-M |\n|---|---|---|---|\n");
    let mut markets: Vec<Market> = MARKETS[..3].iter().map(|(p, hedge)| Market::new(*p, *hedge)).collect();
    let mut row = |name: &str, change: &dyn Fn(&Market, NewOrder) -> NewOrder| {
        let _ = write!(text, "| {name} |");
        for m in &mut markets {
            m.tidy();
            let base = m.order();
            let order = change(m, base);
            let _ = match tell(m, &order) {
                Fate::Sent(words) => write!(text, " `{words}` |"),
                Fate::Refused(_, why) => write!(text, " refused: {why} |"),
            };
        }
        text.push('\n');
    };
    for n in 0..7 {
        let name = ["market", "limit", "stop, market", "stop, limit", "take-profit, market", "take-profit, limit"];
        let name = name.get(n).copied().unwrap_or("trailing stop");
        for (word, tif) in TIFS {
            row(&format!("{name}; {word}"), &|m, o| NewOrder { kind: m.kinds()[n].1, tif, ..o });
        }
    }
    let limit = |m: &Market, o| NewOrder { kind: m.kinds()[1].1, ..o };
    row("market, by amount", &|_, o| NewOrder { qty: OrderQty::Quote("300".parse().unwrap()), ..o });
    row("limit, by amount", &|m, o| NewOrder { qty: OrderQty::Quote("300".parse().unwrap()), ..limit(m, o) });
    row("limit, post-only", &|m, o| NewOrder { post_only: true, ..limit(m, o) });
    row("market, reduce-only", &|_, o| NewOrder { reduce_only: true, ..o });
    row("market, closes", &|_, o| NewOrder { position_effect: PositionEffect::Close, ..o });
    row("market, closes today's", &|_, o| NewOrder { position_effect: PositionEffect::CloseToday, ..o });
    row("market, long leg", &|_, o| NewOrder { leg: Leg::Long, ..o });
    row("stop by mark price", &|m, o| NewOrder { kind: m.kinds()[2].1, trigger_by: TriggerBy::Mark, ..o });

    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/venues/binance.md");
    let have = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- orders: generated -->\n", "<!-- end of orders -->");
    let (head, rest) = have.split_once(begin).expect("the mark before the table");
    let (_, tail) = rest.split_once(end).expect("the mark behind the table");
    let want = format!("{head}{begin}{text}{end}{tail}");
    if want != have && std::env::var("UPDATE").as_deref() == Ok("1") {
        std::fs::write(&path, &want).unwrap();
        return;
    }
    assert_eq!(have, want, "docs/venues/binance.md is stale: UPDATE=1 cargo test -p ctos-conformance --test orders");
}
