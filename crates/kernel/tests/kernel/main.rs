//! The kernel from outside: inputs in, commands and audit out.
//! Never: reaches into kernel internals; what cannot be seen here, no other room can rely on.

mod gates;
mod isolation;
mod kill;
mod operator;
mod orders;
mod plots;
mod portfolio;
mod snapshot;
mod standing;
mod support;
mod time;
