//! Tests of the diff against the point oracle and against the laws of set operations.

use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::super::effective::tests::{Bits, Oracle, Point, covers, probes};
use super::*;
use crate::exposure::Atom;
use crate::model::arbitrary::{Universe, change, family, named};
use crate::model::{Key, Protocol, Sources};

/// The points that each box contains.
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

/// The bits that are set in the first and not in the second.
fn without(first: &Bits, second: &Bits) -> Bits {
    first.iter().zip(second).map(|(a, b)| *a && !*b).collect()
}

/// Whether no two boxes could be joined, and no list of networks could be shorter.
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

/// The boxes contain exactly these points, except that a box with the whole family of the browser client cannot exclude it.
fn check_points(
    found: Bits,
    expected: &Bits,
    points: &[Point],
    family: Family,
) -> Result<(), TestCaseError> {
    let client = points.iter().position(|point| *point == Point::client());
    let mut found = found;
    if let Some(client) = client.filter(|_| covers(&found, points, family)) {
        prop_assert!(!found[client], "it is named although its whole family is");
        found[client] = expected[client];
    }
    prop_assert_eq!(&found, expected, "{:?}", points);
    Ok(())
}

fn check_diff(before: &Firewall, after: &Firewall, family: Family) -> Result<(), TestCaseError> {
    let (x, y) = (
        Reach::with_doubts(before, &[], family),
        Reach::with_doubts(after, &[], family),
    );
    let diff = Diff::between(&x, &y);
    prop_assert!(
        is_canonical(&diff.gained) && is_canonical(&diff.lost),
        "{:?}",
        diff
    );
    let (cells, points) = probes(&[before, after]);
    let (was, is) = (
        Oracle::new(before, &points, family),
        Oracle::new(after, &points, family),
    );
    let (gained, lost) = (known(&diff.gained, &points), known(&diff.lost, &points));
    for (atom, cell) in cells {
        let (was, is) = (was.lets_in(atom, cell), is.lets_in(atom, cell));
        let at = |boxes| at(boxes, atom, cell, &points);
        check_points(at(&gained), &without(&is, &was), &points, family)?;
        check_points(at(&lost), &without(&was, &is), &points, family)?;
    }

    let back = Diff::between(&y, &x);
    prop_assert_eq!((&back.gained, &back.lost), (&diff.lost, &diff.gained));
    let (x, y) = (x.certain, y.certain);
    let (gained, lost) = (y.difference(&x), x.difference(&y));
    prop_assert_eq!(&x.difference(&lost).union(&gained), &y);
    prop_assert_eq!(diff.is_empty(), x == y);
    prop_assert_eq!(diff.is_empty(), equivalent(before, after, family));
    prop_assert_eq!(Diff::of_change(before, after, family), diff);
    Ok(())
}

proptest! {
    #[test]
    fn diff_of_small_firewalls_is_exact((before, after) in change(Universe::Small), family in family()) {
        check_diff(&before, &after, family)?;
    }

    #[test]
    fn diff_of_big_firewalls_is_exact((before, after) in change(Universe::Big), family in family()) {
        check_diff(&before, &after, family)?;
    }
}

/// The sources that tcp/22 gains and loses between two lists of sources.
fn ssh(before: &[&str], after: &[&str], family: Family) -> (String, String) {
    let key = Key::new(Protocol::Tcp, 22, 22).expect("a key");
    let of = |texts| Reach::with_doubts(&[(key, named(texts))].into_iter().collect(), &[], family);
    let diff = Diff::between(&of(before), &of(after));
    let text = |boxes: &[Exposed]| match boxes {
        [] => String::new(),
        [one] => one.sources.to_string(),
        _ => panic!("one key gives one box: {boxes:?}"),
    };
    (text(&diff.gained), text(&diff.lost))
}

#[test]
fn whole_family_contains_the_browser_client() {
    const ALIAS: &str = "lightsail-connect";
    let (v4, v6) = (Family::V4, Family::V6);
    for (before, after, family, gained, lost) in [
        (&["0.0.0.0/0"][..], &["0.0.0.0/0", ALIAS][..], v4, "", ""),
        (
            &["0.0.0.0/0"],
            &["0.0.0.0/1", "128.0.0.0/1", ALIAS],
            v4,
            "",
            "",
        ),
        (&[ALIAS], &["0.0.0.0/0"], v4, "0.0.0.0/0", ""),
        (&[ALIAS], &["0.0.0.0/0", "::/0"], v4, "0.0.0.0/0, ::/0", ""),
        (&["0.0.0.0/0"], &["0.0.0.0/1", ALIAS], v4, "", "128.0.0.0/1"),
        // A narrower network does not contain it.
        (
            &["0.0.0.0/0"],
            &["0.0.0.0/1"],
            v4,
            "",
            "128.0.0.0/1, lightsail-connect",
        ),
        (
            &["0.0.0.0/1"],
            &["0.0.0.0/0"],
            v4,
            "128.0.0.0/1, lightsail-connect",
            "",
        ),
        // If the instance has IPv4, the client uses IPv4.
        (&[ALIAS], &["::/0"], v4, "::/0", "lightsail-connect"),
        (&["::/0"], &["::/0", ALIAS], v4, "lightsail-connect", ""),
        (&[ALIAS], &["::/0"], v6, "::/0", ""),
        (&["::/0"], &["::/0", ALIAS], v6, "", ""),
        (
            &["0.0.0.0/0"],
            &["0.0.0.0/0", ALIAS],
            v6,
            "lightsail-connect",
            "",
        ),
        // The addresses of any other alias are unknown.
        (
            &["0.0.0.0/0"],
            &["0.0.0.0/0", "partners"],
            v4,
            "partners",
            "",
        ),
    ] {
        let found = ssh(before, after, family);
        assert_eq!(
            (&*found.0, &*found.1),
            (gained, lost),
            "{before:?} -> {after:?} {family:?}"
        );
    }
}

#[test]
fn direction_has_a_word() {
    let ssh = Key::new(Protocol::Tcp, 22, 22).expect("a key");
    let firewall = |text: &str| -> Reach {
        let sources: Sources = Sources::parse_live(text).into_iter().collect();
        Reach::with_doubts(&[(ssh, sources)].into_iter().collect(), &[], Family::V4)
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
