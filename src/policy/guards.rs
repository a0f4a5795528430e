//! Guards: lock-out, blast radius, and firewalls that would let nobody in.
//!
//! | guard | refuses |
//! |---|---|
//! | `lockout` | tcp/22 or tcp/3389, each by itself: somebody got in before, and nobody who did still does; or somebody who got in by a rule of `[guard] keep` no longer does |
//! | `blast-radius` | more instances to change, or more rules to close, than `[guard]` says |
//! | `empty` | an instance with rules would have none |
//! | `changed-since` | on a way back: somebody else has changed the rules since the run that is undone |
//!
//! Lock-out and closed rules are judged on effective access, so that no spelling evades them. Lock-out is also judged on
//! what an instance can really be reached by: sources of a family that it lacks count as nobody, and so do live entries that
//! cannot be read for certain. What a lease granted that is over counts as closed already. Owns the judgement; does not change a plan, and to know who gave consent and why it was wise.

mod closing;
mod granted;
mod lockout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Allow;
use crate::model::{Code, Guard, InstanceId};
use crate::plan::{GuardName, InstancePlan, Override, Plan, Verdict};
use crate::strings::count;

/// What a guard refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Which guard.
    pub guard: GuardName,
    /// Its code.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// On which instance; `None` is the whole run.
    pub instance: Option<InstanceId>,
    /// What exactly, as a sentence fragment.
    pub reason: String,
    /// How to say that it is meant.
    pub hint: String,
}

/// What the guards say of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What is refused and was not allowed: by instance, then the run as a whole. None: the plan may be carried out.
    pub refusals: Vec<Refusal>,
    /// The consent that was needed, to become part of the plan; in the order in which it was given.
    pub used: Vec<Override>,
    /// The consent that nothing needed.
    pub unneeded: Vec<Allow>,
}

/// Judges a plan.
///
/// `scope` is the number of instances declared in all, before anything was narrowed. `reason` is why consent is given; it
/// becomes part of each override that is needed.
pub fn judge(
    plan: &Plan,
    guard: &Guard,
    scope: usize,
    allowed: &[Allow],
    reason: &str,
) -> Judgement {
    judge_undo(plan, guard, scope, &BTreeMap::new(), allowed, reason)
}

/// Judges a plan that undoes a run. `changed` are the instances that somebody else has changed since, with what is
/// different.
pub fn judge_undo(
    plan: &Plan,
    guard: &Guard,
    scope: usize,
    changed: &BTreeMap<InstanceId, String>,
    allowed: &[Allow],
    reason: &str,
) -> Judgement {
    let mut consents = Consents {
        allowed,
        used: vec![false; allowed.len()],
    };
    let mut refusals = Vec::new();
    let changing: Vec<&InstancePlan> = plan
        .instances
        .iter()
        .filter(|instance| instance.verdict == Verdict::Change)
        .collect();
    let mut regions_of = BTreeMap::<&str, usize>::new();
    for instance in &plan.instances {
        *regions_of.entry(&instance.instance.id.name).or_default() += 1;
    }
    for instance in &changing {
        let id = &instance.instance.id;
        let selector = match regions_of.get(id.name.as_str()) {
            Some(2..) => id.to_string(),
            _ => id.name.clone(),
        };
        let mut refuse = |guard: GuardName, reason: String| {
            if !consents.cover(guard, id) {
                refusals.push(Refusal {
                    guard,
                    code: guard.code(),
                    instance: Some(id.clone()),
                    reason,
                    hint: hint(guard, Some(&selector)),
                });
            }
        };
        for reason in lockout::reasons(instance, guard) {
            refuse(GuardName::Lockout, reason);
        }
        if let Some(reason) = emptied(instance) {
            refuse(GuardName::Empty, reason);
        }
        if let Some(difference) = changed.get(id) {
            let reason = format!("it has been changed since that run: {difference}");
            refuse(GuardName::ChangedSince, reason);
        }
    }
    let most = guard.most_instances(scope);
    let instances = consents.excess(&changing, most, |_| 1);
    refusals.extend(instances.map(|excess| excess.refusal("instance", "change")));
    let rules = consents.excess(&changing, guard.max_closed, closing::closed);
    refusals.extend(
        rules.map(|excess| excess.refusal("rule", "be closed to all or most of their sources")),
    );
    consents.judgement(refusals, reason)
}

/// What the guards refuse in a finished plan, and its own overrides do not allow. A plan that was judged has nothing.
pub fn lint(plan: &Plan, guard: &Guard, scope: usize) -> Vec<Refusal> {
    // Consent that cannot be read is none.
    let allowed: Vec<Allow> = plan
        .overrides
        .iter()
        .filter_map(|consent| Allow::from_override(consent).ok())
        .collect();
    // Whether somebody changed it since is not seen in a plan, and its executor writes to nothing that has changed.
    judge(plan, guard, scope, &allowed, "").refusals
}

fn emptied(plan: &InstancePlan) -> Option<String> {
    let before = &plan.before;
    let rules = granted::without_ended(plan).len() + before.uncertain().len();
    if rules == 0 || !plan.after.is_empty() {
        return None;
    }
    let all = match rules {
        1 => "its only rule".to_owned(),
        rules => format!("all of its {rules} rules"),
    };
    let left = if before.unknown().is_empty() {
        "no rule would be left"
    } else {
        "only what this program cannot read would be left"
    };
    Some(format!("{all} would be closed, and {left}"))
}

fn hint(guard: GuardName, selector: Option<&str>) -> String {
    let selector = selector
        .map(|selector| format!("={}", glob::Pattern::escape(selector)))
        .unwrap_or_default();
    format!("if that is meant: `--allow {guard}{selector} --reason \"…\"`")
}

/// More than one run may change.
struct Excess {
    /// What no consent covers.
    rest: usize,
    /// What some consent covers.
    allowed: usize,
    most: usize,
}

impl Excess {
    fn refusal(self, what: &str, verb: &str) -> Refusal {
        let Self {
            rest,
            allowed,
            most,
        } = self;
        let besides = match allowed {
            0 => String::new(),
            allowed => format!(" besides {allowed} that are allowed"),
        };
        let rest = count(rest, what);
        Refusal {
            guard: GuardName::BlastRadius,
            code: Code::BlastRadius,
            instance: None,
            reason: format!("{rest} would {verb}{besides}, and the limit of one run is {most}"),
            hint: hint(GuardName::BlastRadius, None),
        }
    }
}

/// Which of the given consents were needed.
struct Consents<'a> {
    allowed: &'a [Allow],
    used: Vec<bool>,
}

impl Consents<'_> {
    /// Whether any covers this; all that do were needed.
    fn cover(&mut self, guard: GuardName, id: &InstanceId) -> bool {
        let mut covered = false;
        for (allow, used) in self.allowed.iter().zip(&mut self.used) {
            if allow.guard == guard && allow.covers(id) {
                *used = true;
                covered = true;
            }
        }
        covered
    }

    /// What is too much where each instance counts for its size, and consent takes it out of the count.
    fn excess(
        &mut self,
        changing: &[&InstancePlan],
        most: usize,
        size: impl Fn(&InstancePlan) -> usize,
    ) -> Option<Excess> {
        let all: usize = changing.iter().map(|instance| size(instance)).sum();
        if all <= most {
            return None;
        }
        let covered = changing.iter().filter(|instance| {
            let id = &instance.instance.id;
            size(instance) > 0 && self.cover(GuardName::BlastRadius, id)
        });
        let allowed: usize = covered.map(|instance| size(instance)).sum();
        let rest = all - allowed;
        (rest > most).then_some(Excess {
            rest,
            allowed,
            most,
        })
    }

    fn judgement(self, refusals: Vec<Refusal>, reason: &str) -> Judgement {
        let mut judgement = Judgement {
            refusals,
            ..Judgement::default()
        };
        for (allow, used) in self.allowed.iter().zip(self.used) {
            if !used {
                judgement.unneeded.push(allow.clone());
                continue;
            }
            let consent = Override {
                guard: allow.guard,
                selector: allow
                    .selector
                    .as_ref()
                    .map(|selector| selector.as_str().to_owned()),
                reason: reason.to_owned(),
            };
            // The same consent given twice is one.
            if !judgement.used.contains(&consent) {
                judgement.used.push(consent);
            }
        }
        judgement
    }
}
