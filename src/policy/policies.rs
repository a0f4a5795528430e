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

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use declared::{declared, declared_on};
use demand::CompiledPolicy;
use evidence::Evidence;

use crate::exposure::{Effective, Exposed, Reach};
use crate::model::{
    Code, Desired, DesiredInstance, Family, Firewall, InstanceId, Key, Mode, Note, Origin,
    Policies, PolicySeverity, Rule, Waiver,
};
use crate::plan::{InstancePlan, Plan, Verdict};

/// The subject of a violation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An instance.
    Instance(InstanceId),
    /// Every instance of this table of the configuration, such as `groups.web`.
    Table(String),
}

/// How a violation occurs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Occurrence {
    /// The plan causes it.
    Introduced,
    /// It is live, and the plan does not remove it.
    Existing,
    /// It is live; no plan was considered.
    Live,
    /// It is in the declared rules; live rules were not considered.
    Declared,
}

impl Occurrence {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The kind of violation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ViolationKind {
    /// Access that is forbidden.
    Excess,
    /// Access that is forbidden, and that an uncertain live entry may give.
    Possible,
    /// Access that is required and missing.
    Missing,
}

impl ViolationKind {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The adjective for the access in texts.
    pub fn state(self) -> &'static str {
        match self {
            Self::Excess => "open",
            Self::Possible => "perhaps open",
            Self::Missing => "missing",
        }
    }

    /// The verb for the witness in texts, before the name of a port.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Excess => "gets in at",
            Self::Possible => "may get in at",
            Self::Missing => "does not get in at",
        }
    }
}

/// An example packet of a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// An address or an alias.
    pub source: String,
    /// The port or ICMP message, such as `tcp/22`.
    pub what: String,
}

/// A violation of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The name of the policy.
    pub policy: String,
    /// The code of violations.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// The consequence.
    pub severity: PolicySeverity,
    /// How the violation occurs.
    pub seen: Occurrence,
    /// The instance or table.
    #[serde(flatten)]
    pub on: Subject,
    /// The violation, as a sentence fragment that names the witness.
    pub reason: String,
    /// An example of the access.
    pub witness: Witness,
    /// Whether access is forbidden, possibly forbidden, or missing.
    pub kind: ViolationKind,
    /// All of the access.
    pub access: Vec<Exposed>,
    /// The lines of the rules that open it, the widest first; none if no declared rule does.
    pub lines: Vec<Origin>,
    /// The line that declares the policy; `None` for a built-in policy.
    pub declared: Option<Origin>,
    /// What to do about it.
    pub hint: String,
}

impl Violation {
    /// Whether it refuses the plan.
    pub fn refuses(&self) -> bool {
        self.severity == PolicySeverity::Deny && self.seen == Occurrence::Introduced
    }

    /// Refusing violations first, then by severity, occurrence, policy and subject.
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |v: &Self| (!v.refuses(), v.severity, v.seen);
        (rank(self), &self.policy, &self.on).cmp(&(rank(other), &other.policy, &other.on))
    }
}

/// The rules of a plan that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedRules {
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
    pub unused: Vec<Note>,
    /// The names of the policies that cannot be decided without the instances, in order; only for declared tables.
    pub undecided: Vec<String>,
}

/// Checks every instance of a plan.
pub fn policies(plan: &Plan, desired: &Desired, state: JudgedRules) -> Findings {
    let policies = &desired.policies;
    let mut found = Findings::default();
    let mut waived = WaiverUse::default();
    let mut compiled_policies = BTreeMap::new();
    // Instances that share their desired state are often alike, so the result of the last one is reused if possible.
    let mut latest: BTreeMap<*const DesiredInstance, CheckedInstance> = BTreeMap::new();
    for instance in &plan.instances {
        let id = &instance.instance.id;
        let Some(wanted) = desired.instances.get(id) else {
            continue;
        };
        let concerned: Vec<usize> = policies.concerning(id).collect();
        let from = found.violations.len();
        let earlier = latest.get(&Arc::as_ptr(wanted));
        if let Some(earlier) = earlier.filter(|earlier| earlier.holds_for(instance, &concerned)) {
            for place in earlier.violations.clone() {
                let on = Subject::Instance(id.clone());
                let violation = found.violations[place].clone();
                found.violations.push(Violation { on, ..violation });
            }
            continue;
        }
        let waivers = policies.waivers.get(id).map_or(&[][..], Vec::as_slice);
        waived.add(waivers);
        let place = CheckTarget {
            on: Subject::Instance(id.clone()),
            rules: &wanted.rules,
            waivers,
            mode: Some(wanted.mode),
            plan: Some(instance),
        };
        let mut comparison = Comparison::new(instance, state);
        if !waivers.is_empty() {
            comparison.undeclared = UndeclaredAccess::of(instance, wanted, state);
        }
        let families = &instance.instance.address_type;
        let compiled_policies = compiled_policies
            .entry(families)
            .or_insert_with(|| CompiledPolicy::all(policies, families));
        for compiled in concerned.iter().map(|policy| &compiled_policies[*policy]) {
            place.judge(compiled, &comparison, &mut found.violations, &mut waived);
        }
        let judged = CheckedInstance {
            plan: instance,
            concerned,
            violations: from..found.violations.len(),
        };
        latest.insert(Arc::as_ptr(wanted), judged);
    }
    if state == JudgedRules::Result {
        found.unused = waived.unused(&waivers_of_unchecked_instances(plan, policies));
    }
    found.sort();
    found
}

impl Findings {
    /// Whether any violation refuses the plan.
    pub fn refuse(&self) -> bool {
        self.violations.iter().any(Violation::refuses)
    }

    fn sort(&mut self) {
        self.violations.sort_by(Violation::order);
    }
}

/// An instance that was checked.
struct CheckedInstance<'a> {
    plan: &'a InstancePlan,
    /// The policies that apply to it.
    concerned: Vec<usize>,
    /// Its part of the list of violations.
    violations: Range<usize>,
}

impl CheckedInstance<'_> {
    /// Whether another instance with the same desired state has the same violations.
    fn holds_for(&self, other: &InstancePlan, concerned: &[usize]) -> bool {
        let this = self.plan;
        self.concerned == concerned
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
    seen: (Occurrence, Occurrence),
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
    fn of(plan: &InstancePlan, wanted: &DesiredInstance, state: JudgedRules) -> Self {
        let lines = wanted.rules.iter().chain(&wanted.expired);
        let declared: BTreeSet<Key> = lines.map(|rule| rule.key).collect();
        let of = |firewall: &Firewall| {
            let rules = firewall.iter().filter(|(key, _)| !declared.contains(key));
            Effective::of_rules(rules, plan.family())
        };
        let before = of(plan.before.firewall());
        Self {
            after: match state {
                JudgedRules::Result if is_written(plan) => of(&plan.after),
                JudgedRules::Result | JudgedRules::Live => before.clone(),
            },
            before,
        }
    }
}

/// Whether the plan leads to `after`, so that it is not the live rules that stay.
fn is_written(plan: &InstancePlan) -> bool {
    matches!(
        plan.verdict,
        Verdict::Change | Verdict::InSync | Verdict::Incomplete
    )
}

impl Comparison {
    fn new(plan: &InstancePlan, state: JudgedRules) -> Self {
        let live = plan.reach_before();
        if state == JudgedRules::Live || !is_written(plan) {
            let seen = match state {
                JudgedRules::Live => Occurrence::Live,
                JudgedRules::Result => Occurrence::Existing,
            };
            return Self {
                before: live.certain.clone(),
                after: live,
                satisfying: None,
                seen: (seen, seen),
                undeclared: UndeclaredAccess::default(),
            };
        }
        // Usually nothing changes, and computing this for ten thousand instances takes long.
        let is_same = plan.after == *plan.before.firewall()
            && (plan.before.is_certain() || plan.has_remaining_doubt());
        let after = if is_same {
            live.clone()
        } else {
            plan.reach_after()
        };
        Self {
            before: live.certain,
            after,
            satisfying: None,
            seen: (Occurrence::Introduced, Occurrence::Existing),
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
    on: Subject,
    rules: &'a [Rule],
    waivers: &'a [Waiver],
    /// `None` for a table.
    mode: Option<Mode>,
    /// The plan of the instance, if there is one.
    plan: Option<&'a InstancePlan>,
}

impl<'a> CheckTarget<'a> {
    fn judge(
        &self,
        CompiledPolicy { policy, demands }: &CompiledPolicy<'_>,
        comparison: &Comparison,
        violations: &mut Vec<Violation>,
        waived: &mut WaiverUse<'a>,
    ) {
        let family = comparison.after.family;
        let waivers = self.waivers.iter();
        let waivers = waivers.filter(|waiver| waiver.policies.contains(&policy.id));
        // Access that a waiver exempted, ended or not, does not count as existing for a rule without a waiver.
        let excused = opened(waivers.clone(), family).difference(&comparison.undeclared.before);
        let waivers: Vec<&'a Waiver> = waivers.filter(|waiver| waiver.in_force).collect();
        let excepted = excepted(self.rules, &waivers, family);
        let excepted = excepted.without(&comparison.undeclared.after);
        for (demand, compiled) in demands {
            let all = if compiled.is_required() {
                compiled.broken(comparison.satisfying())
            } else {
                compiled.broken(&comparison.after.possible)
            };
            if all.is_empty() {
                continue;
            }
            let found = if compiled.is_required() {
                let was = compiled.broken(&comparison.before);
                Breach {
                    all: all.clone(),
                    certain: all,
                    was,
                }
            } else {
                waived.mark_used(&policy.id, &waivers, &all, family);
                let without =
                    |access: &Effective, those: &Effective| compiled.broken(&access.without(those));
                Breach {
                    all: without(&comparison.after.possible, &excepted),
                    certain: without(&comparison.after.certain, &excepted),
                    was: without(&comparison.before, &excused),
                }
            };
            let evidence = Evidence {
                place: self,
                policy,
                demand,
                before: &comparison.before,
                after: &comparison.after,
                waivers: &waivers,
            };
            for (seen, kind, access) in found.parts(comparison.seen, compiled.is_required()) {
                violations.push(evidence.violation(seen, kind, &access));
            }
        }
    }
}

/// The access of the rules with these waivers together.
fn opened<'w>(waivers: impl Iterator<Item = &'w Waiver>, family: Family) -> Effective {
    Effective::of_rules(waivers.map(|waiver| (&waiver.key, &waiver.sources)), family)
}

/// Whether a rule has one of these waivers.
fn is_waived(rule: &Rule, waivers: &[&Waiver]) -> bool {
    let mut waivers = waivers.iter();
    waivers.any(|waiver| waiver.key == rule.key && waiver.origin == rule.declared.origin)
}

/// The access that these waivers exempt: the access of their rules, except what a rule without such a waiver gives too.
fn excepted(rules: &[Rule], waivers: &[&Waiver], family: Family) -> Effective {
    if waivers.is_empty() {
        return Effective::default();
    }
    let others = rules.iter().filter(|rule| !is_waived(rule, waivers));
    let others = others.map(|rule| (&rule.key, &rule.sources));
    opened(waivers.iter().copied(), family).difference(&Effective::of_rules(others, family))
}

/// The access that violates a demand, without exempted access.
struct Breach {
    /// Possible violations, including the certain ones.
    all: Effective,
    /// Certain violations.
    certain: Effective,
    /// Certain violations before.
    was: Effective,
}

impl Breach {
    /// Splits the access by occurrence and kind. Uncertain access before does not count as existing, and uncertain access after is
    /// never introduced by the plan.
    fn parts(
        self,
        (new, old): (Occurrence, Occurrence),
        missing: bool,
    ) -> Vec<(Occurrence, ViolationKind, Effective)> {
        let Self { all, certain, was } = self;
        let introduced = if new == old {
            Effective::default()
        } else {
            certain.difference(&was)
        };
        let possible = all.difference(&certain);
        let rest = certain.difference(&introduced);
        let kind = if missing {
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
        broken: &Effective,
        family: Family,
    ) {
        for waiver in waivers {
            let opens = Effective::of_rules([(&waiver.key, &waiver.sources)], family);
            if opens.intersection(broken).is_empty() {
                continue;
            }
            let id = waiver.policies.iter().find(|id| *id == policy);
            if let Some(id) = id {
                self.all.insert((&waiver.origin, id), true);
            }
        }
    }

    /// Notes on the waivers that were not needed, except those of rules that other instances have too.
    fn unused(&self, unseen: &BTreeSet<&Origin>) -> Vec<Note> {
        let idle = self
            .all
            .iter()
            .filter(|((origin, _), used)| !**used && !unseen.contains(origin));
        idle.map(|((origin, id), _)| Note {
            text: format!("the waiver of policy `{id}` is not needed: nothing here breaks it"),
            origin: Some((*origin).clone()),
        })
        .collect()
    }
}

/// The lines of rules with a waiver on instances that the plan does not contain.
fn waivers_of_unchecked_instances<'a>(plan: &Plan, policies: &'a Policies) -> BTreeSet<&'a Origin> {
    let judged: BTreeSet<&InstanceId> = plan.instances.iter().map(|i| &i.instance.id).collect();
    let others = policies
        .waivers
        .iter()
        .filter(|(id, _)| !judged.contains(id));
    others
        .flat_map(|(_, waivers)| waivers.iter().map(|waiver| &waiver.origin))
        .collect()
}
