//! The number of calls that a run made, and that its plan needs.
//!
//! Owns the counting of a plan's calls. The rates are `lightsail`'s, the words are `render`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lightsail::Rate;
use crate::model::{Calls, InstanceId, Site};
use crate::plan::{Call, Plan};
use crate::render::cost::{CallsNeeded, Cost};

/// The reads that an instance takes to carry out: its rules and which instance it is, before the first write, and its rules
/// once more, which proves the last one.
const READS: [(&str, u64); 2] = [("GetInstancePortStates", 2), ("GetInstance", 1)];

/// After an Open or a Close, whether somebody else wrote meanwhile.
const LOST_UPDATE: (&str, u64) = ("GetOperationsForResource", 1);

/// Where access may be granted meanwhile: which leases the instance holds after the write.
const LEASES: (&str, u64) = ("GetInstance", 1);

/// The cost of a plan, after these calls. `leases`: access may be granted and revoked while the plan is applied.
pub(in crate::cli) fn cost(
    made: &[Calls],
    plan: &Plan,
    leases: bool,
    rate: Rate,
    only_listed: BTreeSet<InstanceId>,
) -> Cost {
    Cost {
        made: made.to_vec(),
        made_least: minimum_time(made, rate),
        needed: calls_needed(plan, leases, rate),
        only_listed,
    }
}

/// The least time that the service takes for these calls. Actions do not share their rates, so the longest counts.
pub(in crate::cli) fn minimum_time(calls: &[Calls], rate: Rate) -> Duration {
    let times = calls
        .iter()
        .map(|calls| rate.minimum_time(&calls.action, calls.total()));
    times.max().unwrap_or_default()
}

/// The time to apply a plan without failures. Sites do not share their rates, so the longest counts.
fn calls_needed(plan: &Plan, leases: bool, rate: Rate) -> CallsNeeded {
    let mut calls: BTreeMap<(Site, &str), u64> = BTreeMap::new();
    let mut needed = CallsNeeded::default();
    for instance in plan.instances.iter().filter(|it| !it.calls.is_empty()) {
        let site = instance.instance.id.site();
        for call in &instance.calls {
            *calls.entry((site.clone(), call.action())).or_default() += 1;
            needed.writes += 1;
        }
        let puts = instance.calls.iter().all(Call::replaces);
        let extra_reads = (!puts || leases).then_some(LOST_UPDATE);
        let extra_reads = extra_reads.into_iter().chain(leases.then_some(LEASES));
        for (action, reads) in READS.into_iter().chain(extra_reads) {
            *calls.entry((site.clone(), action)).or_default() += reads;
            needed.reads += reads;
        }
    }
    let min_time = calls
        .iter()
        .map(|((_, action), calls)| rate.minimum_time(action, *calls));
    needed.least = min_time.max().unwrap_or_default();
    needed.share = rate.share_text();
    needed
}
