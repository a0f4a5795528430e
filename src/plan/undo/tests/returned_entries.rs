//! Tests of undo with entries that cannot be read, or that the service returns in another form than they were written.

use super::*;

#[test]
fn own_rule_returned_without_sources_is_undone_by_put() {
    let before = rules(&[(22, &["203.0.113.0/24"])]);
    let mut after = before.clone();
    after.set(tcp(443, 443), named(&["0.0.0.0/0"]));
    let entries = [
        PortState::canonical(tcp(22, 22), &named(&["203.0.113.0/24"])),
        PortState {
            from_port: 443,
            to_port: 443,
            protocol: "tcp".into(),
            ..PortState::default()
        },
    ];
    let live = LiveFirewall::read(&entries);
    let undo = undone(&live, &[step(&before, &after)]);
    assert_eq!(
        undo.plan.calls,
        [Call::Put {
            firewall: before.clone()
        }]
    );
    assert_eq!(lint_of(&undo), []);
}

#[test]
fn added_or_removed_unreadable_entries_are_reported() {
    let doubtful = |protocol: &str, port| PortState {
        from_port: port,
        to_port: port,
        protocol: protocol.into(),
        ..PortState::default()
    };
    let read = |rules: &Firewall, doubts: &[PortState]| {
        let certain = rules.iter();
        let certain = certain.map(|(key, sources)| PortState::canonical(*key, sources));
        let entries: Vec<PortState> = certain.chain(doubts.iter().cloned()).collect();
        LiveFirewall::read(&entries)
    };
    let before = rules(&[(22, &["203.0.113.0/24"])]);
    let mut after = before.clone();
    after.set(tcp(443, 443), named(&["0.0.0.0/0"]));
    let (stays, went) = (doubtful("tcp", 80), doubtful("udp", 53));
    let (came, unknown) = (doubtful("tcp", 81), doubtful("gre", 0));
    let undo = undo(
        &instance(),
        &read(&after, &[stays.clone(), came, unknown]),
        &read(&before, &[stays, went]),
        &[step(&before, &after)],
        Strategy::Auto,
    );
    assert_eq!(undo.plan.calls.len(), 1, "{:?}", undo.plan.verdict);
    assert_eq!(
        undo.foreign_differences,
        [
            "`udp 53-53` is gone, and cannot be written again",
            "`gre 0-0` is open, and cannot be read for certain",
            "`tcp 81-81` is open, and cannot be read for certain",
        ]
    );
}

#[test]
fn entry_replaced_by_a_put_is_not_reported() {
    let before = rules(&[(22, &["203.0.113.0/24"])]);
    let mut after = before.clone();
    after.set(tcp(443, 443), named(&["0.0.0.0/0"]));
    let mut echoed = PortState::canonical(tcp(443, 443), &Sources::new());
    echoed.state = None;
    let kept = PortState::canonical(tcp(22, 22), &named(&["203.0.113.0/24"]));
    let live = LiveFirewall::read(&[kept, echoed]);
    let undo = undone(&live, &[step(&before, &after)]);
    assert!(matches!(undo.plan.calls[..], [Call::Put { .. }]));
    assert_eq!(undo.foreign_differences, [""; 0]);
}

#[test]
fn own_rules_returned_under_other_keys_are_undone() {
    let before = rules(&[(22, &["203.0.113.0/24"])]);
    let mut after = before.clone();
    after.set(tcp(80, 81), named(&["0.0.0.0/0"]));
    let mut shown = before.clone();
    shown.set(tcp(80, 80), named(&["0.0.0.0/0"]));
    shown.set(tcp(81, 81), named(&["0.0.0.0/1", "128.0.0.0/1"]));
    let undo = undone(&LiveFirewall::from(&shown), &[step(&before, &after)]);
    assert_eq!(undo.plan.after, before);
    assert_eq!(
        (undo.foreign_differences, undo.still_open),
        (vec![], vec![])
    );
    // If there is a rule of somebody else, an own rule that is returned under another key cannot be distinguished from it.
    shown.set(tcp(8080, 8080), named(&["198.51.100.0/24"]));
    let undo = undone(&LiveFirewall::from(&shown), &[step(&before, &after)]);
    assert_eq!(undo.plan.verdict, Verdict::InSync);
    assert_eq!(undo.foreign_differences.len(), 3);
    assert_eq!(undo.still_open.len(), 1);
}
