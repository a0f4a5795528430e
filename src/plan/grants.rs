//! Grants: plans that open or close only the access of leases.
//!
//! **Owns** the part of a rule that belongs to a lease: exactly the networks of the keys that the lease names. A network that the
//! configuration or another lease declares too stays open. So these plans do not correct other differences, and never close
//! declared access. They ignore the mode. If no safe call is possible, they use one Put of the live rules with this change.
//! **Does not** know which leases exist.

use std::collections::BTreeSet;

use super::{Cause, CauseKind, InstancePlan, Plan, surgical};
use crate::exposure;
use crate::model::{
    Desired, DesiredInstance, Firewall, Instance, InstanceId, Live, LiveFirewall, Mode, Note, Rule,
    Strategy,
};

/// Plans to open and to close these rules of one instance. `declared` are the rules in force, without those to close.
pub fn plan_grants(
    instance: &Instance,
    declared: &[Rule],
    live: &LiveFirewall,
    open: &[Rule],
    close: &[Rule],
) -> InstancePlan {
    let family = instance.address_type.client_family();
    let kept: Firewall = declared.iter().chain(open).collect();
    let mut target = live.firewall().clone();
    for rule in close {
        let closing = rule.sources.without(&kept.sources(rule.key));
        target.set(rule.key, target.sources(rule.key).without(&closing));
    }
    for rule in open {
        let now = target.sources(rule.key);
        target.add(rule.key, &exposure::uncovered(&rule.sources, &now, family));
    }
    // A grant must not replace uncertain entries.
    let mut plan = surgical::plan(instance, live, &target, Strategy::Auto, |_| false);
    for change in &mut plan.changes {
        let open = open.iter().map(|rule| (CauseKind::Declared, rule));
        let close = close.iter().map(|rule| (CauseKind::Expired, rule));
        let all = open.chain(close).filter(|(_, rule)| rule.key == change.key);
        change.causes = all.map(|(kind, rule)| Cause::of_rule(kind, rule)).collect();
    }
    plan
}

/// The rules of leases that have ended.
pub fn ended_lease_rules(desired: &DesiredInstance) -> Vec<Rule> {
    let expired = desired.expired.iter();
    let granted = expired.filter(|rule| rule.declared.origin.tag().is_some());
    granted.cloned().collect()
}

/// The instances that have an ended lease and may be written to.
pub fn instances_with_ended_leases(desired: &Desired) -> BTreeSet<InstanceId> {
    let instances = desired.instances.iter();
    let ended = instances.filter(|(_, wanted)| {
        wanted.mode != Mode::Observe && !self::ended_lease_rules(wanted).is_empty()
    });
    ended.map(|(id, _)| id.clone()).collect()
}

/// Plans to close the access of ended leases, and nothing else.
pub fn plan_ended_leases(desired: &Desired, live: &Live) -> Plan {
    let sites = live.sites_unreadable.clone();
    let mut plan = Plan {
        sites_unreadable: sites.into_iter().collect(),
        undecided: desired.undecided.clone().into_iter().collect(),
        ..Plan::default()
    };
    for id in instances_with_ended_leases(desired) {
        let (instance, firewall) = match live.get(&id) {
            Ok(read) => read,
            Err(unreadable) => {
                plan.unreadable.push((id, unreadable));
                continue;
            }
        };
        let wanted = &desired.instances[&id];
        let close = ended_lease_rules(wanted);
        let mut instance_plan = plan_grants(instance, &wanted.rules, firewall, &[], &close);
        let is_about_tag = |note: &&Note| note.origin.as_ref().is_some_and(|at| at.tag().is_some());
        let notes = wanted.notes.iter().filter(is_about_tag);
        instance_plan.notes.extend(notes.cloned());
        plan.instances.push(instance_plan);
    }
    plan
}
