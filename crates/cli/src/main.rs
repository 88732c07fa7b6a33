//! The `ctos` program with the built-in strategies. All it does is in the library, which other crates can call too.
//! Never: anything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctos_cli::main_with(ctos_cli::Catalog::BUILT_IN)
}
