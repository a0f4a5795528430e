//! Comparison of live rules with planned ones.
//!
//! **Owns** the effect of a call on rules, the comparison on which every verification relies, and the wording of differences. **Does
//! not** know how the rules were read.

use crate::exposure;
use crate::model::{Family, Firewall, LiveFirewall};
use crate::plan::{Call, undo};

/// The rules after a call. Calls of a plan have the same result under every reading of the service's behaviour.
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
/// Unknown entries may stay if they existed before. Uncertain entries may stay only if the whole firewall was not replaced.
pub(super) fn is_equivalent(
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

/// Whether the key of a call has the sources that the call leads to. Always true for a Put.
pub(super) fn is_key_as_planned(
    call: &Call,
    live: &Firewall,
    to: &Firewall,
    family: Family,
) -> bool {
    match call {
        Call::Open { key, .. } | Call::Close { key, .. } => {
            exposure::means_same(&live.sources(*key), &to.sources(*key), family)
        }
        Call::Put { .. } => true,
    }
}

/// Describes the first few differences of the live rules.
pub(super) fn describe_difference(
    live: &LiveFirewall,
    wanted: &Firewall,
    family: Family,
) -> String {
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

/// Describes the differences from the rules that the plan was made for.
pub(super) fn describe_change(
    live: &LiveFirewall,
    before: &LiveFirewall,
    family: Family,
) -> String {
    if live.firewall() == before.firewall() {
        return "the rules are spelled differently, or entries that cannot be read came or went"
            .to_owned();
    }
    describe_difference(live, before.firewall(), family)
}
