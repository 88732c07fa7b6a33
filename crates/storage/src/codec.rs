//! Binary form of inputs and commands, as the journal holds them: mirrors of the words, written by hand and versioned.
//! Never: frames or checksums (see [`crate::journal`]), or accepts two spellings of one value.
//!
//! Integers are LEB128 varints in their shortest form, signed ones zigzagged; times are 8 bytes little-endian; text is
//! a length and UTF-8. Decoding is strict: unknown tags, overlong integers and left-over bytes are errors, so that
//! every accepted text is exactly what encoding its value gives.

mod command;
mod event;
mod raw;
#[cfg(test)]
pub(crate) mod tests;

pub use command::{decode_command, encode_command};
pub(crate) use event::event_seq;
pub use event::{decode_event, encode_event};

/// Version of the encoding in this module. Raised with every change of meaning; journals carry it in their headers.
pub const SCHEMA_VERSION: u16 = 1;

/// Bytes that are not an encoding of this schema version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end inside a value.
    #[error("record ends early")]
    Truncated,
    /// The value is complete and bytes are left.
    #[error("{0} bytes left after the record")]
    Trailing(usize),
    /// A byte that names no variant.
    #[error("unknown {what} tag {tag}")]
    UnknownTag { what: &'static str, tag: u8 },
    /// A number outside its type, or not in its shortest form.
    #[error("{0} out of range")]
    OutOfRange(&'static str),
    /// Text that is not UTF-8 or longer than its field.
    #[error("bad text in {0}")]
    BadText(&'static str),
}
