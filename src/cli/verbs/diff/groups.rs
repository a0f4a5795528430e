//! The comparison of two configurations on all unknown instances that groups can match.
//!
//! **Owns** the choice of the selectors, by the known instances and by `--target`. **Does not** compare their rules;
//! `statements` does.

use std::collections::{BTreeMap, BTreeSet};

use super::statements::selector;
use crate::cli::documents::{GroupStatements, ResolveContext};
use crate::cli::session;
use crate::config::TableScope;
use crate::exposure::{Compared, ComparisonSubject};
use crate::model::Site;

/// The differences of two configurations for unknown instances without a table, by selector, and the number of selectors.
pub(super) fn compare_groups(
    old: &GroupStatements,
    new: &GroupStatements,
    context: ResolveContext<'_>,
    targets: &[String],
    unknown: &mut Vec<String>,
) -> (Vec<Compared>, usize) {
    let sites: BTreeSet<Site> = old.sites.union(&new.sites).cloned().collect();
    let is_listed = |site: &&Site| old.is_listed(site) || new.is_listed(site);
    let open: BTreeSet<Site> = sites.iter().filter(|s| !is_listed(s)).cloned().collect();
    let nothing_known = old.listed.is_none() && new.listed.is_none();
    let mut selectors = selectors(old, new, targets);
    selectors.retain(|_, scope| nothing_known || open.iter().any(|site| scope.matches_site(site)));
    if !old.sites.is_empty() && !new.sites.is_empty() {
        for (side, document, other) in [("old", old, new), ("new", new, old)] {
            let takes = |site: &&Site| selectors.values().any(|scope| scope.matches_site(site));
            let only = document
                .sites
                .difference(&other.sites)
                .filter(|site| !is_listed(site));
            unknown.extend(only.filter(takes).map(|site| {
                format!(
                    "only the {side} side looks at `{site}`, and the instances there are not known"
                )
            }));
        }
    }
    let mut all = Vec::new();
    for (spelling, scope) in &selectors {
        if old.statements.has_equal_group(&new.statements, spelling) {
            continue;
        }
        let mut places = context
            .places
            .iter()
            .map(|place| TableScope::from(place.clone()));
        let other = if !nothing_known || places.any(|place| !scope.excludes(&place)) {
            "other "
        } else {
            ""
        };
        let subject = ComparisonSubject::Every(format!("every {other}instance that {scope}"));
        let both = [&old.statements, &new.statements];
        let compared = selector(&subject, scope, both, &open);
        all.extend(compared.into_iter().filter(|compared| !compared.is_equal()));
    }
    (all, selectors.len())
}

/// The selectors of either side, by their spelling, that may take an instance that is asked for.
pub(super) fn selectors<'a>(
    old: &'a GroupStatements,
    new: &'a GroupStatements,
    targets: &[String],
) -> BTreeMap<&'a str, &'a TableScope> {
    let all = old.statements.selectors().into_iter();
    let all = all.chain(new.statements.selectors());
    let any = targets.is_empty();
    // A name without a sign of a pattern is one instance, which is told by itself.
    let targets: Vec<&String> = targets.iter().filter(|text| !is_literal(text)).collect();
    let sites: BTreeSet<&Site> = old.sites.union(&new.sites).collect();
    let may_take = |scope: &TableScope| {
        targets.iter().any(|text| {
            let described = TableScope::parse(text);
            let by_name = described.is_none_or(|described| !described.excludes(scope));
            // A star reaches over the whole of `REGION/NAME`.
            let by_site = session::pattern(text).is_ok_and(|pattern| {
                let mut document = sites.iter().filter(|site| scope.matches_site(site));
                document.any(|site| {
                    pattern.matches(&format!("{site}/"))
                        || pattern.matches(&format!("{}/", site.region))
                })
            });
            by_name || by_site
        })
    };
    all.filter(|(_, scope)| any || may_take(scope)).collect()
}

pub(super) fn is_literal(selector: &str) -> bool {
    !selector.contains(['*', '?', '['])
}
