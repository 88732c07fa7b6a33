//! The kill switch stays latched over restarts, cut-off runs and new runs, until a person resumes.

use crate::support::{TestHome, is_identical, refused, run, settings, start};
use ctos_kernel::kill::Latch;
use ctos_runtime::runs::{NamedLatches, RunStatus, latch_offline};
use ctos_runtime::summary::Summary;
use ctos_runtime::world::Catalog;
use ctos_storage::home::Home;
use ctos_types::{Control, HaltScope, KillState, UnixNanos};

const CUT_OFF: [(&str, &str); 1] = [("journal.snapshot_every", "200")];

/// A run cut off in the middle of trading.
fn cut_off() -> TestHome {
    let home = TestHome::new();
    assert!(home.die_in(60));
    assert_eq!(home.record().status, RunStatus::Running);
    home
}

fn sent(summary: &Summary) -> u64 {
    summary.orders.sent
}

#[test]
fn a_second_instance_is_refused() {
    let home = TestHome::new();
    let first = start(settings(&home.path(), &[("speed", "1x"), ("duration", "24h")])).unwrap();
    let error = refused(start(settings(&home.path(), &[("speed", "1x"), ("duration", "24h")])));
    assert!(error.message.contains("in use"), "{error:?}");
    assert!(error.hint.contains("--home"), "{error:?}");
    first.handle.stop("test");
    first.join().unwrap();
}

#[test]
fn a_halt_holds_in_the_next_run_until_resumed() {
    let home = TestHome::new();
    let first = start(settings(&home.path(), &[("speed", "1x"), ("duration", "24h")])).unwrap();
    let halt = Control::Halt { scope: HaltScope::System, state: KillState::Halted, reason: "news".into() };
    first.handle.control(halt).unwrap();
    // The answer came, so the latch is on the disk, whatever becomes of this process.
    assert_eq!(home.system(), KillState::Halted);
    first.handle.stop("test");
    assert_eq!(first.join().unwrap().open_orders, 0);

    let second = run(&home, &[]);
    assert_eq!(sent(&second), 0);
    assert!(second.orders.denied > 0);
    assert_eq!(home.latches()["system"].reason, "news");
    assert!(is_identical(&home), "a run under a latch of an earlier one replays as it ran");

    latch_offline(&home.path(), Catalog::BUILT_IN, "system", KillState::Active, "checked").unwrap();
    assert_eq!(home.system(), KillState::Active);
    assert!(sent(&run(&home, &[])) > 0);
}

#[test]
fn a_run_under_an_old_latch_is_continued_under_it() {
    let home = TestHome::new();
    Home::open(&home.path()).unwrap();
    latch_offline(&home.path(), Catalog::BUILT_IN, "system", KillState::Halted, "before anything ran").unwrap();
    assert!(home.die_in(60));
    let summary = run(&home, &CUT_OFF);
    assert_eq!(sent(&summary), 0);
    assert!(is_identical(&home));
    assert_eq!(home.system(), KillState::Halted);
}

#[test]
fn a_cut_off_run_can_be_halted_and_released_offline() {
    let free = run(&TestHome::new(), &CUT_OFF);
    let home = cut_off();
    latch_offline(&home.path(), Catalog::BUILT_IN, "system", KillState::Halted, "news").unwrap();
    let halted = run(&home, &CUT_OFF);
    assert!(0 < sent(&halted) && sent(&halted) < sent(&free), "{} of {}", sent(&halted), sent(&free));
    assert_eq!((halted.open_orders, home.system()), (0, KillState::Halted));
    assert!(is_identical(&home));

    let home = cut_off();
    latch_offline(&home.path(), Catalog::BUILT_IN, "strategy:grid", KillState::Halted, "news").unwrap();
    latch_offline(&home.path(), Catalog::BUILT_IN, "strategy:grid", KillState::Active, "checked").unwrap();
    let released = run(&home, &CUT_OFF);
    assert!(home.latches().is_empty());
    assert!(sent(&released) > sent(&halted));
    assert!(is_identical(&home));

    let error = refused(latch_offline(&home.path(), Catalog::BUILT_IN, "strategy:other", KillState::Halted, "x"));
    assert!(error.message.contains("strategy:other"));
}

#[test]
fn a_run_cut_off_before_its_first_input_can_be_halted() {
    let home = TestHome::new();
    let (mut n, mut half_made) = (0, true);
    while half_made {
        n += 1;
        assert!(home.die_in(n));
        half_made = home
            .path()
            .join("runs")
            .read_dir()
            .map_or(true, |mut runs| runs.all(|run| run.unwrap().file_name().to_string_lossy().starts_with('.')));
    }
    latch_offline(&home.path(), Catalog::BUILT_IN, "account:main", KillState::Halted, "news").unwrap();
    assert_eq!(sent(&run(&home, &CUT_OFF)), 0);
    assert!(is_identical(&home));
}

#[test]
fn a_halt_that_could_not_be_journaled_holds_after_the_restart() {
    let home = cut_off();
    let latch = Latch { state: KillState::Halted, reason: "journal failed".into(), since: UnixNanos(0) };
    Home::open(&home.path()).unwrap().write_latches(&NamedLatches::from([("system".into(), latch)])).unwrap();
    let summary = run(&home, &CUT_OFF);
    assert!(sent(&summary) < sent(&run(&TestHome::new(), &CUT_OFF)));
    assert_eq!((home.system(), summary.open_orders), (KillState::Halted, 0));
    assert!(is_identical(&home));
}
