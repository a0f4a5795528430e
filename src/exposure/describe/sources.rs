//! The wording of sources.
//!
//! Owns the shortest correct phrase for a set of sources, and the limit of its length. The phrase is not meant to be parsed;
//! programs read the networks.

use super::super::{Access, Address, RangeSet};
use crate::model::{LIGHTSAIL_CONNECT, Sources, sanitize_line};

/// The most networks that one phrase names. Excluding one address takes up to 128 networks, and nobody reads a line that
/// wraps many times; the exact list is in every machine-readable report.
const MAX_NETWORKS: usize = 6;

/// The wording of one address family, in the shorter of two ways.
enum Phrase {
    Nobody,
    /// These networks, with a count.
    Listed(String),
    /// Everyone except these networks, which may be none.
    AllBut(Vec<String>),
}

/// Formats sources: `everyone`, `203.0.113.0/24 (256 addresses)`, `everyone (IPv4) but 192.0.2.0/24`.
///
/// Everyone with an IPv4 address includes the browser client, which is excluded by name.
pub(crate) fn format_sources(sources: &Sources) -> String {
    let Access {
        v4,
        v6,
        mut aliases,
    } = Access::from(sources);
    // Exclusions come last, so that no network that is let in can be read as excluded.
    let mut parts = Vec::new();
    let mut all_but = None;
    let families = (
        family(&v4, || group_thousands(v4.count())),
        family(&v6, || v6.count().to_string()),
    );
    let mostly = matches!(families, (Phrase::AllBut(_), _));
    let client_is_out = mostly && !aliases.remove(LIGHTSAIL_CONNECT) && !v4.is_all();
    match families {
        (Phrase::AllBut(mut but), Phrase::AllBut(but_v6)) => {
            but.extend(but_v6);
            all_but = Some(("everyone", but));
        }
        (Phrase::AllBut(but), other) => {
            all_but = Some(("everyone (IPv4)", but));
            parts.extend(listed(other));
        }
        (other, Phrase::AllBut(but)) => {
            all_but = Some(("everyone (IPv6)", but));
            parts.extend(listed(other));
        }
        (v4, v6) => parts.extend(listed(v4).into_iter().chain(listed(v6))),
    }
    if let Some((_, but)) = all_but.as_mut().filter(|_| client_is_out) {
        but.push(LIGHTSAIL_CONNECT.to_owned());
    }
    if let Some((everyone, _)) = all_but.take_if(|(_, but)| but.is_empty()) {
        parts.insert(0, everyone.to_owned());
    }
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
        Some((everyone, but)) if listed.is_empty() => format!("{everyone} but {}", truncated(&but)),
        Some((everyone, but)) => format!("{listed} and {everyone} but {}", truncated(&but)),
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

fn listed(family: Phrase) -> Option<String> {
    match family {
        Phrase::Listed(text) => Some(text),
        Phrase::Nobody | Phrase::AllBut(_) => None,
    }
}

fn family<T: Address>(set: &RangeSet<T>, count: impl Fn() -> String) -> Phrase {
    if set.is_empty() {
        return Phrase::Nobody;
    }
    let networks: Vec<String> = set.networks().map(|net| net.to_string()).collect();
    let others = set.complement();
    // The complement of a single address has 32 or 128 networks: count only as far as it may be shorter.
    if others.networks().take(networks.len()).count() < networks.len() {
        return Phrase::AllBut(others.networks().map(|net| net.to_string()).collect());
    }
    let single = is_single(set);
    Phrase::Listed(match networks.len() {
        _ if single => truncated(&networks),
        1 => format!("{} ({} addresses)", truncated(&networks), count()),
        _ => format!("{} ({} addresses in all)", truncated(&networks), count()),
    })
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
