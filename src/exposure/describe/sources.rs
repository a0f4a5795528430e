//! The wording of sources.
//!
//! Owns the shortest correct phrase for a set of sources, and the limit of its length. The phrase is not meant to be parsed;
//! programs read the networks.

use super::super::{Access, Address, RangeSet};
use crate::model::{LIGHTSAIL_CONNECT, Sources, sanitize_line};

/// The most networks that one phrase names. Excluding one address takes up to 128 networks, and nobody reads a line that
/// wraps many times; the exact list is in every machine-readable report.
const MAX_NETWORKS: usize = 6;

/// Formats sources: `everyone`, `203.0.113.0/24 (256 addresses)`, `everyone (IPv4) but 192.0.2.0/24`.
///
/// Everyone with an IPv4 address includes the browser client, which is excluded by name.
pub(crate) fn format_sources(sources: &Sources) -> String {
    let Access {
        v4,
        v6,
        mut aliases,
    } = Access::from(sources);
    let (listed_v4, but_v4) = family(&v4, || group_thousands(v4.count()));
    let (listed_v6, but_v6) = family(&v6, || v6.count().to_string());
    let client_is_out = but_v4.is_some() && !aliases.remove(LIGHTSAIL_CONNECT) && !v4.is_all();
    let everyone = match (&but_v4, &but_v6) {
        (Some(_), Some(_)) => Some("everyone"),
        (Some(_), None) => Some("everyone (IPv4)"),
        (None, Some(_)) => Some("everyone (IPv6)"),
        (None, None) => None,
    };
    let but = [but_v4, but_v6].into_iter().flatten().flatten();
    let client = client_is_out.then(|| LIGHTSAIL_CONNECT.to_owned());
    let but: Vec<String> = but.chain(client).collect();
    let (all, all_but) = if but.is_empty() {
        (everyone, None)
    } else {
        (None, everyone)
    };
    // Exclusions come last, so that no network that is let in can be read as excluded.
    let listed = listed_v4.into_iter().chain(listed_v6);
    let mut parts: Vec<String> = all.map(str::to_owned).into_iter().chain(listed).collect();
    if !aliases.is_empty() {
        // The service may return any text as an alias.
        parts.push(truncated(
            &aliases
                .iter()
                .map(|alias| sanitize_line(alias).into_owned())
                .collect::<Vec<_>>(),
        ));
    }
    let listed = parts.join(", ");
    match all_but {
        Some(everyone) if listed.is_empty() => format!("{everyone} but {}", truncated(&but)),
        Some(everyone) => format!("{listed} and {everyone} but {}", truncated(&but)),
        None if listed.is_empty() => "nobody".to_owned(),
        None => listed,
    }
}

/// Formats the number of addresses: `256 addresses`, `256 IPv4 and 2^80 IPv6 addresses`, `1 address`.
pub(crate) fn count_addresses(access: &Access) -> String {
    let Access { v4, v6, aliases: _ } = access;
    let single = |one: bool| if one { "address" } else { "addresses" };
    match (v4.is_empty(), v6.is_empty()) {
        (_, true) => format!("{} {}", group_thousands(v4.count()), single(is_single(v4))),
        (true, false) => format!("{} {}", v6.count(), single(is_single(v6))),
        (false, false) => format!(
            "{} IPv4 and {} IPv6 addresses",
            group_thousands(v4.count()),
            v6.count()
        ),
    }
}

fn is_single<T: Address>(set: &RangeSet<T>) -> bool {
    matches!(set.ranges(), [(first, last)] if first == last)
}

/// The shorter wording of one address family: these networks, with a count, or everyone except these networks, which may be none.
fn family<T: Address>(
    set: &RangeSet<T>,
    count: impl Fn() -> String,
) -> (Option<String>, Option<Vec<String>>) {
    if set.is_empty() {
        return (None, None);
    }
    let networks: Vec<String> = set.networks().map(|net| net.to_string()).collect();
    let others = set.complement();
    // The complement of a single address has 32 or 128 networks: count only as far as it may be shorter.
    if others.networks().take(networks.len()).count() < networks.len() {
        let others = others.networks().map(|net| net.to_string());
        return (None, Some(others.collect()));
    }
    let single = is_single(set);
    let listed = match networks.len() {
        _ if single => truncated(&networks),
        1 => format!("{} ({} addresses)", truncated(&networks), count()),
        _ => format!("{} ({} addresses in all)", truncated(&networks), count()),
    };
    (Some(listed), None)
}

/// The first few texts, and the number of the others.
fn truncated(texts: &[String]) -> String {
    if texts.len() <= MAX_NETWORKS {
        return texts.join(", ");
    }
    format!(
        "{} and {} more",
        texts[..MAX_NETWORKS].join(", "),
        texts.len() - MAX_NETWORKS
    )
}

/// Formats a number with thousands separators: `1,000`.
pub(crate) fn group_thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
