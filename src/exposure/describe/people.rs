//! Sources in words.
//!
//! Owns the shortest honest phrase for a set of sources, and the cap on its length. It is not meant to be parsed: a program
//! reads the networks themselves.

use super::super::{Access, Address, RangeSet};
use crate::model::{LIGHTSAIL_CONNECT, Sources, sanitize_line};

/// How many networks one phrase names. A hole of one address costs up to 128 networks, and a line that wraps more than
/// a few times is not read; the exact list is in every machine-readable report.
const NAMED: usize = 6;

/// One family of addresses in words, whichever way is shorter.
enum Phrase {
    Nobody,
    /// These networks, with a count.
    Listed(String),
    /// Everyone but these networks, which may be none.
    AllBut(Vec<String>),
}

/// Sources as people say them: `everyone`, `203.0.113.0/24 (256 addresses)`, `everyone (IPv4) but 192.0.2.0/24`.
///
/// Everyone who has an IPv4 address includes the browser client, which is left out by name.
pub(crate) fn who(sources: &Sources) -> String {
    let Access {
        v4,
        v6,
        mut aliases,
    } = Access::from(sources);
    // What is left out comes last, so that no network that follows can be taken for one that is let in.
    let mut parts = Vec::new();
    let mut all_but = None;
    let families = (
        family(&v4, || thousands(v4.count())),
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
        // A name from outside may hold anything; what would move the cursor is shown, not obeyed.
        parts.push(capped(
            &aliases
                .iter()
                .map(|alias| sanitize_line(alias).into_owned())
                .collect::<Vec<_>>(),
        ));
    }
    let listed = parts.join(", ");
    match all_but {
        Some((everyone, but)) if listed.is_empty() => format!("{everyone} but {}", capped(&but)),
        Some((everyone, but)) => format!("{listed} and {everyone} but {}", capped(&but)),
        None if listed.is_empty() => "nobody".to_owned(),
        None => listed,
    }
}

/// How many addresses these are: `256 addresses`, `256 IPv4 and 2^80 IPv6 addresses`, `1 address`.
pub(crate) fn addresses(access: &Access) -> String {
    let Access { v4, v6, aliases: _ } = access;
    let single = |one: bool| if one { "address" } else { "addresses" };
    match (v4.is_empty(), v6.is_empty()) {
        (_, true) => format!("{} {}", thousands(v4.count()), single(is_single(v4))),
        (true, false) => format!("{} {}", v6.count(), single(is_single(v6))),
        (false, false) => format!(
            "{} IPv4 and {} IPv6 addresses",
            thousands(v4.count()),
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
    // Around a single address there are 32 networks, or 128: they are looked at only as far as they could be fewer.
    if others.networks().take(networks.len()).count() < networks.len() {
        return Phrase::AllBut(others.networks().map(|net| net.to_string()).collect());
    }
    let single = is_single(set);
    Phrase::Listed(match networks.len() {
        _ if single => capped(&networks),
        1 => format!("{} ({} addresses)", capped(&networks), count()),
        _ => format!("{} ({} addresses in all)", capped(&networks), count()),
    })
}

/// The first few, and how many more there are.
fn capped(texts: &[String]) -> String {
    if texts.len() <= NAMED {
        return texts.join(", ");
    }
    format!(
        "{} and {} more",
        texts[..NAMED].join(", "),
        texts.len() - NAMED
    )
}

/// A number with its thousands apart: `1,000`.
pub(crate) fn thousands(n: u64) -> String {
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
