//! Tests of comparisons and of effective access against the point oracle.
//!
//! Owns the tests that need several types of this module: document firewalls, comparisons, and operations that only other
//! modules use.

use proptest::prelude::*;

use super::effective::tests::{Bits, Oracle, Point, probes};
use super::*;
use crate::model::arbitrary::{Universe, change, family, firewall, named};
use crate::model::{
    AddressType, Declaration, Family, Firewall, InstanceId, Key, LIGHTSAIL_CONNECT, LiveFirewall,
    Origin, PortState, Protocol, Rule, Sources,
};

const ANYWHERE: &[&str] = &["0.0.0.0/0"];

fn tcp(from: i32, to: i32) -> Key {
    Key::new(Protocol::Tcp, from, to).expect("a key")
}

fn rules(rules: &[(Key, &[&str])]) -> Firewall {
    let rules = rules.iter();
    rules.map(|(key, texts)| (*key, named(texts))).collect()
}

/// The entries of a firewall, and uncertain entries.
fn live(certain: &Firewall, doubts: &[(&str, i32)]) -> LiveFirewall {
    let entries = certain.iter();
    let entries = entries.map(|(key, sources)| PortState::canonical(*key, sources));
    let doubtful = doubts.iter().map(|(protocol, port)| PortState {
        from_port: *port,
        to_port: *port,
        protocol: (*protocol).to_owned(),
        ..PortState::default()
    });
    LiveFirewall::read(&entries.chain(doubtful).collect::<Vec<_>>())
}

fn bits(access: &Access, points: &[Point]) -> Bits {
    let points = points.iter();
    points.map(|point| point.is_in_access(access)).collect()
}

proptest! {
    /// The access of `a` on the cells that are open to anybody in `b`, and none on the others.
    #[test]
    fn within_restricts_cells_and_not_sources((a, b) in change(Universe::Small), family in family()) {
        let (cells, points) = probes(&[&a, &b]);
        let (of_a, of_b) = (Oracle::new(&a, &points, family), Oracle::new(&b, &points, family));
        let within = Effective::of(&a, family).within(&Effective::of(&b, family));
        for (atom, cell) in cells {
            let is_open = of_b.lets_in(atom, cell).contains(&true);
            let expected = if is_open { of_a.lets_in(atom, cell) } else { vec![false; points.len()] };
            prop_assert_eq!(bits(within.access(atom, cell), &points), expected, "{:?}/{}", atom, cell);
        }
    }

    #[test]
    fn map_changes_each_cell_independently(a in firewall(Universe::Small), family in family()) {
        let (cells, _) = probes(&[&a]);
        let effective = Effective::of(&a, family);
        let only_v4 = |access: &Access| Access { v4: access.v4.clone(), ..Access::nobody() };
        let mapped = effective.map(only_v4);
        for (atom, cell) in cells {
            prop_assert_eq!(mapped.access(atom, cell), &only_v4(effective.access(atom, cell)));
        }
    }

    /// An unknown address type has both families.
    #[test]
    fn instance_is_reached_only_by_its_families(a in firewall(Universe::Small), family in family()) {
        let (cells, points) = probes(&[&a]);
        let effective = Effective::of(&a, family);
        for (kind, v4, v6) in [("dualstack", true, true), ("ipv4", true, false), ("ipv6", false, true), ("new", true, true)] {
            let here = effective.on(&AddressType::from(kind));
            for (atom, cell) in &cells {
                let open = effective.access(*atom, *cell);
                let expected = points.iter().map(|point| {
                    let has = match point {
                        Point::Address(address) if address.is_ipv4() => v4,
                        Point::Address(_) => v6,
                        Point::Alias(_) => true,
                    };
                    has && point.is_in_access(open)
                });
                let expected: Bits = expected.collect();
                prop_assert_eq!(bits(here.access(*atom, *cell), &points), expected, "{}", kind);
            }
        }
    }

    #[test]
    fn contains_agrees_with_the_oracle(a in firewall(Universe::Small), family in family()) {
        let (cells, points) = probes(&[&a]);
        let oracle = Oracle::new(&a, &points, family);
        let effective = Effective::of(&a, family);
        let reachable = effective.on_publicly_reachable_cells();
        for (atom, cell) in cells {
            let lets_in = oracle.lets_in(atom, cell);
            for (point, expected) in points.iter().zip(&lets_in) {
                if let Point::Address(address) = point {
                    prop_assert_eq!(effective.contains(atom, cell, *address), *expected);
                }
            }
            let open = effective.access(atom, cell);
            let expected = if open.publicly_reachable().is_empty() { &Access::nobody() } else { open };
            prop_assert_eq!(reachable.access(atom, cell), expected);
        }
    }

    #[test]
    fn equivalent_compares_effective_access((a, b) in change(Universe::Small), family in family()) {
        let of = |firewall| Effective::of(firewall, family);
        prop_assert_eq!(equivalent(&a, &b, family), of(&a) == of(&b));
        // The same ports as two ranges each, and the same addresses as halves.
        let mut split = Firewall::new();
        for (key, sources) in &a {
            let halves = Access::of(sources, family).to_sources(family);
            let is_range = key.protocol() == Protocol::Tcp && key.from() < key.to();
            for (from, to) in if is_range { [(key.from(), key.from()), (key.from() + 1, key.to())] } else { [(key.from(), key.to()); 2] } {
                split.add(Key::new(key.protocol(), from, to).expect("a part of a key"), &halves);
            }
        }
        prop_assert!(equivalent(&a, &split, family), "{:?}", split);
    }

    #[test]
    fn document_firewall_has_the_rules_it_is_built_from(certain in firewall(Universe::Small), is_doubtful in any::<bool>(), family in family()) {
        let doubts: &[(&str, i32)] = if is_doubtful { &[("tcp", 22), ("gre", 0)] } else { &[] };
        let live = live(&certain, doubts);
        let side = DocumentFirewall::of_live(&live, family);
        prop_assert_eq!(&side.reach, &Reach::of_live(&live, family));
        prop_assert_eq!(side.doubts.len(), doubts.len());
        let rules = |side: &DocumentFirewall| side.rules.iter().map(|rule| (rule.key, rule.sources.clone())).collect::<Firewall>();
        prop_assert_eq!(&rules(&side), &certain);

        let plain = DocumentFirewall::of(&certain, family);
        prop_assert_eq!(&plain.reach, &Reach::with_doubts(&certain, &[], family));
        prop_assert_eq!((&rules(&plain), plain.doubts.len()), (&certain, 0));

        let lines: Vec<Rule> = certain.iter().enumerate().map(|(at, (key, sources))| Rule {
            key: *key,
            sources: sources.clone(),
            declared: std::sync::Arc::new(Declaration {
                allow: key.to_string().into(),
                from: [].into(),
                origin: Origin { file: "firewall.toml".into(), line: at + 1, column: 1 },
                why: Some(format!("reason {at}")),
                owner: None,
                until: None,
            }),
        }).collect();
        let declared = DocumentFirewall::of_rules(&lines, family);
        prop_assert_eq!(&declared.reach, &Reach::with_doubts(&certain, &[], family));
        prop_assert_eq!(rules(&declared), certain);
        for (at, rule) in declared.rules.iter().enumerate() {
            prop_assert_eq!(rule.origin.as_ref().map(|origin| origin.line), Some(at + 1));
            prop_assert_eq!(&rule.why, &Some(format!("reason {at}")));
        }
    }

    #[test]
    fn direction_is_unknown_if_there_is_doubt(
        (before, after) in change(Universe::Small),
        doubts in [any::<bool>(), any::<bool>()],
        family in family(),
    ) {
        let doubt = |is_doubtful: bool| if is_doubtful { &[("tcp", 22)][..] } else { &[] };
        let sides = [live(&before, doubt(doubts[0])), live(&after, doubt(doubts[1]))];
        let [old, new] = sides.map(|live| DocumentFirewall::of_live(&live, family));
        let compared = Compared::new(None, old, new);
        let expected: Vec<ComparedDocument> = [ComparedDocument::Old, ComparedDocument::New].into_iter().zip(doubts).filter(|(_, is_there)| *is_there).map(|(which, _)| which).collect();
        let found: Vec<ComparedDocument> = compared.doubts().map(|(which, _)| which).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(compared.is_doubtful(), !expected.is_empty());
        let of = |firewall| Effective::of(firewall, family);
        let (wider, narrower) = (!of(&before).is_superset(&of(&after)), !of(&after).is_superset(&of(&before)));
        let word = match (wider, narrower) {
            (false, false) => Direction::Equal,
            (true, false) => Direction::Wider,
            (false, true) => Direction::Narrower,
            (true, true) => Direction::Mixed,
        };
        prop_assert_eq!(compared.direction(), expected.is_empty().then_some(word));
        prop_assert_eq!(compared.is_equal(), expected.is_empty() && word == Direction::Equal);
        // A doubtful entry may be open to everyone.
        let is_open_to_all = Effective::of(&before, family).access(Atom::Tcp, 22).is_superset(&Access::everyone());
        prop_assert_eq!(compared.may_open(), wider || (doubts[1] && !is_open_to_all));
    }
}

#[test]
fn publicly_reachable_excludes_special_purpose_networks() {
    let arriving = Access::everyone().publicly_reachable();
    for (address, arrives) in [
        ("1.1.1.1", true),
        ("9.255.255.255", true),
        ("10.0.0.0", false),
        ("10.255.255.255", false),
        ("11.0.0.0", true),
        ("192.0.0.8", false),
        ("192.0.0.9", true),
        ("2600::1", true),
        ("::1", false),
        ("fe80::1", false),
    ] {
        let parsed = address.parse().expect("an address");
        assert_eq!(arriving.contains(parsed), arrives, "{address}");
    }
    assert_eq!(arriving.aliases, Access::everyone().aliases);
    let private = rules(&[(tcp(22, 22), &["10.0.0.0/8"]), (tcp(80, 80), ANYWHERE)]);
    let reachable = Effective::of(&private, Family::V4).on_publicly_reachable_cells();
    let public = rules(&[(tcp(80, 80), ANYWHERE)]);
    assert_eq!(reachable, Effective::of(&public, Family::V4));
}

#[test]
fn comparison_subject_displays_its_name() {
    let id = InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web".into(),
    };
    let every = ComparisonSubject::Every("every instance of `web`".into());
    for (subject, named, shown) in [
        (ComparisonSubject::from(None), None, "the firewall"),
        (
            ComparisonSubject::from(Some(id.clone())),
            Some(&id),
            "`eu-central-1/web`",
        ),
        (every, None, "every instance of `web`"),
    ] {
        assert_eq!((subject.id(), &*subject.to_string()), (named, shown));
    }
}

/// An instance that only one document declares differs, even if the same packets get in.
#[test]
fn comparison_considers_packets_and_declarations() {
    let (open, shut) = (rules(&[(tcp(22, 22), ANYWHERE)]), Firewall::new());
    let side = |firewall| DocumentFirewall::of(firewall, Family::V4);
    for (before, after, is_same) in [
        (&open, &open, true),
        (&shut, &open, false),
        (&open, &shut, false),
    ] {
        let mut compared = Compared::new(None, side(before), side(after));
        assert_eq!(
            (compared.differs(), compared.is_equal()),
            (!is_same, is_same)
        );
        for which in [ComparedDocument::Old, ComparedDocument::New] {
            compared.undeclared = Some(which);
            assert_eq!((compared.differs(), compared.is_equal()), (true, false));
        }
        // With an open question the documents are neither equal nor different.
        compared.undeclared = None;
        compared.undecided = vec!["whether it exists".into()];
        let found = (
            compared.differs(),
            compared.is_equal(),
            compared.direction(),
        );
        assert_eq!(found, (!is_same, false, None));
    }
}

/// The shortcut for small changes gives the same result as a full comparison, whatever rules overlap.
#[test]
fn diff_is_complete_beside_overlapping_rules() {
    let icmp = |from, to| Key::new(Protocol::Icmp, from, to).expect("a key");
    let udp = |from, to| Key::new(Protocol::Udp, from, to).expect("a key");
    let keys = [
        Key::ALL,
        tcp(0, 65_535),
        tcp(22, 22),
        tcp(20, 22),
        tcp(22, 30),
        tcp(23, 23),
        udp(22, 22),
        icmp(-1, -1),
        icmp(8, -1),
        icmp(8, 0),
    ];
    for changed in keys {
        for beside in keys.into_iter().filter(|key| *key != changed) {
            let half = rules(&[(beside, &["10.0.0.0/9"])]);
            let mut both = half.clone();
            both.set(changed, named(&["10.0.0.0/8"]));
            for (before, after) in [(&half, &both), (&both, &half)] {
                let of = |firewall| Reach::with_doubts(firewall, &[], Family::V4);
                let all = Diff::between(&of(before), &of(after));
                let found = Diff::of_change(before, after, Family::V4);
                assert_eq!(found, all, "{changed} beside {beside}");
            }
        }
    }
}

#[test]
fn compared_documents_have_words() {
    assert_eq!(
        [ComparedDocument::Old, ComparedDocument::New].map(ComparedDocument::as_str),
        ["old", "new"]
    );
}

/// The lines of the gained access, each with the rules that cause it.
fn causes(before: &Firewall, after: &Firewall) -> Vec<(String, Vec<String>)> {
    let side = |firewall| DocumentFirewall::of(firewall, Family::V4);
    let compared = Compared::new(None, side(before), side(after));
    let lines = super::lines(&compared.diff.gained);
    let of = |line: &Line| compared.after.causes(line).into_iter().map(cause).collect();
    lines
        .iter()
        .map(|line| (line.ports.clone(), of(line)))
        .collect()
}

fn cause(rule: &RuleRef) -> String {
    format!("{} {}", rule.key, rule.sources)
}

/// Rules that only together cover the family of the browser client let it in together.
#[test]
fn browser_client_is_caused_by_all_rules_that_cover_its_family() {
    let before = rules(&[(tcp(80, 80), &["0.0.0.0/1"])]);
    let mut after = rules(&[
        (tcp(80, 81), &["128.0.0.0/1"]),
        (tcp(22, 22), &["10.0.0.0/8"]),
    ]);
    after.add(tcp(80, 80), &named(&["0.0.0.0/1"]));
    let (upper, lower) = ("tcp/80-81 128.0.0.0/1", "tcp/80 0.0.0.0/1");
    assert_eq!(
        causes(&before, &after),
        [
            ("tcp/22".into(), vec!["tcp/22 10.0.0.0/8".into()]),
            ("tcp/80".into(), vec![lower.into(), upper.into()]),
            ("tcp/81".into(), vec![upper.into()]),
        ]
    );
    // A rule that names the client needs no other rule.
    let named_alone = rules(&[
        (tcp(80, 80), &[LIGHTSAIL_CONNECT]),
        (tcp(443, 443), &["10.0.0.0/8"]),
    ]);
    let found = causes(&Firewall::new(), &named_alone);
    let alone = format!("tcp/80 {LIGHTSAIL_CONNECT}");
    assert!(found.contains(&("tcp/80".into(), vec![alone])), "{found:?}");
}

/// A doubtful entry may open only the ports that it names.
#[test]
fn doubtful_entry_is_possible_and_not_certain() {
    let certain = rules(&[(tcp(443, 443), &["10.0.0.0/8"])]);
    let reach = Reach::of_live(&live(&certain, &[("tcp", 22)]), Family::V4);
    assert_eq!(reach.certain, Effective::of(&certain, Family::V4));
    let doubt = reach.doubt();
    assert_eq!(*doubt.access(Atom::Tcp, 22), Access::everyone());
    assert!(doubt.access(Atom::Tcp, 443).is_empty());
    assert!(doubt.access(Atom::Udp, 22).is_empty());
    let none = Reach::with_doubts(&certain, &[], Family::V4);
    assert!(none.doubt().is_empty());
    assert_eq!(
        Sources::new(),
        none.doubt().access(Atom::Tcp, 443).to_sources(Family::V4)
    );
}
