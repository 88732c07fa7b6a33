//! Binance's words: what a frame says, how a book is kept in step with its diffs, how instruments are defined, how a
//! request is written and signed.
//! Never: files, a decision about trading, or a socket and a clock of its own: `client` uses the link's.

pub mod account;
pub mod book_sync;
pub mod client;
pub mod decode;
pub mod desk_words;
pub mod errors;
pub mod feed_words;
mod fields;
pub mod instruments;
pub mod limits;
pub mod market;
pub mod orders;
pub mod profile;
pub mod replay;
pub mod request;
pub mod rules;
pub mod sign;
pub mod symbols;
pub mod user;

pub use book_sync::{BookSync, SyncOut};
pub use decode::{DecodeError, Decoder, Frame, Levels};
pub use errors::{ErrorReply, Verdict};
pub use feed_words::BinanceFeed;
pub use limits::{BinanceWords, Route, SignedCall};
pub use orders::Desk;
pub use profile::{Hosts, Profile};
pub use replay::{CaptureLoad, LineSource, Replayer, SourceLine, load_capture, probe};
pub use sign::{Credentials, KeyError, KeyKind};
pub use symbols::{Product, SymbolMap};
