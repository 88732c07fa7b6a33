use super::super::space::tests::space;
use super::*;
use proptest::prelude::*;

fn plan(method: Method, trials: u64, seed: u64) -> Plan {
    Plan { method, trials, batch: 8, seed }
}

/// Everything a search tries of `worth`, in order.
fn tried(s: &Space, plan: Plan, takes: &dyn Fn(&[u32]) -> bool, worth: &dyn Fn(&[u32]) -> f64) -> Vec<Point> {
    let mut search = Search::new(Arc::new(s.clone()), plan, "0");
    let mut all = Vec::new();
    loop {
        let batch = search.propose(takes);
        if batch.is_empty() {
            return all;
        }
        search.tell(&batch.iter().map(|p| Some(worth(p))).collect::<Vec<_>>());
        all.extend(batch);
    }
}

/// A hill at a quarter of the first axis and three quarters of the second, flat along the others.
fn hill(point: &[u32]) -> f64 {
    let (x, y) = (f64::from(point[0]) - 25.0, f64::from(point[1]) - 75.0);
    -(x * x + y * y)
}

#[test]
fn a_grid_tries_all_in_order_whatever_the_number_of_trials() {
    let s = space(&[40, 60]);
    let all = tried(&s, plan(Method::Grid, 1, 1), &|_| true, &hill);
    assert_eq!(all.len(), 2_400);
    assert!(all.windows(2).all(|w| w[0] < w[1]));
    let mut search = Search::new(Arc::new(s.clone()), plan(Method::Grid, 1, 1), "0");
    let below = |p: &[u32]| p[0] < p[1];
    let mut count = 0;
    while let n @ 1.. = search.propose(&below).len() {
        count += n as u64;
    }
    assert_eq!((count, search.refused()), (40 * 60 - 820, 820));
}

#[test]
fn tpe_climbs_where_random_search_wanders() {
    let s = space(&[101, 101, 101]);
    let best = |method| {
        let of =
            |seed| tried(&s, plan(method, 120, seed), &|_| true, &hill).iter().map(|p| hill(p)).fold(-1e9, f64::max);
        let mut all: Vec<f64> = (0..9).map(of).collect();
        all.sort_by(f64::total_cmp);
        all[4]
    };
    let (tpe, random) = (best(Method::Tpe), best(Method::Random));
    assert!(tpe > -12.0 && tpe > random / 3.0, "median best after 120 trials: TPE {tpe}, random {random}");
}

#[test]
fn the_same_seed_proposes_the_same() {
    let s = space(&[50, 50]);
    for method in [Method::Random, Method::Tpe] {
        let once = tried(&s, plan(method, 60, 3), &|_| true, &hill);
        assert_eq!(once, tried(&s, plan(method, 60, 3), &|_| true, &hill));
        assert_ne!(once, tried(&s, plan(method, 60, 4), &|_| true, &hill));
    }
}

#[test]
fn a_space_smaller_than_the_trials_is_tried_whole() {
    let s = space(&[3, 4]);
    for method in [Method::Random, Method::Tpe] {
        let mut all = tried(&s, plan(method, 1_000, 1), &|_| true, &hill);
        all.sort();
        assert_eq!(all, (0..12).map(|n| s.nth(n)).collect::<Vec<_>>());
        assert!(tried(&s, plan(method, 10, 1), &|_| false, &hill).is_empty());
        // One needle in a haystack that draws would hardly find.
        let wide = space(&[100, 100]);
        assert_eq!(tried(&wide, plan(method, 10, 1), &|p| p == [97, 3], &hill), [[97, 3]]);
    }
}

#[test]
fn trials_without_a_score_do_not_stop_the_search() {
    let mut search = Search::new(Arc::new(space(&[30, 30])), plan(Method::Tpe, 64, 1), "0");
    let mut n = 0;
    loop {
        let batch = search.propose(&|_| true);
        n += batch.len();
        if batch.is_empty() {
            break;
        }
        search.tell(&batch.iter().map(|p| (p[0] > 20).then_some(f64::NAN)).collect::<Vec<_>>());
    }
    assert_eq!(n, 64);
}

proptest! {
    #[test]
    fn nothing_is_tried_twice_and_nothing_beyond_the_count(
        sizes in prop::collection::vec(1usize..12, 1..4), trials in 1u64..80, seed: u64, tpe: bool, odd: bool
    ) {
        let s = space(&sizes);
        let method = if tpe { Method::Tpe } else { Method::Random };
        let takes = |p: &[u32]| !odd || p.iter().sum::<u32>() % 2 == 0;
        let all = tried(&s, plan(method, trials, seed), &takes, &|p| f64::from(p[0]));
        let distinct: BTreeSet<&Point> = all.iter().collect();
        prop_assert_eq!(distinct.len(), all.len());
        prop_assert!(all.iter().all(|p| takes(p)));
        let possible = (0..s.size()).filter(|n| takes(&s.nth(*n))).count() as u64;
        prop_assert_eq!(all.len() as u64, trials.min(possible));
    }
}
