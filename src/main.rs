//! The `portward` command: hands the arguments to the library and its answer to the operating system.
//!
//! Owns nothing; see the library for how it works.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Configurations and fleets are many small texts: a third of the time of a large `check` was spent in the allocator of the C
/// library, and musl's, which the archives have, is slower still.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    portward::cli::main().into()
}
