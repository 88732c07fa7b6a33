//! Sweeps: one strategy over many combinations of parameters, searched in parallel, judged outside the data they were
//! chosen on, and reported with the doubt that the number of trials deserves.
//! Never: lets the number of jobs, or a kill in the middle, change a result.

pub mod analysis;
pub mod axis;
pub mod draw;
pub mod engine;
pub mod market;
pub mod objective;
pub mod output;
pub mod page;
pub mod schedule;
pub mod search;
pub mod setup;
pub mod space;
pub mod split;
pub mod store;
pub mod table;
pub mod trial;
pub mod verdict;
