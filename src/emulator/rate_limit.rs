//! The documented request rates: a token bucket for each action and site.
//!
//! Owns the numbers from the user guide ("Request throttling"). Time is passed in. Does not wait.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::request::Action;

/// The size of the bucket of an action.
fn burst(action: Action) -> u64 {
    match action {
        Action::TagResource | Action::UntagResource => 40,
        _ => 20,
    }
}

/// The units of one token: at one token per second, each nanosecond adds one unit.
const TOKEN: u64 = 1_000_000_000;

/// The buckets of the actions that were called.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    buckets: BTreeMap<(String, Action), TokenBucket>,
}

#[derive(Debug)]
struct TokenBucket {
    units: u64,
    updated_at: OffsetDateTime,
}

impl RateLimits {
    /// Takes a token; `false` if there is none.
    pub(super) fn take(&mut self, site: &str, action: Action, now: OffsetDateTime) -> bool {
        let full = burst(action) * TOKEN;
        let bucket = self.buckets.entry((site.to_owned(), action));
        let bucket = bucket.or_insert(TokenBucket {
            units: full,
            updated_at: now,
        });
        // The clock may go back.
        let nanoseconds = (now - bucket.updated_at).whole_nanoseconds().max(0);
        let elapsed = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let refill = elapsed.saturating_mul(per_second(action));
        bucket.units = bucket.units.saturating_add(refill).min(full);
        bucket.updated_at = bucket.updated_at.max(now);
        if bucket.units < TOKEN {
            return false;
        }
        bucket.units -= TOKEN;
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

    fn take_all(limits: &mut RateLimits, action: Action, at: OffsetDateTime) -> usize {
        (0..100).filter(|_| limits.take("r", action, at)).count()
    }

    #[test]
    fn burst_is_followed_by_the_rate() {
        for (action, burst, rate) in [
            (Action::PutInstancePublicPorts, 20, 5),
            (Action::GetInstancePortStates, 20, 10),
            (Action::TagResource, 40, 10),
        ] {
            let mut limits = RateLimits::default();
            assert_eq!(take_all(&mut limits, action, START), burst);
            assert_eq!(take_all(&mut limits, action, START - Duration::HOUR), 0);
            let almost = START + Duration::SECOND / rate - Duration::NANOSECOND;
            assert_eq!(take_all(&mut limits, action, almost), 0);
            let one = START + Duration::SECOND;
            let per_second = usize::try_from(rate).expect("small");
            assert_eq!(take_all(&mut limits, action, one), per_second);
            assert_eq!(take_all(&mut limits, action, one + Duration::DAY), burst);
        }
    }

    #[test]
    fn limits_are_separate_by_site_and_action() {
        let mut limits = RateLimits::default();
        take_all(&mut limits, Action::GetInstances, START);
        assert!(!limits.take("r", Action::GetInstances, START));
        assert!(limits.take("s", Action::GetInstances, START));
        assert!(limits.take("r", Action::GetInstance, START));
    }
}
