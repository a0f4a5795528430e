//! The three changes, compared with a canonical firewall as a model.

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

fn rule() -> impl Strategy<Value = ValidRule> {
    let cidrs = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "192.0.2.1/32"];
    let ipv6 = ["::/0", "2001:DB8::1", "2001:db8::/32"];
    let list = |texts: Vec<&'static str>| {
        let max = texts.len();
        prop::sample::subsequence(texts, 0..=max)
            .prop_map(|texts| Some(texts.into_iter().map(str::to_owned).collect()))
    };
    let key = prop::sample::select(KEYS.to_vec());
    let alias = list(vec![LIGHTSAIL_CONNECT]);
    (key, list(cidrs.into()), list(ipv6.into()), alias).prop_map(
        |((protocol, from, to), cidrs, ipv6_cidrs, cidr_list_aliases)| {
            let info = UncheckedPortInfo {
                from_port: Some(from),
                to_port: Some(to),
                protocol: Some(protocol.to_owned()),
                cidrs,
                ipv6_cidrs,
                cidr_list_aliases,
            };
            info.validate(AbsentPort::Zero).expect("a valid rule")
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Open(ValidRule),
    Close(ValidRule),
    Put(Vec<ValidRule>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        rule().prop_map(Step::Open),
        rule().prop_map(Step::Close),
        prop::collection::vec(rule(), 0..4).prop_map(Step::Put),
    ]
}

/// The sources that a rule names.
fn named(rule: &ValidRule) -> Sources {
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

fn named_or_world(rule: &ValidRule) -> Sources {
    let sources = named(rule);
    if sources.is_empty() {
        Sources::anywhere()
    } else {
        sources
    }
}

fn difference(sources: &Sources, removed: &Sources) -> Sources {
    let mut rest: Sources = sources
        .ipv4()
        .difference(removed.ipv4())
        .map(|net| IpNet::V4(*net))
        .chain(
            sources
                .ipv6()
                .difference(removed.ipv6())
                .map(|net| IpNet::V6(*net)),
        )
        .collect();
    for alias in sources.aliases().difference(removed.aliases()) {
        rest.insert_alias(alias);
    }
    rest
}

fn apply(model: &mut Firewall, step: &Step, on_open: OpenEffect, on_close: CloseEffect) {
    match step {
        Step::Open(rule) => {
            if on_open == OpenEffect::Replace {
                model.remove(rule.key);
            }
            model.add(rule.key, &named_or_world(rule));
        }
        Step::Close(rule) => {
            let removed = named(rule);
            let before = model.remove(rule.key).unwrap_or_default();
            if on_close == CloseEffect::Sources && !removed.is_empty() {
                model.set(rule.key, difference(&before, &removed));
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
    fn calls_agree_with_the_model(
        steps in prop::collection::vec(step(), 0..12),
        on_open in prop::sample::select(vec![OpenEffect::Merge, OpenEffect::Replace]),
        on_close in prop::sample::select(vec![CloseEffect::Sources, CloseEffect::Key]),
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
            apply(&mut model, step, on_open, on_close);
            // Also without repetitions, uncertain entries and other spellings.
            prop_assert_eq!(LiveFirewall::read(&entries), LiveFirewall::from(&model));
            let counts = model.counts();
            prop_assert_eq!(count(&entries, AliasCount::Free), (counts.ipv4, counts.ipv6));
        }
    }
}

fn parse(text: &str) -> Vec<PortState> {
    serde_json::from_str(text).expect("entries")
}

fn tcp(port: i32, cidrs: &[&str]) -> ValidRule {
    let info = UncheckedPortInfo {
        from_port: Some(port),
        to_port: Some(port),
        protocol: Some("tcp".to_owned()),
        cidrs: Some(cidrs.iter().map(ToString::to_string).collect()),
        ..UncheckedPortInfo::default()
    };
    info.validate(AbsentPort::Zero).expect("a valid rule")
}

#[test]
fn unchanged_entries_keep_position_and_spelling() {
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

    let default = Quirks::default();
    let closed = close(&entries, &tcp(22, &["10.0.0.0/8"]), &default).expect("accepted");
    assert_eq!(closed[1].cidrs, ["192.0.2.7/32"]);
    assert_eq!((&closed[0], &closed[3]), (&entries[0], &entries[3]));
    assert_eq!(
        close(&entries, &tcp(443, &[]), &default),
        Ok(entries.clone())
    );
}

#[test]
fn rule_without_sources_is_open_to_everyone_by_default() {
    for (family, cidrs, ipv6_cidrs) in [
        (AddressType::Dualstack, &["0.0.0.0/0"][..], &["::/0"][..]),
        (AddressType::Ipv4, &["0.0.0.0/0"], &[]),
        (AddressType::Ipv6, &[], &["::/0"]),
    ] {
        let default = Quirks::default();
        let entries = put(&[tcp(22, &[])], &family, &default).expect("accepted");
        assert_eq!(entries[0].cidrs, cidrs);
        assert_eq!(entries[0].ipv6_cidrs, ipv6_cidrs);
        assert_eq!(open(&[], &tcp(22, &[]), &family, &default), Ok(entries));
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

fn quirks(texts: &[&str]) -> Quirks {
    let mut quirks = Quirks::default();
    for text in texts {
        quirks.set(text).expect("a quirk");
    }
    quirks
}

/// The entries, or the code of the refusal: `tcp/22 192.0.2.7/32`.
fn summary(result: Result<Vec<PortState>, ErrorResponse>) -> Vec<String> {
    match result {
        Err(error) => vec![error.code.to_owned()],
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
    let entries =
        put(&[tcp(22, &["192.0.2.7"])], &AddressType::Ipv4, &quirks(&[])).expect("accepted");
    let ipv4 = AddressType::Ipv4;
    let opened = |port, quirk| {
        summary(open(
            &entries,
            &tcp(port, &["10.0.0.0/8"]),
            &ipv4,
            &quirks(&[quirk]),
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
            summary(close(&entries, &tcp(80, &[]), &quirks(&[quirk]))),
            [missing]
        );
        // A Close of other sources does not count as one of a missing key.
        let other = close(&entries, &tcp(22, &["10.0.0.0/8"]), &quirks(&[quirk]));
        assert_eq!(summary(other), ["tcp/22 192.0.2.7/32"]);
    }
    let empty = |quirk| summary(put(&[], &ipv4, &quirks(&[quirk])));
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
        assert_eq!(summary(put(&twice, &ipv4, &quirks(&[quirk]))), expected);
    }
}

#[test]
fn rules_without_sources_and_with_sources_of_another_family() {
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
        let quirks = quirks(&[quirk]);
        for (rule, expected) in [(tcp(22, &[]), without), (tcp(22, &["10.0.0.0/8"]), other)] {
            assert_eq!(
                summary(put(std::slice::from_ref(&rule), &ipv6, &quirks)),
                expected,
                "{quirk}"
            );
            assert_eq!(
                summary(open(&[], &rule, &ipv6, &quirks)),
                expected,
                "{quirk}"
            );
        }
    }
}
