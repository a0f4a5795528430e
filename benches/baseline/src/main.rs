//! The clients that `portward plan` is measured against: the bare SDK, and requests that are signed by hand.
//!
//! Owns the reads that a plan makes, and nothing that a plan does with the replies: every page of `GetInstances`, then
//! `GetInstancePortStates` of each instance, 16 at once. Does not retry, and does not talk to anything but the address it
//! gets.
//!
//! ```text
//! portward-baseline sdk URL
//! portward-baseline hand-signed URL
//! ```

mod hand_signed;
mod sdk;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The one of `portward`, so that a comparison of the two does not measure allocators.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As many as `portward` works on at once.
const AT_ONCE: usize = 16;

const REGION: &str = "eu-central-1";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(rules) => {
            println!("{rules} rules");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How many rules the instances have.
fn run(args: &[&str]) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match args {
        ["sdk", url] => runtime.block_on(sdk::fleet(url)),
        ["hand-signed", url] => runtime.block_on(hand_signed::fleet(url)),
        _ => anyhow::bail!("usage: portward-baseline sdk|hand-signed URL"),
    }
}
