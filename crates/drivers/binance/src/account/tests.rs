use super::*;
use crate::instruments::builtin_all;
use ctos_types::{AccountId, Instruments};
use proptest::prelude::*;

fn desk(profile: Profile) -> Desk {
    Desk::new(profile, AccountId(0), false, &Instruments::new(builtin_all().to_vec()).unwrap())
}

fn btc(desk: &Desk) -> InstrumentId {
    desk.symbols().find(b"BTCUSDT").unwrap().id
}

fn d(text: &str) -> Decimal {
    text.parse().unwrap()
}

const SPOT: &str = r#"{"makerCommission":15,"canTrade":true,"canWithdraw":true,"canDeposit":true,"updateTime":123456789,"accountType":"SPOT","balances":[{"asset":"BTC","free":"4723846.89208129","locked":"0.1"},{"asset":"LTC","free":"","locked":""}],"permissions":["SPOT"],"uid":354937868}"#;
const MARGIN: &str = r#"{"created":true,"borrowEnabled":true,"marginLevel":"11.64","tradeEnabled":true,"transferInEnabled":true,"transferOutEnabled":true,"userAssets":[{"asset":"USDT","borrowed":"100.5","free":"30","interest":"0.25","locked":"20","netAsset":"-50.75"}]}"#;
const USDM: &str = r#"[{"accountAlias":"SgsR","asset":"USDT","balance":"122607.35137903","crossWalletBalance":"23.72469206","crossUnPnl":"0.0","availableBalance":"23.5","maxWithdrawAmount":"23.5","marginAvailable":true,"updateTime":1617939110373}]"#;
const POSITIONS: &str = r#"[{"symbol":"BTCUSDT","positionAmt":"-0.020","entryPrice":"61800.0","breakEvenPrice":"61800.1","markPrice":"61700.12345678","unRealizedProfit":"2.0","liquidationPrice":"0","leverage":"10","maxNotionalValue":"20000000","marginType":"cross","isolatedMargin":"0","isAutoAddMargin":"false","positionSide":"BOTH","notional":"-1234","isolatedWallet":"0","updateTime":1700000000000},{"symbol":"XYZUSDT","positionAmt":"0","entryPrice":"0"},{"symbol":"ZYXUSDT","positionAmt":"5","entryPrice":"0"}]"#;

#[test]
fn balances_of_each_profile() {
    let spot = desk(Profile::Spot).read_balances(SPOT.as_bytes()).unwrap();
    assert_eq!((spot[0].balance.total, spot[0].balance.hold), (d("4723846.99208129"), d("0.1")));
    assert!(spot[1].balance.total.is_zero(), "empty text is nothing");
    let margin = desk(Profile::Margin).read_balances(MARGIN.as_bytes()).unwrap()[0].balance;
    assert_eq!(margin.total - margin.borrowed - margin.interest, d("-50.75"), "what the venue calls the net asset");
    let usdm = desk(Profile::UsdM).read_balances(USDM.as_bytes()).unwrap();
    assert_eq!((usdm[0].balance.total, usdm[0].available), (d("122607.35137903"), d("23.5")));
    assert!(desk(Profile::UsdM).read_balances(SPOT.as_bytes()).is_err());
}

#[test]
fn positions_and_those_of_others() {
    let d9 = desk(Profile::UsdM);
    let (ours, others) = d9.read_positions(POSITIONS.as_bytes()).unwrap();
    let [p] = ours[..] else { panic!() };
    assert_eq!((p.qty, p.leg, p.leverage, p.margin_type), (Qty(-20), Leg::Net, Some(10), Some(MarginType::Cross)));
    assert_eq!((p.liquidation_px, p.mark_px), (None, d("61700.12345678")));
    assert_eq!((p.entry_px, p.entry_unit), (d("61800"), d("0.1")));
    for (written, unit) in [("61800", "1"), ("61800.00000", "0.00001"), ("61800.1234567890123456789", "")] {
        let list = POSITIONS.replace("61800.0\"", &format!("{written}\""));
        let read = d9.read_positions(list.as_bytes()).ok().map(|(ours, _)| ours[0].entry_unit);
        assert_eq!(read, unit.parse().ok(), "{written}");
    }
    assert_eq!(others, ["ZYXUSDT"], "flat ones of others are nobody's business");
    assert_eq!(desk(Profile::Spot).all_positions(), None);
    // The newer call leaves both out.
    let v3 = POSITIONS.replace(r#""leverage":"10","#, "").replace(r#""marginType":"cross","#, "");
    let (ours, _) = d9.read_positions(v3.as_bytes()).unwrap();
    assert_eq!((ours[0].leverage, ours[0].margin_type), (None, None));
    assert!(d9.read_positions(POSITIONS.replace("\"cross\"", "\"odd\"").as_bytes()).is_err());
}

#[test]
fn how_the_account_is_set() {
    let config = r#"{"feeTier":0,"canTrade":true,"canDeposit":true,"canWithdraw":true,"dualSidePosition":true,"updateTime":0,"multiAssetsMargin":false,"tradeGroupId":-1}"#;
    let state = desk(Profile::UsdM).read_state(config.as_bytes()).unwrap();
    assert_eq!((state.hedge, state.multi_assets, state.can_trade), (Some(true), Some(false), true));
    assert!(desk(Profile::Spot).read_state(SPOT.as_bytes()).unwrap().can_trade);
    assert!(desk(Profile::Margin).read_state(MARGIN.as_bytes()).unwrap().can_trade);
    let usdm = desk(Profile::UsdM);
    let call = usdm.set_leverage(btc(&usdm), 20).unwrap();
    assert_eq!((call.path, call.query.get("leverage").unwrap().as_ref()), ("/fapi/v1/leverage", "20"));
    assert!(usdm.set_leverage(btc(&usdm), 126).is_err() && usdm.set_leverage(btc(&usdm), 0).is_err());
    assert_eq!(usdm.read_leverage(br#"{"leverage":21,"maxNotionalValue":"1000000","symbol":"BTCUSDT"}"#), Ok(21));
    assert_eq!(
        usdm.set_margin_type(btc(&usdm), MarginType::Cross).unwrap().query.get("marginType").unwrap(),
        "CROSSED"
    );
    assert_eq!(usdm.set_hedge(false).unwrap().query.get("dualSidePosition").unwrap(), "false");
    let spot = desk(Profile::Spot);
    assert!(spot.set_hedge(true).is_err() && spot.set_leverage(btc(&spot), 2).is_err());
}

#[test]
fn fees_and_brackets() {
    let spot = r#"{"symbol":"BTCUSDT","standardCommission":{"maker":"0.00000010","taker":"0.00000020","buyer":"0","seller":"0"},"specialCommission":{"maker":"0.01","taker":"0.02","buyer":"0","seller":"0"},"taxCommission":{"maker":"0.001","taker":"0.002","buyer":"0","seller":"0"},"discount":{"enabledForAccount":true,"enabledForSymbol":true,"discountAsset":"BNB","discount":"0.75"}}"#;
    let want = FeeRates { maker: d("0.0110001"), taker: d("0.0220002") };
    assert_eq!(desk(Profile::Spot).read_fees(spot.as_bytes()), Ok(want));
    let usdm = r#"{"symbol":"BTCUSDT","makerCommissionRate":"-0.0001","takerCommissionRate":"0.0004","rpiCommissionRate":"0"}"#;
    assert_eq!(desk(Profile::UsdM).read_fees(usdm.as_bytes()).unwrap().maker, d("-0.0001"));
    let one = r#"{"symbol":"BTCUSDT","brackets":[{"bracket":2,"initialLeverage":100,"notionalCap":600000,"notionalFloor":50000,"maintMarginRatio":0.005,"cum":50.0},{"bracket":1,"initialLeverage":125,"notionalCap":50000,"notionalFloor":0,"maintMarginRatio":0.004,"cum":0.0}]}"#;
    for body in [one.to_string(), format!("[{one}]")] {
        let brackets = desk(Profile::UsdM).read_brackets(body.as_bytes()).unwrap();
        assert_eq!(brackets.iter().map(|b| b.max_leverage).collect::<Vec<_>>(), [125, 100]);
        assert_eq!((brackets[1].maintenance_rate, brackets[1].cum), (d("0.005"), d("50")));
    }
}

#[test]
fn a_key_that_can_withdraw_is_refused() {
    let body = |withdraw: bool, futures: bool, restricted: bool| {
        let text = format!(
            r#"{{"ipRestrict":{restricted},"createTime":1698645219000,"enableReading":true,"enableWithdrawals":{withdraw},"enableInternalTransfer":false,"enableMargin":false,"enableFutures":{futures},"permitsUniversalTransfer":false,"enableSpotAndMarginTrading":true}}"#
        );
        read_key_permissions(text.as_bytes()).unwrap()
    };
    assert!(body(true, true, true).refusal(Profile::UsdM).unwrap().0.contains("can withdraw"));
    assert!(body(false, false, true).refusal(Profile::UsdM).unwrap().0.contains("may not trade"));
    assert_eq!(body(false, false, true).refusal(Profile::Spot), None);
    assert_eq!((body(false, true, true).warning(), body(false, true, false).warning().is_some()), (None, true));
    // What matters most must be said, not left out.
    assert!(read_key_permissions(br#"{"ipRestrict":true,"enableReading":true}"#).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_reply_makes_it_panic(which in 0usize..4, at in any::<prop::sample::Index>(), len in 0usize..6, into in "[0-9\"\\\\.,:{}\\[\\]a-zA-Z+\\- é]{0,6}") {
        let mut bytes = [SPOT, MARGIN, USDM, POSITIONS][which].as_bytes().to_vec();
        let start = at.index(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, into.bytes());
        for profile in [Profile::Spot, Profile::Margin, Profile::UsdM] {
            let d = desk(profile);
            let _ = (d.read_balances(&bytes), d.read_positions(&bytes), d.read_state(&bytes), d.read_fees(&bytes));
            let _ = (d.read_brackets(&bytes), d.read_leverage(&bytes), read_key_permissions(&bytes));
        }
    }
}
