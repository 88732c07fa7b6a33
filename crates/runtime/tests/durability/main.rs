//! A shard over a simulated disk that loses power, fails and fills up, from seeds.
//! Never: a real file, a thread, a clock. A failure prints its seed; `CTOS_SEED=N` runs that one alone.

mod disk_faults;
mod overtaken;
mod power;
mod power_loss;
mod rig;
