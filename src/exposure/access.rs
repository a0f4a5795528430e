//! Who gets in, as sets of addresses rather than as texts.
//!
//! Owns the algebra of sources: two firewalls may spell the same people differently, and here they are equal. An alias
//! is a point beside the addresses. The browser client behind `lightsail-connect` has addresses that nobody publishes, so
//! it is inside every set that covers its whole family and inside no narrower one that does not name it; what another
//! alias stands for is not known, and nothing contains it. Does not know ports.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use super::RangeSet;
use crate::model::{ARRIVING, AddressType, Family, LIGHTSAIL_CONNECT, SPECIAL, Sources};

/// A set of sources. Equal exactly when it means the same.
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
    /// Nobody.
    pub const fn nobody() -> Self {
        Self {
            v4: RangeSet::new(),
            v6: RangeSet::new(),
            aliases: BTreeSet::new(),
        }
    }

    /// Every address of both families, and the browser client.
    pub fn everyone() -> Self {
        Self {
            v4: RangeSet::all(),
            v6: RangeSet::all(),
            aliases: BTreeSet::from([LIGHTSAIL_CONNECT.to_owned()]),
        }
    }

    /// Whoever a rule with these sources lets in on an instance that the browser client reaches over this family.
    pub fn of(sources: &Sources, family: Family) -> Self {
        Self::from(sources).with_client(family)
    }

    /// With the browser client where its whole family gets in.
    pub(super) fn with_client(mut self, family: Family) -> Self {
        if self.covers(family) {
            self.aliases.insert(LIGHTSAIL_CONNECT.to_owned());
        }
        self
    }

    /// As rules would name it: without the browser client where its whole family is named.
    pub(super) fn named(mut self, family: Family) -> Self {
        if self.covers(family) {
            self.aliases.remove(LIGHTSAIL_CONNECT);
        }
        self
    }

    /// Every address of this family if all of them get in, else nobody.
    pub(super) fn whole(&self, family: Family) -> Self {
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

    /// Whether nobody gets in.
    pub fn is_empty(&self) -> bool {
        let Self { v4, v6, aliases } = self;
        v4.is_empty() && v6.is_empty() && aliases.is_empty()
    }

    /// Whether this address gets in.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// Whether everybody of `other` gets in.
    pub fn is_superset(&self, other: &Self) -> bool {
        let Self { v4, v6, aliases } = other;
        self.v4.is_superset(v4) && self.v6.is_superset(v6) && self.aliases.is_superset(aliases)
    }

    /// Those in either.
    pub fn union(&self, other: &Self) -> Self {
        let Self { v4, v6, aliases } = other;
        Self {
            v4: self.v4.union(v4),
            v6: self.v6.union(v6),
            aliases: &self.aliases | aliases,
        }
    }

    /// Those in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let Self { v4, v6, aliases } = other;
        Self {
            v4: self.v4.intersection(v4),
            v6: self.v6.intersection(v6),
            aliases: &self.aliases & aliases,
        }
    }

    /// Those in this one and not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        let Self { v4, v6, aliases } = other;
        Self {
            v4: self.v4.difference(v4),
            v6: self.v6.difference(v6),
            aliases: &self.aliases - aliases,
        }
    }

    /// Those in any, in one step: cheaper than one union after the other.
    pub fn union_of<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        Self {
            v4: RangeSet::from_ranges(all.clone().flat_map(|access| access.v4.ranges()).copied()),
            v6: RangeSet::from_ranges(all.clone().flat_map(|access| access.v6.ranges()).copied()),
            aliases: all.flat_map(|access| &access.aliases).cloned().collect(),
        }
    }

    /// Those of the families that an instance has.
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

    /// Those who can arrive at a public address: see [`SPECIAL`].
    pub fn arriving(&self) -> Self {
        static NOBODY: LazyLock<Access> = LazyLock::new(|| {
            let special: Sources = SPECIAL.iter().map(|special| special.net).collect();
            let arriving: Sources = ARRIVING.iter().copied().collect();
            Access::from(&special).difference(&Access::from(&arriving))
        });
        self.difference(&NOBODY)
    }

    /// The shortest spelling: the fewest networks, and the aliases that these do not contain.
    ///
    /// It is exact but for the browser client, which no list of sources can leave out where it names all of the family.
    pub fn to_sources(&self, family: Family) -> Sources {
        self.clone().named(family).to_the_letter()
    }

    /// The fewest networks, and every alias.
    pub(super) fn to_the_letter(&self) -> Sources {
        let Self { v4, v6, aliases } = self;
        let mut sources: Sources = v4
            .networks()
            .map(IpNet::V4)
            .chain(v6.networks().map(IpNet::V6))
            .collect();
        for alias in aliases {
            sources.insert_alias(alias);
        }
        sources
    }
}

/// To the letter: the browser client is in only where it is named.
impl From<&Sources> for Access {
    fn from(sources: &Sources) -> Self {
        Self {
            v4: RangeSet::from_networks(sources.ipv4()),
            v6: RangeSet::from_networks(sources.ipv6()),
            aliases: sources.aliases().clone(),
        }
    }
}
