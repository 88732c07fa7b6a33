use super::*;
use crate::instruments::builtin_all;
use ctos_types::{AccountId, Balance, CancelReason, ClientOrderId, InstanceTag, Instruments, Liquidity, RejectReason};
use proptest::prelude::*;

fn desk(profile: Profile) -> Desk {
    Desk::new(profile, AccountId(3), false, &Instruments::new(builtin_all().to_vec()).unwrap())
}

fn events(profile: Profile, frame: &str) -> Result<Vec<UserEvent>, DecodeError> {
    match UserDecoder::new(&desk(profile)).decode(frame.as_bytes())? {
        UserFrame::Events(events) => Ok(events),
        UserFrame::Reply(reply) => panic!("{reply:?}"),
    }
}

fn order(profile: Profile, frame: &str) -> OrderUpdate {
    match &events(profile, frame).unwrap()[..] {
        [UserEvent::Order(update)] => update.clone(),
        other => panic!("{other:?}"),
    }
}

fn bodies(update: &OrderUpdate) -> Vec<ReportBody> {
    update.reports.iter().map(|r| r.body).collect()
}

const ME: ClientOrderId = ClientOrderId { tag: InstanceTag(10), seq: 1 };

// Fields as documented, values made by hand.
const SPOT_NEW: &str = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658658,"s":"BTCUSDT","c":"c00000a1","S":"BUY","o":"LIMIT","f":"GTC","q":"0.00200000","p":"61800.20000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1499405658657,"t":-1,"I":8641984,"w":true,"m":false,"M":false,"O":1499405658657,"Z":"0.00000000","Y":"0.00000000","Q":"0.00000000","W":1499405658657,"V":"NONE"}}"#;
const SPOT_BALANCES: &str = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,"B":[{"a":"USDT","f":"10000.500000","l":"0.500000"},{"a":"BTC","f":"0.1","l":""}]}}"#;
const USDM_ORDER: &str = r#"{"e":"ORDER_TRADE_UPDATE","E":1568879465651,"T":1568879465650,"o":{"s":"BTCUSDT","c":"c00000a1","S":"SELL","o":"LIMIT","f":"GTC","q":"0.002","p":"61800.20","ap":"0","sp":"0","x":"NEW","X":"NEW","i":8886774,"l":"0","z":"0","L":"0","T":1568879465650,"t":0,"b":"0","a":"9.91","m":false,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,"pP":false,"si":0,"ss":0,"rp":"0","V":"EXPIRE_TAKER","pm":"NONE","gtd":0,"er":"0"}}"#;
const ACCOUNT: &str = r#"{"e":"ACCOUNT_UPDATE","E":1564745798939,"T":1564745798938,"a":{"m":"ORDER","B":[{"a":"USDT","wb":"122624.12345678","cw":"100.12345678","bc":"0"}],"P":[{"s":"BTCUSDT","pa":"-0.020","ep":"6563.66500","bep":"0","cr":"0","up":"2850.21200","mt":"cross","iw":"0.00000000","ps":"BOTH"},{"s":"XYZUSDT","pa":"20","ep":"6563.6","bep":"0","cr":"0","up":"2850.2","mt":"cross","iw":"0","ps":"LONG"}]}}"#;
const LITE: &str = r#"{"e":"TRADE_LITE","E":1721895408092,"T":1721895408214,"s":"BTCUSDT","q":"0.001","p":"0","m":false,"c":"c00000a1","S":"BUY","L":"64089.20","l":"0.040","t":109100866,"i":8886774}"#;
const ALGO: &str = r#"{"e":"ALGO_UPDATE","T":1750515742297,"E":1750515742303,"o":{"caid":"c00000a1","aid":2148719,"at":"CONDITIONAL","o":"STOP_MARKET","s":"BTCUSDT","S":"SELL","ps":"BOTH","f":"GTC","q":"0.01","X":"NEW","ai":"","ap":"0","aq":"0","act":"0","tp":"60000","p":"0","V":"EXPIRE_MAKER","wt":"CONTRACT_PRICE","pm":"NONE","cp":false,"pP":false,"R":false,"tt":0,"gtd":0,"rm":"","ia":false}}"#;

fn with(frame: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(frame.to_string(), |text, (from, to)| {
        assert!(text.contains(from), "{from} in {text}");
        text.replacen(from, to, 1)
    })
}

#[test]
fn spot_orders_from_new_to_filled() {
    let new = order(Profile::Spot, SPOT_NEW);
    assert_eq!(bodies(&new), [ReportBody::Accepted]);
    assert_eq!((new.owner.client().unwrap().id, new.reports[0].cl_ord_id, new.outcome), (ME, Some(ME), None));
    let trade = with(
        SPOT_NEW,
        &[
            (r#""x":"NEW","X":"NEW""#, r#""x":"TRADE","X":"FILLED""#),
            (
                r#""l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null"#,
                r#""l":"0.00200000","z":"0.00200000","L":"61800.10000000","n":"0.00000200","N":"BTC""#,
            ),
            (r#""t":-1"#, r#""t":77"#),
        ],
    );
    let filled = order(Profile::Spot, &trade);
    let [ReportBody::Fill(fill)] = bodies(&filled)[..] else { panic!() };
    assert_eq!((fill.exec_id.as_str(), fill.last_qty, fill.liquidity), ("77", Qty(200_000), Liquidity::Taker));
    assert_eq!((fill.fee.to_string(), fill.fee_currency.as_str()), ("0.000002".into(), "BTC"));
    assert_eq!((filled.cum_qty, filled.outcome), (filled.qty, Some(Outcome::Filled)));
    // A fill must carry its fee's currency, unless there is no fee.
    let nameless = trade.replace(r#""N":"BTC""#, r#""N":null"#);
    assert!(events(Profile::Spot, &nameless).is_err());
    let free = nameless.replace(r#""n":"0.00000200""#, r#""n":"0""#);
    let [ReportBody::Fill(fill)] = bodies(&order(Profile::Spot, &free))[..] else { panic!() };
    assert_eq!(fill.fee_currency.as_str(), "USDT");
    assert!(events(Profile::Spot, &trade.replace(r#""t":77"#, r#""t":-1"#)).is_err());
}

#[test]
fn a_spot_cancel_is_told_by_the_orders_own_id() {
    let canceled = with(
        SPOT_NEW,
        &[
            (r#""x":"NEW","X":"NEW""#, r#""x":"CANCELED","X":"CANCELED""#),
            (r#""c":"c00000a1""#, r#""c":"web_9""#),
            (r#""C":"""#, r#""C":"c00000a1-3""#),
        ],
    );
    let update = order(Profile::Spot, &canceled);
    assert_eq!(bodies(&update), [ReportBody::Canceled { reason: CancelReason::Requested }]);
    assert_eq!((update.owner.client().unwrap().generation, update.reports[0].cl_ord_id), (3, Some(ME)));
    let by_venue = with(&canceled, &[(r#""V":"NONE""#, r#""V":"NONE","eR":"EXCHANGE_CANCELED""#)]);
    assert_eq!(bodies(&order(Profile::Spot, &by_venue)), [ReportBody::Canceled { reason: CancelReason::Venue }]);
}

#[test]
fn other_ends_and_changes_on_spot() {
    let as_x = |x: &str, state: &str, more: &[(&str, &str)]| {
        let text = with(SPOT_NEW, &[(r#""x":"NEW","X":"NEW""#, &format!(r#""x":"{x}","X":"{state}""#))]);
        bodies(&order(Profile::Spot, &with(&text, more)))
    };
    let ioc = [(r#""f":"GTC""#, r#""f":"IOC""#)];
    assert_eq!(as_x("EXPIRED", "EXPIRED", &ioc), [ReportBody::Canceled { reason: CancelReason::NoLiquidity }]);
    assert_eq!(as_x("EXPIRED", "EXPIRED", &[]), [ReportBody::Expired]);
    assert_eq!(
        as_x("TRADE_PREVENTION", "EXPIRED_IN_MATCH", &[]),
        [ReportBody::Canceled { reason: CancelReason::SelfTrade }]
    );
    let part = [(r#""V":"NONE""#, r#""V":"DECREMENT","A":"0.00050000","B":"0.00050000""#)];
    let price = Some(Price(6_180_020_000_000));
    assert_eq!(as_x("TRADE_PREVENTION", "NEW", &part), [ReportBody::Amended { price, qty: Qty(150_000) }]);
    assert_eq!(as_x("REPLACED", "NEW", &[]), [ReportBody::Amended { price, qty: Qty(200_000) }]);
    let refused = as_x("REJECTED", "REJECTED", &[(r#""r":"NONE""#, r#""r":"INSUFFICIENT_BALANCES""#)]);
    assert!(matches!(refused[..], [ReportBody::Rejected { reason: RejectReason::InsufficientBalance, .. }]));
    // A stop rests at the venue, is triggered, and only then is on the book.
    let stop = |on_book: &str| {
        as_x(
            "NEW",
            "NEW",
            &[
                (r#""o":"LIMIT""#, r#""o":"STOP_LOSS_LIMIT""#),
                (r#""P":"0.00000000""#, r#""P":"60000.0""#),
                (r#""w":true"#, on_book),
            ],
        )
    };
    assert_eq!((stop(r#""w":false"#), stop(r#""w":true"#)), (vec![ReportBody::Accepted], vec![ReportBody::Triggered]));
}

#[test]
fn balances_of_spot_and_margin() {
    let spot = events(Profile::Spot, SPOT_BALANCES).unwrap();
    let UserEvent::Account { event: AccountEvent::Balance { account, currency, balance }, .. } = spot[0] else {
        panic!()
    };
    assert_eq!(
        (account, currency.as_str(), balance.total.to_string(), balance.hold.to_string()),
        (AccountId(3), "USDT", "10001".into(), "0.5".into())
    );
    let margin = events(Profile::Margin, SPOT_BALANCES).unwrap();
    assert!(matches!(margin[1], UserEvent::MarginBalance { held: Decimal::ZERO, .. }), "{margin:?}");
    let moved = r#"{"subscriptionId":0,"event":{"e":"balanceUpdate","E":1573200697110,"a":"BTC","d":"-100.00000000","T":1573200697068}}"#;
    let want = AccountEvent::Adjustment {
        account: AccountId(3),
        currency: Currency::new("BTC").unwrap(),
        amount: "-100".parse().unwrap(),
    };
    assert_eq!(
        events(Profile::Spot, moved).unwrap(),
        [UserEvent::Account { event: want, ts_event: UnixNanos::from_millis(1_573_200_697_068) }]
    );
    let over = r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1728973001334}}"#;
    assert_eq!(events(Profile::Spot, over).unwrap(), [UserEvent::Ended(Ended::Terminated)]);
    let down = r#"{"event":{"e":"serverShutdown","E":1770123456789}}"#;
    assert_eq!(events(Profile::Spot, down).unwrap(), [UserEvent::Ended(Ended::Shutdown)]);
}

#[test]
fn usdm_orders_from_new_to_every_end() {
    let new = order(Profile::UsdM, USDM_ORDER);
    assert_eq!((bodies(&new), new.reports[0].cl_ord_id), (vec![ReportBody::Accepted], Some(ME)));
    let trade = with(
        USDM_ORDER,
        &[
            (r#""x":"NEW","X":"NEW""#, r#""x":"TRADE","X":"PARTIALLY_FILLED""#),
            (r#""l":"0","z":"0","L":"0""#, r#""l":"0.001","z":"0.001","L":"61800.20","N":"USDT","n":"-0.01""#),
            (r#""t":0"#, r#""t":5"#),
            (r#""m":false"#, r#""m":true"#),
        ],
    );
    let [ReportBody::Fill(fill)] = bodies(&order(Profile::UsdM, &trade))[..] else { panic!() };
    assert_eq!((fill.liquidity, fill.fee, fill.last_qty), (Liquidity::Maker, "-0.01".parse().unwrap(), Qty(1)));
    let free = trade.replace(r#","N":"USDT","n":"-0.01""#, "");
    let [ReportBody::Fill(fill)] = bodies(&order(Profile::UsdM, &free))[..] else { panic!() };
    assert_eq!((fill.fee, fill.fee_currency.as_str()), (Decimal::ZERO, "USDT"));
    let half = trade.replace(r#""N":"USDT","#, "");
    assert!(events(Profile::UsdM, &half).is_err(), "a fee in no currency");
    let ended = |x: &str, state: &str, er: &str| {
        let to = [
            (r#""x":"NEW","X":"NEW""#.to_string(), format!(r#""x":"{x}","X":"{state}""#)),
            (r#""er":"0""#.into(), format!(r#""er":{er}"#)),
        ];
        let text = to.iter().fold(USDM_ORDER.to_string(), |t, (from, to)| with(&t, &[(from, to)]));
        bodies(&order(Profile::UsdM, &text))
    };
    let canceled = |reason| vec![ReportBody::Canceled { reason }];
    assert_eq!(ended("CANCELED", "CANCELED", "\"0\""), canceled(CancelReason::Requested));
    assert_eq!(ended("EXPIRED", "EXPIRED", "\"2\""), canceled(CancelReason::NoLiquidity));
    assert_eq!(ended("EXPIRED", "EXPIRED", "4"), canceled(CancelReason::ReduceOnly));
    assert_eq!(ended("EXPIRED", "EXPIRED", "\"5\""), canceled(CancelReason::Liquidation));
    assert_eq!(ended("EXPIRED", "EXPIRED_IN_MATCH", "\"1\""), canceled(CancelReason::SelfTrade));
    assert_eq!(ended("EXPIRED", "EXPIRED", "\"0\""), [ReportBody::Expired]);
    assert_eq!(
        ended("AMENDMENT", "NEW", "\"0\""),
        [ReportBody::Amended { price: Some(Price(6_180_020)), qty: Qty(2) }]
    );
    let liquidated = with(
        USDM_ORDER,
        &[
            ("c00000a1", "autoclose-123"),
            (r#""o":"LIMIT""#, r#""o":"LIQUIDATION""#),
            (r#""x":"NEW","X":"NEW""#, r#""x":"CALCULATED","X":"FILLED""#),
            (r#""q":"0.002""#, r#""q":"0.000""#),
        ],
    );
    let update = order(Profile::UsdM, &liquidated);
    assert_eq!((update.owner, update.reports.len()), (Owner::Foreign(Text::cut("autoclose-123")), 0));
}

#[test]
fn usdm_account_updates() {
    let all = events(Profile::UsdM, ACCOUNT).unwrap();
    let UserEvent::Account { event: AccountEvent::Position { qty, leg, .. }, .. } = all[0] else { panic!() };
    assert_eq!((qty, leg), (Qty(-20), Leg::Net));
    assert_eq!(all[1], UserEvent::OtherSymbol(Text::cut("XYZUSDT")));
    let UserEvent::Account { event: AccountEvent::Balance { balance, .. }, .. } = all[2] else { panic!() };
    assert_eq!((balance, all.len()), (Balance { total: "122624.12345678".parse().unwrap(), ..Balance::default() }, 3));
    let funding =
        with(ACCOUNT, &[(r#""m":"ORDER""#, r#""m":"FUNDING_FEE","S":"BTCUSDT""#), (r#""bc":"0""#, r#""bc":"-1.5""#)]);
    let Some(UserEvent::Funding { instrument: Some(_), amount, .. }) =
        events(Profile::UsdM, &funding).unwrap().get(2).cloned()
    else {
        panic!()
    };
    assert_eq!(amount, "-1.5".parse().unwrap());
    let deposit = funding.replace("FUNDING_FEE", "DEPOSIT");
    assert!(matches!(
        events(Profile::UsdM, &deposit).unwrap()[2],
        UserEvent::Account { event: AccountEvent::Adjustment { .. }, .. }
    ));
}

#[test]
fn the_rest_of_usdm() {
    let [UserEvent::EarlyFill(fill)] = events(Profile::UsdM, LITE).unwrap()[..] else { panic!() };
    assert_eq!(
        (fill.exec_id.as_str(), fill.last_px, fill.owner.client().unwrap().id),
        ("109100866", Price(6_408_920), ME)
    );
    let algo = |state: &str, ai: &str, aq: &str| {
        let to = [
            (r#""X":"NEW""#, format!(r#""X":"{state}""#)),
            (r#""ai":"""#, format!(r#""ai":"{ai}""#)),
            (r#""aq":"0""#, format!(r#""aq":"{aq}""#)),
        ];
        order(Profile::UsdM, &to.iter().fold(ALGO.to_string(), |t, (from, to)| with(&t, &[(from, to)])))
    };
    assert_eq!(bodies(&algo("NEW", "", "0")), [ReportBody::Accepted]);
    let triggered = algo("TRIGGERED", "99", "0");
    assert_eq!((bodies(&triggered), triggered.child.unwrap().as_str()), (vec![ReportBody::Triggered], "99"));
    assert_eq!(
        (algo("FINISHED", "99", "0.01").outcome, bodies(&algo("FINISHED", "99", "0.01"))),
        (Some(Outcome::Filled), vec![])
    );
    assert_eq!(algo("FINISHED", "99", "0").outcome, Some(Outcome::Canceled(CancelReason::Requested)));
    assert_eq!(bodies(&algo("EXPIRED", "", "0")), [ReportBody::Expired]);
    assert!(matches!(bodies(&algo("REJECTED", "", "0"))[..], [ReportBody::Rejected { .. }]));
    for (frame, want) in [
        (r#"{"e":"listenKeyExpired","E":"1736996475556","listenKey":"WsC"}"#, UserEvent::Ended(Ended::KeyExpired)),
        (r#"{"stream":"key","data":{"e":"listenKeyExpired","E":1736996475556}}"#, UserEvent::Ended(Ended::KeyExpired)),
        (r#"{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":2,"ai":{"j":true}}"#, UserEvent::MultiAssets(true)),
        (r#"{"e":"STRATEGY_UPDATE","E":1}"#, UserEvent::Ignored(Text::cut("STRATEGY_UPDATE"))),
        (
            r#"{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":2,"ac":{"s":"XYZUSDT","l":25}}"#,
            UserEvent::OtherSymbol(Text::cut("XYZUSDT")),
        ),
    ] {
        assert_eq!(events(Profile::UsdM, frame).unwrap(), [want]);
    }
    let leverage = r#"{"e":"ACCOUNT_CONFIG_UPDATE","E":1,"T":2,"ac":{"s":"BTCUSDT","l":25}}"#;
    assert!(matches!(events(Profile::UsdM, leverage).unwrap()[..], [UserEvent::Leverage { leverage: 25, .. }]));
    let call = r#"{"e":"MARGIN_CALL","E":1587727187525,"cw":"3.16","p":[{"s":"BTCUSDT","ps":"LONG","pa":"1.3","mt":"CROSSED","iw":"0","mp":"187.1","up":"-1.1","mm":"1.6"},{"s":"XYZUSDT"}]}"#;
    assert!(
        matches!(&events(Profile::UsdM, call).unwrap()[..], [UserEvent::MarginCall { instruments, .. }] if instruments.len() == 1)
    );
}

#[test]
fn unknown_states_are_no_states() {
    for (frame, from, to) in [
        (USDM_ORDER, r#""x":"NEW""#, r#""x":"ODD""#),
        (USDM_ORDER, r#""X":"NEW""#, r#""X":"ODD""#),
        (USDM_ORDER, r#""S":"SELL""#, r#""S":"ODD""#),
        (USDM_ORDER, r#""f":"GTC""#, r#""f":"ODD""#),
        (ALGO, r#""X":"NEW""#, r#""X":"ODD""#),
        (ACCOUNT, r#""wb":"122624.12345678""#, r#""wb":"1,2""#),
        (ACCOUNT, r#""pa":"-0.020""#, r#""pa":"-0.0201""#),
    ] {
        assert!(events(Profile::UsdM, &with(frame, &[(from, to)])).is_err(), "{from}");
    }
    assert!(events(Profile::Spot, &with(SPOT_NEW, &[(r#""X":"NEW""#, r#""X":"ODD""#)])).is_err());
}

#[test]
fn replies_of_the_websocket_api() {
    let d = desk(Profile::Spot);
    let read = |frame: &str| match UserDecoder::new(&d).decode(frame.as_bytes()).unwrap() {
        UserFrame::Reply(reply) => reply,
        UserFrame::Events(e) => panic!("{e:?}"),
    };
    let ok = read(
        r#"{"id":7,"status":200,"result":{"subscriptionId":0},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":2},{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":1},{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":3}]}"#,
    );
    assert_eq!((ok.id, ok.status, &ok.body["subscriptionId"]), (Some(7), 200, &serde_json::json!(0)));
    let limit = |orders, interval_s, limit, count| RateLimit { orders, interval_s, limit, count: Some(count) };
    assert_eq!(ok.rate_limits, [limit(false, 60, 6_000, 2), limit(true, 10, 50, 3)]);
    let revoked = read(r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#);
    assert_eq!(
        (revoked.id, crate::errors::read_ws(Profile::Spot, revoked.status, &revoked.body).verdict),
        (None, crate::Verdict::Auth)
    );
}

#[test]
fn streams_are_opened_and_kept() {
    let key = ListenKey::read(br#"{"listenKey":"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"}"#)
        .unwrap();
    assert!(key.path().starts_with("/private/ws/pqia91") && format!("{key:?}") == "ListenKey(***)");
    assert!(ListenKey::read(br#"{"listenKey":"a/../b"}"#).is_err() && ListenKey::read(br#"{"listenKey":""}"#).is_err());
    assert_eq!(
        [ListenKey::create(), ListenKey::keep_alive(), ListenKey::close()].map(|c| c.method.as_str()),
        ["POST", "PUT", "DELETE"]
    );
    let token = ListenToken::read(br#"{"token":"6xXxePXwZRjVSHKhzUCCGnmN3fkvMTXru+pYJS8RwijXk9Vcyr3rkwfVOTcP2OkONqciYA","expirationTime":1758792204196}"#).unwrap();
    assert!(!format!("{token:?}").contains("6xX"));
    let text =
        token.subscribe().build(1, None, crate::request::Stamp { timestamp_ms: 0, recv_window_ms: None }).unwrap();
    assert!(text.contains("userDataStream.subscribe.listenToken") && text.contains("6xXx"), "{text}");
    assert_eq!(calls::subscribe_spot().method, "userDataStream.subscribe.signature");
}

const ALL: [(&str, Profile); 7] = [
    (SPOT_NEW, Profile::Spot),
    (SPOT_BALANCES, Profile::Spot),
    (SPOT_BALANCES, Profile::Margin),
    (USDM_ORDER, Profile::UsdM),
    (ACCOUNT, Profile::UsdM),
    (LITE, Profile::UsdM),
    (ALGO, Profile::UsdM),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_frame_makes_it_panic(which in 0..ALL.len(), at in any::<prop::sample::Index>(), len in 0usize..6, into in "[0-9\"\\\\.,:{}\\[\\]a-zA-Z+\\- é]{0,6}") {
        let (text, profile) = ALL[which];
        let mut bytes = text.as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, into.bytes());
        let _ = UserDecoder::new(&desk(profile)).decode(&bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = UserDecoder::new(&desk(Profile::Spot)).decode(&bytes);
    }
}
