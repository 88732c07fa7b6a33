//! The `ctos` command.

fn main() {}
