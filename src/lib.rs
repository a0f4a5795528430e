//! `portward` keeps the public firewalls of Amazon Lightsail instances equal to a TOML file.
//!
//! The library serves the command and its tests, and promises nothing: no part of it is a stable interface.
//!
//! # The pipeline
//!
//! ```text
//! firewall.toml --config--> Desired --+
//!                                     +--plan (pure)--> Plan --apply--> calls, wait, read back --> Report
//! Lightsail ------read----> Live -----+      |
//!                                            +--render--> text, JSON, Markdown, SARIF, HTML
//! ```
//!
//! The planner is a plain synchronous function over data, and a plan leaves its executor no choices: it holds the live
//! rules it was made from, the rules that must result, and the exact calls. A dry run is not calling the executor. A
//! verb that only reads is given a type that cannot write.
//!
//! # Who may know whom
//!
//! `cli` may use everything; `apply` uses `lightsail`'s traits and `plan`; `render` uses `plan`, `policy` and `exposure`;
//! `policy` uses `plan`, `exposure` and `lease`; `plan` uses `exposure`; `config` uses `lease` and `exposure`; `lease`, `exposure`, `lightsail`,
//! `inventory` and `emulator` use `model`, which uses none of them. `input` reads files, `atomic_file` writes them and `strings` spells for
//! whoever must, and none of them uses another. `lightsail` and `emulator` also know `inventory`, the file format they share.
//! The modules that decide (`model`, `lease`, `config`, `exposure`, `plan`, `policy`, `render`) know no tokio, no AWS, no clock and no
//! environment: what they need is passed in. No two files know each other, but for a module and what is in its own folder. A
//! test reads every path and fails on a wrong arrow.

// The tests of `apply` read a file of those of the simulation, which know this library by its name.
#[cfg(test)]
extern crate self as portward;

pub mod apply;
pub(crate) mod atomic_file;
pub mod cli;
pub mod config;
pub mod emulator;
pub mod exposure;
pub(crate) mod input;
pub mod inventory;
pub mod lease;
pub mod lightsail;
pub mod model;
pub mod plan;
pub mod policy;
pub mod render;
pub(crate) mod strings;
