//! The shapes of plan files, reports and answers as JSON Schema (draft 2020-12), for whoever reads them with another program.
//!
//! Owns nothing but the way to the texts: they are files of their own, under `schemas/`. All but that of the configuration
//! are derived from the types that are written, which a test holds. Does not validate; what this program writes is held
//! against them by a test.

/// The schema of plan files, version 1.
pub const PLAN: &str = include_str!("../../schemas/plan.v1.json");

/// The schema of reports, version 1.
pub const REPORT: &str = include_str!("../../schemas/report.v1.json");

/// Of a configuration, as JSON of the TOML: for editors that check and complete.
pub const CONFIG: &str = include_str!("../../schemas/config.v1.json");
/// The schema of what `diff --format json` prints, version 1.
pub const DIFF: &str = include_str!("../../schemas/diff.v1.json");

/// The schema of what `explain --format json` prints, version 1.
pub const EXPLAIN: &str = include_str!("../../schemas/explain.v1.json");

/// The schema of what `grants --format json` prints, version 1.
pub const GRANTS: &str = include_str!("../../schemas/grants.v1.json");

/// The first line of a configuration from which an editor with taplo learns where its schema is.
pub const LINE: &str = concat!(
    "#:schema ",
    env!("CARGO_PKG_REPOSITORY"),
    "/raw/v",
    env!("CARGO_PKG_VERSION"),
    "/schemas/config.v1.json"
);

#[cfg(test)]
mod tests;
