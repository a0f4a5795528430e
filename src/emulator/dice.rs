//! Deterministic random numbers that depend only on the seed and the purpose.
//!
//! Owns the hash. A number depends on its purpose and on how often it was asked for, not on the order in which requests for different
//! instances arrive, so a run with concurrent requests can be repeated. Not suitable for secrets.

/// The `nth` number for `what` and `subject`.
pub(super) fn roll(seed: u64, what: &str, subject: &str, nth: u64) -> u64 {
    // FNV-1a over the parts, separated by a byte that does not occur in texts.
    let parts = [what.as_bytes(), &[0xff], subject.as_bytes(), &[0xff]];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ mix(seed);
    for byte in parts.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash ^ mix(nth))
}

/// Whether an event with this probability, in a thousand, happens.
pub(super) fn hits(per_mille: u16, roll: u64) -> bool {
    roll % 1000 < u64::from(per_mille)
}

/// An index below `count`, or 0 if `count` is 0.
pub(super) fn pick(count: usize, roll: u64) -> usize {
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(roll % count).unwrap_or(0)
}

/// Shuffles the items.
pub(super) fn shuffle<T>(items: &mut [T], roll: u64) {
    for last in (1..items.len()).rev() {
        let step = u64::try_from(last).unwrap_or(0);
        items.swap(last, pick(last + 1, mix(roll ^ mix(step))));
    }
}

/// The finaliser of `SplitMix64`: every bit of the input moves every bit of the result.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn probabilities_are_as_configured() {
        for (per_mille, least, most) in [(0, 0, 0), (100, 800, 1200), (1000, 10_000, 10_000)] {
            let count = (0..10_000).filter(|n| hits(per_mille, roll(7, "x", "y", *n)));
            assert!((least..=most).contains(&count.count()), "{per_mille}");
        }
        assert_ne!(roll(1, "ab", "c", 0), roll(1, "a", "bc", 0));
        assert_ne!(roll(1, "a", "b", 0), roll(2, "a", "b", 0));
    }

    proptest! {
        #[test]
        fn shuffle_keeps_all_items(count in 0_usize..50, number: u64) {
            let all: Vec<usize> = (0..count).collect();
            let mut mixed = all.clone();
            shuffle(&mut mixed, number);
            mixed.sort_unstable();
            prop_assert_eq!(mixed, all);
        }
    }
}
