//! Tests of certain and possible access against the point oracle, and of the bounds of every kind of doubt.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::effective::tests::{Bits, Oracle, Point, covers, probes};
use super::*;
use crate::exposure::{Access, Atom, Diff, Exposed};
use crate::model::Protocol;
use crate::model::arbitrary::{Universe, change, family, key, sources};

fn entry(protocol: &str, ports: (i32, i32), cidrs: &[&str]) -> PortState {
    PortState {
        from_port: ports.0,
        to_port: ports.1,
        protocol: protocol.to_owned(),
        cidrs: cidrs.iter().map(ToString::to_string).collect(),
        ..PortState::default()
    }
}

fn everyone_on(keys: &[Key]) -> Effective {
    let everyone = Sources::anywhere();
    Effective::of_rules(keys.iter().map(|key| (key, &everyone)), Family::V4)
}

#[test]
fn doubt_is_limited_to_the_unreadable_part() {
    let certain = entry("tcp", (443, 443), &["0.0.0.0/0"]);
    let tcp = |from, to| Key::new(Protocol::Tcp, from, to).expect("a key");
    let some = |key: Key| {
        let sources = Sources::parse_live("192.0.2.0/24").into_iter().collect();
        Effective::of_rules([(&key, &sources)], Family::V4)
    };
    for (doubtful, expected) in [
        (
            entry("tcp", (3306, 3306), &[]),
            everyone_on(&[tcp(3306, 3306)]),
        ),
        (
            entry("tcp", (1, 9), &["somewhere"]),
            everyone_on(&[tcp(1, 9)]),
        ),
        (entry("tcp", (9, 1), &["192.0.2.0/24"]), some(Key::ALL)),
        (entry("gre", (0, 0), &["192.0.2.0/24"]), some(Key::ALL)),
        (entry("gre", (0, 0), &[]), everyone_on(&[Key::ALL])),
        (entry("all", (-1, 9), &[]), everyone_on(&[Key::ALL])),
        // Everyone whom it may let in gets in anyway.
        (entry("tcp", (443, 443), &[]), everyone_on(&[tcp(443, 443)])),
    ] {
        let live = LiveFirewall::read(&[certain.clone(), doubtful.clone()]);
        let reach = Reach::of_live(&live, Family::V4);
        assert_eq!(reach.certain, Effective::of(live.firewall(), Family::V4));
        assert_eq!(
            reach.possible,
            reach.certain.joined(&expected, Family::V4),
            "{doubtful:?}"
        );
        let [doubt] = &Doubtful::all(&live)[..] else {
            panic!("{doubtful:?} is one doubt");
        };
        assert_eq!(doubt.effective(Family::V4), expected);
    }
}

#[test]
fn doubt_is_neither_gained_nor_lost() {
    let doubtful =
        LiveFirewall::read(&[entry("tcp", (3306, 3306), &[]), entry("udp", (53, 53), &[])]);
    let key = Key::new(Protocol::Tcp, 3306, 3306).expect("a key");
    let opened: Firewall = [(key, Sources::anywhere())].into_iter().collect();
    let (doubtful, opened) = (
        Reach::of_live(&doubtful, Family::V4),
        Reach::with_doubts(&opened, &[], Family::V4),
    );
    let everyone = [Exposed {
        atom: Atom::Tcp,
        from: 3306,
        to: 3306,
        sources: Sources::anywhere(),
    }];
    let opening = Diff::between(&doubtful, &opened);
    assert_eq!(
        (&opening.gained[..], &opening.lost[..]),
        (&everyone[..], &[][..])
    );
    let closing = Diff::between(&opened, &doubtful);
    assert!(closing.is_empty(), "{closing:?}");
    assert!(Diff::between(&doubtful, &doubtful).is_empty());
}

/// Uncertain entries, each with the widest rule that it may be.
fn doubts() -> impl Strategy<Value = Vec<(PortState, Key, Sources)>> {
    let kinds = (key(Universe::Small), sources(Universe::Small), 0..3_u8);
    let one = kinds.prop_map(|(key, sources, kind)| {
        let whole = PortState::canonical(key, &sources);
        match kind {
            0 => {
                let nobody = PortState::canonical(key, &Sources::new());
                (nobody, key, Sources::anywhere())
            }
            1 => {
                let protocol = "gre".to_owned();
                (PortState { protocol, ..whole }, Key::ALL, sources)
            }
            _ => {
                let (protocol, from_port) = ("all".to_owned(), 7);
                let odd = PortState {
                    from_port,
                    protocol,
                    ..whole
                };
                (odd, Key::ALL, sources)
            }
        }
    });
    proptest::collection::vec(one, 0..3)
}

type Doubts = Vec<(PortState, Key, Sources)>;

fn read(firewall: &Firewall, doubts: &Doubts) -> LiveFirewall {
    let rules = firewall
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources));
    let entries: Vec<PortState> = rules
        .chain(doubts.iter().map(|(entry, ..)| entry.clone()))
        .collect();
    LiveFirewall::read(&entries)
}

/// The oracles of certain and of possible access.
fn oracles<'a>(
    firewall: &Firewall,
    doubts: &Doubts,
    points: &'a [Point],
    family: Family,
) -> [Oracle<'a>; 2] {
    let doubtful = doubts.iter().map(|(_, key, sources)| (key, sources));
    [
        Oracle::new(firewall, points, family),
        Oracle::of_rules(firewall.iter().chain(doubtful), points, family),
    ]
}

fn bits(access: &Access, points: &[Point]) -> Bits {
    points
        .iter()
        .map(|point| point.is_in_access(access))
        .collect()
}

fn of_boxes(boxes: &[Exposed], atom: Atom, cell: u16, points: &[Point]) -> Bits {
    let here = boxes
        .iter()
        .find(|b| b.atom == atom && (b.from..=b.to).contains(&cell));
    points
        .iter()
        .map(|point| here.is_some_and(|b| point.is_in(&b.sources)))
        .collect()
}

proptest! {
    #[test]
    fn diff_with_doubts_agrees_with_the_oracle(
        (before, after) in change(Universe::Small),
        (old, new) in (doubts(), doubts()),
        family in family(),
        same in select(vec![true, false]),
    ) {
        let new = if same { old.clone() } else { new };
        let (x, y) = (
            Reach::of_live(&read(&before, &old), family),
            Reach::of_live(&read(&after, &new), family),
        );
        let diff = Diff::between(&x, &y);
        let named = |doubts: &Doubts| -> Firewall {
            doubts.iter().map(|(_, key, sources)| (*key, sources.clone())).collect()
        };
        let (cells, points) = probes(&[&before, &after, &named(&old), &named(&new)]);
        let [was, maybe_was] = oracles(&before, &old, &points, family);
        let [is, maybe_is] = oracles(&after, &new, &points, family);
        let client = points.iter().position(|point| *point == Point::client()).expect("it is probed");
        for (atom, cell) in cells {
            let at = |oracle: &Oracle<'_>| oracle.lets_in(atom, cell);
            prop_assert_eq!(bits(x.certain.access(atom, cell), &points), at(&was));
            prop_assert_eq!(bits(x.possible.access(atom, cell), &points), at(&maybe_was));
            prop_assert_eq!(bits(y.possible.access(atom, cell), &points), at(&maybe_is));
            let without = |a: &Bits, b: &Bits| -> Bits { a.iter().zip(b).map(|(a, b)| *a && !*b).collect() };
            for (boxes, expected) in [
                (&diff.gained, without(&at(&is), &at(&was))),
                (&diff.lost, without(&at(&was), &at(&maybe_is))),
            ] {
                let mut found = of_boxes(boxes, atom, cell, &points);
                if covers(&found, &points, family) {
                    found[client] = expected[client];
                }
                prop_assert_eq!(found, expected, "{}/{} of {:?}", atom, cell, points);
            }
        }
        prop_assert!(x.possible.is_superset(&x.certain));
        prop_assert_eq!(x.doubt().union(&x.certain), x.possible.clone());
    }
}
