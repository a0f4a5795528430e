//! The `portward` command: hands the arguments to the library and its answer to the operating system.
//!
//! Owns nothing; see the library for how it works.

use std::process::ExitCode;

fn main() -> ExitCode {
    portward::cli::main().into()
}
