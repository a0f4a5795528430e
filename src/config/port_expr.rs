//! Port expressions, which say what a rule opens: `tcp/443`, `udp/7000-7010`, `icmp/8:-1`, `icmp`, `all`.
//!
//! Owns their syntax. Does not know services by name; `services` and `link` do.

use super::diagnostic::HintedError;
use super::source::quote;
use crate::model::{Key, KeyError, Protocol};

/// Parses a key. `None` if the text can only be the name of a service.
pub(super) fn parse(text: &str) -> Option<Result<Key, HintedError>> {
    let Some((name, numbers)) = text.split_once('/') else {
        return match protocol(text)? {
            Protocol::All => Some(Ok(Key::ALL)),
            Protocol::Icmp => Some(new_key(Protocol::Icmp, -1, -1)),
            Protocol::Icmpv6 => Some(new_key(Protocol::Icmpv6, -1, -1)),
            Protocol::Tcp | Protocol::Udp => Some(Err(HintedError::new(format!(
                "{} names no port",
                quote(text)
            ))
            .hint(format!(
                "write `{text}/443`, or `{text}/0-65535` for every port"
            )))),
        };
    };
    Some(match protocol(name) {
        Some(Protocol::All) => Err(HintedError::new(format!("{} gives ports beside `all`", quote(text))).hint(
            "`all` is every port of every protocol: write `all`, or name the protocol as in `tcp/443`",
        )),
        Some(protocol) if protocol.is_icmp() => parse_icmp(protocol, text, numbers),
        Some(protocol) => parse_ports(protocol, text, numbers),
        None => Err(unknown_protocol(text, name, numbers)),
    })
}

/// The protocol of this name, which is spelled as the service does.
pub(super) fn protocol(name: &str) -> Option<Protocol> {
    let mut protocols = Protocol::ALL.into_iter();
    protocols.find(|protocol| protocol.as_str() == name)
}

fn new_key(protocol: Protocol, from: i32, to: i32) -> Result<Key, HintedError> {
    Key::new(protocol, from, to).map_err(|error| {
        let hinted = HintedError::new(error.to_string());
        match error {
            KeyError::Backwards(from, to) => hinted.hint(format!("write `{protocol}/{to}-{from}`")),
            _ => hinted,
        }
    })
}

fn parse_ports(protocol: Protocol, text: &str, numbers: &str) -> Result<Key, HintedError> {
    let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
    if let (Some(from), Some(to)) = (parse_number(from), parse_number(to)) {
        return new_key(protocol, from, to);
    }
    let hint = if let "*" | "any" | "all" | "-1" = numbers {
        format!("write `{protocol}/0-65535` for every port")
    } else if numbers.contains(',') {
        format!("write a list: [\"{protocol}/80\", \"{protocol}/443\"]")
    } else {
        format!("write `{protocol}/443` or `{protocol}/7000-7010`, without spaces or leading zeros")
    };
    let message = format!("{} is neither a port nor a range of ports", quote(text));
    Err(HintedError::new(message).hint(hint))
}

fn parse_icmp(protocol: Protocol, text: &str, numbers: &str) -> Result<Key, HintedError> {
    let (icmp_type, code) = numbers.split_once(':').unwrap_or((numbers, "-1"));
    let any_or_number = |text| {
        if text == "-1" {
            Some(-1)
        } else {
            parse_number(text)
        }
    };
    if let (Some(icmp_type), Some(code)) = (any_or_number(icmp_type), any_or_number(code)) {
        return new_key(protocol, icmp_type, code);
    }
    let message = format!("{} is not a valid type and code", quote(text));
    Err(HintedError::new(message).hint(format!(
        "write `{protocol}/8:0`, `{protocol}/8` for any code, or `{protocol}` for all"
    )))
}

fn unknown_protocol(text: &str, name: &str, numbers: &str) -> HintedError {
    let lower = name.trim().to_ascii_lowercase();
    let hint = if protocol(&lower).is_some() {
        format!("write `{lower}/{}`", truncate(numbers.trim()))
    } else if protocol(numbers).is_some() {
        format!("the protocol comes first: `{numbers}/{}`", truncate(name))
    } else if lower == "icmp6" {
        format!("write `icmpv6/{}`", truncate(numbers))
    } else {
        "the protocols are `tcp`, `udp`, `icmp`, `icmpv6` and `all`".to_owned()
    };
    let message = format!("{} has no protocol that Lightsail knows", quote(text));
    HintedError::new(message).hint(hint)
}

fn truncate(text: &str) -> &str {
    &text[..text.floor_char_boundary(20)]
}

/// Parses digits without a leading zero. A number that is too large becomes `i32::MAX`, so that the range check names the limit.
fn parse_number(text: &str) -> Option<i32> {
    let is_number = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    is_number.then(|| text.parse().unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn describe(text: &str) -> String {
        match parse(text) {
            None => "a name".to_owned(),
            Some(Ok(key)) => key.to_string(),
            Some(Err(HintedError { message, hint })) => {
                format!("{message}; {}", hint.unwrap_or_default())
            }
        }
    }

    #[test]
    fn texts_are_parsed_or_refused_with_a_hint() {
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
            assert_eq!(describe(text), meaning, "{text}");
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
            assert!(
                describe(text).starts_with(start),
                "{text}: {}",
                describe(text)
            );
        }
    }

    proptest! {
        #[test]
        fn parser_does_not_panic(text in any::<String>()) {
            parse(&text);
        }

        #[test]
        fn displayed_key_is_parsed_again(tcp in any::<bool>(), a in 0..=65535_i32, b in 0..=65535_i32) {
            let protocol = if tcp { Protocol::Tcp } else { Protocol::Udp };
            let key = Key::new(protocol, a.min(b), a.max(b)).expect("a key");
            prop_assert_eq!(parse(&key.to_string()), Some(Ok(key)));
        }

        #[test]
        fn displayed_icmp_key_is_parsed_again(six in any::<bool>(), a in -1..=255_i32, b in -1..=255_i32) {
            let key = Key::new(if six { Protocol::Icmpv6 } else { Protocol::Icmp }, a, b).expect("a key");
            prop_assert_eq!(parse(&key.to_string()), Some(Ok(key)));
        }
    }
}
