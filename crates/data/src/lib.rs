//! The data catalog: Parquet by venue, kind, symbol and date; importers, checks, export.
//! Never: trades, or hides what is wrong with data.
