use super::sim::order;
use super::*;
use ctos_types::{Currency, Decimal, Liquidity, ReportBody, Request};

const COIN: InstrumentId = InstrumentId(0);

fn at(ms: i64) -> UnixNanos {
    UnixNanos::from_secs(1_700_000_000).after(Nanos::from_millis(ms))
}

fn cl(seq: u64) -> ClientOrderId {
    ClientOrderId { tag: InstanceTag(7), seq }
}

fn fill(exec: &str, qty: i64) -> Fill {
    Fill {
        exec_id: Text::cut(exec),
        side: Side::Buy,
        leg: Leg::Net,
        last_px: Price(100),
        last_qty: Qty(qty),
        liquidity: Liquidity::Taker,
        fee: Decimal::ZERO,
        fee_currency: Currency::cut("BNB"),
    }
}

fn view(state: ViewState, cum: i64) -> OrderView {
    let venue_order_id = Text::cut("v1");
    OrderView { venue_order_id, state, qty: Some(Qty(10)), cum_qty: Qty(cum), price: Some(Price(100)), ts_event: at(0) }
}

struct Bench {
    tracker: Tracker,
    out: Vec<Action>,
    last: Option<Query>,
}

fn bench() -> Bench {
    let mut tracker = Tracker::new(TrackerConfig { tags: vec![InstanceTag(7)], ..TrackerConfig::default() });
    tracker.set_position(COIN, Leg::Net, Qty(0));
    Bench { tracker, out: Vec::new(), last: None }
}

impl Bench {
    /// One order of 10 is on its way.
    fn placed() -> Bench {
        let mut b = bench();
        b.tracker.place(at(0), order(1, Side::Buy, 10), &mut b.out).unwrap();
        b.check(&["place"]);
        b
    }
    /// It is open at the venue.
    fn open() -> Bench {
        let mut b = Bench::placed();
        b.news(10, NewsBody::Accepted);
        b.check(&["Accepted"]);
        b
    }
    #[track_caller]
    fn check(&mut self, want: &[&str]) {
        let have: Vec<String> = self.out.drain(..).map(|a| short(a, &mut self.last)).collect();
        assert_eq!(have, want);
    }
    fn news(&mut self, ms: i64, body: NewsBody) {
        let (account, instrument, venue_order_id) = (AccountId(0), COIN, Text::cut("v1"));
        let news = News { account, instrument, cl_ord_id: Some(cl(1)), venue_order_id, ts_event: at(ms), body };
        self.tracker.on_news(at(ms), &news, &mut self.out);
    }
    fn filled(&mut self, ms: i64, exec: &str, qty: i64, cum: i64) {
        self.news(ms, NewsBody::Fill { fill: fill(exec, qty), cum_qty: Some(Qty(cum)) });
    }
    fn reply(&mut self, ms: i64, request: Request, reply: Reply) {
        self.tracker.on_reply(at(ms), cl(1), request, reply, &mut self.out);
    }
    /// Runs until the next query and gives its time.
    fn until_query(&mut self) -> i64 {
        loop {
            let (due, _) = self.tracker.deadline().expect("something is due");
            self.tracker.on_deadline(due, &mut self.out);
            if self.out.iter().any(|a| matches!(a, Action::Query(_))) {
                return ((due.0 - at(0).0) + 999_999) / 1_000_000;
            }
        }
    }
    fn answer(&mut self, ms: i64, answer: Answer) {
        let query = self.last.expect("a query was seen");
        self.tracker.on_answer(at(ms), &query, &answer, &mut self.out);
    }
}

fn short(action: Action, last: &mut Option<Query>) -> String {
    match action {
        Action::Place(_) => "place".into(),
        Action::Amend(_) => "amend".into(),
        Action::Cancel(_) => "cancel".into(),
        Action::Query(query) => {
            *last = Some(query);
            match query.ask {
                Ask::Order(_) => "order?".into(),
                Ask::Owner(id) => format!("whose is {id}?"),
                Ask::Fills { .. } => "fills?".into(),
                Ask::Position { .. } => "position?".into(),
            }
        }
        Action::Report(report) => match report.body {
            ReportBody::Fill(fill) => format!("fill {} {}", fill.exec_id, fill.last_qty.0),
            ReportBody::Rejected { request, code, .. } => format!("{request:?} rejected {code}"),
            body => format!("{body:?}"),
        },
        Action::Alarm(alarm) => format!("alarm: {alarm}"),
    }
}

const UNKNOWN: &str = "Unknown { request: Place }";

#[test]
fn a_lost_request_is_found_out_and_never_sent_again() {
    let mut b = Bench::placed();
    b.reply(5_000, Request::Place, Reply::Unknown);
    b.check(&[UNKNOWN]);
    let (mut asked, mut now) = (0, 0);
    while now < 15_000 {
        now = b.until_query();
        b.check(&["order?"]);
        b.answer(now + 50, Answer::NotFound);
        asked += 1;
        if !b.out.is_empty() {
            break;
        }
    }
    assert!((4..=8).contains(&asked) && now >= 14_900, "{asked} queries, the last at {now}");
    b.check(&["fills?"]);
    b.answer(now + 100, Answer::Fills(Vec::new()));
    assert_eq!(b.until_query(), now + 100);
    b.check(&["position?"]);
    b.answer(now + 200, Answer::Position(Qty(0)));
    b.check(&["Place rejected NEVER_ARRIVED"]);
    assert_eq!(b.tracker.open_ids(), []);
    assert_eq!(b.tracker.place(at(99_000), order(1, Side::Buy, 10), &mut b.out), Err(Refused::Repeated(cl(1))));
}

#[test]
fn a_lost_answer_is_adopted_as_the_live_order_it_is() {
    let mut b = Bench::placed();
    // Nobody says anything: after a while that is a doubt of its own.
    assert_eq!(b.tracker.deadline().unwrap(), (at(10_000), "no answer to a request"));
    let now = b.until_query();
    b.check(&[UNKNOWN, "order?"]);
    b.answer(now + 50, Answer::Failed);
    let now = b.until_query();
    b.check(&["order?"]);
    b.answer(now + 50, Answer::Order(view(ViewState::Open, 0)));
    b.check(&["Accepted"]);
    assert_eq!(b.tracker.deadline(), None, "nothing is in doubt any more");
}

#[test]
fn a_lost_answer_of_an_order_that_filled_at_once_brings_its_fills() {
    let mut b = Bench::placed();
    b.reply(100, Request::Place, Reply::Unknown);
    let now = b.until_query();
    b.check(&[UNKNOWN, "order?"]);
    b.answer(now, Answer::Order(view(ViewState::Filled, 10)));
    let now = b.until_query();
    b.check(&["Accepted", "fills?"]);
    let past = |exec: &str, venue: &str, qty| PastFill {
        instrument: COIN,
        cl_ord_id: None,
        venue_order_id: Text::cut(venue),
        ts_event: at(90),
        fill: fill(exec, qty),
    };
    b.answer(now, Answer::Fills(vec![past("t1", "v1", 4), past("t2", "stranger", 3), past("t3", "v1", 6)]));
    b.check(&["fill t1 4", "fill t3 6"]);
    assert_eq!((b.tracker.open_ids(), b.tracker.position(COIN, Leg::Net)), (vec![], Qty(10)));
}

#[test]
fn an_execution_on_an_unknown_order_is_asked_about_before_anything_is_given_up() {
    let mut b = Bench::placed();
    b.reply(100, Request::Place, Reply::Unknown);
    b.check(&[UNKNOWN]);
    let mut now = 0;
    while b.out.is_empty() {
        now = b.until_query();
        b.check(&["order?"]);
        b.answer(now, Answer::NotFound);
    }
    b.check(&["fills?"]);
    let past = |venue: &str| PastFill {
        instrument: COIN,
        cl_ord_id: None,
        venue_order_id: Text::cut(venue),
        ts_event: at(90),
        fill: fill(&format!("t{venue}"), 10),
    };
    b.answer(now, Answer::Fills(vec![past("a"), past("b")]));
    b.until_query();
    b.check(&["whose is a?"]);
    b.answer(now, Answer::Owner(None));
    b.until_query();
    b.check(&["fill ta 10", "whose is b?"]);
    b.answer(now, Answer::Owner(Some(cl(1))));
    now = b.until_query();
    b.check(&["order?"]);
    b.answer(now, Answer::Order(OrderView { venue_order_id: Text::cut("b"), ..view(ViewState::Filled, 10) }));
    b.until_query();
    b.check(&["Accepted", "fills?"]);
    b.answer(now, Answer::Fills(vec![past("a"), past("b")]));
    b.check(&["fill tb 10"]);
    assert_eq!(b.tracker.open_ids(), []);
}

#[test]
fn a_position_that_moved_as_if_it_had_filled_keeps_the_doubt_and_tells_a_person() {
    let mut b = Bench::placed();
    b.reply(100, Request::Place, Reply::Unknown);
    b.check(&[UNKNOWN]);
    for _ in 0..60 {
        let now = b.until_query();
        let asked = b.out.iter().position(|a| matches!(a, Action::Query(_))).unwrap();
        let Action::Query(query) = b.out.remove(asked) else { unreachable!() };
        b.last = Some(query);
        b.answer(
            now,
            match query.ask {
                Ask::Order(_) => Answer::NotFound,
                Ask::Fills { .. } => Answer::Fills(Vec::new()),
                Ask::Position { .. } => Answer::Position(Qty(10)),
                Ask::Owner(_) => unreachable!("no strangers"),
            },
        );
    }
    let alarms = b.out.iter().filter(|a| matches!(a, Action::Alarm(_))).count();
    assert!(alarms == 1 && b.tracker.in_doubt().eq([cl(1)]), "{:?}", b.out);
}

#[test]
fn fills_before_the_acknowledgement_in_any_order_end_the_same() {
    let mut b = Bench::placed();
    b.filled(5, "t2", 6, 10);
    b.check(&["Accepted", "fill t2 6"]);
    b.filled(6, "t1", 4, 4);
    b.check(&["fill t1 4"]);
    b.news(7, NewsBody::Accepted);
    b.reply(8, Request::Place, Reply::Done(view(ViewState::Open, 0)));
    b.check(&[]);
    assert_eq!(b.tracker.open_ids(), []);
}

#[test]
fn a_fill_counts_once_whatever_id_it_comes_under() {
    let mut b = Bench::open();
    b.filled(20, "t1", 4, 4);
    b.filled(21, "t1", 4, 4);
    b.check(&["fill t1 4"]);
    b.filled(22, "t9", 4, 4);
    b.check(&["alarm: order c0000071: fill t9 was sent again under another id and is not counted"]);
    // Without a total in the message only the size stands: it is held until the venue says.
    b.news(23, NewsBody::Fill { fill: fill("t3", 7), cum_qty: None });
    b.check(&[]);
    let now = b.until_query();
    b.check(&["order?"]);
    b.answer(now, Answer::Order(view(ViewState::Open, 4)));
    b.check(&["alarm: order c0000071: fill t3 was sent again under another id and is not counted"]);
    assert_eq!(b.tracker.cum_qty(cl(1)), Some(Qty(4)));
}

#[test]
fn a_repetition_that_came_first_is_matched_with_its_original_in_the_history() {
    let mut b = Bench::open();
    b.filled(20, "again", 1, 1);
    b.news(30, NewsBody::Canceled { reason: CancelReason::Venue, cum_qty: Some(Qty(3)) });
    b.check(&["fill again 1"]);
    let past = |exec, qty| PastFill {
        instrument: COIN,
        cl_ord_id: None,
        venue_order_id: Text::cut("v1"),
        ts_event: at(20),
        fill: fill(exec, qty),
    };
    let now = b.until_query();
    b.check(&["fills?"]);
    b.answer(now, Answer::Fills(vec![past("t1", 1)]));
    b.check(&[]);
    let now = b.until_query();
    b.check(&["fills?"]);
    b.answer(now, Answer::Fills(vec![past("t1", 1), past("t2", 2)]));
    b.check(&["fill t2 2", "Canceled { reason: Venue }"]);
}

#[test]
fn an_over_fill_that_the_venue_stands_by_is_counted_and_told() {
    let mut b = Bench::open();
    b.filled(20, "t1", 11, 11);
    b.check(&["alarm: order c0000071: filled 11 of 10", "fill t1 11"]);
    assert_eq!(b.tracker.position(COIN, Leg::Net), Qty(11));
}

#[test]
fn cancel_meets_fill_and_no_such_order_is_not_cancelled() {
    let mut b = Bench::open();
    b.tracker.cancel(at(20), cl(1), &mut b.out).unwrap();
    let code = Text::cut("-2011");
    b.reply(40, Request::Cancel, Reply::Refused { reason: RejectReason::UnknownOrder, code });
    b.filled(41, "t1", 10, 10);
    b.check(&["cancel", "fill t1 10"]);
    assert_eq!((b.tracker.open_ids(), b.tracker.deadline()), (vec![], None));
    assert_eq!(b.tracker.cancel(at(50), cl(1), &mut b.out), Err(Refused::NotOpen(cl(1))));
}

#[test]
fn a_cancel_that_got_lost_is_sent_again_until_the_order_is_closed() {
    let mut b = Bench::open();
    b.tracker.cancel(at(20), cl(1), &mut b.out).unwrap();
    b.reply(5_020, Request::Cancel, Reply::Unknown);
    let now = b.until_query();
    b.check(&["cancel", "order?"]);
    b.answer(now, Answer::Order(view(ViewState::Open, 0)));
    b.check(&["cancel"]);
    b.reply(now + 10, Request::Cancel, Tracker::not_sent());
    let now = b.until_query();
    b.check(&["order?"]);
    b.answer(now, Answer::Order(view(ViewState::Open, 0)));
    b.check(&["cancel"]);
    // The end waits for a fill that the stream has not brought yet.
    b.news(now + 20, NewsBody::Canceled { reason: CancelReason::Requested, cum_qty: Some(Qty(3)) });
    b.check(&[]);
    b.filled(now + 30, "t1", 3, 3);
    b.check(&["fill t1 3", "Canceled { reason: Requested }"]);
    b.news(now + 40, NewsBody::Expired { cum_qty: Some(Qty(3)) });
    b.news(now + 40, NewsBody::Accepted);
    b.check(&[]);
}

#[test]
fn terms_that_every_view_shows_are_the_orders_whoever_changed_them() {
    let listed = |b: &mut Bench, ms: i64, price: i64, qty: i64| {
        let view = OrderView { price: Some(Price(price)), qty: Some(Qty(qty)), ..view(ViewState::Open, 0) };
        b.tracker.on_open_orders(at(ms), at(ms), &[(cl(1), view)], &mut b.out);
    };
    let mut b = Bench::open();
    for (ms, price, qty) in [(8_000, 90, 10), (17_000, 90, 10), (17_100, 100, 10), (17_200, 90, 10), (26_000, 90, 8)] {
        listed(&mut b, ms, price, qty);
        b.check(&[]);
    }
    listed(&mut b, 35_999, 90, 8);
    b.check(&[]);
    listed(&mut b, 36_000, 90, 8);
    b.check(&["Amended { price: Some(Price(90)), qty: Qty(8) }"]);
    listed(&mut b, 50_000, 90, 8);
    b.check(&[]);
    // An amend of ours under way is judged by itself.
    let amend =
        AmendOrder { account: AccountId(0), cl_ord_id: cl(1), instrument: COIN, price: Some(Price(95)), qty: None };
    listed(&mut b, 51_000, 91, 8);
    b.tracker.amend(at(52_000), amend, &mut b.out).unwrap();
    listed(&mut b, 61_500, 91, 8);
    b.check(&["amend"]);
    listed(&mut b, 61_600, 95, 8);
    b.check(&["Amended { price: Some(Price(95)), qty: Qty(8) }"]);
}

#[test]
fn an_amend_half_done_is_what_the_venue_says_it_is() {
    let amend =
        AmendOrder { account: AccountId(0), cl_ord_id: cl(1), instrument: COIN, price: Some(Price(90)), qty: None };
    let doubtful = || {
        let mut b = Bench::open();
        b.tracker.amend(at(20), amend, &mut b.out).unwrap();
        assert_eq!(b.tracker.amend(at(21), amend, &mut b.out), Err(Refused::Amending(cl(1))));
        b.reply(5_020, Request::Amend, Reply::Unknown);
        let now = b.until_query();
        b.check(&["amend", "Unknown { request: Amend }", "order?"]);
        (b, now)
    };
    let (mut b, now) = doubtful();
    b.answer(now, Answer::Order(OrderView { price: Some(Price(90)), ..view(ViewState::Open, 0) }));
    b.check(&["Amended { price: Some(Price(90)), qty: Qty(10) }"]);
    let (mut b, mut now) = doubtful();
    while b.out.is_empty() {
        b.answer(now, Answer::Order(view(ViewState::Open, 0)));
        if b.out.is_empty() {
            now = b.until_query();
            b.check(&["order?"]);
        }
    }
    b.check(&["Amend rejected NEVER_ARRIVED"]);
    assert!(now >= 10_000, "not before it must have become visible, but at {now}");
    // Cancelled without a new one in its place.
    let (mut b, now) = doubtful();
    b.answer(now, Answer::Order(view(ViewState::Canceled(CancelReason::Requested), 0)));
    b.check(&["Canceled { reason: Requested }"]);
}

#[test]
fn refusals_need_evidence() {
    let mut b = Bench::placed();
    let refused = |reason| Reply::Refused { reason, code: Text::cut("-2010") };
    b.reply(10, Request::Place, refused(RejectReason::DuplicateClientOrderId));
    b.check(&[]);
    let now = b.until_query();
    b.check(&["order?"]);
    b.answer(now, Answer::Order(view(ViewState::Open, 0)));
    b.check(&["Accepted"]);
    let mut b = Bench::placed();
    b.reply(10, Request::Place, refused(RejectReason::InsufficientBalance));
    b.check(&["Place rejected -2010"]);
    let mut b = Bench::placed();
    b.reply(10, Request::Place, Tracker::not_sent());
    b.check(&["Place rejected NOT_SENT"]);
    // It comes to life all the same: it is cancelled, and what it fills counts.
    b.filled(20, "t1", 4, 4);
    b.check(&["alarm: order c0000071 came to life after the venue had not known it", "cancel", "fill t1 4"]);
}

#[test]
fn a_gap_in_the_stream_and_a_list_without_the_order_make_it_doubtful_not_closed() {
    let mut b = Bench::open();
    b.tracker.on_open_orders(at(20_000), at(20_000), &[], &mut b.out);
    b.check(&[]);
    let now = b.until_query();
    b.check(&["order?"]);
    b.answer(now, Answer::Order(view(ViewState::Open, 0)));
    assert_eq!(b.tracker.deadline(), None);
    b.tracker.on_gap(at(30_000));
    b.until_query();
    b.check(&["order?"]);
    b.answer(30_500, Answer::Order(view(ViewState::Canceled(CancelReason::Venue), 0)));
    b.check(&["Canceled { reason: Venue }"]);
}

#[test]
fn other_peoples_orders_pass_through_once_and_another_instance_is_told() {
    let mut b = bench();
    let news = News {
        account: AccountId(0),
        instrument: COIN,
        cl_ord_id: None,
        venue_order_id: Text::cut("theirs"),
        ts_event: at(0),
        body: NewsBody::Fill { fill: fill("t1", 5), cum_qty: Some(Qty(5)) },
    };
    b.tracker.on_news(at(0), &news, &mut b.out);
    b.tracker.on_news(at(1), &news, &mut b.out);
    b.check(&["fill t1 5"]);
    assert_eq!(b.tracker.position(COIN, Leg::Net), Qty(5));
    let foreign = ClientOrderId { tag: InstanceTag(8), seq: 1 };
    for _ in 0..2 {
        let news = News { cl_ord_id: Some(foreign), body: NewsBody::Accepted, ..news };
        b.tracker.on_news(at(2), &news, &mut b.out);
    }
    b.check(&["alarm: an order with the tag of another instance: c0000081", "Accepted", "Accepted"]);
}

#[test]
fn a_restart_adopts_what_the_venue_says() {
    let mut b = bench();
    let held = Held {
        order: order(1, Side::Buy, 10),
        venue_order_id: VenueOrderId::EMPTY,
        sent: at(0),
        cum_qty: Qty(4),
        execs: vec![Text::cut("t1")],
        amending: None,
        canceling: false,
        amended_at: UnixNanos::MIN,
    };
    b.tracker.recover(at(60_000), &held);
    b.until_query();
    b.check(&["order?"]);
    b.answer(60_400, Answer::Order(view(ViewState::Filled, 10)));
    assert_eq!(b.tracker.unresolved().count(), 1, "its fills are not booked yet");
    b.until_query();
    b.check(&["Accepted", "fills?"]);
    let past = |exec, qty| PastFill {
        instrument: COIN,
        cl_ord_id: Some(cl(1)),
        venue_order_id: Text::cut("v1"),
        ts_event: at(0),
        fill: fill(exec, qty),
    };
    b.answer(60_800, Answer::Fills(vec![past("t1", 4), past("t2", 6)]));
    b.check(&["fill t2 6"]);
    assert_eq!(b.tracker.open_ids(), []);
}

/// A position that moved while nobody was there is this order's doing, as long as the venue has not been asked about it.
#[test]
fn an_order_of_an_earlier_life_is_unresolved_before_the_first_question_leaves() {
    let mut b = bench();
    let held = Held {
        order: order(1, Side::Buy, 10),
        venue_order_id: Text::cut("v1"),
        sent: at(0),
        cum_qty: Qty(0),
        execs: Vec::new(),
        amending: None,
        canceling: false,
        amended_at: UnixNanos::MIN,
    };
    b.tracker.recover(at(60_000), &held);
    b.check(&[]);
    assert!(b.tracker.is_doubtful(COIN) && b.tracker.unresolved().eq([(cl(1), COIN)]));
    b.until_query();
    b.check(&["order?"]);
    b.answer(60_400, Answer::Order(view(ViewState::Open, 0)));
    assert!(!b.tracker.is_doubtful(COIN) && b.tracker.unresolved().count() == 0);
}

/// A list by time and a list by order are put together: what is in both is one execution.
#[test]
fn an_execution_that_two_lists_show_counts_once() {
    let mut b = Bench::placed();
    b.reply(100, Request::Place, Reply::Unknown);
    let now = b.until_query();
    b.check(&[UNKNOWN, "order?"]);
    b.answer(now, Answer::Order(view(ViewState::Filled, 10)));
    let now = b.until_query();
    b.check(&["Accepted", "fills?"]);
    let past = |exec: &str, qty| PastFill {
        instrument: COIN,
        cl_ord_id: None,
        venue_order_id: Text::cut("v1"),
        ts_event: at(90),
        fill: fill(exec, qty),
    };
    b.answer(now, Answer::Fills(vec![past("t1", 4), past("t2", 6), past("t1", 4), past("t2", 6)]));
    b.check(&["fill t1 4", "fill t2 6"]);
    assert_eq!(b.tracker.position(COIN, Leg::Net), Qty(10));
}

/// An earlier life gave the order up, or booked all that it could take. What it fills now happened none the less, and both
/// the kernel and the desk must count it: as nobody's.
#[test]
fn a_fill_of_an_order_that_an_earlier_life_closed_is_nobodys_and_counts_once() {
    let mut b = bench();
    b.tracker.begin(at(60_000));
    b.tracker.used_up_to(InstanceTag(7), 9);
    b.tracker.booked([(COIN, Text::cut("t1"))]);
    for (exec, ms) in [("t1", 61_000), ("t2", 62_000), ("t2", 63_000)] {
        b.filled(ms, exec, 5, 5);
    }
    let reports: Vec<_> = b.out.iter().map(|a| matches!(a, Action::Report(r) if r.cl_ord_id.is_none())).collect();
    assert_eq!(reports, [true]);
    b.check(&["fill t2 5"]);
    assert_eq!(b.tracker.position(COIN, Leg::Net), Qty(5));
    // The history shows both lives: what is older was booked by the one before, though nobody remembers it.
    let past = |exec: &str, ms: i64| PastFill {
        instrument: COIN,
        cl_ord_id: None,
        venue_order_id: Text::cut("v1"),
        ts_event: at(ms),
        fill: fill(exec, 5),
    };
    let strangers = b.tracker.on_history(at(64_000), &[past("t0", 50_000), past("t2", 62_000), past("t3", 62_500)]);
    b.tracker.on_strangers(at(64_000), AccountId(0), Some(cl(1)), &strangers, &mut b.out);
    b.check(&["fill t3 5"]);
}

#[test]
fn an_execution_of_an_order_that_fell_out_of_memory_is_remembered() {
    let config = TrackerConfig { tags: vec![InstanceTag(7)], closed_kept: 1, ..TrackerConfig::default() };
    let mut b = Bench { tracker: Tracker::new(config), ..bench() };
    b.tracker.place(at(0), order(1, Side::Buy, 10), &mut b.out).unwrap();
    b.filled(10, "t1", 10, 10);
    for seq in [2, 3] {
        b.tracker.place(at(20), order(seq, Side::Buy, 10), &mut b.out).unwrap();
        let refused = Reply::Refused { reason: RejectReason::Other, code: Text::cut("NO") };
        b.tracker.on_reply(at(30), cl(seq), Request::Place, refused, &mut b.out);
    }
    assert!(!b.tracker.knows(cl(1)));
    b.out.clear();
    b.filled(40, "t1", 10, 10);
    b.check(&[]);
    assert_eq!(b.tracker.position(COIN, Leg::Net), Qty(10));
}
