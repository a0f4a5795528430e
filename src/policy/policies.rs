//! Policies, decided on effective access: who gets in and should not, and who should and does not.
//!
//! Since it is access that is judged and not the text of rules, neither splitting a network or a range of ports nor
//! spreading them over several rules evades a policy. What a live entry that cannot be read for certain may open counts
//! where access is forbidden, as possible, and does not count where it is required.
//!
//! A violation is *introduced* where the plan opens what the live rules, as far as they are certain, did not open, or
//! closes what they did. Introduced under `deny` it refuses the plan, which therefore is neither applied nor written to
//! a file; so a plan file was never refused, and its executor need not know policies. What exists already refuses
//! nothing: a change that does not widen it goes through. Owns the judgement and its wording; does not change a plan.

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

/// Where a violation is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// On an instance.
    Instance(InstanceId),
    /// On every instance that this table of the configuration takes, such as `groups.web`.
    Table(String),
}

/// How it is there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Occurrence {
    /// The plan brings it about.
    Introduced,
    /// It is live, and the plan leaves it.
    Existing,
    /// It is live.
    Live,
    /// It is declared.
    Declared,
}

impl Occurrence {
    /// The one word for it in documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is wrong with the access.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// Somebody gets in and should not.
    Excess,
    /// Somebody may get in, by a live entry that cannot be read for certain, and should not.
    Possible,
    /// Somebody should get in and does not.
    Missing,
}

impl Kind {
    /// The one word for it in documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The word for access of it in texts.
    pub fn state(self) -> &'static str {
        match self {
            Self::Excess => "open",
            Self::Possible => "perhaps open",
            Self::Missing => "missing",
        }
    }

    /// What a witness of it does, before the name of a port.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Excess => "gets in at",
            Self::Possible => "may get in at",
            Self::Missing => "does not get in at",
        }
    }
}

/// One packet that shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// An address or an alias.
    pub source: String,
    /// Where, such as `tcp/22`.
    pub what: String,
}

/// A policy that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// Its id.
    pub policy: String,
    /// The code of all policies.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// What follows.
    pub severity: PolicySeverity,
    /// How it is there.
    pub seen: Occurrence,
    /// Where.
    #[serde(flatten)]
    pub on: Subject,
    /// What is wrong, as a sentence fragment that names the witness.
    pub reason: String,
    /// Somebody who gets in and should not, or should and does not.
    pub witness: Witness,
    /// Whether access is too much, perhaps too much, or missing.
    pub kind: Kind,
    /// All that gets in and should not, or should and does not.
    pub access: Vec<Exposed>,
    /// The rules that open it, the widest first; none where no rule is to blame.
    pub lines: Vec<Origin>,
    /// Where the policy is declared; `None` for a built-in one.
    pub declared: Option<Origin>,
    /// What to do.
    pub hint: String,
}

impl Violation {
    /// Whether it stands in the way of the plan that it was found in.
    pub fn refuses(&self) -> bool {
        self.severity == PolicySeverity::Deny && self.seen == Occurrence::Introduced
    }

    /// Those that refuse first, then by severity, how they are there, policy and place.
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |v: &Self| (!v.refuses(), v.severity, v.seen);
        (rank(self), &self.policy, &self.on).cmp(&(rank(other), &other.policy, &other.on))
    }
}

/// Which rules of a plan are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JudgedRules {
    /// Those that result.
    Result,
    /// Those that are live.
    Live,
}

/// What the policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Those that refuse first, then by severity, how they are there, policy and place.
    pub violations: Vec<Violation>,
    /// Rules with a waiver that nothing needed.
    pub unused: Vec<Note>,
    /// The ids of the policies that cannot be decided without the instances, in order; only of what is declared.
    pub undecided: Vec<String>,
}

/// Judges every instance of a plan that could be read.
pub fn policies(plan: &Plan, desired: &Desired, state: JudgedRules) -> Findings {
    let policies = &desired.policies;
    let mut found = Findings::default();
    let mut waived = Waived::default();
    let mut trials = BTreeMap::new();
    // Of each that several instances share, what was said of the last of them: the next is mostly just like it.
    let mut latest: BTreeMap<*const DesiredInstance, Judged> = BTreeMap::new();
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
        waived.judged(waivers);
        let place = Place {
            on: Subject::Instance(id.clone()),
            rules: &wanted.rules,
            waivers,
            mode: Some(wanted.mode),
            plan: Some(instance),
        };
        let mut sides = Sides::new(instance, state);
        if !waivers.is_empty() {
            sides.undeclared = Undeclared::of(instance, wanted, state);
        }
        let families = &instance.instance.address_type;
        let trials = trials
            .entry(families)
            .or_insert_with(|| CompiledPolicy::all(policies, families));
        for trial in concerned.iter().map(|policy| &trials[*policy]) {
            place.judge(trial, &sides, &mut found.violations, &mut waived);
        }
        let judged = Judged {
            plan: instance,
            concerned,
            violations: from..found.violations.len(),
        };
        latest.insert(Arc::as_ptr(wanted), judged);
    }
    if state == JudgedRules::Result {
        found.unused = waived.unused(&plan_waivers(plan, policies));
    }
    found.sort();
    found
}

impl Findings {
    /// Whether any of it stands in the way of the plan.
    pub fn refuse(&self) -> bool {
        self.violations.iter().any(Violation::refuses)
    }

    fn sort(&mut self) {
        self.violations.sort_by(Violation::order);
    }
}

/// An instance that was judged.
struct Judged<'a> {
    plan: &'a InstancePlan,
    /// The policies that speak of it.
    concerned: Vec<usize>,
    /// Which of the violations found are its own.
    violations: Range<usize>,
}

impl Judged<'_> {
    /// Whether the same is to be said of another instance of which the same is wanted.
    fn holds_for(&self, other: &InstancePlan, concerned: &[usize]) -> bool {
        let this = self.plan;
        self.concerned == concerned
            && this.verdict == other.verdict
            && this.before == other.before
            && this.after == other.after
            && this.instance.address_type == other.instance.address_type
    }
}

/// What is judged, and with what it is compared.
struct Sides {
    /// What was let in for certain.
    before: Effective,
    after: Reach,
    /// What is there for those who must get in, where that is more than the certain part of `after`.
    beside: Option<Effective>,
    /// What is new on the one side, and the rest.
    seen: (Occurrence, Occurrence),
    /// Needed only where there are waivers.
    undeclared: Undeclared,
}

/// What rules let in that are not in the configuration.
#[derive(Default)]
struct Undeclared {
    before: Effective,
    after: Effective,
}

impl Undeclared {
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

/// Whether what results is what the plan says, rather than what is live.
fn is_written(plan: &InstancePlan) -> bool {
    matches!(
        plan.verdict,
        Verdict::Change | Verdict::InSync | Verdict::Incomplete
    )
}

impl Sides {
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
                beside: None,
                seen: (seen, seen),
                undeclared: Undeclared::default(),
            };
        }
        // Mostly nothing changes, and to work it out anew for ten thousand instances takes its time.
        let is_same = plan.after == *plan.before.firewall()
            && (plan.before.is_certain() || plan.doubt_stays());
        let after = if is_same {
            live.clone()
        } else {
            plan.reach_after()
        };
        Self {
            before: live.certain,
            after,
            beside: None,
            seen: (Occurrence::Introduced, Occurrence::Existing),
            undeclared: Undeclared::default(),
        }
    }

    /// Those who get in for certain, of those who must.
    fn there(&self) -> &Effective {
        self.beside.as_ref().unwrap_or(&self.after.certain)
    }
}

/// What is judged at once.
struct Place<'a> {
    on: Subject,
    rules: &'a [Rule],
    waivers: &'a [Waiver],
    /// `None` where it is not known to be one instance.
    mode: Option<Mode>,
    /// What is planned for it, where anything is.
    plan: Option<&'a InstancePlan>,
}

impl<'a> Place<'a> {
    fn judge(
        &self,
        CompiledPolicy { policy, demands }: &CompiledPolicy<'_>,
        sides: &Sides,
        violations: &mut Vec<Violation>,
        waived: &mut Waived<'a>,
    ) {
        let family = sides.after.family;
        let waivers = self.waivers.iter();
        let waivers = waivers.filter(|waiver| waiver.policies.contains(&policy.id));
        // What was in by leave of a waiver is no precedent for a rule without one, be the waiver in force or over.
        let excused = opened(waivers.clone(), family).difference(&sides.undeclared.before);
        let waivers: Vec<&'a Waiver> = waivers.filter(|waiver| waiver.in_force).collect();
        let excepted = excepted(self.rules, &waivers, family);
        let excepted = excepted.without(&sides.undeclared.after);
        for (demand, tried) in demands {
            let all = if tried.is_required() {
                tried.broken(sides.there())
            } else {
                tried.broken(&sides.after.possible)
            };
            if all.is_empty() {
                continue;
            }
            let found = if tried.is_required() {
                let was = tried.broken(&sides.before);
                Breach {
                    all: all.clone(),
                    certain: all,
                    was,
                }
            } else {
                waived.used(&policy.id, &waivers, &all, family);
                let without =
                    |access: &Effective, those: &Effective| tried.broken(&access.without(those));
                Breach {
                    all: without(&sides.after.possible, &excepted),
                    certain: without(&sides.after.certain, &excepted),
                    was: without(&sides.before, &excused),
                }
            };
            let evidence = Evidence {
                place: self,
                policy,
                demand,
                before: &sides.before,
                after: &sides.after,
                waivers: &waivers,
            };
            for (seen, kind, access) in found.parts(sides.seen, tried.is_required()) {
                violations.push(evidence.violation(seen, kind, &access));
            }
        }
    }
}

/// What the rules of waivers open together.
fn opened<'w>(waivers: impl Iterator<Item = &'w Waiver>, family: Family) -> Effective {
    Effective::of_rules(waivers.map(|waiver| (&waiver.key, &waiver.sources)), family)
}

/// Whether a rule is one of those with these waivers.
fn is_waived(rule: &Rule, waivers: &[&Waiver]) -> bool {
    let mut waivers = waivers.iter();
    waivers.any(|waiver| waiver.key == rule.key && waiver.origin == rule.declared.origin)
}

/// What these waivers of a policy except of what the rules open: only what no rule without such a waiver opens too.
fn excepted(rules: &[Rule], waivers: &[&Waiver], family: Family) -> Effective {
    if waivers.is_empty() {
        return Effective::default();
    }
    let others = rules.iter().filter(|rule| !is_waived(rule, waivers));
    let others = others.map(|rule| (&rule.key, &rule.sources));
    opened(waivers.iter().copied(), family).difference(&Effective::of_rules(others, family))
}

/// What breaks a demand, without what is excepted.
struct Breach {
    /// At most.
    all: Effective,
    /// For certain.
    certain: Effective,
    /// For certain, before.
    was: Effective,
}

impl Breach {
    /// What is to be told apart. What is not certain cannot excuse what is opened now, and what stays uncertain is no deed of
    /// the plan.
    fn parts(
        self,
        (new, old): (Occurrence, Occurrence),
        missing: bool,
    ) -> Vec<(Occurrence, Kind, Effective)> {
        let Self { all, certain, was } = self;
        let introduced = if new == old {
            Effective::default()
        } else {
            certain.difference(&was)
        };
        let possible = all.difference(&certain);
        let rest = certain.difference(&introduced);
        let kind = if missing { Kind::Missing } else { Kind::Excess };
        let mut parts = vec![
            (new, kind, introduced),
            (old, kind, rest),
            (old, Kind::Possible, possible),
        ];
        parts.retain(|(.., access)| !access.is_empty());
        parts
    }
}

/// Which waivers were needed.
#[derive(Default)]
struct Waived<'a> {
    all: BTreeMap<(&'a Origin, &'a str), bool>,
}

impl<'a> Waived<'a> {
    fn judged(&mut self, waivers: &'a [Waiver]) {
        for waiver in waivers.iter().filter(|waiver| waiver.in_force) {
            for id in &waiver.policies {
                self.all.entry((&waiver.origin, id)).or_default();
            }
        }
    }

    fn used(&mut self, policy: &str, waivers: &[&'a Waiver], broken: &Effective, family: Family) {
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

    /// Notes on those that nothing needed, but for rules that also hold where nobody looked.
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

/// The rules with a waiver on instances that are not judged.
fn plan_waivers<'a>(plan: &Plan, policies: &'a Policies) -> BTreeSet<&'a Origin> {
    let judged: BTreeSet<&InstanceId> = plan.instances.iter().map(|i| &i.instance.id).collect();
    let others = policies
        .waivers
        .iter()
        .filter(|(id, _)| !judged.contains(id));
    others
        .flat_map(|(_, waivers)| waivers.iter().map(|waiver| &waiver.origin))
        .collect()
}
