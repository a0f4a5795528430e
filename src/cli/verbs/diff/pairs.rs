//! The pairs of instances of two documents that are compared with each other.
//!
//! **Owns** which instance of one document is which of the other, and what stands for one that only one of them has. **Does
//! not** compare their rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::documents::{Document, InstanceRules, InstanceRulesResult, OpenedDocument};
use crate::cli::error::CommandError;
use crate::exposure::DocumentFirewall;
use crate::model::{Family, InstanceId, LiveFirewall};

/// An instance of which one document does not say the region is the one of that name in the other, if there is just one.
pub(super) fn align_regions(before: &mut Document, after: &mut Document) {
    let place = |document: &mut Document, other: &Document| {
        let unplaced: Vec<InstanceId> = document
            .instances
            .keys()
            .filter(|id| id.region.is_empty() && !other.instances.contains_key(id))
            .cloned()
            .collect();
        for id in unplaced {
            let mut namesakes = other
                .instances
                .keys()
                .filter(|namesake| namesake.name == id.name);
            if let (Some(only), None) = (namesakes.next(), namesakes.next())
                && !document.instances.contains_key(only)
                && let Some(firewall) = document.instances.remove(&id)
            {
                document.instances.insert(only.clone(), firewall);
            }
        }
    };
    place(before, after);
    place(after, before);
}

/// One instance, with its rules in each document.
pub(super) type InstancePair = (Option<InstanceId>, [InstanceRulesResult; 2]);

/// Pairs instances by region and name. One that only one document has is compared with a firewall that lets nobody in, or,
/// where the other is a configuration and nothing in it is about the instance, with what is live and stays.
pub(super) fn pairs(
    before: &mut Document,
    after: &mut Document,
    names: [&OpenedDocument; 2],
    live: &BTreeMap<InstanceId, InstanceRulesResult>,
) -> Result<Vec<InstancePair>, CommandError> {
    match (before.unnamed.take(), after.unnamed.take()) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            let sides = [old, new]
                .map(|live| Ok(DocumentFirewall::of_live(&live, Family::default()).into()));
            return Ok(vec![(None, sides)]);
        }
        (Some(old), None) => {
            let new = only_instance(after, names[1], names[0])?;
            let firewall = with_family_of(&old, &new);
            let new = new.map(|new| new.with_live(&old));
            return Ok(vec![(None, [Ok(firewall.into()), new])]);
        }
        (None, Some(new)) => {
            let old = only_instance(before, names[0], names[1])?;
            let firewall = with_family_of(&new, &old);
            let old = old.map(|old| old.with_live(&new));
            return Ok(vec![(None, [old, Ok(firewall.into())])]);
        }
    }
    let ids: BTreeSet<InstanceId> = before
        .instances
        .keys()
        .chain(after.instances.keys())
        .cloned()
        .collect();
    let mut take = |id: &InstanceId| {
        let of = |document: &mut Document| {
            let rules = document.instances.remove(id);
            rules.unwrap_or_else(|| match &document.groups {
                None => Ok(InstanceRules::default()),
                Some(general) => match live.get(id) {
                    Some(live) => live.clone(),
                    None if general.is_listed(&id.site()) => Ok(InstanceRules::default()),
                    None => Ok(InstanceRules::undeclared()),
                },
            })
        };
        [of(before), of(after)]
    };
    Ok(ids
        .into_iter()
        .map(|id| {
            let sides = take(&id);
            (Some(id), sides)
        })
        .collect())
}

/// The rules of an unnamed instance, for the address families of the instance that they are compared with.
fn with_family_of(rules: &LiveFirewall, other: &InstanceRulesResult) -> DocumentFirewall {
    let family = other
        .as_ref()
        .map_or_else(|_| Family::default(), |rules| rules.firewall.reach.family);
    DocumentFirewall::of_live(rules, family)
}

/// The only instance of a document that is compared with the rules of an unnamed instance.
fn only_instance(
    document: &mut Document,
    named: &OpenedDocument,
    unnamed: &OpenedDocument,
) -> Result<InstanceRulesResult, CommandError> {
    let count = document.instances.len();
    match document.instances.pop_first() {
        Some((_, rules)) if count == 1 => Ok(rules),
        _ => Err(CommandError::usage(
            format!(
                "`{}` is the rules of one instance, and `{}` has {count}",
                unnamed.name, named.name
            ),
            "say with --target which one is meant",
        )),
    }
}
