//! Tests of effective access against a point oracle that does not use sweeps, and against the laws of set operations.
//!
//! Access changes only at the ends of port ranges and networks, so testing both sides of every end covers every packet.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::model::arbitrary::{Universe, change, family, firewall};
use crate::model::{LIGHTSAIL_CONNECT, Protocol};

/// The source of a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Point {
    Address(IpAddr),
    Alias(String),
}

/// One bit for each probed point.
pub(in super::super) type Bits = Vec<bool>;

impl Point {
    pub(in super::super) fn client() -> Self {
        Self::Alias(LIGHTSAIL_CONNECT.to_owned())
    }

    /// Whether it is an address of this family.
    fn is_of(&self, family: Family) -> bool {
        match self {
            Self::Address(address) => address.is_ipv4() == (family == Family::V4),
            Self::Alias(_) => false,
        }
    }

    pub(in super::super) fn is_in(&self, sources: &Sources) -> bool {
        match self {
            Self::Address(IpAddr::V4(address)) => {
                sources.ipv4().iter().any(|net| net.contains(address))
            }
            Self::Address(IpAddr::V6(address)) => {
                sources.ipv6().iter().any(|net| net.contains(address))
            }
            Self::Alias(alias) => sources.aliases().contains(alias),
        }
    }

    pub(in super::super) fn is_in_access(&self, access: &Access) -> bool {
        match self {
            Self::Address(address) => access.contains(*address),
            Self::Alias(alias) => access.aliases.contains(alias),
        }
    }
}

/// Whether a rule with this key opens this cell, computed from the numbers of the key.
fn key_opens(key: Key, atom: Atom, cell: u16) -> bool {
    let (from, to) = (key.from(), key.to());
    let icmp = |atom_of_key: Atom| {
        let (kind, code) = (i32::from(cell) / 256, i32::from(cell) % 256);
        atom == atom_of_key && (from == -1 || from == kind) && (to == -1 || to == code)
    };
    match key.protocol() {
        Protocol::All => true,
        Protocol::Tcp => atom == Atom::Tcp && (from..=to).contains(&i32::from(cell)),
        Protocol::Udp => atom == Atom::Udp && (from..=to).contains(&i32::from(cell)),
        Protocol::Icmp => icmp(Atom::Icmp),
        Protocol::Icmpv6 => icmp(Atom::Icmpv6),
    }
}

/// Whether every probed address of a family is set.
pub(in super::super) fn covers(bits: &Bits, points: &[Point], family: Family) -> bool {
    let mut of_family = points.iter().zip(bits).filter(|(p, _)| p.is_of(family));
    of_family.all(|(_, bit)| *bit)
}

/// The oracle: the points that a firewall lets in, by cell, computed from its rules one by one.
pub(in super::super) struct Oracle<'a> {
    rules: Vec<(Key, Bits)>,
    points: &'a [Point],
    family: Family,
}

impl<'a> Oracle<'a> {
    pub(in super::super) fn new(firewall: &Firewall, points: &'a [Point], family: Family) -> Self {
        Self::of_rules(firewall.iter(), points, family)
    }

    pub(in super::super) fn of_rules<'r>(
        rules: impl Iterator<Item = (&'r Key, &'r Sources)>,
        points: &'a [Point],
        family: Family,
    ) -> Self {
        let known = |sources| points.iter().map(|point| point.is_in(sources)).collect();
        Self {
            rules: rules.map(|(key, sources)| (*key, known(sources))).collect(),
            points,
            family,
        }
    }

    pub(in super::super) fn lets_in(&self, atom: Atom, cell: u16) -> Bits {
        let mut bits = vec![false; self.points.len()];
        for (_, known) in self
            .rules
            .iter()
            .filter(|(key, _)| key_opens(*key, atom, cell))
        {
            bits.iter_mut()
                .zip(known)
                .for_each(|(bit, known)| *bit |= known);
        }
        // The browser client gets in with its whole family.
        if covers(&bits, self.points, self.family) {
            let client = Point::client();
            let mut of_client = self.points.iter().zip(&mut bits);
            of_client
                .by_ref()
                .filter(|(p, _)| **p == client)
                .for_each(|(_, bit)| *bit = true);
        }
        bits
    }
}

/// Cells and points on both sides of both ends of every range and network of the firewalls, and at both ends of every space.
pub(in super::super) fn probes(firewalls: &[&Firewall]) -> (Vec<(Atom, u16)>, Vec<Point>) {
    let mut cells = BTreeSet::new();
    let mut points = BTreeSet::from([Point::Alias("nobody-uses-this".to_owned()), Point::client()]);
    for (first, last) in [(0, u16::MAX)]
        .into_iter()
        .chain(firewalls.iter().flat_map(|f| f.keys()).flat_map(ends))
    {
        for cell in [
            first.checked_sub(1),
            Some(first),
            Some(last),
            last.checked_add(1),
        ]
        .into_iter()
        .flatten()
        {
            cells.extend(Atom::ALL.map(|atom| (atom, cell.min(atom.last_cell()))));
        }
    }
    let spaces = Sources::anywhere();
    for sources in firewalls
        .iter()
        .flat_map(|f| f.iter())
        .map(|(_, sources)| sources)
        .chain([&spaces])
    {
        for net in sources.ipv4() {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let near = [
                first.checked_sub(1),
                Some(first),
                Some(last),
                last.checked_add(1),
            ];
            points.extend(
                near.into_iter()
                    .flatten()
                    .map(|bits| Point::Address(Ipv4Addr::from_bits(bits).into())),
            );
        }
        for net in sources.ipv6() {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let near = [
                first.checked_sub(1),
                Some(first),
                Some(last),
                last.checked_add(1),
            ];
            points.extend(
                near.into_iter()
                    .flatten()
                    .map(|bits| Point::Address(Ipv6Addr::from_bits(bits).into())),
            );
        }
        points.extend(sources.aliases().iter().cloned().map(Point::Alias));
    }
    (cells.into_iter().collect(), points.into_iter().collect())
}

/// The ends of the cells of a key; for a code of every ICMP type, those of the first, of one in between and of the last type.
fn ends(key: Key) -> Vec<(u16, u16)> {
    let number = |value: i32| u16::try_from(value).expect("a port or a cell");
    match (key.protocol().is_icmp(), key.from(), key.to()) {
        (false, from, to) => vec![(number(from), number(to))],
        (true, -1, -1) => vec![(0, u16::MAX)],
        (true, -1, code) => [0, 8, 255]
            .map(|kind| (number(kind * 256 + code), number(kind * 256 + code)))
            .into(),
        (true, kind, -1) => vec![(number(kind * 256), number(kind * 256 + 255))],
        (true, kind, code) => vec![(number(kind * 256 + code), number(kind * 256 + code))],
    }
}

/// Whether runs are maximal, ascending, and never with empty access.
fn is_canonical(effective: &Effective) -> bool {
    Atom::ALL.into_iter().all(|atom| {
        let runs = effective.runs(atom);
        runs.iter()
            .all(|run| run.from <= run.to && run.to <= atom.last_cell() && !run.access.is_empty())
            && runs.windows(2).all(|pair| {
                pair[0].to < pair[1].from
                    && (pair[0].to + 1 < pair[1].from || pair[0].access != pair[1].access)
            })
    })
}

fn agrees_with_oracle(firewall: &Firewall, family: Family) -> Result<(), TestCaseError> {
    let effective = Effective::of(firewall, family);
    prop_assert!(is_canonical(&effective));
    let (cells, points) = probes(&[firewall]);
    let oracle = Oracle::new(firewall, &points, family);
    // Computed once for each run, because computing it for every cell takes most of the time.
    let known = |access: &Access| {
        points
            .iter()
            .map(|point| point.is_in_access(access))
            .collect::<Bits>()
    };
    let by_run: Vec<(Atom, &CellRun, Bits)> = effective
        .iter()
        .map(|(atom, run)| (atom, run, known(&run.access)))
        .collect();
    for (atom, cell) in cells {
        let at = |(of, run, _): &&(Atom, &CellRun, Bits)| {
            *of == atom && (run.from..=run.to).contains(&cell)
        };
        let found = by_run.iter().find(at);
        prop_assert_eq!(
            found.map_or_else(|| vec![false; points.len()], |(.., bits)| bits.clone()),
            oracle.lets_in(atom, cell),
            "{}/{} from {:?}",
            atom,
            cell,
            points
        );
        prop_assert_eq!(
            effective.access(atom, cell),
            found.map_or(&NOBODY, |(_, run, _)| &run.access)
        );
    }
    Ok(())
}

fn obeys_the_laws(a: &Firewall, b: &Firewall, family: Family) -> Result<(), TestCaseError> {
    let (x, y) = (Effective::of(a, family), Effective::of(b, family));
    let (union, both, only) = (x.union(&y), x.intersection(&y), x.difference(&y));
    for result in [&union, &both, &only] {
        prop_assert!(is_canonical(result));
    }
    let joined: Firewall = a
        .iter()
        .chain(b)
        .map(|(key, sources)| (*key, sources.clone()))
        .collect();
    // Together they may cover the whole family of the browser client, which neither does alone.
    let closed =
        |effective: &Effective| effective.map(|access| access.clone().with_client(Some(family)));
    prop_assert_eq!(&x.joined(&y, family), &Effective::of(&joined, family));
    prop_assert_eq!(&closed(&x), &x);
    prop_assert_eq!(&closed(&both), &both);
    prop_assert_eq!(&union, &y.union(&x));
    prop_assert_eq!(&both, &y.intersection(&x));
    prop_assert_eq!(&only.union(&both), &x);
    prop_assert!(only.intersection(&y).is_empty());
    prop_assert_eq!(x.is_superset(&y), union == x);
    prop_assert!(x.difference(&x).is_empty());
    prop_assert_eq!(&closed(&Effective::of_boxes(&x.boxes(family))), &x);
    prop_assert!(only.union(&y).is_superset(&union) && union.is_superset(&only));
    Ok(())
}

/// The same access in another spelling: ranges split, networks split, parts repeated, and the browser client named or not where
/// its whole family gets in.
fn respell(firewall: &Firewall, choices: &[bool], family: Family) -> Firewall {
    let mut choices = choices.iter().copied().cycle();
    let mut choose = || choices.next().unwrap_or_default();
    let mut other = Firewall::new();
    for (key, sources) in firewall {
        let mut spelled = Sources::new();
        for net in sources
            .ipv4()
            .iter()
            .copied()
            .map(IpNet::V4)
            .chain(sources.ipv6().iter().copied().map(IpNet::V6))
        {
            match net.subnets(net.prefix_len() + 1) {
                Ok(halves) if choose() => halves.for_each(|half| spelled.insert(half)),
                _ => spelled.insert(net),
            }
        }
        sources
            .aliases()
            .iter()
            .for_each(|alias| spelled.insert_alias(alias));
        let whole = match family {
            Family::V4 => sources.ipv4().iter().any(|net| net.prefix_len() == 0),
            Family::V6 => sources.ipv6().iter().any(|net| net.prefix_len() == 0),
        };
        if whole && choose() {
            spelled.insert_alias(LIGHTSAIL_CONNECT);
        }
        if key.from() < key.to()
            && !key.protocol().is_icmp()
            && key.protocol() != Protocol::All
            && choose()
        {
            let middle = i32::midpoint(key.from(), key.to());
            // The halves may overlap by one port.
            let second = if choose() { middle } else { middle + 1 };
            for (from, to) in [(key.from(), middle), (second, key.to())] {
                other.add(
                    Key::new(key.protocol(), from, to).expect("a part of a range"),
                    &spelled,
                );
            }
        } else if key.protocol().is_icmp() && key.to() == -1 && choose() {
            for code in 0..=255 {
                other.add(
                    Key::new(key.protocol(), key.from(), code).expect("a code"),
                    &spelled,
                );
            }
        } else {
            other.add(*key, &spelled);
        }
        if choose() {
            other.add(*key, sources);
        }
    }
    other
}

proptest! {
    #[test]
    fn small_firewalls_agree_with_the_oracle(firewall in firewall(Universe::Small), family in family()) {
        agrees_with_oracle(&firewall, family)?;
    }

    #[test]
    fn big_firewalls_agree_with_the_oracle(firewall in firewall(Universe::Big), family in family()) {
        agrees_with_oracle(&firewall, family)?;
    }

    #[test]
    fn set_operations_on_small_firewalls_obey_the_laws((a, b) in change(Universe::Small), family in family()) {
        obeys_the_laws(&a, &b, family)?;
    }

    #[test]
    fn set_operations_on_big_firewalls_obey_the_laws((a, b) in change(Universe::Big), family in family()) {
        obeys_the_laws(&a, &b, family)?;
    }

    #[test]
    fn spelling_does_not_change_effective_access(
        firewall in firewall(Universe::Small),
        choices in proptest::collection::vec(any::<bool>(), 1..40),
        family in family(),
    ) {
        let respelled = respell(&firewall, &choices, family);
        prop_assert_eq!(Effective::of(&respelled, family), Effective::of(&firewall, family));
    }
}

#[test]
fn code_of_every_icmp_type_opens_that_code_only() {
    let key = Key::new(Protocol::Icmp, -1, 3).expect("a key");
    let effective = Effective::of_rules([(&key, &Sources::anywhere())], Family::V4);
    assert_eq!(effective.runs(Atom::Icmp).len(), 256);
    for cell in 0..=u16::MAX {
        assert_eq!(
            effective.access(Atom::Icmp, cell).is_empty(),
            cell % 256 != 3,
            "{cell}"
        );
    }
}

#[test]
fn boxes_with_impossible_cells_are_ignored() {
    let boxed = |atom, from, to| Exposed {
        atom,
        from,
        to,
        sources: Sources::anywhere(),
    };
    let given = [
        boxed(Atom::Other, 1, 9),
        boxed(Atom::Other, 0, 9),
        boxed(Atom::Tcp, 9, 8),
    ];
    assert_eq!(
        Effective::of_boxes(&given).boxes(Family::V4),
        [boxed(Atom::Other, 0, 0)]
    );
}
