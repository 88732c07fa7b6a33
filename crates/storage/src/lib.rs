//! What outlives the process: journal, snapshots, home directory, SQLite projection, capture and bar files.
//! Never: knows a strategy or the kernel, decides anything about trading, or calls a write durable before its sync.

pub mod capture;
pub mod codec;
pub mod fs;
pub mod journal;
pub mod sim_fs;
