//! Policy violations as findings: one for each group of equal violations.
//!
//! **Owns** the grouping, the words, and the location of a violation. **Does not** evaluate policies.

use std::collections::BTreeMap;

use super::{Finding, FindingKind, Level, instance_name, location_of};
use crate::exposure::{self, ComparisonSubject, Exposed, Line};
use crate::model::{Origin, PolicySeverity};
use crate::policy::{Occurrence, Subject, Violation, ViolationKind};
use crate::render::formats::{sanitize, truncate_list};
use crate::render::group::group_by_key;

/// Instances that a message names; the machine-readable reports have all of them.
const NAMED: usize = 8;

/// Lines of access that a finding shows; the exact boxes are in the machine-readable reports.
pub(in crate::render) const SHOWN: usize = 6;

/// The same violation in one or more places.
pub(in crate::render) struct ViolationGroup<'a> {
    /// Any of them: they differ in nothing but their place.
    pub(in crate::render) violation: &'a Violation,
    /// The instances and tables that have it, in the order of the run.
    pub(in crate::render) on: Vec<&'a Subject>,
}

/// Violations with equal keys are one group.
type GroupKey<'a> = (
    (&'a str, PolicySeverity, Occurrence, ViolationKind),
    (&'a str, &'a str),
    (&'a [Exposed], &'a [Origin]),
);

/// Violations that differ in their place only, as one, in the order of the run.
pub(in crate::render) fn group_violations(violations: &[Violation]) -> Vec<ViolationGroup<'_>> {
    let mut known: BTreeMap<GroupKey<'_>, usize> = BTreeMap::new();
    let mut all: Vec<ViolationGroup<'_>> = Vec::new();
    for violation in violations {
        let v = violation;
        let key = (
            (v.policy.as_str(), v.severity, v.occurrence, v.kind),
            (v.reason.as_str(), v.hint.as_str()),
            (&v.access[..], &v.lines[..]),
        );
        let at = *known.entry(key).or_insert_with(|| {
            let on = Vec::new();
            all.push(ViolationGroup { violation, on });
            all.len() - 1
        });
        all[at].on.push(&violation.subject);
    }
    all
}

/// A policy that does not hold, in one way or several.
pub(in crate::render) struct BrokenPolicy<'a> {
    /// The worst of its violations.
    pub(in crate::render) violation: &'a Violation,
    /// Its mistakes, in the order of the run.
    pub(in crate::render) mistakes: Vec<ViolationGroup<'a>>,
}

impl BrokenPolicy<'_> {
    /// The level of its findings.
    pub(in crate::render) fn level(&self) -> Level {
        level(self.violation)
    }
}

/// The same by policy, in the order of the run.
pub(in crate::render) fn broken_policies(violations: &[Violation]) -> Vec<BrokenPolicy<'_>> {
    let mistakes = group_violations(violations).into_iter();
    let by_policy = group_by_key(mistakes.map(|one| (one.violation.policy.as_str(), one)));
    let broken = by_policy.into_iter().map(|(_, mistakes)| BrokenPolicy {
        violation: mistakes[0].violation,
        mistakes,
    });
    broken.collect()
}

/// A finding for each mistake.
pub(super) fn findings(violations: &[Violation]) -> Vec<Finding> {
    group_violations(violations)
        .iter()
        .map(ViolationGroup::finding)
        .collect()
}

impl ViolationGroup<'_> {
    fn finding(&self) -> Finding {
        let violation = self.violation;
        let lines = violation.lines.iter().chain(&violation.declared);
        let mut places = lines.filter_map(location_of);
        let (policy, reason) = (sanitize(&violation.policy), sanitize(&violation.reason));
        let on = self.on.iter().map(|on| subject_name(on)).collect();
        Finding {
            rule: FindingKind::Policy(policy.clone()),
            level: level(violation),
            message: format!(
                "{} policy `{policy}` ({}) on {}: {reason}",
                violation_prefix(violation),
                occurrence(violation.occurrence),
                truncate_list(on, NAMED).join(", ")
            ),
            details: self.access(SHOWN),
            hint: Some(sanitize(&violation.hint)),
            location: places.next(),
            related: places.collect(),
            // Neither the instances that have it nor what it was before make it another one.
            identity: Some(reason),
        }
    }

    /// Where, as groups of instances name it.
    pub(in crate::render) fn subjects(&self) -> Vec<ComparisonSubject> {
        let subject = |on: &&Subject| match on {
            Subject::Instance(id) => ComparisonSubject::Instance(id.clone()),
            Subject::Table(_) => ComparisonSubject::Every(subject_name(on)),
        };
        self.on.iter().map(subject).collect()
    }

    /// The forbidden or missing access, in a limited number of lines.
    pub(in crate::render) fn access(&self, most: usize) -> Vec<String> {
        let lines = exposure::lines(&self.violation.access);
        let verb = self.violation.kind.state();
        let line = |line: &Line| format!("{verb}: {}", sanitize(&line.to_string()));
        let mut texts: Vec<String> = lines.iter().take(most).map(line).collect();
        if lines.len() > most {
            texts.push(format!("{verb}: {} more", lines.len() - most));
        }
        texts
    }
}

fn level(violation: &Violation) -> Level {
    match violation.severity {
        PolicySeverity::Deny => Level::Error,
        PolicySeverity::Warn => Level::Warning,
    }
}

/// The consequence for the plan.
pub(in crate::render) fn violation_prefix(violation: &Violation) -> &'static str {
    if violation.is_refusal() {
        "refused by"
    } else {
        "against"
    }
}

/// The origin of the violation.
pub(in crate::render) fn occurrence(seen: Occurrence) -> &'static str {
    match seen {
        Occurrence::Introduced => "introduced by this plan",
        Occurrence::Existing => "existing, not made worse",
        Occurrence::Live => "live",
        Occurrence::Declared => "as declared",
    }
}

/// An instance or a table, as messages name it.
fn subject_name(on: &Subject) -> String {
    match on {
        Subject::Instance(id) => instance_name(id),
        Subject::Table(table) => format!("[{}]", sanitize(table)),
    }
}
