//! What `portward` is measured against, without Python in the way: the bare SDK, the bare parsers, and its own stages.
//!
//! Owns the baselines of `benches/run.sh`, which starts this program once for each measurement, so that time and memory
//! are those of the operating system. Refuses to compare anything itself, and to talk to anything but the address it gets.
//!
//! ```text
//! baseline sdk URL            every page of GetInstances, then GetInstancePortStates of each, 16 at once
//! baseline toml FILE          a TOML text to a tree with spans, and nothing else
//! baseline json FILE          an inventory, and nothing else
//! baseline stages CONFIG FILE the way from both to a judged plan; one line of JSON with the seconds of each stage
//! ```

mod sdk;
mod stages;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use portward::inventory::Inventory;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["sdk", url] => sdk::read(url),
        ["toml", file] => toml(Path::new(file)),
        ["json", file] => json(Path::new(file)),
        ["stages", config, file] => stages::run(Path::new(config), Path::new(file)),
        // `cargo bench` starts every program of this folder; the measurements need servers and files.
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
