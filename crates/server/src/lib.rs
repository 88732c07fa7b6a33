//! The loopback control API under /api/v1.
