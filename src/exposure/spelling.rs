//! Comparison and subtraction of sources by meaning that keeps their spelling.
//!
//! Owns the operations that the planner needs for texts that are sent to the service: a network that need not be split keeps its
//! spelling. Does not know ports; whole firewalls are compared as [`Effective`](super::Effective).

use ipnet::IpNet;

use super::{Access, Address, RangeSet};
use crate::model::{Family, Sources};

/// Whether two lists of sources let in the same addresses and aliases, if the browser client uses this family.
pub fn means_same(a: &Sources, b: &Sources, family: Family) -> bool {
    a == b || Access::of(a, family) == Access::of(b, family)
}

/// The sources of `a` without the addresses and aliases of `b`.
///
/// A network of `a` that shares no address with `b` keeps its spelling. The rest of the others becomes the fewest networks. If
/// `b` covers the whole family of the browser client, the client is removed too; removing only the client splits no network.
pub fn subtract(a: &Sources, b: &Sources, family: Family) -> Sources {
    let remove = Access::of(b, family);
    let mut rest = Sources::new();
    cut(a.ipv4(), &remove.v4).for_each(|net| rest.insert(IpNet::V4(net)));
    cut(a.ipv6(), &remove.v6).for_each(|net| rest.insert(IpNet::V6(net)));
    a.aliases()
        .difference(&remove.aliases)
        .for_each(|alias| rest.insert_alias(alias));
    rest
}

/// The networks and aliases of `a`, as they are spelled, that are not completely inside `b`.
///
/// The result is empty exactly if `b` lets in every source of `a`.
pub(crate) fn uncovered(a: &Sources, b: &Sources, family: Family) -> Sources {
    let cover = Access::of(b, family);
    let mut rest = Sources::new();
    let ipv4 = a
        .ipv4()
        .iter()
        .filter(|net| !cover.v4.covers_network(**net));
    let ipv6 = a
        .ipv6()
        .iter()
        .filter(|net| !cover.v6.covers_network(**net));
    ipv4.for_each(|net| rest.insert(IpNet::V4(*net)));
    ipv6.for_each(|net| rest.insert(IpNet::V6(*net)));
    a.aliases()
        .difference(&cover.aliases)
        .for_each(|alias| rest.insert_alias(alias));
    rest
}

fn cut<'a, T: Address>(
    networks: impl IntoIterator<Item = &'a T::Net>,
    remove: &RangeSet<T>,
) -> impl Iterator<Item = T::Net>
where
    T::Net: 'a,
{
    let (touched, kept): (Vec<T::Net>, Vec<T::Net>) = networks
        .into_iter()
        .copied()
        .partition(|net| remove.touches_network(*net));
    let rest: Vec<T::Net> = RangeSet::from_networks(&touched)
        .difference(remove)
        .networks()
        .collect();
    kept.into_iter().chain(rest)
}

#[cfg(test)]
mod tests;
