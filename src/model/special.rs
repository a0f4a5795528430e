//! Special-purpose networks, from which no packet reaches a public address.
//!
//! Owns the table. It has the networks that are not globally reachable according to the IANA special-purpose address registries
//! (RFC 6890; IPv4 and IPv6), and multicast, which is never a source. Two kinds are left out on purpose: the documentation networks
//! (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, `2001:db8::/32`, `3fff::/20`), so that examples work, and networks for which
//! the registry says neither yes nor no (6to4, Teredo). Does not decide what follows.

use std::sync::LazyLock;

use ipnet::IpNet;

/// A network that is not globally reachable, except for the parts of it that are in [`GLOBALLY_REACHABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// The network.
    pub net: IpNet,
    /// The purpose, as in "10.0.0.1 is …".
    pub purpose: &'static str,
    /// The RFC that defines it.
    pub rfc: &'static str,
}

/// The table. A narrower network comes before a wider one that contains it.
pub static SPECIAL_PURPOSE: LazyLock<Vec<Special>> = LazyLock::new(|| {
    let table = [
        ("0.0.0.0/8", "unspecified (\"this network\")", "RFC 791"),
        ("10.0.0.0/8", "private", "RFC 1918"),
        (
            "100.64.0.0/10",
            "shared behind carrier-grade NAT",
            "RFC 6598",
        ),
        ("127.0.0.0/8", "loopback", "RFC 1122"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private", "RFC 1918"),
        ("192.0.0.0/24", "for protocol assignments", "RFC 6890"),
        ("192.168.0.0/16", "private", "RFC 1918"),
        ("198.18.0.0/15", "for benchmarks", "RFC 2544"),
        ("224.0.0.0/4", "multicast", "RFC 1112"),
        ("240.0.0.0/4", "reserved", "RFC 1112"),
        ("::/128", "unspecified", "RFC 4291"),
        ("::1/128", "loopback", "RFC 4291"),
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
        ("64:ff9b:1::/48", "for local translation", "RFC 8215"),
        ("100::/64", "discard-only", "RFC 6666"),
        ("100:0:0:1::/64", "a dummy", "RFC 9780"),
        ("2001:2::/48", "for benchmarks", "RFC 5180"),
        ("2001::/23", "for protocol assignments", "RFC 2928"),
        ("5f00::/16", "a segment routing identifier", "RFC 9602"),
        ("fc00::/7", "unique local", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291"),
        ("ff00::/8", "multicast", "RFC 4291"),
    ];
    let special = |(net, purpose, rfc)| Special {
        net: network(net),
        purpose,
        rfc,
    };
    table.map(special).to_vec()
});

/// The exceptions from [`SPECIAL_PURPOSE`]: networks that are globally reachable, or for which the registries do not say.
pub static GLOBALLY_REACHABLE: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let table = [
        // Port Control Protocol and TURN anycast.
        "192.0.0.9/32",
        "192.0.0.10/32",
        // Teredo.
        "2001::/32",
        // Port Control Protocol, TURN and DNS-SD anycast.
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        // AMT and AS112.
        "2001:3::/32",
        "2001:4:112::/48",
        // ORCHID, ORCHIDv2 and DRIP.
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
    ];
    table.map(network).to_vec()
});

fn network(text: &str) -> IpNet {
    text.parse().expect("the tables have valid networks")
}

impl Special {
    /// The entry by which no address of this network is globally reachable; `None` if some address may be.
    pub fn of(net: IpNet) -> Option<&'static Self> {
        let apart = |other: &IpNet| !holds(&net, other) && !holds(other, &net);
        let holds = SPECIAL_PURPOSE
            .iter()
            .find(|special| holds(&special.net, &net));
        if let Some(special) = holds.filter(|_| GLOBALLY_REACHABLE.iter().all(apart)) {
            return Some(special);
        }
        // It may consist of several special-purpose networks.
        if SPECIAL_PURPOSE.iter().all(|special| apart(&special.net)) {
            return None;
        }
        let mut halves = net.subnets(net.prefix_len() + 1).ok()?;
        let first = Self::of(halves.next()?)?;
        halves.all(|half| Self::of(half).is_some()).then_some(first)
    }
}

/// Whether one network contains another. Each source of a configuration is compared with the whole table, so this compares
/// numbers, which is faster than `ipnet`.
fn holds(outer: &IpNet, inner: &IpNet) -> bool {
    let is_shorter = outer.prefix_len() <= inner.prefix_len();
    is_shorter
        && match (outer, inner) {
            (IpNet::V4(outer), IpNet::V4(inner)) => {
                let differ = u32::from(outer.addr()) ^ u32::from(inner.addr());
                u32::from(outer.prefix_len()) <= differ.leading_zeros()
            }
            (IpNet::V6(outer), IpNet::V6(inner)) => {
                let differ = u128::from(outer.addr()) ^ u128::from(inner.addr());
                u32::from(outer.prefix_len()) <= differ.leading_zeros()
            }
            _ => false,
        }
}

/// Such as `private (RFC 1918)`.
impl std::fmt::Display for Special {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.purpose, self.rfc)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn why(text: &str) -> Option<&'static str> {
        let net = super::super::Sources::parse_live(text).expect("a network");
        Special::of(net).map(|special| special.purpose)
    }

    proptest::proptest! {
        #[test]
        fn contains_agrees_with_ipnet(a in nets(), b in nets()) {
            proptest::prop_assert_eq!(holds(&a, &b), a.contains(&b));
        }
    }

    /// Networks of both families, most of them near each other.
    fn nets() -> impl proptest::strategy::Strategy<Value = IpNet> {
        use proptest::prelude::*;
        prop_oneof![
            (0..4_u32, 0..=32_u8).prop_map(|(at, length)| {
                IpNet::new(Ipv4Addr::from(at << 30 | at).into(), length)
                    .expect("a length")
                    .trunc()
            }),
            (0..4_u128, 0..=128_u8).prop_map(|(at, length)| {
                IpNet::new(Ipv6Addr::from(at << 126 | at).into(), length)
                    .expect("a length")
                    .trunc()
            }),
        ]
    }

    /// Tests addresses on both sides of both ends of every entry, and some in between.
    #[test]
    fn table_agrees_with_the_iana_registries() {
        for (text, what) in [
            ("0.0.0.0", Some("unspecified (\"this network\")")),
            ("0.255.255.255", Some("unspecified (\"this network\")")),
            ("1.0.0.0", None),
            ("9.255.255.255", None),
            ("10.0.0.0", Some("private")),
            ("10.255.255.255", Some("private")),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some("shared behind carrier-grade NAT")),
            ("100.127.255.255", Some("shared behind carrier-grade NAT")),
            ("100.128.0.0", None),
            ("127.0.0.1", Some("loopback")),
            ("128.0.0.0", None),
            ("169.253.255.255", None),
            ("169.254.169.254", Some("link-local")),
            ("169.255.0.0", None),
            ("172.15.255.255", None),
            ("172.31.0.0/16", Some("private")),
            ("172.32.0.0", None),
            ("192.0.0.8", Some("for protocol assignments")),
            ("192.0.0.9", None),
            ("192.0.0.10", None),
            ("192.0.0.11", Some("for protocol assignments")),
            ("192.0.1.0", None),
            ("192.88.99.1", None),
            ("192.167.255.255", None),
            ("192.168.0.0/16", Some("private")),
            ("192.169.0.0", None),
            ("198.17.255.255", None),
            ("198.18.0.0/15", Some("for benchmarks")),
            ("198.20.0.0", None),
            ("223.255.255.255", None),
            ("224.0.0.1", Some("multicast")),
            ("240.0.0.0", Some("reserved")),
            ("255.255.255.255", Some("reserved")),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::2", None),
            ("::ffff:203.0.113.7", Some("IPv4-mapped")),
            ("64:ff9b::cb00:7107", None),
            ("64:ff9b:1::1", Some("for local translation")),
            ("100::1", Some("discard-only")),
            ("100:0:0:1::", Some("a dummy")),
            ("100:0:0:2::", None),
            ("2001::1", None),
            ("2001:1::", Some("for protocol assignments")),
            ("2001:1::1", None),
            ("2001:1::4", Some("for protocol assignments")),
            ("2001:2::1", Some("for benchmarks")),
            ("2001:3::1", None),
            ("2001:4:112::1", None),
            ("2001:4:113::1", Some("for protocol assignments")),
            ("2001:20::1", None),
            ("2001:30::1", None),
            ("2001:40::1", Some("for protocol assignments")),
            (
                "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("for protocol assignments"),
            ),
            ("2001:200::", None),
            ("2002::1", None),
            ("5f00::1", Some("a segment routing identifier")),
            ("fbff::", None),
            ("fd12:3456::/32", Some("unique local")),
            ("fe80::1", Some("link-local")),
            ("fec0::1", None),
            ("ff02::1", Some("multicast")),
            // Documentation, so that examples can be tried.
            ("192.0.2.0/24", None),
            ("198.51.100.0/24", None),
            ("203.0.113.0/24", None),
            ("2001:db8::/32", None),
            ("3fff::/20", None),
        ] {
            assert_eq!(why(text), what, "{text}");
        }
    }

    #[test]
    fn network_is_special_only_if_all_of_it_is() {
        for (text, what) in [
            ("0.0.0.0/0", None),
            ("::/0", None),
            ("10.0.0.0/7", None),
            ("192.0.0.0/24", None),
            ("192.0.0.8/30", None),
            ("2001::/23", None),
            ("2001:1::/32", None),
            ("::/127", Some("unspecified")),
            ("224.0.0.0/3", Some("multicast")),
            ("fc00::/6", None),
            ("100::/63", Some("discard-only")),
        ] {
            assert_eq!(why(text), what, "{text}");
        }
    }

    #[test]
    fn table_has_no_host_bits_and_contains_every_exception() {
        for net in SPECIAL_PURPOSE
            .iter()
            .map(|special| special.net)
            .chain(GLOBALLY_REACHABLE.iter().copied())
        {
            assert_eq!(net, net.trunc());
        }
        for net in &*GLOBALLY_REACHABLE {
            assert!(
                SPECIAL_PURPOSE
                    .iter()
                    .any(|special| special.net.contains(net)),
                "{net}"
            );
        }
    }
}
