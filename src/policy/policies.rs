//! Policies: checks of effective access.
//!
//! Policies check access and not the text of rules, so splitting networks or port ranges, or spreading them over several rules, does
//! not evade a policy. The access that an uncertain live entry may give counts as a possible violation where it is forbidden, and
//! does not count where access is required.
//!
//! A violation is *introduced* if the plan opens access that the certain live rules do not give, or closes access that they give. An
//! introduced violation of a policy with `deny` refuses the plan, which is then neither applied nor written to a file; so an
//! executor of plan files need not know policies. An existing violation refuses nothing. Owns the decisions and their
//! wording; does not change a plan.

mod declared;
mod demand;
mod evidence;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

pub use declared::{check_declared_rules, check_declared_tables};
use demand::CompiledPolicy;
use evidence::Evidence;
pub use violation::{Occurrence, Subject, Violation, ViolationKind, Witness};

use crate::exposure::{Effective, Reach};
use crate::model::{
    Desired, DesiredInstance, Family, Firewall, InstanceId, Key, Mode, Note, Origin, Policies,
    Rule, Waiver,
};
use crate::plan::{InstancePlan, Plan, Verdict};

/// The rules of a plan that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedRules {
    /// The rules after the plan.
    Result,
    /// The live rules.
    Live,
}

/// The results of all policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Findings {
    /// The violations: refusing ones first, then by severity, occurrence, policy and subject.
    pub violations: Vec<Violation>,
    /// Notes on waivers that are not needed.
    pub unused_waivers: Vec<Note>,
    /// The names of the policies that cannot be decided without the instances, in order; only for declared tables.
    pub undecided: Vec<String>,
}

/// Checks every instance of a plan.
pub fn check_policies(plan: &Plan, desired: &Desired, state: CheckedRules) -> Findings {
    let policies = &desired.policies;
    let mut findings = Findings::default();
    let mut waiver_use = WaiverUse::default();
    let mut compiled_policies = BTreeMap::new();
    // Instances that share their desired state are often alike, so the result of the last one is reused if possible.
    let mut latest: BTreeMap<*const DesiredInstance, CheckedInstance> = BTreeMap::new();
    for instance in &plan.instances {
        let id = &instance.instance.id;
        let Some(wanted) = desired.instances.get(id) else {
            continue;
        };
        let applying: Vec<usize> = policies.concerning(id).collect();
        let first = findings.violations.len();
        let earlier = latest.get(&Arc::as_ptr(wanted));
        if let Some(earlier) = earlier.filter(|earlier| earlier.holds_for(instance, &applying)) {
            findings.repeat(earlier.violations.clone(), &Subject::Instance(id.clone()));
            continue;
        }
        let target = CheckTarget::of_instance(id, wanted, policies, Some(instance));
        let mut comparison = Comparison::new(instance, state);
        if !target.waivers.is_empty() {
            comparison.undeclared = UndeclaredAccess::of(instance, wanted, state);
        }
        let families = &instance.instance.address_type;
        let compiled_policies = compiled_policies
            .entry(families)
            .or_insert_with(|| CompiledPolicy::all(policies, families));
        let compiled = applying.iter().map(|policy| &compiled_policies[*policy]);
        target.check(compiled, &comparison, &mut findings, &mut waiver_use);
        let checked = CheckedInstance {
            plan: instance,
            policies: applying,
            violations: first..findings.violations.len(),
        };
        latest.insert(Arc::as_ptr(wanted), checked);
    }
    if state == CheckedRules::Result {
        let unchecked = waivers_of_unchecked_instances(plan, policies);
        findings.unused_waivers = waiver_use.unused(&unchecked);
    }
    findings.sort();
    findings
}

impl Findings {
    /// Whether any violation refuses the plan.
    pub fn has_refusal(&self) -> bool {
        self.violations.iter().any(Violation::is_refusal)
    }

    /// Adds the violations with these indices again, for another subject.
    fn repeat(&mut self, violations: Range<usize>, subject: &Subject) {
        for index in violations {
            let mut violation = self.violations[index].clone();
            violation.subject = subject.clone();
            self.violations.push(violation);
        }
    }

    fn sort(&mut self) {
        self.violations.sort_by(Violation::order);
    }
}

/// An instance that was checked.
struct CheckedInstance<'a> {
    plan: &'a InstancePlan,
    /// The policies that apply to it.
    policies: Vec<usize>,
    /// Its part of the list of violations.
    violations: Range<usize>,
}

impl CheckedInstance<'_> {
    /// Whether another instance with the same desired state has the same violations.
    fn holds_for(&self, other: &InstancePlan, policies: &[usize]) -> bool {
        let this = self.plan;
        self.policies == policies
            && this.verdict == other.verdict
            && this.before == other.before
            && this.after == other.after
            && this.instance.address_type == other.instance.address_type
    }
}

/// The access that is checked, and the access that it is compared with.
struct Comparison {
    /// The certain access before.
    before: Effective,
    /// The access to check.
    after: Reach,
    /// The access that satisfies requirements, if it is more than the certain part of `after`.
    satisfying: Option<Effective>,
    /// The occurrence of new violations, and of the others.
    occurrence: (Occurrence, Occurrence),
    /// The access of undeclared rules; set only if there are waivers.
    undeclared: UndeclaredAccess,
}

/// The access of rules that are not in the configuration.
#[derive(Default)]
struct UndeclaredAccess {
    before: Effective,
    after: Effective,
}

impl UndeclaredAccess {
    fn of(plan: &InstancePlan, wanted: &DesiredInstance, state: CheckedRules) -> Self {
        let lines = wanted.rules.iter().chain(&wanted.expired);
        let declared: BTreeSet<Key> = lines.map(|rule| rule.key).collect();
        let access = |firewall: &Firewall| {
            let rules = firewall.iter().filter(|(key, _)| !declared.contains(key));
            Effective::of_rules(rules, plan.family())
        };
        let before = access(plan.before.firewall());
        Self {
            after: match state {
                CheckedRules::Result if leads_to_after(plan) => access(&plan.after),
                CheckedRules::Result | CheckedRules::Live => before.clone(),
            },
            before,
        }
    }
}

/// Whether the plan leads to `after`, so that it is not the live rules that stay.
fn leads_to_after(plan: &InstancePlan) -> bool {
    matches!(
        plan.verdict,
        Verdict::Change | Verdict::InSync | Verdict::Incomplete
    )
}

impl Comparison {
    fn new(plan: &InstancePlan, state: CheckedRules) -> Self {
        let live = plan.reach_before();
        let (new, old) = match state {
            CheckedRules::Live => (Occurrence::Live, Occurrence::Live),
            CheckedRules::Result if leads_to_after(plan) => {
                (Occurrence::Introduced, Occurrence::Existing)
            }
            CheckedRules::Result => (Occurrence::Existing, Occurrence::Existing),
        };
        let stays = new == old;
        // Usually nothing changes, and computing this for ten thousand instances takes long.
        let is_same = plan.after == *plan.before.firewall()
            && (plan.before.is_certain() || plan.has_remaining_doubt());
        let after = if stays || is_same {
            live.clone()
        } else {
            plan.reach_after()
        };
        Self {
            before: live.certain,
            after,
            satisfying: None,
            occurrence: (new, old),
            undeclared: UndeclaredAccess::default(),
        }
    }

    /// The access that satisfies requirements.
    fn satisfying(&self) -> &Effective {
        self.satisfying.as_ref().unwrap_or(&self.after.certain)
    }
}

/// One instance or table that is checked.
struct CheckTarget<'a> {
    subject: Subject,
    rules: &'a [Rule],
    waivers: &'a [Waiver],
    /// `None` for a table.
    mode: Option<Mode>,
    /// The plan of the instance, if there is one.
    plan: Option<&'a InstancePlan>,
}

impl<'a> CheckTarget<'a> {
    fn of_instance(
        id: &InstanceId,
        wanted: &'a DesiredInstance,
        policies: &'a Policies,
        plan: Option<&'a InstancePlan>,
    ) -> Self {
        Self {
            subject: Subject::Instance(id.clone()),
            rules: &wanted.rules,
            waivers: policies.waivers.get(id).map_or(&[], Vec::as_slice),
            mode: Some(wanted.mode),
            plan,
        }
    }

    fn check<'p>(
        &self,
        policies: impl Iterator<Item = &'p CompiledPolicy<'p>>,
        comparison: &Comparison,
        findings: &mut Findings,
        waiver_use: &mut WaiverUse<'a>,
    ) {
        waiver_use.add(self.waivers);
        for CompiledPolicy { policy, demands } in policies {
            let family = comparison.after.family;
            let waivers = self.waivers.iter();
            let waivers = waivers.filter(|waiver| waiver.policies.contains(&policy.id));
            // Access that a waiver exempted, ended or not, does not count as existing for a rule without a waiver.
            let waived_before = access_of_waivers(waivers.clone(), family)
                .difference(&comparison.undeclared.before);
            let waivers: Vec<&'a Waiver> = waivers.filter(|waiver| waiver.in_force).collect();
            let waived = waived_access(self.rules, &waivers, family);
            let waived = waived.difference(&comparison.undeclared.after);
            for (demand, compiled) in demands {
                let is_required = compiled.is_required();
                let violating = compiled.violating(if is_required {
                    comparison.satisfying()
                } else {
                    &comparison.after.possible
                });
                if violating.is_empty() {
                    continue;
                }
                let breach = if is_required {
                    Breach {
                        possible: violating.clone(),
                        certain: violating,
                        before: compiled.violating(&comparison.before),
                    }
                } else {
                    waiver_use.mark_used(&policy.id, &waivers, &violating, family);
                    let without = |access: &Effective, waived: &Effective| {
                        compiled.violating(&access.difference(waived))
                    };
                    Breach {
                        possible: without(&comparison.after.possible, &waived),
                        certain: without(&comparison.after.certain, &waived),
                        before: without(&comparison.before, &waived_before),
                    }
                };
                let evidence = Evidence {
                    target: self,
                    policy,
                    demand,
                    before: &comparison.before,
                    after: &comparison.after,
                    waivers: &waivers,
                };
                for (occurrence, kind, access) in breach.parts(comparison.occurrence, is_required) {
                    findings
                        .violations
                        .push(evidence.violation(occurrence, kind, &access));
                }
            }
        }
    }
}

/// The access of the rules with these waivers together.
fn access_of_waivers<'w>(waivers: impl Iterator<Item = &'w Waiver>, family: Family) -> Effective {
    Effective::of_rules(waivers.map(|waiver| (&waiver.key, &waiver.sources)), family)
}

/// Whether a rule has one of these waivers.
fn is_waived(rule: &Rule, waivers: &[&Waiver]) -> bool {
    let mut waivers = waivers.iter();
    waivers.any(|waiver| waiver.key == rule.key && waiver.origin == rule.declared.origin)
}

/// The access that these waivers exempt: the access of their rules, except what a rule without such a waiver gives too.
fn waived_access(rules: &[Rule], waivers: &[&Waiver], family: Family) -> Effective {
    if waivers.is_empty() {
        return Effective::default();
    }
    let others = rules.iter().filter(|rule| !is_waived(rule, waivers));
    let others = others.map(|rule| (&rule.key, &rule.sources));
    access_of_waivers(waivers.iter().copied(), family)
        .difference(&Effective::of_rules(others, family))
}

/// The access that violates a demand, without exempted access.
struct Breach {
    /// Possible violations, including the certain ones.
    possible: Effective,
    /// Certain violations.
    certain: Effective,
    /// Certain violations before.
    before: Effective,
}

impl Breach {
    /// Splits the access by occurrence and kind. Uncertain access before does not count as existing, and uncertain access after is
    /// never introduced by the plan.
    fn parts(
        self,
        (new, old): (Occurrence, Occurrence),
        is_required: bool,
    ) -> Vec<(Occurrence, ViolationKind, Effective)> {
        let Self {
            possible,
            certain,
            before,
        } = self;
        let introduced = if new == old {
            Effective::default()
        } else {
            certain.difference(&before)
        };
        let possible = possible.difference(&certain);
        let rest = certain.difference(&introduced);
        let kind = if is_required {
            ViolationKind::Missing
        } else {
            ViolationKind::Excess
        };
        let mut parts = vec![
            (new, kind, introduced),
            (old, kind, rest),
            (old, ViolationKind::Possible, possible),
        ];
        parts.retain(|(.., access)| !access.is_empty());
        parts
    }
}

/// Records which waivers were needed.
#[derive(Default)]
struct WaiverUse<'a> {
    all: BTreeMap<(&'a Origin, &'a str), bool>,
}

impl<'a> WaiverUse<'a> {
    fn add(&mut self, waivers: &'a [Waiver]) {
        for waiver in waivers.iter().filter(|waiver| waiver.in_force) {
            for id in &waiver.policies {
                self.all.entry((&waiver.origin, id)).or_default();
            }
        }
    }

    fn mark_used(
        &mut self,
        policy: &str,
        waivers: &[&'a Waiver],
        violating: &Effective,
        family: Family,
    ) {
        for waiver in waivers {
            let access = Effective::of_rules([(&waiver.key, &waiver.sources)], family);
            if access.intersection(violating).is_empty() {
                continue;
            }
            let id = waiver.policies.iter().find(|id| *id == policy);
            if let Some(id) = id {
                self.all.insert((&waiver.origin, id), true);
            }
        }
    }

    /// Notes on the waivers that were not needed, except those at `unchecked` lines, which other instances may need.
    fn unused(&self, unchecked: &BTreeSet<&Origin>) -> Vec<Note> {
        let unused = self
            .all
            .iter()
            .filter(|((origin, _), is_used)| !**is_used && !unchecked.contains(origin));
        unused
            .map(|((origin, id), _)| Note {
                text: format!("the waiver of policy `{id}` is not needed: nothing here breaks it"),
                origin: Some((*origin).clone()),
            })
            .collect()
    }
}

/// The lines of rules with a waiver on instances that the plan does not contain.
fn waivers_of_unchecked_instances<'a>(plan: &Plan, policies: &'a Policies) -> BTreeSet<&'a Origin> {
    let checked: BTreeSet<&InstanceId> = plan.instances.iter().map(|i| &i.instance.id).collect();
    let others = policies
        .waivers
        .iter()
        .filter(|(id, _)| !checked.contains(id));
    others
        .flat_map(|(_, waivers)| waivers.iter().map(|waiver| &waiver.origin))
        .collect()
}
