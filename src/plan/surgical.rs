//! Surgical plans: some rules of an instance change and all others stay, whatever its mode.
//!
//! **Owns** the choice between two ways: safe calls for single keys, which keep the changes of other writers, or one Put of
//! the target. **Does not** know which rules change, or why.

use super::{InstancePlan, Verdict};
use crate::exposure::Diff;
use crate::model::{Firewall, Instance, LiveFirewall, Mode, Strategy, Uncertain};

/// Plans the change of the live rules to `target`. The plan is refused if no permitted call can do it, and in sync if live means the
/// target already.
///
/// Uncertain live entries stay, except those that `is_removed` names, and only a Put removes these.
pub(super) fn plan(
    instance: &Instance,
    live: &LiveFirewall,
    target: &Firewall,
    strategy: Strategy,
    is_removed: impl Fn(&Uncertain) -> bool,
) -> InstancePlan {
    let uncertain = live.uncertain();
    let doubt = uncertain.iter().find(|entry| is_removed(entry));
    let mode = if uncertain.iter().all(is_removed) {
        Mode::Authoritative
    } else {
        Mode::Additive
    };
    let family = instance.address_type.client_family();
    let certain = Diff::of_change(live.firewall(), target, family);
    let mut plan = InstancePlan::unchanged(instance, mode, live);
    if certain.is_empty() && doubt.is_none() {
        return plan;
    }
    plan.set_target(target, certain);
    // Safe calls, or else one Put.
    let incremental = || match doubt {
        Some(Uncertain { entry, doubt, .. }) => Err(Verdict::Refused {
            reason: format!("the live entry `{entry}` cannot be closed for certain: {doubt}"),
            hint: None,
        }),
        None => plan.incremental(Strategy::Incremental),
    };
    let put = || plan.put(Strategy::Put);
    let chosen = match strategy {
        Strategy::Put => put(),
        Strategy::Incremental => incremental(),
        Strategy::Auto => incremental().or_else(|_| put()),
    };
    plan.set_calls(chosen);
    plan
}
