//! Live rules as the service may spell them, and what is kept of entries that cannot be read.

use proptest::prelude::*;

use super::*;

fn entry(protocol: &str, from: i32, to: i32, cidrs: &[&str], ipv6_cidrs: &[&str]) -> PortState {
    PortState {
        from_port: from,
        to_port: to,
        protocol: protocol.into(),
        state: open(),
        cidrs: cidrs.iter().map(ToString::to_string).collect(),
        ipv6_cidrs: ipv6_cidrs.iter().map(ToString::to_string).collect(),
        cidr_list_aliases: vec![],
    }
}

fn shown(live: &LiveFirewall) -> Vec<String> {
    live.firewall()
        .iter()
        .map(|(k, s)| format!("{k} {s}{}", if live.is_put_only(*k) { " !" } else { "" }))
        .collect()
}

#[test]
fn live_rules_are_read_in_every_spelling() {
    let live = LiveFirewall::read(&[
        entry("TCP", 22, 22, &["192.0.2.1/32"], &[]),
        entry("-1", 0, 65535, &["10.0.0.0/8"], &[]),
        entry("icmp6", 128, 0, &[], &["::/0"]),
        entry("udp", 53, 53, &["192.0.2.7"], &[]),
        entry("tcp", 80, 80, &["10.1.2.3/8"], &[]),
        entry(
            "tcp",
            443,
            443,
            &["10.0.0.0/8", "9.0.0.0/8"],
            &["2001:db8::/32"],
        ),
        entry("tcp", 8080, 8080, &[], &["2001:DB8::/32"]),
    ]);
    assert_eq!(
        shown(&live),
        [
            "tcp/22 192.0.2.1/32 !",
            "tcp/80 10.0.0.0/8 !",
            "tcp/443 9.0.0.0/8, 10.0.0.0/8, 2001:db8::/32",
            "tcp/8080 2001:db8::/32 !",
            "udp/53 192.0.2.7/32 !",
            "icmpv6/128:0 ::/0 !",
            "all 10.0.0.0/8 !",
        ]
    );
    assert!(live.uncertain().is_empty() && live.unknown().is_empty());
}

proptest! {
    /// Held to what networks display.
    #[test]
    fn spelling_is_canonical_if_it_is_displayed(
        address in any::<u32>(),
        length in 0_u8..=32,
        from in 0_usize..20,
        change in prop::sample::select(vec!["", "0", "+", "1", ".", "/", " ", "/8"]),
    ) {
        let net = IpNet::new(std::net::Ipv4Addr::from(address).into(), length).expect("a length");
        let mut text = net.trunc().to_string();
        text.insert_str(from.min(text.len()), change);
        if let Some(net) = Sources::parse_live(&text) {
            prop_assert_eq!(is_spelling_of(&text, net), text == net.to_string());
        }
        prop_assert_eq!(is_spelling_of(&text, net.trunc()), change.is_empty());
    }
}

#[test]
fn repeated_key_is_merged_and_put_only() {
    let live = LiveFirewall::read(&[
        entry("all", 0, 65535, &["10.0.0.0/8"], &[]),
        entry("all", 0, 65535, &[], &["2001:db8::/32"]),
    ]);
    assert_eq!(shown(&live), ["all 10.0.0.0/8, 2001:db8::/32 !"]);
}

#[test]
fn closed_entry_is_ignored() {
    let closed = PortState {
        state: Some("closed".into()),
        ..entry("tcp", 22, 22, &["0.0.0.0/0"], &[])
    };
    assert_eq!(LiveFirewall::read(&[closed]), LiveFirewall::default());
}

#[test]
fn unreadable_entries_are_kept() {
    let live = LiveFirewall::read(&[
        entry("tcp", 22, 22, &[], &[]),
        entry("all", -1, -1, &["10.0.0.0/8"], &[]),
        entry("tcp", 90, 80, &["10.0.0.0/8"], &[]),
        entry("tcp", 81, 81, &["everyone"], &[]),
        entry("sctp", 5, 5, &["10.0.0.0/8"], &[]),
    ]);
    assert!(live.firewall().is_empty());
    let doubts: Vec<String> = live
        .uncertain()
        .iter()
        .map(|u| format!("{}: {}", u.entry, u.doubt))
        .collect();
    assert_eq!(
        doubts,
        [
            "all -1--1: its ports mean nothing certain: `all` is every port of every protocol and takes no ports (-1--1)",
            "tcp 22-22: it names no source",
            "tcp 81-81: `everyone` is not a valid network",
            "tcp 90-80: its ports mean nothing certain: the range 90-80 ends before it starts",
        ]
    );
    assert_eq!(
        live.unknown()
            .iter()
            .map(|e| e.protocol.as_str())
            .collect::<Vec<_>>(),
        ["sctp"]
    );
    assert!(live.is_put_only(Key::new(Protocol::Tcp, 22, 22).expect("a key")));
}

proptest! {
    /// Compares with the texts of a request, in any order.
    #[test]
    fn only_the_spelling_that_is_sent_is_canonical(
        cidrs in some_texts(),
        ipv6_cidrs in some_texts(),
        protocol in prop::sample::select(vec!["tcp", "TCP", "6"]),
    ) {
        let cidrs: Vec<&str> = cidrs.iter().map(String::as_str).collect();
        let ipv6_cidrs: Vec<&str> = ipv6_cidrs.iter().map(String::as_str).collect();
        let mut entry = entry(protocol, 22, 22, &cidrs, &ipv6_cidrs);
        let live = LiveFirewall::read(std::slice::from_ref(&entry));
        let Some((key, sources)) = live.firewall().iter().next() else {
            return Ok(());
        };
        entry.cidrs.sort();
        entry.ipv6_cidrs.sort();
        let mut sent = PortState::canonical(*key, sources);
        sent.cidrs.sort();
        sent.ipv6_cidrs.sort();
        prop_assert_eq!(!live.is_put_only(*key), entry == sent, "{:?}", entry);
    }
}

proptest! {
    /// Also with uncertain entries, and with or without a state.
    #[test]
    fn live_firewall_survives_a_json_round_trip(
        entries in prop::collection::vec((
            prop::sample::select(vec!["tcp", "TCP", "all", "sctp"]),
            prop::sample::select(vec![22, 65535, 70000]),
            some_texts(),
            prop::option::of(prop::sample::select(vec!["open", "Open", "odd"])),
        ), 0..5),
    ) {
        let entries: Vec<PortState> = entries.iter().map(|(protocol, to, cidrs, state)| {
            let cidrs: Vec<&str> = cidrs.iter().map(String::as_str).collect();
            let state = state.map(str::to_owned);
            PortState { state, ..entry(protocol, 0, *to, &cidrs, &[]) }
        }).collect();
        let live = LiveFirewall::read(&entries);
        let text = serde_json::to_string(&live).expect("JSON");
        let again: LiveFirewall = serde_json::from_str(&text).expect("a live firewall");
        prop_assert_eq!(&again, &live, "{}", text);
        prop_assert_eq!(serde_json::to_string(&again).expect("JSON"), text);
    }
}

fn some_texts() -> impl Strategy<Value = Vec<String>> {
    let texts = [
        "10.0.0.0/8",
        "10.1.2.3/8",
        "192.0.2.1",
        "192.0.2.1/32",
        "192.0.2.1/3",
        "::/0",
        "2001:DB8::/32",
        "2001:db8::/32",
        "::ffff:192.0.2.1/128",
    ];
    let text = prop::sample::select(texts.map(str::to_owned).to_vec());
    prop::collection::vec(text, 0..3)
}
