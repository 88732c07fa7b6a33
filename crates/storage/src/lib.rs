//! Journal, snapshots, SQLite projection, capture and bar files.
