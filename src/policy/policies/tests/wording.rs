//! Tests of the texts, the hints and the order of violations.
//!
//! Does not test whether there is a violation.

use super::super::{CheckedRules, Findings, Occurrence, ViolationKind, check_policies};
use super::{Line, found, live, narrow_admin, operators, policy, private_database, scene};
use super::{origin, sources, tcp};
use crate::model::{Absent, Cells, Demand, Mode, Policy, PolicySeverity, Strategy, Waiver};
use crate::plan::{PlanOptions, Verdict, plan_instance};

const WORLD: &[&str] = &["0.0.0.0/0"];

#[test]
fn occurrence_has_a_word() {
    for (occurrence, name) in [
        (Occurrence::Introduced, "introduced"),
        (Occurrence::Existing, "existing"),
        (Occurrence::Live, "live"),
        (Occurrence::Declared, "declared"),
    ] {
        assert_eq!(serde_json::to_value(occurrence).expect("JSON"), name);
    }
    for (kind, word, state, verb) in [
        (ViolationKind::Excess, "excess", "open", "gets in at"),
        (
            ViolationKind::Possible,
            "possible",
            "perhaps open",
            "may get in at",
        ),
        (
            ViolationKind::Missing,
            "missing",
            "missing",
            "does not get in at",
        ),
    ] {
        assert_eq!(serde_json::to_value(kind).expect("JSON"), word);
        assert_eq!((kind.state(), kind.verb()), (state, verb));
    }
}

#[test]
fn violations_are_sorted_by_consequence() {
    let named = |id: &str, severity, policy: Policy| Policy {
        id: id.into(),
        severity,
        ..policy
    };
    let mut list = [
        named("a", PolicySeverity::Warn, narrow_admin()),
        named("b", PolicySeverity::Deny, private_database()),
        named("c", PolicySeverity::Deny, narrow_admin()),
        named("d", PolicySeverity::Warn, private_database()),
    ];
    let before: &[Line<'_>] = &[(tcp(5432, 5432), WORLD)];
    let after: &[Line<'_>] = &[(tcp(5432, 5432), WORLD), (tcp(22, 22), WORLD)];
    for _ in 0..list.len() {
        list.rotate_left(1);
        let mut scene = scene(
            Mode::Authoritative,
            "dualstack",
            &live(before),
            after,
            narrow_admin(),
        );
        scene.desired.policies.list = list.to_vec();
        let found = check_policies(&scene.plan, &scene.desired, CheckedRules::Result);
        let order: Vec<_> = found.violations.iter().map(|v| v.policy.as_str()).collect();
        assert_eq!(order, ["c", "b", "a", "d"]);
    }
}

#[test]
fn undeclared_violation_is_closed_by_apply_in_authoritative_mode() {
    let before: &[Line<'_>] = &[(tcp(22, 22), WORLD)];
    let hint = |mode, state| {
        let scene = scene(mode, "dualstack", &live(before), &[], narrow_admin());
        let found = check_policies(&scene.plan, &scene.desired, state);
        found.violations[0].hint.clone()
    };
    let prefix = "no declared rule opens it: ";
    for (mode, state, advice) in [
        (Mode::Additive, CheckedRules::Result, "name it in `absent`"),
        (Mode::Additive, CheckedRules::Live, "name it in `absent`"),
        (
            Mode::Observe,
            CheckedRules::Result,
            "close it where this instance is managed",
        ),
        (Mode::Authoritative, CheckedRules::Live, "`apply` closes it"),
    ] {
        assert_eq!(hint(mode, state), format!("{prefix}{advice}"));
    }
    // A refused plan leaves it open, and `apply` would be refused again.
    let both: &[Line<'_>] = &[(tcp(22, 22), &["0.0.0.0/0", "192.0.2.0/24"])];
    let mut scene = scene(
        Mode::Authoritative,
        "dualstack",
        &live(both),
        &[],
        narrow_admin(),
    );
    let planned = &mut scene.plan.instances[0];
    planned.verdict = Verdict::Refused {
        reason: "for a test".into(),
        hint: None,
    };
    planned.calls.clear();
    let found = check_policies(&scene.plan, &scene.desired, CheckedRules::Result);
    assert_eq!(found.violations[0].hint, format!("{prefix}close it"));
}

#[test]
fn absent_violation_is_closed_or_reported_as_still_open() {
    let (ssh, http) = (tcp(22, 22), tcp(80, 80));
    let both: &[Line<'_>] = &[(ssh, WORLD), (http, WORLD)];
    let inside: &[Line<'_>] = &[(tcp(20, 30), WORLD)];
    let other: &[Line<'_>] = &[(ssh, WORLD), (tcp(79, 81), WORLD)];
    let unnamed = "no declared rule opens it: name it in `absent`";
    let goes = "no declared rule opens it: `apply` closes it";
    let through = "`absent` names it, and it is open through the live rule tcp/20-30: ";
    for (before, absent, hint) in [
        (both, &[][..], unnamed),
        (both, &[http], unnamed),
        (both, &[ssh], goes),
        (both, &[http, ssh], goes),
        (inside, &[ssh], through),
        (other, &[http], unnamed),
    ] {
        let entries = live(before);
        let mut scene = scene(Mode::Additive, "dualstack", &entries, &[], narrow_admin());
        let mut wanted = (*scene.desired.instances[&super::id()]).clone();
        let named = absent.iter().map(|key| Absent {
            key: *key,
            sources: None,
            origin: origin(9),
            why: None,
            owner: None,
        });
        wanted.absent = named.collect();
        let instances = &mut scene.desired.instances;
        instances.insert(super::id(), wanted.into());
        let plan = scene.replanned(&entries);
        let found = check_policies(&plan, &scene.desired, CheckedRules::Live);
        let actual = &found.violations[0].hint;
        assert!(actual.starts_with(hint), "{before:?} {absent:?}: {actual}");
    }
}

#[test]
fn existing_violation_has_the_same_reason_as_a_new_one() {
    let database: &[Line<'_>] = &[(tcp(5432, 5432), &["192.0.2.1/32"])];
    let reason = "192.0.2.1 gets in at tcp/5432, and only `office` may";
    for (before, occurrence) in [
        (&[][..], Occurrence::Introduced),
        (database, Occurrence::Existing),
    ] {
        let found = found(before, database, private_database());
        let violation = &found.violations[0];
        assert_eq!(
            (violation.occurrence, &*violation.reason),
            (occurrence, reason)
        );
    }
    let mut scene = scene(
        Mode::Authoritative,
        "dualstack",
        &live(database),
        database,
        private_database(),
    );
    let [(key, texts)] = database else {
        panic!("one line: {database:?}")
    };
    let over = Waiver {
        policies: vec!["p".into()],
        key: *key,
        sources: sources(texts),
        origin: origin(1),
        in_force: false,
    };
    let waivers = &mut scene.desired.policies.waivers;
    waivers.insert(super::id(), vec![over]);
    let found = check_policies(&scene.plan, &scene.desired, CheckedRules::Result);
    let violation = &found.violations[0];
    let leave = "; it was let in before by leave of a waiver that does not cover this";
    assert_eq!(
        (violation.occurrence, violation.reason.clone()),
        (Occurrence::Introduced, format!("{reason}{leave}"))
    );
}

#[test]
fn missing_required_access_is_worded() {
    let missing = found(&[], &[(tcp(80, 80), WORLD)], operators());
    let [violation] = &missing.violations[..] else {
        panic!("{missing:?}")
    };
    assert_eq!(violation.kind, ViolationKind::Missing);
    assert_eq!(violation.lines, []);
    assert!(violation.hint.contains("declare a rule"), "{violation:?}");
    assert!(
        violation.reason.contains("does not get in"),
        "{violation:?}"
    );
    let wide = found(&[], &[(tcp(22, 22), WORLD)], narrow_admin());
    assert_eq!(wide.violations[0].kind, ViolationKind::Excess);
    assert_eq!(wide.violations[0].lines.len(), 1);
}

#[test]
fn permitted_sources_are_listed_or_counted() {
    let reason = |from: &[&str]| {
        let demand = Demand::OnlyFrom {
            cells: Cells::Of(vec![tcp(5432, 5432)]),
            sources: sources(&["203.0.113.0/24"]),
            from: from.iter().map(ToString::to_string).collect(),
        };
        let lines: &[Line<'_>] = &[(tcp(5432, 5432), &["192.0.2.1/32"])];
        let found = found(&[], lines, policy(PolicySeverity::Deny, demand));
        found.violations[0].reason.clone()
    };
    let start = "192.0.2.1 gets in at tcp/5432, and";
    assert_eq!(reason(&[]), format!("{start} nobody may"));
    assert_eq!(reason(&["a"]), format!("{start} only `a` may"));
    assert_eq!(
        reason(&["a", "b", "c", "d"]),
        format!("{start} only `a`, `b`, `c`, `d` may")
    );
    assert_eq!(
        reason(&["a", "b", "c", "d", "e", "f"]),
        format!("{start} only `a`, `b`, `c`, `d` and 2 more may")
    );
}

/// The families are counted separately.
#[test]
fn limit_is_the_size_of_one_network() {
    for (texts, is_broken) in [
        (&["10.0.0.0/16"][..], false),
        (&["10.0.0.0/16", "192.0.2.1/32"], true),
        (&["2001:db8::/48"], false),
        (&["2001:db8::/49", "2001:db9::/49"], false),
        (&["2001:db8::/48", "2001:db9::1/128"], true),
        (&["::/0"], true),
        (&["::/1"], true),
        (&["10.0.0.0/16", "2001:db8::/48"], false),
    ] {
        let lines: &[Line<'_>] = &[(tcp(22, 22), texts)];
        let found = found(&[], lines, narrow_admin());
        assert_eq!(!found.violations.is_empty(), is_broken, "{texts:?}");
    }
}

/// The result of an instance is not reused for an equal one whose plan differs.
#[test]
fn different_instances_have_their_own_wording() {
    let before: &[Line<'_>] = &[(tcp(22, 22), &["192.0.2.0/24"])];
    let after: &[Line<'_>] = &[(tcp(22, 22), WORLD)];
    let mut scene = scene(
        Mode::Authoritative,
        "dualstack",
        &live(before),
        after,
        narrow_admin(),
    );
    let mut second = scene.plan.instances[0].clone();
    second.instance.id.name = "web-2".into();
    let shared = scene.desired.instances[&super::id()].clone();
    scene
        .desired
        .instances
        .insert(second.instance.id.clone(), shared.clone());
    scene.plan.instances.push(second);
    let occurrences = |scene: &super::Scene| -> Vec<Occurrence> {
        let found: Findings = check_policies(&scene.plan, &scene.desired, CheckedRules::Result);
        found
            .violations
            .iter()
            .map(|violation| violation.occurrence)
            .collect()
    };
    assert_eq!(occurrences(&scene), [Occurrence::Introduced; 2]);
    // A plan without calls changes nothing.
    let change = scene.plan.instances[1].clone();
    scene.plan.instances[1].verdict = Verdict::Observed;
    assert_eq!(occurrences(&scene), [Occurrence::Introduced]);
    // Another strategy may lead to other rules.
    scene.plan.instances[1] = change;
    let mut narrow = (*shared).clone();
    narrow.strategy = Strategy::Put;
    narrow.rules.clear();
    let other = &scene.plan.instances[1];
    let planned = plan_instance(
        &other.instance,
        &narrow,
        &other.before,
        PlanOptions::default(),
    );
    scene.plan.instances[1] = planned;
    assert_eq!(occurrences(&scene), [Occurrence::Introduced]);
}
