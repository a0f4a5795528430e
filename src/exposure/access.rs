//! Access: the set of sources that a rule lets in, as addresses rather than as texts.
//!
//! Owns the set operations on sources: two lists that spell the same sources differently are equal here. An alias is an element
//! besides the addresses. The addresses of the browser client behind `lightsail-connect` are not published, so a set contains
//! it if the set covers the client's whole family or names the alias. Any other alias is unknown, and is contained only where it is
//! named. Does not know ports.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::RangeSet;
use crate::model::{
    AddressType, Family, GLOBALLY_REACHABLE, LIGHTSAIL_CONNECT, SPECIAL_PURPOSE, Sources,
};

/// A set of sources. Two sets are equal exactly if they contain the same sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// IPv4 addresses.
    pub v4: RangeSet<u32>,
    /// IPv6 addresses.
    pub v6: RangeSet<u128>,
    /// Aliases by name.
    pub aliases: BTreeSet<String>,
}

impl Access {
    /// The empty set.
    pub const fn nobody() -> Self {
        Self {
            v4: RangeSet::new(),
            v6: RangeSet::new(),
            aliases: BTreeSet::new(),
        }
    }

    /// All addresses of both families, and the browser client.
    pub fn everyone() -> Self {
        Self {
            v4: RangeSet::all(),
            v6: RangeSet::all(),
            aliases: BTreeSet::from([LIGHTSAIL_CONNECT.to_owned()]),
        }
    }

    /// The access that a rule with these sources gives on an instance that the browser client reaches over this family.
    pub fn of(sources: &Sources, family: Family) -> Self {
        Self::from(sources).with_client(Some(family))
    }

    /// Adds the browser client if its whole family is in the set.
    pub(super) fn with_client(mut self, family: Option<Family>) -> Self {
        if family.is_some_and(|family| self.covers(family)) {
            self.aliases.insert(LIGHTSAIL_CONNECT.to_owned());
        }
        self
    }

    /// Removes the browser client if its whole family is in the set, so that naming it would be redundant.
    pub(super) fn without_implied_client(mut self, family: Family) -> Self {
        if self.covers(family) {
            self.aliases.remove(LIGHTSAIL_CONNECT);
        }
        self
    }

    /// All addresses of this family if the set contains all of them, else none.
    pub(super) fn whole_family(&self, family: Family) -> Self {
        let mut whole = Self::nobody();
        if self.covers(family) {
            match family {
                Family::V4 => whole.v4 = RangeSet::all(),
                Family::V6 => whole.v6 = RangeSet::all(),
            }
        }
        whole
    }

    fn covers(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4.is_all(),
            Family::V6 => self.v6.is_all(),
        }
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        let Self { v4, v6, aliases } = self;
        v4.is_empty() && v6.is_empty() && aliases.is_empty()
    }

    /// Whether the set contains this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Whether the set contains every source of `other`.
    pub fn is_superset(&self, other: &Self) -> bool {
        let Self { v4, v6, aliases } = other;
        self.v4.is_superset(v4) && self.v6.is_superset(v6) && self.aliases.is_superset(aliases)
    }

    /// The sources in either set.
    pub fn union(&self, other: &Self) -> Self {
        let Self { v4, v6, aliases } = other;
        Self {
            v4: self.v4.union(v4),
            v6: self.v6.union(v6),
            aliases: &self.aliases | aliases,
        }
    }

    /// The sources in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let Self { v4, v6, aliases } = other;
        Self {
            v4: self.v4.intersection(v4),
            v6: self.v6.intersection(v6),
            aliases: &self.aliases & aliases,
        }
    }

    /// The sources in this set and not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        let Self { v4, v6, aliases } = other;
        Self {
            v4: self.v4.difference(v4),
            v6: self.v6.difference(v6),
            aliases: &self.aliases - aliases,
        }
    }

    /// The union of several sets in one step, which is cheaper than pairwise unions.
    pub fn union_of<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        Self {
            v4: RangeSet::from_ranges(all.clone().flat_map(|access| access.v4.ranges()).copied()),
            v6: RangeSet::from_ranges(all.clone().flat_map(|access| access.v6.ranges()).copied()),
            aliases: all.flat_map(|access| &access.aliases).cloned().collect(),
        }
    }

    /// The part of the set in the address families that an instance has.
    pub fn on(&self, kind: &AddressType) -> Self {
        let mut here = self.clone();
        if !kind.has_ipv4() {
            here.v4 = RangeSet::new();
        }
        if !kind.has_ipv6() {
            here.v6 = RangeSet::new();
        }
        here
    }

    /// The part of the set that can reach a public address: all but [`SPECIAL_PURPOSE`] networks.
    pub fn publicly_reachable(&self) -> Self {
        static NOT_REACHABLE: LazyLock<Access> = LazyLock::new(|| {
            let special: Sources = SPECIAL_PURPOSE.iter().map(|special| special.net).collect();
            let reachable: Sources = GLOBALLY_REACHABLE.iter().copied().collect();
            Access::from(&special).difference(&Access::from(&reachable))
        });
        self.difference(&NOT_REACHABLE)
    }

    /// The shortest spelling: the fewest networks, and the aliases that they do not contain.
    ///
    /// It is exact except for the browser client, which a list that names the whole family cannot exclude.
    pub fn to_sources(&self, family: Family) -> Sources {
        self.clone()
            .without_implied_client(family)
            .to_exact_sources()
    }

    /// The fewest networks, and every alias of the set.
    pub(super) fn to_exact_sources(&self) -> Sources {
        let Self { v4, v6, aliases } = self;
        sources_of(v4.networks(), v6.networks(), aliases)
    }
}

/// These networks and aliases.
pub(super) fn sources_of<'a>(
    ipv4: impl Iterator<Item = Ipv4Net>,
    ipv6: impl Iterator<Item = Ipv6Net>,
    aliases: impl IntoIterator<Item = &'a String>,
) -> Sources {
    let mut sources: Sources = ipv4.map(IpNet::V4).chain(ipv6.map(IpNet::V6)).collect();
    for alias in aliases {
        sources.insert_alias(alias);
    }
    sources
}

/// Contains the browser client only if `sources` name it.
impl From<&Sources> for Access {
    fn from(sources: &Sources) -> Self {
        Self {
            v4: RangeSet::from_networks(sources.ipv4()),
            v6: RangeSet::from_networks(sources.ipv6()),
            aliases: sources.aliases().clone(),
        }
    }
}
