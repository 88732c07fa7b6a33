//! Behaviour of the strategies in a real kernel, against a small venue that accepts, fills and refuses as told.

mod bars;
mod grid;
mod grid_all;
pub(crate) mod harness;
mod plots;
mod registry;
