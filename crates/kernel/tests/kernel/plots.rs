//! Points for charts: in the audit stream where they were asked for, and without effect on anything else.

use crate::support::{OTHER, PERP, Rig};
use ctos_kernel::{Audit, Limits, OrderRequest};
use ctos_types::{InstrumentId, Qty, Side, StrategyId};

fn plotted(rig: &Rig) -> Vec<(InstrumentId, &'static str, f64)> {
    let point = |a: &Audit| match a {
        Audit::Plot { strategy, instrument, name, value } => {
            assert_eq!(*strategy, StrategyId(1));
            Some((*instrument, *name, *value))
        }
        _ => None,
    };
    rig.audits.iter().filter_map(point).collect()
}

#[test]
fn points_go_out_where_they_are_asked_for_and_change_nothing() {
    let mut traces = Vec::new();
    for on in [false, true] {
        let mut rig = Rig::new(Limits::unlimited(), 2);
        rig.kernel.set_plots(on);
        rig.act(1, move |ctx| {
            ctx.plot(PERP, "fast", 100.5);
            ctx.plot(PERP, "slow", f64::NAN);
            ctx.plot(PERP, "slow", f64::INFINITY);
            ctx.plot_all(OTHER, |plot| {
                assert!(on, "nobody looks");
                plot("upper", 3.0);
                plot("lower", 1.0);
            });
            ctx.place(OrderRequest::market(PERP, Side::Buy, Qty(1000)));
        });
        let all = [(PERP, "fast", 100.5), (OTHER, "upper", 3.0), (OTHER, "lower", 1.0)];
        assert_eq!(plotted(&rig), if on { all.to_vec() } else { Vec::new() });
        assert_eq!(rig.commands.len(), 1);
        traces.push((rig.kernel.command_hash(), serde_json::to_string(&rig.kernel.save()).unwrap()));
    }
    assert_eq!(traces[0], traces[1], "neither commands nor snapshots know of plots");
}

#[test]
fn plotting_without_end_is_bounded_and_no_fault() {
    let mut rig = Rig::new(Limits::unlimited(), 2);
    rig.kernel.set_plots(true);
    rig.act(1, |ctx| (0..100_000).for_each(|n| ctx.plot(PERP, "n", f64::from(n))));
    assert_eq!(rig.audits.len(), 10_000);
    rig.act(1, |ctx| ctx.plot(PERP, "n", 1.0));
    assert_eq!(plotted(&rig).len(), 1, "the next event is free again");
}
