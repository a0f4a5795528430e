//! One mistake is one finding, wherever and however long it has been there, and a scanner can always show it.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::*;
use crate::model::arbitrary::Universe;
use crate::model::{Code, PolicySeverity};
use crate::plan::arbitrary::plans;
use crate::policy::{Occurrence, Subject, Violation, ViolationKind, Witness};
use crate::render::sarif;

fn origin(line: usize) -> Origin {
    Origin {
        file: "firewall.toml".into(),
        line,
        column: 3,
    }
}

fn violation(name: &str, seen: Occurrence, lines: &[usize]) -> Violation {
    Violation {
        code: Code::Policy,
        policy: "no-ssh".into(),
        severity: PolicySeverity::Deny,
        occurrence: seen,
        subject: Subject::Table(format!("instances.{name}")),
        reason: "1.1.1.1 gets in at tcp/22, and nobody may".into(),
        witness: Witness {
            source: "1.1.1.1".into(),
            port: "tcp/22".into(),
        },
        kind: ViolationKind::Excess,
        access: Vec::new(),
        lines: lines.iter().copied().map(origin).collect(),
        declared: Some(origin(90)),
        hint: "narrow it".into(),
    }
}

fn log(run: &RunReport<'_>) -> Vec<Value> {
    let log: Value = serde_json::from_str(&sarif::document(run)).expect("JSON");
    let results = &log["runs"][0]["results"];
    results.as_array().expect("a list").clone()
}

fn logged(violations: &[Violation]) -> Vec<Value> {
    log(&RunReport {
        verb: "plan",
        violations,
        ..RunReport::default()
    })
}

#[test]
fn repeated_mistake_is_one_finding() {
    let names: Vec<String> = (0..12).map(|n| format!("web-{n}")).collect();
    let many = names
        .iter()
        .map(|name| violation(name, Occurrence::Introduced, &[7, 9]));
    let violations: Vec<Violation> = many.collect();
    let run = RunReport {
        violations: &violations,
        ..RunReport::default()
    };
    let found = findings(&run);
    let [finding] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(finding.rule.id(), "PW-305/no-ssh");
    assert_eq!(finding.level, Level::Error);
    assert!(finding.message.contains("[instances.web-7], 4 more"));
    assert_eq!(finding.location.as_ref().map(|at| at.line), Some(7));
    let related: Vec<usize> = finding.related.iter().map(|at| at.line).collect();
    assert_eq!(related, [9, 90]);
}

#[test]
fn fingerprint_of_a_violation_is_stable() {
    let new = logged(&[violation("web-1", Occurrence::Introduced, &[7])]);
    let old = logged(&[
        violation("web-1", Occurrence::Existing, &[8]),
        violation("web-2", Occurrence::Existing, &[8]),
    ]);
    assert_eq!(new[0]["partialFingerprints"], old[0]["partialFingerprints"]);
    let mut other = violation("web-1", Occurrence::Introduced, &[7]);
    other.reason = "1.1.1.1 gets in at tcp/23, and nobody may".into();
    assert_ne!(
        new[0]["partialFingerprints"],
        logged(&[other])[0]["partialFingerprints"]
    );
}

#[test]
fn violation_without_a_rule_is_at_its_policy() {
    let at = |result: &Value| {
        let place = &result["locations"][0]["physicalLocation"];
        (
            place["artifactLocation"]["uri"].clone(),
            place["region"]["startLine"].clone(),
        )
    };
    let missing = logged(&[violation("web-1", Occurrence::Live, &[])]);
    assert_eq!(at(&missing[0]), ("firewall.toml".into(), 90.into()));
    let mut built_in = violation("web-1", Occurrence::Live, &[]);
    built_in.declared = None;
    let run = RunReport {
        config: "fleet/a b.toml",
        violations: &[built_in],
        ..RunReport::default()
    };
    assert_eq!(at(&log(&run)[0]), ("fleet/a%20b.toml".into(), 1.into()));
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn every_finding_has_a_location(plan in plans(Universe::Big)) {
        let run = RunReport { verb: "plan", plan: Some(&plan), ..RunReport::default() };
        let results = log(&run);
        prop_assert_eq!(results.len(), findings(&run).len());
        for result in results {
            let place = &result["locations"][0]["physicalLocation"];
            prop_assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| !uri.is_empty()));
            prop_assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 0));
        }
    }
}
