//! Rules taken from the list of instances, and how far that is believed.
//!
//! Owns what is read exactly all the same: whatever seems to differ, what the list does not show in full, and a sample of
//! the rest. Where the two ever disagree, everything is read exactly. Is never the basis of a write: the executor
//! reads again before each.

use std::collections::{BTreeMap, BTreeSet};

use super::discover::{ListedRules, read_rules};
use crate::exposure;
use crate::lightsail::Reader;
use crate::model::{Code, Desired, Family, InstanceId, Live, LiveFirewall, Unreadable};
use crate::plan::{self, Options, Verdict};
use crate::render::json::Problem;

/// The rules of the declared instances.
#[derive(Debug, Default)]
pub(super) struct RulesRead {
    pub(super) firewalls: BTreeMap<InstanceId, Result<LiveFirewall, Unreadable>>,
    /// Whose rules were seen in a list and nowhere else.
    pub(super) only_listed: BTreeSet<InstanceId>,
    /// What to say where the list was not as the instances themselves.
    pub(super) warning: Option<Problem>,
}

/// Who confirms that an instance differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Confirm {
    /// Whoever makes the plan, so that nobody is shown what is not so.
    Planner,
    /// The executor, which is sure to follow, reads before it writes, and takes nothing for granted.
    Executor,
}

/// At least this many instances that seem to be in sync are read exactly, where there are so many.
const MIN_SAMPLE: usize = 3;

/// One in this many of the instances that seem to be in sync is read exactly. With this, a list that is wrong about a third
/// of a small fleet, or about a tenth of a thousand instances, is found out in two runs of three.
const SAMPLE_RATIO: usize = 100;

/// How the rules are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadStrategy {
    pub(super) options: Options,
    pub(super) concurrency: u16,
    pub(super) confirm: Confirm,
    /// Decides the sample.
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
    if let Some(id) = wrong {
        let warning = format!(
            "the list of instances shows other rules of {id} than the instance itself, so all are read exactly"
        );
        tracing::warn!("{warning}");
        firewalls.extend(read_rules(reader, rest, strategy.concurrency).await);
        return RulesRead {
            firewalls,
            only_listed: BTreeSet::new(),
            warning: Some(Problem::warning(Code::Unreadable, warning)),
        };
    }
    let mut only_listed = BTreeSet::new();
    for id in rest {
        if let Some(rules) = listed.remove(id) {
            firewalls.insert(id.clone(), Ok(rules));
            only_listed.insert(id.clone());
        }
    }
    RulesRead {
        firewalls,
        only_listed,
        warning: None,
    }
}

/// What the list alone says of an instance.
enum Appearance {
    InSync,
    /// A plan of calls could be made from it.
    ToChange,
    /// Not listed, or not for certain, or nothing that a plan would change.
    Unclear,
}

fn appearance(
    id: &InstanceId,
    desired: &Desired,
    live: &Live,
    listed: &ListedRules,
    options: Options,
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

/// Whether two readings mean the same. Another spelling is no disagreement.
fn is_equivalent(a: &LiveFirewall, b: &LiveFirewall, family: Family) -> bool {
    exposure::equivalent(a.firewall(), b.firewall(), family)
        && a.uncertain().len() == b.uncertain().len()
        && a.unknown().len() == b.unknown().len()
}

/// Some of them by chance, the same for the same seed.
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
