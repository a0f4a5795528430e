//! The three changes against a tiny model, which is a canonical firewall.

use proptest::prelude::*;

use crate::model::{Firewall, LiveFirewall};

use super::*;

const KEYS: [(&str, i32, i32); 6] = [
    ("tcp", 22, 22),
    ("TCP", 20, 30),
    ("udp", 53, 53),
    ("icmp", 8, -1),
    ("icmpv6", 128, 0),
    ("all", 0, 65535),
];

fn rule() -> impl Strategy<Value = Rule> {
    let cidrs = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "192.0.2.1/32"];
    let ipv6 = ["::/0", "2001:DB8::1", "2001:db8::/32"];
    let list = |texts: Vec<&'static str>| {
        let most = texts.len();
        prop::sample::subsequence(texts, 0..=most)
            .prop_map(|texts| Some(texts.into_iter().map(str::to_owned).collect()))
    };
    let key = prop::sample::select(KEYS.to_vec());
    let alias = list(vec![LIGHTSAIL_CONNECT]);
    (key, list(cidrs.into()), list(ipv6.into()), alias).prop_map(
        |((protocol, from, to), cidrs, ipv6_cidrs, cidr_list_aliases)| {
            let info = PortInfo {
                from_port: Some(from),
                to_port: Some(to),
                protocol: Some(protocol.to_owned()),
                cidrs,
                ipv6_cidrs,
                cidr_list_aliases,
            };
            info.check().expect("a valid rule")
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Open(Rule),
    Close(Rule),
    Put(Vec<Rule>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        rule().prop_map(Step::Open),
        rule().prop_map(Step::Close),
        prop::collection::vec(rule(), 0..4).prop_map(Step::Put),
    ]
}

/// The sources that a rule names.
fn named(rule: &Rule) -> Sources {
    let mut sources: Sources = rule
        .sent
        .cidrs
        .iter()
        .chain(&rule.sent.ipv6_cidrs)
        .filter_map(|text| Sources::parse_live(text))
        .collect();
    for alias in &rule.sent.cidr_list_aliases {
        sources.insert_alias(alias);
    }
    sources
}

fn named_or_world(rule: &Rule) -> Sources {
    let sources = named(rule);
    if sources.is_empty() {
        Sources::anywhere()
    } else {
        sources
    }
}

fn minus(there: &Sources, gone: &Sources) -> Sources {
    let mut rest: Sources = there
        .ipv4()
        .difference(gone.ipv4())
        .map(|net| IpNet::V4(*net))
        .chain(
            there
                .ipv6()
                .difference(gone.ipv6())
                .map(|net| IpNet::V6(*net)),
        )
        .collect();
    for alias in there.aliases().difference(gone.aliases()) {
        rest.insert_alias(alias);
    }
    rest
}

fn expect(model: &mut Firewall, step: &Step, on_open: OnOpen, on_close: OnClose) {
    match step {
        Step::Open(rule) => {
            if on_open == OnOpen::Replace {
                model.remove(rule.key);
            }
            model.add(rule.key, &named_or_world(rule));
        }
        Step::Close(rule) => {
            let gone = named(rule);
            let there = model.remove(rule.key).unwrap_or_default();
            if on_close == OnClose::Sources && !gone.is_empty() {
                model.set(rule.key, minus(&there, &gone));
            }
        }
        Step::Put(rules) => {
            *model = Firewall::new();
            for rule in rules {
                model.add(rule.key, &named_or_world(rule));
            }
        }
    }
}

proptest! {
    #[test]
    fn every_sequence_ends_where_the_model_ends(
        steps in prop::collection::vec(step(), 0..12),
        on_open in prop::sample::select(vec![OnOpen::Merge, OnOpen::Replace]),
        on_close in prop::sample::select(vec![OnClose::Sources, OnClose::Key]),
    ) {
        let mut model = Firewall::new();
        let mut entries = Vec::new();
        for step in &steps {
            entries = match step {
                Step::Open(rule) => open(&entries, rule, &AddressType::Dualstack, on_open),
                Step::Close(rule) => close(&entries, rule, on_close),
                Step::Put(rules) => put(rules, &AddressType::Dualstack),
            };
            expect(&mut model, step, on_open, on_close);
            // Equal as live firewalls: nothing repeated, nothing in doubt, every spelling canonical.
            prop_assert_eq!(LiveFirewall::read(&entries), LiveFirewall::from(&model));
            let counts = model.counts();
            prop_assert_eq!(count(&entries), (counts.ipv4, counts.ipv6));
        }
    }
}

fn parse(text: &str) -> Vec<PortState> {
    serde_json::from_str(text).expect("entries")
}

fn tcp(port: i32, cidrs: &[&str]) -> Rule {
    let info = PortInfo {
        from_port: Some(port),
        to_port: Some(port),
        protocol: Some("tcp".to_owned()),
        cidrs: Some(cidrs.iter().map(ToString::to_string).collect()),
        ..PortInfo::default()
    };
    info.check().expect("a valid rule")
}

#[test]
fn what_is_not_written_keeps_its_place_and_spelling() {
    let entries = parse(
        r#"[{"fromPort": 80, "toPort": 80, "protocol": "TCP", "cidrs": ["10.1.2.3/8"]},
            {"fromPort": 22, "toPort": 22, "protocol": "Tcp", "cidrs": ["192.0.2.7", "10.1.2.3/8"]},
            {"fromPort": 1, "toPort": 2, "protocol": "sctp", "cidrs": ["10.0.0.0/8"]},
            {"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": [], "ipv6Cidrs": ["2001:DB8::/32"]}]"#,
    );
    let dual = AddressType::Dualstack;
    let opened = open(
        &entries,
        &tcp(22, &["198.51.100.1", "192.0.2.7/32"]),
        &dual,
        OnOpen::Merge,
    );
    assert_eq!(
        (&opened[0], &opened[2], opened.len()),
        (&entries[0], &entries[2], 3)
    );
    assert_eq!(
        opened[1].cidrs,
        ["192.0.2.7/32", "10.0.0.0/8", "198.51.100.1/32"]
    );
    assert_eq!(opened[1].ipv6_cidrs, ["2001:db8::/32"]);
    assert_eq!(opened[1].protocol, "tcp");

    let closed = close(&entries, &tcp(22, &["10.0.0.0/8"]), OnClose::Sources);
    assert_eq!(closed[1].cidrs, ["192.0.2.7/32"]);
    assert_eq!((&closed[0], &closed[3]), (&entries[0], &entries[3]));
    assert_eq!(close(&entries, &tcp(443, &[]), OnClose::Sources), entries);
}

#[test]
fn no_source_is_the_world_of_the_address_type() {
    for (family, cidrs, ipv6_cidrs) in [
        (AddressType::Dualstack, &["0.0.0.0/0"][..], &["::/0"][..]),
        (AddressType::Ipv4, &["0.0.0.0/0"], &[]),
        (AddressType::Ipv6, &[], &["::/0"]),
    ] {
        let entries = put(&[tcp(22, &[])], &family);
        assert_eq!(entries[0].cidrs, cidrs);
        assert_eq!(entries[0].ipv6_cidrs, ipv6_cidrs);
        assert_eq!(open(&[], &tcp(22, &[]), &family, OnOpen::Merge), entries);
    }
}

#[test]
fn a_closed_entry_lends_nothing_to_an_open() {
    let entries = parse(
        r#"[{"fromPort": 22, "toPort": 22, "protocol": "tcp", "state": "closed", "cidrs": ["0.0.0.0/0"]}]"#,
    );
    let opened = open(
        &entries,
        &tcp(22, &["192.0.2.7"]),
        &AddressType::Dualstack,
        OnOpen::Merge,
    );
    assert_eq!(opened[0].cidrs, ["192.0.2.7/32"]);
    assert_eq!(opened[0].state.as_deref(), Some("open"));
}
