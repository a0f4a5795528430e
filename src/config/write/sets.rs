//! Names for address lists that an imported configuration would otherwise repeat.
//!
//! Owns which lists get a name, and what they are called. Does not name a list that would be written once only, a single
//! network, and the world.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::lines::{Line, Words, one_or_list};
use super::{InstanceTable, free, names};
use crate::model::Sources;

/// Where a list is used.
#[derive(Default)]
struct Uses<'a> {
    /// In how many lines it would be written.
    lines: usize,
    /// On how many instances.
    instances: usize,
    /// The words of those lines.
    allow: BTreeSet<&'a [String]>,
}

/// Names for the lists that would be written in several lines, and are live on several instances.
///
/// A list is called after the one service that it is for everywhere, so that it stays the same from run to run.
pub(super) fn named(declared: &[InstanceTable<'_>]) -> Words {
    // Instances with the same rules share a ruleset, in which each line is written once.
    let mut alike: BTreeMap<&[Line], usize> = BTreeMap::new();
    for declaration in declared {
        *alike.entry(&declaration.lines.rules).or_default() += 1;
    }
    let mut lists: BTreeMap<Sources, Uses<'_>> = BTreeMap::new();
    for (lines, instances) in alike {
        let mut here = BTreeSet::new();
        for line in lines {
            let Some(list) = line.list() else { continue };
            let uses = lists.entry(list.clone()).or_default();
            uses.lines += 1;
            uses.allow.insert(&line.allow);
            if here.insert(list) {
                uses.instances += instances;
            }
        }
    }
    let mut words = Words::default();
    let mut taken = BTreeSet::new();
    for (list, uses) in lists {
        if uses.lines > 1 && uses.instances > 1 {
            let name = free(&base(&uses.allow), &mut taken);
            words.sets.insert(list, name);
        }
    }
    words
}

/// `ssh-clients` for a list that lets in to nothing but SSH, else `clients`.
fn base(allow: &BTreeSet<&[String]>) -> String {
    const CLIENTS: &str = "clients";
    let mut all = allow.iter();
    if let (Some([service]), None) = (all.next(), all.next())
        && names::definition(service).is_ok()
    {
        return format!("{service}-{CLIENTS}");
    }
    CLIENTS.to_owned()
}

/// `[addresses]`, in order of name; empty where no list has one.
pub(super) fn table(words: &Words) -> String {
    let by_name: BTreeMap<&str, &Sources> = words
        .sets
        .iter()
        .map(|(list, name)| (name.as_str(), list))
        .collect();
    let mut text = String::new();
    for (name, list) in by_name {
        if text.is_empty() {
            text.push_str("\n[addresses]\n");
        }
        // Each by itself: a set is not written by its own name.
        let members = one_or_list(&Words::default().from(list));
        let _ = writeln!(text, "{name} = {members}");
    }
    text
}
