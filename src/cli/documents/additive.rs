//! The firewall of an instance as it will be where what is live stays beside what is declared.
//!
//! **Owns** which line each of its rules is from. What stays is decided by the planner.

use crate::exposure::{self, DocumentFirewall};
use crate::model::{DesiredInstance, Instance, LiveFirewall};
use crate::plan::{self, InstancePlan};

/// What a plan leads to.
pub(super) fn resulting_firewall(plan: &InstancePlan) -> DocumentFirewall {
    DocumentFirewall::with_doubts(&plan.after, plan.doubts_after(), plan.family())
}

/// What is declared, and what is live and stays. Of a rule that stays in part, the part that nothing declares is a rule
/// without a line.
pub(in crate::cli) fn additive_firewall(
    instance: &Instance,
    wanted: &DesiredInstance,
    live: &LiveFirewall,
) -> DocumentFirewall {
    let plan = plan::plan_instance(instance, wanted, live, plan::Options::default());
    let family = plan.family();
    let mut firewall = resulting_firewall(&plan);
    // The lines of the configuration say more than the keys that they lead to.
    let declared = DocumentFirewall::of_rules(&wanted.rules, family).rules;
    for rule in &mut firewall.rules {
        for line in declared.iter().filter(|line| line.key == rule.key) {
            rule.sources = exposure::subtract(&rule.sources, &line.sources, family);
        }
    }
    firewall.rules.retain(|rule| !rule.sources.is_empty());
    firewall.rules.extend(declared);
    firewall
}
