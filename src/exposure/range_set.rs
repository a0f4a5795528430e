//! Sets of addresses as sorted ranges, and set operations on them.
//!
//! Owns exactness at both ends of both address spaces, where `last + 1` does not exist, and where the number of all IPv6 addresses
//! does not fit into a `u128`. Does not know aliases or ports.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{Add, Sub};

use ipnet::{Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};

/// An address as a number: `u32` for IPv4, `u128` for IPv6.
pub trait Address:
    Copy + Ord + fmt::Debug + From<u8> + Add<Output = Self> + Sub<Output = Self>
{
    /// The type of a network of such addresses. By default it is the network of all of them.
    type Net: Copy + Default + fmt::Display;

    /// The lowest and the highest address of a network.
    fn bounds(net: Self::Net) -> (Self, Self);

    /// The fewest networks that together are `first..=last`, in address order.
    fn networks(first: Self, last: Self) -> impl Iterator<Item = Self::Net>;
}

impl Address for u32 {
    type Net = Ipv4Net;

    fn bounds(net: Ipv4Net) -> (Self, Self) {
        (net.network().to_bits(), net.broadcast().to_bits())
    }

    fn networks(first: Self, last: Self) -> impl Iterator<Item = Ipv4Net> {
        Ipv4Subnets::new(Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last), 0)
    }
}

impl Address for u128 {
    type Net = Ipv6Net;

    fn bounds(net: Ipv6Net) -> (Self, Self) {
        (net.network().to_bits(), net.broadcast().to_bits())
    }

    fn networks(first: Self, last: Self) -> impl Iterator<Item = Ipv6Net> {
        Ipv6Subnets::new(Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last), 0)
    }
}

/// A set of addresses.
///
/// The ranges are inclusive, sorted, disjoint and not adjacent. This form is unique, so two sets are equal exactly if they contain
/// the same addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeSet<T> {
    ranges: Vec<(T, T)>,
}

/// A number of IPv6 addresses. The number of all of them, 2^128, does not fit into a `u128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Count {
    /// This many.
    Some(u128),
    /// 2^128.
    All,
}

impl<T: Address> RangeSet<T> {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The set of all addresses.
    pub fn all() -> Self {
        Self {
            ranges: vec![T::bounds(T::Net::default())],
        }
    }

    /// The addresses in any of the ranges `(first, last)`, in any order; a range that ends before it starts is empty.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (T, T)>) -> Self {
        let mut ranges: Vec<(T, T)> = ranges
            .into_iter()
            .filter(|(first, last)| first <= last)
            .collect();
        if !ranges.is_sorted() {
            ranges.sort_unstable();
        }
        ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1 || next.0 - T::from(1) == kept.1;
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        Self { ranges }
    }

    /// The addresses in any of the networks; host bits are ignored.
    pub fn from_networks<'a>(networks: impl IntoIterator<Item = &'a T::Net>) -> Self
    where
        T::Net: 'a,
    {
        Self::from_ranges(networks.into_iter().map(|net| T::bounds(*net)))
    }

    /// The ranges `(first, last)`: inclusive, ascending, with at least one address between any two.
    pub fn ranges(&self) -> &[(T, T)] {
        &self.ranges
    }

    /// The fewest networks with exactly these addresses, in address order.
    ///
    /// A network cannot span two ranges that are not adjacent, so each range is divided by itself.
    pub fn networks(&self) -> impl Iterator<Item = T::Net> + '_ {
        self.ranges
            .iter()
            .flat_map(|&(first, last)| T::networks(first, last))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the set contains every address.
    pub fn is_all(&self) -> bool {
        self.ranges.as_slice() == [T::bounds(T::Net::default())]
    }

    /// Whether the set contains this address.
    pub fn contains(&self, address: T) -> bool {
        self.covers(address, address)
    }

    /// Whether the set contains every address of `other`.
    pub fn is_superset(&self, other: &Self) -> bool {
        other
            .ranges
            .iter()
            .all(|&(first, last)| self.covers(first, last))
    }

    /// Whether the set contains every address of the network.
    pub fn covers_network(&self, net: T::Net) -> bool {
        let (first, last) = T::bounds(net);
        self.covers(first, last)
    }

    /// Whether the set contains any address of the network.
    pub fn touches_network(&self, net: T::Net) -> bool {
        let (first, last) = T::bounds(net);
        self.range_ending_at_or_above(first)
            .is_some_and(|(start, _)| start <= last)
    }

    /// The addresses in either set.
    pub fn union(&self, other: &Self) -> Self {
        if self.is_superset(other) {
            return self.clone();
        }
        Self::from_ranges(self.ranges.iter().chain(&other.ranges).copied())
    }

    /// The addresses in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j, mut ranges) = (0, 0, Vec::new());
        while let (Some(&a), Some(&b)) = (self.ranges.get(i), other.ranges.get(j)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                ranges.push((first, last));
            }
            if a.1 <= b.1 {
                i += 1;
            }
            if b.1 <= a.1 {
                j += 1;
            }
        }
        Self { ranges }
    }

    /// The addresses in this set and not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        let (mut j, mut ranges) = (0, Vec::new());
        for &(first, last) in &self.ranges {
            while other.ranges.get(j).is_some_and(|hole| hole.1 < first) {
                j += 1;
            }
            // The lowest remaining address; `None` once a hole reaches `last`.
            let mut rest = Some(first);
            for &(from, to) in other.ranges[j..].iter().take_while(|hole| hole.0 <= last) {
                let Some(start) = rest else { break };
                if start < from {
                    ranges.push((start, from - T::from(1)));
                }
                rest = (to < last).then(|| to + T::from(1));
            }
            ranges.extend(rest.map(|start| (start, last)));
        }
        Self { ranges }
    }

    /// The addresses that are not in the set.
    pub fn complement(&self) -> Self {
        Self::all().difference(self)
    }

    fn covers(&self, first: T, last: T) -> bool {
        self.range_ending_at_or_above(first)
            .is_some_and(|(start, end)| start <= first && last <= end)
    }

    fn range_ending_at_or_above(&self, address: T) -> Option<(T, T)> {
        self.ranges
            .get(self.ranges.partition_point(|range| range.1 < address))
            .copied()
    }
}

impl RangeSet<u32> {
    /// The number of addresses, up to 2^32.
    pub fn count(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum()
    }
}

impl RangeSet<u128> {
    /// The number of addresses, up to 2^128.
    pub fn count(&self) -> Count {
        if self.is_all() {
            return Count::All;
        }
        // At least one address is missing, so neither a range nor the sum can overflow.
        Count::Some(
            self.ranges
                .iter()
                .map(|(first, last)| last - first + 1)
                .sum(),
        )
    }
}

/// Small numbers in full, large ones as a power of two: `2^64`, or `more than 2^64` if the number is not a power of two.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::All => f.write_str("2^128"),
            Self::Some(count) if count < 1 << 20 => write!(f, "{count}"),
            Self::Some(count) if count.is_power_of_two() => write!(f, "2^{}", count.ilog2()),
            Self::Some(count) => write!(f, "more than 2^{}", count.ilog2()),
        }
    }
}

#[cfg(test)]
mod tests;
