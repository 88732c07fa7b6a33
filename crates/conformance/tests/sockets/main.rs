//! The driver as it runs, gateway thread and all, against the twin's server over real sockets: the stories of a session,
//! and one case for each row of the fault catalogue.
//! Never: an assertion about real time; it only bounds how long a case may hang.

mod clock;
mod rig;
mod rows;
mod story;
