//! Surgical plans: from what is live to the same with some rules changed, whatever the mode of the instance.
//!
//! **Owns** the choice of calls where only a part of a firewall is to change and the rest must stay as it is: calls whose
//! result is certain, because they leave the other keys alone whoever writes meanwhile; else one Put of all that must result.
//! **Does not** know what is to change and why.

use std::collections::BTreeSet;

use super::planner::{self, Chosen, PlannerRefusal};
use super::{Action, Cause, Change, InstancePlan, Verdict};
use crate::exposure::{self, Diff, Doubtful, Reach};
use crate::model::{Family, Firewall, Instance, Key, LiveFirewall, Mode, Strategy, Uncertain};

/// What a surgical plan is made from.
pub(super) struct Wanted<'a> {
    pub(super) instance: &'a Instance,
    pub(super) live: &'a LiveFirewall,
    /// The rules that must result.
    pub(super) target: &'a Firewall,
    /// A live entry that is in doubt and that must go.
    pub(super) doubt: Option<&'a Uncertain>,
    /// Authoritative where no doubtful entry has to stay.
    pub(super) mode: Mode,
    pub(super) strategy: Strategy,
    /// The lines that concern a key.
    pub(super) causes: &'a dyn Fn(Key) -> Vec<Cause>,
}

/// The plan. It is refused where no permitted call can do it, and in sync where live means the target already.
pub(super) fn plan(wanted: &Wanted<'_>) -> InstancePlan {
    let Wanted {
        instance,
        live,
        target,
        doubt,
        mode,
        strategy,
        causes,
    } = *wanted;
    let incomplete = planner::incomplete(mode, live);
    let family = instance.address_type.client_family();
    let certain = Diff::of_change(live.firewall(), target, family);
    let exposure = match incomplete {
        None => certain.clone(),
        // The doubtful entries stay as they are, and what they may let in is not closed for certain.
        Some(_) => Diff::between(
            &Reach::of_live(live, family),
            &Reach::with_doubts(target, &Doubtful::all(live), family),
        ),
    };
    let mut plan = InstancePlan {
        instance: instance.clone(),
        mode,
        strict_spelling: false,
        before: live.clone(),
        after: live.firewall().clone(),
        changes: Vec::new(),
        calls: Vec::new(),
        fallback: None,
        verdict: Verdict::of_equal(incomplete.as_ref()),
        exposure: Diff::default(),
        still_open: Vec::new(),
        incomplete,
        notes: Vec::new(),
    };
    if certain.is_empty() && doubt.is_none() {
        return plan;
    }
    plan.exposure = exposure;
    plan.changes = changes(live.firewall(), target, family, causes);
    plan.after = target.clone();
    let chosen = choose(&plan, live, doubt, strategy);
    let chosen = chosen
        .and_then(|chosen| planner::within_limit(&chosen.after, live.firewall()).map(|()| chosen));
    match chosen {
        Ok(Chosen {
            calls,
            after,
            fallback,
        }) => {
            plan.verdict = Verdict::Change;
            plan.calls = calls;
            plan.after = after;
            plan.fallback = fallback;
        }
        Err(PlannerRefusal { reason, hint }) => plan.verdict = Verdict::Refused { reason, hint },
    }
    plan
}

/// Certain calls; else one Put.
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
        None => planner::incremental(&plan.changes, live, plan.mode, Strategy::Incremental),
    };
    let put = || planner::put(live, &plan.after, plan.mode, Strategy::Put);
    match strategy {
        Strategy::Put => put(),
        Strategy::Incremental => incremental(),
        Strategy::Auto => incremental().or_else(|_| put()),
    }
}

fn changes(
    now: &Firewall,
    target: &Firewall,
    family: Family,
    causes: &dyn Fn(Key) -> Vec<Cause>,
) -> Vec<Change> {
    let change = |key: Key| {
        let of = |firewall: &Firewall| firewall.get(key).cloned().unwrap_or_default();
        let (before, after) = (of(now), of(target));
        let differs = !exposure::means_same(&before, &after, family);
        differs.then(|| Change {
            action: Action::of(&before, &after, family),
            key,
            before,
            after,
            causes: causes(key),
        })
    };
    keys(now, target).into_iter().filter_map(change).collect()
}

pub(super) fn keys(one: &Firewall, other: &Firewall) -> BTreeSet<Key> {
    one.keys().chain(other.keys()).collect()
}
