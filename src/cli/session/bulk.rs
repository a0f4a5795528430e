//! Rules from the list of instances, and the conditions under which they are used.
//!
//! Owns the choice of instances that are read exactly: those that differ, those that the list shows incompletely, and a
//! sample of the rest. If a read and the list disagree, everything is read exactly. Is never the basis of a write: the
//! executor reads again before each one.

use std::collections::BTreeSet;

use super::discover::{ListedRules, ReadResults, read_rules};
use crate::exposure;
use crate::lightsail::Reader;
use crate::model::{Code, Desired, Family, InstanceId, Live, LiveFirewall, Unreadable};
use crate::plan::{self, PlanOptions, Verdict};
use crate::render::json::Problem;

/// The rules of the declared instances.
#[derive(Debug, Default)]
pub(super) struct RulesRead {
    pub(super) firewalls: ReadResults<LiveFirewall>,
    /// The instances whose rules are only from a list.
    pub(super) only_listed: BTreeSet<InstanceId>,
    /// The note if the list disagreed with a read.
    pub(super) warning: Option<Problem>,
}

/// The step that confirms a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Confirm {
    /// The planner, so that the plan shows only true differences.
    Planner,
    /// The executor, which certainly follows and reads before it writes.
    Executor,
}

/// The least number of instances in sync that are read exactly, if there are as many.
const MIN_SAMPLE: usize = 3;

/// One in this many of the instances that seem to be in sync is read exactly. With this, a list that is wrong about a third
/// of a small fleet, or about a tenth of a thousand instances, is found out in two runs of three.
const SAMPLE_RATIO: usize = 100;

/// The way in which rules are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadStrategy {
    pub(super) options: PlanOptions,
    pub(super) concurrency: u16,
    pub(super) confirm: Confirm,
    /// The seed of the sample.
    pub(super) seed: u64,
}

/// The rules of every declared instance; from lists, where they can be believed, if there are any. What `live` has already
/// is not read again.
pub(super) async fn read(
    reader: &impl Reader,
    desired: &Desired,
    live: &mut Live,
    listed: Option<ListedRules>,
    strategy: ReadStrategy,
) -> RulesRead {
    if let Some(listed) = listed {
        return read_bulk(reader, desired, live, listed, strategy).await;
    }
    let mut firewalls = std::mem::take(&mut live.firewalls);
    firewalls.retain(|id, _| desired.instances.contains_key(id));
    let declared = desired.instances.keys();
    let rest: Vec<&InstanceId> = declared.filter(|id| !firewalls.contains_key(*id)).collect();
    firewalls.extend(read_rules(reader, rest.into_iter(), strategy.concurrency).await);
    RulesRead {
        firewalls,
        ..RulesRead::default()
    }
}

async fn read_bulk(
    reader: &impl Reader,
    desired: &Desired,
    live: &Live,
    mut listed: ListedRules,
    strategy: ReadStrategy,
) -> RulesRead {
    let mut to_read = BTreeSet::new();
    let mut in_sync = Vec::new();
    for id in desired.instances.keys() {
        match appearance(id, desired, live, &listed, strategy.options) {
            Appearance::InSync => in_sync.push(id),
            Appearance::ToChange if strategy.confirm == Confirm::Executor => {}
            Appearance::ToChange | Appearance::Unclear => {
                to_read.insert(id);
            }
        }
    }
    let sample = sample(&in_sync, strategy.seed);
    tracing::info!(
        seed = strategy.seed,
        instances = desired.instances.len(),
        confirmed = to_read.len(),
        sample = sample.len(),
        "rules taken from the list"
    );
    to_read.extend(sample);
    let mut firewalls = read_rules(reader, to_read.iter().copied(), strategy.concurrency).await;
    let differ = |(id, read): &(&InstanceId, &Result<LiveFirewall, Unreadable>)| {
        let pair = read.as_ref().ok().zip(listed.get(*id));
        let instance = live.instances.get(*id);
        let family = instance.map_or_else(Family::default, |i| i.address_type.client_family());
        pair.is_some_and(|(read, listed)| !is_equivalent(read, listed, family))
    };
    let wrong = firewalls.iter().find(differ).map(|(id, _)| id.clone());
    let rest = desired.instances.keys().filter(|id| !to_read.contains(id));
    let mut read = RulesRead::default();
    if let Some(id) = wrong {
        let warning = format!(
            "the list of instances shows other rules of {id} than the instance itself, so all are read exactly"
        );
        tracing::warn!("{warning}");
        firewalls.extend(read_rules(reader, rest, strategy.concurrency).await);
        read.warning = Some(Problem::warning(Code::Unreadable, warning));
    } else {
        for id in rest {
            if let Some(rules) = listed.remove(id) {
                firewalls.insert(id.clone(), Ok(rules));
                read.only_listed.insert(id.clone());
            }
        }
    }
    RulesRead { firewalls, ..read }
}

/// The state of an instance according to the list.
enum Appearance {
    InSync,
    /// It differs, and a plan could be made from the list.
    ToChange,
    /// It is not listed, or uncertain, or a plan would not change it.
    Unclear,
}

fn appearance(
    id: &InstanceId,
    desired: &Desired,
    live: &Live,
    listed: &ListedRules,
    options: PlanOptions,
) -> Appearance {
    let (Some(wanted), Some(instance), Some(rules)) = (
        desired.instances.get(id),
        live.instances.get(id),
        listed.get(id),
    ) else {
        return Appearance::Unclear;
    };
    let plan = plan::plan_instance(instance, wanted, rules, options);
    match plan.verdict {
        _ if plan.incomplete.is_some() => Appearance::Unclear,
        Verdict::InSync => Appearance::InSync,
        // An odd spelling in the list says nothing about the one that the executor will meet.
        Verdict::Change if is_canonical(rules) => Appearance::ToChange,
        _ => Appearance::Unclear,
    }
}

fn is_canonical(rules: &LiveFirewall) -> bool {
    let mut keys = rules.firewall().keys();
    rules.is_certain() && !keys.any(|key| rules.is_put_only(key))
}

/// Whether two reads have the same meaning. A different spelling is not a disagreement.
fn is_equivalent(a: &LiveFirewall, b: &LiveFirewall, family: Family) -> bool {
    exposure::equivalent(a.firewall(), b.firewall(), family)
        && a.uncertain().len() == b.uncertain().len()
        && a.unknown().len() == b.unknown().len()
}

/// A random sample, the same for the same seed.
fn sample<'a>(ids: &[&'a InstanceId], seed: u64) -> Vec<&'a InstanceId> {
    let size = ids.len().div_ceil(SAMPLE_RATIO).max(MIN_SAMPLE);
    fastrand::Rng::with_seed(seed).choose_multiple(ids.iter().copied(), size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sample_is_one_percent_and_varies(n in 0..2_000_usize, seed: u64) {
            let ids: Vec<InstanceId> = (0..n)
                .map(|i| InstanceId { account: None, region: "eu-central-1".into(), name: format!("web-{i}") })
                .collect();
            let ids: Vec<&InstanceId> = ids.iter().collect();
            let chosen = sample(&ids, seed);
            prop_assert_eq!(chosen.len(), n.min(3.max(n.div_ceil(100))));
            prop_assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len());
            prop_assert_eq!(chosen, sample(&ids, seed));
        }
    }

    #[test]
    fn every_instance_is_in_some_sample() {
        let ids: Vec<InstanceId> = (0..10)
            .map(|i| InstanceId {
                account: None,
                region: "eu-central-1".into(),
                name: format!("web-{i}"),
            })
            .collect();
        let ids: Vec<&InstanceId> = ids.iter().collect();
        let seen: BTreeSet<_> = (0..200).flat_map(|seed| sample(&ids, seed)).collect();
        assert_eq!(seen.len(), ids.len());
    }
}
