//! Generators of random rules, for the property tests of the whole crate.
//!
//! Owns two universes. The small one has few ports and networks, so that rules often overlap, nest and touch the ends of
//! their ranges; the big one has every value. Is not part of the program.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{AddressType, Family, Firewall, Key, LIGHTSAIL_CONNECT, Protocol, Sources};

/// The values that generated rules are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Universe {
    /// Few values that overlap a lot.
    Small,
    /// Any value.
    Big,
}

/// Sources from texts; a text that is not a valid network becomes an alias.
pub(crate) fn named(texts: &[&str]) -> Sources {
    let mut sources = Sources::new();
    for text in texts {
        match Sources::parse_live(text) {
            Some(net) => sources.insert(net),
            None => sources.insert_alias(*text),
        }
    }
    sources
}

/// The family over which the browser client reaches an instance, for every address type.
pub(crate) fn family() -> BoxedStrategy<Family> {
    select(&["dualstack", "ipv4", "ipv6", "quantum"][..])
        .prop_map(|name| AddressType::from(name).client_family())
        .boxed()
}

/// Ports at both ends of the space and a few neighbours in between.
const PORTS: [i32; 7] = [0, 1, 22, 23, 24, 65534, 65535];

/// Networks that nest, are halves of each other, and touch both ends of their space.
const NETWORKS: [&str; 22] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "0.0.0.0/32",
    "0.0.0.1/32",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.128.0.0/9",
    "10.0.0.0/24",
    "10.0.0.7/32",
    "10.0.1.0/24",
    "255.255.255.254/31",
    "255.255.255.254/32",
    "255.255.255.255/32",
    "::/0",
    "::/1",
    "8000::/1",
    "::/128",
    "2001:db8::/32",
    "2001:db8:8000::/33",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
];

/// Any valid key.
pub(crate) fn key(universe: Universe) -> BoxedStrategy<Key> {
    let (port, number) = match universe {
        Universe::Small => (
            select(&PORTS[..]).boxed(),
            select(&[-1, 0, 8, 255][..]).boxed(),
        ),
        Universe::Big => ((0..=65535).boxed(), (-1..=255).boxed()),
    };
    let ports = (port.clone(), port).prop_map(|(a, b): (i32, i32)| (a.min(b), a.max(b)));
    let numbers = (number.clone(), number);
    let protocol =
        |protocol| move |(from, to)| Key::new(protocol, from, to).expect("numbers in range");
    prop_oneof![
        5 => ports.clone().prop_map(protocol(Protocol::Tcp)),
        2 => ports.prop_map(protocol(Protocol::Udp)),
        2 => numbers.clone().prop_map(protocol(Protocol::Icmp)),
        1 => numbers.prop_map(protocol(Protocol::Icmpv6)),
        1 => Just(Key::ALL),
    ]
    .boxed()
}

/// A network whose host bits are zero.
pub(crate) fn network(universe: Universe) -> BoxedStrategy<IpNet> {
    match universe {
        Universe::Small => select(&NETWORKS[..])
            .prop_map(|text| text.parse().expect("a network of the list"))
            .boxed(),
        Universe::Big => prop_oneof![
            (any::<u32>(), 0..=32u8).prop_map(|(bits, length)| {
                IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), length).trunc())
            }),
            (any::<u128>(), 0..=128u8).prop_map(|(bits, length)| {
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length).trunc())
            }),
        ]
        .boxed(),
    }
}

/// The sources of one rule; never empty.
pub(crate) fn sources(universe: Universe) -> BoxedStrategy<Sources> {
    let most = if universe == Universe::Small { 4 } else { 5 };
    let alias = prop_oneof![8 => Just(None), 2 => Just(Some(LIGHTSAIL_CONNECT)), 1 => Just(Some("partners"))];
    (vec(network(universe), 0..=most), alias)
        .prop_map(|(networks, alias)| {
            let mut sources: Sources = networks.into_iter().collect();
            if let Some(alias) = alias {
                sources.insert_alias(alias);
            }
            sources
        })
        .prop_filter("a rule has sources", |sources| !sources.is_empty())
        .boxed()
}

/// A firewall of a few rules, or of none.
pub(crate) fn firewall(universe: Universe) -> BoxedStrategy<Firewall> {
    let most = if universe == Universe::Small { 5 } else { 8 };
    vec((key(universe), sources(universe)), 0..=most)
        .prop_map(Firewall::from_iter)
        .boxed()
}

/// A firewall before and after a change, often with many rules in common.
pub(crate) fn change(universe: Universe) -> BoxedStrategy<(Firewall, Firewall)> {
    let related =
        (firewall(universe), firewall(universe), firewall(universe)).prop_map(|(common, a, b)| {
            let with = |extra: &Firewall| {
                common
                    .iter()
                    .chain(extra)
                    .map(|(key, sources)| (*key, sources.clone()))
                    .collect::<Firewall>()
            };
            (with(&a), with(&b))
        });
    prop_oneof![(firewall(universe), firewall(universe)), related].boxed()
}
