//! What a change opens and closes, as boxes that have only one form.
//!
//! Owns the comparison of two effective accesses. Does not say which rule causes what, and how it is shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Effective, Exposed, Lines, Reach, describe};
use crate::model::{Family, Firewall, Key, Protocol};

/// Who gains and who loses what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// What gets in for certain after and did not for certain before, by atom and cell.
    pub gained: Vec<Exposed>,
    /// What got in for certain before and cannot possibly after, by atom and cell.
    pub lost: Vec<Exposed>,
}

/// A change of access in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The difference of two firewalls. What may have been open already counts as gained where it is open for certain
    /// after, and what may still be open is not lost: doubt is neither taken for access nor for its absence.
    pub fn between(before: &Reach, after: &Reach) -> Self {
        let gained = after.certain.difference(&before.certain);
        let lost = before.certain.difference(&after.possible);
        Self {
            gained: gained.boxes(after.family),
            lost: lost.boxes(before.family),
        }
    }

    /// All of an access, as something that is gained.
    pub fn gaining(access: &Effective, family: Family) -> Self {
        Self {
            gained: access.boxes(family),
            lost: Vec::new(),
        }
    }

    /// All of an access, as something that is lost.
    pub fn losing(access: &Effective, family: Family) -> Self {
        Self {
            gained: Vec::new(),
            lost: access.boxes(family),
        }
    }

    /// The difference of two firewalls without doubt.
    ///
    /// The cost is that of the rules that change and of those they overlap: firewalls that are written alike take one
    /// comparison of texts.
    pub fn of_change(before: &Firewall, after: &Firewall, family: Family) -> Self {
        if before == after {
            return Self::default();
        }
        let changed = changed_keys(before, after);
        let near = |firewall| Reach::of_certain(near(firewall, &changed, family), family);
        Self::between(&near(before), &near(after))
    }

    /// Whether nothing is gained and nothing lost.
    pub fn is_empty(&self) -> bool {
        let Self { gained, lost } = self;
        gained.is_empty() && lost.is_empty()
    }

    /// The headline.
    pub fn direction(&self) -> Direction {
        let Self { gained, lost } = self;
        match (gained.is_empty(), lost.is_empty()) {
            (true, true) => Direction::Equal,
            (false, true) => Direction::Wider,
            (true, false) => Direction::Narrower,
            (false, false) => Direction::Mixed,
        }
    }

    /// The same for people.
    pub fn lines(&self) -> Lines {
        let Self { gained, lost } = self;
        Lines {
            gained: describe::lines(gained),
            lost: describe::lines(lost),
        }
    }
}

/// One word: `equal`, `wider`, `narrower` or `mixed`.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Equal => "equal",
            Self::Wider => "wider",
            Self::Narrower => "narrower",
            Self::Mixed => "mixed",
        })
    }
}

/// Whether two firewalls let the same packets in, however they are spelled.
pub fn equivalent(a: &Firewall, b: &Firewall, family: Family) -> bool {
    a == b || Effective::of(a, family) == Effective::of(b, family)
}

/// Keys whose texts differ.
fn changed_keys(before: &Firewall, after: &Firewall) -> Vec<Key> {
    let differs = |a: &Firewall, b: &Firewall| -> Vec<Key> {
        a.iter()
            .filter(|(key, sources)| b.get(**key) != Some(*sources))
            .map(|(key, _)| *key)
            .collect()
    };
    let mut changed = differs(before, after);
    changed.extend(differs(after, before));
    changed.sort_unstable();
    changed.dedup();
    changed
}

/// Up to this many changed keys a search for the rules they overlap is far cheaper than a sweep over all rules.
const CHANGES_SEARCHED: usize = 8;

/// The access of the rules that can matter to a change of these keys.
///
/// Access differs only where a changed rule is, so there every rule is needed; elsewhere both sides lose the same ones.
fn near(firewall: &Firewall, changed: &[Key], family: Family) -> Effective {
    // With many changes the search would cost more than it saves.
    if changed.len() > CHANGES_SEARCHED {
        return Effective::of(firewall, family);
    }
    let matters = |key: Key| changed.iter().any(|changed| may_overlap(key, *changed));
    let rules = firewall.iter().filter(|(key, _)| matters(**key));
    Effective::of_rules(rules, family)
}

/// Whether two keys may share a cell. For ICMP every pair is taken to.
fn may_overlap(a: Key, b: Key) -> bool {
    let any = a.protocol() == Protocol::All || b.protocol() == Protocol::All;
    let apart = !a.protocol().is_icmp() && (a.to() < b.from() || b.to() < a.from());
    any || (a.protocol() == b.protocol() && !apart)
}

#[cfg(test)]
mod tests;
