//! Listing: the sites of which all instances are known, and what can be decided from them.
//!
//! Owns the rule that a name without account or region, or an expected number of instances, can be decided only if every site that may
//! have such an instance was listed in full. Does not list anything.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use super::link::Linked;
use super::place::Place;
use super::selector::Selector;
use super::source::quote;
use super::table::{Declared, Group};
use crate::model::{InstanceId, Site, Unreadable};

/// The sites that the instances of a fleet were listed from.
///
/// Without any site, the instances are assumed and not listed: names are not ambiguous, and no instance is missing.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The sites that were listed in full.
    pub complete: BTreeSet<Site>,
    /// The sites that could not be listed in full, with the reason.
    pub incomplete: BTreeMap<Site, Unreadable>,
    /// The sites of the run; `None` is all of them. Others were listed only to decide names and expected numbers.
    pub scope: Option<BTreeSet<Site>>,
}

impl Listing {
    /// A listing of sites that were all listed in full.
    pub fn of(complete: &BTreeSet<Site>) -> Self {
        Self {
            complete: complete.clone(),
            ..Self::default()
        }
    }

    /// Whether the instances are assumed and not listed.
    pub(super) fn is_supposed(&self) -> bool {
        self.complete.is_empty() && self.incomplete.is_empty()
    }

    /// Whether all sites that may have an instance of this place failed to be listed.
    pub(super) fn failed_for(&self, place: &Place) -> bool {
        let mut failed = self.incomplete.keys();
        let mut listed = self.complete.iter();
        failed.any(|site| place.could_be_in(site)) && !listed.any(|site| place.could_be_in(site))
    }

    /// Whether this instance is in the scope of the run.
    pub(super) fn includes(&self, id: &InstanceId) -> bool {
        let scope = self.scope.as_ref();
        scope.is_none_or(|scope| scope.contains(&id.site()))
    }

    /// Whether any site of this kind is in the scope of the run.
    pub(super) fn is_about(&self, kind: impl Fn(&Site) -> bool) -> bool {
        let mut scope = self.scope.iter().flatten();
        self.scope.is_none() || scope.any(kind)
    }
}

/// The sites where instances may be: those of a name, or those that a selector matches.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    Place(&'a Place),
    Selector(&'a Selector),
}

impl Extent<'_> {
    fn holds(self, site: &Site) -> bool {
        match self {
            Self::Place(place) => place.could_be_in(site),
            Self::Selector(selector) => selector.takes_site(site),
        }
    }

    fn holds_account(self, account: &str) -> bool {
        match self {
            Self::Place(place) => place.account.as_deref().is_none_or(|own| own == account),
            Self::Selector(selector) => selector.takes_account(Some(account)),
        }
    }
}

impl Linked {
    /// The first site in this extent that was not listed in full, as a fragment such as "`us-east-1`, which could not be listed: …",
    /// with a hint.
    pub(super) fn unlisted(&self, extent: Extent<'_>, listing: &Listing) -> Option<Unreadable> {
        let sites = self.sites.iter().chain(listing.incomplete.keys());
        let mut sites = sites.filter(|site| extent.holds(site));
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
        let unplaced = accounts.find(|name| {
            let own = |site: &Site| site.account.as_ref() == Some(name);
            extent.holds_account(name)
                && !self.sites.iter().any(own)
                && !listing.complete.iter().any(own)
        });
        unplaced
            .map(|name| Unreadable::new(format!("account {}, which was not listed", quote(name))))
    }
}

impl Config {
    /// The sites of `all` that have to be listed in addition to `scope` to decide the names and the expected numbers of instances in
    /// `scope`.
    pub fn beside(&self, scope: &BTreeSet<Site>, all: &BTreeSet<Site>) -> BTreeSet<Site> {
        let tables = self.linked.instances.iter();
        let tables = tables.map(|table| Extent::Place(&table.place));
        let groups = self.linked.groups.iter();
        let groups = groups
            .filter(|group| group.expect.is_some())
            .map(|group| Extent::Selector(&group.selector));
        let spans: Vec<Extent<'_>> = tables
            .chain(groups)
            .filter(|extent| scope.iter().any(|site| extent.holds(site)))
            .collect();
        let needed = |site: &&Site| spans.iter().any(|extent| extent.holds(site));
        all.difference(scope).filter(needed).cloned().collect()
    }

    /// Why it is not known whether a table of the configuration means this instance; `None` if it is known.
    pub fn ambiguous(&self, id: &InstanceId, listing: &Listing) -> Option<Unreadable> {
        let tables = self.linked.instances.iter();
        let mut tables = tables.filter(|table| table.place.holds(id));
        tables.find_map(|table| self.linked.ambiguous(table, id, listing))
    }
}

impl Linked {
    /// Why it is not known whether a table means this instance; `None` if it is known.
    pub(super) fn ambiguous(
        &self,
        table: &Declared,
        id: &InstanceId,
        listing: &Listing,
    ) -> Option<Unreadable> {
        if listing.is_supposed() || table.place.is_all_of(id) {
            return None;
        }
        let elsewhere = self.unlisted(Extent::Place(&table.place), listing)?;
        Some(
            Unreadable::undecided(format!(
                "{} could also mean an instance in {}",
                quote(&table.key),
                elsewhere.reason
            ))
            .with_hint(Some(format!("name it in full: `[instances.\"{id}\"]`"))),
        )
    }

    /// Why it is not known how many instances a group with `expect` has; `None` if it is known.
    pub(super) fn uncounted(&self, group: &Group, listing: &Listing) -> Option<Unreadable> {
        if listing.is_supposed() {
            return None;
        }
        let elsewhere = self.unlisted(Extent::Selector(&group.selector), listing)?;
        let (expect, _) = group.expect.as_ref()?;
        Some(
            Unreadable::undecided(format!(
                "group {} expects {expect} instances, and some could be in {}",
                quote(&group.name),
                elsewhere.reason
            ))
            .with_hint(elsewhere.hint),
        )
    }
}
