//! Deterministic random numbers.
//!
//! Owns the hash. A number depends on the seed, its purpose and subject, and how often it was requested, not on the order in which
//! requests for different instances arrive, so a run with concurrent requests can be repeated. Not suitable for secrets.

/// The `nth` number for a purpose and a subject.
pub(super) fn number(seed: u64, purpose: &str, subject: &str, nth: u64) -> u64 {
    // FNV-1a over the parts, separated by a byte that does not occur in texts.
    let parts = [purpose.as_bytes(), &[0xff], subject.as_bytes(), &[0xff]];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ mix(seed);
    for byte in parts.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    mix(hash ^ mix(nth))
}

/// Whether an event with this probability, in a thousand, occurs.
pub(super) fn occurs(per_mille: u16, number: u64) -> bool {
    number % 1000 < u64::from(per_mille)
}

/// An index below `count`, or 0 if `count` is 0.
pub(super) fn index(count: usize, number: u64) -> usize {
    let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    usize::try_from(number % count).unwrap_or(0)
}

/// The finalizer of `SplitMix64`: every bit of the input affects every bit of the result.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_occur_with_their_probability() {
        for (per_mille, min, max) in [(0, 0, 0), (100, 800, 1200), (1000, 10_000, 10_000)] {
            let count = (0..10_000).filter(|n| occurs(per_mille, number(7, "x", "y", *n)));
            assert!((min..=max).contains(&count.count()), "{per_mille}");
        }
        assert_ne!(number(1, "ab", "c", 0), number(1, "a", "bc", 0));
        assert_ne!(number(1, "a", "b", 0), number(2, "a", "b", 0));
    }
}
