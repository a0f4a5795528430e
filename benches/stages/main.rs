//! The stages of a plan without a network, and the bare parsers that they are measured against.
//!
//! Owns the offline measurements of `benches/run.sh`, which starts this program once for each, so that time and memory are
//! those of the operating system. It has the profile and the allocator of `portward`, whose code it runs. Does not compare
//! anything.
//!
//! ```text
//! stages toml FILE         a TOML text to a tree with spans, and nothing else
//! stages json FILE         an inventory, and nothing else
//! stages run CONFIG FILE   from both to a judged plan; prints one line of JSON with the seconds of each stage
//! ```

mod stages;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use mimalloc::MiMalloc;
use portward::inventory::Inventory;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["toml", file] => toml(Path::new(file)),
        ["json", file] => json(Path::new(file)),
        ["run", config, file] => stages::run(Path::new(config), Path::new(file)),
        // `cargo bench` starts every program of this folder; the measurements need files.
        _ => Ok("nothing is measured here: run benches/run.sh".to_owned()),
    };
    let (text, code) = match done {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(error) => (format!("error: {error:#}"), ExitCode::FAILURE),
    };
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

fn toml(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)?;
    let (tree, errors) = toml::de::DeTable::parse_recoverable(&text);
    anyhow::ensure!(errors.is_empty(), "the text has errors");
    Ok(format!("{} keys", tree.get_ref().len()))
}

fn json(file: &Path) -> anyhow::Result<String> {
    let inventory = Inventory::parse(&std::fs::read_to_string(file)?)?;
    Ok(format!("{} instances", inventory.entries().count()))
}
