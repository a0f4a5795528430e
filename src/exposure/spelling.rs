//! Comparison and subtraction of sources by meaning that keeps their spelling.
//!
//! Owns the operations that the planner needs for texts that are sent to the service: a network that need not be split keeps its
//! spelling. Does not know ports; whole firewalls are compared as [`Effective`](super::Effective).

use super::access::sources_of;
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
    let (ipv4, ipv6) = (cut(a.ipv4(), &remove.v4), cut(a.ipv6(), &remove.v6));
    sources_of(ipv4, ipv6, a.aliases().difference(&remove.aliases))
}

/// The networks and aliases of `a`, as they are spelled, that are not completely inside `b`.
///
/// The result is empty exactly if `b` lets in every source of `a`.
pub(crate) fn uncovered(a: &Sources, b: &Sources, family: Family) -> Sources {
    let cover = Access::of(b, family);
    let (ipv4, ipv6) = (a.ipv4().iter().copied(), a.ipv6().iter().copied());
    let ipv4 = ipv4.filter(|net| !cover.v4.covers_network(*net));
    let ipv6 = ipv6.filter(|net| !cover.v6.covers_network(*net));
    sources_of(ipv4, ipv6, a.aliases().difference(&cover.aliases))
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
