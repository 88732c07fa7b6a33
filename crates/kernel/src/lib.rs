//! The kernel: one step for every input, order states, portfolio, risk gates, kill switch, strategies, timers, audit.
