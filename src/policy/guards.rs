//! Guards: checks of a change that need explicit consent to be passed.
//!
//! | guard | refuses |
//! |---|---|
//! | `lockout` | that tcp/22 or tcp/3389 loses all sources that reached it before, or that a source loses access of `[guard] keep` |
//! | `blast-radius` | more instances to change, or more rules to close, than `[guard]` permits |
//! | `empty` | that an instance with rules would have none |
//! | `changed-since` | in a rollback: that somebody else has changed the rules since the run that is rolled back |
//!
//! **Owns** the decisions. Lockout and closed rules are decided on effective access, so that spelling cannot evade them. Lockout
//! counts only sources that can reach the instance: not those of a family that it lacks, and not uncertain live entries. The access
//! of an ended lease counts as closed already. **Does not** change a plan, or know who gave consent.

mod closing;
mod ended_leases;
mod lockout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Consent;
use crate::model::{Code, Guard, InstanceId};
use crate::plan::{GuardName, InstancePlan, Override, Plan, Verdict};
use crate::strings::count;

/// The refusal of a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The guard.
    pub guard: GuardName,
    /// The code of the guard.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// The instance; `None` is the whole run.
    pub instance: Option<InstanceId>,
    /// The reason, as a sentence fragment.
    pub reason: String,
    /// How to give consent.
    pub hint: String,
}

/// The decisions of all guards on a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Judgement {
    /// The refusals without consent, by instance, then of the whole run. If there are none, the plan may be carried out.
    pub refusals: Vec<Refusal>,
    /// The consent that was needed, which becomes part of the plan, in the order in which it was given.
    pub used: Vec<Override>,
    /// The consent that was not needed.
    pub unneeded: Vec<Consent>,
}

/// Checks a plan.
///
/// `scope` is the number of all declared instances, before any restriction. `changed` are the instances that somebody else has
/// changed since the run that the plan rolls back, with the difference. `reason` is the reason of the consent; it becomes part of
/// each override that is needed.
pub fn judge(
    plan: &Plan,
    guard: &Guard,
    scope: usize,
    changed: &BTreeMap<InstanceId, String>,
    allowed: &[Consent],
    reason: &str,
) -> Judgement {
    let mut consents = ConsentUse {
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
        if let Some(reason) = emptied_reason(instance) {
            refuse(GuardName::Empty, reason);
        }
        if let Some(difference) = changed.get(id) {
            let reason = format!("it has been changed since that run: {difference}");
            refuse(GuardName::ChangedSince, reason);
        }
    }
    let limit = guard.instance_limit(scope);
    refusals.extend(consents.excess(&changing, limit, |_| 1, ["instance", "change"]));
    let words = ["rule", "be closed to all or most of their sources"];
    let size = closing::count_closed_rules;
    refusals.extend(consents.excess(&changing, guard.max_closed, size, words));
    consents.judgement(refusals, reason)
}

/// The refusals of the guards in a finished plan that its own overrides do not permit. A plan that was checked has none.
pub fn lint(plan: &Plan, guard: &Guard, scope: usize) -> Vec<Refusal> {
    // Consent that cannot be parsed does not count.
    let allowed: Vec<Consent> = plan
        .overrides
        .iter()
        .filter_map(|consent| Consent::from_override(consent).ok())
        .collect();
    // A plan does not say what others changed since then, but its executor does not write to changed instances.
    judge(plan, guard, scope, &BTreeMap::new(), &allowed, "").refusals
}

/// The reason why a plan leaves an instance without rules, if it does.
fn emptied_reason(plan: &InstancePlan) -> Option<String> {
    let before = &plan.before;
    let rules = ended_leases::without_ended_leases(plan).len() + before.uncertain().len();
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

/// The given consents, and which of them were needed.
struct ConsentUse<'a> {
    allowed: &'a [Consent],
    used: Vec<bool>,
}

impl ConsentUse<'_> {
    /// Whether any consent covers this; all that do are marked as needed.
    fn cover(&mut self, guard: GuardName, id: &InstanceId) -> bool {
        let mut is_covered = false;
        for (allow, used) in self.allowed.iter().zip(&mut self.used) {
            if allow.guard == guard && allow.covers(id) {
                *used = true;
                is_covered = true;
            }
        }
        is_covered
    }

    /// The refusal of an excess over the limit, if each instance counts with its size and instances with consent do not count.
    fn excess(
        &mut self,
        changing: &[&InstancePlan],
        limit: usize,
        size: impl Fn(&InstancePlan) -> usize,
        [noun, verb]: [&str; 2],
    ) -> Option<Refusal> {
        let all: usize = changing.iter().map(|instance| size(instance)).sum();
        if all <= limit {
            return None;
        }
        let covered = changing.iter().filter(|instance| {
            let id = &instance.instance.id;
            size(instance) > 0 && self.cover(GuardName::BlastRadius, id)
        });
        let allowed: usize = covered.map(|instance| size(instance)).sum();
        let rest = all - allowed;
        let besides = match allowed {
            0 => String::new(),
            allowed => format!(" besides {allowed} that are allowed"),
        };
        let count = count(rest, noun);
        (rest > limit).then(|| Refusal {
            guard: GuardName::BlastRadius,
            code: Code::BlastRadius,
            instance: None,
            reason: format!("{count} would {verb}{besides}, and the limit of one run is {limit}"),
            hint: hint(GuardName::BlastRadius, None),
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
            // The same consent may be given twice.
            if !judgement.used.contains(&consent) {
                judgement.used.push(consent);
            }
        }
        judgement
    }
}
