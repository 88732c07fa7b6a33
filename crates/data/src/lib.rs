//! The data catalog: Parquet by venue, kind, symbol and date; importers, checks, export.
//! Never: trades, or hides what is wrong with data.

pub mod defect;
pub mod import;
pub mod number;
pub mod record;

pub use defect::{Defect, DefectKind, Defects};
pub use number::Number;
pub use record::{BarFields, Body, Kind, LevelFields, Record};
