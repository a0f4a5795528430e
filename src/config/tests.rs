//! Tests of the whole way from text to what is wanted.
//!
//! Owns the helpers that they share.

mod accounts;
mod errors;
mod files;
mod grants;
mod guard;
mod listing;
mod policy;
mod properties;
mod redundant_rules;
mod resolving;
mod size_limits;
mod sources;

use super::{Config, Diagnostics, Source, parse};

/// One file, with the first line that every file has.
fn read(text: &str) -> Result<Config, Diagnostics> {
    parse(vec![Source::new("f.toml", format!("version = 1\n{text}"))])
}

/// Its problems, errors and warnings, without the name of the file.
fn problems(text: &str) -> Vec<String> {
    let found = match read(text) {
        Ok(config) => config.warnings().to_vec(),
        Err(errors) => errors.iter().cloned().collect(),
    };
    found
        .iter()
        .map(|problem| problem.to_string().replacen("f.toml:", "", 1))
        .collect()
}
