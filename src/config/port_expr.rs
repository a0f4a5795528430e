//! What a rule opens: `tcp/443`, `udp/7000-7010`, `icmp/8:-1`, `icmp`, `all`.
//!
//! Owns the spelling of keys. Does not know services by name; `services` and `link` do.

use super::source::quote;
use crate::model::{Key, KeyError, Protocol};

/// Why a text is no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// The protocols as they are spelled before a `/`; `all` takes none.
const PROTOCOLS: [(&str, Protocol); 5] = [
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("icmp", Protocol::Icmp),
    ("icmpv6", Protocol::Icmpv6),
    ("all", Protocol::All),
];

/// Reads a key. `None` where the text can only be the name of a service.
pub(super) fn parse(text: &str) -> Option<Result<Key, Wrong>> {
    let protocol = |name: &str| {
        PROTOCOLS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, protocol)| *protocol)
    };
    let Some((name, numbers)) = text.split_once('/') else {
        return match protocol(text)? {
            Protocol::All => Some(Ok(Key::ALL)),
            Protocol::Icmp => Some(key(Protocol::Icmp, -1, -1)),
            Protocol::Icmpv6 => Some(key(Protocol::Icmpv6, -1, -1)),
            Protocol::Tcp | Protocol::Udp => {
                let hint = format!("write `{text}/443`, or `{text}/0-65535` for every port");
                Some(wrong(format!("{} names no port", quote(text)), Some(hint)))
            }
        };
    };
    Some(match protocol(name) {
        Some(Protocol::All) => wrong(
            format!("{} gives ports beside `all`", quote(text)),
            Some("`all` is every port of every protocol: write `all`, or name the protocol as in `tcp/443`".to_owned()),
        ),
        Some(protocol) if protocol.is_icmp() => icmp(protocol, text, numbers),
        Some(protocol) => ports(protocol, text, numbers),
        None => unknown_protocol(text, name, numbers),
    })
}

fn wrong(message: String, hint: Option<String>) -> Result<Key, Wrong> {
    Err(Wrong { message, hint })
}

fn key(protocol: Protocol, from: i32, to: i32) -> Result<Key, Wrong> {
    Key::new(protocol, from, to).or_else(|error| {
        let hint = match error {
            KeyError::Backwards(from, to) => Some(format!("write `{protocol}/{to}-{from}`")),
            _ => None,
        };
        wrong(error.to_string(), hint)
    })
}

fn ports(protocol: Protocol, text: &str, numbers: &str) -> Result<Key, Wrong> {
    let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
    if let (Some(from), Some(to)) = (number(from), number(to)) {
        return key(protocol, from, to);
    }
    let hint = if let "*" | "any" | "all" | "-1" = numbers {
        format!("write `{protocol}/0-65535` for every port")
    } else if numbers.contains(',') {
        format!("write a list: [\"{protocol}/80\", \"{protocol}/443\"]")
    } else {
        format!("write `{protocol}/443` or `{protocol}/7000-7010`, without spaces or leading zeros")
    };
    wrong(
        format!("{} is neither a port nor a range of ports", quote(text)),
        Some(hint),
    )
}

fn icmp(protocol: Protocol, text: &str, numbers: &str) -> Result<Key, Wrong> {
    let (kind, code) = numbers.split_once(':').unwrap_or((numbers, "-1"));
    match (any_or_number(kind), any_or_number(code)) {
        (Some(kind), Some(code)) => key(protocol, kind, code),
        _ => wrong(
            format!("{} is not a valid type and code", quote(text)),
            Some(format!(
                "write `{protocol}/8:0`, `{protocol}/8` for any code, or `{protocol}` for all"
            )),
        ),
    }
}

fn unknown_protocol(text: &str, name: &str, numbers: &str) -> Result<Key, Wrong> {
    let lower = name.trim().to_ascii_lowercase();
    let hint = if PROTOCOLS.iter().any(|(known, _)| *known == lower) {
        format!("write `{lower}/{}`", short(numbers.trim()))
    } else if PROTOCOLS.iter().any(|(known, _)| *known == numbers) {
        format!("the protocol comes first: `{numbers}/{}`", short(name))
    } else if lower == "icmp6" {
        format!("write `icmpv6/{}`", short(numbers))
    } else {
        "the protocols are `tcp`, `udp`, `icmp`, `icmpv6` and `all`".to_owned()
    };
    wrong(
        format!("{} has no protocol that Lightsail knows", quote(text)),
        Some(hint),
    )
}

fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(20)]
}

fn any_or_number(text: &str) -> Option<i32> {
    if text == "-1" { Some(-1) } else { number(text) }
}

/// Digits without a leading zero. Numbers too large to be anything become `i32::MAX`, so that the range check names the
/// limit.
fn number(text: &str) -> Option<i32> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    plain.then(|| text.parse().unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            None => "a name".to_owned(),
            Some(Ok(key)) => key.to_string(),
            Some(Err(Wrong { message, hint })) => {
                format!("{message}; {}", hint.unwrap_or_default())
            }
        }
    }

    #[test]
    fn every_spelling() {
        for (text, meaning) in [
            ("ssh", "a name"),
            ("", "a name"),
            ("tcp/0", "tcp/0"),
            ("tcp/443", "tcp/443"),
            ("udp/7000-7010", "udp/7000-7010"),
            ("icmp", "icmp/-1:-1"),
            ("icmp/8", "icmp/8:-1"),
            ("icmp/8:0", "icmp/8:0"),
            ("icmp/-1:-1", "icmp/-1:-1"),
            ("icmpv6/128:0", "icmpv6/128:0"),
            ("all", "all"),
            (
                "tcp",
                "`tcp` names no port; write `tcp/443`, or `tcp/0-65535` for every port",
            ),
            ("tcp/65536", "port 65536 is not within 0-65535; "),
            ("tcp/99999999999", "port 2147483647 is not within 0-65535; "),
            (
                "tcp/90-80",
                "the range 90-80 ends before it starts; write `tcp/80-90`",
            ),
            ("icmp/256", "ICMP type or code 256 is not within -1-255; "),
            (
                "443/tcp",
                "`443/tcp` has no protocol that Lightsail knows; the protocol comes first: `tcp/443`",
            ),
            (
                "TCP/22",
                "`TCP/22` has no protocol that Lightsail knows; write `tcp/22`",
            ),
            (
                "icmp6/128:0",
                "`icmp6/128:0` has no protocol that Lightsail knows; write `icmpv6/128:0`",
            ),
        ] {
            assert_eq!(shown(text), meaning, "{text}");
        }
        for (text, start) in [
            ("all/80", "`all/80` gives ports beside `all`"),
            ("tcp/080", "`tcp/080` is neither a port"),
            ("tcp/+80", "`tcp/+80` is neither a port"),
            ("tcp/80,443", "`tcp/80,443` is neither a port"),
            ("tcp/80-", "`tcp/80-` is neither a port"),
            ("tcp/1-2-3", "`tcp/1-2-3` is neither a port"),
            ("icmp/8:", "`icmp/8:` is not a valid type and code"),
            ("icmp/-2", "`icmp/-2` is not a valid type and code"),
            (
                "sctp/5",
                "`sctp/5` has no protocol that Lightsail knows; the protocols are",
            ),
        ] {
            assert!(shown(text).starts_with(start), "{text}: {}", shown(text));
        }
    }

    proptest! {
        #[test]
        fn parser_does_not_panic(text in any::<String>()) {
            parse(&text);
        }

        #[test]
        fn a_key_is_read_as_it_is_shown(tcp in any::<bool>(), a in 0..=65535_i32, b in 0..=65535_i32) {
            let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
            let key = Key::new(protocol, a.min(b), a.max(b)).expect("a key");
            prop_assert_eq!(parse(&key.to_string()), Some(Ok(key)));
        }

        #[test]
        fn an_icmp_key_is_read_as_it_is_shown(six in any::<bool>(), a in -1..=255_i32, b in -1..=255_i32) {
            let key = Key::new(if six { Protocol::Icmpv6 } else { Protocol::Icmp }, a, b).expect("a key");
            prop_assert_eq!(parse(&key.to_string()), Some(Ok(key)));
        }
    }
}
