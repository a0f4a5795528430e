//! Listing: the sites of which all instances are known, and what can be decided from them.
//!
//! Owns the rule that a name without account or region, or an expected number of instances, can be decided only if every site that may
//! have such an instance was listed in full. Does not list anything.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use super::link::LinkedConfig;
use super::partial_id::PartialInstanceId;
use super::selector::Selector;
use super::source::quote;
use super::table::{Group, InstanceTable};
use crate::model::{InstanceId, Site, Unreadable};

/// The sites that the instances of a fleet were listed from.
///
/// Without any site, the instances are assumed and not listed: names are not ambiguous, and no instance is missing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The sites that were listed in full.
    pub complete: BTreeSet<Site>,
    /// The sites that could not be listed in full, with the reason.
    pub incomplete: BTreeMap<Site, Unreadable>,
    /// The sites of the run; `None` is all of them. Others were listed only to decide names and expected numbers.
    pub scope: Option<BTreeSet<Site>>,
}

impl Listing {
    /// A listing of sites that were all listed in full.
    pub(crate) fn of(complete: &BTreeSet<Site>) -> Self {
        Self {
            complete: complete.clone(),
            ..Self::default()
        }
    }

    /// Whether the instances are assumed and not listed.
    pub(super) fn is_assumed(&self) -> bool {
        self.complete.is_empty() && self.incomplete.is_empty()
    }

    /// Whether all sites that may have this instance failed to be listed.
    pub(super) fn has_failed_for(&self, id: &PartialInstanceId) -> bool {
        let mut failed = self.incomplete.keys();
        let mut listed = self.complete.iter();
        failed.any(|site| id.may_be_in(site)) && !listed.any(|site| id.may_be_in(site))
    }

    /// Whether this instance is in the scope of the run.
    pub(super) fn has_in_scope(&self, id: &InstanceId) -> bool {
        let scope = self.scope.as_ref();
        scope.is_none_or(|scope| scope.contains(&id.site()))
    }

    /// Whether this instance may be in the scope of the run.
    pub(super) fn may_have_in_scope(&self, id: &PartialInstanceId) -> bool {
        let scope = self.scope.as_ref();
        scope.is_none_or(|scope| scope.iter().any(|site| id.may_be_in(site)))
    }
}

impl LinkedConfig {
    /// The first site that a selector matches and that was not listed in full, as a fragment such as "`us-east-1`, which could not
    /// be listed: …", with a hint.
    pub(super) fn first_unlisted(
        &self,
        selector: &Selector,
        listing: &Listing,
    ) -> Option<Unreadable> {
        let sites = self.sites.iter().chain(listing.incomplete.keys());
        let mut sites = sites.filter(|site| selector.matches_site(site));
        if let Some(site) = sites.find(|site| !listing.complete.contains(site)) {
            let name = quote(&site.to_string());
            return Some(match listing.incomplete.get(site) {
                Some(Unreadable { reason, hint, .. }) => {
                    Unreadable::new(format!("{name}, which could not be listed: {reason}"))
                        .with_hint(hint.clone())
                }
                None => Unreadable::new(format!("{name}, which was not listed")),
            });
        }
        // An account without a known region is read in the region of the environment.
        let mut accounts = self.accounts.keys();
        let without_site = accounts.find(|name| {
            let is_own = |site: &Site| site.account.as_ref() == Some(name);
            selector.matches_account(Some(name))
                && !self.sites.iter().any(is_own)
                && !listing.complete.iter().any(is_own)
        });
        without_site
            .map(|name| Unreadable::new(format!("account {}, which was not listed", quote(name))))
    }
}

impl Config {
    /// The sites of `all` that have to be listed in addition to `scope` to decide the names and the expected numbers of instances in
    /// `scope`.
    pub(crate) fn additional_sites(
        &self,
        scope: &BTreeSet<Site>,
        all: &BTreeSet<Site>,
    ) -> BTreeSet<Site> {
        let tables = self.linked.instances.iter();
        let tables = tables.map(|table| table.id.selector());
        let groups = self.linked.groups.iter();
        let groups = groups
            .filter(|group| group.expect.is_some())
            .map(|group| group.selector.clone());
        let selectors: Vec<Selector> = tables
            .chain(groups)
            .filter(|selector| scope.iter().any(|site| selector.matches_site(site)))
            .collect();
        let is_needed = |site: &&Site| selectors.iter().any(|one| one.matches_site(site));
        all.difference(scope).filter(is_needed).cloned().collect()
    }

    /// Why it is not known whether a table of the configuration means this instance; `None` if it is known.
    pub(crate) fn ambiguity(&self, id: &InstanceId, listing: &Listing) -> Option<Unreadable> {
        let tables = self.linked.instances.iter();
        let mut tables = tables.filter(|table| table.id.matches(id));
        tables.find_map(|table| self.linked.ambiguity(table, id, listing))
    }
}

impl LinkedConfig {
    /// Why it is not known whether a table means this instance; `None` if it is known.
    pub(super) fn ambiguity(
        &self,
        table: &InstanceTable,
        id: &InstanceId,
        listing: &Listing,
    ) -> Option<Unreadable> {
        if listing.is_assumed() || table.id.is_exactly(id) {
            return None;
        }
        let unlisted = self.first_unlisted(&table.id.selector(), listing)?;
        Some(
            Unreadable::undecided(format!(
                "{} could also mean an instance in {}",
                quote(&table.key),
                unlisted.reason
            ))
            .with_hint(Some(format!("name it in full: `[instances.\"{id}\"]`"))),
        )
    }

    /// Why it is not known how many instances a group with `expect` has; `None` if it is known.
    pub(super) fn expect_ambiguity(&self, group: &Group, listing: &Listing) -> Option<Unreadable> {
        if listing.is_assumed() {
            return None;
        }
        let unlisted = self.first_unlisted(&group.selector, listing)?;
        let (expect, _) = group.expect.as_ref()?;
        Some(
            Unreadable::undecided(format!(
                "group {} expects {expect} instances, and some could be in {}",
                quote(&group.name),
                unlisted.reason
            ))
            .with_hint(unlisted.hint),
        )
    }
}
