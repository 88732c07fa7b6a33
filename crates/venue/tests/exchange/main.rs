//! The exchange through its public surface: what goes in, what comes out.
//! Never: a look at its insides; those have their tests beside them.

mod bars;
mod contracts;
mod kit;
mod money;
mod orders;
mod queue;
mod saved;
mod spot;
mod twin;
