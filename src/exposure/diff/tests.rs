//! The diff against the point oracle, and the laws that tie it to the accesses it compares.

use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::super::effective::tests::{Bits, Oracle, Point, probes};
use super::*;
use crate::model::arbitrary::{Universe, change};
use crate::model::{Key, Protocol};

/// Which points each box holds.
fn known<'a>(boxes: &'a [Exposed], points: &[Point]) -> Vec<(&'a Exposed, Bits)> {
    let bits = |sources| points.iter().map(|point| point.is_in(sources)).collect();
    boxes
        .iter()
        .map(|exposed| (exposed, bits(&exposed.sources)))
        .collect()
}

fn at(boxes: &[(&Exposed, Bits)], atom: Atom, cell: u16, points: &[Point]) -> Bits {
    let here = boxes
        .iter()
        .find(|(b, _)| b.atom == atom && (b.from..=b.to).contains(&cell));
    here.map_or_else(|| vec![false; points.len()], |(_, bits)| bits.clone())
}

/// Bit by bit, what is in the first and not in the second.
fn without(first: &Bits, second: &Bits) -> Bits {
    first.iter().zip(second).map(|(a, b)| *a && !*b).collect()
}

/// No box could be joined with its neighbour, and no list of networks could be shorter.
fn is_canonical(boxes: &[Exposed]) -> bool {
    let fewest = |sources: &Sources| {
        let ipv4: Vec<Ipv4Net> = sources.ipv4().iter().copied().collect();
        let ipv6: Vec<Ipv6Net> = sources.ipv6().iter().copied().collect();
        Ipv4Net::aggregate(&ipv4).len() == ipv4.len()
            && Ipv6Net::aggregate(&ipv6).len() == ipv6.len()
    };
    boxes
        .iter()
        .all(|b| b.from <= b.to && !b.sources.is_empty() && fewest(&b.sources))
        && boxes.windows(2).all(|pair| {
            let (a, b) = (&pair[0], &pair[1]);
            let apart = a.to < b.from && (a.to + 1 < b.from || a.sources != b.sources);
            a.atom < b.atom || (a.atom == b.atom && apart)
        })
}

fn is_exact(before: &Firewall, after: &Firewall) -> Result<(), TestCaseError> {
    let (x, y) = (Effective::of(before), Effective::of(after));
    let diff = Diff::between(&x, &y);
    prop_assert!(
        is_canonical(&diff.gained) && is_canonical(&diff.lost),
        "{:?}",
        diff
    );
    let (cells, points) = probes(&[before, after]);
    let (was, is) = (Oracle::new(before, &points), Oracle::new(after, &points));
    let (gained, lost) = (known(&diff.gained, &points), known(&diff.lost, &points));
    for (atom, cell) in cells {
        let (was, is) = (was.lets_in(atom, cell), is.lets_in(atom, cell));
        let found = (
            at(&gained, atom, cell, &points),
            at(&lost, atom, cell, &points),
        );
        let expected = (without(&is, &was), without(&was, &is));
        prop_assert_eq!(found, expected, "{}/{} from {:?}", atom, cell, points);
    }

    let back = Diff::between(&y, &x);
    prop_assert_eq!((&back.gained, &back.lost), (&diff.lost, &diff.gained));
    let (gained, lost) = (
        Effective::of_boxes(&diff.gained),
        Effective::of_boxes(&diff.lost),
    );
    prop_assert_eq!(&x.difference(&lost).union(&gained), &y);
    prop_assert_eq!(diff.is_empty(), x == y);
    prop_assert_eq!(diff.is_empty(), equivalent(before, after));
    prop_assert_eq!(Diff::of_change(&before.into(), after), diff);
    Ok(())
}

proptest! {
    #[test]
    fn changes_of_small_firewalls_are_exact((before, after) in change(Universe::Small)) {
        is_exact(&before, &after)?;
    }

    #[test]
    fn changes_of_big_firewalls_are_exact((before, after) in change(Universe::Big)) {
        is_exact(&before, &after)?;
    }
}

#[test]
fn the_headline_says_which_way() {
    let ssh = Key::new(Protocol::Tcp, 22, 22).expect("a key");
    let firewall = |text: &str| -> Effective {
        let sources: Sources = Sources::parse_live(text).into_iter().collect();
        Effective::of(&[(ssh, sources)].into_iter().collect())
    };
    let (wide, narrow, elsewhere) = (
        firewall("10.0.0.0/8"),
        firewall("10.0.0.0/9"),
        firewall("192.0.2.0/24"),
    );
    for (before, after, direction, word) in [
        (&wide, &wide, Direction::Equal, "equal"),
        (&narrow, &wide, Direction::Wider, "wider"),
        (&wide, &narrow, Direction::Narrower, "narrower"),
        (&wide, &elsewhere, Direction::Mixed, "mixed"),
    ] {
        let found = Diff::between(before, after).direction();
        assert_eq!((found, found.to_string().as_str()), (direction, word));
    }
}

#[test]
fn what_could_not_be_read_is_lost_when_it_is_replaced() {
    let live = LiveFirewall::read(&[crate::model::PortState {
        protocol: "tcp".to_owned(),
        ..crate::model::PortState::default()
    }]);
    assert!(live.firewall().is_empty());
    let diff = Diff::of_change(&live, &Firewall::new());
    assert_eq!(diff.direction(), Direction::Narrower);
    assert_eq!(
        diff.lost.iter().map(|b| b.atom).collect::<Vec<_>>(),
        Atom::ALL
    );
}
