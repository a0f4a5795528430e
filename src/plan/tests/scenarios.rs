//! Tests of single changes: the call that is planned, or why there is none.

use super::*;

const SSH: (Protocol, i32, i32) = (Protocol::Tcp, 22, 22);
const HTTPS: (Protocol, i32, i32) = (Protocol::Tcp, 443, 443);

fn k((protocol, from, to): (Protocol, i32, i32)) -> Key {
    key(protocol, from, to)
}

fn verbs(plan: &InstancePlan) -> Vec<&str> {
    plan.calls.iter().map(Call::verb).collect()
}

#[test]
fn each_kind_of_change_has_its_call() {
    let ssh = |texts: &'static [&'static str]| firewall(&[(k(SSH), texts)]);
    for (before, wanted, call) in [
        (firewall(&[]), ssh(&["10.0.0.0/8"]), "open"),
        (
            ssh(&["10.0.0.0/8"]),
            ssh(&["10.0.0.0/8", "11.0.0.0/8"]),
            "open",
        ),
        (ssh(&["10.0.0.0/8"]), firewall(&[]), "close"),
        (
            ssh(&["10.0.0.0/8", "11.0.0.0/8"]),
            ssh(&["10.0.0.0/8"]),
            "put",
        ),
        (ssh(&["10.0.0.0/25"]), ssh(&["10.0.0.0/24"]), "put"),
        (
            ssh(&["10.0.0.0/8"]),
            firewall(&[(k(HTTPS), &["10.0.0.0/8"])]),
            "put",
        ),
    ] {
        let plan = planned(&desired(Mode::Authoritative, &wanted), &before);
        assert_eq!(verbs(&plan), [call], "{before:?} -> {wanted:?}");
        assert_eq!(plan.fallback.is_some(), call != "put");
    }
}

#[test]
fn other_spelling_is_in_sync_with_a_note() {
    let before = firewall(&[(k(SSH), &["10.0.0.0/9", "10.128.0.0/9"])]);
    let wanted = firewall(&[(k(SSH), &["10.0.0.0/8"])]);
    let plan = planned(&desired(Mode::Authoritative, &wanted), &before);
    assert_eq!(plan.verdict, Verdict::InSync);
    assert_eq!(
        plan.notes[0].text,
        "live means the same in another spelling"
    );
}

#[test]
fn rule_in_odd_spelling_is_changed_by_put_only() {
    let odd = PortState {
        cidrs: vec!["10.0.0.1".into()],
        ..PortState::canonical(k(SSH), &Sources::new())
    };
    let live = LiveFirewall::read(&[odd]);
    let close = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &Firewall::new()),
        &live,
        PlanOptions::default(),
    );
    assert_eq!(verbs(&close), ["put"]);
    let wanted = firewall(&[(k(SSH), &["10.0.0.1", "10.0.0.2"])]);
    let grow = plan_instance(
        &instance(),
        &desired(Mode::Additive, &wanted),
        &live,
        PlanOptions::default(),
    );
    let Verdict::Refused { reason, .. } = grow.verdict else {
        panic!("{grow:?}")
    };
    assert!(reason.contains("tcp/22 has no safe call"), "{reason}");
}

#[test]
fn uncertain_entry_is_replaced_or_kept_with_a_note() {
    let wanted = firewall(&[(k(HTTPS), &["0.0.0.0/0"])]);
    let entries = [
        PortState::canonical(k(HTTPS), &named(&["0.0.0.0/0"])),
        PortState::canonical(k(SSH), &Sources::new()),
    ];
    let live = LiveFirewall::read(&entries);
    let ours = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &wanted),
        &live,
        PlanOptions::default(),
    );
    assert_eq!((verbs(&ours), &ours.incomplete), (vec!["put"], &None));
    let theirs = plan_instance(
        &instance(),
        &desired(Mode::Additive, &wanted),
        &live,
        PlanOptions::default(),
    );
    assert!(theirs.calls.is_empty() && theirs.incomplete.is_some());
}

#[test]
fn unknown_protocol_forbids_only_put() {
    let unknown = PortState {
        protocol: "sctp".into(),
        ..PortState::canonical(k(SSH), &named(&["10.0.0.0/8"]))
    };
    let live = LiveFirewall::read(&[
        unknown,
        PortState::canonical(k(SSH), &named(&["10.0.0.0/8", "11.0.0.0/8"])),
    ]);
    let wanted = firewall(&[
        (k(SSH), &["10.0.0.0/8", "11.0.0.0/8"]),
        (k(HTTPS), &["::/0"]),
        (key(Protocol::Udp, 53, 53), &["::/0"]),
    ]);
    let safe = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &wanted),
        &live,
        PlanOptions::default(),
    );
    assert_eq!(verbs(&safe), ["open", "open"]);
    assert!(safe.fallback.is_none() && safe.incomplete.is_some());
    let narrower = firewall(&[(k(SSH), &["10.0.0.0/8"])]);
    let refused = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &narrower),
        &live,
        PlanOptions::default(),
    );
    assert!(
        matches!(refused.verdict, Verdict::Refused { .. }),
        "{refused:?}"
    );
}

#[test]
fn more_than_sixty_sources_are_refused_unless_the_number_shrinks() {
    let many = |n: u8| -> Firewall { [(k(SSH), many(22, n))].into_iter().collect() };
    let verdict = |before, wanted| planned(&desired(Mode::Authoritative, &wanted), &before).verdict;
    assert_eq!(verdict(Firewall::new(), many(60)), Verdict::Change);
    let Verdict::Refused { reason, .. } = verdict(many(3), many(61)) else {
        panic!("61 sources")
    };
    assert_eq!(
        reason,
        "61 IPv4 sources in all rules, but an instance can have 60 (now 3)"
    );
    assert_eq!(verdict(many(70), many(65)), Verdict::Change);
}

#[test]
fn opened_sources_must_fit_before_others_are_closed() {
    let rules = |ports: &[(i32, u8)]| -> Firewall {
        let rule = |(port, n): &(i32, u8)| (tcp(*port, *port), many(*port, *n));
        ports.iter().map(rule).collect()
    };
    let (before, wanted) = (rules(&[(22, 55), (80, 5)]), rules(&[(22, 55), (443, 5)]));
    let with = |mode, strategy| {
        let mut desired = desired(mode, &wanted);
        desired.strategy = strategy;
        if mode == Mode::Additive {
            desired.absent = vec![Absent {
                key: tcp(80, 80),
                sources: None,
                origin: origin(9),
                why: None,
                owner: None,
            }];
        }
        planned(&desired, &before)
    };
    for (mode, strategy) in [
        (Mode::Authoritative, Strategy::Auto),
        (Mode::Authoritative, Strategy::Put),
        (Mode::Additive, Strategy::Put),
    ] {
        let plan = with(mode, strategy);
        assert!(matches!(plan.calls[..], [Call::Put { .. }]), "{plan:?}");
    }
    for (mode, consent) in [
        (Mode::Authoritative, "use `--strategy put`"),
        (Mode::Additive, "on the instance, permits it"),
    ] {
        let Verdict::Refused { reason, hint } = with(mode, Strategy::Incremental).verdict else {
            panic!("65 sources at once")
        };
        assert_eq!(
            reason,
            "rules are opened before others are closed, which needs 65 IPv4 sources at once, but an instance can have 60"
        );
        assert!(hint.is_some_and(|hint| hint.contains(consent)));
    }
    // With fewer live sources, all of them fit.
    let (before, wanted) = (rules(&[(22, 50), (80, 5)]), rules(&[(22, 50), (443, 5)]));
    let mut desired = desired(Mode::Authoritative, &wanted);
    desired.strategy = Strategy::Incremental;
    let plan = planned(&desired, &before);
    assert!(
        matches!(plan.calls[..], [Call::Open { .. }, Call::Close { .. }]),
        "{plan:?}"
    );
}

#[test]
fn expired_rule_is_removed_unless_it_is_declared_elsewhere() {
    let before = firewall(&[
        (k(SSH), &["10.0.0.1", "10.0.0.2"]),
        (k(HTTPS), &["10.0.0.1"]),
    ]);
    let mut wanted = desired(Mode::Additive, &firewall(&[(k(SSH), &["10.0.0.2"])]));
    wanted.strategy = Strategy::Put;
    wanted.expired = rules(&firewall(&[
        (k(SSH), &["10.0.0.1", "10.0.0.2"]),
        (k(HTTPS), &["10.0.0.1"]),
    ]));
    let plan = planned(&wanted, &before);
    assert_eq!(plan.after, firewall(&[(k(SSH), &["10.0.0.2"])]));
    assert_eq!(
        plan.changes[0]
            .causes
            .iter()
            .map(|c| c.kind)
            .collect::<Vec<_>>(),
        [CauseKind::Declared, CauseKind::Expired]
    );
}

#[test]
fn doubtful_entry_stays_unless_a_put_replaces_it() {
    let doubtful = |protocol: &str| PortState {
        from_port: 9,
        to_port: 9,
        protocol: protocol.into(),
        ..PortState::default()
    };
    let certain = PortState::canonical(tcp(22, 22), &named(&["10.0.0.0/8"]));
    let wanted = firewall(&[(tcp(80, 80), &["10.0.0.0/8"])]);
    for (mode, protocols, stay) in [
        (Mode::Authoritative, &[][..], 0),
        (Mode::Authoritative, &["tcp"], 0),
        (Mode::Authoritative, &["gre"], 1),
        (Mode::Authoritative, &["tcp", "gre"], 2),
        (Mode::Additive, &[], 0),
        (Mode::Additive, &["tcp"], 1),
        (Mode::Additive, &["gre"], 1),
        (Mode::Additive, &["tcp", "gre"], 2),
    ] {
        let mut entries = vec![certain.clone()];
        entries.extend(protocols.iter().map(|protocol| doubtful(protocol)));
        let live = LiveFirewall::read(&entries);
        let plan = plan_instance(
            &instance(),
            &desired(mode, &wanted),
            &live,
            PlanOptions::default(),
        );
        let case = format!("{mode:?} {protocols:?}: {plan:?}");
        assert_eq!(plan.has_remaining_doubt(), stay > 0, "{case}");
        assert_eq!(plan.doubts_after().len(), stay, "{case}");
        let (before, after) = (plan.reach_before(), plan.reach_after());
        assert_eq!(before.doubt().is_empty(), protocols.is_empty(), "{case}");
        assert_eq!(after.doubt().is_empty(), stay == 0, "{case}");
    }
}

#[test]
fn unreadable_entries_take_part_of_the_source_limit() {
    for (unread, wanted, reason) in [
        (0, 60, None),
        (1, 59, None),
        (
            1,
            60,
            Some(
                "61 IPv4 sources in all rules, 1 of them in entries that cannot be read, but an instance can have 60",
            ),
        ),
        (
            0,
            61,
            Some("61 IPv4 sources in all rules, but an instance can have 60 (now 50)"),
        ),
    ] {
        let ssh = |n| -> Firewall { [(k(SSH), many(22, n))].into_iter().collect() };
        let before = ssh(50);
        let before = before.iter();
        let certain = before.map(|(key, sources)| PortState::canonical(*key, sources));
        let unknown = (0..unread).map(|_| PortState {
            protocol: "sctp".into(),
            cidrs: vec!["10.0.0.0/8".into()],
            ..PortState::default()
        });
        let live = LiveFirewall::read(&certain.chain(unknown).collect::<Vec<_>>());
        let mut desired = desired(Mode::Authoritative, &ssh(wanted));
        desired.strategy = Strategy::Incremental;
        let plan = plan_instance(&instance(), &desired, &live, PlanOptions::default());
        let found = match &plan.verdict {
            Verdict::Refused { reason, .. } => Some(reason.as_str()),
            _ => None,
        };
        assert_eq!(found, reason, "{unread} {wanted}");
    }
}

#[test]
fn undecided_and_unreadable_instances_are_passed_on() {
    let id = |name: &str| InstanceId {
        name: name.into(),
        ..instance().id
    };
    let why = |reason: &str| Unreadable::new(reason);
    let desired = Desired {
        undecided: [(id("undecided"), why("a"))].into(),
        missing: vec![Missing {
            name: "missing".into(),
            origin: origin(1),
            hint: None,
        }],
        undeclared: vec![Undeclared {
            id: id("undeclared"),
        }],
        notes: vec![Note {
            text: "a note".into(),
            origin: None,
        }],
        ..Desired::default()
    };
    let site = Site {
        account: None,
        region: "eu-west-1".into(),
    };
    let live = Live {
        sites_unreadable: [(site.clone(), why("b"))].into(),
        ..Live::default()
    };
    let found = plan(&desired, &live, PlanOptions::default());
    let expected = Plan {
        undecided: vec![(id("undecided"), why("a"))],
        sites_unreadable: vec![(site, why("b"))],
        missing: desired.missing.clone(),
        undeclared: desired.undeclared.clone(),
        notes: desired.notes.clone(),
        ..Plan::default()
    };
    assert_eq!(found, expected);
}
