//! Accounts at venues: addresses, keys, what only some profiles have, and how accounts are named.

use super::*;

#[test]
fn an_account_at_a_venue_has_its_addresses() {
    let of =
        |yaml: &str| file(&format!("accounts:\n  - {{id: a, venue: binance, {yaml}}}\n")).unwrap().accounts.remove(0);
    let usdm = of("profile: usdm").venue.unwrap();
    let hosts = usdm.hosts().unwrap();
    assert_eq!((hosts.rest.as_str(), usdm.key.as_str()), ("https://fapi.binance.com", "a"));
    assert_eq!((usdm.sapi().as_deref(), usdm.is_real()), (Some("https://api.binance.com"), true));
    let test = of("profile: spot, environment: testnet, key: b, recv_window: 10s").venue.unwrap();
    assert_eq!(test.hosts().unwrap().rest, "https://testnet.binance.vision");
    assert_eq!((test.sapi(), test.is_real(), test.recv_window), (None, false, Nanos::from_secs(10)));
    assert_eq!((usdm.order_entry, test.order_entry), (OrderEntry::WebSocket, OrderEntry::WebSocket));
    assert_eq!(of("profile: usdm, order_entry: rest").venue.unwrap().order_entry, OrderEntry::Rest);
    assert_eq!(of("profile: margin").venue.unwrap().order_entry, OrderEntry::Rest, "there is no other way");
    let twin = of("profile: usdm, base_url: \"http://127.0.0.1:8443/\"").venue.unwrap();
    let hosts = twin.hosts().unwrap();
    assert_eq!(
        (hosts.rest.as_str(), hosts.streams.as_str(), hosts.ws_api.as_str()),
        ("http://127.0.0.1:8443", "ws://127.0.0.1:8443", "ws://127.0.0.1:8443/ws-fapi/v1")
    );
    assert_eq!((twin.sapi(), twin.is_real()), (None, false));
    let mirror =
        of("profile: spot, base_url: \"https://api1.binance.com\", ws_url: \"wss://data.test:9443\"").venue.unwrap();
    assert_eq!((mirror.sapi().as_deref(), mirror.is_real()), (Some("https://api1.binance.com"), true));
    assert_eq!(mirror.hosts().unwrap().streams, "wss://data.test:9443");
    assert!(of("profile: spot").balances.is_empty(), "the venue tells what it has");
    let settings =
        file("mode: live\nsymbols: [BTC-USDT]\naccounts: [{id: a, venue: binance, profile: spot}]\n").unwrap();
    assert_eq!(settings.mode, Mode::Live);
}

#[test]
fn mistakes_of_accounts_at_venues() {
    let of = |yaml: &str| file(&format!("accounts:\n  - {{id: a, {yaml}}}\n")).expect_err(yaml).to_string();
    for (yaml, message) in [
        ("venue: binance", "c.yaml:2: accounts.0.profile is missing"),
        ("venue: okx", "accounts.0.venue: expected paper or binance"),
        ("profile: usdm", "accounts.0.profile: is for an account at a venue only"),
        ("venue: binance, profile: usdm, balances: {USDT: 1}", "accounts.0.balances: is for an account on paper only"),
        ("venue: binance, profile: margin, environment: testnet", "the test network has no cross margin"),
        ("venue: binance, profile: usdm, base_url: \"http://api.test\"", "accounts.0.base_url: expected an https://"),
        (
            "venue: binance, profile: usdm, base_url: \"https://u:p@api.test\"",
            "accounts.0.base_url: expected an https://",
        ),
        (
            "venue: binance, profile: usdm, recv_window: 61s",
            "accounts.0.recv_window: expected a time span from 100ms to 1m",
        ),
        ("venue: binance, profile: usdm, order_entry: fix", "accounts.0.order_entry: expected websocket or rest"),
        (
            "venue: binance, profile: margin, order_entry: websocket",
            "accounts.0.order_entry: the venue takes no orders of cross margin there",
        ),
        ("venue: binance, profile: coinm", "accounts.0.profile: expected spot or margin or usdm"),
    ] {
        assert!(of(yaml).contains(message), "{yaml}: {}", of(yaml));
    }
    // Neither the value nor its error shows what the proxy is opened with.
    let proxy = "venue: binance, profile: usdm, proxy: \"socks5://user:geheim@10.0.0.1:1080\"";
    let settings = file(&format!("accounts:\n  - {{id: a, {proxy}}}\n")).unwrap();
    let shown = format!("{settings:?} {} {:?}", json(&settings), settings.explain());
    assert!(!shown.contains("geheim") && shown.contains("10.0.0.1:1080"), "{shown}");
    assert!(!of("venue: binance, profile: usdm, proxy: \"user:geheim@10.0.0.1\"").contains("geheim"));
}

#[test]
fn accounts_are_named_or_counted_and_never_guessed() {
    let settings = file("accounts: [{id: main}, {id: sub1}]\n").unwrap();
    let of = |named: &str| settings.account(named).map(|(n, a)| (n, a.id.clone()));
    assert_eq!(of("main"), Ok((0, "main".into())));
    assert_eq!(of("1"), Ok((1, "sub1".into())));
    for unknown in ["2", "", "sub", "-1", "Main"] {
        let error = of(unknown).unwrap_err();
        assert_eq!(error.hint, "known accounts: main (0), sub1 (1)", "{unknown}");
    }
}

#[test]
fn only_cross_margin_borrows_and_only_when_it_is_told_to() {
    let read = |yaml: &str| file(&format!("accounts:\n  - {{id: a, venue: binance, {yaml}}}\n"));
    let of = |yaml: &str| read(yaml).unwrap().accounts.remove(0);
    let (plain, lent) = (of("profile: margin"), of("profile: margin, margin_borrow: auto"));
    assert!(!plain.venue.unwrap().borrows() && lent.venue.unwrap().borrows());
    // What bounds loans is what the venue lends at most unless it was told to lend more.
    assert_eq!((plain.leverage, lent.leverage), (Decimal::from_int(5), Decimal::from_int(3)));
    assert_eq!(of("profile: margin, margin_borrow: auto, leverage: 2").leverage, Decimal::from_int(2));
    for (yaml, what) in [
        ("profile: spot, margin_borrow: auto", "only cross margin borrows"),
        ("profile: usdm, margin_borrow: never", "only cross margin borrows"),
        ("profile: margin, margin_borrow: always", "margin_borrow"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.message.contains(what), "{yaml}: {}", error.message);
    }
    let paper = file("accounts: [{id: a, margin_borrow: auto}]").unwrap_err();
    assert!(paper.message.contains("is for an account at a venue only"), "{}", paper.message);
}
