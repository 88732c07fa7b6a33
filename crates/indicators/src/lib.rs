//! Streaming indicators with one implementation for live and history.
