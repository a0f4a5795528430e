//! Tests of the range set against an independent implementation, and of `networks` against a recursive count.

use ipnet::Ipv6Net;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use range_set_blaze::{Integer, RangeSetBlaze};

use super::*;

/// Ends of ranges: close to both ends of the space, close to each other, and anywhere.
fn end_v4() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![
        0..6u32,
        u32::MAX - 6..=u32::MAX,
        0x7fff_fffc..0x8000_0004u32,
        any::<u32>()
    ]
}

fn end_v6() -> impl Strategy<Value = u128> + Clone {
    prop_oneof![
        0..6u128,
        u128::MAX - 6..=u128::MAX,
        (1u128 << 64) - 4..(1u128 << 64) + 4,
        any::<u128>()
    ]
}

fn ranges<T: Clone + fmt::Debug>(
    end: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Vec<(T, T)>> {
    vec((end.clone(), end), 0..8)
}

fn blaze<T: Address + Integer>(ranges: &[(T, T)]) -> RangeSetBlaze<T> {
    ranges
        .iter()
        .filter(|(first, last)| first <= last)
        .map(|(first, last)| *first..=*last)
        .collect()
}

/// The ranges of the other implementation in our type, without our own normalization.
fn ours<T: Address + Integer>(set: &RangeSetBlaze<T>) -> RangeSet<T> {
    let ranges = set
        .ranges()
        .map(|range| (*range.start(), *range.end()))
        .collect();
    RangeSet { ranges }
}

fn agrees_with_blaze<T: Address + Integer>(
    a: &[(T, T)],
    b: &[(T, T)],
) -> Result<(), TestCaseError> {
    let (x, y) = (
        RangeSet::from_ranges(a.iter().copied()),
        RangeSet::from_ranges(b.iter().copied()),
    );
    let (bx, by) = (blaze(a), blaze(b));
    prop_assert_eq!(x.clone(), ours(&bx));
    prop_assert_eq!(x.union(&y), ours(&(&bx | &by)));
    prop_assert_eq!(x.intersection(&y), ours(&(&bx & &by)));
    prop_assert_eq!(x.difference(&y), ours(&(&bx - &by)));
    prop_assert_eq!(x.complement(), ours(&!&bx));
    prop_assert_eq!(x.is_superset(&y), bx.is_superset(&by));
    prop_assert_eq!(x.is_empty(), bx.is_empty());
    prop_assert_eq!(x.is_all(), (!&bx).is_empty());
    let (lowest, highest) = T::bounds(T::Net::default());
    for &end in a.iter().chain(b).flat_map(|(first, last)| [first, last]) {
        let below = (end > lowest).then(|| end - T::from(1));
        let above = (end < highest).then(|| end + T::from(1));
        for address in [Some(end), below, above].into_iter().flatten() {
            prop_assert_eq!(x.contains(address), bx.contains(address), "{:?}", address);
        }
    }
    Ok(())
}

/// The fewest networks for the part of the set inside `net`: one if the set contains all of it, else the sum for its halves. No
/// list is shorter, because a network that is not completely inside the set cannot be used.
fn fewest(set: &RangeSet<u128>, net: Ipv6Net) -> usize {
    if !set.touches_network(net) {
        return 0;
    }
    let (first, last) = <u128 as Address>::bounds(net);
    if set
        .intersection(&RangeSet::from_ranges([(first, last)]))
        .ranges()
        == [(first, last)]
    {
        return 1;
    }
    net.subnets(net.prefix_len() + 1)
        .map_or(0, |halves| halves.map(|half| fewest(set, half)).sum())
}

proptest! {
    #[test]
    fn ipv4_agrees_with_an_independent_implementation(a in ranges(end_v4()), b in ranges(end_v4())) {
        agrees_with_blaze(&a, &b)?;
        let set = RangeSet::from_ranges(a.iter().copied());
        prop_assert_eq!(set.count(), blaze(&a).len());
    }

    #[test]
    fn ipv6_agrees_with_an_independent_implementation(a in ranges(end_v6()), b in ranges(end_v6())) {
        agrees_with_blaze(&a, &b)?;
        let theirs = match blaze(&a).len() {
            range_set_blaze::UIntPlusOne::UInt(count) => Count::Some(count),
            range_set_blaze::UIntPlusOne::MaxPlusOne => Count::All,
        };
        prop_assert_eq!(RangeSet::from_ranges(a.iter().copied()).count(), theirs);
    }

    #[test]
    fn networks_are_exact_sorted_and_fewest(a in ranges(end_v6())) {
        let set = RangeSet::from_ranges(a);
        let networks: Vec<Ipv6Net> = set.networks().collect();
        prop_assert!(networks.is_sorted());
        prop_assert_eq!(&RangeSet::from_networks(&networks), &set);
        prop_assert_eq!(networks.len(), fewest(&set, Ipv6Net::default()));
    }

    #[test]
    fn ipv4_networks_are_exact_and_fewest(a in ranges(end_v4())) {
        let set = RangeSet::from_ranges(a);
        let networks: Vec<Ipv4Net> = set.networks().collect();
        prop_assert_eq!(&RangeSet::from_networks(&networks), &set);
        let mut fewest = Ipv4Net::aggregate(&networks);
        fewest.sort();
        prop_assert_eq!(networks, fewest);
    }

    #[test]
    fn network_is_covered_or_touched_like_its_addresses(
        a in ranges(end_v4()), address in end_v4(), length in select(vec![0u8, 1, 29, 30, 31, 32]),
    ) {
        let set = RangeSet::from_ranges(a);
        let net = Ipv4Net::new_assert(Ipv4Addr::from_bits(address), length);
        let inside = set.intersection(&RangeSet::from_networks([&net]));
        prop_assert_eq!(set.touches_network(net), !inside.is_empty());
        prop_assert_eq!(set.covers_network(net), inside == RangeSet::from_networks([&net]));
    }
}

#[test]
fn highest_address_is_handled_exactly() {
    let all_but_last = RangeSet::from_ranges([(0, u32::MAX - 1)]);
    assert_eq!(all_but_last.networks().count(), 32);
    assert_eq!(all_but_last.count(), (1 << 32) - 1);
    assert_eq!(
        all_but_last.union(&RangeSet::from_ranges([(u32::MAX, u32::MAX)])),
        RangeSet::all()
    );
    let top = RangeSet::from_ranges([(u128::MAX - 1, u128::MAX - 1)]);
    assert_eq!(
        top.networks()
            .map(|net| net.prefix_len())
            .collect::<Vec<_>>(),
        [128]
    );
}

#[test]
fn counts_are_formatted_as_powers_of_two() {
    for (count, text) in [
        (Count::All, "2^128"),
        (Count::Some(0), "0"),
        (Count::Some(256), "256"),
        (Count::Some((1 << 20) - 1), "1048575"),
        (Count::Some(1 << 20), "2^20"),
        (Count::Some(1 << 64), "2^64"),
        (Count::Some((1 << 64) + 1), "more than 2^64"),
        (Count::Some(u128::MAX), "more than 2^127"),
    ] {
        assert_eq!(count.to_string(), text);
    }
    assert!(Count::Some(u128::MAX) < Count::All);
}
