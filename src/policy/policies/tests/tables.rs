//! Tests of policies on declared tables, without instances: a violation on every fleet is reported, and a policy that only some fleets
//! violate is undecided.
//!
//! Owns the cases in which several tables decide.

use std::collections::BTreeMap;

use super::{Line, id, narrow_admin, operators, origin, policy, private_database, rules, scene};
use super::{sources, tcp, witnesses};
use crate::model::{Cells, DeclaredTable, Demand, Mode, Policies, Policy, PolicySeverity, Waiver};
use crate::policy::policies::{
    Findings, Occurrence, Subject, check_declared_rules, check_declared_tables,
};

const WIDE: &[&str] = &["10.0.0.0/15"];
const HALF: &[&str] = &["10.0.0.0/16"];
const OTHER_HALF: &[&str] = &["10.1.0.0/16"];

/// Whether a policy applies to every instance of a table, or may apply to some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Applies {
    Always,
    Perhaps,
    Never,
}

use Applies::{Always, Never, Perhaps};

fn table(lines: &[Line<'_>], possible: Option<&[Line<'_>]>, applies: Applies) -> DeclaredTable {
    let all = |which| {
        if applies == which {
            vec![0]
        } else {
            Vec::new()
        }
    };
    DeclaredTable {
        name: "groups.web".into(),
        rules: rules(lines).into(),
        possible: possible.map(|lines| rules(lines).into()),
        waivers: Vec::new(),
        policies: all(Always),
        possible_policies: all(Perhaps),
    }
}

fn waiver(policy: &str, (key, texts): Line<'_>) -> Waiver {
    Waiver {
        policies: vec![policy.into()],
        key,
        sources: sources(texts),
        origin: origin(1),
        in_force: true,
    }
}

fn check(tables: &[DeclaredTable], policy: Policy) -> Findings {
    let policies = Policies {
        list: vec![policy],
        waivers: BTreeMap::new(),
    };
    check_declared_tables(tables, &policies)
}

/// The numbers of violations and of undecided policies.
fn counts(tables: &[DeclaredTable], policy: Policy) -> (usize, usize) {
    let found = check(tables, policy);
    (found.violations.len(), found.undecided.len())
}

const VIOLATED: (usize, usize) = (1, 0);
const UNDECIDED: (usize, usize) = (0, 1);
const HOLDS: (usize, usize) = (0, 0);

#[test]
fn violation_of_a_table_has_subject_and_witness() {
    let wide = table(&[(tcp(5432, 5432), &["0.0.0.0/0"])], None, Always);
    let found = check(&[wide], private_database());
    assert_eq!(
        witnesses(&found),
        [(Occurrence::Declared, "1.1.1.1 tcp/5432".into())]
    );
    let subject = Subject::Table("groups.web".into());
    assert_eq!(found.violations[0].subject, subject);
}

#[test]
fn table_alone_decides_its_violations() {
    let ssh = tcp(22, 22);
    let database = tcp(5432, 5432);
    let all_operators: &[&str] = &["203.0.113.0/24", "2001:db8::/32"];
    let office: &[&str] = &["203.0.113.0/24"];
    for (at, (policy, line, applies, expected)) in [
        (private_database(), (database, WIDE), Always, VIOLATED),
        (private_database(), (database, WIDE), Perhaps, UNDECIDED),
        (private_database(), (database, WIDE), Never, HOLDS),
        (private_database(), (database, office), Always, HOLDS),
        (private_database(), (database, office), Perhaps, HOLDS),
        (narrow_admin(), (ssh, WIDE), Always, VIOLATED),
        (narrow_admin(), (ssh, WIDE), Perhaps, UNDECIDED),
        (narrow_admin(), (ssh, HALF), Always, HOLDS),
        (narrow_admin(), (ssh, HALF), Perhaps, HOLDS),
        (operators(), (ssh, HALF), Always, VIOLATED),
        (operators(), (ssh, HALF), Perhaps, UNDECIDED),
        (operators(), (ssh, all_operators), Always, HOLDS),
        (operators(), (ssh, all_operators), Perhaps, HOLDS),
    ]
    .into_iter()
    .enumerate()
    {
        // No other table can change this.
        let alone = table(&[line], Some(&[line]), applies);
        assert_eq!(counts(&[alone], policy), expected, "case {at}");
    }
}

#[test]
fn policy_is_undecided_if_another_table_may_decide() {
    let ssh = tcp(22, 22);
    let all_operators: Line<'_> = (ssh, &["203.0.113.0/24", "2001:db8::/32"]);
    for (at, (policy, line, possible, expected)) in [
        // It is missing in this table, and another one may have it.
        (operators(), (ssh, HALF), Some(all_operators), UNDECIDED),
        (operators(), (ssh, HALF), None, UNDECIDED),
        (operators(), all_operators, None, HOLDS),
        // The table is within the limit, and exceeds it together with possible rules.
        (
            narrow_admin(),
            (ssh, HALF),
            Some((ssh, OTHER_HALF)),
            UNDECIDED,
        ),
        (narrow_admin(), (ssh, HALF), Some((ssh, HALF)), HOLDS),
        // Undeclared rules are no violation of the declared tables.
        (narrow_admin(), (ssh, HALF), None, HOLDS),
    ]
    .into_iter()
    .enumerate()
    {
        let both = possible.map(|other| [line, other]);
        let table = table(&[line], both.as_ref().map(|both| &both[..]), Always);
        assert_eq!(counts(&[table], policy), expected, "case {at}");
    }
}

#[test]
fn violation_is_reported_only_for_its_table() {
    let ssh = tcp(22, 22);
    let both: &[Line<'_>] = &[(ssh, WIDE), (ssh, &["192.0.2.0/24"])];
    let narrow = || table(&both[1..], Some(both), Always);
    let wide = |applies| table(&both[..1], Some(both), applies);
    assert_eq!(counts(&[narrow(), wide(Always)], narrow_admin()), VIOLATED);
    assert_eq!(
        counts(&[narrow(), wide(Perhaps)], narrow_admin()),
        UNDECIDED
    );
    // The policy does not apply to it, and together they exceed the limit.
    assert_eq!(counts(&[narrow(), wide(Never)], narrow_admin()), UNDECIDED);
    // A waiver in the table that exceeds the limit.
    let mut excused = wide(Never);
    excused.waivers = vec![waiver("p", both[0])];
    assert_eq!(counts(&[narrow(), excused.clone()], narrow_admin()), HOLDS);
    excused.waivers = vec![waiver("another", both[0])];
    assert_eq!(counts(&[narrow(), excused], narrow_admin()), UNDECIDED);
}

#[test]
fn equal_tables_are_reported_under_their_own_names() {
    let lines: &[Line<'_>] = &[(tcp(5432, 5432), WIDE)];
    // They share their rules.
    let shared = table(lines, Some(lines), Always);
    let named = |name: &str| DeclaredTable {
        name: name.into(),
        ..shared.clone()
    };
    let names = ["groups.a", "groups.b", "groups.c"];
    let found = check(&names.map(named), private_database());
    let on = found.violations.iter().map(|violation| &violation.subject);
    let expected = names.map(|name| Subject::Table(name.into()));
    assert!(on.eq(&expected), "{found:?}");
}

#[test]
fn required_access_may_come_from_a_waived_rule() {
    let operators_line: Line<'_> = (tcp(22, 22), &["203.0.113.0/24", "2001:db8::/32"]);
    for applies in [Always, Perhaps] {
        let mut table = table(&[operators_line], Some(&[operators_line]), applies);
        table.waivers = vec![waiver("p", operators_line)];
        assert_eq!(counts(&[table], operators()), HOLDS, "{applies:?}");
    }
}

#[test]
fn waived_access_is_neither_violation_nor_undecided() {
    let line: Line<'_> = (tcp(5432, 5432), WIDE);
    for applies in [Always, Perhaps] {
        let mut table = table(&[line], Some(&[line]), applies);
        table.waivers = vec![waiver("p", line)];
        assert_eq!(counts(&[table.clone()], private_database()), HOLDS);
        table.waivers = vec![waiver("another", line)];
        assert_ne!(counts(&[table], private_database()), HOLDS);
    }
}

#[test]
fn unused_waiver_is_reported_only_if_certain() {
    let office: Line<'_> = (tcp(5432, 5432), &["203.0.113.0/24"]);
    let at_most = Demand::AtMost {
        cells: Cells::Of(vec![tcp(5432, 5432)]),
        ipv4: Some(16),
        ipv6: None,
    };
    for (policy, applies, waived, unused) in [
        (private_database(), Always, "p", 1),
        (private_database(), Perhaps, "p", 0),
        (private_database(), Always, "another", 1),
        // It may exceed the limit together with other tables.
        (policy(PolicySeverity::Deny, at_most), Always, "p", 0),
    ] {
        let mut table = table(&[office], Some(&[office]), applies);
        table.waivers = vec![waiver(waived, office)];
        let found = check(&[table], policy);
        assert_eq!(found.violations, []);
        assert_eq!(found.unused_waivers.len(), unused, "{applies:?} {waived}");
    }
}

#[test]
fn declared_rules_are_checked_on_instances() {
    let ssh = tcp(22, 22);
    for (policy, lines, violations) in [
        (private_database(), &[(tcp(5432, 5432), WIDE)][..], 1),
        (narrow_admin(), &[(ssh, HALF)], 0),
        (narrow_admin(), &[(ssh, HALF), (ssh, OTHER_HALF)], 1),
    ] {
        let scene = scene(Mode::Authoritative, "dualstack", &[], lines, policy);
        let instance = scene.plan.instances[0].instance.clone();
        let instances = [(id(), instance)].into();
        let found = check_declared_rules(&scene.desired, &instances, |_| None);
        assert_eq!(found.violations.len(), violations);
        // The instance does not exist.
        let nowhere = check_declared_rules(&scene.desired, &BTreeMap::new(), |_| None);
        assert_eq!(nowhere, Findings::default());
    }
}
