//! Tests of the defects of calls: their form, their order and their effect.

use super::*;

#[test]
fn damaged_calls_are_detected() {
    check(&[
        (opens, |p| p.calls.clear(), DefectKind::NoCalls),
        (opens, |p| drop(p.calls.pop()), DefectKind::Result),
        (opens, |p| p.calls.reverse(), DefectKind::CallOrder),
        (
            opens,
            |p| p.calls.push(p.calls[1].clone()),
            DefectKind::CallOrder,
        ),
        (
            opens,
            |p| p.calls[0] = open(81, &["0.0.0.0/0"]),
            DefectKind::Excess,
        ),
        (
            opens,
            |p| p.calls[0] = open(80, &["10.0.0.0/8"]),
            DefectKind::Result,
        ),
        (
            opens,
            |p| p.calls[0] = open(80, &[]),
            DefectKind::NoSources(key(80)),
        ),
        (
            opens,
            |p| p.calls[1] = put(&p.after),
            DefectKind::PutAmongOthers,
        ),
        (
            opens,
            |p| p.fallback = Some(p.after.clone()),
            DefectKind::Fallback,
        ),
        (
            opens,
            |p| p.calls.insert(0, close(22, &["10.0.0.0/8"])),
            DefectKind::Gap,
        ),
        (
            grows,
            |p| p.fallback = Some(Firewall::new()),
            DefectKind::Fallback,
        ),
        (
            grows,
            |p| p.calls = vec![open(22, &["11.0.0.0/8"])],
            DefectKind::Uncertainty(key(22), Uncertainty::OpenWithout),
        ),
        (
            grows,
            |p| p.calls.push(close(80, &["0.0.0.0/0"])),
            DefectKind::Uncertainty(key(80), Uncertainty::CloseOther),
        ),
        (
            narrows,
            |p| p.calls = vec![put(&Firewall::new())],
            DefectKind::Result,
        ),
        (
            narrows,
            |p| p.calls = vec![open(22, &["10.0.0.0/8"])],
            DefectKind::Uncertainty(key(22), Uncertainty::OpenWithout),
        ),
        (
            narrows,
            |p| p.calls = vec![close(22, &["11.0.0.0/8"])],
            DefectKind::Uncertainty(key(22), Uncertainty::CloseOther),
        ),
    ]);
}

#[test]
fn uncertainty_is_explained() {
    for (guess, words) in [
        (Uncertainty::Spelling, "spelled oddly"),
        (Uncertainty::OpenWithout, "opens without"),
        (Uncertainty::CloseOther, "closes other sources"),
    ] {
        let shown = DefectKind::Uncertainty(key(22), guess).to_string();
        assert!(shown.contains("tcp/22") && shown.contains(words), "{shown}");
    }
}

#[test]
fn calls_must_lead_to_the_result_under_every_reading() {
    let before = LiveFirewall::from(&firewall(&[(22, &["10.0.0.0/8", "11.0.0.0/8"])]));
    let merged = ["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"];
    for (call, after) in [
        // Open merges, or replaces.
        (open(22, &merged[1..]), &merged[..]),
        (open(22, &merged[1..]), &merged[1..]),
        // Close subtracts, or removes the key.
        (close(22, &merged[..1]), &merged[1..2]),
        (close(22, &merged[..1]), &[]),
    ] {
        let rules = [(22, after)];
        let after = firewall(if after.is_empty() { &[] } else { &rules });
        let mut plan = planned(Mode::Authoritative, &before, &after);
        plan.calls = vec![call.clone()];
        let found = faults(plan);
        assert!(found.contains(&DefectKind::Result), "{call:?}: {found:?}");
    }
}

#[test]
fn idle_call_is_detected() {
    check(&[
        (
            opens,
            |p| p.calls.insert(0, open(22, &["10.0.0.0/8"])),
            DefectKind::Idle(key(22)),
        ),
        (
            opens,
            |p| p.calls.insert(0, open(22, &["10.0.0.0/8", "10.1.0.0/16"])),
            DefectKind::Idle(key(22)),
        ),
        (
            grows,
            |p| p.calls.push(close(443, &["0.0.0.0/0"])),
            DefectKind::Idle(key(443)),
        ),
        (
            // It changes only the spelling, which does not count.
            respells_by_opening,
            |p| p.strict_spelling = false,
            DefectKind::Idle(key(22)),
        ),
        (
            // The second call changes nothing.
            respells_by_opening,
            |p| p.calls.push(p.calls[0].clone()),
            DefectKind::Idle(key(22)),
        ),
    ]);
}

#[test]
fn put_that_drops_entries_is_detected() {
    let damage = |entry: PortState| {
        let mut plan = narrows();
        let entries: Vec<PortState> = plan
            .before
            .firewall()
            .iter()
            .map(|(key, sources)| PortState::canonical(*key, sources))
            .chain([entry])
            .collect();
        plan.before = LiveFirewall::read(&entries);
        plan
    };
    let unknown = PortState {
        protocol: "sctp".into(),
        ..PortState::default()
    };
    let found = faults(damage(unknown));
    assert!(found.contains(&DefectKind::PutDrops), "{found:?}");
    let doubtful = PortState::canonical(key(443), &Sources::new());
    let mut plan = damage(doubtful);
    plan.calls = vec![open(22, &["10.0.0.0/8"])];
    let found = faults(plan);
    assert!(found.contains(&DefectKind::DoubtStays), "{found:?}");
}
