//! The resulting firewall of an instance in additive mode, where live rules stay beside declared rules.
//!
//! **Owns** the line that each rule comes from. **Does not** decide which live rules stay; the planner does.

use crate::exposure::{self, DocumentFirewall};
use crate::model::{DesiredInstance, Instance, LiveFirewall};
use crate::plan::{self, InstancePlan};

/// The result of a plan.
pub(super) fn resulting_firewall(plan: &InstancePlan) -> DocumentFirewall {
    DocumentFirewall::with_doubts(&plan.after, plan.doubts_after(), plan.family())
}

/// The declared rules, and the live rules that stay. If a part of a live rule is declared, the rest is a rule without a
/// line.
pub(in crate::cli) fn additive_firewall(
    instance: &Instance,
    wanted: &DesiredInstance,
    live: &LiveFirewall,
) -> DocumentFirewall {
    let plan = plan::plan_instance(instance, wanted, live, plan::PlanOptions::default());
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
