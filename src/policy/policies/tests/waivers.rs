//! Tests of waivers: what they exempt, the effect of their end, and when one is not needed.

use std::sync::Arc;

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::super::{CheckedRules, Findings, Occurrence, check_policies};
use super::oracle::some_firewall;
use super::{
    Line, id, live, origin, policy, private_database, rules, scene, sources, tcp, witnesses,
};
use crate::exposure::{Atom, Effective};
use crate::model::arbitrary::family;
use crate::model::{
    Cells, Demand, Family, Firewall, InstanceId, Mode, PolicySeverity, PortState, Rule, Waiver,
};

fn waiver(line: usize, (key, texts): Line<'_>) -> Waiver {
    Waiver {
        policies: vec!["p".into()],
        key,
        sources: sources(texts),
        origin: origin(line),
        in_force: true,
    }
}

#[test]
fn waiver_does_not_cover_other_rules() {
    let db = tcp(5432, 5432);
    let (one, two): (Line<'_>, Line<'_>) = (
        (db, &["198.51.100.1/32"]),
        (tcp(5000, 6000), &["198.51.100.2/32"]),
    );
    let findings = |wanted: &[Line<'_>], waivers: Vec<Waiver>| {
        let mut scene = scene(
            Mode::Authoritative,
            "dualstack",
            &[],
            wanted,
            private_database(),
        );
        scene.desired.policies.waivers.insert(id(), waivers);
        check_policies(&scene.plan, &scene.desired, CheckedRules::Result)
    };
    assert_eq!(findings(&[one], vec![waiver(1, one)]), Findings::default());
    let both = findings(&[one, two], vec![waiver(1, one)]);
    assert_eq!(
        witnesses(&both),
        [(Occurrence::Introduced, "198.51.100.2 tcp/5432".into())]
    );
    assert_eq!(both.violations[0].lines, [origin(2)]);
    let unneeded: Line<'_> = (tcp(80, 80), &["198.51.100.1/32"]);
    let unused = findings(&[unneeded], vec![waiver(1, unneeded)]);
    assert_eq!(
        (unused.violations.len(), unused.unused_waivers.len()),
        (0, 1)
    );
    assert_eq!(unused.unused_waivers[0].origin, Some(origin(1)));
}

#[test]
fn waiver_of_an_unchecked_instance_is_not_reported_as_unused() {
    let unneeded: Line<'_> = (tcp(80, 80), &["198.51.100.1/32"]);
    let mut scene = scene(
        Mode::Authoritative,
        "dualstack",
        &[],
        &[unneeded],
        private_database(),
    );
    let elsewhere = InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web-2".into(),
    };
    scene.desired.policies.waivers = [
        (id(), vec![waiver(1, unneeded)]),
        (elsewhere, vec![waiver(1, unneeded)]),
    ]
    .into();
    assert_eq!(
        check_policies(&scene.plan, &scene.desired, CheckedRules::Result).unused_waivers,
        []
    );
}

/// The waiver of a declared rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    /// No waiver.
    None,
    /// A waiver, and the rule is in force.
    Waiver,
    /// A waiver, and the rule has ended.
    Ended,
}

/// The findings of the policy of the database for these rules and these live entries.
fn check(mode: Mode, before: &[PortState], wanted: &[(Line<'_>, Has)]) -> Findings {
    let lines: Vec<Line<'_>> = wanted.iter().map(|(line, _)| *line).collect();
    let all = rules(&lines).into_iter().zip(wanted);
    let (over, in_force): (Vec<_>, Vec<_>) = all.partition(|(_, (_, has))| *has == Has::Ended);
    let waivers = wanted
        .iter()
        .enumerate()
        .filter(|(_, (_, has))| *has != Has::None);
    let waivers = waivers.map(|(at, (line, has))| Waiver {
        in_force: *has == Has::Waiver,
        ..waiver(at + 1, *line)
    });
    let mut scene = scene(mode, "dualstack", before, &[], private_database());
    scene.desired.policies.waivers = [(id(), waivers.collect())].into();
    let rules =
        |rules: Vec<(Rule, &(Line<'_>, Has))>| rules.into_iter().map(|(rule, _)| rule).collect();
    let wanted = Arc::make_mut(scene.desired.instances.get_mut(&id()).expect("it is there"));
    (wanted.rules, wanted.expired) = (rules(in_force), rules(over));
    let plan = scene.replanned(before);
    check_policies(&plan, &scene.desired, CheckedRules::Result)
}

#[test]
fn rule_without_waiver_is_checked_beside_a_waived_one() {
    let db = tcp(5432, 5432);
    let (world, half, other): (&[&str], &[&str], &[&str]) =
        (&["0.0.0.0/0"], &["0.0.0.0/1"], &["128.0.0.0/1"]);
    let excepted: Line<'_> = (db, world);
    // Each is beside the waived rule: equal, with more or fewer ports and sources, and split.
    let beside: [(&str, Vec<Line<'_>>); 7] = [
        ("equal", vec![(db, world)]),
        ("equal by halves", vec![(db, half), (db, other)]),
        ("narrower", vec![(db, &["198.51.100.7/32"])]),
        ("one half", vec![(db, other)]),
        ("more ports", vec![(tcp(5000, 6000), world)]),
        (
            "more ports by halves",
            vec![(tcp(5000, 5432), half), (tcp(5432, 6000), other)],
        ),
        ("more sources", vec![(db, &["0.0.0.0/0", "::/0"])]),
    ];
    for (name, lines) in &beside {
        let second: Vec<(Line<'_>, Has)> = lines.iter().map(|line| (*line, Has::None)).collect();
        let open: Vec<Line<'_>> = std::iter::once(excepted)
            .chain(lines.iter().copied())
            .collect();
        for (state, before) in [
            ("new", live(&[])),
            ("live", live(&[excepted])),
            ("both live", live(&open)),
        ] {
            for has in [Has::Waiver, Has::Ended] {
                let wanted: Vec<_> = std::iter::once((excepted, has))
                    .chain(second.clone())
                    .collect();
                let found = check(Mode::Authoritative, &before, &wanted);
                assert!(found.has_refusal(), "{name}, {state}, {has:?}: {found:?}");
                let blamed: Vec<_> = (2..=wanted.len()).map(origin).collect();
                let mut lines = found.violations[0].lines.clone();
                lines.sort();
                assert_eq!(lines, blamed, "{name}, {state}, {has:?}");
            }
        }
        let alone = check(
            Mode::Authoritative,
            &live(&[excepted]),
            &[(excepted, Has::Waiver)],
        );
        assert_eq!(alone, Findings::default());
    }
    // A rule that the policy permits, or that has a waiver too, is no violation.
    let office: Line<'_> = (db, &["203.0.113.0/24"]);
    for second in [(office, Has::None), (excepted, Has::Waiver)] {
        let found = check(
            Mode::Authoritative,
            &live(&[excepted]),
            &[(excepted, Has::Waiver), second],
        );
        assert_eq!(found, Findings::default());
    }
}

#[test]
fn access_open_without_a_waiver_counts_as_existing() {
    let db = tcp(5432, 5432);
    let (world, range): (Line<'_>, Line<'_>) =
        ((db, &["0.0.0.0/0"]), (tcp(5000, 6000), &["0.0.0.0/0"]));
    // An undeclared live rule, to which the waiver does not apply.
    let found = check(Mode::Additive, &live(&[range]), &[(world, Has::Waiver)]);
    assert_eq!(
        witnesses(&found),
        [(Occurrence::Existing, "1.1.1.1 tcp/5432".into())]
    );
    // Whether it stays depends on the mode.
    for (mode, expected) in [
        (
            Mode::Observe,
            vec![(Occurrence::Existing, "1.1.1.1 tcp/5432".into())],
        ),
        (Mode::Authoritative, vec![]),
    ] {
        let found = check(mode, &live(&[range]), &[(world, Has::Waiver)]);
        assert_eq!(witnesses(&found), expected, "{mode:?}");
    }
    // A waiver of another rule does not make an existing violation a new one.
    let elsewhere: Line<'_> = (tcp(80, 80), &["0.0.0.0/0"]);
    let found = check(
        Mode::Authoritative,
        &live(&[world, elsewhere]),
        &[(world, Has::None), (elsewhere, Has::Waiver)],
    );
    assert_eq!(
        witnesses(&found),
        [(Occurrence::Existing, "1.1.1.1 tcp/5432".into())]
    );
}

proptest! {
    /// The violation contains exactly the forbidden access of the rules without a waiver.
    #[test]
    fn only_rules_without_a_waiver_are_checked(
        waived in some_firewall(),
        plain in some_firewall(),
        family in family(),
        live_already in any::<bool>(),
    ) {
        let demand = Demand::OnlyFrom {
            cells: Cells::Of(vec![tcp(22, 22)]),
            sources: sources(&["192.0.2.0/31"]),
            from: vec!["desk".into()],
        };
        let kind = if family == Family::V4 { "dualstack" } else { "ipv6" };
        let of = |firewall: &Firewall, from: usize| -> Vec<Rule> {
            let rule = |(at, (key, sources)): (usize, (&_, &crate::model::Sources))| {
                let mut rule = rules(&[(*key, &["192.0.2.1/32"])]).remove(0);
                rule.sources = sources.clone();
                Arc::make_mut(&mut rule.declared).origin = origin(from + at);
                rule
            };
            firewall.iter().enumerate().map(rule).collect()
        };
        let (with, without) = (of(&waived, 1), of(&plain, 100));
        let entries: Vec<PortState> = if live_already {
            let all: Firewall = waived.iter().chain(&plain).map(|(key, sources)| (*key, sources.clone())).collect();
            all.iter().map(|(key, sources)| PortState::canonical(*key, sources)).collect()
        } else {
            Vec::new()
        };
        let mut scene = scene(Mode::Authoritative, kind, &entries, &[], policy(PolicySeverity::Deny, demand));
        let waiver = |rule: &Rule| Waiver {
            policies: vec!["p".into()],
            key: rule.key,
            sources: rule.sources.clone(),
            origin: rule.declared.origin.clone(),
            in_force: true,
        };
        scene.desired.policies.waivers = [(id(), with.iter().map(waiver).collect())].into();
        let wanted = Arc::make_mut(scene.desired.instances.get_mut(&id()).expect("it is there"));
        wanted.rules = with.into_iter().chain(without).collect();
        let plan = scene.replanned(&entries);
        let found = check_policies(&plan, &scene.desired, CheckedRules::Result);
        let violating: Vec<_> = found.violations.iter().flat_map(|violation| violation.access.clone()).collect();
        let violating = Effective::of_boxes(&violating);
        let open = Effective::of(&plain, family);
        let universe = ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "0.0.0.0", "127.255.255.255", "128.0.0.0", "255.255.255.255", "2001:db8::", "2001:db8::1", "2001:db8::2"];
        for text in universe {
            let source: std::net::IpAddr = text.parse().expect("an address");
            let allowed = matches!(text, "192.0.2.0" | "192.0.2.1");
            let expected = open.contains(Atom::Tcp, 22, source) && !allowed;
            prop_assert_eq!(violating.contains(Atom::Tcp, 22, source), expected, "{}", text);
        }
    }
}
