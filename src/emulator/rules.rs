//! The stored rules, and the effect of Open, Close and Put on them.
//!
//! Owns the writes, with their action and the details of their operation, the validation of a `PortInfo`, and the changes, as
//! functions from entries to entries. An entry that no write changes keeps its spelling. Does not know instances.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::model::{AddressType, Key, LIGHTSAIL_CONNECT, PortState, Protocol, Sources};

use super::error_response::{ErrorResponse, Result};
use super::quirks::{
    AbsentPort, Acceptance, AliasCount, CloseEffect, MissingEffect, NoSources, OpenEffect, Quirks,
    SameKey, UnsupportedFamily,
};

/// A valid rule of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ValidRule {
    pub(super) key: Key,
    /// Canonical texts in the order of the request; all empty if no source was given.
    pub(super) lists: CidrLists,
    /// The rule as it was sent.
    pub(super) sent: PortState,
}

/// A write before it is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleWrite {
    Open(ValidRule),
    Close(ValidRule),
    Put(Vec<ValidRule>),
    Foreign(ScriptedWrite),
}

/// A write of a foreign writer, with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScriptedWrite {
    pub(super) action: &'static str,
    pub(super) details: String,
    pub(super) request: Vec<PortState>,
    pub(super) after: Vec<PortState>,
}

/// The IPv4 networks, the IPv6 networks and the aliases of a rule, without duplicates, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CidrLists([Vec<String>; 3]);

/// A `PortInfo` whose types are validated, but not its values.
#[derive(Clone, Debug, Default)]
pub(super) struct UncheckedPortInfo {
    pub(super) from_port: Option<i32>,
    pub(super) to_port: Option<i32>,
    pub(super) protocol: Option<String>,
    pub(super) cidrs: Option<Vec<String>>,
    pub(super) ipv6_cidrs: Option<Vec<String>>,
    pub(super) cidr_list_aliases: Option<Vec<String>>,
}

impl UncheckedPortInfo {
    /// Validates the values.
    pub(super) fn validate(self, absent: AbsentPort) -> Result<ValidRule> {
        let Self {
            from_port,
            to_port,
            protocol,
            cidrs,
            ipv6_cidrs,
            cidr_list_aliases,
        } = self;
        // The model does not mark it as required, but there is no rule without a protocol.
        let spelling = protocol.ok_or_else(|| ErrorResponse::missing("protocol"))?;
        let port = |member, number: Option<i32>| match (number, absent) {
            (Some(number), _) => Ok(number),
            (None, AbsentPort::Zero) => Ok(0),
            (None, AbsentPort::Refuse) => Err(ErrorResponse::missing(member)),
        };
        let (from, to) = (port("fromPort", from_port)?, port("toPort", to_port)?);
        for (member, number) in [("fromPort", from), ("toPort", to)] {
            if !(-1..=65535).contains(&number) {
                return Err(ErrorResponse::invalid_input(format!(
                    "1 validation error detected: Value '{number}' at '{member}' failed to satisfy constraint: Member must be between -1 and 65535"
                )));
            }
        }
        // Any case is accepted (the official examples send `TCP`), and the numbers of EC2, but not `icmp6`, which only responses may contain.
        let protocol = Protocol::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(&spelling))
            .or_else(|| Protocol::from_number(&spelling))
            .ok_or_else(|| {
                ErrorResponse::invalid_input(format!(
                    "1 validation error detected: Value '{spelling}' at 'protocol' failed to satisfy constraint: Member must satisfy enum value set: [tcp, all, udp, icmp, icmpv6]"
                ))
            })?;
        let key = Key::new(protocol, from, to)
            .map_err(|e| ErrorResponse::invalid_input(format!("{e}.")))?;
        let sent = PortState {
            from_port: from,
            to_port: to,
            protocol: spelling,
            state: None,
            cidrs: cidrs.unwrap_or_default(),
            ipv6_cidrs: ipv6_cidrs.unwrap_or_default(),
            cidr_list_aliases: cidr_list_aliases.unwrap_or_default(),
        };
        for text in &sent.cidrs {
            if !matches!(Sources::parse_live(text), Some(IpNet::V4(_))) {
                return Err(invalid_network(text, "cidrs", "IPv4"));
            }
        }
        for text in &sent.ipv6_cidrs {
            if !matches!(Sources::parse_live(text), Some(IpNet::V6(_))) {
                return Err(invalid_network(text, "ipv6Cidrs", "IPv6"));
            }
        }
        let mut aliases = sent.cidr_list_aliases.iter();
        if let Some(alias) = aliases.find(|alias| *alias != LIGHTSAIL_CONNECT) {
            return Err(ErrorResponse::invalid_input(format!(
                "{alias} is not a valid CIDR list alias. The only one is {LIGHTSAIL_CONNECT}."
            )));
        }
        let lists = CidrLists::of(&sent);
        Ok(ValidRule { key, lists, sent })
    }
}

impl RuleWrite {
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Open(_) => "OpenInstancePublicPorts",
            Self::Close(_) => "CloseInstancePublicPorts",
            Self::Put(_) => "PutInstancePublicPorts",
            Self::Foreign(write) => write.action,
        }
    }

    /// The details of the operation. Those of a Put are not known.
    pub(super) fn details(&self) -> String {
        match self {
            Self::Open(rule) | Self::Close(rule) => details(rule.key),
            Self::Put(_) => String::new(),
            Self::Foreign(write) => write.details.clone(),
        }
    }

    /// The rules in the request.
    pub(super) fn request(&self) -> Vec<PortState> {
        match self {
            Self::Open(rule) | Self::Close(rule) => vec![rule.sent.clone()],
            Self::Put(rules) => rules.iter().map(|rule| rule.sent.clone()).collect(),
            Self::Foreign(write) => write.request.clone(),
        }
    }

    /// The rules after the write.
    pub(super) fn apply(
        &self,
        before: &[PortState],
        family: &AddressType,
        quirks: &Quirks,
    ) -> Result<Vec<PortState>> {
        match self {
            Self::Open(rule) => open(before, rule, family, quirks),
            Self::Close(rule) => close(before, rule, quirks),
            Self::Put(rules) => put(rules, family, quirks),
            Self::Foreign(write) => Ok(write.after.clone()),
        }
    }
}

/// `22/tcp` is documented; the form for a range is an assumption.
pub(super) fn details(key: Key) -> String {
    if key.from() == key.to() {
        format!("{}/{}", key.from(), key.protocol())
    } else {
        format!("{}-{}/{}", key.from(), key.to(), key.protocol())
    }
}

fn invalid_network(text: &str, member: &str, family: &str) -> ErrorResponse {
    ErrorResponse::invalid_input(format!(
        "'{text}' at '{member}' is not a valid {family} CIDR block."
    ))
}

/// Removes duplicates. Uses a set, so that a request of a megabyte is fast.
fn distinct(texts: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts
        .into_iter()
        .filter(|text| seen.insert(text.clone()))
        .collect()
}

impl CidrLists {
    fn of(entry: &PortState) -> Self {
        // A text that is not a valid network, which only an edited inventory can contain, is kept.
        let canonical = |text: &String| {
            Sources::parse_live(text).map_or_else(|| text.clone(), |net| net.to_string())
        };
        let lists = Self([
            entry.cidrs.iter().map(canonical).collect(),
            entry.ipv6_cidrs.iter().map(canonical).collect(),
            entry.cidr_list_aliases.clone(),
        ]);
        lists.distinct()
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    /// Adds sources, possibly duplicates, which [`distinct`](Self::distinct) removes.
    fn append(&mut self, other: Self) {
        for (list, added) in self.0.iter_mut().zip(other.0) {
            list.extend(added);
        }
    }

    fn distinct(self) -> Self {
        Self(self.0.map(distinct))
    }

    fn without(mut self, other: &Self) -> Self {
        for (list, removed) in self.0.iter_mut().zip(&other.0) {
            list.retain(|text| !removed.contains(text));
        }
        self
    }

    /// The sources that are stored; none if the rule is not stored.
    ///
    /// By default a rule without any source is open to everyone in the families of the instance, also with three empty lists, for which
    /// the behaviour is not known, because this is the dangerous case.
    fn stored(mut self, family: &AddressType, quirks: &Quirks) -> Result<Self> {
        if self.is_empty() {
            let all = |has: bool, cidr: &str| has.then(|| cidr.to_owned()).into_iter().collect();
            return match quirks.no_sources {
                NoSources::World => Ok(Self([
                    all(family.has_ipv4(), "0.0.0.0/0"),
                    all(family.has_ipv6(), "::/0"),
                    Vec::new(),
                ])),
                NoSources::Nobody => Ok(self),
                NoSources::Refuse => Err(ErrorResponse::invalid_input(
                    "A rule needs at least one source.",
                )),
            };
        }
        let has_family = [family.has_ipv4(), family.has_ipv6()];
        for (has_family, list) in has_family.into_iter().zip(&mut self.0) {
            if has_family || list.is_empty() {
                continue;
            }
            match quirks.other_family {
                UnsupportedFamily::Keep => {}
                UnsupportedFamily::Drop => list.clear(),
                UnsupportedFamily::Refuse => {
                    return Err(ErrorResponse::invalid_input(format!(
                        "The IP address type of this Instance is {family}, which rules out {}.",
                        list.join(", ")
                    )));
                }
            }
        }
        Ok(self)
    }

    fn entry(self, key: Key) -> PortState {
        let [cidrs, ipv6_cidrs, cidr_list_aliases] = self.0;
        PortState {
            from_port: key.from(),
            to_port: key.to(),
            protocol: key.protocol().as_str().to_owned(),
            state: Some("open".to_owned()),
            cidrs,
            ipv6_cidrs,
            cidr_list_aliases,
        }
    }
}

/// The key of a stored entry in any spelling; `None` if no request can name it.
pub(super) fn key_of(entry: &PortState) -> Option<Key> {
    let protocol = Protocol::from_live(&entry.protocol)?;
    Key::new(protocol, entry.from_port, entry.to_port).ok()
}

fn is_closed(entry: &PortState) -> bool {
    let state = entry.state.as_deref();
    state.is_some_and(|state| state.eq_ignore_ascii_case("closed"))
}

/// The entries after an Open. The key keeps its position, or is added at the end.
fn open(
    entries: &[PortState],
    rule: &ValidRule,
    family: &AddressType,
    quirks: &Quirks,
) -> Result<Vec<PortState>> {
    let added = rule.lists.clone().stored(family, quirks)?;
    let mut lists = CidrLists::default();
    let mut index = None;
    let mut after = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        if key_of(entry) != Some(rule.key) {
            after.push(entry.clone());
            continue;
        }
        index.get_or_insert(after.len());
        if is_closed(entry) {
            continue;
        }
        match quirks.open {
            OpenEffect::Merge => lists.append(CidrLists::of(entry)),
            OpenEffect::Replace => {}
            OpenEffect::Refuse => {
                return Err(ErrorResponse::invalid_input(format!(
                    "The port {} is already open.",
                    rule.key
                )));
            }
        }
    }
    if added.is_empty() {
        return Ok(entries.to_vec());
    }
    lists.append(added);
    let entry = lists.distinct().entry(rule.key);
    after.insert(index.unwrap_or(after.len()), entry);
    Ok(after)
}

/// The entries after a Close. Closing a key that is not open changes nothing, because it is not known whether that is an error.
fn close(entries: &[PortState], rule: &ValidRule, quirks: &Quirks) -> Result<Vec<PortState>> {
    let closes_key = quirks.close == CloseEffect::Key || rule.lists.is_empty();
    let mut found = false;
    let mut after = Vec::with_capacity(entries.len());
    for entry in entries {
        if key_of(entry) != Some(rule.key) {
            after.push(entry.clone());
            continue;
        }
        found |= !is_closed(entry);
        if closes_key {
            continue;
        }
        let before = CidrLists::of(entry);
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
    match quirks.close_missing {
        MissingEffect::Succeed => Ok(after),
        _ if found => Ok(after),
        MissingEffect::InvalidInput => Err(ErrorResponse::invalid_input(format!(
            "The port {} is not open.",
            rule.key
        ))),
        MissingEffect::NotFound => Err(ErrorResponse::not_found("port", &rule.key.to_string())),
    }
}

/// The entries after a Put: these rules in this order. By default a repeated key is merged into the first.
fn put(rules: &[ValidRule], family: &AddressType, quirks: &Quirks) -> Result<Vec<PortState>> {
    if rules.is_empty() && quirks.empty_put == Acceptance::Refuse {
        return Err(ErrorResponse::invalid_input(
            "At least one rule is required.",
        ));
    }
    let mut merged: Vec<(Key, CidrLists)> = Vec::with_capacity(rules.len());
    let mut indices = BTreeMap::new();
    for rule in rules {
        let lists = rule.lists.clone().stored(family, quirks)?;
        let index = *indices.entry(rule.key).or_insert(merged.len());
        match (merged.get_mut(index), quirks.same_key) {
            (None, _) | (Some(_), SameKey::Apart) => merged.push((rule.key, lists)),
            (Some((_, earlier)), SameKey::Merge) => earlier.append(lists),
            (Some(_), SameKey::Refuse) => {
                return Err(ErrorResponse::invalid_input(format!(
                    "The port {} is named twice.",
                    rule.key
                )));
            }
        }
    }
    Ok(merged
        .into_iter()
        .filter(|(_, lists)| !lists.is_empty())
        .map(|(key, lists)| lists.distinct().entry(key))
        .collect())
}

/// The entries that a Put does not change, which remain between its two steps.
pub(super) fn unchanged(before: &[PortState], after: &[PortState]) -> Vec<PortState> {
    let entries = before.iter().filter(|entry| after.contains(entry));
    entries.cloned().collect()
}

/// The numbers of IPv4 and IPv6 sources that count against the limit.
pub(super) fn count(entries: &[PortState], aliases: AliasCount) -> (usize, usize) {
    entries.iter().fold((0, 0), |(ipv4, ipv6), entry| {
        let aliases = match aliases {
            AliasCount::Free => 0,
            AliasCount::Counted => entry.cidr_list_aliases.len(),
        };
        (
            ipv4 + entry.cidrs.len() + aliases,
            ipv6 + entry.ipv6_cidrs.len() + aliases,
        )
    })
}

#[cfg(test)]
mod tests;
