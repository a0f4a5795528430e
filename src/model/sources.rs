//! The sources of a rule: IPv4 networks, IPv6 networks and aliases.
//!
//! Owns the canonical form: host bits zero, sorted, no duplicates. Does not merge or split networks; `exposure` compares
//! sources by the addresses that they contain.
//!
//! A clone shares the lists until one of the two is changed: a plan contains most of them several times (live, before, after,
//! and once for each instance that a rule is declared for), and may have ten thousand instances.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize, Serializer};

use super::sanitize_line;

/// The only documented alias: the browser client of the Lightsail console.
pub const LIGHTSAIL_CONNECT: &str = "lightsail-connect";

/// Every IPv4 address.
pub const V4_ANYWHERE: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0);

/// Every IPv6 address.
pub const V6_ANYWHERE: Ipv6Net = Ipv6Net::new_assert(std::net::Ipv6Addr::UNSPECIFIED, 0);

/// The sources of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Texts")]
pub struct Sources(Arc<Lists>);

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(inline))]
struct Lists {
    #[serde(rename = "cidrs", serialize_with = "texts")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    ipv4: BTreeSet<Ipv4Net>,
    #[serde(rename = "ipv6Cidrs", serialize_with = "texts")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    ipv6: BTreeSet<Ipv6Net>,
    #[serde(rename = "cidrListAliases")]
    aliases: BTreeSet<String>,
}

fn texts<N: fmt::Display, S: Serializer>(
    networks: &BTreeSet<N>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(ToString::to_string))
}

/// Deserialized sources, not yet parsed.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Texts {
    cidrs: Vec<String>,
    ipv6_cidrs: Vec<String>,
    cidr_list_aliases: Vec<String>,
}

impl TryFrom<Texts> for Sources {
    type Error = String;

    fn try_from(read: Texts) -> Result<Self, String> {
        let mut sources = Self::new();
        for text in read.cidrs.iter().chain(&read.ipv6_cidrs) {
            let net = Self::parse_live(text);
            sources.insert(
                net.ok_or_else(|| format!("`{}` is not a valid network", sanitize_line(text)))?,
            );
        }
        for alias in read.cidr_list_aliases {
            sources.insert_alias(alias);
        }
        Ok(sources)
    }
}

/// The lists that all empty sources share.
static EMPTY: LazyLock<Arc<Lists>> = LazyLock::new(Arc::default);

impl Default for Sources {
    fn default() -> Self {
        Self(Arc::clone(&EMPTY))
    }
}

impl Sources {
    /// No source.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every address of both families.
    pub fn anywhere() -> Self {
        Self(Arc::new(Lists {
            ipv4: [V4_ANYWHERE].into(),
            ipv6: [V6_ANYWHERE].into(),
            aliases: BTreeSet::new(),
        }))
    }

    /// Whether both share their lists in memory. Equal sources need not.
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Adds a network; host bits are cleared.
    pub fn insert(&mut self, net: IpNet) {
        let lists = Arc::make_mut(&mut self.0);
        match net.trunc() {
            IpNet::V4(net) => lists.ipv4.insert(net),
            IpNet::V6(net) => lists.ipv6.insert(net),
        };
    }

    /// Adds an alias.
    pub fn insert_alias(&mut self, alias: impl Into<String>) {
        Arc::make_mut(&mut self.0).aliases.insert(alias.into());
    }

    /// Adds all sources of `other`.
    pub fn extend(&mut self, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else if !self.names_all_of(other) {
            let Lists {
                ipv4,
                ipv6,
                aliases,
            } = &*other.0;
            let lists = Arc::make_mut(&mut self.0);
            lists.ipv4.extend(ipv4);
            lists.ipv6.extend(ipv6);
            lists.aliases.extend(aliases.iter().cloned());
        }
    }

    /// The IPv4 networks, in address order.
    pub fn ipv4(&self) -> &BTreeSet<Ipv4Net> {
        &self.0.ipv4
    }

    /// The IPv6 networks, in address order.
    pub fn ipv6(&self) -> &BTreeSet<Ipv6Net> {
        &self.0.ipv6
    }

    /// The aliases, sorted.
    pub fn aliases(&self) -> &BTreeSet<String> {
        &self.0.aliases
    }

    /// Removes every IPv4 network.
    pub fn clear_ipv4(&mut self) {
        if !self.0.ipv4.is_empty() {
            Arc::make_mut(&mut self.0).ipv4.clear();
        }
    }

    /// Removes every IPv6 network.
    pub fn clear_ipv6(&mut self) {
        if !self.0.ipv6.is_empty() {
            Arc::make_mut(&mut self.0).ipv6.clear();
        }
    }

    /// The number of networks and aliases.
    pub fn len(&self) -> usize {
        let Lists {
            ipv4,
            ipv6,
            aliases,
        } = &*self.0;
        ipv4.len() + ipv6.len() + aliases.len()
    }

    /// Whether there is no network and no alias.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every text of `other` is among these. Compares texts, not addresses.
    pub fn names_all_of(&self, other: &Self) -> bool {
        let Lists {
            ipv4,
            ipv6,
            aliases,
        } = &*other.0;
        self.0.ipv4.is_superset(ipv4)
            && self.0.ipv6.is_superset(ipv6)
            && self.0.aliases.is_superset(aliases)
    }

    /// The networks and aliases that are not in `other`. Compares texts, not addresses.
    pub fn without(&self, other: &Self) -> Self {
        let ipv4 = self.ipv4().difference(other.ipv4());
        let ipv6 = self.ipv6().difference(other.ipv6());
        let nets = ipv4.map(|net| (*net).into());
        let mut left: Self = nets.chain(ipv6.map(|net| (*net).into())).collect();
        for alias in self.aliases().difference(other.aliases()) {
            left.insert_alias(alias);
        }
        left
    }

    /// The texts of `cidrs` in requests, always with the prefix length.
    pub fn cidrs(&self) -> impl Iterator<Item = String> + '_ {
        self.ipv4().iter().map(ToString::to_string)
    }

    /// The texts of `ipv6Cidrs` in requests: lower case, compressed, always with the prefix length.
    pub fn ipv6_cidrs(&self) -> impl Iterator<Item = String> + '_ {
        self.ipv6().iter().map(ToString::to_string)
    }

    /// Parses a network as the service may return it: with or without a prefix length, host bits set or not, any case.
    ///
    /// `None` if the text is not a valid network.
    pub fn parse_live(text: &str) -> Option<IpNet> {
        text.parse::<IpNet>()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .map(|net| net.trunc())
    }
}

impl FromIterator<IpNet> for Sources {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        let mut sources = Self::new();
        nets.into_iter().for_each(|net| sources.insert(net));
        sources
    }
}

/// All sources, comma-separated: IPv4, IPv6, aliases.
impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self
            .cidrs()
            .chain(self.ipv6_cidrs())
            .chain(self.aliases().iter().cloned())
            .collect();
        f.write_str(&texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_network_is_parsed_into_canonical_form() {
        for (text, canonical) in [
            ("192.0.2.44", Some("192.0.2.44/32")),
            ("192.0.2.44/24", Some("192.0.2.0/24")),
            ("2001:DB8:0:0::1", Some("2001:db8::1/128")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("::ffff:192.0.2.1/128", Some("::ffff:192.0.2.1/128")),
            ("192.0.2.0/33", None),
            ("office", None),
            ("", None),
        ] {
            assert_eq!(
                Sources::parse_live(text).map(|n| n.to_string()).as_deref(),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn changing_a_clone_leaves_the_original_unchanged() {
        let net = Sources::parse_live("10.0.0.0/8").expect("a network");
        let mut one: Sources = [net].into_iter().collect();
        let mut other = Sources::new();
        other.extend(&one);
        assert!(Arc::ptr_eq(&one.0, &other.0));
        other.insert_alias(LIGHTSAIL_CONNECT);
        assert_eq!(one.to_string(), "10.0.0.0/8");
        assert_eq!(other.to_string(), "10.0.0.0/8, lightsail-connect");
        one.clear_ipv4();
        assert!(one.is_empty() && Sources::new().is_empty());
        assert_eq!(other.ipv4().len(), 1);
    }

    #[test]
    fn names_all_of_compares_texts_and_not_addresses() {
        let halves: Sources = ["10.0.0.0/9", "10.128.0.0/9"]
            .iter()
            .filter_map(|t| Sources::parse_live(t))
            .collect();
        let whole: Sources = Sources::parse_live("10.0.0.0/8").into_iter().collect();
        assert!(!whole.names_all_of(&halves));
        assert!(halves.names_all_of(&Sources::new()));
    }
}
