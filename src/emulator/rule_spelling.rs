//! Spelling of rules in a response: the spellings and orders that the service may choose.
//!
//! Owns the spellings. None of them changes the meaning of the rules, unless a response has no lists of sources. Does not change the stored
//! rules.

use std::net::IpAddr;

use serde_json::Value;

use crate::model::PortState;

use super::quirks::{
    AddressSpelling, AllSpelling, Ipv6Spelling, KeyRepetition, Quirks, RuleOrder, SourceLists,
};

/// The entries as they are spelled in a response. The random number decides their order.
pub(super) fn spell(entries: &[PortState], quirks: &Quirks, random: u64) -> Vec<PortState> {
    let mut spelled = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut entry = entry.clone();
        if quirks.all == AllSpelling::MinusOne && entry.protocol == "all" {
            "-1".clone_into(&mut entry.protocol);
        }
        for text in entry.cidrs.iter_mut().chain(&mut entry.ipv6_cidrs) {
            if let Some(spelling) = spell_network(text, quirks) {
                *text = spelling;
            }
        }
        match quirks.keys {
            KeyRepetition::Once => spelled.push(entry),
            KeyRepetition::Twice => spelled.extend(split(entry)),
        }
    }
    if quirks.order == RuleOrder::Shuffled {
        let mut rng = fastrand::Rng::with_seed(random);
        rng.shuffle(&mut spelled);
        for entry in &mut spelled {
            rng.shuffle(&mut entry.cidrs);
            rng.shuffle(&mut entry.ipv6_cidrs);
        }
    }
    spelled
}

/// The member `portStates`.
pub(super) fn port_states(entries: &[PortState], quirks: &Quirks, random: u64) -> Value {
    let spelled = spell(entries, quirks, random).into_iter().map(|entry| {
        let mut value = serde_json::to_value(entry).unwrap_or_default();
        if let Value::Object(members) = &mut value {
            members.retain(|name, value| match quirks.lists {
                SourceLists::Present => true,
                SourceLists::NotEmpty => value.as_array().is_none_or(|list| !list.is_empty()),
                SourceLists::Absent => {
                    !matches!(name.as_str(), "cidrs" | "ipv6Cidrs" | "cidrListAliases")
                }
            });
        }
        value
    });
    spelled.collect()
}

/// Another spelling of the network, if there is one.
fn spell_network(text: &str, quirks: &Quirks) -> Option<String> {
    if quirks.address == AddressSpelling::Masked && quirks.ipv6 == Ipv6Spelling::Compressed {
        return None;
    }
    let net: ipnet::IpNet = text.parse().ok()?;
    let address = match (net.addr(), quirks.ipv6) {
        (IpAddr::V6(address), Ipv6Spelling::Expanded) => address
            .segments()
            .map(|group| format!("{group:x}"))
            .join(":"),
        (IpAddr::V6(address), Ipv6Spelling::Upper) => address
            .segments()
            .map(|group| format!("{group:04X}"))
            .join(":"),
        (address, _) => address.to_string(),
    };
    let is_bare =
        quirks.address == AddressSpelling::Bare && net.prefix_len() == net.max_prefix_len();
    Some(if is_bare {
        address
    } else {
        format!("{address}/{}", net.prefix_len())
    })
}

/// Splits the entry into two with the same key.
fn split(entry: PortState) -> [PortState; 2] {
    let mut second = entry.clone();
    let mut first = entry;
    let lists = [&first.cidrs, &first.ipv6_cidrs, &first.cidr_list_aliases];
    let non_empty = lists.iter().filter(|list| !list.is_empty()).count();
    if non_empty > 1 {
        // By family, like one known client.
        if first.cidrs.is_empty() {
            first.cidr_list_aliases.clear();
            second.ipv6_cidrs.clear();
        } else {
            first.ipv6_cidrs.clear();
            first.cidr_list_aliases.clear();
            second.cidrs.clear();
        }
        return [first, second];
    }
    for (first, second) in [
        (&mut first.cidrs, &mut second.cidrs),
        (&mut first.ipv6_cidrs, &mut second.ipv6_cidrs),
    ] {
        if first.len() > 1 {
            *second = first.split_off(first.len() / 2);
        }
    }
    [first, second]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::LiveFirewall;

    use super::*;

    fn entry(n: u8, cidrs: &[&str], ipv6: &[&str], aliases: &[&str]) -> PortState {
        let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        PortState {
            from_port: i32::from(n),
            to_port: i32::from(n),
            protocol: "tcp".to_owned(),
            state: Some("open".to_owned()),
            cidrs: list(cidrs),
            ipv6_cidrs: list(ipv6),
            cidr_list_aliases: list(aliases),
        }
    }

    fn quirks(texts: &[String]) -> Quirks {
        let mut quirks = Quirks::default();
        for text in texts {
            quirks.set(text).expect("a quirk");
        }
        quirks
    }

    fn all_ports() -> PortState {
        PortState {
            from_port: 0,
            to_port: 65535,
            protocol: "all".to_owned(),
            ..entry(0, &["192.0.2.7/32"], &[], &[])
        }
    }

    #[test]
    fn spelling_quirks_are_applied() {
        let cases = [
            (
                "address=bare",
                r#"["-","192.0.2.7","10.0.0.0/8","2001:db8::1"]"#,
            ),
            (
                "ipv6=expanded",
                r#"["-","192.0.2.7/32","10.0.0.0/8","2001:db8:0:0:0:0:0:1/128"]"#,
            ),
            (
                "ipv6=upper",
                r#"["-","192.0.2.7/32","10.0.0.0/8","2001:0DB8:0000:0000:0000:0000:0000:0001/128"]"#,
            ),
        ];
        let entries = [entry(
            22,
            &["192.0.2.7/32", "10.0.0.0/8"],
            &["2001:db8::1/128"],
            &[],
        )];
        for (quirk, expected) in cases {
            let spelled = spell(&entries, &quirks(&[quirk.to_owned()]), 0);
            let mut texts = vec!["-".to_owned()];
            texts.extend(spelled[0].cidrs.clone());
            texts.extend(spelled[0].ipv6_cidrs.clone());
            assert_eq!(serde_json::to_string(&texts).expect("JSON"), expected);
        }
        let spelled = spell(&[all_ports()], &quirks(&["all=-1".to_owned()]), 0);
        assert_eq!(spelled[0].protocol, "-1");
        let spelled = spell(&entries, &quirks(&["keys=twice".to_owned()]), 0);
        assert_eq!(
            (
                spelled.len(),
                spelled[0].ipv6_cidrs.len(),
                spelled[1].cidrs.len()
            ),
            (2, 0, 0)
        );
    }

    #[test]
    fn list_quirk_omits_lists() {
        let entries = [entry(22, &["192.0.2.7/32"], &[], &[])];
        for (quirk, members) in [
            ("lists=present", 7),
            ("lists=not-empty", 5),
            ("lists=absent", 4),
        ] {
            let spelled = port_states(&entries, &quirks(&[quirk.to_owned()]), 0);
            assert_eq!(
                spelled[0].as_object().map(serde_json::Map::len),
                Some(members)
            );
        }
        let spelled = port_states(&[], &quirks(&["lists=not-empty".to_owned()]), 0);
        assert_eq!(spelled, serde_json::json!([]));
    }

    proptest! {
        #[test]
        fn spelling_quirks_keep_the_meaning(
            random: u64,
            all in prop::sample::select(vec!["all", "-1"]),
            address in prop::sample::select(vec!["masked", "bare"]),
            ipv6 in prop::sample::select(vec!["compressed", "expanded", "upper"]),
            order in prop::sample::select(vec!["kept", "shuffled"]),
            keys in prop::sample::select(vec!["once", "twice"]),
            v4 in prop::sample::subsequence(vec!["10.0.0.0/8", "192.0.2.7/32", "0.0.0.0/0"], 0..=3),
            v6 in prop::sample::subsequence(vec!["::/0", "2001:db8::1/128", "2001:db8::/32"], 0..=3),
            aliases in prop::sample::subsequence(vec!["lightsail-connect"], 0..=1),
        ) {
            let quirks = quirks(&[
                format!("all={all}"), format!("address={address}"), format!("ipv6={ipv6}"),
                format!("order={order}"), format!("keys={keys}"),
            ]);
            let mut entries = vec![entry(22, &v4, &v6, &aliases), entry(80, &["10.0.0.0/8"], &[], &[]), all_ports()];
            entries.retain(|entry| !(entry.cidrs.is_empty() && entry.ipv6_cidrs.is_empty() && entry.cidr_list_aliases.is_empty()));
            let spelled = LiveFirewall::read(&spell(&entries, &quirks, random));
            let original = LiveFirewall::read(&entries);
            prop_assert_eq!(spelled.firewall(), original.firewall());
        }
    }
}
