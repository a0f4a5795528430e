//! The configuration language: from TOML files to what is wanted of each instance.
//!
//! Owns the language: its keys, its names, its built-in services, and every message about a mistake in it. All problems
//! of all files come out of one run, each with its place and a hint. Does not look at live rules, at a clock, and at
//! anything but the files that it is given.
//!
//! The way goes from text to tree (`syntax`, `tree`), to definitions (`read`), to a [`Config`] whose names are followed
//! (`link`), and, once the instances are known, to [`Desired`](crate::model::Desired) (`resolve`).

mod accounts;
mod catalogue;
mod complaints;
mod conflict;
mod declared;
mod definitions;
mod diagnostic;
mod duplicates;
mod early;
mod expect;
mod files;
mod follow;
mod grants;
mod habits;
mod include;
mod keys;
mod limits;
mod link;
mod listing;
mod load;
mod names;
mod nested;
mod place;
mod policy;
mod port_expr;
mod read;
mod regions;
mod render;
mod resolve;
mod rule;
mod sections;
mod selector;
mod services;
mod source;
mod source_expr;
mod statement;
mod suggest;
mod summary;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod until;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use definitions::Definitions;
use diagnostic::Report;
use link::Linked;

use crate::model::{Fingerprint, Site};

pub(crate) use accounts::account_ids;
pub(crate) use catalogue::service_of;
pub use definitions::Account;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub(crate) use files::{Disk, Files, Kind};
pub use grants::grants_changed;
pub use keys::KEYS;
pub use listing::Listing;
pub use load::{load, load_from};
pub(crate) use place::Place;
pub(crate) use services::{service_keys, service_name, service_names};
pub use source::Source;
pub(crate) use statement::{Scope, Statement};
pub(crate) use write::{Adopted, Differing, Imported, accounts, import};

/// A configuration without errors, not yet matched with instances.
#[derive(Debug)]
pub struct Config {
    /// Kept for the messages that [`Config::resolve`] may have to give.
    sources: Vec<Arc<Source>>,
    warnings: Vec<Diagnostic>,
    fingerprint: Fingerprint,
    linked: Linked,
}

impl Config {
    /// What is probably not as meant, in order.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The regions that the configuration names: those of the defaults, of instances named with a region, and of groups
    /// that name one.
    pub fn regions(&self) -> &BTreeSet<String> {
        &self.linked.regions
    }

    /// The accounts by name; none is the one that the credentials belong to.
    pub fn accounts(&self) -> &BTreeMap<String, Account> {
        &self.linked.accounts
    }

    /// What it calls each account, by the id.
    pub fn account_names(&self) -> BTreeMap<&str, &str> {
        let accounts = self.linked.accounts.iter();
        accounts
            .map(|(name, account)| (account.id.as_str(), name.as_str()))
            .collect()
    }

    /// Where the configuration says to look: every account in its own regions, else in those of [`Config::regions`]. An
    /// account of which neither is known has no site here.
    pub fn sites(&self) -> BTreeSet<Site> {
        self.linked.sites.clone()
    }

    /// The texts of all its files, in the order in which they were read, under one name. Where they are is no part of it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Its files, in the order in which they were read.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(AsRef::as_ref)
    }

    fn build(defs: Definitions, mut report: Report) -> Result<Self, Diagnostics> {
        let linked = link::link(defs, &mut report);
        if !report.has_errors() {
            duplicates::warn(&linked, &mut report);
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

/// Reads a configuration from texts: the first file and those that it would include. Follows no `include`.
///
/// # Errors
/// Every problem of every file, sorted; warnings are among them.
pub fn parse(sources: Vec<Source>) -> Result<Config, Diagnostics> {
    let mut report = Report::default();
    let mut defs = Definitions::default();
    if sources.is_empty() {
        report.unreadable("configuration", "there is no file", None);
    }
    for (at, source) in sources.into_iter().enumerate() {
        let file = report.add_source(source);
        read::file(&mut report, &mut defs, file, at == 0);
    }
    Config::build(defs, report)
}
