//! Tests of the limit on sources, in the result and between calls.

use super::*;

#[test]
fn too_many_sources_are_detected() {
    let many = |n: u8| -> Firewall {
        let nets = (0..n).filter_map(|i| Sources::parse_live(&format!("10.0.{i}.0/24")));
        [(key(22), nets.collect())].into_iter().collect()
    };
    let mut plan = planned(Mode::Authoritative, &LiveFirewall::default(), &many(60));
    assert_eq!(faults(plan.clone()), []);
    plan.after = many(61);
    let found = faults(plan);
    assert!(found.contains(&DefectKind::TooManySources(61)), "{found:?}");
}

#[test]
fn source_count_above_the_limit_must_shrink() {
    let nets = |numbers: std::ops::Range<u8>| -> Firewall {
        let nets = numbers.filter_map(|i| Sources::parse_live(&format!("10.0.{i}.0/24")));
        [(key(22), nets.collect())].into_iter().collect()
    };
    let live = |numbers| LiveFirewall::from(&nets(numbers));
    let fewer = planned(Mode::Authoritative, &live(0..62), &nets(0..61));
    assert_eq!(faults(fewer), []);
    let mut as_many = planned(Mode::Authoritative, &live(0..60), &nets(1..61));
    assert_eq!(faults(as_many.clone()), []);
    (as_many.before, as_many.after) = (live(0..61), nets(1..62));
    let found = faults(as_many);
    assert!(found.contains(&DefectKind::TooManySources(61)), "{found:?}");
}

/// Unreadable entries count while they stay, for each family separately.
#[test]
fn unreadable_sources_count_against_the_limit() {
    let text = |is_ipv4: bool, n: u8| {
        if is_ipv4 {
            format!("10.0.{n}.0/24")
        } else {
            format!("2001:db8:{n:x}::/48")
        }
    };
    for is_ipv4 in [true, false] {
        let nets = |count: u8| -> Firewall {
            let nets = (0..count).filter_map(|n| Sources::parse_live(&text(is_ipv4, n)));
            [(key(22), nets.collect())].into_iter().collect()
        };
        let texts: Vec<String> = (0..3).map(|n| text(is_ipv4, n)).collect();
        let unread = PortState {
            protocol: "sctp".into(),
            ..if is_ipv4 {
                PortState {
                    cidrs: texts,
                    ..PortState::default()
                }
            } else {
                PortState {
                    ipv6_cidrs: texts,
                    ..PortState::default()
                }
            }
        };
        // The numbers of certain sources before and after, and whether there are too many with three unreadable ones.
        for (before, after, too_many) in [
            (1, 57, false),
            (1, 58, true),
            (62, 61, false),
            (62, 62, true),
            (61, 61, true),
        ] {
            let certain = nets(before);
            let certain = certain.iter();
            let certain = certain.map(|(key, sources)| PortState::canonical(*key, sources));
            let entries: Vec<PortState> = certain.chain([unread.clone()]).collect();
            let plan = InstancePlan {
                before: LiveFirewall::read(&entries),
                after: nets(after),
                ..opens()
            };
            let found = faults(plan);
            let fault = DefectKind::TooManySources(usize::from(after) + 3);
            assert_eq!(
                found.contains(&fault),
                too_many,
                "{before} {after}: {found:?}"
            );
        }
    }
}

#[test]
fn unchanged_source_count_is_allowed_between_calls() {
    let many = |n: u8| -> Firewall {
        let nets = (0..n).filter_map(|i| Sources::parse_live(&format!("10.0.{i}.0/24")));
        [(key(22), nets.collect())].into_iter().collect()
    };
    let (before, after) = (many(62), many(61));
    let mut plan = planned(Mode::Authoritative, &LiveFirewall::from(&before), &after);
    // The call changes nothing, so the number stays the same.
    plan.calls = vec![Call::Close {
        key: key(99),
        sources: Sources::anywhere(),
    }];
    let found = faults(plan);
    let too_many = |fault: &DefectKind| matches!(fault, DefectKind::TooManySources(_));
    assert!(!found.iter().any(too_many), "{found:?}");
}

#[test]
fn too_many_sources_between_calls_are_detected() {
    let many = |port: u8, n: u8| -> (Key, Sources) {
        let nets = (0..n).filter_map(|i| Sources::parse_live(&format!("10.{port}.{i}.0/24")));
        (key(port.into()), nets.collect())
    };
    let before: Firewall = [many(22, 55), many(80, 5)].into_iter().collect();
    let wanted: Firewall = [many(22, 55), many(90, 5)].into_iter().collect();
    let mut plan = planned(Mode::Authoritative, &LiveFirewall::from(&before), &wanted);
    assert!(matches!(plan.calls[..], [Call::Put { .. }]), "{plan:?}");
    assert_eq!(faults(plan.clone()), []);
    let (opened, sources) = many(90, 5);
    let (closed, gone) = many(80, 5);
    plan.calls = vec![
        Call::Open {
            key: opened,
            sources,
        },
        Call::Close {
            key: closed,
            sources: gone,
        },
    ];
    assert_eq!(faults(plan), [DefectKind::TooManySources(65)]);
}
