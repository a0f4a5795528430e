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
            info.check(AbsentPort::Zero).expect("a valid rule")
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
    fn sequences_of_calls_agree_with_the_model(
        steps in prop::collection::vec(step(), 0..12),
        on_open in prop::sample::select(vec![OnOpen::Merge, OnOpen::Replace]),
        on_close in prop::sample::select(vec![OnClose::Sources, OnClose::Key]),
    ) {
        let quirks = Quirks { open: on_open, close: on_close, ..Quirks::default() };
        let mut model = Firewall::new();
        let mut entries = Vec::new();
        for step in &steps {
            let changed = match step {
                Step::Open(rule) => open(&entries, rule, &AddressType::Dualstack, &quirks),
                Step::Close(rule) => close(&entries, rule, &quirks),
                Step::Put(rules) => put(rules, &AddressType::Dualstack, &quirks),
            };
            entries = changed.expect("nothing is refused");
            expect(&mut model, step, on_open, on_close);
            // Equal as live firewalls: nothing repeated, nothing in doubt, every spelling canonical.
            prop_assert_eq!(LiveFirewall::read(&entries), LiveFirewall::from(&model));
            let counts = model.counts();
            prop_assert_eq!(count(&entries, Aliases::Free), (counts.ipv4, counts.ipv6));
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
    info.check(AbsentPort::Zero).expect("a valid rule")
}

#[test]
fn unwritten_entries_keep_place_and_spelling() {
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
        &Quirks::default(),
    )
    .expect("accepted");
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

    let usual = Quirks::default();
    let closed = close(&entries, &tcp(22, &["10.0.0.0/8"]), &usual).expect("accepted");
    assert_eq!(closed[1].cidrs, ["192.0.2.7/32"]);
    assert_eq!((&closed[0], &closed[3]), (&entries[0], &entries[3]));
    assert_eq!(close(&entries, &tcp(443, &[]), &usual), Ok(entries.clone()));
}

#[test]
fn rule_without_sources_is_open_to_everyone_by_default() {
    for (family, cidrs, ipv6_cidrs) in [
        (AddressType::Dualstack, &["0.0.0.0/0"][..], &["::/0"][..]),
        (AddressType::Ipv4, &["0.0.0.0/0"], &[]),
        (AddressType::Ipv6, &[], &["::/0"]),
    ] {
        let usual = Quirks::default();
        let entries = put(&[tcp(22, &[])], &family, &usual).expect("accepted");
        assert_eq!(entries[0].cidrs, cidrs);
        assert_eq!(entries[0].ipv6_cidrs, ipv6_cidrs);
        assert_eq!(open(&[], &tcp(22, &[]), &family, &usual), Ok(entries));
    }
}

#[test]
fn closed_entry_adds_no_sources_to_an_open() {
    let entries = parse(
        r#"[{"fromPort": 22, "toPort": 22, "protocol": "tcp", "state": "closed", "cidrs": ["0.0.0.0/0"]}]"#,
    );
    let opened = open(
        &entries,
        &tcp(22, &["192.0.2.7"]),
        &AddressType::Dualstack,
        &Quirks::default(),
    )
    .expect("accepted");
    assert_eq!(opened[0].cidrs, ["192.0.2.7/32"]);
    assert_eq!(opened[0].state.as_deref(), Some("open"));
}

fn with(texts: &[&str]) -> Quirks {
    let mut quirks = Quirks::default();
    for text in texts {
        quirks.set(text).expect("a quirk");
    }
    quirks
}

/// The entries, or the code of the refusal: `tcp/22 192.0.2.7/32`.
fn shown(result: Result<Vec<PortState>, Fault>) -> Vec<String> {
    match result {
        Err(fault) => vec![fault.code.to_owned()],
        Ok(entries) => entries
            .iter()
            .map(|entry| {
                let sources = [&entry.cidrs[..], &entry.ipv6_cidrs[..]].concat();
                format!(
                    "{}/{} {}",
                    entry.protocol,
                    entry.from_port,
                    sources.join(" ")
                )
            })
            .collect(),
    }
}

#[test]
fn refusal_quirks_are_applied() {
    let there = put(&[tcp(22, &["192.0.2.7"])], &AddressType::Ipv4, &with(&[])).expect("accepted");
    let ipv4 = AddressType::Ipv4;
    let opened = |port, quirk| {
        shown(open(
            &there,
            &tcp(port, &["10.0.0.0/8"]),
            &ipv4,
            &with(&[quirk]),
        ))
    };
    assert_eq!(opened(22, "open=refuse"), ["InvalidInputException"]);
    assert_eq!(
        opened(80, "open=refuse"),
        ["tcp/22 192.0.2.7/32", "tcp/80 10.0.0.0/8"]
    );
    for (quirk, missing) in [
        ("close-missing=invalid-input", "InvalidInputException"),
        ("close-missing=not-found", "NotFoundException"),
        ("close-missing=succeed", "tcp/22 192.0.2.7/32"),
    ] {
        assert_eq!(
            shown(close(&there, &tcp(80, &[]), &with(&[quirk]))),
            [missing]
        );
        // Sources that do not match are no missing key.
        let other = close(&there, &tcp(22, &["10.0.0.0/8"]), &with(&[quirk]));
        assert_eq!(shown(other), ["tcp/22 192.0.2.7/32"]);
    }
    let empty = |quirk| shown(put(&[], &ipv4, &with(&[quirk])));
    assert_eq!(empty("empty-put=refuse"), ["InvalidInputException"]);
    assert!(empty("empty-put=accept").is_empty());
    let twice = [tcp(22, &["10.0.0.0/8"]), tcp(22, &["192.0.2.7"])];
    for (quirk, expected) in [
        ("same-key=merge", &["tcp/22 10.0.0.0/8 192.0.2.7/32"][..]),
        (
            "same-key=apart",
            &["tcp/22 10.0.0.0/8", "tcp/22 192.0.2.7/32"],
        ),
        ("same-key=refuse", &["InvalidInputException"]),
    ] {
        assert_eq!(shown(put(&twice, &ipv4, &with(&[quirk]))), expected);
    }
}

#[test]
fn invalid_sources_and_sources_of_the_other_family() {
    for (quirk, without, other) in [
        ("no-sources=nobody", &[][..], &["tcp/22 10.0.0.0/8"][..]),
        (
            "no-sources=refuse",
            &["InvalidInputException"],
            &["tcp/22 10.0.0.0/8"],
        ),
        ("other-family=drop", &["tcp/22 ::/0"], &[]),
        (
            "other-family=refuse",
            &["tcp/22 ::/0"],
            &["InvalidInputException"],
        ),
    ] {
        let ipv6 = AddressType::Ipv6;
        let quirks = with(&[quirk]);
        for (rule, expected) in [(tcp(22, &[]), without), (tcp(22, &["10.0.0.0/8"]), other)] {
            assert_eq!(
                shown(put(std::slice::from_ref(&rule), &ipv6, &quirks)),
                expected,
                "{quirk}"
            );
            assert_eq!(shown(open(&[], &rule, &ipv6, &quirks)), expected, "{quirk}");
        }
    }
}
