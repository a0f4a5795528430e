//! The documented request rates: a token bucket for each action in each region.
//!
//! Owns the numbers from the user guide ("Request throttling"). Time is passed in. Does not wait.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::wire::Action;

/// The size of the bucket of an action.
fn burst(action: Action) -> u64 {
    match action {
        Action::TagResource | Action::UntagResource => 40,
        _ => 20,
    }
}

/// One token in the unit of the exact arithmetic: at one token per second, each nanosecond adds one unit.
const TOKEN: u64 = 1_000_000_000;

/// The buckets that have been used.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    by: BTreeMap<(String, Action), Bucket>,
}

#[derive(Debug)]
struct Bucket {
    level: u64,
    at: OffsetDateTime,
}

impl Buckets {
    /// Takes a token; `false` if there is none.
    pub(super) fn take(&mut self, region: &str, action: Action, now: OffsetDateTime) -> bool {
        let bucket = self
            .by
            .entry((region.to_owned(), action))
            .or_insert(Bucket {
                level: burst(action) * TOKEN,
                at: now,
            });
        // No tokens if the clock goes back.
        let nanoseconds = (now - bucket.at).whole_nanoseconds().max(0);
        let elapsed = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let refill = elapsed.saturating_mul(per_second(action));
        bucket.level = bucket
            .level
            .saturating_add(refill)
            .min(burst(action) * TOKEN);
        bucket.at = bucket.at.max(now);
        if bucket.level < TOKEN {
            return false;
        }
        bucket.level -= TOKEN;
        true
    }
}

/// The refill of an action, in tokens per second.
fn per_second(action: Action) -> u64 {
    match action {
        Action::PutInstancePublicPorts
        | Action::OpenInstancePublicPorts
        | Action::CloseInstancePublicPorts
        | Action::GetInstance
        | Action::GetInstances
        | Action::GetInstanceState
        | Action::GetOperations => 5,
        Action::GetInstancePortStates
        | Action::GetOperation
        | Action::GetOperationsForResource
        | Action::GetRegions
        | Action::TagResource
        | Action::UntagResource => 10,
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn taken(buckets: &mut Buckets, action: Action, at: OffsetDateTime) -> usize {
        (0..100).filter(|_| buckets.take("r", action, at)).count()
    }

    #[test]
    fn bucket_allows_a_burst_and_then_the_rate() {
        for (action, burst, rate) in [
            (Action::PutInstancePublicPorts, 20, 5),
            (Action::GetInstancePortStates, 20, 10),
            (Action::TagResource, 40, 10),
        ] {
            let mut buckets = Buckets::default();
            assert_eq!(taken(&mut buckets, action, START), burst);
            assert_eq!(taken(&mut buckets, action, START - Duration::HOUR), 0);
            let almost = START + Duration::SECOND / rate - Duration::NANOSECOND;
            assert_eq!(taken(&mut buckets, action, almost), 0);
            let one = START + Duration::SECOND;
            let per_second = usize::try_from(rate).expect("small");
            assert_eq!(taken(&mut buckets, action, one), per_second);
            assert_eq!(taken(&mut buckets, action, one + Duration::DAY), burst);
        }
    }

    #[test]
    fn buckets_are_separate_by_region_and_action() {
        let mut buckets = Buckets::default();
        taken(&mut buckets, Action::GetInstances, START);
        assert!(!buckets.take("r", Action::GetInstances, START));
        assert!(buckets.take("s", Action::GetInstances, START));
        assert!(buckets.take("r", Action::GetInstance, START));
    }
}
