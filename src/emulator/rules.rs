//! Rules as the service stores them: a list of entries in order, and what Open, Close and Put make of it.
//!
//! Owns the validation of one `PortInfo` and the three changes, as functions from entries to entries. An entry that no
//! write touched keeps its spelling. Refuses to know instances.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::model::{AddressType, Key, LIGHTSAIL_CONNECT, PortState, Protocol, Sources};

use super::fault::Fault;
use super::options::{OnClose, OnOpen};
use super::wire::PortInfo;

/// One valid rule of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) key: Key,
    /// Canonical texts in the order of the request; all empty where no source was given.
    pub(super) lists: Lists,
    /// The rule to the letter.
    pub(super) sent: PortState,
}

/// Three lists of sources without duplicates, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    cidrs: Vec<String>,
    ipv6_cidrs: Vec<String>,
    aliases: Vec<String>,
}

impl PortInfo {
    /// Checks the values.
    pub(super) fn check(self) -> Result<Rule, Fault> {
        let Self {
            from_port,
            to_port,
            protocol,
            cidrs,
            ipv6_cidrs,
            cidr_list_aliases,
        } = self;
        // The model marks none of the three as required, but there is no rule without them.
        let spelled = protocol.ok_or_else(|| Fault::missing("protocol"))?;
        let from = from_port.ok_or_else(|| Fault::missing("fromPort"))?;
        let to = to_port.ok_or_else(|| Fault::missing("toPort"))?;
        for (member, number) in [("fromPort", from), ("toPort", to)] {
            if !(-1..=65535).contains(&number) {
                return Err(Fault::invalid_input(format!(
                    "1 validation error detected: Value '{number}' at '{member}' failed to satisfy constraint: Member must be between -1 and 65535"
                )));
            }
        }
        // Any case is taken (the official examples send `TCP`), but not the spellings that only replies are feared to have.
        let protocol = Protocol::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(&spelled))
            .ok_or_else(|| {
                Fault::invalid_input(format!(
                    "1 validation error detected: Value '{spelled}' at 'protocol' failed to satisfy constraint: Member must satisfy enum value set: [tcp, all, udp, icmp, icmpv6]"
                ))
            })?;
        let key =
            Key::new(protocol, from, to).map_err(|e| Fault::invalid_input(format!("{e}.")))?;
        let sent = PortState {
            from_port: from,
            to_port: to,
            protocol: spelled,
            state: None,
            cidrs: cidrs.unwrap_or_default(),
            ipv6_cidrs: ipv6_cidrs.unwrap_or_default(),
            cidr_list_aliases: cidr_list_aliases.unwrap_or_default(),
        };
        let mut lists = Lists::default();
        for text in &sent.cidrs {
            match Sources::parse_live(text) {
                Some(IpNet::V4(net)) => lists.cidrs.push(net.to_string()),
                _ => return Err(no_network(text, "cidrs", "IPv4")),
            }
        }
        for text in &sent.ipv6_cidrs {
            match Sources::parse_live(text) {
                Some(IpNet::V6(net)) => lists.ipv6_cidrs.push(net.to_string()),
                _ => return Err(no_network(text, "ipv6Cidrs", "IPv6")),
            }
        }
        for alias in &sent.cidr_list_aliases {
            if alias != LIGHTSAIL_CONNECT {
                return Err(Fault::invalid_input(format!(
                    "{alias} is not a valid CIDR list alias. The only one is {LIGHTSAIL_CONNECT}."
                )));
            }
            lists.aliases.push(alias.clone());
        }
        let lists = lists.distinct();
        Ok(Rule { key, lists, sent })
    }
}

fn no_network(text: &str, member: &str, family: &str) -> Fault {
    Fault::invalid_input(format!(
        "'{text}' at '{member}' is not a valid {family} CIDR block."
    ))
}

/// The texts without those that came before. A set does the looking up, so that a request of a megabyte takes no time.
fn distinct(texts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts
        .into_iter()
        .filter(|text| seen.insert(text.clone()))
        .collect()
}

impl Lists {
    fn of(entry: &PortState) -> Self {
        // A text that is no network, which only a hand-written inventory can hold, stands for itself.
        let canonical = |text: &String| {
            Sources::parse_live(text).map_or_else(|| text.clone(), |net| net.to_string())
        };
        let lists = Self {
            cidrs: entry.cidrs.iter().map(canonical).collect(),
            ipv6_cidrs: entry.ipv6_cidrs.iter().map(canonical).collect(),
            aliases: entry.cidr_list_aliases.clone(),
        };
        lists.distinct()
    }

    fn is_empty(&self) -> bool {
        let Self {
            cidrs,
            ipv6_cidrs,
            aliases,
        } = self;
        cidrs.is_empty() && ipv6_cidrs.is_empty() && aliases.is_empty()
    }

    /// Adds what may be there already; [`distinct`](Self::distinct) is due afterwards.
    fn append(&mut self, other: Self) {
        let Self {
            cidrs,
            ipv6_cidrs,
            aliases,
        } = other;
        self.cidrs.extend(cidrs);
        self.ipv6_cidrs.extend(ipv6_cidrs);
        self.aliases.extend(aliases);
    }

    fn distinct(self) -> Self {
        let Self {
            cidrs,
            ipv6_cidrs,
            aliases,
        } = self;
        Self {
            cidrs: distinct(cidrs),
            ipv6_cidrs: distinct(ipv6_cidrs),
            aliases: distinct(aliases),
        }
    }

    fn without(mut self, other: &Self) -> Self {
        self.cidrs.retain(|t| !other.cidrs.contains(t));
        self.ipv6_cidrs.retain(|t| !other.ipv6_cidrs.contains(t));
        self.aliases.retain(|t| !other.aliases.contains(t));
        self
    }

    /// A rule without any source is open to the world, in the families that the instance has. That holds for three
    /// empty lists too: what the service makes of those is not known, and open is the answer a client must fear.
    fn or_world(self, family: &AddressType) -> Self {
        if !self.is_empty() {
            return self;
        }
        let all = |has: bool, text: &str| has.then(|| text.to_owned()).into_iter().collect();
        Self {
            cidrs: all(family.has_ipv4(), "0.0.0.0/0"),
            ipv6_cidrs: all(family.has_ipv6(), "::/0"),
            aliases: Vec::new(),
        }
    }

    fn entry(self, key: Key) -> PortState {
        PortState {
            from_port: key.from(),
            to_port: key.to(),
            protocol: key.protocol().as_str().to_owned(),
            state: Some("open".to_owned()),
            cidrs: self.cidrs,
            ipv6_cidrs: self.ipv6_cidrs,
            cidr_list_aliases: self.aliases,
        }
    }
}

/// The key of a stored entry, however it is spelled; `None` for one that no request can name.
fn key_of(entry: &PortState) -> Option<Key> {
    let protocol = Protocol::from_live(&entry.protocol)?;
    Key::new(protocol, entry.from_port, entry.to_port).ok()
}

fn is_closed(entry: &PortState) -> bool {
    entry
        .state
        .as_deref()
        .is_some_and(|state| state.eq_ignore_ascii_case("closed"))
}

/// What the entries are after an Open: the key keeps its place, or is added at the end.
pub(super) fn open(
    entries: &[PortState],
    rule: &Rule,
    family: &AddressType,
    quirk: OnOpen,
) -> Vec<PortState> {
    let mut lists = Lists::default();
    let mut place = None;
    let mut after = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        if key_of(entry) != Some(rule.key) {
            after.push(entry.clone());
            continue;
        }
        place.get_or_insert(after.len());
        if quirk == OnOpen::Merge && !is_closed(entry) {
            lists.append(Lists::of(entry));
        }
    }
    lists.append(rule.lists.clone().or_world(family));
    let entry = lists.distinct().entry(rule.key);
    after.insert(place.unwrap_or(after.len()), entry);
    after
}

/// What the entries are after a Close. Closing what is not open changes nothing: whether the service calls that an error
/// is not known, and a Close that may be repeated is the milder reading.
pub(super) fn close(entries: &[PortState], rule: &Rule, quirk: OnClose) -> Vec<PortState> {
    let whole = quirk == OnClose::Key || rule.lists.is_empty();
    let mut after = Vec::with_capacity(entries.len());
    for entry in entries {
        if key_of(entry) != Some(rule.key) {
            after.push(entry.clone());
            continue;
        }
        if whole {
            continue;
        }
        let before = Lists::of(entry);
        let rest = before.clone().without(&rule.lists);
        if rest == before {
            after.push(entry.clone());
        } else if !rest.is_empty() {
            after.push(PortState {
                state: entry.state.clone(),
                ..rest.entry(rule.key)
            });
        }
    }
    after
}

/// What the entries are after a Put: these rules, in this order; a key that comes again is merged into the first.
pub(super) fn put(rules: &[Rule], family: &AddressType) -> Vec<PortState> {
    let mut merged: Vec<(Key, Lists)> = Vec::with_capacity(rules.len());
    let mut places = BTreeMap::new();
    for rule in rules {
        let lists = rule.lists.clone().or_world(family);
        let place = *places.entry(rule.key).or_insert(merged.len());
        match merged.get_mut(place) {
            Some((_, there)) => there.append(lists),
            None => merged.push((rule.key, lists)),
        }
    }
    merged
        .into_iter()
        .map(|(key, lists)| lists.distinct().entry(key))
        .collect()
}

/// How many IPv4 and IPv6 sources the entries have.
pub(super) fn count(entries: &[PortState]) -> (usize, usize) {
    entries.iter().fold((0, 0), |(ipv4, ipv6), entry| {
        (ipv4 + entry.cidrs.len(), ipv6 + entry.ipv6_cidrs.len())
    })
}

#[cfg(test)]
mod tests;
