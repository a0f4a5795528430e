//! Grants: the plan that opens what leases grant, or closes what they granted, and leaves everything else as it is.
//!
//! **Owns** what of a rule belongs to a lease: the very networks that it names, of the very keys that it names. What the
//! configuration or a lease that goes on declares by the same names stays. So no difference that has nothing to do with a
//! lease is mended here, and nothing that is declared is ever closed. The mode does not matter, and where no certain call can
//! do it, one Put of the live rules with this part changed does. **Does not** know which leases there are.

use std::collections::{BTreeMap, BTreeSet};

use super::surgical::{self, Wanted};
use super::{Cause, CauseKind, InstancePlan, Plan};
use crate::exposure;
use crate::model::{
    Desired, DesiredInstance, Firewall, Instance, InstanceId, Key, Live, LiveFirewall, Mode, Rule,
    Strategy, Unreadable,
};

/// Plans to open and to close these rules of one instance. `declared` is what is in force, without what is closed.
pub fn plan_grants(
    instance: &Instance,
    declared: &[Rule],
    live: &LiveFirewall,
    open: &[Rule],
    close: &[Rule],
) -> InstancePlan {
    let family = instance.address_type.client_family();
    let stays: Firewall = declared
        .iter()
        .chain(open)
        .map(|rule| (rule.key, rule.sources.clone()))
        .collect();
    let mut target = live.firewall().clone();
    for rule in close {
        let Some(now) = target.get(rule.key) else {
            continue;
        };
        let ours = match stays.get(rule.key) {
            Some(others) => rule.sources.without(others),
            None => rule.sources.clone(),
        };
        let left = now.without(&ours);
        target.set(rule.key, left);
    }
    for rule in open {
        let new = match target.get(rule.key) {
            None => rule.sources.clone(),
            Some(now) => exposure::uncovered(&rule.sources, now, family),
        };
        target.add(rule.key, &new);
    }
    let causes = |key: Key| -> Vec<Cause> {
        let of = |rules: &[Rule], kind: CauseKind| -> Vec<Cause> {
            let rules = rules.iter().filter(|rule| rule.key == key);
            rules.map(|rule| Cause::of_rule(kind, rule)).collect()
        };
        [of(open, CauseKind::Declared), of(close, CauseKind::Expired)].concat()
    };
    surgical::plan(&Wanted {
        instance,
        live,
        target: &target,
        doubt: None,
        // Entries that cannot be read for certain are not ours to replace.
        mode: if live.uncertain().is_empty() {
            Mode::Authoritative
        } else {
            Mode::Additive
        },
        strategy: Strategy::Auto,
        causes: &causes,
    })
}

/// The rules of leases that are over.
pub fn ended(desired: &DesiredInstance) -> Vec<Rule> {
    let expired = desired.expired.iter();
    let granted = expired.filter(|rule| rule.declared.origin.tag().is_some());
    granted.cloned().collect()
}

/// The instances that have a lease that is over, and that may be written to.
pub fn with_ended(desired: &Desired) -> BTreeSet<InstanceId> {
    let instances = desired.instances.iter();
    let ended = instances
        .filter(|(_, wanted)| wanted.mode != Mode::Observe && !self::ended(wanted).is_empty());
    ended.map(|(id, _)| id.clone()).collect()
}

/// Plans to close what leases granted that are over, and nothing else.
pub fn plan_ended(desired: &Desired, live: &Live) -> Plan {
    let sites = live.sites_unreadable.clone();
    let mut plan = Plan {
        sites_unreadable: sites.into_iter().collect(),
        undecided: desired.undecided.clone().into_iter().collect(),
        ..Plan::default()
    };
    let mut unreadable: BTreeMap<InstanceId, Unreadable> = BTreeMap::new();
    for id in with_ended(desired) {
        let wanted = &desired.instances[&id];
        match (live.instances.get(&id), live.firewalls.get(&id)) {
            (Some(instance), Some(Ok(firewall))) => {
                let close = ended(wanted);
                let mut one = plan_grants(instance, &wanted.rules, firewall, &[], &close);
                let notes = wanted.notes.iter();
                let notes = notes.filter(|note| {
                    let mut tags = note.origin.iter().filter_map(|origin| origin.tag());
                    tags.next().is_some()
                });
                one.notes.extend(notes.cloned());
                plan.instances.push(one);
            }
            (_, Some(Err(why))) => {
                unreadable.insert(id, why.clone());
            }
            _ => {
                let reason = "its rules were not read".to_owned();
                unreadable.insert(id, Unreadable::new(reason));
            }
        }
    }
    plan.unreadable = unreadable.into_iter().collect();
    plan
}
