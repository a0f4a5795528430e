//! Comparing sources by meaning while keeping their spelling.
//!
//! Owns what the planner needs where texts are sent to the service: a network that need not be cut is left as it was
//! named. Does not know ports; whole firewalls are compared as [`Effective`](super::Effective).

use ipnet::IpNet;

use super::{Access, Address, RangeSet};
use crate::model::{Family, Sources};

/// Whether two lists of sources let the same addresses and the same aliases in, where the browser client comes over this
/// family.
pub fn means_same(a: &Sources, b: &Sources, family: Family) -> bool {
    a == b || Access::of(a, family) == Access::of(b, family)
}

/// What is left of `a` without the addresses and aliases of `b`.
///
/// A network of `a` that holds no address of `b` stays as it is spelled. The others are cut together into the fewest
/// networks, and those that lie in `b` vanish. The browser client goes with the whole of its family, and does not cut it.
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

/// The networks and aliases of `a`, as spelled, that are not wholly inside `b`.
///
/// It is empty exactly when `b` lets in everybody that `a` does.
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
