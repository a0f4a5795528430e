//! The configuration language: reads TOML files and resolves them to the desired state of each instance.
//!
//! Owns the language: its keys, names, built-in services, and every message about a mistake in a configuration. One run reports all
//! problems of all files, each with its place and a hint. Does not read live rules, a clock, or any file that it is not given.
//!
//! The steps: from text to tree (`syntax`, `tree`), to definitions (`read`), to a [`Config`] with resolved names (`link`), and, once the
//! instances are known, to [`Desired`](crate::model::Desired) (`resolve`).

mod accounts;
mod catalogue;
mod conflict;
mod definitions;
mod diagnostic;
mod expected_count;
mod file_system;
mod grants;
mod hints;
mod include;
mod keys;
mod likely_declared;
mod link;
mod listing;
mod load;
mod name_resolver;
mod named_lists;
mod names;
mod partial_id;
mod policy;
mod port_expr;
mod read;
mod redundant_rules;
mod regions;
mod render;
mod resolve;
mod rule;
mod sections;
mod selector;
mod services;
mod size_limits;
mod source;
mod source_expr;
mod special_sources;
mod statement;
mod suggest;
mod summary;
mod syntax;
mod table;
mod table_rules;
#[cfg(test)]
mod tests;
mod tree;
mod until;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use definitions::Definitions;
use diagnostic::DiagnosticsBuilder;
use link::LinkedConfig;

use crate::model::{Fingerprint, Site};

pub(crate) use accounts::account_ids;
pub(crate) use catalogue::service_of;
pub use definitions::Account;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub(crate) use file_system::{Disk, FileSystem, FileType};
pub(crate) use grants::describe_grant_changes;
pub use keys::KEYS;
pub(crate) use listing::Listing;
pub use load::load;
pub(crate) use load::load_from;
pub(crate) use partial_id::PartialInstanceId;
pub(crate) use services::{service_keys, service_name, service_names};
pub use source::Source;
pub(crate) use statement::{Statement, TableScope};
pub(crate) use write::{AdoptedConfig, ImportedConfig, InstanceDifference, accounts, import};

/// A configuration without errors, not yet matched with instances.
#[derive(Debug)]
pub struct Config {
    /// For the messages of [`Config::resolve`].
    sources: Vec<Arc<Source>>,
    warnings: Vec<Diagnostic>,
    fingerprint: Fingerprint,
    linked: LinkedConfig,
}

impl Config {
    /// The warnings, in order.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The regions that the configuration names: in the defaults, in the names of instances, and in groups.
    pub fn regions(&self) -> &BTreeSet<String> {
        &self.linked.regions
    }

    /// The accounts by name; empty if there is only the account of the credentials.
    pub fn accounts(&self) -> &BTreeMap<String, Account> {
        &self.linked.accounts
    }

    /// The names of the accounts, by account ID.
    pub(crate) fn account_names(&self) -> BTreeMap<&str, &str> {
        let accounts = self.linked.accounts.iter();
        accounts
            .map(|(name, account)| (account.id.as_str(), name.as_str()))
            .collect()
    }

    /// The sites to read: every account in its own regions, or else in those of [`Config::regions`]. An account without any region has
    /// no site here.
    pub fn sites(&self) -> BTreeSet<Site> {
        self.linked.sites.clone()
    }

    /// The fingerprint of the texts of all files, in the order in which they were read. It does not depend on their paths.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Its files, in the order in which they were read.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(AsRef::as_ref)
    }

    fn build(defs: Definitions, mut report: DiagnosticsBuilder) -> Result<Self, Diagnostics> {
        let linked = link::link(defs, &mut report);
        if !report.has_errors() {
            redundant_rules::warn(&linked, &mut report);
        }
        let (sources, warnings) = report.finish()?;
        Ok(Self {
            fingerprint: Fingerprint::of_all(sources.iter().map(|source| source.text())),
            sources,
            warnings,
            linked,
        })
    }
}

/// Parses a configuration from texts: the first file and the files that it would include. Does not follow `include`.
///
/// # Errors
/// Every problem of every file, sorted, including warnings.
pub fn parse(sources: Vec<Source>) -> Result<Config, Diagnostics> {
    let mut report = DiagnosticsBuilder::default();
    let mut defs = Definitions::default();
    if sources.is_empty() {
        report.unreadable("configuration", "there is no file", None);
    }
    for (index, source) in sources.into_iter().enumerate() {
        let file = report.add_source(source);
        read::read_file(&mut report, &mut defs, file, index == 0);
    }
    Config::build(defs, report)
}
