//! Shards whose market comes in as it happens: what the journal repeats after a crash at any moment, from seeds.
//! Never: a socket, a clock, a real file. `CTOS_SEED=N` runs one seed alone.

mod fed;
mod real;
mod script;
