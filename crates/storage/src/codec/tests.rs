//! Round trips of every variant with arbitrary values, and what damage does to a record.
//! Never: fixed fixtures only; the one golden record guards the format against silent change.

use super::event::{CANCELS, REJECTS};
use super::*;
use ctos_types::event::EventKind;
use ctos_types::*;
use proptest::prelude::*;
use std::str::FromStr;

fn text<const N: usize>() -> impl Strategy<Value = Text<N>> + Clone {
    "[a-zA-Z0-9币安:-]{0,31}".prop_map(|s| Text::<N>::cut(&s)).boxed()
}
fn decimal() -> impl Strategy<Value = Decimal> + Clone {
    prop_oneof![any::<i128>(), any::<i64>().prop_map(i128::from), Just(0)].prop_map(Decimal::from_atoms).boxed()
}
fn price() -> impl Strategy<Value = Price> + Clone {
    prop_oneof![any::<i64>(), 0i64..100_000].prop_map(Price).boxed()
}
fn qty() -> impl Strategy<Value = Qty> + Clone {
    price().prop_map(|p| Qty(p.0))
}
fn time() -> impl Strategy<Value = UnixNanos> + Clone {
    any::<i64>().prop_map(UnixNanos)
}
fn cid() -> impl Strategy<Value = ClientOrderId> + Clone {
    (any::<u32>(), any::<u64>()).prop_map(|(tag, seq)| ClientOrderId { tag: InstanceTag(tag), seq })
}
fn side() -> impl Strategy<Value = Side> + Clone {
    any::<bool>().prop_map(|b| if b { Side::Buy } else { Side::Sell })
}
fn leg() -> impl Strategy<Value = Leg> + Clone {
    prop::sample::select(vec![Leg::Net, Leg::Long, Leg::Short])
}
fn request() -> impl Strategy<Value = Request> {
    prop::sample::select(vec![Request::Place, Request::Amend, Request::Cancel])
}

fn report_body() -> impl Strategy<Value = ReportBody> {
    let fill = (text(), side(), leg(), price(), qty(), any::<bool>(), decimal(), text());
    let fill = fill.prop_map(|(exec_id, side, leg, last_px, last_qty, maker, fee, fee_currency)| {
        let liquidity = if maker { Liquidity::Maker } else { Liquidity::Taker };
        ReportBody::Fill(Fill { exec_id, side, leg, last_px, last_qty, liquidity, fee, fee_currency })
    });
    prop_oneof![
        Just(ReportBody::Accepted),
        Just(ReportBody::Triggered),
        Just(ReportBody::Expired),
        request().prop_map(|request| ReportBody::Unknown { request }),
        (request(), prop::sample::select(REJECTS.to_vec()), text())
            .prop_map(|(request, reason, code)| ReportBody::Rejected { request, reason, code }),
        prop::sample::select(CANCELS.to_vec()).prop_map(|reason| ReportBody::Canceled { reason }),
        (prop::option::of(price()), qty()).prop_map(|(price, qty)| ReportBody::Amended { price, qty }),
        fill,
    ]
}

fn account_event() -> impl Strategy<Value = AccountEvent> {
    let account = || any::<u16>().prop_map(AccountId);
    let instrument = || any::<u32>().prop_map(InstrumentId);
    prop_oneof![
        (account(), text(), decimal(), decimal(), decimal(), decimal()).prop_map(
            |(account, currency, total, hold, borrowed, interest)| {
                AccountEvent::Balance { account, currency, balance: Balance { total, hold, borrowed, interest } }
            }
        ),
        (account(), instrument(), leg(), qty()).prop_map(|(account, instrument, leg, qty)| AccountEvent::Position {
            account,
            instrument,
            leg,
            qty
        }),
        (account(), instrument(), leg(), decimal(), text()).prop_map(|(account, instrument, leg, amount, currency)| {
            AccountEvent::Funding { account, instrument, leg, amount, currency }
        }),
        (account(), text(), decimal()).prop_map(|(account, currency, amount)| AccountEvent::Interest {
            account,
            currency,
            amount
        }),
        account().prop_map(|account| AccountEvent::Liquidated { account }),
        (account(), instrument(), leg(), qty(), prop::option::of(decimal())).prop_map(
            |(account, instrument, leg, qty, entry_px)| AccountEvent::Opening {
                account,
                instrument,
                leg,
                qty,
                entry_px
            }
        ),
        (account(), any::<bool>()).prop_map(|(account, known)| AccountEvent::Standing { account, known }),
        (account(), text(), decimal()).prop_map(|(account, currency, amount)| AccountEvent::Adjustment {
            account,
            currency,
            amount
        }),
    ]
}

fn rules() -> impl Strategy<Value = EventBuf> {
    (any::<u32>(), price(), [qty(), qty(), qty()], decimal(), any::<bool>()).prop_map(
        |(instrument, tick, [lot, min_qty, max_qty], min_notional, trading)| EventBuf {
            kind: EventKind::Rules {
                instrument: InstrumentId(instrument),
                rules: Rules { tick, lot, min_qty, max_qty, min_notional, trading },
            },
            levels: vec![],
        },
    )
}

fn control() -> impl Strategy<Value = Control> {
    let strategy = || any::<u16>().prop_map(StrategyId);
    let scope = || {
        prop_oneof![
            Just(HaltScope::System),
            any::<u16>().prop_map(|a| HaltScope::Account(AccountId(a))),
            any::<u16>().prop_map(|s| HaltScope::Strategy(StrategyId(s))),
        ]
    };
    let state = prop::sample::select(vec![KillState::Active, KillState::Reducing, KillState::Halted]);
    prop_oneof![
        Just(Control::Start),
        ".{0,40}".prop_map(|reason| Control::Stop { reason }),
        strategy().prop_map(|strategy| Control::StartStrategy { strategy }),
        strategy().prop_map(|strategy| Control::StopStrategy { strategy }),
        (scope(), state, ".{0,40}").prop_map(|(scope, state, reason)| Control::Halt { scope, state, reason }),
        (scope(), ".{0,40}").prop_map(|(scope, reason)| Control::Resume { scope, reason }),
        (any::<u64>(), prop::option::of(strategy())).prop_map(|(seq, strategy)| Control::Watchdog { seq, strategy }),
        ".{0,40}".prop_map(|error| Control::JournalFailed { error }),
        new_order().prop_map(|order| Control::Order(Box::new(order))),
        (cid(), prop::option::of(price()), prop::option::of(qty()))
            .prop_map(|(cl_ord_id, price, qty)| Control::Amend { cl_ord_id, price, qty }),
        cid().prop_map(|cl_ord_id| Control::Cancel { cl_ord_id }),
        (any::<u16>(), prop::option::of(any::<u32>())).prop_map(|(account, instrument)| Control::CancelAll {
            account: AccountId(account),
            instrument: instrument.map(InstrumentId),
        }),
    ]
}

fn market_event() -> impl Strategy<Value = EventBuf> {
    let at = || (any::<u32>().prop_map(InstrumentId), time());
    let levels = prop::collection::vec((price(), qty()).prop_map(|(price, qty)| Level { price, qty }), 0..30);
    let plain = |kind| EventBuf { kind, levels: Vec::new() };
    prop_oneof![
        (at(), price(), qty(), price(), qty(), any::<u64>()).prop_map(
            move |((instrument, ts_event), bid_px, bid_qty, ask_px, ask_qty, update_id)| {
                plain(EventKind::Quote {
                    instrument,
                    ts_event,
                    quote: Quote { bid_px, bid_qty, ask_px, ask_qty },
                    update_id,
                })
            }
        ),
        (at(), price(), qty(), side(), any::<u64>()).prop_map(
            move |((instrument, ts_event), price, qty, aggressor, id)| {
                plain(EventKind::Trade { instrument, ts_event, trade: Trade { price, qty, aggressor, id } })
            }
        ),
        (at(), levels, any::<prop::sample::Index>(), any::<bool>(), any::<u64>()).prop_map(
            |((instrument, ts_event), levels, bids, snapshot, update_id)| {
                let bids = bids.index(levels.len() + 1);
                EventBuf { kind: EventKind::Depth { instrument, ts_event, bids, snapshot, update_id }, levels }
            }
        ),
        (at(), 1u32.., time(), [price(), price(), price(), price()], qty()).prop_map(
            move |((instrument, ts_event), secs, open_time, [open, high, low, close], volume)| {
                let interval = Interval::from_secs(secs).unwrap();
                plain(EventKind::Bar {
                    instrument,
                    ts_event,
                    bar: Bar { interval, open_time, open, high, low, close, volume },
                })
            }
        ),
        (at(), decimal(), decimal(), decimal(), time()).prop_map(
            move |((instrument, ts_event), mark, index, funding_rate, next_funding)| {
                plain(EventKind::Mark {
                    instrument,
                    ts_event,
                    mark: MarkPrice { mark, index, funding_rate, next_funding },
                })
            }
        ),
        (at(), decimal(), decimal()).prop_map(move |((instrument, ts_event), rate, mark)| plain(EventKind::Funding {
            instrument,
            ts_event,
            funding: FundingRate { rate, mark }
        })),
        at().prop_map(move |(instrument, ts_event)| plain(EventKind::Gap { instrument, ts_event })),
    ]
}

/// Any input, also for the journal's tests.
pub(crate) fn event() -> impl Strategy<Value = EventBuf> {
    let report = (any::<u16>(), any::<u32>(), prop::option::of(cid()), text(), time(), report_body());
    let report = report.prop_map(|(account, instrument, cl_ord_id, venue_order_id, ts_event, body)| {
        let (account, instrument) = (AccountId(account), InstrumentId(instrument));
        EventBuf::from(OrderReport { account, instrument, cl_ord_id, venue_order_id, ts_event, body })
    });
    prop_oneof![
        4 => market_event(),
        3 => report,
        2 => account_event().prop_map(EventBuf::from),
        1 => rules(),
        2 => control().prop_map(EventBuf::from),
        1 => Just(EventBuf::default()),
    ]
}

fn order_kind() -> impl Strategy<Value = OrderKind> {
    prop_oneof![
        Just(OrderKind::Market),
        price().prop_map(|price| OrderKind::Limit { price }),
        price().prop_map(|trigger| OrderKind::StopMarket { trigger }),
        (price(), price()).prop_map(|(trigger, price)| OrderKind::StopLimit { trigger, price }),
        price().prop_map(|trigger| OrderKind::TakeProfitMarket { trigger }),
        (price(), price()).prop_map(|(trigger, price)| OrderKind::TakeProfitLimit { trigger, price }),
        (any::<u32>(), prop::option::of(price()))
            .prop_map(|(callback_bps, activation)| OrderKind::TrailingStop { callback_bps, activation }),
    ]
}

fn new_order() -> impl Strategy<Value = NewOrder> {
    let amount = prop_oneof![qty().prop_map(OrderQty::Size), decimal().prop_map(OrderQty::Quote)];
    let tif = prop_oneof![
        Just(TimeInForce::Gtc),
        Just(TimeInForce::Ioc),
        Just(TimeInForce::Fok),
        time().prop_map(TimeInForce::Gtd)
    ];
    let effects = [
        PositionEffect::Auto,
        PositionEffect::Open,
        PositionEffect::Close,
        PositionEffect::CloseToday,
        PositionEffect::CloseYesterday,
    ];
    let ids = (any::<u16>(), any::<u16>(), cid(), any::<u32>());
    let effect = prop::sample::select(effects.to_vec());
    let flags = (any::<bool>(), any::<bool>(), effect, leg(), any::<bool>(), any::<Option<bool>>());
    (ids, side(), order_kind(), amount, tif, flags).prop_map(|(ids, side, kind, qty, tif, flags)| NewOrder {
        account: AccountId(ids.0),
        strategy: StrategyId(ids.1),
        cl_ord_id: ids.2,
        instrument: InstrumentId(ids.3),
        side,
        kind,
        qty,
        tif,
        post_only: flags.0,
        reduce_only: flags.1,
        position_effect: flags.2,
        leg: flags.3,
        trigger_by: if flags.4 { TriggerBy::Last } else { TriggerBy::Mark },
        auto_borrow: flags.5,
    })
}

/// Any command, also for the journal's tests.
pub(crate) fn command() -> impl Strategy<Value = Command> {
    let account = || any::<u16>().prop_map(AccountId);
    let instrument = || any::<u32>().prop_map(InstrumentId);
    prop_oneof![
        new_order().prop_map(Command::Place),
        (account(), cid(), instrument(), prop::option::of(price()), prop::option::of(qty())).prop_map(
            |(account, cl_ord_id, instrument, price, qty)| {
                Command::Amend(AmendOrder { account, cl_ord_id, instrument, price, qty })
            }
        ),
        (account(), cid(), instrument()).prop_map(|(account, cl_ord_id, instrument)| Command::Cancel(CancelOrder {
            account,
            cl_ord_id,
            instrument
        })),
        (account(), prop::option::of(instrument()))
            .prop_map(|(account, instrument)| Command::CancelAll { account, instrument }),
    ]
}

fn encoded(seq: u64, at: UnixNanos, event: &EventBuf) -> Vec<u8> {
    let mut out = Vec::new();
    encode_event(&Stamped { seq, at, event: event.as_event() }, &mut out);
    out
}

/// Whatever the bytes are: no panic, and an accepted text is the one and only encoding of its value.
fn is_canonical(bytes: &[u8], buf: &mut EventBuf) {
    match decode_event(bytes, buf) {
        Ok((seq, at)) => assert_eq!(encoded(seq, at, buf), bytes),
        Err(_) => assert_eq!(*buf, EventBuf::default()),
    }
    if let Ok(command) = decode_command(bytes) {
        let mut out = Vec::new();
        encode_command(&command, true, &mut out);
        assert_eq!(out, bytes);
    }
}

proptest! {
    #[test]
    fn events_round_trip_and_no_prefix_is_an_event(seq in any::<u64>(), at in time(), event in event(), more in any::<u8>()) {
        let mut bytes = encoded(seq, at, &event);
        let mut buf = EventBuf { levels: vec![Level::default(); 3], ..EventBuf::default() };
        prop_assert_eq!(decode_event(&bytes, &mut buf), Ok((seq, at)));
        prop_assert_eq!(&buf, &event);
        for cut in 0..bytes.len() {
            prop_assert!(decode_event(&bytes[..cut], &mut buf).is_err(), "prefix of {} bytes", cut);
        }
        bytes.push(more);
        prop_assert!(decode_event(&bytes, &mut buf).is_err());
    }

    #[test]
    fn commands_round_trip_and_hash_form_hides_only_the_tag(command in command(), other in any::<u32>()) {
        let (mut bytes, mut plain, mut retagged) = (Vec::new(), Vec::new(), Vec::new());
        encode_command(&command, true, &mut bytes);
        encode_command(&command, false, &mut plain);
        prop_assert_eq!(decode_command(&bytes), Ok(command));
        for cut in 0..bytes.len() {
            prop_assert!(decode_command(&bytes[..cut]).is_err());
        }
        let mut again = command;
        match &mut again {
            Command::Place(o) => o.cl_ord_id.tag = InstanceTag(other),
            Command::Amend(o) => o.cl_ord_id.tag = InstanceTag(other),
            Command::Cancel(o) => o.cl_ord_id.tag = InstanceTag(other),
            Command::CancelAll { .. } => {}
        }
        encode_command(&again, false, &mut retagged);
        prop_assert_eq!(plain, retagged);
    }

    #[test]
    fn damage_never_panics(event in event(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = encoded(7, UnixNanos(9), &event);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        is_canonical(&bytes, &mut EventBuf::default());
    }

    #[test]
    fn noise_never_panics(tag in 0u8..13, noise in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = vec![tag];
        bytes.extend(noise);
        is_canonical(&bytes, &mut EventBuf::default());
    }
}

#[test]
fn golden_record() {
    // A change here is a change of format: raise SCHEMA_VERSION and keep reading the old one.
    let event = EventBuf {
        kind: EventKind::Quote {
            instrument: InstrumentId(300),
            ts_event: UnixNanos(258),
            quote: Quote { bid_px: Price(1), bid_qty: Qty(-1), ask_px: Price(64), ask_qty: Qty(0) },
            update_id: 127,
        },
        levels: vec![],
    };
    let want = [0, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0xac, 2, 2, 1, 0, 0, 0, 0, 0, 0, 2, 1, 0x80, 1, 0, 127];
    assert_eq!(encoded(5, UnixNanos(1), &event), want);
}

#[test]
fn a_huge_level_count_reserves_nothing() {
    let mut bytes = encoded(
        0,
        UnixNanos(0),
        &EventBuf { kind: EventKind::Gap { instrument: InstrumentId(0), ts_event: UnixNanos(0) }, levels: vec![] },
    );
    bytes[0] = 2;
    bytes.extend([0, 0]);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    let mut buf = EventBuf::default();
    assert_eq!(decode_event(&bytes, &mut buf), Err(CodecError::Truncated));
    assert_eq!(buf.levels.capacity(), 0);
}

#[test]
fn reasons_keep_their_tags() {
    for (i, reason) in REJECTS.into_iter().enumerate() {
        let report = OrderReport {
            account: AccountId(0),
            instrument: InstrumentId(0),
            cl_ord_id: None,
            venue_order_id: VenueOrderId::from_str("").unwrap(),
            ts_event: UnixNanos(0),
            body: ReportBody::Rejected { request: Request::Place, reason, code: Text::EMPTY },
        };
        let bytes = encoded(0, UnixNanos(0), &EventBuf::from(report));
        assert_eq!(bytes[bytes.len() - 2] as usize, i, "{reason:?}");
    }
}
