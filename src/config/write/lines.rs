//! The live rules of an instance as lines of the configuration language.
//!
//! Owns the choice of texts: names of services, `anywhere`, names of address sets, or else literal addresses. Does not write a line
//! that means anything else than the live rule.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ipnet::IpNet;

use super::super::Config;
use super::super::rule::Families;
use super::super::services::{service_keys, service_name, service_names};
use crate::model::{
    AddressType, Firewall, Key, LIGHTSAIL_CONNECT, LiveFirewall, Protocol, Sources, V4_ANYWHERE,
    V6_ANYWHERE, is_unsafe,
};

/// The lines of one instance.
pub(super) struct InstanceLines {
    /// In order of their first keys.
    pub(super) lines: Vec<RuleLine>,
    /// The rules that the language cannot express.
    pub(super) inexpressible: Vec<Inexpressible>,
}

/// A live rule, or a part of one, that the language cannot express.
pub(super) struct Inexpressible {
    pub(super) key: Option<Key>,
    pub(super) rule: String,
    pub(super) reason: String,
}

impl InstanceLines {
    /// The lines for a firewall of an instance with these families.
    pub(super) fn of(address_type: &AddressType, live: &LiveFirewall) -> Self {
        let (firewall, inexpressible) = expressible(live);
        Self {
            lines: KnownNames::default().lines(&firewall, Families::from(address_type)),
            inexpressible,
        }
    }
}

/// A line: keys that share their sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleLine {
    /// The texts of `allow`.
    pub(super) allow: Vec<String>,
    pub(super) sources: Sources,
    /// Whether the line needs `any-family`, without which some sources would be left out.
    pub(super) any_family: bool,
}

impl RuleLine {
    /// The networks, if they are worth an address set: several, and not everyone.
    pub(super) fn networks_to_name(&self) -> Option<Sources> {
        let networks = networks(&self.sources);
        let has_several = networks.ipv4().len() + networks.ipv6().len() > 1;
        (has_several && !contains_anywhere(&networks)).then_some(networks)
    }
}

/// The names of address sets and services that lines can use.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    /// The address sets.
    pub(super) sets: BTreeMap<Sources, String>,
    /// The services, those with the most keys first.
    services: Vec<(String, BTreeSet<Key>)>,
}

impl KnownNames {
    /// The names of a configuration. Of several names with the same meaning, the first is used.
    pub(super) fn of(config: &Config) -> Self {
        let mut names = Self::default();
        for (name, sources) in config.sets() {
            if !sources.is_empty() && !contains_anywhere(&sources) {
                names.sets.entry(sources).or_insert(name);
            }
        }
        let services = config.services().into_iter();
        names.services = services
            .map(|(name, keys)| (name, keys.into_iter().collect()))
            .collect();
        names.services.sort_by_key(|(_, keys)| Reverse(keys.len()));
        names
    }

    /// The lines for a firewall. Keys with the same sources share a line, unless they differ in whether the keys and the instance
    /// accept the families of the sources.
    pub(super) fn lines(&self, firewall: &Firewall, available: Families) -> Vec<RuleLine> {
        let mut lines: BTreeMap<(bool, Sources), BTreeSet<Key>> = BTreeMap::new();
        let mut fitting = Firewall::new();
        for (key, sources) in firewall {
            let is_fitting = Families::of(*key).and(available).filter(sources) == *sources;
            let line = lines.entry((!is_fitting, sources.clone())).or_default();
            line.insert(*key);
            if is_fitting {
                fitting.set(*key, sources.clone());
            }
        }
        let mut ping = None;
        if let Some(keys) = service_keys("ping")
            && let Some(sources) = ping_sources(&fitting, keys)
        {
            for ((any_family, _), group) in &mut lines {
                group.retain(|key| *any_family || !keys.contains(key));
            }
            ping = Some(sources);
        }
        // In order of the first key, so that the order does not depend on addresses; `ping` is in the place of ICMP.
        let icmp = Key::new(Protocol::Icmp, 8, -1).ok();
        let mut ordered: Vec<(Key, RuleLine)> = Vec::new();
        for ((any_family, sources), keys) in lines {
            let has_ping = !any_family && ping.as_ref() == Some(&sources);
            if has_ping {
                ping = None;
            }
            let mut allow = self.key_texts(&keys);
            if has_ping {
                allow.push("ping".to_owned());
            }
            if let Some(first) = keys.first().copied().or(icmp.filter(|_| has_ping)) {
                let line = RuleLine {
                    allow,
                    sources,
                    any_family,
                };
                ordered.push((first, line));
            }
        }
        if let (Some(sources), Some(icmp)) = (ping, icmp) {
            let line = RuleLine {
                allow: vec!["ping".to_owned()],
                sources,
                any_family: false,
            };
            ordered.push((icmp, line));
        }
        ordered.sort_by_key(|(first, _)| *first);
        ordered.into_iter().map(|(_, line)| line).collect()
    }

    /// The shortest texts of `allow` for keys that share their sources.
    pub(super) fn key_texts(&self, keys: &BTreeSet<Key>) -> Vec<String> {
        let mut rest = keys.clone();
        let mut named: BTreeMap<Key, String> = BTreeMap::new();
        for (name, all) in self.services.iter().filter(|(_, all)| all.len() > 1) {
            if let Some(first) = all.first().filter(|_| all.is_subset(&rest)) {
                named.insert(*first, name.clone());
                rest.retain(|key| !all.contains(key));
            }
        }
        for name in service_names() {
            let Some(all) = service_keys(name) else {
                continue;
            };
            // `ping` has different sources for each key.
            if let [first, _, ..] = all
                && name != "ping"
                && all.iter().all(|key| rest.contains(key))
            {
                named.insert(*first, name.to_owned());
                rest.retain(|key| !all.contains(key));
            }
        }
        for key in rest {
            let own = || {
                let mut single = self.services.iter().filter(|(_, all)| all.len() == 1);
                let (name, _) = single.find(|(_, all)| all.contains(&key))?;
                Some(name.clone())
            };
            let built_in = service_name(key).map(str::to_owned);
            let name = built_in.or_else(own).unwrap_or_else(|| format_key(key));
            named.insert(key, name);
        }
        named.into_values().collect()
    }

    pub(super) fn format(&self, line: &RuleLine) -> String {
        let any_family = if line.any_family {
            ", any-family = true"
        } else {
            ""
        };
        format!(
            "{{ allow = {}, from = {}{any_family} }}",
            one_or_list(&line.allow),
            one_or_list(&self.source_texts(&line.sources))
        )
    }

    /// The texts of `from` for these sources: the name of a set with exactly these sources, or each source.
    pub(super) fn source_texts(&self, sources: &Sources) -> Vec<String> {
        if let Some(name) = self.sets.get(sources) {
            return vec![name.clone()];
        }
        if let Some(name) = self.sets.get(&networks(sources)) {
            let aliases = sources.aliases().iter().cloned();
            return [name.clone()].into_iter().chain(aliases).collect();
        }
        let has_anywhere = (
            sources.ipv4().contains(&V4_ANYWHERE),
            sources.ipv6().contains(&V6_ANYWHERE),
        );
        let keyword = match has_anywhere {
            (true, true) => Some("anywhere"),
            (true, false) => Some("anywhere-v4"),
            (false, true) => Some("anywhere-v6"),
            (false, false) => None,
        };
        let ipv4 = sources.ipv4().iter().filter(|net| **net != V4_ANYWHERE);
        let ipv6 = sources.ipv6().iter().filter(|net| **net != V6_ANYWHERE);
        keyword
            .into_iter()
            .map(str::to_owned)
            .chain(ipv4.map(|net| format_network(IpNet::V4(*net))))
            .chain(ipv6.map(|net| format_network(IpNet::V6(*net))))
            .chain(sources.aliases().iter().cloned())
            .collect()
    }
}

/// Splits a live firewall into rules that can be declared, and those that cannot.
pub(super) fn expressible(live: &LiveFirewall) -> (Firewall, Vec<Inexpressible>) {
    let mut inexpressible = Vec::new();
    let mut firewall = Firewall::new();
    for (key, sources) in live.firewall() {
        let mut declared = networks(sources);
        for alias in sources.aliases() {
            if alias == LIGHTSAIL_CONNECT {
                declared.insert_alias(alias);
                continue;
            }
            inexpressible.push(Inexpressible {
                key: Some(*key),
                rule: format!("{key} from `{alias}`"),
                reason: "the language has no word for this alias".to_owned(),
            });
        }
        firewall.set(*key, declared);
    }
    for uncertain in live.uncertain() {
        inexpressible.push(Inexpressible {
            key: None,
            rule: uncertain.entry.to_string(),
            reason: uncertain.doubt.clone(),
        });
    }
    for entry in live.unknown() {
        inexpressible.push(Inexpressible {
            key: None,
            rule: entry.to_string(),
            reason: "its protocol is not known".to_owned(),
        });
    }
    (firewall, inexpressible)
}

/// The sources with which `ping` has exactly the sources of these two keys.
fn ping_sources(firewall: &Firewall, keys: &[Key]) -> Option<Sources> {
    let live: Vec<&Sources> = keys.iter().filter_map(|key| firewall.get(*key)).collect();
    let mut all = Sources::new();
    for sources in &live {
        all.extend(sources);
    }
    let is_exact = !live.is_empty()
        && live.iter().all(|sources| sources.aliases() == all.aliases())
        // An alias alone would open both keys.
        && (live.len() == keys.len() || all.aliases().is_empty());
    is_exact.then_some(all)
}

fn format_key(key: Key) -> String {
    match (key.protocol().is_icmp(), key.from(), key.to()) {
        (true, -1, -1) => key.protocol().to_string(),
        (true, kind, -1) => format!("{}/{kind}", key.protocol()),
        _ => key.to_string(),
    }
}

/// The networks alone.
fn networks(sources: &Sources) -> Sources {
    let ipv4 = sources.ipv4().iter().copied().map(IpNet::V4);
    let ipv6 = sources.ipv6().iter().copied().map(IpNet::V6);
    ipv4.chain(ipv6).collect()
}

/// Whether they contain `anywhere` of a family, which says more than the name of a set.
fn contains_anywhere(sources: &Sources) -> bool {
    sources.ipv4().contains(&V4_ANYWHERE) || sources.ipv6().contains(&V6_ANYWHERE)
}

/// A network; a single address without its prefix length.
fn format_network(net: IpNet) -> String {
    // Without its prefix length, the unspecified address is refused.
    if net.prefix_len() == net.max_prefix_len() && !net.addr().is_unspecified() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

/// A TOML string if there is one text, else a list of strings.
pub(super) fn one_or_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| toml_string(text)).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// A TOML string with this text.
pub(super) fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_unsafe(c) => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
