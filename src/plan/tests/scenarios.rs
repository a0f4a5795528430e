//! One change at a time: which call it is, or why there is none.

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
fn one_kind_of_change_is_one_kind_of_call() {
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
fn another_spelling_is_in_sync_and_says_so() {
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
fn an_odd_spelling_is_changed_by_put_only() {
    let odd = PortState {
        cidrs: vec!["10.0.0.1".into()],
        ..PortState::canonical(k(SSH), &Sources::new())
    };
    let live = LiveFirewall::read(&[odd]);
    let close = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &Firewall::new()),
        &live,
        Options::default(),
    );
    assert_eq!(verbs(&close), ["put"]);
    let wanted = firewall(&[(k(SSH), &["10.0.0.1", "10.0.0.2"])]);
    let grow = plan_instance(
        &instance(),
        &desired(Mode::Additive, &wanted),
        &live,
        Options::default(),
    );
    let Verdict::Refused { reason, .. } = grow.verdict else {
        panic!("{grow:?}")
    };
    assert!(reason.contains("tcp/22 has no safe call"), "{reason}");
}

#[test]
fn what_is_uncertain_is_replaced_or_left_and_named() {
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
        Options::default(),
    );
    assert_eq!((verbs(&ours), &ours.incomplete), (vec!["put"], &None));
    let theirs = plan_instance(
        &instance(),
        &desired(Mode::Additive, &wanted),
        &live,
        Options::default(),
    );
    assert!(theirs.calls.is_empty() && theirs.incomplete.is_some());
}

#[test]
fn an_unknown_protocol_forbids_put_and_nothing_else() {
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
        Options::default(),
    );
    assert_eq!(verbs(&safe), ["open", "open"]);
    assert!(safe.fallback.is_none() && safe.incomplete.is_some());
    let narrower = firewall(&[(k(SSH), &["10.0.0.0/8"])]);
    let refused = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &narrower),
        &live,
        Options::default(),
    );
    assert!(
        matches!(refused.verdict, Verdict::Refused { .. }),
        "{refused:?}"
    );
}

#[test]
fn more_than_sixty_sources_are_refused_unless_they_get_fewer() {
    let many = |n: u8| -> Firewall {
        let texts: Vec<String> = (0..n).map(|i| format!("10.0.{i}.0/24")).collect();
        [(
            k(SSH),
            named(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
        )]
        .into_iter()
        .collect()
    };
    let verdict = |before, wanted| planned(&desired(Mode::Authoritative, &wanted), &before).verdict;
    assert_eq!(verdict(Firewall::new(), many(60)), Verdict::Change);
    let Verdict::Refused { reason, .. } = verdict(many(3), many(61)) else {
        panic!("61 sources")
    };
    assert_eq!(
        reason,
        "61 IPv4 sources over all rules, and an instance takes 60 (now 3)"
    );
    assert_eq!(verdict(many(70), many(65)), Verdict::Change);
}

#[test]
fn an_expired_rule_is_taken_back_unless_it_is_declared_otherwise() {
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
