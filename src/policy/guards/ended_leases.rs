//! Access of ended leases, which does not need consent to be closed.
//!
//! **Owns** the live rules without the access of ended leases, which the guards compare the plan with. **Does not** refuse
//! anything.

use std::collections::BTreeSet;

use crate::exposure::subtract;
use crate::lease::Leases;
use crate::model::Firewall;
use crate::plan::{CauseKind, InstancePlan};

/// The live rules without the access of ended leases. The causes of the plan name their tags.
pub(super) fn without_ended_leases(plan: &InstancePlan) -> Firewall {
    let causes = plan.changes.iter().flat_map(|change| &change.causes);
    let ended = causes.filter(|cause| cause.kind == CauseKind::Expired);
    let tags: BTreeSet<&str> = ended.filter_map(|cause| cause.origin.tag()).collect();
    let mut rules = plan.before.firewall().clone();
    if tags.is_empty() {
        return rules;
    }
    for lease in Leases::of(&plan.instance.tags).leases {
        if !tags.contains(lease.id.tag_key().as_str()) {
            continue;
        }
        for key in &lease.keys {
            if let Some(now) = rules.get(*key) {
                let rest = subtract(now, &lease.sources, plan.family());
                rules.set(*key, rest);
            }
        }
    }
    rules
}
