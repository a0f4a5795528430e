//! The live state: the firewalls as the service returned them.
//!
//! Owns the parser from every spelling to canonical rules, and the reasons why an entry cannot be parsed. Does not drop an entry:
//! one that is not a valid rule is kept with its reason.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::{self, Write as _};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::{Code, Firewall, Instance, InstanceId, Key, Protocol, Site, SourceCounts, Sources};

/// One entry of `portStates`, exactly as the service returned it. A missing list is an empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortState {
    /// First port, or ICMP type.
    pub from_port: i32,
    /// Last port, or ICMP code.
    pub to_port: i32,
    /// The protocol, unparsed.
    pub protocol: String,
    /// `open` or `closed`; absent means open.
    #[serde(default = "open")]
    pub state: Option<String>,
    /// IPv4 networks, unparsed.
    #[serde(default)]
    pub cidrs: Vec<String>,
    /// IPv6 networks, unparsed.
    #[serde(default)]
    pub ipv6_cidrs: Vec<String>,
    /// Aliases such as `lightsail-connect`.
    #[serde(default)]
    pub cidr_list_aliases: Vec<String>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde wants the type of the field"
)]
fn open() -> Option<String> {
    Some("open".to_owned())
}

impl PortState {
    /// The canonical spelling of a rule.
    pub fn canonical(key: Key, sources: &Sources) -> Self {
        Self {
            from_port: key.from(),
            to_port: key.to(),
            protocol: key.protocol().as_str().to_owned(),
            state: open(),
            cidrs: sources.cidrs().collect(),
            ipv6_cidrs: sources.ipv6_cidrs().collect(),
            cidr_list_aliases: sources.aliases().iter().cloned().collect(),
        }
    }

    /// Whether all of its lists of sources are empty.
    pub fn names_no_source(&self) -> bool {
        self.cidrs.is_empty() && self.ipv6_cidrs.is_empty() && self.cidr_list_aliases.is_empty()
    }

    /// The sources, if there are any and all of them can be parsed.
    pub fn sources(&self) -> Option<Sources> {
        read_sources(self).ok().map(|(sources, _)| sources)
    }
}

/// The protocol and ports as the service spelled them, such as `tcp 22-22`.
impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}-{}", self.protocol, self.from_port, self.to_port)
    }
}

/// An entry whose meaning is uncertain: it may let in whatever its readable part allows, and lets in nobody for certain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uncertain {
    /// The entry.
    pub entry: PortState,
    /// Its key, if the protocol and ports are valid.
    pub key: Option<Key>,
    /// Why it is uncertain, as a sentence fragment.
    pub doubt: String,
}

/// The live firewall of one instance.
///
/// Two live firewalls are equal if they have the same rules and the same doubts, in whatever order the entries came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "LiveFirewallDocument", into = "LiveFirewallDocument")]
pub struct LiveFirewall {
    firewall: Firewall,
    put_only: BTreeSet<Key>,
    uncertain: BTreeSet<Uncertain>,
    unknown: BTreeSet<PortState>,
}

impl LiveFirewall {
    /// Parses the entries of a response.
    pub fn read(entries: &[PortState]) -> Self {
        let mut live = Self::default();
        let mut seen = BTreeSet::new();
        for entry in entries {
            if entry
                .state
                .as_deref()
                .is_some_and(|state| state.eq_ignore_ascii_case("closed"))
            {
                continue;
            }
            let Some(protocol) = Protocol::from_live(&entry.protocol) else {
                live.unknown.insert(entry.clone());
                continue;
            };
            let key = Key::new(protocol, entry.from_port, entry.to_port);
            match key
                .map_err(|e| format!("its ports mean nothing certain: {e}"))
                .and_then(|key| Ok((key, read_sources(entry)?)))
            {
                Ok((key, (sources, is_canonical))) => {
                    let is_canonical = is_canonical && entry.protocol == key.protocol().as_str();
                    if !seen.insert(key) || !is_canonical {
                        live.put_only.insert(key);
                    }
                    live.firewall.add(key, &sources);
                }
                Err(doubt) => {
                    live.put_only.extend(key.ok());
                    live.uncertain.insert(Uncertain {
                        entry: entry.clone(),
                        key: key.ok(),
                        doubt,
                    });
                }
            }
        }
        live
    }

    /// Applies [`Firewall::share`] to the certain rules.
    pub fn share(&mut self, pool: &mut HashSet<Sources>) {
        self.firewall.share(pool);
    }

    /// The certain rules.
    pub fn firewall(&self) -> &Firewall {
        &self.firewall
    }

    /// Whether a key may be changed only by a Put, because it was returned twice or in a spelling that is not canonical: a Close or an
    /// Open might not find the rule.
    pub fn is_put_only(&self, key: Key) -> bool {
        self.put_only.contains(&key)
    }

    /// Whether every certain rule was returned once and in canonical spelling, apart from the order of lists.
    pub fn is_canonical(&self) -> bool {
        !self.firewall.keys().any(|key| self.is_put_only(key))
    }

    /// Entries whose meaning is uncertain.
    pub fn uncertain(&self) -> &BTreeSet<Uncertain> {
        &self.uncertain
    }

    /// Entries of an unknown protocol, which cannot be sent back.
    pub fn unknown(&self) -> &BTreeSet<PortState> {
        &self.unknown
    }

    /// Whether the meaning of every entry is certain.
    pub fn is_certain(&self) -> bool {
        self.uncertain.is_empty() && self.unknown.is_empty()
    }

    /// The number of sources in uncertain and unknown entries. They count against the service's limit in addition to
    /// [`Firewall::counts`].
    pub fn unread_counts(&self) -> SourceCounts {
        let uncertain = self.uncertain.iter().map(|uncertain| &uncertain.entry);
        uncertain
            .chain(&self.unknown)
            .fold(SourceCounts::default(), |sum, entry| SourceCounts {
                ipv4: sum.ipv4 + entry.cidrs.len(),
                ipv6: sum.ipv6 + entry.ipv6_cidrs.len(),
            })
    }
}

/// The JSON form of a live firewall: its rules, the keys that only a Put may change, and the entries that are uncertain.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LiveFirewallDocument {
    rules: Firewall,
    put_only: BTreeSet<Key>,
    uncertain: Vec<UncertainEntry>,
    unknown: BTreeSet<PortState>,
}

/// An uncertain entry, with the reason.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct UncertainEntry {
    entry: PortState,
    reason: String,
}

impl From<LiveFirewall> for LiveFirewallDocument {
    fn from(live: LiveFirewall) -> Self {
        let uncertain = live.uncertain.into_iter().map(|uncertain| UncertainEntry {
            entry: uncertain.entry,
            reason: uncertain.doubt,
        });
        Self {
            rules: live.firewall,
            put_only: live.put_only,
            uncertain: uncertain.collect(),
            unknown: live.unknown,
        }
    }
}

/// Parses the entries again. A rule that only a Put may change is passed twice, which makes it put-only again.
impl From<LiveFirewallDocument> for LiveFirewall {
    fn from(document: LiveFirewallDocument) -> Self {
        let rules = document.rules.iter();
        let put_only = rules
            .clone()
            .filter(|(key, _)| document.put_only.contains(key));
        let certain = rules
            .chain(put_only)
            .map(|(key, sources)| PortState::canonical(*key, sources));
        let uncertain = document
            .uncertain
            .into_iter()
            .map(|uncertain| uncertain.entry);
        let entries: Vec<PortState> = certain.chain(uncertain).chain(document.unknown).collect();
        Self::read(&entries)
    }
}

/// A firewall in canonical form, without any doubt.
impl From<&Firewall> for LiveFirewall {
    fn from(firewall: &Firewall) -> Self {
        Self {
            firewall: firewall.clone(),
            ..Self::default()
        }
    }
}

/// The sources of an entry, and whether they are spelled as a request would spell them, apart from the order of lists.
fn read_sources(entry: &PortState) -> Result<(Sources, bool), String> {
    let mut sources = Sources::new();
    let mut canonical = true;
    for (texts, is_ipv4) in [(&entry.cidrs, true), (&entry.ipv6_cidrs, false)] {
        for text in texts {
            let net = Sources::parse_live(text)
                .ok_or_else(|| format!("`{text}` is not a valid network"))?;
            canonical &= net.addr().is_ipv4() == is_ipv4 && is_spelling_of(text, net);
            sources.insert(net);
        }
    }
    for alias in &entry.cidr_list_aliases {
        sources.insert_alias(alias);
    }
    if sources.is_empty() {
        // Which may mean nobody or everyone.
        return Err("it names no source".to_owned());
    }
    // A list that names a source twice is longer than its set.
    canonical &= entry.cidrs.len() == sources.ipv4().len()
        && entry.ipv6_cidrs.len() == sources.ipv6().len()
        && entry.cidr_list_aliases.len() == sources.aliases().len();
    Ok((sources, canonical))
}

/// Whether a text is the canonical spelling of a network. It is asked for every source, so it does not allocate.
fn is_spelling_of(text: &str, net: IpNet) -> bool {
    /// The part of the text that has not been compared yet.
    struct Rest<'a>(&'a str);

    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    if let IpNet::V4(net) = net {
        return is_spelling_of_ipv4(text, net);
    }
    let mut rest = Rest(text);
    write!(rest, "{net}").is_ok() && rest.0.is_empty()
}

/// The same for the usual kind of source, without the cost of formatting it.
fn is_spelling_of_ipv4(text: &str, net: Ipv4Net) -> bool {
    let is_number = |text: &str, number: u8| {
        let is_canonical = text.len() == 1 || !text.starts_with(['0', '+']);
        is_canonical && text.parse() == Ok(number)
    };
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let mut parts = address.split('.');
    let mut octets = net.addr().octets().into_iter();
    octets.all(|octet| parts.next().is_some_and(|part| is_number(part, octet)))
        && parts.next().is_none()
        && is_number(prefix, net.prefix_len())
}

/// Why the rules of an instance, or the instances of a region, are not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// The code, which tells what could not be read from what could not be decided for that reason.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// The error, as a sentence fragment.
    pub reason: String,
    /// What a person can do about it, as a sentence fragment.
    pub hint: Option<String>,
}

impl Unreadable {
    /// Something could not be read.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            code: Code::Unreadable,
            reason: reason.into(),
            hint: None,
        }
    }

    /// Something could not be decided, because something else could not be read.
    pub fn undecided(reason: impl Into<String>) -> Self {
        Self {
            code: Code::Undecided,
            ..Self::new(reason)
        }
    }

    /// The same with what a person can do about it.
    pub fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Everything that one run read from the service.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Every instance that was listed.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// The firewall of each instance that was read. An instance that is missing here was not read.
    pub firewalls: BTreeMap<InstanceId, Result<LiveFirewall, Unreadable>>,
    /// Sites whose instances could not be listed in full.
    pub sites_unreadable: BTreeMap<Site, Unreadable>,
}

impl Live {
    /// An instance with its firewall.
    ///
    /// # Errors
    /// The firewall is not known, for this reason.
    pub fn get(&self, id: &InstanceId) -> Result<(&Instance, &LiveFirewall), Unreadable> {
        match (self.instances.get(id), self.firewalls.get(id)) {
            (Some(instance), Some(Ok(firewall))) => Ok((instance, firewall)),
            (_, Some(Err(unreadable))) => Err(unreadable.clone()),
            _ => Err(Unreadable::new("its rules were not read")),
        }
    }
}

#[cfg(test)]
mod tests;
