//! The data catalog: Parquet by venue, kind, symbol and date; importers, checks, export.
//! Never: trades, or hides what is wrong with data.

pub mod defect;
pub mod download;
pub mod error;
pub mod import;
pub mod ingest;
pub mod instruments;
pub mod journaled;
pub mod layout;
pub mod market;
pub mod number;
pub mod part;
pub mod query;
pub mod record;
pub mod schema;
pub mod table;

pub use defect::{Defect, DefectKind, Defects};
pub use error::CatalogError;
pub use layout::{Catalog, Series};
pub use market::{Extent, LoadReport, Loaded, Survey, load, narrow, survey};
pub use number::Number;
pub use query::Selection;
pub use record::{BarFields, Body, Kind, LevelFields, Record};

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
