//! What was granted for a time that is over: its end was agreed upon when it began.
//!
//! **Owns** the rules as they would be had it never been granted, which is what a closing is measured against. **Does not**
//! judge anything.

use std::collections::BTreeSet;

use crate::exposure::subtract;
use crate::lease::Leases;
use crate::model::Firewall;
use crate::plan::{CauseKind, InstancePlan};

/// The live rules without what leases granted that are over, by the tags of the instance that causes of the plan name.
pub(super) fn without_ended(plan: &InstancePlan) -> Firewall {
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
