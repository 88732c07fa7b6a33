//! A real driver, a real kernel with real strategies and the twin of the venue on one injected clock, with a seeded
//! network between them that loses, delays and cuts. The judge is the twin.
//! Never: a socket, a clock of its own, or a piece of the driver replaced by a stand-in.

pub mod cases;
pub mod engine;
pub mod judge;
pub mod net;
pub mod plan;
pub mod rows;
pub mod script;
pub mod world;

pub use judge::Verdict;
pub use rows::{ROWS, Row};
pub use world::{Setup, World};
