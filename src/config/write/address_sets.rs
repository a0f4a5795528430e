//! Address sets for the lists of networks that an imported configuration would otherwise repeat.
//!
//! Owns which lists get a name, and the names. Does not name a list that would be written only once, a single network, or `anywhere`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::lines::{KnownNames, RuleLine, one_or_list};
use super::{ImportedInstance, names, unique_name};
use crate::model::Sources;

/// The uses of a list.
#[derive(Default)]
struct Uses<'a> {
    /// The number of lines in which it would be written.
    lines: usize,
    instances: usize,
    /// The texts of `allow` of those lines.
    allow: BTreeSet<&'a [String]>,
}

/// Names the lists that would be written in several lines and are live on several instances.
///
/// A name depends only on the service for which a list is used, so that it stays the same from run to run.
pub(super) fn name_repeated_lists(imported: &[ImportedInstance<'_>]) -> KnownNames {
    // Instances with the same rules share a ruleset, in which each line is written once.
    let mut instances_by_lines: BTreeMap<&[RuleLine], usize> = BTreeMap::new();
    for instance in imported {
        *instances_by_lines.entry(&instance.lines.lines).or_default() += 1;
    }
    let mut lists: BTreeMap<Sources, Uses<'_>> = BTreeMap::new();
    for (lines, instances) in instances_by_lines {
        let mut seen = BTreeSet::new();
        for line in lines {
            let Some(list) = line.networks_to_name() else {
                continue;
            };
            let uses = lists.entry(list.clone()).or_default();
            uses.lines += 1;
            uses.allow.insert(&line.allow);
            if seen.insert(list) {
                uses.instances += instances;
            }
        }
    }
    let mut known = KnownNames::default();
    let mut taken = BTreeSet::new();
    for (list, uses) in lists {
        if uses.lines > 1 && uses.instances > 1 {
            let name = unique_name(&base_name(&uses.allow), &mut taken);
            known.sets.insert(list, name);
        }
    }
    known
}

/// `ssh-clients` for a list that is used for SSH only, else `clients`.
fn base_name(allow: &BTreeSet<&[String]>) -> String {
    let mut all = allow.iter();
    match (all.next(), all.next()) {
        (Some([service]), None) if names::validate_definition(service).is_ok() => {
            format!("{service}-clients")
        }
        _ => "clients".to_owned(),
    }
}

/// The table `[addresses]`, in order of the names; empty without names.
pub(super) fn format_table(known: &KnownNames) -> String {
    let by_name: BTreeMap<&str, &Sources> = known
        .sets
        .iter()
        .map(|(list, name)| (name.as_str(), list))
        .collect();
    let mut text = String::new();
    for (name, list) in by_name {
        if text.is_empty() {
            text.push_str("\n[addresses]\n");
        }
        // Without names, because a set is not written by its own name.
        let members = one_or_list(&KnownNames::default().source_texts(list));
        let _ = writeln!(text, "{name} = {members}");
    }
    text
}
