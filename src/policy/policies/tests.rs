//! Tests of policies on plans: wide access is found in every spelling, and an existing violation refuses nothing.

mod fleet;
mod oracle;
mod required;
mod tables;
mod waivers;
mod wording;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{CheckedRules, Findings, Occurrence, Subject, check_policies};
use crate::exposure::Access;
use crate::model::{
    Cells, Declaration, Demand, Desired, Family, Instance, InstanceId, Key, Live, LiveFirewall,
    Mode, Origin, Policies, Policy, PolicySeverity, PortState, Protocol, Rule, Sources,
};
use crate::plan::arbitrary::{desired_instance, instance};
use crate::plan::{self, Plan, PlanOptions};

/// A rule: a key, and its sources.
type Line<'a> = (Key, &'a [&'a str]);

fn tcp(from: i32, to: i32) -> Key {
    Key::new(Protocol::Tcp, from, to).expect("a key")
}

fn sources(texts: &[&str]) -> Sources {
    let mut sources = Sources::new();
    for text in texts {
        match Sources::parse_live(text) {
            Some(net) => sources.insert(net),
            None => sources.insert_alias(*text),
        }
    }
    sources
}

fn origin(line: usize) -> Origin {
    Origin {
        file: "firewall.toml".into(),
        line,
        column: 1,
    }
}

fn rules(lines: &[Line<'_>]) -> Vec<Rule> {
    let rule = |(at, (key, texts)): (usize, &Line<'_>)| Rule {
        key: *key,
        sources: sources(texts),
        declared: Arc::new(Declaration {
            allow: key.to_string().into(),
            from: texts.iter().map(ToString::to_string).collect(),
            origin: origin(at + 1),
            why: None,
            owner: None,
            until: None,
        }),
    };
    lines.iter().enumerate().map(rule).collect()
}

fn live(lines: &[Line<'_>]) -> Vec<PortState> {
    lines
        .iter()
        .map(|(key, texts)| PortState::canonical(*key, &sources(texts)))
        .collect()
}

fn id() -> InstanceId {
    InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web-1".into(),
    }
}

fn policy(severity: PolicySeverity, demand: Demand) -> Policy {
    Policy {
        id: "p".into(),
        severity,
        demands: vec![demand],
        instances: None,
        origin: Some(origin(90)),
        why: None,
    }
}

/// A policy that opens administration to a /16 at most.
fn narrow_admin() -> Policy {
    let cells = Cells::Of(vec![tcp(22, 22), tcp(3389, 3389)]);
    let demand = Demand::AtMost {
        cells,
        ipv4: Some(16),
        ipv6: Some(48),
    };
    policy(PolicySeverity::Deny, demand)
}

/// A policy that opens the database only to the office.
fn private_database() -> Policy {
    let demand = Demand::OnlyFrom {
        cells: Cells::Of(vec![tcp(5432, 5432)]),
        sources: sources(&["203.0.113.0/24"]),
        from: vec!["office".into()],
    };
    policy(PolicySeverity::Deny, demand)
}

/// A policy that requires SSH for the operators.
fn operators() -> Policy {
    let lines: &[Line<'_>] = &[(tcp(22, 22), &["203.0.113.0/24", "2001:db8::/32"])];
    policy(PolicySeverity::Deny, Demand::Require(rules(lines)))
}

struct Scene {
    desired: Desired,
    plan: Plan,
}

impl Scene {
    /// A plan for the current desired state.
    fn replanned(&self, entries: &[PortState]) -> Plan {
        let instance = self.plan.instances[0].instance.clone();
        planned(&self.desired, instance, entries)
    }
}

fn planned(desired: &Desired, instance: Instance, entries: &[PortState]) -> Plan {
    let live = Live {
        instances: [(id(), instance)].into(),
        firewalls: [(id(), Ok(LiveFirewall::read(entries)))].into(),
        ..Live::default()
    };
    plan::plan(desired, &live, PlanOptions::default())
}

fn scene(
    mode: Mode,
    kind: &str,
    entries: &[PortState],
    wanted: &[Line<'_>],
    policy: Policy,
) -> Scene {
    let wanted = desired_instance(mode, rules(wanted));
    let instance = Instance {
        id: id(),
        ..instance("web-1", kind)
    };
    let desired = Desired {
        instances: [(id(), wanted.into())].into(),
        policies: Policies {
            list: vec![policy],
            waivers: BTreeMap::new(),
        },
        ..Desired::default()
    };
    let plan = planned(&desired, instance, entries);
    Scene { desired, plan }
}

fn found(before: &[Line<'_>], after: &[Line<'_>], policy: Policy) -> Findings {
    let scene = scene(
        Mode::Authoritative,
        "dualstack",
        &live(before),
        after,
        policy,
    );
    check_policies(&scene.plan, &scene.desired, CheckedRules::Result)
}

/// The occurrence and the witness of each violation.
fn witnesses(findings: &Findings) -> Vec<(Occurrence, String)> {
    let shown = |v: &super::Violation| {
        (
            v.occurrence,
            format!("{} {}", v.witness.source, v.witness.port),
        )
    };
    findings.violations.iter().map(shown).collect()
}

#[test]
fn wide_access_is_found_in_every_spelling() {
    let halves: &[&str] = &["0.0.0.0/1", "128.0.0.0/1"];
    let mut all_but_one = Access::everyone();
    all_but_one.v4 = all_but_one
        .v4
        .difference(&Access::from(&sources(&["192.0.2.1/32"])).v4);
    let texts: Vec<String> = all_but_one.to_sources(Family::V4).cidrs().collect();
    let all_but_one: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ssh = tcp(22, 22);
    for lines in [
        &[(ssh, &["0.0.0.0/0"][..])][..],
        &[(ssh, halves)],
        &[(ssh, &all_but_one)],
        &[(Key::ALL, &["0.0.0.0/0"])],
        &[(tcp(20, 30), &["0.0.0.0/0"])],
        &[
            (tcp(0, 22), &["0.0.0.0/1"]),
            (tcp(22, 65_535), &["128.0.0.0/1"]),
        ],
        &[(ssh, &["198.51.0.0/16"]), (tcp(21, 22), &["192.0.2.0/32"])],
        &[(ssh, &["198.51.0.0/16"]), (Key::ALL, &["203.0.113.7/32"])],
    ] {
        let findings = found(&[], lines, narrow_admin());
        assert!(findings.has_refusal(), "{lines:?}");
        let first = &findings.violations[0];
        assert_eq!(
            (first.witness.port.as_str(), first.occurrence),
            ("tcp/22", Occurrence::Introduced)
        );
        let every: Vec<Origin> = (1..=lines.len()).map(origin).collect();
        assert_eq!(first.lines, every, "each rule has a part in it: {lines:?}");
    }
    for lines in [
        &[(ssh, &["198.51.0.0/16"][..])][..],
        &[(ssh, &["198.51.0.0/17", "198.51.128.0/17", "2001:db8::/48"])],
        &[
            (ssh, &["198.51.0.0/16"]),
            (tcp(3389, 3389), &["192.0.0.0/16"]),
        ],
        &[(tcp(23, 3388), &["0.0.0.0/0", "::/0"])],
    ] {
        assert_eq!(
            found(&[], lines, narrow_admin()),
            Findings::default(),
            "{lines:?}"
        );
    }
}

#[test]
fn violation_has_a_witness() {
    let findings = found(
        &[],
        &[(tcp(5000, 6000), &["203.0.113.0/24", "198.51.100.7/32"])],
        private_database(),
    );
    let [violation] = &findings.violations[..] else {
        panic!("{findings:?}");
    };
    assert_eq!(
        violation.reason,
        "198.51.100.7 gets in at tcp/5432, and only `office` may"
    );
    assert_eq!(
        violation.hint,
        "narrow firewall.toml:1, or except a rule with `waive = [\"p\"]`, `why`, `owner` and `until`"
    );
    assert_eq!(violation.subject, Subject::Instance(id()));
    let wide = found(&[], &[(tcp(22, 22), &["0.0.0.0/0"])], narrow_admin());
    assert_eq!(
        wide.violations[0].reason,
        "tcp/22 is open to the whole IPv4 internet; the limit is a /16"
    );
}

#[test]
fn alias_is_a_source_of_its_own() {
    let line: &[Line<'_>] = &[(tcp(5432, 5432), &["203.0.113.0/24", "lightsail-connect"])];
    let findings = found(&[], line, private_database());
    assert_eq!(
        witnesses(&findings),
        [(
            Occurrence::Introduced,
            "`lightsail-connect` tcp/5432".into()
        )]
    );
}

#[test]
fn only_new_violations_refuse_a_plan() {
    let db = tcp(5432, 5432);
    let wide: &[Line<'_>] = &[(db, &["198.51.100.0/24"])];
    // It is left as it is while something else changes; it is narrowed; it is widened.
    let other: &[Line<'_>] = &[(db, &["198.51.100.0/24"]), (tcp(80, 80), &["0.0.0.0/0"])];
    let narrower: &[Line<'_>] = &[(db, &["198.51.100.0/25"])];
    let wider: &[Line<'_>] = &[(db, &["198.51.100.0/24", "192.0.2.1/32"])];
    for (after, refused, expected) in [
        (
            wide,
            false,
            vec![(Occurrence::Existing, "198.51.100.0 tcp/5432")],
        ),
        (
            other,
            false,
            vec![(Occurrence::Existing, "198.51.100.0 tcp/5432")],
        ),
        (
            narrower,
            false,
            vec![(Occurrence::Existing, "198.51.100.0 tcp/5432")],
        ),
        (&[], false, vec![]),
        (
            wider,
            true,
            vec![
                (Occurrence::Introduced, "192.0.2.1 tcp/5432"),
                (Occurrence::Existing, "198.51.100.0 tcp/5432"),
            ],
        ),
    ] {
        let findings = found(wide, after, private_database());
        let expected: Vec<(Occurrence, String)> = expected
            .into_iter()
            .map(|(s, w)| (s, w.to_owned()))
            .collect();
        assert_eq!(
            (findings.has_refusal(), witnesses(&findings)),
            (refused, expected),
            "{after:?}"
        );
    }
}

#[test]
fn witness_is_the_address_that_exceeds_the_limit() {
    let before: &[Line<'_>] = &[(tcp(22, 22), &["198.51.0.0/16"])];
    let after: &[Line<'_>] = &[(tcp(22, 22), &["198.51.0.0/16", "203.0.113.7/32"])];
    let findings = found(before, after, narrow_admin());
    assert_eq!(
        witnesses(&findings),
        [(Occurrence::Introduced, "203.0.113.7 tcp/22".into())]
    );
}

#[test]
fn warning_does_not_refuse_a_plan() {
    let mut policy = private_database();
    policy.severity = PolicySeverity::Warn;
    let findings = found(&[], &[(tcp(5432, 5432), &["0.0.0.0/0"])], policy);
    assert_eq!(
        (findings.has_refusal(), findings.violations.len()),
        (false, 1)
    );
}

#[test]
fn browser_client_is_allowed_where_its_whole_family_is() {
    let ssh = tcp(22, 22);
    let only_from = |texts: &[&str]| {
        policy(
            PolicySeverity::Deny,
            Demand::OnlyFrom {
                cells: Cells::Of(vec![ssh]),
                sources: sources(texts),
                from: texts.iter().map(ToString::to_string).collect(),
            },
        )
    };
    let require = |texts: &'static [&'static str]| {
        let lines: &[Line<'_>] = &[(ssh, texts)];
        policy(PolicySeverity::Deny, Demand::Require(rules(lines)))
    };
    let alias: &[Line<'_>] = &[(ssh, &["lightsail-connect"])];
    let world: &[Line<'_>] = &[(ssh, &["0.0.0.0/0"])];
    for (wanted, policy, broken) in [
        (alias, only_from(&["0.0.0.0/0"]), false),
        (alias, only_from(&["0.0.0.0/0", "::/0"]), false),
        (alias, only_from(&["::/0"]), true),
        (alias, only_from(&["0.0.0.0/1"]), true),
        (world, only_from(&["lightsail-connect"]), true),
        (world, require(&["lightsail-connect"]), false),
        (alias, require(&["0.0.0.0/0"]), true),
    ] {
        assert_eq!(!found(&[], wanted, policy).violations.is_empty(), broken);
    }
}

#[test]
fn uncertain_entry_is_a_possible_violation_on_its_port() {
    let scene_of = |port, mode, policy, wanted: &[Line<'_>]| {
        let doubt = PortState {
            from_port: port,
            to_port: port,
            protocol: "tcp".into(),
            ..PortState::default()
        };
        scene(mode, "dualstack", &[doubt], wanted, policy)
    };
    let ours = Mode::Authoritative;
    let live = |port, policy| {
        let scene = scene_of(port, ours, policy, &[]);
        witnesses(&check_policies(
            &scene.plan,
            &scene.desired,
            CheckedRules::Live,
        ))
    };
    let world = (Occurrence::Live, "1.1.1.1 tcp/5432".into());
    assert_eq!(live(5432, private_database()), [world]);
    assert_eq!(live(22, private_database()), []);
    // Possible access does not satisfy a requirement.
    for port in [22, 5432] {
        let lacking = (Occurrence::Live, "203.0.113.0 tcp/22".into());
        assert_eq!(live(port, operators()), [lacking]);
    }
    // Possible access before does not make the same certain access an existing violation.
    for port in [22, 5432] {
        let line: &[Line<'_>] = &[(tcp(5432, 5432), &["0.0.0.0/0"])];
        let opening = scene_of(port, ours, private_database(), line);
        assert!(
            check_policies(&opening.plan, &opening.desired, CheckedRules::Result).has_refusal()
        );
    }
    // A possible violation that stays is not introduced by the plan.
    let line: &[Line<'_>] = &[(tcp(80, 80), &["0.0.0.0/0"])];
    let existing = (Occurrence::Existing, "1.1.1.1 tcp/5432".into());
    for (port, expected) in [(5432, vec![existing]), (22, vec![])] {
        let beside = scene_of(port, Mode::Additive, private_database(), line);
        let findings = check_policies(&beside.plan, &beside.desired, CheckedRules::Result);
        assert_eq!(
            (findings.has_refusal(), witnesses(&findings)),
            (false, expected)
        );
    }
}

#[test]
fn plans_without_calls_are_not_checked() {
    let scene = scene(
        Mode::Observe,
        "dualstack",
        &[],
        &[(tcp(5432, 5432), &["0.0.0.0/0"])],
        private_database(),
    );
    assert_eq!(
        check_policies(&scene.plan, &scene.desired, CheckedRules::Result),
        Findings::default()
    );
}

#[test]
fn policy_applies_only_to_its_instances() {
    let lines: &[Line<'_>] = &[(tcp(5432, 5432), &["0.0.0.0/0"])];
    for (instances, violations) in [(BTreeSet::new(), 0), (BTreeSet::from([id()]), 1)] {
        let mut policy = private_database();
        policy.instances = Some(instances);
        assert_eq!(found(&[], lines, policy).violations.len(), violations);
    }
}
