//! Tests of undo against a table of four cases for each source and key, and on examples.

mod returned_entries;

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::{
    ProptestConfig, TestCaseError, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::strategy::Strategy as _;

use super::*;
use crate::exposure::{Access, Atom};
use crate::model::arbitrary::{Universe, change, firewall, named};
use crate::model::{PortState, Protocol};
use crate::plan::{Plan, Verdict, lint};

fn instance() -> Instance {
    crate::plan::arbitrary::instance("web", "dualstack")
}

fn tcp(from: i32, to: i32) -> Key {
    Key::new(Protocol::Tcp, from, to).expect("a key")
}

fn rules(rules: &[(i32, &[&str])]) -> Firewall {
    rules
        .iter()
        .map(|(port, texts)| (tcp(*port, *port), named(texts)))
        .collect()
}

fn step(before: &Firewall, after: &Firewall) -> Step {
    Step {
        before: before.clone(),
        after: after.clone(),
    }
}

fn undone(live: &LiveFirewall, steps: &[Step]) -> Undo {
    let before = steps.first().map(|step| LiveFirewall::from(&step.before));
    let before = before.unwrap_or_default();
    undo(&instance(), live, &before, steps, Strategy::Auto)
}

fn lint_of(undo: &Undo) -> Vec<lint::Defect> {
    lint::lint(&Plan {
        instances: vec![undo.plan.clone()],
        ..Plan::default()
    })
}

/// Whether a key must let a source in after the undo. Each step has the access before and after; `is` is the access now.
fn wanted(steps: &[(bool, bool)], is: bool) -> bool {
    let touched = steps.iter().find(|(before, after)| before != after);
    touched.map_or(is, |(before, _)| *before)
}

/// The first and the last address of every network, and their neighbours, because access can change only there.
fn addresses<'a>(firewalls: impl Iterator<Item = &'a Firewall>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for sources in firewalls.flat_map(|firewall| firewall.iter().map(|(_, sources)| sources)) {
        for net in sources.ipv4() {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let around = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
            found.extend(around.map(|bits| IpAddr::V4(bits.into())));
        }
        for net in sources.ipv6() {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let around = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
            found.extend(around.map(|bits| IpAddr::V6(bits.into())));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The access by key.
struct ByKey(BTreeMap<Key, Access>);

impl ByKey {
    fn of(firewall: &Firewall) -> Self {
        let rules = firewall.iter();
        Self(rules.map(|(key, to)| (*key, Access::from(to))).collect())
    }

    fn lets_in(&self, key: Key, address: IpAddr) -> bool {
        self.0.get(&key).is_some_and(|by| by.contains(address))
    }
}

/// Compares the result with the table, for every key and every address at which access can change.
fn check(undo: &Undo, live: &Firewall, steps: &[Step]) -> Result<(), TestCaseError> {
    prop_assert_eq!(lint_of(undo), []);
    if let Verdict::Refused { reason, .. } = &undo.plan.verdict {
        prop_assert!(reason.contains("sources in all rules"), "{}", reason);
        return Ok(());
    }
    let origin = steps.first().map_or(live, |step| &step.before);
    let states = || steps.iter().flat_map(|step| [&step.before, &step.after]);
    let all = || states().chain([live]);
    let result = &undo.plan.after;
    let keys: BTreeSet<Key> = all().chain([result]).flat_map(Firewall::keys).collect();
    let family = Family::default();
    if is_undisturbed(live, steps, family) {
        prop_assert!(exposure::equivalent(result, origin, family));
        prop_assert!(undo.still_open.is_empty());
        return Ok(());
    }
    let in_steps = steps.iter();
    let in_steps: Vec<_> = in_steps
        .map(|step| (ByKey::of(&step.before), ByKey::of(&step.after)))
        .collect();
    let (live, of_result) = (ByKey::of(live), ByKey::of(result));
    let mut model = BTreeMap::new();
    for address in addresses(all()) {
        for key in keys.iter().copied() {
            let in_steps: Vec<_> = in_steps
                .iter()
                .map(|(before, after)| (before.lets_in(key, address), after.lets_in(key, address)))
                .collect();
            let wanted = wanted(&in_steps, live.lets_in(key, address));
            model.insert((address, key), wanted);
            if undo.plan.verdict == Verdict::Change {
                let is = of_result.lets_in(key, address);
                prop_assert_eq!(is, wanted, "{} from {}", key, address);
            }
        }
    }
    if undo.plan.verdict == Verdict::Change {
        return Ok(());
    }
    // There is nothing to do: the same packets get in, whatever the keys are.
    let effective = Effective::of(result, Family::default());
    let spans: BTreeMap<Key, Vec<(Atom, u16, u16)>> =
        keys.iter().map(|key| (*key, spans(*key))).collect();
    let mut cells = BTreeMap::<Atom, BTreeSet<u16>>::new();
    for (atom, from, to) in spans.values().flatten().copied() {
        cells.entry(atom).or_default().extend([from, to]);
    }
    for address in addresses(all()) {
        let open = || keys.iter().filter(|key| model[&(address, **key)]);
        for (atom, cells) in &cells {
            for cell in cells.iter().copied() {
                let covers =
                    |(of, from, to): &(Atom, u16, u16)| of == atom && (*from..=*to).contains(&cell);
                let wanted = open().any(|key| spans[key].iter().any(covers));
                prop_assert_eq!(effective.contains(*atom, cell, address), wanted);
            }
        }
    }
    Ok(())
}

/// The cells of a key: atom, first and last.
fn spans(key: Key) -> Vec<(Atom, u16, u16)> {
    let of = Effective::of(
        &[(key, Sources::anywhere())].into_iter().collect(),
        Family::default(),
    );
    of.iter()
        .map(|(atom, run)| (atom, run.from, run.to))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn undo_restores_rules_that_nobody_else_changed((before, after) in change(Universe::Small), half in any::<bool>()) {
        let live = if half { &before } else { &after };
        let steps = [step(&before, &after)];
        let undo = undone(&LiveFirewall::from(live), &steps);
        check(&undo, live, &steps)?;
        if undo.plan.verdict == Verdict::Change {
            prop_assert_eq!(&undo.foreign_differences, &Vec::<String>::new());
        }
    }

    #[test]
    fn undo_keeps_changes_of_others(
        (before, after) in change(Universe::Small),
        more in vec(firewall(Universe::Small), 0..2),
        live in firewall(Universe::Small),
        near in any::<bool>(),
    ) {
        let live = if near {
            after.iter().chain(&live).map(|(key, sources)| (*key, sources.clone())).collect()
        } else {
            live
        };
        let mut steps = vec![step(&before, &after)];
        for next in more {
            let last = steps.last().expect("a step").after.clone();
            steps.push(step(&last, &next));
        }
        check(&undone(&LiveFirewall::from(&live), &steps), &live, &steps)?;
    }

    /// The undo of an interrupted undo.
    #[test]
    fn undo_can_be_repeated(
        (before, after) in change(Universe::Small), theirs in firewall(Universe::Small), more in firewall(Universe::Small),
    ) {
        let with = |firewall: &Firewall, more: &Firewall| -> Firewall {
            firewall.iter().chain(more).map(|(key, sources)| (*key, sources.clone())).collect()
        };
        let mut steps = vec![step(&before, &after)];
        let live = with(&after, &theirs);
        let first = undone(&LiveFirewall::from(&live), &steps);
        check(&first, &live, &steps)?;
        if first.plan.verdict != Verdict::Change {
            return Ok(());
        }
        steps.push(step(&live, &first.plan.after));
        for live in [&live, &first.plan.after, &with(&first.plan.after, &more)] {
            check(&undone(&LiveFirewall::from(live), &steps), live, &steps)?;
        }
    }

    #[test]
    fn undo_keeps_unreadable_entries(
        (before, after) in change(Universe::Small).prop_filter("no doubt about ours", |(before, after)| {
            keys(before, after).iter().all(|key| *key != tcp(9, 9))
        }),
        protocol in proptest::sample::select(&["tcp", "sctp"][..]),
    ) {
        let entry = PortState { from_port: 9, to_port: 9, protocol: protocol.into(), ..PortState::default() };
        let mut entries: Vec<PortState> = after.iter().map(|(key, to)| PortState::canonical(*key, to)).collect();
        entries.push(entry);
        let undo = undone(&LiveFirewall::read(&entries), &[step(&before, &after)]);
        prop_assert_eq!(lint_of(&undo), []);
        prop_assert!(undo.plan.incomplete.is_some());
        let puts = |call: &Call| matches!(call, Call::Put { .. });
        prop_assert!(!undo.plan.calls.iter().any(puts) && undo.plan.fallback.is_none());
    }
}

#[test]
fn undo_of_a_rule_that_others_changed_too() {
    let everyone = rules(&[(22, &["0.0.0.0/0"])]);
    let office = rules(&[(22, &["203.0.113.0/24"])]);
    let both = rules(&[(22, &["203.0.113.0/24", "198.51.100.0/24"])]);
    // (before, after, live, result, remaining differences)
    let cases: &[(&Firewall, &Firewall, &Firewall, Firewall, &[&str])] = &[
        // The run opened a port, and somebody else opened another.
        (
            &office,
            &rules(&[(22, &["203.0.113.0/24"]), (443, &["0.0.0.0/0"])]),
            &rules(&[
                (22, &["203.0.113.0/24"]),
                (443, &["0.0.0.0/0"]),
                (80, &["0.0.0.0/0"]),
            ]),
            rules(&[(22, &["203.0.113.0/24"]), (80, &["0.0.0.0/0"])]),
            &["tcp/80 is open to 0.0.0.0/0"],
        ),
        // The run added a source, and somebody else removed the rule.
        (
            &office,
            &both,
            &Firewall::new(),
            Firewall::new(),
            &["tcp/22 is not open to 203.0.113.0/24"],
        ),
        // The run added a source, and somebody else removed the others, which stay closed.
        (
            &office,
            &both,
            &rules(&[(22, &["198.51.100.0/24"])]),
            Firewall::new(),
            &["tcp/22 is not open to 203.0.113.0/24"],
        ),
        // The run closed a rule, and somebody else opened it to one address.
        (
            &office,
            &Firewall::new(),
            &rules(&[(22, &["198.51.100.7/32"])]),
            rules(&[(22, &["203.0.113.0/24", "198.51.100.7/32"])]),
            &["tcp/22 is open to 198.51.100.7/32, 203.0.113.0/24, not to 203.0.113.0/24"],
        ),
        // The run opened a rule to everyone, and somebody else narrowed it to what it was.
        (&office, &everyone, &office, office.clone(), &[]),
    ];
    for (before, after, live, result, left) in cases {
        let undo = undone(&LiveFirewall::from(*live), &[step(before, after)]);
        assert_eq!(undo.plan.after, *result, "{before:?} {after:?} {live:?}");
        assert_eq!(undo.foreign_differences, *left);
        assert_eq!(undo.still_open, []);
        assert_eq!(lint_of(&undo), []);
    }
}

#[test]
fn refused_write_leaves_nothing_to_undo() {
    let live = LiveFirewall::from(&rules(&[(22, &["0.0.0.0/0"])]));
    let undo = undone(&live, &[]);
    assert_eq!(undo.plan.verdict, Verdict::InSync);
    assert!(
        undo.plan.calls.is_empty()
            && undo.foreign_differences.is_empty()
            && undo.still_open.is_empty()
    );
}

#[test]
fn undo_prefers_calls_that_leave_other_rules_alone() {
    let before = rules(&[(22, &["203.0.113.0/24"]), (80, &["0.0.0.0/0"])]);
    let after = rules(&[(22, &["203.0.113.0/24"]), (443, &["0.0.0.0/0"])]);
    let mut live = after.clone();
    live.set(tcp(8080, 8080), named(&["198.51.100.0/24"]));
    let undo = undone(&LiveFirewall::from(&live), &[step(&before, &after)]);
    let verbs: Vec<&str> = undo.plan.calls.iter().map(Call::verb).collect();
    assert_eq!(verbs, ["open", "close"]);
    assert_eq!(
        undo.foreign_differences,
        ["tcp/8080 is open to 198.51.100.0/24"]
    );

    // To remove a source from a rule that stays needs a Put of all live rules.
    let wide = rules(&[(22, &["203.0.113.0/24", "198.51.100.0/24"])]);
    let narrow = rules(&[(22, &["203.0.113.0/24"])]);
    let mut live = wide.clone();
    live.set(tcp(8080, 8080), named(&["198.51.100.0/24"]));
    let undo = undone(&LiveFirewall::from(&live), &[step(&narrow, &wide)]);
    let mut result = narrow.clone();
    result.set(tcp(8080, 8080), named(&["198.51.100.0/24"]));
    assert_eq!(undo.plan.calls, [Call::Put { firewall: result }]);
}

#[test]
fn access_that_stays_open_through_other_rules_is_reported() {
    let after = rules(&[(443, &["0.0.0.0/0"])]);
    let theirs: Firewall = [(tcp(400, 500), named(&["0.0.0.0/0"]))]
        .into_iter()
        .collect();
    let undo = undone(
        &LiveFirewall::from(&theirs),
        &[step(&Firewall::new(), &after)],
    );
    assert_eq!(undo.plan.verdict, Verdict::InSync);
    let still_open: Vec<String> = undo.still_open.iter().map(ToString::to_string).collect();
    assert_eq!(still_open, ["tcp/443 from everyone (IPv4)"]);
    let notes: Vec<&str> = undo
        .plan
        .notes
        .iter()
        .map(|note| note.text.as_str())
        .collect();
    assert_eq!(
        notes,
        [
            "changed by somebody else, and kept: tcp/400-500 is open to 0.0.0.0/0",
            "tcp/443 from everyone (IPv4) stays open through rules that are not undone",
        ]
    );
}

#[test]
fn change_between_two_own_writes_is_kept() {
    let (one, two) = (
        rules(&[(22, &["203.0.113.0/24"])]),
        rules(&[(22, &["203.0.113.0/24", "198.51.100.0/24"])]),
    );
    let mut theirs = two.clone();
    theirs.set(tcp(8080, 8080), named(&["198.51.100.0/24"]));
    let mut last = theirs.clone();
    last.set(tcp(443, 443), named(&["0.0.0.0/0"]));
    let steps = [step(&one, &two), step(&theirs, &last)];
    let undo = undone(&LiveFirewall::from(&last), &steps);
    let mut expected = one.clone();
    expected.set(tcp(8080, 8080), named(&["198.51.100.0/24"]));
    assert_eq!(undo.plan.after, expected);
}

#[test]
fn remaining_rules_keep_their_spelling() {
    let before = rules(&[(22, &["10.0.0.0/9", "10.128.0.0/9"])]);
    let after = rules(&[(22, &["10.0.0.0/9", "10.128.0.0/9", "192.0.2.0/24"])]);
    let live = rules(&[(
        22,
        &["10.0.0.0/9", "10.128.0.0/9", "192.0.2.0/24", "11.0.0.0/8"],
    )]);
    let undo = undone(&LiveFirewall::from(&live), &[step(&before, &after)]);
    let expected = rules(&[(22, &["10.0.0.0/9", "10.128.0.0/9", "11.0.0.0/8"])]);
    assert_eq!(undo.plan.after, expected);
}

#[test]
fn restored_rules_have_their_old_spelling() {
    let before = rules(&[(22, &["10.0.0.0/8"])]);
    let after = rules(&[(22, &["10.0.0.0/9"])]);
    let live = rules(&[(22, &["10.0.0.0/9", "11.0.0.0/8"])]);
    let undo = undone(&LiveFirewall::from(&live), &[step(&before, &after)]);
    let expected = rules(&[(22, &["10.0.0.0/8", "10.0.0.0/9", "11.0.0.0/8"])]);
    assert_eq!(undo.plan.after, expected);
}
