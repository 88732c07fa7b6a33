//! Runs the real binary in directories of its own.

mod instance;
mod mistakes;
mod runs;
mod support;
