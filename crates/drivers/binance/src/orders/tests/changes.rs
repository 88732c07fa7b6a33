//! Amends and cancels.

use super::*;
use ctos_types::{AmendOrder, VenueOrderId};
use proptest::prelude::*;

fn amend(d: &Desk, price: Option<&str>, qty: Option<&str>) -> AmendOrder {
    AmendOrder {
        account: d.account,
        cl_ord_id: client(1),
        instrument: btc(d),
        price: price.map(|p| px(d, p)),
        qty: qty.map(|q| size(d, q)),
    }
}

fn as_is<'a>(order: &'a NewOrder, cum: Qty) -> Amendment<'a> {
    Amendment { order, at_venue: OrderRef::of(client(1)), cum_qty: cum, carried: Qty::ZERO }
}

#[test]
fn usdm_amends_in_place_with_the_new_total() {
    let d = desk(Profile::UsdM);
    let o = limit(&d);
    let change = amend(&d, Some("61700"), None);
    let Replacement::InPlace(call) = d.amend(&change, &as_is(&o, size(&d, "0.001"))).unwrap() else { panic!() };
    let get = |name| call.query.get(name).unwrap().into_owned();
    assert_eq!((call.method.as_str(), call.path), ("PUT", "/fapi/v1/order"));
    assert_eq!(
        [get("origClientOrderId"), get("side"), get("quantity"), get("price")],
        ["c00000a1", "BUY", "0.002", "61700"]
    );
    for (price, qty, cum) in [(None, None, "0"), (None, Some("0.002"), "0"), (None, Some("0.001"), "0.001")] {
        let e = d.amend(&amend(&d, price, qty), &as_is(&o, size(&d, cum))).unwrap_err();
        assert!(matches!(e, VenueError::Invalid { .. }), "{e}");
    }
    let stop = NewOrder { kind: OrderKind::StopMarket { trigger: px(&d, "6") }, ..o };
    assert!(d.amend(&change, &as_is(&stop, Qty::ZERO)).is_err());
}

#[test]
fn spot_keeps_its_place_for_less_and_replaces_for_the_rest() {
    let d = desk(Profile::Spot);
    let o = limit(&d);
    let less = amend(&d, None, Some("0.0015"));
    let Replacement::InPlace(call) = d.amend(&less, &as_is(&o, Qty::ZERO)).unwrap() else { panic!() };
    assert_eq!(call.path, "/api/v3/order/amend/keepPriority");
    assert_eq!(call.query.get("newQty").unwrap(), "0.0015");
    assert_eq!(call.query.get("newClientOrderId").unwrap(), "c00000a1", "it stays the same order");

    let other = amend(&d, Some("61700"), None);
    let Replacement::CancelReplace { call, client: next, carried, qty } =
        d.amend(&other, &as_is(&o, Qty::ZERO)).unwrap()
    else {
        panic!()
    };
    let get = |name| call.query.get(name).unwrap().into_owned();
    assert_eq!(call.path, "/api/v3/order/cancelReplace");
    assert_eq!([get("newClientOrderId"), get("cancelOrigClientOrderId")], ["c00000a1-1", "c00000a1"]);
    assert_eq!([get("cancelReplaceMode"), get("cancelRestrictions")], ["STOP_ON_FAILURE", "ONLY_NEW"]);
    assert_eq!([get("quantity"), get("price"), get("type")], ["0.002", "61700", "LIMIT"]);
    assert_eq!((next.generation, carried, qty), (1, Qty::ZERO, size(&d, "0.002")));

    // Partly filled: made smaller in its place, else cancelled first.
    let part = as_is(&o, size(&d, "0.0005"));
    let Replacement::InPlace(call) = d.amend(&less, &part).unwrap() else { panic!() };
    assert_eq!(call.query.get("newQty").unwrap(), "0.0015");
    let Replacement::CancelThenPlace { cancel, client: next } = d.amend(&other, &part).unwrap() else { panic!() };
    assert_eq!((cancel.method.as_str(), cancel.path), ("DELETE", "/api/v3/order"));
    assert_eq!(cancel.query.get("origClientOrderId").unwrap(), "c00000a1");
    // The next generation knows what the first one traded.
    let second = Amendment {
        at_venue: OrderRef { client: next, ..OrderRef::of(client(1)) },
        carried: size(&d, "0.0005"),
        ..part
    };
    let Replacement::InPlace(call) = d.amend(&amend(&d, None, Some("0.001")), &second).unwrap() else { panic!() };
    assert_eq!(call.query.get("newQty").unwrap(), "0.0005");
}

#[test]
fn what_has_traded_is_placed_anew_for_the_rest_only() {
    for (profile, cancel, place) in [
        (Profile::Spot, "/api/v3/order", "/api/v3/order"),
        (Profile::Margin, "/sapi/v1/margin/order", "/sapi/v1/margin/order"),
    ] {
        let d = desk(profile);
        let o = limit(&d);
        let change = amend(&d, Some("61700"), None);
        let part = as_is(&o, size(&d, "0.0005"));
        let Replacement::CancelThenPlace { cancel: call, client: next } = d.amend(&change, &part).unwrap() else {
            panic!()
        };
        assert_eq!((call.path, next.generation), (cancel, 1));
        let wanted = NewOrder { kind: OrderKind::Limit { price: px(&d, "61700") }, ..o };
        // More had traded than was known when it was asked.
        let call = d.place_rest(&wanted, next, size(&d, "0.0012"), Loan::None).unwrap();
        let get = |name| call.query.get(name).unwrap().into_owned();
        assert_eq!((call.method.as_str(), call.path), ("POST", place));
        assert_eq!([get("quantity"), get("price"), get("newClientOrderId")], ["0.0008", "61700", "c00000a1-1"]);
        // Nothing left, or too little: 0.00008 at 61,700 is below the least of 5.
        for traded in ["0.002", "0.0025", "0.00192"] {
            let e = d.place_rest(&wanted, next, size(&d, traded), Loan::None).unwrap_err();
            assert!(matches!(e, VenueError::Invalid { field: "qty" | "notional", .. }), "{e}");
            if traded != "0.0025" {
                d.amend(&change, &as_is(&o, size(&d, traded))).unwrap_err();
            }
        }
        assert!(matches!(d.amend_apart(&change, &as_is(&o, Qty::ZERO)), Ok(Replacement::CancelThenPlace { .. })));
    }
    let usdm = desk(Profile::UsdM);
    let o = limit(&usdm);
    assert!(usdm.amend_apart(&amend(&usdm, Some("61700"), None), &as_is(&o, Qty::ZERO)).is_err());
}

#[test]
fn cancels_by_either_id() {
    let (spot, usdm, margin) = (desk(Profile::Spot), desk(Profile::UsdM), desk(Profile::Margin));
    let by_client = OrderRef::of(client(1));
    let by_id = OrderRef { venue_order_id: Some(VenueOrderId::from_u64(28)), ..by_client };
    let algo = OrderRef { conditional: true, ..by_id };
    for (d, at, path, name, value) in [
        (&spot, by_client, "/api/v3/order", "origClientOrderId", "c00000a1"),
        (&spot, by_id, "/api/v3/order", "orderId", "28"),
        (&usdm, by_id, "/fapi/v1/order", "orderId", "28"),
        (&usdm, algo, "/fapi/v1/algoOrder", "algoId", "28"),
        (&margin, by_client, "/sapi/v1/margin/order", "origClientOrderId", "c00000a1"),
    ] {
        let call = d.cancel(btc(d), &at).unwrap();
        assert_eq!((call.method.as_str(), call.path, call.query.get(name).as_deref()), ("DELETE", path, Some(value)));
        assert!(!(call.query.get("orderId").is_some() && call.query.get("origClientOrderId").is_some()));
        assert_eq!(call.purpose, crate::request::Purpose::Reduce);
    }
    let paths = |d: &Desk| d.cancel_all(btc(d)).unwrap().iter().map(|c| c.path).collect::<Vec<_>>();
    assert_eq!(paths(&spot), ["/api/v3/openOrders"]);
    assert_eq!(paths(&usdm), ["/fapi/v1/allOpenOrders", "/fapi/v1/algoOpenOrders"]);
    assert_eq!(usdm.cancel_all_of("币安人生USDT")[0].query.get("symbol").unwrap(), "币安人生USDT");
    let armed = usdm.countdown_cancel_all(btc(&usdm), 120_000).unwrap().unwrap();
    assert_eq!(armed.query.get("countdownTime").unwrap(), "120000");
    assert_eq!(spot.countdown_cancel_all(btc(&spot), 1).unwrap(), None);
}

proptest! {
    #[test]
    fn generations_have_one_spelling(tag in 0..InstanceTag::END, seq in any::<u64>(), generation in any::<u16>()) {
        let id = VenueClientId { id: ClientOrderId { tag: InstanceTag(tag), seq }, generation };
        let text = id.to_string();
        prop_assert!(text.len() <= 26 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        prop_assert_eq!(text.parse(), Ok(id));
        for other in [format!("{text}-0"), format!("{text}-+1"), format!("{text}-01"), format!("x-{text}")] {
            prop_assert!(other.parse::<VenueClientId>().is_err(), "{}", other);
        }
    }

    /// Whatever is asked and whatever has traded: what is ordered and what has traded is the total asked for.
    #[test]
    fn a_replacement_never_enlarges(lots in 1i64..5_000, cum in 0i64..5_000, carried in 0i64..5_000, want in 1i64..5_000, same_px in any::<bool>()) {
        let d = desk(Profile::Spot);
        let (_, i) = d.of(btc(&d)).unwrap();
        let qty = |n: i64| Qty(n * i.lot.0);
        let o = NewOrder { qty: OrderQty::Size(qty(lots)), ..limit(&d) };
        let as_is = Amendment { order: &o, at_venue: OrderRef::of(client(1)), cum_qty: qty(cum), carried: qty(carried.min(cum)) };
        let price = if same_px { None } else { Some(px(&d, "61000")) };
        let change = AmendOrder { price, qty: Some(qty(want)), ..amend(&d, None, None) };
        match d.amend(&change, &as_is) {
            Ok(Replacement::CancelReplace { carried, qty: left, .. }) => {
                prop_assert_eq!((carried.0, carried.0 + left.0), (as_is.cum_qty.0, qty(want).0));
            }
            Ok(Replacement::CancelThenPlace { client, .. }) => {
                // Whatever traded until the cancel was through.
                let traded = Qty(qty(cum).0 + (want - cum) / 2 * i.lot.0);
                let wanted = NewOrder { qty: OrderQty::Size(qty(want)), ..o };
                if let Ok(call) = d.place_rest(&wanted, client, traded, Loan::None) {
                    let left: ctos_types::Decimal = call.query.get("quantity").unwrap().parse().unwrap();
                    prop_assert_eq!(i.qty(left).unwrap().0 + traded.0, qty(want).0);
                }
            }
            Ok(Replacement::InPlace(call)) => {
                let new: ctos_types::Decimal = call.query.get("newQty").unwrap().parse().unwrap();
                prop_assert_eq!(i.qty(new).unwrap().0 + as_is.carried.0, qty(want).0);
            }
            Err(VenueError::Invalid { field: "notional", .. }) => prop_assert!((want - cum) * i.lot.0 < size(&d, "0.0001").0),
            Err(_) => prop_assert!(want <= cum || (want == lots && same_px)),
        }
    }
}
