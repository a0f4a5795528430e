//! Tests of access that must not exist: through whatever rule it is open, it is closed or reported.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::exposure::{Access, Atom, Exposed};
use crate::plan::lint;

/// The cells that the keys of these tests distinguish.
const CELLS: [(Atom, u16); 13] = [
    (Atom::Tcp, 0),
    (Atom::Tcp, 79),
    (Atom::Tcp, 80),
    (Atom::Tcp, 81),
    (Atom::Tcp, 82),
    (Atom::Tcp, 65535),
    (Atom::Udp, 80),
    (Atom::Icmp, 7 << 8 | 255),
    (Atom::Icmp, 8 << 8),
    (Atom::Icmp, 8 << 8 | 255),
    (Atom::Icmp, 9 << 8),
    (Atom::Icmpv6, 128 << 8),
    (Atom::Other, 0),
];

/// Addresses that the networks of these tests distinguish.
const ADDRESSES: [&str; 6] = [
    "10.0.0.0",
    "10.0.0.1",
    "10.128.0.0",
    "11.0.0.0",
    "2001:db8::1",
    "2001:db9::1",
];

fn addresses() -> impl Iterator<Item = IpAddr> {
    ADDRESSES
        .iter()
        .map(|text| text.parse().expect("an address"))
}

fn absent(key: Key, sources: Option<Sources>) -> Absent {
    Absent {
        key,
        sources,
        origin: origin(9),
        why: None,
        owner: None,
    }
}

/// Networks only; other tests cover the alias.
fn networks() -> impl Strategy_<Value = Sources> {
    let texts = [
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.0.0.1/32",
        "0.0.0.0/0",
        "::/0",
        "2001:db8::/32",
    ];
    btree_set(select(texts.to_vec()), 1..4)
        .prop_map(|texts| named(&texts.into_iter().collect::<Vec<_>>()))
}

fn rules_of_networks() -> impl Strategy_<Value = Firewall> {
    let more = select(vec![tcp(0, 65535), tcp(79, 81), key(Protocol::Icmp, 8, 0)]);
    let keys = proptest::prop_oneof![3 => keys(), 2 => more];
    btree_map(keys, networks(), 0..5).prop_map(|rules| rules.into_iter().collect())
}

fn of(firewall: &Firewall) -> Effective {
    Effective::of(firewall, Family::V4)
}

fn opened(boxes: &[&Exposed]) -> Effective {
    let boxes: Vec<Exposed> = boxes.iter().map(|one| (*one).clone()).collect();
    Effective::of_boxes(&boxes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The oracle checks each cell and each address alone.
    #[test]
    fn named_access_is_closed_or_reported(
        live in rules_of_networks(),
        wanted in rules_of_networks(),
        gone in vec((keys(), option::of(networks())), 0..3),
        over in rules_of_networks(),
        consent in any::<bool>(),
    ) {
        let mut desired = desired(Mode::Additive, &wanted);
        desired.absent = gone
            .iter()
            .filter(|(key, _)| wanted.get(*key).is_none())
            .map(|(key, sources)| absent(*key, sources.clone()))
            .collect();
        desired.expired = rules(&over);
        desired.strategy = if consent { Strategy::Put } else { Strategy::Auto };
        let plan = planned(&desired, &live);
        let boxes: Vec<&Exposed> = plan.still_open.iter().flat_map(|open| &open.access).collect();
        let still_open = opened(&boxes);
        let (before, after) = (of(&live), of(&plan.after));
        let (declared, over) = (of(&wanted), of(&over));
        for (atom, cell) in CELLS {
            for address in addresses() {
                let at = |access: &Effective| access.contains(atom, cell, address);
                let named = at(&over) || desired.absent.iter().any(|absent| {
                    let everyone = Sources::anywhere();
                    let sources = absent.sources.as_ref().unwrap_or(&everyone);
                    at(&of(&[(absent.key, sources.clone())].into_iter().collect()))
                });
                let must = at(&declared) || (at(&before) && !named);
                let place = format!("{atom} {cell} from {address}");
                if !matches!(plan.verdict, Verdict::Refused { .. }) {
                    prop_assert_eq!(at(&after), must || at(&still_open), "{}", place);
                }
                prop_assert!(!(must && at(&still_open)), "{} is told and is wanted", place);
            }
        }
        if let Verdict::Refused { reason, .. } = &plan.verdict {
            prop_assert!(reason.contains("has no safe call") || reason.contains("an instance can have"), "{}", reason);
            return Ok(());
        }
        check(&plan, &desired, &live)?;
        prop_assert_eq!(plan.verdict == Verdict::InSync, plan.calls.is_empty() && plan.still_open.is_empty());
        for open in &plan.still_open {
            let is_port = matches!(open.through.protocol(), Protocol::Tcp | Protocol::Udp);
            prop_assert!(!consent || !is_port, "{} could be cut", open);
            prop_assert!(!open.causes.is_empty());
        }
        if !consent {
            let ours = |key: Key| wanted.get(key).is_some()
                || desired.absent.iter().any(|absent| absent.key == key)
                || desired.expired.iter().any(|rule| rule.key == key);
            for (key, sources) in live.iter().filter(|(key, _)| !ours(**key)) {
                prop_assert_eq!(plan.after.get(*key), Some(sources), "{} is not ours", key);
            }
        }
        let all = crate::plan::Plan { instances: vec![plan], ..Default::default() };
        prop_assert_eq!(lint::lint(&all), vec![]);
    }
}

fn told(
    live: &[(Key, &[&str])],
    absent: Absent,
    strategy: Strategy,
) -> (Verdict, Vec<String>, Vec<String>) {
    let mut desired = desired(Mode::Additive, &Firewall::new());
    desired.absent = vec![absent];
    desired.strategy = strategy;
    let plan = planned(&desired, &firewall(live));
    let open = plan.still_open.iter().map(ToString::to_string).collect();
    let after = plan
        .after
        .iter()
        .map(|(key, sources)| format!("{key} from {sources}"));
    let after = after.collect();
    (plan.verdict, open, after)
}

#[test]
fn absent_access_is_found_behind_every_wider_rule() {
    let world = &["0.0.0.0/0"][..];
    for (live, through) in [
        (tcp(0, 65535), "tcp/0-65535"),
        (tcp(1, 1023), "tcp/1-1023"),
        (tcp(22, 23), "tcp/22-23"),
        (Key::ALL, "all"),
    ] {
        let ssh = absent(tcp(22, 22), None);
        let (verdict, open, after) = told(&[(live, world)], ssh, Strategy::Auto);
        assert_eq!(verdict, Verdict::StillOpen, "{live}");
        assert_eq!(
            open,
            [format!(
                "tcp/22 from everyone (IPv4), through the live rule {through}"
            )]
        );
        assert_eq!(after, [format!("{live} from 0.0.0.0/0")]);
    }
}

#[test]
fn range_is_cut_exactly_around_absent_access() {
    let offices = &["192.0.2.0/24", "198.51.100.0/24"][..];
    let of_one = |text: &str| Some(named(&[text]));
    for (live, gone, after) in [
        (
            tcp(0, 65535),
            absent(tcp(22, 22), None),
            &[
                "tcp/0-21 from 192.0.2.0/24, 198.51.100.0/24",
                "tcp/23-65535 from 192.0.2.0/24, 198.51.100.0/24",
            ][..],
        ),
        (
            tcp(22, 1023),
            absent(tcp(22, 22), of_one("192.0.2.128/25")),
            &[
                "tcp/22 from 192.0.2.0/25, 198.51.100.0/24",
                "tcp/23-1023 from 192.0.2.0/24, 198.51.100.0/24",
            ],
        ),
        (tcp(22, 22), absent(tcp(0, 1023), None), &[]),
    ] {
        let (verdict, open, result) = told(&[(live, offices)], gone, Strategy::Put);
        assert_eq!((verdict, open), (Verdict::Change, Vec::new()), "{live}");
        assert_eq!(result, after, "{live}");
    }
}

#[test]
fn rule_that_cannot_be_cut_exactly_is_kept_and_reported() {
    for (live, gone) in [
        (Key::ALL, tcp(22, 22)),
        // Each other type would need a rule, and there can be at most sixty.
        (key(Protocol::Icmp, -1, -1), key(Protocol::Icmp, 8, -1)),
        (key(Protocol::Icmp, 8, -1), key(Protocol::Icmp, 8, 0)),
    ] {
        let world = &["0.0.0.0/0"][..];
        let (verdict, open, after) = told(&[(live, world)], absent(gone, None), Strategy::Put);
        assert_eq!((verdict, open.len()), (Verdict::StillOpen, 1), "{live}");
        assert_eq!(after, [format!("{live} from 0.0.0.0/0")]);
    }
}

#[test]
fn declared_access_stays_although_it_is_absent_too() {
    let mut desired = desired(Mode::Additive, &firewall(&[(Key::ALL, &["192.0.2.0/24"])]));
    desired.absent = vec![absent(tcp(22, 22), None)];
    let live = firewall(&[(Key::ALL, &["192.0.2.0/24"])]);
    assert_eq!(planned(&desired, &live).verdict, Verdict::InSync);
    let wider = firewall(&[
        (Key::ALL, &["192.0.2.0/24"]),
        (tcp(22, 23), &["192.0.2.0/24", "198.51.100.0/24"]),
    ]);
    let plan = planned(&desired, &wider);
    let open: Vec<String> = plan.still_open.iter().map(ToString::to_string).collect();
    assert_eq!(
        open,
        ["tcp/22 from 198.51.100.0/24 (256 addresses), through the live rule tcp/22-23"]
    );
}

/// Both halves of the internet together name the browser client, which neither half does.
#[test]
fn access_named_by_several_lines_together_has_all_as_causes() {
    let halves = ["0.0.0.0/1", "128.0.0.0/1"];
    let mut desired = desired(Mode::Additive, &Firewall::new());
    desired.absent = halves
        .iter()
        .map(|half| absent(tcp(22, 22), Some(named(&[half]))))
        .collect();
    desired.absent[1].origin = origin(10);
    // A line about other access is no cause.
    desired
        .absent
        .push(absent(tcp(80, 80), Some(named(&halves[..1]))));
    desired.absent[2].origin = origin(11);
    let live = firewall(&[(Key::ALL, &["lightsail-connect"])]);
    let plan = planned(&desired, &live);
    let [open] = &plan.still_open[..] else {
        panic!("{plan:?}")
    };
    let lines: Vec<usize> = open.causes.iter().map(|cause| cause.origin.line).collect();
    assert_eq!(lines, [9, 10]);
    let all = crate::plan::Plan {
        instances: vec![plan],
        ..Default::default()
    };
    assert_eq!(lint::lint(&all), vec![]);
}

#[test]
fn safe_calls_are_planned_and_the_rest_is_reported() {
    let mut desired = desired(
        Mode::Additive,
        &firewall(&[(tcp(443, 443), &["0.0.0.0/0"])]),
    );
    desired.absent = vec![absent(tcp(22, 22), None)];
    let live = firewall(&[
        (tcp(22, 22), &["0.0.0.0/0"]),
        (tcp(1, 1023), &["192.0.2.0/24"]),
    ]);
    let plan = planned(&desired, &live);
    let verbs: Vec<&str> = plan.calls.iter().map(Call::verb).collect();
    assert_eq!(
        (plan.verdict, verbs),
        (Verdict::Change, vec!["open", "close"])
    );
    assert_eq!(plan.still_open.len(), 1);
    assert_eq!(plan.still_open[0].through, tcp(1, 1023));
    assert_eq!(
        Access::from(&plan.still_open[0].access[0].sources),
        Access::from(&named(&["192.0.2.0/24"]))
    );
}

#[test]
fn cut_rules_name_the_lines_that_cause_it() {
    let mut desired = desired(Mode::Additive, &Firewall::new());
    desired.absent = vec![absent(tcp(22, 22), None)];
    desired.strategy = Strategy::Put;
    let plan = planned(&desired, &firewall(&[(tcp(0, 65535), &["0.0.0.0/0"])]));
    assert_eq!(plan.changes.len(), 3);
    for change in &plan.changes {
        let lines: Vec<usize> = change
            .causes
            .iter()
            .map(|cause| cause.origin.line)
            .collect();
        assert_eq!(lines, [9], "{}", change.key);
    }
}

#[test]
fn still_open_access_has_a_hint() {
    let icmp = |from, to| key(Protocol::Icmp, from, to);
    for (through, named_key, hint) in [
        (
            tcp(79, 81),
            tcp(80, 80),
            "this file does not manage the rule: `--strategy put`",
        ),
        (Key::ALL, tcp(80, 80), "nothing can be cut out of `all`"),
        (
            icmp(-1, -1),
            icmp(8, 0),
            "it cannot be cut out of the rule exactly",
        ),
    ] {
        let live: Firewall = [(through, named(&["10.0.0.0/8"]))].into_iter().collect();
        let mut desired = desired(Mode::Additive, &Firewall::new());
        desired.absent = vec![absent(named_key, None)];
        let plan = planned(&desired, &live);
        let [open] = &plan.still_open[..] else {
            panic!("{plan:?}")
        };
        assert_eq!(open.through, through);
        assert!(open.hint.starts_with(hint), "{through}: {}", open.hint);
    }
}

/// With consent to a Put, the rule is replaced by the fewest rules that give the rest.
#[test]
fn cut_leaves_the_fewest_rules() {
    let icmp = |from, to| key(Protocol::Icmp, from, to);
    let (all, both, left): (_, &[&str], &[&str]) =
        (Key::ALL, &["10.0.0.0/8", "11.0.0.0/8"], &["11.0.0.0/8"]);
    for (through, named_key) in [
        (icmp(-1, -1), all),
        (icmp(8, -1), all),
        (icmp(8, -1), icmp(-1, -1)),
        (icmp(8, 0), all),
        (icmp(8, 0), icmp(8, -1)),
        (tcp(79, 81), all),
        (tcp(79, 81), tcp(0, 65535)),
    ] {
        let live: Firewall = [(through, named(both))].into_iter().collect();
        let mut desired = desired(Mode::Additive, &Firewall::new());
        desired.strategy = Strategy::Put;
        desired.absent = vec![absent(named_key, Some(named(&["10.0.0.0/8"])))];
        let plan = planned(&desired, &live);
        assert_eq!(plan.still_open, [], "{through} without {named_key}");
        assert_eq!(plan.after, firewall(&[(through, left)]), "{named_key}");
    }
}

#[test]
fn rule_is_cut_into_sixty_rules_at_most() {
    for (holes, is_cut) in [(59, true), (60, false)] {
        let live = firewall(&[(tcp(1, 2 * holes + 1), &["10.0.0.0/8"])]);
        let mut desired = desired(Mode::Additive, &Firewall::new());
        desired.strategy = Strategy::Put;
        let even = (1..=holes).map(|hole| absent(tcp(2 * hole, 2 * hole), None));
        desired.absent = even.collect();
        let plan = planned(&desired, &live);
        assert_eq!(plan.still_open.is_empty(), is_cut, "{holes}");
        let rules = if is_cut { 60 } else { 1 };
        assert_eq!(plan.after.iter().count(), rules, "{holes}");
    }
}
