use super::*;
use proptest::prelude::*;

fn base(symbol: &str, kind: InstrumentKind, price_decimals: u8, qty_decimals: u8) -> Instrument {
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind,
        base: Currency::new("BTC").unwrap(),
        quote: Currency::new("USDT").unwrap(),
        price_decimals,
        qty_decimals,
        tick: Price(10),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: "0.01".parse().unwrap(),
        maintenance_margin: "0.005".parse().unwrap(),
        maker_fee: Decimal::ZERO,
        taker_fee: Decimal::ZERO,
    }
}
pub(crate) fn linear_perp() -> Instrument {
    base("sim:BTC-USDT-PERP", InstrumentKind::Perpetual(Settlement::Linear), 2, 3)
}
pub(crate) fn inverse_perp() -> Instrument {
    Instrument {
        contract_value: Decimal::from_int(100),
        ..base("sim:BTC-USD-PERP", InstrumentKind::Perpetual(Settlement::Inverse), 1, 0)
    }
}
fn d(s: &str) -> Decimal {
    s.parse().unwrap()
}

#[test]
fn prices_round_only_when_asked() {
    let i = linear_perp();
    assert_eq!(i.price(d("61800.20")).unwrap(), Price(6_180_020));
    assert!(matches!(i.price(d("61800.25")), Err(NumberError::OffGrid { .. })));
    assert!(matches!(i.price(d("61800.205")), Err(NumberError::TooPrecise(..))));
    assert_eq!(i.price_passive(Side::Buy, d("61800.29")).unwrap(), Price(6_180_020));
    assert_eq!(i.price_passive(Side::Sell, d("61800.21")).unwrap(), Price(6_180_030));
}

#[test]
fn contracts() {
    // OKX: ctVal 0.01 BTC a contract, size in whole contracts.
    let okx = Instrument {
        contract_value: d("0.01"),
        lot: Qty(1),
        ..base("okx:BTC-USDT-PERP", InstrumentKind::Perpetual(Settlement::Linear), 1, 0)
    };
    assert_eq!(okx.qty_for_base(d("0.059"), Price(600_000)).unwrap(), Qty(5));
    assert_eq!(okx.qty_for_quote(d("1200"), Price(600_000)).unwrap(), Qty(2));
    assert_eq!(okx.notional(Price(600_000), Qty(2)).unwrap(), d("1200"));
    let inverse = inverse_perp();
    assert_eq!(inverse.qty_for_quote(d("250"), Price(600_000)).unwrap(), Qty(2));
    assert_eq!(inverse.qty_for_base(d("0.01"), Price(600_000)).unwrap(), Qty(6));
    // 2 contracts of 100 USD from 50,000 to 60,000: 200/50000 - 200/60000 BTC.
    let profit = inverse.value(Price(600_000), Qty(2)).unwrap() - inverse.value(Price(500_000), Qty(2)).unwrap();
    assert_eq!(profit.round(12, Rounding::Down), d("0.000666666666"));
}

#[test]
fn malformed_text() {
    for bad in ["", "-", ".", ".5", "1.", "1e3", "1.2.3", "+1", " 1", "1,0", "NaN"] {
        assert!(parse_mantissa(bad, 4).is_err(), "{bad:?} was accepted");
    }
    assert_eq!(parse_mantissa("0.10000000", 1).unwrap(), 1);
    assert!(matches!(parse_mantissa("0.11", 1), Err(NumberError::TooPrecise(..))));
    assert!(matches!(parse_mantissa("9300000000000000000", 0), Err(NumberError::Overflow(_))));
}

#[test]
fn names() {
    let list = Instruments::new(vec![linear_perp(), inverse_perp()]).unwrap();
    assert_eq!(list.find("BTC-USD-PERP").unwrap().id, InstrumentId(1));
    assert_eq!(list.find("sim:BTC-USDT-PERP").unwrap().id, InstrumentId(0));
    assert!(list.find("ETH-USDT").is_none());
    assert!(Instruments::new(vec![linear_perp(), linear_perp()]).is_err());
}

proptest! {
    // Real instruments: prices from 1e-10 to 1e7, mantissas to 9e18.
    #[test]
    fn text_value_text_is_identity(m in -9_000_000_000_000_000_000i64..=9_000_000_000_000_000_000, places in 0u8..=10) {
        let text = mantissa_text(m, places);
        prop_assert_eq!(parse_mantissa(&text, places).unwrap(), m);
        let exact: Decimal = text.parse().unwrap();
        prop_assert_eq!(exact.to_mantissa(places).unwrap(), m);
        prop_assert_eq!(exact, Decimal::new(m, places));
    }

    #[test]
    fn conversions_never_enlarge(
        atoms in 0i64..=i64::MAX, px in 1i64..=10_000_000_000_000_000, pd in 0u8..=10, qd in 0u8..=8, lot in 1i64..1000,
        cv in 1i64..1_000_000, cv_places in 0u8..=6, inverse in any::<bool>(), places in 0u8..=8,
    ) {
        let kind = InstrumentKind::Perpetual(if inverse { Settlement::Inverse } else { Settlement::Linear });
        let i = Instrument { contract_value: Decimal::new(cv, cv_places), lot: Qty(lot), tick: Price(1), ..base("x:Y-Z-PERP", kind, pd, qd) };
        let amount = Decimal::new(atoms, places);
        if let Ok(q) = i.qty_for_quote(amount, Price(px)) {
            prop_assert!(q.0 >= 0 && q.0 % lot == 0);
            if let Ok(n) = i.notional(Price(px), q) { prop_assert!(n <= amount, "{} > {}", n, amount); }
        }
        if let Ok(q) = i.qty_for_base(amount, Price(px)) {
            let coins = if inverse { i.notional(Price(px), q).and_then(|n| n.div(i.price_decimal(Price(px)), Rounding::Down)) }
                else { i.qty_decimal(q).mul(i.contract_value, Rounding::Down) };
            if let Ok(coins) = coins { prop_assert!(coins <= amount, "{} > {}", coins, amount); }
        }
        if let Ok(q) = i.qty_down(amount) { prop_assert!(i.qty_decimal(q) <= amount); }
    }

    #[test]
    fn passive_rounding_is_never_more_aggressive(atoms in 0i64..=i64::MAX, tick in 1i64..1000) {
        let i = Instrument { tick: Price(tick), ..linear_perp() };
        let px = Decimal::new(atoms, 8);
        prop_assert!(i.price_decimal(i.price_passive(Side::Buy, px).unwrap()) <= px);
        if let Ok(sell) = i.price_passive(Side::Sell, px) { prop_assert!(i.price_decimal(sell) >= px); }
    }

    #[test]
    fn rescale_is_exact_or_an_error(m in any::<i64>(), from in 0u8..=18, to in 0u8..=18) {
        if let Ok(r) = rescale(m, from, to) { prop_assert_eq!(rescale(r, to, from).unwrap(), m); }
    }
}
