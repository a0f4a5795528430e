//! Tests of lines. Property tests parse the lines and compare them with the boxes.

use std::collections::BTreeSet;

use ipnet::IpNet;
use proptest::prelude::*;

use super::super::range_set::RangeSet;
use super::super::{Diff, Effective, Reach};
use super::*;
use crate::model::arbitrary::{Universe, change, family, named, sources};
use crate::model::{Family, Firewall, Key, Protocol};

fn rule(protocol: Protocol, from: i32, to: i32, texts: &[&str]) -> (Key, Sources) {
    (Key::new(protocol, from, to).expect("a key"), named(texts))
}

fn opened<const N: usize>(rules: [(Key, Sources); N]) -> Vec<String> {
    let after: Firewall = rules.into_iter().collect();
    let lines = lines(&Effective::of(&after, Family::V4).boxes(Family::V4));
    lines.iter().map(ToString::to_string).collect()
}

/// Parses the name of cells.
fn cells_of(ports: &str) -> Vec<(Atom, u16, u16)> {
    let range = |text: &str| -> (u16, u16) {
        let number = |text: &str| text.parse().expect("a number");
        match text {
            "-1" => (0, 255),
            _ => text.split_once('-').map_or_else(
                || (number(text), number(text)),
                |(a, b)| (number(a), number(b)),
            ),
        }
    };
    let piece = |piece: &str| -> Vec<(Atom, u16, u16)> {
        let (name, numbers) = piece.split_once('/').unwrap_or((piece, "0-65535"));
        let atom = Atom::ALL
            .into_iter()
            .find(|atom| atom.as_str() == name)
            .expect("an atom");
        let Some((kinds, codes)) = numbers.split_once(':') else {
            let (from, to) = range(numbers);
            return vec![(atom, from, to)];
        };
        let ((first, last), (low, high)) = (range(kinds), range(codes));
        (first..=last)
            .map(|kind| (atom, kind * 256 + low, kind * 256 + high))
            .collect()
    };
    match ports {
        "all protocols" => Atom::ALL.map(|atom| (atom, 0, atom.last_cell())).into(),
        "other protocols" => vec![(Atom::Other, 0, 0)],
        _ => ports.split(", ").flat_map(piece).collect(),
    }
}

/// Parses the wording of sources.
fn access_of(phrase: &str) -> Access {
    let named = |texts: &str| {
        let texts = texts.split(", ").filter(|text| !text.is_empty());
        texts.fold(Access::nobody(), |all, text| {
            all.union(&match text.split(" (").next().unwrap_or_default() {
                "everyone" if text == "everyone" => Access::everyone(),
                "everyone" if text.ends_with("(IPv4)") => Access {
                    v6: RangeSet::new(),
                    ..Access::everyone()
                },
                "everyone" => Access {
                    v6: RangeSet::all(),
                    ..Access::nobody()
                },
                "nobody" => Access::nobody(),
                name => Access::from(&named(&[name])),
            })
        })
    };
    let Some((most, but)) = phrase.split_once(" but ") else {
        return named(phrase);
    };
    let (others, everyone) = most.rsplit_once(" and ").unwrap_or(("", most));
    named(others).union(&named(everyone).difference(&named(but)))
}

fn check_lines(boxes: &[Exposed]) -> Result<(), TestCaseError> {
    let lines = lines(boxes);
    let mut described = Vec::new();
    for line in &lines {
        let Line {
            ports,
            sources,
            cells,
        } = line;
        let mut named: Vec<_> = cells_of(ports).into_iter().collect();
        let mut cells = cells.clone();
        named.sort_unstable();
        cells.sort_unstable();
        let of = |cells: &[(Atom, u16, u16)]| {
            let exposed = |(atom, from, to): &(Atom, u16, u16)| Exposed {
                atom: *atom,
                from: *from,
                to: *to,
                sources: sources.clone(),
            };
            Effective::of_boxes(&cells.iter().map(exposed).collect::<Vec<_>>())
        };
        prop_assert_eq!(of(&named), of(&cells), "{}", ports);
        prop_assert_eq!(of(&cells), line.effective());
        described.extend(cells_of(ports).into_iter().map(|(atom, from, to)| Exposed {
            atom,
            from,
            to,
            sources: sources.clone(),
        }));
    }
    let shown: Vec<String> = lines.iter().map(ToString::to_string).collect();
    prop_assert_eq!(
        Effective::of_boxes(&described),
        Effective::of_boxes(boxes),
        "{:?}",
        shown
    );
    prop_assert!(lines.len() <= boxes.len() + 1, "{:?}", shown);
    Ok(())
}

proptest! {
    #[test]
    fn lines_describe_small_changes_exactly((before, after) in change(Universe::Small), family in family()) {
        let diff = Diff::between(&Reach::with_doubts(&before, &[], family), &Reach::with_doubts(&after, &[], family));
        check_lines(&diff.gained)?;
        check_lines(&diff.lost)?;
    }

    #[test]
    fn lines_describe_big_changes_exactly((before, after) in change(Universe::Big), family in family()) {
        let diff = Diff::between(&Reach::with_doubts(&before, &[], family), &Reach::with_doubts(&after, &[], family));
        check_lines(&diff.gained)?;
        check_lines(&diff.lost)?;
    }

    #[test]
    fn phrases_describe_sources_exactly(a in sources(Universe::Small), b in sources(Universe::Small)) {
        let of = |sources| Access::of(sources, Family::V4);
        let left = of(&a).difference(&of(&b)).without_implied_client(Family::V4);
        let phrase = format_sources(&left.to_sources(Family::V4));
        prop_assume!(!phrase.contains(" more"));
        prop_assert_eq!(access_of(&phrase).without_implied_client(Family::V4), left, "{}", phrase);
    }

    #[test]
    fn names_describe_icmp_cells_exactly(a in any::<u16>(), b in any::<u16>()) {
        let (from, to) = (a.min(b), a.max(b));
        let covered: BTreeSet<u16> =
            cells_of(&cells::name(Atom::Icmp, from, to)).into_iter().flat_map(|(_, a, b)| a..=b).collect();
        prop_assert_eq!(covered, (from..=to).collect::<BTreeSet<u16>>());
    }
}

#[test]
fn lines_name_ports_and_everyone() {
    assert_eq!(
        opened([
            rule(
                Protocol::Tcp,
                443,
                443,
                &["0.0.0.0/1", "128.0.0.0/1", "::/0"]
            ),
            rule(Protocol::Tcp, 5432, 5432, &["203.0.113.0/24"]),
            rule(
                Protocol::Udp,
                7000,
                7010,
                &["192.0.2.7/32", "2001:db8::/32", "lightsail-connect"]
            ),
            rule(Protocol::Udp, 9, 9, &["::/0"]),
        ]),
        [
            "tcp/443 from everyone",
            "tcp/5432 from 203.0.113.0/24 (256 addresses)",
            "udp/9 from everyone (IPv6)",
            "udp/7000-7010 from 192.0.2.7/32, 2001:db8::/32 (2^96 addresses), lightsail-connect",
        ]
    );
}

#[test]
fn all_rule_and_a_port_take_two_lines() {
    assert_eq!(
        opened([
            rule(Protocol::All, 0, 65535, &["10.0.0.0/8"]),
            rule(Protocol::Tcp, 23, 23, &["192.0.2.0/24"])
        ]),
        [
            "all protocols from 10.0.0.0/8 (16,777,216 addresses)",
            "tcp/23 from 192.0.2.0/24 (256 addresses)"
        ]
    );
}

#[test]
fn port_inside_a_range_takes_two_lines() {
    assert_eq!(
        opened([
            rule(Protocol::Tcp, 0, 65535, &["10.0.0.1/32"]),
            rule(Protocol::Tcp, 22, 22, &["192.0.2.1/32"]),
        ]),
        ["tcp/0-65535 from 10.0.0.1/32", "tcp/22 from 192.0.2.1/32"]
    );
}

#[test]
fn icmp_cells_are_named_by_type_and_code() {
    assert_eq!(
        opened([rule(Protocol::Icmp, 8, -1, &["0.0.0.0/0"])]),
        ["icmp/8:-1 from everyone (IPv4)"]
    );
    assert_eq!(
        opened([rule(Protocol::Icmp, -1, -1, &["0.0.0.0/0"])]),
        ["icmp from everyone (IPv4)"]
    );
    assert_eq!(
        opened([rule(Protocol::Icmpv6, 128, 0, &["::/0"])]),
        ["icmpv6/128:0 from everyone (IPv6)"]
    );
    assert_eq!(
        opened([
            rule(Protocol::Icmp, -1, 3, &["192.0.2.1/32"]),
            rule(Protocol::Icmp, 8, -1, &["192.0.2.2/32"])
        ]),
        ["icmp/-1:3 from 192.0.2.1/32", "icmp/8:-1 from 192.0.2.2/32"]
    );
    assert_eq!(
        cells::name(Atom::Icmp, 5, 3 * 256 + 9),
        "icmp/0:5-255, icmp/1-2:-1, icmp/3:0-9"
    );
    // No type between them is whole.
    assert_eq!(
        cells::name(Atom::Icmp, 5, 256 + 9),
        "icmp/0:5-255, icmp/1:0-9"
    );
}

/// A code of every type is distinguished from types that have all codes; ports have no codes.
#[test]
fn code_is_named_for_all_types_only_if_every_type_has_it() {
    assert_eq!(
        opened([
            rule(Protocol::Icmp, -1, 3, &["192.0.2.1/32"]),
            rule(Protocol::Icmp, 0, -1, &["192.0.2.2/32"])
        ]),
        ["icmp/-1:3 from 192.0.2.1/32", "icmp/0:-1 from 192.0.2.2/32"]
    );
    let ports: [_; 256] = std::array::from_fn(|at| {
        let port = i32::try_from(at * 256 + 22).expect("a port");
        rule(Protocol::Tcp, port, port, &["192.0.2.1/32"])
    });
    let lines = opened(ports);
    assert_eq!(lines.len(), 256);
    assert_eq!(lines[255], "tcp/65302 from 192.0.2.1/32");
}

#[test]
fn excluded_networks_are_named_if_that_is_shorter() {
    let everyone = Access::everyone();
    let but = |texts: &[&str]| {
        format_sources(
            &everyone
                .difference(&Access::from(&named(texts)))
                .to_sources(Family::V4),
        )
    };
    assert_eq!(but(&["203.0.113.0/24"]), "everyone but 203.0.113.0/24");
    assert_eq!(
        but(&["203.0.113.0/24", "::1/128"]),
        "everyone but 203.0.113.0/24, ::1/128"
    );
    assert_eq!(
        but(&["203.0.113.0/24", "::/0"]),
        "everyone (IPv4) but 203.0.113.0/24"
    );
    assert_eq!(
        but(&["203.0.113.0/24", "8000::/1"]),
        "::/1 (2^127 addresses) and everyone (IPv4) but 203.0.113.0/24"
    );
    assert_eq!(
        but(&["128.0.0.0/1", "::/0"]),
        "0.0.0.0/1 (2,147,483,648 addresses), lightsail-connect"
    );
    assert_eq!(format_sources(&Sources::new()), "nobody");
    assert_eq!(
        format_sources(&named(&["0.0.0.0/0", "::/0", "lightsail-connect"])),
        "everyone"
    );
    // These sources are narrower than all of IPv4, so they do not contain the browser client.
    assert_eq!(
        format_sources(
            &everyone
                .difference(&Access::from(&named(&[
                    "203.0.113.0/24",
                    "lightsail-connect"
                ])))
                .to_sources(Family::V4)
        ),
        "everyone but 203.0.113.0/24, lightsail-connect"
    );
}

#[test]
fn address_counts_are_formatted_by_family() {
    for (texts, said) in [
        (&[][..], "0 addresses"),
        (&["192.0.2.1/32"], "1 address"),
        (&["192.0.2.1/32", "192.0.2.3/32"], "2 addresses"),
        (&["192.0.2.0/24", "lightsail-connect"], "256 addresses"),
        (&["10.0.0.0/8"], "16,777,216 addresses"),
        (&["2001:db8::1/128"], "1 address"),
        (&["2001:db8::/64"], "2^64 addresses"),
        (
            &["192.0.2.1/32", "2001:db8::/48"],
            "1 IPv4 and 2^80 IPv6 addresses",
        ),
    ] {
        assert_eq!(
            count_addresses(&Access::from(&named(texts))),
            said,
            "{texts:?}"
        );
    }
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1000, "1,000"),
        (12_345, "12,345"),
        (123_456, "123,456"),
        (1_234_567, "1,234,567"),
    ] {
        assert_eq!(group_thousands(number), text);
    }
}

#[test]
fn long_lists_are_truncated_with_a_count() {
    let scattered: Sources = (0..9u8)
        .map(|i| IpNet::from(std::net::IpAddr::from([192, 0, 2, i * 2])))
        .collect();
    assert_eq!(
        format_sources(&scattered),
        "192.0.2.0/32, 192.0.2.2/32, 192.0.2.4/32, 192.0.2.6/32, 192.0.2.8/32, 192.0.2.10/32 and 3 more \
         (9 addresses in all)"
    );
}

#[test]
fn control_characters_in_aliases_are_escaped() {
    assert_eq!(format_sources(&named(&["a\u{1b}[2Jb"])), "a\\u{1b}[2Jb");
}
