//! What a call does to rules, whether live rules mean what was wanted, and how to say what is different.
//!
//! Owns the comparison on which every proof rests. Does not know how the rules were read.

use crate::exposure;
use crate::model::{Family, Firewall, LiveFirewall, Sources};
use crate::plan::{Call, undo};

/// The rules after a call, by the one reading that every call of a plan has.
pub(super) fn result_of(call: &Call, rules: &Firewall) -> Firewall {
    let mut result = rules.clone();
    match call {
        Call::Open { key, sources } => result.set(*key, sources.clone()),
        Call::Close { key, .. } => drop(result.remove(*key)),
        Call::Put { firewall } => result = firewall.clone(),
    }
    result
}

/// Whether live rules mean `target`.
///
/// Entries that cannot be sent back may stay if they were there before; entries of uncertain meaning may stay only where
/// the whole firewall was not replaced.
pub(super) fn means(
    live: &LiveFirewall,
    before: &LiveFirewall,
    target: &Firewall,
    replaced: bool,
    family: Family,
) -> bool {
    let doubts = if replaced {
        live.uncertain().is_empty()
    } else {
        live.uncertain().is_subset(before.uncertain())
    };
    doubts
        && live.unknown().is_subset(before.unknown())
        && exposure::equivalent(live.firewall(), target, family)
}

/// Whether the key that a call is about has the sources that the call leads to. A Put is about all of them.
pub(super) fn holds_key(call: &Call, live: &Firewall, to: &Firewall, family: Family) -> bool {
    let none = Sources::new();
    match call {
        Call::Open { key, .. } | Call::Close { key, .. } => exposure::means_same(
            live.get(*key).unwrap_or(&none),
            to.get(*key).unwrap_or(&none),
            family,
        ),
        Call::Put { .. } => true,
    }
}

/// What is different in the live rules, for people: the first few keys.
pub(super) fn difference(live: &LiveFirewall, wanted: &Firewall, family: Family) -> String {
    const SHOWN: usize = 3;
    let mut parts = undo::differences(live.firewall(), wanted, family);
    parts.extend(
        live.uncertain()
            .iter()
            .map(|uncertain| format!("`{}` is uncertain: {}", uncertain.entry, uncertain.doubt)),
    );
    parts.extend(
        live.unknown()
            .iter()
            .map(|entry| format!("`{entry}` has an unknown protocol")),
    );
    let more = parts.len().saturating_sub(SHOWN);
    parts.truncate(SHOWN);
    match (parts.is_empty(), more) {
        (true, _) => "only the spelling of the rules".to_owned(),
        (false, 0) => parts.join("; "),
        (false, more) => format!("{}; and {more} more", parts.join("; ")),
    }
}

/// What is different from the rules that the plan was made from.
pub(super) fn changed(live: &LiveFirewall, before: &LiveFirewall, family: Family) -> String {
    if live.firewall() == before.firewall() {
        return "the rules are spelled differently, or entries that cannot be read came or went"
            .to_owned();
    }
    difference(live, before.firewall(), family)
}
