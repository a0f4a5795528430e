//! The number of calls that a run made, and that its plan needs.
//!
//! Owns the counting of a plan's calls. The rates are `lightsail`'s, the words are `render`'s.

use std::collections::{BTreeMap, BTreeSet};

use crate::lightsail::{CallCounts, Rate};
use crate::model::{InstanceId, Site};
use crate::plan::{Call, Plan};
use crate::render::cost::{CallsMade, CallsNeeded, Cost};

/// The reads that an instance takes to carry out: its rules and which instance it is, before the first write, and its rules
/// once more, which proves the last one.
const READS: [(&str, u64); 2] = [("GetInstancePortStates", 2), ("GetInstance", 1)];

/// After an Open or a Close, whether somebody else wrote meanwhile.
const LOST_UPDATE: (&str, u64) = ("GetOperationsForResource", 1);

/// Where access may be granted meanwhile: which leases the instance holds after the write.
const LEASES: (&str, u64) = ("GetInstance", 1);

/// The cost of a plan, after these calls. `leases`: access may be granted and revoked while the plan is applied.
pub(in crate::cli) fn cost(
    counts: &CallCounts,
    plan: &Plan,
    leases: bool,
    rate: Rate,
    only_listed: BTreeSet<InstanceId>,
) -> Cost {
    Cost {
        made: calls_made(counts, rate),
        needed: calls_needed(plan, leases, rate),
        only_listed,
    }
}

/// The calls that were made.
pub(in crate::cli) fn calls_made(counts: &CallCounts, rate: Rate) -> Vec<CallsMade> {
    let made = counts.iter().map(|(action, answers)| CallsMade {
        action: action.to_owned(),
        number: answers.total(),
        least: rate.minimum_time(action, answers.total()),
    });
    made.collect()
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
        let puts = instance
            .calls
            .iter()
            .all(|call| matches!(call, Call::Put { .. }));
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
