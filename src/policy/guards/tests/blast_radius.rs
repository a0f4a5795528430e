//! Tests of the guards `empty` and `blast-radius`.

use super::*;

#[test]
fn instance_must_keep_a_rule() {
    let empties = one("dualstack", &[(80, &["::/0"]), (81, &["::/0"])], &[]);
    assert_eq!(
        shown(&empties, &Guard::default(), &[]),
        ["empty eu-central-1/web-1: all of its 2 rules would be closed, and no rule would be left"]
    );
    assert_eq!(
        shown(&empties, &Guard::default(), &["empty=web-*"]),
        [""; 0]
    );
    assert_eq!(guards(&one("dualstack", &[], &[(80, &["::/0"])])), []);
    let doubtful = PortState::canonical(tcp(80), &Sources::new());
    let plan = planned(&[("web-1", "dualstack", vec![doubtful], &[])]);
    assert_eq!(guards(&plan), [GuardName::Empty]);
}

/// A plan for instances that each lose one rule and keep another.
fn losing(count: usize) -> Plan {
    let names: Vec<String> = (0..count).map(|n| format!("web-{n:03}")).collect();
    let instances: Vec<_> = names
        .iter()
        .map(|name| {
            let before = entries(&[(80, &["::/0"]), (81, &["::/0"])]);
            let after: Rules<'_> = &[(80, &["::/0"])];
            (name.as_str(), "dualstack", before, after)
        })
        .collect();
    planned(&instances)
}

#[test]
fn run_must_stay_within_the_limits() {
    let limits = |max_instances, max_closed| Guard {
        max_instances,
        max_closed,
        ..Guard::default()
    };
    let no_limit = usize::MAX;
    assert_eq!(shown(&losing(5), &limits(None, 5), &[]), [""; 0]);
    assert_eq!(
        shown(&losing(6), &limits(None, no_limit), &[]),
        ["blast-radius : 6 instances would change, and the limit of one run is 5"]
    );
    assert_eq!(
        shown(&losing(6), &limits(Some(6), 5), &[]),
        [
            "blast-radius : 6 rules would be closed to all or most of their sources, and the limit of one run is 5"
        ]
    );
    // The limit depends on all declared instances, not on those of the plan.
    let judgement = judge(
        &losing(6),
        &limits(None, no_limit),
        30,
        &BTreeMap::new(),
        &[],
        "",
    );
    assert_eq!(judgement.refusals, []);
    // Instances with consent do not count.
    let six = losing(6);
    let one_less = shown(&six, &limits(None, no_limit), &["blast-radius=web-000"]);
    assert_eq!(one_less, [""; 0]);
    assert_eq!(
        shown(
            &losing(8),
            &limits(None, no_limit),
            &["blast-radius=web-000"]
        ),
        [
            "blast-radius : 7 instances would change besides 1 that are allowed, and the limit of one run is 5"
        ]
    );
    assert_eq!(
        shown(&losing(8), &limits(Some(0), 0), &["blast-radius"]),
        [""; 0]
    );
}

#[test]
fn consent_reduces_the_count_only_for_closing_instances() {
    let mut plan = losing(3);
    let opening = one("dualstack", &[], &[(80, &["::/0"])]);
    plan.instances.extend(opening.instances);
    let allowed = allow(&["blast-radius=web-1", "blast-radius=web-000"]);
    let guard = Guard {
        max_instances: Some(4),
        max_closed: 2,
        ..Guard::default()
    };
    let judgement = judge(&plan, &guard, 4, &BTreeMap::new(), &allowed, "meant");
    assert_eq!(judgement.refusals, []);
    assert_eq!(judgement.unneeded, allowed[..1]);
    let used = judgement.used.iter().map(|used| used.selector.as_deref());
    assert_eq!(used.collect::<Vec<_>>(), [Some("web-000")]);
}

/// A rule of a range of TCP ports.
type Range<'a> = (i32, i32, &'a [&'a str]);

/// A plan for one instance with these rules.
fn ranges(before: &[Range<'_>], after: &[Range<'_>]) -> Plan {
    let all = |rules: &[Range<'_>]| -> Firewall {
        let key = |from, to| Key::new(Protocol::Tcp, from, to).expect("ports");
        let rules = rules.iter();
        rules
            .map(|(from, to, texts)| (key(*from, *to), named(texts)))
            .collect()
    };
    let mut plan = one("dualstack", &[], &[(1, &["::/0"])]);
    let (before, after) = (LiveFirewall::from(&all(before)), all(after));
    let wanted = DesiredInstance {
        mode: Mode::Authoritative,
        strategy: Strategy::Auto,
        rules: after.iter().map(|(key, s)| rule(*key, s)).collect(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    };
    let instance = plan.instances[0].instance.clone();
    plan.instances[0] =
        crate::plan::plan_instance(&instance, &wanted, &before, PlanOptions::default());
    plan
}

#[test]
fn rule_counts_as_closed_if_most_sources_lose_most_ports() {
    let office: &[&str] = &["203.0.113.0/24"];
    let cases: [(&[Range<'_>], &[Range<'_>], usize); 20] = [
        (&[(80, 80, office)], &[(81, 81, office)], 1),
        (&[(80, 80, &["0.0.0.0/0"])], &[(80, 80, &["10.0.0.1"])], 1),
        // Half of the sources is not most of them.
        (&[(80, 80, office)], &[(80, 80, &["203.0.113.0/25"])], 0),
        (&[(80, 80, office)], &[(80, 80, &["203.0.113.0/26"])], 1),
        (&[(80, 80, office)], &[(80, 80, &["198.51.100.0/24"])], 1),
        (&[(80, 80, office)], &[(80, 80, &["0.0.0.0/0"])], 0),
        // The families and the aliases are counted separately.
        (
            &[(80, 80, &["0.0.0.0/0", "::/0"])],
            &[(80, 80, &["10.0.0.1", "::/0"])],
            1,
        ),
        (
            &[(80, 80, &["0.0.0.0/0", "2001:db8::/32"])],
            &[(80, 80, &["0.0.0.0/0", "2001:db8::/48"])],
            1,
        ),
        (
            &[(80, 80, &["10.0.0.0/8", "lightsail-connect"])],
            &[(80, 80, &["10.0.0.0/8"])],
            1,
        ),
        // The browser client counts if it is named; `anywhere` contains it.
        (
            &[(80, 80, &["0.0.0.0/0"])],
            &[(80, 80, &["0.0.0.0/1", "128.0.0.0/2"])],
            0,
        ),
        (
            &[(80, 80, &["10.0.0.0/8", "lightsail-connect"])],
            &[(80, 80, &["0.0.0.0/0"])],
            0,
        ),
        (
            &[(80, 80, &["0.0.0.0/0"]), (1, 99, &["lightsail-connect"])],
            &[(443, 443, office)],
            2,
        ),
        // Most of the ports.
        (&[(1, 1000, office)], &[(1, 400, office)], 1),
        (&[(1, 1000, office)], &[(1, 500, office)], 0),
        (
            &[(1, 1000, office)],
            &[(1, 400, office), (401, 1000, &["203.0.113.7"])],
            1,
        ),
        // Another spelling closes nothing.
        (
            &[(1, 1000, office)],
            &[(1, 400, office), (401, 1000, office)],
            0,
        ),
        (&[(80, 80, office), (1, 99, office)], &[(1, 99, office)], 0),
        (
            &[(80, 80, office)],
            &[(80, 80, &["203.0.113.0/25", "203.0.113.128/25"])],
            0,
        ),
        // Each rule counts alone.
        (
            &[(80, 80, office), (1, 99, office)],
            &[(443, 443, office)],
            2,
        ),
        (&[], &[(443, 443, office)], 0),
    ];
    for (at, (before, after, expected)) in cases.into_iter().enumerate() {
        let plan = ranges(before, after);
        let found = closing::count_closed_rules(&plan.instances[0]);
        assert_eq!(found, expected, "case {at}");
    }
}

#[test]
fn uncertain_entry_does_not_keep_a_rule_open() {
    let office: Rules<'_> = &[(80, &["203.0.113.0/24"])];
    let mut plan = one("dualstack", office, &[(443, &["203.0.113.0/24"])]);
    let plan = &mut plan.instances[0];
    assert_eq!(closing::count_closed_rules(plan), 1);
    // An entry without sources may let in everyone, and stays.
    let mut doubtful = PortState::canonical(tcp(80), &Sources::new());
    doubtful.to_port = 90;
    plan.before = LiveFirewall::read(&[entries(office), vec![doubtful]].concat());
    plan.calls.clear();
    plan.incomplete = Some("an entry names no source".to_owned());
    assert_eq!(closing::count_closed_rules(plan), 1);
}

/// An uncertain entry counts if the Put leaves no rule with its key, unless there was a certain rule with this key.
#[test]
fn entry_dropped_by_a_put_counts_as_closed_rule() {
    let doubtful = |port: i32, to: i32| PortState {
        from_port: port,
        to_port: to,
        protocol: "tcp".into(),
        ..PortState::default()
    };
    let (kept, other): (Rules<'_>, Rules<'_>) = (&[(443, &["::/0"])], &[(80, &["::/0"])]);
    for (at, (before, doubts, after, expected)) in [
        (kept, vec![doubtful(80, 80)], kept, 1),
        (kept, vec![doubtful(80, 80), doubtful(81, 81)], kept, 2),
        (kept, vec![doubtful(90, 80)], kept, 1),
        (kept, vec![doubtful(80, 80)], other, 1),
        (other, vec![doubtful(80, 80)], other, 0),
        (other, vec![doubtful(80, 80)], kept, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let live = [entries(before), doubts].concat();
        let mut plan = planned(&[("web-1", "dualstack", live, after)]);
        let plan = &mut plan.instances[0];
        assert!(
            matches!(plan.calls[..], [Call::Put { .. }]),
            "{at}: {plan:?}"
        );
        assert_eq!(closing::count_closed_rules(plan), expected, "case {at}");
        // Without a Put, the entry stays.
        plan.calls.clear();
        let rules = usize::from(before != after);
        assert_eq!(closing::count_closed_rules(plan), rules, "case {at}");
    }
}

#[test]
fn rule_reduced_to_one_address_counts_as_closed() {
    let world: Vec<Range<'_>> = (0..50)
        .map(|n| (8000 + n, 8000 + n, &["0.0.0.0/0", "::/0"][..]))
        .collect();
    let home: Vec<Range<'_>> = (0..50)
        .map(|n| (8000 + n, 8000 + n, &["203.0.113.7"][..]))
        .collect();
    let plan = ranges(&world, &home);
    assert_eq!(
        shown(&plan, &Guard::default(), &[]),
        [
            "blast-radius : 50 rules would be closed to all or most of their sources, and the limit of one run is 25"
        ]
    );
}
