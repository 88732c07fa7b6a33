//! What outlives the process: journal, snapshots, home directory, SQLite projection, capture and bar files.
//! Never: knows a strategy or the kernel, decides anything about trading, or calls a write durable before its sync.

pub mod bars;
pub mod capture;
pub mod codec;
mod crash;
pub mod fs;
pub mod home;
pub mod journal;
pub mod projection;
pub mod sim_fs;
pub mod snapshot;

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
