//! Rows 13 to 16 and 25 of the fault catalogue: what a venue and a network can do to market data, against the twin.

mod feed_world;

use ctos_driver_binance::decode::Snapshot;
use ctos_driver_binance::{BinanceFeed, Product, Profile};
use ctos_link::feed::{FeedConfig, FeedWords, Levels, Listed, Question, RouteNo, StreamPlan, Want};
use ctos_link::gateway::Notice;
use ctos_link::session::SessionConfig;
use ctos_types::{Decimal, FundingRate, InstrumentId, Nanos, UnixNanos};
use feed_world::{Net, World, profile, seeds};

fn secs(n: i64) -> Nanos {
    Nanos::from_secs(n)
}

/// Started and in step.
fn started(seed: u64) -> World<BinanceFeed> {
    let mut w = World::new(profile(seed), seed);
    assert!(w.until_in_step(secs(20)).is_some(), "seed={seed}: never in step: {:?}", w.notices);
    w
}

/// After the faults: in step soon, whole for a while, and compared often enough to mean something.
fn ends_well<W: FeedWords>(w: &mut World<W>, within: i64) {
    let seed = w.seed;
    w.deed(r#"{"do":"behave"}"#);
    w.net = Net::default();
    // A frame that was held back for a swap leaves with the next one: the last fault.
    w.run(secs(2));
    let took = w.until_in_step(secs(within));
    assert!(took.is_some(), "seed={seed}: not in step {within} s after the faults: {:?}", w.notices.last());
    let (gaps, compared): (Vec<u64>, u64) = (w.seen.values().map(|s| s.gaps).collect(), w.compared);
    w.run(secs(10));
    let after: Vec<u64> = w.seen.values().map(|s| s.gaps).collect();
    assert_eq!(gaps, after, "seed={seed}: a gap without a fault");
    assert!(w.in_step() && w.compared > compared + 20, "seed={seed}: compared {} times", w.compared - compared);
    assert_eq!(w.feed.counts().bad, 0, "seed={seed}: {:?}", w.notices);
}

#[test]
fn row_13_frames_dropped_doubled_and_reordered() {
    seeds("row_13", 60, |seed| {
        let mut w = started(seed);
        for kind in ["drop", "duplicate", "swap"] {
            let chance = 0.01 + w.upto(40) as f64 / 1_000.0;
            w.deed(&format!(
                r#"{{"do":"rule","rule":{{"on":"market","times":0,"chance":{chance},"fault":{{"kind":"{kind}"}}}}}}"#
            ));
        }
        w.run(secs(30));
        let gaps: u64 = w.seen.values().map(|s| s.gaps).sum();
        assert!(gaps > 0 && w.compared > 20, "seed={seed}: {gaps} gaps, compared {} times", w.compared);
        ends_well(&mut w, 60);
        // What was said of trades: none twice, and every number that is missing was counted.
        for s in w.seen.values() {
            assert!(s.trades.windows(2).all(|t| t[0] < t[1]), "seed={seed}: trades out of order");
        }
    });
}

#[test]
fn row_14_a_silent_stall_is_told_and_mended() {
    seeds("row_14", 40, |seed| {
        let mut w = started(seed);
        // The rhythm of each stream is learned at the first look, after the longest silence that may be expected.
        w.quietly(secs(125 + (seed % 7) as i64));
        assert!(w.until_in_step(secs(20)).is_some(), "seed={seed}");
        let before: Vec<u64> = w.seen.values().map(|s| s.gaps).collect();
        w.deed(r#"{"do":"stall","on":true}"#);
        let from = w.now;
        w.quietly(secs(45));
        for (n, s) in w.seen.values().enumerate() {
            assert!(s.gaps > before[n] && !s.valid, "seed={seed}: nobody was told of the stall");
            let told = s.last_gap.unwrap() - from;
            assert!(told < secs(30), "seed={seed}: told after {} s", told.as_secs_f64());
        }
        let connects = w.connects;
        w.deed(r#"{"do":"stall","on":false}"#);
        ends_well(&mut w, 90);
        assert!(w.connects < connects + 12, "seed={seed}: {} connections", w.connects);
    });
}

#[test]
fn row_15_links_that_end() {
    seeds("row_15", 60, |seed| {
        let mut w = started(seed);
        w.net = Net { lost: 10, slow_ms: 300, refused: 20 };
        for _ in 0..3 {
            let how = w.upto(6);
            match how {
                0 => w.deed(r#"{"do":"close","code":1000}"#),
                1 => w.deed(r#"{"do":"close","code":null}"#),
                2 => w.deed(r#"{"do":"shutdown"}"#),
                3 => w.deed(r#"{"do":"life","ms":8000}"#),
                4 => w.deed(r#"{"do":"rule","rule":{"on":"market","fault":{"kind":"half_frame"}}}"#),
                _ => w.deed(r#"{"do":"rule","rule":{"on":"market","fault":{"kind":"then_cut"}}}"#),
            }
            let span = 4 + w.upto(8) as i64;
            w.run(secs(span));
        }
        ends_well(&mut w, 120);
    });
}

/// Binance's words with links that are replaced every so often.
#[derive(Debug)]
struct Restless(BinanceFeed, Nanos);

impl FeedWords for Restless {
    type Chain = <BinanceFeed as FeedWords>::Chain;
    type Talk = <BinanceFeed as FeedWords>::Talk;
    fn name(&self) -> &str {
        self.0.name()
    }
    fn chain(&self) -> Product {
        self.0.chain()
    }
    fn streams(&self, wants: &[(InstrumentId, Want)]) -> Vec<StreamPlan> {
        self.0.streams(wants)
    }
    fn talk(&self, route: RouteNo) -> Self::Talk {
        self.0.talk(route)
    }
    fn address(&self, route: RouteNo) -> String {
        self.0.address(route)
    }
    fn session(&self, route: RouteNo) -> SessionConfig {
        SessionConfig { rotate_after: Some(self.1), ..self.0.session(route) }
    }
    fn max_streams(&self, route: RouteNo) -> usize {
        self.0.max_streams(route)
    }
    fn ask_snapshot(&self, instrument: InstrumentId) -> Option<Question> {
        self.0.ask_snapshot(instrument)
    }
    fn read_snapshot(&self, instrument: InstrumentId, body: &[u8], levels: &mut Levels) -> Result<Snapshot, String> {
        self.0.read_snapshot(instrument, body, levels)
    }
    fn ask_funding(&self, instrument: InstrumentId, since: UnixNanos) -> Option<Question> {
        self.0.ask_funding(instrument, since)
    }
    fn read_funding(&self, body: &[u8], mark: Decimal) -> Result<Vec<(UnixNanos, FundingRate)>, String> {
        self.0.read_funding(body, mark)
    }
    fn ask_listing(&mut self) -> Option<Question> {
        self.0.ask_listing()
    }
    fn read_listing(&mut self, status: u16, body: &[u8]) -> Result<Vec<Listed>, String> {
        self.0.read_listing(status, body)
    }
}

#[test]
fn row_15_links_are_replaced_before_their_end_without_a_gap() {
    seeds("row_15_links_are_replaced", 20, |seed| {
        let mut w = World::with(profile(seed), seed, FeedConfig::default(), |words| Restless(words, secs(10)));
        // The venue's own end comes a little later, as its 24 hours do.
        w.deed(r#"{"do":"life","ms":14000}"#);
        assert!(w.until_in_step(secs(9)).is_some(), "seed={seed}: {:?}", w.notices);
        let (trades, connects) = (w.feed.counts().trades, w.connects);
        w.run(secs(60));
        assert!(w.connects >= connects + 5, "seed={seed}: {} connections", w.connects);
        assert_eq!(w.seen.values().map(|s| s.gaps).sum::<u64>(), 0, "seed={seed}: {:?}", w.notices);
        let c = w.feed.counts();
        assert_eq!((c.trades_missing, c.trades_repeated, c.bad), (0, 0, 0), "seed={seed}");
        assert!(w.in_step() && w.compared > 200 && c.trades > trades, "seed={seed}");
    });
}

#[test]
fn row_16_snapshots_older_than_the_diffs() {
    seeds("row_16", 60, |seed| {
        let mut w = World::new(profile(seed), seed);
        let age = 200 + w.upto(3_000);
        w.deed(&format!(r#"{{"do":"snapshot_age","ms":{age}}}"#));
        w.net = Net { lost: 10, slow_ms: 2_000, refused: 0 };
        w.run(secs(10));
        for _ in 0..2 {
            w.deed(r#"{"do":"close","code":1006}"#);
            let span = 3 + w.upto(6) as i64;
            w.run(secs(span));
        }
        ends_well(&mut w, 90);
        assert!(w.compared > 20, "seed={seed}");
    });
}

#[test]
fn row_25_rules_that_change_are_told() {
    seeds("row_25", 20, |seed| {
        let config = FeedConfig { listing_every: Some(secs(15)), ..FeedConfig::default() };
        let usdm = profile(seed) == Profile::UsdM;
        let mut w = World::with(profile(seed), seed, config, |words| words);
        assert!(w.until_in_step(secs(20)).is_some());
        let id = w.instruments.iter().find(|i| i.base.as_str() == "BTC").unwrap().id;
        assert!(w.seen[&id].rules.is_empty(), "seed={seed}: nothing has changed yet: {:?}", w.seen[&id].rules);
        let status = if usdm { "SETTLING" } else { "BREAK" };
        w.deed(&format!(r#"{{"do":"symbol","symbol":"BTCUSDT","change":{{"status":"{status}"}}}}"#));
        let from = w.now;
        w.run(secs(20));
        let (at, rules) = w.seen[&id].rules.last().copied().unwrap_or_else(|| panic!("seed={seed}: not told"));
        assert!(!rules.trading && (!usdm || at - from < secs(15)), "seed={seed}");
        let alarm = |n: &Notice| matches!(n, Notice::Alarm { what, .. } if what.contains(status));
        assert!(w.notices.iter().any(alarm), "seed={seed}: {:?}", w.notices);
        w.deed(r#"{"do":"symbol","symbol":"BTCUSDT","change":{"status":"TRADING"}}"#);
        w.run(secs(20));
        assert!(w.seen[&id].rules.last().unwrap().1.trading, "seed={seed}");
    });
}

#[test]
fn everything_that_is_wanted_comes() {
    for seed in [1, 2] {
        let mut w = started(seed);
        w.run(secs(130));
        let usdm = profile(seed) == Profile::UsdM;
        for (id, s) in &w.seen {
            assert_eq!(s.gaps, 0, "{:?}", w.notices);
            assert!(!s.trades.is_empty() && s.bars >= 1, "instrument {}: {} bars", id.0, s.bars);
            assert_eq!(s.marks > 100, usdm, "instrument {}: {} marks", id.0, s.marks);
        }
        assert!(w.compared > 500);
        let c = w.feed.counts();
        assert!(c.bad == 0 && c.foreign == 0 && c.quotes > 100, "{c:?}");
    }
}
