//! Surgical plans: some rules of an instance change and all others stay, whatever its mode.
//!
//! **Owns** the choice between two ways: safe calls for single keys, which keep the changes of other writers, or one Put of
//! the target. **Does not** know which rules change, or why.

use super::calls::{self, Chosen, PlannerRefusal};
use super::{Cause, InstancePlan, planner};
use crate::exposure::Diff;
use crate::model::{Firewall, Instance, Key, LiveFirewall, Mode, Strategy, Uncertain};

/// The input of a surgical plan.
pub(super) struct SurgicalChange<'a> {
    pub(super) instance: &'a Instance,
    pub(super) live: &'a LiveFirewall,
    /// The rules that must result.
    pub(super) target: &'a Firewall,
    /// An uncertain live entry that must be removed.
    pub(super) doubt: Option<&'a Uncertain>,
    /// Authoritative if no uncertain entry has to stay.
    pub(super) mode: Mode,
    pub(super) strategy: Strategy,
    /// The lines of the configuration about a key.
    pub(super) causes: &'a dyn Fn(Key) -> Vec<Cause>,
}

/// Plans the change. The plan is refused if no permitted call can do it, and in sync if live means the target already.
pub(super) fn plan(change: &SurgicalChange<'_>) -> InstancePlan {
    let SurgicalChange {
        instance,
        live,
        target,
        doubt,
        mode,
        strategy,
        causes,
    } = *change;
    let family = instance.address_type.client_family();
    let certain = Diff::of_change(live.firewall(), target, family);
    let mut plan = InstancePlan::unchanged(instance, mode, live);
    if certain.is_empty() && doubt.is_none() {
        return plan;
    }
    plan.set_target(target, certain);
    plan.changes = planner::list_changes(live.firewall(), target, false, family, causes);
    plan.set_calls(choose(&plan, live, doubt, strategy));
    plan
}

/// Safe calls, or else one Put.
fn choose(
    plan: &InstancePlan,
    live: &LiveFirewall,
    doubt: Option<&Uncertain>,
    strategy: Strategy,
) -> Result<Chosen, PlannerRefusal> {
    let incremental = || match doubt {
        Some(Uncertain { entry, doubt, .. }) => Err(PlannerRefusal {
            reason: format!("the live entry `{entry}` cannot be closed for certain: {doubt}"),
            hint: None,
        }),
        None => calls::incremental(&plan.changes, live, plan.mode, Strategy::Incremental),
    };
    let put = || calls::put(live, &plan.after, plan.mode, Strategy::Put);
    match strategy {
        Strategy::Put => put(),
        Strategy::Incremental => incremental(),
        Strategy::Auto => incremental().or_else(|_| put()),
    }
}
