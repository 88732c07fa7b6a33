//! Init: configuration, the shard loop, recovery, watchdog, observers.
