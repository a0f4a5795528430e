//! Planner: chooses the API calls that turn the live rules into the desired ones, safely and with the fewest calls.
//!
//! Owns the comparison of live and target and the list of changes; `calls` chooses the calls. It plans only calls that have the same
//! result under every reading of the undocumented behaviour of the service (does Open merge or replace sources? does Close subtract
//! the sources or remove the key?):
//!
//! | change to a key | call |
//! |---|---|
//! | the key is new | Open with all its sources |
//! | its sources grow, and the new texts contain every live text | Open with the complete new sources |
//! | the key is removed, and its live entry is canonical and was returned once | Close with the complete live sources |
//! | any other change | only Put, which replaces the whole firewall in one step |
//!
//! So every intermediate state keeps the access that is allowed both before and after, allows nothing that neither allows, and has no
//! more sources than the service accepts. Does not read a clock or the service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::target::{Target, compute_target};
use super::{Cause, CauseKind, Change, ChangeKind, InstancePlan, Plan, Verdict, ended_lease_rules};
use crate::exposure::{self, Diff};
use crate::model::{
    Desired, DesiredInstance, Family, Firewall, Instance, Key, Live, LiveFirewall, Mode, Note,
    Strategy,
};

/// Settings of the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// Overrides the strategy of the configuration.
    pub strategy: Option<Strategy>,
    /// Whether live rules that mean what is desired must also have its keys and networks. Ignored in additive mode.
    pub strict_spelling: bool,
}

/// Plans all declared instances.
pub fn plan(desired: &Desired, live: &Live, options: PlanOptions) -> Plan {
    let mut plan = Plan {
        sites_unreadable: live.sites_unreadable.clone().into_iter().collect(),
        undecided: desired.undecided.clone().into_iter().collect(),
        missing: desired.missing.clone(),
        undeclared: desired.undeclared.clone(),
        notes: desired.notes.clone(),
        ..Plan::default()
    };
    // Instances that share their desired state are often alike, so the last plan for each shared state is tried first.
    let mut latest = BTreeMap::new();
    for (id, wanted) in &desired.instances {
        let (instance, firewall) = match live.get(id) {
            Ok(read) => read,
            Err(unreadable) => {
                plan.unreadable.push((id.clone(), unreadable));
                continue;
            }
        };
        let earlier = latest.insert(Arc::as_ptr(wanted), plan.instances.len());
        let earlier = earlier.map(|index| &plan.instances[index]);
        let next = match earlier.filter(|earlier| {
            let address_type = &earlier.instance.address_type;
            earlier.before == *firewall && *address_type == instance.address_type
        }) {
            Some(earlier) => InstancePlan {
                instance: instance.clone(),
                ..earlier.clone()
            },
            None => plan_instance(instance, wanted, firewall, options),
        };
        plan.instances.push(next);
    }
    plan
}

/// Plans one instance.
pub fn plan_instance(
    instance: &Instance,
    desired: &DesiredInstance,
    live: &LiveFirewall,
    options: PlanOptions,
) -> InstancePlan {
    let family = instance.address_type.client_family();
    let strategy = options.strategy.unwrap_or(desired.strategy);
    let Target {
        firewall: target,
        still_open,
        cut,
    } = compute_target(desired, live.firewall(), strategy, family);
    let strict = options.strict_spelling && desired.mode != Mode::Additive;
    let certain = Diff::of_change(live.firewall(), &target, family);
    // A Put replaces uncertain entries, but only if the configuration manages the whole firewall.
    let doubtful = !live.uncertain().is_empty() && desired.mode != Mode::Additive;
    let same = !doubtful && certain.is_empty();
    let mut plan = InstancePlan {
        strict_spelling: strict,
        still_open,
        notes: desired.notes.clone(),
        ..InstancePlan::unchanged(instance, desired.mode, live)
    };
    let respelled = *live.firewall() != target;
    if same && (respelled || !live.is_canonical()) {
        let text = match (strict, respelled) {
            (true, true) => "only the spelling differs: the same sources get in",
            (true, false) => "the rules are as declared, and the service spells them differently",
            (false, _) => "live means the same in another spelling",
        };
        let text = text.to_owned();
        plan.notes.push(Note { text, origin: None });
    }
    if same && !(strict && respelled) {
        if !plan.still_open.is_empty() {
            plan.verdict = Verdict::StillOpen;
        }
        return plan;
    }
    plan.set_target(&target, certain);
    for change in &mut plan.changes {
        change.causes = causes(desired, &cut, change.key);
    }
    if desired.mode == Mode::Observe {
        plan.verdict = Verdict::Observed;
        return plan;
    }
    let mut chosen = plan.choose(strategy);
    // Whoever permits grants wants them to end, and a Put may be the only way, in additive mode too.
    let may_put = strategy == Strategy::Auto && desired.mode == Mode::Additive;
    if chosen.is_err() && may_put && !ended_lease_rules(desired).is_empty() {
        chosen = plan.put(Strategy::Put);
    }
    plan.set_calls(chosen);
    plan
}

/// The keys whose sources differ, in order: in meaning, or, if `strict`, in spelling. Without causes.
pub(super) fn list_changes(
    now: &Firewall,
    target: &Firewall,
    strict: bool,
    family: Family,
) -> Vec<Change> {
    let change = |key: Key| {
        let (before, after) = (now.sources(key), target.sources(key));
        let same = before == after || (!strict && exposure::means_same(&before, &after, family));
        (!same).then(|| Change {
            action: ChangeKind::of(&before, &after, family),
            key,
            before,
            after,
            causes: Vec::new(),
        })
    };
    keys(now, target).into_iter().filter_map(change).collect()
}

/// The keys of either firewall.
pub(super) fn keys(a: &Firewall, b: &Firewall) -> BTreeSet<Key> {
    a.keys().chain(b.keys()).collect()
}

/// The lines of the configuration with this key, and those for which the rule of this key is cut.
fn causes(desired: &DesiredInstance, cut: &BTreeMap<Key, Vec<Cause>>, key: Key) -> Vec<Cause> {
    let declared = desired.rules.iter().filter(|rule| rule.key == key);
    let absent = desired.absent.iter().filter(|absent| absent.key == key);
    let expired = desired.expired.iter().filter(|rule| rule.key == key);
    let mut causes: Vec<Cause> = declared
        .map(|rule| Cause::of_rule(CauseKind::Declared, rule))
        .chain(absent.map(Cause::of_absent))
        .chain(expired.map(|rule| Cause::of_rule(CauseKind::Expired, rule)))
        .collect();
    for cause in cut.get(&key).into_iter().flatten() {
        if !causes.contains(cause) {
            causes.push(cause.clone());
        }
    }
    causes
}
