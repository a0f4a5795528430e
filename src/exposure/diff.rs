//! The difference between the effective access of two firewalls.
//!
//! Owns the comparison, and its canonical form as boxes. Does not know which rule causes a difference, or how it is printed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Effective, Exposed, Reach};
use crate::model::{Family, Firewall, Key, Protocol};

/// The access that is gained and lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// Access that is certain afterwards and was not certain before, by atom and cell.
    pub gained: Vec<Exposed>,
    /// Access that was certain before and is impossible afterwards, by atom and cell.
    pub lost: Vec<Exposed>,
}

/// The direction of a change of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Direction {
    /// The same packets get in.
    Equal,
    /// More get in and none fewer.
    Wider,
    /// Fewer get in and none more.
    Narrower,
    /// Some are gained and some are lost.
    Mixed,
}

impl Diff {
    /// The difference of two firewalls. Access that was only possible before is gained if it is certain afterwards, and access that is
    /// still possible afterwards is not lost.
    pub fn between(before: &Reach, after: &Reach) -> Self {
        let gained = after.certain.difference(&before.certain);
        let lost = before.certain.difference(&after.possible);
        Self {
            gained: gained.boxes(after.family),
            lost: lost.boxes(before.family),
        }
    }

    /// The difference of two firewalls without doubtful entries.
    ///
    /// The cost depends on the rules that change and on those that overlap them. Equal firewalls take one comparison of texts.
    pub fn of_change(before: &Firewall, after: &Firewall, family: Family) -> Self {
        if before == after {
            return Self::default();
        }
        let keys = before.keys().chain(after.keys());
        let changed = keys.filter(|key| before.get(*key) != after.get(*key));
        let changed: BTreeSet<Key> = changed.collect();
        let access = |firewall| Reach::of_certain(access_near(firewall, &changed, family), family);
        Self::between(&access(before), &access(after))
    }

    /// Whether nothing is gained and nothing is lost.
    pub fn is_empty(&self) -> bool {
        let Self { gained, lost } = self;
        gained.is_empty() && lost.is_empty()
    }

    /// The direction of the change.
    pub fn direction(&self) -> Direction {
        let Self { gained, lost } = self;
        match (gained.is_empty(), lost.is_empty()) {
            (true, true) => Direction::Equal,
            (false, true) => Direction::Wider,
            (true, false) => Direction::Narrower,
            (false, false) => Direction::Mixed,
        }
    }
}

/// Whether two firewalls let in the same packets, however they are spelled.
pub fn equivalent(a: &Firewall, b: &Firewall, family: Family) -> bool {
    a == b || Effective::of(a, family) == Effective::of(b, family)
}

/// The most changed keys for which the search for overlapping rules is far cheaper than a sweep over all rules.
const MAX_KEYS_SEARCHED: usize = 8;

/// The access of the rules that overlap the changed keys.
///
/// Access can differ only in the cells of a changed key. The rules that are left out are the same in both firewalls.
fn access_near(firewall: &Firewall, changed: &BTreeSet<Key>, family: Family) -> Effective {
    if changed.len() > MAX_KEYS_SEARCHED {
        return Effective::of(firewall, family);
    }
    let overlaps = |key: Key| changed.iter().any(|changed| may_overlap(key, *changed));
    let rules = firewall.iter().filter(|(key, _)| overlaps(**key));
    Effective::of_rules(rules, family)
}

/// Whether two keys may share a cell. Two keys of the same ICMP protocol always may.
fn may_overlap(a: Key, b: Key) -> bool {
    let any = a.protocol() == Protocol::All || b.protocol() == Protocol::All;
    let apart = !a.protocol().is_icmp() && (a.to() < b.from() || b.to() < a.from());
    any || (a.protocol() == b.protocol() && !apart)
}

#[cfg(test)]
mod tests;
