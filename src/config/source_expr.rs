//! Source expressions: addresses, networks and keywords such as `anywhere`.
//!
//! Owns their syntax, which refuses everything ambiguous. Does not know address sets; `link` does.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::diagnostic::HintedError;
use super::hints;
use super::names::looks_like_address;
use super::source::quote;
use crate::model::{LIGHTSAIL_CONNECT, Sources, V4_ANYWHERE, V6_ANYWHERE};

/// The keywords, which cannot be the name of a set.
pub(super) const KEYWORDS: [&str; 4] =
    ["anywhere", "anywhere-v4", "anywhere-v6", LIGHTSAIL_CONNECT];

/// A source without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceItem {
    /// A network.
    Net(IpNet),
    /// The only alias.
    LightsailConnect,
}

impl SourceItem {
    /// Adds these items to some sources.
    pub(super) fn add_all(items: &[Self], sources: &mut Sources) {
        for item in items {
            match item {
                Self::Net(net) => sources.insert(*net),
                Self::LightsailConnect => sources.insert_alias(LIGHTSAIL_CONNECT),
            }
        }
    }
}

/// A parsed text of `from` or of a set.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SourceExpr {
    /// One of the [`KEYWORDS`].
    Keyword(&'static [SourceItem]),
    /// A literal address or network.
    Literal(IpNet),
    /// A text that can only be the name of a set.
    Name,
    /// A text that looks like an address and is not valid.
    Invalid(HintedError),
}

/// Parses a text.
pub(super) fn parse(text: &str) -> SourceExpr {
    const V4: SourceItem = SourceItem::Net(IpNet::V4(V4_ANYWHERE));
    const V6: SourceItem = SourceItem::Net(IpNet::V6(V6_ANYWHERE));
    match text {
        "anywhere" => return SourceExpr::Keyword(&[V4, V6]),
        "anywhere-v4" => return SourceExpr::Keyword(&[V4]),
        "anywhere-v6" => return SourceExpr::Keyword(&[V6]),
        LIGHTSAIL_CONNECT => return SourceExpr::Keyword(&[SourceItem::LightsailConnect]),
        _ => {}
    }
    if !looks_like_address(text) {
        return SourceExpr::Name;
    }
    match parse_network(text) {
        Ok(net) => SourceExpr::Literal(net),
        Err(error) => SourceExpr::Invalid(error),
    }
}

fn parse_network(text: &str) -> Result<IpNet, HintedError> {
    let error = |problem: &str, hint: String| {
        Err(HintedError::new(format!("{} {problem}", quote(text))).hint(hint))
    };
    if let Some(hint) = hints::for_address_list(text) {
        return error("is not one address", hint);
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return error(
            "is not a valid address",
            invalid_address_hint(address, length),
        );
    };
    if ip.is_unspecified() && length.is_none() {
        let keyword = if ip.is_ipv4() {
            "anywhere-v4"
        } else {
            "anywhere-v6"
        };
        return error(
            "is not the address of anybody",
            format!("to let everyone in, write `anywhere` or `{keyword}`"),
        );
    }
    let longest: u8 = if ip.is_ipv4() { 32 } else { 128 };
    let length = match length.map(|digits| (digits, parse_prefix_length(digits, longest))) {
        None => longest,
        Some((_, Some(length))) => length,
        Some((digits, None)) => {
            let hint = hints::for_prefix_length(ip, digits).unwrap_or_else(|| {
                format!("it is a number from 0 to {longest}, without leading zeros, as in `{address}/{longest}`")
            });
            return error("has no prefix length that is possible", hint);
        }
    };
    let net = IpNet::new_assert(ip, length);
    if net.trunc() != net {
        let hint = format!(
            "the network is `{}`; for the one address write `{ip}`",
            net.trunc()
        );
        return error("has host bits set", hint);
    }
    Ok(net)
}

/// Parses a prefix length, which has no leading zeros.
pub(super) fn parse_prefix_length(digits: &str, longest: u8) -> Option<u8> {
    let is_number = digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    let length = digits.parse().ok().filter(|_| is_number);
    length.filter(|length| *length <= longest)
}

/// The hint for a text that is not a valid address.
fn invalid_address_hint(address: &str, length: Option<&str>) -> String {
    if let Some(decimal) = without_leading_zeros(address) {
        let network = length
            .map(|length| format!("/{}", length.get(..3).unwrap_or(length)))
            .unwrap_or_default();
        return format!(
            "a leading zero is read as octal by some programs: write `{decimal}{network}`"
        );
    }
    if address.trim() != address {
        return "remove the spaces".to_owned();
    }
    if address.contains('%') {
        return "an address with a zone has no meaning on the internet".to_owned();
    }
    if address.contains('-') {
        return "a range of addresses is written as networks, as in `192.0.2.0/28`".to_owned();
    }
    let host = address
        .rsplit_once(':')
        .filter(|(host, _)| host.parse::<Ipv4Addr>().is_ok());
    if let Some((host, _)) = host {
        return format!("ports belong into `allow`: write `{host}`");
    }
    "an address looks like `192.0.2.1`, `192.0.2.0/24` or `2001:db8::/32`; names of sets have no `/` and no `:`".to_owned()
}

fn without_leading_zeros(address: &str) -> Option<Ipv4Addr> {
    let octets: Vec<u8> = address
        .split('.')
        .map(|octet| {
            (octet.len() <= 8 && octet.bytes().all(|b| b.is_ascii_digit()))
                .then(|| octet.parse::<u8>().ok())
                .flatten()
        })
        .collect::<Option<_>>()?;
    let octets: [u8; 4] = octets.try_into().ok()?;
    Some(octets.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn describe(text: &str) -> String {
        match parse(text) {
            SourceExpr::Keyword(items) => format!("keyword of {}", items.len()),
            SourceExpr::Literal(net) => net.to_string(),
            SourceExpr::Name => "name".to_owned(),
            SourceExpr::Invalid(HintedError { message, hint }) => {
                format!("{message}; {}", hint.unwrap_or_default())
            }
        }
    }

    #[test]
    fn texts_are_parsed_or_refused_with_a_hint() {
        for (text, meaning) in [
            ("anywhere", "keyword of 2"),
            ("anywhere-v6", "keyword of 1"),
            ("lightsail-connect", "keyword of 1"),
            ("office", "name"),
            ("beef", "name"),
            ("", "name"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("2001:0db8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1/128"),
            ("0.0.0.0/32", "0.0.0.0/32"),
            ("::/128", "::/128"),
            (
                "0.0.0.0",
                "`0.0.0.0` is not the address of anybody; to let everyone in, write `anywhere` or `anywhere-v4`",
            ),
            (
                "::",
                "`::` is not the address of anybody; to let everyone in, write `anywhere` or `anywhere-v6`",
            ),
            (
                "0:0::0",
                "`0:0::0` is not the address of anybody; to let everyone in, write `anywhere` or `anywhere-v6`",
            ),
            (
                "203.0.113.7/24",
                "`203.0.113.7/24` has host bits set; the network is `203.0.113.0/24`; for the one address write `203.0.113.7`",
            ),
            (
                "2001:db8::1/64",
                "`2001:db8::1/64` has host bits set; the network is `2001:db8::/64`; for the one address write `2001:db8::1`",
            ),
            (
                "010.0.0.0/8",
                "`010.0.0.0/8` is not a valid address; a leading zero is read as octal by some programs: write `10.0.0.0/8`",
            ),
            (
                "10.0.0.1:22",
                "`10.0.0.1:22` is not a valid address; ports belong into `allow`: write `10.0.0.1`",
            ),
            (
                "fe80::1%eth0",
                "`fe80::1%eth0` is not a valid address; an address with a zone has no meaning on the internet",
            ),
        ] {
            assert_eq!(describe(text), meaning, "{text}");
        }
        for text in [
            "10.0.0.0/08",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/255.0.0.0",
            "::/129",
            "::/00",
        ] {
            assert!(
                describe(text).contains("no prefix length that is possible"),
                "{text}: {}",
                describe(text)
            );
        }
        for text in [
            "10.0.0",
            "10.0.0.256",
            "1",
            "10.0.0.0/8/8",
            "a/b",
            ":::",
            "/",
            " 10.0.0.0/8",
            "10.0.0.0 /8",
        ] {
            assert!(matches!(parse(text), SourceExpr::Invalid(_)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parser_does_not_panic(text in any::<String>(), digits in "[0-9./:]{0,24}") {
            parse(&text);
            parse(&digits);
        }

        #[test]
        fn displayed_network_is_parsed_again(bits in any::<u128>(), length in 0..=128_u8, four in any::<bool>()) {
            let ip: IpAddr = if four { Ipv4Addr::from_bits((bits >> 96) as u32).into() } else { std::net::Ipv6Addr::from_bits(bits).into() };
            let length = if four { length % 33 } else { length };
            let net = IpNet::new_assert(ip, length).trunc();
            prop_assert_eq!(parse(&net.to_string()), SourceExpr::Literal(net));
        }
    }
}
